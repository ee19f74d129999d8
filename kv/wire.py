"""Frames on the keeper's sockets: `kv/WIRE.md` specifies them, this file is the codec.

Rules of this file
- Sans-io: bytes in, frames out. Sockets belong to `kv.client` and `kv.daemon.peer`.
- Standard library only (`json` is imported by the functions that need it, since hot verbs
  often send one frame and copy one body).
- Garbage raises `KvError("bad-frame")` and nothing else. (The keeper reads and writes headers by `kv.daemon.frames`,
  which takes and refuses the same.)
"""

from __future__ import annotations

from kv.errors import KvError

TYPE_CHECKING = False  # `typing` itself costs a tenth of a hot verb's start
if TYPE_CHECKING:
    from collections.abc import Callable

VERSION = 1  # a plain integer that somebody bumps when a frame or a verb changes its meaning

MAX_HEADER = 256 << 10  # a call's largest argument is its query (64 KiB), escaped by JSON at worst sixfold for ASCII
MAX_BODY = 17 << 20  # the largest body of a call is 16 MiB; an import of many values fits as well
_PREFIX = 4


class Frame:
    """One message: a JSON object and the raw bytes that follow it."""

    __slots__ = ("body", "header")

    def __init__(self, header: dict[str, object], body: bytes) -> None:
        self.header = header
        self.body = body


def encode(header: dict[str, object], body: bytes = b"") -> bytes:
    """The frame's bytes. Raises `KvError("too-large")` where a bound is passed."""
    return pack(to_json({**header, "body": len(body)} if body else header), body)


def pack(header: bytes, body: bytes = b"") -> bytes:
    """The bytes of a frame whose header is JSON already. Raises `KvError("too-large")` where a bound is passed."""
    if len(header) > MAX_HEADER:
        raise KvError("too-large", argument="header", limit="256 KiB")
    if len(body) > MAX_BODY:
        raise KvError("too-large", argument="body", limit="16 MiB")
    return len(header).to_bytes(_PREFIX, "big") + header + body


def answer(frame: Frame) -> tuple[dict[str, object], bytes]:
    """The members and the body of an answer, wherever the members are. Raises `KvError("bad-frame")`."""
    ok = frame.header.get("ok")
    if frame.header.get("members") == "body":
        return parse_header(frame.body), b""
    return (ok if isinstance(ok, dict) else {}), frame.body


def to_json(value: dict[str, object]) -> bytes:
    """Compact JSON. A lone surrogate goes through, for the other end to refuse."""
    import json

    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


class Decoder:
    """Splits a byte stream into frames. `feed` bytes, then call `next` until it returns None.

    `parse` is to take and refuse exactly what `parse_header` does.
    """

    def __init__(self, parse: Callable[[bytes], dict[str, object]] | None = None) -> None:
        self._parse = parse or parse_header
        self._buffer = bytearray()
        self._header: dict[str, object] | None = None  # of the frame whose body is coming in
        self._body = 0  # bytes of it

    def feed(self, data: bytes) -> None:
        """Append what the socket gave."""
        self._buffer += data

    @property
    def empty(self) -> bool:
        """True between frames: an end of stream here is clean, elsewhere it is half a frame."""
        return not self._buffer and self._header is None

    def next(self) -> Frame | None:
        """The next whole frame, or None if more bytes are needed. Raises `KvError("bad-frame")`."""
        header = self._take_header() if self._header is None else self._header
        if header is None or len(self._buffer) < self._body:
            return None
        body = bytes(self._buffer[: self._body])
        del self._buffer[: self._body]
        self._header, self._body = None, 0
        return Frame(header, body)

    def _take_header(self) -> dict[str, object] | None:
        if len(self._buffer) < _PREFIX:
            return None
        end = _PREFIX + int.from_bytes(self._buffer[:_PREFIX], "big")
        if not _PREFIX + 2 <= end <= _PREFIX + MAX_HEADER:  # `{}` is the smallest JSON object
            raise KvError("bad-frame", why="the header's length is out of bounds")
        if len(self._buffer) < end:
            return None
        header = self._parse(bytes(self._buffer[_PREFIX:end]))
        del self._buffer[:end]
        body = header.pop("body", 0)
        if type(body) is not int or not 0 <= body <= MAX_BODY:
            raise KvError("bad-frame", why="the body's length is out of bounds")
        self._header, self._body = header, body
        return header


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
