"""Parameters in MySQL's statements: where they stand, and that no value gets out of its place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.contract import BrokerError
from brokers.sql.mysql import literal, text
from brokers.sql.tokens import tokens


def refused(sql: str, *params: object) -> str:
    """Why a statement with these parameters is refused."""
    with pytest.raises(BrokerError) as caught:
        literal.placed(sql, params)  # type: ignore[arg-type] # values of any kind
    assert caught.value.code == "argument"
    return str(caught.value.fields["why"])


@pytest.mark.parametrize(
    ("sql", "params", "sent"),
    [
        ("select 1", (), "select 1"),
        ("select ?", (1,), "select 1 "),
        ("select ?, '?', `?`, \"?\" -- ?\n", (1,), "select 1 , '?', `?`, \"?\" -- ?\n"),
        ("select /* ? */ ? # ?", (None,), "select /* ? */ NULL  # ?"),
        ("select ?", ("a'b\\",), "select _utf8mb4 X'6127625c' "),
        ("select ?", ("",), "select _utf8mb4 X'' "),
        ("select ?,?", (True, False), "select TRUE ,FALSE "),
        ("select '\\'?', ?", (1.5,), "select '\\'?', 1.5 "),
        ("select %s", ("x",), "select _utf8mb4 X'78' "),
        ("select a %s from t", (), "select a %s from t"),
        ("select 'a'?", (1,), "select 'a' 1 "),
    ],
)
def test_values_stand_where_the_placeholders_stood(sql: str, params: tuple[object, ...], sent: str) -> None:
    """Strings, names and comments keep their question marks; all other text is as it was."""
    assert literal.placed(sql, params) == sent  # type: ignore[arg-type] # values of any kind


def test_a_value_makes_no_comment() -> None:
    """Two signs before a parameter are two signs, whatever the value: `-- 5` would hide the rest."""
    assert literal.placed("select 1--?, 2", (5,)) == "select 1--5 , 2"
    assert literal.placed("select 1-?, 2", (-5,)) == "select 1-(-5) , 2"


def test_a_value_names_no_variable() -> None:
    """`@?` would become the name of a variable."""
    assert "variable" in refused("select @?", 5)


@pytest.mark.parametrize(("sql", "params"), [("select ?", ()), ("select 1", (1,)), ("select ?, ?", (1,))])
def test_the_number_of_values_fits(sql: str, params: tuple[object, ...]) -> None:
    """Neither a value nor a placeholder is left over."""
    assert "one value for each" in refused(sql, *params)


def test_placeholders_are_of_one_kind() -> None:
    """A remainder beside a placeholder is not taken for another one."""
    assert "every placeholder as ?" in refused("select a %s, ?", 1, 2)


@given(st.text(), st.text())
def test_no_text_gets_out_of_its_literal(one: str, two: str) -> None:
    """Whatever the values, the statement has the tokens that it had, with a literal for each placeholder."""
    if "\0" in one + two or any("\ud800" <= character <= "\udfff" for character in one + two):
        return
    sent = literal.placed("select ? as a, 'x' as b where c = ?", (one, two))
    words = [token.word or token.kind for token in tokens(sent, "mysql").items]
    mark = ["_UTF8MB4", "string"]
    assert words == ["SELECT", *mark, "AS", "A", ",", "string", "AS", "B", "WHERE", "C", "=", *mark]
    assert f"X'{one.encode().hex()}'" in sent


@pytest.mark.parametrize(
    "sql",
    [
        "call p()",
        "begin not atomic commit; end",
        "execute immediate 'x'",
        "handler t open",
        "set session transaction read write",
        "analyze table t",
        "analyze local table t",
        "lock tables t write",
        "do get_lock('a', 1)",
        "flush tables",
        "select 1 into outfile '/tmp/x'",
        "select 1 into dumpfile '/tmp/x'",
        "insert into t values (1)",
    ],
)
def test_only_queries_are_sent_in_mode_read(sql: str) -> None:
    """What could end the read-only transaction on its way is not sent, whatever a classifier made of it."""
    with pytest.raises(BrokerError) as caught:
        text.check_read(sql.replace("; end", " end"))
    assert caught.value.fields["argument"] == "mode"


@pytest.mark.parametrize(
    "sql",
    [
        "select 1",
        "(select 1)",
        "with a as (select 1) select * from a",
        "show tables",
        "explain select 1",
        "analyze select 1",
        "analyze format=json select 1",
        "desc t",
        "values (1)",
        "table t",
    ],
)
def test_queries_of_every_form_are_sent(sql: str) -> None:
    """What reads is not refused."""
    text.check_read(sql)


@pytest.mark.parametrize("sql", ["create table t (a int)", "drop table t", "alter table t add b int", "truncate t"])
def test_a_definition_is_not_tried(sql: str) -> None:
    """MySQL commits it by itself: a dry run of it would be the real thing."""
    with pytest.raises(BrokerError) as caught:
        text.check_dry_run(sql)
    assert caught.value.fields["argument"] == "dry_run"


def test_names_are_quoted() -> None:
    """A backtick in a name ends nothing."""
    assert literal.name("a`b.c") == "`a``b`.`c`"
    assert literal.column("a.b") == "`a.b`"
