"""A thousand times `kill -9` at any moment of a writing vault: what was acknowledged has to be there afterwards.

A child opens the vault, checks everything that was ever acknowledged, and writes as fast as it can, saying before and
after each write which it is. It is killed at a random moment: every other one at any moment of its life, while it
opens, recovers or checks; the others when they have begun to write. Then the same by the front door: `kv set`, and
the keeper that is killed (`killing`).
"""

from __future__ import annotations

import itertools
import os
import random
import select
import signal
import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.measure import seconds
from bench.stage import folder
from bench.table import Goal, Row
from bench.vaults import META, make, name
from killing import kill_while_setting, lost
from world import World

from kv.errors import KvError
from kv.vault.session import RootKey, Vault

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from bench.measure import Scale

_NAMES = 10
_WRITES = 5  # about as many as a child has time for
_LONGEST = 0.1  # seconds: on a disk that is slower than this bench has time for, fewer writes are made


@dataclass(slots=True)
class _Ledger:
    """By name: the last write that was acknowledged, and the last that was begun. Writes are numbered."""

    acknowledged: dict[int, int] = field(default_factory=dict)
    begun: dict[int, int] = field(default_factory=dict)
    writes: int = 0
    lost: set[int] = field(default_factory=set)

    def take(self, told: bytes) -> None:
        for line in told.splitlines():
            what, number = line[:1], int(line[1:])
            if what == b"b":
                self.begun[number % _NAMES] = number
            elif what == b"a":
                self.acknowledged[number % _NAMES] = number
                self.writes += 1
            elif what == b"l":
                self.lost.add(number)

    def missing(self, vault: Vault) -> set[int]:
        """The acknowledged writes that `vault` does not have; any that was begun later may have replaced one."""
        return {
            number
            for which, number in self.acknowledged.items()
            if not number <= _held(vault, which) <= self.begun[which]
        }


def rows(scale: Scale) -> Iterator[Row]:
    """Acknowledged writes that are not there afterwards."""
    rounds = scale.of(1000, 100)
    ledger = _Ledger()
    with folder() as here:
        path = here / "vault.kv"
        with make(path) as root:
            with root.expose() as view:
                key = bytes(view)
            longest = _time_to_live(path, root)
            for number in range(rounds):
                _round(path, key, ledger, longest, patient=bool(number % 2))
            with Vault.open(path, root) as vault:
                ledger.lost |= ledger.missing(vault)
    what = f"acknowledged writes lost over {rounds:,} kill -9"
    yield Row(what, "lost", [len(ledger.lost)], goal=Goal(0), note=f"{ledger.writes:,} writes were acknowledged")
    yield _of_keepers(scale.of(1000, 50))


def _of_keepers(sets: int) -> Row:
    """The same with nothing left out: the command, the sockets, the keeper that is killed."""
    with folder() as here, World(here) as world:
        deaths = kill_while_setting(world.init(), sets)
        missing = lost(world, deaths)
    note = f"{len(deaths.acknowledged):,} were acknowledged, by {deaths.killed:,} keepers that were killed"
    return Row(f"  of {sets:,} kv set, the keeper killed", "lost", [len(missing)], goal=Goal(0), note=note)


def _time_to_live(path: Path, root: RootKey) -> float:
    """How long opening and `_WRITES` writes take here."""

    def life() -> None:
        with Vault.open(path, root) as vault:
            for number in range(_WRITES):
                vault.put("secret", name(number), META, _value(0), now=time.time())

    return min(_LONGEST, statistics.median(seconds(life) for _ in range(5)))


def _round(path: Path, key: bytes, ledger: _Ledger, longest: float, *, patient: bool) -> None:
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        _live(path, key, ledger, tell)
    os.close(tell)
    if patient:
        select.select([told], [], [])
    time.sleep(random.uniform(0, longest))  # noqa: S311 - a moment, not a secret
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    with os.fdopen(told, "rb") as pipe:
        ledger.take(pipe.read())
    if not os.WIFSIGNALED(status):
        raise RuntimeError("a child ended before it was killed")


def _live(path: Path, key: bytes, ledger: _Ledger, tell: int) -> None:
    """Be the child; never returns. A vault that cannot be opened has lost everything, itself (0) included."""
    try:
        vault = Vault.open(path, RootKey.take(bytearray(key)))
        _tell_lost(tell, ledger.missing(vault))  # the first that is heard of a child that writes
        for number in itertools.count(max(ledger.begun.values(), default=0) + 1):
            os.write(tell, b"b%d\n" % number)
            vault.put("secret", name(number % _NAMES), META, _value(number), now=time.time())
            os.write(tell, b"a%d\n" % number)
    except KvError:
        _tell_lost(tell, [0, *ledger.acknowledged.values()])
        signal.pause()
    finally:
        os._exit(1)  # a defect: what is not killed is not counted, see `_round`


def _tell_lost(tell: int, numbers: Iterable[int]) -> None:
    os.write(tell, b"".join(b"l%d\n" % number for number in numbers))


def _held(vault: Vault, which: int) -> int:
    try:
        return int(vault.value("secret", name(which)).expose()[:12])
    except KvError:
        return -1


def _value(number: int) -> bytes:
    return b"%012d" % number * 4
