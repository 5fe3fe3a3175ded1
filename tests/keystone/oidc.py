"""A stub of an OpenID provider: issues access tokens, by a client's secret or a user's password."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

CLIENT, SECRET, USER, PASSWORD = "airflow", "of the client", "ada", "of the user"


class _Provider(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._reply(200, {"token_endpoint": f"http://127.0.0.1:{self.server.server_port}/token"})  # type: ignore[attr-defined]

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        client = base64.b64decode(self.headers["Authorization"].removeprefix("Basic ")).decode()
        who = CLIENT if form["grant_type"] == ["client_credentials"] else form["username"][0]
        right = client == f"{CLIENT}:{SECRET}" and form.get("password", [PASSWORD]) == [PASSWORD]
        self._reply(200, {"access_token": f"access-token-of:{who}"}) if right else self._reply(401, {"error": "no"})

    def log_message(self, *_: object) -> None: ...

    def _reply(self, status: int, body: dict[str, str]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def openid_provider() -> Iterator[str]:
    """Serve on a free port; yield the address of the discovery document."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Provider) as server:
        serve = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        serve.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/.well-known/openid-configuration"
        finally:
            server.shutdown()
            serve.join(10)
