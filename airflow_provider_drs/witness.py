"""Who answers at the virtual IP address: the databases' own word on where traffic is; see ``docs/witness.md``."""

from __future__ import annotations

import copy
import math
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from contextvars import copy_context
from datetime import timedelta
from decimal import Decimal
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_drs import protocol
from airflow_provider_drs.lazy import lazy_names
from airflow_provider_drs.task import interval

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, Connection, Context

    from airflow_provider_drs.protocol.errors import DrsWitnessError

__getattr__ = lazy_names("airflow_provider_drs.protocol", {"errors": "DrsWitnessError"})
__all__ = ["DrsWitnessError", "SqlWitness"]

DEFAULT_TIMEOUT = 10.0
# A driver may wait without end for a database that does not answer, and a thread cannot be ended from outside.
MAX_UNANSWERED = 100
_unanswered = threading.BoundedSemaphore(MAX_UNANSWERED)
# The database has answered, and what it says is about the question.
_ABOUT_THE_QUESTION = frozenset({"ProgrammingError", "NotSupportedError", "DataError"})


class SqlWitness:
    """Asks the database that answers at the virtual IP address who it is.

    A fresh connection each time: a pooled one would still lead to the side that served when it was made.

    :param conn_id: an Airflow connection to a database that leads **through the virtual IP address** (templated). Its
        type is that of any ``DbApiHook``: MySQL, PostgreSQL, Oracle, SQL Server, SQLite and others.
    :param sql: returns one value that tells the databases apart, such as ``SELECT @@server_uuid`` (templated).
    :param before: the value, or a list of values, of who serves before the switchover (templated).
    :param after: the value, or a list of values, of who is to serve afterwards (templated).
    :param timeout: seconds or timedelta after which nobody answers.
    :raises ValueError: ``before`` and ``after`` have a value in common, or have none.
    """

    template_fields = ("conn_id", "sql", "before", "after")

    def __init__(
        self, conn_id: str, sql: str, *, before: Any, after: Any, timeout: timedelta | float = DEFAULT_TIMEOUT
    ) -> None:
        self.conn_id = conn_id
        self.sql = sql
        self.before = before
        self.after = after
        self.timeout = interval("timeout", timeout)
        self._connection: tuple[str, Connection] | None = None
        if not any(hasattr(one, "iter_references") for one in (before, after)):
            self._check()

    def side(self) -> str | None:
        """Ask who answers now.

        :return: ``before``, ``after``, or None where nobody answers within ``timeout``.
        :raises DrsWitnessError: somebody else answers, or the question cannot be asked.
        """
        side = self.answer()[0]
        return None if side is protocol.Side.NOBODY else str(side)

    def reversed(self) -> SqlWitness:
        """Return the witness of a rollback: ``before`` and ``after`` are exchanged."""
        return type(self)(self.conn_id, self.sql, before=self.after, after=self.before, timeout=self.timeout)

    def answer(self, at_most: float = math.inf) -> tuple[protocol.Side, str | None, str]:
        """Ask who answers now.

        :param at_most: seconds after which nobody answers, where ``timeout`` is longer.
        :return: the side, the value as text, and why nobody answers.
        :raises DrsWitnessError: as :meth:`side`.
        """
        self._check()
        connection, within = self._read_connection(), min(self.timeout, at_most)
        try:
            row = _within(within, lambda: self._ask(connection))
        except TimeoutError:
            return protocol.Side.NOBODY, None, f"nobody answers within {within:g} seconds"
        except protocol.DrsWitnessError:
            raise
        except Exception as error:
            # Only its kind: the text of a database's driver may hold the password.
            kind = type(error)
            if any(base.__name__ in _ABOUT_THE_QUESTION for base in kind.__mro__):
                raise self._error(f"the database refuses the query ({kind.__name__})") from None
            return protocol.Side.NOBODY, None, f"nobody answers ({kind.__name__})"
        values = list(row.values()) if isinstance(row, Mapping) else list(row or ())
        if len(values) != 1 or values[0] is None:
            raise self._error(f"the query returned {len(values)} values or NULL, not one value")
        return self._side_of(values[0])

    def rendered(self, task: BaseOperator, context: Context) -> SqlWitness:
        """Return a copy whose templates are rendered for a task."""
        one = copy.copy(self)
        for name in self.template_fields:
            setattr(one, name, task.render_template(getattr(self, name), context))
        return one

    def __repr__(self) -> str:
        return f"SqlWitness({self.conn_id!r}, {self.sql!r}, before={self.before!r}, after={self.after!r})"

    def __getstate__(self) -> dict[str, Any]:
        """Return what may be copied to another process; the connection's secrets stay here."""
        return {**self.__dict__, "_connection": None}

    def _check(self) -> None:
        before, after = _texts(self.before), _texts(self.after)
        if not before or not after or before & after:
            raise ValueError(
                f"before and after must each have a value, and none in common: {self.before!r}, {self.after!r}"
            )

    def _side_of(self, value: Any) -> tuple[protocol.Side, str | None, str]:
        text = protocol.one_line(_plain(value))
        for side, known in ((protocol.Side.BEFORE, self.before), (protocol.Side.AFTER, self.after)):
            if text.casefold() in _texts(known):
                return side, text, ""
        raise self._error(f"{text!r} answers, which is neither before ({self.before!r}) nor after ({self.after!r})")

    def _read_connection(self) -> Connection:
        """Return the connection, read once: later it must not depend on Airflow's API server who answers."""
        if self._connection is None or self._connection[0] != self.conn_id:
            try:
                self._connection = self.conn_id, BaseHook.get_connection(self.conn_id)
            except Exception as error:
                raise self._error(f"the connection cannot be read ({type(error).__name__})") from None
        return self._connection[1]

    def _ask(self, connection: Connection) -> Any:
        try:
            hook: Any = connection.get_hook()
        except Exception as error:
            text = f"connections of the type {connection.conn_type!r} have no hook here ({type(error).__name__})"
            raise self._error(text) from None
        if not hasattr(hook, "get_first"):
            raise self._error(f"connections of the type {connection.conn_type!r} lead to no database")
        # The hook reads its connection once more, in a thread, from which Airflow cannot always be asked.
        hook.get_connection = lambda *_: connection
        with closing(hook.get_conn()) as opened, closing(opened.cursor()) as cursor:
            cursor.execute(self.sql)
            return cursor.fetchone()

    def _error(self, text: str) -> protocol.DrsWitnessError:
        return protocol.DrsWitnessError(text, error_context=f"witness through connection {self.conn_id!r}")


Witness: TypeAlias = SqlWitness | Callable[[], str | None]


def check_witness(witness: Any, *, needed: bool = False) -> None:
    """Check what was given as a witness.

    :param needed: None will not do.
    :raises TypeError: it can be asked nothing.
    """
    if (needed or witness is not None) and not isinstance(witness, SqlWitness) and not callable(witness):
        raise TypeError(
            f"witness must be a SqlWitness or a function that returns 'before', 'after' or None: {witness!r}"
        )


def rendered(witness: Witness, task: BaseOperator, context: Context) -> Witness:
    """Return a witness with its templates rendered for a task; a function has none."""
    return witness.rendered(task, context) if isinstance(witness, SqlWitness) else witness


def look(witness: Witness, at_most: float = math.inf) -> protocol.Look:
    """Ask a witness; whatever is wrong with it is nobody's answer, with the problem named.

    :param at_most: seconds after which nobody answers, where the witness itself would wait longer.
    """
    side, value, problem = protocol.Side.NOBODY, None, ""
    try:
        side, value, problem = (
            witness.answer(at_most) if isinstance(witness, SqlWitness) else _answer_of(witness, at_most)
        )
    except (protocol.DrsError, ValueError) as error:
        problem = str(error)
    return protocol.Look(side, value, time.time(), problem)


class WitnessLooks:
    """Looks at the address for as long as it takes, by real clocks: the ``protocol.WitnessRuntime`` of a witness."""

    def __init__(self, witness: Witness) -> None:
        self._witness = witness

    def look(self) -> protocol.Look:
        """Return who answers at the address now."""
        return look(self._witness)

    def monotonic(self) -> float:
        """Return seconds on a clock that only goes forward."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


def _answer_of(function: Callable[[], str | None], at_most: float) -> tuple[protocol.Side, None, str]:
    try:
        told = _within(min(DEFAULT_TIMEOUT, at_most), function)
    except TimeoutError:
        return protocol.Side.NOBODY, None, "nobody answers in time"
    except protocol.DrsWitnessError:
        raise
    except Exception as error:  # a function of the user's; its text may hold a password
        return protocol.Side.NOBODY, None, f"nobody answers ({type(error).__name__})"
    if told is None:
        return protocol.Side.NOBODY, None, ""
    if told not in (protocol.Side.BEFORE, protocol.Side.AFTER):
        raise protocol.DrsWitnessError(
            f"the witness returned {protocol.one_line(told)!r}, not 'before', 'after' or None"
        )
    return protocol.Side(told), None, ""


def _within(seconds: float, call: Callable[[], Any]) -> Any:
    """Return what a call returns, or raise what it raises, in a thread that is left behind where it takes too long.

    :raises TimeoutError: it does, or so many were left behind that there may be no further one.
    """
    ends: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
    places = _unanswered

    def run() -> None:
        try:
            ends.put((call(), None))
        except BaseException as error:
            ends.put((None, error))
        finally:
            places.release()

    until = time.monotonic() + seconds
    if not places.acquire(timeout=seconds):
        raise TimeoutError
    threading.Thread(target=copy_context().run, args=(run,), name="drs-witness", daemon=True).start()
    try:
        returned, error = ends.get(timeout=max(until - time.monotonic(), 0.0))
    except Empty:
        raise TimeoutError from None
    if error is not None:
        raise error
    return returned


def _texts(values: Any) -> set[str]:
    several = values if isinstance(values, (list, tuple, set, frozenset)) else [values]
    return {protocol.one_line(_plain(value)).casefold() for value in several if value is not None}


def _plain(value: Any) -> str:
    """Return a value of a database as text: what a driver makes of it differs from driver to driver."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        raw = bytes(value)
        try:
            value = raw.decode()
        except UnicodeDecodeError:
            value = raw.hex()
    if isinstance(value, (float, Decimal)) and math.isfinite(value) and value % 1 == 0:
        value = int(value)
    return str(value).strip()
