"""An agent's client without an SDK: lines of JSON-RPC to and from a `kv mcp` of its own.

Rules of this file
- One `Line` is one process of `kv mcp`, so one session.
- What it prints, on either stream, is a channel: `World.seen` has it.
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from pathlib import Path

    from world import World

SERVE = ("-m", "kv", "mcp")
_PATIENCE = 60  # seconds for one answer: a test that waits longer has failed


def serve_after(statement: str) -> tuple[str, ...]:
    """The arguments of a Python that runs `statement` and then is `kv mcp`: a server with one thing changed."""
    return ("-c", f"import kv.mcp, kv.__main__, sys; {statement}; sys.exit(kv.__main__.run(['mcp']))")


class Line:
    """A server on pipes, past its handshake. Use as a context manager."""

    def __init__(self, world: World, serve: tuple[str, ...] = SERVE, cwd: Path | None = None) -> None:
        self._world = world
        self._ids = 0
        self._answers: dict[int, dict[str, Any]] = {}
        self._lines: queue.Queue[str] = queue.Queue()
        self.server = subprocess.Popen(
            [sys.executable, *serve],
            env=world.environment,
            cwd=cwd or world.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._read, self._log)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        client = {"name": "story", "version": "1"}
        self.result(self.ask("initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo=client))
        self.tell("notifications/initialized")
        return self

    def __exit__(self, *_: object) -> None:
        pipe = self.server.stdin
        if pipe is not None:
            pipe.close()
        try:
            self.server.wait(20)
        finally:
            self.server.kill()
            for thread in self._threads:
                thread.join(5)
            for stream in (self.server.stdout, self.server.stderr):
                if stream is not None:
                    stream.close()

    def _read(self) -> None:
        for line in self.server.stdout or ():
            self._world.seen.append(line.decode())
            self._lines.put(line.decode())
        self._lines.put("")

    def _log(self) -> None:
        for line in self.server.stderr or ():
            self._world.seen.append(line.decode(errors="replace"))

    def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        if self.server.stdin is None:
            raise RuntimeError("no pipe")
        self.server.stdin.write(data)
        self.server.stdin.flush()

    def tell(self, method: str, **params: object) -> None:
        """Send a notification."""
        self.write(json.dumps({"jsonrpc": "2.0", "method": method, "params": params}).encode() + b"\n")

    def ask(self, method: str, **params: object) -> int:
        """Send a request; its id."""
        self._ids += 1
        self.write(json.dumps({"jsonrpc": "2.0", "id": self._ids, "method": method, "params": params}).encode() + b"\n")
        return self._ids

    def answer(self, number: int) -> dict[str, Any]:
        """The answer to a request, whenever it came."""
        while number not in self._answers:
            line = self._lines.get(timeout=_PATIENCE)
            if not line:
                raise AssertionError("the server ended")
            message = json.loads(line)
            self._answers[message.get("id")] = message
        return self._answers.pop(number)

    def result(self, number: int) -> dict[str, Any]:
        """The result of a request."""
        found = self.answer(number)
        assert "result" in found, found
        result: dict[str, Any] = found["result"]
        return result

    def start(self, tool: str, **arguments: object) -> int:
        """Send a tool call; its id."""
        return self.ask("tools/call", name=tool, arguments=arguments)

    def call(self, tool: str, **arguments: object) -> Any:  # noqa: ANN401 - whatever the tool says
        """The JSON of a tool call that does well."""
        result = self.result(self.start(tool, **arguments))
        assert not result.get("isError"), result
        (block,) = result["content"]
        return json.loads(block["text"])

    def refused(self, tool: str, **arguments: object) -> dict[str, Any]:
        """The error of a tool call that does not: code, message, hint, exit."""
        result = self.result(self.start(tool, **arguments))
        assert result["isError"], result
        error: dict[str, Any] = result["structuredContent"]["error"]
        (block,) = result["content"]
        assert block["text"] == f"kv: {error['message']}" + (f"\nhint: {error['hint']}" if error["hint"] else "")
        return error

    def api(self, path: str, **arguments: object) -> Any:  # noqa: ANN401 - as `call`
        """`kv_api` through the connection `echo`."""
        return self.call("kv_api", provider="echo", path=path, **arguments)

    def parts(self, tool: str, **arguments: object) -> list[dict[str, Any]]:
        """Every part of a long result, the texts checked against the bound."""
        found = []
        result = self.result(self.start(tool, **arguments))
        while True:
            assert not result.get("isError"), result
            (block,) = result["content"]
            assert len(block["text"].encode()) <= 64 << 10
            found.append(json.loads(block["text"]))
            if not found[-1].get("more"):
                return found
            result = self.result(self.start("kv_wait", **found[-1]["more"]))
