"""On a kernel that names a peer by its number alone, only who shows that the number is its own is taken for it."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import resource
import socket
import sys
from typing import TYPE_CHECKING

import pytest

from kv import wire
from kv.daemon import caller as callers
from kv.daemon.presence import Presence
from kv.daemon.server import Server, listen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from kv.daemon.dispatch import Answer, Exchange

# A client as another process: what it does with the connection is the test's. `ask` sends a status request.
CLIENT = """
import json, os, socket, sys
peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
peer.connect(sys.argv[1])
def receive():
    size = int.from_bytes(peer.recv(4, socket.MSG_WAITALL), "big")
    return json.loads(peer.recv(size, socket.MSG_WAITALL))
def ask(**more):
    text = json.dumps({"verb": "status", "args": {}, "client": "cli", **more}).encode()
    peer.sendall(len(text).to_bytes(4, "big") + text)
def greeted():
    return {"echo": receive()["echo"]}
"""
HONEST = "ask(**greeted()); print(receive()['ok']['pid'])"
WITHOUT = "greeted(); ask(); print(receive()['ok']['pid'])"
AHEAD = "ask(echo='0' * 32); greeted(); print(receive()['ok']['pid'])"
BY_A_CHILD = """
word = greeted()
if os.fork() == 0:
    ask(**word)
    os._exit(0)
os.wait()
print(receive()['ok']['pid'])
"""
HALF_BY_A_CHILD = """
text = json.dumps({"verb": "status", "args": {}, "client": "cli", **greeted()}).encode()
frame = len(text).to_bytes(4, "big") + text
peer.sendall(frame[:20])
if os.fork() == 0:
    peer.sendall(frame[20:])
    os._exit(0)
os.wait()
print(receive()['ok']['pid'])
"""
TWICE = "word = greeted(); ask(); receive(); ask(**word); print(receive()['ok']['pid'])"
# The process that connected is gone, and the number with it: its heir speaks.
ORPHANED = """
word = greeted()
connected = os.getpid()
if os.fork():
    os._exit(0)
while os.getppid() == connected:
    pass
ask(**word)
print(receive()["error"]["code"])
"""


@pytest.fixture
def older(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel has no SO_PEERPIDFD."""
    monkeypatch.setattr(callers, "_pidfd", lambda _: None)


class Pids:
    """Answers every request with the pid that the keeper takes its caller for; 0 is a stranger."""

    def waits(self, verb: str) -> bool:
        """See `Handlers`."""
        return verb != "status"

    def at_once(self, exchange: Exchange) -> Answer:
        """See `Handlers`."""
        return {"pid": exchange.caller.process.pid}, b""

    async def handle(self, exchange: Exchange) -> Answer:
        """See `Handlers`."""
        return self.at_once(exchange)


@contextlib.asynccontextmanager
async def served(folder: Path) -> AsyncIterator[str]:
    """A socket that `Pids` answers on."""
    path = str(folder / "agent.sock")
    server = Server("agent", listen(path), Pids(), str, frozenset({os.geteuid()}))
    task = asyncio.create_task(server.serve())
    try:
        yield path
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await server.close()


async def played(folder: Path, play: str) -> tuple[int, str]:
    """The client's pid, and what it printed."""
    async with served(folder) as path:
        command = [sys.executable, "-c", CLIENT + play, path, str(os.getpid())]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        out, _ = await asyncio.wait_for(process.communicate(), 30)
        return process.pid, out.decode().strip()


@pytest.mark.usefixtures("older")
def test_who_repeats_the_word_is_known(tmp_path: Path) -> None:
    """A client that does as the wire says is taken for the process that it is, so its session's grants are its own."""
    pid, said = asyncio.run(played(tmp_path, HONEST))
    assert said == str(pid)


@pytest.mark.usefixtures("older")
@pytest.mark.parametrize("play", [WITHOUT, AHEAD, BY_A_CHILD, HALF_BY_A_CHILD, TWICE])
def test_who_does_not_is_a_stranger(tmp_path: Path, play: str) -> None:
    """No word, a guessed one, one sent (or half sent) by another process, one that comes late: nobody is taken for."""
    assert asyncio.run(played(tmp_path, play))[1] == "0"


@pytest.mark.usefixtures("older")
def test_the_heir_of_a_connection_is_nobody(tmp_path: Path) -> None:
    """When the process that connected has ended, its number is nobody's proof any more."""
    assert asyncio.run(played(tmp_path, ORPHANED))[1] == "gone"


def test_a_newer_kernel_is_not_asked_for_a_word(tmp_path: Path) -> None:
    """Where the kernel holds the peer's process, the greeting has no `echo` and the first word is enough."""

    async def greeting() -> dict[str, object]:
        async with served(tmp_path) as path:
            reader, writer = await asyncio.open_unix_connection(path)
            size = int.from_bytes(await reader.readexactly(4), "big")
            header = wire.parse_header(await reader.readexactly(size))
            writer.close()
            return header

    probe, other = socket.socketpair()
    with probe, other:
        newer = callers.holds_peers(probe)
    assert ("echo" in asyncio.run(greeting())) is not newer


@pytest.mark.usefixtures("older")
def test_a_client_of_ours_is_known_on_an_older_kernel(tmp_path: Path) -> None:
    """Every request of `kv.client` carries the word: the client is the one that the wire specifies."""
    play = "peer.close(); from kv.client import Client; print(Client('', kind='cli').ask('status').ok['pid'])"

    async def run() -> tuple[int, str]:
        async with served(tmp_path) as path:
            environment = {**os.environ, "KV_AGENT_SOCKET": path}
            command = [sys.executable, "-c", CLIENT + play, path]
            process = await asyncio.create_subprocess_exec(
                *command, stdout=asyncio.subprocess.PIPE, env=environment, cwd=tmp_path
            )
            out, _ = await asyncio.wait_for(process.communicate(), 30)
            return process.pid, out.decode().strip()

    pid, said = asyncio.run(run())
    assert said == str(pid)


def test_a_process_behind_a_high_number_is_watched_too() -> None:
    """A flood that takes the first thousand descriptors makes nobody's pid unprovable."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(2048, hard), hard))
    try:
        watch = os.pidfd_open(os.getpid())
        high = fcntl.fcntl(watch, fcntl.F_DUPFD_CLOEXEC, 1500)
        os.close(watch)
        claim = Presence(os.getpid(), callers.describe(os.geteuid(), (), "agent"), high)
        assert claim.shown(claim.word, frozenset({os.getpid()}))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
