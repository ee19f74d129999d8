"""A backup: a copy of the sealed file that was opened and checked before anyone is told that it is there.

Rules of this file
- Create-only; what fails leaves nothing behind.
- The folder may be anyone's (a stick, a share): the copy is checked read-only, and no journal beside it is played.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from kv.disk import sync_folder
from kv.vault import file
from kv.vault.format import damaged
from kv.vault.head import verify
from kv.vault.store import Store

if TYPE_CHECKING:
    from kv.vault.format import Head
    from kv.vault.keys import Keys


def back_up(store: Store, keys: Keys, head: Head, target: str) -> None:
    """Copy the open vault to `target`, mode 0600. Raises `disk`, `disk-full`, `vault-damaged`."""
    try:
        os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise file.disk("write", os.path.realpath(target), error) from None
    try:
        store.copy_to(target)
        check_copy(target, keys, head)
        sync_folder(os.path.dirname(target) or ".")
    except BaseException as error:
        with suppress(OSError):
            os.unlink(target)
        if isinstance(error, OSError):
            raise file.disk("write", os.path.realpath(target), error) from None
        raise


def check_copy(path: str, keys: Keys, head: Head) -> None:
    """Raise `KvError` unless the file at `path` is this very generation of the vault, whole and at rest."""
    copy = Store(path, "copy")
    try:
        if verify(keys, copy) != head:
            raise damaged("the copy is another")
    finally:
        copy.close()
