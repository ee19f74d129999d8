"""Argon2id (RFC 9106): from a passphrase to the key that seals a slot. The only importer of `argon2`.

Rules of this file
- The key is written straight into an arena, the passphrase read where it lies: neither is copied.
- Parameters come from a file that an enemy may have written: bounded below, or a copied file would be easy to
  guess at, and above, or unlocking would take the machine down.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, NamedTuple

from kv.errors import KvError
from kv.vault.format import KEY

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

PASSPHRASE_MAX = 1 << 10  # bytes: nobody types more, and a descriptor is not read for ever

_GOAL = 0.6  # seconds: in the middle of 0.3 to 1, on the machine that makes the vault
_LONGEST = 1.0


class KdfParameters(NamedTuple):
    """Argon2id's costs: memory in KiB, passes over it, lanes (threads) at most."""

    memory: int
    passes: int
    lanes: int

    def check(self) -> KdfParameters:
        """Self, if within bounds. Raises `KvError("vault-kdf")`."""
        for name, value, low, high in zip(self._fields, self, FLOOR, CEILING, strict=True):
            if not low <= value <= high:
                raise KvError("vault-kdf", why=f"{name} is {value}, not {low} to {high}")
        return self


# RFC 9106, section 4, second recommended option: below it a file that was altered could be one that is guessed fast.
FLOOR = KdfParameters(64 << 10, 3, 4)
# An unlock is bounded to 1 GiB, which a machine that runs an agent has to spare, and to about half a minute.
CEILING = KdfParameters(1 << 20, 10, 8)


def derive(passphrase: bytes | bytearray, salt: bytes, parameters: KdfParameters, into: memoryview) -> None:
    """Write the 32-byte key of `passphrase` into `into`. Raises `KvError("vault-kdf" | "unsupported")`."""
    parameters.check()
    argon2 = _library()
    ffi = argon2.ffi
    with ffi.from_buffer(passphrase) as pwd, ffi.from_buffer(salt) as salted, ffi.from_buffer(into) as out:
        context = ffi.new(
            "argon2_context *",
            {
                "out": ffi.cast("uint8_t *", out),
                "outlen": KEY,
                "pwd": ffi.cast("uint8_t *", pwd),
                "pwdlen": len(passphrase),
                "salt": ffi.cast("uint8_t *", salted),
                "saltlen": len(salt),
                "t_cost": parameters.passes,
                "m_cost": parameters.memory,
                "lanes": parameters.lanes,
                "threads": parameters.lanes,
                "version": argon2.ARGON2_VERSION,
            },
        )
        if argon2.core(context, argon2.Type.ID.value) != 0:
            # All lengths are ours and all numbers were checked: what is left is memory that could not be had.
            raise KvError(
                "unsupported", why=f"the KDF needs {parameters.memory >> 10} MiB of memory, and there is less"
            )


def _library() -> ModuleType:
    """`argon2`, imported when a key is derived: a keeper is born with the root key in hand, and never does."""
    from argon2 import low_level

    return low_level


def calibrate(clock: Callable[[], float] = time.perf_counter) -> KdfParameters:
    """Parameters that take this machine 0.3 to 1 s, where it can: memory first, since that is what costs a guesser.

    Never below the floor, however slow the machine; never more than a quarter of its memory.
    """
    best, took = FLOOR, _measure(FLOOR, clock)
    most = min(CEILING.memory, max(FLOOR.memory, _memory() // 4))
    while best.memory * 2 <= most and took * 2 <= _LONGEST and took < _GOAL:
        best = best._replace(memory=best.memory * 2)
        took = _measure(best, clock)
    while best.passes < CEILING.passes and took < _GOAL and took * (best.passes + 1) / best.passes <= _LONGEST:
        took *= (best.passes + 1) / best.passes
        best = best._replace(passes=best.passes + 1)
    return best


def _measure(parameters: KdfParameters, clock: Callable[[], float]) -> float:
    _library()
    start = clock()
    derive(b"calibration", bytes(16), parameters, memoryview(bytearray(KEY)))
    return clock() - start


def _memory() -> int:
    """The machine's memory in KiB."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 10
    except (OSError, ValueError):
        return 1 << 20
