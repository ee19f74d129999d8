"""One entry: what can be recorded, and in which bytes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kv.audit.entry import BODY_MAX, Entry, Fields, Peer, build, decode, encode

MANAGED = {"seq": 1, "epoch": 1, "time": 1.5, "clock": 2, "kind": "event"}
TEXTS = st.text(max_size=1000)
MOST = (1 << 63) - 1


@settings(max_examples=150, deadline=None)
@given(st.fixed_dictionaries(dict.fromkeys(("title", "reason", "label", "rule"), TEXTS)), TEXTS, st.integers(0, MOST))
def test_canonical(texts: dict[str, str], exe: str, counts: int) -> None:
    """Whatever an agent writes, an entry is within bounds, printable, and read back from its own bytes only."""
    entry = build(
        {
            **MANAGED,
            **texts,
            "peer": Peer(1, exe, 1000),
            "bytes_in": counts,
            "redactions": {"header": 1, "body": counts},
        }
    )
    body = encode(entry)
    assert decode(body) == entry
    assert len(body) <= BODY_MAX
    assert (len(entry.title), len(entry.reason), len(entry.label)) <= (300, 200, 120)
    assert all(map(str.isprintable, (entry.title, entry.reason, entry.label, entry.rule)))
    with pytest.raises(ValueError, match=r"^not (canonical|an entry)$"):
        decode(json.dumps(json.loads(body)).encode())


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=80) | st.text(max_size=80).map(str.encode))
def test_garbage(body: bytes) -> None:
    """Garbage is refused with the declared error and no other."""
    with pytest.raises(ValueError, match="not an entry"):
        decode(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"seq":1,"epoch":1,"time":1.5,"clock":2,"kind":"event"} ',
        b'{"seq":1,"epoch":1,"time":1.5,"clock":2,"kind":"event"}{}',
        b'{"seq": 1,"epoch":1,"time":1.5,"clock":2,"kind":"event"}',
        b'{"epoch":1,"seq":1,"time":1.5,"clock":2,"kind":"event"}',
        b'{"seq":1,"epoch":1,"time":1.5,"clock":2,"kind":"event","title":""}',
        b'{"seq":1,"seq":1,"epoch":1,"time":1.5,"clock":2,"kind":"event"}',
        b'{"seq":1,"epoch":1,"time":1.50,"clock":2,"kind":"event"}',
        b'{"seq":1,"epoch":1,"time":1.5,"clock":2,"kind":"\\u0065vent"}',
        b'{"seq":1,"epoch":1,"time":1.5,"clock":2,"kind":"event","value":"sk_live"}',
        b'{"seq":1.0,"epoch":1,"time":1.5,"clock":2,"kind":"event"}',
        b'{"seq":"1","epoch":1,"time":1.5,"clock":2,"kind":"event"}',
        b'{"seq":0,"epoch":1,"time":1.5,"clock":2,"kind":"event"}',
        b'{"seq":9223372036854775808,"epoch":1,"time":1.5,"clock":2,"kind":"event"}',
        b'{"seq":1,"epoch":1,"time":-1.5,"clock":2,"kind":"event"}',
        b'{"seq":1,"epoch":1,"time":NaN,"clock":2,"kind":"event"}',
        b'{"seq":1,"epoch":1,"time":1.5,"clock":2,"kind":"other"}',
        b'{"seq":1,"epoch":1,"time":1.5,"clock":2,"kind":"event","outcome":"ok\\n"}',
        b'{"seq":1,"epoch":1,"time":1.5,"clock":2}',
        b"[" * 100_000,
    ],
)
def test_one_form(body: bytes) -> None:
    """There is one way to write an entry: no spaces, no other order, no defaults, no field more or less."""
    assert decode(b'{"seq":1,"epoch":1,"time":1.5,"clock":2,"kind":"event"}') == build(MANAGED)
    with pytest.raises(ValueError, match="not"):
        decode(body)


@pytest.mark.parametrize(
    "fields",
    [
        {"value": "sk_live"},
        {"body": "x"},
        {"query": "a=b"},
        {"plan": "A" * 64},
        {"plan": "a" * 63},
        {"effect": "harmless"},
        {"connection": "a b"},
        {"connection": "a\n"},
        {"names": ("a",) * 1025},
        {"names": ("a b",)},
        {"status": 65536},
        {"status": True},
        {"bytes_in": -1},
        {"outcome": "HTTP 200"},
        {"redactions": {"Body!": 1}},
        {"redactions": {f"p{'x' * n}": 1 for n in range(17)}},
        {"title": b"bytes"},
    ],
)
def test_malformed_fields(fields: dict[str, object]) -> None:
    """A field that is not on the list, or that kv itself cannot have made, is refused, and not quoted in the error."""
    with pytest.raises(ValueError, match=r"^an audit field is malformed$"):
        build({**MANAGED, **fields})


def test_largest() -> None:
    """Every field at its bound fits an entry: no call can be too large to be recorded."""
    wide = "\N{PILE OF POO}"
    entry = build(
        {
            **MANAGED,
            "title": wide * 300,
            "reason": '"' * 200,
            "label": wide * 120,
            "rule": wide * 120,
            "peer": Peer((1 << 63) - 1, wide * 64, (1 << 63) - 1),
            "names": tuple(f"{n:03}{'n' * 256}" for n in range(256)),
            "redactions": {chr(97 + n) * 16: (1 << 63) - 1 for n in range(16)},
        }
    )
    assert len(encode(entry)) < BODY_MAX
    assert decode(encode(entry)) == entry


def test_head_and_tail_kept() -> None:
    """A text that is too long keeps both ends, so that nothing can be pushed out of sight."""
    entry = build({**MANAGED, "reason": f"begin{'.' * 5000}end", "title": f"GET /{'a' * 5000}/refunds"})
    assert entry.reason.startswith("begin.")
    assert entry.reason.endswith(".end")
    assert entry.title.endswith("/refunds")
    assert build({**MANAGED, "reason": entry.reason}).reason == entry.reason


def test_controls_removed() -> None:
    """Terminal escapes and direction marks of an agent do not get into the log."""
    entry = build({**MANAGED, "reason": "a\x1b[2Jb\u202ec\nd", "peer": Peer(1, "py\x07thon", 2)})
    assert entry.reason == "a\ufffd[2Jb\ufffdc\ufffdd"
    assert entry.peer == Peer(1, "py\ufffdthon", 2)


def test_callers_fields() -> None:
    """A caller can give every field except those that the log itself answers for."""
    assert set(Fields.__annotations__) == set(Entry.__struct_fields__) - {*MANAGED, "of"}
