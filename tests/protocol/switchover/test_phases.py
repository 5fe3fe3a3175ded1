from __future__ import annotations

from itertools import product

import pytest

from airflow_provider_drs.protocol.switchover.phases import (
    OPEN,
    PROGRESS,
    SUCCEEDED,
    TRANSITIONS,
    UNCHANGED,
    IllegalTransitionError,
    Phase,
    Step,
)
from airflow_provider_drs.protocol.switchover.record import Record
from tests.constants import JOB

NOT_ASKED = {Phase.BEGUN, Phase.READ, Phase.ALREADY, Phase.REFUSED}


@pytest.mark.parametrize(("phase", "step"), list(product(Phase, Step)))
def test_only_what_is_listed_can_follow(phase: Phase, step: Step) -> None:
    record = Record(JOB, "target", phase)
    if (phase, step) in TRANSITIONS:
        record.apply(step)
        assert record.phase is TRANSITIONS[phase, step]
    else:
        with pytest.raises(IllegalTransitionError, match=f"{step.name} cannot follow the phase {phase}"):
            record.apply(step)


def test_what_follows_what() -> None:
    """Written out where a slip would switch twice, or tell what nobody knows."""
    reached = {phase: {before for (before, _), after in TRANSITIONS.items() if after is phase} for phase in Phase}
    assert reached[Phase.INTENDED] == {Phase.READ}, "guards are read before each intent"
    assert reached[Phase.READ] == {Phase.BEGUN, Phase.READ, Phase.REFUSED, Phase.INTENDED}
    assert reached[Phase.DONE] == reached[Phase.FAILED] == {Phase.ACCEPTED, Phase.LOST}
    ends = {Phase.DONE, Phase.ALREADY, Phase.FAILED}
    assert {before for before, _ in TRANSITIONS} & ends == set(), "an end is an end"
    assert reached[Phase.ALREADY] == {Phase.READ}, "nothing was asked"
    assert {after for (before, _), after in TRANSITIONS.items() if before is Phase.DISPUTED} == {Phase.LOST}
    unasked = {step for (before, step), after in TRANSITIONS.items() if before is Phase.INTENDED and after in UNCHANGED}
    assert unasked == {Step.UNSEND, Step.REFUSE}
    assert UNCHANGED == NOT_ASKED
    assert set(Phase) - NOT_ASKED - {Phase.DONE, Phase.FAILED} == OPEN
    assert {Phase.DONE, Phase.ALREADY} == SUCCEEDED


def test_how_far_it_has_come_never_becomes_less_but_by_a_resumption() -> None:
    for (before, step), after in TRANSITIONS.items():
        if step is not Step.RESUME:
            assert PROGRESS.get(before, 0) <= PROGRESS.get(after, 0), (before, step)
    ends = {phase for phase, far in PROGRESS.items() if far == max(PROGRESS.values())}
    assert ends == {"done", "already", "failed", "disputed", "unknown"}
