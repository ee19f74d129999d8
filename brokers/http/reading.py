"""A connection as the broker reads it: whom it leads to, what stands before a path, how its credential enters.

Rules of this file
- A connection is read once and not for every call. The reading belongs to that very object: a connection that was
  declared anew is another one, and is read anew.
- What is malformed is refused each time. Only what could be read is kept.
- No I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from brokers import addresses
from brokers.contract import BrokerError, Credential, Secret
from brokers.http import target
from brokers.http.auth.minting import TOKEN, Mints

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from ssl import SSLContext

    from brokers.contract import AuthScheme, Connection
    from brokers.http.auth.minting import Endpoint
    from brokers.http.catalogue import Pack
    from brokers.http.target import Origin

_MOST = 256  # readings kept: more connections than a person declares


@dataclass(frozen=True, slots=True)
class Destination:
    """Who a call goes to, and as whom. Equal destinations may share streams, others never do."""

    connection: str
    origin: Origin
    pins: tuple[str, ...]
    ca: str
    identity: SSLContext | None = None  # with a client certificate, where the connection has one


class Reading(NamedTuple):
    """A connection, read. `headers` are sent where the agent gives none; `probe` stands for its secrets in a plan.

    `minting` is the scheme once more, if it makes tokens; `made_at` is where, None for the connection's own origin.
    """

    connection: Connection
    to: Destination
    pack: Pack | None
    base: tuple[str, ...]
    headers: Mapping[str, str]
    scheme: AuthScheme
    probe: Credential
    minting: Mints | None
    made_at: Destination | None


class Readings:
    """Reads connections. `schemes` and `catalogue` are lookups by name."""

    def __init__(self, schemes: Callable[[str], AuthScheme], catalogue: Callable[[str], Pack | None]) -> None:
        self._schemes = schemes
        self._catalogue = catalogue
        self._known: dict[str, Reading] = {}

    def of(self, connection: Connection) -> Reading:
        """The reading of `connection`. Raises `BrokerError`: `options`, `address`, `credential`."""
        known = self._known.get(connection.name)
        if known is not None and known.connection is connection:
            return known
        read = self._read(connection)
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[connection.name] = read
        return read

    def _read(self, connection: Connection) -> Reading:
        to = destination(connection)
        pack = self._catalogue(connection.provider) if connection.provider else None
        fixed = {"accept": "*/*", "user-agent": "kv", **(pack.headers if pack is not None else {})}
        scheme = self._schemes(connection.scheme)
        scheme.check(connection.options)
        probe = Credential({slot: Secret(slot, b"probe:probe") for slot in connection.secrets})
        for slot in scheme.slots or connection.options:  # a scheme without slots of its own names them in its options
            probe[slot]
        headers = {name.lower(): value for name, value in fixed.items()}
        minting, made_at = None, None
        if isinstance(scheme, Mints):
            minting, endpoint = scheme, scheme.endpoint(connection.options)
            probe = Credential({**probe.slots, TOKEN: Secret(TOKEN, b"probe:probe")})
            made_at = _made_at(connection, to, endpoint) if endpoint is not None else None
        return Reading(connection, to, pack, _base(connection, pack), headers, scheme, probe, minting, made_at)


def destination(connection: Connection) -> Destination:
    """Whom a connection's target names. Raises `BrokerError("options")` where the declaration is malformed."""
    declared = connection.target
    origin, pins, ca = declared.get("origin"), declared.get("addresses", ()), declared.get("ca", "")
    if not isinstance(origin, str) or not isinstance(ca, str) or not isinstance(pins, list | tuple):
        raise BrokerError("options", why="the target has another shape")
    parsed = target.parse_origin(origin)
    checked = addresses.check_pins(tuple(map(str, pins)))
    if parsed.scheme == "http":
        insecure = declared.get("insecure_loopback") is True
        if not insecure or not checked or not all(map(addresses.is_loopback, checked)):
            raise BrokerError("options", why="plain http is for loopback addresses only, and has to be allowed")
    return Destination(connection.name, parsed, checked, ca)


def _made_at(connection: Connection, to: Destination, endpoint: Endpoint) -> Destination:
    """The token endpoint as a destination. Plain http there is allowed where it is allowed for the connection."""
    if endpoint.origin.scheme == "http" and connection.target.get("insecure_loopback") is not True:
        raise BrokerError("options", why="a token_url over plain http has to be allowed like the connection's own")
    return Destination(connection.name, endpoint.origin, endpoint.pins, to.ca if endpoint.own_ca else "")


def _base(connection: Connection, pack: Pack | None) -> tuple[str, ...]:
    """The declared prefix, the pack's where a person declared none; a trailing slash belongs to the call's path."""
    declared = connection.target.get("base_path") or (pack.base_path if pack is not None else "")
    if not isinstance(declared, str):
        raise BrokerError("options", why="the target has another shape")
    segments = target.split_path(declared, "base path") if declared else ()
    return segments[:-1] if segments and not segments[-1] else segments
