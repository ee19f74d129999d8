"""`.env` files: read in their dialects, rewritten byte for byte, replaced at once."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kv.cli.dotenv import parse, rewrite
from kv.cli.importing import replace_file
from kv.cli.secrecy import is_secret
from kv.errors import KvError

if TYPE_CHECKING:
    from pathlib import Path

DIALECTS = {
    b"A=plain\n": b"plain",
    b"export A=plain\n": b"plain",
    b"  A = spaced  \n": b"spaced",
    b"A=abc#def # comment\n": b"abc#def",
    b"A='single $x \\n'\n": b"single $x \\n",
    b"A='it\\'s'\n": b"it's",
    b'A="double\\n\\"quoted\\""  # comment\n': b'double\n"quoted"',
    b"A=`back 'tick'`\n": b"back 'tick'",
    b'A="several\nlines"\n': b"several\nlines",
    b"A=\xc3\xa4\xff\n": b"\xc3\xa4\xff",
    b"\xef\xbb\xbfA=behind a BOM\r\nB=2\r\n": b"behind a BOM",
    b"A=$money ${B\n": b"$money ${B",
    b"A=first\nA=last\n": b"last",
    b"A=no newline at the end": b"no newline at the end",
}


@pytest.mark.parametrize(("data", "value"), DIALECTS.items())
def test_the_dialects_are_read(data: bytes, value: bytes) -> None:
    """A value is what a loader would put into the environment, without expanding anything."""
    lines, broken = parse(data)
    assert {line.name: line.value for line in lines}["A"] == value
    assert not broken


def test_a_broken_line_is_named_by_its_number() -> None:
    """A line that makes no sense is told by its number and loses no other."""
    lines, broken = parse(b"# one\n\nA=1\nnot an assignment\n\n\nB='open\nC=3\n")
    assert [line.name for line in lines] == ["A", "C"]
    assert broken == [4, 7]
    assert [line.number for line in lines] == [3, 8]


def test_values_made_of_other_variables_are_seen() -> None:
    """`${X}` and `$(command)` count as expanding, unless single quotes or backticks forbid it."""
    lines, _ = parse(b"A=${B}/x\nB=\"$(pass x)\"\nC='${B}'\nD=$5\nE=`${B}`\n")
    assert [line.name for line in lines if line.expands] == ["A", "B"]


def test_rewriting_replaces_values_and_no_other_byte() -> None:
    """Comments, spaces, line ends, order, a BOM and lines that are not imported stay as they are."""
    before = (
        b"\xef\xbb\xbf# head\r\nexport A = \"x y\"  # tail\r\n\r\n  B='1'\nC=keep # c\nD=abc#d #e\nE=`b`\nF=\n"
        b'G="two\nlines" # g\nH=last   \nbroken line\nA=again'
    )
    after = (
        b"\xef\xbb\xbf# head\r\nexport A = \"kv://p/A\"  # tail\r\n\r\n  B='kv://B'\nC=keep # c\nD=kv://D #e\nE=kv://E\nF=\n"
        b'G="kv://G" # g\nH=kv://H   \nbroken line\nA=kv://p/A'
    )
    names = {"A": "kv://p/A", **{name: f"kv://{name}" for name in "BDEFGH"}}
    assert rewrite(before, names) == after
    assert {line.name: line.value for line in parse(after)[0]}["D"] == b"kv://D"


@given(st.binary(max_size=300))
@settings(max_examples=150)
def test_rewriting_nothing_changes_nothing(data: bytes) -> None:
    """Whatever the file holds: without a name to replace, its bytes come back."""
    assert rewrite(data, {}) == data


@given(
    st.lists(
        st.tuples(
            st.text(alphabet="ABCDEF_", min_size=1, max_size=4),
            st.text(alphabet="ab $#'\"\\=", max_size=8),
            st.sampled_from(["", "'", '"']),
        ),
        max_size=6,
    )
)
@settings(max_examples=150)
def test_after_rewriting_no_imported_value_is_left(rows: list[tuple[str, str, str]]) -> None:
    """What was read as a value is a reference afterwards, for every name at once, in every quoting."""
    data = "".join(f"{name}={quote}{value}{quote}\n" for name, value, quote in rows).encode()
    lines, _ = parse(data)
    names = {line.name: f"kv://{line.name}" for line in lines if line.value}
    again = {line.name: line.value for line in parse(rewrite(data, names))[0]}
    assert all(again[name] == reference.encode() for name, reference in names.items())


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("OPENAI_API_KEY", b"sk-whatever", True),
        ("JWT_SECRET", b"correct horse", True),
        ("DATABASE_URL", b"postgres://u:pw@localhost/x", True),
        ("DATABASE_URL", b"postgres://localhost/x", False),
        ("SENTRY_DSN", b"https://abcdef@o1.ingest.example/12", False),
        ("SLACK_WEBHOOK", b"https://hooks.example.com/services/T0AB12CD3/B0AB12CD3/x9Yz8Wv7Ut6Sr5Qp4On3Ml2K", True),
        ("NEXT_PUBLIC_API_KEY", b"pk_live_0123456789abcdef", False),
        ("STRIPE_PUBLISHABLE_KEY", b"pk_live_0123456789abcdef", False),
        ("AWS_ACCESS_KEY_ID", b"short", False),
        ("NODE_ENV", b"production", False),
        ("PORT", b"8080", False),
        ("DEBUG", b"true", False),
        ("SECRET", b"", False),
        ("API_URL", b"https://api.example.com/v1", False),
        ("LOG_FILE", b"/var/log/app/2024-01-01/application.log", False),
        ("SOMETHING", b"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b", True),
        ("MAIL", b"someone.with.1.long.name@example.com", False),
        ("CERT", b"-----BEGIN PRIVATE KEY-----\nx\n", True),
        ("DB_PASSWORD", b"12345678", True),
    ],
)
def test_a_secret_is_told_from_a_setting(name: str, value: bytes, *, secret: bool) -> None:
    """Names and shapes decide what goes into the vault and what stays a readable setting."""
    assert is_secret(name, value) is secret


def test_the_file_is_replaced_at_once_and_its_old_bytes_are_gone(tmp_path: Path) -> None:
    """The rewritten file is private, through a link too, and a descriptor on the old one reads zeros."""
    file, link = tmp_path / "real.env", tmp_path / ".env"
    file.write_bytes(b"A=secret\n")
    file.chmod(0o644)
    link.symlink_to(file)
    with file.open("rb") as old:
        replace_file(str(link), b"A=secret\n", b"A=kv://A\n")
        assert old.read() == bytes(9)
    assert link.is_symlink()
    assert file.read_bytes() == b"A=kv://A\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(p.name for p in tmp_path.iterdir()) == [".env", "real.env"]


def test_a_file_with_a_second_name_is_replaced_but_not_overwritten(tmp_path: Path) -> None:
    """A hard link may be somebody's copy: it keeps what it had."""
    file, copy = tmp_path / ".env", tmp_path / "copy"
    file.write_bytes(b"A=secret\n")
    copy.hardlink_to(file)
    replace_file(str(file), b"A=secret\n", b"A=kv://A\n")
    assert (file.read_bytes(), copy.read_bytes()) == (b"A=kv://A\n", b"A=secret\n")


def test_a_file_that_changed_meanwhile_is_left_alone(tmp_path: Path) -> None:
    """What an editor wrote while we asked is not lost."""
    file = tmp_path / ".env"
    file.write_bytes(b"A=newer\n")
    with pytest.raises(KvError) as caught:
        replace_file(str(file), b"A=secret\n", b"A=kv://A\n")
    assert caught.value.code == "disk"
    assert file.read_bytes() == b"A=newer\n"
    assert [p.name for p in tmp_path.iterdir()] == [".env"]
