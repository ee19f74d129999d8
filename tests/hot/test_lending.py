"""What a program is lent, as a command line and a kv.env spell it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kv.errors import KvError
from kv.hot.arguments import parse
from kv.hot.lending import OPTIONS, lent

if TYPE_CHECKING:
    from pathlib import Path


def rows(*argv: str) -> list[tuple[object, ...]]:
    """The rows of a request."""
    return [tuple(row.values()) for row in lent(parse(argv, OPTIONS))]


def test_every_way_to_lend() -> None:
    """A variable is named after the secret unless another is given; a path, a number and standard input likewise."""
    assert rows("--secret", "A", "--secret", "prod/B=C") == [("A", "env", "A"), ("prod/B", "env", "C")]
    assert rows("--secret", "prod/DB_URL") == [("prod/DB_URL", "env", "DB_URL")]
    assert rows("--file", "A=etc/a.pem", "--fd", "B", "--fd", "C=7", "--stdin-secret", "D") == [
        ("D", "stdin", ""),
        ("A", "file", "etc/a.pem"),
        ("B", "fd", ""),
        ("C", "fd", "7"),
    ]


def test_the_default_prefix_counts_for_every_name(tmp_path: Path) -> None:
    """`-e prod` makes KEY prod/KEY on the command line and in a kv.env; a path and /KEY stay."""
    (tmp_path / "kv.env").write_text("X=kv://KEY\nY=kv://dev/KEY\n")
    found = rows("-e", "prod", "--secret", "KEY", "--secret", "/KEY=Z", "--env-file", str(tmp_path / "kv.env"))
    assert [row[0] for row in found] == ["prod/KEY", "KEY", "prod/KEY", "dev/KEY"]


def test_a_file_of_references(tmp_path: Path) -> None:
    """Comments and blank lines are fine."""
    (tmp_path / "kv.env").write_text("# of the shop\n\n STRIPE_KEY=kv://prod/STRIPE_KEY \n")
    assert rows("--env-file", str(tmp_path / "kv.env")) == [("prod/STRIPE_KEY", "env", "STRIPE_KEY")]


@pytest.mark.parametrize(
    "line",
    [
        "A=sk_live_4eC39HqLyjWDarjtT1zdp7dc",
        "ABC",
        "A=kv://",
        "1A=kv://B",
        "A=kv://B C",
        "export A=kv://B",
        "A=op://x/y",
    ],
)
def test_what_is_no_reference_is_refused_by_its_number(tmp_path: Path, line: str) -> None:
    """And never quoted: it may be the value itself."""
    (tmp_path / "kv.env").write_text(f"# first\nB=kv://B\n{line}\n")
    with pytest.raises(KvError, match="line 3 of --env-file is not VARIABLE=kv://NAME") as raised:
        rows("--env-file", str(tmp_path / "kv.env"))
    assert line not in raised.value.message


@pytest.mark.parametrize(
    "argv",
    [
        ("--secret", "A=X", "--secret", "B=X"),
        ("--secret", "A", "--secret", "prod/A"),
        ("--file", "A=p", "--file", "B=p"),
        ("--fd", "A=4", "--fd", "B=4"),
        ("--fd", "A", "--fd", "A"),
        ("--secret", "A=1X"),
        ("--secret", "A="),
        ("--stdin-secret", "A", "--stdin-secret", "B"),
        ("--env-file", "a", "--env-file", "b"),
        ("--file", "A"),
        ("--fd", "A=x"),
    ],
)
def test_what_is_ambiguous_or_no_name_is_refused(argv: tuple[str, ...]) -> None:
    """Twice the same place, a variable that no shell has, a file without a path."""
    with pytest.raises(KvError) as raised:
        rows(*argv)
    assert raised.value.code == "usage"


def test_a_missing_file_is_an_error_of_the_disk(tmp_path: Path) -> None:
    """With its path and the system's reason."""
    with pytest.raises(KvError, match="No such file"):
        rows("--env-file", str(tmp_path / "none"))
