"""Ways round a read, and servers and neighbours that misbehave: what fails is told, and the next call works."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from postgres_relay import Relay, columns, notification, parameter, row
from postgres_server import USER, Postgres, lent, performed

from brokers.contract import BrokerError, Effect, Limits, Plan
from brokers.sql.postgres import PostgresBroker, cells
from brokers.sql.postgres.gate import Gate

if TYPE_CHECKING:
    from collections.abc import Iterator

TESTS = Path(__file__).parents[2]
ROOT = TESTS.parent


@pytest.fixture(scope="module")
def served() -> Iterator[Postgres]:
    """One server for the module."""
    with Postgres() as server:
        yield server


@pytest.fixture
def server(served: Postgres) -> Postgres:
    """The server, with the tables as they begin; the user is its superuser, whom privileges hold back from nothing."""
    served.root(
        f"DROP SCHEMA IF EXISTS public CASCADE; CREATE SCHEMA public; ALTER ROLE {USER} SUPERUSER; SET ROLE {USER};"  # noqa: S608 - words of this file
        "CREATE TABLE t (id int PRIMARY KEY, name text); INSERT INTO t VALUES (1, 'one'), (2, NULL)"
    )
    return served


def planned(server: Postgres, sql: str, *, write: bool = False, seconds: float = 20, **more: object) -> Plan:
    """A plan that no classifier has seen: the server alone has to hold it."""
    request: dict[str, object] = {
        "act": "query",
        "method": "SELECT",
        "sql": sql,
        "params": (),
        "mode": "write" if write else "read",
        "tables": (),
        "rows": True,
        "explainable": False,
        "max_rows": 1000,
        "export": "",
        "dry_run": False,
        **more,
    }
    return Plan(server.connection(), Effect.READ, "", "", request, limits=Limits(seconds))


async def perform(broker: PostgresBroker, plan: Plan) -> Any:  # noqa: ANN401 - a document
    """The document of a plan."""
    head, data = await performed(broker, plan, lent())
    return json.loads(data) if head["form"] == "json" else data


def every(*plans: Plan) -> list[Any]:
    """The documents of plans, one after another on one broker; of those that fail the error."""

    async def all_of() -> list[Any]:
        broker, found = PostgresBroker(), list[Any]()
        for plan in plans:
            try:
                found.append(await perform(broker, plan))
            except BrokerError as error:
                found.append(error)
        await broker.aclose()
        return found

    return asyncio.run(all_of())


@pytest.mark.parametrize(
    "sql",
    [
        "COMMIT; DELETE FROM t",
        "ROLLBACK; DELETE FROM t",
        "SELECT 1; DELETE FROM t",
        "END; BEGIN; DELETE FROM t",
        "DELETE FROM t",
        "WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d",
        "SELECT * FROM t FOR UPDATE",
        "EXPLAIN ANALYZE DELETE FROM t",
        "DO $$ BEGIN DELETE FROM t; END $$",
        "TRUNCATE t",
        "SELECT nextval('s')",
        "CREATE TEMP TABLE x (y int)",
        "SELECT 1 INTO TEMP x",
        "COPY t TO PROGRAM 'true'; SELECT 1",
        "VACUUM t",
        "ALTER SYSTEM SET work_mem = '1MB'",
    ],
)
def test_a_read_does_not_write(server: Postgres, sql: str) -> None:
    """Whatever the classifier made of it, and though the role is a superuser: the server refuses."""
    server.root("CREATE SEQUENCE s")
    refused, after = every(planned(server, sql), planned(server, "SELECT count(*) FROM t"))
    assert refused["error"]["sqlstate"] in {"42601", "25006", "25001"}
    assert after["rows"] == [[2]]


@pytest.mark.parametrize("sql", ["SET TRANSACTION READ WRITE", "SET transaction_read_only = off", "BEGIN READ WRITE"])
def test_a_read_cannot_be_made_a_write(server: Postgres, sql: str) -> None:
    """The transaction has had a query, so its mode is fixed; `BEGIN` within one changes nothing."""
    _, then = every(planned(server, sql), planned(server, "DELETE FROM t"))
    assert then["error"]["sqlstate"] == "25006"
    assert server.root("SELECT count(*) FROM t") == [(2,)]


def test_the_mode_of_a_transaction_is_fixed_before_the_statement(server: Postgres) -> None:
    """SET TRANSACTION READ WRITE is refused by the server, not by us."""
    assert every(planned(server, "SET TRANSACTION READ WRITE"))[0]["error"]["sqlstate"] == "25001"


@pytest.mark.parametrize("sql", ["COMMIT", "ROLLBACK", "END", "ABORT"])
def test_a_statement_that_ends_the_transaction_gains_nothing(server: Postgres, sql: str) -> None:
    """A read has nothing to commit; a write that ended its transaction is no success; its session is as new."""
    read, wrote, after = every(
        planned(server, sql), planned(server, sql, write=True), planned(server, "SELECT count(*) FROM t")
    )
    assert "error" not in read
    assert (wrote.code, wrote.fields["argument"]) == ("argument", "sql")
    assert after["rows"] == [[2]]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1) TO PROGRAM 'touch {mark}' --",
        "SELECT 1) TO '{mark}' --",
        "SELECT 1) TO PROGRAM 'touch {mark}' /*",
        "SELECT 1\n) TO PROGRAM 'touch {mark}'; SELECT (1",
        "SELECT 1) TO PROGRAM 'touch {mark}'; COPY (SELECT 1",
        "SELECT 1 /* ) TO PROGRAM 'touch {mark}' --",
        "SELECT ')' || $$) TO PROGRAM 'touch {mark}' --$$ --",
        "SELECT 1 AS \") TO PROGRAM 'touch {mark}' --\"",
    ],
)
def test_an_export_cannot_leave_its_brackets(server: Postgres, sql: str, tmp_path: Path) -> None:
    """COPY gets between its brackets what was parsed as one statement before. The role could start programs."""
    tmp_path.chmod(0o777)
    mark = tmp_path / "mark"
    for folder in tmp_path.parents[:2]:
        folder.chmod(0o755)
    found, after = every(
        planned(server, sql.format(mark=mark), export="csv"), planned(server, "SELECT count(*) FROM t")
    )
    assert not mark.exists()
    assert isinstance(found, bytes) or found.code == "refused"
    assert after["rows"] == [[2]]


def test_an_export_does_not_write(server: Postgres) -> None:
    """COPY takes INSERT … RETURNING; the transaction does not."""
    found = every(planned(server, "DELETE FROM t RETURNING *", export="csv"))[0]
    assert found.code == "refused"
    assert server.root("SELECT count(*) FROM t") == [(2,)]


@pytest.mark.parametrize(
    ("change", "look", "expected"),
    [
        ("SET search_path = pg_temp", "SHOW search_path", '"$user", public'),
        ("SET ROLE other", "SELECT current_user::text", USER),
        ("SET SESSION AUTHORIZATION other", "SELECT session_user::text", USER),
        ("SELECT set_config('statement_timeout', '12345', false)", "SELECT 1", 1),
        ("SELECT set_config('my.own', 'left', false)", "SELECT current_setting('my.own', true)", ""),
        ("SELECT pg_advisory_lock(7)", "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'", 0),
        ("PREPARE p AS SELECT 1", "SELECT count(*) FROM pg_prepared_statements WHERE name = 'p'", 0),
        ("LISTEN here", "SELECT count(*) FROM pg_listening_channels()", 0),
        ("CREATE TEMP TABLE left_here (x int)", "SELECT to_regclass('pg_temp.left_here')::text", None),
        ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", "SELECT count(*) FROM pg_cursors WHERE name = 'c'", 0),
        ("SET standard_conforming_strings = off", "SELECT 'a\\b'", "a\\b"),
        ("SET session_replication_role = replica", "SHOW session_replication_role", "origin"),
        ("SET client_encoding = latin1", "SELECT 'é'", "é"),
        ("SET datestyle = 'German'", "SELECT date '2024-02-29'", "2024-02-29"),
    ],
)
def test_nothing_of_a_call_is_seen_by_the_next(server: Postgres, change: str, look: str, expected: object) -> None:
    """Settings, roles, locks, cursors, temporary tables: a session goes back as new, or not at all."""
    server.root("DROP ROLE IF EXISTS other; CREATE ROLE other SUPERUSER")
    found = every(planned(server, change, write=True), planned(server, look), planned(server, look))
    assert "error" not in found[0]
    for after in found[1:]:
        assert after["rows"][0][0] in {expected, None if expected == "" else expected}


def test_a_call_that_is_given_up_is_stopped_at_the_server(server: Postgres) -> None:
    """A cancelled caller's statement is gone from the server within a moment, and the next call works."""

    async def story() -> Any:  # noqa: ANN401 - a document
        broker = PostgresBroker()
        task = asyncio.create_task(perform(broker, planned(server, "SELECT pg_sleep(60) /* given up */")))
        while not await asyncio.to_thread(sleepers, server):
            assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(2):
            while await asyncio.to_thread(sleepers, server):
                pass
        found = await perform(broker, planned(server, "SELECT 1"))
        await broker.aclose()
        return found

    assert asyncio.run(story())["rows"] == [[1]]


def sleepers(server: Postgres) -> int:
    """How many statements with pg_sleep are at work."""
    found: int = server.root(
        f"SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND usename = '{USER}' AND query LIKE '%pg_sleep(%'"  # noqa: E501, S608 - words of this file
    )[0][0]
    return found


def test_the_time_of_a_call_is_the_servers_too(server: Postgres) -> None:
    """A statement over its time is refused by the server, with our hint."""
    found, after = every(planned(server, "SELECT pg_sleep(30)", seconds=1), planned(server, "SELECT 1"))
    assert found["error"]["sqlstate"] == "57014"
    assert "time was over" in found["error"]["hint"]
    assert after["rows"] == [[1]]


def test_a_lock_is_not_waited_for_long(server: Postgres) -> None:
    """The refusal says what to do."""
    with server.app() as neighbour, neighbour.transaction():
        neighbour.execute("LOCK TABLE t")
        found = every(planned(server, "UPDATE t SET name = 'x'", write=True, seconds=2))[0]
    assert found["error"]["sqlstate"] == "55P03"
    assert "another session" in found["error"]["hint"]


def test_a_deadlock_is_an_answer(server: Postgres) -> None:
    """One of two is rolled back by the server and told so; the other goes on."""
    server.root(
        "CREATE FUNCTION both_rows(a int, b int) RETURNS void LANGUAGE plpgsql AS $$ BEGIN"
        " UPDATE t SET name = 'x' WHERE id = a; PERFORM pg_sleep(0.5); UPDATE t SET name = 'x' WHERE id = b; END $$"
    )

    async def two() -> list[Any]:
        broker = PostgresBroker()
        plans = [planned(server, f"SELECT both_rows({a}, {3 - a})", write=True) for a in (1, 2)]
        found = await asyncio.gather(*(perform(broker, plan) for plan in plans))
        await broker.aclose()
        return found

    found = asyncio.run(two())
    errors = [each["error"] for each in found if "error" in each]
    assert [error["sqlstate"] for error in errors] == ["40P01"]
    assert "try again" in errors[0]["hint"]


def test_a_backend_that_is_killed_is_a_failure_and_no_more(server: Postgres) -> None:
    """While it performs, and while it is idle in the pool: the call fails or is begun anew, the next one works."""

    async def story() -> list[Any]:
        broker, found = PostgresBroker(), list[Any]()
        await perform(broker, planned(server, "SELECT 1"))
        await _kill(server)  # idle: the next call does not notice
        found.append(await perform(broker, planned(server, "SELECT 2")))
        task = asyncio.create_task(perform(broker, planned(server, "SELECT pg_sleep(60)")))
        while not await asyncio.to_thread(sleepers, server):
            assert not task.done()
        await _kill(server)
        with pytest.raises(BrokerError) as broken:
            await task
        found += [broken.value.code, await perform(broker, planned(server, "SELECT 3"))]
        outcome = await broker.perform(
            planned(server, "SELECT repeat('x', 1000) FROM generate_series(1, 200000)", export="jsonl"), lent()
        )
        body = aiter(outcome.body)
        await anext(body)
        await _kill(server)
        with pytest.raises(BrokerError):  # noqa: PT012 - it is read until it fails
            while True:
                await anext(body)
        await outcome.aclose()
        found.append(await perform(broker, planned(server, "SELECT 4")))
        await broker.aclose()
        return found

    two, code, three, four = asyncio.run(story())
    assert (two["rows"], code, three["rows"], four["rows"]) == ([[2]], "broken", [[3]], [[4]])


async def _kill(server: Postgres) -> None:
    kill = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{USER}'"  # noqa: S608 - words of this file
    await asyncio.to_thread(server.root, kill)
    while await asyncio.to_thread(_sessions, server):  # asked over and over: a server before 14 does not wait by itself
        pass


def test_a_server_that_dies_is_found_again() -> None:
    """Killed in the middle of a result; started again, the same broker works."""

    async def story(server: Postgres) -> tuple[str, str, Any]:
        broker = PostgresBroker()
        task = asyncio.create_task(perform(broker, planned(server, "SELECT pg_sleep(60)")))
        while not await asyncio.to_thread(sleepers, server):
            assert not task.done()
        await asyncio.to_thread(server.stop, signal.SIGQUIT)
        with pytest.raises(BrokerError) as broken:
            await task
        with pytest.raises(BrokerError) as gone:
            await perform(broker, planned(server, "SELECT 1"))
        await asyncio.to_thread(server.start)
        found = await perform(broker, planned(server, "SELECT 1"))
        await broker.aclose()
        return broken.value.code, gone.value.code, found

    with Postgres() as server:
        broken, gone, found = asyncio.run(story(server))
    assert (broken, gone, found["rows"]) == ("broken", "connect", [[1]])


def test_a_commit_that_breaks_off_is_told_as_unknown(server: Postgres) -> None:
    """Whether it was committed nobody knows: `broken` is what says so, and no other code does."""
    server.root(
        "CREATE FUNCTION dies() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;"
        "CREATE CONSTRAINT TRIGGER dies AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION dies()"  # noqa: E501 - one statement
    )
    found, after = every(planned(server, "INSERT INTO t VALUES (9)", write=True), planned(server, "SELECT 1"))
    assert found.code == "broken"
    assert after["rows"] == [[1]]


_GIANT = """
import asyncio, sys
sys.path.insert(0, {tests!r})
from brokers.contract import BrokerError, Connection
from brokers.sql.postgres import PostgresBroker, cells
from brokers.sql.postgres.gate import Gate
from postgres_server import lent, performed
import test_postgres_hostile as hostile

class Server:
    def connection(self):
        return Connection("shop", "postgres", {target!r}, "password", {{}}, {{"secret": "shop/PASSWORD"}})

def rss(name):
    return int(open("/proc/self/status").read().split(name + ":")[1].split()[0]) // 1024

async def main():
    broker = PostgresBroker()
    await performed(broker, hostile.planned(Server(), "select 1"), lent())
    before = rss("VmRSS")
    for sql in {sqls!r}:
        try:
            outcome = await broker.perform(hostile.planned(Server(), sql, seconds=60, **{more!r}), lent())
            size = 0
            async for chunk in outcome.body:
                size += len(chunk)
            await outcome.aclose()
            print(size)
        except BrokerError as error:
            print(error.code)
    await performed(broker, hostile.planned(Server(), "select 1"), lent())
    await broker.aclose()
    print(rss("VmHWM") - before)

asyncio.run(main())
"""


def growth(server: Postgres, *sqls: str, **more: object) -> list[str]:
    """What a process of its own says of each statement, and by how many MiB it grew at most."""
    script = _GIANT.format(tests=str(TESTS), target=dict(server.target()), sqls=sqls, more=more)
    path = os.pathsep.join((str(ROOT), str(TESTS), str(Path(__file__).parent)))
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=110,
        env={"PYTHONPATH": path, "PATH": os.environ["PATH"]},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_giant_value_is_refused_before_it_is_held(server: Postgres) -> None:
    """A gigabyte in one cell, and in one refusal: no more than 64 MiB of it comes into memory."""
    server.root(
        "CREATE FUNCTION shouts() RETURNS void LANGUAGE plpgsql AS $$ BEGIN"
        " RAISE EXCEPTION '%', repeat('x', 200000000); END $$"
    )
    *told, grown = growth(server, "SELECT repeat('x', 1000000000)", "SELECT repeat('x', 100000000)", "SELECT shouts()")
    assert told[0] == "too-large"
    assert told[1] in {"too-large", "broken"}
    assert int(grown) < 110  # 64 MiB, and what lies between sockets


def test_a_long_result_takes_constant_memory(server: Postgres) -> None:
    """A million rows of 100 bytes as a file, by COPY and as JSON lines; ten million in an answer that is full soon."""
    sql = "SELECT n, repeat('x', 100) FROM generate_series(1, 1000000) n"
    size, grown = growth(server, sql, export="csv")
    assert int(size) > 100_000_000
    assert int(grown) <= 5
    size, grown = growth(server, "SELECT n FROM generate_series(1, 10000000) n")
    assert int(grown) <= 5


def test_wide_rows_come_one_by_one_where_many_are_too_much(server: Postgres) -> None:
    """A hundred rows of a mebibyte are more than may be held at once; each for itself is not."""
    found = every(planned(server, "SELECT repeat('x', 900000) FROM generate_series(1, 100)"))[0]
    assert found["truncated"] is True
    assert len(found["rows"]) == 1


def test_many_columns_and_long_statements_are_fine(server: Postgres) -> None:
    """1,600 columns, and a statement of a mebibyte."""
    columns = ", ".join(f"{n} AS c{n}" for n in range(1600))
    filler = "x" * ((1 << 20) - 30)
    wide, long = every(planned(server, f"SELECT {columns}"), planned(server, f"SELECT length('{filler}')"))
    assert (len(wide["columns"]), wide["rows"][0][-1]) == (1600, 1599)
    assert long["rows"] == [[len(filler)]]


def test_two_hundred_calls_at_once_share_sixteen_sessions(server: Postgres) -> None:
    """All are answered, in turn, and only a few sessions stay."""

    async def story() -> tuple[list[Any], int, int]:
        broker, most, over = PostgresBroker(), 0, asyncio.Event()

        async def look() -> None:
            nonlocal most
            while not over.is_set():
                most = max(most, await asyncio.to_thread(_sessions, server))

        looking = asyncio.create_task(look())
        found = await asyncio.gather(
            *(perform(broker, planned(server, f"SELECT {n}, pg_sleep(0.02)")) for n in range(200))
        )
        over.set()
        await looking
        while broker._acts._pool._tasks:
            await asyncio.wait(set(broker._acts._pool._tasks))
        kept = sum(len(lane.idle) for lane in broker._acts._pool._lanes.values())
        await broker.aclose()
        return found, most, kept

    found, most, kept = asyncio.run(story())
    assert [each["rows"][0][0] for each in found] == list(range(200))
    assert 1 < most <= 16
    assert kept <= 4


def _sessions(server: Postgres) -> int:
    found: int = server.root(f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{USER}'")[0][0]  # noqa: S608 - words of this file
    return found


def test_a_changed_password_is_another_session(server: Postgres) -> None:
    """A session that was opened with one password serves no call that is lent another."""

    async def story() -> str:
        broker = PostgresBroker()
        await perform(broker, planned(server, "SELECT 1"))
        with pytest.raises(BrokerError) as refused:
            await performed(broker, planned(server, "SELECT 1"), lent("another"))
        await broker.aclose()
        return refused.value.code

    assert asyncio.run(story()) == "login"


def test_a_failure_after_the_first_rows_is_told_at_the_end(server: Postgres) -> None:
    """The document is whole JSON, with the error in it; a file is none."""
    sql = "SELECT 1 / (5000 - n) FROM generate_series(1, 10000) n"
    found, *files = every(
        planned(server, sql, max_rows=100_000), *(planned(server, sql, export=form) for form in ("jsonl", "csv"))
    )
    assert found["error"]["sqlstate"] == "22012"
    assert found["truncated"] is True
    assert len(found["rows"]) <= 4999
    assert [(file.code, "without a file" in file.fields["why"]) for file in files] == [("refused", True)] * 2


def test_an_answer_that_is_left_unread_is_stopped(server: Postgres) -> None:
    """A reader who goes away after the first rows costs the server nothing more."""

    async def story() -> Any:  # noqa: ANN401 - a document
        broker = PostgresBroker()
        endless = planned(server, "SELECT n, pg_sleep(0.001) FROM generate_series(1, 10000000) n", export="jsonl")
        outcome = await broker.perform(endless, lent())
        await anext(aiter(outcome.body))
        await outcome.aclose()
        async with asyncio.timeout(3):
            while await asyncio.to_thread(sleepers, server):
                pass
        found = await perform(broker, planned(server, "SELECT 1"))
        await broker.aclose()
        return found

    assert asyncio.run(story())["rows"] == [[1]]


def test_who_speaks_to_an_idle_session_wakes_nobody() -> None:
    """What comes while nobody waits is left where it is, and is no reason to look again and again."""

    async def story() -> None:
        ours, theirs = socket.socketpair()
        gate = Gate(ours.fileno())
        waiting = asyncio.ensure_future(gate.let_in())
        await asyncio.sleep(0)
        for said in (b"one", b"two"):
            theirs.send(said)
            await waiting
            assert ours.recv(10) == said
            theirs.send(b"unasked")
            for _ in range(5):
                await asyncio.sleep(0)
            assert not gate.quiet
            watched = asyncio.get_running_loop()._selector.get_map()  # type: ignore[attr-defined]  # asyncio's own
            assert gate._server.fileno() not in watched
            await gate.let_in()
            assert ours.recv(10) == b"unasked"
            waiting = asyncio.ensure_future(gate.let_in())
            await asyncio.sleep(0)
        waiting.cancel()
        gate.close()
        theirs.close()
        ours.close()

    asyncio.run(story())


def test_settings_without_end_are_no_result(server: Postgres) -> None:
    """A server that reports settings for ever, which cost libpq more by each: the session ends long before the call."""

    async def story() -> tuple[Any, int]:
        with Relay(server.port, before_rows=settings) as relay:
            broker = PostgresBroker()
            plan = planned(server, "SELECT 1", seconds=60)
            plan = replace(plan, connection=server.connection(port=relay.port))
            begun = time.thread_time()
            with pytest.raises(BrokerError) as caught:
                await perform(broker, plan)
            busy = time.thread_time() - begun
            await broker.aclose()
            return caught.value.code, round(busy)

    code, busy = asyncio.run(story())
    assert code == "broken"
    assert busy < 20, "seconds of a processor that nobody else of the keeper's had"


def settings() -> Iterator[bytes]:
    """Reports of settings, each of another name."""
    for portion in itertools.count():
        yield b"".join(parameter(b"k%09d" % (portion * 4000 + at), b"") for at in range(4000))


async def through(server: Postgres, relay: Relay, plan: Plan) -> Any:  # noqa: ANN401 - a document or an error
    """What comes of a call by way of `relay`."""
    broker = PostgresBroker()
    try:
        return await perform(broker, replace(plan, connection=server.connection(port=relay.port)))
    except BrokerError as error:
        return error
    finally:
        await broker.aclose()


def test_notifications_are_not_kept(server: Postgres) -> None:
    """Libpq keeps them until they are taken: a few pass, and a server that sends many is left."""

    async def told(count: int) -> Any:  # noqa: ANN401 - a document or an error
        with Relay(server.port, before_rows=lambda: [notification(b"x" * 100)] * count) as relay:
            return await through(server, relay, planned(server, "SELECT 1 AS one"))

    assert asyncio.run(told(5))["rows"] == [[1]]
    assert asyncio.run(told(100)).code == "broken"


@pytest.mark.parametrize("export", ["", "csv"])
def test_rows_that_do_not_fit_their_columns_are_no_answer(server: Postgres, export: str) -> None:
    """A row with a cell more than was described is a broken server's."""
    seen = itertools.count()

    def changed(message: bytes) -> bytes:
        if message[:1] == b"T" and b"odd\0" in message and next(seen):
            return columns(b"odd", b"more")
        return row(b"4711", b"2") if message == row(b"4711") else message

    async def story() -> Any:  # noqa: ANN401 - a document or an error
        with Relay(server.port, changed=changed) as relay:
            return await through(server, relay, planned(server, "SELECT $1::int AS odd", params=[4711], export=export))

    assert asyncio.run(story()).code == "broken"


def test_types_that_nobody_asked_for_are_not_kept(server: Postgres) -> None:
    """Of a type no more is kept than a name takes, and of others nothing."""
    server.own("CREATE TYPE mood AS ENUM ('happy')")

    def changed(message: bytes) -> bytes:
        if message[:1] != b"D" or b"mood" not in message:
            return message
        number = message[11 : 11 + struct.unpack(">I", message[7:11])[0]]
        return row(number, b"mood" * 1000, b"0", b",") + row(b"99999999", b"other" * 1000, b"0", b",")

    async def story() -> tuple[dict[int, Any], Any]:
        with Relay(server.port, changed=changed) as relay:
            broker = PostgresBroker()
            plan = planned(server, "SELECT 'happy'::mood AS felt")
            found = await perform(broker, replace(plan, connection=server.connection(port=relay.port)))
            (lane,) = broker._acts._pool._lanes.values()
            await broker.aclose()
            return lane.types, found

    types, found = asyncio.run(story())
    assert found["rows"] == [["happy"]]
    assert [name for name, _, _ in types.values()] == ["mood" * 64]


def test_a_lane_knows_so_many_types_and_no_more(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    """It forgets them then, and learns anew."""
    monkeypatch.setattr("brokers.sql.postgres.results._TYPES", 1)
    server.own("CREATE TYPE one AS ENUM ('a'); CREATE TYPE two AS ENUM ('b')")
    found = every(*(planned(server, sql) for sql in ("SELECT 'a'::one", "SELECT 'b'::two", "SELECT 'a'::one")))
    assert [document["rows"] for document in found] == [[["a"]], [["b"]], [["a"]]]


def test_a_database_without_an_encoding_delivers_anything() -> None:
    """Bytes that are no text are replaced, in documents and in files."""
    with Postgres(encoding="SQL_ASCII") as server:
        server.own("CREATE TABLE odd (x text); INSERT INTO odd VALUES (E'a\\xff\\xfeb')")
        plans = (planned(server, "SELECT x FROM odd"), planned(server, "SELECT x FROM odd", export="csv"))
        found, file = every(*plans)
        assert found["rows"] == [["a��b"]]
        assert file.decode() == "x\na��b\n"
        again = every(replace(plans[1], request={**plans[1].request, "export": "jsonl"}))[0]
        assert json.loads(again) == {"x": "a��b"}


@pytest.mark.parametrize("export", ["", "jsonl"])
@pytest.mark.parametrize(
    "sql", ["select array_fill(1, array[60000]) from generate_series(1, 20)", "select repeat('x', 4000000) from t"]
)
def test_others_have_their_turn_between_two_rows(
    server: Postgres, monkeypatch: pytest.MonkeyPatch, sql: str, export: str
) -> None:
    """Writing a row holds the loop: more than a row and a slice is never written between two of its turns."""
    turn, written = 0, Counter[int]()

    def noted(row: list[bytes | None], writers: list[cells.Writer]) -> list[str]:
        written[turn] += sum(len(cell or b"") for cell in row)
        return write(row, writers)

    async def story() -> None:
        nonlocal turn
        broker, over = PostgresBroker(), asyncio.Event()

        async def breathe() -> None:
            nonlocal turn
            while not over.is_set():
                turn += 1
                await asyncio.sleep(0)

        beside = asyncio.create_task(breathe())
        await perform(broker, planned(server, sql, seconds=60, export=export))
        over.set()
        await beside
        await broker.aclose()

    write = cells.written
    monkeypatch.setattr(cells, "written", noted)
    asyncio.run(story())
    most = 4_000_000 if "repeat" in sql else 120_001 + (64 << 10)
    assert max(written.values(), default=0) <= most
    assert export or "repeat" not in sql or not written, "a row that fits into no answer is not written at all"
