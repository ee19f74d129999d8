"""What the kinds of connections say of themselves, for commands that declare one or speak of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from kv.registry import KINDS, load

if TYPE_CHECKING:
    from brokers.declaration import Kind


def kind_of(name: object) -> Kind | None:
    """The kind of that name; None for one that this version of kv does not have, which the keeper refuses."""
    return cast("Kind", load(KINDS, str(name))()) if name in KINDS else None


def inspected(name: object) -> bool:
    """Whether connections of that kind have a role behind them to look at."""
    kind = kind_of(name)
    return kind is not None and kind.inspected


def by_dsn(name: object) -> bool:
    """Whether a DSN logs in to connections of that kind."""
    kind = kind_of(name)
    return kind is not None and "dsn" in kind.schemes
