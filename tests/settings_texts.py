"""Settings files as people and programs leave them, for Hypothesis: JSON with comments, TOML, YAML, and prose.

Each takes the names that are to be met in it, often enough that edits find what they look for.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Sequence

_BLANK = st.text(" \t\n", max_size=3)
_JSON_GAPS = st.one_of(
    _BLANK, st.sampled_from([" // a {\n", "/* , } */", "\n// x\n  ", "\r\n\t", ' /* "kv": 1 */ ', "//\r\n"])
)
_JSON_VALUES = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.text(max_size=5), st.just(1.5))


@st.composite
def json_texts(draw: st.DrawFn, names: Sequence[str], objects: Sequence[str]) -> str:
    """An object with comments, odd blanks and trailing commas; objects, too, under the names of `objects`."""
    bom: bool = draw(st.booleans())
    return ("\ufeff" if bom else "") + _object(draw, [*names, "a", "\u00e4", 'q"q', "// no"], objects, 0)


def _object(draw: st.DrawFn, names: Sequence[str], objects: Sequence[str], depth: int) -> str:
    members = []
    chosen: list[str] = draw(st.lists(st.sampled_from(names), unique=True, max_size=4))
    for name in chosen:
        nested = depth < 4 and (name in objects or (depth < 2 and draw(st.booleans())))
        value = _object(draw, names, objects, depth + 1) if nested else json.dumps(draw(_JSON_VALUES))
        written = json.dumps(name, ensure_ascii=draw(st.booleans()))
        members.append(f"{draw(_JSON_GAPS)}{written}{draw(_JSON_GAPS)}:{draw(_JSON_GAPS)}{value}{draw(_JSON_GAPS)}")
    trailing: bool = draw(st.booleans())
    comma = "," if members and trailing else ""
    return "{" + ",".join(members) + comma + draw(_JSON_GAPS) + "}"


_TOML_VALUES = st.sampled_from(
    ["1", "nan", '"#"', "'''\n[kv]\n'''", "[\n 1, # x\n]", "{a = 1}", "1979-05-27T07:32:00Z", '"""\\\n  x"""']
)
_TOML_GAPS = st.sampled_from(["", "\n", "# [mcp_servers.kv]\n", "\t# x = 1\n\n", "\n# ]\n"])


@st.composite
def toml_texts(draw: st.DrawFn, names: Sequence[str]) -> str:
    """Tables in any order, comments between them, and values over several lines; now and then no TOML at all."""
    keys = st.sampled_from([*names, "a", "b c", '"'])
    pieces: list[str] = [draw(_TOML_GAPS)]
    for name in draw(st.lists(keys, unique=True, max_size=2)):
        pieces += [f"{_toml_key(name)}={draw(_TOML_VALUES)}\n", draw(_TOML_GAPS)]
    for path in draw(st.lists(st.lists(keys, min_size=1, max_size=3), max_size=4)):
        header = ".".join(map(_toml_key, path))
        pieces += [f"[[{header}]] # x\n" if draw(st.booleans()) else f" [ {header} ]\n", draw(_TOML_GAPS)]
        for name in draw(st.lists(st.sampled_from(["command", "x"]), unique=True)):
            pieces += [f"  {name} = {draw(_TOML_VALUES)}\n", draw(_TOML_GAPS)]
    return _ended(draw, "".join(pieces))


def _toml_key(name: str) -> str:
    return name if name.isidentifier() else f"'{name}'"


_YAML_VALUES = st.sampled_from(
    ["1", "x", "'a: #'", '"\\n"', "~", "|\n{}  t\n{}\n", ">-\n{}  t\n", "{{a: [b]}}", "[]", "{{}}", "&x y", ""]
)
_YAML_GAPS = st.sampled_from(["", "\n", "# x\n", "   # {{ y\n"])


@st.composite
def yaml_texts(draw: st.DrawFn, names: Sequence[str]) -> str:
    """Nested objects and lists at odd columns, comments, blocks of text, braces; now and then no YAML at all."""
    return _ended(draw, draw(_YAML_GAPS) + _mapping(draw, [*names, "a", "'#'", '"b c"', "é"], 0, 0))


def _mapping(draw: st.DrawFn, names: Sequence[str], depth: int, column: int) -> str:
    pieces: list[str] = []
    for key in draw(st.lists(st.sampled_from(names), unique=True, max_size=3)):
        pieces.append(f"{' ' * column}{key}:")
        kind: str = draw(st.sampled_from(["scalar", "scalar", "mapping", "list"])) if depth < 2 else "scalar"
        inner: int = column + draw(st.integers(1, 4))
        comment: str = draw(st.sampled_from(["", " # of it"]))
        if kind == "scalar":
            scalar: str = draw(_YAML_VALUES)
            pieces.append(" " + scalar.format(" " * column, " " * column) + ("" if scalar.endswith("\n") else "\n"))
        elif kind == "mapping":
            pieces.append(f"{comment}\n{_mapping(draw, names, depth + 1, inner)}")
        else:
            items: list[str] = draw(st.lists(st.sampled_from(["x", "name: kv", "[y]"]), max_size=2))
            pieces.append(f"{comment}\n" + "".join(f"{' ' * inner}- {item}\n" for item in items))
        pieces.append(draw(_YAML_GAPS))
    return "".join(pieces)


def _ended(draw: st.DrawFn, text: str) -> str:
    """With the line ends of another system, a byte-order mark, no end of the last line; or as it is."""
    text = text.replace("\n", "\r\n") if draw(st.booleans()) else text
    return ("\ufeff" if draw(st.booleans()) else "") + (text.rstrip() if draw(st.booleans()) else text)


def prose() -> st.SearchStrategy[str]:
    """Instructions as people write them."""
    return st.text(st.sampled_from("ab \n\r\ufeff#é<!-"), max_size=30)
