"""The root key and its subkeys: objects that hold an arena and cannot be printed, compared or pickled.

Rules of this file
- A key leaves as a view for the length of a `with` and is wiped at its end; who makes `bytes` of it answers for them.
- The caller keeps what they made: a vault that is given a root key takes a copy and leaves theirs alone.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, NoReturn, Self

from kv.vault import box
from kv.vault.arena import Arena
from kv.vault.format import HEAD, KEY, LENT, NAMES, RECORDS, SET, SLOTS

if TYPE_CHECKING:
    from collections.abc import Iterator

Label = Literal["audit", "needles", "proofs"]


class _Unprintable:
    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]  # Python's own way to say unhashable

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError("keys are not compared")

    def __reduce__(self) -> NoReturn:
        raise TypeError("keys are not pickled")

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class RootKey(_Unprintable):
    """The key under a vault: 32 bytes in an arena, until `close`."""

    __slots__ = ("_arena", "_cell")

    def __init__(self) -> None:
        self._arena = Arena()
        self._cell = self._arena.cell(KEY)

    @classmethod
    def take(cls, source: bytearray | memoryview) -> Self:
        """Move a key in: `source` (32 bytes) is wiped. Raises `ValueError` for another size."""
        if len(source) != KEY:
            raise ValueError("a root key has 32 bytes")
        key = cls()
        key._cell[:] = source
        box.wipe(source)
        return key

    @classmethod
    def generate(cls) -> Self:
        """A new key."""
        key = cls()
        box.fill(key._cell)
        return key

    @property
    def kind(self) -> str:
        """How well the key is kept: "secret", "locked" or "plain" (`arena.Arena`)."""
        return self._arena.kind

    @contextmanager
    def subkey(self, label: Label) -> Iterator[memoryview]:
        """A subkey for others, 32 bytes, wiped at the end of the `with`."""
        if label not in LENT:
            raise ValueError("no such label")
        with self._derived(label.encode()) as view:
            yield view

    @contextmanager
    def _derived(self, label: bytes) -> Iterator[memoryview]:
        arena = Arena()
        try:
            cell = arena.cell(KEY)
            box.derive(self._cell, label, cell)
            yield cell
        finally:
            arena.close()

    @contextmanager
    def expose(self) -> Iterator[memoryview]:
        """The key itself, in place: to seal it into a slot, or to hand it to a keeper at its birth."""
        yield self._cell

    def close(self) -> None:
        """Wipe. Idempotent."""
        self._arena.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_arena"):
            self._arena.close()


class Keys(_Unprintable):
    """A root key of one's own with the subkeys that an open vault works with."""

    __slots__ = ("_arena", "head", "names", "records", "root", "set", "slots")

    def __init__(self, root: RootKey) -> None:
        self.root = RootKey()
        self._arena = Arena()
        with root.expose() as source, self.root.expose() as target:
            target[:] = source
        self.records, self.names, self.head, self.set, self.slots = (
            self._subkey(label) for label in (RECORDS, NAMES, HEAD, SET, SLOTS)
        )

    def _subkey(self, label: bytes) -> memoryview:
        cell = self._arena.cell(KEY)
        with self.root.expose() as root:
            box.derive(root, label, cell)
        return cell

    def close(self) -> None:
        """Wipe all of them. Idempotent."""
        self._arena.close()
        self.root.close()
