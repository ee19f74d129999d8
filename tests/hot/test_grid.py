"""What the tables of a database look like as text, whichever engine told them."""

from __future__ import annotations

from typing import Any

from kv.hot.grid import schema_lines


def shown(**table: Any) -> list[str]:  # noqa: ANN401 - members of a document
    """The lines below the table's own."""
    return schema_lines({"tables": [{"name": "o", "columns": [], **table}]})[1:]


def test_keys_of_postgresql_are_told_in_its_words() -> None:
    """Unique and check constraints too, each with its definition and no JSON."""
    assert shown(
        primary_key=["id", "day"],
        constraints=[{"name": "o_n_check", "definition": "CHECK (n > 0)"}],
        foreign_keys=[{"name": "fk", "columns": ["t_id"], "definition": "FOREIGN KEY (t_id) REFERENCES t(id)"}],
        indexes=[{"name": "o_n", "unique": False, "columns": ["n"], "definition": "CREATE INDEX o_n ON o (n)"}],
    ) == [
        "  primary key: id, day",
        "  constraint: o_n_check: CHECK (n > 0)",
        "  foreign key: fk: FOREIGN KEY (t_id) REFERENCES t(id)",
        "  index: o_n: CREATE INDEX o_n ON o (n)",
    ]


def test_keys_of_the_others_are_put_into_words() -> None:
    """By their columns, and what they lead to."""
    assert shown(
        primary_key=[],
        foreign_keys=[
            {"name": "fk", "columns": ["a", "b"], "schema": "s", "table": "t", "references": ["x", "y"]},
            {"columns": ["c"], "table": "u", "references": [None]},
        ],
        indexes=[{"name": "o_a", "columns": ["a"], "unique": True, "kind": "BTREE"}],
    ) == [
        "  foreign key: fk: (a, b) references s.t (x, y)",
        "  foreign key: (c) references u",
        "  index: o_a: unique (a)",
    ]


def test_a_table_without_keys_has_no_lines_of_them() -> None:
    """Nor does a member that is null or absent."""
    assert shown(primary_key=None, foreign_keys=[], indexes=None) == []
