"""What is asked of DRS about jobs, and what cannot be asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from airflow_provider_drs.protocol.errors import DrsArgumentError
from airflow_provider_drs.protocol.http.request import Call
from airflow_provider_drs.protocol.jobs.calls import (
    MAX_JOBS,
    batch_detail,
    batch_progress,
    batch_status,
    checked_job_ids,
    describe_jobs,
    in_batches,
    list_jobs,
    list_one_job,
    pause_jobs,
    resume_jobs,
    start_jobs,
    stop_jobs,
)
from tests.constants import JOB, OTHER_JOB, numbered_job

Ask = Callable[[Sequence[str]], Call[Any]]
BOTH = [JOB, OTHER_JOB]


def _each(**more: object) -> dict[str, Any]:
    return {"jobs": [{"job_id": job_id, **more} for job_id in BOTH]}


@pytest.mark.parametrize(
    ("call", "method", "path", "body", "safe"),
    [
        (batch_status(BOTH), "POST", "/batch-status",
         {"jobs": BOTH, "page_req": {"cur_page": 1, "per_page": 2}}, True),
        (batch_progress(BOTH), "POST", "/batch-progress", {"jobs": BOTH}, True),
        (batch_detail(BOTH), "POST", "/batch-detail",
         {"jobs": BOTH, "page_req": {"cur_page": 1, "per_page": 2}}, True),
        (start_jobs(BOTH), "POST", "/batch-starting", _each(), False),
        (pause_jobs(BOTH), "POST", "/batch-pause-task", _each(pause_mode="target"), False),
        (pause_jobs(BOTH, "all"), "POST", "/batch-pause-task", _each(pause_mode="all"), False),
        (resume_jobs(BOTH), "POST", "/batch-retry-task", _each(), False),
        (resume_jobs(BOTH, True), "POST", "/batch-retry-task", _each(is_sync_re_edit=True), False),
        (resume_jobs(BOTH, False), "POST", "/batch-retry-task", _each(is_sync_re_edit=False), False),
        (stop_jobs(BOTH), "DELETE", "/batch-jobs", _each(delete_type="terminate"), False),
        (stop_jobs(BOTH, force=True), "DELETE", "/batch-jobs", _each(delete_type="force_terminate"), False),
        (list_one_job(), "POST", "", {"cur_page": 1, "per_page": 1, "db_use_type": "sync"}, True),
        (list_jobs("migration", 2), "POST", "", {"cur_page": 2, "per_page": 100, "db_use_type": "migration"}, True),
        (
            list_jobs("sync", 1, "postgresql"),
            "POST",
            "",
            {"cur_page": 1, "per_page": 100, "db_use_type": "sync", "engine_type": "postgresql"},
            True,
        ),
    ],
    ids=lambda value: value.name if isinstance(value, Call) else None,
)  # fmt: skip
def test_the_request(call: Call[Any], method: str, path: str, body: dict[str, Any], safe: bool) -> None:
    assert (call.method, call.path, call.body, call.safe) == (method, path, body, safe)


@pytest.mark.parametrize(
    "ask", [batch_status, batch_progress, batch_detail, start_jobs, pause_jobs, resume_jobs, stop_jobs]
)
class TestAnyNumberOfJobs:
    def test_a_job_is_asked_for_once(self, ask: Ask) -> None:
        assert ask([JOB, OTHER_JOB, JOB]).body == ask(BOTH).body

    def test_as_many_as_one_call_takes(self, ask: Ask) -> None:
        ask([numbered_job(n) for n in range(MAX_JOBS)])
        with pytest.raises(DrsArgumentError, match="at most 100 jobs, not 101"):
            ask([numbered_job(n) for n in range(MAX_JOBS + 1)])

    @pytest.mark.parametrize("bad", [[], [""], ["a/b"], [JOB, None]])
    def test_what_cannot_be_asked(self, ask: Ask, bad: Any) -> None:
        with pytest.raises(DrsArgumentError):
            ask(bad)


@pytest.mark.parametrize("mode", ["", "source", "TARGET", None, 1])
def test_another_way_to_pause(mode: Any) -> None:
    with pytest.raises(DrsArgumentError, match="pause_mode must be"):
        pause_jobs([JOB], mode)


@pytest.mark.parametrize(
    ("given", "ids"),
    [
        ([JOB], [JOB]),
        ((JOB, OTHER_JOB, JOB), BOTH),
        (f"{JOB}, {OTHER_JOB}", BOTH),
        (f'["{JOB}", "{OTHER_JOB}"]', BOTH),
        (f"['{JOB}', '{OTHER_JOB}']", BOTH),
    ],
)
def test_ids_as_a_list_or_as_what_a_template_makes_of_one(given: object, ids: list[str]) -> None:
    assert checked_job_ids(given) == ids


@pytest.mark.parametrize("bad", [None, 1, b"ab", [], "", "[]", "[1]", "[", f"{JOB},"])
def test_what_is_no_list_of_ids(bad: object) -> None:
    with pytest.raises(DrsArgumentError):
        checked_job_ids(bad)


@pytest.mark.parametrize(("number", "sizes"), [(0, []), (1, [1]), (100, [100]), (101, [100, 1]), (250, [100, 100, 50])])
def test_batches(number: int, sizes: list[int]) -> None:
    ids = [numbered_job(n) for n in range(number)]
    batches = in_batches(ids)
    assert [len(batch) for batch in batches] == sizes
    assert [job_id for batch in batches for job_id in batch] == ids


def test_messages_name_three_jobs() -> None:
    assert describe_jobs(["a"]) == "job 'a'"
    assert describe_jobs(["a", "b", "c"]) == "jobs 'a', 'b', 'c'"
    assert describe_jobs(["a", "b", "c", "d", "e"]) == "jobs 'a', 'b', 'c' and 2 more"
