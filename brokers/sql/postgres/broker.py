"""The broker of PostgreSQL: which act is performed by which statements, and what becomes of the answer.

Rules of this file
- What reads is streamed and never committed; what writes is over before it is told.
- A refusal by the server is an answer. Whatever else goes wrong, the session is not used again.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, ClassVar, cast

from psycopg.postgres import types as builtin

from brokers.contract import BrokerError, Outcome
from brokers.resolver import system_resolver
from brokers.sql import export, records, rows
from brokers.sql.broker import SqlBroker
from brokers.sql.kind import Postgres
from brokers.sql.postgres import catalogue, cells, faults, role
from brokers.sql.postgres.pool import Pool
from brokers.sql.postgres.session import RefusedError, has_rows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from psycopg.pq.abc import PGresult

    from brokers.contract import Connection, Credential, Plan
    from brokers.declaration import Kind
    from brokers.resolver import Resolver
    from brokers.sql.arguments import Scalar
    from brokers.sql.postgres.pool import Lane, Loan
    from brokers.sql.postgres.session import Session

_LOOK_SECONDS = 15.0
_CHUNK = 1 << 18  # bytes of a load that are sent in one go


class PostgresBroker(SqlBroker):
    """Calls on PostgreSQL."""

    kind: ClassVar[str] = "postgres"
    dialect: ClassVar[str] = "postgres"
    declared: ClassVar[Kind] = Postgres()

    def __init__(self, resolver: Resolver = system_resolver) -> None:
        super().__init__(resolver)
        self._pool = Pool(resolver)

    async def aclose(self) -> None:
        """Close every session."""
        await self._pool.aclose()

    async def query(self, plan: Plan, credential: Credential) -> Outcome:
        """See `SqlBroker`."""
        if plan.request["mode"] == "write":
            return await self._whole(plan, credential, _written, write=True)
        if plan.request["export"] == "csv" and not plan.request["params"]:
            return await self._copied(plan, credential)
        return await self._read(plan, credential)

    async def estimate(self, plan: Plan, credential: Credential) -> Outcome:
        """See `SqlBroker`."""
        return await self._whole(plan, credential, _estimated, write=False)

    async def schema(self, plan: Plan, credential: Credential) -> Outcome:
        """See `SqlBroker`."""
        return await self._whole(plan, credential, _schema, write=False)

    async def load(self, plan: Plan, credential: Credential) -> Outcome:
        """See `SqlBroker`."""
        return await self._whole(plan, credential, _loaded, write=True)

    async def inspect(self, connection: Connection, credential: Credential) -> dict[str, object]:
        """`{server, warnings, script}`: what the role can do beyond reading. Raises `BrokerError`."""
        loan = await self._pool.borrow(connection, credential)
        try:
            await loan.session.begin(write=False, seconds=_LOOK_SECONDS)
            found = await loan.session.whole(role.question())
        except RefusedError:
            raise BrokerError("refused", why="the server does not say what the role may do") from None
        except BaseException:
            await loan.session.cut()
            raise
        finally:
            await loan.release()
        facts = {_name(found, at): _cell(found, at) for at in range(found.nfields)}
        return role.told(facts, str(connection.target["database"]))

    async def _whole(
        self, plan: Plan, credential: Credential, work: Callable[[Plan, Loan], object], *, write: bool
    ) -> Outcome:
        """The document that `work` makes, once it is made and the transaction is over."""
        head: dict[str, object] = {}
        async with self._lent(plan, credential) as loan:
            try:
                await loan.session.begin(write=write, seconds=plan.limits.timeout)
                body = await cast("AsyncWork", work)(plan, loan)
                if write:
                    await loan.session.end(commit=plan.request["dry_run"] is not True)
            except RefusedError as refusal:
                head, body = {"failed": True}, faults.answer(refusal.told, _own(plan))
        return Outcome(head, _once(body), _nothing)

    async def _read(self, plan: Plan, credential: Credential) -> Outcome:
        """A query's rows as they come, as a document or as a file of JSON."""
        head: dict[str, object] = {}
        stream = self._rows(plan, credential, head)
        try:
            first = await anext(stream)  # a refusal is told before the answer is
        except BaseException:
            await stream.aclose()  # type: ignore[attr-defined]  # a generator's
            raise
        return Outcome(head, _then(first, stream), stream.aclose)  # type: ignore[attr-defined]  # as above

    async def _rows(self, plan: Plan, credential: Credential, head: dict[str, object]) -> AsyncIterator[bytes]:
        given = plan.request
        async with self._lent(plan, credential) as loan:
            try:
                params = cast("Sequence[Scalar]", given["params"])
                await loan.session.ask(str(given["sql"]), params, plan.limits.timeout)
                results = loan.session.results()
                first = await anext(results)
                columns, encoders = await self._columns(first, loan.lane, plan, credential)
                batches = _batches(first, results, encoders)
                if form := str(given["export"]):
                    write = {"csv": _as_csv, "jsonl": export.lines, "json": export.listed}[form]
                    async for data in write(columns, batches):
                        yield data
                    return
                bounded = rows.Bounded(cast("int", given["max_rows"]), plan.limits.max_bytes)
                async for data in rows.document(columns, batches, bounded, {}):
                    yield data
                if bounded.truncated:
                    await loan.session.cut()
            except RefusedError as refusal:
                if given["export"]:
                    raise _no_file() from None
                head["failed"] = True
                yield faults.answer(refusal.told, _own(plan))

    async def _copied(self, plan: Plan, credential: Credential) -> Outcome:
        """A query's rows as CSV, by COPY: the server writes them as fast as it can."""

        async def stream() -> AsyncIterator[bytes]:
            async with self._lent(plan, credential) as loan:
                sql = str(plan.request["sql"]).rstrip("; \t\r\n")
                try:
                    await loan.session.begin(write=False, seconds=plan.limits.timeout)
                    # By itself it must be one statement: what is, cannot end the bracket that it is put into. The line
                    # end before that closes a comment.
                    await loan.session.whole(f"EXPLAIN {sql}")
                    await loan.session.send(f"COPY (\n{sql}\n) TO STDOUT (FORMAT csv, HEADER)", portions=False)
                    async for data in loan.session.copied():
                        yield data
                except RefusedError:
                    raise _no_file() from None

        body = stream()
        return Outcome({}, body, body.aclose)  # type: ignore[attr-defined]  # a generator's

    @asynccontextmanager
    async def _lent(self, plan: Plan, credential: Credential) -> AsyncIterator[Loan]:
        """A session for as long as the call may take; cut where it did not end well."""
        try:
            async with asyncio.timeout(plan.limits.timeout + 1):  # the server's own clock rings first
                loan = await self._pool.borrow(plan.connection, credential)
                try:
                    yield loan
                except BaseException:
                    await asyncio.shield(loan.session.cut())
                    raise
                finally:
                    await loan.release()
        except TimeoutError:
            raise BrokerError("timeout", seconds=max(1, round(plan.limits.timeout))) from None

    async def _columns(
        self, first: PGresult, lane: Lane, plan: Plan, credential: Credential
    ) -> tuple[list[rows.Column], list[cells.Encoder]]:
        if not has_rows(first):
            return [], []
        if first.nfields > rows.MAX_COLUMNS:
            raise BrokerError("too-large", limit=f"{rows.MAX_COLUMNS:,} columns")
        oids = [first.ftype(at) for at in range(first.nfields)]
        for oid in {*oids} - lane.types.keys():
            lane.types[oid] = await self._type(oid, plan.connection, credential)
        columns = [rows.Column(_name(first, at), lane.types[oid][0]) for at, oid in enumerate(oids)]
        return columns, [cells.encoder(oid, lane.types[oid][1]) for oid in oids]

    async def _type(self, oid: int, connection: Connection, credential: Credential) -> tuple[str, int | None]:
        """A type's name, and what an array of it is made of. One that is not built in is asked for, by another session."""
        if (known := builtin.get(oid)) is not None:
            return (known.name, None) if known.oid == oid else (f"_{known.name}", known.oid)
        loan = await self._pool.borrow(connection, credential)
        try:
            found = await loan.session.whole(catalogue.TYPES, (oid,))
        except RefusedError:
            return f"oid {oid}", None
        finally:
            await loan.release()
        if not found.ntuples:
            return f"oid {oid}", None
        return _cell(found, 1), int(_cell(found, 2)) if _cell(found, 2) else None


AsyncWork = object


async def _written(plan: Plan, loan: Loan) -> bytes:
    """Rows that a write returns within bounds, and how many it touched: it is read to its end, whatever is shown."""
    given = plan.request
    await loan.session.send(str(given["sql"]), cast("Sequence[Scalar]", given["params"]))
    bounded = rows.Bounded(cast("int", given["max_rows"]), plan.limits.max_bytes)
    columns: list[rows.Column] = []
    out, affected = list[bytes](), 0
    async for found in loan.session.results():
        affected = found.command_tuples if found.command_tuples is not None else affected
        if not has_rows(found):
            continue
        columns = columns or [rows.Column(_name(found, at), _builtin(found, at)) for at in range(found.nfields)]
        encoders = [cells.encoder(found.ftype(at)) for at in range(found.nfields)]
        if not bounded.truncated:
            out.append(bounded.take(_cells(found, encoders)))
    facts: dict[str, object] = {"affected": affected, "rolled_back": True if given["dry_run"] is True else None}
    return rows.document_head(columns) + b"".join(out) + rows.document_tail(truncated=bounded.truncated, **facts)


async def _estimated(plan: Plan, loan: Loan) -> bytes:
    found = await loan.session.whole(
        f"EXPLAIN (FORMAT JSON) {plan.request['sql']}", cast("Sequence[Scalar]", plan.request["params"])
    )
    top = json.loads(_cell(found, 0))[0]["Plan"]
    below = top.get("Plans", []) if top["Node Type"] == "ModifyTable" else [top]
    return json.dumps({"rows": sum(int(each["Plan Rows"]) for each in below)}).encode()


async def _schema(plan: Plan, loan: Loan) -> bytes:
    given = plan.request
    await loan.session.send(catalogue.TABLES, (str(given["schema"]), str(given["table"])))
    tables, size, truncated = list[str](), 0, False
    async for found in loan.session.results():
        for at in range(found.ntuples):
            told = (found.get_value(at, 0) or b"").decode("utf-8", "replace")
            size += len(told)
            truncated = truncated or len(tables) >= catalogue.MAX_TABLES or size > plan.limits.max_bytes
            if not truncated:
                tables.append(told)
    return f'{{"tables":[{",".join(tables)}],"truncated":{"true" if truncated else "false"}}}'.encode()


async def _loaded(plan: Plan, loan: Loan) -> bytes:
    given = plan.request
    columns, found = records.read(
        plan.body, str(given["format"]), cast("Sequence[str]", given["columns"]), header=given["header"] is True
    )
    table = ".".join(_quoted(part) for part in str(given["table"]).split("."))
    names = f" ({', '.join(map(_quoted, columns))})" if columns else ""
    data = b"".join(_line(row) for row in found)
    chunks = [data[at : at + _CHUNK] for at in range(0, len(data), _CHUNK)]
    affected = await loan.session.copy_in(f"COPY {table}{names} FROM STDIN", chunks)
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


async def _batches(
    first: PGresult, results: AsyncIterator[PGresult], encoders: Sequence[cells.Encoder]
) -> AsyncIterator[list[list[str]]]:
    yield _cells(first, encoders)
    async for found in results:
        yield _cells(found, encoders)


async def _as_csv(columns: Sequence[rows.Column], batches: AsyncIterator[list[list[str]]]) -> AsyncIterator[bytes]:
    """Of a query with parameters, which COPY does not take: texts as they are, all else as JSON."""

    async def plain() -> AsyncIterator[list[list[str | None]]]:
        async for batch in batches:
            yield [[_csv_text(cell) for cell in row] for row in batch]

    async for data in export.csv(columns, plain()):
        yield data


def _csv_text(cell: str) -> str | None:
    if cell == "null":
        return None
    return str(json.loads(cell)) if cell.startswith('"') else cell


def _cells(found: PGresult, encoders: Sequence[cells.Encoder]) -> list[list[str]]:
    if not has_rows(found):
        return []
    columns = list(enumerate(encoders))
    value = found.get_value
    return [
        ["null" if (data := value(row, at)) is None else encode(data) for at, encode in columns]
        for row in range(found.ntuples)
    ]


def _name(found: PGresult, at: int) -> str:
    return (found.fname(at) or b"").decode("utf-8", "replace")


def _cell(found: PGresult, at: int) -> str:
    return (found.get_value(0, at) or b"").decode("utf-8", "replace")


def _builtin(found: PGresult, at: int) -> str:
    known = builtin.get(found.ftype(at))
    return known.name if known is not None else f"oid {found.ftype(at)}"


def _own(plan: Plan) -> tuple[str, ...]:
    target = plan.connection.target
    return str(target["user"]), str(target["host"]), str(target["database"])


def _no_file() -> BrokerError:
    return BrokerError("refused", why="the server refuses the statement; without a file it says why")


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def _then(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for data in rest:
        yield data


async def _nothing() -> None:
    """There is nothing left to free."""
