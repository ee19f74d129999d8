"""A value within a body: one more member of a JSON object, or one more field of a form.

Rules of this file
- What the agent gave stays as it is, letter by letter: the member is written behind it and nothing is written anew.
- A body that has a member of that name, in a spelling that some server takes for it, is refused: of two the server
  might take the agent's.
- A call without a body has no place for a value, and gets none.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import parse_qsl

from brokers.contract import BrokerError
from brokers.http.auth import folded

if TYPE_CHECKING:
    from brokers.message import Request

KINDS = frozenset({"json", "form"})
_MOST = 256 << 10  # bytes of a body that is read: who asks for a code has a login's fields in it
_MOST_FIELDS = 1000


def check(request: Request, kind: str, name: str) -> None:
    """Raise `BrokerError("argument")` for a body in which `name` has no place, or one already."""
    if not request.body:
        return
    content_type = dict(request.headers).get("content-type", "").lower()
    if ("json" if kind == "json" else "urlencoded") not in content_type or len(request.body) > _MOST:
        _refuse("the connection puts a one-time code into it: give a JSON object, or a form where it is one")
    try:
        names = _members(request.body) if kind == "json" else _fields(request.body)
    except (ValueError, RecursionError):
        _refuse("it is not what its content-type says")
    if folded(name) in map(folded, names):
        _refuse("the connection's one-time code stands in the place of this member")


def put(request: Request, kind: str, name: str, value: str) -> Request:
    """`request` with `value`, which needs no escape, in its body. Raises as `check`."""
    check(request, kind, name)
    if not request.body:
        return request
    if kind == "form":
        return replace(request, body=request.body + f"&{name}={value}".encode())
    head = request.body.rstrip()[:-1].rstrip()
    comma = "" if head.strip() == b"{" else ","
    return replace(request, body=head + f'{comma}"{name}":"{value}"}}'.encode())


def _members(body: bytes) -> list[str]:
    found = json.loads(body.decode(), object_pairs_hook=_once, parse_int=str, parse_float=str)
    if not isinstance(found, dict):
        raise ValueError("no object")  # noqa: TRY004 - of the body, not of a type
    return list(found)


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("given twice")
    return dict(pairs)


def _fields(body: bytes) -> list[str]:
    text = body.decode("ascii").replace(";", "&")  # some servers part fields at either
    return [name for name, _ in parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS)]


def _refuse(why: str) -> NoReturn:
    raise BrokerError("argument", argument="body", why=why) from None
