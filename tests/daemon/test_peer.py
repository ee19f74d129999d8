"""One connection: requests in their order, whether they wait or not, and ends in time."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, cast

import pytest

from kv import wire
from kv.daemon import peer as peers
from kv.daemon.peer import Peer, Room
from kv.daemon.requests import Request, decode
from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

AT_ONCE, WAITS = (wire.encode({"verb": verb, "args": {}, "client": "cli"}) for verb in ("status", "audit-verify"))


class Loop(asyncio.SelectorEventLoop):
    """A loop whose clock the test moves."""

    ahead = 0.0

    def time(self) -> float:
        """Seconds."""
        return super().time() + self.ahead


async def _serve(sock: socket.socket, idle: float, answer: bytes = b"") -> int:
    """Answer every request by its number, and `answer`, until the end: how many there were."""
    peer, number = Peer(sock, Room(1 << 20), idle), 0

    def begin(frame: wire.Frame) -> Request | None:
        nonlocal number
        request = decode(frame.header, frame.body, "kv")
        if request.name != "status":
            return request
        number += 1
        peer.post({"ok": {"number": number}}, answer)
        return None

    try:
        while not peer.ended:
            await peer.flush()
            if await peer.next(begin) is not None:
                await asyncio.sleep(0)
                number += 1
                await peer.send({"ok": {"number": number}}, answer)
        return number
    finally:
        peer.close()


def _played(
    play: Callable[[socket.socket, asyncio.Task[int]], Awaitable[None]], idle: float = 30, answer: bytes = b""
) -> None:
    async def story() -> None:
        mine, theirs = socket.socketpair()
        for each in (mine, theirs):
            each.settimeout(0)
        task = asyncio.create_task(_serve(theirs, idle, answer))
        with mine:
            try:
                async with asyncio.timeout(3600):  # by the same clock
                    await play(mine, task)
            finally:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, KvError, TimeoutError):
                    await task

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(story())


async def _numbers(sock: socket.socket, wanted: int) -> list[object]:
    decoder, found = wire.Decoder(), list[object]()
    while len(found) < wanted:
        while (frame := decoder.next()) is not None:
            found.append(frame.header["ok"]["number"])  # type: ignore[index]  # an answer
        if len(found) < wanted:
            decoder.feed(await asyncio.get_running_loop().sock_recv(sock, 1 << 16))
    return found


@pytest.mark.parametrize("answer", [b"", b"x" * (1 << 18)], ids=["short", "long"])
def test_requests_are_answered_in_their_order(answer: bytes) -> None:
    """Many at once, of both kinds, by a client that reads late: no answer passes another, and none is lost."""

    async def play(sock: socket.socket, task: asyncio.Task[int]) -> None:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(sock, (AT_ONCE * 3 + WAITS + AT_ONCE + WAITS * 2) * 5)
        for _ in range(200):  # turns, for the keeper's end to fill what it can
            await asyncio.sleep(0)
        assert await _numbers(sock, 35) == list(range(1, 36))
        sock.shutdown(socket.SHUT_WR)
        assert await task == 35

    _played(play, answer=answer)


def test_who_speaks_stays() -> None:
    """The time of silence runs from the last request, and not from the first."""

    async def play(sock: socket.socket, task: asyncio.Task[int]) -> None:
        loop = cast("Loop", asyncio.get_running_loop())
        for _ in range(6):
            await loop.sock_sendall(sock, AT_ONCE)
            await _numbers(sock, 1)
            loop.ahead += 20
            for _ in range(3):  # turns: what is due happens
                await asyncio.sleep(0)
        assert not task.done()
        loop.ahead += 20
        with pytest.raises(TimeoutError):
            await task

    _played(play, idle=30)


@pytest.mark.parametrize("before", [b"", AT_ONCE], ids=["alone", "behind another"])
def test_half_a_frame_has_a_deadline_of_its_own(before: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a client may be silent, and whatever came with the half."""
    monkeypatch.setattr(peers, "_FRAME_SECONDS", 0.2)

    async def play(sock: socket.socket, task: asyncio.Task[int]) -> None:
        await asyncio.get_running_loop().sock_sendall(sock, before + AT_ONCE[:-1])
        with pytest.raises(TimeoutError):
            await task

    _played(play)


def test_an_end_inside_a_frame_is_no_clean_end() -> None:
    """It is told as what it is."""

    async def play(sock: socket.socket, task: asyncio.Task[int]) -> None:
        await asyncio.get_running_loop().sock_sendall(sock, AT_ONCE[:-1])
        sock.shutdown(socket.SHUT_WR)
        with pytest.raises(KvError, match="inside a frame"):
            await task

    _played(play)
