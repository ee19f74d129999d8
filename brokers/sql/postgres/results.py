"""The rows of one statement as they come: columns by name and type, portion by portion.

Rules of this file
- The columns are known, and types that are not built in looked up, before the statement is performed: afterwards the
  session is busy with its rows.
- A refusal on the way is told at the document's end, since its beginning is out.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from psycopg.postgres import types as builtin
from psycopg.pq import ExecStatus

from brokers.contract import BrokerError
from brokers.sql import rows
from brokers.sql.postgres import catalogue, cells, faults
from brokers.sql.postgres.wire import cells_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from psycopg.pq.abc import PGresult

    from brokers.sql.postgres.call import Call

    Tell = Callable[[faults.Refusal], dict[str, object]]

_MORE = frozenset({ExecStatus.TUPLES_CHUNK, ExecStatus.SINGLE_TUPLE})
_ENDS = frozenset({ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK, ExecStatus.EMPTY_QUERY})
# Arrays in name, whose text is a list of blanks and numbers.
_NO_ARRAYS = frozenset({22, 30})
_NAME = 256  # bytes of a type's name: the server's own bound is 64
_TYPES = 4096  # types of one lane
_SLICE = 64 << 10  # bytes of cells that are written at a time
_SEMICOLON = 603  # box: the one built-in type whose arrays have no commas
_BUILTIN: dict[int, tuple[str, int, bytes]] = {}
for _type in builtin:
    _BUILTIN[_type.oid] = (_type.name, 0, b",")
    if _type.array_oid:
        _BUILTIN[_type.array_oid] = (f"_{_type.name}", _type.oid, b";" if _type.oid == _SEMICOLON else b",")


class Rows:
    """The rows of what was parsed. `facts` are what the document's end tells besides."""

    def __init__(self, call: Call, tell: Tell) -> None:
        self.columns: tuple[rows.Column, ...] = ()
        self.facts: dict[str, object] = {}
        self.done = False
        self.tag = b""
        self.affected: int | None = None
        self._call, self._tell = call, tell
        self._writers: list[cells.Writer] = []
        self._first: PGresult | None = None
        self._width = 1  # columns: what kv asks for itself has one, and is not described

    async def describe(self, described: PGresult) -> None:
        """Take the columns from what the server said of the statement. Raises as `Call.timed`."""
        if described.nfields > rows.MAX_COLUMNS:
            raise BrokerError("too-large", limit=rows.MAX_COLUMNS)
        self._width = described.nfields
        numbers = [described.ftype(at) for at in range(described.nfields)]
        types = self._call.lane.types
        known = {number: found for number in numbers if (found := _BUILTIN.get(number) or types.get(number))}
        known |= await self._look_up({*numbers} - known.keys())
        self.columns = tuple(
            rows.Column((described.fname(at) or b"").decode("utf-8", "replace"), known[number][0])
            for at, number in enumerate(numbers)
        )
        elements = {
            number: (element, comma)
            for number, (_, element, comma) in known.items()
            if element and number not in _NO_ARRAYS
        }
        self._writers = [cells.writer(number, elements) for number in numbers]

    def knows(self, described: PGresult) -> bool:
        """Whether all types are known already."""
        types = self._call.lane.types
        return all((number := described.ftype(at)) in _BUILTIN or number in types for at in range(described.nfields))

    async def _look_up(self, missing: set[int]) -> dict[int, tuple[str, int, bytes]]:
        """The types of these numbers, kept in the lane: a server says as much of each as a name takes, of no other."""
        if not missing:
            return {}
        listed = ("{" + ",".join(map(str, sorted(missing))) + "}").encode()
        told = await self._call.timed(self._call.session.table(catalogue.TYPES, [listed]))
        found = {number: (f"oid {number}", 0, b",") for number in missing}
        try:
            for number, name, element, comma in told:
                if int(number or b"0") in missing:
                    named = (name or b"")[:_NAME].decode("utf-8", "replace")
                    found[int(number or b"0")] = (named, int(element or b"0"), (comma or b",")[:1])
        except ValueError:
            raise BrokerError("broken") from None
        types = self._call.lane.types
        if len(types) + len(found) > _TYPES:
            types.clear()
        types.update(found)
        return found

    async def begin(self, params: Sequence[bytes | None], portion: int) -> None:
        """Perform it, and take the first rows: what is refused up to here is an answer of its own."""
        self._first = await self._call.timed(self._call.session.run(params, portion))

    async def asked(self) -> None:
        """As `begin`, of what was sent with the transaction's opening."""
        self._first = await self._call.timed(self._call.session.next())

    async def batches(self) -> AsyncIterator[list[list[bytes | None]]]:
        """The cells as the server spells them, a portion of rows at a time."""
        found = self._first
        while found is not None:
            self._first = None
            if found.status not in _MORE and found.status not in _ENDS:
                raise BrokerError("argument", argument="sql", why="COPY goes through kv: save the rows, or load them")
            # libpq notes the end of the command on whatever result it has at hand then.
            self.tag = found.command_status or self.tag
            self.affected = found.command_tuples if found.command_tuples is not None else self.affected
            if found.ntuples:
                if found.nfields != self._width:
                    raise BrokerError("broken")
                yield cells_of(found)
            if found.status in _MORE:
                found = await self._call.timed(self._call.session.next())
                continue
            await self._call.timed(self._call.session.end())
            self.done, found = True, None

    async def written(self, bounded: rows.Bounded | None = None) -> AsyncIterator[list[list[str]]]:
        """Rows of JSON fragments, few enough at a time that writing them holds nobody up.

        The first row that is longer than what is left of `bounded` ends it: no further one is written, though all are
        read for who goes on asking.
        """
        async for batch in self.batches():
            slice_, size = list[list[str]](), 0
            for row in batch:
                if bounded is not None:
                    bounded.truncated = bounded.truncated or size + _size(row) > bounded.left
                    if bounded.truncated:
                        break
                slice_.append(cells.written(row, self._writers))
                size += _size(row)
                if size > _SLICE:
                    yield slice_
                    slice_, size = [], 0
                    await asyncio.sleep(0)
            yield slice_

    async def spelled(self) -> AsyncIterator[list[list[str | None]]]:
        """Rows of text, NULL as None."""
        async for batch in self.batches():
            yield [cells.spelled(row) for row in batch]

    async def told(self, bounded: rows.Bounded) -> AsyncIterator[list[list[str]]]:
        """As `written`; a refusal by the server on the way is told at the document's end."""
        try:
            async for batch in self.written(bounded):
                yield batch
        except faults.Refused as refused:
            self.done = True
            self.facts["error"] = self._tell(refused.refusal)
            bounded.truncated = True

    async def aclose(self) -> None:
        """Free the session."""
        if self.done:
            self._call.give_back()
        else:
            self._call.leave_rows()


def _size(row: Sequence[bytes | None]) -> int:
    return sum(len(cell) for cell in row if cell is not None)
