"""A connection as the vault has it: where it leads, and on which terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from brokers.contract import BrokerError, Connection
from brokers.declaration import Jumps
from kv import registry
from kv.daemon import uses
from kv.daemon.faults import as_kv_error
from kv.errors import KvError
from kv.model import Terms, terms_from

if TYPE_CHECKING:
    from collections.abc import Mapping

    from brokers.contract import AuthScheme
    from brokers.declaration import Kind
    from brokers.http.catalogue import Pack


@dataclass(frozen=True, slots=True)
class Entry:
    """A connection and the terms on which its person lets it be used."""

    connection: Connection
    terms: Terms


def decode_entry(name: str, meta: Mapping[str, object]) -> Entry:
    """A connection's sealed record, decoded. It is ours, so a misfit is damage: `KvError("vault-damaged")`."""
    try:
        connection = Connection(
            name=name,
            kind=_text(meta["kind"]),
            target=_mapping(meta["target"]),
            scheme=_text(meta["scheme"]),
            options={k: _text(v) for k, v in _mapping(meta["options"]).items()},
            secrets={k: _text(v) for k, v in _mapping(meta["secrets"]).items()},
            provider=_text(meta["provider"]),
        )
        return Entry(connection, terms_from(_mapping(meta["terms"])))
    except (KeyError, TypeError, KvError):
        raise KvError("vault-damaged", why="a connection's record has another shape") from None


def scheme(name: str) -> AuthScheme:
    """The auth scheme of that name. Raises `KvError("bad-argument")`."""
    if name not in registry.AUTH:
        raise KvError("bad-argument", argument="auth", why=f"the schemes are {', '.join(sorted(registry.AUTH))}")
    made: AuthScheme = registry.load(registry.AUTH, name)()
    return made


def kind_of(name: str) -> Kind:
    """The kind of connection of that name. Raises `KvError("bad-argument")`."""
    if name not in registry.KINDS:
        raise KvError("bad-argument", argument="kind", why=f"the kinds are {', '.join(sorted(registry.KINDS))}")
    made: Kind = registry.load(registry.KINDS, name)()
    return made


def jump_of(connection: Connection) -> str:
    """The name of the connection that this one leads through: "" for none, and of a kind that nobody knows here."""
    of = kind_of(connection.kind) if connection.kind in registry.KINDS else None
    return of.jump(connection.target) if isinstance(of, Jumps) else ""


def through(entry: Entry, jump: Entry) -> Entry:
    """`entry` with the connection that it leads through within. Raises `KvError("bad-argument")`."""
    of = kind_of(entry.connection.kind)
    if not isinstance(of, Jumps):
        raise TypeError(entry.connection.kind)  # it names none: see `jump_of`
    try:
        return Entry(of.through(entry.connection, jump.connection), entry.terms)
    except BrokerError as error:
        raise as_kv_error(error, entry.connection.name) from None


def check_verb(connection: Connection, args: uses.Use) -> None:
    """Raise `KvError("bad-argument")` unless the verb of `args` is the one for connections of this kind."""
    verb = kind_of(connection.kind).verb
    if verb != args.VERB:
        tool = uses.TOOLS[verb]
        why = f"'{connection.name}' is of kind {connection.kind}: use kv {tool}, kv explain {tool}, or kv_{tool}"
        raise KvError("bad-argument", argument="connection", why=why)


def catalogued(provider: str) -> Pack | None:
    """The provider's pack. None for one that this version of kv does not know: the connection then has no classes."""
    from brokers.http import catalogue

    return catalogue.load(provider) if provider in catalogue.names() else None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _mapping(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise TypeError
    return value
