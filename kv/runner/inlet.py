"""Bytes on their way to the program: what is typed at the client's terminal, or a secret for its standard input."""

from __future__ import annotations

import contextlib
import os
import select

_CHUNK = 16 << 10
_PENDING = 64 << 10  # typed ahead of a program that does not read


class Inlet:
    """Writes `data`, then what `source` gives, to `target`. Owns both descriptors; neither blocks."""

    def __init__(self, target: int, source: int | None = None, data: bytes = b"") -> None:
        self._target: int | None = target
        self._source = source
        self._pending = bytearray(data)
        self.ended = False  # the source has

    def wants(self) -> list[tuple[int, int]]:
        """What to poll: descriptors and events."""
        wanted = []
        if self._source is not None and len(self._pending) < _PENDING:
            wanted.append((self._source, select.POLLIN))
        if self._target is not None:
            wanted.append((self._target, select.POLLOUT if self._pending else 0))
        return wanted

    def ready(self, descriptor: int, events: int) -> None:
        """Go on with what `descriptor` has become ready for."""
        if descriptor == self._source:
            self._read()
        elif events & select.POLLERR:
            self.close()  # the program does not read (any more)
        self._write()

    def start(self) -> None:
        """Write what there is before the first poll."""
        self._write()

    def _read(self) -> None:
        try:
            data = os.read(self._source, _CHUNK) if self._source is not None else b""
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._pending += data
        if not data:
            self.ended = True
            self._close_source()

    def _write(self) -> None:
        try:
            while self._pending and self._target is not None:
                count = os.write(self._target, self._pending)
                del self._pending[:count]
        except BlockingIOError:
            return
        except OSError:
            self.close()
        if self._source is None and not self._pending:
            self.close()

    def _close_source(self) -> None:
        if self._source is not None:
            os.close(self._source)
            self._source = None

    def close(self) -> None:
        """Let go of both ends."""
        self._close_source()
        self._pending.clear()
        if self._target is not None:
            with contextlib.suppress(OSError):
                os.close(self._target)
            self._target = None
