"""What is done whole before it is told: writes, estimates, schemas and loads, each on an open transaction.

Rules of this file
- The text that was judged is the text that is sent; what is put around it is of this file.
- Names in a statement of ours are quoted.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

from brokers.sql import records, rows
from brokers.sql.pg import catalogue, cells, copying, reading
from brokers.sql.pg.session import has_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from brokers.contract import Plan
    from brokers.sql.arguments import Scalar
    from brokers.sql.pg.session import Session

_CHUNK = 1 << 18  # bytes of a load that are sent in one go


async def written(plan: Plan, session: Session) -> bytes:
    """Rows that a write returns within bounds, and how many it touched: it is read to its end, whatever is shown."""
    given = plan.request
    await session.send(str(given["sql"]), cast("Sequence[Scalar]", given["params"]))
    bounded = rows.Bounded(cast("int", given["max_rows"]), plan.limits.max_bytes)
    columns: list[rows.Column] = []
    out, affected = list[bytes](), 0
    async for found in session.results():
        affected = found.command_tuples if found.command_tuples is not None else affected
        if not has_rows(found):
            continue
        columns = columns or [
            rows.Column(reading.name(found, at), reading.builtin_type(found, at)) for at in range(found.nfields)
        ]
        encoders = [cells.encoder(found.ftype(at)) for at in range(found.nfields)]
        if not bounded.truncated:
            out.append(bounded.take(reading.rows_of(found, encoders)))
    facts: dict[str, object] = {"affected": affected, "rolled_back": True if given["dry_run"] is True else None}
    return rows.document_head(columns) + b"".join(out) + rows.document_tail(truncated=bounded.truncated, **facts)


async def estimated(plan: Plan, session: Session) -> bytes:
    """How many rows the planner expects the statement to touch: what goes into the node that changes them."""
    found = await session.whole(
        f"EXPLAIN (FORMAT JSON) {plan.request['sql']}", cast("Sequence[Scalar]", plan.request["params"])
    )
    top = json.loads(reading.cell(found, 0))[0]["Plan"]
    below = top.get("Plans", []) if top["Node Type"] == "ModifyTable" else [top]
    return json.dumps({"rows": sum(int(each["Plan Rows"]) for each in below)}).encode()


async def schema(plan: Plan, session: Session) -> bytes:
    """The tables, within bounds."""
    given = plan.request
    await session.send(catalogue.TABLES, (str(given["schema"]), str(given["table"])))
    tables, size, truncated = list[str](), 0, False
    async for found in session.results():
        for at in range(found.ntuples):
            told = (found.get_value(at, 0) or b"").decode("utf-8", "replace")
            size += len(told)
            truncated = truncated or len(tables) >= catalogue.MAX_TABLES or size > plan.limits.max_bytes
            if not truncated:
                tables.append(told)
    return f'{{"tables":[{",".join(tables)}],"truncated":{"true" if truncated else "false"}}}'.encode()


async def loaded(plan: Plan, session: Session) -> bytes:
    """The rows of a file into a table, all or none."""
    given = plan.request
    columns, found = records.read(
        plan.body, str(given["format"]), cast("Sequence[str]", given["columns"]), header=given["header"] is True
    )
    table = ".".join(_quoted(part) for part in str(given["table"]).split("."))
    names = f" ({', '.join(map(_quoted, columns))})" if columns else ""
    data = b"".join(_line(row) for row in found)
    chunks = [data[at : at + _CHUNK] for at in range(0, len(data), _CHUNK)]
    affected = await copying.into(session, f"COPY {table}{names} FROM STDIN", chunks)
    rolled_back = True if given["dry_run"] is True else None
    return rows.document_head([]) + rows.document_tail(truncated=False, affected=affected, rolled_back=rolled_back)


_COPY = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})


def _line(row: Sequence[Scalar]) -> bytes:
    """A row in COPY's text format."""
    return ("\t".join(map(_copied_text, row)) + "\n").encode()


def _copied_text(cell: Scalar) -> str:
    if cell is None:
        return r"\N"
    return (str(cell).lower() if isinstance(cell, bool) else str(cell)).translate(_COPY)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
