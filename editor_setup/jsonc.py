"""One member of a JSON file, or item of a list in it, put in or taken out; every byte outside of it stays.

Rules of this file
- Pure: text in, splices out.
- A path is of steps as `contract` has them: a member's name, or an item of a list.
- Read: JSON (RFC 8259) with comments and trailing commas, which many clients take. What is not that is refused.
- Written: in the file's own style; a comment or a trailing comma of ours only where the file has it.
- The result is parsed, too: unless it says what the text said, with our value and nothing else changed, the text is
  left alone. Where a comment ends and a comma is due is guessed by nobody.
- Own code, since no maintained library for Python edits such texts: those that keep comments write the file anew.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

from editor_setup.contract import ABSENT, BOM, EditError, Item, Splice, at, nested, occupied, spliced, step
from editor_setup.jsonc_tree import parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from editor_setup.jsonc_tree import Member, Node


def read(text: str) -> object:
    """The value that `text` is; that of an empty one, or of comments alone, is an empty object. Raises `EditError`."""
    root = parse(text)
    return {} if root is None else root.value


def find(text: str, path: Sequence[str]) -> object:
    """The value at `path`, `ABSENT` where there is none. Raises `EditError`."""
    return at(read(text), path)


def put(text: str, path: Sequence[str], value: object) -> list[Splice]:
    """The splices by which `value` is at `path`; none if it is. Objects and lists on the way are made.

    Raises `EditError`: `unreadable`, `deep`, `twice`, `form`, and where something else is on the way `occupied` or
    `unlisted`.
    """
    root = parse(text, path)
    splices = _put(text, root, path, value)
    return _proved(text, splices, path, _changed({} if root is None else root.value, path, value))


def _put(text: str, root: Node | None, path: Sequence[str], value: object) -> list[Splice]:
    style = _Style.of(text)
    if root is None:
        return [_whole(text, path, value, style)]
    node = root
    for depth in range(len(path)):
        member = _member(node, path, depth)
        if member is None:
            return _inserted(text, node, path[depth], nested(path[depth + 1 :], value), style)
        node = member.node
    if _same(node.value, value):
        return []
    return [Splice(node.start, text[node.start : node.end], style.written(value, _indent(text, node.start)))]


def drop(text: str, path: Sequence[str]) -> list[Splice]:
    """The splices by which there is nothing at `path`; none if there is nothing. Raises what `put` raises."""
    root = node = parse(text, path)
    for depth in range(len(path)):
        member = None if node is None else _member(node, path, depth)
        if root is None or node is None or member is None:
            return []
        if depth == len(path) - 1:
            return _proved(text, _removed(text, node, member), path, _changed(root.value, path, ABSENT))
        node = member.node
    return []


def _proved(text: str, splices: list[Splice], path: Sequence[str], wanted: object) -> list[Splice]:
    """`splices`, if the text says by them what is wanted, and that in the types of JSON at `path`."""
    if not splices:
        return []
    try:
        after = parse(spliced(text, splices), path)
        right = after is not None and after.value == wanted and _same(at(after.value, path), at(wanted, path))
    except RecursionError:
        raise EditError("deep") from None
    except EditError:
        right = False
    if not right:
        raise EditError("form", name=path[-1])
    return splices


def _changed(value: object, path: Sequence[str], new: object) -> object:
    """`value` with `new` at `path`, and nothing there where that is `ABSENT`."""
    if not path:
        return new
    wanted, rest = step(path[0]), path[1:]
    if isinstance(wanted, Item):
        items = list(value) if isinstance(value, list) else []
        place = next((index for index, each in enumerate(items) if wanted.matches(each)), len(items))
        inner = _changed(items[place] if place < len(items) else ABSENT, rest, new)
        return [*items[:place], *([] if inner is ABSENT else [inner]), *items[place + 1 :]]
    members = dict(value) if isinstance(value, dict) else {}
    members[wanted] = _changed(members.get(wanted, ABSENT), rest, new)
    return {name: each for name, each in members.items() if each is not ABSENT}


def _same(one: object, other: object) -> bool:
    """Equal as JSON: for Python 1, 1.0 and true are."""
    return one is other or json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _member(node: Node, path: Sequence[str], depth: int) -> Member | None:
    """What the step of `path` at `depth` leads to."""
    wanted = step(path[depth])
    if not isinstance(node.value, list if isinstance(wanted, Item) else dict):
        raise EditError(occupied(wanted), name=path[depth - 1] if depth else "the file")
    if isinstance(wanted, Item):
        return next((member for member in node.members if wanted.matches(member.node.value)), None)
    found = [member for member in node.members if member.name == wanted]
    if len(found) > 1:
        raise EditError("twice", name=wanted)
    return found[0] if found else None


class _Style(NamedTuple):
    """How a file is written: its line ends, and by what its lines are indented."""

    newline: str
    unit: str

    @classmethod
    def of(cls, text: str) -> _Style:
        newline = "\r\n" if "\r\n" in text else "\n"
        found = re.search(r"^([ \t]+)\S", text, re.MULTILINE)
        return cls(newline, found[1] if found else "  ")

    def written(self, value: object, indent: str) -> str:
        """`value` over several lines, those below the first behind `indent`."""
        text = json.dumps(value, indent=self.unit, ensure_ascii=False)
        return text.replace("\n", self.newline + indent)


def _whole(text: str, path: Sequence[str], value: object, style: _Style) -> Splice:
    """A file without a value gets one, below what comments it has."""
    made = style.written(nested(path, value), "") + style.newline
    gap = style.newline if text.strip(BOM + " \t\r\n") and not text.endswith(("\n", "\r")) else ""
    return Splice(len(text), "", gap + made)


def _inserted(text: str, node: Node, name: str, value: object, style: _Style) -> list[Splice]:
    """The member behind the last one, on a line of its own unless the whole object stands on one line."""
    splices: list[Splice] = []
    comma = "," if node.trailing else ""
    title = "" if isinstance(node.value, list) else f"{json.dumps(name, ensure_ascii=False)}: "
    if node.members and not node.trailing:
        at = node.members[-1].node.end
        splices.append(Splice(at, "", ","))
    inner = text[node.start : node.end]
    if node.members and not re.search(r"[\r\n]", inner):
        splices.append(Splice(node.last, "", f" {title}{json.dumps(value, ensure_ascii=False)}{comma}"))
        return _merged(splices)
    base = _indent(text, node.start)
    indent = _indent(text, node.members[0].start) if node.members else base + style.unit
    line = f"{style.newline}{indent}{title}{style.written(value, indent)}{comma}"
    if not re.search(r"[\r\n]", text[node.last : node.end]):  # the brace would end up behind the member
        line += style.newline + base
        return _merged([*splices, Splice(node.last, text[node.last : node.end - 1], line)])
    return _merged([*splices, Splice(node.last, "", line)])


def _merged(splices: list[Splice]) -> list[Splice]:
    """Two splices at one place are one."""
    if len(splices) == 2 and splices[0].start == splices[1].start and not splices[0].old:  # noqa: PLR2004 - two
        return [Splice(splices[1].start, splices[1].old, splices[0].new + splices[1].new)]
    return splices


def _removed(text: str, node: Node, member: Member) -> list[Splice]:
    """The member with its comma, and with its line if nothing else stands there."""
    at = node.members.index(member)
    last = at == len(node.members) - 1
    start, end = member.start, member.end
    splices: list[Splice] = []
    if last and not node.trailing and at:  # the comma of the one before has nothing to part any more
        before = node.members[at - 1]
        comma = before.end - 1
        if not text[before.end : start].strip(" \t\r\n"):
            start = comma
        else:
            splices.append(Splice(comma, ",", ""))
    if start == member.start:
        start = _back(text, start)
        if last and not node.trailing and not at and start and text[start - 1] in "\r\n":
            above = _back_line(text, start)
            start = start if _has_comment(text, above) else above
        elif start and text[start - 1] in "\r\n":
            end = _over_line(text, end)
    splices.append(Splice(start, text[start:end], ""))
    return splices


def _back(text: str, at: int) -> int:
    while at and text[at - 1] in " \t":
        at -= 1
    return at


def _back_line(text: str, at: int) -> int:
    return at - 2 if text[at - 2 : at] == "\r\n" else at - 1


def _has_comment(text: str, at: int) -> bool:
    """Whether the line that ends at `at` may end in a comment: what comes to stand behind that would be in it."""
    return "//" in text[max(text.rfind("\n", 0, at), text.rfind("\r", 0, at)) + 1 : at]


def _over_line(text: str, at: int) -> int:
    """Behind the line's end, if nothing but blanks stands before it."""
    found = re.compile(r"[ \t]*(\r\n|\n|\r)").match(text, at)
    return found.end() if found else at


def _indent(text: str, at: int) -> str:
    """The blanks that the line of a place begins with."""
    start = max(text.rfind("\n", 0, at), text.rfind("\r", 0, at)) + 1
    found = re.compile(r"[ \t]*").match(text, start)
    return found[0] if found else ""
