from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_drs.get_provider_info import field_name
from airflow_provider_drs.protocol.errors import DrsConfigError, DrsError
from airflow_provider_drs.protocol.settings import Settings, is_loopback, read_settings

PASSWORD = "s3cret"
USER = {"region": "eu-de", "domain_name": "OTC00000001", "project_name": "eu-de_demo"}
DRS, IAM = "https://drs.eu-de.otc.t-systems.com", "https://iam.eu-de.otc.t-systems.com/v3"


def read(*, host: Any = None, port: Any = None, login: Any = "ada", password: Any = PASSWORD, **extra: Any) -> Settings:
    """Read a connection that is good but for what is given."""
    return read_settings("drs_test", host=host, port=port, login=login, password=password, extra={**USER, **extra})


def refusal(**fields: Any) -> DrsError:
    with pytest.raises(DrsError) as caught:
        read(**fields)
    assert type(caught.value) is DrsConfigError
    assert caught.value.error_context == "Connection 'drs_test'"
    return caught.value


def test_a_region_a_user_and_a_project_are_enough() -> None:
    assert read() == Settings(
        conn_id="drs_test",
        endpoint=DRS,
        auth_url=IAM,
        username="ada",
        password=PASSWORD,
        domain_name="OTC00000001",
        project_name="eu-de_demo",
        region="eu-de",
        console_url=read().console_url,
    )
    assert (read().verify, read().timeout, read().language) == (True, 30.0, "en-us")


ENDPOINTS = [
    ({}, DRS),
    ({"region": "eu-nl"}, "https://drs.eu-nl.otc.t-systems.com"),
    ({"port": 8443}, f"{DRS}:8443"),
    ({"port": 0}, DRS),
    ({"host": "drs.example"}, "https://drs.example"),
    ({"host": "  drs.example "}, "https://drs.example"),
    ({"host": "drs.example", "port": 8443}, "https://drs.example:8443"),
    ({"host": "drs.example", "port": 0}, "https://drs.example"),
    ({"host": "drs.example:8443"}, "https://drs.example:8443"),
    ({"host": "drs.example:8443", "port": 8443}, "https://drs.example:8443"),
    ({"host": "drs.example:8443", "port": 0}, "https://drs.example:8443"),
    ({"host": "https://drs.example/"}, "https://drs.example"),
    ({"host": "https://drs.example:8443"}, "https://drs.example:8443"),
    ({"host": "HTTPS://DRS.Example"}, "https://drs.example"),
    ({"host": "10.1.2.3"}, "https://10.1.2.3"),
    ({"host": "[2001:db8::1]"}, "https://[2001:db8::1]"),
    ({"host": "2001:db8::1"}, "https://[2001:db8::1]"),
    ({"host": "::1", "port": 8443}, "https://[::1]:8443"),  # as Airflow reads drs://u:p@[::1]:8443/
    ({"host": "[2001:db8::1]:8443"}, "https://[2001:db8::1]:8443"),
    ({"host": "https://[2001:db8::1]", "port": 8443}, "https://[2001:db8::1]:8443"),
    ({"host": "http://127.0.0.1:8080"}, "http://127.0.0.1:8080"),
    ({"host": "http://127.8.9.1"}, "http://127.8.9.1"),
    ({"host": "http://localhost", "port": 8080}, "http://localhost:8080"),
    ({"host": "http://[::1]:8080"}, "http://[::1]:8080"),
]


@pytest.mark.parametrize(("fields", "endpoint"), ENDPOINTS)
def test_host_port_and_region_make_this_endpoint(fields: dict[str, Any], endpoint: str) -> None:
    assert read(**fields).endpoint == endpoint


AUTH_URLS = [
    ("https://iam.example", "https://iam.example/v3"),
    ("https://iam.example/", "https://iam.example/v3"),
    ("https://iam.example/v3", "https://iam.example/v3"),
    ("https://iam.example/v3/", "https://iam.example/v3"),
    ("https://iam.example/v3/auth/tokens", "https://iam.example/v3"),
    ("https://iam.example/v3/auth/tokens/", "https://iam.example/v3"),
    ("https://iam.example:5000/identity/v3", "https://iam.example:5000/identity/v3"),
    ("https://iam.example/identity", "https://iam.example/identity/v3"),
    ("https://[2001:db8::1]:5000", "https://[2001:db8::1]:5000/v3"),
    ("http://127.0.0.1:5000/v3", "http://127.0.0.1:5000/v3"),
    ("http://localhost:5000", "http://localhost:5000/v3"),
]


@pytest.mark.parametrize(("given_url", "auth_url"), AUTH_URLS)
def test_auth_url_ends_in_v3_and_overrides_the_region(given_url: str, auth_url: str) -> None:
    assert read(auth_url=given_url).auth_url == auth_url


GOOD: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"verify": False}, {"verify": False}),
    ({"verify": "False"}, {"verify": False}),
    ({"verify": " true "}, {"verify": True}),
    ({"verify": "/etc/ca.pem"}, {"verify": "/etc/ca.pem"}),
    ({"timeout": 5}, {"timeout": 5.0}),
    ({"timeout": "2.5"}, {"timeout": 2.5}),
    ({"timeout": 3600}, {"timeout": 3600.0}),
    ({}, {"max_polls_in_flight": 100, "max_polls_per_second": 2000.0}),
    ({"max_polls_in_flight": 7}, {"max_polls_in_flight": 7}),
    ({"max_polls_in_flight": "7"}, {"max_polls_in_flight": 7}),
    ({"max_polls_per_second": 0.5}, {"max_polls_per_second": 0.5}),
    ({"max_polls_per_second": "20"}, {"max_polls_per_second": 20.0}),
    ({"language": "zh-cn"}, {"language": "zh-cn"}),
    ({"project_id": "0123abcd", "project_name": None}, {"project_id": "0123abcd", "project_name": None}),
    ({"project_id": "0123abcd"}, {"project_id": "0123abcd", "project_name": "eu-de_demo"}),
    ({"login": " ada "}, {"username": "ada"}),
    ({"password": " with spaces "}, {"password": " with spaces "}),
    ({"region": None, "host": "drs.example", "auth_url": "https://iam.example"}, {"region": None, "console_url": None}),
    ({"console_url": "https://console.example/{job_id}"}, {"console_url": "https://console.example/{job_id}"}),
    ({"login": None, "password": None, "token": "tok-123"}, {"token": "tok-123", "username": None, "password": None}),
    ({"token": "tok-123", "login": "", "password": "", "project_name": ""}, {"token": "tok-123"}),
    ({"token": "tok-123", "login": None, "password": None, "domain_name": None}, {"domain_name": None}),
    (
        {"token": "t", "login": None, "password": None, "region": None, "host": "drs.example", "project_id": "p1"},
        {"auth_url": "", "project_id": "p1"},
    ),
]


@pytest.mark.parametrize(("fields", "expected"), GOOD)
def test_a_good_connection_is_read_as(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    settings = read(**fields)
    assert {name: getattr(settings, name) for name in expected} == expected


UNSET = [
    *("project_id", "token", "auth_url", "verify", "timeout", "language", "console_url", "host"),
    *("max_polls_in_flight", "max_polls_per_second"),
]


@pytest.mark.parametrize("empty", ["", "  ", None])
@pytest.mark.parametrize("name", UNSET)
def test_what_the_form_leaves_in_an_empty_field_means_unset(name: str, empty: object) -> None:
    assert read(**{name: empty}) == read()


@pytest.mark.parametrize("empty", ["", " ", None])
@pytest.mark.parametrize("name", ["login", "domain_name", "project_name", "region"])
def test_a_required_field_left_empty_is_missing(name: str, empty: object) -> None:
    needed = "host" if name == "region" else name
    assert field_name(needed) in refusal(**{name: empty}).message


@pytest.mark.parametrize("extra", [None, {}, ""])
def test_a_connection_without_extra_says_what_it_lacks(extra: object) -> None:
    with pytest.raises(DrsConfigError, match=r"DRS endpoint \(host\) or Region \(region\) is required"):
        read_settings("drs_test", login="ada", password=PASSWORD, extra=extra)


@pytest.mark.parametrize("extra", [["a"], "text", 5, [{}], True])
def test_extra_must_be_an_object(extra: object) -> None:
    with pytest.raises(DrsConfigError, match=r"Extra \(extra\) must be a JSON object"):
        read_settings("drs_test", login="ada", password=PASSWORD, extra=extra)


AS_TOKEN = {"token": "t", "login": None, "password": None}
BAD: list[tuple[dict[str, Any], str]] = [
    ({"region": None}, "DRS endpoint (host) or Region (region) is required"),
    ({"login": None}, "IAM user name (login) is required, or Token (token)"),
    ({"password": None}, "IAM password (password) is required with IAM user name (login)"),
    ({"domain_name": None}, "Domain name (domain_name) is required with IAM user name (login)"),
    (
        {"project_name": None},
        "Project name (project_name) or Project id (project_id) is required",
    ),
    (
        {"region": None, "host": "drs.example"},
        "IAM endpoint (auth_url) or Region (region) is required with",
    ),
    ({"token": "t"}, "Token (token) replaces IAM user name (login) and IAM password (password)"),
    ({"token": "t", "password": None}, "Token (token) replaces IAM user name (login) and IAM password (password)"),
    ({"token": "t", "login": None}, "Token (token) replaces IAM user name (login) and IAM password (password)"),
    ({**AS_TOKEN, "region": None, "host": "drs.example"}, "Project id (project_id) is required with Token (token)"),
    ({**AS_TOKEN, "token": "two words"}, "Token (token) holds"),
    ({**AS_TOKEN, "token": "line\nbreak"}, "Token (token) holds"),
    ({**AS_TOKEN, "token": "tökén"}, "Token (token) holds"),
    ({**AS_TOKEN, "token": 5}, "Token (token) must be a string"),
    ({"region": "EU DE"}, "Region (region) must look like 'eu-de'"),
    ({"region": "eu-de.evil.example/"}, "Region (region)"),
    ({"region": "eu-de@evil.example"}, "Region (region)"),
    ({"region": ["eu-de"]}, "Region (region) must be a string, not list"),
    ({"host": "drs.example/v3"}, "DRS endpoint (host) must be a host"),
    ({"host": "https://drs.example/v3"}, "DRS endpoint (host) must be a host"),
    ({"host": "https://drs.example?x=1"}, "DRS endpoint (host) must not hold"),
    ({"host": "https://drs.example#x"}, "DRS endpoint (host) must not hold"),
    ({"host": "drs example"}, "DRS endpoint (host) is not an address"),
    ({"host": "drs.example\r\nX: y"}, "DRS endpoint (host) holds control characters"),
    ({"host": "ftp://drs.example"}, "DRS endpoint (host) is not an address"),
    ({"host": "drs.example:port"}, "DRS endpoint (host) is not an address"),
    ({"host": "drs.example:99999"}, "DRS endpoint (host) is not an address"),
    ({"host": "https://"}, "DRS endpoint (host) is not an address"),
    ({"host": "https://[::1"}, "DRS endpoint (host) is not an address"),
    ({"host": "drs.example\\@evil.example"}, "DRS endpoint (host)"),
    ({"host": "http://drs.example"}, "DRS endpoint (host) must be https"),
    ({"host": "http://127.0.0.1.evil.example"}, "DRS endpoint (host) must be https"),
    ({"host": "http://localhost.evil.example"}, "DRS endpoint (host) must be https"),
    ({"host": "http://127.1"}, "DRS endpoint (host) must be https"),
    ({"host": "http://0.0.0.0"}, "DRS endpoint (host) must be https"),
    ({"host": "http://[2001:db8::1]"}, "DRS endpoint (host) must be https"),
    ({"host": "drs.example:8443", "port": 443}, "DRS port (port) says 443, DRS endpoint (host) says 8443"),
    ({"port": 65536}, "DRS port (port) must be a number"),
    ({"port": -1}, "DRS port (port) must be a number"),
    ({"port": True}, "DRS port (port) must be a number"),
    ({"port": "443"}, "DRS port (port) must be a number"),
    ({"port": 443.0}, "DRS port (port) must be a number"),
    ({"auth_url": "iam.example"}, "IAM endpoint (auth_url) is not an address"),
    ({"auth_url": "http://iam.example/v3"}, "IAM endpoint (auth_url) must be https"),
    ({"auth_url": "https://iam.example/v3?x=1"}, "IAM endpoint (auth_url) must not hold"),
    ({"auth_url": "https://iam.example:x"}, "IAM endpoint (auth_url) is not an address"),
    ({"auth_url": {"a": 1}}, "IAM endpoint (auth_url) must be a string, not dict"),
    ({"project_id": "eu-de demo"}, "Project id (project_id) must be letters"),
    ({"project_id": "../admin"}, "Project id (project_id) must be letters"),
    ({"project_id": "a" * 65}, "Project id (project_id) must be letters"),
    ({"project_id": 5}, "Project id (project_id) must be a string, not int"),
    ({"project_id": "eu-de"}, "Project id (project_id) is a name, 'eu-de': write it into Project name (project_name)"),
    ({"project_id": "eu-de_production"}, "Project id (project_id) is a name, 'eu-de_production'"),
    ({"project_id": "ap-southeast-1"}, "Project id (project_id) is a name"),
    (
        {"console_url": "https://c.example/{jobid}"},
        "Console address (console_url) holds {jobid}; filled in are {job_id}",
    ),
    ({"agency": "ops"}, "Extra (extra) has the key 'agency', which is no field; did you mean Agency (agency_name)?"),
    ({"Auth-URL": "x"}, "which is no field; did you mean IAM endpoint (auth_url)?"),
    ({"endpoint": "x" * 99}, "Extra (extra) has the key 'endpoint', which is no field"),
    ({"project_name": 5}, "Project name (project_name) must be a string, not int"),
    ({"domain_name": ["x"]}, "Domain name (domain_name) must be a string, not list"),
    ({"domain_name": "a\x00b"}, "Domain name (domain_name) holds control characters"),
    ({"login": "a\nb"}, "IAM user name (login) holds control characters"),
    ({"verify": 1}, "Verify TLS (verify) must be true, false or a CA file"),
    ({"verify": []}, "Verify TLS (verify) must be true, false or a CA file"),
    ({"timeout": 0}, "Timeout (timeout) must be seconds"),
    ({"timeout": -1}, "Timeout (timeout) must be seconds"),
    ({"timeout": 3601}, "Timeout (timeout) must be seconds"),
    ({"timeout": "soon"}, "Timeout (timeout) must be seconds"),
    ({"timeout": "nan"}, "Timeout (timeout) must be seconds"),
    ({"timeout": float("inf")}, "Timeout (timeout) must be seconds"),
    ({"timeout": True}, "Timeout (timeout) must be seconds"),
    ({"timeout": [30]}, "Timeout (timeout) must be seconds"),
    ({"timeout": 10**400}, "Timeout (timeout) must be seconds"),
    ({"max_polls_in_flight": 0}, "Polls in flight (max_polls_in_flight) must be a whole number from 1 to 1000, not 0"),
    ({"max_polls_in_flight": 2.5}, "Polls in flight (max_polls_in_flight) must be a whole number"),
    ({"max_polls_in_flight": 1001}, "Polls in flight (max_polls_in_flight) must be a whole number"),
    ({"max_polls_in_flight": True}, "Polls in flight (max_polls_in_flight) must be a whole number"),
    ({"max_polls_per_second": 0}, "Polls per second (max_polls_per_second) must be a number from 0.1"),
    ({"max_polls_per_second": "many"}, "Polls per second (max_polls_per_second) must be a number"),
    ({"max_polls_per_second": float("inf")}, "Polls per second (max_polls_per_second) must be a number"),
    ({"language": "de"}, "Language (language) must be one of en-us, zh-cn"),
    ({"language": 1}, "Language (language) must be a string, not int"),
    ({"console_url": "javascript:alert(1)"}, "Console address (console_url) must be an http(s) address"),
    ({"console_url": 1}, "Console address (console_url) must be a string, not int"),
]


@pytest.mark.parametrize(("fields", "says"), BAD)
def test_what_is_missing_or_malformed_is_named_by_label_and_key(fields: dict[str, Any], says: str) -> None:
    error = refusal(**fields)
    assert says in error.message
    assert str(error) == f"{error.message} [Connection 'drs_test']"


def test_for_project_replaces_the_project() -> None:
    settings = read()
    assert settings.for_project(None) is settings
    other = settings.for_project(" p2 ")
    assert (other.project_id, other.project_name) == ("p2", None)
    assert (other.endpoint, other.password) == (settings.endpoint, settings.password)


@pytest.mark.parametrize("project_id", ["", " ", "None", None])
def test_a_project_id_that_rendered_to_nothing_is_the_connections(project_id: object) -> None:
    settings = read()
    assert settings.for_project(project_id) is settings


@pytest.mark.parametrize("project_id", ["a/b", "..", "{{ p }}", 5, ["p"]])
def test_for_project_refuses_what_can_be_none(project_id: object) -> None:
    with pytest.raises(DrsConfigError, match="project_id"):
        read().for_project(project_id)


def test_the_console_link_knows_job_region_and_project_and_quotes_them() -> None:
    address = "https://console.example/{region}/{project_id}?job={job_id}&again={job_id}"
    settings = read(console_url=address, project_id="p1")
    assert settings.console_link("jb201") == "https://console.example/eu-de/p1?job=jb201&again=jb201"
    hostile = settings.console_link('a/b?c&d#e {region}"<')
    assert hostile == address.format(region="eu-de", project_id="p1", job_id="a%2Fb%3Fc%26d%23e%20%7Bregion%7D%22%3C")


def test_the_console_link_is_there_for_a_region_and_absent_without() -> None:
    link = read().console_link("jb201")
    assert link is not None
    assert link.startswith("https://console.otc.t-systems.com/")
    assert "region=eu-de" in link
    assert link.endswith("/jb201")
    nowhere = read(region=None, host="drs.example", auth_url="https://iam.example")
    assert nowhere.console_link("jb201") is None


@pytest.mark.parametrize(
    ("host", "expected"),
    [("localhost", True), ("127.0.0.1", True), ("127.255.0.9", True), ("::1", True), ("0.0.0.0", False),
     ("localhost.example", False), ("10.0.0.1", False), ("", False), ("[::1]", False), ("2001:db8::1", False)],
)  # fmt: skip
def test_loopback_is_only_what_cannot_be_another_machine(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
