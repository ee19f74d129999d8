"""A file of rows that is loaded: CSV or JSON lines, read strictly. Pure.

Rules of this file
- CSV as RFC 4180 and PostgreSQL's COPY have it: an empty field is NULL, two quotes are an empty text.
- All rows have as many fields as there are columns: a short one would shift what stands in it.
- A file is refused with the number of its row, and none of its text. Its first row is 1, be it one of names or not.
"""

from __future__ import annotations

import json
import math
import re
from itertools import islice
from typing import TYPE_CHECKING, NoReturn

from brokers.contract import BrokerError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from brokers.sql.arguments import Scalar

MAX_COLUMNS = 4096  # MySQL's most; the others have fewer
_FIELD = re.compile(r'(?:"([^"]*(?:""[^"]*)*)"|([^",\r\n]*))(,|\r\n|\n|\r|\Z)')

Records = tuple["tuple[str, ...]", "Iterator[list[Scalar]]"]


def read(body: bytes, form: str, columns: Sequence[str], *, header: bool) -> Records:
    """The columns, none where the file and the call name none, and the rows. Raises `BrokerError("argument")`.

    The rows are read as they are asked for, and raise too.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        _refuse("it is not UTF-8", 0)
    if "\0" in text:
        _refuse("it holds a NUL", 0)
    return _lines(text, tuple(columns)) if form == "jsonl" else _csv(text, tuple(columns), header=header)


def _csv(text: str, columns: tuple[str, ...], *, header: bool) -> Records:
    found = _csv_rows(text)
    if header:
        names = next(found, [])
        if not columns:
            columns = tuple(name or "" for name in names)
            if not all(columns) or len(set(columns)) != len(columns):
                _refuse("its first line does not name the columns", 1)
    return columns, _even(found, len(columns), first=2 if header else 1)


def _even(found: Iterator[list[str | None]], count: int, first: int) -> Iterator[list[Scalar]]:
    for number, row in enumerate(found, first):
        count = count or len(row)
        if len(row) != count:
            _refuse("a row has more or fewer fields than there are columns", number)
        yield list(row)


def _csv_rows(text: str) -> Iterator[list[str | None]]:
    at, number, row = 0, 1, list[str | None]()
    while at < len(text):
        match = _FIELD.match(text, at)
        if match is None:
            _refuse("a quote stands where none may", number)
        quoted, plain, end = match.groups()
        row.append(quoted.replace('""', '"') if quoted is not None else plain or None)
        at = match.end()
        if len(row) > MAX_COLUMNS:
            _refuse("a row has more than 4,096 fields", number)
        if end == "," and at == len(text):
            row.append(None)
        if end != "," or at == len(text):
            yield row
            row = []
            number += 1


def _lines(text: str, columns: tuple[str, ...]) -> Records:
    if not columns:
        first = next(_objects(text), {})
        columns = tuple(first)
        if not columns or not all(columns):
            _refuse("its first line names no columns", 1)
    return columns, _cells(text, columns)


def _cells(text: str, columns: tuple[str, ...]) -> Iterator[list[Scalar]]:
    known = set(columns)
    for number, found in enumerate(_objects(text), 1):
        if not known.issuperset(found):
            _refuse("a row has a member that is no column", number)
        row = [_scalar(found.get(column)) for column in columns]
        if not all(math.isfinite(cell) for cell in row if isinstance(cell, float)):
            _refuse("a number is larger than any column holds", number)
        yield row


def _objects(text: str) -> Iterator[dict[str, object]]:
    for number, line in enumerate(filter(str.strip, re.split(r"\r?\n", text)), 1):
        try:
            found = json.loads(line, parse_constant=_constant)
        except (ValueError, RecursionError):
            _refuse("a line is not JSON", number)
        if not isinstance(found, dict) or len(found) > MAX_COLUMNS:
            _refuse("a line is not an object", number)
        yield found


def _scalar(value: object) -> Scalar:
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _constant(_: str) -> NoReturn:
    raise ValueError  # NaN and Infinity are no JSON


def chunks(found: Iterator[list[Scalar]], most: int) -> Iterator[list[list[Scalar]]]:
    """The rows in portions of at most `most`."""
    while portion := list(islice(found, most)):
        yield portion


def _refuse(why: str, row: int) -> NoReturn:
    raise BrokerError("argument", argument="body", why=f"row {row}: {why}" if row else why)
