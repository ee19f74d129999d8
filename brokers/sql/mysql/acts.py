"""Queries, estimates, schemas and loads, each on a session of its own for as long as it takes.

Rules of this file
- What reads is streamed, and what writes is over before it is told: a commit does not wait for a reader.
- A refusal by the server is an answer. A session that refused is made as new like any other.
- Whatever else goes wrong, the session is not used again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from brokers.contract import BrokerError, Outcome
from brokers.sql import answer, export, records, rows
from brokers.sql.mysql import catalogue, cells, faults, literal, own, role, text
from brokers.sql.mysql.driver import Error
from brokers.sql.mysql.pool import Pool
from brokers.sql.mysql.session import number_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from brokers.contract import Connection, Credential, Plan
    from brokers.personal import Findings
    from brokers.resolver import Resolver
    from brokers.sql.arguments import Scalar
    from brokers.sql.mysql.call import Call
    from brokers.sql.mysql.session import Session

_PORTION, _PORTION_BYTES = 1000, 512 << 10  # rows and characters of one INSERT: servers take 1 MiB and more
_LOOK_SECONDS = 15.0
_REFUSALS = (Error,)


class Acts:
    """What is done on MySQL and MariaDB. Its state is the pool."""

    def __init__(self, resolver: Resolver) -> None:
        self._pool = Pool(resolver)

    async def aclose(self) -> None:
        """Close every session."""
        await self._pool.aclose()

    async def query(self, plan: Plan, credential: Credential) -> Outcome:
        """See `SqlBroker`."""
        given, sql = plan.request, str(plan.request["sql"])
        write, dry_run = given["mode"] == "write", given["dry_run"] is True
        if dry_run:
            text.check_dry_run(sql)
        if not write:
            text.check_read(sql)
        sent = literal.placed(sql, cast("Sequence[Scalar]", given["params"]))
        if not write:
            return await self._read(plan, credential, sent)
        bounded = rows.Bounded(cast("int", given["max_rows"]), plan.limits.max_bytes)
        tables = cast("Sequence[str]", given["tables"])

        def work(session: Session) -> bytes:
            if dry_run:
                catalogue.check_rollback(session, tables)
            return _changed(session, sent, bounded, dry_run=dry_run)

        return await self._whole(plan, credential, work, write=True)

    async def estimate(self, plan: Plan, credential: Credential) -> Outcome:
        """See `SqlBroker`."""
        sql = str(plan.request["sql"])
        text.check_explainable(sql)
        sent = literal.placed(sql, cast("Sequence[Scalar]", plan.request["params"]))
        tables = cast("Sequence[str]", plan.request["tables"])

        def work(session: Session) -> bytes:
            return catalogue.estimate(session, sent, tables)

        # MariaDB refuses to explain a change in a read-only transaction. There is nothing in it to be performed, and
        # the transaction is rolled back.
        return await self._whole(plan, credential, work, write=True)

    async def schema(self, plan: Plan, credential: Credential) -> Outcome:
        """See `SqlBroker`."""
        schema, table = str(plan.request["schema"]), str(plan.request["table"])
        most = plan.limits.max_bytes
        return await self._whole(
            plan, credential, lambda session: catalogue.schema(session, schema, table, most), write=False
        )

    async def load(self, plan: Plan, credential: Credential) -> Outcome:
        """See `SqlBroker`."""
        given = plan.request
        columns, found = records.read(
            plan.body, str(given["format"]), cast("Sequence[str]", given["columns"]), header=given["header"] is True
        )
        dry_run, table = given["dry_run"] is True, str(given["table"])

        def work(session: Session) -> bytes:
            if dry_run:
                catalogue.check_rollback(session, (table,))
            affected = sum(session.do(insert).affected for insert in inserts(table, columns, found))
            return _ended(session, affected, dry_run=dry_run)

        return await self._whole(plan, credential, work, write=True)

    async def inspect(self, connection: Connection, credential: Credential) -> Findings:
        """See `MysqlBroker`."""
        call = await self._pool.call(connection, credential, _LOOK_SECONDS)
        try:
            version, grants = await call.start(role.look, write=False)
        except Error:
            call.give_back()
            raise BrokerError("refused", why="the server does not say what the role may do") from None
        except BaseException:
            call.abandon()
            raise
        call.give_back()
        return role.told(version, grants, str(connection.target["database"]))

    async def _whole(
        self, plan: Plan, credential: Credential, work: Callable[[Session], bytes], *, write: bool
    ) -> Outcome:
        """The document that `work` makes, once it is made."""
        call = await self._pool.call(plan.connection, credential, plan.limits.timeout)
        try:
            told = answer.whole(await call.start(work, write=write))
        except Error as error:
            told = _refusal(error, call)
        except BaseException:
            call.abandon()
            raise
        call.give_back()
        return told

    async def _read(self, plan: Plan, credential: Credential, sent: str) -> Outcome:
        """A query's rows as they come."""
        given = plan.request
        form = str(given["export"])
        call = await self._pool.call(plan.connection, credential, plan.limits.timeout)
        reading = _Reading(call, plain=form == "csv")

        def work(session: Session) -> None:
            own.check(session, plan)
            reading.begin(session, sent)

        try:
            await call.start(work, write=False)
        except Error as error:
            told = _refusal(error, call)
            call.give_back()
            if form:
                raise export.refused() from None
            return told
        except BaseException as error:
            if isinstance(error, BrokerError) and error.code == "refused":
                call.give_back()  # nothing of the statement was sent
            call.abandon()
            raise
        if form == "csv":
            return Outcome({}, export.kept(export.csv(reading.columns, reading.spelled()), _REFUSALS), reading.aclose)
        if form:
            write = export.lines if form == "jsonl" else export.listed
            return Outcome({}, export.kept(write(reading.columns, reading.written()), _REFUSALS), reading.aclose)
        bounded = rows.Bounded(cast("int", given["max_rows"]), plan.limits.max_bytes)
        body_of = rows.document(reading.columns, reading.told(bounded), bounded, reading.facts)
        return Outcome({}, body_of, reading.aclose)


class _Reading:
    """The rows of a query, batch by batch, each read and written in a thread."""

    def __init__(self, call: Call, *, plain: bool) -> None:
        self.columns: tuple[rows.Column, ...] = ()
        self.facts: dict[str, object] = {}
        self._call, self._plain = call, plain
        self._writers: list[Callable[[bytes], str]] = []
        self._first: list[Sequence[str | None]] = []
        self._done = False

    def begin(self, session: Session, sent: str) -> None:
        """Send the statement and take the first rows: what is refused later has an answer begun already."""
        result = session.execute(sent)
        self.columns = tuple(map(cells.column, result.fields))
        self._writers = [cells.writer(field, plain=self._plain) for field in result.fields]
        self._first = self._next(session)

    def _next(self, session: Session) -> list[Sequence[str | None]]:
        found, write = session.batch(len(self._writers)), self._writers
        self._done = session.finished
        if self._plain:
            return [cells.spelled(row, write) for row in found]
        return [cells.written(row, write) for row in found]

    async def spelled(self) -> AsyncIterator[Sequence[Sequence[str | None]]]:
        """Rows of text, NULL as None; or of JSON fragments, as it was asked for."""
        batch, self._first = self._first, []
        while batch:
            yield batch
            try:
                batch = [] if self._done else await self._call.run(lambda: self._next(self._call.session))
            except Error:
                self._done = True  # the server has ended the rows: nothing of them is left to read away, or to kill
                raise

    async def written(self) -> AsyncIterator[Sequence[Sequence[str]]]:
        """Rows of JSON fragments."""
        async for batch in self.spelled():
            yield cast("Sequence[Sequence[str]]", batch)

    async def told(self, bounded: rows.Bounded) -> AsyncIterator[Sequence[Sequence[str]]]:
        """As `written`; a refusal by the server on the way is told at the document's end."""
        try:
            async for batch in self.written():
                yield batch
        except Error as error:
            self.facts["error"] = _told(error, self._call)
            bounded.truncated = True

    async def aclose(self) -> None:
        """Free the session."""
        if self._done:
            self._call.give_back()
        else:
            self._call.leave_rows()


def _changed(session: Session, sent: str, bounded: rows.Bounded, *, dry_run: bool) -> bytes:
    """The document of a statement that changes something. Its rows (RETURNING) are within bounds, all are read."""
    result = session.execute(sent)
    writers = [cells.writer(field, plain=False) for field in result.fields]
    parts, count = [rows.document_head([cells.column(field) for field in result.fields])], 0
    while batch := session.batch(len(writers)):
        count += len(batch)
        if not bounded.truncated:
            parts.append(bounded.take(cells.written(row, writers) for row in batch))
    affected = count if result.fields else result.affected
    parts.append(_end(session, affected, dry_run=dry_run, truncated=bounded.truncated))
    return b"".join(parts)


def _ended(session: Session, affected: int, *, dry_run: bool) -> bytes:
    return rows.document_head(()) + _end(session, affected, dry_run=dry_run, truncated=False)


def _end(session: Session, affected: int, *, dry_run: bool, truncated: bool) -> bytes:
    """Commit, or roll back, and say so."""
    last = session.do("ROLLBACK" if dry_run else "COMMIT")
    # A warning here is the server's that a table without transactions keeps its change.
    undone = last.warnings == 0 if dry_run else None
    return rows.document_tail(truncated=truncated, affected=affected, rolled_back=undone)


def inserts(table: str, columns: Sequence[str], found: Iterator[list[Scalar]]) -> Iterator[str]:
    """The statements that add the rows, several in each."""
    named = f" ({', '.join(map(literal.column, columns))})" if columns else ""
    head = f"INSERT INTO {literal.name(table)}{named} VALUES "  # noqa: S608 - names in quotes, values as literals
    values: list[str] = []
    size = 0
    for row in found:
        value = f"({', '.join(map(literal.literal, row))})"
        if values and (len(values) >= _PORTION or size + len(value) > _PORTION_BYTES):
            yield head + ", ".join(values)
            values, size = [], 0
        values.append(value)
        size += len(value)
    if values:
        yield head + ", ".join(values)


def _told(error: Error, call: Call) -> dict[str, str]:
    message = str(error.args[1]) if len(error.args) > 1 else ""
    return faults.members(number_of(error), getattr(error, "sqlstate", None) or "", message, call.session.words)


def _refusal(error: Error, call: Call) -> Outcome:
    told = _told(error, call)
    return answer.refused(told["sqlstate"], faults.document(told))
