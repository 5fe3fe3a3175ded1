"""Both clients, against every fault of DRS and of IAM: the same replies, the same errors, the same requests."""

from __future__ import annotations

import gzip
import socket
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
import trustme

from airflow_provider_drs.clients.sync_client import LONGEST_BODY
from airflow_provider_drs.clients.tls import ssl_context
from airflow_provider_drs.protocol.answers import SwitchoverReply
from airflow_provider_drs.protocol.calls import get_switchover_status, list_one_job
from airflow_provider_drs.protocol.errors import (
    DrsBusyError,
    DrsConfigError,
    DrsCredentialsError,
    DrsError,
    DrsGarbledAnswerError,
    DrsJobNotFoundError,
    DrsPermissionError,
    DrsRedirectError,
    DrsRequestError,
    DrsServerError,
    DrsThrottledError,
    DrsTlsError,
    DrsTokenRefusedError,
    DrsUnreachableError,
)
from airflow_provider_drs.simulator import Fault, Simulator

from .helpers import (
    JOB_ID,
    STATUS,
    Connect,
    counting_connections_to,
    dripping,
    serving,
    settings_of,
    speaking_tls,
    with_own_token,
)

STARTED = SwitchoverReply(JOB_ID, "SWITCH_VIP_START")
ASK = get_switchover_status(JOB_ID)

TOO_LONG = b" " * (LONGEST_BODY + 1)
PACKED = {"Content-Encoding": "gzip"}

# Read alike from DRS and from IAM.
TROUBLE = [
    pytest.param(Fault.too_many(7), DrsThrottledError, "HTTP 429", id="429"),
    pytest.param(Fault.status(500), DrsServerError, "HTTP 500", id="500"),
    pytest.param(Fault.status(502), DrsServerError, "HTTP 502", id="502"),
    pytest.param(Fault.status(503), DrsServerError, "HTTP 503", id="503"),
    pytest.param(Fault.status(504), DrsServerError, "HTTP 504", id="504"),
    pytest.param(Fault.html(502), DrsServerError, "an HTML page", id="html-502"),
    pytest.param(Fault.html(), DrsGarbledAnswerError, "", id="html"),
    pytest.param(Fault.wrong_json(), DrsGarbledAnswerError, "", id="wrong-json"),
    pytest.param(Fault.empty(), DrsGarbledAnswerError, "", id="empty"),
    pytest.param(Fault.json(["a"]), DrsGarbledAnswerError, "", id="list"),
    pytest.param(Fault.raw(b"\xff\x00"), DrsGarbledAnswerError, "", id="bytes"),
    pytest.param(Fault.raw(b"{}", headers=PACKED), DrsUnreachableError, "", id="not-gzip"),
    pytest.param(Fault.reset(), DrsUnreachableError, "cut the connection", id="reset"),
    pytest.param(Fault.lost(), DrsUnreachableError, "cut the connection", id="lost"),
    pytest.param(Fault.cut(), DrsUnreachableError, "cut its answer short", id="cut"),
]

DRS_ANSWERS = [
    *TROUBLE,
    pytest.param(Fault.raw(TOO_LONG), DrsGarbledAnswerError, "more than", id="too-long"),
    pytest.param(Fault.raw(gzip.compress(TOO_LONG), headers=PACKED), DrsGarbledAnswerError, "more than", id="bomb"),
    pytest.param(Fault.status(400, "DRS.M01503"), DrsThrottledError, "DRS.M01503", id="M01503"),
    pytest.param(Fault.status(202, "DRS.M01504"), DrsBusyError, "DRS.M01504", id="M01504"),
    pytest.param(Fault.status(500, "DRS.M00004"), DrsServerError, "DRS.M00004", id="M00004"),
    pytest.param(Fault.no_permission(), DrsPermissionError, "DRS.M00103", id="no-permission"),
    pytest.param(Fault.status(403, "DRS.M00102"), DrsPermissionError, "DRS.M00102", id="M00102"),
    pytest.param(Fault.status(403, "DRS.M00261"), DrsPermissionError, "DRS.M00261", id="M00261"),
    pytest.param(Fault.status(404, "DRS.M05003"), DrsJobNotFoundError, "DRS.M05003", id="M05003"),
    pytest.param(Fault.status(400, "DRS.M00202", "mode"), DrsRequestError, "DRS.M00202: mode", id="M00202"),
]

IAM_ANSWERS = [
    *TROUBLE,
    pytest.param(Fault.plain_401(), DrsCredentialsError, "IAM refuses the log-in", id="401"),
    pytest.param(Fault.status(403), DrsCredentialsError, "IAM refuses the log-in", id="403"),
    pytest.param(Fault.status(400), DrsCredentialsError, "IAM refuses the log-in", id="400"),
    pytest.param(Fault.status(404), DrsConfigError, "'auth_url' does not lead to an IAM", id="404"),
    pytest.param(Fault.json({"token": {}}, 201), DrsGarbledAnswerError, "", id="no-token-header"),
    pytest.param(Fault.raw(b"{}", 201, {"X-Subject-Token": "t"}), DrsGarbledAnswerError, "", id="no-token-body"),
    pytest.param(
        Fault.raw(
            b'{"token": {"expires_at": "2999-01-01T00:00:00.000000Z", "user": {"id": "u"}}}',
            201,
            {"X-Subject-Token": "t"},
        ),
        DrsConfigError,
        "set 'project_name' or 'project_id'",
        id="no-project",
    ),
    pytest.param(
        Fault.raw(b'{"token": {"project": {"id": "p"}}}', 201, {"X-Subject-Token": "t"}),
        DrsGarbledAnswerError,
        "",
        id="no-expiry",
    ),
    pytest.param(
        Fault.raw(b'{"token": {"project": {"id": "p"}, "expires_at": "soon"}}', 201, {"X-Subject-Token": "t"}),
        DrsGarbledAnswerError,
        "",
        id="odd-expiry",
    ),
]


def refused(connect: Connect, settings: Any, call: Any = ASK) -> DrsError:
    with pytest.raises(DrsError) as caught:
        connect(settings).call(call)
    return caught.value


def test_a_call_gives_the_reply(simulator: Simulator, connect: Connect) -> None:
    client = connect(settings_of(simulator, language="zh-cn"))
    assert client.call(ASK) == STARTED
    assert client.call(list_one_job()) == 1
    sent = simulator.calls(STATUS)[0]
    assert sent.path == f"/v3/{simulator.project_id}/jobs/{JOB_ID}/get-switch-vip-status"
    assert sent.headers["x-language"] == "zh-cn"


def test_no_switchover_yet_is_a_reply_without_status(simulator: Simulator, connect: Connect) -> None:
    simulator.fault(STATUS, Fault.status(422, "DRS.M00002"))
    assert connect(settings_of(simulator)).call(ASK) == SwitchoverReply(None, None)


@pytest.mark.parametrize(("fault", "kind", "text"), DRS_ANSWERS)
def test_faults_of_drs(simulator: Simulator, connect: Connect, fault: Fault, kind: type[DrsError], text: str) -> None:
    simulator.fault(STATUS, fault, times=None)
    error = refused(connect, settings_of(simulator))
    assert type(error) is kind
    assert text in str(error)
    assert str(error).startswith(f"Connection 'drs_test', job '{JOB_ID}': DRS ")
    assert error.retry_after == (7 if fault.name == "too_many" else None)
    assert len(simulator.calls("tokens")) == 1


@pytest.mark.parametrize(("fault", "kind", "text"), IAM_ANSWERS)
def test_faults_of_iam(simulator: Simulator, connect: Connect, fault: Fault, kind: type[DrsError], text: str) -> None:
    simulator.fault("tokens", fault, times=None)
    client = connect(settings_of(simulator))
    with pytest.raises(DrsError) as caught:
        client.call(ASK)
    assert type(caught.value) is kind
    assert text in str(caught.value)
    assert caught.value.retry_after == (7 if fault.name == "too_many" else None)
    assert len(simulator.calls("tokens")) == 1
    assert simulator.calls(STATUS) == []

    simulator.clear_faults()
    assert client.call(ASK) == STARTED


@pytest.mark.parametrize("call", ["tokens", STATUS])
def test_an_answer_later_than_the_timeout(simulator: Simulator, connect: Connect, call: str) -> None:
    simulator.fault(call, Fault.slow(60))
    begun = time.monotonic()
    error = refused(connect, settings_of(simulator, timeout=1))
    assert type(error) is DrsUnreachableError
    assert "did not answer in time" in str(error)
    assert 1 <= time.monotonic() - begun < 20


@pytest.mark.parametrize("code", [300, 301, 302, 303, 307, 308])
@pytest.mark.parametrize("call", ["tokens", STATUS, "list-jobs"])
def test_redirects_are_not_followed(
    simulator: Simulator, elsewhere: Simulator, connect: Connect, call: str, code: int
) -> None:
    simulator.fault(call, Fault.redirect(f"{elsewhere.url}/v3/taken?what=ever", code), times=None)
    error = refused(connect, settings_of(simulator), list_one_job() if call == "list-jobs" else ASK)
    assert type(error) is DrsRedirectError
    assert f" to {elsewhere.url}/v3/taken, which is not followed" in str(error)
    assert len(simulator.calls(call)) == 1


@pytest.mark.parametrize("call", ["tokens", STATUS])
def test_a_redirect_to_nowhere(simulator: Simulator, connect: Connect, call: str) -> None:
    simulator.fault(call, Fault.status(302))
    assert type(refused(connect, settings_of(simulator))) is DrsRedirectError


# Refused tokens


@pytest.mark.parametrize("fault", [Fault.expired_token(), Fault.plain_401()], ids=["M00100", "401"])
@pytest.mark.parametrize(("call", "name"), [(ASK, STATUS), (list_one_job(), "list-jobs")], ids=["get", "post"])
def test_a_refused_token_is_replaced_once_and_the_same_call_made_again(
    simulator: Simulator, connect: Connect, fault: Fault, call: Any, name: str
) -> None:
    client = connect(settings_of(simulator))
    client.call(call)
    simulator.fault(name, fault)
    client.call(call)
    before, refusal, again = simulator.calls(name)
    assert (refusal.method, refusal.path, refusal.body) == (again.method, again.path, again.body)
    assert before.token_id == refusal.token_id != again.token_id
    assert len(simulator.calls("tokens")) == 2
    client.call(call)
    assert simulator.calls(name)[-1].token_id == again.token_id


@pytest.mark.parametrize("fault", [Fault.expired_token(), Fault.plain_401()], ids=["M00100", "401"])
def test_a_token_refused_twice_is_an_error(simulator: Simulator, connect: Connect, fault: Fault) -> None:
    simulator.fault(STATUS, fault, times=2)
    client = connect(settings_of(simulator))
    with pytest.raises(DrsTokenRefusedError, match="A new token did not help"):
        client.call(ASK)
    assert [len(simulator.calls(name)) for name in ("tokens", STATUS)] == [2, 2]
    assert client.call(ASK) == STARTED


def test_trouble_after_a_refused_token_is_that_trouble(simulator: Simulator, connect: Connect) -> None:
    client = connect(settings_of(simulator))
    client.call(ASK)
    simulator.fault(STATUS, Fault.expired_token())
    simulator.fault("tokens", Fault.status(503))
    with pytest.raises(DrsServerError, match="IAM answered"):
        client.call(ASK)
    assert client.call(ASK) == STARTED


# No connection


def closed_port() -> socket.socket:
    """Return a socket that is bound and does not listen: nobody else gets its port, and it refuses."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    return taken


def test_a_port_that_refuses(simulator: Simulator, connect: Connect) -> None:
    with closed_port() as taken:
        address = f"https://127.0.0.1:{taken.getsockname()[1]}"
        for settings in (with_own_token(simulator, host=address), settings_of(simulator, auth_url=address)):
            error = refused(connect, settings)
            assert type(error) is DrsUnreachableError
            assert address in str(error)
            assert "refused the connection" in str(error)


def test_a_host_that_does_not_exist(simulator: Simulator, connect: Connect) -> None:
    address = "https://something.invalid"
    for settings in (with_own_token(simulator, host=address), settings_of(simulator, auth_url=address)):
        error = refused(connect, settings)
        assert type(error) is DrsUnreachableError
        assert "unknown host" in str(error)


@pytest.mark.parametrize("iam", [False, True], ids=["drs", "iam"])
class TestTls:
    def settings(self, iam: bool, simulator: Simulator, address: str | None = None, **overrides: Any) -> Any:
        if iam:
            return settings_of(simulator, **({"auth_url": address} if address else {}), **overrides)
        return with_own_token(simulator, **({"host": address} if address else {}), **overrides)

    def test_a_certificate_of_an_unknown_authority(self, simulator: Simulator, connect: Connect, iam: bool) -> None:
        error = refused(connect, self.settings(iam, simulator, verify=True))
        assert type(error) is DrsTlsError
        assert "does not verify: unable to get local issuer certificate" in str(error)
        assert "Set 'verify'" in str(error)
        assert simulator.journal == []

    @pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
    def test_no_verification_if_told_so(self, simulator: Simulator, connect: Connect, iam: bool) -> None:
        settings = self.settings(iam, simulator, verify=False)
        if iam:
            assert connect(settings).call(ASK) == STARTED
        else:  # a made-up token: that DRS looks at it is enough
            assert type(refused(connect, settings)) is DrsCredentialsError

    def test_a_certificate_for_another_host(
        self, simulator: Simulator, connect: Connect, iam: bool, tmp_path: Path
    ) -> None:
        authority, ca_file = trustme.CA(), tmp_path / "ca.pem"
        authority.cert_pem.write_to_path(ca_file)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("drs.example").configure_cert(context)
        with speaking_tls(context) as server:
            address = f"https://127.0.0.1:{server.port}"
            error = refused(connect, self.settings(iam, simulator, address, verify=str(ca_file)))
        assert type(error) is DrsTlsError
        assert "does not verify" in str(error)
        assert "127.0.0.1" in str(error)

    def test_a_server_that_does_not_speak_tls(
        self, simulator: Simulator, elsewhere: Simulator, connect: Connect, iam: bool
    ) -> None:
        error = refused(connect, self.settings(iam, simulator, f"https://127.0.0.1:{elsewhere.port}"))
        assert type(error) is DrsTlsError
        assert "does not speak TLS" in str(error)

    def test_a_ca_file_that_is_not_there(
        self, simulator: Simulator, connect: Connect, iam: bool, tmp_path: Path
    ) -> None:
        missing = str(tmp_path / "missing.pem")
        error = refused(connect, self.settings(iam, simulator, verify=missing))
        assert type(error) is DrsConfigError
        assert missing in str(error)

    @pytest.mark.parametrize("content", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nx\n"])
    def test_a_ca_file_without_a_certificate(
        self, simulator: Simulator, connect: Connect, iam: bool, tmp_path: Path, content: str
    ) -> None:
        (tmp_path / "ca.pem").write_text(content)
        error = refused(connect, self.settings(iam, simulator, verify=str(tmp_path / "ca.pem")))
        assert type(error) is DrsConfigError
        assert "'verify' names a CA file that cannot be used" in str(error)


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_authorities_of_the_environment_are_trusted(
    simulator: Simulator, connect: Connect, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, str(simulator.ca_file))
    ssl_context.cache_clear()  # made once per process, in another environment
    try:
        assert connect(settings_of(simulator, verify=True)).call(ASK) == STARTED
    finally:
        ssl_context.cache_clear()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    ("head", "drop"),
    [
        pytest.param(HEAD + b"Content-Length: 100000\r\n\r\n", b" ", id="body"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n", id="chunks"),
        pytest.param(HEAD + b"\r\n", b" ", id="to-the-end-of-the-connection"),
    ],
)
def test_an_answer_that_comes_drop_by_drop_ends_in_time(
    simulator: Simulator, connect: Connect, head: bytes, drop: bytes
) -> None:
    with dripping(head, drop, every=0.2) as server:
        begun = time.monotonic()
        error = refused(connect, with_own_token(simulator, host=server.url, timeout=1))
        assert time.monotonic() - begun < 10
    assert type(error) is DrsUnreachableError
    assert "did not answer in time" in str(error)


# Connections


def test_many_calls_over_one_connection(simulator: Simulator, connect: Connect) -> None:
    with counting_connections_to(simulator.port) as between:
        client = connect(settings_of(simulator, host=f"https://127.0.0.1:{between.port}"))
        for _ in range(20):
            assert client.call(ASK) == STARTED
        assert between.connections == 1


@pytest.mark.parametrize("fault", [Fault.status(503), Fault.html(502), Fault.no_permission()])
def test_an_error_answer_keeps_the_connection(simulator: Simulator, connect: Connect, fault: Fault) -> None:
    simulator.fault(STATUS, fault, times=5)
    with counting_connections_to(simulator.port) as between:
        client = connect(settings_of(simulator, host=f"https://127.0.0.1:{between.port}"))
        for _ in range(5):
            with pytest.raises(DrsError):
                client.call(ASK)
        assert client.call(ASK) == STARTED
        assert between.connections == 1


def test_a_connection_that_was_closed_meanwhile_is_made_anew(simulator: Simulator, connect: Connect) -> None:
    client = connect(settings_of(simulator))
    for _ in range(3):
        assert client.call(ASK) == STARTED
        assert client.call(list_one_job()) == 1
        with simulator.down(), pytest.raises(DrsUnreachableError):
            client.call(ASK)


def test_a_post_whose_answer_was_lost_is_not_sent_again(simulator: Simulator, connect: Connect) -> None:
    client = connect(settings_of(simulator))
    client.call(list_one_job())
    simulator.fault("list-jobs", Fault.lost())
    with pytest.raises(DrsUnreachableError):
        client.call(list_one_job())
    assert len(simulator.calls("list-jobs")) == 2


# The environment


def test_a_proxy_is_not_used_for_a_host_that_the_environment_excepts(
    simulator: Simulator, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(lambda client, server: None) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert connect(settings_of(simulator)).call(ASK) == STARTED
        assert proxy.connections == 0


@pytest.mark.parametrize("iam", [False, True], ids=["drs", "iam"])
def test_a_proxy_of_the_environment_is_used(
    simulator: Simulator, connect: Connect, monkeypatch: pytest.MonkeyPatch, iam: bool
) -> None:
    heard = []

    def hear(client: socket.socket, _: object) -> None:
        heard.append(client.recv(65536))

    with serving(hear) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("//", "//who:proxy-password@"))
        error = refused(connect, settings_of(simulator) if iam else with_own_token(simulator))
    assert type(error) is DrsUnreachableError
    assert "proxy-password" not in str(error)
    assert heard[0].startswith(f"CONNECT 127.0.0.1:{simulator.port} HTTP/1.".encode())
    assert b"\r\nProxy-Authorization: Basic " in heard[0]
    assert simulator.journal == []


def test_the_netrc_file_goes_nowhere(
    simulator: Simulator, connect: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password something\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    connect(settings_of(simulator)).call(ASK)
    assert [e.call for e in simulator.journal if "authorization" in e.headers] == []
