"""What Airflow reads to find this provider, and the one list of the connection's fields and their labels.

The form, the error messages and ``docs/connection.md`` call a field by the label in this list. This module imports
nothing of the package, so that every layer can use it.
"""

from __future__ import annotations

from typing import Any

#: What the form calls the standard fields of a connection that this type uses, by key.
STANDARD_FIELDS: dict[str, str] = {
    "login": "IAM user name",
    "password": "IAM password",
    "host": "DRS endpoint",
    "port": "DRS port",
    "extra": "Extra",
}

# Needed by who logs in with user and password, as most do. Airflow's own mark would refuse every other way.
_MARK = " *"
_MARKED = ("login", "password", "region", "domain_name", "project_name")


def _marked(key: str, label: str) -> str:
    """Return the label of a field as the form shows it."""
    return f"{label}{_MARK}" if key in _MARKED else label


UI_FIELD_BEHAVIOUR: dict[str, Any] = {
    "hidden-fields": ["schema"],
    "relabeling": {key: _marked(key, label) for key, label in STANDARD_FIELDS.items() if key != "extra"},
    "placeholders": {
        "login": "or the access key, with auth_type aksk",
        "password": "or the secret key, with auth_type aksk",
        "host": "drs.eu-de.otc.t-systems.com (optional with a region)",
        "port": "443 (the Test button needs it)",
    },
}


def _field(label: str, description: str, **schema: Any) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": ["string", "null"], **schema}}


CONNECTION_FIELDS: dict[str, dict[str, Any]] = {
    "region": _field(
        "Region",
        "Such as eu-de or eu-nl; fills in the addresses of DRS, IAM and console. "
        "* is needed to log in with user and password",
        examples=["eu-de", "eu-nl"],
    ),
    "auth_url": _field("IAM endpoint", "Instead of the region's, such as https://iam.eu-de.otc.t-systems.com/v3"),
    "domain_name": _field("Domain name", "User and password: the account, such as OTC-EU-DE-000000000010000XXXXX"),
    "domain_id": _field("Domain id", "User and password: the account by its id, instead of its name"),
    "user_id": _field("User id", "User and password: the user by its id, instead of its name and Domain name"),
    "project_name": _field("Project name", "All ways: such as eu-de_production; or give the project's id"),
    "project_id": _field("Project id", "All ways: 32 letters and digits; or give the project's name"),
    "project_domain_name": _field("Project's domain name", "All ways: where it is not the user's, with Project name"),
    "project_domain_id": _field("Project's domain id", "All ways: where it is not the user's, with Project name"),
    "agency_name": _field("Agency", "User and password, or another way: the agency to take on"),
    "agency_domain_name": _field("Agency's domain name", "With Agency: the account that has created it"),
    "token": _field("Token", "Token: issued elsewhere, instead of IAM user name and password", format="password"),
    "auth_type": _field(
        "Way to log in", "aksk: IAM user name is the access key, IAM password the secret key; or a way of keystoneauth1"
    ),
    "security_token": _field("Security token", "aksk: of a temporary access key", format="password"),
    "auth": _field("Options to log in", "A way of keystoneauth1: its options, a JSON object", format="password"),
    "cloud": _field("Cloud", "clouds.yaml: name of the entry; envvars for the variables OS_*"),
    "verify": _field("Verify TLS", "true (default), false, or the path of a CA file", examples=["true", "false"]),
    "timeout": {
        "label": "Timeout",
        "description": "Seconds one request may take; default 30",
        "schema": {"type": ["number", "null"], "minimum": 1, "maximum": 3600},
    },
    "language": _field("Language", "Of DRS's error texts", enum=["en-us", "zh-cn"], default="en-us"),
    "max_polls_in_flight": {
        "label": "Polls in flight",
        "description": "Polls a triggerer has in flight at once, at most; default 100",
        "schema": {"type": ["integer", "null"], "minimum": 1, "maximum": 1000},
    },
    "max_polls_per_second": {
        "label": "Polls per second",
        "description": "Polls a triggerer sends per second, at most; default 2000",
        "schema": {"type": ["number", "null"], "minimum": 0.1, "maximum": 100000},
    },
    "console_url": _field(
        "Console address", "Of a job's page in the console; {job_id}, {region} and {project_id} are filled in"
    ),
}


#: The same fields as the form shows them.
FORM_FIELDS: dict[str, dict[str, Any]] = {
    key: {**spec, "label": _marked(key, spec["label"])} for key, spec in CONNECTION_FIELDS.items()
}


def field_name(key: str) -> str:
    """Return how messages and documentation name a field of the connection, such as ``IAM user name (login)``.

    :param key: the field's key in the connection, or in its Extra.
    :raises KeyError: the connection has no such field.
    """
    label = STANDARD_FIELDS.get(key) or CONNECTION_FIELDS[key]["label"]
    return f"{label} ({key})"


def _modules(*names: str) -> list[dict[str, Any]]:
    modules = [f"airflow_provider_drs.{name}" for name in names]
    return [{"integration-name": "Data Replication Service", "python-modules": modules}]


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata, in the form of Airflow's provider schema."""
    return {
        "package-name": "airflow-provider-drs",
        "name": "DRS (Data Replication Service)",
        "description": "Switchovers of DRS, the Data Replication Service of Open Telekom Cloud and Huawei Cloud.",
        "integrations": [
            {
                "integration-name": "Data Replication Service",
                "external-doc-url": "https://docs.otc.t-systems.com/data-replication-service/",
                "tags": ["service"],
            },
            {
                "integration-name": "OpenLineage",
                "external-doc-url": "https://openlineage.io",
                "tags": ["protocol"],
            },
        ],
        "hooks": _modules("hooks.drs"),
        "operators": _modules("operators.drs", "operators.switchover", "operators.jobs", "operators.compare"),
        "sensors": _modules("sensors.drs", "sensors.switchover", "sensors.jobs", "sensors.downtime"),
        "triggers": _modules("triggers.drs", "triggers.jobs", "triggers.events"),
        "cli": ["airflow_provider_drs.cli.airflow_commands"],
        "config": {
            "drs": {
                "description": "How the tasks of the DRS provider behave.",
                "options": {
                    "deferral_hold": {
                        "description": "Seconds after a deferral for which its end is held, because Airflow 3.0 to 3.3 "
                        "fails a task that is resumed before the scheduler has seen its worker end; 0 holds nothing.",
                        "version_added": "0.3.0",
                        "type": "float",
                        "example": None,
                        "default": "10",
                    },
                    "progress_interval": {
                        "description": "Seconds between two log lines in which a task that waits for jobs to be ready "
                        "tells their lag and how it goes; 0 writes none.",
                        "version_added": "0.3.0",
                        "type": "float",
                        "example": None,
                        "default": "60",
                    },
                },
            }
        },
        "extra-links": ["airflow_provider_drs.links.drs.DrsConsoleLink"],
        "connection-types": [
            {
                "connection-type": "drs",
                "hook-class-name": "airflow_provider_drs.hooks.drs.DrsHook",
                "hook-name": "DRS (Data Replication Service)",
                "ui-field-behaviour": UI_FIELD_BEHAVIOUR,
                "conn-fields": FORM_FIELDS,
            }
        ],
    }
