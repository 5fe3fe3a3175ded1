"""The ways to log in that a connection can describe: which fields belong together, and what is told of others.

The only place that decides it. ``clients/credentials.py`` makes of a way what keystoneauth1 logs in with.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Final, NoReturn

from airflow_provider_drs.get_provider_info import CONNECTION_FIELDS, field_name

#: The value of ``auth_type`` for requests that are signed with an access key; all others are keystoneauth1's.
AKSK: Final = "aksk"
#: What a console address may ask to have filled in.
PLACEHOLDERS: Final = ("job_id", "region", "project_id")

_USER = ("login", "password", "user_id", "domain_name", "domain_id")
_PROJECT = ("project_name", "project_id", "project_domain_name", "project_domain_id")
_AGENCY = ("agency_name", "agency_domain_name")
_ALL = (*_USER, *_PROJECT, *_AGENCY, "token", "auth_type", "auth", "security_token", "cloud")
# A project's name, by which the clouds' consoles call it: the region, and what one has added.
_PROJECT_NAME = re.compile(r"[a-z]{2}-[a-z]+(-\d+)?(_.*)?")


@dataclass(frozen=True)
class Way:
    """A way to log in.

    :param key: the field by which messages name the way.
    :param needs: fields without which it does not work; of a tuple, one.
    :param may: fields that may be set besides.
    """

    key: str
    needs: tuple[str | tuple[str, ...], ...]
    may: tuple[str, ...] = ()

    @property
    def fields(self) -> set[str]:
        """All fields that belong to it."""
        needed = [name for need in self.needs for name in ((need,) if isinstance(need, str) else need)]
        return {self.key, *needed, *self.may}


PASSWORD = Way("login", (("login", "user_id"), "password"), (*_USER, *_PROJECT, *_AGENCY))
# Names of domain and project beside a token are left from another way, and do no harm.
TOKEN = Way("token", ("token",), ("domain_name", "domain_id", *_PROJECT))
PLUGIN = Way("auth_type", ("auth_type", "auth"), (*_PROJECT, *_AGENCY))
KEYS = Way("auth_type", ("login", "password", "project_id"), ("security_token",))
CLOUD = Way("cloud", ("cloud",), (*_USER, *_PROJECT, *_AGENCY))


def way_of(given: Callable[[str], object]) -> Way:
    """Return the way to log in that the fields of a connection name.

    :param given: returns the value of a field, None where it is unset.
    """
    if given("cloud"):
        return CLOUD
    if given("auth_type") == AKSK:
        return KEYS
    if given("auth_type") or given("auth"):
        return PLUGIN
    return TOKEN if given("token") else PASSWORD


class Step(StrEnum):
    """What IAM has refused, as far as that is known."""

    LOG_IN = "the log-in"
    USER = "the user"
    PROJECT = "the project"
    AGENCY = "the agency"


_SUSPECTS: Final = {
    Step.LOG_IN: (*_USER, "project_name", "project_id"),
    Step.USER: _USER,
    Step.PROJECT: _PROJECT,
    Step.AGENCY: (*_AGENCY, "project_name", "project_id"),
}
_OWN_FIELD: Final = {TOKEN: "token", PLUGIN: "auth", CLOUD: "cloud"}


def refused(step: Step, given: Callable[[str], object]) -> str:
    """Return how to tell that IAM has refused a step of the log-in: with the fields that it may be due to.

    :param given: as for :func:`way_of`.
    """
    way = way_of(given)
    if way is TOKEN:
        return f"IAM does not take {field_name('token')}, which is wrong or no longer valid: issue a new one and set it"
    keys = [key for key in _SUSPECTS[step] if given(key)]
    if given("project_id"):  # which wins
        keys = [key for key in keys if not key.startswith("project_") or key == "project_id"]
    if way in _OWN_FIELD and (step in (Step.LOG_IN, Step.USER) or not keys):
        keys.insert(0, _OWN_FIELD[way])
    *others, last = map(field_name, keys)
    fields = f"{', '.join(others)} or {last}" if others else last
    if step is Step.PROJECT:
        an_id = ", which is an id and no name" if given("project_id") else ""
        return f"IAM takes the user, but not the project: check {fields}{an_id}"
    return f"IAM refuses {step}: check {fields}"


def check_way(given: Callable[[str], object], wrong: Callable[[str], NoReturn]) -> None:
    """Tell of the first field that is missing, or belongs to another way to log in.

    :param given: as for :func:`way_of`.
    :param wrong: is told what is wrong, and raises.
    """
    way = way_of(given)
    name = field_name(way.key) + (f" {AKSK}" if way is KEYS else "")
    if way is TOKEN and (given("login") or given("password")):
        wrong(f"{name} replaces {field_name('login')} and {field_name('password')}: set one or the other")
    for other in _ALL:
        if given(other) and other not in way.fields:
            wrong(f"{field_name(other)} does not go with {name}: take one of them out")
    for need in way.needs:
        options = (need,) if isinstance(need, str) else need
        if not any(given(option) for option in options):
            if way is PASSWORD and need is way.needs[0]:
                wrong(f"{field_name('login')} is required, or {field_name('token')}")
            wrong(f"{' or '.join(map(field_name, options))} is required with {name}")
    if given("login") and given("user_id"):
        wrong(f"{field_name('login')} and {field_name('user_id')} are set: take one of them out")
    for one, same in (("domain_name", "domain_id"), ("project_domain_name", "project_domain_id")):
        if given(one) and given(same) and way is not TOKEN:
            wrong(f"{field_name(one)} and {field_name(same)} are set: take one of them out")
    if way is PASSWORD:
        _check_password(given, wrong, name)
    if bool(given("agency_name")) != bool(given("agency_domain_name")):
        missing, there = sorted(_AGENCY, key=lambda key: bool(given(key)))
        wrong(f"{field_name(missing)} is required with {field_name(there)}")
    if given("agency_name") and not (given("project_name") or given("project_id")):
        either = f"{field_name('project_name')} or {field_name('project_id')}"
        wrong(f"{either} is required with {field_name('agency_name')}")


def _check_password(given: Callable[[str], object], wrong: Callable[[str], NoReturn], name: str) -> None:
    if not (given("user_id") or given("domain_name") or given("domain_id")):
        wrong(f"{field_name('domain_name')} is required with {name}")
    if not (given("project_name") or given("project_id")):
        with_user = field_name("user_id") if given("user_id") else name
        wrong(f"{field_name('project_name')} or {field_name('project_id')} is required with {with_user}")


def check_keys(extra: Iterable[object], wrong: Callable[[str], NoReturn]) -> None:
    """Tell of a key of the Extra that no connection of this type has, and which one may be meant."""
    for key in extra:
        if key not in CONNECTION_FIELDS:
            wrong(f"{field_name('extra')} has the key {str(key)[:40]!r}, which is no field{_meant(str(key))}")


def check_placeholders(template: str, wrong: Callable[[str], NoReturn]) -> None:
    """Tell of a placeholder in the console's address that nothing is filled in for."""
    for name in re.findall(r"\{([^{}]*)\}", template):
        if name not in PLACEHOLDERS:
            known = ", ".join(f"{{{known}}}" for known in PLACEHOLDERS)
            wrong(f"{field_name('console_url')} holds {{{name[:40]}}}; filled in are {known}")


def looks_like_a_projects_name(value: str) -> bool:
    """Tell whether what is given as a project's id is what the console shows as its name, such as eu-de_production."""
    return bool(_PROJECT_NAME.fullmatch(value))


def options_over_cloud(auth: Mapping[str, object], given: Callable[[str], object]) -> dict[str, object]:
    """Return the options of an entry of clouds.yaml, with what the connection says instead."""
    instead = {
        "username": given("login"),
        "password": given("password"),
        "user_id": given("user_id"),
        "user_domain_name": given("domain_name"),
        "user_domain_id": given("domain_id"),
    }
    options = {**auth, **{key: value for key, value in instead.items() if value}}
    for one, same in (("username", "user_id"), ("user_domain_name", "user_domain_id")):
        if instead[one] or instead[same]:
            options.pop(same if instead[one] else one, None)
    return options


def _meant(key: str) -> str:
    plain = key.lower().replace("-", "_")
    close = get_close_matches(plain, CONNECTION_FIELDS, 1, 0.6)
    close = close or [name for name in CONNECTION_FIELDS if name.startswith(f"{plain}_") or name.endswith(f"_{plain}")]
    return f"; did you mean {field_name(close[0])}?" if close else ""
