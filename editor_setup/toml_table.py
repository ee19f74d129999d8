"""One table of a TOML file, put in or taken out; every byte outside of it stays.

Rules of this file
- Pure: text in, splices out.
- A table is found by its headers and added at the end of the file. Then the result is parsed: unless it says what the
  text said, with our table and nothing else changed, the text is left alone. So a header in a string of several lines,
  an inline table or dotted keys are met by refusing, and never by guessing.
- Own code over the standard library's parser: of the libraries that write TOML, the one that keeps comments moves
  comments and line ends, reads no byte-order mark, and lost a key of a text with dotted keys.
"""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING

from editor_setup.contract import ABSENT, BOM, EditError, Item, Splice, at, spliced, step

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_HEADER = re.compile(r"^\ufeff?([ \t]*\[[^\r\n]*)", re.MULTILINE)
_NOTHING = re.compile(r"[ \t]*(#.*)?\s*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def find(text: str, path: Sequence[str]) -> object:
    """The value at `path`, `ABSENT` where there is none. Raises `EditError`."""
    return at(_read(text), path)


def put(text: str, path: Sequence[str], value: object) -> list[Splice]:
    """The splices by which the table at `path` is `value`; none if it is, an empty table in it being as good as none.

    Raises `EditError`: `unreadable`, `deep`, `occupied` where something else is on the way, and `form`.
    """
    found = _found(text, path)
    value = _without_empty(value)
    if found is not ABSENT and repr(_without_empty(found)) == repr(_read(_written(path, value, "\n"), path)):
        return []
    newline = "\r\n" if "\r\n" in text else "\n"
    table = _written(path, value, newline)
    spans = [] if found is ABSENT else _spans(text, path)
    if spans:
        (start, end), *rest = spans
        splices = [Splice(start, text[start:end], table), *(Splice(s, text[s:e], "") for s, e in rest)]
    else:
        gap = "" if not text.strip(BOM) else newline if text.endswith("\n") else newline * 2
        splices = [Splice(len(text), "", gap + table)]
    return _proved(text, splices, path, value)


def drop(text: str, path: Sequence[str]) -> list[Splice]:
    """The splices by which there is nothing at `path`; none if there is nothing. Raises what `put` raises."""
    if _found(text, path) is ABSENT:
        return []
    splices: list[Splice] = []
    for start, end in _spans(text, path):
        gap = re.search(r"(?<=\n)\r?\n\Z", text[:start])  # the empty line that parted it from what is above
        begin = gap.start() if gap and not splices else start
        splices.append(Splice(begin, text[begin:end], ""))
    return _proved(text, splices, path, ABSENT)


def _found(text: str, path: Sequence[str]) -> object:
    """What is at `path`. Raises `EditError("occupied")` where something else than a table is on the way."""
    data: object = _read(text)
    for depth, name in enumerate(path):
        if not isinstance(data, dict) or isinstance(step(name), Item):
            raise EditError("occupied", name=path[depth - 1] if depth else "the file")
        if name not in data:
            return ABSENT
        data = data[name]
    return data


def _read(text: str, path: Sequence[str] = ()) -> object:
    try:
        return at(tomllib.loads(text.removeprefix(BOM), parse_float=_number), path)
    except RecursionError:
        raise EditError("deep") from None
    except ValueError as error:
        line = re.search(r"at line (\d+)", str(error))
        raise EditError("unreadable", line=int(line[1]) if line else text.count("\n") + 1) from None


def _number(text: str) -> object:
    """A fraction as it is written: not a number is never equal to itself."""
    return ("fraction", text)


def _spans(text: str, path: Sequence[str]) -> list[tuple[int, int]]:
    """Where the table's headers and what is beneath them stand, up to their last line."""
    headers = [(header.start(1), names) for header in _HEADER.finditer(text) if (names := _names(header[1]))]
    ends = [*(start for start, _ in headers[1:]), len(text)]
    found: list[tuple[int, int]] = []
    for (start, names), end in zip(headers, ends, strict=False):
        if names[: len(path)] != tuple(path):
            continue
        lines = text[start:end].splitlines(keepends=True)
        while _NOTHING.fullmatch(lines[-1]):  # before the next header, and so about that
            lines.pop()
        joined = bool(found) and not text[found[-1][1] : start].strip()
        found.append((found.pop()[0] if joined else start, start + sum(map(len, lines))))
    return found


def _names(header: str) -> tuple[str, ...]:
    """The path that a header opens; empty where the line is none."""
    try:
        data: object = tomllib.loads(header.strip(" \t"))
    except ValueError:
        return ()
    names = []
    while isinstance(data, dict) and data:
        name, data = next(iter(data.items()))
        names.append(name)
    return tuple(names)


def _written(path: Sequence[str], value: object, newline: str) -> str:
    """A table, its tables below it as the clients write them."""
    return newline.join(_lines(path, value if isinstance(value, dict) else {})) + newline


def _lines(path: Sequence[str], table: Mapping[str, object]) -> Iterator[str]:
    yield f"[{'.'.join(map(_key, path))}]"
    for name, value in table.items():
        if not isinstance(value, dict):
            yield f"{_key(name)} = {_plain(value)}"
    for name, value in table.items():
        if isinstance(value, dict):
            yield ""
            yield from _lines([*path, name], value)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _plain(name)


def _plain(value: object) -> str:
    """Texts, numbers and lists of them look in TOML as in JSON, but for one character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")


def _without_empty(value: object) -> object:
    """A table without the empty tables in it: no client writes them."""
    return {name: each for name, each in value.items() if each != {}} if isinstance(value, dict) else value


def _proved(text: str, splices: list[Splice], path: Sequence[str], value: object) -> list[Splice]:
    """`splices`, if by them the text says what it said, but for `value` at `path`."""
    try:
        after = _read(spliced(text, splices))
    except EditError:
        after = ABSENT
    wanted = ABSENT if value is ABSENT else _read(_written(path, value, "\n"), path)
    if repr(at(after, path)) != repr(wanted) or _others(after, path) != _others(_read(text), path):
        raise EditError("form", name=path[-1])
    return splices


def _others(data: object, path: Sequence[str]) -> object:
    """What else the text says: all but what is at `path`, and but for what is empty on the way there."""
    if not isinstance(data, dict):
        return repr(data)
    rest = {name: repr(each) for name, each in data.items() if name != path[0]}
    within = _others(data.get(path[0], {}), path[1:]) if len(path) > 1 else {}
    return rest | ({path[0]: within} if within else {})
