"""What a variable of the environment may name as a proxy."""

from __future__ import annotations

import base64

import pytest

from airflow_provider_drs.protocol.errors import DrsConfigError
from airflow_provider_drs.protocol.http.proxy import Proxy, read_proxy


def basic(log_in: str) -> str:
    return f"Basic {base64.b64encode(log_in.encode()).decode()}"


@pytest.mark.parametrize(
    ("value", "url", "authorization"),
    [
        ("http://proxy.example:3128", "http://proxy.example:3128", None),
        ("proxy.example:3128", "http://proxy.example:3128", None),
        (" http://proxy.example:3128/ ", "http://proxy.example:3128", None),
        ("http://proxy.example:3128/proxy.pac", "http://proxy.example:3128", None),
        ("HTTPS://proxy.example", "https://proxy.example", None),
        ("http://[::1]:3128", "http://[::1]:3128", None),
        ("http://user@proxy.example:1", "http://proxy.example:1", basic("user:")),
        ("user:pass@proxy.example:1", "http://proxy.example:1", basic("user:pass")),
        ("http://user:p@ss:word@proxy.example:1", "http://proxy.example:1", basic("user:p@ss:word")),
        ("http://us%40er:%2F%23%3F%5B%C3%A9@proxy.example:1", "http://proxy.example:1", basic("us@er:/#?[é")),
    ],
)
def test_what_is_a_proxy(value: str, url: str, authorization: str | None) -> None:
    proxy = read_proxy(value, "HTTPS_PROXY")
    assert proxy == Proxy(url, "HTTPS_PROXY", authorization)
    assert proxy.headers == ({"Proxy-Authorization": authorization} if authorization else {})
    assert str(proxy) == f"the proxy {url} (HTTPS_PROXY)"
    assert "Basic" not in repr(proxy)


@pytest.mark.parametrize(
    "value",
    [
        "http://user:se/cret@proxy.example:1",
        "http://user:12/secret@proxy.example:1",
        "http://user:secret#@proxy.example:1",
        "http://user:12#secret@proxy.example:1",
        "http://user:12?secret@proxy.example:1",
        "http://user:se[cret@proxy.example:1",
        "http://user:secret@proxy.example:port",
        "http://user:secret@proxy.example:99999",
        "http://user:secret@",
        "http://user:secret@two words:1",
        "http://user:secret@%70roxy.example:1",
        "user:se/cret@proxy.example",
        "ftp://user:secret@proxy.example",
        "http:/proxy.example",
        "http://",
        "://",
        "",
    ],
)
def test_what_is_no_proxy(value: str) -> None:
    with pytest.raises(DrsConfigError, match=r"^ALL_PROXY is no address of a proxy, such as ") as caught:
        read_proxy(value, "ALL_PROXY")
    assert caught.value.never_sent
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize("value", ["socks5h://user:secret@proxy.example", "SOCKS5://proxy.example", "socks4://p:1"])
def test_socks_is_not_supported(value: str) -> None:
    with pytest.raises(DrsConfigError, match=r"^HTTPS_PROXY names a SOCKS proxy, which is not supported") as caught:
        read_proxy(value, "HTTPS_PROXY")
    assert "secret" not in str(caught.value)
