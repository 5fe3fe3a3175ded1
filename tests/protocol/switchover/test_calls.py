"""What is asked about a switchover, and what DRS's responses to it say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_drs.protocol import errors
from airflow_provider_drs.protocol.http import response as responses
from airflow_provider_drs.protocol.http.request import Token
from airflow_provider_drs.protocol.http.response import HttpResponse
from airflow_provider_drs.protocol.switchover.calls import (
    MODES,
    SwitchoverReply,
    get_switchover_status,
    switch_reply,
    switch_vip,
    switchover_reply,
)
from airflow_provider_drs.protocol.switchover.status import SwitchoverState, switchover_state
from tests.constants import JOB

REPLIES: list[tuple[dict[str, Any], SwitchoverReply, SwitchoverState]] = [
    ({"id": JOB, "status": "SWITCH_VIP_START"}, SwitchoverReply(JOB, "SWITCH_VIP_START"), SwitchoverState.RUNNING),
    ({"id": JOB, "status": "SWITCH_VIP_COMPLETE"}, SwitchoverReply(JOB, "SWITCH_VIP_COMPLETE"), SwitchoverState.DONE),
    (
        {"id": JOB, "status": "SWITCH_VIP_FAILED", "error_code": "DRS.M1", "error_msg": "no IP"},
        SwitchoverReply(JOB, "SWITCH_VIP_FAILED", "DRS.M1", "no IP"),
        SwitchoverState.FAILED,
    ),
    (
        {"id": JOB, "status": "SWITCH_VIP_FAILED", "error_code": "DRS.M1", "error_message": "no IP"},
        SwitchoverReply(JOB, "SWITCH_VIP_FAILED", "DRS.M1", "no IP"),
        SwitchoverState.FAILED,
    ),
    # A code beside a status of the switchover is the switchover's, not a refusal of the call.
    (
        {"id": JOB, "status": "SWITCH_VIP_FAILED", "error_code": "DRS.M00100"},
        SwitchoverReply(JOB, "SWITCH_VIP_FAILED", "DRS.M00100"),
        SwitchoverState.FAILED,
    ),
    (
        {"id": JOB, "status": "SWITCH_VIP_COMPLETE", "error_code": "", "error_msg": None},
        SwitchoverReply(JOB, "SWITCH_VIP_COMPLETE", "", None),
        SwitchoverState.DONE,
    ),
    # A status that its own error contradicts is neither an end nor a baseline.
    *(
        (
            {"id": JOB, "status": "SWITCH_VIP_COMPLETE", "error_code": code, "error_msg": "no IP"},
            SwitchoverReply(JOB, f"SWITCH_VIP_COMPLETE beside the error {code}", str(code), "no IP"),
            SwitchoverState.UNKNOWN,
        )
        for code in ("DRS.M01501", "DRS.M99999", "0", 5)
    ),
    (
        {"id": JOB, "status": "SWITCH_VIP_START", "error_code": "DRS.M01501"},
        SwitchoverReply(JOB, "SWITCH_VIP_START", "DRS.M01501"),
        SwitchoverState.RUNNING,
    ),
    ({"id": JOB, "status": None}, SwitchoverReply(JOB, None), SwitchoverState.NOT_BEGUN),
    ({"id": JOB, "status": ""}, SwitchoverReply(JOB, ""), SwitchoverState.NOT_BEGUN),
    ({"id": JOB}, SwitchoverReply(JOB, None), SwitchoverState.NOT_BEGUN),
    ({}, SwitchoverReply(None, None), SwitchoverState.NOT_BEGUN),
    ({"id": JOB, "status": "SWITCH_VIP_PAUSED"}, SwitchoverReply(JOB, "SWITCH_VIP_PAUSED"), SwitchoverState.UNKNOWN),
    (
        {"id": JOB, "status": "switch_vip_complete"},
        SwitchoverReply(JOB, "switch_vip_complete"),
        SwitchoverState.UNKNOWN,
    ),
    ({"id": JOB, "status": "success"}, SwitchoverReply(JOB, "success"), SwitchoverState.UNKNOWN),
    ({"id": JOB, "status": "failed"}, SwitchoverReply(JOB, "failed"), SwitchoverState.UNKNOWN),
    ({"id": 5, "status": True}, SwitchoverReply("5", "true"), SwitchoverState.UNKNOWN),
    (
        {"id": JOB, "status": ["SWITCH_VIP_COMPLETE"]},
        SwitchoverReply(JOB, '["SWITCH_VIP_COMPLETE"]'),
        SwitchoverState.UNKNOWN,
    ),
]


@pytest.mark.parametrize("http_status", [200, 202])
@pytest.mark.parametrize(("body", "reply", "what"), REPLIES)
def test_a_good_answer_is_this_reply(
    body: dict[str, Any], reply: SwitchoverReply, what: SwitchoverState, http_status: int
) -> None:
    read_body = responses.read(HttpResponse(http_status, {}, json.dumps(body).encode()))
    assert read_body == body
    assert switchover_reply(read_body) == reply
    assert switchover_state(reply.status) is what


def test_the_status_is_asked_with_a_get() -> None:
    request = get_switchover_status(JOB).request("https://drs.example", Token("t0ken", "project"), "en-us")
    assert (request.method, request.body, request.safe) == ("GET", None, True)
    assert request.url == f"https://drs.example/v3/project/jobs/{JOB}/get-switch-vip-status"


@pytest.mark.parametrize("mode", MODES)
def test_the_switchover_is_a_post_that_is_not_safe_to_repeat(mode: str) -> None:
    request = switch_vip(JOB, mode).request("https://drs.example", Token("t0ken", "project"), "en-us")
    assert (request.method, request.safe) == ("POST", False)
    assert request.url == f"https://drs.example/v3/project/jobs/{JOB}/switch-vip"
    assert request.body is not None
    assert json.loads(request.body) == {"mode": mode}


@pytest.mark.parametrize("mode", ["", "Target", None, "both", "{{ params.mode }}"])
def test_no_switchover_is_made_of_another_mode(mode: Any) -> None:
    with pytest.raises(errors.DrsArgumentError, match="mode must be 'source' or 'target'"):
        switch_vip(JOB, mode)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"id": JOB, "status": "success"}, JOB),
        ({"status": "success"}, None),
        ({"id": JOB, "status": "failed"}, errors.DrsRequestError),
        ({"id": JOB}, errors.DrsInvalidResponseError),
        ({"id": JOB, "status": "SUCCESS"}, errors.DrsInvalidResponseError),
        ({}, errors.DrsInvalidResponseError),
    ],
)
def test_only_success_accepts_a_switchover(body: dict[str, Any], expected: Any) -> None:
    if expected is None or isinstance(expected, str):
        assert switch_reply(body) == expected
        return
    with pytest.raises(errors.DrsError) as caught:
        switch_reply(body)
    assert type(caught.value) is expected
