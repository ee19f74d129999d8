"""One member of a YAML file, or item of a list in it, put in or taken out; every byte outside of it stays.

Rules of this file
- Pure: text in, splices out.
- ruamel.yaml says what is in a text and where; it writes nothing, since it would write the whole file anew. What we
  write is JSON within YAML's indentation, which is YAML (1.2, chapter 1.3).
- The result is parsed, too: unless it says what the text said, with our value and nothing else changed, the text is
  left alone. So anchors, tags, odd indentation and whatever else YAML has are met by refusing, and never by guessing.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from ruamel.yaml.nodes import Node, ScalarNode, SequenceNode

from editor_setup.contract import ABSENT, BOM, EditError, Splice, nested, spliced
from editor_setup.yaml_tree import Place, flows, is_null, members, parsed, place_end, places_on, same, value_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_BARE = re.compile(r"(?!(?i:true|false|null|yes|no|on|off|[yn])\Z)[A-Za-z_][A-Za-z0-9_-]*")


def find(text: str, path: Sequence[str]) -> object:
    """The value at `path`, `ABSENT` where there is none. Raises `EditError`."""
    root = parsed(text)
    nodes = [root, *(place.node for place in places_on(root, path))]
    return value_of(nodes[-1]) if nodes[-1] and len(nodes) > len(path) else ABSENT


def put(text: str, path: Sequence[str], value: object) -> list[Splice]:
    """The splices by which `value` is at `path`; none if it is. Objects and lists on the way are made.

    Raises `EditError`: `unreadable`, `deep`, `large`, `twice`, `form`, and where something else is on the way
    `occupied` or `unlisted`.
    """
    root = parsed(text)
    places = places_on(root, path)
    if len(places) == len(path) and same(value_of(places[-1].node), value):
        return []
    if len(places) == len(path):
        splices = [_replaced(text, places, path, value)]
    else:
        splices = _inserted(text, root, places, nested(path[len(places) :], value))
    return _proved(text, splices, path, value)


def drop(text: str, path: Sequence[str]) -> list[Splice]:
    """The splices by which there is nothing at `path`; none if there is nothing. Raises what `put` raises."""
    places = places_on(parsed(text), path)
    if len(places) < len(path):
        return []
    place, above = places[-1], places[-2] if len(places) > 1 else None
    if above and flows(above.node):
        return _proved(text, [_out_of_flow(text, above.node, place)], path, ABSENT)
    start = text.rfind("\n", 0, place.start) + 1
    if text[start : place.start].strip(" -" + BOM):  # on a line with others
        raise EditError("form", name=path[-1])
    start += text.startswith(BOM, start)
    splices = [Splice(start, text[start : _line_end(text, place_end(place))], "")]
    if above and above.key and len(above.node.value) == 1:  # an empty object must say that it is one
        splices.insert(0, Splice(_colon(text, above.key), "", " []" if isinstance(above.node, SequenceNode) else " {}"))
    return _proved(text, splices, path, ABSENT)


def _replaced(text: str, places: list[Place], path: Sequence[str], value: object) -> Splice:
    place = places[-1]
    above = places[-2].node if len(places) > 1 else None
    if flows(place.node) or flows(above) or place.key is None:
        start, end = place.node.start_mark.index, place_end(place)
        if place.key is None and not flows(place.node):
            lines = _lines(value)
            return Splice(start, text[start:end], f"{_newline(text)}{' ' * _column(text, start)}".join(lines))
        return Splice(start, text[start:end], json.dumps(value, ensure_ascii=False))
    made = f"{_newline(text)}{' ' * _column(text, place.start)}".join(_lines({path[-1]: value}))
    return Splice(place.start, text[place.start : place_end(place)], made)


def _inserted(text: str, root: Node | None, places: list[Place], made: object) -> list[Splice]:
    """What is not there yet, into the last of what is."""
    newline = _newline(text)
    node = places[-1].node if places else root
    if node is None or (not places and is_null(node)):
        gap = newline if text.strip(BOM) and not text.endswith("\n") else ""
        return [Splice(len(text), "", gap + newline.join(_lines(made)) + newline)]
    if flows(root) or any(flows(place.node) and place.node.value for place in places):
        return [_in_flow(text, node, made)]
    if is_null(node) or not node.value:
        return _in_nothing(text, places[-1], made)
    first = next(members(node)).start
    column = _column(text, text.rfind("-", 0, first) if isinstance(node, SequenceNode) else first)
    return [_below(text, place_end(Place(0, None, node)), _block(made, column, newline))]


def _in_nothing(text: str, place: Place, made: object) -> list[Splice]:
    """Beneath a key that has nothing yet: no value, a null, or an empty object."""
    if place.key is None:
        raise EditError("form", name="the list")
    colon, end = _colon(text, place.key), place_end(place)
    below = _below(text, end, _block(made, _column(text, place.start) + 2, _newline(text)))
    return [Splice(colon, text[colon:end], ""), below] if end > colon else [below]


def _below(text: str, at: int, block: str) -> Splice:
    """On lines of its own below that of `at`."""
    at = _line_end(text, at)
    return Splice(at, "", ("" if text[:at].endswith("\n") else _newline(text)) + block)


def _in_flow(text: str, node: Node, made: object) -> Splice:
    """Into braces or brackets: behind what is in there, as JSON."""
    inner = json.dumps(made, ensure_ascii=False)[1:-1]
    if not node.value:
        start, end = node.start_mark.index + 1, node.end_mark.index - 1
        return Splice(start, text[start:end], inner)
    *_, last = members(node)
    return Splice(place_end(last), "", f", {inner}")


def _out_of_flow(text: str, node: Node, place: Place) -> Splice:
    """Out of braces or brackets, with one of the commas beside it."""
    others = list(members(node))
    at = [each.start for each in others].index(place.start)
    start, end = place.start, place_end(place)
    if at:
        start = place_end(others[at - 1])
    elif len(others) > 1:
        end = others[1].start
    return Splice(start, text[start:end], "")


def _block(value: object, column: int, newline: str) -> str:
    return "".join(f"{' ' * column}{line}{newline}" for line in _lines(value))


def _lines(value: object) -> Iterator[str]:
    """A value in block style."""
    if isinstance(value, list) and value:
        for each in value:
            first, *rest = _lines(each)
            yield f"- {first}"
            yield from (f"  {line}" for line in rest)
    elif isinstance(value, dict) and value:
        for name, each in value.items():
            key = name if _BARE.fullmatch(name) else json.dumps(name, ensure_ascii=False)
            if each and (isinstance(each, dict) or (isinstance(each, list) and isinstance(each[0], dict))):
                yield f"{key}:"
                yield from (f"  {line}" for line in _lines(each))
            else:
                yield f"{key}: {json.dumps(each, ensure_ascii=False)}"
    else:
        yield json.dumps(value, ensure_ascii=False)


def _colon(text: str, key: Node) -> int:
    """Behind the colon of a key."""
    found = text.find(":", key.end_mark.index)
    if found < 0:
        raise EditError("form", name=str(key.value))
    return found + 1


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _line_end(text: str, at: int) -> int:
    """Behind the line that `at` stands in; `at` itself at the start of one."""
    if at and text[at - 1] == "\n":
        return at
    found = text.find("\n", at)
    return len(text) if found < 0 else found + 1


def _column(text: str, at: int) -> int:
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return len(line.removeprefix(BOM))


def _proved(text: str, splices: list[Splice], path: Sequence[str], value: object) -> list[Splice]:
    """`splices`, if by them the text says what it said, but for `value` at `path`."""
    try:
        after = parsed(spliced(text, splices))
        places = places_on(after, path)
    except EditError:
        raise EditError("form", name=path[-1]) from None
    there = value_of(places[-1].node) if len(places) == len(path) else ABSENT
    right = there is ABSENT if value is ABSENT else there is not ABSENT and same(there, value)
    before = parsed(text)
    if not right or list(_others(after, places, path)) != list(_others(before, places_on(before, path), path)):
        raise EditError("form", name=path[-1])
    return splices


def _others(root: Node | None, places: list[Place], path: Sequence[str]) -> list[object]:
    """What else a text says, piece by piece: all but what is at `path`, and but for what is empty on the way there."""
    way = [place.node for place in places]
    skipped: set[int] = set()
    if len(way) == len(path):
        skipped.add(id(way.pop()))
    for node in reversed(way):
        if is_null(node) or all(id(place.node) in skipped for place in members(node)):
            skipped.add(id(node))
    if root is None or is_null(root) or all(id(each.node) in skipped for each in members(root)):
        return []
    return list(_pieces(root, skipped, {}))


def _pieces(node: Node, skipped: set[int], seen: dict[int, int]) -> Iterator[object]:
    if id(node) in seen:  # an alias
        yield ("alias", seen[id(node)])
        return
    seen[id(node)] = len(seen)
    if isinstance(node, ScalarNode):
        yield (str(node.tag), node.value, node.anchor)
        return
    yield (str(node.tag), "from", node.anchor)
    for place in members(node):
        if id(place.node) not in skipped:
            if place.key is not None:
                yield from _pieces(place.key, skipped, seen)
            yield from _pieces(place.node, skipped, seen)
    yield "to"
