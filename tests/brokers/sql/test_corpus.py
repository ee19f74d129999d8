"""The corpus: every statement of every engine is judged as it says, and no change of dress makes a statement milder."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sql_vectors import ENGINES, Vector, every, schema, vectors

from brokers.contract import BrokerError, Effect
from brokers.sql.statement import classify
from brokers.sql.tokens import LEXERS, Token, tokens

ALL = every()
HARMFUL = [vector for vector in ALL if vector.effect not in {"read", "refused"}]


def verdict(sql: str, engine: str) -> str:
    """The effect's word, or "refused"."""
    try:
        return classify(sql, engine).effect.value
    except BrokerError as refused:
        return "refused" if (refused.code, refused.fields["argument"]) == ("argument", "sql") else refused.code


@pytest.mark.parametrize("vector", ALL, ids=str)
def test_the_corpus_is_judged_as_it_says(vector: Vector) -> None:
    """The effect of each statement is the expected one."""
    assert verdict(vector.sql, vector.engine) == vector.effect


@pytest.mark.parametrize("engine", ENGINES)
def test_the_corpus_is_large_enough(engine: str) -> None:
    """At least 150 statements an engine, 60 of them ways round read-only, 60 harmless ones; no name twice."""
    found = vectors(engine)
    flags = Counter(vector.flag for vector in found)
    assert len(found) >= 150
    assert min(flags["hostile"], flags["harmless"]) >= 60
    assert len({vector.name for vector in found}) == len(found)
    assert "customers" in schema(engine)


def test_flags_agree_with_effects() -> None:
    """What is harmless is a read, and nothing hostile is one."""
    assert {vector.effect for vector in every("harmless")} == {"read"}
    assert "read" not in {vector.effect for vector in every("hostile")}


@pytest.mark.parametrize("vector", every("harmless"), ids=str)
def test_harmless_statements_name_nothing_unknown(vector: Vector) -> None:
    """What a developer writes needs no list of the user's."""
    assert classify(vector.sql, vector.engine).unknown == ()


def dressed(sql: str, engine: str, between: str, change: str) -> str:
    """The statement with `between` between its words, which are changed in case."""
    pieces = []
    lexer, at = LEXERS[engine], 0
    while at < len(sql):
        match = lexer.match(sql, at)
        assert match
        if match.lastgroup in {"nested", "dollar"}:
            return sql  # its end is not in the pattern
        text = match.group()
        pieces.append(getattr(text, change)() if match.lastgroup == "word" else text)
        at = match.end()
        following = lexer.match(sql, at)
        if match.lastgroup == "space" or (following and following.lastgroup == "space"):
            pieces.append(between)
    return "".join(pieces)


BLANKS = st.lists(st.sampled_from([" ", "\n", "\t", "/**/", "/* x */", " -- x\n", "\r\n"]), min_size=1, max_size=4)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(HARMFUL), BLANKS, st.sampled_from(["upper", "lower", "swapcase", "title"]))
def test_no_dress_makes_a_statement_a_read(vector: Vector, between: list[str], change: str) -> None:
    """Comments, white space and letters' case outside of quotes never turn a statement into a read."""
    if "--" in vector.sql or "#" in vector.sql:
        between = ["\n"]  # what follows a comment to the line's end must not get into it
    assert verdict(dressed(vector.sql, vector.engine, "".join(between), change), vector.engine) != "read"


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(every("harmless")), st.sampled_from(["/* ; */", "\n", " \t "]))
def test_dress_does_not_harm_the_harmless(vector: Vector, between: str) -> None:
    """The same statement with more white space and comments is still a read."""
    assert verdict(dressed(vector.sql, vector.engine, between, "lower"), vector.engine) == "read"


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(HARMFUL), st.sampled_from(every("harmless")))
def test_a_harmful_part_spoils_the_whole(harmful: Vector, harmless: Vector) -> None:
    """Two statements in one text are refused, whichever comes first."""
    engine = harmful.engine
    for text in (f"{harmless.sql}\n;{harmful.sql}", f"{harmful.sql}\n;{harmless.sql}"):
        assert verdict(text, engine) != "read"


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(ALL), st.data())
def test_mutilated_statements_are_judged_or_refused(vector: Vector, data: st.DataObject) -> None:
    """Cut, doubled or with a piece of another: an effect or a refusal, never another failure."""
    at = data.draw(st.integers(0, len(vector.sql)))
    to = data.draw(st.integers(at, len(vector.sql)))
    other = data.draw(st.sampled_from(ALL))
    text = data.draw(
        st.sampled_from(
            [
                vector.sql[:at] + vector.sql[to:],
                vector.sql[:to] + vector.sql[at:],
                vector.sql[:at] + other.sql + vector.sql[to:],
                vector.sql[:at] + data.draw(st.text(max_size=5)) + vector.sql[to:],
            ]
        )
    )
    assert verdict(text, data.draw(st.sampled_from(ENGINES))) in {*Effect, "refused"}


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200), st.sampled_from(ENGINES))
def test_any_text_is_judged_or_refused(text: str, engine: str) -> None:
    """Any text at all."""
    assert verdict(text, engine) in {*Effect, "refused"}


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([vector for vector in ALL if vector.effect != "refused"]))
def test_the_same_tokens_have_the_same_verdict(vector: Vector) -> None:
    """A verdict depends on the tokens alone: the text put together again from them is judged alike."""
    read = tokens(vector.sql, vector.engine)
    if not read.hint:
        text = " ".join(source(token, vector.engine) for token in read.items)
        assert verdict(text, vector.engine) == vector.effect


def source(token: Token, engine: str) -> str:
    """A token as it is written."""
    if token.kind != "quoted":
        return token.text
    quote = "`" if engine == "mysql" else '"'
    return quote + token.text.replace(quote, quote * 2) + quote
