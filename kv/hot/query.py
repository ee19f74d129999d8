"""`kv query`: a statement on a database, through the keeper. `kv schema`: what tables it has."""

from __future__ import annotations

from kv.hot import statement
from kv.hot.arguments import HELP, Table, read
from kv.hot.request import ask
from kv.hot.result import show

_QUERY = """
usage: kv query CONNECTION [SQL | --file FILE | -] [options]

Perform one SQL statement on a connection. Reading is done in a transaction
that the server holds to reading; what changes something takes --mode write
and a person's yes. Parameters are $1, $2, … (PostgreSQL) or ? (others).

  kv query shop 'select id, total from orders where id = $1' -p 7
  kv query shop 'delete from t where id = 1' --mode write --reason "a twin"
  kv query shop 'select * from events' --save events.csv
"""
_SCHEMA = """
usage: kv schema CONNECTION [[SCHEMA.]TABLE] [options]

Show tables, columns, keys, indexes, row estimates and comments.

  kv schema shop
  kv schema shop public.orders --json
"""
QUERY_OPTIONS: Table = {**statement.OPTIONS, **HELP}
SCHEMA_OPTIONS: Table = {**statement.SCHEMA_OPTIONS, **HELP}
OPTIONS = QUERY_OPTIONS


def main(verb: str, argv: list[str]) -> int:
    """Perform `kv query` or `kv schema`. Raises `KvError`."""
    options = SCHEMA_OPTIONS if verb == "schema" else QUERY_OPTIONS
    if (found := read(argv, options, _SCHEMA if verb == "schema" else _QUERY)) is None:
        return 0
    request = statement.build_schema(found) if verb == "schema" else statement.build(found)
    answer = ask("query", found, request)
    form = "json" if found.get("select") is not None else found.get("format") or ""
    return show(answer, as_json=found.on("json"), fail=False, form=form)
