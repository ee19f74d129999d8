"""Redaction: the keeper's answer to R-ECHO. Pure: no I/O, no clock, no randomness.

What is found, in bytes of any kind: a value, its parts and what travels in its place; as it stands, reversed, in any
letter case, wrapped or spaced by white space, with the separators of hex or base64url, with quotes doubled, in
quoted-printable; under percent, JSON, C, CSS and HTML escapes (of every character or of some), base64 (standard or
URL-safe, at each alignment, padded or not, wrapped), hex, base32; and under two of these layers.

What is not, and stays with policy and the tiers:
- a value that the other side took apart: its first ten characters, every second one, spelled as words or numbers, a
  part on each of two streams (but for where these meet: see `seam`);
- one changed in more than the distinctions that folding forgets: rot13, other bases, full-width letters, tags put into
  it, compressed or encrypted by the other side, UTF-16 under base64;
- quoted-printable as the outer of two, unless the inner is base64 or hex of the value alone; in several words (RFC
  2047); of a value of more than 256 bytes that has signs, as with quotes that are doubled;
- three layers, unless the innermost is base64, hex or reversal; a layer around a wrapped base64 with indented lines;
  reversal, or hex with separators, as the outer of two; a value that is not ASCII under base32;
- an excerpt of a value of up to 256 bytes (of a longer one: from 127 bytes on, see `forms`);
- values under 8 bytes, of which `too_short` warns; an encoded value longer than 40 times 256 bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kv.redact.controls import strip_controls
from kv.redact.database import Database
from kv.redact.forms import too_short
from kv.redact.mask import has_reference, is_mask
from kv.redact.needles import Needles
from kv.redact.present import Presenter
from kv.redact.seam import joined
from kv.redact.stream import LOOKAHEAD, Scrubber
from kv.redact.strength import GUESSABLE, strength
from kv.redact.tally import Hit, Tally, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "GUESSABLE",
    "LOOKAHEAD",
    "Database",
    "Hit",
    "Needles",
    "Presenter",
    "Redaction",
    "Scrubber",
    "Verdict",
    "has_reference",
    "is_mask",
    "strength",
    "strip_controls",
    "too_short",
]


class Redaction:
    """The redaction of one call: what it was lent, and all that was found, over every place of its outcome.

    `overlook`: a guessable secret that was not lent leaves no trace. That is for what is shown whatever it holds, as
    the title of a request: there any reaction to a guess, a marker or a count, would confirm it.
    """

    def __init__(self, database: Database, lent: Iterable[str] = (), *, overlook: bool = False) -> None:
        names = frozenset(lent)
        self._database = database.overlooking(names) if overlook else database
        self._tally = Tally(names)

    @property
    def verdict(self) -> Verdict:
        """What has been found so far. Ask `withhold` after everything was scrubbed and before anything is shown."""
        return self._tally.verdict()

    def stream(self, place: str) -> Scrubber:
        """A scrubber for bytes that come in chunks. A reader with a cap feeds it `LOOKAHEAD` bytes beyond the cap."""
        return Scrubber(self._database, self._tally, place)

    def presenter(self, place: str) -> Presenter:
        """As `present`, for text that comes in chunks. What is no UTF-8 in it stays as it is."""
        return Presenter(self.stream(place), self.stream(place))

    def scrub(self, data: bytes, place: str) -> bytes:
        """`data` redacted."""
        scrubber = self.stream(place)
        return scrubber.feed(data) + scrubber.flush()

    def scrub_joined(self, first: bytes, second: bytes, place: str) -> tuple[bytes, bytes]:
        """Two redacted texts that are shown one behind the other, without what only both together say."""
        return joined(first, second, self._database, self._tally, place)

    def scrub_text(self, text: str, place: str) -> str:
        """`text` redacted: header values, error texts. A lone surrogate comes back written out."""
        return self.scrub(text.encode("utf-8", "backslashreplace"), place).decode("utf-8", "replace")

    def present(self, text: str, place: str) -> str:
        """`text` for a person's or an agent's eyes: redacted, stripped of controls, and redacted again.

        Before stripping, because a value may hold what is stripped; after, because stripping may make a value whole.
        """
        redacted = self.scrub_text(text, place)
        stripped = strip_controls(redacted)
        return redacted if stripped == redacted else self.scrub_text(stripped, place)

    def present_all(self, texts: Sequence[str], place: str) -> list[str]:
        """Each of `texts` as `present` gives it.

        One scan for all of them where it finds nothing, as it mostly does: a header is shorter than what a scan costs
        before it begins. A tab between two ends every encoding and folds to nothing, so what a scan of one text
        finds the scan of all finds too.
        """
        if not texts:
            return []
        joined = "\t".join(texts)
        if joined.isascii() and strip_controls(joined) == joined and not self._database.scan(joined.encode()):
            return list(texts)
        return [self.present(text, place) for text in texts]
