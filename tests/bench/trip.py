"""The keeper's round trip beside a web framework's on the same kind of socket."""

from __future__ import annotations

import asyncio
import http.client
import importlib.util
import json
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.measure import NotMeasured, alternate, p50
from bench.stage import SERVERS, Stage, a_stage, folder, running
from bench.swarm import Frames, Responses, call_frame, throughput
from bench.table import Goal, Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.measure import Scale

_BATCH = 200  # round trips a sample
_BODY = json.dumps({"verb": "status", "args": {}, "client": "mcp"}).encode()
_REQUEST = b"POST /status HTTP/1.1\r\nhost: kv\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
    len(_BODY),
    _BODY,
)


def rows(scale: Scale) -> Iterator[Row]:
    """One client's p50, and calls per second of 64."""
    for name in ("starlette", "uvicorn"):
        if importlib.util.find_spec(name) is None:
            raise NotMeasured(f"{name} is not installed")
    faster = [name for name in ("uvloop", "httptools") if importlib.util.find_spec(name)]  # uvicorn takes what it finds
    rival = f"starlette, uvicorn ({', '.join(faster) or 'h11'})"
    with a_stage(secrets=10) as stage, folder() as here:
        path = str(here / "rival.sock")
        with running(str(SERVERS / "starlette_status.py"), path):
            _wait_for(path)
            yield _one(stage, path, rival, scale)
            yield _many(stage, path, rival, scale)


def _one(stage: Stage, path: str, rival: str, scale: Scale) -> Row:
    other_client = _UnixConnection(path)
    with stage.client() as client:

        def theirs() -> None:
            other_client.request("POST", "/status", _BODY, {"content-type": "application/json"})
            json.loads(other_client.getresponse().read())

        mine, other = alternate(
            lambda: p50(lambda: client.ask("status"), _BATCH), lambda: p50(theirs, _BATCH), scale.of(20, 8)
        )
    other_client.close()
    return Row("daemon round trip (status): p50", "µs", mine, rival, other, Goal(0.5))


def _many(stage: Stage, path: str, rival: str, scale: Scale) -> Row:
    each = scale.of(40, 20)
    frame = call_frame("status", {})
    with asyncio.Runner() as runner:
        mine, other = alternate(
            lambda: runner.run(throughput(stage.socket, Frames, frame, each)),
            lambda: runner.run(throughput(path, Responses, _REQUEST, each)),
            scale.of(9, 4),
        )
    return Row("  at 64 clients", "calls/s", mine, rival, other, Goal(4, at_least=True))


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("kv")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self._path)


def _wait_for(path: str) -> None:
    deadline = time.monotonic() + 20
    while not Path(path).exists():
        if time.monotonic() > deadline:
            raise NotMeasured("the rival did not start")
        time.sleep(0.02)
