"""Where the waves take place: the cluster, DRS behind a relay, and what is done to both."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

import requests

from airflow_provider_drs.simulator import Fault, Job, Simulator, Vip
from airflow_provider_drs.simulator.serving.forwarder import Forwarder
from tests.cluster.judge import OVER, Logs, Run, judge, tracebacks
from tests.cluster.kinds import KINDS
from tests.cluster.parts import CeleryCluster
from tests.cluster.redis import Redis
from tests.cluster.relay import Moment
from tests.constants import BATCH_PROGRESS, BATCH_STATUS, GET_STATUS, SWITCH, TOKENS, numbered_job
from tests.waiting import until

# Seconds for all runs of a wave.
WAVE_WITHIN = 900
QUIET_SECONDS = 5
REVOKED_EVERY = 45.0
# Whoever did not see the switchover begin can still tell that its end is new.
JOB: dict[str, Any] = {"start_after": 1, "start_lasts": 6, "no_switchover": "null"}
# What may go wrong with any request, and is over with the next.
WEATHER = (
    Fault.status(500), Fault.status(502), Fault.status(503), Fault.html(), Fault.too_many(1), Fault.reset(),
    Fault.cut(), Fault.slow(2),
)  # fmt: skip
WEATHERED = (GET_STATUS, BATCH_STATUS, BATCH_PROGRESS, TOKENS)
# Of so many requests at most one goes wrong.
ONE_OF = 4
# What may go wrong with the one request that is not repeated: it takes effect.
SWITCH_WEATHER = (Fault.lost(), Fault.slow(3))


class Stage:
    """A context manager."""

    def __init__(self, *, keep: bool = False, seed: int = 0) -> None:
        self._keep = keep
        self._random = random.Random(seed)
        self._numbers = iter(range(10_000))
        self.is_drs_away = False

    def __enter__(self) -> Stage:
        with contextlib.ExitStack() as undo:
            self.folder = Path(tempfile.mkdtemp(prefix="drs-cluster-"))
            undo.callback(self._remove)
            self.redis = undo.enter_context(Redis(self._made("redis")))
            self.simulator = undo.enter_context(Simulator())
            way = Vip(0, str(self.simulator.port), str(self.simulator.port))
            undo.callback(Forwarder(way, lambda: None if self.is_drs_away else "source").stop)
            url = f"https://127.0.0.1:{way.port}"
            connection = self.simulator.connection(host=url, auth_url=f"{url}/v3", region="eu-de")
            self.cluster = CeleryCluster(
                self._made("airflow"), self.redis, {"AIRFLOW_CONN_DRS_DEFAULT": json.dumps(connection)}
            )
            undo.enter_context(self.cluster)
            self.logs = Logs(self.cluster.folder)
            self.logs.new()
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def _made(self, name: str) -> Path:
        (self.folder / name).mkdir()
        return self.folder / name

    def _remove(self) -> None:
        if self._keep:
            print(f"kept {self.folder}", flush=True)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    # Runs

    def start(self, wave: str, kinds: Sequence[str], moments: Sequence[Moment] = (), **job: Any) -> list[Run]:
        """Start a run of each kind.

        :param moments: when the API server is away for each of them; none: never.
        :param job: how DRS behaves.
        """
        runs = []
        for place, name in enumerate(kinds):
            kind, number = KINDS[name], next(self._numbers)
            run = Run(kind, f"{wave}-{number:04}", numbered_job(number))
            self.simulator.add_job(Job(run.job_id, **{**JOB, **job, **kind.job}))
            if moments:
                self.cluster.relay.plan(run.run_id, moments[place])
            asked = {"dag_run_id": run.run_id, "logical_date": None, "conf": {"job_id": run.job_id}}
            start_run(partial(self.cluster.request, "POST", f"/dags/{kind.name}/dagRuns", asked), run.run_id)
            runs.append(run)
        return runs

    def finish(self, runs: Sequence[Run], within: float = WAVE_WITHIN) -> None:
        """Wait until all are over, or time is up."""
        with contextlib.suppress(AssertionError):
            until(lambda: self._all_over(runs), within, "the end", over=lambda: bool(self.cluster.dead()), interval=1)

    def _all_over(self, runs: Sequence[Run]) -> bool:
        states: dict[str, str] = dict(self.cluster.rows("select run_id, state from dag_run"))
        for run in runs:
            run.state = str(states.get(run.run_id, "missing"))
        return all(run.state in OVER for run in runs)

    def judge(self, runs: Sequence[Run]) -> None:
        """Judge each run."""
        journal = self.simulator.calls(SWITCH)
        for run in runs:
            judge(run, self._tasks(run), self._xcoms(run), journal, self.simulator.switched(run.job_id))

    def _tasks(self, run: Run) -> list[tuple[str, str]]:
        found = self.cluster.rows("select task_id, state from task_instance where run_id = %s", run.run_id)
        return [(str(task), str(state)) for task, state in found]

    def _xcoms(self, run: Run) -> dict[tuple[str, str], Any]:
        found = self.cluster.rows("select task_id, key, value from xcom where run_id = %s", run.run_id)
        return {(str(task), str(key)): _plain(value) for task, key, value in found}

    def heal(self, runs: Sequence[Run], written: dict[Path, str]) -> None:
        """Clear, once, each run that Airflow itself has failed, and judge again."""
        struck = [run for run in runs if run.misses and run.state in OVER and not run.switched_twice]
        for run in struck:
            reason = self._reason(run, written)
            if reason is None:
                continue
            before = "; ".join(run.misses)
            asked = {"dry_run": False, "dag_run_id": run.run_id, "only_failed": True, "include_downstream": True}
            self.cluster.request("POST", f"/dags/{run.kind.name}/clearTaskInstances", asked)
            run.healed = f"{reason} [{before}]"
        healed = [run for run in struck if run.healed]
        self.finish(healed, 300)
        self.judge(healed)

    def _reason(self, run: Run, written: dict[Path, str]) -> str | None:
        """Return why Airflow has failed a run; None where an error of ours, or none at all, is to blame."""
        failed = [
            task for task, state in self._tasks(run)
            if state == "failed" and run.kind.states.get(task) != "failed"
        ]  # fmt: skip
        if not failed:
            return None
        reasons = []
        for task in failed:
            tries = sorted(
                (path for path in written if f"run_id={run.run_id}/task_id={task}/" in str(path)),
                key=lambda path: path.stat().st_mtime,
            )
            if tries and "Task failed with exception" in written[tries[-1]]:
                return None
            said = [
                line for path, text in written.items() if path.parent == self.cluster.folder
                for line in text.splitlines() if run.run_id in line and task in line and "rror" in line
            ]  # fmt: skip
            reasons.append(f"{task}: {said[-1][:300] if said else 'Airflow does not say why'}")
        return "; ".join(reasons)

    def waiting(self, runs: Sequence[Run]) -> list[str]:
        """Return who still waits once all is over: triggers, tasks, or somebody who polls."""
        found: list[str] = []

        def quiet() -> bool:
            left = self.cluster.rows("select id, classpath, triggerer_id from trigger")
            alive = self.cluster.rows(
                "select run_id, task_id, state from task_instance where state not in "
                "('success', 'failed', 'skipped', 'upstream_failed', 'removed')"
            )
            jobs = {run.job_id for run in runs}
            polls = {
                str(entry.job_id) for entry in self.simulator.calls(GET_STATUS)
                if entry.job_id in jobs and entry.at > time.time() - QUIET_SECONDS
            }  # fmt: skip
            found[:] = [f"{what} {each}" for what, those in (("trigger", left), ("task", alive), ("polled:", polls))
                        for each in those]  # fmt: skip
            return not found

        with contextlib.suppress(AssertionError):
            until(quiet, 60, "quiet", interval=1)
        return found

    def tracebacks(self, written: dict[Path, str]) -> list[str]:
        """Return what came out of our code."""
        return [
            f"{path.relative_to(self.cluster.folder)}: {found}"
            for path, text in written.items() for found in tracebacks(text)
        ]  # fmt: skip

    # What happens meanwhile

    def posts(self, runs: Sequence[Run]) -> int:
        """Return how many of the runs have asked DRS to switch."""
        jobs = {run.job_id for run in runs}
        return len({entry.job_id for entry in self.simulator.calls(SWITCH)} & jobs)

    def until_posts(self, runs: Sequence[Run], share: float) -> None:
        """Wait until that share of the runs has asked DRS to switch."""
        until(lambda: self.posts(runs) >= share * len(runs), WAVE_WITHIN, f"{share:.0%} of the requests")

    @contextlib.contextmanager
    def weather(self, runs: Sequence[Run]) -> Iterator[None]:
        """Let requests to DRS and IAM go wrong, now and then."""
        for _ in range(max(len(runs) // 5, 1)):
            self.simulator.fault(SWITCH, self._random.choice(SWITCH_WEATHER))
        stopping = threading.Event()
        thread = threading.Thread(target=self._rain, args=(stopping,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            stopping.set()
            thread.join()
            self.simulator.clear_faults()

    def _rain(self, stopping: threading.Event) -> None:
        revoked, requests = time.monotonic(), dict.fromkeys(WEATHERED, 0)
        while not stopping.wait(0.7):
            call = self._random.choice(WEATHERED)
            # Faults queue up: where fewer and fewer ask, all would go wrong for those who are left.
            if (made := len(self.simulator.calls(call))) >= requests[call] + ONE_OF:
                requests[call] = made
                self.simulator.fault(call, self._random.choice(WEATHER))
            # Two within one log-in would mean that a new token does not help: for that a task fails, and is right.
            if time.monotonic() - revoked > REVOKED_EVERY:
                revoked = time.monotonic()
                self.simulator.revoke_tokens()

    def lasts(self, seconds: float) -> None:
        """Let a fault last for a while."""
        until_ = time.monotonic() + seconds
        while time.monotonic() < until_:
            time.sleep(0.5)

    def take_over(self) -> None:
        """Stop a triggerer until another has all of its waits, and wake it."""
        held = "select triggerer_id, count(*) from trigger where triggerer_id is not null group by triggerer_id"
        until(lambda: len(self.cluster.rows(held)) >= 2, 300, "waits in both triggerers")
        self.cluster.freeze("triggerer-1")
        try:
            stale = (
                "select id from job where job_type = 'TriggererJob' and state = 'running' "
                "and latest_heartbeat between now() - interval '90 seconds' and now() - interval '16 seconds' "
                "order by latest_heartbeat"
            )
            found = until(lambda: self.cluster.rows(stale), 120, "a triggerer without heartbeat")
            left = "select id from trigger where triggerer_id = %s"
            until(lambda: not self.cluster.rows(left, str(found[0][0])), 120, "the other one to take its waits over")
        finally:
            self.cluster.wake("triggerer-1")

    def kill_and_start(self, name: str) -> None:
        """Kill a part and start it again; wait until the API server responds where it is that."""
        self.cluster.kill(name)
        self.cluster.start(name)
        if name == "api-server":
            until(self.cluster.api_responds, 180, "the API server", interval=1)


def start_run(ask: Callable[[], Any], run_id: str, within: float = 30) -> None:
    """Start a run; ask again where the API server fails, and say so. Its id lets it start once."""

    def started() -> bool:
        try:
            ask()
        except requests.HTTPError as error:
            if error.response.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
                # There is one of this id: it started, and the response told otherwise.
                if told and error.response.status_code == HTTPStatus.CONFLICT:
                    return True
                raise
            told.append(str(error))
            print(f"{run_id} is asked for again: {error}", flush=True)
            return False
        return True

    told: list[str] = []
    until(started, within, f"the start of {run_id}", tell=lambda: f"; {told[-1:]}")


def _plain(value: Any) -> Any:
    while isinstance(value, (bytes, memoryview, str)):
        try:
            value = json.loads(bytes(value) if isinstance(value, memoryview) else value)
        except ValueError:
            return value
    return value
