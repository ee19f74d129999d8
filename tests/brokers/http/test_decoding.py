"""Compressed bodies: undone within bounds, or withheld."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import zlib
from typing import TYPE_CHECKING

import pytest
from http_world import refused
from hypothesis import given, settings
from hypothesis import strategies as st

from brokers.http.decoding import FREE, MAX_RATIO, Inflater, coding_of, decoded

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

TEXT = b"".join(b"line %d of a log\n" % number for number in range(20_000))


def inflate(coding: str, data: bytes, step: int = 1 << 16) -> bytes:
    """`data` fed in pieces of `step` bytes and finished."""
    inflater = Inflater(coding)
    out = b"".join(piece for start in range(0, len(data), step) for piece in inflater.feed(data[start : start + step]))
    inflater.finish()
    return out


def raw_deflate(data: bytes) -> bytes:
    """DEFLATE without zlib's frame."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize("step", [1, 7, 1000, 1 << 20])
@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("gzip", gzip.compress(TEXT)),
        ("gzip", gzip.compress(TEXT[:1000]) + gzip.compress(TEXT[1000:])),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", raw_deflate(TEXT)),
    ],
)
def test_bodies_are_decoded_however_they_are_cut(coding: str, packed: bytes, step: int) -> None:
    """gzip, gzip of several members, and both meanings of deflate come out whole for every chunking."""
    assert inflate(coding, packed, step) == TEXT


@settings(max_examples=60)
@given(data=st.binary(max_size=3000), repeat=st.integers(1, 60), cut=st.integers(1, 500))
def test_any_body_comes_back(data: bytes, repeat: int, cut: int) -> None:
    """Whatever was compressed is what is scanned."""
    whole = data * repeat
    assert inflate("gzip", gzip.compress(whole), cut) == whole
    assert inflate("deflate", zlib.compress(whole), cut) == whole


@settings(max_examples=100)
@given(data=st.binary(max_size=200), at=st.integers(0, 200))
def test_damage_is_an_encoding_error(data: bytes, at: int) -> None:
    """Garbage is decoded or refused as a body, never another exception."""
    packed = gzip.compress(b"some text that is long enough")
    for hostile in (data, packed[: at % len(packed)] + data, packed + data):
        for coding in ("gzip", "deflate"):
            try:
                inflate(coding, hostile)
            except Exception as error:  # noqa: BLE001 - the claim is about every exception
                assert getattr(error, "code", error) == "encoding"  # noqa: PT017 - the claim is about every exception


def test_truncated_and_trailing_data_are_refused() -> None:
    """A body that ends early, or goes on after its end, is withheld."""
    packed = gzip.compress(TEXT)
    refused(lambda: inflate("gzip", packed[:-1]), "encoding", why="it ends early")
    refused(lambda: inflate("gzip", packed + b"more"), "encoding")
    refused(lambda: inflate("deflate", zlib.compress(TEXT) + b"more"), "encoding")


def test_an_empty_body_is_empty() -> None:
    """A coding without a body decodes to nothing."""
    assert inflate("gzip", b"") == b""


def test_a_bomb_is_cut_at_the_ratio() -> None:
    """A gzip bomb is refused after little more than the free megabyte, in small pieces."""
    bomb, made, largest = gzip.compress(bytes(64 << 20)), 0, 0

    def explode() -> None:
        nonlocal made, largest
        for piece in Inflater("gzip").feed(bomb):
            made, largest = made + len(piece), max(largest, len(piece))

    refused(explode, "encoding", why="it unpacks to far more than was sent")
    assert made <= max(FREE, MAX_RATIO * len(bomb)) + (64 << 10)
    assert largest <= 64 << 10


def test_a_bomb_of_many_members_is_cut() -> None:
    """Members do not reset the count, and their number is bounded."""
    refused(lambda: inflate("gzip", gzip.compress(bytes(1 << 20)) * 64), "encoding")
    refused(lambda: inflate("gzip", gzip.compress(b"") * 2000), "encoding")


def test_large_honest_bodies_pass() -> None:
    """Ten megabytes of compressible text are no bomb."""
    whole = hashlib.shake_128(b"noise").hexdigest(64 << 10).encode() * 80
    assert inflate("gzip", gzip.compress(whole)) == whole


@pytest.mark.parametrize(
    ("values", "coding"),
    [
        ([], "identity"),
        (["identity"], "identity"),
        ([""], "identity"),
        (["GZip"], "gzip"),
        (["x-gzip"], "gzip"),
        (["deflate"], "deflate"),
        (["identity, gzip"], "gzip"),
    ],
)
def test_codings_are_recognised(values: list[str], coding: str) -> None:
    """Names are compared without case, old names included."""
    assert coding_of([("content-encoding", value) for value in values]) == coding


@pytest.mark.parametrize("values", [["br"], ["zstd"], ["compress"], ["gzip, gzip"], ["gzip", "deflate"], ["aes128gcm"]])
def test_other_codings_are_withheld(values: list[str]) -> None:
    """What cannot be undone cannot be scanned."""
    refused(lambda: coding_of([("content-encoding", value) for value in values]), "encoding")


def test_closing_the_decoder_closes_the_body() -> None:
    """A reader that stops early leaves nothing running."""
    closed = []

    async def body() -> AsyncGenerator[bytes, None]:
        try:
            while True:
                yield b"x"
        finally:
            closed.append(True)

    async def run() -> None:
        stream = decoded(body(), "identity")
        await anext(stream)
        await stream.aclose()

    asyncio.run(run())
    assert closed == [True]
