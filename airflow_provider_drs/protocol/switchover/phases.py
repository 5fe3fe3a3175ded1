"""How far a switchover has come, and what may follow what. Nothing but :meth:`Record.apply` assigns a phase."""

from __future__ import annotations

from enum import Enum, StrEnum


class Phase(StrEnum):
    """How far a switchover has come; the ``outcome`` of the evidence."""

    BEGUN = "begun"
    READ = "read"
    INTENDED = "intended"
    ACCEPTED = "accepted"
    LOST = "lost"
    REFUSED = "refused"
    DONE = "done"
    ALREADY = "already"
    FAILED = "failed"
    DISPUTED = "disputed"
    UNKNOWN = "unknown"


class Step(Enum):
    """What happens to a switchover."""

    READ = "job and status were read, the guards judged"
    INTEND = "the guards hold; DRS is about to be asked"
    UNSEND = "the request never left this machine"
    JOIN = "a switchover that runs already is joined"
    FIND = "the witness sees traffic where it is to go, so that nothing is asked"
    DOUBT = "a further try finds no record, so that nobody knows what the first one did"
    ACCEPT = "DRS has accepted"
    LOSE = "the response was lost"
    REFUSE = "DRS has refused"
    RESUME = "a further try reads what an earlier one saved"
    SHOW = "the status shows that DRS has taken it"
    COMPLETE = "DRS says that it is complete, or the witness where DRS does not tell"
    FAIL = "DRS says that it failed"
    DISPUTE = "DRS says one thing, the witness another"
    GIVE_UP = "nothing settles the outcome"


TRANSITIONS: dict[tuple[Phase, Step], Phase] = {
    (Phase.BEGUN, Step.READ): Phase.READ,
    (Phase.BEGUN, Step.DOUBT): Phase.UNKNOWN,
    (Phase.READ, Step.READ): Phase.READ,
    (Phase.READ, Step.DOUBT): Phase.UNKNOWN,
    (Phase.READ, Step.INTEND): Phase.INTENDED,
    (Phase.READ, Step.JOIN): Phase.ACCEPTED,
    (Phase.READ, Step.FIND): Phase.ALREADY,
    (Phase.REFUSED, Step.READ): Phase.READ,
    (Phase.INTENDED, Step.UNSEND): Phase.READ,
    (Phase.INTENDED, Step.ACCEPT): Phase.ACCEPTED,
    (Phase.INTENDED, Step.LOSE): Phase.LOST,
    (Phase.INTENDED, Step.REFUSE): Phase.REFUSED,
    (Phase.INTENDED, Step.RESUME): Phase.LOST,
    (Phase.ACCEPTED, Step.RESUME): Phase.ACCEPTED,
    (Phase.LOST, Step.RESUME): Phase.LOST,
    (Phase.UNKNOWN, Step.RESUME): Phase.LOST,
    (Phase.DISPUTED, Step.RESUME): Phase.LOST,
    (Phase.ACCEPTED, Step.SHOW): Phase.ACCEPTED,
    (Phase.LOST, Step.SHOW): Phase.ACCEPTED,
    (Phase.ACCEPTED, Step.COMPLETE): Phase.DONE,
    (Phase.LOST, Step.COMPLETE): Phase.DONE,
    (Phase.ACCEPTED, Step.FAIL): Phase.FAILED,
    (Phase.LOST, Step.FAIL): Phase.FAILED,
    (Phase.ACCEPTED, Step.DISPUTE): Phase.DISPUTED,
    (Phase.LOST, Step.DISPUTE): Phase.DISPUTED,
    (Phase.ACCEPTED, Step.GIVE_UP): Phase.UNKNOWN,
    (Phase.LOST, Step.GIVE_UP): Phase.UNKNOWN,
}

# DRS may be switching, or may have switched.
OPEN = frozenset({Phase.INTENDED, Phase.ACCEPTED, Phase.LOST, Phase.DISPUTED, Phase.UNKNOWN})
# Nobody but a person can tell how these have ended.
NEEDS_PERSON = frozenset({Phase.DISPUTED, Phase.UNKNOWN})
# Nothing was asked of DRS, or DRS itself has refused: nothing was changed.
UNCHANGED = frozenset({Phase.BEGUN, Phase.READ, Phase.ALREADY, Phase.REFUSED})
# How a try may have ended that has asked DRS, or need not.
OVER = frozenset({Phase.DONE, Phase.ALREADY, Phase.FAILED, Phase.REFUSED, *NEEDS_PERSON})
# What is to be is: the tasks after a switchover may go on.
SUCCEEDED = frozenset({Phase.DONE, Phase.ALREADY})

# How far a switchover has come. Before DRS has taken it (0) it may come to the same phase again; after that, only a
# resumption leads to a lower number.
PROGRESS: dict[str, int] = {
    Phase.LOST: 1,
    Phase.ACCEPTED: 2,
    **dict.fromkeys((Phase.DONE, Phase.ALREADY, Phase.FAILED, Phase.DISPUTED, Phase.UNKNOWN), 3),
}


class IllegalTransitionError(Exception):
    """A step that cannot follow; a fault of this package."""
