"""What a person declares of an HTTP connection: its origin, and how that is reached.

Rules of this file
- Pure, and without a driver: it is loaded whenever a connection is declared or listed.
- Another origin is another server: pins and plain HTTP, which were said of the old one, do not go with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokers.contract import BrokerError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from brokers.contract import Credential


class HttpKind:
    """A service. Target: as `target.connection_target` makes it; `base_path` is its provider's."""

    name, verb = "http", "call"
    schemes: Mapping[str, tuple[str, ...]] = {}
    inspected = False
    members = frozenset({"host", "addresses", "ca", "insecure_loopback", "encoded_slash"})

    def target(self, given: Mapping[str, object], before: Mapping[str, object], scheme: str) -> dict[str, object]:
        """The whole target. Raises `BrokerError`: `options`, `address`."""
        from brokers.http.target import connection_target, parse_origin  # with IDNA's tables, which no listing needs

        del scheme
        if not self.members.issuperset(given):
            raise BrokerError("options", why="something was said that an http connection does not have")
        host = str(given.get("host") or before.get("origin", ""))
        moved = str(parse_origin(host)) != before.get("origin")
        kept = {name: held for name, held in before.items() if not (moved and name in _REACHED)}
        merged = {**kept, **given}
        addresses = merged.get("addresses", ())
        target = connection_target(
            host,
            addresses=tuple(addresses) if isinstance(addresses, list | tuple) else (),
            ca=str(merged.get("ca", "")),
            insecure_loopback=bool(merged.get("insecure_loopback")),
            encoded_slash=bool(merged.get("encoded_slash")),
        )
        return {**target, "base_path": merged.get("base_path", "")}

    def place(self, target: Mapping[str, object]) -> str:
        """Its origin."""
        return str(target.get("origin", ""))

    def forms(self, credential: Credential, target: Mapping[str, object]) -> tuple[bytes, ...]:
        """None: what travels is the auth scheme's to say."""
        del credential, target
        return ()


_REACHED = frozenset({"addresses", "insecure_loopback"})  # how one server is reached
