from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_drs.get_provider_info import CONNECTION_FIELDS, STANDARD_FIELDS, field_name
from airflow_provider_drs.protocol.errors import DrsConfigError, DrsError
from airflow_provider_drs.protocol.settings import Settings, is_loopback, read_settings
from tests.protocol.strategies import any_text, json_values, outcome, thorough
from tests.protocol.test_settings import PASSWORD, USER

USUAL = [
    *("eu-de", "https://x.example", "http://127.0.0.1:1", "http://x.example", "[::1]:2", "https://user:12/x@y"),
    *("p1", "tok", "zh-cn", "false", 443),
]
NAMES = [
    *("region", "auth_url", "domain_name", "project_name", "project_id", "token", "verify", "timeout", "language"),
    *("console_url", "host", "login"),
]
NAMED = "|".join(re.escape(field_name(key)) for key in [*STANDARD_FIELDS, *CONNECTION_FIELDS])
field_values = json_values | st.sampled_from(USUAL)
extras = st.dictionaries(st.sampled_from(NAMES) | any_text, field_values, max_size=12)
strings = st.none() | any_text | st.sampled_from(["ada", "drs.example", "https://[::1]:8443/", "http://localhost"])


@thorough
@given(extras | json_values, strings, st.none() | st.integers(), strings, strings, any_text)
def test_any_connection_is_read_or_refused(
    extra: object, host: str | None, port: int | None, login: str | None, password: str | None, conn_id: str
) -> None:
    check(outcome(read_settings, conn_id, host=host, port=port, login=login, password=password, extra=extra))


ADDRESSED = ["auth_url", "verify", "timeout", "console_url"]


@thorough
@given(
    st.dictionaries(st.sampled_from(ADDRESSED), field_values),
    strings | any_text.map("https://".__add__),
    st.none() | st.integers(-1, 65536),
)
def test_any_address_is_read_or_refused(fields: dict[str, Any], host: str | None, port: int | None) -> None:
    extra = {**USER, "project_id": "p1", **fields}
    check(outcome(read_settings, "drs_test", host=host, port=port, login="ada", password=PASSWORD, extra=extra))


def check(settings: Settings | DrsError) -> None:
    """Whatever was accepted is an address that a token may be sent to, and plain values; the rest names its field."""
    if isinstance(settings, DrsError):
        assert type(settings) is DrsConfigError
        assert re.search(NAMED, settings.message), "a field is named by label and key"
        assert str(settings).isprintable()
        return
    for address in filter(None, (settings.endpoint, settings.auth_url)):
        parts = urlsplit(address)
        assert parts.scheme == "https" or is_loopback(parts.hostname or "")
        assert parts.hostname
        assert "@" not in address
        assert (parts.query, parts.fragment) == ("", "")
        assert address.isprintable()
    assert urlsplit(settings.endpoint).path == ""
    assert not settings.auth_url or urlsplit(settings.auth_url).path.endswith("/v3")
    assert 0 < settings.timeout <= 3600
    assert settings.token or (settings.username and settings.password and settings.domain_name)
    link = settings.console_link("jb201")
    assert link is None or link.startswith(("https://", "http://"))
    json.dumps(settings.verify)
