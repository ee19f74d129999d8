"""From options to a connection's declaration, as the keeper takes it.

Rules of this file
- It spells, the keeper checks: only what cannot be spelled at all is refused here.
- What an option does not say is left out, so that a connection that exists keeps it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from kv.errors import KvError
from kv.registry import AUTH, load

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from brokers.contract import AuthScheme

_CA_MAX = 64 << 10  # bytes: a bundle of a few certificates


@dataclass(frozen=True, slots=True)
class Wish:
    """What the options of `kv set` and `kv connect` say of a connection; None and empty mean nothing was said."""

    host: str | None = None
    auth: str | None = None
    provider: str | None = None
    ca: str | None = None
    addresses: Sequence[str] = ()
    admission: str | None = None
    insecure_loopback: bool = False
    encoded_slash: bool | None = None
    preset: str | None = None
    rules: Sequence[tuple[str, str]] = ()
    calls_per_hour: int | None = None
    secrets: Sequence[str] = ()

    @property
    def empty(self) -> bool:
        """Nothing was said at all."""
        return self == Wish()

    def declaration(self, name: str) -> dict[str, object]:
        """The wire's `declaration`. Raises `KvError`: `usage`, `disk`."""
        found: dict[str, object] = {"name": name}
        for member in ("host", "provider", "encoded_slash", "admission", "preset", "calls_per_hour"):
            if (value := getattr(self, member)) is not None:
                found[member] = value
        if self.auth is not None:
            found["auth"] = parse_auth(self.auth)
        if self.ca is not None:
            found["ca"] = _read_ca(self.ca)
        if self.addresses:
            found["addresses"] = list(self.addresses)
        if self.insecure_loopback:
            found["insecure_loopback"] = True
        if self.rules:
            found["rules"] = [list(rule) for rule in self.rules]
        if self.secrets:
            found["secrets"] = dict(_slot(text) for text in self.secrets)
        return found


def schemes() -> str:
    """How each auth scheme is written, for questions and refusals."""
    *most, last = (_scheme(name).spelling for name in AUTH)
    return f"{', '.join(most)} or {last}"


def parse_auth(text: str) -> dict[str, object]:
    """`bearer`, `basic:USER`, `header:NAME`, … as scheme and options. Raises `KvError("usage")`."""
    from brokers.contract import BrokerError

    name, colon, rest = text.partition(":")
    if name not in AUTH or (colon and not rest):
        raise KvError("usage", why=f"--auth is one of {schemes()}")
    try:
        return {"scheme": name, "options": _scheme(name).parse(rest)}
    except BrokerError:
        raise KvError("usage", why=f"this scheme is written {_scheme(name).spelling}") from None


def spell_auth(scheme: str, options: Mapping[str, str]) -> str:
    """Scheme and options as `--auth` takes them: the inverse of `parse_auth`."""
    rest = _scheme(scheme).spell(options)
    return f"{scheme}:{rest}" if rest else scheme


def _scheme(name: str) -> AuthScheme:
    return cast("AuthScheme", load(AUTH, name)())


def _slot(text: str) -> tuple[str, str]:
    """`NAME`, or `SLOT=NAME` where a scheme takes several secrets."""
    slot, mark, name = text.partition("=")
    return (slot, name) if mark else ("secret", slot)


def _read_ca(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            text = file.read(_CA_MAX + 1)
    except OSError as error:
        raise KvError("disk", act="read", path=path, why=os.strerror(error.errno or 0)) from None
    except UnicodeDecodeError:
        text = ""
    if "-----BEGIN CERTIFICATE-----" not in text or len(text) > _CA_MAX:
        raise KvError("usage", why="--ca takes a PEM file of certificates, at most 64 KiB")
    if "PRIVATE KEY-----" in text:
        raise KvError("usage", why="the --ca file holds a private key; give the certificates alone")
    return text
