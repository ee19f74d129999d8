"""The vault's file at 100,000 secrets beside one with ten: what a change and an opening cost."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

from bench.measure import MILLISECONDS, alternate, p50
from bench.stage import folder
from bench.table import Goal, Row
from bench.vaults import META, make, name

from kv.vault.session import Vault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bench.measure import Scale

_FEW = 10
_BATCH = 10  # changes a sample: fewer than the revisions that are kept, so that no sample is all removals
_VALUE = b"0123456789abcdef0123456789abcdef01234567"


def rows(scale: Scale) -> Iterator[Row]:
    """`set`, and open with the first `get`, without a KDF, which would hide the difference."""
    many = scale.of(100_000, 10_000)
    beside = f"the same at {_FEW}"
    with folder() as here:
        large, small = _Made(here / "large.kv", many), _Made(here / "small.kv", _FEW)
        with large.open() as one, small.open() as other:
            ours, theirs = alternate(_setting(one), _setting(other), scale.of(20, 8))
        yield Row(f"set at {many:,} secrets: p50", "ms", ours, beside, theirs, Goal(1.2))
        ours, theirs = alternate(large.open_and_get, small.open_and_get, scale.of(7, 3))
        yield Row(f"open and get at {many:,} secrets", "ms", ours, beside, theirs, Goal(2))


class _Made:
    """A vault and its root key."""

    def __init__(self, path: Path, count: int) -> None:
        self._path, self._root = path, make(path, [_VALUE] * count)

    def open(self) -> Vault:
        return Vault.open(self._path, self._root)

    def open_and_get(self) -> float:
        start = time.perf_counter()
        with self.open() as vault:
            vault.value("secret", name(_FEW - 1))
            return (time.perf_counter() - start) * MILLISECONDS


def _setting(vault: Vault) -> Callable[[], float]:
    """A new value for one after the other of the first ten secrets, which both vaults have."""
    numbers = itertools.cycle(range(_FEW))

    def put() -> None:
        vault.put("secret", name(next(numbers)), META, _VALUE, now=2.0)

    return lambda: p50(put, _BATCH, MILLISECONDS)
