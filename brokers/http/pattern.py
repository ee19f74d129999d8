"""Path patterns of the catalogue: `/v1/customers/{id}`, `/{scope...}/hooks`, `/models/{model}:embedContent`. Pure.

Rules of this file
- `{x}` stands for one non-empty segment, or a part of one; `{x...}` for any number of segments, none included,
  once a pattern.
- Two ways to match. `exact` is what the documentation says. `loose` also meets what servers take for the same:
  other case, a slash too many, a format suffix. What loosens a rule must match exactly and what tightens one
  loosely, so that a spelling nobody thought of falls to the stricter side.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_SEGMENT = re.compile(r"([A-Za-z0-9_.~:@$+-]*)(?:\{([a-z_]+)\}([A-Za-z0-9_.~:@$+-]*))?")
_REST = re.compile(r"\{[a-z_]+\.\.\.\}")
_FORMAT = re.compile(r"\.(json|xml|csv|html)\Z")  # Rails, and with it GitLab and Twilio, take one for the same path

# A literal segment, or what stands before and after the part that is free.
Part = str | tuple[str, str]
# What stands before `{x...}` and after it, or None where there is none.
Parts = tuple[tuple[Part, ...], tuple[Part, ...] | None]


@dataclass(frozen=True, slots=True)
class Pattern:
    """A parsed pattern: as it is written, as it matches exactly, and as it matches loosely."""

    text: str
    letters: Parts
    folded: Parts

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Read a pattern. Raises `ValueError` for one that is malformed."""
        return cls(text, _parts(text), _parts(text, folded=True))

    @property
    def literal(self) -> tuple[str, ...] | None:
        """The folded segments where nothing in the pattern is free, else None: what a dictionary can look up."""
        head, tail = self.folded
        return tuple(map(str, head)) if tail is None and all(isinstance(part, str) for part in head) else None

    def exact(self, segments: Sequence[str]) -> bool:
        """Whether decoded `segments` are the pattern's, letter by letter."""
        return _match(*self.letters, segments)

    def loose(self, folded: Sequence[str]) -> bool:
        """Whether a server might take the segments, as `fold` returned them, for the pattern's."""
        return _match(*self.folded, folded)


def fold(segments: Sequence[str]) -> tuple[str, ...]:
    """Decoded segments without what servers overlook: case, outer blanks, empty segments, a format suffix."""
    folded = [one for segment in segments if (one := segment.strip().casefold())]
    return (*folded[:-1], *(_FORMAT.sub("", segment) for segment in folded[-1:]))


def alike(segments: Sequence[str]) -> tuple[str, ...]:
    """Paths, unencoded, that a server might take decoded `segments` for: what a person's deny and ask rules meet too.

    A slash within a segment is kept apart (`%2f`), and is also taken for one that parts two segments.
    """
    folded = fold(segments)
    kept = "/" + "/".join(segment.replace("/", "%2f") for segment in folded)
    if not any("/" in segment for segment in segments):
        return (kept,)
    split = "/" + "/".join(fold("/".join(segments).split("/")))
    return (kept,) if split == kept else (kept, split)


def _parts(text: str, *, folded: bool = False) -> Parts:
    if not text.startswith("/"):
        raise ValueError("a pattern starts with '/'")
    segments: Sequence[str] = text[1:].split("/")
    if folded:
        segments = fold(segments)
    rests = [index for index, segment in enumerate(segments) if _REST.fullmatch(segment)]
    if len(rests) > 1:
        raise ValueError("a pattern has one {x...}")
    if not rests:
        return tuple(map(_part, segments)), None
    return tuple(map(_part, segments[: rests[0]])), tuple(map(_part, segments[rests[0] + 1 :]))


def _part(segment: str) -> Part:
    found = _SEGMENT.fullmatch(segment)
    if found is None:
        raise ValueError("a segment is literal, {x}, or {x} with a literal before or after it")
    return found[1] if found[2] is None else (found[1], found[3])


def _match(head: tuple[Part, ...], tail: tuple[Part, ...] | None, segments: Sequence[str]) -> bool:
    if tail is None:
        return len(head) == len(segments) and _fit(head, segments)
    after = len(segments) - len(tail)
    return after >= len(head) and _fit(head, segments) and _fit(tail, segments[after:])


def _fit(parts: tuple[Part, ...], segments: Sequence[str]) -> bool:
    for part, segment in zip(parts, segments, strict=False):  # the segments of `{x...}` are left over
        if isinstance(part, str):
            if part != segment:
                return False
        elif not (
            len(segment) > len(part[0]) + len(part[1]) and segment.startswith(part[0]) and segment.endswith(part[1])
        ):
            return False
    return True
