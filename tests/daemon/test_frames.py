"""The keeper's end of the codec takes, makes and refuses what `kv.wire` does."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import pytest
from fuzz.mutate import as_json, mutated, mutated_tree
from fuzz.sockets import REQUESTS

from brokers.contract import Secret
from kv import wire
from kv.daemon import frames
from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Callable

DOUBTFUL = [
    b"{}",
    b"{ }",
    b"[]",
    b"null",
    b'{"a":1,"a":1}',
    b'{"a":1,"\\u0061":1}',
    b'{"args":{"a":1,"a":2}}',
    b'{"a":[{"b":{},"b":{}}]}',
    b'{"a":NaN}',
    b'{"a":-Infinity}',
    b'{"a":1e999}',
    b'{"a":-0}',
    b'{"a":-0.0}',
    b'{"a":1e5}',
    b'{"a":9007199254740993.0}',
    b'{"a":%d}' % 2**64,
    b'{"a":%b}' % (b"9" * 5000),
    b'{"a":01}',
    b'{"a":"\\ud800"}',
    b'{"a":"\xed\xa0\x80"}',
    b'{"a":"\xff"}',
    b'{"a":"\x00"}',
    b'{"a":"\\u0000"}',
    b'\xef\xbb\xbf{"a":1}',
    b'{"a":1}\n',
    b'{"a":1}{}',
    b'{"a":1',
    b'{"a":%b}' % (b"[" * 100_000 + b"]" * 100_000),
]


def _judged(text: bytes, parse: Callable[[bytes], dict[str, object]]) -> str:
    try:
        return repr(parse(text))
    except KvError as error:
        return error.message


@pytest.mark.parametrize("text", DOUBTFUL, ids=lambda text: repr(text[:24]))
def test_what_is_in_doubt_is_judged_as_ever(text: bytes) -> None:
    """A member named twice, at any depth; numbers, texts and bytes that two parsers could take for different things."""
    assert _judged(text, frames.parse_header) == _judged(text, wire.parse_header)


def test_garbage_is_judged_as_ever() -> None:
    """Spoilt requests, whole and in bytes, are the same objects or the same refusals."""
    chance = random.Random(7)  # noqa: S311 - no secret
    for _ in range(3000):
        text = as_json(chance, mutated_tree(chance, chance.choice(REQUESTS)))
        for each in (text, mutated(chance, [text])):
            assert _judged(each, frames.parse_header) == _judged(each, wire.parse_header)


def test_an_answer_is_the_same_frame() -> None:
    """Byte for byte, with a body and without, and with a name that is no text."""
    headers: list[dict[str, object]] = [{"ok": {"a": [1, 2.5, None, True, "é\u2028\x00"]}}, {"ok": {"file": "\udcff"}}]
    for header in headers:
        assert frames.encode(header) == wire.encode(header)
        assert frames.encode(header, b"body") == wire.encode(header, b"body")


def test_a_long_answer_travels_as_a_body() -> None:
    """Members that no header holds arrive all the same; what no body holds is refused."""
    members: dict[str, object] = {"names": ["x" * 100] * 4000}
    decoder = wire.Decoder()
    decoder.feed(frames.encode({"ok": members}))
    frame = decoder.next()
    assert frame is not None
    assert wire.answer(frame) == (members, b"")
    with pytest.raises(KvError, match="answer"):
        frames.encode({"ok": {"names": ["x" * (1 << 20)] * 18}})


def test_a_secret_is_no_json() -> None:
    """A value that a handler left in its answer by mistake is a defect and not an answer."""
    with pytest.raises(TypeError):
        frames.encode({"ok": {"value": Secret("a", b"value")}})


def test_a_header_without_members_waits_for_its_body() -> None:
    """Half a body is no frame, whatever is in the header."""
    decoder = wire.Decoder(frames.parse_header)
    header = json.dumps({"body": 3}).encode()
    decoder.feed(len(header).to_bytes(4, "big") + header + b"ab")
    assert decoder.next() is None
    assert not decoder.empty
    decoder.feed(b"c")
    frame = decoder.next()
    assert frame is not None
    assert (frame.header, frame.body) == ({}, b"abc")
    assert decoder.empty
