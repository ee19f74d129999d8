"""What an agent may say of a query, and what is refused before anything is parsed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.contract import BrokerError
from brokers.sql.arguments import MAX_LOAD, Draft, decode


def refused(arguments: dict[str, object], body: bytes = b"") -> str:
    """Which argument is refused."""
    with pytest.raises(BrokerError) as caught:
        decode(arguments, body)
    assert caught.value.code == "argument"
    return str(caught.value.fields["argument"])


def test_a_query_reads_unless_it_says_otherwise() -> None:
    """The default is reading, a thousand rows, a document."""
    found = decode({"sql": "select 1"}, b"")
    assert (found.act, found.write, found.max_rows, found.export) == ("query", False, 1000, "")


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("sql", ""),
        ("sql", "  \n"),
        ("sql", 1),
        ("sql", "select '{{kv:shop/DSN}}'"),
        ("sql", "select \0"),
        ("sql", "select '\ud800'"),
        ("sql", "x" * ((1 << 20) + 1)),
        ("params", {"a": 1}),
        ("params", [[1]]),
        ("params", ["{{kv:shop/DSN}}"]),
        ("params", [float("nan")]),
        ("params", [1 << 64]),
        ("params", [0] * 1001),
        ("params", ["x" * (3 << 20), "x" * (3 << 20)]),
        ("mode", "admin"),
        ("max_rows", 0),
        ("max_rows", 1_000_001),
        ("max_rows", True),
        ("max_bytes", (16 << 20) + 1),
        ("timeout", 0),
        ("timeout", 601),
        ("timeout", True),
        ("dry_run", "yes"),
        ("export", "xlsx"),
        ("act", "drop"),
        ("arguments", None),
    ],
)
def test_what_is_out_of_bounds_is_refused_by_name(argument: str, value: object) -> None:
    """Every argument has its type and bound, and an unknown one is not ignored."""
    key = "no such" if argument == "arguments" else argument
    assert refused({"sql": "select 1", key: value}) == argument


def test_a_query_has_no_body_and_a_load_has_one() -> None:
    """Bytes that nobody asked for are refused."""
    assert refused({"sql": "select 1"}, b"x") == "body"
    assert refused({"act": "schema"}, b"x") == "body"
    assert refused({"act": "load", "table": "t"}, b"") == "body"
    assert refused({"act": "load", "table": "t"}, b"x" * (MAX_LOAD + 1)) == "body"
    assert refused({"act": "load", "table": ""}, b"x") == "table"
    assert refused({"act": "load", "table": "t", "format": "xml"}, b"x") == "format"
    assert decode({"act": "load", "table": "t"}, b"a\n1\n").write


@given(
    st.dictionaries(
        st.sampled_from(["act", "sql", "params", "mode", "max_rows", "timeout", "export", "table", "columns", "x"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text()),
    ),
    st.binary(max_size=8),
)
def test_any_arguments_are_decoded_or_refused(arguments: dict[str, object], body: bytes) -> None:
    """Nothing ends in another error."""
    code = ""
    try:
        assert isinstance(decode(arguments, body), Draft)
    except BrokerError as error:
        code = error.code
    assert code in {"", "argument"}
