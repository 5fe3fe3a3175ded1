"""Which certificates both clients trust, for DRS and for IAM, and what they say of those they do not."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trustme

from airflow_provider_drs.clients.transport import RECEIVE_BUFFER, decoded, probed_socket, ssl_context
from airflow_provider_drs.protocol.errors import (
    DrsAuthenticationError,
    DrsConfigError,
    DrsError,
    DrsInvalidResponseError,
    DrsTlsError,
)
from airflow_provider_drs.simulator import Simulator

from .helpers import (
    ASK,
    STARTED,
    Connect,
    refused,
    settings_of,
    speaking_tls,
    with_own_token,
)


@pytest.mark.parametrize("iam", [False, True], ids=["drs", "iam"])
class TestTls:
    def settings(self, iam: bool, simulator: Simulator, address: str | None = None, **overrides: Any) -> Any:
        if iam:
            return settings_of(simulator, **({"auth_url": address} if address else {}), **overrides)
        return with_own_token(simulator, **({"host": address} if address else {}), **overrides)

    def test_a_certificate_of_an_unknown_authority(self, simulator: Simulator, connect: Connect, iam: bool) -> None:
        error = refused(connect, self.settings(iam, simulator, verify=True))
        assert type(error) is DrsTlsError
        assert "does not verify" in str(error)
        assert "unable to get local issuer certificate" in str(error)
        assert "Set Verify TLS (verify)" in str(error)
        assert simulator.journal == []

    @pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
    def test_no_verification_if_told_so(self, simulator: Simulator, connect: Connect, iam: bool) -> None:
        settings = self.settings(iam, simulator, verify=False)
        if iam:
            assert connect(settings).call(ASK) == STARTED
        else:  # a made-up token: that DRS looks at it is enough
            assert type(refused(connect, settings)) is DrsAuthenticationError

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
        assert "Verify TLS (verify) names a CA file that cannot be used" in str(error)


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_authorities_of_the_environment_are_trusted(
    simulator: Simulator, connect: Connect, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, str(simulator.ca_file))
    assert connect(settings_of(simulator, verify=True)).call(ASK) == STARTED


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize("content", [None, "no certificate"], ids=["missing", "no-pem"])
@pytest.mark.parametrize("iam", [False, True], ids=["drs", "iam"])
def test_authorities_of_the_environment_that_cannot_be_used_are_named(
    simulator: Simulator,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    variable: str,
    content: str | None,
    iam: bool,
) -> None:
    if content:
        (tmp_path / "bundle.pem").write_text(content)
    monkeypatch.setenv(variable, str(tmp_path / "bundle.pem"))
    error = refused(connect, settings_of(simulator, verify=True) if iam else with_own_token(simulator, verify=True))
    assert type(error) is DrsConfigError
    assert error.never_sent
    assert str(error).startswith(f"{variable} names a CA file that cannot be used")
    assert "[Connection 'drs_test']" in str(error)


def test_a_ca_file_that_is_replaced_counts_at_the_next_connection(
    simulator: Simulator, connect: Connect, tmp_path: Path
) -> None:
    """And one that is just being written leaves the CAs that it held before."""
    place, right = tmp_path / "ca.pem", Path(str(simulator.ca_file)).read_bytes()
    place.write_bytes(trustme.CA().cert_pem.bytes())
    client = connect(with_own_token(simulator, verify=str(place)))

    def error() -> type[DrsError]:
        with pytest.raises(DrsError) as caught:
            client.call(ASK)
        return type(caught.value)

    accepted = DrsAuthenticationError  # of a made-up token: that DRS looks at it is enough
    assert error() is DrsTlsError
    place.write_bytes(right)
    assert error() is accepted
    place.write_bytes(right[: len(right) // 2])
    assert error() is accepted
    place.unlink()
    assert error() is accepted
    place.write_bytes(trustme.CA().cert_pem.bytes())
    assert error() is DrsTlsError


def test_a_folder_of_cas(simulator: Simulator, tmp_path: Path) -> None:
    assert ssl_context(str(tmp_path)) is ssl_context(str(tmp_path))


@pytest.mark.parametrize(("encoding", "says"), [("br", "the encoding 'br'"), ("gAAAAAB-token", "an unknown encoding")])
def test_an_encoding_that_was_not_asked_for(encoding: str, says: str) -> None:
    with pytest.raises(DrsInvalidResponseError, match=f"^DRS responded in {says}$"):
        decoded(b"x", encoding, "DRS")


def test_one_read_takes_in_little() -> None:
    """An event loop is late by what it must look at between two reads."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        probed_socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", server.getsockname())) as client,
    ):
        client.connect(server.getsockname())
        connection, _ = server.accept()
        with connection:
            connection.setblocking(False)
            with suppress(BlockingIOError):
                while connection.send(b"x" * 65536):
                    pass
            assert 0 < len(client.recv(1 << 20)) <= 2 * RECEIVE_BUFFER
