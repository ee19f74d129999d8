"""One provider's pack: its shape in memory, and its strict reading from TOML. The catalogue's docstring has the schema.

Rules of this file
- An unknown key, another type or an unknown word is a `PackError`: a fault of the release, which no user can cause.
- No I/O.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from brokers.contract import BrokerError, Effect
from brokers.http.pattern import Pattern

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_KINDS = frozenset({"graphql", "jsonrpc"})
_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
_T = TypeVar("_T")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{3,39}")
_BLANK = re.compile(r"\{([a-z_]+)\}")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")  # of a host's name (RFC 1123 section 2.1), in lower case


class PackError(ValueError):
    """A pack is malformed; the text names file and key."""


@dataclass(frozen=True, slots=True)
class Auth:
    """The scheme's name and its options, as a connection declares them; `open` names those that a person gives."""

    scheme: str
    options: Mapping[str, str]
    open: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One row: calls by `methods` (none: any) on `pattern` have `effect`, says `doc`.

    `gives` are members of the answer that are new credentials, and what each is called: see `capture`.
    """

    effect: Effect
    methods: frozenset[str]
    pattern: Pattern
    doc: str
    gives: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of a service that is judged by its operations' names (`actions`), and what its answer `gives`."""

    service: str
    name: str
    gives: Mapping[str, str]
    doc: str


@dataclass(frozen=True, slots=True)
class Body:
    """Paths whose bodies hold operations, and patterns of operations' names by effect. `kind`: graphql or jsonrpc."""

    kind: str
    paths: tuple[Pattern, ...]
    names: Mapping[Effect, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Pack:
    """A known service. `origin` is "" where `origin_needed`, and may have `{blanks}` in it: see `origin_for`.

    `origins` are other origins, by the value of the first option that is open. `like` names a pack whose classes count.
    `distinctive` is what only this service's keys look like, `shape` what else they may; None where nothing is known.
    `slots` names the secrets of a scheme that takes several, and then `env` is empty. `verified` is "" for a pack
    with method defaults only.
    """

    name: str
    title: str
    docs: str
    auth: Auth
    origin: str = ""
    origin_needed: bool = False
    origins: Mapping[str, str] = field(default_factory=dict)
    like: str = ""
    base_path: str = ""
    encoded_slash: bool = False
    verified: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    env: tuple[str, ...] = ()
    slots: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    shape: re.Pattern[str] | None = None
    distinctive: re.Pattern[str] | None = None
    defaults: Mapping[str, Effect] = field(default_factory=dict)
    calls_per_hour: int | None = None
    body: Body | None = None
    operations: tuple[Operation, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    _literal: Mapping[tuple[str, ...], tuple[Endpoint, ...]] = field(init=False, repr=False, compare=False)
    _free: tuple[Endpoint, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index the rows: a call is classed on the way of every call, and most rows have nothing free in them."""
        literal: dict[tuple[str, ...], tuple[Endpoint, ...]] = {}
        for row in self.endpoints:
            if (key := row.pattern.literal) is not None:
                literal[key] = (*literal.get(key, ()), row)
        object.__setattr__(self, "_literal", literal)
        object.__setattr__(self, "_free", tuple(row for row in self.endpoints if row.pattern.literal is None))

    @property
    def open(self) -> tuple[str, ...]:
        """What a person has to give: options of the auth scheme, and what else stands in the origin."""
        return tuple(dict.fromkeys((*self.auth.open, *_BLANK.findall(self.origin))))

    def origin_for(self, given: Mapping[str, str]) -> str:
        """The origin with its blanks filled; "" where one is not `given`.

        Each is one label of a host's name, so that no text can lead a credential out of the service's own domain.
        Raises `BrokerError("options")`.
        """
        first = given.get(self.auth.open[0], "") if self.auth.open else ""
        origin = self.origins.get(first, self.origin)
        if not given.keys() >= {*_BLANK.findall(origin)}:
            return ""
        if not all(_LABEL.fullmatch(given[name]) for name in _BLANK.findall(origin)):
            raise BrokerError("options", why="what stands in a host's name is a-z 0-9 -, at most 63 characters")
        return _BLANK.sub(lambda blank: given[blank[1]], origin)

    def made(self, origin: str) -> bool:
        """Whether `origin` is one that `origin_for` makes of something."""
        shapes = (_BLANK.split(each)[::2] for each in {self.origin, *self.origins.values()} if each)
        return any(re.fullmatch(_LABEL.pattern.join(map(re.escape, shape)), origin) for shape in shapes)

    def rows(self, folded: tuple[str, ...]) -> tuple[Endpoint, ...]:
        """Every row whose pattern matches loosely; `folded` is what `pattern.fold` made of a call's segments."""
        return (*self._literal.get(folded, ()), *(row for row in self._free if row.pattern.loose(folded)))


def parse(name: str, text: str) -> Pack:
    """The pack in the text of the file `name`. Raises `PackError`."""
    try:
        pack = _pack(_Table(name, tomllib.loads(text)))
    except PackError:
        raise
    except (ValueError, re.error) as error:  # not TOML, no effect, no pattern, no expression
        raise PackError(f"{name}: {error}") from None
    if pack.name != name or not _NAME.fullmatch(name):
        raise PackError(f"{name}: the name is not the file's")
    if bool(pack.origin) == pack.origin_needed or (pack.origin and not pack.origin.startswith("https://")):
        raise PackError(f"{name}: an https origin, or origin_needed")
    if any(not origin.startswith("https://") for origin in pack.origins.values()):
        raise PackError(f"{name}: an https origin")
    if set(pack.auth.open) & set(pack.auth.options) or (pack.origins and not pack.auth.open):
        raise PackError(f"{name}: an option is open or it is given")
    return pack


class _Table:
    """A TOML table that is read key by key and has to be empty at the end."""

    def __init__(self, where: str, values: dict[str, object]) -> None:
        self.where = where
        self._values = dict(values)

    def take(self, key: str, kind: type[_T], default: _T | None = None) -> _T:
        value = self._values.pop(key, default)
        if type(value) is not kind:
            raise PackError(f"{self.where}: {key}")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        given = self.take(key, list, [])
        if not all(isinstance(one, str) and one for one in given):
            raise PackError(f"{self.where}: {key}")
        return tuple(given)

    def shape(self, key: str) -> re.Pattern[str] | None:
        given = self.take(key, str, "")
        return re.compile(given) if given else None

    def table(self, key: str) -> _Table:
        return _Table(f"{self.where}: {key}", self.take(key, dict, {}))

    def tables(self, key: str) -> list[_Table]:
        given = self.take(key, list, [])
        if not all(isinstance(one, dict) for one in given):
            raise PackError(f"{self.where}: {key}")
        return [_Table(f"{self.where}: {key} {at}", one) for at, one in enumerate(given, 1)]

    def rest_of_texts(self) -> dict[str, str]:
        return {key: self.take(key, str) for key in tuple(self._values)}

    def rest_of_lists(self) -> dict[str, tuple[str, ...]]:
        return {key: self.texts(key) for key in tuple(self._values)}

    def end(self) -> None:
        if self._values:
            raise PackError(f"{self.where}: unknown {min(self._values)}")


def _pack(table: _Table) -> Pack:
    auth, key, budget = table.table("auth"), table.table("key"), table.table("budget")
    pack = Pack(
        name=table.take("name", str),
        title=table.take("title", str),
        docs=table.take("docs", str),
        auth=Auth(auth.take("scheme", str), auth.table("options").rest_of_texts(), auth.texts("open")),
        origin=table.take("origin", str, ""),
        origin_needed=table.take("origin_needed", bool, default=False),
        origins=table.table("origins").rest_of_texts(),
        like=table.take("like", str, ""),
        base_path=table.take("base_path", str, ""),
        encoded_slash=table.take("encoded_slash", bool, default=False),
        verified=table.take("verified", str, ""),
        headers=table.table("headers").rest_of_texts(),
        env=key.texts("env"),
        slots=key.table("slots").rest_of_lists(),
        shape=key.shape("shape"),
        distinctive=key.shape("distinctive"),
        defaults=_defaults(table.table("defaults")),
        calls_per_hour=budget.take("calls_per_hour", int, 0) or None,
        body=_body(table.table("body")),
        operations=tuple(map(_operation, table.tables("operations"))),
        endpoints=tuple(row for rows in map(_rows, table.tables("endpoints")) for row in rows),
    )
    for each in (auth, key, budget, table):
        each.end()
    return pack


def _defaults(table: _Table) -> dict[str, Effect]:
    given = table.rest_of_texts()
    if not _METHODS.issuperset(given):
        raise PackError(f"{table.where}: unknown method")
    return {method: Effect(effect) for method, effect in given.items()}


def _body(table: _Table) -> Body | None:
    kind, paths = table.take("kind", str, ""), table.texts("paths")
    names = {Effect(effect): patterns for effect, patterns in table.rest_of_lists().items()}
    if not kind and not paths and not names:
        return None
    # A query is a read by its keyword; a mutation that a pack declared a read would be one by its name alone.
    if kind not in _KINDS or not paths or (kind == "graphql" and Effect.READ in names):
        raise PackError(f"{table.where}: kind and paths, and no read names for graphql")
    return Body(kind, tuple(map(Pattern.parse, paths)), names)


def _operation(table: _Table) -> Operation:
    gives = table.table("gives").rest_of_texts()
    found = Operation(table.take("service", str), table.take("name", str), gives, table.take("doc", str))
    table.end()
    if not gives or not all(map(_VARIABLE.fullmatch, gives.values())) or not found.doc.startswith("https://"):
        raise PackError(
            f"{table.where}: an operation gives credentials, with names like variables, and has an https doc"
        )
    return found


def _rows(table: _Table) -> list[Endpoint]:
    effect, methods = Effect(table.take("effect", str)), frozenset(table.texts("methods"))
    paths, doc = table.texts("paths"), table.take("doc", str)
    gives = table.table("gives").rest_of_texts()
    table.end()
    if not _METHODS.issuperset(methods) or not paths or not doc.startswith("https://"):
        raise PackError(f"{table.where}: methods, paths and an https doc")
    if gives and (effect is not Effect.MINT or not methods or not all(map(_VARIABLE.fullmatch, gives.values()))):
        raise PackError(f"{table.where}: only a mint by named methods gives credentials, with names like variables")
    return [Endpoint(effect, methods, Pattern.parse(path), doc, gives) for path in paths]
