"""Blocking drivers beside the loop: threads of our own, and work that stops when its caller goes away.

Rules of this file
- Not the loop's default threads: a few slow queries would keep the keeper from its files.
- Who cancels does not wait for the other side: `abort` makes the work fail, and a short moment is all it gets. Work
  that no thread has begun is not waited for at all.
- What closes has threads of its own: calls without end must not keep others from being over.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from brokers.sql.room import THREADS

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
_CLOSING = 4  # threads: what they do is short
_MOMENT = 1.0  # seconds for aborted work to notice


class Threads:
    """A bounded number of threads, started as they are needed."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix=name)
        self._closing = ThreadPoolExecutor(_CLOSING, thread_name_prefix=f"{name}-closing")

    async def run(self, work: Callable[[], T], abort: Callable[[], None]) -> T:
        """What `work` returns or raises. A cancelled caller aborts it."""
        begun = self._pool.submit(work)
        future = asyncio.wrap_future(begun)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            future.add_done_callback(_read)
            abort()
            if not begun.cancel():  # of the two only this one knows whether a thread is at it
                await asyncio.wait({future}, timeout=_MOMENT)
            raise

    async def last(self, work: Callable[[], T]) -> T:
        """What `work` returns or raises, which closes something that nothing is at. It is not aborted."""
        return await asyncio.shield(asyncio.wrap_future(self._closing.submit(work)))

    def close(self) -> None:
        """Take no more work. What is at work ends by itself."""
        self._pool.shutdown(wait=False)
        self._closing.shutdown(wait=False)


def _read(future: asyncio.Future[T]) -> None:
    """Nobody is left to hear how aborted work ended."""
    if not future.cancelled():
        future.exception()
