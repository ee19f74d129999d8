"""What a run left in its folder: files, new or changed, that hold a secret now.

Rules of this file
- It tells, and changes nothing: a build may well have been meant to write a secret. Names only.
- Bounded in entries, bytes and time, and it says when a bound was reached. No link is followed; `.git` is left out.
- A file that holds a guess at a weak secret that was not lent is not told: that would confirm the guess.
"""

from __future__ import annotations

import os
import stat
import time
from typing import TYPE_CHECKING, NamedTuple

from kv.redact import Redaction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kv.redact import Database

_ENTRIES, _BYTES, _SECONDS = 20_000, 64 << 20, 1.0
_COARSE = 20_000_000  # ns: a file's times are those of the last tick of the kernel's clock
_CHUNK = 128 << 10
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Trace(NamedTuple):
    """A file, by its path below the folder, and the secrets that it holds."""

    path: str
    names: tuple[str, ...]


class BoundReachedError(Exception):
    """Enough was looked at."""


class Search:
    """Looks through a folder once. `complete` is False where a bound ended it."""

    def __init__(self, database: Database, lent: frozenset[str], since: int) -> None:
        self._database, self._lent = database, lent
        self._since = since - _COARSE
        self._entries, self._bytes = _ENTRIES, _BYTES
        self._until = time.monotonic() + _SECONDS
        self.complete = True

    def look(self, folder: int) -> list[Trace]:
        """The traces below `folder`, a descriptor."""
        found = []
        try:
            for path, file in self._changed(folder, ""):
                try:
                    names = self._held(file)
                finally:
                    os.close(file)
                if names:
                    found.append(Trace(path, names))
        except BoundReachedError:
            self.complete = False
        return found

    def _changed(self, folder: int, above: str) -> Iterator[tuple[str, int]]:
        """Each regular file that changed since, opened. The deeper ones come later."""
        below = []
        for name in self._names(folder):
            try:
                status = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode) and name != ".git":
                    below.append(name)
                elif stat.S_ISREG(status.st_mode) and status.st_ctime_ns >= self._since:
                    yield above + name, os.open(name, _FILE, dir_fd=folder)
            except OSError:
                continue
        for name in below:
            try:
                opened = os.open(name, _FOLDER, dir_fd=folder)
            except OSError:
                continue
            try:
                yield from self._changed(opened, f"{above}{name}/")
            finally:
                os.close(opened)

    def _names(self, folder: int) -> Iterator[str]:
        try:
            names = os.listdir(folder)
        except OSError:
            return
        for name in names:
            self._entries -= 1
            if self._entries < 0 or time.monotonic() > self._until:
                raise BoundReachedError
            yield name

    def _held(self, file: int) -> tuple[str, ...]:
        redaction = Redaction(self._database, self._lent)
        scrubber = redaction.stream("file")
        try:
            while data := os.read(file, _CHUNK):
                self._bytes -= len(data)
                if self._bytes < 0 or time.monotonic() > self._until:
                    raise BoundReachedError
                scrubber.feed(data)
        except OSError:
            return ()
        scrubber.flush()
        verdict = redaction.verdict
        return tuple(sorted({hit.name for hit in verdict.hits if hit.lent or hit.name not in verdict.guessed}))
