"""One table of a TOML file: put in and taken out, and not a byte of the rest moved."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from settings_texts import toml_texts

from editor_setup import toml_table
from editor_setup.contract import ABSENT, EditError, inverse, spliced

if TYPE_CHECKING:
    from collections.abc import Callable

    from editor_setup.contract import Splice

PATH = ("mcp_servers", "kv")
ENTRY = {"command": "/opt/kv", "args": ["mcp"], "env": {"KV VAULT": 'a"\\\x7fä'}}
TABLE = (
    '[mcp_servers.kv]\ncommand = "/opt/kv"\nargs = ["mcp"]\n\n[mcp_servers.kv.env]\n"KV VAULT" = "a\\"\\\\\\u007Fä"\n'
)


def put(text: str, value: object = ENTRY) -> str:
    """The text with the table."""
    return spliced(text, toml_table.put(text, PATH, value))


def drop(text: str) -> str:
    """The text without it."""
    return spliced(text, toml_table.drop(text, PATH))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", TABLE),
        ("# mine\n", f"# mine\n\n{TABLE}"),
        ('model = "x"', f'model = "x"\n\n{TABLE}'),
        ("\ufeff[a]\nb = 1\n", f"\ufeff[a]\nb = 1\n\n{TABLE}"),
        ("[a]\r\nb = 1\r\n", "[a]\r\nb = 1\r\n\r\n" + TABLE.replace("\n", "\r\n")),
        ("mcp_servers.o.command = 'x'\nz = 1\n", f"mcp_servers.o.command = 'x'\nz = 1\n\n{TABLE}"),
        ("[mcp_servers]\n\t# none\n[[x]]\n", f"[mcp_servers]\n\t# none\n[[x]]\n\n{TABLE}"),
    ],
)
def test_a_table_is_added_at_the_end(before: str, after: str) -> None:
    """In the file's own line ends, and nowhere between what people wrote; twice changes nothing, and it comes out."""
    assert put(before) == after
    assert toml_table.put(after, PATH, ENTRY) == []
    assert drop(after).rstrip() == before.rstrip()


def test_an_older_one_is_replaced_where_it_stands() -> None:
    """Its tables below it, wherever they are, go into it; the comments of what follows stay with that."""
    ours, env = '[mcp_servers.kv] # ours\ncommand = "old"\n', '[ "mcp_servers" . kv.env ]\nX = "1"\n'
    before = f"{ours}\n# about p\n[p]\na = nan\n{env}[z]\n"
    assert put(before) == f"{TABLE}\n# about p\n[p]\na = nan\n[z]\n"
    assert drop(put(before)) == "\n# about p\n[p]\na = nan\n[z]\n"


def test_an_empty_table_is_as_good_as_none() -> None:
    """The client itself writes none."""
    assert toml_table.put('[mcp_servers.kv]\ncommand = "x"\n', PATH, {"command": "x", "env": {}}) == []


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a = ", "unreadable"),
        ("a = 1\na = 2\n", "unreadable"),
        ("a = 1\r", "unreadable"),
        (f"a = {'[' * 5000}{']' * 5000}", "deep"),
        ("mcp_servers = 3\n", "occupied"),
        ("[[mcp_servers]]\na = 1\n", "occupied"),
        ("mcp_servers = {o = {command = 'x'}}\n", "form"),
        ("[mcp_servers]\nkv = {command = 'x'}\n", "form"),
        ("mcp_servers.kv.command = 'x'\n", "form"),
    ],
)
def test_what_is_not_understood_is_refused(text: str, code: str) -> None:
    """What is said of it quotes nothing of the file."""
    with pytest.raises(EditError) as caught:
        put(text)
    assert caught.value.code == code
    assert text not in str(caught.value)


def test_a_header_in_a_string_is_no_header() -> None:
    """Text that looks like our table stays text; where the two cannot be told apart nothing is taken out."""
    text = 'x = """\n[mcp_servers.kv]\ncommand = 1\n"""\n'
    assert tomllib.loads(put(text))["x"] == tomllib.loads(text)["x"]
    with pytest.raises(EditError, match="form"):
        drop(put(text))


@given(toml_texts(PATH))
def test_whatever_the_file_looks_like(text: str) -> None:
    """Put changes that table alone, its inverse takes back every byte; or it is left alone, not for nothing."""
    splices = _tried(toml_table.put, text, PATH, ENTRY)
    if splices is None:
        assert "mcp_servers" in text or _reads(text) is None
        return
    made = spliced(text, splices)
    assert toml_table.find(made, PATH) == ENTRY
    assert toml_table.put(made, PATH, ENTRY) == []
    assert spliced(made, inverse(splices)) == text
    assert _without(made) == _without(text)
    taken = _tried(toml_table.drop, made, PATH)
    if taken is None:
        assert "[kv]" in text or "[mcp_servers.kv]" in text  # in a string or a comment
        return
    left = spliced(made, taken)
    assert toml_table.find(left, PATH) is ABSENT
    assert _without(left) == _without(text)


def _tried(edit: Callable[..., list[Splice]], *given: object) -> list[Splice] | None:
    """What an edit gives; None where it leaves the text alone."""
    try:
        return edit(*given)
    except EditError:
        return None


def _reads(text: str) -> dict[str, object] | None:
    """What a text says, by the standard library."""
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))
    except ValueError:
        return None


def _without(text: str) -> str:
    data = _reads(text) or {}
    servers = data.get("mcp_servers", {})
    if isinstance(servers, dict):
        servers.pop("kv", None)
        if not servers:
            data.pop("mcp_servers", None)
    return json.dumps(data, sort_keys=True, default=repr)
