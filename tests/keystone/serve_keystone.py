"""Runs one Keystone on SQLite in this process; ``harness.py`` starts it with the interpreter of Keystone's environment.

Arguments: the folder for everything Keystone writes (created when missing), the life of a token in seconds. The
administrator's password comes in the environment variable ``KEYSTONE_ADMIN_PASSWORD``.

Prints its port on standard output once it accepts connections, and ends when its standard input is closed, so that it
never outlives the process that started it.
"""

import configparser
import os
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keystone.conf
import waitress
from keystone.cmd import bootstrap
from keystone.common import fernet_utils
from keystone.common.sql import upgrades
from keystone.server.flask import core

KEY_REPOSITORIES = ("fernet_tokens", "fernet_receipts", "credential")


def write_configuration(directory: Path, token_seconds: int) -> Path:
    """Write keystone.conf and return its path; each path in it is absolute, for Keystone's own defaults are in /etc."""
    settings = configparser.ConfigParser(interpolation=None)
    settings["DEFAULT"] = {"use_stderr": "true"}
    settings["database"] = {"connection": f"sqlite:///{directory / 'keystone.db'}"}
    # No time of grace: an expired token is refused from its last second on.
    settings["token"] = {"expiration": str(token_seconds), "allow_expired_window": "0"}
    # The least work bcrypt offers, and the longest password it reads.
    settings["auth"] = {"methods": "password,token,totp,application_credential,mapped,openid"}
    settings["openid"] = {"remote_id_attribute": "HTTP_OIDC_ISS"}
    settings["identity"] = {"password_hash_rounds": "4", "max_password_length": "72"}
    for name in KEY_REPOSITORIES:
        repository = directory / name
        repository.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings[name] = {"key_repository": str(repository)}
    path = directory / "keystone.conf"
    with path.open("w") as file:
        settings.write(file)
    return path


def create_keys_and_tables() -> None:
    """Prepare an empty folder; Keystone's configuration is loaded by now, its back ends are not."""
    for name in KEY_REPOSITORIES:
        keys = fernet_utils.FernetUtils(keystone.conf.CONF[name].key_repository, 3, name)
        keys.create_key_directory()
        keys.initialize_key_repository()
    upgrades.offline_sync_database_to_version()


def create_administrator(port: int) -> None:
    """Create the domain Default, the usual roles, and the user and project admin."""
    # The bootstrapper would load the back ends a second time, which Keystone forbids.
    bootstrap.backends.load_backends = dict
    bootstrapper = bootstrap.Bootstrapper()
    bootstrapper.admin_username = bootstrapper.project_name = bootstrapper.admin_role_name = "admin"
    bootstrapper.admin_password = os.environ["KEYSTONE_ADMIN_PASSWORD"]
    bootstrapper.service_name = "keystone"
    bootstrapper.region_id = "RegionOne"
    bootstrapper.public_url = f"http://127.0.0.1:{port}/v3"
    bootstrapper.bootstrap()


def behind_openid(application: Callable[..., Any]) -> Callable[..., Any]:
    """Tell Keystone whose access token came, as Apache's mod_auth_openidc does; ``oidc.py`` issues them."""

    def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        kind, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        issued_for, _, user = token.partition(":")
        if kind == "Bearer" and issued_for == "access-token-of":
            environ |= {"HTTP_OIDC_ISS": "https://idp.example", "REMOTE_USER": user}
        return application(environ, start_response)

    return serve


def end_with_parent() -> None:
    """Leave when the other end of standard input is gone."""
    sys.stdin.buffer.read()
    os._exit(0)


def main() -> None:
    """Serve until standard input ends."""
    directory, token_seconds = Path(sys.argv[1]).resolve(), int(sys.argv[2])
    del sys.argv[1:]  # Keystone reads the command line itself
    threading.Thread(target=end_with_parent, daemon=True).start()

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    configuration = write_configuration(directory, token_seconds)
    application = core.initialize_application(
        "public", post_log_configured_function=create_keys_and_tables, config_files=[str(configuration)]
    )
    create_administrator(port)
    # One thread: Keystone keeps a validated token in the thread's context, where a revocation on another thread
    # does not reach it.
    server = waitress.create_server(behind_openid(application), sockets=[listener], threads=1)
    print(port, flush=True)
    server.run()


if __name__ == "__main__":
    main()
