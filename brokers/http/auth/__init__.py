"""Auth schemes of the HTTP broker: one a file and class, each a pure flow.

Rules of this package
- A scheme *adds*: it leaves method and what the agent gave as they are, and puts a one-time code behind it in a body
  where the connection says so (`within`). The broker finds a name that is
  there twice and refuses the call, so a scheme need not look for the agent's copies.
- The credential enters in one place per slot, as the connection's options say.
- A value that cannot stand in its place (a line end in a header) is refused before anything is sent, never
  repaired: kv does not know which half of it was meant.

- The time, a nonce and the Host header stand in `Request.moment`: a flow asks for nothing.
- A scheme whose token has to be made first says how in `mint` (see `minting`); its flow finds the token in a slot.
- A scheme may use slots beyond its `slots` where a connection declares them, and says so in its docstring.

What several schemes need stands here.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, NoReturn

from brokers.contract import BrokerError
from brokers.http import target

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from brokers.contract import Secret
    from brokers.message import Request

SLASH = "%2F"  # how a slash within a segment is written in `Request.path`
MAX_VALUE = 64 << 10  # bytes: the largest tokens in headers are some 8 KiB; servers refuse far less than this

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_QUERY_NAME = re.compile(r"[A-Za-z0-9_.~$\[\]-]{1,128}")
_VISIBLE = re.compile(rb"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
# Where a credential would not be a credential: it would steer the connection, or be stored and forwarded as data.
_NOT_FOR_SECRETS = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "te", "trailer", "upgrade", "expect", "referer"}
    | {"user-agent", "accept-encoding", "content-encoding", "content-type", "forwarded", "via"}
)


def only(options: Mapping[str, str], allowed: Collection[str]) -> None:
    """Raise `BrokerError("options")` for an option the scheme does not have."""
    if not set(allowed).issuperset(options):
        raise BrokerError("options", why="the auth scheme has no such option")


def misspelt() -> NoReturn:
    """Raise `BrokerError("options")` for what is not written as the scheme's `spelling` says."""
    raise BrokerError("options", why="the auth scheme is written in another way")


def header_name(name: str) -> str:
    """`name` in lower case, if a credential may stand in that header; raises `BrokerError("options")`."""
    lower = name.lower()
    if not _HEADER_NAME.fullmatch(name) or lower in _NOT_FOR_SECRETS or lower.startswith(("x-forwarded-", "proxy-")):
        raise BrokerError("options", why="no credential can stand in this header")
    return lower


def query_name(name: str) -> str:
    """`name` of a query parameter; raises `BrokerError("options")`."""
    if not _QUERY_NAME.fullmatch(name):
        raise BrokerError("options", why="a query parameter's name is letters, digits and _ . ~ $ [ ] -")
    return name


def visible(secret: Secret) -> str:
    """The secret as it may stand in a header: visible ASCII; raises `BrokerError("credential")`.

    A line end here is either header injection or a value that was stored with `echo`: both are told apart from
    a working credential before anything is sent.
    """
    value = secret.expose()
    if value.endswith((b"\n", b"\r")):
        raise BrokerError("credential", why="the value ends with a line end: it was probably stored with one too many")
    if len(value) > MAX_VALUE or not _VISIBLE.fullmatch(value):
        raise BrokerError("credential", why="the value cannot stand in a request: it is not visible ASCII")
    return value.decode("ascii")


def document(secret: Secret) -> str:
    """The secret as text of several lines: a key file or JSON, which is read here and travels nowhere as it is.

    Raises `BrokerError("credential")`.
    """
    value = secret.expose()
    try:
        text = value.decode()
    except UnicodeError:
        text = "\0"
    if len(value) > MAX_VALUE or "\0" in text:
        raise BrokerError("credential", why="the value is not the text of a key file")
    return text


def written(request: Request, base: tuple[str, ...]) -> tuple[str, str]:
    """Path and query as they stand in the request line beneath `base`: encoded once, here and nowhere else."""
    segments = [segment.replace(SLASH, "/") for segment in request.path.split("/")[1:]]
    return target.join_path((*base, *segments)), target.join_query(request.query)


def with_header(request: Request, name: str, value: str) -> Request:
    """`request` with one header more."""
    return replace(request, headers=(*request.headers, (name, value)))


def with_query(request: Request, name: str, value: str) -> Request:
    """`request` with one query parameter more."""
    return replace(request, query=(*request.query, (name, value)))


def check_added(given: Request, made: Request) -> None:
    """Raise `BrokerError("argument")` where what a scheme added to `given` bears a name that was there before.

    Of two copies a server takes the first, the last or both; the agent must not be the one who sends the other.
    """
    for argument, before, after in (
        ("headers", given.headers, made.headers),
        ("query", given.query, made.query),
    ):
        if after == before:
            continue
        kept = len(before) if after[: len(before)] == before else 0
        added = [folded(name) for name, value in after[kept:] if kept or (name, value) not in before]
        if len(set(added)) < len(added) or not set(added).isdisjoint(folded(name) for name, _ in before):
            raise BrokerError("argument", argument=argument, why="the credential stands in the place of this name")


@lru_cache(maxsize=256)  # a call's names are compared before it is judged, and again in the request that goes out
def folded(name: str) -> str:
    """`name` as servers may read it: names that fold alike are one name to some of them."""
    # CGI takes `_` for `-` in headers; PHP takes `.` and ` ` for `_` in parameters and `key[]` for `key`.
    read = name.strip().lower().partition("[")[0]
    return read.replace("-", "_").replace(".", "_").replace(" ", "_")
