"""One member of a YAML file, or item of a list: put in and taken out, and not a byte of the rest moved."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from settings_texts import yaml_texts

from editor_setup import yaml_text
from editor_setup.contract import ABSENT, EditError, inverse, spliced
from editor_setup.yaml_tree import MAX_CHARACTERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from editor_setup.contract import Splice

MEMBER, ITEM, WORD = ("extensions", "kv"), ("servers", "[name=kv]"), ("read", "[=/a b.md]")
ENTRY = {"name": "kv", "cmd": "/opt/kv", "args": ["mcp"], "envs": {"A": "b: #ä"}, "on": True, "timeout": 300}
BLOCK = 'kv:\n  name: "kv"\n  cmd: "/opt/kv"\n  args: ["mcp"]\n  envs:\n    A: "b: #ä"\n  "on": true\n  timeout: 300\n'


def put(text: str, path: tuple[str, ...] = MEMBER, value: object = ENTRY) -> str:
    """The text with the value."""
    return spliced(text, yaml_text.put(text, path, value))


def drop(text: str, path: tuple[str, ...] = MEMBER) -> str:
    """The text without it."""
    return spliced(text, yaml_text.drop(text, path))


def indented(block: str, by: int) -> str:
    """A block further to the right."""
    return "".join(" " * by + line for line in block.splitlines(keepends=True))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "extensions:\n  {}"),
        ("# mine\n", "# mine\nextensions:\n  {}"),
        ("a: 1", "a: 1\nextensions:\n  {}"),
        ("---\na: |\n  x\n\n...\n", "---\na: |\n  x\n\nextensions:\n  {}...\n"),
        ("extensions:\nb: 1\n", "extensions:\n  {}b: 1\n"),
        ("extensions: # none\nb: 1\n", "extensions: # none\n  {}b: 1\n"),
        ("extensions: {} # none\nb: 1\n", "extensions: # none\n  {}b: 1\n"),
        (
            "extensions:\n    o: 1\n    # of o\n\n# of b\nb: 1\n",
            "extensions:\n    o: 1\n    {}    # of o\n\n# of b\nb: 1\n",
        ),
        ("\ufeffextensions:\n  o:\n  - x # c\n", "\ufeffextensions:\n  o:\n  - x # c\n  {}"),
        ("extensions:\n  kv:\n    cmd: old\n  z: 1\n", "extensions:\n  {}  z: 1\n"),
        ("extensions:\n  kv:\n  z: 1\n", "extensions:\n  {}  z: 1\n"),
    ],
)
def test_a_member_is_written_as_its_neighbours_are(before: str, after: str) -> None:
    """At their column, behind them, above the comments that follow; twice changes nothing, and it comes out."""
    made = put(before)
    head, tail = after.split("{}")
    column = len(head) - head.rfind("\n") - 1
    assert made == head + indented(BLOCK, column)[column:] + tail
    assert yaml_text.put(made, MEMBER, ENTRY) == []
    assert yaml_text.find(drop(made), MEMBER) is ABSENT
    comments = re.findall("#.*", before)
    assert re.findall("#.*", drop(made)) == comments


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("extensions: {o: {cmd: x}} # c\n", "extensions: {o: {cmd: x}, %s} # c\n"),
        ("{a: 1,}\n", '{a: 1, "extensions": {%s},}\n'),
        ("{}\n", '{"extensions": {%s}}\n'),
    ],
)
def test_in_braces_it_is_json(before: str, after: str) -> None:
    """Which is YAML as well."""
    entry = '"name": "kv", "cmd": "/opt/kv", "args": ["mcp"], "envs": {"A": "b: #ä"}, "on": true, "timeout": 300'
    assert put(before) == after % f'"kv": {{{entry}}}'
    assert yaml_text.put(put(before), MEMBER, ENTRY) == []


@pytest.mark.parametrize(
    ("before", "path", "value", "after"),
    [
        ("", ITEM, {"name": "kv", "args": ["mcp"]}, 'servers:\n  - name: "kv"\n    args: ["mcp"]\n'),
        (
            "servers:\n- name: o\n  x: 1\nb: 1\n",
            ITEM,
            {"name": "kv"},
            'servers:\n- name: o\n  x: 1\n- name: "kv"\nb: 1\n',
        ),
        ("servers:\n  - name: kv\n    x: 1\n", ITEM, {"name": "kv", "z": 2}, 'servers:\n  - name: "kv"\n    z: 2\n'),
        ("read: [a.md]\n", WORD, "/a b.md", 'read: [a.md, "/a b.md"]\n'),
        ("read:\n  - a.md\n", WORD, "/a b.md", 'read:\n  - a.md\n  - "/a b.md"\n'),
        ("read:\n", WORD, "/a b.md", 'read:\n  - "/a b.md"\n'),
        ("read: [ /a b.md ]\n", WORD, "/a b.md", "read: [ /a b.md ]\n"),
    ],
)
def test_an_item_of_a_list(before: str, path: tuple[str, ...], value: object, after: str) -> None:
    """Known by its name, or by being that text."""
    assert put(before, path, value) == after
    assert yaml_text.find(drop(after, path), path) is ABSENT


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a: [", "unreadable"),
        ("a: b: c\n", "unreadable"),
        ("a: 1\n\tb: 2\n", "unreadable"),
        ("a: 1\n---\nb: 2\n", "unreadable"),
        ("a: \x00\n", "unreadable"),
        ("a: *x\n", "unreadable"),
        ("[" * 3000, "deep"),
        ("# " + "x" * MAX_CHARACTERS, "large"),
        ("extensions: 3\n", "occupied"),
        ("- a\n", "occupied"),
        ("extensions:\n  kv: 1\n  kv: 2\n", "twice"),
        ("b: &x\n  o: 1\nextensions: *x\n", "form"),
    ],
)
def test_what_is_not_understood_is_refused(text: str, code: str) -> None:
    """What is said of it quotes nothing of the file."""
    with pytest.raises(EditError) as caught:
        put(text)
    assert caught.value.code == code
    assert text not in str(caught.value)


def test_a_line_is_named() -> None:
    """So that a person finds it."""
    with pytest.raises(EditError, match="line 2"):
        put("a: 1\nb: c: d\n")


def test_aliases_of_aliases_cost_nothing() -> None:
    """A few bytes that say gigabytes are read as what they are."""
    text = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 40))
    made = put(text)
    assert made == text + "extensions:\n" + indented(BLOCK, 2)
    assert drop(made) == f"{text}extensions: {{}}\n"


@given(yaml_texts(MEMBER))
def test_whatever_the_file_looks_like(text: str) -> None:
    """Put changes that member alone, its inverse takes back every byte; or it is left alone, not for nothing."""
    splices = _tried(yaml_text.put, text, MEMBER, ENTRY)
    if splices is None:
        readable = _tried(yaml_text.drop, text, ("nothing",)) is not None
        block_cut_short = not text.endswith("\n")  # a text whose last line has no end would get one
        assert "extensions" in text or block_cut_short or not readable
        return
    made = spliced(text, splices)
    assert yaml_text.find(made, MEMBER) == ENTRY
    assert yaml_text.put(made, MEMBER, ENTRY) == []
    assert spliced(made, inverse(splices)) == text
    assert _without(made) == _without(text)
    taken = _tried(yaml_text.drop, made, MEMBER)
    if taken is None:
        assert "extensions" in text
        return
    left = spliced(made, taken)
    assert yaml_text.find(left, MEMBER) is ABSENT
    assert _without(left) == _without(text)


def _tried(edit: Callable[..., list[Splice]], *given: object) -> list[Splice] | None:
    """What an edit gives; None where it leaves the text alone."""
    try:
        return edit(*given)
    except EditError:
        return None


def _without(text: str) -> object:
    """What a text says besides, by the library's own reading."""
    yaml = YAML(typ="safe", pure=True)
    yaml.composer.warn_double_anchors = False
    try:
        data = yaml.load(text) or {}
    except YAMLError:  # composed, but not to be built: an unknown tag
        return None
    if isinstance(data.get("extensions"), dict):
        data["extensions"].pop("kv", None)
    if not data.get("extensions"):
        data.pop("extensions", None)
    return data
