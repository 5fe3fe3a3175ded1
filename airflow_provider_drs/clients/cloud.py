"""An entry of clouds.yaml, or the variables OS_*, as fields of a connection: read by openstacksdk's own loader."""

from __future__ import annotations

import warnings

from keystoneauth1 import loading
from keystoneauth1.exceptions import NoMatchingPlugin

try:
    from openstack.config.loader import OpenStackConfig
    from openstack.exceptions import ConfigException
except ImportError:  # an extra of this package: most connections do without
    OpenStackConfig = None

from airflow_provider_drs.get_provider_info import field_name
from airflow_provider_drs.protocol.errors import DrsConfigError, one_line

_OTC, _HUAWEI = ".otc.t-systems.com", ".myhuaweicloud.com"


def read_cloud(name: str) -> dict[str, object]:
    """Return what the entry ``name`` says, by the fields of a connection; ``envvars`` stands for the variables OS_*.

    :raises DrsConfigError: openstacksdk is not installed, or there is no such entry.
    """
    cloud = field_name("cloud")
    if OpenStackConfig is None:
        raise DrsConfigError(
            f"{cloud} needs openstacksdk: pip install 'airflow-provider-drs[openstack]' wherever Airflow runs"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # openstacksdk tells each of its users what it will drop
            region = OpenStackConfig().get_one(cloud=name, validate=False)
    except ConfigException as error:
        raise DrsConfigError(f"{cloud} {name[:40]!r} cannot be read: {one_line(error, 200)}") from None
    except Exception as error:  # whatever its parsers raise; the text may show a line with a password
        raise DrsConfigError(f"{cloud} {name[:40]!r} cannot be read: {type(error).__name__}") from None
    verify, certificate = region.get_requests_verify_args()
    if certificate is not None:
        raise DrsConfigError(f"{cloud} {name[:40]!r} has a client certificate, which is not supported")
    kind = region.config.get("auth_type") or "password"
    # The variables OS_*, and what stands beside "auth" in an entry, count as its options.
    given = {**region.config, **(region.config.get("auth") or {})}
    known = {option.dest for option in _options(kind)} | set(region.config.get("auth") or {})
    auth = {key: value for key, value in given.items() if key in known and value not in (None, "")}
    address = str(auth.get("auth_url") or "")
    host = address.partition("://")[2].partition("/")[0].partition(":")[0]
    fields = {"auth_type": kind, "auth": auth, "verify": verify}
    # Elsewhere a region says nothing about the address of DRS.
    if region.region_name and host.endswith(_OTC):
        fields["region"] = region.region_name
    elif region.region_name and host.endswith(_HUAWEI):
        fields["host"] = f"drs.{region.region_name}{_HUAWEI}"
    return fields


def _options(kind: str) -> list[loading.Opt]:
    try:
        return list(loading.get_plugin_options(kind))
    except NoMatchingPlugin:  # told by whatever logs in
        return []
