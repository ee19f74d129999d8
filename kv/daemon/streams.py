"""What a command on another machine said: two streams, redacted apart, and how it ended.

Rules of this file
- Both streams are read at once and to their end: a command that nobody listens to would stand still in the middle of
  its work. Beyond the cap what comes is dropped, and the call's time bounds how long.
- Nothing is shown before the end. What holds a guessable secret is withheld whole, which is known at the end alone; if
  it went out as it comes, where it stops would tell which of a thousand guesses was right. `kv run` passes output on at
  once because what can be guessed is not looked for there (`kv.runner.pump`), after a person's yes to each program. A
  reading command on a server passes without anybody, so that here it would be a way to read what can be guessed.
- The caps apply to what came out of the scrubbers, as everywhere (`shape`).
- An end that is none (`cut` in the head: time was up, a signal) may lie within a secret, and no scrubber can know what
  has not come. What it still holds then is dropped, whatever that looks like, and the answer says `truncated`. Else
  whoever chooses the time reads a secret's beginning, and with `tail -n` all of it (the selection oracle).
- A command that hangs is to be seen all the same: what was said before a silence of two seconds is released, as of a
  program's output (`kv.runner.pump`). The silence is counted in steps that the loop has seen: a keeper that was stopped
  for an hour has seen one of them, and what came meanwhile is read before the next.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, cast

from brokers.contract import BrokerError
from kv.daemon.aside import uncollected
from kv.daemon.planning import LARGE
from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from brokers.contract import Outcome, Plan
    from kv.daemon.shape import Desk
    from kv.redact import Redaction

_FACTS = ("exit", "signal", "timed_out", "may_go_on")  # of an outcome's head, complete when both streams have ended
_STEP, _STEPS = 0.25, 8  # seconds, and how many of them make a silence


class Stream:
    """One stream as it is read: `data` up to its cap, `came` bytes in all, `held` if the scrubber keeps some back."""

    def __init__(self, cap: int) -> None:
        self.data = bytearray()
        self.came = 0
        self.cut = False
        self.held = False
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
    broken: BrokerError | None = None
    try:
        async with asyncio.TaskGroup() as group:
            for stream, (chunks, place) in zip(streams, both, strict=True):
                group.create_task(_drain(stream, chunks, redaction, place, fits, outcome.head))
    except* BrokerError as failed:  # of both streams, where the connection broke off
        broken = next(error for error in failed.exceptions if isinstance(error, BrokerError))
    if broken is not None:
        raise BrokerError(broken.code, **broken.fields)
    return streams


async def _drain(  # noqa: PLR0913, PLR0917 - a stream has these parts
    stream: Stream,
    chunks: AsyncIterator[bytes],
    redaction: Redaction,
    place: str,
    fits: Callable[[], None],
    head: dict[str, object],
) -> None:
    scrubber = redaction.stream(place)
    async with aclosing(_heard(chunks)) as heard:
        async for chunk in heard:
            stream.came += len(chunk or b"")
            if stream.cut or stream.unfit is not None:
                continue
            stream.add(scrubber.flush() if chunk is None else scrubber.feed(chunk))
            stream.held = chunk is not None
            try:
                fits()
            except KvError as busy:
                stream.unfit = busy
            await asyncio.sleep(0)
    if stream.cut or stream.unfit is not None:
        return
    if head.get("cut") is True:
        stream.cut = stream.held
    else:
        stream.add(scrubber.flush())


async def _heard(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes | None]:
    """What comes, and None once in each silence."""
    coming = asyncio.ensure_future(_next(chunks))
    quiet = 0
    try:
        while True:
            if not (await asyncio.wait({coming}, timeout=_STEP))[0]:
                quiet += 1
                if quiet == _STEPS:
                    yield None
                continue
            if (chunk := coming.result()) is None:
                return
            quiet, coming = 0, asyncio.ensure_future(_next(chunks))
            yield chunk
    finally:
        coming.cancel()


async def _next(chunks: AsyncIterator[bytes]) -> bytes | None:
    return await anext(chunks, None)


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
