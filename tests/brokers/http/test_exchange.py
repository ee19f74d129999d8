"""HTTP/1.1 answers as bytes: whatever comes is an answer or the declared error, however it is cut."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from hypothesis import example, given, settings
from hypothesis import strategies as st

from brokers.contract import BrokerError
from brokers.http.exchange import MAX_FIELDS, MAX_HEAD, Exchange

if TYPE_CHECKING:
    from brokers.http.stream import Stream

OK = b"HTTP/1.1 200 OK\r\n"
PIECES = [
    OK,
    b"HTTP/1.0 204 \r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 101 Up\r\n\r\n",
    b"\r\n",
    b"\n",
    b"\x00",
]
PIECES += [
    b"content-length: 3\r\n",
    b"content-length: 4\r\n",
    b"transfer-encoding: chunked\r\n",
    b"abc",
    b" folded\r\n",
]
PIECES += [
    b"3\r\nabc\r\n",
    b"0\r\n",
    b"ffffffffffffffffffff\r\n",
    b"-1\r\n",
    b"x: y\r\n",
    b"transfer-encoding: gzip\r\n",
]


class _Tape:
    """A stream that plays `data` in pieces of `step` bytes and then ends."""

    def __init__(self, data: bytes, step: int) -> None:
        self.data, self.step, self.sent, self.quiet = data, step, b"", True

    def write(self, data: bytes) -> None:
        self.sent += data

    async def read(self, limit: int) -> bytes:
        piece, self.data = self.data[: min(limit, self.step)], self.data[min(limit, self.step) :]
        self.quiet = bool(piece)
        return piece


def play(data: bytes, step: int = 1 << 16) -> tuple[object, ...] | str:
    """Status, headers, body and reusability of the answer in `data`, or the code of the error."""

    async def run() -> tuple[object, ...]:
        exchange = Exchange(cast("Stream", _Tape(data, step)), 1)
        await exchange.start("GET", "/x", [("host", "api.test")], b"")
        body = b"".join([piece async for piece in exchange.body()])
        return exchange.status, exchange.headers, body, exchange.reusable

    try:
        return asyncio.run(run())
    except BrokerError as error:
        return error.code


@settings(max_examples=150)
@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=5), max_size=10).map(b"".join), st.integers(1, 40))
@example(OK + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 7)
def test_any_bytes_are_an_answer_or_broken(data: bytes, step: int) -> None:
    """Garbage raises the declared error and nothing else, and how it is cut makes no difference."""
    whole = play(data)
    assert whole == play(data, step)
    assert whole == "broken" or isinstance(whole, tuple)


def test_an_answer_leaves_the_stream_reusable_only_if_nothing_is_left() -> None:
    """A clean end keeps the stream; leftovers, `close` and an answer without a length end it."""
    body = b"content-length: 3\r\n\r\nabc"
    assert play(OK + body) == (200, [(b"content-length", b"3")], b"abc", True)
    assert cast("tuple[object, ...]", play(OK + body + b"HTTP/1.1 200 OK\r\n"))[3] is False
    assert cast("tuple[object, ...]", play(OK + b"connection: close\r\n" + body))[3] is False
    assert play(OK + b"\r\nabc") == (200, [], b"abc", False)


def test_heads_are_bounded() -> None:
    """A head with too many fields or bytes is broken, whether it comes at once or bit by bit."""
    many = b"".join(b"x%d: y\r\n" % number for number in range(MAX_FIELDS + 1))
    large = b"".join(b"x%d: %s\r\n" % (number, b"y" * 1000) for number in range(MAX_HEAD // 1000 + 1))
    for head in (many, large):
        for step in (100, 1 << 20):
            assert play(OK + head + b"content-length: 0\r\n\r\n", step) == "broken"


def test_a_request_that_cannot_be_written_is_refused() -> None:
    """Should a line end get as far as this, the protocol itself refuses it, without quoting it."""

    async def run() -> None:
        tape = _Tape(b"", 1)
        await Exchange(cast("Stream", tape), 1).start("GET", "/x", [("host", "a"), ("x", "secret\r\nevil: 1")], b"")

    try:
        asyncio.run(run())
    except BrokerError as error:
        assert error.code == "argument"  # noqa: PT017 - the fields are looked at too
        assert "secret" not in f"{error.fields}"  # noqa: PT017 - as above
    else:
        raise AssertionError("it was written")
