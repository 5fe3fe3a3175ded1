"""What is done to a cutover of the lab while it runs, and what became of it."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from tests.constants import COMPLETE, SWITCH
from tests.lab.place import Count, Place
from tests.lab.variants import Variant

ASKED = "DRS is asked to switch over"
# Outcomes that leave it to a person.
OPEN = ("unknown", "disputed")
# Seconds after which what was due at the address has come.
MARGIN = 0.5


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
    :param tasks: those that have begun.
    :param done: what the cutover says of itself; empty where it is not done.
    :param to_thaw: what ``thaw`` was told, or would have been.
    :param asked_at: when DRS was asked to switch over, each time.
    :param seen: the sides that have answered at the address.
    :param alarms: a line for each task that has failed.
    """

    state: str
    evidence: Mapping[str, Any]
    serves: str | None
    thawed: bool
    count: Count
    moments: Sequence[tuple[float, str]]
    gaps: Mapping[str, float | None]
    tasks: Sequence[Task]
    done: Mapping[str, Any]
    to_thaw: Mapping[str, Any]
    asked_at: Sequence[float]
    seen: Set[str | None]
    alarms: Sequence[str]

    @property
    def outcome(self) -> str | None:
        """What the evidence says; None: there was no switchover."""
        return self.evidence.get("outcome")

    @property
    def is_done(self) -> bool:
        """Whether the cutover is done and no row is lost, nor there twice."""
        return self.state == "success" and self.outcome == "done" and self.count.is_whole


class Meddler:
    """Does to a cutover that runs what its variant says.

    :param restart_triggerer: kills the triggerer, and starts it again.
    """

    def __init__(self, variant: Variant, place: Place, restart_triggerer: Callable[[], None] = lambda: None) -> None:
        self._variant, self._place, self._restart = variant, place, restart_triggerer
        self._began: float | None = None
        self._forwarder_dead = self._forwarder_back = self._triggerer_killed = False

    def meddle(self, waiting: Collection[str] = ()) -> None:
        """Do what is due: silence the address, kill a worker, the triggerer, or the forwarder.

        :param waiting: the tasks that are deferred.
        """
        variant, place, now = self._variant, self._place, time.time()
        asked = place.simulator.calls(SWITCH)
        if variant.silent and asked:
            place.address.down = True
        if variant.triggerer and not self._triggerer_killed and "cutover.caught_up" in waiting:
            self._triggerer_killed = True
            self._restart()
        mark = place.folder / "switchover.pid"
        if self._began is None:
            self._began = now if mark.exists() else None
            return
        since = now - self._began
        if variant.killed == "switchover" and mark.exists():
            while_it_switches = asked and now > asked[0].at + place.job.start_after
            if while_it_switches if variant.killed_after is None else since >= variant.killed_after:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(mark.read_text()), signal.SIGKILL)
                mark.rename(mark.with_suffix(".killed"))
        if variant.forwarder and place.forwarder:
            after, lasts = variant.forwarder
            if not self._forwarder_dead and since >= after:
                self._forwarder_dead = True
                place.forwarder.kill()
            if not self._forwarder_back and since >= after + lasts:
                self._forwarder_back = True
                place.forwarder.start()


def judge(
    place: Place, state: str, pull: Callable[[str, str], Any], tasks: Sequence[Task],
    alarms: Sequence[str],
) -> Result:  # fmt: skip
    """Find out what became of a cutover whose DAG run is over; the application ends with it.

    :param pull: returns an XCom of the run by task and key.
    """
    evidence = pull("cutover.switchover", "switchover") or {}
    done, to_thaw = (pull(f"cutover.{name}", "return_value") or {} for name in ("done", "thaw_gate"))
    thawed = not (place.folder / "frozen").exists()
    if place.forwarder:
        place.forwarder.start()
    place.until(lambda: time.time() > _settled_at(place), "the end at DRS")
    serves = place.served()
    if thawed:
        place.until(lambda: place.state() == "running", "the application to go on")
    if thawed and serves:
        # One more row, so that the application has met whoever serves now.
        ended = time.time()
        place.until(lambda: place.acknowledged()[-1][1] > ended, "the application to write")
    last = serves or next((side for _, side in reversed(place.answers) if side), "source")
    moments = sorted(_moments(place, tasks))
    return Result(
        state, evidence, serves, thawed, place.count(last), moments, _gaps(place, done), tasks, done, to_thaw,
        [entry.at for entry in place.simulator.calls(SWITCH)], {side for _, side in place.answers}, alarms,
    )  # fmt: skip


def _settled_at(place: Place) -> float:
    """Return when the last switchover, and what the address does after it, is over."""
    asked = [entry.at for entry in place.simulator.calls(SWITCH)]
    job, address = place.job, place.address
    return max(asked, default=0.0) + job.start_after + job.start_lasts + address.silent + address.flaps + MARGIN


def wrongs(variant: Variant, result: Result) -> list[str]:
    """Return what is wrong with how a cutover ended, whatever was done to it."""
    outcome, asked = result.outcome, len(result.asked_at)
    drs_says_complete = variant.job.get("final", COMPLETE) == COMPLETE
    # Two looks of the witness must agree within its time.
    nobody = bool(variant.silent or variant.forwarder or variant.address.get("silent", 0) > 1)
    stays = variant.address.get("moves", "complete") == "never"
    at_end, known = (
        ((told.get("witness") or {}).get("at_end") or {}).get("side") for told in (result.evidence, result.to_thaw)
    )
    serves = {"source": "before", "target": "after", None: None}[result.serves]
    not_asked = outcome in (None, "read")
    excused = variant.killed in ("freeze", "caught_up") if outcome is None else bool(variant.forwarder)
    found = {
        f"{result.count.lost} rows lost": result.count.lost,
        f"{result.count.twice} rows twice": result.count.twice,
        "done, and traffic is not at the target": outcome == "done"
        and (result.serves == "source" or "target" not in result.seen),
        "failed, and DRS has not said so": outcome == "failed" and drs_says_complete,
        "disputed, and nobody disputes": outcome == "disputed" and not (nobody or (stays and drs_says_complete)),
        "unknown, and nobody was in the way": outcome == "unknown"
        and not (variant.lost or variant.killed == "switchover"),
        "no outcome": outcome not in ("done", "failed", *OPEN) and not (not_asked and excused),
        "DRS was asked, and nobody tells": not_asked and asked,
        "done, and DRS was not asked": outcome in ("done", "failed", "disputed") and not asked,
        "the witness has seen another side than serves": serves and any(x and x != serves for x in (at_end, known)),
        "frozen, and the outcome is known": not result.thawed and outcome not in OPEN,
        "frozen, and a witness knows who serves": not result.thawed and (at_end or known),
        "frozen, and nobody was told": not result.thawed and not any("thaw_gate" in each for each in result.alarms),
        "let go, and nobody knows who serves": result.thawed and outcome in OPEN and not known,
        "the run succeeded, and is not done": result.state == "success" and not (outcome == "done" and result.thawed),
        "done, and the run failed": outcome == "done"
        and result.state != "success"
        and not (variant.forwarder or variant.killed == "verify"),
        "asked more than once": asked > 1,
    }
    return [text for text, is_wrong in found.items() if is_wrong]


def _moments(place: Place, tasks: Sequence[Task]) -> Iterator[tuple[float, str]]:
    for each in tasks:
        name = each.task_id.removeprefix("cutover.")
        yield each.began, f"task {name} begins" + (f", try {each.tries}" if each.tries > 1 else "")
        if each.ended:
            yield each.ended, f"task {name}: {each.state}"
    for entry in place.simulator.calls(SWITCH):
        yield entry.at, ASKED
        if place.job.status_after_switch is None:
            began = entry.at + place.job.start_after
            yield began, "START at DRS"
            yield began + place.job.start_lasts, f"{place.job.final.removeprefix('SWITCH_VIP_')} at DRS"
    for at, side in place.answers[1:]:
        yield at, f"at the address: {side or 'nobody'}"


def _gaps(place: Place, done: Mapping[str, Any]) -> dict[str, float | None]:
    """Return for how long there was no service: by DRS's word, at the address, and as the application felt it."""
    asked = place.simulator.calls(SWITCH) and place.job.status_after_switch is None
    silences = [after - at for (at, side), (after, _) in itertools.pairwise(place.answers) if side is None]
    written = [at for _, at, _ in place.acknowledged()]
    return {
        "DRS, from START to the end": place.job.start_lasts if asked else None,
        "nobody at the address": sum(silences) if silences else None,
        "downtime, as the cutover has measured it": (done.get("downtime") or {}).get("seconds"),
        "no write confirmed": max((after - at for at, after in itertools.pairwise(written)), default=None),
    }
