"""What MySQL's information_schema knows: tables with all that belongs to them, engines, and the planner's estimate.

Rules of this file
- Statements of ours with names as literals, in the call's own transaction.
- Bounded in tables and in bytes: a document ends between two tables and says so.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, cast

from brokers.contract import BrokerError
from brokers.sql.mysql import cells, literal
from brokers.sql.mysql.text import nothing_to_estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from brokers.sql.mysql.session import Session

MAX_TABLES = 2000  # of a schema: the rest is asked for by name
_SYSTEM = ("information_schema", "mysql", "performance_schema", "sys")

_HERE = "TABLE_SCHEMA = DATABASE()"
_PART = re.compile(r'"(?:[^"]|"")*"|[^".]+')  # of a table's name as plans spell it

Row = dict[str, "str | None"]


def estimate(session: Session, sent: str, tables: Sequence[str]) -> bytes:
    """`{"rows": N}` as the planner expects; null where it has no number. Raises `BrokerError("argument")`."""
    _check_plain(session, tables)
    expected: float | None = None
    first: str | None = None
    for row in _rows(session, f"EXPLAIN {sent}"):
        first = first or row.get("id")
        count = row.get("rows")
        if count is None or row.get("id") != first:  # a subquery's rows are looked at, not touched
            continue
        share = float(row.get("filtered") or 100) / 100
        expected = (1 if expected is None else expected) * float(count) * share
    return json.dumps({"rows": None if expected is None else math.ceil(min(expected, 1e15))}).encode()


def _check_plain(session: Session, tables: Sequence[str]) -> None:
    """Refuse an estimate of anything but tables: to plan a view is to perform what is in it."""
    for table in tables:
        *schema_of, name = map(_unquoted, _PART.findall(table))
        # Whatever may be meant, since a name that was folded no longer tells `Orders` from `orders`.
        of = f"LOWER(TABLE_SCHEMA) = LOWER({literal.literal(schema_of[-1])})" if schema_of else _HERE
        found = session.fetch(
            "SELECT DISTINCT TABLE_TYPE FROM information_schema.TABLES "  # noqa: S608 - names as literals
            f"WHERE {of} AND LOWER(TABLE_NAME) = LOWER({literal.literal(name)})"
        )
        if found != [[b"BASE TABLE"]]:
            raise nothing_to_estimate()
    if not tables:
        raise nothing_to_estimate()


def _unquoted(part: str) -> str:
    return part[1:-1].replace('""', '"') if part.startswith('"') else part


def check_rollback(session: Session, tables: Sequence[str]) -> None:
    """Refuse a trial on tables that keep their changes. Raises `BrokerError("argument")`."""
    keeping = _rows(
        session,
        "SELECT t.TABLE_NAME n FROM information_schema.TABLES t LEFT JOIN information_schema.ENGINES e "  # noqa: S608 - words of this file
        f"ON e.ENGINE = t.ENGINE WHERE t.TABLE_TYPE = 'BASE TABLE' AND t.TABLE_SCHEMA NOT IN {_SYSTEM} "
        "AND COALESCE(e.TRANSACTIONS, 'NO') <> 'YES' LIMIT 10000",
    )
    if not keeping:
        return
    touched = {table.rpartition(".")[2].strip('"').lower() for table in tables}
    # Views and triggers lead on to tables that the statement does not name.
    leading = {
        str(row["n"]).lower()
        for row in _rows(
            session,
            "SELECT TABLE_NAME n FROM information_schema.VIEWS "  # noqa: S608 - as above
            f"WHERE TABLE_SCHEMA NOT IN {_SYSTEM} UNION "
            f"SELECT EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA NOT IN {_SYSTEM}",
        )
    }
    if not touched or touched & (leading | {str(row["n"]).lower() for row in keeping}):
        raise BrokerError(
            "argument", argument="dry_run", why="a table that it changes has no transactions to roll back"
        )


def schema(session: Session, wanted: str, table: str, most: int) -> bytes:
    """The document `{"tables": […], "truncated": …}` of a schema, the connection's own unless another is named."""
    of = literal.literal(wanted) if wanted else "DATABASE()"
    only = f" AND TABLE_NAME = {literal.literal(table)}" if table else ""
    found = _rows(
        session,
        "SELECT TABLE_SCHEMA `schema`, TABLE_NAME name, TABLE_TYPE kind, TABLE_ROWS `rows`, TABLE_COMMENT comment "  # noqa: S608 - as above
        f"FROM information_schema.TABLES WHERE TABLE_SCHEMA = {of}{only} ORDER BY TABLE_NAME LIMIT {MAX_TABLES + 1}",
    )
    tables = {str(row["name"]): _table(row) for row in found[:MAX_TABLES]}
    if tables:
        bound = f"TABLE_SCHEMA = {of}{only} AND TABLE_NAME <= {literal.literal(list(tables)[-1])}"
        for part in (_columns, _indexes, _foreign_keys):
            part(session, bound, tables)
    head, parts, cut = b'{"tables":[', list[bytes](), len(found) > MAX_TABLES
    size = 0
    for entry in tables.values():
        part_of = json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        size += len(part_of) + 1
        if size > most:
            cut = True
            break
        parts.append(part_of)
    return head + b",".join(parts) + b'],"truncated":' + (b"true}" if cut else b"false}")


def _table(row: Row) -> dict[str, object]:
    kind = str(row["kind"])
    return {
        "schema": row["schema"],
        "name": row["name"],
        "kind": "view" if "VIEW" in kind else "table",
        "rows": int(row["rows"]) if row["rows"] else None,
        "comment": row["comment"] if kind != "VIEW" else "",
        "columns": [],
        "primary_key": [],
        "indexes": [],
        "foreign_keys": [],
    }


def _columns(session: Session, bound: str, tables: dict[str, dict[str, object]]) -> None:
    for row in _rows(
        session,
        "SELECT TABLE_NAME t, COLUMN_NAME name, COLUMN_TYPE type, IS_NULLABLE nullable, COLUMN_DEFAULT `default`, "  # noqa: S608 - as above
        f"EXTRA extra, COLUMN_COMMENT comment FROM information_schema.COLUMNS WHERE {bound} "
        "ORDER BY TABLE_NAME, ORDINAL_POSITION",
    ):
        column = {
            "name": row["name"],
            "type": row["type"],
            "nullable": row["nullable"] == "YES",
            "default": row["default"],
            "extra": row["extra"],
            "comment": row["comment"],
        }
        if row["t"] in tables:
            _list(tables[row["t"]], "columns").append({key: value for key, value in column.items() if value != ""})


def _indexes(session: Session, bound: str, tables: dict[str, dict[str, object]]) -> None:
    found: dict[tuple[str, str], dict[str, object]] = {}
    for row in _rows(
        session,
        "SELECT TABLE_NAME t, INDEX_NAME name, NON_UNIQUE shared, COLUMN_NAME c, INDEX_TYPE kind "  # noqa: S608 - as above
        f"FROM information_schema.STATISTICS WHERE {bound} ORDER BY TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX",
    ):
        table, name = str(row["t"]), str(row["name"])
        if table not in tables:
            continue
        if name == "PRIMARY":
            _list(tables[table], "primary_key").append(row["c"])
        elif (table, name) in found:
            _list(found[table, name], "columns").append(row["c"])
        else:
            index: dict[str, object] = {
                "name": name,
                "columns": [row["c"]],
                "unique": row["shared"] == "0",
                "kind": row["kind"],
            }
            found[table, name] = index
            _list(tables[table], "indexes").append(index)


def _foreign_keys(session: Session, bound: str, tables: dict[str, dict[str, object]]) -> None:
    found: dict[tuple[str, str], dict[str, object]] = {}
    for row in _rows(
        session,
        "SELECT TABLE_NAME t, CONSTRAINT_NAME name, COLUMN_NAME c, REFERENCED_TABLE_SCHEMA s, REFERENCED_TABLE_NAME r, "  # noqa: S608 - as above
        f"REFERENCED_COLUMN_NAME rc FROM information_schema.KEY_COLUMN_USAGE WHERE {bound} "
        "AND REFERENCED_TABLE_NAME IS NOT NULL ORDER BY TABLE_NAME, CONSTRAINT_NAME, ORDINAL_POSITION",
    ):
        table, name = str(row["t"]), str(row["name"])
        if table not in tables:
            continue
        if (table, name) not in found:
            key: dict[str, object] = {"name": name, "columns": [], "table": row["r"], "references": []}
            if row["s"] != tables[table]["schema"]:
                key["schema"] = row["s"]
            found[table, name] = key
            _list(tables[table], "foreign_keys").append(key)
        _list(found[table, name], "columns").append(row["c"])
        _list(found[table, name], "references").append(row["rc"])


def _list(of: dict[str, object], member: str) -> list[object]:
    return cast("list[object]", of[member])


def _rows(session: Session, sql: str) -> list[Row]:
    result = session.execute(sql)
    names = [field.name for field in result.fields]
    writers = [cells.writer(field, plain=True) for field in result.fields]
    return [dict(zip(names, cells.spelled(values, writers), strict=True)) for values in session.own(result)]
