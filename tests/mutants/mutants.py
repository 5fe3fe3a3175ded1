"""Faults that somebody could put into the core, each with the tests that must catch it.

A mutant replaces one piece of text by another. ``make mutants`` runs the tests against each, and names those that no
test has caught.
"""

from __future__ import annotations

from dataclasses import dataclass

CORE = "airflow_provider_drs/protocol/switchover"
POLLING = "airflow_provider_drs/protocol/polling.py"
TASK_STATE = "airflow_provider_drs/operators/task_state.py"
OPERATOR = "airflow_provider_drs/operators/switchover.py"
RESULTS = "airflow_provider_drs/cutover_results.py"

NAMED = "tests/histories/test_named_inputs.py"
RECORDS = "tests/airflow/test_switchover_operator_records.py"
DECIDE = "tests/airflow/test_cutover_results.py"


@dataclass(frozen=True)
class Mutant:
    """One fault.

    :param name: what is wrong with it.
    :param file: where it is.
    :param old: the text that it replaces; it stands there once.
    :param new: the text in its place.
    :param tests: files of tests, one of which must fail.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def apply(self, source: str) -> str:
        """Return the source with the fault in it.

        :raises ValueError: the text does not stand there once.
        """
        if source.count(self.old) != 1:
            raise ValueError(f"{self.name}: the old text stands {source.count(self.old)} times in {self.file}")
        return source.replace(self.old, self.new)


def _core(module: str, *mutants: tuple[str, str, str]) -> list[Mutant]:
    tests = (f"tests/protocol/switchover/test_{module}.py",)
    return [Mutant(name, f"{CORE}/{module}.py", old, new, tests) for name, old, new in mutants]


FRESHNESS = _core(
    "freshness",
    ("one read is enough", "sent.least_since(self._seen) >= _CONFIRMED_AFTER", "True"),
    ("the second read may come at once", "_CONFIRMED_AFTER = 0.75 * CONFIRM_AFTER", "_CONFIRMED_AFTER = 0.0"),
    ("the second read may come whenever", "soon = sent.most_since(self._seen) <= 2 * max(", "soon = True or max("),
    ("one START is enough", "self.started = confirmed", "self.started = True"),
    ("the window is forgotten", "in_time = self._since_asked(sent) <= self._window", "in_time = True"),
    (
        "the window begins anew with each poll",
        "self._asked = sent, sent.most_since(Instant(since, server=self.posted_by_server))",
        "self._asked = sent, 0.0",
    ),
    ("the service's time does not count", "Instant(since, server=self.posted_by_server)", "Instant(since)"),
    (
        "nobody needs to watch",
        "watched_on = not self.started or gap is None or gap <= self.max_gap",
        "watched_on = True",
    ),
    (
        "an unchanged FAILED settles",
        "state is not SwitchoverState.DONE or status != self.baseline",
        "status != self.baseline",
    ),
    (
        "what DRS did not accept settles",
        "self.accepted_at is not None and self.settle is not None",
        "self.settle is not None",
    ),
    ("it settles although nobody asked for that", "self.accepted_at is not None and self.settle is not None", "True"),
    ("one look settles", "self.standing_polls >= MIN_SETTLE_POLLS", "True"),
    ("a gap does not break what stands", "or gap is None or gap > max(settle, 2 * interval):", "or gap is None:"),
    (
        "it may begin to stand when the time is up",
        "            if self._since_asked(sent) > self._window:\n                return Confidence.UNDECIDABLE\n",
        "",
    ),
    (
        "a lost START may be anybody's",
        "return self.accepted_at is not None or bool(self.baseline) or self.empty_since",
        "return True",
    ),
    ("an unknown baseline is one", " and (bool(self.baseline) or self.empty_since)", ""),
    (
        "the empty result is a baseline",
        "(state is SwitchoverState.NOT_BEGUN and names_job and confirmed)",
        "(state is SwitchoverState.NOT_BEGUN)",
    ),
    ("one empty status is enough", "and names_job and confirmed)", "and names_job)"),
    ("the empty result ends what was seen", "if state is SwitchoverState.NOT_BEGUN and not names_job:", "if False:"),
    ("what was lost is found again", "        if self.why:\n            return Confidence.UNDECIDABLE\n", ""),
    ("it is always as before", '" as before" if status == self.baseline else ""', '" as before"'),
    ("another process forgets what was seen once", '"standing_polls", "seen", "why")', '"standing_polls", "why")'),
)
# The progress goes to another process by way of a wait, so that its tests are the ones that see it.
FRESHNESS[-1] = Mutant(**{**vars(FRESHNESS[-1]), "tests": ("tests/protocol/switchover/test_wait.py",)})

CLOCKS = [
    Mutant(name, POLLING, old, new, ("tests/protocol/switchover/test_freshness.py",))
    for name, old, new in (
        ("only the wall clock counts", "if self.steady is not None and earlier.steady is not None:", "if False:"),
        (
            "the larger difference is certain",
            "return max(min(self._since(earlier)), 0.0)",
            "return max(*self._since(earlier), 0.0)",
        ),
        (
            "the smaller difference may have passed",
            "math.inf if went_back else max(*differences, 0.0)",
            "math.inf if went_back else max(min(differences), 0.0)",
        ),
        (
            "a clock that went back is believed",
            "went_back = by_wall_alone and differences[0] < -1.0",
            "went_back = False",
        ),
    )
]

PHASES = _core(
    "phases",
    (
        "an intent is forgotten by a further try",
        "(Phase.INTENDED, Step.RESUME): Phase.LOST",
        "(Phase.INTENDED, Step.RESUME): Phase.READ",
    ),
    (
        "an unknown outcome may be asked for again",
        "(Phase.UNKNOWN, Step.RESUME): Phase.LOST",
        "(Phase.UNKNOWN, Step.READ): Phase.READ",
    ),
    (
        "an end can be resumed",
        "(Phase.LOST, Step.RESUME): Phase.LOST,",
        "(Phase.LOST, Step.RESUME): Phase.LOST, (Phase.DONE, Step.RESUME): Phase.LOST,",
    ),
    (
        "a lost response is nothing",
        "UNCHANGED = frozenset({Phase.BEGUN,",
        "UNCHANGED = frozenset({Phase.LOST, Phase.BEGUN,",
    ),
    ("an unknown outcome is not open", "Phase.LOST, Phase.DISPUTED, Phase.UNKNOWN})", "Phase.LOST, Phase.DISPUTED})"),
)

RECORD = _core(
    "record",
    ("what was joined has a mode", '"mode": None if self.attached else self.mode', '"mode": self.mode'),
    (
        "what says nothing is a baseline",
        "reply.status, reply.job_id is not None, reply.status",
        "reply.status, True, reply.status",
    ),
    ("a dispute is settled by another's status", "if self.phase is Phase.DISPUTED:", "if False:"),
    ("what is observed is told twice", "known = 1 + max(", "known = 0 * max("),
    (
        "what never left was asked",
        "self.posted_at, self.posted_by_server, self.reason = None, None, reason",
        "self.reason = reason",
    ),
    (
        "a try that died is not told",
        "self.unsure = self.unsure or self.phase is Phase.INTENDED",
        "self.unsure = self.unsure",
    ),
    ("a person's outcome is DRS's", '"drs" if self.phase in (Phase.DONE, Phase.FAILED) else None', '"drs"'),
    (
        "an intent is a switchover to wait for",
        'if evidence["outcome"] not in (Phase.ACCEPTED,',
        'if evidence["outcome"] not in (Phase.INTENDED, Phase.ACCEPTED,',
    ),
    ("the sensor forgets the gap", 'max_gap=evidence.get("timeout", DEFAULT_MAX_GAP),', "max_gap=DEFAULT_MAX_GAP * 9,"),
    (
        "a refusal stays",
        "self.error_code = self.error_msg = self.reason = self.finished_at = self.posted_at = None",
        "self.reason = self.finished_at = self.posted_at = None",
    ),
    (
        "a doubt is what a try has done",
        "self.phase is Phase.UNKNOWN and self.posted_at is None and not self.attached",
        "False",
    ),
)

SWITCH = _core(
    "switch",
    (
        "the baseline is read once",
        "            reply = read(get_status)\n        alike",
        "            reply = first\n        alike",
    ),
    (
        "who has saved an intent leaves",
        "        request = replace(request, leave_after=None)  # the intent",
        "        pass  # the intent",
    ),
    ("the two reads need not agree", "if (alike or running) and (stops", "if (stops"),
    (
        "the two reads may follow at once",
        "runtime.sleep(max(began + CONFIRM_AFTER - runtime.monotonic(), 0.0))",
        "runtime.sleep(0.0)",
    ),
    ("guards may be old", " and (stops or runtime.monotonic() - began <= MAX_READ_AGE):", ":"),
    (
        "the intent need not be saved",
        "        runtime.save(record)\n    except BaseException:",
        "        runtime.try_save(record)\n    except BaseException:",
    ),
    (
        "the record is not opened",
        "    runtime.save(record)\n    patience = request.patience()",
        "    patience = request.patience()",
    ),
    (
        "it asks before it saves",
        "    record.intend(runtime.now(), runtime.server_time())\n",
        "    runtime.send(switch_vip(request.job_id, request.mode))\n    record.intend(runtime.now(), None)\n",
    ),
    (
        "a write that failed leaves an intent",
        '        record.unsend("the intent could not be saved, so that DRS was not asked")\n',
        "",
    ),
    ("a write may take long", "if runtime.monotonic() - began > MAX_SAVE_TIME:", "if False:"),
    ("what never left is lost", "        if error.never_sent:\n", "        if False:\n"),
    ("what is lost never left", "        if error.never_sent:\n", "        if True:\n"),
    ("a refusal needs no read", "if reply is None or _has_moved(reply, record):", "if False:"),
    (
        "a refusal stands where the status cannot be read",
        "if reply is None or _has_moved(reply, record):",
        "if reply is not None and _has_moved(reply, record):",
    ),
    ("the reads after a refusal do not go on", "if _has_moved(reply, record) or began >= until:", "if True:"),
    (
        "only START is a change",
        "is SwitchoverState.RUNNING or reply.status != record.baseline",
        "is SwitchoverState.RUNNING",
    ),
    (
        "every refusal is asked again",
        "    if not asked_again(error):\n        raise NotSwitchedError(record, refusal)\n",
        "",
    ),
    ("the guards are not looked at", 'failed = [guard for guard in record.guards if not guard["ok"]]', "failed = []"),
    ("another task's open switchover is nothing", "        if request.open_elsewhere:", "        if False:"),
    ("a further try that finds nothing begins", "    if saved is None and not request.first_try:", "    if False:"),
    (
        "the record of another mode will do",
        "if (saved.job_id, saved.mode) != (request.job_id, request.mode):",
        "if False:",
    ),
    ("a superseded switchover is done", "    if saved.phase is Phase.DONE and request.superseded_by:", "    if False:"),
    ("a retry after a failure begins anew", "(over and cleared)", "over"),
    (
        "a superseded switchover is not closed by a clear",
        "over = saved.phase is Phase.FAILED or (saved.phase is Phase.DONE and bool(request.superseded_by))",
        "over = saved.phase is Phase.FAILED",
    ),
    (
        "a clear after success begins anew",
        "(saved.phase is Phase.DONE and bool(request.superseded_by))",
        "saved.phase is Phase.DONE",
    ),
    ("earlier switchovers are forgotten", '[*saved.earlier, {**saved.evidence(), "earlier": []}]', "[]"),
    (
        "what was accepted of another job is ours",
        "if request.verify_job_id and accepted_job_id not in (None, request.job_id):",
        "if False:",
    ),
    (
        "a status of another job is ours",
        "    if request.verify_job_id and is_about_another_job(reply, request.job_id):\n        raise",
        "    if False:\n        raise",
    ),
    ("it joins unasked", "return request.attach and switchover_state", "return switchover_state"),
    ("a doubt joins unasked", "if request.attach and read_and_guard(", "if read_and_guard("),
    (
        "one read after a refusal is a START",
        "            record.watched = [runtime.now(), runtime.server_time()]\n        return _lost",
        "            record.started = True\n        return _lost",
    ),
)

REFUSAL = _core(
    "refusal",
    (
        "what says nothing is a refusal",
        "        Meaning.NO_PERMISSION,",
        "        Meaning.NO_PERMISSION,\n        Meaning.SAYS_NOTHING,",
    ),
    (
        "a failed service is a refusal",
        "        Meaning.NO_PERMISSION,",
        "        Meaning.NO_PERMISSION,\n        Meaning.SERVICE_FAILED,",
    ),
    ("a 5xx is a refusal", "in _REFUSALS and not server_failed", "in _REFUSALS"),
    ("a wrong state is no repeat", "Meaning.BUSY, Meaning.WRONG_STATE})", "Meaning.BUSY})"),
    ("no permission is asked again", "_ASKED_AGAIN = frozenset({", "_ASKED_AGAIN = frozenset({Meaning.NO_PERMISSION, "),
    ("START may come late, but not so late", "READ_ON_FOR = 10.0", "READ_ON_FOR = 5.0"),
)

GUARDS = _core(
    "guards",
    (
        "an unknown lag fits",
        "fits = lag is not None and (max_lag is None or lag <= max_lag)",
        "fits = max_lag is None or (lag or 0.0) <= max_lag",
    ),
    ("a job with an error is healthy", "status == HEALTHY and not problem, found", "status == HEALTHY, found"),
    (
        "an unknown status is quiet",
        "not in (SwitchoverState.RUNNING, SwitchoverState.UNKNOWN)",
        "is not SwitchoverState.RUNNING",
    ),
)

STATUS = _core(
    "status",
    (
        "complete beside an error is complete",
        "contradicts = bool(error_code) and switchover_state(status) is SwitchoverState.DONE",
        "contradicts = False",
    ),
    (
        "an unknown status is none",
        "_MEANINGS.get(status, SwitchoverState.UNKNOWN)",
        "_MEANINGS.get(status, SwitchoverState.NOT_BEGUN)",
    ),
)

SAME_RUN = _core(
    "same_run",
    (
        "the clock orders the switchovers of a run",
        'return evidence.get("order") or 0, when(evidence)',
        "return 0, when(evidence)",
    ),
    ("what nobody knows comes first", 'return math.inf, ""', 'return -1, ""'),
    ("a task looks at itself", "if _task_of(other) != task)", ")"),
    ("its numbers begin anew", "numbers = [own, *", "numbers = [0, *"),
    (
        "what was not asked has a number",
        "saved.order - (saved.phase in (Phase.BEGUN, Phase.READ))",
        "saved.order",
    ),
)

WITNESS = _core(
    "witness",
    ("one look at the address is enough", "alike = look.side is last.side", "alike = True"),
    ("looks come at once", "        runtime.sleep(CONFIRM_AFTER)\n        look", "        look"),
    ("two looks that differ are the last", "    if alike:\n        return look\n", "    return look\n"),
    ("the side before ends the looking", "ENDS_AT_END = frozenset({Side.AFTER})", "ENDS_AT_END = frozenset(Side)"),
    ("traffic there already is no reason to stop", '"traffic is at {value} already"', "None"),
    ("silence is where traffic is to be", 'Side.NOBODY: "{look}"', "Side.NOBODY: None"),
    (
        "DRS has the last word",
        "(Outcome.DONE, Side.BEFORE): (Step.DISPUTE, _MOVED_NOT)",
        '(Outcome.DONE, Side.BEFORE): (Step.COMPLETE, "")',
    ),
    (
        "silence bears DRS out",
        "(Outcome.DONE, Side.NOBODY): (Step.DISPUTE, _MOVED_NOT)",
        '(Outcome.DONE, Side.NOBODY): (Step.COMPLETE, "")',
    ),
    (
        "silence bears a failure out",
        "(Outcome.FAILED, Side.NOBODY): (Step.DISPUTE, _FAILED_AND_SILENT)",
        '(Outcome.FAILED, Side.NOBODY): (Step.FAIL, "")',
    ),
    (
        "traffic that has not moved decides",
        "(Outcome.UNDECIDED, Side.BEFORE): (Step.GIVE_UP, _NOW)",
        "(Outcome.UNDECIDED, Side.BEFORE): (Step.FAIL, _NOW)",
    ),
    ("what the witness saw is not kept", '    record.tell("at_end", look.to_dict())\n', ""),
)

WAIT = _core(
    "wait",
    (
        "a second read is not waited for",
        "result: PollResult = KeepPolling(tuple(lines), CONFIRM_AFTER, stay=True)",
        "result: PollResult = KeepPolling(tuple(lines), self._delay(at))",
    ),
    ("another process begins anew", "        self.memory.progress = self.freshness.progress()\n", ""),
    (
        "it waits beyond its time",
        "        if self._late(at):\n            return self._too_late(lines, at, f",
        "        if False:\n            return self._too_late(lines, at, f",
    ),
    ("START may be missed", "delay = min(delay, FAST_POLL)", "pass"),
    (
        "a status of another job counts",
        "if self.verify_job_id and is_about_another_job(reply, self.job_id):",
        "if False:",
    ),
)

AROUND = [
    Mutant(
        "the evidence of an intent may be missing",
        TASK_STATE,
        "if record.phase is protocol.Phase.INTENDED:",
        "if False:",
        (NAMED,),
    ),
    Mutant(
        "a doubt is saved",
        TASK_STATE,
        "if record.is_doubt:",
        "if False:",
        (NAMED,),
    ),
    Mutant(
        "what was not saved is left",
        TASK_STATE,
        "        self._save_what_is_not()\n        super().sleep",
        "        super().sleep",
        (NAMED,),
    ),
    Mutant(
        "a store that cannot be read had nothing in it",
        OPERATOR,
        "if not isinstance(error, protocol.DrsRecordError) and runtime.is_first_try:",
        "if not isinstance(error, protocol.DrsRecordError):",
        (NAMED,),
    ),
    Mutant(
        "a start that had left begins with nothing saved",
        TASK_STATE,
        "self.is_first_try = not self._began_before and (",
        "self.is_first_try = (",
        (RECORDS,),
    ),
    Mutant(
        "a further try that finds nothing leaves",
        f"{CORE}/switch.py",
        "    request = replace(request, leave_after=None)\n    if",
        "    if",
        (RECORDS,),
    ),
    Mutant("every try is the first", TASK_STATE, "self._ti.try_number <= 1", "True", (NAMED,)),
    Mutant(
        "other tasks of the run are not looked at",
        OPERATOR,
        "return runtime.until_certain(lambda: same_run(context, self.job_id, saved))",
        "return protocol.SameRun()",
        (NAMED,),
    ),
    Mutant(
        "what was joined is rolled back",
        RESULTS,
        'if evidence.get("attached"):\n        return False',
        "if False:\n        return False",
        (DECIDE,),
    ),
    Mutant(
        "a person's word is not asked for",
        RESULTS,
        'if found.by_person() or evidence.get("decided_by") == "person":',
        "if False:",
        (DECIDE,),
    ),
    Mutant(
        "an earlier switchover is rolled back",
        RESULTS,
        "    if later := found.later():\n        return False",
        "    if later := None:\n        return False",
        (DECIDE,),
    ),
    Mutant(
        "a rollback does not wait for the verification", RESULTS, "    if unfinished:\n", "    if False:\n", (DECIDE,)
    ),
    Mutant(
        "what never left is rolled back",
        RESULTS,
        '    return look.get("side") == protocol.Side.BEFORE',
        "    return False",
        (DECIDE,),
    ),
    Mutant("no evidence is no switchover", RESULTS, "    if state in NEVER_STARTED:\n", "    if True:\n", (DECIDE,)),
]

MUTANTS = [
    *FRESHNESS,
    *CLOCKS,
    *PHASES,
    *RECORD,
    *SWITCH,
    *REFUSAL,
    *GUARDS,
    *STATUS,
    *SAME_RUN,
    *WITNESS,
    *WAIT,
    *AROUND,
]
