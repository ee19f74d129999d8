"""What is put into a file: a value at a path, a block in a text, or a whole file of our own.

Rules of this file
- An edit says three things of a text: by which splices it is in there, by which it is not, and what of it is there now,
  in one form whatever the file's style, so that two states can be compared.
- The suffix of a file's name says how it is written.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

from editor_setup import block, jsonc
from editor_setup.contract import ABSENT, EditError, Item, Splice, spliced, step

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


class Format(Protocol):
    """What each module of a format has."""

    def find(self, text: str, path: Sequence[str]) -> object:
        """The value at `path`, `ABSENT` where there is none. Raises `EditError`."""

    def put(self, text: str, path: Sequence[str], value: object) -> list[Splice]:
        """The splices by which `value` is at `path`. Raises `EditError`."""

    def drop(self, text: str, path: Sequence[str]) -> list[Splice]:
        """The splices by which nothing is at `path`. Raises `EditError`."""


class Edit(NamedTuple):
    """One edit of a text, by its splices there and back, and what is there of it.

    `key` tells it from the others of its file. `ours`: nobody else writes what it writes. `existing`: its client makes
    the file, and we begin none.
    """

    key: str
    put: Callable[[str], list[Splice]]
    drop: Callable[[str], list[Splice]]
    found: Callable[[str], str]
    ours: bool = True
    existing: bool = False

    def made(self, text: str) -> list[Splice]:
        """What `put` gives, for the text of the file itself. Raises `EditError`."""
        if self.existing and not text:
            raise EditError("unmade")
        return self.put(text)


def format_of(path: Path) -> Format:
    """How a file is read and edited: JSON with comments, unless its name says otherwise."""
    if path.suffix == ".toml":
        from editor_setup import toml_table

        return toml_table
    if path.suffix in {".yaml", ".yml"}:
        from editor_setup import yaml_text

        return yaml_text
    return jsonc


def member(file: Path, path: Sequence[str], value: object, keep: Sequence[str] = (), *, ours: bool = True) -> Edit:
    """`value` at `path`. What stands there under the names of `keep` is the person's, and stays."""
    form = format_of(file)

    def put(text: str) -> list[Splice]:
        there = form.find(text, path) if keep else ABSENT
        kept = {name: there[name] for name in keep if name in there} if isinstance(there, dict) else {}
        return form.put(text, path, {**value, **kept} if isinstance(value, dict) else value)

    def found(text: str) -> str:
        there = form.find(text, path)
        if there is ABSENT:
            return ""
        if isinstance(there, dict):
            there = {name: each for name, each in there.items() if name not in keep}
        return json.dumps(there, sort_keys=True, default=repr)

    return Edit("/".join(map(_name, path)), put, partial(form.drop, path=path), found, ours)


def marked(text: str) -> Edit:
    """A block in a text that people write."""
    return _block(text, block.MARKDOWN)


def patterns(lines: Sequence[str]) -> Edit:
    """A block in a list of patterns."""
    return _block("\n".join(lines), block.PATTERNS)


def _block(text: str, marks: block.Marks) -> Edit:
    drop, found = partial(block.drop, marks=marks), partial(block.found, marks=marks)
    return Edit("block", partial(block.put, block=text, marks=marks), drop, found)


def whole(text: str) -> Edit:
    """All of a file."""
    return Edit("file", partial(_whole, text), partial(_whole, ""), str)


def written(path: Path, value: Mapping[str, object]) -> str:
    """An object as the text of a whole file."""
    text = ""
    for name, each in value.items():
        text = spliced(text, format_of(path).put(text, (name,), each))
    return text


def _name(each: str) -> str:
    named = step(each)
    return f"[{named.text}]" if isinstance(named, Item) else named


def _whole(wanted: str, text: str) -> list[Splice]:
    return [] if text == wanted else [Splice(0, text, wanted)]
