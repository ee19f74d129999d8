"""One stream of output, from the thread that reads it to whoever awaits it, with little held in between.

Rules of this file
- What is held is bounded: a full stream takes no more, the window stays shut, and the server's program waits. Ten
  gigabytes cost what ten megabytes cost.
- It ends once: as whole, or with the error that cut it off, which comes after everything that was read before.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from brokers.ssh import threads

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from brokers.contract import BrokerError

CHUNK = 64 << 10  # bytes
MAX_CHUNKS = 8  # held at most: half a megabyte


class Stream:
    """`put` is for the thread, the rest for the loop. `taken` is called when there is room again."""

    def __init__(self, taken: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._taken = taken
        self._chunks: deque[bytes] = deque()
        self._news = asyncio.Event()
        self._ended = False
        self._error: BrokerError | None = None

    @property
    def full(self) -> bool:
        """Whether `put` has to wait."""
        return len(self._chunks) >= MAX_CHUNKS

    def put(self, chunk: bytes) -> None:
        """Hand over `chunk`."""
        self._chunks.append(chunk)
        threads.post(self._loop, self._news.set)

    def end(self, error: BrokerError | None = None) -> None:
        """No more comes, and what was missing is said by `error`."""
        if not self._ended:
            self._ended, self._error = True, error
            self._news.set()

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """What comes, until the end. Raises the error that it ended with."""
        while True:
            self._news.clear()
            while self._chunks:
                chunk = self._chunks.popleft()
                self._taken()
                yield chunk
            if self._ended:
                break
            await self._news.wait()
        if self._error is not None:
            raise self._error
