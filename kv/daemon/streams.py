"""What a command on another machine said: two streams, redacted apart, and how it ended.

Rules of this file
- Both streams are read at once and to their end: a command that nobody listens to would stand still in the middle of
  its work. Beyond the cap what comes is dropped, and the call's time bounds how long.
- The caps apply to what came out of the scrubbers, as everywhere (`shape`).
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, cast

from kv.daemon.aside import uncollected
from kv.daemon.planning import LARGE
from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from brokers.contract import Outcome, Plan
    from kv.daemon.shape import Desk
    from kv.redact import Redaction

_FACTS = ("exit", "signal", "timed_out", "may_go_on")  # of an outcome's head, complete when both streams have ended


class Stream:
    """One stream as it is read: `data` up to its cap, `came` bytes in all."""

    def __init__(self, cap: int) -> None:
        self.data = bytearray()
        self.came = 0
        self.cut = False
        self.unfit: KvError | None = None
        self._cap = cap

    def add(self, redacted: bytes) -> None:
        """Keep what fits."""
        room = self._cap - len(self.data)
        self.cut = self.cut or len(redacted) > room
        self.data += redacted[: max(room, 0)]


async def read(outcome: Outcome, plan: Plan, desk: Desk, redaction: Redaction) -> tuple[Stream, Stream]:
    """Both streams, to their end. Raises `BrokerError`."""
    streams = Stream(plan.limits.max_bytes), Stream(plan.limits.max_bytes)

    def fits() -> None:
        desk.share.reach(len(plan.body) + sum(len(stream.data) for stream in streams))

    both = (outcome.body, "stdout"), (cast("AsyncIterator[bytes]", outcome.stderr), "stderr")
    async with asyncio.TaskGroup() as group:
        for stream, (chunks, place) in zip(streams, both, strict=True):
            group.create_task(_drain(stream, chunks, redaction, place, fits))
    return streams


async def _drain(
    stream: Stream, chunks: AsyncIterator[bytes], redaction: Redaction, place: str, fits: Callable[[], None]
) -> None:
    scrubber = redaction.stream(place)
    async for chunk in chunks:
        stream.came += len(chunk)
        if stream.cut or stream.unfit is not None:
            continue
        stream.add(scrubber.feed(chunk))
        try:
            fits()
        except KvError as busy:
            stream.unfit = busy
        await asyncio.sleep(0)
    if not stream.cut and stream.unfit is None:
        stream.add(scrubber.flush())


async def texts(
    streams: tuple[Stream, Stream], desk: Desk, document: Callable[[bytes], tuple[bytes, str]]
) -> list[tuple[bytes, str]]:
    """What is shown of each stream, and its form, as `document` makes it."""
    shown = []
    for stream in streams:
        work = partial(document, bytes(stream.data))
        shown.append(work() if len(stream.data) <= LARGE else await desk.aside.do(partial(uncollected, work)))
    return shown


def facts(outcome: Outcome) -> dict[str, object]:
    """How the command ended."""
    return {name: outcome.head.get(name) for name in _FACTS}
