"""A command's two streams: what is shown of one that ends in the middle of something, or not at all."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from nouns import a_plan

from brokers.contract import BrokerError, Limits, Outcome
from kv.daemon import streams
from kv.daemon.aside import Aside
from kv.daemon.holdings import Holdings
from kv.daemon.shape import Desk, Shown, show
from kv.daemon.uses import Ssh
from kv.redact import LOOKAHEAD, Needles

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PLENTY = 1 << 20
SECRET = b"sk_live_51Hq7Zk9vXwTt0aBqWERtyUIopASdfgh"
BEFORE = b"a line of a log\n" * 4096


def _shown(
    *chunks: bytes | None,
    stderr: bytes = b"",
    most: int = PLENTY,
    ends: BrokerError | None = None,
    pause: bool = False,
    **head: object,
) -> Shown:
    """What is shown of stdout in these chunks and of `stderr`; both end with `ends`, after a pause if there is one.

    None among the chunks is a pause as well. The silence of a pause is told apart from a chunk that only comes later by
    the loop alone.
    """
    needles = Needles()
    needles.add("demo/API", SECRET, bits=200)
    needles.merge()

    async def spoken(*said: bytes | None) -> AsyncIterator[bytes]:
        for chunk in (*said, *([None] if pause else [])):
            if chunk is not None:
                yield chunk
                continue
            for _ in range(1000):
                await asyncio.sleep(0)
        if ends is not None:
            raise ends

    async def aclose() -> None:
        pass

    async def go() -> Shown:
        outcome = Outcome(dict(head), spoken(*chunks), aclose, stderr=spoken(*filter(None, [stderr])))
        desk = Desk(needles.database(), Holdings(PLENTY, PLENTY, "answers").open("a"), Aside(1))
        plan = replace(a_plan(), limits=Limits(max_bytes=most))
        return await show(outcome, plan, Ssh(connection="stripe", argv=["cat"]), desk)

    return asyncio.run(go())


@pytest.mark.parametrize("last", [SECRET[:30], SECRET, b"x" * 30, b""])
def test_an_end_that_is_none_releases_nothing_that_was_held(last: bytes) -> None:
    """Half a secret at the end, a whole one, or none: what was held is not shown, and that says nothing of it."""
    shown = _shown(BEFORE + last, cut=True, exit=None)
    assert SECRET[:1] + SECRET[1:8] not in shown.raw
    assert BEFORE.startswith(shown.raw)
    assert len(BEFORE + last) - LOOKAHEAD - (8 << 10) < len(shown.raw) <= len(BEFORE + last) - LOOKAHEAD
    assert shown.members["truncated"] is True


def test_a_real_end_releases_all() -> None:
    """Nothing is missing then."""
    shown = _shown(BEFORE + SECRET, cut=False, exit=0)
    assert shown.raw == BEFORE + b"{{kv:demo/API}}"
    assert shown.members["truncated"] is False


@pytest.mark.parametrize("before", [b"", BEFORE])
@pytest.mark.parametrize("at", [1, 20, len(SECRET) - 1])
def test_no_secret_lies_across_the_two_streams(before: bytes, at: int) -> None:
    """They are shown one behind the other, so a value that begins on one and ends on the other is taken out whole."""
    shown = _shown(before + SECRET[:at], stderr=SECRET[at:] + b" ends\n", cut=False, exit=0)
    assert shown.raw == before + b"{{kv:demo/API}} ends\n"
    assert shown.members["stdout"] == len(before) + len(b"{{kv:demo/API}}")
    assert (shown.members["redactions"], shown.places) == (1, {"stderr": 1})


def test_a_cap_puts_no_two_halves_together() -> None:
    """Also where what lay between them on the first stream is beyond the cap."""
    shown = _shown(SECRET[:20] + BEFORE, stderr=SECRET[20:], most=20, cut=False, exit=0)
    assert shown.raw == b"{{kv:demo/API}}"


def test_what_came_before_a_silence_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that hangs shows what it said, and nothing was dropped, although its end is none."""
    monkeypatch.setattr(streams, "_STEP", 0)
    shown = _shown(b"begun\n", pause=True, cut=True, exit=None)
    assert (shown.raw, shown.members["truncated"]) == (b"begun\n", False)


@pytest.mark.parametrize("at", [1, 20, len(SECRET) - 1])
@pytest.mark.parametrize("cut", [False, True])
def test_a_silence_takes_no_secret_apart(monkeypatch: pytest.MonkeyPatch, at: int, *, cut: bool) -> None:
    """What is shown at the end is looked at as a whole, wherever the command paused."""
    monkeypatch.setattr(streams, "_STEP", 0)
    shown = _shown(BEFORE + SECRET[:at], None, SECRET[at:] + b" ends\n", cut=cut)
    assert shown.raw == BEFORE + b"{{kv:demo/API}}" + (b"" if cut else b" ends\n")
    assert shown.members["truncated"] is cut


def test_a_silence_is_counted_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the loop has not seen all of them, nothing is released, however long it took."""
    monkeypatch.setattr(streams, "_STEP", 0)
    monkeypatch.setattr(streams, "_STEPS", 1 << 20)
    shown = _shown(b"begun\n", pause=True, cut=True, exit=None)
    assert (shown.raw, shown.members["truncated"]) == (b"", True)


def test_a_connection_that_breaks_off_is_one_error() -> None:
    """Both streams end with it, and whoever reads them hears of one."""
    with pytest.raises(BrokerError) as caught:
        _shown(BEFORE, ends=BrokerError("broken"), may_go_on=True)
    assert caught.value.code == "broken"
