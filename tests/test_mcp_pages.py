"""Parting results: whatever an answer holds, its parts are within the bound and join to the whole."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kv.client import Answer
from kv.errors import KvError
from kv.mcp import pages
from kv.mcp.pages import ROOM, Pages

# A seed and how often it is repeated: texts around the bound, of characters that JSON escapes or UTF-8 writes in four.
TEXTS = st.tuples(st.text(min_size=1, max_size=40), st.integers(1, 9000)).map(lambda pair: pair[0] * pair[1])


def _joined(kept: Pages, text: str) -> tuple[str, list[dict[str, Any]]]:
    """The bodies of all parts, and the parts."""
    parts = []
    while True:
        assert len(text.encode()) <= ROOM
        parts.append(json.loads(text))
        if not parts[-1].get("more"):
            return "".join(part["body"] for part in parts), parts
        text = kept.part(**parts[-1]["more"])


@given(TEXTS, st.sampled_from(["text", "json"]))
def test_parts_join_to_the_body(text: str, form: str) -> None:
    """A body of text or JSON, short or long, is what its parts make when joined."""
    body = text if form == "text" else json.dumps({"a": text}, ensure_ascii=False)
    kept = Pages()
    first = kept.first(Answer({"status": 200, "form": form, "untrusted": True, "source": "s"}, body.encode()))
    whole, parts = _joined(kept, first) if '"more":{' in first[-80:] else ("", [json.loads(first)])
    if len(parts) == 1:
        assert parts[0]["body"] == (text if form == "text" else {"a": text})
    else:
        assert (whole if form == "text" else json.loads(whole)["a"]) == text
        assert {(part["untrusted"], part["source"]) for part in parts} == {(True, "s")}


@given(TEXTS)
def test_an_answer_of_any_shape_is_bounded(text: str) -> None:
    """Where no body makes an answer long, the whole of it is parted as JSON."""
    kept = Pages()
    answer = {"secrets": [{"name": text}] * 4}
    first = kept.first(Answer({**answer}, b""))
    if "part_of" in json.loads(first):
        assert json.loads(_joined(kept, first)[0]) == answer
    else:
        assert json.loads(first) == answer
        assert len(first.encode()) <= ROOM


@pytest.mark.parametrize(
    ("form", "raw", "shown"),
    [
        ("json", b'{"big":1e999}', '{"big":1e999}'),
        ("json", b"[" * 20_000 + b"]" * 20_000, "[" * 20_000 + "]" * 20_000),
        ("json", b'"\\ud800"', "\ud800"),
        ("bytes", b"\0\xff", {"base64": "AP8="}),
        ("none", b"", None),
    ],
)
def test_bodies_that_python_cannot_read_are_shown_as_they_came(form: str, raw: bytes, shown: object) -> None:
    """A number beyond a float's, nesting beyond Python's and half a character end in text, and never in an error."""
    text = Pages().first(Answer({"form": form}, raw))
    text.encode()
    assert json.loads(text).get("body") == shown


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest long results go first, by number and by bytes; the newest stays whatever its size."""
    monkeypatch.setattr(pages, "_KEPT_BYTES", 1_000_000)
    kept = Pages()
    tickets = [
        json.loads(kept.first(Answer({"form": "text"}, b"x" * size)))["more"]["ticket"]
        for size in (300_000, 300_000, 300_000, 300_000, 2_000_000)
    ]
    assert [ticket in kept for ticket in tickets] == [False, False, False, False, True]
    with pytest.raises(KvError) as refused:
        kept.part(tickets[-1], 2_000_000)
    assert refused.value.code == "bad-argument"
