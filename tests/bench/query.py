"""`kv_query` through the socket, audited and redacted, beside a program with the password, on a real PostgreSQL."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import psycopg
from bench.measure import alternate, p50, resident, seconds
from bench.stage import a_stage
from bench.table import Goal, Row
from postgres_server import DATABASE, PASSWORD, USER, Postgres

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.measure import Scale
    from bench.stage import Stage

    from kv.client import Client

_BATCH = 25  # calls a sample
_ONE: dict[str, object] = {"connection": "shop", "sql": "select 1 as one"}
_MANY = "select i, md5(i::text), repeat('x', 60) from generate_series(1, {}) i"


def rows(scale: Scale) -> Iterator[Row]:
    """One row, beside a connection that is open, one that is opened, and psql; then a million to a file."""
    with Postgres() as server, a_stage() as stage:
        dsn = f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{server.port}/{DATABASE}?sslmode=disable"
        stage.world.store("shop/DSN", dsn.encode(), "--connection", "shop", "--admission", "always")
        with stage.client() as client, psycopg.connect(dsn, autocommit=True) as held:
            yield from _one(client, held, dsn, stage, scale)
        yield from _many(stage, dsn, scale)


def _one(
    client: Client, held: psycopg.Connection[tuple[object, ...]], dsn: str, stage: Stage, scale: Scale
) -> Iterator[Row]:
    def ours() -> object:
        return json.loads(client.ask("query", _ONE).body)["rows"]

    def opened() -> object:
        return held.execute("select 1 as one").fetchall()

    def opening() -> object:
        with psycopg.connect(dsn, autocommit=True) as made:
            return made.execute("select 1 as one").fetchall()

    psql = ["psql", dsn, "-Atc", "select 1 as one"]

    def started() -> object:
        return subprocess.run(psql, capture_output=True, check=True, env=stage.world.environment)

    if ours() != [list(row) for row in opened()]:  # type: ignore[attr-defined]  # rows
        raise RuntimeError("the two were told different things")
    for name, theirs, goal, batch in (
        ("an open psycopg connection", opened, 6.0, _BATCH),
        ("connect, query, close", opening, 0.4, 5),
        ("psql -c", started, 0.05, 2),
    ):
        mine, other = alternate(lambda: p50(ours, _BATCH), lambda t=theirs, b=batch: p50(t, b), scale.of(12, 5))  # type: ignore[misc]  # bound
        yield Row("kv_query select 1, audited, redacted: p50", "µs", mine, name, other, Goal(goal))


def _many(stage: Stage, dsn: str, scale: Scale) -> Iterator[Row]:
    count = scale.of(1_000_000, 100_000)
    sql, number, grown = _MANY.format(count), 0, list[float]()

    def ours() -> float:
        nonlocal number
        number += 1
        args: dict[str, object] = {"connection": "shop", "sql": sql, "save": f"out{number}.csv", "timeout": 300}
        folder = os.open(stage.world.folder, os.O_RDONLY | os.O_DIRECTORY)
        before = resident(stage.pid)
        try:
            with stage.client() as client:
                taken = seconds(lambda: client.ask("query", args, folder=folder))
        finally:
            os.close(folder)
        grown.append(max(0.0, resident(stage.pid) - before))
        return count / taken

    def theirs() -> float:
        copy = ["psql", dsn, "-c", f"\\copy ({sql}) to '{stage.world.folder}/theirs.csv' csv header"]
        return count / seconds(lambda: subprocess.run(copy, capture_output=True, check=True))

    mine, other = alternate(ours, theirs, scale.of(3, 2))
    yield Row(f"{count:,} rows to a file", "rows/s", mine, "psql's \\copy", other, Goal(0.5, at_least=True))
    yield Row("  the keeper's growth meanwhile", "MiB", grown[1:], goal=Goal(5))
