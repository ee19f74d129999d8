r"""Rows on their way out: a JSON document within bounds, or a file without. Pure.

    {"columns":[{"name":"one","type":"int4"}],"rows":[[1]],"truncated":false,"total":1}
    {"columns":[],"rows":[],"truncated":false,"affected":3}
    {"error":{"sqlstate":"42P01","message":"relation \"x\" does not exist","position":15,"hint":""}}

Rules of this file
- A cell is a JSON fragment, made by the engine that knows its type; NULL is null. What JSON cannot hold exactly
  (numeric, integers beyond 2^53, times, bytes) is a string spelled as the server spells it.
- Bounds fall between rows, never into a cell: a cut value could be the beginning of a secret that no needle matches.
- Every row of every engine passes here with its columns: the seam for rules by column (mask, omit). The one that does
  not is a file of PostgreSQL's own COPY, which a rule would have made of rows, as where COPY takes no statement.
- A refusal by the server is an answer. Its text is the other side's, and is redacted like a row.
"""

from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

SAFE_INTEGER = (1 << 53) - 1  # what every reader of JSON has exactly (RFC 8259 section 6)
MAX_COLUMNS = 10_000  # PostgreSQL has 1,664 of a table and MySQL 4,096: a join of some
MAX_CELL = 64 << 20  # bytes of a row as it comes in: what the keeper holds of one; the answer's bound is another
_STRING = json.encoder.encode_basestring
_QUOTED = re.compile(r'[,"\r\n]').search


@dataclass(frozen=True, slots=True)
class Column:
    """A column as the server names it; `type` is the server's own word (`int4`, `varchar`, `INTEGER`)."""

    name: str
    type: str


def text(value: str) -> str:
    """A JSON string."""
    return _STRING(value)


def integer(value: int) -> str:
    """A JSON number, or a string beyond what all readers have exactly."""
    return str(value) if -SAFE_INTEGER <= value <= SAFE_INTEGER else f'"{value}"'


def document_head(columns: Sequence[Column]) -> bytes:
    """The beginning of the document, up to the first row."""
    listed = ",".join(f'{{"name":{text(c.name)},"type":{text(c.type)}}}' for c in columns)
    return f'{{"columns":[{listed}],"rows":['.encode("utf-8", "replace")


def document_tail(*, truncated: bool, **facts: object) -> bytes:
    """Its end: whether rows were left out, and what else is known (`total`, `affected`, `rolled_back`)."""
    known = {key: value for key, value in facts.items() if value is not None}
    end = json.dumps({"truncated": truncated, **known}, separators=(",", ":"))
    return f"],{end[1:]}".encode()


def error(sqlstate: str, message: str, position: int | None = None, hint: str = "", detail: str = "") -> bytes:
    """The document of a refusal by the server. Empty members are left out."""
    members = {"sqlstate": sqlstate, "message": message, "position": position, "detail": detail, "hint": hint}
    shown = {key: value for key, value in members.items() if value}
    return json.dumps({"error": shown}, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


class Bounded:
    """Rows of a document within `max_rows` and `max_bytes`; `truncated` once one did not fit."""

    def __init__(self, max_rows: int, max_bytes: int) -> None:
        self.count = 0
        self.truncated = False
        self._rows, self._bytes = max_rows, max_bytes

    @property
    def left(self) -> int:
        """Bytes that still fit."""
        return self._bytes

    def take(self, rows: Iterable[Sequence[str]]) -> bytes:
        """The rows that fit, written; call no more once `truncated`."""
        out = io.StringIO()
        for cells in rows:
            line = f"{',' if self.count else ''}[{','.join(cells)}]"
            self._bytes -= len(line)
            if self.count >= self._rows or self._bytes < 0:
                self.truncated = True
                break
            out.write(line)
            self.count += 1
        return out.getvalue().encode("utf-8", "replace")


async def document(
    columns: Sequence[Column],
    batches: AsyncIterator[Iterable[Sequence[str]]],
    bounded: Bounded,
    facts: dict[str, object],
) -> AsyncIterator[bytes]:
    """The document of all batches that fit. `facts` are read at the end, so that an engine may learn them on the way.

    What comes after the first row that did not fit is not asked for; where there is none, all rows are the `total`.
    """
    yield document_head(columns)
    async for rows in batches:
        if data := bounded.take(rows):
            yield data
        if bounded.truncated:
            break
    yield document_tail(truncated=bounded.truncated, total=None if bounded.truncated else bounded.count, **facts)


def csv_lines(rows: Iterable[Sequence[str | None]]) -> bytes:
    """Rows as CSV (RFC 4180), as PostgreSQL's COPY has it: NULL is empty, an empty text is two quotes."""
    return "".join(",".join(map(_csv_cell, row)) + "\n" for row in rows).encode("utf-8", "replace")


def _csv_cell(cell: str | None) -> str:
    if cell is None:
        return ""
    if not cell or _QUOTED(cell):
        return '"' + cell.replace('"', '""') + '"'
    return cell


def json_line(columns: Sequence[Column], cells: Sequence[str]) -> bytes:
    """A row as one line of JSON, by the columns' names."""
    members = ",".join(f"{text(c.name)}:{cell}" for c, cell in zip(columns, cells, strict=True))
    return f"{{{members}}}\n".encode("utf-8", "replace")
