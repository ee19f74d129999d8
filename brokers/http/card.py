"""What a person reads of a call before deciding: lines of (label, text) made from the plan's own parts. Pure.

Rules of this file
- What is shown is what was decoded and will be sent, never the agent's own spelling.
- Long things keep head and tail: what matters must not be pushed out of sight in the middle of nothing.
- Cleaning of control and direction characters is the card's renderer's, for every broker alike.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from brokers.http.arguments import Draft
    from brokers.http.target import Pair

END = 300  # characters of a body's head and of its tail
MAX_LINE = 600  # characters of one line
MAX_LINES = 24  # parameters, headers or fields shown one by one: what fits on a screen
MAX_SHOWN_JSON = 64 << 10  # bytes of a body that is taken apart for the card; beyond, head and tail say enough

_PLAIN = re.compile(r"[A-Za-z0-9_$@:/-]{1,100}")


def details(draft: Draft, captures: tuple[Pair, ...] = ()) -> tuple[tuple[str, str], ...]:
    """The lines beneath the title: what of the answer goes into the vault, query, headers the agent gave, body."""
    lines = [("capture", f"{field} of the answer, as secret {name}") for field, name in captures]
    lines += _ends("query", [f"{name}={value}" for name, value in draft.query])
    lines += _ends("header", [f"{name}: {value}" for name, value in draft.headers])
    if draft.body:
        lines += _body(draft)
    return tuple(lines)


def _ends(label: str, texts: list[str]) -> list[tuple[str, str]]:
    """A line for each text; of many the first and the last, so that nothing is hidden behind a crowd."""
    shown = [(label, shorten(text)) for text in texts]
    if len(shown) > MAX_LINES:
        half = MAX_LINES // 2
        shown[half:-half] = [(label, f"… and {len(shown) - 2 * half} more …")]
    return shown


def shorten(text: str, limit: int = MAX_LINE) -> str:
    """`text`, or its head and tail with the number of characters between them."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]} … {len(text) - 2 * half} characters … {text[-half:]}"


def _body(draft: Draft) -> Iterator[tuple[str, str]]:
    size = f"{len(draft.body)} bytes"
    try:
        text = draft.body.decode()
    except UnicodeDecodeError:
        yield "body", f"{size}, sha256 {hashlib.sha256(draft.body).hexdigest()[:16]}…"
        return
    fields = _fields(draft, text) if len(draft.body) <= MAX_SHOWN_JSON else []
    yield from _ends("field", [f"{path}={value}" for path, value in fields])
    if not fields:
        yield "body", f"{size}: {shorten(text, 2 * END)}"


def _fields(draft: Draft, text: str) -> list[tuple[str, str]]:
    content_type = dict(draft.headers).get("content-type", "")
    if "urlencoded" in content_type:
        return parse_qsl(text, keep_blank_values=True)
    if "json" not in content_type:
        return []
    try:
        # Numbers as they were written: 1e999 must not be shown as something that Python made of it.
        read = json.loads(text, object_pairs_hook=_once, parse_int=str, parse_float=str)
        return list(_flatten(read, ""))
    except (ValueError, RecursionError):
        return []


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """A JSON object; `ValueError` for a member given twice, of which a card and a server could pick different ones."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("given twice")
    return members


def _flatten(value: object, path: str) -> Iterator[tuple[str, str]]:
    """`{"a": {"b": [1]}}` as `a.b[0]` and `1`."""
    if isinstance(value, Mapping) and value:
        for name, held in value.items():
            # A name with '=' or a blank in it could pass for another field.
            shown = name if _PLAIN.fullmatch(name) else json.dumps(name)
            yield from _flatten(held, f"{path}.{shown}" if path else shown)
    elif isinstance(value, list) and value:
        for index, held in enumerate(value):
            yield from _flatten(held, f"{path}[{index}]")
    elif isinstance(value, str):
        yield path, value
    else:
        yield path, json.dumps(value)
