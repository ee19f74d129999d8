"""The little pattern language for one argument of a profile, matched in linear time. Pure.

    [a-z0-9][a-z0-9-]*        a name: classes and characters, each with ?, *, +, {3} or {1,4} behind it

Rules of this file
- A pattern is a sequence, always matched against the whole argument. No groups, no alternatives, no `.`: what a person
  reads in a profile is what may stand there, and a list of texts says alternatives better.
- Every state is followed at once, so that no pattern and no argument can make matching slow. Python's `re` backtracks:
  `(a+)+b` against thirty letters takes minutes, and the argument is the agent's.
- A class that is negated is refused: it would let in what nobody thought of.
"""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from typing import NoReturn

from brokers.contract import BrokerError

MAX_PATTERN = 200  # characters: one line that a person can judge
MAX_STATES = 512  # of a whole pattern, repetitions counted out: times 256 characters it is about 10 ms
MAX_ARGUMENT = 256  # characters of an argument: a unit's or a file's name, and then some

_COUNT = re.compile(r"\{([0-9]{1,3})(?:,([0-9]{1,3}))?\}")
_LITERAL = frozenset(string.ascii_letters + string.digits + "_-/:@=,%+ ~")
_ESCAPABLE = frozenset("[](){}.*+?\\|^$-")


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern: for each state the characters that lead to the next, and whether it may be passed or stay."""

    text: str
    steps: tuple[tuple[frozenset[str], bool, bool], ...]  # (characters, may be left out, may repeat)

    def matches(self, value: str) -> bool:
        """Whether the whole of `value` is what the pattern says."""
        if len(value) > MAX_ARGUMENT:
            return False
        here = self._pass({0})
        for character in value:
            there: set[int] = set()
            for at in here:
                if at < len(self.steps) and character in self.steps[at][0]:
                    there |= {at, at + 1} if self.steps[at][2] else {at + 1}
            here = self._pass(there)
            if not here:
                return False
        return len(self.steps) in here

    def has(self, character: str) -> bool:
        """Whether `character` may stand in a value."""
        return any(character in characters for characters, _, _ in self.steps)

    def _pass(self, states: set[int]) -> set[int]:
        """`states`, and those behind steps that may be left out."""
        found = set(states)
        for at in range(min(states, default=len(self.steps)), len(self.steps)):
            if at in found and self.steps[at][1]:
                found.add(at + 1)
        return found


def compiled(text: str) -> Pattern:
    """The pattern that `text` spells. Raises `BrokerError("options")`."""
    if not text or len(text) > MAX_PATTERN:
        refuse("a pattern has 1 to 200 characters")
    steps: list[tuple[frozenset[str], bool, bool]] = []
    at = 0
    while at < len(text):
        characters, at = _class(text, at + 1) if text[at] == "[" else _literal(text, at)
        least, most, at = _times(text, at)
        steps += [(characters, False, False)] * least
        if most is None:
            steps.append((characters, True, True))
        else:
            steps += [(characters, True, False)] * (most - least)
        if len(steps) > MAX_STATES:
            refuse("a pattern stands for at most 512 characters")
    return Pattern(text, tuple(steps))


def _literal(text: str, at: int) -> tuple[frozenset[str], int]:
    if text[at] == "\\" and text[at + 1 : at + 2] in _ESCAPABLE and at + 1 < len(text):
        return frozenset(text[at + 1]), at + 2
    if text[at] not in _LITERAL:
        refuse(
            "a pattern is characters and [classes], each with ?, *, + or {m,n}; others are written behind a backslash"
        )
    return frozenset(text[at]), at + 1


def _class(text: str, at: int) -> tuple[frozenset[str], int]:
    """The characters of a class whose bracket was read."""
    if text[at : at + 1] in {"^", "]"}:
        refuse("a class lists what may stand there: it is neither negated nor empty")
    found: set[str] = set()
    while text[at : at + 1] != "]":
        one, at = _member(text, at)
        if text[at : at + 1] == "-" and text[at + 1 : at + 2] not in {"]", ""}:
            last, at = _member(text, at + 1)
            if not any(one in kind and last in kind and one <= last for kind in _RANGES):
                refuse("a range is within a-z, A-Z or 0-9")
            found |= {chr(code) for code in range(ord(one), ord(last) + 1)}
        else:
            found.add(one)
    return frozenset(found), at + 1


_RANGES = (string.ascii_lowercase, string.ascii_uppercase, string.digits)


def _member(text: str, at: int) -> tuple[str, int]:
    if text[at : at + 1] == "\\":
        at += 1
    one = text[at : at + 1]
    if not one or not (" " <= one <= "~") or (one == "[" and text[at - 1] != "\\"):
        refuse("a class ends with ']' and holds visible ASCII")
    return one, at + 1


def _times(text: str, at: int) -> tuple[int, int | None, int]:
    """How often: least, most (None: without end), and where it goes on."""
    mark = text[at : at + 1]
    if mark in {"?", "*", "+"}:
        return {"?": (0, 1), "*": (0, None), "+": (1, None)}[mark] + (at + 1,)
    if mark == "{":
        found = _COUNT.match(text, at)
        if found is None:
            refuse("a count is written {3} or {1,4}")
        least, most = int(found[1]), int(found[2] or found[1])
        if least > most or most > MAX_STATES:
            refuse("a count is written {3} or {1,4}")
        return least, most, found.end()
    return 1, 1, at


def refuse(why: str) -> NoReturn:
    """Refuse a declaration."""
    raise BrokerError("options", why=why)
