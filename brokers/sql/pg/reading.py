"""From libpq's results to rows: names, types and cells. Pure.

Rules of this file
- A result is a portion of rows, of one statement's; what it is of says its status.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from psycopg.postgres import types as builtin

from brokers.sql import export, rows
from brokers.sql.pg.session import has_rows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from psycopg.pq.abc import PGresult

    from brokers.sql.pg import cells


async def batches(
    first: PGresult, results: AsyncIterator[PGresult], encoders: Sequence[cells.Encoder]
) -> AsyncIterator[list[list[str]]]:
    """The rows of the first result and of those after it, a portion at a time."""
    yield rows_of(first, encoders)
    async for found in results:
        yield rows_of(found, encoders)


async def as_csv(columns: Sequence[rows.Column], found: AsyncIterator[list[list[str]]]) -> AsyncIterator[bytes]:
    """Of a query with parameters, which COPY does not take: texts as they are, all else as JSON."""

    async def plain() -> AsyncIterator[list[list[str | None]]]:
        async for batch in found:
            yield [[_csv_text(cell) for cell in row] for row in batch]

    async for data in export.csv(columns, plain()):
        yield data


def _csv_text(cell: str) -> str | None:
    if cell == "null":
        return None
    return str(json.loads(cell)) if cell.startswith('"') else cell


def rows_of(found: PGresult, encoders: Sequence[cells.Encoder]) -> list[list[str]]:
    """A portion's rows as JSON fragments."""
    if not has_rows(found):
        return []
    columns = list(enumerate(encoders))
    value = found.get_value
    return [
        ["null" if (data := value(row, at)) is None else encode(data) for at, encode in columns]
        for row in range(found.ntuples)
    ]


def name(found: PGresult, at: int) -> str:
    """A column's name."""
    return (found.fname(at) or b"").decode("utf-8", "replace")


def cell(found: PGresult, at: int) -> str:
    """A cell of the first row, as text."""
    return (found.get_value(0, at) or b"").decode("utf-8", "replace")


def builtin_type(found: PGresult, at: int) -> str:
    """The name of a column's type, where it is built in."""
    known = builtin.get(found.ftype(at))
    return known.name if known is not None else f"oid {found.ftype(at)}"
