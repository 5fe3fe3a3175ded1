from __future__ import annotations

import contextlib
import json
import shlex
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from airflow_provider_drs.simulator.__main__ import main

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-W", "error", "-m", "airflow_provider_drs.simulator"]


@contextlib.contextmanager
def running(*arguments: str, end: int = signal.SIGTERM) -> Iterator[dict[str, str]]:
    """Run the command; gives what it printed before it served, and checks that it ends cleanly."""
    pipe = subprocess.PIPE
    with subprocess.Popen([*COMMAND, *arguments], stdout=pipe, stderr=pipe, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            printed = {}
            for line in process.stdout:  # the export line is the last one and says that it serves
                if line.startswith("export "):
                    name, _, value = shlex.split(line)[1].partition("=")
                    printed[name] = value
                    break
                key, _, value = line.strip().rpartition("  ")
                printed[key.strip()] = value
            else:
                pytest.fail(process.stderr.read())
            yield printed
            process.send_signal(end)
            assert process.wait(20) == 0
            printed["stderr"] = process.stderr.read()
        finally:
            process.kill()


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_how_to_reach_it_and_ends_at_a_signal(tmp_path: Path, end: int) -> None:
    directory, ready_file = tmp_path / "made", tmp_path / "ready.json"
    with running(
        *("--directory", str(directory), "--ready-file", str(ready_file), "--password", "it's"),
        *("--job", 'j1,status_script=[null, "ODD"],error_code=E1,error_msg=no, not now', "--token-lifetime", "60"),
        *("--fault", "get-switch-vip-status,too_many,retry_after=3", "--contradiction", "success_code"),
        end=end,
    ) as printed:
        connection = json.loads(printed["AIRFLOW_CONN_DRS_DEFAULT"])
        assert connection == json.loads((directory / "connection.json").read_text())
        assert connection["password"] == "it's"
        ready = json.loads(ready_file.read_text())
        assert ready["connection"] == connection
        assert ready["url"] == printed["DRS"] == connection["host"]
        assert ready["auth_url"] == printed["IAM"]
        assert ready["ca_file"] == printed["CA file"] == str(directory / "ca.pem")
        for private in (directory / "connection.json", directory / "server.pem", ready_file):
            assert stat.S_IMODE(private.stat().st_mode) == 0o600
        with requests.Session() as session:
            session.trust_env, session.verify = False, printed["CA file"]
            user = {"name": connection["login"], "password": "it's", "domain": {"name": "OTC-DEMO"}}
            scope = {"project": {"name": connection["extra"]["project_name"]}}
            identity = {"methods": ["password"], "password": {"user": user}}
            log_in = {"auth": {"identity": identity, "scope": scope}}
            token = session.post(f"{printed['IAM']}/auth/tokens", json=log_in, timeout=10).headers["X-Subject-Token"]
            address = f"{printed['DRS']}/v3/{ready['project_id']}/jobs/j1/get-switch-vip-status"
            responses = [session.get(address, headers={"X-Auth-Token": token}, timeout=10) for _ in range(3)]
        assert [response.status_code for response in responses] == [429, 202, 202]
        assert responses[1].json() == {"id": "j1", "status": None}
        assert responses[2].json() == {"id": "j1", "status": "ODD", "error_code": "E1", "error_msg": "no, not now"}
    assert printed["stderr"] == ""


def test_jobs_and_faults_come_from_a_file_and_other_addresses_are_warned_of(tmp_path: Path) -> None:
    content = {"jobs": [{"job_id": "a"}], "faults": [{"call": "*", "name": "html", "code": 502}]}
    file = tmp_path / "jobs.json"
    file.write_text(json.dumps(content))
    vip = "0=127.0.0.1:5432,5433,moves=never,silent=2.5"
    with (
        running("--no-tls", "--host", "0.0.0.0", "--jobs", str(file), "--vip", vip) as printed,
        requests.Session() as session,
    ):
        session.trust_env = False
        assert "CA file" not in printed
        assert printed["VIP"].startswith("127.0.0.1:")
        assert [job["job_id"] for job in session.get(f"{printed['DRS']}/_sim/jobs", timeout=10).json()["jobs"]] == ["a"]
        assert session.get(f"{printed['DRS']}/v3/p/jobs/a/get-switch-vip-status", timeout=10).status_code == 502
    assert "can be reached from other machines" in printed["stderr"]


def test_what_cannot_be_started_is_one_line_and_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        broken, odd = tmp_path / "broken.json", tmp_path / "odd.json"
        broken.write_text("{")
        odd.write_text('{"jobs": [{"job_id": "a", "colour": "red"}]}')
        for arguments, said in (
            (["--port", port], f"127.0.0.1:{port}"),
            (["--jobs", str(tmp_path / "none.json")], "none.json: No such file"),
            (["--jobs", str(broken)], "broken.json: "),
            (["--jobs", str(odd)], "odd.json: a job has no colour"),
            (["--directory", str(broken)], "broken.json: "),
            (["--vip", f"{port}=5432,5433"], f"127.0.0.1:{port}: "),
            (["--iam", "https://127.0.0.1:9/v3", "--iam-ca", str(tmp_path / "none.pem")], "none.pem"),
        ):
            assert main(arguments) == 2
            printed = capsys.readouterr()
            assert said in printed.err
            assert printed.err.count("\n") == 1
            assert printed.out == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--port", "70000"],
        ["--job", "a,start_lasts=soon"],
        ["--job", "a,colour=red"],
        ["--job", "a,lag_series=5"],
        ["--contradiction", "nothing"],
        ["--reading", "both"],
        ["--job", "a,b"],
        ["--fault", "tokens,nothing"],
        ["--fault", "nothing,reset"],
        ["--vip", "5432"],
        ["--vip", "0=5432"],
        ["--vip", "0=5432,5433,moves=sometimes"],
    ],
)
def test_bad_arguments_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert f"argument {arguments[0]}" in capsys.readouterr().err
