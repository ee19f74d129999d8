"""The keeper's end of the codec: what `kv.wire` takes and makes, by a quicker parser.

Rules of this file
- No judgement of its own: a header is taken here only where nothing about it is in doubt, and whatever is in doubt
  goes to `wire.parse_header`.
"""

from __future__ import annotations

import msgspec

from kv import wire
from kv.errors import KvError

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder()
_DOUBT = (msgspec.MsgspecError, ValueError, OverflowError, RecursionError)


def parse_header(text: bytes) -> dict[str, object]:
    """What `wire.parse_header` makes of it; raises what that raises.

    msgspec keeps the last of two members of one name. But what it writes has no member twice, so a text that comes
    back byte for byte had none either; nor a blank, nor a number with two spellings.
    """
    try:
        header = _DECODER.decode(text)
        if isinstance(header, dict) and _ENCODER.encode(header) == text:
            return header
    except _DOUBT:
        pass
    return wire.parse_header(text)


def encode(header: dict[str, object], body: bytes = b"") -> bytes:
    """The frame of an answer or event: members that no header holds are its body. Raises `KvError("answer-size")`.

    What is listed grows with the vault, so an answer that is too long is nobody's mistake in asking.
    """
    try:
        return wire.pack(_to_json({**header, "body": len(body)} if body else header), body)
    except KvError:
        members = header.get("ok")
        if body or not isinstance(members, dict):
            raise KvError("answer-size") from None
    try:
        return wire.encode({"ok": {}, "members": "body"}, _to_json(members))
    except KvError:
        raise KvError("answer-size") from None


def _to_json(value: dict[str, object]) -> bytes:
    try:
        return _ENCODER.encode(value)
    except UnicodeEncodeError:  # a lone surrogate, as a file's name may hold one
        return wire.to_json(value)
