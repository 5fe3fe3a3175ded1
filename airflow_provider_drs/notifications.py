"""A short message about a cutover, for any notifier of Airflow: Slack, e-mail, a webhook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_drs.cutovers.rows import Row, row
from airflow_provider_drs.pages import see
from airflow_provider_drs.run_evidence import evidence_of

_HEADLINES = {
    "begun": "is being prepared",
    "read": "was not asked for",
    "intended": "is about to be asked for",
    "accepted": "is running",
    "lost": "was asked for, and the response was lost",
    "refused": "was refused by DRS",
    "done": "is complete",
    "already": "was not needed",
    "failed": "FAILED",
    "disputed": "is DISPUTED",
    "unknown": "has an UNKNOWN outcome",
}


class DrsCutoverMessage:
    """The text of a message about one switchover, from its evidence.

    Use it in a callback of the switchover's task or of the DAG; ``docs/watching.md`` has examples.

    :param evidence: what the switchover left behind (XCom key ``switchover``).
    :param waiting_minutes: minutes an approval has been waited for; then the message is about that.
    """

    def __init__(self, evidence: Mapping[str, Any], *, waiting_minutes: float | None = None) -> None:
        self.row: Row = row(evidence)
        self.waiting_minutes = waiting_minutes

    @classmethod
    def from_context(cls, context: Mapping[str, Any], task_id: str | None = None) -> DrsCutoverMessage:
        """Return the message about the switchover of a run.

        :param context: the context that Airflow gives a callback.
        :param task_id: the switchover's task; default: the task of the callback.
        """
        ti = context["ti"]
        map_index = getattr(ti, "map_index", -1)
        evidence = evidence_of(context, task_id or ti.task_id, map_index)  # type: ignore[arg-type]
        return cls(evidence or {"outcome": "unknown", "reason": "the task left no evidence", "dag_id": ti.dag_id})

    def headline(self) -> str:
        """Return one line: what happened, then the job."""
        one = self.row
        if self.waiting_minutes is not None:
            return f"Waiting for approval for {self.waiting_minutes:g} minutes: switchover of DRS job {one['job_id']}"
        code = f" ({one['error_code']})" if one["error_code"] else ""
        text = _HEADLINES.get(one["outcome"], f"has the outcome {one['outcome']}")
        return f"The switchover {text}{code}: DRS job {one['job_id']}"

    def text(self) -> str:
        """Return the message as plain text of a few lines."""
        return "\n".join([self.headline(), *(f"{name}: {value}" for name, value in self._facts())])

    def markdown(self) -> str:
        """Return the message as Markdown."""
        return "\n".join(
            [f"**{self.headline()}**", "", *(f"- {name}: `{_code(value)}`" for name, value in self._facts())]
        )

    def __str__(self) -> str:
        return self.text()

    def _facts(self) -> list[tuple[str, str]]:
        one = self.row
        facts = [
            ("Certain", one["certain"]),
            ("Mode", one["mode"]),
            ("DRS says", ": ".join(str(x) for x in (one["error_code"], one["error_msg"]) if x)),
            ("Reason", one["reason"]),
            ("Who serves, by the witness", one["serves"]),
            ("Approved by", one["approved_by"]),
            ("Run", " / ".join(str(x) for x in (one["dag_id"], one["run_id"], one["task_id"]) if x)),
            ("What to do", see("runbook", one["runbook"]) if one["runbook"] else None),
        ]
        return [(name, " ".join(str(value).split())) for name, value in facts if value]


def _code(value: str) -> str:
    return value.replace("`", "'")
