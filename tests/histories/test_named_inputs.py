"""Histories that once ended wrongly, each with its right end, and their siblings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.constants import COMPLETE, FAILED
from tests.histories.histories import play
from tests.histories.world import (
    BOXES,
    CUT_OFF,
    LIKE_A_REPEAT,
    End,
    Fault,
    History,
    Plan,
    Stranger,
    Try,
    World,
    run_try,
)

DAY = 86400.0
WELL = Plan(1.0, 20.0)
ILL = Plan(1.0, 20.0, FAILED)


@dataclass(frozen=True)
class Row:
    """A history, and how its last try ends.

    :param ours: how many of our switchovers the service has taken.
    :param says: in the message of the error.
    """

    name: str
    history: History
    outcome: str
    ours: int = 1
    says: str = ""

    def __str__(self) -> str:
        return self.name


def _post(name: str, when: str, outcome: str, ours: int = 1, own: Plan = WELL, **more: Any) -> Row:
    label = f"POST: {name} {when}, {own.start_after:g} s"
    return Row(label, History((own,), COMPLETE, posts=(Fault(name, when),), **more), outcome, ours)


def _reads(name: str, *places: int, own: Plan = WELL, outcome: str = "done", **more: Any) -> History:
    return History((own,), tries=(Try(faults=tuple((place, Fault(name)) for place in places)),), **more)


R1 = [
    # A box answers after DRS took the request, or in place of DRS: lost, not asked again, the status decides.
    *(_post(box, "after", "done") for box in (*CUT_OFF, *BOXES)),
    *(_post(box, "before", "unknown", 0) for box in (*CUT_OFF, *BOXES)),
    # A gateway repeats our POST, so that DRS refuses the second; START may come late.
    *(_post(code, "after", "done", own=Plan(late, 5.0)) for code in LIKE_A_REPEAT for late in (0.0, 4.0, 9.0)),
    # DRS itself refuses.
    *(_post(code, "before", "refused", 0) for code in ("wrong state", "forbidden")),
    # What passes is asked again, as a new intent.
    *(_post(code, "before", "done") for code in ("too frequent", "busy", "token")),
    # The request never left: asked again where that may pass, and never unknown.
    _post("no connection", "before", "done"),
    *(_post(fault, "before", "read", 0) for fault in ("no certificate", "no token")),
]

LATER = Stranger(4000.0, ILL)
R2 = [
    Row(
        "a worker dies between intent and POST, another run has switched since, the task is cleared a day later",
        History((WELL,), tries=(Try(dies=17), Try(cleared=True, pause=DAY)), strangers=(Stranger(4000.0, WELL),)),
        "unknown",
        0,
        "about to ask DRS",
    ),
    Row(
        "a retry four hours later sees a stranger's START",
        History(
            (WELL,),
            COMPLETE,
            posts=(Fault("lost"),),
            tries=(Try(dies=40), Try(pause=14400.0)),
            strangers=(Stranger(14400.0, Plan(0.0, 600.0)),),
        ),
        "unknown",
        0,
    ),
    Row(
        "a START that is ours is lost from sight for longer than the time-out",
        History(
            (Plan(1.0, 90.0),), COMPLETE, tries=(Try(dies=31), Try(pause=4000.0)), strangers=(Stranger(900.0, ILL),)
        ),
        "unknown",
        says="nobody watched",
    ),
]

R2 += [
    Row(
        f"a clock set back hides that the time is up, {'with' if dates else 'without'} Date",
        History(
            (WELL,),
            COMPLETE,
            posts=(Fault("lost"),),
            tries=(Try(dies=28), Try(pause=100.0)),
            strangers=(Stranger(95.0, Plan(0.0, 60.0, FAILED)),),
            clock_steps=((50.0, -80.0),),
            dates=dates,
        ),
        outcome,
        0,
    )
    for dates, outcome in ((True, "unknown"), (False, "failed"))
]

R3 = [
    Row(
        "left-over FAILED, START after 40 s",
        History((Plan(40.0, 10.0),), FAILED, settle=30.0),
        "done",
    ),
    Row(
        "a clock that goes 31 s forward",
        History((Plan(20.0, 10.0, FAILED),), COMPLETE, settle=30.0, clock_steps=((5.0, 31.0),)),
        "failed",
    ),
    Row(
        "one look after 31 s of no responses",
        History(
            (Plan(43.0, 10.0, FAILED),),
            COMPLETE,
            settle=30.0,
            tries=(Try(faults=((6, Fault("lost", "before", there=30.0)),)),),
        ),
        "failed",
    ),
    Row("an unchanged COMPLETE that stands", History((Plan(0.0, 0.0),), COMPLETE, settle=30.0), "done"),
    Row("an unchanged COMPLETE, and no guess", History((Plan(0.0, 0.0),), COMPLETE), "unknown"),
    Row("an unchanged FAILED", History((Plan(0.0, 0.0, FAILED),), FAILED, settle=30.0), "unknown"),
]

EARLIER = (Stranger(0.0, Plan(0.0, 3.0)),)
R4 = [
    # The first four requests are those before the POST.
    Row("START, old COMPLETE, START, FAILED", _reads("stale", 9, own=ILL, leftover=COMPLETE), "failed"),
    Row(
        "nothing, left-over COMPLETE, START, FAILED",
        _reads("nothing", 1, 4, own=Plan(3.0, 20.0, FAILED), leftover=COMPLETE),
        "failed",
    ),
    Row(
        "empty, left-over COMPLETE, START, FAILED",
        _reads("empty result", 1, 4, own=Plan(3.0, 20.0, FAILED), leftover=COMPLETE),
        "failed",
    ),
    Row(
        "a stale START of the switchover before",
        History((Plan(9.0, 20.0, FAILED),), tries=(Try(pause=30.0, faults=((6, Fault("stale")),)),), strangers=EARLIER),
        "failed",
    ),
    *(
        Row(
            f"a stale baseline, read {number}",
            History(
                (Plan(9.0, 20.0, FAILED),),
                FAILED,
                tries=(Try(pause=30.0, faults=((number, Fault("stale")),)),),
                strangers=(Stranger(0.0, Plan(0.0, 3.0, COMPLETE)),),
            ),
            outcome,
            ours,
        )
        # A START that is stale is a switchover that is running, for all that a guard can know.
        for number, outcome, ours in ((1, "read", 0), (4, "read", 0), (5, "failed", 1))
    ),
]

NEVER = Try(starts=False)
R5 = [
    Row("nothing is written down, by a try that died at once", History((WELL,), tries=(Try(dies=0), Try())), "done"),
    Row(
        "nothing is written down, and a person has cleared the task",
        History((WELL,), tries=(Try(dies=0), Try(cleared=True))),
        "unknown",
        0,
        "Start a new DAG run",
    ),
    Row("a try that never started", History((WELL,), tries=(NEVER, NEVER, Try())), "done"),
    Row("one that never started after one that asked", History((WELL,), tries=(Try(dies=20), NEVER, Try())), "done"),
    Row("one that never started, and a clear", History((WELL,), tries=(NEVER, Try(cleared=True))), "unknown", 0),
    Row("the store is emptied, and no one has cleared", History((WELL,), tries=(Try(), Try(store="lost"))), "unknown"),
    Row("the store is emptied", History((WELL,), tries=(Try(), Try(store="lost", cleared=True))), "unknown"),
    Row(
        "a store that cannot be read",
        History((WELL,), tries=(Try(), Try(store="unreadable"))),
        "unknown",
        says="nothing tells what an earlier try did",
    ),
    Row("no store on the first try", History((WELL,), tries=(Try(store="unreadable"),)), "begun", 0, "cannot be read"),
]


def _saves(places: range, how: str, **more: Any) -> tuple[Try, ...]:
    return (Try(saves=tuple(how if place in places else "ok" for place in range(max(places) + 1)), **more),)


# The writes in their order: record and evidence (two keys) of "begun", evidence and record of the intent, and so on.
BEGUN, INTENT, ACCEPTED, LATER_ON = range(0, 3), range(3, 6), range(6, 9), range(9, 12)
R6 = [
    *(
        Row(f"Airflow is away at {name}: {how}", History((WELL,), tries=_saves(places, how)), "done")
        for how in ("not written", "refused", "written")
        for name, places in (("begun", BEGUN), ("the intent", INTENT), ("the end", LATER_ON))
    ),
    Row(
        "the acceptance is written later, and a worker that dies then has not lost it",
        History((Plan(40.0, 20.0),), FAILED, tries=(*_saves(ACCEPTED, "not written", dies=60), Try())),
        "done",
    ),
    Row(
        "Airflow is away for good before the intent",
        History((WELL,), tries=_saves(range(3, 60), "not written")),
        "begun",
        0,
        "DRS is not asked",
    ),
    Row("a retry after that", History((WELL,), tries=(*_saves(range(3, 60), "not written"), Try())), "done"),
    Row(
        "a doubt is not kept",
        History((WELL,), tries=(Try(dies=0), Try(cleared=True), Try())),
        "unknown",
        0,
        "Start a new DAG run",
    ),
    Row("a START that never ends", History((Plan(1.0, 4000.0),)), "unknown", 1, "no end within the timeout"),
]

HELD = Plan(1.0, 20.0, moves=False)
ILL_MOVED = Plan(1.0, 20.0, FAILED, moves=True)
R7 = [
    Row("a witness bears DRS out", History((WELL,), witness="true"), "done"),
    Row("and is late", History((WELL,), witness="late"), "done"),
    Row("and errs now and then", History((WELL,), witness="wrong"), "done"),
    Row("nobody tells whether it is done", History((WELL,), witness="silent"), "read", 0, "nobody answers"),
    Row("nobody tells any more whether it is done", History((WELL,), witness="mute"), "disputed", 1, "nobody answers"),
    Row("traffic has stayed", History((HELD,), witness="true"), "disputed", 1, "before"),
    Row("traffic has stayed, and DRS says so", History((ILL,), witness="true"), "failed"),
    Row("traffic has moved although DRS failed", History((ILL_MOVED,), witness="true"), "failed"),
    Row("DRS does not tell, traffic does", History((Plan(1.0, 4000.0, moves=True),), witness="true"), "unknown"),
    Row("the same status as before, and moved", History((Plan(0.0, 0.0),), COMPLETE, witness="true"), "done"),
    Row(
        "a dispute is cleared",
        History((HELD,), tries=(Try(), Try(cleared=True)), witness="true"),
        "unknown",
        1,
        "before",
    ),
    Row(
        "a stranger's end does not settle a dispute",
        History((HELD,), tries=(Try(), Try()), strangers=(Stranger(60.0, Plan(1.0, 2.0, FAILED), 1),), witness="true"),
        "unknown",
        1,
        "DRS has said SWITCH_VIP_COMPLETE of it already",
    ),
    Row(
        "but the traffic that it moves does",
        History(
            (HELD,), tries=(Try(), Try(pause=60.0)), strangers=(Stranger(60.0, Plan(1.0, 2.0), 1),), witness="true"
        ),
        "done",
    ),
    Row("there and back with a witness", History((WELL,), tries=(Try(), Try("back")), witness="true"), "done", 2),
]

BACK = Try("back")
R8 = [
    Row("there and back", History((WELL,), tries=(Try(), BACK)), "done", 2),
    Row("there is retried", History((WELL,), tries=(Try(), BACK, Try())), "done", 2, "'back' of this run has switched"),
    Row(
        "a try that asked nothing, one that switched, one that died without a word, back, there is retried",
        History(
            (Plan(0.0, 3.0),),
            no_status="null",
            tries=(
                Try(faults=((3, Fault("forbidden", "after")),)),
                Try(),
                Try(dies=4, store="unreadable"),
                BACK,
                Try(),
            ),
        ),
        "done",
        2,
        "'back' of this run has switched",
    ),
    Row("there is cleared", History((WELL,), tries=(Try(), BACK, Try(cleared=True))), "done", 3),
    Row("there failed, back, there cleared", History((ILL, WELL), tries=(Try(), BACK, Try(cleared=True))), "done", 3),
    Row(
        "there failed, back, there is cleared, back is retried",
        History((ILL, WELL), tries=(Try(), BACK, Try(cleared=True), BACK)),
        "done",
        3,
        "'there' of this run has switched",
    ),
    Row(
        "a clock that goes back between both",
        History((WELL,), tries=(Try(), BACK, Try()), clock_steps=((24.0, -7200.0),), dates=False),
        "done",
        2,
        "'back' of this run has switched",
    ),
    Row("there is open", History((WELL,), tries=(Try(dies=20), BACK)), "read", 1, "'there' of this run is open"),
    Row(
        "nothing tells what back has done",
        History((WELL,), tries=(Try(), Try("back", dies=0), Try("back", cleared=True), Try())),
        "done",
        1,
        "'back' of this run has switched the job since, or may have",
    ),
    Row("a clear after done reads and does not switch", History((WELL,), tries=(Try(), Try(cleared=True))), "done", 1),
    Row("a retry after FAILED", History((ILL,), tries=(Try(), Try())), "failed", 1),
    Row("a clear after FAILED", History((ILL, WELL), tries=(Try(), Try(cleared=True))), "done", 2),
]


LONG = Plan(1.0, 620.0)
R14 = [
    Row("unknown, cleared: it reads", History((LONG,), tries=(Try(), Try(cleared=True))), "done"),
    Row(
        "unknown, cleared: it reads FAILED",
        History((replace(LONG, final=FAILED),), tries=(Try(), Try(cleared=True))),
        "failed",
    ),
    *(
        Row(
            f"unknown, cleared {times} times: it stays so",
            History((WELL,), COMPLETE, posts=(Fault("lost"),), tries=(Try(), *[Try(cleared=True)] * times)),
            "unknown",
            0,
        )
        for times in (1, 3)
    ),
]
R13 = [
    Row(
        "a clock that is set back to the time of an earlier read: what was observed ends with the end",
        History((Plan(0.0, 31.0),), COMPLETE, clock_steps=((12.0, -31.0),)),
        "done",
    ),
]


def test_what_a_worker_has_read_once_its_triggerer_may_confirm() -> None:
    """START lasts for two reads: the worker has the first, meets trouble and defers, its triggerer has the second."""
    this = Try(faults=((21, Fault("429")),), deferrable=True)
    history = History((Plan(15.0, 1.6),), COMPLETE, tries=(this,))
    play(history)
    world = World(history)
    world.pass_(this.pause)
    assert run_try(world, this).outcome == "done"


@pytest.mark.parametrize("deferrable", [False, True], ids=["poke", "deferrable"])
@pytest.mark.parametrize("row", [*R1, *R2, *R3, *R4, *R5, *R6, *R7, *R8, *R13, *R14], ids=str)
def test_its_end(row: Row, deferrable: bool) -> None:
    history = replace(row.history, tries=tuple(replace(this, deferrable=deferrable) for this in row.history.tries))
    play(history)
    world = World(history)
    end = End("", None, {})
    for this in history.tries:
        world.pass_(this.pause)
        end = run_try(world, this)
    assert (end.outcome, sum(bool(one.task) for one in world.taken)) == (row.outcome, row.ours), end.error
    assert row.says in str(end.error)
    assert (end.error is None) == (row.outcome == "done" and not row.says)
