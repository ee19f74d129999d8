"""An answer's body as a tree that has one reading: JSON, or XML. Pure.

Rules of this file
- What could be read in two ways is read in none: a member that is given twice.
- XML is read by the standard library's expat. Whatever it could be made to do beyond reading (entities that grow or
  fetch files, external subsets, default attributes) begins with a document type, and that is refused at its first
  character; so are comments, processing instructions and CDATA, in which a value could be shown in two pieces. What is
  left are elements, text and the five references to single characters, read from text of at most the size that the
  caller allows, in one go, with bounds on depth and number. A further library would add nothing to that.
- An element is a member by its name: a text, or the elements within it; several of one name are a list. Attributes and
  text beside elements have no path.
"""

from __future__ import annotations

import json
from typing import NoReturn
from xml.parsers import expat

from kv.daemon.planning import too_many_parts

MAX_ELEMENTS, MAX_DEPTH = 20_000, 64  # of XML: the largest answers of AWS have some thousands
_SPACE = " \t\r\n"  # of XML


def read(body: bytes) -> object:
    """The tree in `body`; None for what is neither, or has no one reading."""
    try:
        text = body.decode()
        if text.lstrip(_SPACE).startswith("<"):
            return _Xml().read(text)
        return None if too_many_parts(text) else json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError, expat.ExpatError):
        return None


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("given twice")  # which of them is the credential only its reader knows
    return members


class _Element:
    def __init__(self, name: str) -> None:
        self.name = name
        self.text: list[str] = []
        self.members: dict[str, list[object]] = {}

    def value(self) -> object:
        if not self.members:
            return "".join(self.text).strip(_SPACE)
        return {name: found[0] if len(found) == 1 else found for name, found in self.members.items()}


class _Xml:
    """One document."""

    def __init__(self) -> None:
        self._open = [_Element("")]
        self._count = 0
        parser = self._parser = expat.ParserCreate()
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._said
        parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = _refused
        parser.CommentHandler = parser.ProcessingInstructionHandler = parser.StartCdataSectionHandler = _refused

    def read(self, text: str) -> object:
        """The document's element, as a member. Raises `ValueError`, `ExpatError`."""
        self._parser.Parse(text, True)  # noqa: FBT003 - expat's own way to say that this is all
        return self._open[0].value()

    def _start(self, name: str, _attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > MAX_ELEMENTS or len(self._open) > MAX_DEPTH:
            _refused()
        self._open.append(_Element(name))

    def _end(self, name: str) -> None:
        self._open[-2].members.setdefault(name, []).append(self._open.pop().value())

    def _said(self, text: str) -> None:
        self._open[-1].text.append(text)


def _refused(*_what: object) -> NoReturn:
    raise ValueError("not plain XML")
