"""What an agent may say of a request: every argument decoded strictly into one `Draft`. Pure.

Rules of this file
- What all brokers ask of arguments stands in `brokers.arguments`; here is what a request's are.
- Headers that say who asks, for whom, over what, or with which method instead are not the agent's to give.
- A method has one place, the request line: see `overrides`.
- A reference (`{{kv:…}}`) is refused everywhere: the connection knows where the credential goes.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from brokers.arguments import REFERENCE, check_known, limits, refuse
from brokers.http import capture, overrides, target

if TYPE_CHECKING:
    from brokers.contract import Limits
    from brokers.http.target import Pair

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
BODILESS = frozenset({"HEAD", "OPTIONS"})
MAX_BODY = 16 << 20  # bytes: what the issue promises; larger things are uploads, which go in parts
MAX_TIMEOUT = 120.0  # seconds: longer than slow inference, shorter than a forgotten connection
MAX_HEADERS = 64  # servers stop at 100; fixed and credential headers come on top
MAX_HEADER = 8192  # bytes of a value: what common servers take for one line
MAX_HEADER_BYTES = 32 << 10  # bytes of all: nginx gives four buffers of 8 KiB

_KNOWN = frozenset(
    {"method", "path", "query", "headers", "json", "text", "form", "base64", "timeout", "max_bytes", "capture"}
)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")  # RFC 9110 section 5.6.2
_VALUE = re.compile(r"[\t\x20-\x7e]*")  # RFC 9110 section 5.5 without obs-text
_BARRED = frozenset(
    {
        "authorization",
        "cookie",
        "cookie2",
        "host",
        # hop by hop: they would speak to the next machine, not to the service (RFC 9110 section 7.6.1)
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "http2-settings",
        # kv's own: the body's length and its plain coding, which the redactor needs
        "content-length",
        "content-encoding",
        "accept-encoding",
        "expect",
        # a part of an answer could hold a part of a value, which no scan would recognise
        "range",
        "if-range",
        # who asks and where it came from
        "forwarded",
        "via",
        "client-ip",
        "true-client-ip",
        "cf-connecting-ip",
        # which path is meant, for servers that let a header overrule the request line
        "x-original-url",
        "x-rewrite-url",
    }
)
_BARRED_PREFIXES = ("proxy-", "x-forwarded-", "x-real-", "sec-websocket-")


class Without(NamedTuple):
    """Names, in lower case, of headers and of parameters that a call is planned without."""

    headers: frozenset[str] = frozenset()
    query: frozenset[str] = frozenset()


_NOTHING = Without()


@dataclass(frozen=True, slots=True)
class Draft:
    """A decoded call: segments and pairs unencoded, headers lower case and sorted, `kind` says how the body came."""

    method: str
    segments: tuple[str, ...]
    query: tuple[Pair, ...]
    headers: tuple[Pair, ...]
    kind: str
    body: bytes
    limits: Limits
    captures: tuple[Pair, ...] = ()


def decode(
    arguments: Mapping[str, object], body: bytes, *, encoded_slash: bool = False, without: Without = _NOTHING
) -> Draft:
    """The arguments of a call, whole and checked. `encoded_slash`: see `target.split_path`.

    What `without` names is left out.
    Raises `BrokerError("argument")`.
    """
    check_known(arguments, _KNOWN)
    method = _method(arguments.get("method", "GET"))
    path, _, written = _text(arguments.get("path", "/"), "path").partition("?")
    segments = target.split_path(path, encoded_slash=encoded_slash)
    query = target.split_query(written) + _pairs(arguments.get("query"), "query")
    query = tuple(pair for pair in query if pair[0].lower() not in without.query)
    for name, value in query:
        target.check_text(name, "query")
        target.check_text(value, "query")
        overrides.check_name(name, "query")
    if len(query) > target.MAX_PAIRS:
        refuse("query", "more than 256 parameters")
    kind, payload, content_type = _body(arguments, body)
    headers = _headers(arguments.get("headers"), content_type, without.headers)
    if payload and method in BODILESS:
        refuse("method", "HEAD and OPTIONS take no body")
    _check_payload(payload, dict(headers))
    captures = capture.decode(arguments.get("capture"))
    return Draft(method, segments, query, headers, kind, payload, limits(arguments, MAX_TIMEOUT), captures)


def _text(value: object, argument: str) -> str:
    if not isinstance(value, str):
        refuse(argument, "it must be text")
    return value


def _method(value: object) -> str:
    method = _text(value, "method").upper()
    if method not in METHODS:
        refuse("method", "one of GET, HEAD, OPTIONS, POST, PUT, PATCH, DELETE")
    return method


def _pairs(value: object, argument: str) -> tuple[Pair, ...]:
    """A mapping (a list as value repeats the name) or a list of pairs, as text."""
    if value is None:
        return ()
    given = list(value.items()) if isinstance(value, Mapping) else value
    if not isinstance(given, list | tuple) or len(given) > target.MAX_PAIRS:
        refuse(argument, "a mapping or a list of pairs, at most 256")
    pairs: list[Pair] = []
    for entry in given:
        if not isinstance(entry, list | tuple) or len(entry) != 2:  # noqa: PLR2004 - a pair is two
            refuse(argument, "each entry is a pair of name and value")
        name, held = _scalar(_text(entry[0], argument), argument), entry[1]
        values = held if isinstance(held, list | tuple) else [held]
        if len(pairs) + len(values) > target.MAX_PAIRS:
            refuse(argument, "more than 256 values")
        pairs += [(name, _scalar(one, argument)) for one in values]
    if any(REFERENCE in text for pair in pairs for text in pair):
        refuse(argument, "references are refused")
    return tuple(pairs)


def _scalar(value: object, argument: str) -> str:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeError:
            refuse(argument, "it is not UTF-8")
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) < 1 << 64:  # wider than any counter; str() of huge ones is slow
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return repr(value)
    return refuse(argument, "a value is text, a number or true/false")


def _headers(value: object, content_type: str, without: Collection[str]) -> tuple[Pair, ...]:
    if value is not None and not isinstance(value, Mapping):
        refuse("headers", "a mapping of names to text")
    headers: dict[str, str] = {}
    for given, held in (value or {}).items():
        if isinstance(given, str) and given.lower() in without:
            continue
        name = _header_name(given)
        text = _text(held, "headers").strip(" \t")
        if name in headers:
            refuse("headers", "a name is given twice")
        if len(text) > MAX_HEADER or not _VALUE.fullmatch(text):
            refuse("headers", "a value is at most 8 KiB of visible ASCII")
        if REFERENCE in text:
            refuse("headers", "references are refused")
        headers[name] = text
    if content_type:
        headers.setdefault("content-type", content_type)
    if len(headers) > MAX_HEADERS or sum(len(n) + len(v) for n, v in headers.items()) > MAX_HEADER_BYTES:
        refuse("headers", "at most 64, and 32 KiB together")
    return tuple(sorted(headers.items()))


def _header_name(value: object) -> str:
    name = _text(value, "headers").lower()
    if not _TOKEN.fullmatch(name):
        refuse("headers", "a name is an HTTP token")
    # CGI and its heirs cannot tell `_` from `-`, so `x_forwarded_for` is `x-forwarded-for` to them.
    folded = name.replace("_", "-")
    if folded in _BARRED or folded.startswith(_BARRED_PREFIXES):
        refuse("headers", "this header is kv's to set: authorization, cookie, host, hop-by-hop, range and forwarding")
    if overrides.is_override_header(name):
        refuse("headers", "method-override headers are refused: give the method itself")
    return name


def _body(arguments: Mapping[str, object], body: bytes) -> tuple[str, bytes, str]:
    """How the body came ("json", "form", "text", "bytes" or ""), its bytes, and the content type it has by default."""
    given = [name for name in ("json", "text", "form", "base64") if arguments.get(name) is not None]
    # `"json": null` is a body too: the four bytes "null"
    if "json" in arguments and "json" not in given:
        given.append("json")
    if len(given) + bool(body) > 1:
        refuse(given[0], "there is more than one body")
    if not given:
        return ("bytes", _bounded(body, "body"), "application/octet-stream") if body else ("", b"", "")
    name, value = given[0], arguments[given[0]]
    if name == "json":
        return "json", _bounded(_json(value), name), "application/json"
    if name == "form":
        pairs = _pairs(value, name)
        for field, _ in pairs:
            overrides.check_form_name(field, "form")
        return "form", _bounded(target.join_query(pairs).encode(), name), "application/x-www-form-urlencoded"
    text = _scalar(_text(value, name), name)
    if name == "text":
        return "text", _bounded(text.encode(), name), "text/plain; charset=utf-8"
    try:
        return "bytes", _bounded(base64.b64decode(text, validate=True), name), "application/octet-stream"
    except (binascii.Error, ValueError):
        refuse(name, "it is not base64")


def _bounded(body: bytes, argument: str) -> bytes:
    if len(body) > MAX_BODY:
        refuse(argument, "a body is at most 16 MiB")
    return body


def _json(value: object) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (ValueError, TypeError, RecursionError):
        refuse("json", "it cannot be written as JSON")


def _check_payload(body: bytes, headers: Mapping[str, str]) -> None:
    """Refuse references in a body, and method overrides as its content type makes a server find them."""
    if REFERENCE.encode() in body:
        refuse("body", "references are refused")
    if body:
        overrides.check_body(body, headers.get("content-type", ""))
