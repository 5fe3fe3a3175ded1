"""The command ``drs-simulator``."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from airflow_provider_drs.simulator.drs.contradictions import Contradiction
from airflow_provider_drs.simulator.drs.reading import Reading
from airflow_provider_drs.simulator.faults import FAULT_NAMES, PlannedFault
from airflow_provider_drs.simulator.jobs import Job
from airflow_provider_drs.simulator.server import Simulator
from airflow_provider_drs.simulator.serving.certificates import MissingTrustmeError, is_loopback
from airflow_provider_drs.simulator.serving.signals import ended_by_signal
from airflow_provider_drs.simulator.short_form import values_of
from airflow_provider_drs.simulator.vips import Vip

_PROGRAM = "drs-simulator"
_BAD_INPUT = 2
#: What IAM knows: parameters of the Simulator, and options.
_ACCOUNT = (
    *("user", "password", "domain", "project_name", "project_id"),
    *("totp_secret", "access_key", "secret_key", "security_token"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT.

    :param argv: the arguments, default those of the process
    :return: 0, or 2 with one line on standard error when it cannot be started as asked
    """
    arguments = _parser().parse_args(argv)
    try:
        jobs, faults = list(arguments.job), list(arguments.fault)
        for path in arguments.jobs:
            more_jobs, more_faults = _read_file(path)
            jobs += more_jobs
            faults += more_faults
        with _directory(arguments.directory) as directory:
            return _serve(arguments, directory, jobs, faults)
    except (ValueError, OSError, MissingTrustmeError) as error:
        print(f"{_PROGRAM}: {_explain(error, arguments)}", file=sys.stderr)
        return _BAD_INPUT


def _serve(arguments: argparse.Namespace, directory: Path, jobs: list[Job], faults: list[PlannedFault]) -> int:
    simulator = Simulator(
        tls=not arguments.no_tls,
        host=arguments.host,
        port=arguments.port,
        directory=directory,
        token_lifetime=arguments.token_lifetime,
        iam=arguments.iam,
        iam_verify=arguments.iam_ca,
        language=arguments.language,
        jobs=jobs,
        contradictions=arguments.contradiction,
        vips=arguments.vip,
        reading=arguments.reading,
        **{name: getattr(arguments, name) for name in _ACCOUNT if getattr(arguments, name) is not None},
    )
    for planned in faults:
        simulator.fault(planned.call, planned.fault, planned.times)
    if not is_loopback(arguments.host):
        print(
            f"{_PROGRAM}: warning: {arguments.host or 'every address'} can be reached from other machines; "
            "the password is no secret",
            file=sys.stderr,
        )
    with ended_by_signal() as ended, simulator:
        shown = simulator.connection(console_url=f"{simulator.url}/?job={{job_id}}")
        connection = json.dumps(shown)
        _write_private(directory / "connection.json", connection + "\n")
        if arguments.ready_file:
            ready = {
                "url": simulator.url,
                "auth_url": simulator.auth_url,
                "ca_file": simulator.ca_file,
                "project_id": simulator.project_id,
                "connection": shown,
                "pid": os.getpid(),
            }
            _write_private(Path(arguments.ready_file), json.dumps(ready) + "\n")
        print(f"DRS      {simulator.url}")
        print(f"IAM      {simulator.auth_url}")
        print(f"Page     {simulator.url}/")
        if simulator.ca_file:
            print(f"CA file  {simulator.ca_file}")
        for vip in simulator.vips:
            print(f"VIP      127.0.0.1:{vip.port}")
        print(f"export AIRFLOW_CONN_DRS_DEFAULT={shlex.quote(connection)}", flush=True)
        ended.wait()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
        description="IAM and DRS, simulated on one port. Ends at SIGTERM or SIGINT.",
        epilog=f"Faults: {', '.join(FAULT_NAMES)}.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to bind to (default: %(default)s)")
    parser.add_argument("--port", type=_port, default=0, help="0 takes a free one (default)")
    parser.add_argument("--no-tls", action="store_true", help="serve http")
    parser.add_argument("--directory", help="for ca.pem, server.pem and connection.json (default: a temporary one)")
    parser.add_argument("--job", action="append", default=[], type=_job, metavar="ID[,KEY=VALUE...]",
                        help="a job; the keys and values are those of --jobs")  # fmt: skip
    parser.add_argument("--jobs", action="append", default=[], metavar="FILE",
                        help='JSON: a list of jobs, or {"jobs": [...], "faults": [...]}')  # fmt: skip
    parser.add_argument("--fault", action="append", default=[], type=_fault, metavar="CALL,NAME[,KEY=VALUE...]",
                        help="let a call go wrong, with times=2 twice, with times=null for ever")  # fmt: skip
    parser.add_argument("--contradiction", action="append", default=[], choices=list(Contradiction),
                        help="where to read the documentation of DRS the other way; may be given often")  # fmt: skip
    parser.add_argument("--vip", action="append", default=[], type=_vip, metavar="PORT=SOURCE,TARGET[,KEY=VALUE...]",
                        help="a port of loopback that leads to SOURCE (HOST:PORT) until a switchover moves it to "
                        "TARGET, with moves=never although DRS says COMPLETE; 0 takes a free one")  # fmt: skip
    parser.add_argument("--reading", default=Reading.NAMED, choices=list(Reading),
                        help="which database is taken to serve after a mode (default: %(default)s)")  # fmt: skip
    parser.add_argument("--iam", metavar="URL", help="validate tokens against this Keystone (address up to /v3)")
    parser.add_argument("--iam-ca", metavar="FILE", help="certificates to trust when asking it")
    parser.add_argument("--token-lifetime", type=float, default=86400, metavar="SECONDS", help="default: a day")
    parser.add_argument("--language", choices=("en-us", "zh-cn"), default="en-us", help="of error texts")
    for name in _ACCOUNT:
        parser.add_argument(f"--{name.replace('_', '-')}", help="default: the demo's")
    parser.add_argument("--ready-file", metavar="FILE", help="JSON with the addresses, written once it serves")
    return parser


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to 65535, not {text}")
    return port


def _job(text: str) -> Job:
    try:
        return Job.from_dict(values_of(text, "job_id"))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _vip(text: str) -> Vip:
    try:
        port, _, places = text.partition("=")
        if not port.isdecimal():
            raise ValueError(f"it begins with PORT=SOURCE,TARGET, not {text!r}")
        return Vip.from_dict({"port": int(port), **values_of(places, "source", "target")})
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _fault(text: str) -> PlannedFault:
    try:
        return PlannedFault.from_dict(values_of(text, "call", "name"))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _read_file(path: str) -> tuple[list[Job], list[PlannedFault]]:
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        parts = {"jobs": content} if isinstance(content, list) else content
        if not isinstance(parts, dict) or not set(parts) <= {"jobs", "faults"}:
            raise ValueError('neither a list of jobs nor {"jobs": [...], "faults": [...]}')
        jobs, faults = parts.get("jobs", []), parts.get("faults", [])
        if not all(isinstance(item, dict) for item in [*jobs, *faults]):
            raise ValueError("jobs and faults are lists of objects")
        return [Job.from_dict(job) for job in jobs], [PlannedFault.from_dict(fault) for fault in faults]
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from None


@contextlib.contextmanager
def _directory(wanted: str | None) -> Iterator[Path]:
    if wanted is None:
        with tempfile.TemporaryDirectory(prefix="drs-simulator-") as made:
            yield Path(made)
    else:
        Path(wanted).mkdir(parents=True, exist_ok=True)
        yield Path(wanted).absolute()


def _write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read. It appears complete or not at all."""
    unfinished = path.with_name(path.name + ".new")
    unfinished.touch(mode=0o600)
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


def _explain(error: Exception, arguments: argparse.Namespace) -> str:
    if isinstance(error, OSError) and error.filename is None:
        return f"cannot serve at {arguments.host}:{arguments.port}: {error.strerror or error}"
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}"
    return str(error)


if __name__ == "__main__":
    sys.exit(main())
