"""What a person declares of a database: its address, its role, whether TLS is spoken, which functions are known.

Rules of this file
- Pure, and without a driver: it is loaded whenever a connection is declared or listed.
- TLS with a full check is the rule. Without TLS only on loopback, where SCRAM still keeps the password to itself; what
  gives a password away there (cleartext, md5, trust) takes `--insecure-loopback`.
- A loopback address that a person wrote is its own pin. Any other private address takes one.
- Another host or port is another server: what was said of how the old one is reached does not go with it.
"""

from __future__ import annotations

import ipaddress
import json
import re
from hashlib import blake2b
from typing import TYPE_CHECKING, NoReturn

from brokers import addresses
from brokers.contract import BrokerError
from brokers.sql import dsn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from brokers.contract import Connection, Credential

DSN = "dsn"  # the scheme in which the secret is the whole URL
VERIFIED, PLAIN = "verify-full", "plain"  # how a target's `tls` says it
_JSON = json.JSONEncoder(sort_keys=True)
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:.]{2,45}")
_FUNCTION = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_NAME_MAX = 256  # characters of a user or database: four times what servers take
_FUNCTIONS_MAX = 64  # that a person listed: more is not read by anybody
_CA_MAX = 64 << 10  # bytes: a bundle of a few certificates
_LOCALHOST = ("127.0.0.1", "::1")
_REACHED = frozenset({"addresses", "tls", "insecure_loopback"})  # how one server is reached


class ServerKind:
    """A database behind a socket.

    Target: `{host, port, database, user, tls, ca, addresses, insecure_loopback, functions}`.
    """

    verb = "query"
    schemes: Mapping[str, tuple[str, ...]] = {"password": ("secret",), DSN: ("secret",)}
    inspected = True
    members = frozenset(
        {"host", "port", "database", "user", "tls", "ca", "addresses", "insecure_loopback", "functions"}
    )
    name: str
    port: int

    def target(self, given: Mapping[str, object], before: Mapping[str, object], scheme: str) -> dict[str, object]:
        """The whole target. Raises `BrokerError("options")`."""
        del scheme
        _known(given, self.members)
        moved = any(given.get(part, before.get(part)) != before.get(part) for part in ("host", "port"))
        merged = {**{name: held for name, held in before.items() if not (moved and name in _REACHED)}, **given}
        host = _text(merged, "host", "a host is a name or an address, without scheme and port")
        if not _HOST.fullmatch(host):
            _refuse("a host is a name or an address, without scheme and port")
        port = merged.get("port", self.port)
        if not isinstance(port, int) or not 0 < port < 1 << 16:
            _refuse("a port is 1 to 65535")
        pins = addresses.check_pins(_texts(merged, "addresses", 16)) or _pinned(host)
        local = bool(pins) and all(addresses.is_loopback(pin) for pin in pins)
        tls = str(merged.get("tls") or (PLAIN if local else VERIFIED))
        insecure = merged.get("insecure_loopback") is True
        if tls not in {VERIFIED, PLAIN}:
            _refuse("tls is verify-full or plain")
        if (tls == PLAIN or insecure) and not local:
            _refuse("without TLS a database is reached on loopback alone: pin it with --allow-address 127.0.0.1")
        ca = str(merged.get("ca") or "")
        if len(ca) > _CA_MAX:
            _refuse("a CA bundle has at most 64 KiB")
        functions = tuple(sorted(set(_texts(merged, "functions", _FUNCTIONS_MAX))))
        if not all(_FUNCTION.fullmatch(name) for name in functions):
            _refuse("a function is named in lower case, without its schema")
        return {
            "host": host,
            "port": port,
            "database": _text(merged, "database", "name the database"),
            "user": _text(merged, "user", "name the user"),
            "tls": tls,
            "ca": ca,
            "addresses": list(pins),
            "insecure_loopback": insecure,
            "functions": list(functions),
        }

    def place(self, target: Mapping[str, object]) -> str:
        """As a DSN without user and password."""
        host = str(target["host"])
        return f"{self.name}://{f'[{host}]' if ':' in host else host}:{target['port']}/{target['database']}"

    def forms(self, credential: Credential, target: Mapping[str, object]) -> tuple[bytes, ...]:
        """The password as it is sent: within the DSN its percent escapes spell it otherwise."""
        del target
        value = credential["secret"].expose()
        if not dsn.looks_like(value):
            return ()
        try:
            return tuple(filter(None, (dsn.parse(value).password.encode(),)))
        except BrokerError:
            return ()


class Postgres(ServerKind):
    """PostgreSQL."""

    name, port = "postgres", 5432


class Mysql(ServerKind):
    """MySQL and MariaDB."""

    name, port = "mysql", 3306


class Sqlite:
    """A SQLite file. Target: `{path, functions}`; no secret, since whoever reads the file has it all."""

    name, verb = "sqlite", "query"
    schemes: Mapping[str, tuple[str, ...]] = {"none": ()}
    inspected = True
    members = frozenset({"path", "functions"})

    def target(self, given: Mapping[str, object], before: Mapping[str, object], scheme: str) -> dict[str, object]:
        """The whole target. Raises `BrokerError("options")`."""
        del scheme
        _known(given, self.members)
        merged = {**before, **given}
        path = _text(merged, "path", "name the file, by its absolute path")
        if not path.startswith("/") or not path.isprintable() or any(p in {"", ".", ".."} for p in path[1:].split("/")):
            _refuse("the file is named by its absolute path, without '.' and '..'")
        functions = tuple(sorted(set(_texts(merged, "functions", _FUNCTIONS_MAX))))
        if not all(_FUNCTION.fullmatch(name) for name in functions):
            _refuse("a function is named in lower case, without its schema")
        return {"path": path, "functions": list(functions)}

    def place(self, target: Mapping[str, object]) -> str:
        """As a URL."""
        return f"sqlite://{target['path']}"

    def forms(self, credential: Credential, target: Mapping[str, object]) -> tuple[bytes, ...]:
        """None: there is no secret."""
        del credential, target
        return ()


def declared(given: bytes) -> tuple[str, dict[str, object]]:
    """The kind and the target's members that a DSN states. Raises `BrokerError("credential")`."""
    found = dsn.parse(given)
    if found.kind == "sqlite":
        return found.kind, {"path": found.database}
    members: dict[str, object] = {
        "host": found.host,
        "port": found.port,
        "database": found.database,
        "user": found.user,
    }
    if found.tls is not None:
        local = found.host == "localhost" or found.host in _LOCALHOST
        members["tls"] = VERIFIED if found.tls or not local else PLAIN
    return found.kind, members


def password(connection: Connection, credential: Credential) -> str:
    """What logs in. Raises `BrokerError("credential")` for a DSN that leads elsewhere than a person declared.

    A DSN is one under either scheme: who names a stored one beside a host and a user has said nothing of its kind.
    """
    value = credential["secret"].expose()
    if connection.scheme == DSN or dsn.looks_like(value):
        found = dsn.parse(value)
        target = connection.target
        wanted = (connection.kind, *(target[key] for key in ("host", "port", "database", "user")))
        if (found.kind, found.host, found.port, found.database, found.user) != wanted:
            raise BrokerError("credential", why="the DSN leads elsewhere than the connection: kv connect declares it")
        return found.password
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise BrokerError("credential", why="a password is text in UTF-8") from None
    if "\0" in text:
        raise BrokerError("credential", why="a password holds no NUL")
    return text


def lane_key(connection: Connection, credential: Credential, key: bytes) -> bytes:
    """A keyed hash of what decides who is at the other end and as whom one is there, the secret as it is stored."""
    text = _JSON.encode([connection.name, connection.scheme, dict(connection.target)])
    hashed = blake2b(text.encode("utf-8", "surrogatepass"), key=key)
    hashed.update(b"\0" + credential["secret"].expose())  # no JSON has a NUL in it
    return hashed.digest()


def _pinned(host: str) -> tuple[str, ...]:
    """The pins of a loopback host that a person wrote: a name server is not asked where this machine is."""
    if host.lower() == "localhost":
        return _LOCALHOST
    try:
        literal = str(ipaddress.ip_address(host))
    except ValueError:
        return ()
    return (literal,) if addresses.is_loopback(literal) else ()


def _known(given: Mapping[str, object], members: frozenset[str]) -> None:
    if not members.issuperset(given):
        _refuse("something was said that this kind of connection does not have")


def _text(merged: Mapping[str, object], member: str, why: str) -> str:
    value = merged.get(member)
    if not isinstance(value, str) or not 0 < len(value) <= _NAME_MAX * 4 or not value.isprintable():
        _refuse(why)
    return value


def _texts(merged: Mapping[str, object], member: str, most: int) -> tuple[str, ...]:
    value = merged.get(member) or ()
    if not isinstance(value, list | tuple) or len(value) > most or not all(isinstance(one, str) for one in value):
        _refuse(f"{member} is a list of texts, at most {most}")
    return tuple(value)


def _refuse(why: str) -> NoReturn:
    raise BrokerError("options", why=why)
