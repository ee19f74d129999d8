"""The table: one line a row, ours and the rival's beside each other, the goal, and whether it is reached.

Rules of this file
- The figure that a goal is about is a ratio of two things measured in one run: the median of the rounds' ratios, each
  of neighbours in time. Where there is no rival it is the worst sample.
- A goal that is missed is printed like one that is reached, and changes no exit status: a bench informs.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_WIDTHS = (47, 26, 34, 19, 9, 9)
_TITLES = ("what", "ours: min / median", "beside", "min / median", "figure", "goal")


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound on a row's figure: at most, or at least."""

    bound: float
    at_least: bool = False

    def reached(self, figure: float) -> bool:
        """Whether `figure` keeps to it."""
        return figure >= self.bound if self.at_least else figure <= self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.bound:g}"


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison. `ours` and `theirs` hold a sample a round, in `unit`; `theirs` is empty without a rival."""

    what: str
    unit: str
    ours: Sequence[float]
    beside: str = ""
    theirs: Sequence[float] = ()
    goal: Goal | None = None
    note: str = ""

    @property
    def figure(self) -> float:
        """What the goal is about."""
        if self.theirs:
            return statistics.median(mine / other for mine, other in zip(self.ours, self.theirs, strict=True))
        return max(self.ours)

    @property
    def mark(self) -> str:
        """Whether the goal is reached, in a word."""
        if self.goal is None:
            return ""
        return "reached" if self.goal.reached(self.figure) else "MISSED"

    def cells(self) -> tuple[str, ...]:
        """The row's texts, column by column."""
        figure = f"{_number(self.figure)}x" if self.theirs else _number(self.figure)
        goal = "" if self.goal is None else f"{self.goal}{'x' if self.theirs else ''}"
        return self.what, f"{_pair(self.ours)} {self.unit}", self.beside, _pair(self.theirs), figure, goal, self.mark

    def as_json(self) -> dict[str, object]:
        """The row with every sample."""
        return {
            "what": self.what,
            "unit": self.unit,
            "ours": list(self.ours),
            "beside": self.beside,
            "theirs": list(self.theirs),
            "figure": self.figure,
            "goal": None if self.goal is None else str(self.goal),
            "reached": None if self.goal is None else self.goal.reached(self.figure),
            "note": self.note,
        }


def head() -> str:
    """The titles."""
    return f"{_line((*_TITLES, ''))}\n{'-' * (sum(_WIDTHS) + 2 * len(_WIDTHS) + 7)}"


def line(row: Row) -> str:
    """One row, its note below."""
    text = _line(row.cells())
    return f"{text}\n    {row.note}" if row.note else text


def _line(cells: Sequence[str]) -> str:
    padded = [cell.ljust(width) for cell, width in zip(cells, (*_WIDTHS, 0), strict=True)]
    return "  ".join(padded).rstrip()


def _pair(samples: Sequence[float]) -> str:
    return f"{_number(min(samples))} / {_number(statistics.median(samples))}" if samples else ""


def _number(value: float) -> str:
    places = 0 if abs(value) >= 100 or value == int(value) else 1 if abs(value) >= 10 else 2
    return f"{value:,.{places}f}"
