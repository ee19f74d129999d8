"""The nursery: a process of the keeper's in which the needles lie ready, and which forks a runner for each `kv run`.

Rules of this file
- It is started at the first run and kept: a start costs ten times a fork. It ends when this line to it does.
- Needles travel in a sealed memory file, values over a pair of sockets that is made for one run and whose other end
  the nursery hands on unread. So neither stands in a message, and the nursery itself never holds a value lent.
- A runner outlives the keeper: what it was lent stays lent until its program ends, or `kv panic` ends it.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import socket
from typing import TYPE_CHECKING

import msgspec

from kv.errors import KvError
from kv.spawn import spawn

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kv.daemon.house import House
    from kv.redact import Database

_MODULE = "kv.runner.main"
_READY_SECONDS = 60.0  # to import and to build the needles of 10,000 secrets on a slow machine
_REPORT_MAX = 1 << 16  # bytes of what a runner says: numbers and codes
_LENGTH = 4


class Ended(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a run ended. `exit` is -1 where a signal ended it; `redactions` counts by stream."""

    exit: int
    signal: int
    redactions: dict[str, int]
    files: int
    left: int
    timeout: bool


class _Report(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    started: int | None = None
    failed: dict[str, str | int] | None = None
    ended: Ended | None = None


_DECODER = msgspec.json.Decoder(_Report)


class Runner:
    """The keeper's end of one run."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._loop = asyncio.get_running_loop()

    async def order(self, header: Mapping[str, object], values: Iterable[bytes], folder: int) -> None:
        """Say what is to be run, hand over the folder and the values. Raises `OSError`."""
        data = json.dumps(header).encode()
        frame = len(data).to_bytes(_LENGTH, "big") + data
        socket.send_fds(self._line, [frame[:1]], [folder])
        await self._loop.sock_sendall(self._line, frame[1:])
        for value in values:
            await self._loop.sock_sendall(self._line, value)

    async def started(self) -> int:
        """The program's pid. Raises the `KvError` for why there is none."""
        report = await self._report()
        if report.failed is not None:
            fields = dict(report.failed)
            raise KvError(str(fields.pop("code")), **fields)
        if report.started is None:
            raise KvError("internal", id="a runner spoke out of turn")
        return report.started

    async def ended(self) -> Ended:
        """How it ended. Raises `KvError("internal")` for a runner that was killed."""
        ended = (await self._report()).ended
        if ended is None:
            raise KvError("internal", id="a runner spoke out of turn")
        return ended

    def kill(self) -> None:
        """End the program, and all that it started, now."""
        data = b'{"kill":true}'
        with contextlib.suppress(OSError):
            self._line.send(len(data).to_bytes(_LENGTH, "big") + data)

    def close(self) -> None:
        """Let go; the run goes on."""
        self._line.close()

    async def _report(self) -> _Report:
        size = int.from_bytes(await self._read(_LENGTH), "big")
        if size > _REPORT_MAX:
            raise KvError("internal", id="a runner's report is out of bounds")
        try:
            return _DECODER.decode(await self._read(size))
        except msgspec.DecodeError:
            raise KvError("internal", id="a runner's report is malformed") from None

    async def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = await self._loop.sock_recv(self._line, size - len(data))
            if not more:
                raise KvError("internal", id="a runner ended before its time")
            data += more
        return data


class Nursery:
    """The process, started when it is first wanted, and what it knows."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._line: socket.socket | None = None
        self._knows: Database | None = None
        self._one = asyncio.Lock()

    async def runner(self, control: int) -> Runner:
        """A new runner, which has the client's control socket. Raises `KvError`."""
        async with self._one:
            try:
                line = await self._ready()
                ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
                try:
                    ours.settimeout(0)
                    socket.send_fds(line, [b'{"run":true}'], [theirs.fileno(), control])
                except OSError:
                    ours.close()
                    raise
                finally:
                    theirs.close()
            except OSError:
                self.close()
                raise KvError("busy", what="programs: the process that starts them ended") from None
            return Runner(ours)

    async def _ready(self) -> socket.socket:
        """The line to a nursery that knows the needles of now, as long as nobody waits. Raises `KvError`, `OSError`."""
        if self._line is None:
            self._line = await asyncio.to_thread(spawn, _MODULE, socket.SOCK_SEQPACKET)
            self._line.settimeout(0)
            await self._hear(self._line)
        while self._knows is not (database := await self._house.database()):  # it may change while they travel
            self._tell(self._line)
            await self._hear(self._line)
            self._knows = database
        return self._line

    def _tell(self, line: socket.socket) -> None:
        memory = os.memfd_create("needles", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            with os.fdopen(os.dup(memory), "wb") as file:
                size = file.write(msgspec.msgpack.encode(self._house.wanted()))
            seals = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
            fcntl.fcntl(memory, fcntl.F_ADD_SEALS, seals)
            socket.send_fds(line, [json.dumps({"needles": size}).encode()], [memory])
        finally:
            os.close(memory)

    async def _hear(self, line: socket.socket) -> None:
        async with asyncio.timeout(_READY_SECONDS):
            said = await asyncio.get_running_loop().sock_recv(line, _REPORT_MAX)
        if not said or json.loads(said) != {"ready": True}:
            raise OSError

    def close(self) -> None:
        """End the nursery. Runs go on."""
        if self._line is not None:
            self._line.close()
            self._line, self._knows = None, None
