"""`select`: a JMESPath expression over the redacted JSON, within bounds.

Rules of this file
- Only redacted text is selected from; selecting first would let an expression cut a secret into pieces that
  no needle matches (the selection oracle).
- The expression is an agent's: a hundred characters can double a list thirty times (`[@,@][]|[@,@][]…`), so
  the interpreter counts what every step produces, and gives up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jmespath import exceptions, parser, visitor

from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Mapping

_BUDGET = 400_000  # elements and characters that all steps together may produce: some times a 64 KiB answer
_MAX_DEPTH = 64  # of what comes out: deeper than any API's answer, shallow enough for the encoder


def select(expression: str, document: object) -> object:
    """What `expression` selects. Raises `KvError("bad-argument")` for a bad or too greedy one."""
    try:
        tree = parser.Parser().parse(expression)
        found = _Counting().visit(tree.parsed, document)
        _expanded(found, _BUDGET)
    except (exceptions.JMESPathError, ValueError, TypeError, OverflowError):
        raise KvError("bad-argument", argument="select", why="this JMESPath does not parse or apply") from None
    except (_TooMuchError, RecursionError, MemoryError):
        raise KvError("bad-argument", argument="select", why="it produces more than it may") from None
    return found


class _TooMuchError(Exception):
    """The budget is spent."""


class _Counting(visitor.TreeInterpreter):
    """The library's interpreter, with a budget on every intermediate result."""

    def __init__(self) -> None:
        super().__init__()
        self._left = _BUDGET

    def visit(self, node: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the library's signature
        found = super().visit(node, *args, **kwargs)  # type: ignore[arg-type]  # the stub's own node type is private
        if node["type"] in {"multi_select_list", "multi_select_dict"}:
            # `[@,@]|[@,@]|…` shares what it doubles; a function or a comparison would walk it written out.
            self._left -= _expanded(found, self._left)
        elif node["type"] not in {"field", "identity", "current", "literal", "subexpression", "index"}:
            self._left -= len(found) if isinstance(found, list | dict | str) else 1
        if self._left < 0:
            raise _TooMuchError
        return found


def _expanded(document: object, budget: int) -> int:
    """How many elements `document` has when written out. Raises `_TooMuchError` beyond `budget` or too deep."""
    left = budget
    stack: list[tuple[object, int]] = [(document, 0)]
    while stack:
        found, depth = stack.pop()
        left -= 1
        if left < 0 or depth > _MAX_DEPTH:
            raise _TooMuchError
        if isinstance(found, dict):
            stack.extend((child, depth + 1) for child in found.values())
        elif isinstance(found, list):
            stack.extend((child, depth + 1) for child in found)
    return budget - left
