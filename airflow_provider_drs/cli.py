"""The command ``airflow-drs`` (and ``airflow drs`` where Airflow lets a provider add commands). It only reads."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow_provider_drs import pages, protocol
from airflow_provider_drs.cutovers.rows import COLUMNS, markdown, matches

if TYPE_CHECKING:
    from airflow_provider_drs.hooks.drs import DrsHook

# The exit codes, for scripts.
OK, NOT_SO, USAGE, TROUBLE, PERSON = 0, 1, 2, 3, 4
FORMATS = ("table", "json", "yaml", "plain")
WATCH_EVERY = 5.0
# Columns; nothing is cut off where nobody looks at a screen.
WIDTH_OF_A_FILE = 1000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    :param arguments: the command line, default that of the process.
    :return: 0: as asked; 1: not so (not ready, failed, a check that does not hold); 2: wrong usage; 3: DRS, IAM or
        Airflow could not be asked; 4: a person must look (unknown or disputed).
    """
    options = parser().parse_args(arguments)
    return run(options)


def run(options: argparse.Namespace) -> int:
    """Run a command whose options are read; errors are one line on the error stream."""
    try:
        code: int = options.call(options)
    except protocol.DrsError as error:
        print(f"airflow-drs: {error}", file=sys.stderr)
        return TROUBLE
    except BrokenPipeError:
        return OK
    except KeyboardInterrupt:
        return 130
    return code


def parser(prog: str = "airflow-drs") -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    top = argparse.ArgumentParser(
        prog=prog, description="What DRS says of jobs, and what this Airflow knows of cutovers."
    )
    add_commands(top.add_subparsers(dest="command", required=True))
    return top


def add_commands(commands: Any) -> None:
    """Add the commands to ``argparse`` subparsers."""

    def command(name: str, call: Callable[[argparse.Namespace], int], text: str, *, asks_drs: bool = True) -> Any:
        one = commands.add_parser(name, help=text, description=text)
        one.add_argument("--output", "-o", choices=FORMATS, default="table", help="default: table")
        if asks_drs:
            one.add_argument("--conn-id", default="drs_default", help="the connection (default: drs_default)")
            one.add_argument("--project-id", help="instead of the connection's")
        one.set_defaults(call=call)
        return one

    status = command("status", _status, "The status of a job and of its switchover. Exit code 1: it failed.")
    status.add_argument("job")
    status.add_argument("--watch", action="store_true", help="until the switchover is over")
    status.add_argument(
        "--interval", type=_positive, default=WATCH_EVERY, help="seconds between two reads (default: 5)"
    )
    listed = command("jobs", _jobs, "The jobs of the project. What they are for and their engine can be chosen.")
    listed.add_argument("--use", choices=protocol.USES, help="default: all three")
    listed.add_argument("--engine", help="such as postgresql (default: DRS's own, mysql at Open Telekom Cloud)")
    ready = command("ready", _ready, "Whether jobs could be switched now. Exit code 1: not all.")
    ready.add_argument("job", nargs="+")
    ready.add_argument("--max-lag", type=_not_negative, default=0.0, help="seconds (default: 0)")
    planned = command(
        "plan", _plan, "The guards and the call of a switchover; nothing is switched. Exit code 1: a guard fails."
    )
    planned.add_argument("job")
    planned.add_argument("--mode", choices=("source", "target"), required=True)
    planned.add_argument("--max-lag", type=_not_negative, help="seconds (default: any lag that is known)")
    table = command(
        "cutovers", _cutovers, "All switchovers of this Airflow. Exit code 4: one needs a person.", asks_drs=False
    )
    table.add_argument("--outcome", help="an outcome, 'person' or 'running'")
    table.add_argument("--job", help="a part of the job's id")
    table.add_argument("--dag")
    table.add_argument("--since", help="ISO 8601, UTC")
    report = command(
        "report", _report, "A report in Markdown of the switchovers of one DAG run, for a ticket.", asks_drs=False
    )
    report.add_argument("dag")
    report.add_argument("run")
    doctor = command(
        "doctor", _doctor, "Checks connection, network, IAM, permissions, clock and settings. Exit code 1: one fails."
    )
    doctor.add_argument("--job", help="a job to read, which shows the permission to do so")
    docs = command("docs", _docs, "The pages of the documentation, or one of them.", asks_drs=False)
    docs.add_argument("page", nargs="?", help="such as runbook (default: the list of pages)")
    docs.add_argument("--section", help="only what is below the first heading with these words")


def airflow_commands() -> list[Any]:
    """Return ``airflow drs ...`` for Airflow's own command line: the same commands, options and exit codes."""
    from airflow.cli.cli_config import ActionCommand, Arg, GroupCommand  # Airflow calls this; it has them

    def action(name: str, one: argparse.ArgumentParser) -> Any:
        def call(options: argparse.Namespace) -> None:
            options.call = one.get_default("call")
            if code := run(options):
                raise SystemExit(code)

        return ActionCommand(
            name=name, help=one.description or "", func=call, args=[_arg(Arg, a) for a in one._actions[1:]]
        )

    commands = argparse.ArgumentParser(add_help=False).add_subparsers()
    add_commands(commands)
    subcommands = [action(name, one) for name, one in commands.choices.items()]
    return [GroupCommand(name="drs", help="Jobs and cutovers of DRS; reading only", subcommands=subcommands)]


def _arg(kind: Any, action: argparse.Action) -> Any:
    more: dict[str, Any] = {"help": action.help, "default": action.default}
    if not action.option_strings:
        return kind(flags=(action.dest,), nargs=action.nargs, help=action.help)
    if isinstance(action, argparse._StoreTrueAction):
        return kind(flags=tuple(action.option_strings), action="store_true", help=action.help)
    if action.required:
        more["required"] = True
    return kind(flags=tuple(action.option_strings), type=action.type, choices=action.choices, **more)


def _positive(text: str) -> float:
    number = _not_negative(text)
    if number <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not more than 0")
    return number


def _not_negative(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds") from None
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from 0 on")
    return number


def _hook(options: argparse.Namespace) -> DrsHook:
    from airflow_provider_drs.hooks.drs import DrsHook  # a command that only prints its help loads nothing

    return DrsHook(options.conn_id, options.project_id)


def show(rows: Sequence[dict[str, Any]], output: str) -> None:
    """Print rows as a table, JSON, YAML, or plain text: one row a line, values with tabs between."""
    if output == "json":
        print(json.dumps(list(rows), indent=2, default=str))
    elif output == "yaml":
        import yaml  # Airflow brings it, but not to every command

        print(yaml.safe_dump(json.loads(json.dumps(list(rows), default=str)), sort_keys=False), end="")
    elif output == "plain":
        for row in rows:
            print("\t".join(_text(value) for value in row.values()))
    else:
        rich = _rich()
        shown = rich.table.Table(*(rows[0] if rows else ["nothing"]))
        for row in rows:
            shown.add_row(*(rich.markup.escape(_text(value)) for value in row.values()))
        rich.console.Console(width=None if sys.stdout.isatty() else WIDTH_OF_A_FILE).print(shown)


def _rich() -> Any:
    from rich import console, markdown, markup, table  # Airflow brings it, but not to every command

    return SimpleNamespace(console=console, markdown=markdown, markup=markup, table=table)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return " ".join(str(value if not isinstance(value, (dict, list)) else json.dumps(value)).split())


def _status(options: argparse.Namespace) -> int:
    hook = _hook(options)
    last: dict[str, Any] | None = None
    while True:
        reply = hook.get_switchover_status(options.job)
        state = hook.get_job_statuses([options.job]).get(options.job)
        progress = hook.get_job_progress([options.job]).get(options.job)
        row = {
            "job_id": options.job,
            "switchover": reply.status,
            "job_status": state.status if state else None,
            "lag_seconds": progress.lag if progress else None,
            "error_code": reply.error_code or (state.error_code if state else None),
            "error_msg": reply.error_msg or (state.error_msg if state else None),
        }
        running = protocol.switchover_state(reply.status) is protocol.SwitchoverState.RUNNING
        if not options.watch:
            show([row], options.output)
            break
        if row != last:  # what did not change is told by the progress line only
            _end_progress()
            show([row], options.output)
            last = row
        if not running:
            break
        _progress(f"{time.strftime('%H:%M:%S')} switchover running, lag {_text(row['lag_seconds'])} s")
        time.sleep(options.interval)
    _end_progress()
    failed = protocol.switchover_state(reply.status) is protocol.SwitchoverState.FAILED
    return NOT_SO if failed else OK


def _progress(line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)


def _end_progress() -> None:
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _jobs(options: argparse.Namespace) -> int:
    hook = _hook(options)
    uses = [options.use] if options.use else protocol.USES
    show([{"use": use, **asdict(job)} for use in uses for job in hook.list_jobs(use, options.engine)], options.output)
    return OK


def _ready(options: argparse.Namespace) -> int:
    hook = _hook(options)
    job_ids = protocol.checked_job_ids(options.job)
    wanted = protocol.JobsCondition(tuple(job_ids), (protocol.HEALTHY,), needs_lag=True, max_lag=options.max_lag)
    states, progress = hook.get_job_statuses(job_ids), hook.get_job_progress(job_ids)
    rows = []
    for job_id in job_ids:
        state, moved = states.get(job_id), progress.get(job_id)
        unmet = wanted.unmet(state, moved) if state else "DRS does not list it"
        lag = moved.lag if moved else None
        rows.append({"job_id": job_id, "ready": not unmet, "lag_seconds": lag, "unmet": unmet or None})
    show(rows, options.output)
    return OK if all(row["ready"] for row in rows) else NOT_SO


def _plan(options: argparse.Namespace) -> int:
    hook = _hook(options)
    job = options.job
    call = protocol.switch_vip(job, options.mode)  # checks both; it is not sent
    found = protocol.guards(
        hook.get_job_statuses([job]).get(job),
        hook.get_job_progress([job]).get(job),
        hook.get_switchover_status(job),
        max_lag=options.max_lag,
        attach=False,
        at=time.time(),
    )
    rows = [guard.to_dict() for guard in found]
    show(rows, options.output)
    if options.output == "table":
        http = call.request(
            hook.settings.endpoint, protocol.Token("", hook.get_conn().project_id), hook.settings.language
        )
        print(f"The call would be: {http.method} {http.url} {json.dumps(dict(call.body or {}))}. Nothing was sent.")
    return OK if all(guard.ok for guard in found) else NOT_SO


def _rows(**limits: Any) -> list[dict[str, Any]]:
    # Airflow's models cost seconds.
    from airflow_provider_drs.cutovers.database import create_session, read_rows

    with create_session() as session:
        return read_rows(session, **limits)


def _cutovers(options: argparse.Namespace) -> int:
    found = [
        one
        for one in _rows(dag_id=options.dag)
        if matches(one, outcome=options.outcome, job_id=options.job, since=options.since)
    ]
    columns = _TABLE if options.output == "table" else COLUMNS
    show([{key: one[key] for key in columns} for one in found], options.output)
    return PERSON if any(one["needs_person"] for one in found) else OK


_TABLE = (
    "outcome",
    "needs_person",
    "job_id",
    "mode",
    "serves",
    "dag_id",
    "run_id",
    "posted_at",
    "approved_by",
    "error_code",
)


def _report(options: argparse.Namespace) -> int:
    rows = _rows(dag_id=options.dag, run_id=options.run)
    if options.output in ("table", "plain"):
        print(markdown(rows), end="")
    else:
        show(rows, options.output)
    return PERSON if any(one["needs_person"] for one in rows) else OK if rows else NOT_SO


def _doctor(options: argparse.Namespace) -> int:
    # What it checks needs Airflow's configuration, which is not loaded for the others.
    from airflow_provider_drs.cutovers.doctor import check

    rows = check(_hook(options), options.job)
    show(rows, options.output)
    return OK if all(row["ok"] is not False for row in rows) else NOT_SO


def _docs(options: argparse.Namespace) -> int:
    known = pages.pages()
    if options.page is None:
        titles = {name: path.read_text(encoding="utf-8").split("\n", 1)[0].lstrip("# ") for name, path in known.items()}
        show([{"page": name, "title": title} for name, title in titles.items()], options.output)
        return OK
    if options.page not in known:
        print(f"airflow-drs: no page {options.page!r}; there are {', '.join(known)}", file=sys.stderr)
        return USAGE
    text = known[options.page].read_text(encoding="utf-8")
    if options.section is not None:
        found = pages.section(text, options.section)
        if found is None:
            print(f"airflow-drs: the page has no heading with {options.section!r}", file=sys.stderr)
            return NOT_SO
        text = found
    if options.output == "table" and sys.stdout.isatty():
        _rich().console.Console().print(_rich().markdown.Markdown(text))
    else:
        print(text, end="")
    return OK


if __name__ == "__main__":
    sys.exit(main())
