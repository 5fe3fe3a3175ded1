"""What the matrix is judged by: the logs that it reads, and that each row of the docs names cases that there are."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from tests.matrix.cases import Case, cases_of
from tests.matrix.environments import VERSIONS
from tests.matrix.lags import deferral_lags
from tests.matrix.run import RACE, at, judged

PAGE = Path(__file__).parent.parent / "docs" / "versions.md"
TASK = Path("logs/dag_id=one/run_id=r/task_id=group.task/attempt=1.log")
MAPPED = Path("logs/dag_id=one/run_id=r/task_id=task/map_index=3/attempt=2.log")
KEY = "TaskInstanceKey(dag_id='one', task_id='{}', run_id='r', try_number={}, map_index={})"
READ = "{} Received executor event with state success for task instance " + KEY
IN_2 = "[2026-11-27T13:08:20.500+0000] {taskinstance.py:1} INFO - Pausing task as DEFERRED. dag_id=one"
IN_3 = '{"timestamp":"2026-11-27T13:08:20.500000Z","level":"info","event":"Pausing task as DEFERRED. "}'


@pytest.mark.parametrize(
    ("path", "deferred", "read", "lags"),
    [
        (TASK, IN_2, READ.format("[2026-11-27T13:08:22.000+0000] INFO -", "group.task", 1, -1), [1.5]),
        (TASK, IN_3, READ.format("2026-11-27T13:08:22.000000Z [info ]", "group.task", 1, -1), [1.5]),
        (MAPPED, IN_3, READ.format("2026-11-27T13:08:21.000000Z [info ]", "task", 2, 3), [0.5]),
        # Another try, another index, and an event that was there before.
        (MAPPED, IN_3, READ.format("2026-11-27T13:08:21.000000Z [info ]", "task", 1, 3), []),
        (MAPPED, IN_3, READ.format("2026-11-27T13:08:21.000000Z [info ]", "task", 2, 1), []),
        (TASK, IN_3, READ.format("2026-11-27T13:08:19.000000Z [info ]", "group.task", 1, -1), []),
        (TASK, "nothing", READ.format("2026-11-27T13:08:22.000000Z [info ]", "group.task", 1, -1), []),
    ],
)
def test_how_far_a_scheduler_is_behind(path: Path, deferred: str, read: str, lags: list[float]) -> None:
    assert deferral_lags([(Path("scheduler.log"), read), (path, deferred)]) == lags


@pytest.mark.parametrize("state", ["queued", "scheduled"])
def test_a_deferral_that_airflow_failed_is_counted(state: str) -> None:
    said = f"Executor LocalExecutor(parallelism=8) reported that the task instance <TaskInstance: a.b r [{state}]> "
    said += f"finished with state success, but the task instance's state attribute is {state}. Learn more"
    assert [hit["dag_id"] for hit in RACE.finditer(said)] == ["a"]


@pytest.mark.parametrize(
    ("runs", "judgement"),
    [
        ([{"a": "", "b": ""}], {"a": "", "b": ""}),
        ([{"a": "2 tries", "b": ""}, {"a": ""}], {"a": "", "b": ""}),
        ([{"a": "2 tries", "b": ""}, {"a": "2 tries"}], {"a": "2 tries", "b": ""}),
        ([{"a": "2 tries", "b": "failed"}, {"a": ""}], {"a": "", "b": "failed"}),
        ([{"a": "", "b": "failed"}], {"a": "", "b": "failed"}),
        (
            [{"a": "2 tries", "b": ""}, {"a": "", "no_secret_in_logs": "one.log"}],
            {"a": "", "b": "", "no_secret_in_logs": "one.log"},
        ),
    ],
)
def test_only_a_case_that_airflow_failed_runs_once_more(
    runs: list[dict[str, str]], judgement: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    left = iter(runs)

    def run(cases: list[Case]) -> dict[str, Any]:
        misses = next(left)
        assert {case.name for case in cases} <= misses.keys()
        # Airflow has failed a task of "a", and said nothing of "b".
        return {"misses": misses, "struck": ["a"], "seconds": 1, "cpu": 1}

    result = judged(run, [Case("a", "operator", {}), Case("b", "operator", {})])
    assert result["misses"] == judgement
    assert next(left, None) is None
    assert ("a runs once more" in capsys.readouterr().out) == (len(runs) == 2)


@pytest.mark.parametrize(
    ("path", "value"), [("a.0.b", 1), ("a.1.b", "nothing at 1"), ("a.0.c", "nothing at c"), ("c.d", "nothing at d")]
)
def test_what_stands_at_a_path(path: str, value: object) -> None:
    assert at({"a": [{"b": 1}], "c": None}, path) == value


def test_each_version_has_cases_of_its_own_jobs() -> None:
    for version in VERSIONS:
        major, minor = (int(number) for number in version.split(".")[:2])
        jobs = [job.job_id for case in cases_of((major, minor)) for job in case.jobs]
        assert len(jobs) == len(set(jobs)) > 0
        assert cases_of((major, minor), ci=True), "CI runs none of them"


def test_each_row_of_the_docs_names_cases_that_there_are() -> None:
    known = {case.name for version in ((2, 11), (3, 3)) for case in cases_of(version)} | {"console_link"}
    rows = [line for line in PAGE.read_text().splitlines() if line.count("|") == 7 and "`" in line.split("|")[-2]]
    assert rows
    for row in rows:
        for name in re.findall(r"`([a-z0-9_*]+)`", row.split("|")[-2]):
            assert any(fnmatchcase(case, name) for case in known), f"{name} is no case: {row}"
