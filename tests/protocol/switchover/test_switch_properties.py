"""Over any history: one POST per intent, no false "nothing was changed", no end that is another switchover's."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from tests.constants import COMPLETE, FAILED
from tests.protocol.switchover.world import (
    BOXES,
    DECIDE_WITHIN,
    NEVER_SENT,
    QUERY_FAULTS,
    REFUSALS,
    TIMEOUT,
    End,
    Fault,
    History,
    Plan,
    Try,
    World,
    run_try,
    says_nothing_was_changed,
)

# `make histories N=1000000` runs as many as one has time for; the shards let the workers of a run share them.
HISTORIES = int(os.environ.get("HISTORIES", "20000"))
SHARDS = 4

seconds = st.sampled_from([0.0, 0.3, 1.0, 2.0, 4.0, 9.0, 20.0, 31.0, 70.0])
plans = st.builds(Plan, seconds, seconds, st.sampled_from([COMPLETE, FAILED]))
names = ("lost", "clear text", *BOXES, *REFUSALS, *NEVER_SENT, *QUERY_FAULTS)
delays = st.sampled_from([0.0, 0.0, 0.1, 3.0])
faults = st.builds(Fault, st.sampled_from(("none",) * 25 + names), st.sampled_from(["before", "after"]), delays, delays)
tries = st.builds(
    Try,
    dies=st.none() | st.integers(0, 30),
    pause=st.sampled_from([0.0, 5.0, 60.0, 4000.0, 86400.0]),
    cleared=st.booleans(),
    store=st.sampled_from(["kept"] * 9 + ["lost"]),
    deferred=st.booleans(),
)
times = st.sampled_from([0.5, 5.0, 30.0, 62.0, 100.0, 130.0, 400.0, 4100.0, 86500.0])
histories = st.builds(
    History,
    own=plans,
    leftover=st.sampled_from([None, COMPLETE, FAILED]),
    no_status=st.sampled_from(["empty", "null"]),
    settle=st.sampled_from([None, 30.0, 5.0]),
    faults=st.lists(faults, max_size=30),
    tries=st.lists(tries, min_size=1, max_size=4),
    strangers=st.lists(st.tuples(times, plans), max_size=2),
    clock_steps=st.lists(st.tuples(times, st.sampled_from([-7200.0, -31.0, 31.0, 7200.0])), max_size=2),
    failing_saves=st.lists(st.sampled_from(["ok", "ok", "ok", "not written", "written"]), max_size=8),
    dates=st.booleans(),
)


def excepted(world: World, end: End) -> str:
    """Return why no client can tell this end apart from a true one; "" for none."""
    record = end.record
    window = max(DECIDE_WITHIN, world.history.settle or 0.0)
    for one in world.taken:
        if one.ours:
            continue
        shows = one.at + one.plan.start_after
        if any(asked - 10 <= shows <= asked + window + 5 for asked in world.intents):
            return "a stranger within decide_within"
        before = max((at for at in world.good_reads if at <= one.at), default=None)
        after = min((at for at in world.good_reads if at > one.at), default=None)
        if record is not None and before is not None and after is not None and after - before <= TIMEOUT:
            return "a stranger in a gap that is allowed"
    if world.stale_reads >= 2:
        return "two stale reads"
    return repeated_unseen(world)


def repeated_unseen(world: World) -> str:
    """Return why a request that a gateway repeated, and that was taken the first time, cannot be seen to be."""
    own = world.history.own
    if not world.repeated_by_a_gateway:
        return ""
    if own.start_after > 10:
        return "a START more than ten seconds after a refusal"
    hidden = not any(one.at + own.start_after < at < one.ends for one in world.ours() for at in world.good_reads)
    before = [world.history.leftover, *(one.plan.final for one in world.taken if not one.ours)]
    if hidden and own.final in before:
        return "a START that was over before the next read"
    return ""


def check(world: World, end: End, number: int) -> None:
    ours = world.ours()
    settle = world.history.settle
    assert world.posts_of_intent <= 1, "at most one POST per intent"
    if says_nothing_was_changed(end) and ours:
        closed = bool(end.record and end.record.earlier)
        assert closed or excepted(world, end), "nothing was changed, it says"
    shown = settle is None or world.history.own.start_after <= settle
    if end.outcome in ("done", "failed") and shown:
        final = COMPLETE if end.outcome == "done" else FAILED
        true = any(one.plan.final == final and one.ends <= world.time for one in ours)
        if not true:
            why = excepted(world, end)
            event(f"excepted: {why}")
            assert why, f"{end.outcome}, it says, of a switchover that is not ours"


@pytest.mark.parametrize("shard", range(SHARDS))
@settings(
    max_examples=-(-HISTORIES // SHARDS),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
)
@given(history=histories)
def test_at_most_once_and_never_a_false_end(shard: int, history: History) -> None:
    world, clears = World(history), 0
    for number, this in enumerate(history.tries, 1):
        end = run_try(world, this, number, clears)
        event(end.outcome)
        check(world, end, number)
        if not clears and not any(x.cleared for x in history.tries[:number]):
            assert len(world.ours()) <= 1 or repeated_unseen(world), "without a clear, one switchover over all tries"
        world._pass(this.pause)
        clears += this.cleared
        if this.store == "lost":
            world.saved = None
