from __future__ import annotations

import json

from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_drs.protocol import errors
from airflow_provider_drs.protocol.http import response as responses
from airflow_provider_drs.protocol.http.response import HttpResponse
from airflow_provider_drs.protocol.jobs.replies import number_of_jobs
from airflow_provider_drs.protocol.switchover.calls import switchover_reply
from airflow_provider_drs.protocol.switchover.status import SwitchoverState, SwitchoverStatus, switchover_state
from tests.protocol import strategies
from tests.protocol.strategies import outcome


def check(given_answer: HttpResponse) -> None:
    """Read ``given_answer`` all the way; whatever is wrong with it must be a ``DrsError`` of one printable line."""
    body = outcome(responses.read, given_answer)
    if isinstance(body, errors.DrsError):
        assert body.message
        assert body.message.isprintable()
        assert body.http_status == given_answer.status
        assert body.retry_after is None or 0 <= body.retry_after <= responses.MAX_RETRY_AFTER
        json.dumps(body.to_dict(), allow_nan=False)
        return
    assert isinstance(body, dict)
    assert 200 <= given_answer.status < 300
    check_reply(body)
    number = outcome(number_of_jobs, body)
    if isinstance(number, errors.DrsError):
        assert isinstance(number, errors.DrsInvalidResponseError)
        assert type(body.get("total_record")) is not int
    else:
        assert number is body["total_record"]


def check_reply(body: dict[str, object]) -> None:
    reply = switchover_reply(body)
    for text in (reply.job_id, reply.status, reply.error_code, reply.error_msg):
        assert text is None or text.isprintable()
    if reply.job_id == strategies.JOB:
        assert body["id"] == strategies.JOB
    if switchover_state(reply.status) is SwitchoverState.DONE:
        assert body["status"] == SwitchoverStatus.COMPLETE
        assert not reply.error_code
    if switchover_state(reply.status) is SwitchoverState.FAILED:
        assert body["status"] == SwitchoverStatus.FAILED


def ok(body: object) -> HttpResponse:
    return HttpResponse(200, {}, json.dumps(body).encode())


@strategies.thorough
@given(strategies.http_responses(st.binary(max_size=200)))
def test_any_bytes_are_a_reply_or_a_typed_error(given_answer: HttpResponse) -> None:
    check(given_answer)


@strategies.thorough
@given(strategies.http_responses(strategies.as_json(strategies.json_values)))
def test_any_json_is_a_reply_or_a_typed_error(given_answer: HttpResponse) -> None:
    check(given_answer)


@strategies.thorough
@given(strategies.http_responses(strategies.as_json(strategies.drs_objects)))
@example(ok({"status": "SWITCH_VIP_COMPLETE\n"}))
@example(ok({"status": "\x00SWITCH_VIP_COMPLETE"}))
@example(ok({"id": f"{strategies.JOB}\x00", "status": "SWITCH_VIP_START"}))
@example(ok({"status": "SWITCH_VIP_COMPLETE" + " " * 1000 + "not"}))
def test_any_values_of_the_fields_are_a_reply_or_a_typed_error(given_answer: HttpResponse) -> None:
    check(given_answer)


@strategies.thorough
@given(strategies.http_responses(st.binary(max_size=60) | strategies.as_json(strategies.drs_objects)))
def test_any_answer_of_iam_is_a_typed_error(given_answer: HttpResponse) -> None:
    error = responses.iam_error(given_answer)
    assert error.message.isprintable()
    assert error.http_status == given_answer.status


@strategies.thorough
@given(strategies.json_scalars | st.sampled_from(strategies.STATUSES))
def test_only_the_one_status_means_done(status: object) -> None:
    reply = switchover_reply({"status": status})
    assert (switchover_state(reply.status) is SwitchoverState.DONE) == (status == "SWITCH_VIP_COMPLETE")
