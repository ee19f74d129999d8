"""The names of the records by kind: opened once, when somebody first asks, and kept in step from there on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kv.vault.contents import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kv.vault.contents import Kind, Record


class Names:
    """The names in a vault. `read` gives the newest revision of every record: O(n), called at most once."""

    def __init__(self, read: Callable[[], Iterable[Record]]) -> None:
        self._read = read
        self._known: dict[Kind, set[str]] | None = None

    def of(self, kind: Kind) -> set[str]:
        """The names of a kind. Raises what `read` raises."""
        if self._known is None:
            known: dict[Kind, set[str]] = {each: set() for each in KINDS}
            for record in self._read():
                known[record.kind].add(record.name)
            self._known = known
        return self._known[kind]

    def add(self, record: Record) -> None:
        """Note a record that was written."""
        if self._known is not None:
            self._known[record.kind].add(record.name)

    def drop(self, record: Record) -> None:
        """Note that it was removed."""
        if self._known is not None:
            self._known[record.kind].discard(record.name)
