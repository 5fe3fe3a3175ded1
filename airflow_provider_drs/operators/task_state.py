"""Where the record of a switchover is kept: Airflow's state store for further tries, XCom for everyone else.

Both go through Airflow's API server, which may be away. What is known is neither lost nor changed by that.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_drs import protocol
from airflow_provider_drs.metrics import metrics
from airflow_provider_drs.operators.earlier_start import (
    mark_asked,
    no_try_has_begun,
    tells_of_starts,
    was_started_before,
    wiped_keys,
)
from airflow_provider_drs.task import TaskRuntime
from airflow_provider_drs.witness import Witness, look

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_drs.hooks.drs import DrsHook

R = TypeVar("R")

RECORD_KEY = "drs_switchover"
EVIDENCE_KEY = "switchover"
RETURN_KEY = "return_value"


class RecordStore:
    """The record of one task in one run. Before Airflow 3.3 there is no state store, so that only XCom is written.

    :param context: of the task.
    :param began_before: this try was started before, and has left the wait for DRS to the triggerer.
    """

    def __init__(self, context: Context, began_before: bool = False) -> None:
        self._context = context
        self._ti = context["ti"]
        self._store = context.get("task_state_store")
        self._has_marked = False
        #: No other try, nor another start of this one, can have asked DRS; certain once :meth:`read` has returned.
        self.is_first_try = self._ti.try_number <= 1
        self._began_before = began_before
        self._kept_marks = 0
        #: The record that was read last is one that a triggerer has ended.
        self.ended_in_triggerer = False

    @property
    def tells_starts_apart(self) -> bool:
        """Whether another start of this same try can tell whether this one has asked DRS: from Airflow 3 on."""
        return self._store is not None or tells_of_starts(self._ti)

    def read(self) -> protocol.Record | None:
        """Return what an earlier try of this task in this run saved.

        :raises DrsTransientError: the store cannot be read.
        :raises DrsRecordError: what it holds cannot be understood.
        """
        if self._store is None:
            self._look_for_an_earlier_start()
            return None
        self._keep_marks()
        try:
            saved: Any = self._store.get(RECORD_KEY)
        except Exception as error:  # whatever Airflow, or a state store of one's own, raises
            raise _trouble("Airflow's state store cannot be read", error) from error
        if saved is None:
            # Whoever left the wait to the triggerer has saved that it had begun, and Airflow tells of no try before it.
            self.is_first_try = not self._began_before and (self.is_first_try or no_try_has_begun(self._ti))
            return None
        try:
            record = protocol.Record.from_dict(saved)
            record.evidence(), record.freshness().to_dict()  # what is needed of it is there, and of the right type
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            text = f"what an earlier try saved cannot be understood ({type(error).__name__}: {error})"
            raise protocol.DrsRecordError(text) from None
        # A triggerer has ended the try before, and could not save that: its XComs, which are wiped, had it.
        self.ended_in_triggerer = record.end_by_mark(wiped_keys(self._ti))
        return record

    def write(self, record: protocol.Record) -> None:
        """Save the record where a further try finds it, for good.

        :raises DrsTransientError: it was not saved, or that is not certain.
        :raises DrsRecordError: there is no store, and another start of this try is asking DRS.
        """
        if self._store is None:
            self._mark(record)
            return
        if record.is_doubt:  # saved, it would pass for what a try has done
            return
        # Airflow has it from 3.3 on, as it has the store.
        from airflow.sdk import NEVER_EXPIRE  # type: ignore[attr-defined]

        try:
            self._store.set(RECORD_KEY, record.to_dict(), retention=NEVER_EXPIRE)
        except Exception as error:
            raise _trouble("Airflow's state store cannot be written", error) from error

    def publish(self, record: protocol.Record) -> None:
        """Push the evidence, also as the return value, which a task that a person marks as success would lack.

        :raises DrsTransientError: it was not pushed, or that is not certain.
        """
        evidence = record.evidence()
        keys = [EVIDENCE_KEY]
        if getattr(getattr(self._ti, "task", None), "do_xcom_push", True):
            keys.append(RETURN_KEY)
        for key in keys:
            try:
                self._ti.xcom_push(key=key, value=evidence)
            except Exception as error:
                raise _trouble("Airflow does not take the evidence (XCom)", error) from error

    def _keep_marks(self) -> None:
        """Push again what a triggerer has left for later tries: Airflow tells this start only, and has wiped it."""
        marks = [name for name in wiped_keys(self._ti) if name.startswith(protocol.END_MARK)]
        for mark in marks[self._kept_marks :]:
            try:
                self._ti.xcom_push(key=mark, value=True)
            except Exception as error:
                raise _trouble("Airflow does not take the mark of an end (XCom)", error) from error
            self._kept_marks += 1

    def _look_for_an_earlier_start(self) -> None:
        try:
            self.is_first_try = self.is_first_try and not was_started_before(self._context, self._began_before)
        except Exception as error:
            raise _trouble("Airflow does not tell how often this try was started", error) from error

    def _mark(self, record: protocol.Record) -> None:
        """Leave a mark for another start of this try, before DRS is asked."""
        if record.phase is not protocol.Phase.INTENDED or self._has_marked:
            return
        try:
            self._has_marked = mark_asked(self._ti)
        except Exception as error:
            raise _trouble("Airflow does not take the mark that DRS is asked (XCom)", error) from error
        if not self._has_marked:
            raise protocol.DrsRecordError("Airflow has started this try twice, and the other start asks DRS")


class RecordingRuntime(TaskRuntime):
    """The runtime of a task that switches: it keeps the record.

    :param store: where the record is kept.
    :param patience: returns how long trouble is waited out before DRS is asked.
    :param witness: who is asked who answers at the virtual IP address; None: nobody.
    """

    def __init__(
        self,
        hook: DrsHook,
        log: Any,
        store: RecordStore,
        patience: Callable[[], protocol.Patience],
        witness: Witness | None = None,
    ) -> None:
        super().__init__(hook, log)
        self.began = self.now()
        self.record: protocol.Record | None = None
        self.finished = False
        self._store = store
        self._patience = patience
        self._witness = witness
        self._unsaved = False
        self._warned = False
        self._not_before = 0.0

    @property
    def is_first_try(self) -> bool:
        """Whether no other try, nor another start of this one, can have asked DRS."""
        return self._store.is_first_try

    @property
    def may_begin_again(self) -> bool:
        """Whether another start of this same try can tell that nothing was asked."""
        return self._store.tells_starts_apart

    @property
    def is_saved(self) -> bool:
        """Whether the record is saved and shown as it is now, as far as it was to be."""
        return not self._unsaved

    def read(self) -> protocol.Record | None:
        """Return what an earlier try saved; trouble is waited out.

        :raises DrsError: the store cannot be read.
        :raises DrsRecordError: what it holds cannot be understood.
        """
        record = self.until_certain(self._store.read)
        if record is not None and self._store.ended_in_triggerer:
            self.until_certain(lambda: self._store.write(record))
        return record

    def save(self, record: protocol.Record) -> None:
        """Save the record where a further try finds it; return once that is certain.

        :raises DrsError: it cannot be saved for as long as trouble is waited out.
        """
        self.record, self._unsaved = record, False
        if record.phase is protocol.Phase.INTENDED:
            # First for people and for the other tasks of the run: between the record and DRS's call is nothing else.
            self.until_certain(lambda: self._store.publish(record))
        self.until_certain(lambda: self._store.write(record))
        if record.phase is not protocol.Phase.INTENDED:
            self._unsaved = not self._goes_well(self._store.publish, record)

    def try_save(self, record: protocol.Record) -> None:
        """Save and show the record if that goes well; else it is done with the next poll."""
        self.record, self._unsaved = record, True
        self._save_what_is_not()

    def look(self) -> protocol.Look:
        """Return who answers at the virtual IP address now."""
        return protocol.Look(protocol.Side.NOBODY) if self._witness is None else look(self._witness)

    def show(self, record: protocol.Record) -> None:
        """Push the evidence of a record that is saved already, if that goes well."""
        self.record = record
        self._goes_well(self._store.publish, record)

    def sleep(self, seconds: float) -> None:
        """Wait; what could not be saved before is saved meanwhile."""
        began = self.monotonic()
        self._save_what_is_not()
        super().sleep(max(seconds - (self.monotonic() - began), 0.0))

    def finish(self, record: protocol.Record, within: float) -> bool:
        """Save and show the record of a task that is about to end.

        :param within: seconds for which to try again.
        :return: whether the evidence is in XCom.
        """
        self.record, self._unsaved, self.finished = record, False, True
        until, delay = self.monotonic() + within, 1.0
        written = published = False
        while True:
            written = written or self._goes_well(self._store.write, record)
            published = published or self._goes_well(self._store.publish, record)
            left = until - self.monotonic()
            if (written and published) or left <= 0:
                break
            super().sleep(min(delay, left))
            delay *= 2
        if record.phase in protocol.OVER:
            metrics().switched(record.phase)
        if not published:
            self._log.error("The evidence could not be written to XCom; it is: %s", record.evidence())
        return published

    def until_certain(self, attempt: Callable[[], R]) -> R:
        """Return what ``attempt`` returns once it does; trouble is waited out before DRS is asked.

        :raises DrsError: the patience is at its end.
        """
        patience = self._patience()
        while True:
            try:
                return attempt()
            except protocol.DrsTransientError as error:
                failure = error
            try:
                protocol.sit_out(failure, self, patience)
            except protocol.DrsError as error:  # the patience is at its end
                raise protocol.DrsError(
                    f"{failure.message}. DRS is not asked to switch while that lasts", error_context=error.error_context
                ) from error

    def _save_what_is_not(self) -> None:
        if not self._unsaved or self.record is None or self.monotonic() < self._not_before:
            return
        began = self.monotonic()
        if self._goes_well(self._store.write, self.record) and self._goes_well(self._store.publish, self.record):
            self._unsaved = False
            if self._warned:
                self._warned = False
                self.log(protocol.LogLine(logging.INFO, f"Job {self.record.job_id}: Airflow has the record again"))
        else:
            # An attempt may take half a minute: at least as long goes to the polls.
            self._not_before = 2 * self.monotonic() - began

    def _goes_well(self, attempt: Callable[[protocol.Record], None], record: protocol.Record) -> bool:
        try:
            attempt(record)
        except protocol.DrsTransientError as error:
            if not self._warned:
                self._warned = True
                text = (
                    f"Job {record.job_id}: {error.message}. What is known is not lost; it is written with a later poll"
                )
                self.log(protocol.LogLine(logging.WARNING, text))
            return False
        return True


def actor_of(context: Context) -> dict[str, Any]:
    """Return who switches: dag_id, run_id, task_id, map_index, try_number, and the user where Airflow knows."""
    names = ("dag_id", "run_id", "task_id", "map_index", "try_number")
    user = getattr(context.get("dag_run"), "triggering_user_name", None)
    return {**{name: getattr(context["ti"], name, None) for name in names}, "user": user}


def _trouble(text: str, error: Exception) -> protocol.DrsTransientError:
    return protocol.DrsTransientError(f"{text} ({type(error).__name__}: {protocol.one_line(error)})")
