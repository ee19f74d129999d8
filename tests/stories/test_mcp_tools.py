"""The tools over MCP: what they take, how long their results are, how they refuse, and what becomes of a call."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest
from jsonrpc import Line, serve_after
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from kv.errors import ERRORS, EXIT_STATUSES
from kv.mcp import _WAIT_SECONDS
from kv.mcp.tools import TOOLS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scene import Scene
    from upstream import Peer, Received
    from world import World

CANARY = "canary-7Qm2Zx81mQp0Vt44"
IMPATIENT = serve_after("kv.mcp._WAIT_SECONDS = 0.3")


@pytest.fixture(scope="module")
def _line(_shared: Scene) -> Iterator[Line]:
    with Line(_shared.world) as line:
        yield line


@pytest.fixture
def line(shared: Scene, _line: Line) -> Line:
    """A session on the shared scene."""
    assert shared.world.seen == []
    return _line


def _texts(scene: Scene, path: str, body: str, kind: str = "text/plain; charset=utf-8") -> None:
    """Let the upstream answer `path` with `body`."""

    @scene.upstream.route(path)
    async def answer(_request: Received, peer: Peer) -> None:
        await peer.reply(body.encode("utf-8", "surrogatepass"), headers=(("content-type", kind),))


# What is shown.


def test_a_tool_is_listed_in_500_characters(line: Line) -> None:
    """Each entry of `tools/list` is at most 500 characters of JSON, and says that it takes nothing it does not name."""
    tools = line.result(line.ask("tools/list"))["tools"]
    assert [tool["name"] for tool in tools] == [
        *(
            "kv_api",
            "kv_query",
            "kv_schema",
            "kv_ssh",
            "kv_ssh_copy",
            "kv_explain",
            "kv_run",
            "kv_list",
            "kv_status",
            "kv_wait",
        )
    ]
    for tool in tools:
        assert len(json.dumps(tool, separators=(",", ":"), ensure_ascii=False)) <= 500, tool["name"]
        assert tool["inputSchema"]["additionalProperties"] is False
    assert set(tools[0]["inputSchema"]["properties"]) == {
        *("provider", "path", "method", "query", "headers", "body", "form", "base64"),
        *("timeout", "max_bytes", "select", "save", "reason", "capture"),
    }


def test_annotations_say_what_a_tool_does(shared: Scene) -> None:
    """What acts may destroy; what brings answers from outside says that its world is open. Both eras."""

    async def hints(mode: str) -> dict[str, tuple[Any, ...]]:
        server = StdioServerParameters(
            command=sys.executable, args=["-m", "kv", "mcp"], env=shared.world.environment, cwd=str(shared.world.folder)
        )
        async with Client(stdio_client(server), mode=mode) as client:
            listed = (await client.list_tools()).tools
            return {
                tool.name: (said.read_only_hint, said.destructive_hint, said.open_world_hint)
                for tool in listed
                if (said := tool.annotations) is not None
            }

    for mode in ("legacy", "2026-07-28"):
        assert asyncio.run(hints(mode)) == {
            "kv_api": (None, True, True),
            "kv_query": (None, True, True),
            "kv_schema": (True, None, True),
            "kv_ssh": (None, True, True),
            "kv_ssh_copy": (None, True, True),
            "kv_explain": (True, None, False),
            "kv_run": (None, True, True),
            "kv_list": (True, None, False),
            "kv_status": (True, None, False),
            "kv_wait": (True, None, True),
        }


def test_an_answer_says_that_it_is_untrusted_and_of_whom(line: Line) -> None:
    """A result begins with the marks: not to be trusted, and the connection that it comes from."""
    found = line.api("/echo")
    assert list(found)[:2] == ["untrusted", "source"]
    assert (found["untrusted"], found["source"]) == (True, "echo")


# How long.


def test_a_long_list_comes_in_parts(scene: Scene) -> None:
    """A list of 900 names is within 64 KiB a part, and joined it is the whole list."""
    lines = "".join(f"SOME_APPLICATIONS_API_KEY_{number:03}=value{number:024}\n" for number in range(900))
    scene.world.must("import", "--stdin", "--everything", "--yes", "-e", "app", stdin=lines.encode(), proof=True)
    with Line(scene.world) as line:
        parts = line.parts("kv_list")
    assert len(parts) > 1
    assert {part["source"] for part in parts} == {"kv"}
    whole = json.loads("".join(part["body"] for part in parts))
    assert len(whole["secrets"]) == 901
    assert [row["name"] for row in whole["connections"]] == ["echo"]


def test_parts_are_bounded_in_bytes_and_joined_are_the_whole(shared: Scene, line: Line) -> None:
    """Text of wide characters, quotes and line ends: no part is beyond 64 KiB, none ends within a character."""
    text = ('"é漢😀\\\n' * 40_000)[:200_000]
    _texts(shared, "/wide", text)
    parts = line.parts("kv_api", provider="echo", path="/wide")
    assert "".join(part["body"] for part in parts) == text
    assert {(part["untrusted"], part["source"], part["status"], part["form"]) for part in parts} == {
        (True, "echo", 200, "text")
    }
    assert {part["part_of"] for part in parts} == {len(text.encode())}


def test_a_long_json_body_joins_to_json(shared: Scene, line: Line) -> None:
    """The parts of a JSON body are text that joins to it."""
    value = [{"id": number, "name": 'a "quoted" ü'} for number in range(4000)]
    _texts(shared, "/rows", json.dumps(value), "application/json")
    parts = line.parts("kv_api", provider="echo", path="/rows")
    assert {part["form"] for part in parts} == {"json"}
    assert json.loads("".join(part["body"] for part in parts)) == value


def test_long_headers_come_in_parts(shared: Scene, line: Line) -> None:
    """Headers count: an answer whose headers alone are beyond the bound is parted as a whole."""
    headers = tuple((f"x-{number}", '"' * 240) for number in range(180))

    @shared.upstream.route("/headers")
    async def answer(_request: Received, peer: Peer) -> None:
        await peer.reply(b"short", headers=(("content-type", "text/plain"), *headers))

    parts = line.parts("kv_api", provider="echo", path="/headers")
    assert len(parts) > 1
    whole = json.loads("".join(part["body"] for part in parts))
    assert (whole["body"], whole["headers"]["x-179"]) == ("short", '"' * 240)
    assert {(part["untrusted"], part["source"]) for part in parts} == {(True, "echo")}


def test_no_terminal_command_stands_across_two_parts(shared: Scene, line: Line) -> None:
    """Wherever a part ends, what is joined has no escape sequence, control or direction character in it."""
    evil = "\x1b]0;title\x07\x9b31m\u202e\u200b\x7f"
    _texts(shared, "/escapes", "".join(f"{'x' * (number % 97)}{evil}" for number in range(3000)))
    parts = line.parts("kv_api", provider="echo", path="/escapes")
    assert len(parts) > 1
    assert set("".join(part["body"] for part in parts)) == {"x"}


def test_a_part_starts_where_one_ended(shared: Scene, line: Line) -> None:
    """An offset within a character, beyond the end or before the start is refused."""
    _texts(shared, "/wide", "é" * 60_000)
    first = line.api("/wide")
    for offset in (-1, 1, 120_000, 10**9):
        assert line.refused("kv_wait", ticket=first["more"]["ticket"], offset=offset)["code"] == "bad-argument"
    again = line.call("kv_wait", ticket=first["more"]["ticket"], offset=0)
    assert again["body"] == first["body"]


def test_parts_belong_to_the_connection_and_are_few(scene: Scene) -> None:
    """Another connection does not know the ticket of a long result; the ninth long result drops the first."""
    _texts(scene, "/long", "x" * 100_000)
    with Line(scene.world) as line, Line(scene.world) as other:
        first = line.api("/long")["more"]
        assert other.refused("kv_wait", **first)["code"] == "unknown-ticket"
        for _ in range(7):
            line.api("/long")
        assert line.call("kv_wait", **first)["more"] is None
        line.api("/long")
        assert line.refused("kv_wait", **first)["code"] == "unknown-ticket"


def test_half_a_character_does_not_end_the_session(shared: Scene, line: Line) -> None:
    """An answer with half a surrogate pair, which JSON can spell and UTF-8 cannot, leaves the server serving."""
    _texts(shared, "/half", '{"name":"\\ud800","big":1e999}', "application/json")
    line.answer(line.start("kv_api", provider="echo", path="/half"))
    assert line.api("/echo")["status"] == 200


# What is taken.


def test_every_kind_of_body_arrives(scene: Scene) -> None:
    """JSON, text, a form and bytes arrive as what they are, short or long; two at once are refused."""
    scene.world.must("connect", "echo", "--preset", "relaxed", proof=True)
    with Line(scene.world) as line:
        for given, kind, read in _bodies():
            assert line.api("/echo", method="post", **given)["status"] == 200
            received = scene.upstream.requests[-1]
            assert (received.method, received.header("content-type")) == ("POST", kind)
            assert read(received.body), list(given)
        assert line.refused("kv_api", provider="echo", path="/", form={"a": 1}, base64="AA==")["code"] == "bad-argument"
        assert line.refused("kv_api", provider="echo", path="/", base64="not base64!")["code"] == "bad-argument"


def _bodies() -> Iterator[tuple[dict[str, object], str, Any]]:
    long = "ü" * 100_000
    yield {"body": {"a": [1, "é"]}}, "application/json", lambda data: json.loads(data) == {"a": [1, "é"]}
    yield {"body": {"a": long}}, "application/json", lambda data: json.loads(data) == {"a": long}
    yield {"body": "plain"}, "text/plain; charset=utf-8", lambda data: data == b"plain"
    yield {"body": long}, "text/plain; charset=utf-8", lambda data: data == long.encode()
    form = {"a": ["1", 2], "b": True}
    kind = "application/x-www-form-urlencoded"
    yield {"form": form}, kind, lambda data: parse_qs(data.decode()) == {"a": ["1", "2"], "b": ["true"]}
    yield {"form": {**form, "c": long}}, kind, lambda data: parse_qs(data.decode())["c"] == [long]
    for data in (b"\0\xff" * 9, b"\0\xff" * 400_000):
        yield {"base64": base64.b64encode(data).decode()}, "application/octet-stream", data.__eq__


def test_limits_selection_and_file_are_the_agents_to_choose(shared: Scene, line: Line) -> None:
    """`timeout`, `max_bytes`, `query`, `select` and `save` do what they do on the command line."""
    assert line.refused("kv_api", provider="echo", path="/hang", timeout=0.3)["code"] == "upstream-timeout"
    _texts(shared, "/plain", "0123456789abcdef")
    cut = line.api("/plain", max_bytes=10)
    assert (cut["body"], cut["truncated"]) == ("0123456789", True)
    assert line.api("/echo", query={"a": [1, 2]}, select="target")["body"] == "/echo?a=1&a=2"
    saved = line.api("/plain", save="answer.txt")
    assert saved["saved"] == {"path": "answer.txt", "bytes": 16}
    assert (shared.world.folder / "answer.txt").read_text() == "0123456789abcdef"
    assert line.refused("kv_api", provider="echo", path="/plain", save="../answer.txt")["code"] == "save"


def test_save_goes_beneath_the_servers_own_folder(scene: Scene) -> None:
    """A file is written where the client started the server, not where the keeper was started."""
    project = scene.world.folder / "project"
    project.mkdir()
    with Line(scene.world, cwd=project) as line:
        assert line.api("/echo", save="answer.json")["saved"]["path"] == "answer.json"
    assert (project / "answer.json").exists()


def test_an_unknown_argument_is_refused(shared: Scene, line: Line) -> None:
    """An argument that a tool does not have is refused by what it has, and nothing is sent; null is as if left out."""
    for tool in TOOLS:
        needed = dict.fromkeys(TOOLS[tool].arguments[: TOOLS[tool].needed], "echo")
        error = line.refused(tool, **needed, **{CANARY: CANARY})
        assert (error["code"], error["exit"]) == ("bad-argument", 2)
        assert all(name in error["message"] for name in TOOLS[tool].arguments)
    assert not shared.upstream.requests
    assert line.api("/echo", body=None, timeout=None, reason=None)["status"] == 200
    assert CANARY not in "".join(shared.world.seen)


# How it refuses.


def test_no_refusal_quotes_what_was_given(shared: Scene) -> None:
    """Whatever is wrong with an argument, the answer is an error of the list and has nothing of it."""
    with Line(shared.world, IMPATIENT) as line:
        codes = _refusals(line)
    assert {"bad-argument", "unknown-connection", "unknown-ticket"} <= codes


def _refusals(line: Line) -> set[str]:
    wrong = [[CANARY], {CANARY: CANARY}, True, 10**30, f"{CANARY} {CANARY}", CANARY]
    wrong += [CANARY[:16].replace("-", ""), "/".join([CANARY * 2] * 4)]  # a ticket's form, and a name too long to quote
    codes = set()
    for tool, row in TOOLS.items():
        needed: dict[str, object] = {"provider": "echo", "path": "/echo", "ticket": "7F3K"}
        needed |= {"argv": ["true"], "secrets": ["demo/NONE"], "connection": "echo", "sql": "select 1", "act": "get"}
        given = {name: needed[name] for name in row.arguments[: row.needed]}
        for name in row.arguments:
            for value in wrong:
                result = line.result(line.start(tool, **{**given, name: value}))
                if result.get("isError"):
                    error = result["structuredContent"]["error"]
                    assert error["exit"] == ERRORS[error["code"]][0], error
                    assert error["exit"] in EXIT_STATUSES
                    codes.add(error["code"])
                    assert CANARY[:6] not in json.dumps(result), (tool, name)
        for name in given:
            missing = {key: value for key, value in given.items() if key != name}
            assert line.refused(tool, **missing)["message"] == f"argument '{name}' is refused: it is missing"
    return codes


def test_a_refusal_of_the_keepers_comes_whole(line: Line) -> None:
    """Code, sentence, hint and exit status are those of the command line."""
    assert line.refused("kv_api", provider="echoo", path="/") == {
        "code": "unknown-connection",
        "message": "no connection or provider of that name (did you mean 'echo'?)",
        "hint": ERRORS["unknown-connection"][2],
        "exit": 6,
    }
    assert line.refused("kv_api", provider="echo", path="https://other.test/")["code"] == "bad-argument"


def test_a_defect_is_told_by_its_place(shared: Scene) -> None:
    """What kv did not foresee ends the call, not the server, and its text is on no channel."""
    raising = f"def fail(*_a, **_k): raise ValueError('{CANARY}')"
    serve = serve_after(f"exec({raising!r}, globals()); import kv.client; kv.client.Client.ask = fail")
    with Line(shared.world, serve) as line:
        error = line.refused("kv_list")
        assert (error["code"], error["exit"]) == ("internal", 70)
        assert "ValueError relay.py:" in error["message"]
        assert line.refused("kv_wait", ticket=[1])["code"] == "bad-argument"
    assert CANARY not in "".join(shared.world.seen)


def test_a_request_that_is_none_is_answered_without_its_text(shared: Scene) -> None:
    """Unknown tools, params of another shape, lines that are no message: nothing is echoed, and the server serves."""
    with Line(shared.world) as line:
        for params in ({"name": CANARY, "arguments": {}}, {"name": [CANARY]}, {"name": "kv_api", "arguments": CANARY}):
            assert line.answer(line.ask("tools/call", **params))["error"]["code"] == -32602
        for junk in (CANARY.encode(), b'{"jsonrpc":"2.0","id":"' + CANARY.encode(), b"[" * 100_000, b"\xff\0", b"[]"):
            line.write(junk + b"\n")
        line.write(b'{"jsonrpc":"2.0","method":"notifications/progress","params":"' + CANARY.encode() + b'"}\n')
        assert line.api("/echo")["status"] == 200
    assert CANARY not in "".join(shared.world.seen)


def test_an_endless_line_is_passed_over(shared: Scene) -> None:
    """A message of 300 MiB is dropped while it comes in, and not held; the next one is answered."""
    with Line(shared.world) as line:
        for _ in range(300):
            line.write(b"x" * (1 << 20))
        line.write(b"\n")
        assert line.api("/echo")["status"] == 200
        rows = Path(f"/proc/{line.server.pid}/status").read_text(encoding="ascii").splitlines()
        (peak,) = (int(row.split()[1]) >> 10 for row in rows if row.startswith("VmHWM:"))
    assert peak < 300  # MiB; the SDK itself takes 100


# What becomes of a call.


def test_a_held_call_gives_a_ticket_and_its_result_once(scene: Scene) -> None:
    """A call that waits is a ticket within 45 s; approved it goes on, and `kv_wait` has its result, once."""
    assert _WAIT_SECONDS <= 40
    with Line(scene.world, IMPATIENT) as line:
        held = line.api("/echo", method="DELETE", reason="duplicate")
        ticket = held["pending"]
        assert f"kv approve {ticket}" in held["say"]
        assert line.call("kv_status")["waiting"] == 1
        assert line.call("kv_wait", ticket=ticket)["pending"] == ticket
        assert not scene.upstream.requests
        scene.world.must("approve", ticket, proof=True)
        found = line.call("kv_wait", ticket=ticket)
        assert (found["status"], found["source"], found["body"]["method"]) == (200, "echo", "DELETE")
        assert line.refused("kv_wait", ticket=ticket)["code"] == "unknown-ticket"
    assert [request.method for request in scene.upstream.requests] == ["DELETE"]
    assert scene.world.leaked(scene.key) == []


def test_a_call_that_is_denied_is_an_error(scene: Scene) -> None:
    """A person's no is the error of the held call itself."""
    with Line(scene.world) as line:
        number = line.start("kv_api", provider="echo", path="/echo", method="DELETE")
        scene.world.must("deny", _waiting(scene.world, 1)[0], proof=True)
        error = line.result(number)["structuredContent"]["error"]
    assert (error["code"], error["exit"]) == ("refused", 3)
    assert not scene.upstream.requests


def test_cancelling_withdraws_a_call_that_has_no_ticket_yet(scene: Scene) -> None:
    """`notifications/cancelled` for a held call takes its card away; for one with a ticket it ends the waiting only."""
    with Line(scene.world) as line:
        line.tell("notifications/cancelled", requestId=line.start("kv_api", provider="echo", path="/a", method="PUT"))
        number = line.start("kv_api", provider="echo", path="/b", method="PUT")
        (ticket,) = _waiting(scene.world, 1)
        line.tell("notifications/cancelled", requestId=number)
        assert _waiting(scene.world, 0) == []
        assert scene.world.kv("approve", ticket, proof=True).status == 6
    with Line(scene.world, serve_after("kv.mcp._WAIT_SECONDS = 3")) as line:
        ticket = line.api("/c", method="PUT")["pending"]
        line.tell("notifications/cancelled", requestId=line.start("kv_wait", ticket=ticket))
        assert line.call("kv_status")["waiting"] == 1
        scene.world.must("approve", ticket, proof=True)
        assert line.call("kv_wait", ticket=ticket)["status"] == 200
    assert [request.path for request in scene.upstream.requests] == ["/c"]


def _waiting(world: World, number: int) -> list[str]:
    """The ids of the calls that wait, once they are as many as that."""
    deadline = time.monotonic() + 20
    listed: list[str] = []
    while time.monotonic() < deadline:
        listed = [card["id"] for card in world.must("approvals", "--json", proof=True).json]
        if len(listed) == number:
            return listed
        time.sleep(0.05)
    raise AssertionError(f"{len(listed)} calls wait")


def test_many_calls_at_once_get_their_own_answers(shared: Scene, line: Line) -> None:
    """Calls of one session go on side by side: a slow one holds nothing up, each answer is its own call's."""
    slow = line.start("kv_api", provider="echo", path="/hang", timeout=3)
    asked = {line.start("kv_api", provider="echo", path="/echo", query={"n": n}, select="target"): n for n in range(24)}
    for number, n in asked.items():
        assert json.loads(line.result(number)["content"][0]["text"])["body"] == f"/echo?n={n}"
    assert line.result(slow)["structuredContent"]["error"]["code"] == "upstream-timeout"
    assert len(shared.upstream.requests) == 25


def test_one_server_outlives_its_keepers(scene: Scene) -> None:
    """Locked, it says what the user has to do; unlocked, the same connection goes on."""
    with Line(scene.world) as line:
        assert line.api("/echo")["status"] == 200
        scene.world.must("lock")
        error = line.refused("kv_api", provider="echo", path="/echo")
        assert (error["code"], error["exit"], error["hint"]) == ("locked", 5, "ask the user to run `kv unlock`")
        assert line.call("kv_status") == {"locked": True, "say": "ask the user to run `kv unlock`"}
        assert line.refused("kv_list")["code"] == "locked"
        scene.world.must("unlock", proof=True)
        assert line.call("kv_status")["locked"] is False
        assert line.api("/echo")["status"] == 200


def test_a_lock_in_the_middle_of_a_call_ends_it(scene: Scene) -> None:
    """A call that waits for a person when the vault is locked is told so, and the server serves on."""
    with Line(scene.world) as line:
        number = line.start("kv_api", provider="echo", path="/echo", method="DELETE")
        _waiting(scene.world, 1)
        scene.world.must("lock")
        assert line.result(number)["structuredContent"]["error"]["code"] == "locked"
        assert line.refused("kv_list")["code"] == "locked"


def test_a_keeper_of_another_version_is_named(shared: Scene) -> None:
    """After an upgrade calls say which versions differ and what helps; the status still comes."""
    serve = serve_after("kv.client.__version__ = '9.9.9'")
    with Line(shared.world, serve) as line:
        error = line.refused("kv_api", provider="echo", path="/echo")
        assert error["code"] == "keeper-version"
        assert "9.9.9" in error["message"]
        assert "kv unlock" in error["hint"]
        assert line.call("kv_status")["locked"] is False


def test_the_verb_takes_options_only(shared: Scene) -> None:
    """A word that `kv mcp` has no use for is refused before anything is served."""
    ran = shared.world.kv("mcp", "github")
    assert (ran.status, ran.out) == (2, "")


def test_the_demo_comes_to_its_end(tmp_path_factory: pytest.TempPathFactory) -> None:
    """`kv demo` holds every claim that it prints and ends with status 0."""
    home = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [sys.executable, "-m", "kv", "demo"],
        cwd=home,
        env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert done.stdout.count("  ok  ") >= 10
    assert done.stdout.endswith("nothing is left of it\n")
