"""What a call does to the world, judged from the request and the provider's pack. Pure.

Rules of this file
- A guess errs to the stricter side. A row of a pack that asks for less than the method's default must match to
  the letter; one that asks for more matches what a server might take for its path (see `pattern`).
- Of several rows the most severe counts. A row stands against the method's default; nothing stands against
  a body where none belongs.
- The reason consists of this file's words and the pack's. Nothing that the agent wrote gets into it.
- No guard: a call judged a read is also performed as one. A wrong verdict costs a card or spares one.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from brokers.contract import Effect
from brokers.http import operations
from brokers.http.pattern import fold
from brokers.http.target import apart

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from brokers.http.pack import Body, Endpoint, Pack

    Verdict = tuple[Effect, str]

DEFAULTS: Mapping[str, Effect] = {
    "GET": Effect.READ,
    "HEAD": Effect.READ,
    "OPTIONS": Effect.READ,
    "POST": Effect.WRITE,
    "PUT": Effect.WRITE,
    "PATCH": Effect.WRITE,
    "DELETE": Effect.DESTROY,
}
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})
_ASKING = frozenset({"GET", "HEAD", "POST"})  # GraphQL over HTTP and JSON-RPC are asked with these


class _Call(NamedTuple):
    """What is judged; `path` decoded, `folded` as servers may read it."""

    method: str
    path: Sequence[str]
    folded: tuple[str, ...]
    query: Sequence[tuple[str, str]]
    content_type: str
    body: bytes


def classify(  # noqa: PLR0913, PLR0917 - a request has these parts
    pack: Pack | None,
    method: str,
    path_segments: Sequence[str],
    query: Sequence[tuple[str, str]],
    headers: Mapping[str, str],
    body: bytes,
) -> tuple[Effect, str]:
    """The effect of a call and why, one line for a card.

    `path_segments` are decoded and lie beneath the connection's base path; header names are lower case. Where a
    segment holds a slash, the worse counts of what the path is with it and with one segment more.
    """
    content_type, split = headers.get("content-type", ""), apart(path_segments)
    readings = [path_segments] if len(split) == len(path_segments) else [path_segments, split]
    calls = [_Call(method, path, fold(path), query, content_type, body) for path in readings]
    verdict = _worst(_judged(pack, call) for call in calls)
    if body and method in _BODILESS:
        verdict = _worst((verdict, (Effect.UNKNOWN, f"{method} with a body: some services act on it")))
    return verdict


def _judged(pack: Pack | None, call: _Call) -> Verdict:
    verdict = _default(pack, call.method)
    if pack is None or call.method == "OPTIONS":
        return verdict
    verdict = _by_rows(pack, call, verdict)
    return verdict if pack.body is None else _by_body(pack.body, call, verdict)


def _default(pack: Pack | None, method: str) -> Verdict:
    if pack is not None and method in pack.defaults:
        effect = pack.defaults[method]
        return effect, f"{pack.name}: {method} is classed {effect.value} where nothing more is known"
    effect = DEFAULTS.get(method, Effect.UNKNOWN)
    return effect, f"{method} is {effect.value} by HTTP's meaning of it"


def _by_rows(pack: Pack, call: _Call, default: Verdict) -> Verdict:
    """What the matching rows say, the most severe of them; the default where none matches."""
    asked = {call.method, "GET"} if call.method == "HEAD" else {call.method}
    found = [
        (row.effect, f"{pack.name}: {call.method} {row.pattern.text} is classed {row.effect.value}")
        for row in pack.rows(call.folded)
        if (not row.methods or row.methods & asked) and (not _lowers(row, default[0]) or row.pattern.exact(call.path))
    ]
    return _worst(found) if found else default


def _lowers(row: Endpoint, default: Effect) -> bool:
    return row.effect is Effect.READ or row.effect.severity < default.severity


def _by_body(declared: Body, call: _Call, before: Verdict) -> Verdict:
    """What the operations in the body say, where the path is one that takes them."""
    if not any(path.loose(call.folded) for path in declared.paths):
        return before
    try:
        verdict = _operations(declared, call) or before
    except operations.Unreadable:
        verdict = Effect.UNKNOWN, f"a {declared.kind} body that cannot be read in exactly one way"
    # By another method or another spelling of the path the request may end elsewhere: there the operations only add.
    exact = call.method in _ASKING and any(path.exact(call.path) for path in declared.paths)
    return verdict if exact else _worst((before, verdict))


def _operations(declared: Body, call: _Call) -> Verdict | None:
    if declared.kind == "jsonrpc":
        if call.method != "POST":
            return None
        return _worst(_json_rpc(declared, name) for name in operations.json_rpc(call.content_type, call.body))
    asked = operations.graphql(call.method, call.query, call.content_type, call.body)
    return None if asked is None else _worst(_graphql(declared, one) for one in asked)


def _graphql(declared: Body, operation: operations.Operation) -> Verdict:
    if operation.kind == "query":
        return Effect.READ, "a GraphQL query"
    if operation.kind == "subscription":
        return Effect.UNKNOWN, "a GraphQL subscription"
    found = [verdict for name in operation.fields for verdict in _named(declared, name, "a GraphQL mutation")]
    return _worst(found) if found else (Effect.WRITE, "a GraphQL mutation")


def _json_rpc(declared: Body, name: str) -> Verdict:
    found = list(_named(declared, name, "a JSON-RPC method"))
    return _worst(found) if found else (Effect.UNKNOWN, "a JSON-RPC method that the catalogue does not name")


def _named(declared: Body, name: str, what: str) -> Iterable[Verdict]:
    for effect, patterns in declared.names.items():
        for pattern in patterns:
            if name == pattern if effect is Effect.READ else fnmatchcase(name.lower(), pattern.lower()):
                yield effect, f"{what} named like {pattern}"


def _worst(verdicts: Iterable[Verdict]) -> Verdict:
    return max(verdicts, key=lambda verdict: verdict[0].severity)
