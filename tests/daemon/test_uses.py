"""What a use of a connection may hold, before anything is planned, and what of it is the broker's."""

from __future__ import annotations

import pytest

from kv.daemon.uses import Query, Ssh
from kv.errors import KvError


@pytest.mark.parametrize(("argument", "select", "save"), [("select", "a", ""), ("save", "", "out")])
def test_a_command_has_nothing_to_select_or_save(argument: str, select: str, save: str) -> None:
    """It is refused before anybody is asked and anything is run; a file that is got is saved."""
    for use in (
        Ssh(connection="web", argv=["deploy"], select=select, save=save),
        Ssh(connection="web", act="exec", argv=["deploy"], select=select, save=save),
    ):
        with pytest.raises(KvError) as caught:
            use.arguments()
        assert (caught.value.code, caught.value.fields["argument"]) == ("bad-argument", argument)
    got = Ssh(connection="web", act="get", path="/srv/x", select=select, save=save)
    assert got.arguments() == {"act": "get", "path": "/srv/x"}


@pytest.mark.parametrize(
    ("save", "given", "form"),
    [
        ("x.csv", None, "csv"),
        ("x.jsonl", None, "jsonl"),
        ("x.NDJSON", None, "jsonl"),
        ("a.b/x.json", None, "json"),
        ("x", None, "csv"),
        ("x.json", "csv", "csv"),
    ],
)
def test_rows_are_saved_in_the_form_that_the_files_ending_says(save: str, given: str | None, form: str) -> None:
    """For every client alike, unless the call says another."""
    query = Query(connection="shop", sql="select 1", save=save, format=given)  # type: ignore[arg-type] # a literal
    assert query.arguments()["export"] == form


def test_a_form_without_a_file_is_the_brokers_own() -> None:
    """Of rows that are loaded it says how they are written."""
    assert Query(connection="shop", act="load", format="jsonl").arguments() == {"act": "load", "format": "jsonl"}
