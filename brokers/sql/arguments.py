"""What an agent may say of a query: every argument decoded strictly into one `Draft`. Pure.

Rules of this file
- What all brokers ask of arguments stands in `brokers.arguments`; here is what a statement's are.
- A reference (`{{kv:…}}`) is refused everywhere: the connection knows where its credential goes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from brokers.arguments import check_known, limits, refuse, text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from brokers.contract import Limits

MAX_SQL = 1 << 20  # bytes: a migration's longest statement; parsing goes by the token, which has a bound of its own
MAX_PARAMS = 1000  # a long IN list; more rows than that are loaded from a file
MAX_PARAM_BYTES = 4 << 20  # of all parameters together
MAX_ROWS = 1_000_000  # of an answer; an export has no such bound, but that of a saved file
MAX_TIMEOUT = 600.0  # seconds: an index on a large table, as long as a caller may wait at all
MAX_LOAD = 16 << 20  # bytes of a file that is loaded: what a frame carries
_ROWS = 1000  # where nothing was said: what an agent reads at once
_NAME = 200  # characters of a table or schema's name: servers take 64
_FORMATS = ("csv", "jsonl", "json")

Scalar = str | int | float | bool | None
_QUERY = frozenset({"sql", "params", "mode", "max_rows", "max_bytes", "timeout", "export", "dry_run", "act"})
_SCHEMA = frozenset({"schema", "table", "max_bytes", "timeout", "act"})
_LOAD = frozenset({"table", "columns", "format", "header", "timeout", "dry_run", "act"})


@dataclass(frozen=True, slots=True)
class Draft:
    """A decoded call. `act` is "query", "schema" or "load"; what the act does not have is empty.

    `export` is the format of a file to be, or "": the answer is a document. `max_rows` counts rows of an answer.
    `write` says that the caller asked for more than reading.
    """

    act: str
    limits: Limits
    sql: str = ""
    params: tuple[Scalar, ...] = ()
    write: bool = False
    max_rows: int = _ROWS
    export: str = ""
    dry_run: bool = False
    schema: str = ""
    table: str = ""
    columns: tuple[str, ...] = ()
    format: str = ""
    header: bool = True


def decode(arguments: Mapping[str, object], body: bytes) -> Draft:
    """The arguments of a call, whole and checked. Raises `BrokerError("argument")`."""
    act = arguments.get("act", "query")
    if act == "query":
        return _query(arguments, body)
    if act == "schema":
        return _schema(arguments, body)
    if act == "load":
        return _load(arguments, body)
    return refuse("act", "it is query, schema or load")


def _query(arguments: Mapping[str, object], body: bytes) -> Draft:
    check_known(arguments, _QUERY)
    if body:
        refuse("body", "a query has none; load takes a file")
    sql = _text(arguments.get("sql"), "sql")
    if not sql.strip() or len(sql.encode("utf-8", "surrogatepass")) > MAX_SQL:
        refuse("sql", "one statement, at most 1 MiB")
    export = arguments.get("export", "")
    if export and export not in _FORMATS:
        refuse("export", "csv, jsonl or json")
    mode = arguments.get("mode", "read")
    if mode not in {"read", "write"}:
        refuse("mode", "it is read or write")
    return Draft(
        "query",
        limits(arguments, MAX_TIMEOUT),
        sql,
        _params(arguments.get("params")),
        mode == "write",
        _number(arguments, "max_rows", _ROWS, MAX_ROWS),
        str(export),
        _flag(arguments, "dry_run", default=False),
    )


def _schema(arguments: Mapping[str, object], body: bytes) -> Draft:
    check_known(arguments, _SCHEMA)
    if body:
        refuse("body", "this takes none")
    schema, table = (_name(arguments.get(member, ""), member) for member in ("schema", "table"))
    return Draft("schema", limits(arguments, MAX_TIMEOUT), schema=schema, table=table)


def _load(arguments: Mapping[str, object], body: bytes) -> Draft:
    check_known(arguments, _LOAD)
    if not 0 < len(body) <= MAX_LOAD:
        refuse("body", "a file of 1 byte to 16 MiB")
    table = _name(arguments.get("table"), "table")
    columns = arguments.get("columns", ())
    if not isinstance(columns, list | tuple) or len(columns) > MAX_PARAMS:
        refuse("columns", "a list of names")
    form = arguments.get("format", "csv")
    if form not in {"csv", "jsonl"}:
        refuse("format", "csv or jsonl")
    if not table:
        refuse("table", "name the table to load into")
    return Draft(
        "load",
        limits(arguments, MAX_TIMEOUT),
        write=True,
        table=table,
        columns=tuple(_name(column, "columns") for column in columns),
        format=str(form),
        header=_flag(arguments, "header", default=True),
        dry_run=_flag(arguments, "dry_run", default=False),
    )


def _text(value: object, argument: str) -> str:
    found = text(value, argument)
    try:
        found.encode()
    except UnicodeError:
        refuse(argument, "it is not UTF-8")
    if "\0" in found:
        refuse(argument, "NUL is refused")
    return found


def _name(value: object, argument: str) -> str:
    name = _text(value, argument)
    if len(name) > _NAME or not (name.isprintable() or not name):
        refuse(argument, "a name has at most 200 characters")
    return name


def _params(value: object) -> tuple[Scalar, ...]:
    if value is None:
        return ()
    if not isinstance(value, list | tuple) or len(value) > MAX_PARAMS:
        refuse("params", "a list of at most 1,000 values")
    found = tuple(_scalar(one) for one in value)
    if sum(len(one.encode()) for one in found if isinstance(one, str)) > MAX_PARAM_BYTES:
        refuse("params", "at most 4 MiB together")
    return found


def _scalar(value: object) -> Scalar:
    if isinstance(value, str):
        return _text(value, "params")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) < 1 << 64:  # wider than any integer column
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    return refuse("params", "a value is text, a number, true, false or null")


def _number(arguments: Mapping[str, object], argument: str, default: int, most: int) -> int:
    value = arguments.get(argument)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= most:
        refuse(argument, "a whole number, more than 0 and within its bound")
    return value


def _flag(arguments: Mapping[str, object], argument: str, *, default: bool) -> bool:
    value = arguments.get(argument, default)
    if not isinstance(value, bool):
        refuse(argument, "it is true or false")
    return value
