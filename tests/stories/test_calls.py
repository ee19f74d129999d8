"""Calls that ask for too much, fail on purpose or are cut off: what they cost others, and what their caller is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from raw import Raw

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scene import Scene
    from world import World

DENIED, FAILED, DAMAGED = 3, 1, 9
MIB = 1 << 20


def _keeper(world: World) -> int:
    return int(world.must("status", "--json").json["pid"])


def _descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _get(path: str, **others: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever the wire takes
    return {"connection": "echo", "path": path, **others}


def _post(path: str, **others: Any) -> dict[str, Any]:  # noqa: ANN401 - the same
    return _get(path, method="POST", **others)


def _until(holds: Any, seconds: float = 20) -> bool:  # noqa: ANN401 - a callable
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.05)
    return False


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    """The descriptor of a working folder."""
    work = tmp_path / "work"
    work.mkdir()
    descriptor = os.open(work, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def test_one_session_takes_no_others_place_and_leaves_nothing(scene: Scene, folder: int) -> None:
    """A session has 64 calls at once; the next are refused at no cost, and other sessions are served meanwhile."""
    world = scene.world
    world.connect("other", scene.key, scene.upstream.port, scene.upstream.ca_pem)
    pid = _keeper(world)
    with Raw(world) as raw:
        for _ in range(64):
            assert "pending" in raw.ask("call", _get("/hang", wait=0, timeout=100))["ok"]
        assert _until(lambda: len(scene.upstream.requests) == 24)  # three quarters of a connection's streams
        before = _descriptors(pid)
        for _ in range(100):
            assert raw.code("call", _get("/echo", wait=0, save="x"), folder=folder) == "busy"
            assert raw.code("call", _post("/echo", wait=0, save="x"), folder=folder) == "busy"
        assert _descriptors(pid) < before + 20
        assert raw.ask("approvals")["ok"]["approvals"] == []
        for name in ("other", "echo"):
            assert world.must("api", name, "GET", "/echo", "--json", apart=True).json["status"] == 200


def test_results_that_nobody_fetches_give_way_to_ones_own_calls(scene: Scene) -> None:
    """A session that never fetches results loses its oldest ones, and is not refused."""
    with Raw(scene.world) as raw:
        first = raw.ask("call", _get("/echo", wait=0))["ok"]["pending"]
        for number in range(100):
            assert "error" not in raw.ask("call", _get(f"/echo/{number}", wait=0)), number
            _until(lambda number=number: len(scene.upstream.requests) == number + 2)
        assert raw.code("wait", {"ticket": first}) == "unknown-ticket"


def test_the_keeper_takes_more_descriptors_than_calls_can_use(shared: Scene) -> None:
    """A keeper asks for 4,096 descriptors at its birth, or for what the system's hard limit allows."""
    limits = Path(f"/proc/{_keeper(shared.world)}/limits").read_text()
    soft, hard = next(line for line in limits.splitlines() if line.startswith("Max open files")).split()[3:5]
    assert int(soft) >= min(4096, int(hard))


@pytest.mark.timeout(240)
def test_a_person_is_heard_while_a_large_request_is_judged(scene: Scene) -> None:
    """Judging 15 MiB takes seconds; what a person asks meanwhile on their own socket is answered before it is done."""
    body = b"%7b" * (5 * MIB)
    ended: list[float] = []

    def explain() -> None:
        with Raw(scene.world, seconds=200) as raw:
            raw.ask("explain", _post("/echo"), body)
            ended.append(time.monotonic())

    agents = [threading.Thread(target=explain) for _ in range(3)]
    with Raw(scene.world, "kv", seconds=200) as person:
        for agent in agents:
            agent.start()
        time.sleep(1)
        for _ in range(3):
            person.ask("status")
        heard = time.monotonic()
        for agent in agents:
            agent.join()
    assert heard < max(ended)
    assert len(ended) == 3


def test_a_text_of_countless_parts_is_refused(shared: Scene) -> None:
    """A JSON body is bounded in its arrays and objects, as a parser's time goes by those."""
    body = b"[" + b",".join([b"[]"] * (5 * MIB)) + b"]"
    args = _post("/echo", headers={"content-type": "application/json"})
    with Raw(shared.world) as raw:
        assert raw.code("explain", args, body) == "too-large"
        assert raw.code("call", args, body) == "too-large"
    assert not shared.upstream.requests


def test_questions_are_rationed_as_calls_are(scene: Scene) -> None:
    """`explain` takes from the budget of calls: who asks without end is told to wait, and so are its calls."""
    with Raw(scene.world) as raw:
        codes = {raw.code("explain", _get("/echo")) for _ in range(2000)}
        assert codes == {"", "rate"}
        assert raw.code("call", _get("/echo")) == "rate"


@pytest.mark.timeout(240)
def test_bodies_of_waiting_calls_are_bounded(scene: Scene) -> None:
    """A session's calls hold 64 MiB of bodies and answers; beyond that they are refused and never sent."""
    scene.world.must("connect", "echo", "--preset", "relaxed", proof=True)
    body = bytes(15 * MIB)
    with Raw(scene.world, seconds=200) as raw:
        codes = [raw.code("call", _post("/hang", wait=0, timeout=100), body) for _ in range(6)]
        assert codes == ["", "", "", "", "busy", "busy"]
        assert _until(lambda: len(scene.upstream.requests) == 4)
        assert raw.code("explain", _post("/echo"), body) == "busy"
        assert raw.code("call", _get("/echo")) == ""


def test_refused_logins_count_whatever_is_selected_or_saved(scene: Scene, folder: int) -> None:
    """Ten refusals of the credential close the connection, also where each call ends in an error of its own."""
    world = scene.world
    for name, asks in (("one", {"select": "abs(@)"}), ("two", {"save": "taken"})):
        os.close(os.open("taken", os.O_CREAT | os.O_WRONLY, dir_fd=folder))
        world.connect(name, b"sk_live_wrong_key_0123456789", scene.upstream.port, scene.upstream.ca_pem)
        scene.upstream.requests.clear()
        with Raw(world) as raw:
            codes = [raw.code("call", {"connection": name, "path": "/echo", **asks}, folder=folder) for _ in range(12)]
        assert len(scene.upstream.requests) == 10, (name, codes)
        assert codes[10:] == ["rate", "rate"]


def test_an_approval_that_fails_performs_nothing(scene: Scene) -> None:
    """A yes that cannot be kept, as for a project in a read-only vault, is refused whole: the call goes on waiting."""
    world = scene.world
    world.connect("asked", scene.key, scene.upstream.port, scene.upstream.ca_pem, "--auth", "bearer")
    world.set_back()
    ticket = world.kv("api", "asked", "GET", "/echo", "--wait", "0", "--json").json["pending"]
    assert world.kv("approve", ticket, "--scope", "project", proof=True).status == DAMAGED
    assert [card["id"] for card in world.must("approvals", "--json").json] == [ticket]
    assert not scene.upstream.requests
    assert not [e for e in world.must("audit", "list", "--json", proof=True).json if e["verb"] == "approve"]
    world.must("approve", ticket, proof=True)
    assert world.must("wait", ticket, "--json").json["status"] == 200


def test_looking_and_being_refused_keep_no_vault_open(scene: Scene) -> None:
    """Only a call that is performed, or a person's act that succeeds, starts the idle time anew."""
    world = scene.world
    world.connect("strict", scene.key, scene.upstream.port, scene.upstream.ca_pem)
    world.must("connect", "strict", "--deny", "GET /**", proof=True)
    world.must("lock")
    world.must("unlock", "--idle", "4s", proof=True)
    pid = _keeper(world)
    asked: list[tuple[str, dict[str, Any], str]] = [
        ("status", {}, ""),
        ("wait", {"ticket": "NOPE"}, "unknown-ticket"),
        ("call", {"connection": "nope"}, "unknown-connection"),
        ("call", {"connection": "strict", "path": "/echo"}, "denied"),
        ("explain", _get("/echo"), ""),
        ("show", {"name": "demo/ECHO"}, ""),
        ("history", {"name": "demo/ECHO"}, ""),
        ("connections", {}, ""),
        ("audit-verify", {}, ""),
        ("rm", {"name": "demo/ECHO"}, "proof-needed"),
    ]
    end = time.monotonic() + 30
    with Raw(world, "kv") as raw, suppress(EOFError, OSError):
        while time.monotonic() < end:
            for verb, args, code in asked:
                assert raw.code(verb, args) == code
            time.sleep(0.2)
    assert time.monotonic() < end
    assert _until(lambda: not Path(f"/proc/{pid}").exists(), 5)


def test_calls_keep_a_vault_open(scene: Scene) -> None:
    """Calls that are performed start the idle time anew; a vault that is not used locks, and its keeper is gone."""
    world = scene.world
    world.must("lock")
    world.must("unlock", "--idle", "6s", proof=True)
    pid = _keeper(world)
    for _ in range(9):
        assert world.must("api", "echo", "GET", "/echo", "--json").json["status"] == 200
        time.sleep(1)
    assert _keeper(world) == pid
    assert _until(lambda: not Path(f"/proc/{pid}").exists(), 20)
    assert world.kv("status", "--json").json["locked"] is True


@pytest.mark.timeout(240)
def test_a_vault_in_use_locks_at_its_time(scene: Scene) -> None:
    """`unlock --until` ends a keeper at that minute, be there calls without end."""
    world = scene.world
    world.must("lock")
    behind = int(time.time() - 40) % 60  # seconds; the next minute of such a zone begins in 20 s
    world.prefix = ("env", f"TZ=HERE+00:00:{behind:02}")

    def clock(ahead: float = 0) -> str:
        return time.strftime("%H:%M", time.gmtime(time.time() - behind + ahead))

    minute = clock(21)
    world.must("unlock", "--until", minute, proof=True)
    pid = _keeper(world)
    end = time.monotonic() + 90
    with Raw(world) as raw, suppress(EOFError, OSError):
        while time.monotonic() < end:
            raw.ask("call", _get("/echo"))
            time.sleep(0.5)
    assert _until(lambda: not Path(f"/proc/{pid}").exists(), 5)
    assert clock() == minute


def test_a_call_that_the_lock_cut_off_is_not_called_undone(scene: Scene) -> None:
    """Who waits for a call when the vault locks is told that it may have happened; who waits for a person, that not."""
    world = scene.world
    with Raw(world) as under_way, Raw(world) as asking:
        under_way.send("call", _get("/hang", timeout=100))
        asking.send("call", {**_post("/echo"), "method": "DELETE"})
        assert asking.receive()["event"] == "pending"
        assert _until(lambda: len(scene.upstream.requests) == 1)
        world.must("lock")
        cut, never = under_way.receive()["error"], asking.receive()["error"]
    assert (cut["code"], cut["exit"]) == ("interrupted", FAILED)
    assert "the vault was locked" in cut["message"]
    assert "may have happened" in cut["hint"]
    assert never["code"] == "locked"


def test_a_client_that_dies_in_the_middle_leaves_an_unknown_end(scene: Scene) -> None:
    """A client killed while its call is under way: the audit has the call as unknown, the keeper goes on."""
    world = scene.world
    pid = _keeper(world)
    client = subprocess.Popen(
        world.argv("api", "echo", "GET", "/hang", "--timeout", "100"),
        env=world.environment, cwd=world.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    assert _until(lambda: len(scene.upstream.requests) == 1)
    client.send_signal(signal.SIGKILL)
    client.wait()

    def ends() -> list[str]:
        listed = world.must("audit", "list", "--json", proof=True).json
        return [entry["outcome"] for entry in listed if entry["kind"] == "settle" and entry["title"] == "GET /hang"]

    assert _until(lambda: ends() == ["unknown"])
    assert _keeper(world) == pid
    assert world.must("api", "echo", "GET", "/echo", "--json").json["status"] == 200


def test_an_hours_grant_of_writes_makes_no_key(scene: Scene) -> None:
    """What makes a credential asks although the session may write for an hour: a key would outlive the hour."""
    world = scene.world
    world.must(
        "connect", "echo", "--provider", "github", "--host", f"https://api.test:{scene.upstream.port}", proof=True
    )
    granted = world.kv("api", "echo", "POST", "/repos/a/b/issues", "--json-body", "{}", "--wait", "0", "--json").json
    world.must("approve", granted["pending"], "--scope", "session", proof=True)
    world.must("wait", granted["pending"])
    assert (
        world.must("api", "echo", "POST", "/repos/a/b/issues", "--json-body", '{"n":2}', "--json").json["status"] == 200
    )
    before = len(scene.upstream.requests)
    told = world.kv("api", "echo", "POST", "/user/keys", "--json-body", '{"key":"mine"}', "--wait", "0", "--json").json
    assert (told["card"]["effect"], told["card"]["scopes"]) == ("mint", ["once"])
    assert len(scene.upstream.requests) == before


# An agent's program, by the name of a known client: it makes a call, and has come by the person's passphrase.
AGENT = """
import hashlib, json, socket, struct, subprocess, sys
from kv.proofs import passphrase
from kv.vault.slots import PublicSlot, open_slot
argv, path, secret = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3].encode()
call = [*argv, "api", "echo", "DELETE", "/echo", "--wait", "0", "--json"]
asked = subprocess.run(call, capture_output=True, text=True)
ticket = json.loads(asked.stdout)["pending"]
sock = socket.socket(socket.AF_UNIX); sock.connect(path)
def receive():
    size = struct.unpack(">I", sock.recv(4, socket.MSG_WAITALL))[0]
    return json.loads(sock.recv(size, socket.MSG_WAITALL))
def ask(verb, args, **proof):
    text = json.dumps({"verb": verb, "args": args, "client": "cli", **proof}).encode()
    sock.sendall(struct.pack(">I", len(text)) + text)
    return receive()
receive()
told = ask("challenge", {})["ok"]
digest = passphrase.request_digest("approve", {"id": ticket}, hashlib.sha256(b"").digest())
with open_slot(PublicSlot.from_wire(told["slot"]), secret).subkey("proofs") as key:
    mac = passphrase.make(bytes(key), digest, bytes.fromhex(told["nonce"]))
answer = ask("approve", {"id": ticket}, proof={"kind": "passphrase", "mac": mac.hex()})
print(json.dumps([ticket, answer.get("error", {}).get("code"), answer.get("error", {}).get("message")]))
"""


def test_no_yes_comes_from_the_session_that_asks(scene: Scene) -> None:
    """A right proof that is given within the asking agent's session, as a phished one is, approves nothing."""
    world = scene.world
    program = world.folder / "claude"
    program.write_text(AGENT)
    secret = world.passphrase.decode()
    done = subprocess.run(
        [sys.executable, str(program), json.dumps(world.argv()), f"{world.vault}.d/kv.sock", secret],
        env=world.environment, cwd=world.folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    ticket, code, message = json.loads(done.stdout)
    assert code == "denied"
    assert "never comes from the session that asks" in message
    assert not scene.upstream.requests
    assert ticket in {card["id"] for card in world.must("approvals", "--json", proof=True).json}


LISTENER = """
import fcntl, os, socket, sys, time
lock = os.open(sys.argv[1] + "/lock", os.O_RDWR | os.O_CREAT)
fcntl.lockf(lock, fcntl.LOCK_EX)
sock = socket.socket(socket.AF_UNIX); sock.bind(sys.argv[1] + "/agent.sock"); sock.listen(8)
print("ready", flush=True)
time.sleep(120)
"""


def test_a_keeper_that_is_kept_busy_is_no_stranger(world: World) -> None:
    """A listener that holds the vault's lock and does not greet in time is called busy, not a foreign one."""
    world.must("lock")
    listener = [sys.executable, "-c", LISTENER, world.vault + ".d"]
    with subprocess.Popen(listener, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as keeper:
        try:
            assert keeper.stdout is not None
            assert keeper.stdout.readline() == b"ready\n"
            ran = world.kv("api", "echo", "GET", "/echo", "--json")
        finally:
            keeper.kill()
    assert ran.status == FAILED, ran.all
    assert "no room for more connections just now" in ran.all
