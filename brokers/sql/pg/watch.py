"""How much comes in between two portions of rows, looked at from outside: libpq would hold a gigabyte for one value.

Rules of this file
- Linux tells what a socket has received (tcp_info). Where a system does not, nothing is bounded here.
- What is too much ends the connection: nothing less stops libpq from reading on.
"""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from typing import Self

from brokers.sql.rows import MAX_CELL

_LOOKING = 0.02  # seconds between two looks: loopback brings some 20 MiB in that time
_RECEIVED = slice(128, 136)  # tcpi_bytes_received of linux/tcp.h


class Watch:
    """Watches a socket while rows come in: `portion` begins the next one. `overflow` says that it broke off."""

    def __init__(self, descriptor: int) -> None:
        self.overflow = False
        self._descriptor = descriptor
        self._before = 0
        self._task: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        self.portion()
        self._task = asyncio.get_running_loop().create_task(self._look())
        return self

    def __exit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()

    def portion(self) -> None:
        """One has come in whole."""
        self._before = self._received()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOKING)
            if self._received() - self._before > MAX_CELL:
                self.overflow = True
                with suppress(OSError), socket.socket(fileno=os.dup(self._descriptor)) as other:
                    other.shutdown(socket.SHUT_RDWR)
                return

    def _received(self) -> int:
        option = getattr(socket, "TCP_INFO", None)
        if option is None:
            return 0
        try:
            with socket.socket(fileno=os.dup(self._descriptor)) as looked_at:
                told = looked_at.getsockopt(socket.IPPROTO_TCP, option, 256)
        except OSError:
            return 0
        return int.from_bytes(told[_RECEIVED], "little")
