"""How a session comes to be: to an address that was checked, by a method that keeps the password, and by nothing else.

Rules of this file
- Nothing comes from the environment or from files: no PG* variable, no ~/.pgpass, no service, no client certificate.
- SCRAM alone, which proves the password and the server to each other: whoever squats on a stopped server's port and
  asks for the password in the clear, or for nothing, gets nothing. Only `--insecure-loopback` lets go of that.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

from psycopg import AsyncConnection, Error

from brokers.addresses import is_loopback
from brokers.contract import BrokerError
from brokers.resolver import resolve
from brokers.sql import kind
from brokers.sql.pg import faults

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from brokers.contract import Connection
    from brokers.resolver import Resolver

_CONNECT_SECONDS = 15  # for one address: a host that is there answers in one
_MAX_DIALS = 3  # addresses tried before giving up
_ANY = "scram-sha-256,md5,password,none"
# Given, so that libpq looks nowhere else for them.
_NEUTRAL = {
    "passfile": os.devnull,
    "sslcertmode": "disable",
    "gssencmode": "disable",
    "options": "",
    "application_name": "kv",
    "client_encoding": "UTF8",
    "target_session_attrs": "any",
    "load_balance_hosts": "disable",
    "requirepeer": "",
}


async def connect(connection: Connection, password: str, resolver: Resolver) -> AsyncConnection[tuple[object, ...]]:
    """A new connection in autocommit. Raises `BrokerError`: dns, address, connect, tls, login, refused, broken."""
    target = connection.target
    host, port = str(target["host"]), int(str(target["port"]))
    pins = tuple(str(pin) for pin in _list(target["addresses"]))
    found = await resolve(host, port, pins, resolver)
    plain = target["tls"] == kind.PLAIN
    if plain and not all(map(is_loopback, found)):
        raise BrokerError("options", why="without TLS a database is reached on loopback alone")
    failure = BrokerError("connect")
    for address in found[:_MAX_DIALS]:
        try:
            with _root(str(target["ca"])) as root:
                return await _dial(_parameters(target, address, password, root))
        except Error as error:
            failure = faults.at_login(str(error))
        if failure.code != "connect":
            break
    raise failure from None


async def _dial(parameters: dict[str, str]) -> AsyncConnection[tuple[object, ...]]:
    return await AsyncConnection.connect("", autocommit=True, prepare_threshold=None, **parameters)  # type: ignore[arg-type]  # libpq's words


def _parameters(target: Mapping[str, object], address: str, password: str, root: str) -> dict[str, str]:
    insecure = target["insecure_loopback"] is True
    tls = (
        {"sslmode": "disable"}
        if target["tls"] == kind.PLAIN
        else {"sslmode": "verify-full", "sslrootcert": root or "system", "ssl_min_protocol_version": "TLSv1.2"}
    )
    return {
        **_NEUTRAL,
        **tls,
        "host": str(target["host"]),
        "hostaddr": address,
        "port": str(target["port"]),
        "dbname": str(target["database"]),
        "user": str(target["user"]),
        "password": password,
        "require_auth": _ANY if insecure else "scram-sha-256",
        "connect_timeout": str(_CONNECT_SECONDS),
    }


@contextmanager
def _root(ca: str) -> Iterator[str]:
    """A file with the private authority's certificates, public as they are, since libpq takes files; "" for none."""
    if not ca:
        yield ""
        return
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", prefix="kv-ca-") as file:
        file.write(ca)
        file.flush()
        yield file.name


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else ()
