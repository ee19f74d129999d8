"""Garbage that is nearly right: every input is made from a good one, by a generator that the caller seeded.

Rules of this file
- Pure: the same generator and the same seeds give the same bytes, on every machine and Python.
- Three levels, since each is stopped at another place: bytes, the tree of a JSON document, the rows of an SQLite file.
"""

from __future__ import annotations

import contextlib
import copy
import json
import sqlite3
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from random import Random

SIZE_MAX = 1 << 20  # bytes of an input: more finds nothing more, only later

# What parsers have been seen to fall over.
TOKENS = (
    *(b"", b"\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x00\x04\x00\x00", b"\xed\xa0\x80", b"\xc0\x80", b"\xfe"),
    *(b"{}", b"[]", b"null", b"NaN", b"-0", b"1e999", b"1E400", b"-1", b"0.5", b"9" * 400, b"9" * 5000),
    *(b'"\\ud800"', b'"\\u0000"', b'"a":1,"a":2', b"[" * 3000, b'{"a":' * 1500, b"\xef\xbb\xbf", b"//", b"'"),
)
VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 1, 1 << 31, 1 << 63, 1 << 64, 10**400, 0.0, -0.0, 1e308, 0.5),
    *("", "\0", "\ud800", "é", "\u202e", "x" * 300, "x" * 70_000, "$.x", "`$.wait`", "0" * 64, "../..", "{{kv:a}}"),
    *([], {}, [[]], {"": ""}, {"a": {"b": {"c": []}}}, ["a", "b", "c"], [["a", "b"]], {"\ud800": 1}),
)
COLUMNS: tuple[Any, ...] = (
    *(None, 0, 1, -1, 1 << 31, (1 << 63) - 1, -(1 << 63), 0.5, 1e308, float("inf")),
    *("", "x", "kv vault", "\0", "é" * 40, b"", b"\0", b"\xff" * 16, b"\0" * 24, b"\xff" * 32, bytes(65_536), b"{}"),
)


def mutated(random: Random, seeds: Sequence[bytes]) -> bytes:
    """One of `seeds` after one to eight changes of its bytes."""
    data = bytearray(random.choice(seeds))
    for _ in range(random.choice((1, 1, 2, 3, 5, 8))):
        _change(random, data, seeds)
    return bytes(data[:SIZE_MAX])


def _change(random: Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    at = random.randrange(len(data) + 1)
    size = min(random.choice((1, 1, 2, 4, 16, 256, 4096)), len(data) - at)
    kind = random.randrange(8)
    if kind == 0 and at < len(data):
        data[at] ^= 1 << random.randrange(8)
    elif kind == 1:
        data[at : at + size] = random.randbytes(size)
    elif kind == 2:
        del data[at : at + size]
    elif kind == 3:
        data[at:at] = data[at : at + size] * random.choice((1, 2, 64))
    elif kind == 4:
        data[at : at + random.choice((0, size))] = random.choice(TOKENS)
    elif kind == 5:
        other = random.choice(seeds)
        start = random.randrange(len(other) + 1)
        data[at : at + size] = other[start : start + random.choice((size, 64, len(other)))]
    elif kind == 6:
        data[at : at + 4] = random.choice((0, 1, 2, 127, 255, 65_535, 1 << 18, (1 << 18) + 1, 1 << 31)).to_bytes(
            4, "big"
        )
    else:
        del data[at:]


def mutated_tree(random: Random, tree: Any) -> Any:  # noqa: ANN401 - JSON
    """A copy of a JSON document with one to four of its members changed, dropped, added or given another's value."""
    changed = {"": copy.deepcopy(tree)}
    for _ in range(random.choice((1, 1, 2, 4))):
        places = _places(changed)
        container, key = random.choice(places)
        kind = random.randrange(5)
        if kind == 0 and container is not changed:
            del container[key]
        elif kind == 1:
            other, its_key = random.choice(places)
            container[key] = copy.deepcopy(other[its_key])
        elif kind == 2 and isinstance(container[key], dict):
            name = random.choice(("", "x", "body", "proof", "args", "\ud800"))
            container[key][name] = copy.deepcopy(random.choice(VALUES))
        elif kind == 3 and isinstance(container[key], int | float) and abs(container[key]) < 1 << 64:
            container[key] = container[key] * random.choice((-1, 2, 0.5, 1 << 40)) + random.choice((-1, 0, 1))
        else:
            container[key] = copy.deepcopy(random.choice(VALUES))
    return changed[""]


def _places(tree: Any) -> list[tuple[Any, Any]]:  # noqa: ANN401 - JSON
    """Every place in `tree`, as its container and the key in that."""
    found: list[tuple[Any, Any]] = []
    waiting = [tree]
    while waiting:
        container = waiting.pop()
        keys = container.keys() if isinstance(container, dict) else range(len(container))
        for key in list(keys):
            found.append((container, key))
            if isinstance(container[key], dict | list):
                waiting.append(container[key])
    return found


def as_json(random: Random, tree: Any) -> bytes:  # noqa: ANN401 - JSON
    """`tree` as text, in one of the ways that JSON may be written; not always as UTF-8 may be."""
    text = json.dumps(tree, ensure_ascii=random.random() < 0.5, indent=random.choice((None, None, 1)))
    return text.encode("utf-8", "surrogatepass")


def mutate_rows(random: Random, path: Path) -> None:
    """Change one to three rows of the SQLite file at `path`, as any program of its user could. It stays well-formed."""
    db = sqlite3.connect(path, isolation_level=None)
    try:
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
        for _ in range(random.choice((1, 1, 3))):
            table = random.choice(names)
            columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            rows = db.execute(f"SELECT * FROM {table} ORDER BY {columns[0]} LIMIT 50").fetchall()  # noqa: S608 - the file is the test's
            if rows:
                _change_row(random, db, (table, columns), rows)
    finally:
        db.close()


def _change_row(random: Random, db: sqlite3.Connection, at: tuple[str, list[str]], rows: list[tuple[Any, ...]]) -> None:
    (table, columns), row = at, list(random.choice(rows))
    where = " AND ".join(f"{column} IS ?" for column in columns)
    db.execute(f"DELETE FROM {table} WHERE {where}", row)  # noqa: S608 - the file is the test's
    if random.random() < 0.2:
        return
    for _ in range(random.choice((1, 1, 2))):
        number = random.randrange(len(columns))
        old = row[number]
        if isinstance(old, bytes) and random.random() < 0.5:
            row[number] = mutated(random, [old])
        else:
            row[number] = random.choice((*COLUMNS, random.choice(rows)[number]))
    marks = ", ".join("?" * len(columns))
    with contextlib.suppress(sqlite3.Error):  # a number that is no number, a row that is there: then one is missing
        db.execute(f"INSERT INTO {table} VALUES ({marks})", row)  # noqa: S608 - as above
