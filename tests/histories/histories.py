"""Random histories of a switchover, what must be true of each, and what no client can tell apart.

A history is drawn from the number of its seed, and from nothing else: ``python -m tests.histories --seed 4711`` plays
it again and says the smallest history that fails alike.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import Any

from airflow_provider_drs.cutover_results import Situation, decide
from airflow_provider_drs.protocol.switchover.phases import OPEN, UNCHANGED
from airflow_provider_drs.protocol.switchover.witness import Side
from tests.constants import COMPLETE, FAILED
from tests.histories.world import (
    BOXES,
    CUT_OFF,
    DECIDE_WITHIN,
    LIKE_A_REPEAT,
    NEVER_SENT,
    QUERY_FAULTS,
    REFUSALS,
    T0,
    TIMEOUT,
    BrokenPromiseError,
    End,
    Fault,
    History,
    Plan,
    Stranger,
    Switchover,
    TaskState,
    Try,
    World,
    run_try,
)

SECONDS = (0.0, 0.3, 1.0, 1.6, 2.0, 4.0, 9.0, 20.0, 31.0, 55.0)
PAUSES = (0.0, 0.0, 5.0, 45.0, 400.0, 4000.0, 86400.0)
LATER = (0.5, 1.0, 2.0, 5.0, 12.0, 30.0, 58.0, 62.0, 130.0, 400.0, 4100.0, 86500.0)
STEPS = (-7200.0, -31.0, -5.0, 5.0, 31.0, 7200.0)
WITNESSES = ("true", "true", "late", "silent", "mute", "wrong")
STATUSES = (None, COMPLETE, FAILED)

# What no client can tell apart from a true end, by name. Nothing else is excepted.
WITHIN = "a stranger's START within `decide_within` of a POST, before ours is seen"
GAP = "a stranger who switches in a gap that is allowed"
STALE = "two stale reads more than a second apart"
LATE = "a START more than ten seconds after DRS.M01503, M01504 or M00304"
UNSEEN = "a START that is over before the next read"
WIPED = "a try killed before it has kept the end that a triggerer has marked"
EMPTIED = "a record that somebody deletes after a try without any XCom, before a retry"
# docs/switchover.md has the same list. Without a `Date`, a clock that is set back between two processes makes the times
# of the first two longer by as much.
EXCEPTIONS = {
    WITHIN: "it looks like ours, accepted or not",
    GAP: "nobody watched for up to `timeout`",
    STALE: "the second read confirms the first",
    LATE: "a gateway repeated our request",
    WIPED: "Airflow tells one start of it, and wipes it",
    EMPTIED: "nothing tells of the request",
    UNSEEN: "the same, with an end that looks like the one before",
}


def draw(seed: int) -> History:
    """Return the history of a seed."""
    rng = Random(seed)
    pick, chance = rng.choice, rng.random

    def plan() -> Plan:
        return Plan(pick(SECONDS), pick(SECONDS), pick((COMPLETE, FAILED)))

    def fault(names: tuple[str, ...]) -> Fault:
        slow = chance() < 0.3
        there, back = (pick((0.0, 0.1, 3.0)), pick((0.0, 0.1, 3.0))) if slow else (0.0, 0.0)
        return Fault(pick(names), pick(("before", "after")), there, back)

    def post() -> Fault:
        if chance() < 0.35:
            return fault(("none",))
        return fault((*CUT_OFF, *BOXES, *REFUSALS, *LIKE_A_REPEAT, *LIKE_A_REPEAT, *NEVER_SENT))

    reading = (*CUT_OFF, *BOXES, *REFUSALS, *NEVER_SENT, *QUERY_FAULTS * 4, "none", "none")

    def one_try(number: int) -> Try:
        task = "there" if number == 0 or chance() < 0.6 else "back"
        faults = {int(rng.triangular(1, 40, 4)): fault(reading) for _ in range(pick((0, 0, 1, 1, 2, 4)))}
        saves = tuple(
            pick(("ok", "ok", "ok", "not written", "refused", "written")) for _ in range(pick((0, 0, 0, 6, 14)))
        )
        return Try(
            task,
            cleared=number > 0 and chance() < 0.5,
            pause=0.0 if number == 0 else pick(PAUSES),
            faults=tuple(sorted(faults.items())),
            saves=saves,
            dies=int(rng.triangular(0, 60, 12)) if chance() < 0.4 else None,
            killed=chance() < 0.7,
            store=pick(("lost", "unreadable", "no XCom")) if number > 0 and chance() < 0.1 else "kept",
            deferrable=chance() < 0.5,
        )

    strangers = [Stranger(pick(LATER), plan(), pick((None, 1, 1, 1, 2))) for _ in range(pick((0, 0, 0, 1, 1, 2)))]
    history = History(
        own=tuple(plan() for _ in range(3)),
        leftover=pick(STATUSES),
        no_status=pick(("null", "empty")),
        settle=pick((None, None, 30.0, 5.0)),
        posts=tuple(post() for _ in range(pick((0, 1, 1, 2, 3)))),
        tries=tuple(one_try(number) for number in range(pick((1, 1, 2, 2, 3, 4, 5)))),
        strangers=tuple(strangers),
        clock_steps=tuple((pick(LATER), pick(STEPS)) for _ in range(pick((0, 0, 0, 1, 2)))),
        dates=chance() < 0.6,
    )
    return _with_tries_that_never_start(_with_a_witness(history, Random(-1 - seed)), Random(f"never started {seed}"))


def _with_a_witness(history: History, rng: Random) -> History:
    """Return some histories with a witness, and with switchovers whose end says another thing than what they did."""
    if rng.random() >= 0.4:
        return history
    own = tuple(replace(plan, moves=rng.choice((None, None, True, False))) for plan in history.own)
    return replace(history, own=own, witness=rng.choice(WITNESSES))


def _with_tries_that_never_start(history: History, rng: Random) -> History:
    """Return some histories with tries that an executor has failed before they started."""
    tries = list(history.tries)
    while rng.random() < 0.25:
        place = rng.randrange(len(tries) + 1)
        task = "there" if place == 0 else rng.choice(("there", "back"))
        tries.insert(place, Try(task, cleared=place > 0 and rng.random() < 0.3, starts=False))
    return replace(history, tries=tuple(tries))


def play(history: History, count: Counter[str] | None = None) -> None:
    """Play a history.

    :param count: is given how the tries ended, and what was excepted.
    :raises BrokenPromiseError: something is not as it must be.
    """
    count = Counter() if count is None else count
    world = World(history)
    for this in history.tries:
        world.pass_(this.pause)
        task = world.tasks[this.task]
        latest_before = _latest(world, task)
        posts_before = world.posts
        # A triggerer that has ended the task could not save that, but its evidence says so.
        was_done = "done" in ((task.saved or {}).get("phase"), task.xcom.get("switchover", {}).get("outcome"))
        world.asked_again = False
        end = run_try(world, this)
        if not this.starts:
            count["never started"] += 1
            continue
        if world.asked_again:
            count[f"excepted: {EMPTIED}"] += 1
        count[f"outcome: {end.outcome or 'no evidence'}"] += 1
        _check_end(world, task, end, count)
        if end.error is None:
            _check_story(task, latest_before, asked=world.posts > posts_before, was_done=was_done)


def _check_end(world: World, task: TaskState, end: End, count: Counter[str]) -> None:
    """Check what the evidence says of the switchover that it is about."""
    told = end.outcome
    if end.error is None and told != "done":
        raise BrokenPromiseError(f"the task succeeds with the outcome {told!r}")
    observed = [change["status"] for change in end.evidence.get("observed", [])]
    if any(one == another for one, another in pairwise(observed)):
        raise BrokenPromiseError("a status is observed twice in a row")
    if told in ("done", "failed") and observed[-1] != end.evidence["status"]:
        raise BrokenPromiseError("what was observed does not end with the end")
    about = Claim(world, task, end.evidence)
    if told == "disputed" and not world.history.witness:
        raise BrokenPromiseError("disputed, it says, and there is no witness")
    if told in ("done", "disputed") and world.history.witness:
        _check_witness(world, task, end)
    if (end.evidence.get("witness") or {}).get("decided"):
        return
    if told in UNCHANGED and about.mine:
        _except(about, count, "nothing was changed, it says, and DRS has switched")
    if told not in ("done", "failed"):
        return
    final = COMPLETE if told == "done" else FAILED
    settle = world.history.settle
    if any(one.plan.final == final and one.ends <= world.time for one in about.mine):
        return
    if told == "done" and settle is not None and any(one.plan.start_after > settle for one in about.mine):
        count["not promised: START after settle"] += 1
        return
    _except(about, count, f"{told}, it says, of a switchover that is not its own")


def _check_witness(world: World, task: TaskState, end: End) -> None:
    """Check what a witness is relied upon for: done is where traffic was seen, and disputed where it was not."""
    at_end = (end.evidence["witness"] or {}).get("at_end") or {}
    if end.outcome == "done" and at_end.get("side") != Side.AFTER:
        raise BrokenPromiseError("done, it says, and the witness has not seen traffic there")
    if end.outcome == "disputed" and at_end.get("side") == Side.AFTER:
        raise BrokenPromiseError("disputed, it says, and the witness has seen traffic there")
    if end.outcome == "done" and not any(one.moves for one in world.taken):
        raise BrokenPromiseError("done, it says, and nothing has moved traffic")
    if end.outcome == "disputed" and decide(Situation(task.task_id, end.evidence, "failed"))[0]:
        raise BrokenPromiseError("what is disputed is rolled back")


def _check_story(task: TaskState, latest_before: str, *, asked: bool, was_done: bool) -> None:
    """Check that a task that succeeds is the last one that has switched, as far as the run could know."""
    if not asked and latest_before not in ("", task.task_id) and was_done:
        raise BrokenPromiseError(f"done, it says, but {latest_before!r} has switched since")


def _latest(world: World, own: TaskState) -> str:
    """Return which task was the last to ask DRS, as far as the evidence of the run, or its own record, shows it."""
    shown = [
        (max(at for asked in task.asked.values() for at in asked), task.task_id)
        for task in world.tasks.values()
        if task.asked
        and (
            (task.xcom.get("switchover") or {}).get("outcome") not in (None, *UNCHANGED)
            or (task is own and (task.saved or {}).get("phase") not in (None, *UNCHANGED))
        )
    ]
    return max(shown)[1] if shown else ""


def _except(about: Claim, count: Counter[str], wrong: str) -> None:
    why = next(about.excepted(), "")
    if not why:
        raise BrokenPromiseError(wrong)
    count[f"excepted: {why}"] += 1


class Claim:
    """What the evidence of a task says about one of its switchovers, beside what the service has taken of it."""

    def __init__(self, world: World, task: TaskState, evidence: dict[str, Any]) -> None:
        self.world, self.task, self.evidence = world, task, evidence
        order = evidence.get("order", 0)
        self.reads = [read for read in world.reads if read[2] in task.numbers]
        self.mine, self.asked = task.mine.get(order, []), task.asked.get(order, [])

    def excepted(self) -> Iterator[str]:
        """Yield why no client can tell what was from what it was told to be."""
        world = self.world
        history = world.history
        backwards = 0.0 if history.dates else -sum(step for _, step in history.clock_steps if step < 0)
        window = max(DECIDE_WITHIN, history.settle or 0.0) + backwards
        for one in world.taken:
            if one in self.mine:
                continue
            # Between the last read before a POST and the end of its window.
            in_time = any(one.shows <= asked + window + 10 for asked in self.asked)
            if in_time and self.task.baseline_at - 1.5 <= one.ends and not self.is_seen(one.shows):
                yield WITHIN
            if self.asked and self.in_a_gap(one, backwards):
                yield GAP
        if self.task.mark_lost:
            yield WIPED
        if self.task.forgotten and self.task.left_nothing:
            yield EMPTIED
        if any(later - first >= 0.7 for first in world.stale for later in world.stale):
            yield STALE
        if world.gateway_repeats:
            for own in self.mine:
                if own.plan.start_after > 10:
                    yield LATE
                elif not any(shown is own and at < own.ends for at, shown, _ in self.reads):
                    yield UNSEEN

    def is_seen(self, before: float) -> bool:
        """Tell whether it had been seen before a moment: its START, or an end that is no earlier one's."""
        baseline, known = self.evidence["baseline"], self.evidence["baseline_known"]
        for own in self.mine:
            reads = [(at, number) for at, shown, number in self.reads if shown is own and at < before]
            found = [at for at, number in reads if number not in self.world.died]
            starts = [at for at in found if at < own.ends]
            ends = [at for at in found if at >= own.ends] if (known or baseline) and own.plan.final != baseline else []
            if self.twice(starts) or self.twice(ends):
                return True
        return False

    def in_a_gap(self, stranger: Switchover, backwards: float) -> bool:
        """Tell whether a stranger has switched while nobody watched, for no longer than is allowed.

        Where our end was read twice by a try that lived, the try has ended with it, and there was no gap.
        """
        reads = self.reads
        before = max((at for at, _, _ in reads if at < stranger.shows), default=None)
        after = min((at for at, _, _ in reads if at >= stranger.shows), default=None)
        if before is None or after is None or after - before > TIMEOUT + backwards + 10:
            return False
        ends: dict[int, list[float]] = {}
        for at, shown, number in reads:
            if shown in self.mine and shown is not None and shown.ends <= at < stranger.shows:
                ends.setdefault(number, []).append(at)
        return not any(self.twice(found) and number not in self.world.died for number, found in ends.items())

    def twice(self, reads: list[float]) -> bool:
        """Tell whether two reads have shown it, one after the other: no stale one came between."""
        return any(
            later - first >= 0.75 and not any(first < stale < later for stale in self.world.stale)
            for first in reads
            for later in reads
        )


def check(seed: int, count: Counter[str]) -> str:
    """Play the history of a seed; return what is wrong, "" for nothing."""
    try:
        play(draw(seed), count)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def smallest(history: History) -> tuple[History, str]:
    """Return a history that fails as the given one does and has nothing in it that it could do without."""

    def failure(of: History) -> str:
        try:
            play(of)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return ""

    wrong = failure(history)
    found = True
    while found:
        found = False
        for simpler in _simpler(history):
            if failure(simpler) == wrong:
                history, found = simpler, True
                break
    return history, wrong


def _simpler(history: History) -> Iterator[History]:
    for name in ("tries", "strangers", "clock_steps", "posts", "own"):
        items = getattr(history, name)
        for place in range(len(items)):
            yield replace(history, **{name: items[:place] + items[place + 1 :]})
    plain = History()
    for f in dataclasses.fields(History):
        if f.name not in ("tries", "own") and getattr(history, f.name) != getattr(plain, f.name):
            yield replace(history, **{f.name: getattr(plain, f.name)})
    for place, fault in enumerate(history.posts):
        for simple in (Fault(), replace(fault, there=0.0, back=0.0)):
            if simple != fault:
                yield replace(history, posts=(*history.posts[:place], simple, *history.posts[place + 1 :]))
    for place, own in enumerate(history.own):
        for plan in (Plan(), replace(own, start_after=0.0), replace(own, lasts=3.0)):
            if plan != own:
                yield replace(history, own=(*history.own[:place], plan, *history.own[place + 1 :]))
    for place, one in enumerate(history.tries):
        for this in _simpler_tries(one):
            yield replace(history, tries=(*history.tries[:place], this, *history.tries[place + 1 :]))


def _simpler_tries(one: Try) -> Iterator[Try]:
    plain = Try()
    for f in dataclasses.fields(Try):
        if f.name != "task" and getattr(one, f.name) != getattr(plain, f.name):
            yield replace(one, **{f.name: getattr(plain, f.name)})
    for name in ("faults", "saves"):
        items = getattr(one, name)
        for place in range(len(items)):
            yield replace(one, **{name: items[:place] + items[place + 1 :]})
    for place, (number, fault) in enumerate(one.faults):
        if fault.there or fault.back:
            simple = (number, replace(fault, there=0.0, back=0.0))
            yield replace(one, faults=(*one.faults[:place], simple, *one.faults[place + 1 :]))


__all__ = ["EXCEPTIONS", "OPEN", "T0", "check", "draw", "play", "smallest"]
