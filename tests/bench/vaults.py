"""A vault's file without its keeper: made and filled directly, where thousands of commands would take too long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from world import PASSPHRASE

from kv.vault.kdf import FLOOR
from kv.vault.session import RootKey, Vault, open_slot, read_slot

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

META = {"class": "normal", "note": "", "strength": 128, "short": False}  # as the keeper writes it
_AT_ONCE = 5_000


def make(path: Path, values: Iterable[bytes] = ()) -> RootKey:
    """A new vault at `path` with these values; its root key."""
    Vault.create(str(path), PASSPHRASE, kdf=FLOOR)[0].close()
    root = root_of(path)
    with Vault.open(path, root) as vault:
        fill(vault, values)
    return root


def root_of(path: Path) -> RootKey:
    """The root key of a locked vault."""
    return open_slot(read_slot(path), PASSPHRASE)


def fill(vault: Vault, values: Iterable[bytes]) -> None:
    """Put values into an open vault, some thousands in one transaction."""
    rows = [("secret", name(number), META, value) for number, value in enumerate(values)]
    for at in range(0, len(rows), _AT_ONCE):
        vault.put_many(rows[at : at + _AT_ONCE], now=1.0)


def name(number: int) -> str:
    """The name of one of them."""
    return f"bench/SECRET_{number:06}"
