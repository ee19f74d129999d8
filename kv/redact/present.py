"""`Redaction.present` for what comes in chunks: redacted, stripped of controls, and redacted again.

Rules of this file
- As of the scrubber, what leaves depends on how much was fed. Only the beginning of an escape sequence or of a
  character is held besides, until its rest has come, and no more of it than `strip_controls` would take.
"""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING

from kv.redact.controls import LONGEST, strip_controls

if TYPE_CHECKING:
    from kv.redact.stream import Scrubber

# What a sequence of `controls` may begin with, up to the end of a text.
_BEGUN = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*+[ -/]*+\Z"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d\x9e\x9f])[^\x07\x1b\x80-\x9f]*+\x1b?\Z"
    r"|\x1b[ -/]*+\Z"
)
_REACH = LONGEST + 3  # with the longest introducer and half an end


class Presenter:
    """One stream. `first` and `second` are scrubbers of the same redaction and place."""

    def __init__(self, first: Scrubber, second: Scrubber) -> None:
        self._first, self._second = first, second
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._begun = ""

    def feed(self, chunk: bytes) -> bytes:
        """Take the next bytes of the stream and give those that are settled."""
        return self._second.feed(self._strip(self._first.feed(chunk)))

    def flush(self) -> bytes:
        """Give all that is held, after a silence that the caller has measured; the stream may go on."""
        return self._second.feed(self._strip(self._first.flush())) + self._second.flush()

    def end(self) -> bytes:
        """Give all that is held: the stream is over."""
        return self._second.feed(self._strip(self._first.flush(), final=True)) + self._second.flush()

    def cut(self, at: int) -> bytes:
        """As `Scrubber.cut`, of a stream that was flushed at `at`: what came before has been given."""
        del at
        return b""

    def _strip(self, data: bytes, *, final: bool = False) -> bytes:
        text = self._begun + self._decoder.decode(data, final)
        begun = None if final else _BEGUN.search(text, max(0, len(text) - _REACH))
        at = begun.start() if begun is not None else len(text)
        self._begun = text[at:]
        return strip_controls(text[:at]).encode("utf-8", "surrogateescape")
