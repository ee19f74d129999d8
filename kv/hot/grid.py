"""Rows of a database as a person or a program reads them: a table, JSON, lines of JSON, CSV, Markdown.

Rules of this file
- It words what the keeper sent, redacted already. Towards a terminal control characters are made visible.
- NULL is the word in tables, null in JSON, and nothing between two commas in CSV.
"""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_NUMBERS = ("int", "float", "numeric", "decimal", "double", "real", "serial", "oid", "money", "year")


class Grid:
    """Columns and rows of an answer's document; `facts` is all else that it says."""

    def __init__(self, document: dict[str, object]) -> None:
        columns, rows = document.pop("columns", []), document.pop("rows", [])
        listed = columns if isinstance(columns, list) else []
        self.names = [str(column.get("name", "")) for column in listed]
        self.types = [str(column.get("type", "")) for column in listed]
        self.rows: list[list[object]] = rows if isinstance(rows, list) else []
        self.facts = document

    def write(self, form: str) -> str:
        """The rows in one of the five forms, with a line end after each line."""
        lines = {
            "table": self._table,
            "json": lambda: [json.dumps(self._records(), ensure_ascii=False, indent=2)],
            "jsonl": lambda: [json.dumps(record, ensure_ascii=False) for record in self._records()],
            "csv": self._csv,
            "markdown": self._markdown,
        }[form]()
        return "".join(f"{line}\n" for line in lines)

    def _records(self) -> list[dict[str, object]]:
        """Rows by their columns' names; of two columns of one name the later is numbered."""
        names: list[str] = []
        for name in self.names:
            twins = sum(1 for known in names if known.partition(" #")[0] == name)
            names.append(f"{name} #{twins + 1}" if twins else name)
        return [dict(zip(names, row, strict=False)) for row in self.rows]

    def _table(self) -> list[str]:
        if not self.names:
            return []
        cells = [[_shown(cell) for cell in row] for row in self.rows]
        from kv.rows import columns

        widths = [max(map(columns, column)) for column in zip(self.names, *cells, strict=False)]
        right = [kind.lower().startswith(_NUMBERS) for kind in self.types]

        def line(row: Sequence[str], mark: str = " | ") -> str:
            padded = []
            for text, width, to_right in zip(row, widths, right, strict=False):
                blanks = " " * (width - columns(text))
                padded.append(blanks + text if to_right else text + blanks)
            return mark.join(padded).rstrip()

        return [line(self.names), "-+-".join("-" * width for width in widths), *map(line, cells)]

    def _csv(self) -> list[str]:
        return [",".join(_quoted(name) for name in self.names)] + [",".join(map(_csv, row)) for row in self.rows]

    def _markdown(self) -> list[str]:
        if not self.names:
            return []
        rows = [self.names, *([_shown(cell) for cell in row] for row in self.rows)]
        lines = [
            "| " + " | ".join(text.replace("\\", "\\\\").replace("|", "\\|") for text in row) + " |" for row in rows
        ]
        marks = ["---:" if kind.lower().startswith(_NUMBERS) else "---" for kind in self.types]
        return [lines[0], "| " + " | ".join(marks) + " |", *lines[1:]]


def _shown(cell: object) -> str:
    """A cell in one line, no control character in it."""
    from kv.errors import clean

    text = "NULL" if cell is None else _text(cell).replace("\n", "↵").replace("\t", "→")
    return clean(text, limit=len(text) + 1)


def _text(cell: object) -> str:
    return cell if isinstance(cell, str) else json.dumps(cell, ensure_ascii=False)


def _csv(cell: object) -> str:
    return "" if cell is None else _quoted(_text(cell))


def _quoted(text: str) -> str:
    """RFC 4180; an empty text is two quotes, since nothing at all is NULL."""
    needs = not text or any(mark in text for mark in ',"\r\n')
    return '"' + text.replace('"', '""') + '"' if needs else text


def schema_lines(document: dict[str, object]) -> list[str]:
    """A schema as text: a line a table, then its columns, keys and indexes."""
    found: list[str] = []
    tables = document.get("tables")
    for table in tables if isinstance(tables, list) else []:
        found += ["", *_table_lines(table)] if found else _table_lines(table)
    return found


def _table_lines(table: dict[str, object]) -> list[str]:
    name = ".".join(str(part) for part in (table.get("schema"), table.get("name")) if part)
    rows = table.get("rows")
    facts = [str(table.get("kind", "table")), f"about {rows:,} rows" if isinstance(rows, int) else ""]
    found = [_shown(f"{name}   ({', '.join(filter(None, facts))}){_said(table)}")]
    columns = table.get("columns")
    for column in columns if isinstance(columns, list) else []:
        parts = [str(column.get("type", "")), "" if column.get("nullable", True) else "not null"]
        parts += [f"default {column['default']}" if column.get("default") is not None else ""]
        found.append(_shown(f"  {column.get('name', '')!s:<24} {' '.join(filter(None, parts))}{_said(column)}"))
    if isinstance(primary := table.get("primary_key"), list) and primary:
        found.append(_shown(f"  primary key: {', '.join(map(str, primary))}"))
    for label, word in _KEYS.items():
        values = table.get(label)
        found += [_shown(f"  {word}: {_key(each)}") for each in (values if isinstance(values, list) else [])]
    return found


_KEYS = {"constraints": "constraint", "foreign_keys": "foreign key", "indexes": "index"}


def _key(key: dict[str, object]) -> str:
    """A key, constraint or index: in the engine's own words where it has them."""
    name, told = str(key.get("name") or ""), str(key.get("definition") or "")
    if not told:
        told = f"{'unique ' if key.get('unique') else ''}({_listed(key.get('columns'))})"
        if key.get("table"):
            table = ".".join(str(part) for part in (key.get("schema"), key["table"]) if part)
            theirs = _listed(key.get("references"))
            told += f" references {table}{f' ({theirs})' if theirs else ''}"
    return f"{name}: {told}" if name else told


def _listed(names: object) -> str:
    """Columns; SQLite names none where a foreign key is to the other's primary key."""
    return ", ".join(str(name) for name in names if name is not None) if isinstance(names, list) else ""


def _said(thing: dict[str, object]) -> str:
    return f"   -- {thing['comment']}" if thing.get("comment") else ""
