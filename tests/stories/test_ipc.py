"""The sockets under attack: strangers on them, strangers in their place, garbage, floods, races."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scene import Scene
    from world import World


class Raw:
    """A client that follows no rule but the frame's, and not always that."""

    def __init__(self, world: World, channel: str = "agent") -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(30)
        self.socket.connect(f"{world.vault}.d/{channel}.sock")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, header: object, body: bytes = b"") -> None:
        """One frame."""
        text = json.dumps(header).encode()
        self.socket.sendall(struct.pack(">I", len(text)) + text + body)

    def receive(self) -> dict[str, Any]:
        """The next frame's header."""
        size = struct.unpack(">I", self._exactly(4))[0]
        header: dict[str, Any] = json.loads(self._exactly(size))
        self._exactly(int(header.get("body", 0)))
        return header

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            chunk = self.socket.recv(size - len(data))
            if not chunk:
                raise EOFError
            data += chunk
        return data


def _keeper(world: World) -> int:
    return int(world.must("status", "--json").json["pid"])


@pytest.mark.parametrize(
    "junk",
    [
        b"\x00\x00\x00\x00",
        b"\xff\xff\xff\xff" + b"x" * 100,
        struct.pack(">I", 10) + b"not json!!",
        struct.pack(">I", 2) + b"[]",
        struct.pack(">I", 31) + b'{"verb":"status","verb":"lock"}',
        struct.pack(">I", 22) + b'{"body":9999999999999}',
        struct.pack(">I", 12) + b'{"body": -1}',
        struct.pack(">I", 13) + b'{"body":true}',
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
def test_garbage_gets_one_error_and_the_keeper_lives(shared: Scene, junk: bytes) -> None:
    """A malformed frame is answered by one declared error, then the connection ends; the keeper stays the same."""
    pid = _keeper(shared.world)
    with Raw(shared.world) as raw:
        raw.receive()
        raw.socket.sendall(junk)
        assert raw.receive()["error"]["code"] == "bad-frame"
        with pytest.raises((EOFError, ConnectionError)):
            raw.receive()
    assert _keeper(shared.world) == pid


def test_half_a_frame_and_a_death_leave_nothing(shared: Scene) -> None:
    """A client that dies inside a frame costs nothing."""
    pid = _keeper(shared.world)
    for _ in range(50):
        with Raw(shared.world) as raw:
            raw.socket.sendall(struct.pack(">I", 100) + b'{"verb":')
    assert _keeper(shared.world) == pid


def test_the_agents_socket_has_no_verb_that_changes_anything(shared: Scene) -> None:
    """Every changing verb is unknown on agent.sock, whatever proof is claimed."""
    with Raw(shared.world) as raw:
        raw.receive()
        for verb in ("set", "approve", "deny", "get", "lock", "panic", "connect", "rm", "challenge", "passwd", "totp"):
            raw.send({"verb": verb, "args": {}, "client": "cli", "proof": {"kind": "window"}})
            assert raw.receive()["error"]["code"] == "bad-verb", verb


def test_a_proof_is_good_for_one_request_only(shared: Scene) -> None:
    """A passphrase MAC without a challenge, or that does not fit the challenge, is refused."""
    proof = {"kind": "passphrase", "mac": "00" * 32}
    with Raw(shared.world, "kv") as raw:
        raw.receive()
        raw.send({"verb": "rm", "args": {"name": "X"}, "client": "cli", "proof": proof})
        assert raw.receive()["error"]["code"] == "bad-argument"
        raw.send({"verb": "challenge", "args": {}, "client": "cli"})
        raw.receive()
        raw.send({"verb": "rm", "args": {"name": "X"}, "client": "cli", "proof": proof})
        assert raw.receive()["error"]["code"] == "proof-wrong"


@pytest.mark.timeout(300)
def test_ten_thousand_connections_do_not_move_the_keeper(scene: Scene) -> None:
    """A flood on the agents' socket is answered or refused; the person's socket still works in the midst of it."""
    world = scene.world
    pid = _keeper(world)
    held: list[socket.socket] = []
    made = 0
    deadline = time.monotonic() + 240
    while made < 10_000 and time.monotonic() < deadline:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(5)
        try:
            sock.connect(f"{world.vault}.d/agent.sock")
        except OSError:
            sock.close()
            continue
        made += 1
        held.append(sock)
        if len(held) > 600:
            held.pop(0).close()
        if made == 5_000:
            assert world.must("approvals", "--json", proof=True).json == []
    for sock in held:
        sock.close()
    assert made == 10_000
    assert _keeper(world) == pid
    assert world.must("api", "echo", "GET", "/echo", "--json").json["status"] == 200


def test_nobody_shuts_the_person_out(world: World) -> None:
    """Connections that hold every place of the person's socket are hung up on: `kv lock` still gets through."""
    with ExitStack() as stack:
        for _ in range(80):
            with suppress(OSError):
                stack.enter_context(Raw(world, "kv"))
        world.must("lock")
    assert world.kv("status", "--json").json["locked"] is True


@contextmanager
def _foreign(world: World, channel: str) -> Iterator[list[bytes]]:
    """A listener of ours in the keeper's place that greets as a keeper does; what it hears of the next client."""
    path = f"{world.vault}.d/{channel}.sock"
    heard: list[bytes] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        Path(path).unlink(missing_ok=True)
        listener.bind(path)
        listener.listen(8)
        listener.settimeout(20)

        def listen() -> None:
            peer, _ = listener.accept()
            peer.settimeout(2)
            greeting = b'{"kv":1,"version":"0.1.0","pid":1}'
            with peer:
                try:
                    peer.sendall(struct.pack(">I", len(greeting)) + greeting)
                    heard.append(peer.recv(65536))
                except (TimeoutError, ConnectionError):
                    heard.append(b"")

        thread = threading.Thread(target=listen)
        thread.start()
        yield heard
        thread.join()


def _alarms(world: World) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = world.must("audit", "list", "--alarms", "--json", proof=True).json
    return listed


@pytest.mark.parametrize(
    ("channel", "command"),
    [
        ("agent", ("api", "echo", "GET", "/echo")),
        ("agent", ("unlock",)),
        ("kv", ("approvals", "--all")),
        ("kv", ("set", "NEW", "--stdin")),
        ("kv", ("lock",)),
    ],
)
def test_a_foreign_listener_is_told_nothing_and_becomes_an_alarm(
    world: World, channel: str, command: tuple[str, ...]
) -> None:
    """A program in the keeper's place is recognised before a byte is sent to it; the next unlock warns and records."""
    world.must("lock")
    takes_proof = command[0] in {"unlock", "approvals", "set"}
    with _foreign(world, channel) as heard:
        ran = world.kv(*command, proof=takes_proof, stdin=b"a-value-for-nobody")
    assert ran.status == 9
    assert "not kv's" in ran.err
    assert heard == [b""]
    Path(f"{world.vault}.d/{channel}.sock").unlink()
    opened = world.must("unlock", proof=True)
    assert f"warning: ALARM: a listener that is not ours was found on {channel}.sock; refused" in opened.err
    (alarm,) = _alarms(world)
    assert alarm["title"] == f"a listener that is not ours was found on {channel}.sock; refused"
    assert (alarm["peer"]["pid"], alarm["peer"]["uid"]) == (os.getpid(), os.getuid())
    assert "1 alarm recorded" in world.must("audit", "verify").out
    world.must("lock")
    assert "ALARM" not in world.must("unlock", proof=True).err


def test_a_foreign_listener_beside_a_running_keeper_is_an_alarm_at_once(world: World) -> None:
    """A socket that was taken over while the keeper runs is recorded by that very keeper, once."""
    for _ in range(2):
        with _foreign(world, "agent") as heard:
            assert world.kv("api", "echo", "GET", "/echo").status == 9
        assert heard == [b""]
    for _ in range(50):
        if found := _alarms(world):
            break
        time.sleep(0.1)
    assert [alarm["peer"]["pid"] for alarm in found] == [os.getpid()] * len(found)
    assert 1 <= len(found) <= 2


def test_a_stale_socket_is_replaced(world: World) -> None:
    """After a keeper was killed its sockets are stale: kv says locked, and unlock replaces them."""
    pid = _keeper(world)
    os.kill(pid, 9)
    _gone(pid)
    assert world.kv("status", "--json").json["locked"] is True
    world.must("unlock", proof=True)
    assert world.must("status", "--json").json["locked"] is False


@pytest.mark.timeout(240)
def test_twenty_unlocks_make_one_keeper(world: World) -> None:
    """Twenty people in a hurry: one keeper, and everyone is told that it runs."""
    world.must("lock")
    with ThreadPoolExecutor(20) as pool:
        statuses = list(pool.map(lambda _: world.kv("unlock", proof=True, timeout=200).status, range(20)))
    assert set(statuses) == {0}
    one = _keeper(world)
    for _ in range(100):
        if not (others := _keepers(world) - {one}):
            break
        time.sleep(0.05)  # who was told that it came too late may still be on its way out
    assert not others
    assert _keeper(world) == one


def test_another_user_is_refused(world: World) -> None:
    """The runtime folder is closed to other users; made reachable on purpose, the socket still refuses them."""
    if os.geteuid() != 0:
        pytest.fail("this story needs root to become another user; CI runs it as root")
    folder = Path(world.vault + ".d")
    assert folder.stat().st_mode & 0o777 == 0o700
    for path in (folder, *folder.parents):
        if path.stat().st_uid == 0 and str(path).startswith("/tmp/"):  # noqa: S108 - pytest's folder
            path.chmod(0o755)
    (folder / "agent.sock").chmod(0o777)
    code = (
        "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); "
        "sys.stdout.write(s.recv(4096).decode('latin-1'))"
    )
    done = subprocess.run(
        ["python3", "-c", code, str(folder / "agent.sock")], user=65534, capture_output=True, text=True, check=False
    )
    folder.chmod(0o700)
    assert '"denied"' in done.stdout, done.stderr


def _gone(pid: int) -> None:
    for _ in range(200):
        if not Path(f"/proc/{pid}").exists():
            return
        time.sleep(0.02)


def _keepers(world: World) -> set[int]:
    """The keepers whose home is the world's folder, as far as it can be seen: all of them by root, as whom CI runs."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if b"kv.daemon.main" in (process / "cmdline").read_bytes():
                environ = (process / "environ").read_bytes().split(b"\0")
                found |= {int(process.name)} if f"HOME={world.folder}".encode() in environ else set()
    return found
