"""R-KDF: a vault file whose costs were changed while it was locked, brought to the commands that open it."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from world import World

from kv.client import lock_holder
from kv.paths import Runtime

if TYPE_CHECKING:
    from collections.abc import Iterator

    from world import Ran

DAMAGED = 9
MIB = 1 << 10  # in KiB, as Argon2 and the kernel count memory

# Runs a command and writes down the most memory that it and its children had. A small process of its own, since a new
# process is counted as having had its parent's memory.
MEASURED = """
import os, sys
_, status, usage = os.wait4(os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ), 0)
open(sys.argv[1], "w").write(str(usage.ru_maxrss))
sys.exit(os.waitstatus_to_exitcode(status))
"""


@dataclass
class Locked:
    """A locked vault, its bytes, and the KiB of memory that unlocking it took."""

    world: World
    whole: bytes
    paid: int

    def set_cost(self, cost: str, value: int) -> None:
        """Change every slot in the file, as any program of the same user could."""
        Path(self.world.vault).write_bytes(self.whole)
        with closing(sqlite3.connect(self.world.vault)) as db, db:
            db.execute(f"UPDATE slots SET {cost} = ?", (value,))  # noqa: S608 - a column's name

    def refuses(self, *command: str) -> Ran:
        """What `command`, which has the right proof, says: the file is damaged. It took no memory, no keeper lives."""
        refused = self.world.kv(*command, proof=True)
        assert refused.status == DAMAGED, refused.all
        assert _most(self.world) < self.paid - 32 * MIB
        assert lock_holder(Runtime(self.world.vault).lock) == 0
        assert self.world.kv("status", "--json").json["locked"] is True
        return refused


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Locked]:
    """At the floor of the costs: 64 MiB, 3 passes, 4 lanes."""
    with World(tmp_path_factory.mktemp("locked")) as world:
        world.init().must("lock")
        world.prefix = (sys.executable, "-c", MEASURED, str(world.folder / "most"))
        world.must("unlock", proof=True)
        paid = _most(world)
        world.must("lock")
        yield Locked(world, Path(world.vault).read_bytes(), paid)


def _most(world: World) -> int:
    """KiB of memory that the last command had at most."""
    return int((world.folder / "most").read_text())


@pytest.mark.parametrize(
    ("cost", "value"),
    [
        *(("memory", 64 * MIB - 1), ("passes", 2), ("lanes", 3)),
        *(("memory", 1024 * MIB + 1), ("passes", 11), ("lanes", 9)),
        *(("memory", 0), ("memory", (1 << 32) - 1)),
    ],
)
def test_costs_out_of_bounds_are_refused_and_not_paid(locked: Locked, cost: str, value: int) -> None:
    """`kv unlock` with the right passphrase tells a person what is wrong with the file, and does not try."""
    locked.set_cost(cost, value)
    refused = locked.refuses("unlock")
    assert f"{cost} is {value}, not " in refused.err
    assert "the file was tampered with" in refused.err


@pytest.mark.parametrize("value", [64 * MIB - 1, 1024 * MIB + 1])
def test_a_recovery_code_pays_none_either(locked: Locked, value: int) -> None:
    """`kv recover` with the right code is refused likewise: no new passphrase is sealed into such a file."""
    locked.set_cost("memory", value)
    changed = Path(locked.world.vault).read_bytes()
    refused = locked.refuses("recover", "--code-file", "recovery", "--recovery-file", "next")
    assert f"memory is {value}, not " in refused.err
    assert Path(locked.world.vault).read_bytes() == changed
