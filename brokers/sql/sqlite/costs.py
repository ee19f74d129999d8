"""How long one value may be, so that no function works on it for more than a second: SQLite stops between them. Pure.

Rules of this file
- Some functions look for one text at every place of another: their time is the product of the two lengths. Where the
  text that is looked for stands in the statement it is short, and the other may be long; where it is computed the two
  share what they may take.
- Read off SQLite's own program of the statement, in which views and triggers are open. Functions are not replaced by
  ours: a view that uses one would not trust it.

Measured (SQLite 3.40, a busy machine): 0.05 ns for each pair of bytes in `instr` and `replace`, which compare them all
at once, 8 ns in LIKE, GLOB and `trim`, which do not. JSON is parsed at 6 MB/s, and gone through again for each path.
"""

from __future__ import annotations

from math import isqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Step = tuple[object, ...]

PATTERN = 1000  # bytes of a pattern of LIKE or GLOB
_COMPUTED = 128  # of one that is not in the statement
_QUICK, _SLOW = 1 << 34, 1 << 27  # pairs of bytes in a second
# The place of what is looked for among a function's arguments, and how many pairs of bytes it goes through.
_SEARCHES = {
    "instr(2)": (1, _QUICK),
    "replace(3)": (1, _QUICK),
    "trim(2)": (1, _SLOW),
    "ltrim(2)": (1, _SLOW),
    "rtrim(2)": (1, _SLOW),
    "like(2)": (0, _SLOW),
    "like(3)": (0, _SLOW),
    "glob(2)": (0, _SLOW),
}
_PATTERNS = frozenset({"like(2)", "like(3)", "glob(2)"})
_MERGING = "json_patch(2)"  # compares each member of one object with each of the other
_JSON, _JSON_PATHS, _JSON_MERGED = 4 << 20, 1 << 20, 64 << 10


def longest(steps: Sequence[Step], params: Sequence[object]) -> tuple[int, int]:
    """How many bytes a value, and a pattern, may have in the statement whose EXPLAIN is `steps`."""
    known, computed = _registers(steps, params)
    value, pattern = 1 << 30, PATTERN
    for name, constants, first in _calls(steps):
        if name not in _SEARCHES:
            value = min(value, _json(name))
            continue
        place, pairs = _SEARCHES[name]
        register = first + place
        if constants >> place & 1 and register in known and register not in computed:
            value = min(value, pairs // max(1, known[register]))
        elif name in _PATTERNS:
            value, pattern = min(value, pairs // _COMPUTED), _COMPUTED
        else:
            value = min(value, 2 * isqrt(pairs))
    return value, pattern


def _calls(steps: Sequence[Step]) -> Iterator[tuple[str, int, int]]:
    """The functions called, by name and number of arguments; which of these are constant; the first one's register."""
    for _, code, one, two, _, four, *_ in steps:
        if code in {"Function", "PureFunc"}:
            yield str(four), int(str(one)), int(str(two))


def _json(name: str) -> int:
    if name == _MERGING:
        return _JSON_MERGED
    if name.startswith("json"):
        return _JSON_PATHS if name.endswith("(-1)") else _JSON
    return _JSON if name.startswith("->") else 1 << 30


def _registers(steps: Sequence[Step], params: Sequence[object]) -> tuple[Mapping[object, int], frozenset[object]]:
    """Registers that hold a text of the statement or a parameter, with its length; and those that something else fills.

    What a step fills besides is the third of its numbers; a jump or a read that stands there costs only length.
    """
    known: dict[object, int] = {}
    for _, code, one, two, _, four, *_ in steps:
        if code == "String8":
            known[two] = max(known.get(two, 0), len(str(four).encode("utf-8", "surrogatepass")))
        elif code == "Variable":
            at = int(str(one)) - 1
            given = params[at] if at < len(params) else ""
            known[two] = max(known.get(two, 0), len(given) * 4 if isinstance(given, (str, bytes)) else 32)
    return known, frozenset(step[4] for step in steps if step[4])
