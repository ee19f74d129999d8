"""Both protocol eras that live clients speak, by the SDK's client and by lines of JSON that no SDK made."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import pytest
from agent import IMPATIENT, play
from jsonrpc import SERVE, serve_after

from kv.mcp import progress

if TYPE_CHECKING:
    from agent import Agent
    from scene import Scene
    from upstream import Peer, Received
    from world import World

HANDSHAKES = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
MODERN = "2026-07-28"
ERAS = (HANDSHAKES[0], HANDSHAKES[-1], MODERN)
TOOLS = [
    "kv_api",
    "kv_explain",
    "kv_list",
    "kv_query",
    "kv_run",
    "kv_schema",
    "kv_ssh",
    "kv_ssh_copy",
    "kv_status",
    "kv_wait",
]
ENTRY_MAX = 500  # characters of a tool in `tools/list`: every conversation pays for them
INVALID_REQUEST, UNSUPPORTED_VERSION = -32600, -32022
CLIENT = {"name": "story", "version": "1"}
ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientInfo": CLIENT,
    "io.modelcontextprotocol/clientCapabilities": {},
}
JUNK = (
    *("", "{", "null", "[]", "\x00\x1b[2J", '{"jsonrpc":"2.0"}', '{"jsonrpc":"1.0","id":7,"method":1}'),
    '{"jsonrpc":"2.0","id":"\\ud800","method":"tools/call","params":{"name":"kv_status"}}',
)


@dataclass
class Lines:
    """`kv mcp` on pipes. Use as a context manager."""

    world: World
    serve: tuple[str, ...] = SERVE
    _last: int = field(default=0, init=False)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, *self.serve],
            env=self.world.environment,
            cwd=self.world.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._patience = threading.Timer(60, self._process.kill)  # a server that is silent fails the story
        self._patience.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(BrokenPipeError):
            rest, log = self._process.communicate()
            self.world.seen += [rest, log]
        self._patience.cancel()

    def send(self, line: str) -> None:
        """One line, whatever is in it."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def notify(self, method: str) -> None:
        """A message that has no answer."""
        self.send(json.dumps({"jsonrpc": "2.0", "method": method}))

    def ask(self, method: str, **params: object) -> dict[str, Any]:
        """The answer to one request, which has to be the next line."""
        self.start(method, **params)
        answer = self.read()
        assert answer["id"] == self._last
        return answer

    def start(self, method: str, **params: object) -> None:
        """Send one request."""
        self._last += 1
        self.send(json.dumps({"jsonrpc": "2.0", "id": self._last, "method": method, "params": params}))

    def read(self) -> dict[str, Any]:
        """The next line."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        self.world.seen.append(line)
        message: dict[str, Any] = json.loads(line)
        assert message["jsonrpc"] == "2.0"
        return message

    def begin(self, version: str) -> dict[str, object]:
        """Begin in the era of `version`; what each request has then to carry."""
        if version == MODERN:
            self.ask("server/discover", _meta=ENVELOPE)
            return dict(ENVELOPE)
        self.open(version)
        return {}

    def open(self, version: str) -> dict[str, Any]:
        """The handshake of the older era; what the server said to it."""
        hello: dict[str, Any] = self.ask("initialize", protocolVersion=version, capabilities={}, clientInfo=CLIENT)
        self.notify("notifications/initialized")
        result: dict[str, Any] = hello["result"]
        return result


def text(answer: dict[str, Any]) -> Any:  # noqa: ANN401 - what the tool said
    """What a tool said."""
    result = answer["result"]
    assert not result.get("isError"), result
    (part,) = result["content"]
    return json.loads(part["text"])


def api(arguments: dict[str, object] | None = None) -> dict[str, Any]:
    """The parameters of one `kv_api`."""
    return {"name": "kv_api", "arguments": {"provider": "echo", "path": "/echo", **(arguments or {})}}


@pytest.mark.parametrize("version", HANDSHAKES)
def test_a_handshake_is_answered_in_the_clients_version(shared: Scene, version: str) -> None:
    """Each released version of the older era is spoken as asked, and serves the tools."""
    with Lines(shared.world) as lines:
        hello = lines.open(version)
        assert hello["protocolVersion"] == version
        assert hello["serverInfo"]["name"] == "kv"
        assert "Never ask for keys" in hello["instructions"]
        tools = lines.ask("tools/list")["result"]["tools"]
        assert sorted(tool["name"] for tool in tools) == TOOLS
        assert [tool["name"] for tool in tools if len(json.dumps(tool, separators=(",", ":"))) > ENTRY_MAX] == []
        assert text(lines.ask("tools/call", **api()))["status"] == 200
    assert len(shared.upstream.requests) == 1
    assert shared.world.leaked(shared.key) == []


def test_an_unknown_version_is_answered_with_one_that_is_spoken(shared: Scene) -> None:
    """A client of another year is told a version and may go on in it."""
    with Lines(shared.world) as lines:
        assert lines.open("2023-01-01")["protocolVersion"] == HANDSHAKES[-1]
        assert text(lines.ask("tools/call", name="kv_status", arguments={}))["locked"] is False


def test_the_newer_era_needs_no_handshake(shared: Scene) -> None:
    """`server/discover` names it, every request carries its own envelope, and nothing was agreed on before."""
    with Lines(shared.world) as lines:
        found = lines.ask("server/discover", _meta=ENVELOPE)["result"]
        assert MODERN in found["supportedVersions"]
        assert "Never ask for keys" in found["instructions"]
        tools = lines.ask("tools/list", _meta=ENVELOPE)["result"]["tools"]
        assert sorted(tool["name"] for tool in tools) == TOOLS
        assert [tool["name"] for tool in tools if len(json.dumps(tool, separators=(",", ":"))) > ENTRY_MAX] == []
        assert text(lines.ask("tools/call", _meta=ENVELOPE, **api()))["status"] == 200
    with Lines(shared.world) as lines:  # a client that knows whom it talks to asks nothing first
        assert text(lines.ask("tools/call", _meta=ENVELOPE, **api()))["status"] == 200
    assert len(shared.upstream.requests) == 2
    assert shared.world.leaked(shared.key) == []


def test_one_connection_is_of_one_era(shared: Scene) -> None:
    """What opened the connection decides; a request of the other era is refused and reaches nothing."""
    with Lines(shared.world) as lines:
        lines.open(HANDSHAKES[-1])
        assert lines.ask("tools/call", _meta=ENVELOPE, **api())["error"]["code"] == INVALID_REQUEST
    with Lines(shared.world) as lines:
        lines.ask("server/discover", _meta=ENVELOPE)
        refused = lines.ask("initialize", protocolVersion=HANDSHAKES[-1], capabilities={}, clientInfo=CLIENT)
        assert refused["error"]["code"] == UNSUPPORTED_VERSION
        assert "error" in lines.ask("tools/call", **api())
    assert shared.upstream.requests == []


def test_without_a_handshake_or_an_envelope_nothing_is_called(shared: Scene) -> None:
    """A request of neither era is refused, and the connection can still be opened properly."""
    with Lines(shared.world) as lines:
        assert "error" in lines.ask("tools/call", **api())
        assert shared.upstream.requests == []
        lines.open(HANDSHAKES[-1])
        assert text(lines.ask("tools/call", **api()))["status"] == 200


@pytest.mark.parametrize("version", [HANDSHAKES[-1], MODERN])
def test_garbage_does_not_end_a_connection(shared: Scene, version: str) -> None:
    """Lines that are no request, one that spells half a character among them, are passed over; the next is answered."""
    with Lines(shared.world) as lines:
        meta = lines.begin(version)
        for junk in JUNK:
            lines.send(junk)
        assert text(lines.ask("tools/call", **api(), _meta=meta))["status"] == 200
    assert [request.target for request in shared.upstream.requests] == ["/echo"]


@pytest.mark.parametrize("version", ERAS)
def test_a_call_that_takes_long_gives_signs_of_life(shared: Scene, version: str) -> None:
    """A client that asked for progress is told some that grows, in words of kv's own, and nothing after the answer."""
    seen = threading.Event()

    @shared.upstream.route("/slow")
    async def slow(_: Received, peer: Peer) -> None:
        await asyncio.to_thread(seen.wait, 60)
        await peer.json({})

    with Lines(shared.world, serve_after("kv.mcp.progress._EVERY_SECONDS = 0.05")) as lines:
        meta = lines.begin(version)
        lines.start("tools/call", **api({"path": "/slow"}), _meta={**meta, "progressToken": "p1"})
        told = [lines.read(), lines.read()]
        seen.set()
        while "id" not in (last := lines.read()):
            told.append(last)
        assert text(last)["status"] == 200
        assert {message["method"] for message in told} == {"notifications/progress"}
        assert {message["params"]["progressToken"] for message in told} == {"p1"}
        passed = [message["params"]["progress"] for message in told]
        assert passed == sorted(set(passed))
        assert {message["params"]["message"] for message in told} == {progress._SAYS}
        assert text(lines.ask("tools/call", name="kv_status", arguments={}, _meta=meta))["locked"] is False


@pytest.mark.parametrize("version", ERAS)
def test_who_asked_for_no_progress_is_told_none(shared: Scene, version: str) -> None:
    """The answer is the next line, however long it took."""

    @shared.upstream.route("/slower")
    async def slower(_: Received, peer: Peer) -> None:
        await asyncio.sleep(0.3)
        await peer.json({})

    with Lines(shared.world, serve_after("kv.mcp.progress._EVERY_SECONDS = 0.05")) as lines:
        meta = lines.begin(version)
        assert text(lines.ask("tools/call", **api({"path": "/slower"}), _meta=meta))["status"] == 200


@pytest.mark.parametrize("version", ERAS)
def test_a_call_that_waits_tells_the_sentence_for_the_user(shared: Scene, version: str) -> None:
    """In every era, and of a client that can ask its user nothing: a ticket, and what the user is to run."""
    with Lines(shared.world, IMPATIENT) as lines:
        meta = lines.begin(version)
        held = text(lines.ask("tools/call", **api({"method": "POST", "reason": "a story"}), _meta=meta))
        assert f"kv approve {held['pending']}" in held["say"]
        again = lines.ask("tools/call", name="kv_wait", arguments={"ticket": held["pending"]}, _meta=meta)
        assert text(again)["say"] == held["say"]
    assert shared.upstream.requests == []


@pytest.mark.parametrize(("mode", "version"), [("auto", MODERN), (MODERN, MODERN), ("legacy", HANDSHAKES[-1])])
def test_the_official_client_is_served_in_every_mode(shared: Scene, mode: str, version: str) -> None:
    """It ends up in the era it was set to, by itself in the newer one, and gets the same answer in each."""

    async def story(one: Agent) -> None:
        assert one.client.protocol_version == version
        assert (await one.api("/echo")).json["status"] == 200
        assert "argument 'path' is refused" in (await one.api("//elsewhere.test/")).error

    play(shared.world, story, mode)
    assert len(shared.upstream.requests) == 1
    assert shared.world.leaked(shared.key) == []
