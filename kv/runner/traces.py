"""What a run left in its folder: files, new or changed, that hold a secret now, and names that do.

Rules of this file
- It tells, and changes nothing: a build may well have been meant to write a secret. Names only.
- Bounded in entries, bytes and time, and it says when a bound was reached. No link is followed; `.git` is left out.
- A guess at a weak secret that was not lent is not looked for (`kv.runner.known`): to tell of it would confirm it.
- A name counts with the way to it, for a value with a slash in it makes folders; what lies below one that was told is
  not told for that again.
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
    """A file, by its path below the folder, and the secrets that it holds; or that its path does (`named`)."""

    path: str
    names: tuple[str, ...]
    named: bool = False


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
        found: list[Trace] = []
        try:
            found.extend(self._below(folder, "", frozenset()))
        except BoundReachedError:
            self.complete = False
        return found

    def _below(self, folder: int, above: str, told: frozenset[str]) -> Iterator[Trace]:
        """The traces in `folder`, the deeper ones later. `told`: the secrets that the way to it holds."""
        folders, changed = [], []
        for name in self._names(folder):
            try:
                status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            except OSError:
                continue
            if stat.S_ISDIR(status.st_mode) and name != ".git":
                folders.append(name)
            if status.st_ctime_ns >= self._since:
                changed.append(above + name)
                if stat.S_ISREG(status.st_mode):
                    yield from self._inside(folder, name, above)
        named = self._said(changed)
        for path, names in named.items():
            if names - told:
                yield Trace(path, tuple(sorted(names)), named=True)
        for name in folders:
            try:
                opened = os.open(name, _FOLDER, dir_fd=folder)
            except OSError:
                continue
            try:
                yield from self._below(opened, f"{above}{name}/", told | named.get(above + name, told))
            finally:
                os.close(opened)

    def _inside(self, folder: int, name: str, above: str) -> Iterator[Trace]:
        try:
            file = os.open(name, _FILE, dir_fd=folder)
        except OSError:
            return
        try:
            if names := self._held(file):
                yield Trace(above + name, tuple(sorted(names)))
        finally:
            os.close(file)

    def _said(self, paths: list[str]) -> dict[str, frozenset[str]]:
        """The paths that hold a secret themselves.

        One look at them all, for mostly none does: a tab ends every encoding and folds to nothing.
        """
        spelled = {path: os.fsencode(path) for path in paths}
        if not self._in(b"\t".join(spelled.values())):
            return {}
        return {path: names for path, data in spelled.items() if (names := self._in(data))}

    def _in(self, data: bytes) -> frozenset[str]:
        redaction = self._redaction()
        redaction.scrub(data, "name")
        return _found(redaction)

    def _redaction(self) -> Redaction:
        return Redaction(self._database, self._lent)

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

    def _held(self, file: int) -> frozenset[str]:
        redaction = self._redaction()
        scrubber = redaction.stream("file")
        try:
            while data := os.read(file, _CHUNK):
                self._bytes -= len(data)
                if self._bytes < 0 or time.monotonic() > self._until:
                    raise BoundReachedError
                scrubber.feed(data)
        except OSError:
            return frozenset()
        scrubber.flush()
        return _found(redaction)


def _found(redaction: Redaction) -> frozenset[str]:
    return frozenset(hit.name for hit in redaction.verdict.hits)
