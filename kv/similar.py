"""Did you mean: the nearest known name, for the `{similar}` blank of an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST = 2000  # names compared; beyond that a guess costs more than it helps
_NEAR = 0.65  # of 1: one wrong letter in three is near


def similar(name: str, known: Iterable[str]) -> str:
    """` (did you mean 'openai'?)` or an empty string."""
    import difflib
    from itertools import islice

    found = difflib.get_close_matches(name, list(islice(known, _MOST)), n=1, cutoff=_NEAR)
    return f" (did you mean '{found[0]}'?)" if found else ""
