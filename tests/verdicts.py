"""What each response of DRS and IAM comes to for a sensor that waits for a switchover.

The state machine is shown every row, a real Airflow those that stand for the others (``real``).
"""

from __future__ import annotations

from typing import Any

from airflow_provider_drs import exceptions
from airflow_provider_drs.simulator import Fault
from tests.constants import COMPLETE, FAILED, GET_STATUS, JOB, START, TOKENS
from tests.rows import Row


def _wait(
    name: str, *script: str | None, fault: Fault | None = None, job: dict[str, Any] | None = None, **more: Any
) -> Row:
    faults = more.pop("faults", ()) or (((GET_STATUS, fault),) if fault else ())
    settings = {"log_ins": 1, "warnings": 0, "slowest": 5.0, **more}
    return Row(name, {"status_script": list(script) or [COMPLETE], **(job or {})}, faults=faults, **settings)


def _passes(name: str, *faults: Fault, call: str = GET_STATUS, **more: Any) -> Row:
    """Trouble that is waited out: one warning, one line when it is over, one when the switchover is complete."""
    settings = {"warnings": 1, "lines": 3, "slowest": 60.0, "polls": len(faults) + 1, **more}
    return _wait(f"{name} ({call})", faults=tuple((call, fault) for fault in faults), **settings)


def _no_token(name: str, fault: Fault, **more: Any) -> Row:
    return _passes(name, fault, call=TOKENS, polls=1, log_ins=2, **more)


def _lasts(name: str, error: type[Exception], *says: str, fault: Fault | None = None, **more: Any) -> Row:
    return _wait(name, fault=fault, state="failed", error=error, says=says, **{"polls": 1, **more})


VERDICTS = [
    _wait("complete at once", polls=1, lines=1),
    _wait("in progress, then complete", START, START, START, COMPLETE, polls=4, lines=2, real=True),
    _wait(
        "failed",
        *(START, FAILED),
        job={"error_code": "DRS.M00999", "error_msg": "virtual IP is in use"},
        state="failed",
        error=exceptions.DrsSwitchoverFailedError,
        says=("DRS.M00999", "virtual IP is in use", JOB),
        polls=2,
        real=True,
    ),
    _wait(
        "failed without a reason",
        FAILED,
        state="failed",
        error=exceptions.DrsSwitchoverFailedError,
        says=("no reason",),
        polls=1,
    ),
    _wait("null status first", None, None, None, START, COMPLETE, polls=5, lines=3),
    _wait("absent status first", "ABSENT", "ABSENT", COMPLETE, polls=3, lines=2),
    _wait("empty result first (422 DRS.M00002)", "EMPTY", "EMPTY", "EMPTY", COMPLETE, polls=4, lines=2, real=True),
    _wait(
        "empty result with 200", fault=Fault.json({"error_code": "DRS.M00002", "error_msg": "empty"}), polls=2, lines=2
    ),
    _wait(
        "a status not documented",
        "SWITCH_VIP_CANCELLED",
        state="failed",
        error=exceptions.DrsUnknownStatusError,
        says=("SWITCH_VIP_CANCELLED", "not documented"),
        polls=1,
        real=True,
    ),
    _lasts(
        "complete beside an error",
        exceptions.DrsUnknownStatusError,
        *("SWITCH_VIP_COMPLETE beside the error DRS.M01501", "Service error"),
        fault=Fault.json({"id": JOB, "status": COMPLETE, "error_code": "DRS.M01501", "error_msg": "Service error."}),
    ),
    _passes(
        "failed and complete in one response",
        Fault.raw(f'{{"id": "{JOB}", "status": "{COMPLETE}", "status": "{FAILED}"}}'),
    ),
    _lasts(
        "failed, its text in GBK",
        exceptions.DrsSwitchoverFailedError,
        "DRS.M00999",
        fault=Fault.raw(
            f'{{"id": "{JOB}", "status": "{FAILED}", "error_code": "DRS.M00999", "error_msg": "虚拟IP"}}'.encode("gbk")
        ),
    ),
    _passes(
        "too frequent, job by job",
        Fault.json({"count": 1, "results": [{"id": JOB, "status": "failed", "error_code": "DRS.M01503"}]}, 400),
    ),
    _lasts(
        "gone, job by job",
        exceptions.DrsJobNotFoundError,
        *("HTTP 400", "DRS.M00289"),
        fault=Fault.json({"count": 1, "results": [{"id": JOB, "status": "failed", "error_code": "DRS.M00289"}]}, 400),
    ),
    _lasts(
        "a region without the call",
        exceptions.DrsNoSuchCallError,
        *("HTTP 404", "APIG.0101", "This cloud or region has no such call"),
        fault=Fault.status(404, "APIG.0101"),
        real=True,
    ),
    _lasts(
        "a status that is no text", exceptions.DrsUnknownStatusError, fault=Fault.json({"id": JOB, "status": {"x": 1}})
    ),
    _passes("429", Fault.too_many()),
    _passes("429 with Retry-After", Fault.too_many(retry_after=120), slowest=120.0, real=True),
    _passes("503 with Retry-After", Fault.status(503, headers={"Retry-After": "90"}), slowest=90.0),
    _passes("500, 502, 503, 504", *(Fault.status(code) for code in (500, 502, 503, 504))),
    _passes("too frequent", Fault.status(400, "DRS.M01503")),
    _passes("busy, inside a 202", Fault.json({"id": JOB, "status": "failed", "error_code": "DRS.M01504"}, 202)),
    _passes("DRS.M00004", Fault.status(500, "DRS.M00004")),
    _passes("DRS.M01501", Fault.status(422, "DRS.M01501")),
    # Connections that break off, and what comes too late, are errors of the clients before they come to this.
    _passes("reset", Fault.reset(), Fault.reset(), Fault.reset(), polls=None, real=True),
    _passes("half a response", Fault.cut(), real=True),
    _passes("broken JSON", Fault.wrong_json()),
    _passes("HTML with 200", Fault.html()),
    _passes("HTML with 502", Fault.html(502)),
    _passes("no body", Fault.empty()),
    _passes("a list", Fault.json([1])),
    _no_token("429", Fault.too_many()),
    _no_token("503", Fault.status(503), real=True),
    _no_token("HTML", Fault.html()),
    _no_token("broken JSON", Fault.wrong_json()),
    _no_token("reset", Fault.reset()),
    _wait("expired token, 403 DRS.M00100", START, COMPLETE, fault=Fault.expired_token(), polls=3, log_ins=2, lines=2),
    _wait(
        "expired token, 401 without a code",
        *(START, COMPLETE),
        fault=Fault.plain_401(),
        polls=3,
        log_ins=2,
        lines=2,
        real=True,
    ),
    _lasts(
        "token refused twice",
        exceptions.DrsTokenRefusedError,
        "DRS.M00100",
        faults=((GET_STATUS, Fault.expired_token()),) * 2,
        polls=2,
        log_ins=2,
    ),
    _lasts(
        "no permission, 401",
        exceptions.DrsPermissionError,
        *("DRS.M00103", "HTTP 401", "permission"),
        fault=Fault.no_permission(),
        real=True,
    ),
    _lasts("no permission, 403", exceptions.DrsPermissionError, "DRS.M00102", fault=Fault.status(403, "DRS.M00102")),
    _lasts(
        "invalid project", exceptions.DrsPermissionError, "DRS.M00261", "project", fault=Fault.status(403, "DRS.M00261")
    ),
    _lasts("404", exceptions.DrsJobNotFoundError, "HTTP 404", "job id", fault=Fault.status(404)),
    _lasts("gone", exceptions.DrsJobNotFoundError, "DRS.M05004", fault=Fault.status(400, "DRS.M05004")),
    _lasts("wrong state", exceptions.DrsWrongStateError, "DRS.M00304", fault=Fault.status(400, "DRS.M00304")),
    _lasts(
        "another 4xx", exceptions.DrsRequestError, "DRS.M00201", "bad", fault=Fault.status(400, "DRS.M00201", "bad")
    ),
    _lasts(
        "redirect",
        exceptions.DrsRedirectError,
        *("https://portal.invalid/login", "host"),
        fault=Fault.redirect("https://portal.invalid/login?x=1"),
    ),
    _lasts(
        "redirect (tokens)",
        exceptions.DrsRedirectError,
        "portal.invalid",
        faults=((TOKENS, Fault.redirect("https://portal.invalid/")),),
        polls=0,
    ),
    _lasts(
        "log-in refused",
        exceptions.DrsAuthenticationError,
        *("IAM", "log-in"),
        faults=((TOKENS, Fault.status(401)),),
        polls=0,
        real=True,
    ),
    _lasts(
        "another job's id",
        exceptions.DrsJobMismatchError,
        *(JOB, "another-jobs-id", "verify_job_id=False"),
        job={"answers_as": "another-jobs-id"},
        real=True,
    ),
    _wait(
        "another job's id, allowed", job={"answers_as": "child"}, options={"verify_job_id": False}, polls=1, real=True
    ),
    _lasts(
        "complete, but no id",
        exceptions.DrsJobMismatchError,
        "without a job id",
        fault=Fault.json({"status": COMPLETE}),
    ),
]
