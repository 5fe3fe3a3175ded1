"""What is done to a cutover of the lab while it runs, and what became of it."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.constants import COMPLETE, SWITCH
from tests.lab.place import Count, Place
from tests.lab.variants import Variant

ASKED = "DRS is asked to switch over"
# Outcomes that leave it to a person.
OPEN = ("unknown", "disputed")


@dataclass(frozen=True)
class Task:
    """A task of the DAG run: its state, its last try, and when that began and ended, in seconds since the epoch."""

    task_id: str
    state: str | None
    tries: int
    began: float
    ended: float | None


@dataclass(frozen=True)
class Result:
    """What became of one cutover.

    :param state: of the DAG run.
    :param evidence: what the switchover left behind.
    :param serves: who answers at the address; None: nobody.
    :param thawed: whether the application writes again.
    :param count: the rows at the side that serves, or that did last.
    :param moments: when (seconds since the epoch) what happened.
    :param gaps: by name, seconds for which there was no service.
    :param tries: by task.
    """

    state: str
    evidence: Mapping[str, Any]
    serves: str | None
    thawed: bool
    count: Count
    moments: Sequence[tuple[float, str]]
    gaps: Mapping[str, float | None]
    tries: Mapping[str, int]

    @property
    def outcome(self) -> str | None:
        """What the evidence says."""
        return self.evidence.get("outcome")

    @property
    def is_done(self) -> bool:
        """Whether the cutover is done and no row is lost, nor there twice."""
        return self.state == "success" and self.outcome == "done" and self.count.is_whole


def meddle(variant: Variant, place: Place) -> None:
    """Do to a cutover that runs what is due: silence the address, or kill the worker."""
    asked = place.simulator.calls(SWITCH)
    if variant.silent and asked:
        place.address.down = True
    mark = place.folder / "switchover.pid"
    if variant.killed and asked and mark.exists() and time.time() > asked[0].at + place.job.start_after:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(mark.read_text()), signal.SIGKILL)
        mark.rename(mark.with_suffix(".killed"))


def judge(place: Place, state: str, evidence: Mapping[str, Any], tasks: Sequence[Task]) -> Result:
    """Find out what became of a cutover whose DAG run is over; the application ends with it."""
    thawed, serves = not (place.folder / "frozen").exists(), place.served()
    if thawed:
        place.until(lambda: place.state() == "running", "the application to go on")
    if thawed and serves:
        # One more row, so that the application has met whoever serves now.
        ended = time.time()
        place.until(lambda: place.acknowledged()[-1][1] > ended, "the application to write")
    last = serves or next((side for _, side in reversed(place.answers) if side), "source")
    moments = sorted(_moments(place, tasks))
    tries = {each.task_id: each.tries for each in tasks}
    return Result(state, evidence, serves, thawed, place.count(last), moments, _gaps(place), tries)


def wrongs(variant: Variant, result: Result) -> list[str]:
    """Return what is wrong with how a cutover ended, whatever was done to it."""
    drs_says_complete = variant.job.get("final", COMPLETE) == COMPLETE
    # Two looks of the witness must agree within its time.
    nobody = variant.silent or variant.address.get("silent", 0) > 1
    stays = variant.address.get("moves", "complete") == "never"
    known = result.thawed or result.outcome in OPEN
    at_end = (result.evidence.get("witness") or {}).get("at_end") or {}
    found = {
        f"{result.count.lost} rows lost": result.count.lost,
        f"{result.count.twice} rows twice": result.count.twice,
        "done, and traffic is not at the target": result.outcome == "done" and result.serves == "source",
        "failed, and DRS has not said so": result.outcome == "failed" and drs_says_complete,
        "disputed, and nobody disputes": result.outcome == "disputed" and not (nobody or (stays and drs_says_complete)),
        "unknown, and nobody was in the way": result.outcome == "unknown" and not (variant.lost or variant.killed),
        "no outcome": result.outcome not in ("done", "failed", *OPEN),
        "frozen, and the outcome is known": not known,
        "frozen, and a witness knows who serves": not result.thawed and at_end.get("side") is not None,
        "let go, and nobody knows who serves": result.thawed and result.outcome in OPEN and not at_end.get("side"),
        "frozen, and the run succeeded": not result.thawed and result.state == "success",
        "asked more than once": len([what for _, what in result.moments if what == ASKED]) > 1,
    }
    return [text for text, is_wrong in found.items() if is_wrong]


def _moments(place: Place, tasks: Sequence[Task]) -> Iterator[tuple[float, str]]:
    for each in tasks:
        yield each.began, f"task {each.task_id} begins" + (f", try {each.tries}" if each.tries > 1 else "")
        if each.ended:
            yield each.ended, f"task {each.task_id}: {each.state}"
    for entry in place.simulator.calls(SWITCH):
        yield entry.at, ASKED
        if place.job.status_after_switch is None:
            began = entry.at + place.job.start_after
            yield began, "START at DRS"
            yield began + place.job.start_lasts, f"{place.job.final.removeprefix('SWITCH_VIP_')} at DRS"
    for at, side in place.answers[1:]:
        yield at, f"at the address: {side or 'nobody'}"


def _gaps(place: Place) -> dict[str, float | None]:
    """Return for how long there was no service: by DRS's word, at the address, and as the application felt it."""
    asked = place.simulator.calls(SWITCH) and place.job.status_after_switch is None
    silences = [after - at for (at, side), (after, _) in itertools.pairwise(place.answers) if side is None]
    written = [at for _, at, _ in place.acknowledged()]
    return {
        "DRS, from START to the end": place.job.start_lasts if asked else None,
        "nobody at the address": sum(silences) if silences else None,
        "no write confirmed": max((after - at for at, after in itertools.pairwise(written)), default=None),
    }
