"""Which waits can share a response, and what is asked for them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_drs.protocol import errors
from airflow_provider_drs.protocol.jobs.calls import MAX_JOBS
from airflow_provider_drs.protocol.jobs.query import (
    CallQuery,
    JobsQuery,
    Query,
    fit_batch,
    may_be_one_jobs_fault,
    merge,
)
from airflow_provider_drs.protocol.switchover.calls import get_switchover_status

IDS = [f"job-{number}" for number in range(150)]
QUESTIONS = st.tuples(
    st.lists(st.lists(st.sampled_from(IDS), min_size=1, max_size=130, unique=True), min_size=1, max_size=8),
    st.booleans(),
).map(lambda drawn: [JobsQuery(tuple(ids), drawn[1]) for ids in drawn[0]])


@given(QUESTIONS)
def test_all_that_fits_is_asked_and_nothing_else(queries: list[JobsQuery]) -> None:
    taken = [query for query in fit_batch(iter(queries)) if isinstance(query, JobsQuery)]
    assert taken == queries[: len(taken)]
    calls = merge(taken).calls()
    for kind in ("batch-status", "batch-progress") if queries[0].lag else ("batch-status",):
        bodies: list[Any] = [call.body for call in calls if call.name == kind]
        asked = [job_id for body in bodies for job_id in body["jobs"]]
        assert sorted(asked) == sorted({job_id for query in taken for job_id in query.job_ids}), "each once"
    if len(taken) > 1:
        assert sum(call.name == "batch-status" for call in calls) == 1
    if len(taken) < len(queries):
        assert len({job_id for query in queries[: len(taken) + 1] for job_id in query.job_ids}) > MAX_JOBS


def test_no_more_queries_are_asked_for_than_fit() -> None:
    drawn = (JobsQuery((job_id,)) for job_id in (f"job-{number}" for number in range(10_000)))
    assert len(fit_batch(drawn)) == MAX_JOBS
    assert next(drawn).job_ids == ("job-101",)


def test_those_who_want_the_lag_share_nothing_with_those_who_do_not() -> None:
    assert JobsQuery(("job-1",)).key == JobsQuery(("job-2",)).key != JobsQuery(("job-1",), True).key


def test_the_lag_of_jobs_is_asked_for_right_after_their_status() -> None:
    names = [call.name for call in JobsQuery(IDS, True).calls()]
    assert names == ["batch-status", "batch-progress"] * 2


def test_the_same_call_is_asked_once() -> None:
    queries: list[Query] = [CallQuery(get_switchover_status("job-1")) for _ in range(200)]
    assert len({query.key for query in queries}) == 1
    assert len(fit_batch(queries)) == 200
    assert len(merge(queries).calls()) == 1
    assert CallQuery(get_switchover_status("job-2")).key != queries[0].key
    assert CallQuery(get_switchover_status("job-1"), shared=False).key is None


@pytest.mark.parametrize(
    ("error", "from_which_time"),
    [
        (errors.DrsJobNotFoundError("x"), 1),
        (errors.DrsRequestError("x"), 1),
        (errors.DrsPermissionError("x"), 1),
        (errors.DrsWrongStateError("x"), 1),
        (errors.DrsArgumentError("x"), 1),
        (errors.DrsBusyError("x", error_code="DRS.M01504"), 2),
        (errors.DrsInvalidResponseError("x"), 2),
        (errors.DrsServerError("x", error_code="DRS.M00004"), 2),
        (errors.DrsServerError("x"), None),
        (errors.DrsThrottledError("x", error_code="DRS.M01503"), None),
        (errors.DrsUnreachableError("x"), None),
        (errors.DrsAuthenticationError("x"), None),
        (errors.DrsTokenRefusedError("x"), None),
        (errors.DrsTlsError("x"), None),
    ],
)
def test_whose_fault_a_failure_may_be(error: errors.DrsError, from_which_time: int | None) -> None:
    found = [times for times in (1, 2, 3) if may_be_one_jobs_fault(JobsQuery(("job-1",)), error, times)]
    assert (found[0] if found else None) == from_which_time
    assert not may_be_one_jobs_fault(CallQuery(get_switchover_status("job-1")), error, 9)
