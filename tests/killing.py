"""`kill -9` of whichever keeper runs, while `kv set` is typed again and again: what was acknowledged has to be there.

Rules of this file
- Black box but for the look at the end: each `kv set` is a process of its own, as a person or a script starts it, and
  its exit status 0 is the acknowledgement. A vault whose keeper was killed is locked, so who is refused unlocks it,
  and who comes before that starts a keeper for the one act; the killer takes those as well.
- Every other keeper is killed at any moment of its life; the others once a write was acknowledged, so that a slow
  machine makes some as well.
- A process is killed by its descriptor, and only while it holds the lock of this vault: no pid is ever guessed.
"""

from __future__ import annotations

import os
import random
import select
import signal
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.vaults import root_of

from kv.client import lock_holder
from kv.paths import Runtime
from kv.vault.session import Vault

if TYPE_CHECKING:
    from world import World

# What a `kv set` may say when its keeper is killed under it: the connection ended, there was nobody, or another one
# that was starting had the lock. Anything else is a defect.
DECLARED = frozenset({"gone", "locked", "keeper-start", "keeper-runs", "keeper-foreign", "vault-busy"})
_WRITERS = 3
_LONGEST = 0.5  # seconds until a kill: about what one `kv set` takes
_SIZES = (1, 40, 4000)  # of a value, in repetitions of its number: within a page of the file, and over several


@dataclass(slots=True)
class Deaths:
    """What happened: `acknowledged` has each name's value; `refused` counts the codes that the others ended in."""

    acknowledged: dict[str, bytes] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    killed: int = 0
    heard: threading.Event = field(default_factory=threading.Event)  # of an acknowledgement, or of the end


def kill_while_setting(world: World, sets: int) -> Deaths:
    """Store `sets` secrets by as many `kv set`, killing the keeper at random moments until the last has ended."""
    deaths, done = Deaths(), threading.Event()
    killer = threading.Thread(target=_kill, args=(Runtime(world.vault).lock, deaths, done))
    killer.start()
    try:
        with ThreadPoolExecutor(_WRITERS) as writers:
            list(writers.map(lambda number: _set(world, number, deaths), range(sets)))
    finally:
        done.set()
        deaths.heard.set()
        killer.join()
    return deaths


def lost(world: World, deaths: Deaths) -> list[str]:
    """The acknowledged names that do not have their value: of the vault as it opens anew, locked, and read directly."""
    world.must("unlock", proof=True)
    world.must("lock")
    with root_of(world.folder / "vault.kv") as root, Vault.open(world.vault, root) as vault:
        return [name for name, value in deaths.acknowledged.items() if _held(vault, name) != value]


def _held(vault: Vault, name: str) -> bytes | None:
    return vault.value("secret", name).expose() if vault.get("secret", name) is not None else None


def _set(world: World, number: int, deaths: Deaths) -> None:
    name, value = f"r/{number}", b"%012d" % number * _SIZES[number % len(_SIZES)]
    ran = world.kv("set", name, "--stdin", "--json", stdin=value, proof=True)
    if ran.status == 0:
        deaths.acknowledged[name] = value
        deaths.heard.set()
        return
    code = ran.json["error"]["code"]
    if code not in DECLARED:
        raise AssertionError(f"kv set ended with {ran.status}: {ran.all}")
    deaths.refused[code] += 1
    world.kv("unlock", proof=True)  # another writer's may come first, or be killed


def _kill(lock: str, deaths: Deaths, done: threading.Event) -> None:
    while not done.wait(random.uniform(0, _LONGEST)):  # noqa: S311 - a moment, not a secret
        if deaths.killed % 2 and not deaths.heard.is_set():
            continue
        if (pid := lock_holder(lock)) == 0:
            continue
        try:
            process = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            if lock_holder(lock) == pid:  # still: then the descriptor is that process's and no later one's
                signal.pidfd_send_signal(process, signal.SIGKILL)
                deaths.killed += 1
                deaths.heard.clear()
                select.select([process], [], [])  # gone, and its locks with it: the next look counts another
        except ProcessLookupError:
            pass
        finally:
            os.close(process)
