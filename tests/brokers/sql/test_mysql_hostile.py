"""Ways round a read-only call, a bound or a time-out on a real MariaDB, each tried, and the database compared after."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pymysql
import pytest
from mariadb_server import DATABASE, PASSWORD, USER, Mariadb, lent, performed, whole

from brokers.contract import BrokerError, Effect, Plan
from brokers.sql.mysql import MysqlBroker, text
from brokers.sql.mysql.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from brokers.sql.mysql.driver import Result


@pytest.fixture(scope="module")
def served() -> Iterator[Mariadb]:
    """One server for the module, whose user may do more than is good."""
    with Mariadb() as server:
        server.root("GRANT FILE, RELOAD, PROCESS ON *.* TO 'app'@'%'")
        yield server


@pytest.fixture
def server(served: Mariadb) -> Mariadb:
    """The server, with the tables as they begin."""
    for sql in (
        "DROP DATABASE shop",
        "CREATE DATABASE shop",
        "CREATE TABLE shop.t (id INT PRIMARY KEY, name VARCHAR(50))",
        "CREATE TABLE shop.m (id INT PRIMARY KEY, name VARCHAR(50)) ENGINE=MyISAM",
        "INSERT INTO shop.t VALUES (1, 'one'), (2, 'two')",
        "CREATE SEQUENCE shop.sq",
        "CREATE FUNCTION shop.f() RETURNS INT MODIFIES SQL DATA BEGIN INSERT INTO t VALUES (7, 'f'); RETURN 1; END",
        (
            "CREATE PROCEDURE shop.p() BEGIN COMMIT; SET SESSION TRANSACTION READ WRITE; START TRANSACTION;"
            " INSERT INTO shop.t VALUES (8, 'p'); COMMIT; END"
        ),
    ):
        served.root(sql)
    return served


def state(server: Mariadb) -> object:
    """What a hostile statement could have changed."""
    tables = "SELECT TABLE_NAME, CREATE_OPTIONS, ENGINE FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'shop'"
    return (
        server.root_all(
            *(
                "SELECT * FROM shop.t",
                "SELECT * FROM shop.m",
                tables,
                "SHOW CREATE TABLE shop.t",
                "SHOW TRIGGERS IN shop",
            ),
            *("SELECT next_not_cached_value FROM shop.sq", "SELECT User, Host FROM mysql.user ORDER BY 1, 2"),
            *("SHOW DATABASES", "SELECT @@global.sql_mode, @@global.read_only, @@global.general_log"),
        ),
        sorted(path.name for path in server.folder.glob("*.out")),
    )


def plan_of(server: Mariadb, broker: MysqlBroker, sql: str, *, write: bool = False, **more: object) -> Plan:
    """A plan as the worst classifier would make it: it takes everything for a read."""
    given = dict(broker.plan(server.connection(), {"sql": "select 1", **more}).request)
    limits = broker.plan(server.connection(), {"sql": "select 1", **more}).limits
    request = {**given, "sql": sql, "mode": "write" if write else "read"}
    return Plan(server.connection(), Effect.READ, "a mistake", "x", request, limits=limits)


def attempts(server: Mariadb, *statements: str, after: Callable[[], None] | None = None, **more: object) -> list[Any]:
    """The documents or errors of statements, on one broker, whatever they are. `after` looks in between."""

    async def all_of() -> list[Any]:
        broker, found = MysqlBroker(), list[Any]()
        try:
            for sql in statements:
                if found and after is not None:
                    after()
                try:
                    found.append(json.loads((await performed(broker, plan_of(server, broker, sql, **more), lent()))[1]))  # type: ignore[arg-type] # the arguments of a call
                except BrokerError as error:
                    found.append(error)
        finally:
            await broker.aclose()
        return found

    return asyncio.run(all_of())


HOSTILE = (
    *("insert into t values (9, 'x')", "update t set name = 'x'", "delete from t", "replace into t values (1, 'x')"),
    *(
        "insert into m values (9, 'x')",
        "truncate t",
        "drop table t",
        "drop table if exists nonesuch",
        "create table x (a int)",
    ),
    *(
        "create temporary table x (a int)",
        "alter table t add z int",
        "rename table t to tt",
        "create view v as select 1",
    ),
    *(
        "lock tables t write",
        "select nextval(sq)",
        "select next value for sq",
        "select f()",
        "call p()",
        "select * from t for update",
    ),
    *("prepare s from 'delete from t'", "execute immediate 'delete from t'", "begin not atomic delete from t; end"),
    "begin not atomic commit; start transaction read write; delete from t; commit; end",
    "begin not atomic set session transaction read write; commit; delete from t; end",
    *(
        "set statement tx_read_only=0 for delete from t",
        "set transaction read write",
        "set session transaction read write",
    ),
    *("start transaction read write", "commit", "commit and chain", "xa start 'x'", "handler t open", "savepoint s"),
    *(
        "set global general_log = 1",
        "set global sql_mode = ''",
        "set password = password('x')",
        "set @a = 1",
        "set role none",
    ),
    *(
        "create user evil",
        "grant select on shop.t to evil",
        "drop user app",
        "create database evil",
        "drop database shop",
    ),
    *(
        "select 1 into outfile '{folder}/a.out'",
        "select 1 into dumpfile '{folder}/b.out'",
        "table t into outfile '{folder}/c.out'",
    ),
    *("load data infile '/etc/passwd' into table t", "load data local infile '/etc/passwd' into table t"),
    *(
        "analyze table t",
        "optimize table t",
        "repair table m",
        "check table t",
        "flush tables",
        "flush tables with read lock",
    ),
    *("explain delete from t", "analyze delete from t", "analyze format=json delete from t", "explain select f()"),
    *(
        "with x as (select 1) delete from t",
        "install soname 'auth_ed25519'",
        "create function e returns int soname 'x.so'",
    ),
    *(
        "kill query 1",
        "shutdown",
        "do get_lock('a', 0)",
        "use mysql",
        "change master to master_host='x'",
        "backup stage start",
    ),
    *(
        "select 1; delete from t",
        "select 1;; delete from t",
        "delimiter $$\ndelete from t$$",
        "select 1 -- \n; delete from t",
    ),
    "/* */ delete from t",
)


def test_nothing_that_writes_writes_in_mode_read(server: Mariadb) -> None:
    """Whatever the classifier thought: the engine sends queries only, within a transaction that the server holds to."""
    before = state(server)
    statements = [sql.replace("{folder}", str(server.folder)) for sql in HOSTILE]
    seen = iter([*statements, ""])

    def unchanged() -> None:
        sql = next(seen)
        assert state(server) == before, sql

    found = attempts(server, *statements, "select 1 as one", after=unchanged)
    assert found[-1]["rows"] == [[1]]
    assert all(isinstance(each, BrokerError) or "error" in each for each in found[:-1])


def test_the_server_alone_stops_what_does_not_commit(server: Mariadb, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the engine's look at the first words, only compound statements that commit would get round."""
    monkeypatch.setattr(text, "check_read", lambda _: None)
    before, through = state(server), []
    for sql in HOSTILE:
        if "outfile" in sql or "dumpfile" in sql:
            continue  # a file is no table: the classifier's business, and the words'
        attempts(server, sql)
        if state(server) != before:
            through.append(sql)
            server.root("DELETE FROM shop.t")
            server.root("INSERT INTO shop.t VALUES (1, 'one'), (2, 'two')")
            server.root("SET GLOBAL general_log = DEFAULT")
    assert all("commit" in sql or sql == "call p()" for sql in through)


DIRTY = (
    *("set @a = 'left behind'", "set session sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'", "set names latin1"),
    *("create temporary table left_behind as select 1 as a", "select get_lock('left', 0)", "lock tables t write"),
    *("set session transaction read write", "use information_schema", "set time_zone = '+05:00'", "set autocommit = 0"),
    *(
        "prepare s from 'select 1'",
        "handler t open",
        "set foreign_key_checks = 0",
        "set session max_statement_time = 0",
    ),
    *(
        "set session tx_isolation = 'READ-UNCOMMITTED'",
        "set sql_select_limit = 1",
        "set session group_concat_max_len = 4",
    ),
    *("start transaction with consistent snapshot", "set default_storage_engine = MyISAM", "set insert_id = 4711"),
)
_LOOK = (
    "select @a, @@sql_mode, @@character_set_client, database(), @@time_zone, @@autocommit, @@tx_read_only,"
    " @@foreign_key_checks, is_used_lock('left'), @@max_statement_time, @@tx_isolation, @@sql_select_limit,"
    " @@group_concat_max_len, @@default_storage_engine, @@in_transaction"
)


@pytest.mark.parametrize("sql", DIRTY)
def test_a_call_leaves_nothing_to_the_next(server: Mariadb, monkeypatch: pytest.MonkeyPatch, sql: str) -> None:
    """Variables, modes, locks and temporary tables of one call are gone before the next, on the same session or not."""
    monkeypatch.setattr(text, "check_read", lambda _: None)
    clean = attempts(server, _LOOK)[0]["rows"]

    async def both() -> tuple[Any, Any]:
        broker = MysqlBroker()
        try:
            await performed(broker, plan_of(server, broker, sql, write=True), lent())
            await asyncio.gather(*broker._acts._pool._tasks)
            seen = await performed(broker, plan_of(server, broker, _LOOK), lent())
            await asyncio.gather(*broker._acts._pool._tasks)
            left = await performed(broker, plan_of(server, broker, "select * from left_behind"), lent())
            return json.loads(seen[1])["rows"], json.loads(left[1])
        finally:
            await broker.aclose()

    seen, left = asyncio.run(both())
    assert seen == clean
    assert left["error"]["sqlstate"] == "42S02"


def test_the_servers_mode_does_not_change_how_a_text_is_read(server: Mariadb) -> None:
    """With ANSI_QUOTES and without backslash escapes, as a server's default, strings are still strings."""
    server.root("SET GLOBAL sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,STRICT_ALL_TABLES'")
    try:
        found = attempts(server, "select \"a\" as a, 'it\\'s' as b, @@sql_mode as c")[0]["rows"]
    finally:
        server.root("SET GLOBAL sql_mode = DEFAULT")
    assert found == [["a", "it's", "STRICT_ALL_TABLES"]]


def ids(server: Mariadb) -> list[int]:
    """The sessions of kv on the server that are at work."""
    return [
        row[0]
        for row in server.root(
            "SELECT ID FROM information_schema.PROCESSLIST WHERE USER = 'app' AND COMMAND <> 'Sleep'"
        )
    ]


def until(holds: Callable[[], object]) -> None:
    """Wait for the server to have done what was asked of it."""
    ends = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.02)


@pytest.mark.parametrize("sql", ["select sleep(60)", "select count(*) from seq_1_to_1000000 a, seq_1_to_1000000 b"])
def test_a_statement_that_takes_too_long_is_stopped(server: Mariadb, sql: str) -> None:
    """The caller is told in time, and the server does not go on."""
    begun = time.monotonic()
    found = attempts(server, sql, timeout=1)[0]
    assert isinstance(found, BrokerError) or found["rows"] == [[1]], found  # sleep() tells by 1 that it was interrupted
    assert time.monotonic() - begun < 8
    until(lambda: not ids(server))


def test_a_statement_whose_caller_goes_away_is_killed(server: Mariadb, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cancelled call is ended on the server from a second session: its own clock would let it run for a minute."""
    ended: list[str] = []
    real = Session.do

    def do(self: Session, sql: str) -> Result:
        ended.extend([sql] if sql.startswith("KILL") else [])
        return real(self, sql)

    monkeypatch.setattr(Session, "do", do)

    async def go_away() -> None:
        broker = MysqlBroker()
        task = asyncio.create_task(performed(broker, plan_of(server, broker, "select sleep(59)", timeout=60), lent()))
        await asyncio.to_thread(until, lambda: ids(server))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.gather(*broker._acts._pool._tasks)
        assert not await asyncio.to_thread(ids, server)
        await broker.aclose()

    asyncio.run(go_away())
    assert ended


def test_a_write_that_is_given_up_is_rolled_back(server: Mariadb) -> None:
    """A timed-out change leaves nothing, and its locks are free."""
    sql = "update t set name = if(sleep(20), 'x', 'changed')"

    async def give_up() -> None:
        broker = MysqlBroker()
        with pytest.raises(BrokerError) as caught:
            await performed(broker, plan_of(server, broker, sql, write=True, timeout=1), lent())
        assert caught.value.code == "timeout"
        await broker.aclose()

    asyncio.run(give_up())
    until(lambda: not ids(server))
    assert server.root("SELECT name FROM shop.t FOR UPDATE") == [("one",), ("two",)]


def test_a_lock_of_somebody_else_is_waited_for_within_bounds(server: Mariadb) -> None:
    """The server's refusal is an answer with a hint, and the session is as good as before."""
    held = pymysql.connect(host="127.0.0.1", port=server.port, user=USER, password=PASSWORD.encode(), database=DATABASE)
    with held, held.cursor() as cursor:
        cursor.execute("SELECT * FROM t WHERE id = 1 FOR UPDATE")

        async def wait() -> Any:  # noqa: ANN401 - a document
            broker = MysqlBroker()
            try:
                plan = plan_of(server, broker, "update t set name = 'x' where id = 1", write=True, timeout=4)
                return json.loads((await performed(broker, plan, lent()))[1])
            finally:
                await broker.aclose()

        error = asyncio.run(wait())["error"]
    assert (error["sqlstate"], "try again" in error["hint"]) == ("HY000", True)


def test_a_deadlock_is_an_answer(server: Mariadb) -> None:
    """One of two is rolled back by the server, and told so."""
    held = pymysql.connect(host="127.0.0.1", port=server.port, user=USER, password=PASSWORD.encode(), database=DATABASE)
    with held, held.cursor() as cursor:
        cursor.execute("START TRANSACTION")
        # More rows changed than the other: the server rolls back whoever has less to lose.
        cursor.execute("INSERT INTO t SELECT seq + 100, 'x' FROM seq_1_to_50")
        cursor.execute("UPDATE t SET name = 'a' WHERE id = 2")
        sql = "update t set name = 'b' where id in (1, 2) order by id"

        async def meet() -> Any:  # noqa: ANN401 - a document
            broker = MysqlBroker()
            try:
                call = asyncio.create_task(performed(broker, plan_of(server, broker, sql, write=True), lent()))
                waiting = "SELECT 1 FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'"
                await asyncio.to_thread(until, lambda: server.root(waiting))
                await asyncio.to_thread(cursor.execute, "UPDATE t SET name = 'a' WHERE id = 1")
                return json.loads((await call)[1])
            finally:
                await broker.aclose()

        found = asyncio.run(meet())
        held.rollback()
    assert found["error"]["sqlstate"] == "40001"


def test_a_cell_beyond_the_bound_is_not_held(server: Mariadb) -> None:
    """A row of a gigabyte is refused while it comes in."""
    sql = "select repeat('x', 200000000) as a, repeat('y', 200000000) as b"
    found = attempts(server, sql, "select 1 as one")
    assert (found[0].code, found[0].fields) == ("too-large", {"limit": 64 << 20})
    assert found[1]["rows"] == [[1]]


def test_a_row_of_some_megabytes_is_read(server: Mariadb) -> None:
    """Beyond a packet's part of 16 MiB, at its very border too."""
    for size in (0xFFFFFF - 5, 0xFFFFFF - 4, 0xFFFFFF, 40 << 20):
        found = attempts(server, "select repeat('x', {size}) as a".replace("{size}", str(size)), max_bytes=1 << 20)[0]
        assert found["truncated"] is True


def test_many_columns_are_named(server: Mariadb) -> None:
    """Ten thousand of them, which is more than any table has; more than that is not held."""
    many = attempts(server, "select " + ",".join(f"{n} as c{n}" for n in range(10_000)), max_bytes=1 << 24)[0]
    assert (len(many["columns"]), len(many["rows"])) == (10_000, 1)
    assert attempts(server, "select " + ",".join(["1"] * 10_001))[0].code == "too-large"


def test_a_statement_of_a_mebibyte_is_sent(server: Mariadb) -> None:
    """With what a card shows being its beginning and its end."""
    sql = "select length('" + "x" * ((1 << 20) - 40) + "') as n"
    assert attempts(server, sql)[0]["rows"] == [[(1 << 20) - 40]]


def test_a_file_that_is_refused_on_the_way_says_so(server: Mariadb) -> None:
    """What fails in a late row is the statement's fault, not the network's; and no lock of it is left on the server."""
    sql = "select if(s.seq < 90000, s.seq, (select id from t where id <= s.seq)) from seq_1_to_100000 s"
    for form in ("csv", "jsonl"):
        found = attempts(server, sql, export=form)[0]
        assert (found.code, "without a file" in str(found.fields["why"])) == ("refused", True)
    server.root("SET STATEMENT lock_wait_timeout = 5 FOR ALTER TABLE shop.t ADD COLUMN more INT")


def test_a_server_killed_on_the_way_is_told(server: Mariadb) -> None:
    """The rows that came are no whole answer: the body breaks off. The broker works again once the server does."""

    async def broken() -> None:
        broker = MysqlBroker()
        sql = "select a.seq, repeat('x', 1000) from seq_1_to_1000000 a"
        outcome = await broker.perform(
            replace(plan_of(server, broker, sql), request={**plan_of(server, broker, sql).request, "export": "csv"}),
            lent(),
        )
        chunks = outcome.body
        assert await anext(chunks)
        await asyncio.to_thread(server.stop, signal.SIGKILL)
        with pytest.raises(BrokerError) as caught:
            await whole(chunks)
        assert caught.value.code == "broken"
        await outcome.aclose()
        with pytest.raises(BrokerError) as caught:
            await performed(broker, plan_of(server, broker, "select 1"), lent())
        assert caught.value.code == "connect"
        await asyncio.to_thread(server.start)
        assert json.loads((await performed(broker, plan_of(server, broker, "select 1 as one"), lent()))[1])["rows"] == [
            [1]
        ]
        await broker.aclose()

    asyncio.run(broken())


def test_threads_are_not_left_behind(server: Mariadb) -> None:
    """A closed broker has no thread at work."""
    attempts(server, "select 1")
    until(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("kv-mysql")])
