"""The ids of what waits for a person: four letters that survive being read aloud."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Callable, Container

# Crockford's base32: no I, L, O, U; what is typed in their place is understood.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_TYPED = str.maketrans("OIL", "011")


def new(taken: Container[str], tokens: Callable[[int], bytes]) -> str:
    """An id that is not `taken`: a million for 64 askings, so the first draw nearly always does. Raises `busy`."""
    for _ in range(64):
        found = "".join(_ALPHABET[byte % 32] for byte in tokens(4))
        if found not in taken:
            return found
    raise KvError("busy", what="approval ids")


def typed(text: str) -> str:
    """The id that a person typed."""
    return text.upper().translate(_TYPED)
