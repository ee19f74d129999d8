"""Who hears a command's output as it comes: what goes out, what stops it, and what is left for later."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from nouns import a_plan

from brokers.contract import Limits, Outcome
from kv.daemon import listener, streams
from kv.daemon.aside import Aside
from kv.daemon.holdings import Holdings
from kv.daemon.listener import Listener
from kv.daemon.shape import Desk, Shown, show
from kv.daemon.uses import Ssh
from kv.redact import LOOKAHEAD, Needles

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PLENTY = 1 << 20
STRONG, WEAK = b"sk_live_51Hq7Zk9vXwTt0aBqWERtyUIopASdfgh", b"correct-horse"
LINES = b"a line of a log\n" * 8192


class Heard:
    """What a client was sent, and how often a session was frozen. `frozen` is what the house would say."""

    def __init__(self, *, fails: bool = False) -> None:
        self.said: list[tuple[str, bytes]] = []
        self.sizes: list[object] = []
        self.guesses = 0
        self.frozen = False
        self.listener = Listener(self._say, allowed=lambda: not self.frozen, guessed=self._guessed)
        self._fails = fails

    async def _say(self, header: dict[str, object], body: bytes = b"") -> None:
        await asyncio.sleep(0)
        if self._fails:
            raise BrokenPipeError
        if header["event"] == "progress":
            self.sizes.append(header["bytes"])
        else:
            self.said.append((str(header["stream"]), body))

    def _guessed(self) -> None:
        self.guesses += 1
        self.frozen = True

    def all(self, stream: str = "stdout") -> bytes:
        """What one stream said."""
        return b"".join(data for name, data in self.said if name == stream)


def run(heard: Heard | None, *stdout: bytes, stderr: bytes = b"", max_bytes: int = PLENTY, **head: object) -> Shown:
    """A command that says this."""
    needles = Needles()
    needles.add("demo/API", STRONG, bits=200)
    needles.add("demo/PIN", WEAK, bits=30)
    needles.merge()

    async def spoken(*said: bytes) -> AsyncIterator[bytes]:
        for chunk in said:
            yield chunk

    async def aclose() -> None:
        pass

    async def go() -> Shown:
        plan = replace(a_plan(), limits=Limits(max_bytes=max_bytes))
        outcome = Outcome({"exit": 0, **head}, spoken(*stdout), aclose, stderr=spoken(stderr))
        share = Holdings(PLENTY, PLENTY, "answers").open("a")
        desk = Desk(needles.database(), share, Aside(1), listener=heard.listener if heard else None)
        return await show(outcome, plan, Ssh(connection="stripe", argv=["cat"]), desk)

    return asyncio.run(go())


def test_output_goes_out_in_parts_and_none_is_kept() -> None:
    """Both streams, redacted and without controls; the answer says how it ended."""
    heard = Heard()
    shown = run(heard, LINES, b"\x1b[31m" + STRONG, LINES, stderr=b"warning\n")
    assert len(heard.said) > 2
    assert heard.all() == LINES + b"{{kv:demo/API}}" + LINES
    assert heard.all("stderr") == b"warning\n"
    assert (shown.raw, shown.members["live"], shown.members["redactions"]) == (b"", True, 1)
    assert heard.guesses == 0


def test_a_guess_stops_both_streams_and_freezes_at_once() -> None:
    """Nothing goes out behind it, whatever comes, and the result is withheld like any."""
    heard = Heard()
    shown = run(heard, LINES, WEAK, *[LINES] * 4, stderr=LINES)
    assert (shown.withheld, heard.guesses) == (True, 1)
    assert len(heard.all()) <= len(LINES)
    assert b"{{kv:" not in heard.all()


def test_a_frozen_session_hears_no_more() -> None:
    """What another of its calls found stops this one."""
    heard = Heard()
    heard.frozen = True
    shown = run(heard, LINES)
    assert (heard.said, heard.guesses, shown.withheld) == ([], 0, False)


def test_who_takes_no_more_hears_no_more() -> None:
    """A client that is gone fails nothing."""
    heard = Heard(fails=True)
    assert run(heard, LINES, LINES).members["exit"] == 0
    assert heard.said == []


def test_half_of_a_secret_at_an_end_that_is_none_is_dropped() -> None:
    """As of what is shown at the end."""
    heard = Heard()
    shown = run(heard, LINES + STRONG[:30], cut=True)
    assert shown.members["truncated"] is True
    assert LINES.startswith(heard.all())
    assert len(heard.all()) < len(LINES) + 30 - LOOKAHEAD


def test_the_cap_holds() -> None:
    """Of each stream."""
    heard = Heard()
    shown = run(heard, LINES, max_bytes=1000)
    assert (heard.all(), shown.members["truncated"]) == (LINES[:1000], True)


def test_nobody_is_spoken_to_after_the_request() -> None:
    """A call that is taken up later has its whole result."""
    heard = Heard()
    asyncio.run(heard.listener.close())
    shown = run(heard, LINES)
    assert (heard.said, shown.raw) == ([], LINES)
    assert "live" not in shown.members


@pytest.mark.parametrize("every", [0.0, 1000.0])
def test_how_much_has_come_is_said_now_and_then(monkeypatch: pytest.MonkeyPatch, every: float) -> None:
    """Of what takes no time nothing is said, and nothing once the request is over."""
    monkeypatch.setattr(listener, "_EVERY", every)
    heard = Heard()

    async def go() -> None:
        for size in (10, 20, 30):
            await heard.listener.progress(size)
        await heard.listener.close()
        await heard.listener.progress(40)

    asyncio.run(go())
    assert heard.sizes == ([] if every else [20, 30])


def test_a_silence_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A prompt is heard, although the scrubber would hold it."""
    monkeypatch.setattr(streams, "_STEP", 0)
    heard = Heard()
    seen: list[bytes] = []

    async def spoken() -> AsyncIterator[bytes]:
        yield b"begun\n"
        for _ in range(1000):
            await asyncio.sleep(0)
        seen.append(heard.all())
        yield b"ended\n"

    async def nothing() -> AsyncIterator[bytes]:
        for chunk in list[bytes]():
            yield chunk

    async def aclose() -> None:
        pass

    async def go() -> None:
        outcome = Outcome({"exit": 0}, spoken(), aclose, stderr=nothing())
        share = Holdings(PLENTY, PLENTY, "answers").open("a")
        desk = Desk(Needles().database(), share, Aside(1), listener=heard.listener)
        await show(outcome, a_plan(), Ssh(connection="stripe", argv=["cat"]), desk)

    asyncio.run(go())
    assert seen == [b"begun\n"]
    assert heard.all() == b"begun\nended\n"


@pytest.mark.parametrize("live", [True, False])
def test_pauses_pass_on_what_is_held(monkeypatch: pytest.MonkeyPatch, *, live: bool) -> None:
    """Where somebody listens they add up; elsewhere only a silence does it, which none of these is."""
    monkeypatch.setattr(streams, "_STEP", 0.01)

    async def spoken() -> AsyncIterator[bytes]:
        for _ in range(24):
            yield b"tick\n"
            await asyncio.sleep(0.02)

    async def go() -> list[bytes | None]:
        return [chunk async for chunk in streams._heard(spoken(), live=live)]

    assert (None in asyncio.run(go())) is live
