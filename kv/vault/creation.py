"""How a vault comes to be: whole or not at all, and with both of its slots."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kv.vault import head
from kv.vault.file import creating
from kv.vault.format import VAULT_ID
from kv.vault.keys import Keys, RootKey
from kv.vault.slots import seal_recovery, seal_slot
from kv.vault.store import build

if TYPE_CHECKING:
    from kv.vault.kdf import KdfParameters


def create(path: str, passphrase: bytes | bytearray, costs: KdfParameters) -> tuple[RootKey, str]:
    """Make an empty vault at `path`; its root key and its recovery code, which is kept nowhere else.

    Raises `vault-exists`, `weak-passphrase`, `vault-kdf`, `vault-unsafe`, `disk`, `disk-full`.
    """
    vault, root = os.urandom(VAULT_ID), RootKey.generate()
    keys = Keys(root)
    try:
        with creating(path) as temporary:
            slot = seal_slot(root, vault, "passphrase", passphrase, costs)
            recovery, code = seal_recovery(root, vault)
            slots = [slot.row, recovery.row]
            build(temporary, vault, slots, head.seal(keys, vault, head.first(keys, vault, slots)))
    except BaseException:
        root.close()
        raise
    finally:
        keys.close()
    return root, code
