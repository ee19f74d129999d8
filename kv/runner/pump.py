"""One stream of output: read from the program, scrubbed, written to where the caller wants it.

Rules of this file
- Back-pressure: a reader that is slow makes the program wait, as it would without us; memory stays bounded.
- The end of the reader is told to the program by the next write, as without us: our end of its pipe is closed.
- Nothing that is said is withheld: where output stops would tell which of a thousand guesses was right. What could be
  guessed is not looked for (`kv.runner.known`); what is found is replaced, and nothing else happens.
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kv.redact import Redaction
    from kv.runner.sink import Sink

_CHUNK = 128 << 10
_PENDING = 1 << 20  # bytes that wait for the reader before the program waits
SILENCE, PROMPT = 2.0, 0.02  # seconds after which held output is released: for an agent, and for a person with proof


class Pump:
    """Moves one stream. `source` is a descriptor that does not block, and is the pump's from now on."""

    def __init__(self, place: str, source: int, sink: Sink, redaction: Redaction | None, silence: float) -> None:
        self._source: int | None = source
        self._sink: Sink | None = sink
        self._scrubber = redaction.stream(place) if redaction is not None else None
        self._silence = silence
        self._pending = bytearray()
        self._flush_at: float | None = None

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to read."""
        return self._source is None

    @property
    def done(self) -> bool:
        """Whether all has been read, scrubbed and written, or nobody reads."""
        return self.ended and self._scrubber is None and not self._pending

    def wants(self) -> list[tuple[int, int]]:
        """What to poll: descriptors and events."""
        wanted = []
        if self._source is not None and len(self._pending) < _PENDING:
            wanted.append((self._source, select.POLLIN))
        if self._sink is not None:
            wanted.append((self._sink.fileno(), select.POLLOUT if self._pending else 0))
        return wanted

    def deadline(self) -> float | None:
        """When `late` is to be called: the silence is over."""
        return self._flush_at

    def ready(self, descriptor: int, events: int) -> None:
        """Go on with what `descriptor` has become ready for."""
        if descriptor == self._source:
            self._read()
        elif self._pending:
            self.write()
        elif events & (select.POLLERR | select.POLLHUP | select.POLLNVAL):
            self.abandon()

    def _read(self) -> bool:
        """Read once; whether there was something."""
        if self._source is None:
            return False
        try:
            data = os.read(self._source, _CHUNK)
        except BlockingIOError:
            return False
        except OSError:  # a terminal whose last user is gone
            data = b""
        if data:
            self._take(self._scrubber.feed(data) if self._scrubber else data)
            self._flush_at = time.monotonic() + self._silence if self._scrubber and self._source is not None else None
        else:
            self._end()
        return bool(data)

    def late(self) -> None:
        """Release what is held, if the silence has lasted."""
        if self._flush_at is not None and time.monotonic() >= self._flush_at:
            self._take(self._flush())

    def pause(self) -> None:
        """The program has stopped. A person sees what it said before that; an agent could spell a secret by stops."""
        if self._silence <= PROMPT:
            while self._read() and len(self._pending) < _PENDING:
                pass
            self._take(self._flush())

    def finish(self) -> None:
        """Nobody is left who could write: take what is there (as far as the reader lets us), and end."""
        while self._source is not None and len(self._pending) < _PENDING:
            if not self._read() and not self.ended:
                self._end()

    def _flush(self) -> bytes:
        """What is held, scrubbed."""
        self._flush_at = None
        return self._scrubber.flush() if self._scrubber is not None else b""

    def _end(self) -> None:
        """The stream is over: what is held is the last of it, and the reader sees the end."""
        self._close_source()
        data = self._flush()
        self._scrubber = None
        self._take(data)
        self._rest()

    def _rest(self) -> None:
        """Everything is written: whoever reads is to see the end, even if the program runs on."""
        if self.done:
            self.close()

    def _take(self, data: bytes) -> None:
        if self._sink is not None:
            self._pending += data
            self.write()

    def write(self) -> None:
        """Write what waits, as far as it is taken."""
        try:
            while self._pending and self._sink is not None:
                with memoryview(self._pending) as view:
                    count = self._sink.write(view)
                if not count:
                    return
                del self._pending[:count]
            self._rest()
        except OSError:
            self.abandon()

    def abandon(self) -> None:
        """Nobody reads any more: let go of both ends, so that the program learns of it by its next write."""
        self._close_source()
        self._flush_at = self._scrubber = None
        self._pending.clear()
        self.close()

    def _close_source(self) -> None:
        if self._source is not None:
            os.close(self._source)
            self._source = None

    def close(self) -> None:
        """Give the reader's end back."""
        if self._sink is not None:
            with contextlib.suppress(OSError):
                self._sink.close()
            self._sink = None
