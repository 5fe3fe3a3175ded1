"""Logs in with openstacksdk and OTC's extensions and calls IAM and DRS, in their own environment.

Reads a JSON object from standard input: ``auth`` and ``ca_file`` of the simulator, and the id of a job. Prints a JSON
object with what the SDK read.
"""

from __future__ import annotations

import json
import sys

import openstack
from otcextensions import sdk


def main() -> None:
    given = json.load(sys.stdin)
    connection = openstack.connect(
        load_yaml_config=False,
        load_envvars=False,
        auth=given["auth"],
        cacert=given["ca_file"],
        region_name="eu-de",
        interface="public",
        identity_api_version="3",
    )
    sdk.load(connection)
    drs, job_id = connection.drs, given["job_id"]
    told = {
        "projects": [project.name for project in connection.identity.projects()],
        "found": connection.identity.find_project(given["auth"]["project_name"]).id,
        "user_projects": [project.id for project in connection.identity.user_projects(connection.current_user_id)],
        "catalog": sorted(service["type"] for service in connection.service_catalog),
        "drs": drs.get_endpoint(),
        "versions": [version["id"] for version in connection.session.get(given["root"]).json()["versions"]["values"]],
    }
    switched = drs.post(f"/jobs/{job_id}/switch-vip", json={"mode": "target"})
    told["switch-vip"] = [switched.status_code, switched.json()]
    status = drs.get(f"/jobs/{job_id}/get-switch-vip-status")
    told["get-switch-vip-status"] = [status.status_code, status.json()]
    deleted = drs.delete("/jobs/batch-jobs", json={"jobs": [{"job_id": job_id, "delete_type": "terminate"}]})
    told["batch-jobs"] = [deleted.status_code, deleted.json()]
    token = connection.auth_token
    revoke = connection.identity.delete("/auth/tokens", headers={"X-Subject-Token": token})
    told["revoke"] = revoke.status_code
    told["after revocation"] = drs.post(
        "/jobs/batch-status", json={"jobs": [job_id]}, headers={"X-Auth-Token": token}, authenticated=False
    ).status_code
    print(json.dumps(told))


main()
