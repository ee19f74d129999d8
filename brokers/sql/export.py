"""Rows as a file: CSV, a JSON list of objects, or JSON objects line by line. Pure.

Rules of this file
- Whole rows go out as they come: a file has no other bound than that of a saved file.
- A file that ends early is no file: whoever reads the rows raises, and nothing is kept. Where the other side refused,
  at the start or on the way, that is said: a division by zero is no fault of the network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokers.contract import BrokerError
from brokers.sql import rows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from brokers.sql.rows import Column


async def csv(
    columns: Sequence[Column], batches: AsyncIterator[Sequence[Sequence[str | None]]]
) -> AsyncIterator[bytes]:
    """A line of names, then the rows. `batches` are of text, NULL is None."""
    yield rows.csv_lines([[column.name for column in columns]])
    async for batch in batches:
        yield rows.csv_lines(batch)


async def lines(columns: Sequence[Column], batches: AsyncIterator[Sequence[Sequence[str]]]) -> AsyncIterator[bytes]:
    """A line for each row. `batches` are of JSON fragments."""
    async for batch in batches:
        yield b"".join(rows.json_line(columns, row) for row in batch)


async def listed(columns: Sequence[Column], batches: AsyncIterator[Sequence[Sequence[str]]]) -> AsyncIterator[bytes]:
    """A list with an object for each row. `batches` are of JSON fragments."""
    between = b"[\n"
    async for batch in batches:
        for row in batch:
            yield between + rows.json_line(columns, row).rstrip(b"\n")
            between = b",\n"
    yield b"[]\n" if between == b"[\n" else b"\n]\n"


async def kept(chunks: AsyncIterator[bytes], refusals: tuple[type[BaseException], ...]) -> AsyncIterator[bytes]:
    """A file's chunks; one of `refusals` on the way leaves no file."""
    try:
        async for chunk in chunks:
            yield chunk
    except refusals:
        raise refused() from None


def refused() -> BrokerError:
    """The failure that a refusal of the statement is to a file; as an answer it would be told in the server's words."""
    return BrokerError("refused", why="the server refuses the statement; without a file it says why")
