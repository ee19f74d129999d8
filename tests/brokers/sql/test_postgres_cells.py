"""Cells of PostgreSQL as JSON fragments: exact where JSON is, and the server's own text where that would take long."""

from __future__ import annotations

import json

import pytest

from brokers.sql.postgres import cells

INT4, INT4_ARRAY = 23, 1007


def fragment(oid: int, value: bytes) -> object:
    """What JSON makes of a cell."""
    return json.loads(cells.writer(oid, {INT4_ARRAY: (INT4, b",")})(value))


@pytest.mark.parametrize(
    ("oid", "value", "shown"),
    [
        (INT4_ARRAY, b"{1,2,NULL}", [1, 2, None]),
        (INT4_ARRAY, b"{{1},{2}}", [[1], [2]]),
        (cells.JSON, b'{"a":\n[1]}', {"a": [1]}),
        (cells.JSON, b"[" * 300 + b"]" * 300, "[" * 300 + "]" * 300),
        (cells.BOOL, b"t", True),
        (701, b"NaN", "NaN"),
    ],
)
def test_a_cell_is_exact(oid: int, value: bytes, shown: object) -> None:
    """Lists, documents and numbers as such."""
    assert fragment(oid, value) == shown


@pytest.mark.parametrize(
    ("oid", "value"),
    [
        (INT4_ARRAY, b"{" + b"1," * (cells.MAX_ARRAY // 2) + b"1}"),
        (cells.JSON, b"[" + b"[]," * (cells.MAX_JSON // 3) + b"[]]"),
        (cells.JSONB, b'"' + b"x" * cells.MAX_JSON + b'"'),
    ],
)
def test_a_cell_that_takes_long_to_read_is_its_text(oid: int, value: bytes) -> None:
    """No element of it is looked at: reading one element after another would hold up everybody."""
    assert fragment(oid, value) == value.decode()
