"""The sensor that measures for how long a switchover leaves users without an answer."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseSensorOperator, PokeReturnValue

from airflow_provider_drs import protocol
from airflow_provider_drs.cutover_results import FINISHED, map_index_of
from airflow_provider_drs.run_evidence import states_of
from airflow_provider_drs.task import interval as checked_interval
from airflow_provider_drs.witness import Witness, check_witness, look, rendered

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

# A sample that takes longer has no answer: what is late would blur the gap.
ANSWER_WITHIN = 1.0
# How often Airflow is asked how the switchover's task stands, and how long what it says must last.
ASK_AIRFLOW_EVERY = 2.0
GRACE = 5.0
IDLE_FOR = 30.0


class DrsDowntimeSensor(BaseSensorOperator):
    """Samples who answers at the virtual IP address, from before a switchover until traffic has arrived.

    It occupies a worker meanwhile. The XCom return value is ``{"last_before", "first_after", "seconds", "samples",
    "unanswered", "sides": [{"side", "from", "to"}], "not_measured"}``. ``seconds`` is the gap between the last answer
    of the old side and the first one of the new. It is None where it was not measured, and ``not_measured`` says why.

    :param witness: who is asked: a :class:`~airflow_provider_drs.witness.SqlWitness`, or a function that returns
        ``before``, ``after`` or None. A sample waits for an answer for at most a second.
    :param interval: seconds or timedelta between samples, and so how exact it is.
    :param switchover: id of the task that switches, with which the measuring ends; None: it ends by ``timeout`` only.
    """

    ui_color = "#f4dfd0"

    def __init__(
        self,
        *,
        witness: Witness,
        interval: timedelta | float = 0.25,
        switchover: str | None = None,
        **kwargs: Any,
    ) -> None:
        if kwargs.get("mode", "poke") != "poke":
            raise ValueError("DrsDowntimeSensor samples all the time: its mode is 'poke'")
        every = checked_interval("interval", interval)
        super().__init__(poke_interval=every, **kwargs)
        check_witness(witness, needed=True)
        self.witness = witness
        self.interval = every
        self.switchover = switchover
        self._measuring: tuple[protocol.Downtime, Witness] | None = None
        self._airflow_at = 0.0
        self._stands: tuple[str, float] = ("", 0.0)

    def poke(self, context: Context) -> PokeReturnValue:
        """Take a sample."""
        if self._measuring is None:
            self._measuring = protocol.Downtime(), rendered(self.witness, self, context)
        downtime, witness = self._measuring
        arrived = downtime.take(look(witness, ANSWER_WITHIN))
        problem = "" if arrived else self._over(context)
        if not arrived and not problem:
            return PokeReturnValue(False)
        result = downtime.result(problem)
        if result["not_measured"]:
            self.log.warning("Not measured: %s", result["not_measured"])
        else:
            self.log.info("Nobody was served for %s seconds", result["seconds"])
        return PokeReturnValue(True, result)

    def _over(self, context: Context) -> str:
        """Return why there is nothing left to measure, "" where there may be."""
        now = time.monotonic()
        if self.switchover is None or now - self._airflow_at < ASK_AIRFLOW_EVERY:
            return ""
        self._airflow_at = now
        try:
            state = states_of(context, self.switchover).get(map_index_of(context))
        except Exception as error:  # whatever Airflow raises while its API server is away: the samples go on
            self.log.debug("Airflow does not tell how %s stands: %s", self.switchover, type(error).__name__)
            return ""
        stands = "over" if state in FINISHED else "on" if state in ("running", "deferred") else "idle"
        if stands != self._stands[0]:
            self._stands = stands, now
        lasted = now - self._stands[1]
        if stands == "over" and lasted >= GRACE:
            return f"{self.switchover} is {state}, and traffic has not arrived"
        if stands == "idle" and lasted >= IDLE_FOR:  # where this task has the last slot of a pool, it must get it
            return f"{self.switchover} has not been running for {IDLE_FOR:g} seconds"
        return ""
