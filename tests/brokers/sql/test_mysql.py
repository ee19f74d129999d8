"""Calls on a real MariaDB: what comes back, what is changed, and what is left behind."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from mariadb_server import DATABASE, PASSWORD, USER, Mariadb, lent, performed

from brokers.conformance import BrokerSuite
from brokers.contract import Broker, BrokerError, Connection, Credential, Effect
from brokers.sql.invoked import known
from brokers.sql.mysql import MysqlBroker

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from brokers.personal import Findings


@pytest.fixture(scope="module")
def served() -> Iterator[Mariadb]:
    """One server for the module."""
    with Mariadb() as server:
        yield server


@pytest.fixture
def server(served: Mariadb) -> Mariadb:
    """The server, with the tables as they begin."""
    served.root("DROP DATABASE shop")
    served.root("CREATE DATABASE shop")
    served.root("CREATE TABLE shop.t (id INT PRIMARY KEY COMMENT 'a number', name VARCHAR(50), KEY by_name (name))")
    served.root("INSERT INTO shop.t VALUES (1, 'one'), (2, NULL)")
    return served


# How a function goes on that shows whether it was called: what it changes no rollback undoes.
_LEAVES_A_TRACE = "(x INT) RETURNS INT DETERMINISTIC MODIFIES SQL DATA BEGIN INSERT INTO m VALUES (1); RETURN 1; END"


def run(server: Mariadb, *calls: Mapping[str, object], body: bytes = b"", preview: bool = False) -> list[Any]:
    """The documents of calls, one after another on one broker."""

    async def all_of() -> list[Any]:
        broker, found = MysqlBroker(), []
        try:
            for call in calls:
                plan = broker.plan(server.connection(), call, body)
                if preview:
                    seen = broker.preview(plan)
                    assert seen is not None
                    plan = seen
                head, data = await performed(broker, plan, lent())
                found.append(json.loads(data) if head["form"] == "json" else data)
        finally:
            await broker.aclose()
        return found

    return asyncio.run(all_of())


def one(server: Mariadb, sql: str, *params: object, **more: object) -> Any:  # noqa: ANN401 - a document
    """The document of a query."""
    return run(server, {"sql": sql, "params": list(params), **more})[0]


def refused(server: Mariadb, *, preview: bool = False, **call: object) -> BrokerError:
    """The error of a call that is not performed."""
    with pytest.raises(BrokerError) as caught:
        run(server, call, preview=preview)
    return caught.value


class TestMysqlBroker(BrokerSuite):
    """The broker of MySQL keeps the suite of all brokers."""

    arguments: ClassVar[Mapping[str, object]] = {"sql": "select 1 as one"}
    refused: ClassVar[Sequence[Mapping[str, object]]] = (
        {"no such argument": 1},
        {"sql": ""},
        {"sql": "select 1; select 2"},
        {"sql": "select 1 /*! , 2 */"},
        {"timeout": 1000},
        {"mode": "both"},
    )

    def broker(self) -> Broker:
        """A new broker."""
        return MysqlBroker()

    @contextmanager
    def reachable(self) -> Iterator[tuple[Connection, Credential]]:
        """A server."""
        with Mariadb() as server:
            yield server.connection(), lent()

    def unreachable(self) -> tuple[Connection, Credential]:
        """A loopback port that nobody listens on."""
        target = MysqlBroker.declared.target(
            {"host": "127.0.0.1", "port": 1, "database": DATABASE, "user": USER}, {}, "password"
        )
        return Connection("shop", "mysql", target, "password", {}, {"secret": "shop/PASSWORD"}), lent()

    def with_text(self, text: str) -> Sequence[Mapping[str, object]]:
        """The statement, a parameter, and what a schema or a load names."""
        return (
            {"sql": f"select '{text}'"},
            {"sql": "select ?", "params": [text]},
            {"act": "schema", "table": text},
            {"act": "schema", "schema": text},
        )


def test_values_come_as_the_server_spells_them(server: Mariadb) -> None:
    """Numbers that JSON has exactly are numbers, all else is the server's own text, bytes are its own literals."""
    found = one(
        server,
        "select 1 as i, 18446744073709551615 as u, 1.50 as d, 2.5e0 as f, null as n, 'é😀' as s, x'00ff' as b,"
        " b'101' as w, date '2024-02-29' as day, time '-12:34:56.5' as t, timestamp '2024-02-29 01:02:03.123456' as m,"
        " true as yes",
    )
    assert found["rows"] == [
        [
            *(1, "18446744073709551615", "1.50", 2.5, None, "é😀", "0x00FF", "0x05"),
            *("2024-02-29", "-12:34:56.5", "2024-02-29 01:02:03.123456", 1),
        ]
    ]
    types = {column["name"]: column["type"] for column in found["columns"]}
    assert types["u"] == "bigint unsigned"
    assert (types["d"], types["f"], types["n"], types["s"], types["b"]) == (
        "decimal",
        "double",
        "null",
        "varchar",
        "varbinary",
    )
    assert (types["day"], types["t"], types["m"]) == ("date", "time", "datetime")
    assert found["truncated"] is False


def test_columns_are_typed_by_the_servers_words(server: Mariadb) -> None:
    """Enum, set, bit, text and blob, year and unsigned keep their names."""
    server.root(
        "CREATE TABLE shop.k (e ENUM('a','b'), s SET('x','y'), w BIT(9), t TEXT, b BLOB, y YEAR, n TINYINT UNSIGNED,"
        " z INT(5) ZEROFILL, c CHAR(3), f FLOAT)"
    )
    server.root("INSERT INTO shop.k VALUES ('b', 'x,y', 257, 'é', 'é', 2024, 255, 7, 'c', 0.1)")
    found = one(server, "select * from k")
    assert [column["type"] for column in found["columns"]] == [
        *("enum", "set", "bit", "text", "blob", "year", "tinyint unsigned", "int unsigned", "char", "float")
    ]
    assert found["rows"] == [["b", "x,y", "0x0101", "é", "0xC3A9", 2024, 255, 7, "c", 0.1]]


def test_text_of_every_character_set_is_unicode(server: Mariadb) -> None:
    """The server turns Latin-1 into what is asked for, and bytes that are no text are bytes."""
    server.root("CREATE TABLE shop.l (a VARCHAR(9) CHARACTER SET latin1, b VARBINARY(9))")
    server.root("INSERT INTO shop.l VALUES (x'E9', x'FFFE')")
    assert one(server, "select * from l")["rows"] == [["é", "0xFFFE"]]


@pytest.mark.parametrize(
    "value", ["a'b", 'a"b', "a\\", "\\'", "%s ? %", "é😀", "", "-- x", "*/", 5, -5, 1.5, None, True]
)
def test_parameters_arrive_as_they_were_given(server: Mariadb, value: object) -> None:
    """No quote, backslash or sign in a value means anything."""
    found = one(server, "select ? as v", value)["rows"][0][0]
    assert found == (str(value) if isinstance(value, float) else value) or found == value


def test_a_parameter_meets_columns_of_any_kind(server: Mariadb) -> None:
    """Text compares with text, numbers and dates as a plain literal does, and uses the index."""
    assert one(server, "select id from t where name = ? and id = ?", "one", "1")["rows"] == [[1]]
    assert one(server, "select id from t order by id limit ?", 1)["rows"] == [[1]]
    plan = one(server, "explain select id from t where name = ?", "one")
    at = [column["name"] for column in plan["columns"]].index("key")
    assert plan["rows"][0][at] == "by_name"


def test_a_write_tells_how_many_rows_it_touched(server: Mariadb) -> None:
    """It is committed, and what it returns comes back."""
    found = one(server, "update t set name = ? where id < 3", "new", mode="write")
    assert found == {"columns": [], "rows": [], "truncated": False, "affected": 2}
    assert server.root("SELECT name FROM shop.t") == [("new",), ("new",)]
    found = one(server, "insert into t values (3, 'x'), (4, 'y') returning id", mode="write")
    assert (found["rows"], found["affected"]) == ([[3], [4]], 2)
    assert len(server.root("SELECT * FROM shop.t")) == 4


def test_a_definition_is_performed_in_mode_write(server: Mariadb) -> None:
    """The session's read-only default does not stand in its way, behind its own commit neither."""
    for sql in ("create table n (a int) as select id as a from t", "alter table n add b int", "drop table n"):
        assert "error" not in one(server, sql, mode="write")


def test_a_procedure_is_called_in_mode_write(server: Mariadb) -> None:
    """Its first rows are the answer, all it did is committed, and the session is at its end afterwards."""
    server.root("CREATE PROCEDURE shop.p() BEGIN SELECT 1 AS a; INSERT INTO t VALUES (9, 'p'); SELECT 2 AS b; END")
    called, after = run(server, {"sql": "call p()", "mode": "write"}, {"sql": "select name from t where id = 9"})
    assert (called["rows"], after["rows"]) == ([[1]], [["p"]])


def test_a_broker_is_closed_under_a_body(server: Mariadb) -> None:
    """Its statement is ended; who reads on is told, and may close what is closed."""

    async def close() -> None:
        broker = MysqlBroker()
        sql = "select a.seq from seq_1_to_1000000 a, seq_1_to_1000 b"
        outcome = await broker.perform(broker.plan(server.connection(), {"sql": sql, "export": "csv"}), lent())
        await anext(outcome.body)
        await broker.aclose()
        with pytest.raises(BrokerError):
            async for _ in outcome.body:
                pass
        await outcome.aclose()

    asyncio.run(close())
    assert server.root("SELECT * FROM information_schema.PROCESSLIST WHERE USER = 'app'") == []


def test_a_kept_session_keeps_no_password(server: Mariadb) -> None:
    """What has logged in is forgotten with the login."""

    async def kept() -> bytes:
        broker = MysqlBroker()
        await performed(broker, broker.plan(server.connection(), {"sql": "select 1"}), lent())
        pool = broker._acts._pool
        await asyncio.gather(*pool._tasks)
        (session,) = next(iter(pool._lanes.values())).idle
        found = repr(vars(session._wire)).encode()
        await broker.aclose()
        return found

    assert PASSWORD.encode() not in asyncio.run(kept())


def test_a_dry_run_changes_nothing(server: Mariadb) -> None:
    """It is performed and counted, and rolled back."""
    found = one(server, "delete from t", mode="write", dry_run=True)
    assert (found["affected"], found["rolled_back"]) == (2, True)
    assert len(server.root("SELECT * FROM shop.t")) == 2


def test_a_dry_run_of_a_definition_is_refused(server: Mariadb) -> None:
    """MySQL would commit it: nothing is sent."""
    error = refused(server, sql="drop table t", mode="write", dry_run=True)
    assert (error.code, error.fields["argument"]) == ("argument", "dry_run")
    assert server.root("SHOW TABLES IN shop") == [("t",)]


@pytest.mark.parametrize(
    "sql", ["insert into m values (1)", "insert into v values (1)", "insert into t values (9, 'by trigger')"]
)
def test_a_dry_run_on_a_table_without_transactions_is_refused(server: Mariadb, sql: str) -> None:
    """A MyISAM table keeps its change through a rollback, reached directly, by a view or by a trigger."""
    server.root("CREATE TABLE shop.m (a INT) ENGINE=MyISAM")
    server.root("CREATE VIEW shop.v AS SELECT * FROM shop.m")
    server.root("CREATE TRIGGER shop.g AFTER INSERT ON shop.t FOR EACH ROW INSERT INTO shop.m VALUES (1)")
    assert refused(server, sql=sql, mode="write", dry_run=True).fields["argument"] == "dry_run"
    assert server.root("SELECT * FROM shop.m") == []


@pytest.mark.parametrize(
    "sql",
    [
        "delete from t where id > 0",
        "update shop.t set name = 'y' where id in (1, 2) and (name = 'x' or not (id = 3))",
        "delete t from `t` join shop.t as b using (id)",
    ],
)
def test_an_estimate_counts_without_touching(server: Mariadb, sql: str) -> None:
    """EXPLAIN of the very statement says how many rows it would touch."""
    assert run(server, {"sql": sql, "mode": "write"}, preview=True)[0]["rows"] > 0
    assert len(server.root("SELECT * FROM shop.t")) == 2


@pytest.mark.parametrize(
    "sql",
    [
        "delete from t where id = (select a from v limit 1)",
        "update t set name = 'x' where id in (select a from v)",
        "delete from v",
        "delete from t where id = is_uuid(1)",
        "delete from t where id = `is_uuid` (1)",
        "delete t from t join shop.v on v.a = t.id",
        "insert into t select a, 'x' from v",
        "insert into t values (is_uuid(1), 'x')",
        "update t set id = default",
        "update s set id = default where id > 0",
        "with q as (select 1) select * from q",
        "delete from nosuch",
        "delete from seq_1_to_9",
    ],
)
def test_an_estimate_performs_nothing(server: Mariadb, sql: str) -> None:
    """MariaDB performs subqueries, views and functions while it plans: nobody has said yes to them yet."""
    server.root("CREATE TABLE shop.m (a INT) ENGINE=MyISAM")
    for name in ("is_uuid", "f"):
        server.root(f"CREATE FUNCTION shop.{name}{_LEAVES_A_TRACE}")
    server.root("CREATE VIEW shop.v AS SELECT shop.f(1) AS a, id FROM shop.t")
    server.root("CREATE SEQUENCE shop.q NOCACHE")
    server.root("CREATE TABLE shop.s (id BIGINT DEFAULT NEXTVAL(shop.q))")
    server.root("INSERT INTO shop.s VALUES (7)")
    with pytest.raises((BrokerError, AssertionError)):  # of what kv does not know there is no preview at all
        run(server, {"sql": sql, "mode": "write"}, preview=True)
    assert server.root("SELECT * FROM shop.m") == []
    assert server.root("SELECT next_not_cached_value FROM shop.q") == [(1,)]


def test_an_estimate_takes_no_view_for_a_table(server: Mariadb) -> None:
    """Where a table and a view differ in the case of their names, a statement may mean either."""
    server.root("CREATE VIEW shop.T AS SELECT * FROM shop.t")
    error = refused(server, sql="delete from t", mode="write", preview=True)
    assert (error.code, error.fields["why"]) == ("argument", "kv asks for none: the server would perform parts of it")


def test_a_columns_default_is_not_taken_for_harmless(server: Mariadb) -> None:
    """It may draw a number from a sequence."""
    plan = MysqlBroker().plan(server.connection(), {"sql": "select default(id) from t"})
    assert plan.effect is Effect.UNKNOWN


@pytest.mark.parametrize(
    ("name", "sql"),
    [
        ("IS_UUID", "select is_uuid(1)"),
        ("first", "select first (1) from t"),
        ("fïrst", "select first(1)"),
        ("uuid_to_bin", "explain select * from t where id = uuid_to_bin(1)"),
        ("json_pretty", "select json_pretty('1')"),  # the server's own name goes first: that is not known here
    ],
)
def test_a_stored_function_is_not_called_unasked(server: Mariadb, name: str, sql: str) -> None:
    """A name of the list may be one of the database's own functions: the read is refused."""
    server.root("CREATE TABLE shop.m (a INT) ENGINE=MyISAM")
    server.root(f"CREATE FUNCTION shop.`{name}`{_LEAVES_A_TRACE}")
    error = refused(server, sql=sql)
    assert (error.code, "this database's own" in str(error.fields["why"])) == ("refused", True)
    assert refused(server, sql=sql, export="csv").code == "refused" if sql.startswith("select") else True
    assert server.root("SELECT * FROM shop.m") == []


@pytest.mark.parametrize("others", ["", ", count(*), max(2), min(3), sum(id), now()"])
def test_a_function_that_was_just_made_is_not_called_unasked(server: Mariadb, others: str) -> None:
    """Whoever made it, and however lately the database was asked; the session is used on."""
    server.root("CREATE TABLE shop.m (a INT) ENGINE=MyISAM")

    async def made() -> list[object]:
        broker, found = MysqlBroker(), list[object]()
        for sql in (
            "select connection_id(), first_value(1) over () from t limit 1",
            f"select is_uuid(1){others} from t",  # noqa: S608 - words of this file
            "select connection_id() from t limit 1",
        ):
            try:
                plan = broker.plan(server.connection(), {"sql": sql})
                found.append(json.loads((await performed(broker, plan, lent()))[1])["rows"])
            except BrokerError as error:
                found.append(error.code)
            await asyncio.gather(*broker._acts._pool._tasks)
            server.root(f"CREATE FUNCTION IF NOT EXISTS shop.is_uuid{_LEAVES_A_TRACE}")
        await broker.aclose()
        return found

    before, refusal, after = asyncio.run(made())
    assert refusal == "refused"
    assert before[0][0] == after[0][0]  # type: ignore[index] # rows
    assert server.root("SELECT * FROM shop.m") == []


@pytest.mark.parametrize("space", ["", " "])
def test_what_every_server_has_itself_is_never_the_databases_own(server: Mariadb, space: str) -> None:
    """A function of such a name is not reached by it, so nobody has to ask; here it is tried with each."""
    server.root("CREATE TABLE shop.m (a INT) ENGINE=MyISAM")
    names = [*sorted(known("mysql-everywhere")), "count", "is_uuid"]
    server.tried(
        *(f"CREATE FUNCTION shop.`{name}`{_LEAVES_A_TRACE.replace('(1)', f'({at})')}" for at, name in enumerate(names))
    )
    assert server.root("SELECT COUNT(*) FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = 'shop'") == [
        (len(names),)
    ]
    server.tried(*(f"SELECT {name}{space}(1)" for name in names))
    assert {names[at] for (at,) in server.root("SELECT a FROM shop.m")} == {"is_uuid", *(["count"] if space else [])}


def test_rows_are_cut_at_the_bound(server: Mariadb) -> None:
    """`truncated` says so; the session is used again after a short rest, and replaced after a long one."""
    server.root("INSERT INTO shop.t SELECT seq + 10, repeat('x', 40) FROM shop.t, shop.seq_1_to_1000 WHERE id = 1")
    few, all_of, bytes_of = run(
        server,
        {"sql": "select * from t order by id", "max_rows": 3},
        {"sql": "select count(*) from t"},
        {"sql": "select a.name from t a, t b, t c", "max_bytes": 1000},
    )
    assert (len(few["rows"]), few["truncated"]) == (3, True)
    assert all_of["rows"] == [[1002]]
    assert bytes_of["truncated"] is True


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("csv", 'id,name\n1,one\n2,\n3,"a,""b"\n'),
        ("jsonl", '{"id":1,"name":"one"}\n{"id":2,"name":null}\n{"id":3,"name":"a,\\"b"}\n'),
        ("json", '[\n{"id":1,"name":"one"},\n{"id":2,"name":null},\n{"id":3,"name":"a,\\"b"}\n]\n'),
    ],
)
def test_a_table_is_exported(server: Mariadb, form: str, text: str) -> None:
    """In three formats, and CSV tells NULL from an empty text."""
    server.root("INSERT INTO shop.t VALUES (3, 'a,\"b')")
    assert one(server, "select * from t order by id", export=form).decode() == text


def test_an_exported_file_is_loaded_as_it_was(server: Mariadb) -> None:
    """NULL, empty text, quotes, line ends and bytes beyond ASCII come back."""
    server.root("INSERT INTO shop.t VALUES (3, ''), (4, 'a\"b,c\r\nd'), (5, 'é😀\\\\')")
    before = server.root("SELECT * FROM shop.t ORDER BY id")
    data = one(server, "select * from t order by id", export="csv")
    server.root("DELETE FROM shop.t")
    assert run(server, {"act": "load", "table": "t"}, body=data)[0]["affected"] == 5
    assert server.root("SELECT * FROM shop.t ORDER BY id") == before


def test_json_lines_are_loaded(server: Mariadb) -> None:
    """By the names in the file, a missing one is NULL; a trial leaves nothing."""
    lines = b'{"id": 7, "name": "x"}\n\n{"id": 8}\n'
    call = {"act": "load", "table": "shop.t", "format": "jsonl"}
    assert run(server, {**call, "dry_run": True}, body=lines)[0]["affected"] == 2
    assert len(server.root("SELECT * FROM shop.t")) == 2
    assert run(server, call, body=lines)[0]["affected"] == 2
    assert server.root("SELECT * FROM shop.t WHERE id > 2") == [(7, "x"), (8, None)]


def test_a_load_is_all_or_nothing(server: Mariadb) -> None:
    """A row that the server refuses takes the others with it."""
    found = run(server, {"act": "load", "table": "t"}, body=b"id,name\n7,x\n1,again\n")[0]
    assert found["error"]["sqlstate"] == "23000"
    assert len(server.root("SELECT * FROM shop.t")) == 2


def test_the_schema_tells_all_that_a_query_needs(server: Mariadb) -> None:
    """Columns, keys, indexes, comments and row estimates; of one table, where one is asked for."""
    server.root(
        "CREATE TABLE shop.u (a INT, b INT, UNIQUE KEY both_of (b, a), CONSTRAINT fk FOREIGN KEY (a) REFERENCES"
        " shop.t (id)) COMMENT 'of u'"
    )
    server.root("CREATE VIEW shop.v AS SELECT 1 AS x")
    tables = {table["name"]: table for table in run(server, {"act": "schema"})[0]["tables"]}
    assert list(tables) == ["t", "u", "v"]
    assert tables["t"]["columns"][0] == {
        "name": "id",
        "type": "int(11)",
        "nullable": False,
        "default": None,
        "comment": "a number",
    }
    assert (tables["t"]["primary_key"], tables["t"]["rows"]) == (["id"], 2)
    assert tables["u"]["foreign_keys"] == [{"name": "fk", "columns": ["a"], "table": "t", "references": ["id"]}]
    assert {"name": "both_of", "columns": ["b", "a"], "unique": True, "kind": "BTREE"} in tables["u"]["indexes"]
    assert (tables["u"]["comment"], tables["v"]["kind"]) == ("of u", "view")
    assert [table["name"] for table in run(server, {"act": "schema", "table": "u"})[0]["tables"]] == ["u"]


def test_a_refusal_by_the_server_is_an_answer(server: Mariadb) -> None:
    """With SQLSTATE and a hint, and without user, host and database."""
    server.root("CREATE TABLE mysql.hidden_shop (a INT)")
    for sql, state in (
        ("select * from nosuch", "42S02"),
        ("select nosuch from t", "42S22"),
        ("selec", "42000"),
        ("select * from mysql.hidden_shop", "42000"),
    ):
        error = one(server, sql, mode="write")["error"]
        assert error["sqlstate"] == state
        assert "'shop" not in error["message"]
        assert USER not in error["message"].replace("SQL", "")
        assert "127.0.0.1" not in error["message"]
    server.root("DROP TABLE mysql.hidden_shop")


def test_the_role_is_looked_at(server: Mariadb) -> None:
    """What it may do beyond reading is told, with the SQL of a role that may not; no hash comes along."""

    async def look(connection: Connection, credential: Credential) -> Findings:
        broker = MysqlBroker()
        try:
            return await broker.inspect(connection, credential)
        finally:
            await broker.aclose()

    found = asyncio.run(look(server.connection(), lent()))
    assert found.server.startswith("MariaDB 1")
    assert "GRANT SELECT, SHOW VIEW ON `shop`.*" in found.script
    assert "may write" in str(found.warnings)
    server.root("GRANT FILE, SUPER ON *.* TO 'app'@'%' WITH GRANT OPTION")
    found = asyncio.run(look(server.connection(), lent()))
    server.root("REVOKE FILE, SUPER, GRANT OPTION ON *.* FROM 'app'@'%'")
    told = str(found.warnings)
    assert "files of the server" in told
    assert "privileges to others" in told
    assert "*" not in told


def test_a_hundred_calls_at_once(server: Mariadb) -> None:
    """All are answered, by no more sessions than a connection may have."""

    async def all_of() -> list[bytes]:
        broker = MysqlBroker()
        plan = broker.plan(server.connection(), {"sql": "select connection_id() as id"})
        try:
            return [data for _, data in await asyncio.gather(*(performed(broker, plan, lent()) for _ in range(100)))]
        finally:
            await broker.aclose()

    found = [json.loads(data)["rows"][0][0] for data in asyncio.run(all_of())]
    assert len(found) == 100
    assert len(set(found)) <= 10


def test_a_closed_session_is_noticed(server: Mariadb) -> None:
    """A server that closed an idle session costs the next call nothing but a new one."""

    async def both() -> bytes:
        broker = MysqlBroker()
        plan = broker.plan(server.connection(), {"sql": "select 1 as one"})
        try:
            await performed(broker, plan, lent())
            await asyncio.gather(*broker._acts._pool._tasks)
            for (number,) in server.root("SELECT ID FROM information_schema.PROCESSLIST WHERE USER = 'app'"):
                server.root(f"KILL {number}")
            return (await performed(broker, plan, lent()))[1]
        finally:
            await broker.aclose()

    assert json.loads(asyncio.run(both()))["rows"] == [[1]]


_CHILD = """
import asyncio, resource, sys
from mariadb_server import lent
from brokers.contract import Connection
from brokers.sql.invoked import known
from brokers.sql.mysql import MysqlBroker
import json
async def count(rows):
    broker = MysqlBroker()
    connection = Connection("shop", "mysql", json.loads(sys.argv[1]), "password", {}, {"secret": "x"})
    sql = f"select seq, repeat('x', 90) as t from seq_1_to_{rows}"
    outcome = await broker.perform(broker.plan(connection, {"sql": sql, "export": "jsonl", "timeout": 100}), lent())
    size = 0
    async for chunk in outcome.body:
        size += len(chunk)
    await outcome.aclose()
    await broker.aclose()
    return size
assert asyncio.run(count(2000)) > 2000 * 90
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert asyncio.run(count(500_000)) > 500_000 * 90
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_many_rows_take_constant_memory(server: Mariadb) -> None:
    """Half a million rows, 50 MB of them, pass through in less than 8 MiB."""
    tests = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, json.dumps(dict(server.target()))],
        env={"PYTHONPATH": f"{tests}:{tests.parent}"},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 8 << 10


_WITHOUT = """
import sys
sys.modules["pymysql"] = None
import asyncio
from brokers.contract import BrokerError, Connection, Credential, Secret
from brokers.sql.invoked import known
from brokers.sql.mysql import MysqlBroker
broker = MysqlBroker()
target = broker.declared.target({"host": "127.0.0.1", "port": 1, "database": "d", "user": "u"}, {}, "password")
connection = Connection("shop", "mysql", target, "password", {}, {"secret": "x"})
plan = broker.plan(connection, {"sql": "select 1"})
try:
    asyncio.run(broker.perform(plan, Credential({"secret": Secret("x", b"y")})))
except BrokerError as error:
    print(error.code, error.fields["what"])
"""


def test_without_the_driver_it_says_what_to_install() -> None:
    """Declaring and planning need no PyMySQL; a call says which extra brings it."""
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", _WITHOUT], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["missing", "kv-secrets[mysql]"]


def test_a_body_left_early_ends_its_statement(server: Mariadb) -> None:
    """Whoever closes a long result has the server stop, too."""

    async def leave() -> None:
        broker = MysqlBroker()
        sql = "select a.seq from seq_1_to_1000000 a, seq_1_to_1000 b"
        outcome = await broker.perform(broker.plan(server.connection(), {"sql": sql, "export": "csv"}), lent())
        async for _ in outcome.body:
            break
        await outcome.aclose()
        await broker.aclose()

    asyncio.run(leave())
    assert server.root("SELECT * FROM information_schema.PROCESSLIST WHERE USER = 'app'") == []


def test_the_password_stands_nowhere(server: Mariadb) -> None:
    """Not in a plan, and not in what the broker says of itself."""
    broker = MysqlBroker()
    plan = broker.plan(server.connection(), {"sql": "select 1"})
    assert PASSWORD not in f"{plan!r}{plan.canonical()!r}{broker!r}{broker.__dict__!r}"
