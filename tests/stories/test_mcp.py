"""What an agent over MCP is given is its own, whole, and without the key; what it is not given, it cannot take."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from agent import IMPATIENT, play, play_two
from jsonrpc import Line
from upstream import encodings

if TYPE_CHECKING:
    from agent import Agent, Told
    from scene import Scene
    from upstream import Peer, Received
    from world import World

PAGE = 64 << 10
UNKNOWN = "no ticket"

# Where the upstream puts the key, how often, and whether there is an answer at all.
ECHOES = {
    "/echo": (1, True),
    "/encodings": (17, True),
    "/head-echo": (4, True),
    "/split": (1, True),
    "/redirect": (1, True),
    "/gzip": (1, True),
    "/deflate": (1, True),
    "/trailers": (0, True),
    "/br": (0, False),
    "/gzip-twice": (0, False),
    "/truncated-gzip": (0, False),
    "/garbage": (0, False),
}


def test_no_coding_of_the_key_reaches_a_model(shared: Scene) -> None:
    """Whatever an upstream does with the key it got, no tool's result and no line for a client's log has it."""

    async def story(one: Agent) -> None:
        for path, (count, answered) in ECHOES.items():
            told = await one.api(path)
            assert told.failed is not answered, (path, told)
            assert not answered or told.json["redactions"] >= count, (path, told)
            assert not answered or told.json["untrusted"] is True
        await one.api("/encodings", select="raw")
        await one.call("kv_list")
        await one.call("kv_status")
        await one.call("kv_explain", provider="echo", path="/echo")

    play(shared.world, story)
    assert {request.header("authorization") for request in shared.upstream.requests} == {
        f"Bearer {shared.key.decode()}"
    }
    assert shared.world.leaked(shared.key) == []
    shown = "\n".join(shared.world.seen)
    assert [name for name, text in encodings(shared.key).items() if json.dumps(text)[1:-1] in shown] == []
    assert "{{kv:demo/ECHO}}" in shown


def test_terminal_escapes_do_not_reach_a_model(shared: Scene) -> None:
    """Control characters of an answer are taken out: a client that prints them would move its user's cursor."""

    @shared.upstream.route("/escapes")
    async def escapes(_: Received, peer: Peer) -> None:
        await peer.json({"text": "\x1b]0;title\x07\x1b[31mred\u202e"})

    async def story(one: Agent) -> None:
        assert (await one.api("/escapes")).json["body"] == {"text": "red"}

    play(shared.world, story)


def test_half_a_character_does_not_end_the_connection(shared: Scene) -> None:
    """JSON can hold half of a surrogate pair, which no UTF-8 has: an upstream that sends one harms nobody."""

    @shared.upstream.route("/half")
    async def half(_: Received, peer: Peer) -> None:
        await peer.reply(b'{"text":"half \\ud800"}', headers=(("content-type", "application/json"),))

    async def story(one: Agent) -> None:
        assert (await one.api("/half")).json["body"] == {"text": "half \ud800"}
        assert (await one.api("/echo")).json["status"] == 200

    play(shared.world, story)


def test_a_ticket_is_of_one_connection(scene: Scene) -> None:
    """Another connection can neither wait for a call nor take its result, before and after the person's yes."""

    async def story(one: Agent, other: Agent) -> None:
        ticket = await held(one, n=1)
        assert UNKNOWN in (await other.call("kv_wait", ticket=ticket)).error
        assert (await other.call("kv_status")).json["waiting"] == 0
        assert (await one.call("kv_wait", ticket=ticket)).json["pending"] == ticket
        scene.world.must("approve", ticket, proof=True)
        assert UNKNOWN in (await other.call("kv_wait", ticket=ticket)).error
        assert (await one.call("kv_wait", ticket=ticket)).json["status"] == 200

    play_two(scene.world, story)
    assert [request.method for request in scene.upstream.requests] == ["POST"]


def test_the_same_call_of_another_connection_asks_anew(scene: Scene) -> None:
    """Word for word what one connection was granted is another's to ask for, under a ticket of its own."""

    async def story(one: Agent, other: Agent) -> None:
        ticket = await held(one, n=1)
        assert await held(other, n=1) != ticket
        scene.world.must("approve", ticket, proof=True)
        assert "pending" in (await write(other, n=1)).json
        assert (await write(one, n=1)).json["status"] == 200

    play_two(scene.world, story)
    assert len(scene.upstream.requests) == 1


def test_a_grant_is_of_one_connection(scene: Scene) -> None:
    """Writes that a person granted to one connection for an hour are asked about in another."""

    async def story(one: Agent, other: Agent) -> None:
        scene.world.must("approve", await held(one, n=1), "--scope", "session", proof=True)
        assert (await write(one, n=2)).json["status"] == 200
        await held(other, n=2)
        await held(other, n=3)
        assert "pending" in (await one.api("/echo", method="DELETE")).json

    play_two(scene.world, story)
    assert [json.loads(request.body)["n"] for request in scene.upstream.requests] == [1, 2]


def test_an_admission_is_of_one_connection(scene: Scene) -> None:
    """A connection's first read of what is not admitted always waits, whatever another one was told."""
    scene.world.connect("asked", scene.key, scene.upstream.port, scene.upstream.ca_pem, "--auth", "bearer")

    async def story(one: Agent, other: Agent) -> None:
        first = (await one.api("/echo", provider="asked")).json["pending"]
        scene.world.must("approve", first, "--scope", "session", proof=True)
        assert (await one.api("/echo", provider="asked")).json["status"] == 200
        assert "pending" in (await other.api("/echo", provider="asked")).json

    play_two(scene.world, story)


def test_two_servers_of_one_terminal_are_two_sessions(scene: Scene) -> None:
    """A client that starts both in its own terminal joins them no more than one that gives each its own."""
    with Line(scene.world, IMPATIENT) as one, Line(scene.world, IMPATIENT) as other:
        assert os.getsid(one.server.pid) == os.getsid(other.server.pid) == os.getsid(0)
        assert one.call("kv_status")["session"] != other.call("kv_status")["session"]
        ticket = one.api("/echo", method="POST", body={"n": 1})["pending"]
        assert other.refused("kv_wait", ticket=ticket)["code"] == "unknown-ticket"
        scene.world.must("approve", ticket, "--scope", "session", proof=True)
        assert other.refused("kv_wait", ticket=ticket)["code"] == "unknown-ticket"
        assert "pending" in other.api("/echo", method="POST", body={"n": 1})
        assert one.call("kv_wait", ticket=ticket)["status"] == 200
    assert len(scene.upstream.requests) == 1


def test_tickets_end_with_their_connection(scene: Scene) -> None:
    """A client that hung up leaves nothing behind that could still be approved, or taken up by the next one."""
    tickets: list[str] = []

    async def asks(one: Agent) -> None:
        tickets.append(await held(one, n=1))

    async def comes_next(one: Agent) -> None:
        assert UNKNOWN in (await one.call("kv_wait", ticket=tickets[0])).error

    play(scene.world, asks, serve=IMPATIENT)
    assert scene.world.kv("approve", tickets[0], proof=True).status != 0
    play(scene.world, comes_next, serve=IMPATIENT)
    assert scene.upstream.requests == []


# The key's name is longer than its forms are short, so a part that ended within one would be seen.
LONG = {
    "text": "".join(f"{line:06} {{key}}\n" for line in range(8_000)),
    "quotes": '"\\\n' * 40_000 + "{key}",  # JSON escapes make it twice as long
    "characters": "\té😀" * 25_000 + "{key}",
}


@pytest.mark.parametrize("name", LONG)
def test_long_results_come_in_parts(shared: Scene, name: str) -> None:
    """Every part is within 64 KiB and without the key; together they are the answer; another connection has none."""
    text = LONG[name]

    @shared.upstream.route("/long")
    async def long(_: Received, peer: Peer) -> None:
        sent = text.replace("{key}", shared.key.decode()).encode()
        await peer.reply(sent, headers=(("content-type", "text/plain; charset=utf-8"), ("x-long", "h" * 4000)))

    async def story(one: Agent, other: Agent) -> None:
        parts = await read_on(one, await fetched(one, await one.api("/long")), other)
        assert "".join(part["body"] for part in parts) == text.replace("{key}", "{{kv:demo/ECHO}}")
        assert {part["status"] for part in parts} == {200}
        assert {part["untrusted"] for part in parts} == {True}

    play_two(shared.world, story)
    assert len(shared.upstream.requests) == 1
    assert shared.world.leaked(shared.key) == []


def test_what_is_long_beside_its_body_comes_in_parts(shared: Scene) -> None:
    """Headers up to the bound and a body of its own do not make a part longer than 64 KiB."""

    @shared.upstream.route("/heads")
    async def heads(_: Received, peer: Peer) -> None:
        fields = tuple((f"x-{number}", f"{shared.key.decode()} {'h' * 900}") for number in range(60))
        await peer.reply(b'{"n": 1, "much": "%s"}' % (b"m" * 30_000), headers=fields)

    async def story(one: Agent, other: Agent) -> None:
        parts = await read_on(one, await one.api("/heads"), other)
        whole = json.loads("".join(part["body"] for part in parts))
        assert len(whole["headers"]) == 61
        assert "m" * 30_000 in whole["body"]

    play_two(shared.world, story)
    assert shared.world.leaked(shared.key) == []


def test_a_long_list_comes_in_parts(scene: Scene) -> None:
    """The names of a large vault are read on like any long result."""
    lines = "".join(f"SOME_SERVICE_{number:03}_API_KEY=Zk8qPw1{number:03}vXw9Lr\n" for number in range(800))
    scene.world.must("import", "--stdin", "--everything", "--yes", stdin=lines.encode(), proof=True)

    async def story(one: Agent, other: Agent) -> None:
        parts = await read_on(one, await one.call("kv_list"), other)
        listed = json.loads("".join(part["body"] for part in parts))
        assert len(listed["secrets"]) == 801

    play_two(scene.world, story)


def test_old_parts_are_forgotten(shared: Scene) -> None:
    """A connection keeps the parts of its last eight long results; a number beyond the end is no part."""

    @shared.upstream.route("/long")
    async def long(_: Received, peer: Peer) -> None:
        await peer.reply(b"x" * (PAGE + 1))

    async def story(one: Agent) -> None:
        tickets = [(await one.api("/long")).json["more"]["ticket"] for _ in range(9)]
        assert UNKNOWN in (await one.call("kv_wait", ticket=tickets[0], offset=1)).error
        for offset in (-1, PAGE + 1, 1 << 70):
            assert "no part starts there" in (await one.call("kv_wait", ticket=tickets[1], offset=offset)).error
        assert (await one.call("kv_wait", ticket=tickets[1], offset=PAGE)).json["body"] == "x"

    play(shared.world, story)


CALLS: dict[str, dict[str, object]] = {
    "kv_api": {"provider": "echo", "path": "/echo"},
    "kv_explain": {"provider": "echo", "path": "/echo"},
    "kv_list": {},
    "kv_wait": {"ticket": "7F3K"},
}


def test_without_a_keeper_the_model_is_told_whom_to_ask(scene: Scene) -> None:
    """Every tool says what the user has to run, starts nothing, and works again on the same connection afterwards."""
    world = scene.world

    async def story(one: Agent) -> None:
        assert (await one.api("/echo")).json["status"] == 200
        world.must("lock")
        for tool, arguments in CALLS.items():
            assert "ask the user to run `kv unlock`" in (await one.call(tool, **arguments)).error
        told = (await one.call("kv_status")).json
        assert told == {"locked": True, "say": "ask the user to run `kv unlock`"}
        assert world.kv("status", "--json").json["locked"] is True
        world.must("unlock", proof=True)
        assert (await one.api("/echo")).json["status"] == 200

    play(world, story)
    assert len(scene.upstream.requests) == 2


def test_every_start_is_served_before_there_is_a_vault(tmp_path_factory: pytest.TempPathFactory, world: World) -> None:
    """A client that starts kv on a machine without a vault gets its tools, and a sentence instead of a failure."""
    world.must("lock")
    world.folder = tmp_path_factory.mktemp("none")

    async def story(one: Agent) -> None:
        assert len((await one.client.list_tools()).tools) == 10
        assert (await one.call("kv_status")).json["locked"] is True
        assert "kv unlock" in (await one.api("/echo")).error

    play(world, story)
    assert list(world.folder.iterdir()) == []


async def write(one: Agent, n: int) -> Told:
    """A write that has to be asked about."""
    return await one.api("/echo", method="POST", body={"n": n}, reason="a story")


async def held(one: Agent, n: int) -> str:
    """The ticket of a write that waits for a person."""
    told = (await write(one, n)).json
    assert f"kv approve {told['pending']}" in told["say"]
    return str(told["pending"])


async def fetched(one: Agent, told: Told) -> Told:
    """The result of a call that takes longer than this server waits."""
    while "pending" in told.json:
        told = await one.call("kv_wait", ticket=told.json["pending"])
    return told


async def read_on(one: Agent, first: Told, other: Agent) -> list[dict[str, Any]]:
    """Every part from the first on; `other` tries to read each of them, too."""
    parts = [first.json]
    assert len(first.text) <= PAGE
    while parts[-1]["more"]:
        stolen = await other.call("kv_wait", **parts[-1]["more"])
        assert UNKNOWN in stolen.error
        told = await one.call("kv_wait", **parts[-1]["more"])
        assert len(told.text) <= PAGE
        parts.append(told.json)
    assert len(parts) > 1
    return parts
