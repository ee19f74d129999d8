"""Where two texts meet that were redacted apart and are shown one behind the other. Pure.

Rules of this file
- Only what lies across the seam is news: each side has been scrubbed by itself.
- All that lies across it is one stretch, since it shares the seam: one marker, at the end of the first text.
- As much of each side is looked at as a find can reach, whatever stands there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kv.redact.stream import GEOMETRY, leftmost

if TYPE_CHECKING:
    from kv.redact.database import Database
    from kv.redact.tally import Tally


def joined(first: bytes, second: bytes, database: Database, tally: Tally, place: str) -> tuple[bytes, bytes]:
    """Both texts without what they say together and neither says by itself."""
    left, right = first[-GEOMETRY.lookahead :], second[: GEOMETRY.lookahead]
    seam, end, names = len(left), 0, list[str]()
    across = [find for find in database.scan(left + right) if find.start < seam < find.end] if left and right else []
    across = leftmost([find for find in across if find.end - find.start <= GEOMETRY.reach], tally.lent)
    for find in across:
        if find.end > end and find.needle.name not in names:
            names.append(find.needle.name)
            tally.note(find.needle, find.how, place)
        end = max(end, find.end)
    if not across:
        return first, second
    return first[: len(first) - seam + across[0].start] + database.marker(names[0]), second[end - seam :]
