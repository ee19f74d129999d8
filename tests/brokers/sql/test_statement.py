"""The classifier: what it says of a statement besides its effect, what it refuses, and what it costs at worst."""

from __future__ import annotations

import contextlib
import logging
import time

import pytest

from brokers.contract import BrokerError, Effect
from brokers.sql import shown, statement, tree
from brokers.sql.invoked import known
from brokers.sql.statement import Statement, classify
from brokers.sql.tokens import MAX_SQL, MAX_WORDS


def judged(sql: str, dialect: str = "postgres", *allowed: str) -> Statement:
    """The verdict on a statement."""
    return classify(sql, dialect, frozenset(allowed))


def refusal(sql: str, dialect: str = "postgres") -> str:
    """Why a statement is never sent."""
    with pytest.raises(BrokerError) as caught:
        classify(sql, dialect)
    assert caught.value.code == "argument"
    return str(caught.value.fields["why"])


@pytest.mark.parametrize("dialect", ["postgres", "mysql", "sqlite"])
@pytest.mark.parametrize("sql", ["create", "alter", "drop", "show", "rename", "select f(1) x (", "explain", "with"])
def test_half_a_statement_is_judged_or_refused(sql: str, dialect: str) -> None:
    """An end where something is missing is no fault of the reader's."""
    with contextlib.suppress(BrokerError):
        assert judged(sql, dialect).effect in Effect


def test_a_bracket_without_its_end_is_no_name() -> None:
    """SQLite's: what nothing closes is refused at the first of them."""
    assert "not closed" in refusal("select " + "[" * 50, "sqlite")


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("select 1", ()),
        ("select * from b, a, public.a", ("a", "b", "public.a")),
        ('select * from "Orders", "a.b", ORDERS', ('"Orders"', '"a.b"', "orders")),
        ("with t as (select * from a) select * from t", ("a",)),
        ("with a as (select * from a) select * from a", ("a",)),
        ("with recursive a as (select 1 union select * from a) select * from a", ()),
        ("with x as (select * from y), y as (select 1) select * from x, y", ("y",)),
        ("select * from a where id in (select id from b) union select * from c", ("a", "b", "c")),
        ("select * from generate_series(1, 2) g, lateral (select * from d) x", ("d",)),
        ("table a", ("a",)),
        ("insert into a select * from b", ("a", "b")),
        ("update a set x = 1 from b where a.id = b.id", ("a", "b")),
        ("delete from a using b where a.id = b.id", ("a", "b")),
        ("merge into a using b on a.id = b.id when matched then delete", ("a", "b")),
        ("explain delete from a", ("a",)),
        ("truncate only a, b", ("a", "b")),
        ("drop table if exists s.a, b cascade", ("b", "s.a")),
        ("alter table only a add column x int", ("a",)),
        ("create table a as select * from b", ("a", "b")),
        ("create index on a (x)", ("a",)),
        ("select * from a for update limit (select 1 from b)", ("a", "b")),
        ("select 1 from a for update of c nowait", ("a",)),
        ("insert into date (a) select x from b", ("b", "date")),
        ("grant select on a, b to app", ("a", "b")),
        ("comment on column a.x is 'y'", ("a",)),
    ],
)
def test_the_tables_it_touches(sql: str, tables: tuple[str, ...]) -> None:
    """Each is named once, as rules spell it; a common table expression is none, but does not hide one either."""
    assert judged(sql).tables == tables


@pytest.mark.parametrize("dialect", ["mysql", "sqlite"])
def test_names_without_case(dialect: str) -> None:
    """MySQL and SQLite take `Orders` and orders for the same."""
    quote = {"mysql": "`", "sqlite": '"'}[dialect]
    assert judged(f"table {quote}Orders{quote} union table ORDERS", dialect).tables == ("orders",)


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("select 1", "SELECT"),
        ("(select 1) union (select 2)", "SELECT"),
        ("values (1)", "SELECT"),
        ("table a", "SELECT"),
        ("with t as (select 1) insert into a select * from t", "INSERT"),
        ("with t as (delete from a returning 1) select * from t", "DELETE"),
        ("explain select 1", "EXPLAIN"),
        ("show all", "SHOW"),
        ("create or replace view v as select 1", "CREATE"),
        ("call p()", "CALL"),
        ("frobnicate", "FROBNICATE"),
    ],
)
def test_its_kind(sql: str, kind: str) -> None:
    """One word in capitals, for rules; a change hidden in a query is of the change's kind."""
    assert judged(sql).kind == kind


@pytest.mark.parametrize(
    ("sql", "because"),
    [
        ("select * from orders", "it reads orders"),
        ("select 1", "it reads no table"),
        ("delete from orders where id = 1", "it deletes rows of orders"),
        ("delete from orders where 1 = 1", "it deletes every row of orders"),
        ("update orders set a = 1", "it changes every row of orders"),
        ("update orders set a = 1 where id = 1 or id <> 1", "it changes every row of orders"),
        ("select * from a, b, c, d for update", "it locks rows of a, b, c and 1 more"),
        ('delete from "a\u202eb"', "it deletes every row of a name in quotes"),
        ("drop table orders", "it drops a table of orders"),
    ],
)
def test_its_reason(sql: str, because: str) -> None:
    """A sentence for a card; a name that could deceive the reader is not in it."""
    assert judged(sql).because == because


def test_an_unknown_function_is_named_and_can_be_listed() -> None:
    """The reason names it, and a user who lists it has a read, with or without its schema."""
    found = judged("select similarity(a, b), shop.score(a) from t")
    assert (found.effect, found.unknown) == (Effect.UNKNOWN, ("shop.score", "similarity"))
    assert "shop.score, similarity" in found.because
    assert (
        judged("select similarity(a, b), shop.score(a) from t", "postgres", "similarity", "score").effect is Effect.READ
    )


def test_a_listed_function_does_not_list_its_capitals() -> None:
    """In PostgreSQL "Score" is another function."""
    assert judged('select "Score"(a) from t', "postgres", "score").unknown == ("Score",)


def test_an_unknown_type_can_be_listed_too() -> None:
    """`'paid'::order_status` casts with somebody's code, which may be an enumeration."""
    sql = "select * from orders where status = 'paid'::order_status"
    assert judged(sql).unknown == ("order_status",)
    assert judged(sql, "postgres", "order_status").effect is Effect.READ


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("select 1", True),
        ("with t as (values (1)) select * from t", True),
        ("values (1)", True),
        ("table a", True),
        ("select wipe()", True),
        ("select * into b from a", False),
        ("with t as (delete from a returning 1) select 1", False),
        ("explain select 1", False),
        ("show all", False),
        ("insert into a values (1) returning id", False),
    ],
)
def test_what_a_cursor_can_run(sql: str, rows: bool) -> None:  # noqa: FBT001 - the table's column
    """A plain query, whatever its functions."""
    assert judged(sql).rows is rows


@pytest.mark.parametrize(
    ("sql", "explainable"),
    [
        ("select 1", True),
        ("delete from a where id = 1", True),
        ("create table b as select * from a", True),
        ("create table b (a int)", False),
        ("select wipe()", False),
        ("delete from a where id = wipe()", False),
        ("explain select 1", False),
        ("select from where", False),
    ],
)
def test_what_explain_may_be_put_before(sql: str, explainable: bool) -> None:  # noqa: FBT001 - as above
    """A planner calls functions: EXPLAIN is put before what is known throughout."""
    assert judged(sql).explainable is explainable


@pytest.mark.parametrize(
    ("sql", "dialect"),
    [
        ("select * from t where id = $1 and x = any ($2::int[]) limit $3", "postgres"),
        ("select * from t where id = ? and x in (?, ?) limit ?", "mysql"),
        ("select * from t where id = %s and x in (%s, %s) limit %s", "mysql"),
        ("select * from t where id = ? and x = ?2 and y = :name and z = @p and w = $q limit ?", "sqlite"),
    ],
)
def test_parameters(sql: str, dialect: str) -> None:
    """Placeholders of each engine stand for values."""
    assert judged(sql, dialect).effect is Effect.READ


def test_the_row_that_was_in_the_way() -> None:
    """`excluded` is a row of the table itself, not a function's."""
    sql = "insert into a (id, total) values (1, 2) on conflict (id) do update set total = excluded.total + a.total"
    assert judged(sql).effect is Effect.WRITE


def test_a_modifier_may_be_a_table() -> None:
    """QUICK is no reserved word: where it is a name it is not left out."""
    assert judged("select * from a, quick", "mysql").tables == ("a", "quick")


def test_refusals_say_what_to_do() -> None:
    """What is never sent is refused with words of ours."""
    assert "more than one statement" in refusal("select 1; select 2")
    assert "kv's" in refusal("begin")
    assert "--save" in refusal("copy a to stdout")
    assert "schema" in refusal("pragma table_info(a)", "sqlite")
    assert "empty" in refusal(" \n;; ")
    assert "not Unicode" in refusal("select '\ud800'")
    assert "NUL" in refusal("select '\0'")
    assert "1 MiB" in refusal("select '" + "x" * MAX_SQL + "'")
    assert "60 deep" in refusal("select " + "(" * 61 + "1" + ")" * 61)
    assert "50,000 words" in refusal("select 1" + ",1" * MAX_WORDS)
    assert "brackets" in refusal("select (1")


def test_a_refusal_quotes_nothing_of_the_statement() -> None:
    """What an agent wrote is not in the reason."""
    assert "sesame" not in refusal("set sesame = 'sesame'")
    assert "sesame" not in refusal("select 'sesame")


BOMBS = {
    "brackets": "select " + "(" * 59 + "1" + ")" * 59,
    "calls that could be types": "select " + "date(" * 59 + "a" + ")" * 59,
    "double precision": "select " + "double precision(" * 18 + "1" + ")" * 18,
    "arrays": "select " + "array[" * 59 + "1" + "]" * 59,
    "limits": "select " + "(select 1 limit " * 18 + "1" + ")" * 18,
    "subscripts": "select a" + "[1]" * 2000,
    "cases": "select " + "case when a then " * 500 + "1" + " end" * 500,
    "nots": "select " + "not " * 2000 + "true",
    "signs": "select " + "- " * 2000 + "1",
    "unions": "select 1" + " union select 1" * 1500,
    "sums": "select 1" + " + 1" * 2400,
    "rows": "insert into t values (1)" + ",(1)" * 12000,
    "explains": "explain " * 40000 + "select 1",
    "comments": "select 1 " + "/**/" * 200000,
    "open comments": "/*" * 500000,
    "dollars": "select " + ",".join(f"$a{i}$" for i in range(100000)),
    "quotes": "'" * 1000001,
    "tables": "drop " + "table " * 49000 + "x",
    "verbose": "vacuum " + "on full " * 24000 + "x",
    "targets": "analyze " + "on x, " * 16000 + "x",
    "dots": "select " + "a." * 20000 + "f('x')",
    "casts": "select " + "cast(" * 50 + "a as " * 9000 + "int" + ")" * 50,
}


@pytest.mark.parametrize(
    "condition",
    [
        "id = 1 or " * 1200 + "id = 2",
        "id = 1 and " * 1200 + "id = 2",
        "id + " * 1100 + "1 = id + " + "id + " * 1100 + "2",
        "not " * 18 + "id = 2",
        " or ".join(f"id > {number} or id < {number}" for number in range(600)),
    ],
)
def test_a_long_condition_is_one(condition: str) -> None:
    """However it is built, it is walked to its end and not given up."""
    assert judged(f"update orders set note = null where {condition}").effect is Effect.WRITE  # noqa: S608 - not sent


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("dialect", ["postgres", "mysql", "sqlite"])
def test_no_statement_takes_long(bomb: str, dialect: str) -> None:
    """Readings that double with every bracket, stacks and quadratic searches are cut off: no hours of CPU."""
    before = time.process_time()
    with contextlib.suppress(BrokerError):
        classify(BOMBS[bomb], dialect)
    with contextlib.suppress(BrokerError):
        shown.rows(shown.plain(BOMBS[bomb], dialect))
    assert time.process_time() - before < 5


def test_a_stack_that_is_nearly_full_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the parser runs out of stack after all, the statement is not understood."""

    def deep(_: str) -> type:
        raise RecursionError

    monkeypatch.setattr(tree, "_bounded", deep)
    found = statement._classified("select 1", "postgres", frozenset())
    assert (found.effect, found.because) == (Effect.UNKNOWN, "kv does not understand its grammar")


def test_nothing_of_a_statement_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The parser would print what it does not understand, and the line with it."""
    with caplog.at_level(logging.DEBUG):
        for sql in ("select from where sesame", "select a -> '$[sesame' from t", "update sesame sesame"):
            classify(sql, "mysql")
    assert "sesame" not in caplog.text


def test_a_verdict_is_remembered() -> None:
    """The same statement twice is judged once; a very long one is not kept."""
    statement._remembered.cache_clear()
    assert judged("select 1 as remembered") is judged("select 1 as remembered")
    judged("select '" + "x" * 9000 + "'")
    assert statement._remembered.cache_info().currsize == 1


REACHING = {
    "postgres": """
        pg_sleep pg_read_file pg_read_binary_file pg_ls_dir pg_stat_file lo_import lo_export lo_create
        lo_get lo_put lowrite loread dblink dblink_exec set_config current_setting pg_notify
        pg_advisory_lock pg_try_advisory_lock nextval setval currval lastval pg_terminate_backend
        pg_cancel_backend pg_reload_conf pg_rotate_logfile pg_switch_wal query_to_xml table_to_xml
        schema_to_xml database_to_xml cursor_to_xml ts_stat ts_rewrite txid_current pg_current_xact_id
        inet_server_addr inet_client_addr pg_stat_reset pg_export_snapshot pg_logical_emit_message
        pg_promote pg_backup_start pg_create_restore_point pg_hba_file_rules pg_relation_filepath
        pg_stat_get_activity setseed pg_file_settings pg_logical_slot_get_changes gin_clean_pending_list
        pg_current_logfile pg_tablespace_location pg_log_backend_memory_contexts pg_input_is_valid
        pg_input_error_info
    """,
    "mysql": """
        load_file sleep benchmark get_lock release_lock release_all_locks is_free_lock is_used_lock
        master_pos_wait source_pos_wait master_gtid_wait wait_for_executed_gtid_set
        wait_until_sql_thread_after_gtids nextval setval lastval sys_exec sys_eval encrypt des_encrypt
        des_decrypt wsrep_sync_wait_upto_gtid group_replication_set_as_primary
        asynchronous_connection_failover_add_source service_get_write_locks analyse
    """,
    "sqlite": "load_extension readfile writefile edit fts3_tokenizer sqlite_log fsdir zipfile fts5 optimize",
}


@pytest.mark.parametrize("dialect", REACHING)
def test_no_list_holds_what_reaches_out(dialect: str) -> None:
    """Files, programs, other sessions, locks, sleeps, sequences and SQL given as text are on no list."""
    assert not known(dialect).intersection(REACHING[dialect].split())
    assert len(known(dialect)) > 100


def test_lists_are_sets_of_plain_names() -> None:
    """A list's line is a name and nothing else, so that none is written in a way that never matches."""
    for name in ("postgres", "mysql", "mysql-everywhere", "sqlite", "postgres-types"):
        assert all(word == word.lower() and word.replace(".", "_").isidentifier() for word in known(name))
