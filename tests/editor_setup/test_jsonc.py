"""One member of a JSON file: put in and taken out, and not a byte of the rest moved."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from settings_texts import json_texts

from editor_setup import jsonc
from editor_setup.contract import EditError, Splice, inverse, spliced

ENTRY = {"command": "/opt/kv", "args": ["mcp"], "env": {}}
PATH = ("mcpServers", "kv")


def put(text: str, path: tuple[str, ...] = PATH, value: object = ENTRY) -> str:
    """The text with the member."""
    return spliced(text, jsonc.put(text, path, value))


def drop(text: str, path: tuple[str, ...] = PATH) -> str:
    """The text without it."""
    return spliced(text, jsonc.drop(text, path))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", '{\n  "a": {\n    "kv": 1\n  }\n}\n'),
        ("// mine\n", '// mine\n{\n  "a": {\n    "kv": 1\n  }\n}\n'),
        ("{}", '{\n  "a": {\n    "kv": 1\n  }\n}'),
        ('{"b": 2}', '{"b": 2, "a": {"kv": 1}}'),
        ('{\n    "b": 2\n}\n', '{\n    "b": 2,\n    "a": {\n        "kv": 1\n    }\n}\n'),
        ('{\n\t"a": {}\n}\n', '{\n\t"a": {\n\t\t"kv": 1\n\t}\n}\n'),
        ('{\n  "a": {\n    "b": 2 // two\n  }\n}', '{\n  "a": {\n    "b": 2, // two\n    "kv": 1\n  }\n}'),
        ('{\n  "a": {\n    "b": 2,\n  },\n}', '{\n  "a": {\n    "b": 2,\n    "kv": 1,\n  },\n}'),
        ('{\r\n  "a": {\r\n    "b": 2\r\n  }\r\n}', '{\r\n  "a": {\r\n    "b": 2,\r\n    "kv": 1\r\n  }\r\n}'),
        ('{\n  "a": { // none\n  }\n}', '{\n  "a": { // none\n    "kv": 1\n  }\n}'),
        ('{\n  "a": {"kv": 3, "b": 2}\n}', '{\n  "a": {"kv": 1, "b": 2}\n}'),
        ('\ufeff{\n  "a": {}\n}', '\ufeff{\n  "a": {\n    "kv": 1\n  }\n}'),
        ('{"a": {"b": 2}, "c": 3}', '{"a": {"b": 2, "kv": 1}, "c": 3}'),
        ('{\n  "a": {"b": 2}}', '{\n  "a": {"b": 2, "kv": 1}}'),
        ('{\n  "b": [1,\n 2]}', '{\n  "b": [1,\n 2],\n  "a": {\n    "kv": 1\n  }\n}'),
    ],
)
def test_a_member_is_written_as_its_neighbours_are(before: str, after: str) -> None:
    """Indentation, line ends, comments and trailing commas are the file's own; doing it twice changes nothing."""
    assert put(before, ("a", "kv"), 1) == after
    assert jsonc.put(after, ("a", "kv"), 1) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{\n  "a": 1,\n  "kv": 2\n}', '{\n  "a": 1\n}'),
        ('{\n  "kv": 2,\n  "a": 1\n}', '{\n  "a": 1\n}'),
        ('{\n  "kv": 2\n}', "{\n}"),
        ('{"kv": 2}', "{}"),
        ('{"a": 1, "kv": 2}', '{"a": 1}'),
        ('{"kv": 2, "a": 1}', '{ "a": 1}'),
        ('{\n  "a": 1, // one\n  "kv": 2 // ours\n}', '{\n  "a": 1 // one\n // ours\n}'),
        ('{\n  "a": 1,\n  "kv": 2,\n}', '{\n  "a": 1,\n}'),
        ('{"a": 1}', '{"a": 1}'),
        ("", ""),
    ],
)
def test_a_member_goes_with_its_comma_and_its_line(before: str, after: str) -> None:
    """What is left is read as before, without it."""
    assert drop(before, ("kv",)) == after
    assert "kv" not in dict(jsonc.read(after))  # type: ignore[call-overload]  # an object


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", "unreadable"),
        ('{"a" 1}', "unreadable"),
        ('{"a": 1,, "b": 2}', "unreadable"),
        ('{"a": 1} {}', "unreadable"),
        ("{'a': 1}", "unreadable"),
        ("{a: 1}", "unreadable"),
        ('{"a": 01}', "unreadable"),
        ('{"a": NaN}', "unreadable"),
        ('{"a": "\n"}', "unreadable"),
        ('{"a": /* 1}', "unreadable"),
        ("[" * 9000 + "]" * 9000, "deep"),
        ("[]", "occupied"),
        ('{"mcpServers": 3}', "occupied"),
        ('{"mcpServers": {}, "mcpServers": {}}', "twice"),
        ('{"mcpServers": {"kv": 1, "kv": 2}}', "twice"),
    ],
)
def test_what_is_not_understood_is_refused(text: str, code: str) -> None:
    """Neither edit is made, and what is said of it quotes nothing of the file."""
    for edit in (put, drop):
        with pytest.raises(EditError) as caught:
            edit(text)
        assert caught.value.code == code
        assert text not in str(caught.value)


def test_a_line_is_named() -> None:
    """So that a person finds it."""
    with pytest.raises(EditError, match="line 3"):
        jsonc.read('{\n  "a": 1,\n  b\n}')


def plain(text: str) -> object:
    """What a text says, by the standard library: its comments and trailing commas blanked out first."""
    text = text.removeprefix("\ufeff")
    pieces = re.sub(r'("(?:[^"\\]|\\.)*")|//[^\r\n]*|/\*.*?\*/', lambda m: m[1] or " ", text, flags=re.DOTALL)
    pieces = re.sub(r'("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])', lambda m: m[1] or "", pieces)
    return json.loads(pieces)


@example('{"mcpServers":{ // a {\n"kv":null}}', ENTRY)
@example('{"mcpServers":{ // a {\r\n  "kv":null}}', ENTRY)
@given(json_texts([*PATH, "b"], PATH[:1]), st.sampled_from([ENTRY, 1, None, [], {"a": ["b"]}]))
def test_whatever_the_file_looks_like(text: str, value: object) -> None:
    """Put changes that member alone and once, its inverse takes back every byte, and drop leaves what else is there."""
    expected = plain(text)
    assert jsonc.read(text) == expected
    splices = jsonc.put(text, PATH, value)
    made = spliced(text, splices)
    assert isinstance(expected, dict)
    servers = {**expected.get("mcpServers", {}), "kv": value}
    assert plain(made) == {**expected, "mcpServers": servers}
    assert list(plain(made)) == list({**expected, "mcpServers": servers})  # type: ignore[call-overload]  # an object
    assert jsonc.put(made, PATH, value) == []
    assert spliced(made, inverse(splices)) == text
    left = drop(made)
    del servers["kv"]
    assert plain(left) == {**expected, "mcpServers": servers}
    assert jsonc.drop(left, PATH) == []


def test_an_edit_that_goes_wrong_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """A brace would end up in the comment above it: the text is left alone."""
    monkeypatch.setattr(jsonc, "_has_comment", lambda *_: False)
    with pytest.raises(EditError) as caught:
        jsonc.drop('{"mcpServers":{ // a {\n"kv":null}}', PATH)
    assert caught.value.code == "form"


@pytest.mark.parametrize(
    ("start", "old", "new"),
    [
        (0, "", "// "),
        (1, '"b": 1', '"b": 2, "kv": 1'),
        (1, '"b": 1', '"kv": 1'),
        (7, "", ', "x": {"kv": 1}'),
        (7, "", ', "kv": true'),
        (7, "", ', "kv": 1, "c": 2'),
        (7, "", ' /* , "kv": 1 */'),
    ],
)
def test_what_an_edit_says_is_read_before_it_is_made(
    start: int, old: str, new: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Splices that say anything but our value, or change what stands beside it, are refused."""
    monkeypatch.setattr(jsonc, "_inserted", lambda *_: [Splice(start, old, new)])
    with pytest.raises(EditError) as caught:
        jsonc.put('{"b": 1}', ("kv",), 1)
    assert caught.value.code == "form"
    monkeypatch.setattr(jsonc, "_inserted", lambda *_: [Splice(7, "", ', "kv": 1')])
    assert put('{"b": 1}', ("kv",), 1) == '{"b": 1, "kv": 1}'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{}", '{\n  "deny": [\n    "a"\n  ]\n}'),
        ('{"deny": ["b"]}', '{"deny": ["b", "a"]}'),
        ('{"deny": []}', '{"deny": [\n  "a"\n]}'),
        ('{\n  "deny": [\n    "b", // b\n    "c"\n  ]\n}', '{\n  "deny": [\n    "b", // b\n    "c",\n    "a"\n  ]\n}'),
        ('{\r\n\t"deny": [\r\n\t\t"b",\r\n\t]\r\n}', '{\r\n\t"deny": [\r\n\t\t"b",\r\n\t\t"a",\r\n\t]\r\n}'),
    ],
)
def test_an_item_of_a_list(before: str, after: str) -> None:
    """Behind the others, in their style; twice changes nothing, and it comes out alone."""
    path = ("deny", "[=a]")
    assert put(before, path, "a") == after
    assert jsonc.put(after, path, "a") == []
    assert "a" not in jsonc.read(drop(after, path))["deny"]  # type: ignore[index]  # an object
    assert jsonc.put(drop(after, path), path, "a") != []


def test_an_item_is_known_by_its_name_too() -> None:
    """The one whose field is that text; a list that is none is refused."""
    text = '{"servers": [{"name": "o"}, {"name": "kv", "x": 1}]}'
    assert put(text, ("servers", "[name=kv]"), {"name": "kv"}) == '{"servers": [{"name": "o"}, {\n  "name": "kv"\n}]}'
    assert drop(text, ("servers", "[name=kv]")) == '{"servers": [{"name": "o"}]}'
    with pytest.raises(EditError, match="'servers' is there already"):
        put('{"servers": {}}', ("servers", "[name=kv]"), {})
