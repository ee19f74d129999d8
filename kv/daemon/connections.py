"""From what a person declares to a connection and its terms, and back to what the vault stores.

Rules of this file
- Pure but for the catalogue's files. What a declaration leaves out comes from the connection as it was, else from
  the provider, else from the defaults: replacing a value never touches its connection.
- Another host is another server: pins and plain HTTP, which were said of the old one, do not go with it.
- Checked whole by the broker's own parsers before anything is stored: a connection in the vault is performable.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

from brokers.contract import BrokerError, Connection
from kv.daemon.entry import Entry, kind_of, scheme
from kv.daemon.faults import as_kv_error
from kv.errors import KvError
from kv.model import Terms, parse_rule
from kv.registry import DEFAULT_KIND
from kv.similar import similar
from kv.vault.contents import check_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from brokers.declaration import Kind
    from brokers.http.catalogue import Pack
    from kv.daemon.schema import Declaration


def declare(declared: Declaration, before: Entry | None, secret: str | None, initial: Terms) -> Entry:
    """The connection that `declared` asks for. `secret` is the secret it is being made for. Raises `KvError`."""
    kind = declared.kind or (before.connection.kind if before else DEFAULT_KIND)
    of = kind_of(kind)
    if before is not None and kind != before.connection.kind:
        why = f"it is of kind {before.connection.kind}; kv connect {declared.name} --remove, then make it anew"
        raise KvError("bad-argument", argument="kind", why=why)
    try:
        made, initial = (_by_itself if of.schemes else _completed)(of, declared, before, secret, initial)
    except BrokerError as error:
        raise as_kv_error(error, declared.name) from None
    return Entry(made, _terms(declared, before.terms if before else initial))


Made = tuple[Connection, Terms]


def _by_itself(of: Kind, declared: Declaration, before: Entry | None, secret: str | None, initial: Terms) -> Made:
    """A connection of which a person says all there is to say."""
    if declared.auth is not None:
        name = declared.auth.scheme
    else:
        name = before.connection.scheme if before else next(iter(of.schemes))
    if name not in of.schemes or (declared.auth is not None and declared.auth.options):
        raise KvError("bad-argument", argument="auth", why=f"of {of.name} it is {' or '.join(of.schemes)}")
    if declared.options:
        raise KvError("bad-argument", argument="options", why="this is said of services that kv knows")
    target = of.target(_stated(declared), before.connection.target if before else {}, name)
    secrets = _secrets(declared, before, secret, of.schemes[name])
    return Connection(name=declared.name, kind=of.name, target=target, scheme=name, secrets=secrets), initial


def _stated(declared: Declaration) -> dict[str, object]:
    """What a declaration states of a target."""
    members = {name: getattr(declared, name) for name in declared.__struct_fields__ if name not in _NOT_OF_TARGETS}
    return {name: value for name, value in members.items() if value is not None}  # empty takes it back


_NOT_OF_TARGETS = frozenset(
    {"name", "kind", "auth", "options", "secrets", "admission", "preset", "rules", "calls_per_hour"}
)


def _completed(of: Kind, declared: Declaration, before: Entry | None, secret: str | None, initial: Terms) -> Made:
    """A connection whose provider completes it."""
    stated = _stated(declared)
    stated.pop("provider", None)
    if not of.members.issuperset(stated):
        raise KvError("bad-argument", argument="kind", why="this is said of databases and servers: say --kind")
    pack = _pack(declared.provider or (before.connection.provider if before else ""))
    name, options = _auth(declared, before, pack)
    host = _origin(declared, before, pack, options)
    if not host:
        raise KvError("bad-argument", argument="host", why="say where this credential may go: --host https://…")
    given = {"base_path": pack.base_path, "encoded_slash": pack.encoded_slash} if pack else {}
    old = {**given, **(before.connection.target if before else {})}
    connection = Connection(
        name=declared.name,
        kind=of.name,
        target=of.target({**stated, "host": host}, old, name),
        scheme=name,
        options=options,
        secrets=_secrets(declared, before, secret, scheme(name).slots),
        provider=pack.name if pack else "",
    )
    scheme(name).check(options)
    return connection, initial if pack is None else replace(initial, calls_per_hour=pack.calls_per_hour)


def _pack(name: str) -> Pack | None:
    from brokers.http import catalogue

    if not name:
        return None
    if name not in catalogue.names():
        raise KvError("unknown-provider", name=name, similar=similar(name, catalogue.names()))
    return catalogue.load(name)


def _auth(declared: Declaration, before: Entry | None, pack: Pack | None) -> tuple[str, dict[str, str]]:
    if declared.auth is not None:
        name, options = declared.auth.scheme, dict(declared.auth.options)
    elif before is not None:
        name, options = before.connection.scheme, dict(before.connection.options)
    elif pack is not None:
        name, options = pack.auth.scheme, dict(pack.auth.options)
    else:
        raise KvError("bad-argument", argument="auth", why="say how the credential enters a request: --auth bearer, …")
    given, left = declared.options or {}, pack.auth.open if pack and name == pack.auth.scheme else ()
    if unknown := given.keys() - {*(pack.open if pack else ())}:
        why = f"{pack.name if pack else 'this connection'} leaves no {min(unknown)} open: kv providers says what is"
        raise KvError("bad-argument", argument="options", why=why)
    options |= {name: value for name, value in given.items() if name in left}
    if declared.auth is None and (missing := [name for name in left if name not in options]):
        _left_open(pack, missing)
    return name, options


def _left_open(pack: Pack | None, missing: Sequence[str]) -> NoReturn:
    says = " ".join(f"--option {name}=…" for name in missing)
    raise KvError("bad-argument", argument="options", why=f"{pack.name if pack else 'it'} leaves it open, say {says}")


def _origin(declared: Declaration, before: Entry | None, pack: Pack | None, options: Mapping[str, str]) -> str:
    """Where a person has it lead; else where the provider is, by what it leaves open; else where it led.

    An origin that a person gave stays, whatever options change: it was not made of any.
    """
    if declared.host:
        return declared.host
    given = {**options, **(declared.options or {})}
    made = pack.origin_for(given) if pack else ""
    if before is not None:
        old = str(before.connection.target.get("origin", ""))
        ours = not old or (pack is not None and pack.made(old))
        return made if declared.options and made and ours else old
    if not made and pack and pack.open:
        _left_open(pack, [name for name in pack.open if name not in given])
    return made


def _secrets(declared: Declaration, before: Entry | None, secret: str | None, slots: tuple[str, ...]) -> dict[str, str]:
    if declared.secrets is not None:
        found = dict(declared.secrets)
    elif secret is not None and len(slots) == 1:
        found = {slots[0]: secret}
    elif before is not None:
        found = dict(before.connection.secrets)
    elif secret is not None and slots:
        found = {slots[0]: secret}
    else:
        found = {}
    for name in found.values():
        check_name(name)
    if missing := [slot for slot in slots if slot not in found]:
        raise KvError("bad-argument", argument="secrets", why=f"no secret is named for '{missing[0]}'")
    return found


def _terms(declared: Declaration, before: Terms) -> Terms:
    changes: dict[str, object] = {}
    if declared.admission is not None:
        changes["admission"] = declared.admission
    if declared.preset is not None:
        changes["preset"] = declared.preset
    if declared.calls_per_hour is not None:
        changes["calls_per_hour"] = declared.calls_per_hour or None
    if declared.rules is not None:
        changes["rules"] = tuple(parse_rule(verdict, text) for verdict, text in declared.rules)
    return replace(before, **changes)  # type: ignore[arg-type]  # each value was typed by the declaration's schema


def renamed(entry: Entry, old: str, new: str) -> Entry:
    """The connection after a secret was renamed."""
    secrets = {slot: new if name == old else name for slot, name in entry.connection.secrets.items()}
    return Entry(replace(entry.connection, secrets=secrets), entry.terms)


def as_meta(entry: Entry) -> dict[str, object]:
    """What the vault seals: `entry.decode_entry` reads it back."""
    fields = entry.connection.canonical()
    del fields["name"]
    return {**fields, "terms": entry.terms.as_meta()}


def shown(entry: Entry) -> dict[str, object]:
    """What a person (and an agent) may see of a connection: everything but values, which it does not hold."""
    connection = entry.connection
    return {
        "name": connection.name,
        "kind": connection.kind,
        "provider": connection.provider,
        "origin": kind_of(connection.kind).place(connection.target),
        "base_path": connection.target.get("base_path", ""),
        "auth": connection.scheme,
        "secrets": sorted(set(connection.secrets.values())),
        "admission": entry.terms.admission,
        "preset": entry.terms.preset,
        "rules": [rule.id for rule in entry.terms.rules],
        "calls_per_hour": entry.terms.calls_per_hour,
    }
