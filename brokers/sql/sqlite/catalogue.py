"""What is in a SQLite file: tables, columns, keys and indexes, as its schema declares them.

Rules of this file
- Asked by table-valued pragmas, which the call's guard allows as looks.
- Row counts are not there: SQLite keeps none, and counting reads the whole table.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from brokers.sql.sqlite.file import File

MAX_TABLES = 2000  # the rest is asked for by name
_TABLES = """
SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
AND (?1 = '' OR name = ?1 COLLATE NOCASE) ORDER BY name LIMIT ?2
"""
_COLUMNS = 'SELECT name, type, "notnull", dflt_value, pk, hidden FROM pragma_table_xinfo(?)'
_INDEXES = 'SELECT name, "unique", origin, partial FROM pragma_index_list(?)'
_INDEXED = "SELECT name FROM pragma_index_info(?)"
_KEYS = 'SELECT id, "table", "from", "to" FROM pragma_foreign_key_list(?) ORDER BY id, seq'


def schema(file: File, wanted: str, table: str, most: int) -> bytes:
    """The document `{"tables": […], "truncated": …}`. A file has one schema, `main`."""
    found = file.run(_TABLES, (table, MAX_TABLES + 1)).fetchall() if wanted in {"", "main"} else []
    parts: list[bytes] = []
    cut, size = len(found) > MAX_TABLES, 0
    for name, kind in found[:MAX_TABLES]:
        entry = _table(file, str(name), str(kind))
        part = json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        size += len(part) + 1
        if size > most:
            cut = True
            break
        parts.append(part)
    return b'{"tables":[' + b",".join(parts) + b'],"truncated":' + (b"true}" if cut else b"false}")


def _table(file: File, name: str, kind: str) -> dict[str, object]:
    columns: list[dict[str, object]] = []
    primary: list[tuple[int, str]] = []
    for column, declared, notnull, default, key, hidden in file.run(_COLUMNS, (name,)).fetchall():
        if key:
            primary.append((key, column))
        if hidden == 1:  # of a virtual table's own
            continue
        columns.append({"name": column, "type": declared, "nullable": not notnull, "default": default})
    indexes = [
        {"name": index, "columns": [row[0] for row in file.run(_INDEXED, (index,)).fetchall()], "unique": bool(unique)}
        for index, unique, origin, _ in file.run(_INDEXES, (name,)).fetchall()
        if origin != "pk"
    ]
    keys: dict[int, dict[str, object]] = {}
    for number, target, ours, theirs in file.run(_KEYS, (name,)).fetchall():
        key_of = keys.setdefault(number, {"columns": [], "table": target, "references": []})
        for member, value in (("columns", ours), ("references", theirs)):
            found = key_of[member]
            if isinstance(found, list):
                found.append(value)
    return {
        "schema": "main",
        "name": name,
        "kind": kind,
        "rows": None,
        "columns": columns,
        "primary_key": [column for _, column in sorted(primary)],
        "indexes": indexes,
        "foreign_keys": list(keys.values()),
    }


def plan(file: File, sql: str, params: tuple[object, ...]) -> bytes:
    """`{"rows": null, "plan": […]}`: SQLite's planner has no number of rows to tell.

    To count by the same WHERE would be another statement than the one that was judged, and a scan of the table while a
    person waits for a card; what it says instead is how the rows are found.
    """
    steps = [str(step[3]) for step in file.run(f"EXPLAIN QUERY PLAN {sql}", params).fetchmany(100)]
    return json.dumps({"rows": None, "plan": steps}, ensure_ascii=False).encode("utf-8", "replace")
