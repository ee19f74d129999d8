"""A database's URL, taken apart: `postgresql://user:password@host:port/database?sslmode=…`. Pure.

Rules of this file
- Where it leads is read once, when a person declares the connection; at a call it is only compared with that.
- A parameter that kv does not know is refused: what is ignored silently was meant to do something.
- Nothing of a DSN that is refused is quoted: all of it may be a password.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NoReturn
from urllib.parse import parse_qsl, unquote, urlsplit

from brokers.contract import BrokerError

# What people's DSNs are headed by, drivers' names behind a plus left out: the kind of connection, its port.
_HEADS = {
    "postgres": ("postgres", 5432),
    "postgresql": ("postgres", 5432),
    "mysql": ("mysql", 3306),
    "mariadb": ("mysql", 3306),
    "sqlite": ("sqlite", 0),
}
_LONGEST = 4096  # bytes: as `kv.redact` reads one, so that its password is looked for
# libpq's sslmode and MySQL's ssl-mode: only whether TLS was wanted at all is taken from them. What checks less than
# everything is raised to a full check, since nobody writes "require" meaning "from anybody".
_PLAIN = frozenset({"disable", "disabled", "allow", "prefer", "preferred"})
_TLS = frozenset({"require", "required", "verify-ca", "verify_ca", "verify-full", "verify_identity"})
_MODES = frozenset({"sslmode", "ssl-mode", "ssl_mode"})
# Of no consequence here: kv sets its own.
_INDIFFERENT = frozenset({"application_name", "connect_timeout", "charset", "client_encoding", "channel_binding"})


@dataclass(frozen=True, slots=True)
class Dsn:
    """Where it leads, and the password. `tls` is True or False as its `sslmode` says, None where it says nothing.

    Of SQLite `database` is the file's path, and the rest is empty.
    """

    kind: str
    host: str
    port: int
    database: str
    user: str
    password: str = field(repr=False)
    tls: bool | None


def looks_like(value: bytes) -> bool:
    """Whether it begins as a database's URL does."""
    head, mark, _ = value[:64].partition(b"://")
    return bool(mark) and head.partition(b"+")[0].decode("latin-1").lower() in _HEADS


def parse(value: bytes) -> Dsn:
    """Take a DSN apart. Raises `BrokerError("credential")`."""
    text = _text(value)
    head, _, rest = text.partition("://")
    name = head.partition("+")[0].lower()
    if name not in _HEADS:
        _refuse("a DSN begins with postgresql://, mysql:// or sqlite://")
    kind, port = _HEADS[name]
    if kind == "sqlite":
        return Dsn(kind, "", 0, _path(rest), "", "", None)
    try:
        parts = urlsplit(f"//{rest}")
        host, given = parts.hostname or "", parts.port
    except ValueError:
        _refuse("its host or port is not one")
    if parts.fragment or not host:
        _refuse("it names no host; a '#', '?' or '/' in a password is written %23, %3F or %2F")
    database = unquote(parts.path.removeprefix("/"))
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if "/" in database or not database:
        _refuse("it names no database: …/DATABASE")
    if not user:
        _refuse("it names no user")
    return Dsn(kind, unquote(host), given or port, database, user, password, _tls(parts.query))


def _text(value: bytes) -> str:
    if len(value) > _LONGEST:
        _refuse("a DSN has at most 4,096 bytes")
    try:
        text = value.decode().strip()
    except UnicodeDecodeError:
        _refuse("it is not UTF-8")
    if not text.isprintable() or " " in text:
        _refuse("a DSN holds no blanks and no control characters: %20 is a blank")
    return text


def _path(rest: str) -> str:
    """`/relative` or `//absolute`, as SQLAlchemy and Django write it: three slashes and four."""
    if not rest.startswith("/") or len(rest) == 1 or "?" in rest:
        _refuse("a SQLite DSN is sqlite:////absolute/path, without parameters")
    return unquote(rest[1:])


def _tls(query: str) -> bool | None:
    found: bool | None = None
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name.lower() in _MODES:
            mode = value.lower()
            if mode not in _PLAIN | _TLS:
                _refuse("its sslmode is not one")
            found = mode in _TLS
        elif name.lower() in {"sslrootcert", "ssl-ca", "ssl_ca"}:
            _refuse("a root certificate is given with --ca FILE, not within the DSN")
        elif name.lower() not in _INDIFFERENT:
            _refuse("it has a parameter that kv does not know")
    return found


def _refuse(why: str) -> NoReturn:
    raise BrokerError("credential", why=why)
