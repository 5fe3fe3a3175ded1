"""A fleet under a real scheduler, whose jobs run at once: DRS's journal is the judge of whose turn it was.

A job's switchover ends when the test says so: until then, whatever else begins, begins beside it.
"""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_drs.simulator import Job, Simulator
from tests.airflow.standalone import Standalone
from tests.constants import COMPLETE, FAILED, GET_STATUS, START, SWITCH, numbered_job

# So many looks at a switchover that runs, one a second: a job that waits has looked for its turn meanwhile.
LOOKS = 5


class Fleet:
    """A run of a fleet, and the jobs that it has.

    :param first: the number of the first of five jobs.
    """

    def __init__(self, dag_id: str, first: int, cloud: Simulator, airflow: Standalone) -> None:
        self.dag_id, self._cloud, self._airflow = dag_id, cloud, airflow
        self.jobs = [numbered_job(first + number) for number in range(5)]
        self._scripts: list[list[str | None]] = [[START] for _ in self.jobs]
        for job, script in zip(self.jobs, self._scripts, strict=True):
            cloud.add_job(Job(job, no_switchover="null", status_after_switch=script))
        self.run = airflow.start(dag_id, jobs=self.jobs)

    def asked(self) -> list[int]:
        """Return the jobs that DRS was asked to switch, by number, in the order of the requests."""
        return [self.jobs.index(str(entry.job_id)) for entry in self._cloud.calls(SWITCH) if entry.job_id in self.jobs]

    def end(self, number: int, status: str) -> None:
        """Let a switchover end."""
        self._scripts[number].append(status)

    def until_asked(self, *numbers: int) -> None:
        """Wait until these are asked for, and see that no other is while they run."""
        self._airflow.until(lambda: set(numbers) <= set(self.asked()), f"the switchovers of {numbers}")
        seen = len(self._polls(numbers[-1]))
        self._airflow.until(lambda: len(self._polls(numbers[-1])) >= seen + LOOKS, "looks at what runs")
        assert sorted(self.asked()) == sorted(numbers)

    def _polls(self, number: int) -> list[Any]:
        return [entry for entry in self._cloud.calls(GET_STATUS) if entry.job_id == self.jobs[number]]

    def ended(self) -> dict[str, Any]:
        """Return the states by task and number, and the table, once the run is over."""
        path = f"/dags/{self.dag_id}/dagRuns/{self.run}"
        self._airflow.until(lambda: self._airflow.get(path)["state"] in ("success", "failed"), "the end of the fleet")
        tasks = self._airflow.tasks(self.dag_id, self.run)
        states = {(each["task_id"].removeprefix("fleet."), each["map_index"]): each["state"] for each in tasks}
        table = self._airflow.xcom(self.dag_id, self.run, task_id="fleet.summary")
        return {"state": self._airflow.get(path)["state"], "tasks": states, "table": table}


@pytest.fixture
def fleet(request: pytest.FixtureRequest, cloud: Simulator, airflow: Standalone) -> Fleet:
    name, first = request.param
    return Fleet(name, first, cloud, airflow)


@pytest.mark.parametrize("fleet", [("fleet_stops", 900)], indirect=True)
def test_no_job_starts_once_one_has_failed_and_what_runs_is_finished(fleet: Fleet) -> None:
    fleet.until_asked(0)  # the canary, and nobody beside it
    fleet.end(0, COMPLETE)
    fleet.until_asked(0, 1, 2)  # two at once
    fleet.end(1, FAILED)
    fleet.until_asked(0, 1, 2)  # in place of the one that has failed none starts, and the other one goes on
    fleet.end(2, COMPLETE)
    ended = fleet.ended()
    assert fleet.asked()[0] == 0
    assert [row["outcome"] for row in ended["table"]] == ["done", "failed", "done", "not started", "not started"]
    assert (ended["state"], ended["tasks"]["summary", -1]) == ("failed", "failed")
    assert [ended["tasks"]["job.turn", number] for number in range(5)] == [*["success"] * 3, "skipped", "skipped"]


@pytest.mark.parametrize("fleet", [("fleet_goes_on", 910)], indirect=True)
def test_the_next_job_starts_when_one_has_ended(fleet: Fleet) -> None:
    fleet.until_asked(0)
    fleet.end(0, COMPLETE)
    fleet.until_asked(0, 1, 2)
    fleet.end(2, FAILED)  # too few for a stop
    fleet.until_asked(0, 1, 2, 3)
    fleet.end(3, COMPLETE)
    fleet.until_asked(0, 1, 2, 3, 4)
    fleet.end(4, COMPLETE)
    fleet.end(1, COMPLETE)
    ended = fleet.ended()
    assert [row["outcome"] for row in ended["table"]] == ["done", "done", "failed", "done", "done"]
    assert (ended["state"], len(fleet.asked())) == ("failed", 5)
