"""What a YAML text says and where each of its values stands.

Rules of this file
- Pure. ruamel.yaml reads; it writes nothing, since it would write the whole file anew.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from editor_setup.contract import ABSENT, EditError, Item, occupied, step

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_CHARACTERS = 256 << 10  # a second of parsing; settings that people write have some thousand


class Place(NamedTuple):
    """A member or an item: where it starts, its key (none of an item), its value."""

    start: int
    key: Node | None
    node: Node


def parsed(text: str) -> Node | None:
    """The node of a text, or None where there is none. Raises `EditError`: `unreadable`, `deep`, `large`."""
    if len(text) > MAX_CHARACTERS:
        raise EditError("large")
    yaml = YAML(typ="safe", pure=True)
    yaml.composer.warn_double_anchors = False
    try:
        node: Node | None = yaml.compose(text)
    except RecursionError:
        raise EditError("deep") from None
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise EditError("unreadable", line=mark.line + 1 if mark else 1) from None
    return node


def places_on(root: Node | None, path: Sequence[str]) -> list[Place]:
    """What stands on `path`, as far as there is something."""
    found: list[Place] = []
    node = root
    for depth, each in enumerate(path):
        if node is None or is_null(node):
            break
        wanted = step(each)
        if not isinstance(node, SequenceNode if isinstance(wanted, Item) else MappingNode):
            raise EditError(occupied(wanted), name=path[depth - 1] if depth else "the file")
        hits = [place for place in members(node) if _leads(wanted, place)]
        if not hits:
            break
        if len(hits) > 1 and not isinstance(wanted, Item):
            raise EditError("twice", name=wanted)
        node = hits[0].node
        if node.start_mark.index < hits[0].start:  # an alias: what it stands for is elsewhere
            raise EditError("form", name=each)
        found.append(hits[0])
    return found


def members(node: Node) -> Iterator[Place]:
    """The members of an object, or the items of a list."""
    for each in node.value:
        key, value = each if isinstance(each, tuple) else (None, each)
        yield Place((key or value).start_mark.index, key, value)


def _leads(wanted: str | Item, place: Place) -> bool:
    if isinstance(wanted, Item):
        return wanted.matches(value_of(place.node, deep=1))
    return isinstance(place.key, ScalarNode) and place.key.value == wanted


def is_null(node: Node) -> bool:
    """Whether it is no value, written or not."""
    return isinstance(node, ScalarNode) and str(node.tag) == "tag:yaml.org,2002:null"


def flows(node: Node | None) -> bool:
    """Whether it is written in braces or brackets."""
    return isinstance(node, SequenceNode | MappingNode) and bool(node.flow_style)


def value_of(node: Node, deep: int = 8) -> object:
    """What a node says, in the terms of JSON.

    `ABSENT`, which equals nothing of ours, stands for what is deeper, and for what an alias repeats: aliases of aliases
    are a few bytes that say gigabytes.
    """
    return _value(node, deep, set())


def _value(node: Node, deep: int, seen: set[int]) -> object:
    if isinstance(node, ScalarNode):
        return _scalar(str(node.tag).removeprefix("tag:yaml.org,2002:"), node.value)
    if deep == 0 or id(node) in seen:
        return ABSENT
    seen.add(id(node))
    if isinstance(node, SequenceNode):
        return [_value(each, deep - 1, seen) for each in node.value]
    return {key.value: _value(value, deep - 1, seen) for key, value in node.value if isinstance(key, ScalarNode)}


def _scalar(tag: str, text: str) -> object:
    if tag == "str":
        return text
    try:
        return json.loads({"null": "null", "bool": text.lower()}.get(tag, text))
    except ValueError:
        return (tag, text)


def same(one: object, other: object) -> bool:
    """Equal as JSON: for Python 1, 1.0 and true are."""
    return json.dumps(one, sort_keys=True, default=repr) == json.dumps(other, sort_keys=True)


def place_end(place: Place) -> int:
    """Behind the last thing of a member or an item: the end marks of nodes take in the comments below."""
    if place.key is not None and is_null(place.node) and not place.node.value:
        return int(place.key.end_mark.index) + 1
    node = place.node
    if isinstance(node, ScalarNode) or flows(node) or not node.value:
        return int(node.end_mark.index)
    *_, last = members(node)
    return place_end(last)
