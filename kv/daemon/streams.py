"""What a command on another machine said: two streams, redacted apart, and how it ended.

Rules of this file
- Both streams are read at once and to their end: a command that nobody listens to would stand still in the middle of
  its work. Beyond the cap what comes is dropped, and the call's time bounds how long.
- Nothing is shown before the end, but to who listens (`listener`): what holds a guessable secret is withheld whole,
  which is known at the end alone. `kv run` passes output on because what can be guessed is not looked for there
  (`kv.runner.pump`), after a person's yes to each program. A reading command on a server passes without anybody, so
  that here it is looked for; where it is found, output stops and the session is frozen.
- What is passed on is stripped of controls on its way, since nobody can look at the whole of it: text, then.
- The caps apply to what came out of the scrubbers, as everywhere (`shape`).
- An end that is none (`cut` in the head: time was up, a signal) may lie within a secret, and no scrubber can know what
  has not come. What it still holds then is dropped, whatever that looks like, and the answer says `truncated`. Else
  whoever chooses the time reads a secret's beginning, and with `tail -n` all of it (the selection oracle).
- A command that hangs is to be seen all the same: what was said before a silence of two seconds is shown then, whatever
  comes. The silence is counted in steps that the loop has seen: a keeper that was stopped for an hour has seen one of
  them, and what came meanwhile is read before the next.
- Where somebody listens, that goes out in the silence, as of a program's output (`kv.runner.pump`), and the pauses
  between what is said add up to one: a command that says a line every second would be heard when it has ended. Else it
  waits for the end, so that a silence takes no secret apart.
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
    from kv.daemon.listener import Listener
    from kv.daemon.shape import Desk
    from kv.redact import Redaction

_FACTS = ("exit", "signal", "timed_out", "may_go_on")  # of an outcome's head, complete when both streams have ended
_STEP, _STEPS = 0.25, 8  # seconds, and how many of them make a silence


class Stream:
    """One stream as it is read: `data` up to its cap, none of it where somebody listens; `came` bytes in all."""

    def __init__(self, place: str, cap: int, redaction: Redaction, listener: Listener | None) -> None:
        self.data = bytearray()
        self.came = 0
        self.cut = False
        self.unfit: KvError | None = None
        self._place, self._room = place, cap
        self._redaction, self._listener = redaction, listener
        self._scrubber = redaction.stream(place) if listener is None else redaction.presenter(place)
        self._said = 0  # of `came`, before the last silence

    @property
    def live(self) -> bool:
        """Whether somebody listens."""
        return self._listener is not None

    @property
    def full(self) -> bool:
        """Whether what comes is dropped."""
        return self.cut or self.unfit is not None

    async def take(self, chunk: bytes | None) -> None:
        """The next bytes; None is a silence."""
        self.came += len(chunk or b"")
        if self.full:
            return
        if chunk is not None:
            await self._show(self._scrubber.feed(chunk))
            return
        self._said = self.came
        if self.live:
            await self._show(self._scrubber.flush())

    async def end(self, *, cut: bool) -> None:
        """There is no more. `cut`: what was not followed by a silence may be half of something."""
        if self.full:
            return
        await self._show(self._scrubber.cut(self._said) if cut else self._scrubber.end())
        self.cut = self.cut or (cut and self._said < self.came)

    async def _show(self, redacted: bytes) -> None:
        shown = redacted[: self._room]
        self._room -= len(shown)
        self.cut = len(shown) < len(redacted)
        if self._listener is None:
            self.data += shown
        elif self._redaction.verdict.withhold:
            self._listener.stop()
        else:
            await self._listener.pass_on(self._place, shown)


async def read(outcome: Outcome, plan: Plan, desk: Desk, redaction: Redaction) -> tuple[Stream, Stream]:
    """Both streams, to their end. Raises `BrokerError`."""
    listener = desk.listener if desk.listener is not None and desk.listener.begin() else None
    cap = plan.limits.max_bytes
    streams = Stream("stdout", cap, redaction, listener), Stream("stderr", cap, redaction, listener)

    def fits() -> None:
        desk.share.reach(len(plan.body) + sum(len(stream.data) for stream in streams))

    both = outcome.body, cast("AsyncIterator[bytes]", outcome.stderr)
    broken: BrokerError | None = None
    try:
        async with asyncio.TaskGroup() as group:
            for stream, chunks in zip(streams, both, strict=True):
                group.create_task(_drain(stream, chunks, fits, outcome.head))
    except* BrokerError as failed:  # of both streams, where the connection broke off
        broken = next(error for error in failed.exceptions if isinstance(error, BrokerError))
    if broken is not None:
        raise BrokerError(broken.code, **broken.fields)
    return streams


async def _drain(
    stream: Stream, chunks: AsyncIterator[bytes], fits: Callable[[], None], head: dict[str, object]
) -> None:
    async with aclosing(_heard(chunks, live=stream.live)) as heard:
        async for chunk in heard:
            await stream.take(chunk)
            if stream.full:
                continue
            try:
                fits()
            except KvError as busy:
                stream.unfit = busy
            await asyncio.sleep(0)
    await stream.end(cut=head.get("cut") is True)


async def _heard(chunks: AsyncIterator[bytes], *, live: bool) -> AsyncGenerator[bytes | None]:
    """What comes, and None once in each silence; `live`: when the pauses since the last None add up to one."""
    coming = asyncio.ensure_future(_next(chunks))
    quiet, held = 0, False
    try:
        while True:
            if not (await asyncio.wait({coming}, timeout=_STEP))[0]:
                quiet += 1
                if held and quiet >= _STEPS:
                    held = False
                    yield None
                continue
            if (chunk := coming.result()) is None:
                return
            if not (live and held):
                quiet = 0
            held, coming = True, asyncio.ensure_future(_next(chunks))
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
