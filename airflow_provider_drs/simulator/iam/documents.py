"""The bodies that Keystone sends: versions, projects, the catalog and errors."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from airflow_provider_drs.simulator.iam.account import Account
from airflow_provider_drs.simulator.responses import Response, json_response

_TITLES: Final = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found"}
#: Keystone's framework writes these itself, in HTML.
_PAGES: Final = {
    404: (
        "Not Found",
        "The requested URL was not found on the server. If you entered the URL manually please check your spelling and "
        "try again.",
    ),
    405: ("Method Not Allowed", "The method is not allowed for the requested URL."),
}


def error(status: int, message: str, base_url: str = "") -> Response:
    """An error of Keystone's own; ``base_url`` goes into the challenge of a 401."""
    headers = {"WWW-Authenticate": f'Keystone uri="{base_url}/v3"'} if status == 401 else {}
    body = {"error": {"code": status, "message": message, "title": _TITLES[status]}}
    return json_response(body, status, headers)


def unknown_path() -> Response:
    """The page for a path that Keystone does not have."""
    return _page(404)


def wrong_method(allow: tuple[str, ...], is_version: bool) -> Response:
    """HTTP 405: a page for the versions, JSON for everything else."""
    response = _page(405) if is_version else json_response({"message": _PAGES[405][1]}, 405)
    return Response(405, response.body, {**response.headers, "Allow": ", ".join(allow)})


def versions(base_url: str) -> Response:
    """``GET /``: the list of versions, HTTP 300."""
    return json_response({"versions": {"values": [_version(base_url)]}}, 300, {"Location": f"{base_url}/v3/"})


def version(base_url: str) -> Response:
    """``GET /v3``: what keystoneauth reads to discover the version of IAM."""
    return json_response({"version": _version(base_url)})


def project(account: Account, base_url: str) -> dict[str, Any]:
    """The account's project."""
    return {
        "id": account.project_id,
        "name": account.project_name,
        "domain_id": account.domain_id,
        "parent_id": account.domain_id,
        "description": "",
        "enabled": True,
        "is_domain": False,
        "tags": [],
        "options": {},
        "links": {"self": f"{base_url}/v3/projects/{account.project_id}"},
    }


def domain(account: Account, base_url: str) -> dict[str, Any]:
    """The account's domain."""
    links = {"self": f"{base_url}/v3/domains/{account.domain_id}"}
    return {"id": account.domain_id, "name": account.domain, "description": "", "enabled": True, "links": links}


def listing(name: str, items: list[dict[str, Any]], address: str) -> dict[str, Any]:
    """A list as Keystone wraps it."""
    return {name: items, "links": {"next": None, "self": address, "previous": None}}


def catalog(account: Account, base_url: str) -> list[dict[str, Any]]:
    """The services of the account's project."""
    return [
        _service("drs", f"{base_url}/v3/{account.project_id}"),
        _service("iam", f"{base_url}/v3"),
        _service("identity", f"{base_url}/v3"),
    ]


def iso(at: float) -> str:
    """A moment as Keystone writes it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _version(base_url: str) -> dict[str, Any]:
    return {
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": f"{base_url}/v3/"}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    }


def _service(kind: str, url: str) -> dict[str, Any]:
    endpoint = {"id": f"{kind}-public", "interface": "public", "region": "eu-de", "region_id": "eu-de", "url": url}
    return {"id": kind, "type": kind, "name": kind, "endpoints": [endpoint]}


def _page(status: int) -> Response:
    title, text = _PAGES[status]
    page = f"<!doctype html>\n<html lang=en>\n<title>{status} {title}</title>\n<h1>{title}</h1>\n<p>{text}</p>\n"
    return Response(status, page.encode(), {"Content-Type": "text/html; charset=utf-8"})
