"""Calls on a real PostgreSQL: what comes back, what is changed, and what is left behind."""

from __future__ import annotations

import asyncio
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from postgres_server import DATABASE, PASSWORD, USER, Postgres, lent, performed

from brokers.conformance import BrokerSuite
from brokers.contract import Broker, BrokerError, Connection, Credential
from brokers.sql.postgres import PostgresBroker
from brokers.sql.postgres.role import grant_script

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from brokers.personal import Findings


@pytest.fixture(scope="module")
def served() -> Iterator[Postgres]:
    """One server for the module."""
    with Postgres() as server:
        yield server


@pytest.fixture
def server(served: Postgres) -> Postgres:
    """The server, with the tables as they begin."""
    served.root(
        "DROP SCHEMA IF EXISTS public CASCADE; DROP SCHEMA IF EXISTS other CASCADE; CREATE SCHEMA public;"  # noqa: S608 - words of this file
        f"GRANT ALL ON SCHEMA public TO {USER}; SET ROLE {USER};"
        "CREATE TABLE t (id int PRIMARY KEY, name text); INSERT INTO t VALUES (1, 'one'), (2, NULL)"
    )
    return served


def run(server: Postgres, *calls: Mapping[str, object], body: bytes = b"", preview: bool = False) -> list[Any]:
    """The documents of calls, one after another on one broker."""

    async def all_of() -> list[Any]:
        broker, found = PostgresBroker(), []
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


def one(server: Postgres, sql: str, *params: object, **more: object) -> Any:  # noqa: ANN401 - a document
    """The document of a query."""
    return run(server, {"sql": sql, "params": list(params), **more})[0]


class TestPostgresBroker(BrokerSuite):
    """The broker of PostgreSQL keeps the suite of all brokers."""

    arguments: ClassVar[Mapping[str, object]] = {"sql": "select 1 as one"}
    refused: ClassVar[Sequence[Mapping[str, object]]] = (
        {"no such argument": 1},
        {"sql": ""},
        {"sql": "select 1; select 2"},
        {"timeout": 1000},
        {"mode": "both"},
    )

    @pytest.fixture(autouse=True)
    def _served(self, served: Postgres) -> None:
        self.server = served

    def broker(self) -> Broker:
        """A new broker."""
        return PostgresBroker()

    @contextmanager
    def reachable(self) -> Iterator[tuple[Connection, Credential]]:
        """A server."""
        yield self.server.connection(), lent()

    def unreachable(self) -> tuple[Connection, Credential]:
        """A loopback port that nobody listens on."""
        target = PostgresBroker.declared.target(
            {"host": "127.0.0.1", "port": 1, "database": DATABASE, "user": USER}, {}, "password"
        )
        return Connection("shop", "postgres", target, "password", {}, {"secret": "shop/PASSWORD"}), lent()

    def with_text(self, text: str) -> Sequence[Mapping[str, object]]:
        """The statement, a parameter, and what a schema names."""
        return (
            {"sql": f"select '{text}'"},
            {"sql": "select $1", "params": [text]},
            {"act": "schema", "table": text},
            {"act": "schema", "schema": text},
        )


def test_values_come_as_the_server_spells_them(server: Postgres) -> None:
    """Numbers that JSON has exactly are numbers, JSON is itself, all else is the server's own text."""
    found = one(
        server,
        "select 1::int2 a, 9007199254740993::int8 b, 1.50::numeric c, 2.5::float8 d, 'NaN'::float8 e, null f, true g,"
        " '\\x00ff'::bytea h, '{\"k\": [1, null]}'::jsonb i, '[1,\n2]'::json j, timestamp '2024-02-29 01:02:03.123456' k,"  # noqa: E501 - a table of values
        " timestamptz '2024-02-29 01:02:03+00' at time zone 'UTC' l, interval '1 day 02:00' m, int4range(1, 5) n,"
        " '0e984725-c51c-4bf4-9960-e1c80e27aba0'::uuid o, '10.0.0.1/8'::inet p, 'é😀\"\\' q, 1e-7::float8 r",
    )
    assert found["rows"] == [
        [1, "9007199254740993", "1.50", 2.5, "NaN", None, True, "\\x00ff", {"k": [1, None]}, [1, 2]]  # noqa: RUF005 - reads as a row
        + ["2024-02-29 01:02:03.123456", "2024-02-29 01:02:03", "1 day 02:00:00", "[1,5)"]
        + ["0e984725-c51c-4bf4-9960-e1c80e27aba0", "10.0.0.1/8", 'é😀"\\', 1e-7]
    ]
    types = [column["type"] for column in found["columns"]]
    assert types[:10] == ["int2", "int8", "numeric", "float8", "float8", "text", "bool", "bytea", "jsonb", "json"]
    assert found["truncated"] is False


def test_arrays_are_lists(server: Postgres) -> None:
    """Of any type and depth, with NULL, quotes, commas and backslashes, and with odd bounds."""
    found = one(
        server,
        "select array[1, null, 3] a, array[['x,\"y\\', 'NULL'], [null, '{}']] b, '{}'::int[] c, '[2:3]={7,8}'::int[] d,"
        " array[true, false] e, array['{\"a\": 1}'::jsonb] f, array[1.10] g, '{(2,2),(1,1);(4,4),(3,3)}'::box[] h,"
        " '1 2 3'::int2vector i",
    )
    assert found["rows"] == [
        [[1, None, 3], [['x,"y\\', "NULL"], [None, "{}"]], [], [7, 8], [True, False], [{"a": 1}], ["1.10"]]  # noqa: RUF005 - reads as a row
        + [["(2,2),(1,1)", "(4,4),(3,3)"], "1 2 3"]
    ]
    assert [column["type"] for column in found["columns"]][:2] == ["_int4", "_text"]


def test_types_of_ones_own_have_their_names(server: Postgres) -> None:
    """Enumerations, composites and arrays of them are looked up, in reads and in writes."""
    server.own(
        "CREATE TYPE mood AS ENUM ('sad', 'so so'); CREATE TYPE pair AS (a int, b text);"
        "CREATE TABLE m (m mood, ms mood[], p pair);"
    )
    written = one(
        server,
        "insert into m values ('sad', '{\"so so\",sad}', (1, 'x')) returning *",
        mode="write",
    )
    read = one(server, "select m, ms, p from m")
    for found in (written, read):
        assert [column["type"] for column in found["columns"]] == ["mood", "_mood", "pair"]
        assert found["rows"] == [["sad", ["so so", "sad"], "(1,x)"]]
    assert written["affected"] == 1


def test_parameters_take_their_type_from_their_place(server: Postgres) -> None:
    """A parameter is a value and never a part of the statement."""
    assert one(server, "select $1::int + 1, $2::text, $3::bool, $4::float8", 41, "'; drop table t", True, 0.5)[  # noqa: FBT003 - a parameter
        "rows"
    ] == [[42, "'; drop table t", True, 0.5]]
    assert one(server, "select name from t where id = $1", 1)["rows"] == [["one"]]
    assert one(server, "select $1::text", None)["rows"] == [[None]]


def test_rows_end_at_the_bounds(server: Postgres) -> None:
    """Rows and bytes are bounded, whole rows are kept, and the next call on the session is as good."""
    first, second, third = run(
        server,
        {"sql": "select * from generate_series(1, 3000000) n", "max_rows": 3},
        {"sql": "select repeat('x', 100) from generate_series(1, 1000)", "max_bytes": 1000},
        {"sql": "select 1"},
    )
    assert (first["rows"], first["truncated"]) == ([[1], [2], [3]], True)
    assert 5 < len(second["rows"]) < 10
    assert second["truncated"] is True
    assert third["rows"] == [[1]]


def test_a_write_is_committed_and_counted(server: Postgres) -> None:
    """Affected rows and RETURNING; rows that are not shown are changed all the same."""
    assert one(server, "update t set name = 'x'", mode="write")["affected"] == 2
    found = one(server, "insert into t select n from generate_series(10, 509) n returning id", mode="write", max_rows=2)
    assert (found["rows"], found["truncated"], found["affected"]) == ([[10], [11]], True, 500)
    assert server.root("select count(*) from t") == [(502,)]


def test_a_dry_run_is_rolled_back(server: Postgres) -> None:
    """What it would have done is told, and so is what only a commit would have found."""
    found = one(server, "delete from t", mode="write", dry_run=True)
    assert (found["affected"], found["rolled_back"]) == (2, True)
    assert server.root("select count(*) from t") == [(2,)]
    server.own("CREATE TABLE c (id int REFERENCES t DEFERRABLE INITIALLY DEFERRED)")
    assert one(server, "insert into c values (77)", mode="write", dry_run=True)["error"]["sqlstate"] == "23503"
    assert one(server, "insert into c values (77)", mode="write")["error"]["sqlstate"] == "23503"


def test_what_needs_to_be_alone_is_refused_with_a_hint(server: Postgres) -> None:
    """Kv has a transaction around every statement."""
    for sql in ("create index concurrently i on t (name)", "vacuum t"):
        error = one(server, sql, mode="write")["error"]
        assert error["sqlstate"] == "25001"
        assert "transaction" in error["hint"]


def test_refusals_are_answers_without_the_connections_words(server: Postgres) -> None:
    """SQLSTATE, position and hint stay; role, database and host go; names of tables stay."""
    error = one(server, "select *, idd from t")["error"]
    assert (error["sqlstate"], error["position"]) == ("42703", 11)
    assert "idd" in error["message"]
    server.root(f"CREATE TABLE hidden (x int); REVOKE ALL ON hidden FROM {USER}")
    denied = one(server, "select * from hidden")["error"]
    assert (denied["sqlstate"], denied["message"]) == ("42501", "permission denied for table hidden")
    created = one(server, f"create role {USER}", mode="write")["error"]
    assert USER not in json.dumps(created)
    owned = one(server, f"alter database {DATABASE} tablespace nosuch", mode="write")["error"]
    assert DATABASE not in owned["message"]


def test_an_estimate_is_the_planners(server: Postgres) -> None:
    """For its card a write is explained, not performed."""
    server.own("INSERT INTO t SELECT n FROM generate_series(10, 1009) n; ANALYZE t")
    assert run(server, {"sql": "delete from t where id > $1", "params": [509], "mode": "write"}, preview=True) == [
        {"rows": 500}
    ]
    assert run(server, {"sql": "insert into t values (5001), (5002)", "mode": "write"}, preview=True) == [{"rows": 2}]
    assert server.root("select count(*) from t") == [(1002,)]


def test_a_schema_is_told_whole(server: Postgres) -> None:
    """Columns, keys, checks, indexes, comments, of what the role may see."""
    server.root(
        f"CREATE TABLE secretly (x int); REVOKE ALL ON secretly FROM {USER}; SET ROLE {USER};"  # noqa: S608 - words of this file
        "CREATE TABLE o (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, t_id int NOT NULL REFERENCES t (id),"
        " n numeric(10, 2) DEFAULT 1 CHECK (n > 0), twice numeric GENERATED ALWAYS AS (n * 2) STORED, u text UNIQUE);"
        "COMMENT ON TABLE o IS 'orders'; COMMENT ON COLUMN o.n IS 'how much'; CREATE INDEX o_n ON o (n);"
        "CREATE VIEW v AS SELECT * FROM o"
    )
    whole, just, none = run(
        server, {"act": "schema"}, {"act": "schema", "table": "o"}, {"act": "schema", "schema": "other"}
    )
    assert [(each["name"], each["kind"]) for each in whole["tables"]] == [("o", "table"), ("t", "table"), ("v", "view")]
    (o,) = just["tables"]
    assert o["comment"] == "orders"
    assert o["primary_key"] == ["id"]
    columns = {column["name"]: column for column in o["columns"]}
    assert columns["id"] == {"name": "id", "type": "bigint", "nullable": False, "identity": "always"}
    assert columns["n"] == {
        "name": "n",
        "type": "numeric(10,2)",
        "nullable": True,
        "default": "1",
        "comment": "how much",
    }
    assert "generated" in columns["twice"]
    (key,) = o["foreign_keys"]
    assert (key["columns"], key["table"], key["references"]) == (["t_id"], "t", ["id"])
    assert {each["definition"] for each in o["constraints"]} == {"CHECK ((n > (0)::numeric))", "UNIQUE (u)"}
    assert {each["name"]: each["columns"] for each in o["indexes"]} == {"o_n": ["n"], "o_u_key": ["u"]}
    (v,) = (each for each in whole["tables"] if each["name"] == "v")
    assert [v[member] for member in ("primary_key", "foreign_keys", "constraints", "indexes")] == [[], [], [], []]
    assert none == {"tables": [], "truncated": False}


def test_a_file_is_loaded_or_not_at_all(server: Postgres) -> None:
    """CSV and JSON lines; a line that ends a COPY elsewhere is a value here; a bad row undoes the rest."""
    load = {"act": "load", "table": "t"}
    assert run(server, load, body=b'id,name\n5,"a\tb\\\nc"\n6,\\.\n7,\n8,""\n')[0]["affected"] == 4
    assert server.root("select name from t where id > 4 order by id") == [("a\tb\\\nc",), ("\\.",), (None,), ("",)]
    lines = b'{"id": 20, "name": {"a": 1}}\n{"id": 21}\n'
    tried = run(server, {**load, "table": "public.t", "format": "jsonl", "dry_run": True}, body=lines)[0]
    assert (tried["affected"], tried["rolled_back"]) == (2, True)
    assert run(server, load, body=b"id\n30\n1\n")[0]["error"]["sqlstate"] == "23505"
    with pytest.raises(BrokerError) as refused:
        run(server, load, body=b"id,name\n31,x\n32\n")
    assert refused.value.code == "argument"
    assert server.root("select count(*) from t where id >= 20") == [(0,)]


def test_a_table_to_load_is_a_name_and_nothing_else(server: Postgres) -> None:
    """A name that would end its quotes is a name of a table that there is not."""
    found = run(server, {"act": "load", "table": "t (id) FROM PROGRAM 'true' --"}, body=b"id\n1\n")[0]
    assert found["error"]["sqlstate"] == "42P01"
    with pytest.raises(BrokerError) as refused:
        run(server, {"act": "load", "table": "t\" (id) FROM PROGRAM 'true' --"}, body=b"id\n1\n")
    assert refused.value.code == "argument"


def test_exports_are_files(server: Postgres) -> None:
    """CSV as COPY writes it, with and without parameters; JSON lines and a JSON list."""
    sql = "select id, name, array[id] as a from t order by id; -- done"
    assert one(server, sql, export="csv") == b"id,name,a\n1,one,{1}\n2,,{2}\n"
    plain = "select id, name, array[id] as a from t where id < $1 order by id"
    assert one(server, plain, 9, export="csv") == b"id,name,a\n1,one,{1}\n2,,{2}\n"
    lines = one(server, "select id, name from t order by id", export="jsonl")
    assert [json.loads(line) for line in lines.splitlines()] == [{"id": 1, "name": "one"}, {"id": 2, "name": None}]
    assert json.loads(one(server, "select id from t order by id", export="json")) == [{"id": 1}, {"id": 2}]


def test_a_role_is_looked_at(server: Postgres) -> None:
    """What it may do beyond reading is said, and the statements for a proper role work."""

    async def look() -> Findings:
        broker = PostgresBroker()
        try:
            return await broker.inspect(server.connection(), lent())
        finally:
            await broker.aclose()

    found = asyncio.run(look())
    assert found.server.startswith("PostgreSQL ")
    assert "role for reading" in found.remedy
    assert any("owns tables" in warning for warning in found.warnings)
    server.root(f"GRANT pg_read_server_files TO {USER}")
    assert any("any file" in warning for warning in asyncio.run(look()).warnings)
    server.root(f"REVOKE pg_read_server_files FROM {USER}; ALTER ROLE {USER} SUPERUSER")
    assert "superuser" in str(asyncio.run(look()).warnings)
    server.root(f"ALTER ROLE {USER} NOSUPERUSER")
    server.root(grant_script('odd "role"', DATABASE))
    assert server.root("select has_table_privilege('odd \"role\"', 't', 'SELECT')") == [(True,)]
    assert server.root("select has_table_privilege('odd \"role\"', 't', 'INSERT')") == [(False,)]
    server.root('DROP OWNED BY "odd ""role"""; DROP ROLE "odd ""role"""')


def test_nothing_that_is_shown_holds_the_password(server: Postgres) -> None:
    """Neither a failure nor what a debugger would print of a login."""
    from brokers.sql.postgres.login import login_of

    login = login_of(server.connection(), lent())
    assert PASSWORD not in repr(login)

    async def wrong() -> None:
        broker = PostgresBroker()
        await performed(broker, broker.plan(server.connection(), {"sql": "select 1"}), lent("Wr0ng-4711"))

    with pytest.raises(BrokerError) as refused:
        asyncio.run(wrong())
    shown = f"{refused.value!r} {refused.value.fields} {refused.value.__context__!r} {refused.value.__cause__!r}"
    assert refused.value.code == "login"
    assert "Wr0ng-4711" not in shown
