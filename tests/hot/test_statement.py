"""Queries and loads as a command line spells them: what would do nothing is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kv.errors import KvError
from kv.hot.arguments import parse
from kv.hot.query import QUERY_OPTIONS, SCHEMA_OPTIONS
from kv.hot.statement import build, build_schema

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def rows(tmp_path: Path) -> str:
    """A file of rows, whose name does not say in which form they are."""
    (tmp_path / "rows").write_bytes(b"id\n1\n")
    return str(tmp_path / "rows")


@pytest.mark.parametrize(
    "beside",
    [
        *(["--mode", "write"], ["--max-rows", "3"], ["-p", "1"], ["--params", "[1]"], ["--save", "x.csv"]),
        *(["--format", "json"], ["--format", "table"], ["--file", "x.sql"], ["select 1"]),
    ],
)
def test_a_load_takes_nothing_of_a_statement(rows: str, beside: list[str]) -> None:
    """Rows in a form that is not loaded, or a mode: none of it is passed over."""
    with pytest.raises(KvError, match="--load") as caught:
        build(parse(["shop", "--load", rows, "--table", "t", *beside], QUERY_OPTIONS))
    assert caught.value.code == "usage"


def test_a_loads_form_is_what_was_said_or_the_files_ending(rows: str) -> None:
    """CSV where neither says more."""
    load = ["shop", "--load", rows, "--table", "t"]
    assert build(parse(load, QUERY_OPTIONS)).args["format"] == "csv"
    assert build(parse([*load, "--format", "jsonl"], QUERY_OPTIONS)).args["format"] == "jsonl"


@pytest.mark.parametrize("beside", [["--table", "t"], ["--columns", "a,b"]])
def test_what_goes_with_a_load_is_refused_without_one(beside: list[str]) -> None:
    """A table that is named beside a statement would change nothing."""
    with pytest.raises(KvError, match="--load"):
        build(parse(["shop", "select 1", *beside], QUERY_OPTIONS))


def test_a_schema_is_text_or_json() -> None:
    """Forms of rows are none of a schema."""
    assert build_schema(parse(["shop", "--format", "json"], SCHEMA_OPTIONS)).args["act"] == "schema"
    with pytest.raises(KvError, match="text or json"):
        build_schema(parse(["shop", "--format", "markdown"], SCHEMA_OPTIONS))


def test_the_form_of_a_saved_file_is_left_to_the_keeper_unless_it_is_said() -> None:
    """One place reads the ending, for every client."""
    save = ["shop", "select 1", "--save", "x.jsonl"]
    assert "format" not in build(parse(save, QUERY_OPTIONS)).args
    assert build(parse([*save, "--format", "csv"], QUERY_OPTIONS)).args["format"] == "csv"
    with pytest.raises(KvError, match="saved as"):
        build(parse([*save, "--format", "table"], QUERY_OPTIONS))
