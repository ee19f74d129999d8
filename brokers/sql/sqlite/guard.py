"""What one statement may do to a SQLite file, asked of by SQLite itself while it compiles the statement. Pure.

Rules of this file
- Nothing is allowed that is not listed: what SQLite learns in its next version is refused until it is read about.
- Never another file (ATTACH, VACUUM), a setting (PRAGMA), a transaction of the statement's own, or something temporary.
- What a trigger of the database does is the database's own, but it does it with listed functions only.

Measured (SQLite 3.40): a file opened with `mode=ro` still let ATTACH read, write and create others, and `query_only`
can be switched off by whoever may say PRAGMA. This list is what stops them; the two are behind it.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from brokers.contract import Effect
from brokers.sql.invoked import known

if TYPE_CHECKING:
    from collections.abc import Iterable

_QUERY = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE})
_ROWS = {
    Effect.READ: frozenset[int](),
    Effect.WRITE: frozenset({sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE}),
}
_ALL_ROWS = frozenset({sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE})
_DEFINITIONS = frozenset(
    {
        sqlite3.SQLITE_CREATE_TABLE,
        sqlite3.SQLITE_CREATE_INDEX,
        sqlite3.SQLITE_CREATE_VIEW,
        sqlite3.SQLITE_CREATE_TRIGGER,
        sqlite3.SQLITE_CREATE_VTABLE,
        sqlite3.SQLITE_DROP_TABLE,
        sqlite3.SQLITE_DROP_INDEX,
        sqlite3.SQLITE_DROP_VIEW,
        sqlite3.SQLITE_DROP_TRIGGER,
        sqlite3.SQLITE_DROP_VTABLE,
        sqlite3.SQLITE_ALTER_TABLE,
        sqlite3.SQLITE_REINDEX,
        sqlite3.SQLITE_ANALYZE,
    }
)
_DEFINING = frozenset({"CREATE", "DROP", "ALTER", "REINDEX", "ANALYZE"})
_VIRTUAL = frozenset({sqlite3.SQLITE_CREATE_VTABLE, sqlite3.SQLITE_DROP_VTABLE})
_MODULES = frozenset({"fts3", "fts4", "fts5", "rtree", "rtree_i32", "geopoly"})  # that keep what they hold in the file
# Operators and keywords that SQLite reports as functions, and what ALTER TABLE calls of its own.
_OPERATORS = frozenset({"->", "->>", "match", "current_date", "current_time", "current_timestamp"})
_RENAMING = ("sqlite_rename_", "sqlite_drop_column", "sqlite_fail")
# Settings that are only looked at: what a table-valued pragma asks for, and full-text search of its own accord.
_LOOKS = frozenset(
    (
        *("table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo"),
        *("foreign_key_list", "data_version", "function_list", "collation_list"),
    )
)
_SCHEMA = frozenset({"sqlite_master", "sqlite_schema"})
_UNREADABLE = ("sqlite_dbpage", "sqlite_stmt", "bytecode", "tables_used", "dbstat")  # raw pages, others' statements


class Guard:
    """The authorizer of one call. `refused` says that it refused something."""

    def __init__(self, effect: Effect, kind: str, functions: Iterable[str], *, write: bool) -> None:
        defines = write and kind in _DEFINING
        rows = _ROWS.get(effect, _ALL_ROWS) if write and not defines else _ALL_ROWS if write else frozenset[int]()
        self.refused = False
        self._actions = _QUERY | rows | (_DEFINITIONS if defines else frozenset())
        self._defines, self._write = defines, write
        self._functions = known("sqlite") | _OPERATORS | frozenset(functions)

    def __call__(self, action: int, one: str | None, two: str | None, base: str | None, source: str | None) -> int:
        """SQLite's question, answered."""
        if self._allows(action, one or "", two or "", base or "", source or ""):
            return sqlite3.SQLITE_OK
        self.refused = True
        return sqlite3.SQLITE_DENY

    def _allows(self, action: int, one: str, two: str, base: str, source: str) -> bool:
        name = one.lower()
        if action == sqlite3.SQLITE_FUNCTION:
            called = two.lower()
            return called in self._functions or (self._defines and called.startswith(_RENAMING))
        if action == sqlite3.SQLITE_PRAGMA:
            return name in _LOOKS
        if action == sqlite3.SQLITE_READ:
            return name not in _UNREADABLE
        if action in _VIRTUAL:
            return self._defines and two.lower() in _MODULES
        if action == sqlite3.SQLITE_UPDATE and name in _SCHEMA:
            # It declares a table-valued function so, too. The schema is not changed by it: `writable_schema` is off.
            return True
        return self._changes(action, name, base, source)

    def _changes(self, action: int, name: str, base: str, source: str) -> bool:
        if action not in self._actions and not (action == sqlite3.SQLITE_DELETE and self._write and source):
            return False
        if action in _ALL_ROWS and not self._defines and name.startswith("sqlite_"):
            return False
        # ALTER TABLE looks for what else names the table in the schema of temporary ones, which is empty.
        return base != "temp" or (self._defines and name == "sqlite_temp_master")
