"""The DRS protocol, pure: no sockets, no Airflow, no clock of its own. Private to this package.

``errors`` has what can go wrong, ``arguments`` what operators are given, ``settings`` the connection, ``http`` requests
and responses, ``polling`` what all waits share, ``runtime`` one poll and one wait; ``switchover``, ``jobs`` and
``compare`` their calls and waits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_drs.lazy import lazy_names

if TYPE_CHECKING:
    from airflow_provider_drs.protocol.arguments import *
    from airflow_provider_drs.protocol.compare.calls import *
    from airflow_provider_drs.protocol.compare.refusal import *
    from airflow_provider_drs.protocol.compare.wait import *
    from airflow_provider_drs.protocol.errors import *
    from airflow_provider_drs.protocol.http.request import *
    from airflow_provider_drs.protocol.jobs.calls import *
    from airflow_provider_drs.protocol.jobs.control import *
    from airflow_provider_drs.protocol.jobs.replies import *
    from airflow_provider_drs.protocol.jobs.status import *
    from airflow_provider_drs.protocol.jobs.wait import *
    from airflow_provider_drs.protocol.jobs.wanted import *
    from airflow_provider_drs.protocol.polling import *
    from airflow_provider_drs.protocol.responding import *
    from airflow_provider_drs.protocol.runtime import *
    from airflow_provider_drs.protocol.settings import *
    from airflow_provider_drs.protocol.switchover.calls import *
    from airflow_provider_drs.protocol.switchover.downtime import *
    from airflow_provider_drs.protocol.switchover.freshness import *
    from airflow_provider_drs.protocol.switchover.guards import *
    from airflow_provider_drs.protocol.switchover.phases import *
    from airflow_provider_drs.protocol.switchover.record import *
    from airflow_provider_drs.protocol.switchover.request import *
    from airflow_provider_drs.protocol.switchover.same_run import *
    from airflow_provider_drs.protocol.switchover.status import *
    from airflow_provider_drs.protocol.switchover.switch import *
    from airflow_provider_drs.protocol.switchover.wait import *
    from airflow_provider_drs.protocol.switchover.watch import *
    from airflow_provider_drs.protocol.switchover.witness import *

# The names by the module that has them.
__getattr__ = lazy_names(
    __name__,
    {
        "arguments": "choice flag given is_nothing items mapping number optional_id seconds",
        "compare.calls": "checked_tables ComparePage create_compare_task query_compare_result",
        "compare.refusal": "is_unavailable",
        "compare.wait": "CAN_NOT_COMPARE CompareWait",
        "errors": "DrsArgumentError DrsAuthenticationError DrsConfigError DrsError DrsRecordError DrsTimeoutError "
        "DrsTransientError DrsUnreachableError DrsWitnessError one_line",
        "http.request": "Call checked_job_id describe_job Token",
        "jobs.calls": "batch_detail batch_progress batch_status checked_job_ids describe_jobs in_batches list_jobs "
        "list_one_job pause_jobs resume_jobs start_jobs stop_jobs USES",
        "jobs.control": "Action control JobActionRequest JobActionResult PAUSE RESUME START STOP",
        "jobs.replies": "Endpoint JobDetail JobProgress JobResult JobState JobSummary",
        "jobs.status": "HEALTHY",
        "jobs.wait": "JobsMemory JobsWait TELL_EVERY",
        "jobs.wanted": "checked_statuses JobsCondition usual_failures job_problem",
        "polling": "DEFAULT_TRANSIENT_ERROR_TIMEOUT duration GiveUp Instant KeepPolling LogLine Outcome Pace Patience "
        "PollingWait PollMemory PollResult utc",
        "responding": "RespondingWait",
        "runtime": "call_with_retry Runtime sit_out TroubleLasts wait_until_over",
        "settings": "error_context read_settings Settings",
        "switchover.calls": "get_switchover_status switch_vip SwitchoverReply",
        "switchover.downtime": "Downtime",
        "switchover.freshness": "Freshness",
        "switchover.guards": "guards",
        "switchover.phases": "NEEDS_PERSON OPEN OVER Phase SUCCEEDED UNCHANGED",
        "switchover.record": "END_MARK end_mark found_already freshness_of Record",
        "switchover.request": "SwitchoverRequest",
        "switchover.same_run": "may_have_switched order_of progress_of same_run SameRun when",
        "switchover.status": "switchover_state SwitchoverState",
        "switchover.switch": "NotSwitchedError read_and_guard reads switch wait_for_end",
        "switchover.wait": "SwitchoverMemory SwitchoverWait",
        "switchover.watch": "PAUSE_AFTER_ERROR Snapshot SwitchoverWatch",
        "switchover.witness": "end_with_witness Look look_later Side",
    },
)
