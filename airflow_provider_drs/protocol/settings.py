"""What an Airflow connection of type ``drs`` must hold. The only place that reads its fields.

``get_provider_info`` lists the fields and their labels; ``docs/connection.md`` documents them for users.
"""

from __future__ import annotations

import ipaddress
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NoReturn
from urllib.parse import quote, urlsplit

from airflow_provider_drs.get_provider_info import field_name
from airflow_provider_drs.protocol.arguments import is_nothing
from airflow_provider_drs.protocol.errors import DrsConfigError, one_line
from airflow_provider_drs.protocol.ways import (
    AKSK,
    check_keys,
    check_placeholders,
    check_way,
    looks_like_a_projects_name,
    options_over_cloud,
    way_of,
)

DEFAULT_TIMEOUT = 30.0
DEFAULT_IN_FLIGHT = 100
DEFAULT_PER_SECOND = 2000.0
LANGUAGES = ("en-us", "zh-cn")

_REGION = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_PATH_SEGMENT = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CONSOLE = "https://console.otc.t-systems.com/drs/?region={region}#/drs/management/job/{job_id}"


@dataclass(frozen=True)
class Settings:
    """A connection, checked and with its defaults filled in. Secrets are no part of ``repr``.

    :param conn_id: the connection's id, for messages.
    :param endpoint: address of DRS without a path, such as ``https://drs.eu-de.otc.t-systems.com``.
    :param auth_url: address of IAM ending in ``/v3``; empty where the way to log in needs none.
    :param auth_type: ``aksk``, or a way to log in that keystoneauth1 knows by this name.
    :param auth: the options of such a way, as JSON.
    :param verify: True, False, or the path of a CA file.
    :param timeout: seconds one request may take.
    :param max_polls_in_flight: polls that a triggerer has in flight at once, at most.
    :param max_polls_per_second: polls that a triggerer sends per second, at most.
    :param console_url: template of a job's page in the console, None where it is not known.
    """

    conn_id: str
    endpoint: str
    auth_url: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    domain_name: str | None = None
    project_name: str | None = None
    project_id: str | None = None
    token: str | None = field(default=None, repr=False)
    user_id: str | None = None
    domain_id: str | None = None
    project_domain_name: str | None = None
    project_domain_id: str | None = None
    auth_type: str | None = None
    auth: str | None = field(default=None, repr=False)
    security_token: str | None = field(default=None, repr=False)
    cloud: str | None = None
    agency_name: str | None = None
    agency_domain_name: str | None = None
    verify: bool | str = True
    timeout: float = DEFAULT_TIMEOUT
    language: str = "en-us"
    region: str | None = None
    console_url: str | None = None
    max_polls_in_flight: int = DEFAULT_IN_FLIGHT
    max_polls_per_second: float = DEFAULT_PER_SECOND

    def for_project(self, project_id: object) -> Settings:
        """Return the settings for another project, as an operator's ``project_id`` asks; no value changes nothing."""
        if is_nothing(project_id):
            return self
        checked = _Fields(self.conn_id, {"project_id": project_id}).segment("project_id")
        return replace(self, project_id=checked, project_name=None, project_domain_name=None, project_domain_id=None)

    def console_link(self, job_id: str) -> str | None:
        """Return the address of the job's page in the console, None where it is not known."""
        if self.console_url is None:
            return None
        known = {"job_id": job_id, "region": self.region or "", "project_id": self.project_id or ""}
        link = self.console_url
        for name, value in known.items():
            link = link.replace("{" + name + "}", quote(value, safe=""))
        return link

    def given(self, key: str) -> object:
        """Return the value of a field by its key, None where it is unset."""
        return getattr(self, "username" if key == "login" else key)


def error_context(conn_id: str, subject: str = "") -> str:
    """Return how messages name a connection, and what was asked over it."""
    return f"Connection {conn_id!r}" + (f", {subject}" if subject else "")


def read_settings(
    conn_id: str,
    *,
    host: str | None = None,
    port: int | None = None,
    login: str | None = None,
    password: str | None = None,
    extra: object = None,
    from_cloud: Mapping[str, object] | None = None,
) -> Settings:
    """Check the fields of a connection and fill in the defaults.

    :param extra: the decoded Extra; fields that are missing, null or empty are unset.
    :param from_cloud: the fields that an entry of clouds.yaml stands for; those of the connection win.
    :raises DrsConfigError: a field is missing or malformed; the message names it by label and key. Nothing is sent.
    """
    if not isinstance(extra or {}, Mapping):
        raise DrsConfigError(f"{field_name('extra')} must be a JSON object", error_context=error_context(conn_id))
    own: dict[str, object] = dict(extra or {})  # type: ignore[call-overload]
    fields = _Fields(conn_id, {**own, "host": host, "port": port, "login": login, "password": password})
    check_keys(own, fields.wrong)
    given, auth = fields.given, fields.auth()
    if from_cloud is not None:
        fields, auth = fields.over_cloud(from_cloud)
    region = fields.region()
    endpoint = fields.endpoint(region)
    check_way(given, fields.wrong)
    auth_type = fields.text("auth_type")
    auth_url = fields.auth_url(region, auth)
    settings = Settings(
        conn_id=conn_id,
        endpoint=endpoint,
        auth_url=auth_url,
        username=fields.text("login"),
        password=(password or None) if from_cloud is None else None,
        domain_name=fields.text("domain_name"),
        project_name=fields.text("project_name"),
        project_id=fields.segment("project_id"),
        token=fields.secret("token"),
        user_id=fields.text("user_id"),
        domain_id=fields.text("domain_id"),
        project_domain_name=fields.text("project_domain_name"),
        project_domain_id=fields.text("project_domain_id"),
        auth_type=auth_type,
        auth=json.dumps(auth, sort_keys=True) if auth else None,
        security_token=fields.secret("security_token"),
        cloud=fields.text("cloud"),
        agency_name=fields.text("agency_name"),
        agency_domain_name=fields.text("agency_domain_name"),
        verify=fields.verify(),
        timeout=fields.timeout(),
        language=fields.language(),
        region=region,
        console_url=fields.console_url(region),
        max_polls_in_flight=round(
            fields.number("max_polls_in_flight", DEFAULT_IN_FLIGHT, least=1, most=1000, whole=True)
        ),
        max_polls_per_second=fields.number("max_polls_per_second", DEFAULT_PER_SECOND, least=0.1, most=100_000),
    )
    _check_iam(settings, fields)
    return settings


def _check_iam(s: Settings, fields: _Fields) -> None:
    """Tell of an address of IAM, or a project, that the way to log in cannot do without."""
    if s.auth_url or s.auth_type == AKSK:
        return
    project_id, auth_url, region = field_name("project_id"), field_name("auth_url"), field_name("region")
    if not s.token:
        fields.wrong(f"{auth_url} or {region} is required with {field_name(way_of(fields.given).key)}")
    if not s.project_id:
        fields.wrong(
            f"{project_id} is required with {field_name('token')} where neither {region} nor {auth_url} is set"
        )


class _Fields:
    """The raw fields of a connection and how each is read."""

    def __init__(self, conn_id: str, raw: Mapping[str, object]) -> None:
        self._where = error_context(conn_id)
        self._raw = raw

    def wrong(self, message: str) -> NoReturn:
        raise DrsConfigError(message, error_context=self._where)

    def malformed(self, name: str, problem: str) -> NoReturn:
        self.wrong(f"{field_name(name)} {problem}")

    def _set(self, name: str) -> object:
        """Return the field's value, None for what the form leaves in an empty field."""
        value = self._raw.get(name)
        return None if value is None or (isinstance(value, str) and not value.strip()) else value

    def text(self, name: str) -> str | None:
        value = self._set(name)
        if value is None:
            return None
        if not isinstance(value, str):
            self.malformed(name, f"must be a string, not {type(value).__name__}")
        value = value.strip()
        if not value.isprintable():
            self.malformed(name, "holds control characters")
        return str(value)

    def given(self, name: str) -> object:
        """Return the field's value as it is, None where it is unset."""
        return self._set(name)

    def secret(self, name: str) -> str | None:
        value = self.text(name)
        if value is not None and not (value.isascii() and " " not in value):
            self.malformed(name, "holds characters that no token has")
        return value

    def auth(self) -> dict[str, object]:
        """Return the options of a way to log in: an object, or in the form a text that is one."""
        value = self._set("auth")
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                value = None
        elif value is None:
            return {}
        if not isinstance(value, Mapping) or not value:
            self.malformed("auth", 'must be a JSON object of options, such as {"passcode": "..."}')
        options = {str(key).replace("-", "_"): one for key, one in value.items() if one not in (None, "")}
        for key, one in options.items():
            if key.endswith(("_endpoint", "_url")):
                self._address("auth", str(one), f"{field_name('auth')}: {key[:40]}")
        return options

    def over_cloud(self, cloud: Mapping[str, object]) -> tuple[_Fields, dict[str, object]]:
        """Return these fields with those of an entry of clouds.yaml below them, and the options to log in with."""
        options = cloud.get("auth")
        own = {key: value for key in self._raw if (value := self._set(key)) is not None}
        auth = options_over_cloud(options if isinstance(options, Mapping) else {}, self.given)
        fields = _Fields("", {**cloud, **own, "login": None, "password": None})
        fields._where = self._where
        return fields, auth

    def segment(self, name: str) -> str | None:
        value = self.text(name)
        if value is not None and not _PATH_SEGMENT.fullmatch(value):
            self.malformed(
                name, f"must be letters, digits, '-' and '_' (an id, not a name), not {one_line(value, 80)!r}"
            )
        if value is not None and looks_like_a_projects_name(value):
            self.malformed(name, f"is a name, {value!r}: write it into {field_name('project_name')}")
        return value

    def region(self) -> str | None:
        value = self.text("region")
        if value is not None and not _REGION.fullmatch(value):
            self.malformed("region", f"must look like 'eu-de', not {one_line(value, 80)!r}")
        return value

    def endpoint(self, region: str | None) -> str:
        host, port = self.text("host"), self.port()
        if host is None:
            if region is None:
                self.wrong(f"{field_name('host')} or {field_name('region')} is required")
            host = f"drs.{region}.otc.t-systems.com"
        if _is_ipv6(host):  # as Airflow makes it of drs://login:password@[::1]:8443/
            host = f"[{host}]"
        scheme, name, own_port, path = self._address("host", host if "://" in host else f"https://{host}")
        if path not in ("", "/"):
            self.malformed(
                "host", f"must be a host, host:port or an address without a path, not {one_line(host, 120)!r}"
            )
        if port and own_port and port != own_port:
            self.malformed("port", f"says {port}, {field_name('host')} says {own_port}")
        port = own_port or port
        return f"{scheme}://{name}" + (f":{port}" if port else "")

    def port(self) -> int | None:
        value = self._set("port")
        if value is None or value == 0:  # the form's test button sends 0 for an empty field
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 65536:
            self.malformed("port", f"must be a number from 1 to 65535, not {one_line(repr(value), 40)}")
        return value

    def auth_url(self, region: str | None, auth: dict[str, object]) -> str:
        value, inside = self.text("auth_url"), auth.pop("auth_url", None)
        if value is None and isinstance(inside, str):
            value = inside
        if value is None:
            return f"https://iam.{region}.otc.t-systems.com/v3" if region else ""
        scheme, name, port, path = self._address("auth_url", value)
        path = path.rstrip("/").removesuffix("/auth/tokens")
        if not path.endswith("/v3"):
            path += "/v3"
        return f"{scheme}://{name}" + (f":{port}" if port else "") + path

    def _address(self, name: str, value: str, label: str = "") -> tuple[str, str, int | None, str]:
        """Return scheme, host, port and path of an address; plain http only where nobody can listen."""
        label = label or field_name(name)
        if "@" in value:  # before anything else: a "/" in a pasted password makes the rest of it a path
            self.wrong(f"{label} must not hold a user or a password")
        try:
            parts = urlsplit(value)
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if not host or parts.scheme not in ("http", "https") or any(c.isspace() or c in "\\<>\"'" for c in value):
            self.wrong(f"{label} is not an address: {one_line(value, 120)!r}")
        if parts.query or parts.fragment:
            self.wrong(f"{label} must not hold a query or a fragment")
        if parts.scheme == "http" and not is_loopback(host):
            self.wrong(f"{label} must be https: http would send the token to {host!r} in the clear")
        return parts.scheme, f"[{host}]" if ":" in host else host, port, parts.path

    def verify(self) -> bool | str:
        value = self._set("verify")
        if value is None:
            return True
        if isinstance(value, str):
            value = {"true": True, "false": False}.get(value.strip().lower(), value.strip())
        if not isinstance(value, (bool, str)):
            self.malformed("verify", f"must be true, false or a CA file, not {one_line(repr(value), 80)}")
        return value

    def timeout(self) -> float:
        value = self._set("timeout")
        if value is None:
            return DEFAULT_TIMEOUT
        seconds = _finite(value)
        if seconds is None or not 0 < seconds <= 3600:
            self.malformed("timeout", f"must be seconds, more than 0 and at most 3600, not {one_line(repr(value), 80)}")
        return seconds

    def number(self, name: str, default: float, *, least: float, most: float, whole: bool = False) -> float:
        value = self._set(name)
        if value is None:
            return default
        number = _finite(value)
        if number is None or not least <= number <= most or (whole and number != int(number)):
            kind = "a whole number" if whole else "a number"
            self.malformed(name, f"must be {kind} from {least:g} to {most:g}, not {one_line(repr(value), 80)}")
        return number

    def language(self) -> str:
        value = self.text("language") or LANGUAGES[0]
        if value not in LANGUAGES:
            self.malformed("language", f"must be one of {', '.join(LANGUAGES)}, not {one_line(value, 40)!r}")
        return value

    def console_url(self, region: str | None) -> str | None:
        value = self.text("console_url")
        if value is None:
            return _CONSOLE if region else None
        if not value.startswith(("https://", "http://")):
            self.malformed("console_url", f"must be an http(s) address, not {one_line(value, 120)!r}")
        check_placeholders(value, self.wrong)
        return value


def _finite(value: object) -> float | None:
    """Return a number, or text that is one, as a float; None for anything else."""
    try:
        number = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else math.nan
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _is_ipv6(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 6
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Tell whether ``host`` can only be this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
