"""What a card shows of a statement: what is performed, and nothing else that looks like it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.contract import BrokerError
from brokers.sql import shown
from brokers.sql.tokens import pieces, tokens

DIALECTS = ("postgres", "mysql", "sqlite")
PAD = "delete from t where id > 0 -- the rows of the old import, as agreed"


def card(sql: str, dialect: str = "postgres") -> list[tuple[str, str]]:
    """The rows of a statement."""
    return shown.rows(shown.plain(sql, dialect))


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "sql",
    [
        PAD + " " * (250 - len(PAD)) + "and id = 4711",
        PAD + "\u2028and id = 4711",
        PAD + "\x0cand id = 4711",
        PAD + "\x85and id = 4711",
        "delete from t where id > 0 /*\nand id = 4711 */",
    ],
)
def test_a_comment_is_no_condition(sql: str, dialect: str) -> None:
    """What a server leaves out is not shown as if it were a part of the statement."""
    assert card(sql, dialect) == [("sql", "delete from t where id > 0")]
    assert "4711" not in shown.title(shown.plain(sql, dialect))


@pytest.mark.parametrize("dialect", ["mysql", "sqlite"])
def test_a_carriage_return_ends_no_comment_where_the_server_reads_on(dialect: str) -> None:
    """In PostgreSQL it does, and what follows is shown."""
    sql = PAD + "\rand id = 4711"
    assert card(sql, dialect) == [("sql", "delete from t where id > 0")]
    assert card(sql) == [("sql", "delete from t where id > 0"), ("sql", "and id = 4711")]


def test_a_string_is_shown_as_one() -> None:
    """Its line ends make no lines, and its blanks are counted."""
    sql = "update t set name = 'x'' \nwhere id = 1   --' where \"a  b\" > 0"
    assert card(sql) == [("sql", "update t set name = 'x'' ␊where id = 1␠␠␠--' where \"a␠␠b\" > 0")]


def test_a_long_line_goes_on_under_another_label() -> None:
    """So that its middle cannot pass for a line's beginning."""
    sql = "select '" + "x" * 300 + "'"
    assert [label for label, _ in card(sql)] == ["sql", "sql …"]
    assert "".join(text for _, text in card(sql)) == sql


def test_what_does_not_fit_is_told_first() -> None:
    """With how much of it is hidden."""
    rows = card("select 1\n" + ",2\n" * 40)
    assert rows[0][0] == "caution"
    assert len(rows) <= 22


def test_every_parameter_is_shown_or_told_of() -> None:
    """Several to a row; a long one loses its middle, and says how much; where there is no room, that comes first."""
    assert shown.values((1, None, "a  b", True)) == [("values", "$1 = 1, $2 = NULL, $3 = 'a␠␠b', $4 = True")]
    [(_, row)] = shown.values(("x" * 1000,))
    assert "882 characters are not shown" in row
    assert all(len(text) <= 290 for _, text in shown.values(("\U000e0041" * 119,) * 9))
    many = shown.values(tuple(range(1000)))
    assert many[0][0] == "caution"
    assert len(many) <= 7


@given(text=st.text("ab01'\"`-/*#$;()\n\r\t e", max_size=60), dialect=st.sampled_from(DIALECTS))
def test_what_is_shown_is_what_is_read(text: str, dialect: str) -> None:
    """Cut anew, the text without its comments has the same words: nothing came out that a server reads otherwise."""
    try:
        before = tokens(text, dialect)
    except BrokerError:
        return
    whole = "".join(piece if kind not in {"space", "nested"} else " " for kind, piece in pieces(text, dialect))
    assert tokens(whole, dialect).items == before.items
    assert shown.plain(text, dialect).split() == shown.plain(shown.plain(text, dialect), dialect).split()
