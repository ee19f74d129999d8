"""The demo's service: HTTPS on loopback, checks the key, and echoes it back in every coding it can think of.

Rules of this file
- Real TLS with a throw-away CA, real HTTP: what it received and what it sent is what a service would have.
- It is as careless as services are at their worst: the key in headers, in JSON, encoded, reversed, in an error.
"""

from __future__ import annotations

import base64
import http.server
import json
import ssl
import tempfile
import threading
import urllib.parse
from typing import TYPE_CHECKING, Self

import trustme

if TYPE_CHECKING:
    from types import TracebackType

HOST = "api.demo.test"
REFUNDS = 3  # the useful answer


class Upstream:
    """A careless service that accepts one key. `calls` are the methods and paths it answered with success."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.calls: list[str] = []
        authority = trustme.CA()
        self.ca = authority.cert_pem.bytes().decode()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(HOST).configure_cert(context)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def origin(self) -> str:
        """`https://host:port`: the name is on the certificate, the address is pinned by the connection."""
        return f"https://{HOST}:{self._server.server_address[1]}"

    def ca_file(self, folder: str) -> str:
        """The CA's certificate as a file under `folder`."""
        with tempfile.NamedTemporaryFile("w", dir=folder, suffix=".pem", delete=False) as file:
            file.write(self.ca)
        return file.name

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        upstream = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", 0)))
                right = self.headers.get("authorization") == f"Bearer {upstream.key}"
                if right:
                    upstream.calls.append(f"{self.command} {self.path}")
                body = json.dumps(
                    {"refunds": REFUNDS, "echo": echoes(upstream.key)} if right else {"error": "bad key"}
                ).encode()
                self.send_response(200 if right else 401)
                self.send_header("content-type", "application/json")
                self.send_header("x-your-key", upstream.key)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - the standard library's names

            def log_message(self, *_: object) -> None:
                """Say nothing: the demo has the terminal."""

        return Handler


def echoes(key: str) -> dict[str, str]:
    """The key in the encodings that careless services return it in."""
    raw = key.encode()
    return {
        "plain": key,
        "basic": base64.b64encode(b"user:" + raw).decode(),
        "base64": base64.b64encode(raw).decode(),
        "base64, shifted": base64.b64encode(b"x" + raw).decode(),
        "base64 of base64": base64.b64encode(base64.b64encode(raw)).decode(),
        "url": urllib.parse.quote(key, safe=""),
        "percent": "".join(f"%{byte:02x}" for byte in raw),
        "hex": raw.hex(),
        "unicode escapes": "".join(f"\\u{ord(c):04x}" for c in key),
        "html": "".join(f"&#{ord(c)};" for c in key),
        "reversed": key[::-1],
    }
