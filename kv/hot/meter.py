"""How much of an answer that is saved has come: one line on a person's terminal, which goes when the call has ended."""

from __future__ import annotations

import sys

_CLEAR = "\r\x1b[K"
_MEGA = 1_000_000


class Meter:
    """The line. Where standard error is no terminal there is none."""

    def __init__(self) -> None:
        self.on = sys.stderr.isatty()
        self._shown = False

    def __enter__(self) -> Meter:  # noqa: PYI034 - Self would cost a hot verb typing
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            self._write(_CLEAR)

    def show(self, size: object) -> None:
        """Say how many bytes it is now."""
        if self.on and isinstance(size, int):
            self._shown = True
            self._write(f"{_CLEAR}kv: {size / _MEGA:,.1f} MB so far")

    @staticmethod
    def _write(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()
