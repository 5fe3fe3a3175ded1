"""Which waits can be told by one answer, and what is asked for them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_drs.protocol import errors
from airflow_provider_drs.protocol.calls import get_switchover_status
from airflow_provider_drs.protocol.job_calls import MOST_JOBS
from airflow_provider_drs.protocol.questions import (
    CallQuestion,
    JobsQuestion,
    Question,
    fitting,
    may_be_one_jobs_fault,
    together,
)

IDS = [f"job-{number}" for number in range(150)]
QUESTIONS = st.lists(
    st.builds(
        lambda ids, lag: JobsQuestion(tuple(ids), tuple(ids) if lag else ()),
        st.lists(st.sampled_from(IDS), min_size=1, max_size=130, unique=True),
        st.booleans(),
    ),
    min_size=1,
    max_size=8,
)


@given(QUESTIONS)
def test_all_that_fits_is_asked_and_nothing_else(questions: list[JobsQuestion]) -> None:
    count = fitting(questions)
    taken = questions[:count]
    calls = together(taken).calls()
    asked = {kind: [i for c in calls if c.name == kind for i in (c.body or {})["jobs"]] for kind in _KINDS}
    for kind, wanted in (("batch-status", "job_ids"), ("batch-progress", "lags")):
        expected = {job_id for question in taken for job_id in getattr(question, wanted)}
        assert sorted(asked[kind]) == sorted(expected), "each once"
    if count > 1:
        assert sum(call.name == "batch-status" for call in calls) == 1
    if count < len(questions):
        assert len({job_id for question in questions[: count + 1] for job_id in question.job_ids}) > MOST_JOBS


_KINDS = ("batch-status", "batch-progress")


def test_the_lag_of_a_job_is_asked_for_right_after_its_status() -> None:
    names = [call.name for call in JobsQuestion(IDS, IDS[:120]).calls()]
    assert names == ["batch-status", "batch-progress", "batch-status", "batch-progress"]


def test_the_same_call_is_asked_once() -> None:
    questions: list[Question] = [CallQuestion(get_switchover_status("job-1")) for _ in range(200)]
    assert len({question.key for question in questions}) == 1
    assert fitting(questions) == 200
    assert len(together(questions).calls()) == 1
    assert CallQuestion(get_switchover_status("job-2")).key != questions[0].key
    assert CallQuestion(get_switchover_status("job-1"), shared=False).key is None


@pytest.mark.parametrize(
    ("error", "one_jobs"),
    [
        (errors.DrsJobNotFoundError("x"), True),
        (errors.DrsRequestError("x"), True),
        (errors.DrsPermissionError("x"), True),
        (errors.DrsWrongStateError("x"), True),
        (errors.DrsServerError("x"), False),
        (errors.DrsThrottledError("x"), False),
        (errors.DrsCredentialsError("x"), False),
        (errors.DrsTokenRefusedError("x"), False),
        (errors.DrsTlsError("x"), False),
    ],
)
def test_whose_fault_a_refusal_may_be(error: errors.DrsError, one_jobs: bool) -> None:
    assert may_be_one_jobs_fault(JobsQuestion(("job-1",)), error) is one_jobs
    assert not may_be_one_jobs_fault(CallQuestion(get_switchover_status("job-1")), error)
