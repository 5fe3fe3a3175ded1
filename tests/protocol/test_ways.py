from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_drs.get_provider_info import CONNECTION_FIELDS
from airflow_provider_drs.protocol.errors import DrsConfigError
from airflow_provider_drs.protocol.settings import Settings, read_settings
from airflow_provider_drs.protocol.ways import (
    CLOUD,
    KEYS,
    PASSWORD,
    PLUGIN,
    TOKEN,
    Step,
    looks_like_a_projects_name,
    refused,
)

USER = {"login": "ada", "password": "s3cret", "domain_name": "OTC1", "project_name": "eu-de_demo"}
BY_ID = {"user_id": "u1", "password": "s3cret", "project_id": "0123abcd"}
KEY = {"auth_type": "aksk", "login": "AK", "password": "SK", "project_id": "0123abcd"}
OTHER = {"auth_type": "v3totp", "auth": {"user_id": "u1", "passcode": "123456"}, "project_id": "0123abcd"}
OWN = {"token": "t", "project_id": "0123abcd"}
ENTRY = {"auth_type": "password", "auth": {"username": "bob", "password": "x", "auth_url": "https://iam.example/v3"}}
AGENCY = {"agency_name": "ops", "agency_domain_name": "OTC2"}


def read(login: str | None = None, password: str | None = None, **extra: Any) -> Settings:
    cloud = ENTRY if extra.get("cloud") else None
    extra = {"region": "eu-de", **extra}
    return read_settings("drs_test", login=login, password=password, extra=extra, from_cloud=cloud)


def told(**fields: Any) -> str:
    with pytest.raises(DrsConfigError) as caught:
        read(**fields)
    return caught.value.message


@pytest.mark.parametrize(
    "fields",
    [
        USER,
        {**USER, "domain_name": None, "domain_id": "d1"},
        {**USER, "project_domain_name": "OTC2"},
        {**USER, **AGENCY},
        BY_ID,
        KEY,
        {**KEY, "security_token": "st"},
        OTHER,
        {**OTHER, "auth": '{"user-id": "u1", "passcode": "123456"}'},
        {**OTHER, **AGENCY},
        OWN,
        {**OWN, "domain_name": "OTC1", "project_name": "eu-de_demo"},
        {"cloud": "mine"},
        {"cloud": "mine", "login": "ada", "password": "s3cret", "domain_name": "OTC1", "project_id": "0123abcd"},
    ],
)
def test_what_belongs_together_is_taken(fields: dict[str, Any]) -> None:
    read(**fields)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({**USER, "auth_type": "v3totp", "auth": {"a": 1}}, "IAM user name (login) does not go with Way to log in"),
        ({**USER, "security_token": "st"}, "Security token (security_token) does not go with IAM user name (login)"),
        ({**USER, "user_id": "u1"}, "IAM user name (login) and User id (user_id) are set"),
        ({**USER, "domain_id": "d1"}, "Domain name (domain_name) and Domain id (domain_id) are set"),
        ({**USER, "agency_name": "ops"}, "Agency's domain name (agency_domain_name) is required with Agency"),
        ({**USER, "agency_domain_name": "OTC2"}, "Agency (agency_name) is required with Agency's domain name"),
        ({**BY_ID, "password": None}, "IAM password (password) is required with IAM user name (login)"),
        ({**BY_ID, "project_id": None}, "Project id (project_id) is required with User id (user_id)"),
        ({**KEY, "project_id": None}, "Project id (project_id) is required with Way to log in (auth_type) aksk"),
        ({**KEY, "password": None}, "IAM password (password) is required with Way to log in (auth_type) aksk"),
        ({**KEY, "domain_name": "OTC1"}, "Domain name (domain_name) does not go with Way to log in (auth_type) aksk"),
        ({**KEY, **AGENCY}, "Agency (agency_name) does not go with Way to log in (auth_type) aksk"),
        ({**KEY, "token": "t"}, "Token (token) does not go with Way to log in (auth_type) aksk"),
        ({**OTHER, "auth": None}, "Options to log in (auth) is required with Way to log in (auth_type)"),
        ({**OTHER, "auth_type": None}, "Way to log in (auth_type) is required with Way to log in"),
        ({**OTHER, "auth": "no JSON"}, "Options to log in (auth) must be a JSON object of options"),
        ({**OTHER, "auth": "[1]"}, "Options to log in (auth) must be a JSON object of options"),
        ({**OTHER, "auth": {"discovery_endpoint": "http://idp.example"}}, "discovery_endpoint must be https"),
        ({**OTHER, "auth": {"auth_url": "http://iam.example"}}, "auth_url must be https"),
        ({**OTHER, "token": "t"}, "Token (token) does not go with Way to log in (auth_type)"),
        ({**OWN, "user_id": "u1"}, "User id (user_id) does not go with Token (token)"),
        ({**OWN, **AGENCY}, "Agency (agency_name) does not go with Token (token)"),
        ({"cloud": "mine", "token": "t"}, "Token (token) does not go with Cloud (cloud)"),
        ({"cloud": "mine", **OTHER}, "Way to log in (auth_type) does not go with Cloud (cloud)"),
    ],
)
def test_what_does_not_belong_together_is_told_by_name(fields: dict[str, Any], says: str) -> None:
    message = told(**fields)
    assert says in message
    assert len(message) <= 160
    assert not any(secret in message for secret in ("s3cret", "123456"))


@pytest.mark.parametrize(
    ("fields", "step", "says"),
    [
        (USER, Step.LOG_IN, "IAM refuses the log-in: check IAM user name (login), IAM password (password), Domain "
         "name (domain_name) or Project name (project_name)"),
        (USER, Step.USER, "IAM refuses the user: check IAM user name (login), IAM password (password) or Domain name "
         "(domain_name)"),
        (BY_ID, Step.USER, "IAM refuses the user: check IAM password (password) or User id (user_id)"),
        (USER, Step.PROJECT, "IAM takes the user, but not the project: check Project name (project_name)"),
        ({**USER, "project_id": "0123abcd", "project_domain_name": "OTC2"}, Step.PROJECT, "IAM takes the user, but not "
         "the project: check Project id (project_id), which is an id and no name"),
        ({**USER, "project_domain_name": "OTC2"}, Step.PROJECT, "IAM takes the user, but not the project: check "
         "Project name (project_name) or Project's domain name (project_domain_name)"),
        ({**USER, **AGENCY}, Step.AGENCY, "IAM refuses the agency: check Agency (agency_name), Agency's domain name "
         "(agency_domain_name) or Project name (project_name)"),
        (OTHER, Step.LOG_IN, "IAM refuses the log-in: check Options to log in (auth) or Project id (project_id)"),
        ({"cloud": "mine"}, Step.LOG_IN, "IAM refuses the log-in: check Cloud (cloud)"),
        ({"cloud": "mine"}, Step.PROJECT, "IAM takes the user, but not the project: check Cloud (cloud)"),
        (OWN, Step.LOG_IN, "IAM does not take Token (token), which is wrong or no longer valid: issue a new one and "
         "set it"),
    ],
)  # fmt: skip
def test_a_refused_log_in_names_the_fields_to_check(fields: dict[str, Any], step: Step, says: str) -> None:
    text = refused(step, read(**fields).given)
    assert text == says
    assert len(f"Connection 'drs_default': {text}") <= 160


def test_every_field_of_a_way_is_a_field_of_the_form() -> None:
    for way in (PASSWORD, TOKEN, PLUGIN, KEYS, CLOUD):
        assert way.fields - {"login", "password"} <= set(CONNECTION_FIELDS)


def test_fields_of_the_connection_win_over_the_cloud() -> None:
    plain = read(cloud="mine")
    assert plain.auth is not None
    assert (plain.auth_url, plain.auth_type) == ("https://iam.example/v3", "password")
    assert '"bob"' in plain.auth
    mine = read(cloud="mine", login="ada", password="new", auth_url="https://other.example", domain_name="OTC1")
    assert mine.auth is not None
    assert mine.auth_url == "https://other.example/v3"
    assert '"username": "ada"' in mine.auth
    assert '"user_domain_name": "OTC1"' in mine.auth
    assert "bob" not in mine.auth
    assert '"new"' not in repr(mine)
    by_id = read(cloud="mine", user_id="u1")
    assert by_id.auth is not None
    assert "bob" not in by_id.auth


@pytest.mark.parametrize("value", ["0123abcd", "5f1e9a0c7b2d4e68a3c4d5e6f7081920", "p1", "ab", "default"])
def test_an_id_does_not_look_like_a_projects_name(value: str) -> None:
    assert not looks_like_a_projects_name(value)
