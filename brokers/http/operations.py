"""What a GraphQL or JSON-RPC body asks for: the operations in it, read strictly. Pure.

Rules of this file
- Only what every server must read alike is read at all. A repeated member, an unknown one, another charset, a
  second copy in the query: each is a place where two parsers differ, so each raises `Unreadable`.
- Of GraphQL the lexical grammar and the outermost structure are read (October 2021 edition, sections 2.1 to 2.3):
  which operations there are and which fields they start from. No schema is known, so no more can be said.
- Linear in the body, without recursion of ours, and bounded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_DOCUMENT = 256 << 10  # bytes of a body that is read; the largest documents of generated clients are a tenth
MAX_TOKENS = 10_000  # of one document: what servers that have a limit set it to; takes 10 ms
MAX_BATCH = 100  # calls of one JSON-RPC request: what nodes take
MAX_DOCUMENTS = 10  # of one GraphQL request: servers that take several at all take fewer
MAX_NAME = 128  # characters of a name that is compared with patterns

_JSON = re.compile(r'application/json *(; *charset="?utf-8"? *)?', re.IGNORECASE)
_GRAPHQL = re.compile(r'application/graphql *(; *charset="?utf-8"? *)?', re.IGNORECASE)
# Possessive where one class repeats; not around groups, where CPython before 3.11.5 matches them wrongly. (The
# alternatives in the groups exclude each other, so there is nothing to backtrack into.)
_TOKEN = re.compile(
    r"""(?P<blank>[ \t\n\r,]++|\#[^\n\r]*+)
    |(?P<text>\"{3}(?:\\\"{3}|(?!\"{3}|\\\"{3}).)*\"{3}|\"\"(?!\")|\"(?:[^"\\\n\r]|\\[^\n\r])+\")
    |(?P<number>-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?(?![0-9A-Za-z_.]))
    |(?P<name>[A-Za-z_][0-9A-Za-z_]*+)
    |(?P<mark>\.\.\.|[!$&():=@\[\]{|}])""",
    re.VERBOSE | re.DOTALL,
)
_CLOSERS = {"(": ")", "[": "]", "{": "}"}
_KINDS = frozenset({"query", "mutation", "subscription"})


class Unreadable(ValueError):  # noqa: N818 - a verdict about the body, no error of ours
    """The body cannot be read in exactly one way."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One GraphQL operation: its kind, its name ("" for none) and the fields that it starts from."""

    kind: str
    name: str
    fields: tuple[str, ...]


def graphql(
    method: str, query: Sequence[tuple[str, str]], content_type: str, body: bytes
) -> tuple[Operation, ...] | None:
    """The operations that a GraphQL request would run; None where it holds no document. Raises `Unreadable`."""
    given = [(name, value) for name, value in query if name.lower() in {"query", "operationname", "extensions", "id"}]
    if method in {"GET", "HEAD"}:
        return _chosen(_once(given)) if given else None
    if given:
        raise Unreadable  # servers differ on whether the body or the address counts
    if _GRAPHQL.fullmatch(content_type):
        return _chosen({"query": _text(body)})
    requests = json_body(content_type, body)
    if isinstance(requests, list):
        if not 0 < len(requests) <= MAX_DOCUMENTS:
            raise Unreadable
        return tuple(operation for request in requests for operation in _chosen(request))
    return _chosen(requests)


def json_rpc(content_type: str, body: bytes) -> tuple[str, ...]:
    """The method names that a JSON-RPC 2.0 body calls, a batch's all. Raises `Unreadable`."""
    given = json_body(content_type, body)
    calls = given if isinstance(given, list) else [given]
    if not 0 < len(calls) <= MAX_BATCH:
        raise Unreadable
    names = []
    for call in calls:
        if not isinstance(call, Mapping) or not {"jsonrpc", "method", "params", "id"}.issuperset(call):
            raise Unreadable
        name = call.get("method")
        if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME:
            raise Unreadable
        names.append(name)
    return tuple(names)


def json_body(content_type: str, body: bytes) -> object:
    """A body as JSON in UTF-8 without repeated members. Raises `Unreadable`."""
    if not _JSON.fullmatch(content_type):
        raise Unreadable
    try:
        return json.loads(_text(body), object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise Unreadable from None


def _text(body: bytes) -> str:
    if len(body) > MAX_DOCUMENT:
        raise Unreadable
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise Unreadable from None


def _once(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    # Go's decoder takes `Query` for `query`, so two members that differ in case alone are one member twice.
    if len({name.lower() for name, _ in pairs}) != len(pairs):
        raise Unreadable
    return dict(pairs)


def _chosen(request: object) -> tuple[Operation, ...]:
    """Which operations of one request would run: the named one, or all of them where none is named."""
    if not isinstance(request, Mapping) or not {"query", "operationName", "variables", "extensions"}.issuperset(
        request
    ):
        raise Unreadable
    document, name = request.get("query"), request.get("operationName")
    # A persisted query is asked for by a hash in `extensions`: what it does stands at the server.
    if not isinstance(document, str) or request.get("extensions") or not isinstance(name, str | None):
        raise Unreadable
    found = parse_document(document)
    if not name:
        return found
    named = tuple(operation for operation in found if operation.name == name)
    if len(named) != 1:
        raise Unreadable
    return named


def parse_document(document: str) -> tuple[Operation, ...]:
    """The operations of a GraphQL document, at least one. Raises `Unreadable`."""
    tokens = tuple(islice(_tokens(document), MAX_TOKENS + 1))
    if len(tokens) > MAX_TOKENS:
        raise Unreadable
    names = tuple(token for token in tokens if token.isidentifier())
    operations, at = [], 0
    while at < len(tokens):
        first = tokens[at]
        if first not in _KINDS and first not in {"{", "fragment"}:
            raise Unreadable
        name = tokens[at + 1] if first in _KINDS and tokens[at + 1 : at + 2] and tokens[at + 1].isidentifier() else ""
        at, fields = _selection(tokens, at)
        if first != "fragment":
            # A spread may bring any field of any fragment: then every name of the document counts.
            operations.append(Operation("query" if first == "{" else first, name, names if fields is None else fields))
    if not operations or any(len(name) > MAX_NAME for name in names):
        raise Unreadable
    return tuple(operations)


def _tokens(document: str) -> Iterator[str]:
    """Names and punctuators as they are; strings and numbers, which name nothing, as `0`."""
    at = 0
    while at < len(document):
        found = _TOKEN.match(document, at)
        if found is None:
            raise Unreadable
        at = found.end()
        if found.lastgroup in {"name", "mark"}:
            yield found[0]
        elif found.lastgroup != "blank":
            yield "0"


def _selection(tokens: tuple[str, ...], at: int) -> tuple[int, tuple[str, ...] | None]:
    """From a definition's start: where the next one starts, and this one's outermost fields (None: it spreads)."""
    open_: list[str] = []
    fields: list[str] = []
    spread = False
    for index in range(at, len(tokens)):
        word = tokens[index]
        if word in _CLOSERS:
            open_.append(_CLOSERS[word])
        elif word in _CLOSERS.values():
            if not open_ or open_.pop() != word:
                raise Unreadable
            if not open_ and word == "}":
                return index + 1, None if spread else tuple(fields)
        elif open_ == ["}"]:
            spread = spread or word == "..."
            # what an alias stands for follows its colon; what follows an @ is a directive
            if word.isidentifier() and tokens[index - 1] != "@" and tokens[index + 1 : index + 2] != (":",):
                fields.append(word)
    raise Unreadable
