"""Our signatures are those of the vendor's SDK, for requests that hypothesis makes, twenty at a time."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from airflow_provider_drs.protocol.http.signature import AccessKey

from .conftest import run_script

AT = 1_795_435_200.0  # 2026-11-23T12:00:00Z
TEXT = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=12)
SEGMENT = TEXT.filter(lambda text: text not in ("", ".", "..") and "/" not in text)
VALUE = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
REQUEST = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
        "host": st.sampled_from(["drs.eu-de.otc.t-systems.com", "127.0.0.1:8443"]),
        "segments": st.lists(SEGMENT, min_size=1, max_size=5),
        "query": st.lists(st.tuples(SEGMENT, TEXT), max_size=4, unique_by=lambda pair: pair[0]),
        "project": VALUE,
        "token": st.none() | VALUE,
        "body": TEXT,
        "access_key": st.from_regex(r"[A-Z0-9]{8,20}", fullmatch=True),
        "secret_key": VALUE,
    }
)


@settings(max_examples=5, phases=[Phase.generate], deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(REQUEST, min_size=20, max_size=20))
def test_our_signatures_are_the_vendors(made: list[dict[str, Any]]) -> None:
    ours, theirs = [], []
    for one in made:
        path = "/" + "/".join(quote(segment, safe="") for segment in one["segments"])
        query = urlencode(one["query"], quote_via=quote)
        url = f"https://{one['host']}{path}" + (f"?{query}" if query else "")
        plain = {"Content-Type": "application/json", "X-Project-Id": one["project"]}
        key = AccessKey(one["access_key"], one["secret_key"], one["token"])
        headers = key.signed(one["method"], url, plain, one["body"].encode(), AT)
        ours.append(headers.pop("Authorization"))
        theirs.append({**one, "path": path, "headers": headers})
    assert ours == run_script("vendor_signer.py", {"requests": theirs})["signed"]
