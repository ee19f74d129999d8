"""Undo gzip and deflate within bounds, so that what is scanned for secrets is what will be read (RFC 9110 8.4.1).

Rules of this file
- kv asks for plain bodies. A server that compresses all the same is decoded here, or withheld as a whole before
  any byte of it goes on: a coding we cannot undo is a coding a secret can hide in.
- Output is bounded by ratio and in total, and made in small pieces: a bomb costs what a piece costs.
- After the end of the compressed data nothing may follow (gzip: but another gzip member, RFC 1952 section 2.2).
"""

from __future__ import annotations

import zlib
from contextlib import aclosing
from typing import TYPE_CHECKING, NoReturn

from brokers.contract import BrokerError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Sequence

FREE = 1 << 20  # bytes of output before the ratio counts: small answers of blanks are harmless
MAX_RATIO = 200  # text reaches 10 to 30, logs 100; DEFLATE's limit and the bombs' aim is 1,032
MAX_OUTPUT = 256 << 20  # bytes in all: larger things are downloads, which nobody compresses on the fly
MAX_MEMBERS = 1024  # gzip members: each costs a new decoder of 32 KiB
_PIECE = 64 << 10

_GZIP = 16 + zlib.MAX_WBITS
_RAW = -zlib.MAX_WBITS


def coding_of(headers: Sequence[tuple[str, str]]) -> str:
    """One of "identity", "gzip" and "deflate". Raises `BrokerError("encoding")` for another coding, or for several."""
    values = [value for name, value in headers if name == "content-encoding"]
    codings = [
        c.strip().lower() for value in values for c in value.split(",") if c.strip().lower() not in {"", "identity"}
    ]
    if len(codings) > 1:
        raise BrokerError("encoding", why="it is coded several times over")
    coding = codings[0].removeprefix("x-") if codings else "identity"
    if coding not in {"identity", "gzip", "deflate"}:
        raise BrokerError("encoding", why="kv decodes gzip and deflate only")
    return coding


class Inflater:
    """One body's decoder: `feed` compressed bytes, then `finish`. Raises `BrokerError("encoding")`."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._decoder: zlib._Decompress | None = None
        self._members = 0
        self._read = 0
        self._made = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The decoded bytes of `data`, in pieces of at most 64 KiB."""
        self._read += len(data)
        while data:
            decoder = self._decoder_for(data)
            full = True
            while full:  # zlib may hold output back once the input is used up: ask until a piece is not full
                try:
                    piece = decoder.decompress(data, _PIECE)
                except zlib.error:
                    _undecodable()
                data, full = decoder.unconsumed_tail, len(piece) == _PIECE and not decoder.eof
                self._count(len(piece))
                if piece:
                    yield piece
            data = decoder.unused_data if decoder.eof else b""

    def _decoder_for(self, data: bytes) -> zlib._Decompress:
        if self._decoder is not None and not self._decoder.eof:
            return self._decoder
        if self._decoder is not None and self._coding == "deflate":
            _undecodable()
        self._members += 1
        if self._members > MAX_MEMBERS:
            _undecodable()
        if self._coding == "gzip":
            window = _GZIP
        else:
            # "deflate" is zlib's format by the book and raw DEFLATE by old habit; RFC 1950's first byte tells.
            framed = data[0] & 0x8F == zlib.DEFLATED
            window = zlib.MAX_WBITS if framed else _RAW
        self._decoder = zlib.decompressobj(window)
        return self._decoder

    def _count(self, made: int) -> None:
        self._made += made
        if self._made > MAX_OUTPUT or (self._made > FREE and self._made > MAX_RATIO * self._read):
            raise BrokerError("encoding", why="it unpacks to far more than was sent")

    def finish(self) -> None:
        """Raise `BrokerError("encoding")` if the data ended early: the rest could hold anything."""
        if self._decoder is not None and not self._decoder.eof:
            raise BrokerError("encoding", why="it ends early")


def _undecodable() -> NoReturn:
    raise BrokerError("encoding", why="it does not decode") from None


async def decoded(body: AsyncGenerator[bytes, None], coding: str) -> AsyncGenerator[bytes, None]:
    """`body` without its coding. Closing this closes `body`."""
    async with aclosing(body):
        inflater = None if coding == "identity" else Inflater(coding)
        async for chunk in body:
            if inflater is None:
                yield chunk
                continue
            for piece in inflater.feed(chunk):
                yield piece
        if inflater is not None:
            inflater.finish()
