from __future__ import annotations

import json
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_drs.protocol.errors import DrsArgumentError, DrsError
from airflow_provider_drs.protocol.http.request import Token, checked_job_id
from airflow_provider_drs.protocol.jobs.calls import list_one_job
from airflow_provider_drs.protocol.switchover.calls import get_switchover_status
from tests.constants import JOB
from tests.protocol.strategies import any_text, outcome, thorough

TOKEN = Token("t0ken", "0123abcd")

GOOD = [
    JOB,
    "a",
    "0",
    "job_1",
    "a.b",
    "a" * 128,
    "none",
    "Noneb201",
    "{x}",
    "%2e%2e",
    "a?b",
    "a#b",
    "a;b",
    "a&b=c",
    "äö",
]


@pytest.mark.parametrize("job_id", GOOD)
def test_what_can_be_a_job_id_passes_unchanged(job_id: str) -> None:
    assert checked_job_id(job_id) == job_id


BAD = [
    (None, "job_id is None"),
    ("None", "job_id is None"),
    ("", "job_id is empty"),
    (" ", "empty"),
    (f" {JOB}", "white space"),
    (f"{JOB}\n", "white space"),
    ("two words", "white space"),
    ("a\u00a0b", "white space"),
    ("a\x00b", "control characters"),
    ("a\x7fb", "control characters"),
    ("a\u200bb", "control characters"),
    ("a\ud800b", "control characters"),
    ("a/b", "a slash"),
    ("/", "a slash"),
    ("a\\b", "a slash"),
    ("../jobs", "a slash"),
    ("..", "dots that would change the path"),
    ("a..b", "dots that would change the path"),
    (".", "dots that would change the path"),
    ("{{params.job_id}}", "an unrendered template"),
    ("{{ params.job_id }}", "an unrendered template"),
    ("a" * 129, "more than 128 characters"),
    ("a" * 100_000, "more than 128 characters"),
    (5, "not int (5)"),
    (True, "not bool"),
    ([JOB], "not list"),
    (b"abc", "not bytes"),
    ({"id": JOB}, "not dict"),
]  # fmt: skip


@pytest.mark.parametrize(("job_id", "says"), BAD)
def test_what_cannot_be_a_job_id_is_refused_with_the_reason(job_id: object, says: str) -> None:
    with pytest.raises(DrsArgumentError) as caught:
        checked_job_id(job_id)
    message = caught.value.message
    assert message.startswith("job_id ")
    assert says in message
    assert message.isprintable()
    assert len(message) < 300


@pytest.mark.parametrize("job_id", [job_id for job_id, _ in BAD if isinstance(job_id, str)])
def test_no_call_is_made_of_a_bad_job_id(job_id: str) -> None:
    with pytest.raises(DrsArgumentError):
        get_switchover_status(job_id)


@thorough
@given(any_text)
@example("%2e%2e")
@example("a?b#c")
@example("..%2f")
@example(":@;,=&+$!*'()[]")
def test_an_accepted_id_is_exactly_one_segment_of_the_path(job_id: str) -> None:
    call = outcome(get_switchover_status, job_id)
    if isinstance(call, DrsError):
        assert isinstance(call, DrsArgumentError)
        assert call.message.isprintable()
        return
    url = call.request("https://drs.example:8443", TOKEN, "en-us").url
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("https", "drs.example:8443", "", "")
    assert url.isascii()
    jobs = urlsplit(list_one_job().request("https://drs.example:8443", TOKEN, "en-us").url).path
    before, segment, after = parts.path[: len(jobs)], *parts.path[len(jobs) + 1 :].split("/")
    assert (before, after) == (jobs, "get-switch-vip-status")
    assert unquote(segment) == job_id
    assert set(segment) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~%")
    assert segment not in ("", ".", "..")


@thorough
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=20))
def test_a_project_id_is_quoted_too(project_id: str) -> None:
    url = list_one_job().request("https://drs.example", Token("t0ken", project_id), "en-us").url
    _, version, segment, jobs = urlsplit(url).path.split("/")
    assert (version, unquote(segment), jobs) == ("v3", project_id, "jobs")


def test_a_real_job_id_stands_in_the_path_as_it_is() -> None:
    call = get_switchover_status(JOB)
    request = call.request("https://drs.example", TOKEN, "en-us")
    assert (request.method, request.url) == (
        "GET",
        f"https://drs.example/v3/0123abcd/jobs/{JOB}/get-switch-vip-status",
    )
    assert JOB in call.subject


def test_the_cheapest_call_asks_for_one_line() -> None:
    request = list_one_job().request("https://drs.example", TOKEN, "en-us")
    assert (request.method, request.url) == ("POST", "https://drs.example/v3/0123abcd/jobs")
    assert request.body is not None
    assert json.loads(request.body)["per_page"] == 1


def test_a_token_is_the_same_whenever_it_ends() -> None:
    assert Token("a", "p", 5.0) == Token("a", "p", 9.0)
    assert Token("a", "p") != Token("b", "p")
    assert Token("a", "p") != Token("a", "q")
