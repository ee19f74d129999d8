"""Secrets and connections as a person keeps them: the verbs that change the vault, and the lists.

Rules of this file
- A value comes in by a frame's body and goes out by `get` alone.
- Everything is checked before anything is written; what is written, is written in one transaction.
- A new value is a needle before the answer goes out.
"""

from __future__ import annotations

import string
import time
from secrets import choice
from typing import TYPE_CHECKING, cast

from kv.daemon import connections
from kv.daemon.entry import decode_entry
from kv.daemon.schema import Connect, Generate, Import, Move, Named, Restore, Revision, Set
from kv.errors import KvError
from kv.model import initial_terms
from kv.redact import is_mask, strength, too_short
from kv.similar import similar
from kv.vault.contents import check_name

if TYPE_CHECKING:
    from kv.daemon.dispatch import Answer
    from kv.daemon.entry import Entry
    from kv.daemon.house import House
    from kv.daemon.requests import Request
    from kv.daemon.schema import Declaration
    from kv.vault.contents import Record

_ALPHABETS = {
    "alnum": string.ascii_letters + string.digits,
    "hex": "0123456789abcdef",
    "base64url": string.ascii_letters + string.digits + "-_",
    "symbols": string.ascii_letters + string.digits + "!#$%&()*+,-./:;<=>?@[]^_{|}~",
    "digits": string.digits,
}
_WEAK_BITS = 64  # below this a printed guess that is seen replaced has confirmed something (the confirmation oracle)


Row = tuple[str, str, dict[str, object], bytes | None]  # kind, name, meta, value


class Secrets:
    """The verbs on secrets and connections, on one house."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._vault = house.vault

    def title(self, request: Request) -> str:
        """What the audit calls the act: the names it is about."""
        args = request.args
        if isinstance(args, Import):
            return f"{request.name} {len(args.items)} secret{'' if len(args.items) == 1 else 's'}"
        if isinstance(args, Move):
            return f"{request.name} {args.old} {args.new}"
        return f"{request.name} {getattr(args, 'name', '')}"

    async def perform(self, request: Request) -> Answer:
        """Run a changing verb (or `get`)."""
        handler = {
            "set": self._set,
            "generate": self._generate,
            "import": self._import,
            "connect": self._connect,
            "mv": self._move,
            "rm": self._remove,
            "restore": self._restore,
            "get": self._get,
        }[request.name]
        return handler(request)

    # -- lists ---------------------------------------------------------------------------------

    def listing(self, prefix: str, *, whole: bool) -> dict[str, object]:
        """Names of secrets and connections below `prefix`, with what may be known without a value.

        Notes and warnings are left out unless it is `whole`: which values can be guessed, and what a person wrote
        to themselves, would show a guesser where to begin.
        """
        uses = self._uses()
        found = [r for r in self._vault.records("secret") if _below(r.name, prefix)]
        return {
            "secrets": [
                {**_shown(record, whole=whole), "connections": sorted(uses.get(record.name, ()))}
                for record in sorted(found, key=lambda r: r.name)
            ],
            "connections": self.connections(prefix),
        }

    def connections(self, prefix: str = "") -> list[dict[str, object]]:
        """Every connection as its person declared it."""
        names = sorted(n for n in self._vault.names("connection") if _below(n, prefix))
        return [connections.shown(self._house.entry(name)) for name in names]

    def show(self, name: str) -> dict[str, object]:
        """Metadata of a secret. Raises `unknown-secret`."""
        record = self._record(name)
        return {**_shown(record), "connections": sorted(self._uses().get(name, ()))}

    def history(self, name: str) -> dict[str, object]:
        """The kept revisions of a secret, newest first."""
        self._record(name)
        return {"name": name, "revisions": [_shown(record) for record in self._vault.history("secret", name)]}

    def _uses(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for name in self._vault.names("connection"):
            for secret in self._house.entry(name).connection.secrets.values():
                found.setdefault(secret, set()).add(name)
        return found

    def _record(self, name: str) -> Record:
        check_name(name)
        record = self._vault.get("secret", name)
        if record is None:
            raise KvError("unknown-secret", name=name, similar=similar(name, self._vault.names("secret")))
        return record

    # -- changes -------------------------------------------------------------------------------

    def _set(self, request: Request) -> Answer:
        args = cast("Set", request.args)
        return self._store(args.name, request.body, args, args.connection)

    def _generate(self, request: Request) -> Answer:
        args = cast("Generate", request.args)
        alphabet = _ALPHABETS[args.alphabet]
        value = "".join(choice(alphabet) for _ in range(args.length)).encode()
        return self._store(args.name, value, args, None)

    def _store(self, name: str, value: bytes, args: Set | Generate, declared: Declaration | None) -> Answer:
        check_name(name)
        check_value(value)
        existing = self._vault.get("secret", name)
        if existing is not None and not args.replace:
            raise KvError("exists", name=name)
        made = None if declared is None else self._declared(declared, name)
        meta = {
            "class": args.cls or (existing.meta["class"] if existing else "normal"),
            "note": args.note if args.note is not None else (existing.meta["note"] if existing else ""),
            "strength": strength(value),
            "short": too_short(value),
        }
        rows: list[Row] = [("secret", name, meta, value)]
        if made is not None:
            rows.append(("connection", made.connection.name, connections.as_meta(made), None))
        self._commit(rows)
        record = self._record(name)
        return {
            "name": name,
            "revision": record.revision,
            "connection": made.connection.name if made else None,
            "warnings": warnings(meta),
        }, b""

    def _import(self, request: Request) -> Answer:
        args = cast("Import", request.args)
        if sum(item.size for item in args.items) != len(request.body):
            raise KvError("bad-frame", why="the sizes of the items do not add up to the body")
        rows: list[Row] = []
        offset = 0
        for item in args.items:
            value, offset = request.body[offset : offset + item.size], offset + item.size
            check_name(item.name)
            check_value(value)
            if self._vault.get("secret", item.name) is not None and not args.replace:
                raise KvError("exists", name=item.name)
            meta = {"class": "normal", "note": "", "strength": strength(value), "short": too_short(value)}
            rows.append(("secret", item.name, meta, value))
            if item.connection is not None:
                made = self._declared(item.connection, item.name)
                rows.append(("connection", made.connection.name, connections.as_meta(made), None))
        self._commit(rows)
        return {"names": [item.name for item in args.items]}, b""

    def _commit(self, rows: list[Row]) -> None:
        """Write all or nothing. A connection to a secret that is not there would take in whatever gets that name."""
        stored = {name for kind, name, _, _ in rows if kind == "secret"}
        for kind, name, meta, _ in rows:
            if kind == "connection":
                used = decode_entry(name, meta).connection.secrets.values()
                for secret in sorted({*used} - stored):
                    self._record(secret)
        self._vault.put_many(rows, now=time.time())
        self._took(rows)

    def _took(self, rows: list[Row]) -> None:
        """What was written counts from now on: the values are needles, the connections are what they are now."""
        changed = [name for kind, name, _, _ in rows if kind == "connection"]
        self._house.changed(*changed)
        stale = {name for kind, name, _, _ in rows if kind == "secret"}
        for name in changed:
            stale.update(self._house.entry(name).connection.secrets.values())
        for name in sorted(stale):
            self._house.add_needles(name)

    def _declared(self, declared: Declaration, secret: str | None) -> Entry:
        check_name(declared.name)
        existing = self._vault.get("connection", declared.name)
        before = self._house.entry(declared.name) if existing is not None else None
        return connections.declare(declared, before, secret, initial_terms(declared.name))

    def _connect(self, request: Request) -> Answer:
        args = cast("Connect", request.args)
        if args.remove == (args.declaration is not None):
            raise KvError("bad-argument", argument="declaration", why="give one, or say remove")
        if args.remove:
            self._house.entry(args.name)
            self._vault.delete("connection", args.name)
            self._house.changed(args.name)
        elif args.declaration is not None:
            if args.declaration.name != args.name:
                raise KvError("bad-argument", argument="name", why="the declaration is of another connection")
            made = self._declared(args.declaration, None)
            self._commit([("connection", args.name, connections.as_meta(made), None)])
        return {"name": args.name}, b""

    def _move(self, request: Request) -> Answer:
        args = cast("Move", request.args)
        self._record(args.old)
        check_name(args.new)
        if self._vault.get("secret", args.new) is not None:
            raise KvError("exists", name=args.new)
        users = [
            connections.renamed(self._house.entry(name), args.old, args.new)
            for name in sorted(self._uses().get(args.old, ()))
        ]
        rows: list[Row] = [("connection", e.connection.name, connections.as_meta(e), None) for e in users]
        self._vault.rename("secret", args.old, args.new, now=time.time(), also=rows)
        self._took(rows)
        self._house.needles.remove(args.old)
        self._house.add_needles(args.new)
        return {"name": args.new, "connections": [entry.connection.name for entry in users]}, b""

    def _remove(self, request: Request) -> Answer:
        args = cast("Named", request.args)
        self._record(args.name)
        users = self._uses().get(args.name)
        if users:
            raise KvError("in-use", name=args.name, by=", ".join(sorted(users)[:5]))
        self._vault.delete("secret", args.name)
        self._house.needles.remove(args.name)
        return {"name": args.name}, b""

    def _restore(self, request: Request) -> Answer:
        args = cast("Restore", request.args)
        self._record(args.name)
        record = self._vault.restore("secret", args.name, args.revision, now=time.time())
        self._house.add_needles(args.name)
        return {"name": args.name, "revision": record.revision}, b""

    def _get(self, request: Request) -> Answer:
        args = cast("Revision", request.args)
        self._record(args.name)
        return {"name": args.name}, self._vault.value("secret", args.name, args.revision).expose()


def check_value(value: bytes) -> None:
    """Raise `value-size` or `value-mask` unless `value` may be stored."""
    if not 1 <= len(value) <= 1 << 20:
        raise KvError("value-size")
    if is_mask(value):
        raise KvError("value-mask")


def warnings(meta: dict[str, object]) -> list[str]:
    """What a person should know about a value they stored."""
    found = []
    if meta["short"]:
        found.append("shorter than 8 bytes: it cannot be recognised in output, so it is not redacted")
    elif cast("int", meta["strength"]) < _WEAK_BITS:
        found.append(
            "guessable: if it appears in the answer to a call that does not use it, kv withholds the whole answer"
        )
    return found


def _shown(record: Record, *, whole: bool = True) -> dict[str, object]:
    public = {
        "name": record.name,
        "class": record.meta.get("class", "normal"),
        "revision": record.revision,
        "changed": record.created,
    }
    told = warnings({"short": False, "strength": _WEAK_BITS, **record.meta})
    return {**public, "note": record.meta.get("note", ""), "warnings": told} if whole else public


def _below(name: str, prefix: str) -> bool:
    prefix = prefix.rstrip("/")
    return not prefix or name == prefix or name.startswith(prefix + "/")
