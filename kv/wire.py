"""Frames on the keeper's sockets: `kv/WIRE.md` specifies them, this file is both ends' codec.

Rules of this file
- Sans-io: bytes in, frames out. Sockets belong to `kv.client` and `kv.daemon.server`.
- Standard library only (`json` is imported by the functions that need it, since hot verbs
  often send one frame and copy one body).
- Garbage raises `KvError("bad-frame")` and nothing else.
"""

from __future__ import annotations

from typing import NamedTuple

from kv.errors import KvError

VERSION = 1  # a plain integer that somebody bumps when a frame or a verb changes its meaning

MAX_HEADER = 256 << 10  # a call's largest argument is its query (64 KiB), escaped by JSON at worst sixfold for ASCII
MAX_BODY = 17 << 20  # the largest body of a call is 16 MiB; an import of many values fits as well
_PREFIX = 4


class Frame(NamedTuple):
    """One message: a JSON object and the raw bytes that follow it."""

    header: dict[str, object]
    body: bytes


def encode(header: dict[str, object], body: bytes = b"") -> bytes:
    """The frame's bytes. Raises `KvError("too-large")` where a bound is passed."""
    if body:
        header = {**header, "body": len(body)}
    text = _text(header)
    if len(text) > MAX_HEADER:
        raise KvError("too-large", argument="header", limit="256 KiB")
    if len(body) > MAX_BODY:
        raise KvError("too-large", argument="body", limit="16 MiB")
    return len(text).to_bytes(_PREFIX, "big") + text + body


def encode_answer(header: dict[str, object], body: bytes = b"") -> bytes:
    """The frame of an answer: members that no header holds are its body. Raises `KvError("answer-size")`.

    What is listed grows with the vault, so an answer that is too long is nobody's mistake in asking.
    """
    try:
        return encode(header, body)
    except KvError:
        members = header.get("ok")
        if body or not isinstance(members, dict):
            raise KvError("answer-size") from None
    try:
        return encode({"ok": {}, "members": "body"}, _text(members))
    except KvError:
        raise KvError("answer-size") from None


def answer(frame: Frame) -> tuple[dict[str, object], bytes]:
    """The members and the body of an answer, wherever the members are. Raises `KvError("bad-frame")`."""
    ok = frame.header.get("ok")
    if frame.header.get("members") == "body":
        return parse_header(frame.body), b""
    return (ok if isinstance(ok, dict) else {}), frame.body


def _text(value: dict[str, object]) -> bytes:
    import json

    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


class Decoder:
    """Splits a byte stream into frames. `feed` bytes, then call `next` until it returns None."""

    def __init__(self, max_body: int = MAX_BODY) -> None:
        self._buffer = bytearray()
        self._max_body = max_body
        self._header: dict[str, object] | None = None
        self._need = _PREFIX
        self._size: int | None = None

    def feed(self, data: bytes) -> None:
        """Append what the socket gave."""
        self._buffer += data

    @property
    def empty(self) -> bool:
        """True between frames: an end of stream here is clean, elsewhere it is half a frame."""
        return not self._buffer and self._header is None and self._size is None

    def next(self) -> Frame | None:
        """The next whole frame, or None if more bytes are needed. Raises `KvError("bad-frame")`."""
        if self._size is None and not self._take_size():
            return None
        if self._header is None and not self._take_header():
            return None
        if len(self._buffer) < self._need or self._header is None:
            return None
        body, header = bytes(self._buffer[: self._need]), self._header
        del self._buffer[: self._need]
        self._header, self._size, self._need = None, None, _PREFIX
        return Frame(header, body)

    def _take_size(self) -> bool:
        if len(self._buffer) < _PREFIX:
            return False
        size = int.from_bytes(self._buffer[:_PREFIX], "big")
        if not 2 <= size <= MAX_HEADER:  # noqa: PLR2004 - `{}` is the smallest JSON object
            raise KvError("bad-frame", why="the header's length is out of bounds")
        del self._buffer[:_PREFIX]
        self._size = size
        return True

    def _take_header(self) -> bool:
        size = self._size or 0
        if len(self._buffer) < size:
            return False
        header = parse_header(bytes(self._buffer[:size]))
        del self._buffer[:size]
        need = header.pop("body", 0)
        if type(need) is not int or not 0 <= need <= self._max_body:
            raise KvError("bad-frame", why="the body's length is out of bounds")
        self._header, self._need = header, need
        return True


def parse_header(text: bytes) -> dict[str, object]:
    """A JSON object, strictly: UTF-8, no duplicate keys, no NaN, an object at the top."""
    import json

    try:
        header = json.loads(text.decode(), object_pairs_hook=_no_duplicates, parse_constant=_no_constants)
    except (ValueError, RecursionError):
        raise KvError("bad-frame", why="the header is not strict JSON") from None
    if not isinstance(header, dict):
        raise KvError("bad-frame", why="the header is not an object")
    return header


def _no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Two parsers that keep different duplicates are the classic way round a check (RFC 8259, section 4)."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _no_constants(_: str) -> object:
    raise ValueError
