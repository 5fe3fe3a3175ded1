"""The hook: the connection form, the test button, one token and one connection per process."""

from __future__ import annotations

import json
import os
import pickle
import secrets
import socket
from typing import Any

import pytest

from airflow_provider_drs import exceptions
from airflow_provider_drs.get_provider_info import CONNECTION_FIELDS, get_provider_info
from airflow_provider_drs.hooks.drs import DrsHook
from airflow_provider_drs.simulator import Fault, Job, Simulator
from tests.constants import JOB


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _connect(
    monkeypatch: pytest.MonkeyPatch, drs: Simulator, extra: dict[str, Any] | None = None, **change: Any
) -> None:
    connection = drs.connection(**change)
    connection["extra"] = {**connection["extra"], **(extra or {})}
    monkeypatch.setitem(os.environ, "AIRFLOW_CONN_DRS_DEFAULT", json.dumps(connection))


def test_get_switchover_status(drs: Simulator) -> None:
    drs.add_job(Job(JOB, status_script=["SWITCH_VIP_START", "SWITCH_VIP_FAILED"], error_code="DRS.M1", error_msg="why"))
    hook = DrsHook()
    assert hook.get_switchover_status(JOB).status == "SWITCH_VIP_START"
    reply = DrsHook().get_switchover_status(JOB)
    assert (reply.job_id, reply.status, reply.error_code, reply.error_msg) == (
        JOB,
        "SWITCH_VIP_FAILED",
        "DRS.M1",
        "why",
    )
    assert len(drs.calls("tokens")) == 1, "one token per connection and process"
    assert hook.get_conn() is DrsHook().get_conn()
    with pytest.raises(exceptions.DrsArgumentError):
        hook.get_switchover_status("../etc")
    with pytest.raises(exceptions.DrsJobNotFoundError, match="Connection 'drs_default', job 'nobody'"):
        hook.get_switchover_status("nobody")


def test_another_project(drs: Simulator) -> None:
    """``project_id`` scopes the token too: a token is good for one project."""
    with pytest.raises(exceptions.DrsAuthenticationError):
        DrsHook(project_id="f" * 32).get_switchover_status(JOB)
    drs.add_job(Job(JOB))
    assert DrsHook(project_id=drs.project_id).get_switchover_status(JOB).status is None
    with pytest.raises(exceptions.DrsConfigError, match=r"Project id \(project_id\) must be"):
        DrsHook(project_id="a/b").get_switchover_status(JOB)


NO_USER = {"login": None, "password": None}
AGENCY = {"agency_name": "drs-demo-agency", "agency_domain_name": "OTC-DEMO-OWNER"}
BAD_USER = {"username": "nobody", "password": "wrong-password", "user_domain_name": "nowhere"}


def test_the_test_button_says_what_works(drs: Simulator) -> None:
    works, text = DrsHook().test_connection()
    assert works, text
    assert drs.url in text
    assert [entry.call for entry in drs.journal] == ["tokens", "tokens", "list-jobs"]


@pytest.mark.parametrize(
    ("change", "extra", "fault", "says"),
    [
        ({"host": "https://drs.invalid"}, {}, None, "unknown host; check DRS endpoint (host), Region (region) and"),
        (
            {},
            {"auth_url": "https://iam.invalid/v3"},
            None,
            "IAM at https://iam.invalid cannot be reached: unknown host; check IAM endpoint (auth_url), Region",
        ),
        ({"host": "https://127.0.0.1:1"}, {}, None, "DRS at https://127.0.0.1:1 refused the connection"),
        ({}, {"verify": "true"}, None, "does not verify. Set Verify TLS (verify) to the CA's file"),
        ({"password": "wrong-password"}, {}, None, "IAM refuses the user: check IAM user name (login), IAM password"),
        ({"login": "nobody"}, {}, None, "IAM refuses the user: check IAM user name (login), IAM password (password)"),
        ({}, {"domain_name": "nowhere"}, None, "IAM password (password) or Domain name (domain_name) (HTTP 401"),
        ({}, {"project_name": None}, None, "Project name (project_name) or Project id (project_id) is required"),
        ({}, {"project_name": "no-such-project"}, None, "not the project: check Project name (project_name) (HTTP 401"),
        ({}, {"project_id": "waiting"}, None, "check Project id (project_id), which is an id and no name (HTTP 401"),
        ({}, {"project_id": "eu-de_demo"}, None, "is a name, 'eu-de_demo': write it into Project name (project_name)"),
        (NO_USER, {"token": "bad"}, None, "IAM does not take Token (token), which is wrong or no longer valid: issue"),
        (NO_USER, {"token": "bad", "project_id": "{project_id}"}, None, "IAM does not take Token (token), which is"),
        ({}, {**AGENCY, "agency_name": "no"}, None, "refuses the agency: check Agency (agency_name), Agency's domain"),
        ({"password": "wrong-password"}, AGENCY, None, "IAM refuses the user: check IAM user name (login), IAM pass"),
        (
            NO_USER,
            {"domain_name": None, "auth_type": "v3password", "auth": BAD_USER},
            None,
            "log-in: check Options to log in (auth) or",
        ),
        ({}, {}, ("list-jobs", Fault.no_permission()), "DRS.M00103. IAM user name (login) needs a DRS role here"),
        ({}, {}, ("list-jobs", Fault.html(503)), "HTTP 503"),
        ({}, {}, ("tokens", Fault.redirect("https://elsewhere.invalid/")), "redirect to https://elsewhere.invalid/"),
        ({}, {"auth_url": "{url}/no-keystone"}, None, "IAM endpoint (auth_url) does not lead to an IAM"),
        ({"login": None}, {}, None, "IAM user name (login) is required"),
    ],
)
def test_the_test_button_says_in_one_sentence_what_is_wrong(
    change: dict[str, Any], extra: dict[str, Any], fault: tuple[str, Fault] | None, says: str,
    drs: Simulator, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    place = {"url": drs.url, "project_id": drs.project_id}
    extra = {k: v.format(**place) if isinstance(v, str) else v for k, v in extra.items()}
    _connect(monkeypatch, drs, extra, **change)
    if fault:
        drs.fault(*fault)
    works, text = DrsHook().test_connection()
    assert not works
    assert says in text[:160]
    assert "drs_default" not in text, "Airflow tests what stands in the form under an id that is made up"
    assert "\n" not in text
    assert "wrong-password" not in text
    assert len([entry for entry in drs.calls("tokens") if entry.status == 401]) <= 1, "a few lock the user out"


def test_the_test_button_of_airflow_2_sends_each_field_twice(drs: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    extra = drs.connection()["extra"]
    _connect(monkeypatch, drs, {f"extra__drs__{name}": value for name, value in extra.items()})
    works, text = DrsHook().test_connection()
    assert works, text


def test_a_name_in_the_form_alone_is_no_field(drs: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    _connect(monkeypatch, drs, {"extra__drs__timeout": 5})
    works, text = DrsHook().test_connection()
    assert not works
    assert "'extra__drs__timeout', which is no field" in text


def test_extra_that_is_no_json(drs: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "AIRFLOW_CONN_DRS_DEFAULT", json.dumps({"conn_type": "drs", "extra": "{not json"}))
    assert "Extra (extra) must be a JSON object" in DrsHook().test_connection()[1]


def test_the_form_knows_every_field_the_connection_reads() -> None:
    from airflow_provider_drs.protocol.settings import Settings

    read = {
        name for name in Settings.__dataclass_fields__ if name not in ("conn_id", "endpoint", "username", "password")
    }
    assert set(CONNECTION_FIELDS) == read
    kind = get_provider_info()["connection-types"][0]
    assert set(kind["conn-fields"]) == set(CONNECTION_FIELDS)
    assert set(DrsHook.get_ui_field_behaviour()) == {"hidden_fields", "relabeling", "placeholders"}


def test_the_form_offers_what_can_be_chosen_and_marks_what_most_need() -> None:
    kind = get_provider_info()["connection-types"][0]
    fields, standard = kind["conn-fields"], kind["ui-field-behaviour"]["relabeling"]
    labels = {key: field["label"] for key, field in fields.items()} | standard
    marked = {"login", "password", "region", "domain_name", "project_name"}
    assert {key for key, label in labels.items() if label.endswith(" *")} == marked
    assert "* is needed" in fields["region"]["description"]
    schema = fields["language"]["schema"]
    assert (schema["enum"], schema["default"]) == (["en-us", "zh-cn"], "en-us"), "no null, no blank row"
    assert fields["region"]["schema"]["examples"] == ["eu-de", "eu-nl"]
    assert all("null" in field["schema"]["type"] for field in fields.values()), "Airflow would ask for it in every way"
    for key, field in fields.items():
        assert field["schema"].get("default") in (None, "en-us"), key


def test_a_pickled_hook_holds_no_secret(drs: Simulator) -> None:
    hook = DrsHook()
    assert hook.settings.password == drs.password
    stored = pickle.dumps(hook)
    for secret in (drs.password, *drs.issued_tokens()):
        assert secret.encode() not in stored
    assert pickle.loads(stored).settings == hook.settings  # noqa: S301 - its own bytes


def test_secrets_are_masked_and_nowhere_else(drs: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    from airflow.sdk._shared.secrets_masker import _secrets_masker

    drs.add_job(Job(JOB))
    hook = DrsHook()
    with caplog.at_level("DEBUG"):
        hook.get_switchover_status(JOB)
    token = hook.get_conn()._tokens.get().value
    masker = _secrets_masker()
    assert masker.redact(f"a {drs.password} b {token} c") == "a *** b *** c"
    for text in (
        caplog.text,
        repr(hook.settings),
        repr(hook.get_conn()),
        str(vars(hook)),
        repr(hook.get_conn()._tokens),
    ):
        assert drs.password not in text
        assert token not in text


def test_airflows_mask_does_not_grow_with_each_renewal(monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot forget, and with each further secret it becomes slower."""
    from airflow.sdk._shared.secrets_masker import _secrets_masker

    from airflow_provider_drs.hooks import drs as hook_module

    monkeypatch.setattr(hook_module, "_masked_tokens", 0)
    tokens = [secrets.token_urlsafe(12_000) for _ in range(3000)]
    for token in tokens:
        hook_module._new_token(token)
    patterns = _secrets_masker().patterns
    assert len(patterns) <= hook_module.MAX_MASKED_TOKENS
    assert max(map(len, patterns)) <= 2 * hook_module.MASKED_PART  # some characters are escaped
    for token in tokens[: hook_module.MAX_MASKED_TOKENS]:
        assert token[-hook_module.MASKED_PART :] not in str(_secrets_masker().redact(f"the token {token} was sent"))


def test_before_a_refused_log_in_counts_the_connection_is_read_anew_once(
    drs: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_drs import protocol
    from airflow_provider_drs.task import TaskRuntime

    drs.add_job(Job(JOB, status_script=["SWITCH_VIP_START"]))
    runtime = TaskRuntime(DrsHook(), None)
    ask = protocol.get_switchover_status(JOB)
    assert runtime.send(ask).status == "SWITCH_VIP_START"
    drs.change_password("of tomorrow")
    for _ in range(3):
        with pytest.raises(exceptions.DrsAuthenticationError):
            runtime.send(ask)
    monkeypatch.setitem(os.environ, "AIRFLOW_CONN_DRS_DEFAULT", json.dumps(drs.connection()))
    assert runtime.send(ask).status == "SWITCH_VIP_START"
    assert [entry.status for entry in drs.calls("tokens")] == [201, 401, 201]
