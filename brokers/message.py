"""What passes between a broker and an auth scheme's flow: requests out, responses in.

Rules of this file
- As `contract`: standard library only, no I/O, no import of `kv`.
- None of these has a repr that shows what it holds: once a scheme has been at it, that is the credential.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Moment:
    """What a flow that signs may know beside its request: it asks neither clock nor chance, and looks nothing up.

    `now` is wall time in seconds, `nonce` 32 hex digits that no other call gets. `authority` is the Host header, `base`
    the segments that the broker puts before the request's path.
    """

    now: float = 0.0
    nonce: str = ""
    authority: str = ""
    base: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """A request as an auth scheme sees and changes it. Header names are lower case; `query` keeps its order.

    `path` and the query's parts are unencoded text; the broker encodes them once. Only a slash within a segment of
    `path` is written `%2F`. `moment` is for schemes to read; the broker does not look at it again. `assertion` is what
    in it lets in by itself for some minutes (RFC 7521), other than a secret of the credential.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: tuple[tuple[str, str], ...]
    body: bytes
    moment: Moment = field(default_factory=Moment)
    assertion: bytes = b""


@dataclass(frozen=True, slots=True, repr=False)
class Response:
    """An answer as an auth scheme sees it: enough to refresh a token, no more."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
