"""Files of rows that are loaded and saved: read strictly, written exactly."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.contract import BrokerError
from brokers.sql import export, records
from brokers.sql.rows import Column

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence


def read(body: bytes, form: str = "csv", columns: Sequence[str] = (), *, header: bool = True) -> object:
    """The columns and all rows."""
    names, found = records.read(body, form, columns, header=header)
    return names, list(found)


def refused(body: bytes, form: str = "csv", *, header: bool = True) -> str:
    """Why a file is refused, in which row."""
    with pytest.raises(BrokerError) as caught:
        read(body, form, header=header)
    assert caught.value.fields["argument"] == "body"
    return str(caught.value.fields["why"])


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        (b"a,b\n1,x\n", [["1", "x"]]),
        (b"a,b\r\n1,x\r\n", [["1", "x"]]),
        (b"a,b\n1,x", [["1", "x"]]),
        (b'a,b\n,""\n', [[None, ""]]),
        (b'a,b\n"1,\n2","a""b"\n', [["1,\n2", 'a"b']]),
        (b"a,b\n1,", [["1", None]]),
        ("a,b\n\N{GRINNING FACE},é".encode(), [["\N{GRINNING FACE}", "é"]]),
        (b"\xef\xbb\xbfa,b\n1,2", [["1", "2"]]),
        (b"a,b\n", []),
    ],
)
def test_csv_is_read(body: bytes, rows: object) -> None:
    """Quotes, line ends of every kind, NULL and empty text."""
    assert read(body) == (("a", "b"), rows)


def test_columns_that_are_named_stand_over_the_files() -> None:
    """The first line is then left out, or is a row where there is no such line."""
    assert read(b"a,b\n1,2\n", columns=("x", "y")) == (("x", "y"), [["1", "2"]])
    assert read(b"1,2\n", columns=("x", "y"), header=False) == (("x", "y"), [["1", "2"]])
    assert read(b"1,2\n", header=False) == ((), [["1", "2"]])


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"a,b\n1\n", "row 2: a row has more or fewer fields"),
        (b"a,b\n1,2\n1,2,3\n", "row 3: a row has more or fewer fields"),
        (b'a,b\n1,"x', "row 2: a quote"),
        (b'a,b\n1,x"y\n', "row 2: a quote"),
        (b'a,b\n1,"x"y\n', "row 2: a quote"),
        (b"a,a\n1,2\n", "row 1: its first line"),
        (b"a,\n1,2\n", "row 1: its first line"),
        (b"\xff\n", "it is not UTF-8"),
        (b"a\n\0\n", "it holds a NUL"),
    ],
)
def test_csv_that_is_none_is_refused(body: bytes, why: str) -> None:
    """With the number of the row as the file has it, and nothing of what stands in it."""
    assert refused(body).startswith(why)


def test_a_row_is_counted_alike_without_a_head() -> None:
    """The number is the file's, whatever the first row is."""
    assert refused(b"1,2\n1\n", header=False).startswith("row 2: ")
    assert refused(b'{"a": 1}\n\n{"b": 1}', "jsonl").startswith("row 2: ")


def test_json_lines_are_read() -> None:
    """By name; a missing member is NULL, a nested one is JSON text."""
    assert read(b'{"a": 1, "b": [1, {"x": null}]}\n\n{"b": true}', "jsonl") == (
        ("a", "b"),
        [[1, '[1,{"x":null}]'], [None, True]],
    )


@pytest.mark.parametrize(
    "body",
    [
        *(
            b"[1]",
            b"{",
            b'{"a": NaN}',
            b'{"a": 1e999}',
            b'{"a": Infinity}',
            b'{"a": 1}\n{"b": 1}',
            b"{}",
            b'{"": 1}',
            b"nul",
        ),
        *(b'{"a":' + b"[" * 100_000, b'{"a": ' + b"9" * 5000 + b"}"),
    ],
)
def test_json_that_is_none_is_refused(body: bytes) -> None:
    """Numbers that no column holds, members that are no columns, and nesting without end."""
    assert refused(body, "jsonl")


@given(st.lists(st.lists(st.none() | st.text(), min_size=2, max_size=2)))
def test_what_is_saved_is_loaded(rows: list[list[str | None]]) -> None:
    """CSV comes back as it went, NULL and empty text told apart."""
    given_rows = [[cell if cell is None else cell.replace("\0", "") for cell in row] for row in rows]

    async def batches() -> AsyncIterator[list[list[str | None]]]:
        yield given_rows

    async def saved() -> bytes:
        return b"".join([part async for part in export.csv((Column("a", ""), Column("b", "")), batches())])

    data = asyncio.run(saved())
    if any("\ud800" <= mark <= "\udfff" for row in given_rows for cell in row for mark in cell or ""):
        return
    assert read(data) == (("a", "b"), given_rows)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_saved_list_is_json(count: int) -> None:
    """Of no, one or more rows."""

    async def batches() -> AsyncIterator[list[list[str]]]:
        for number in range(count):
            yield [[str(number), '"x"']]

    async def saved() -> bytes:
        return b"".join([part async for part in export.listed((Column("a", ""), Column("b", "")), batches())])

    assert json.loads(asyncio.run(saved())) == [{"a": number, "b": "x"} for number in range(count)]
