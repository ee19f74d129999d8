"""`kill -9` at any moment: no acknowledged write is lost, and no half of one is kept.

`KV_CRASH_ROUNDS` sets how often (20 without): the bench does a thousand kills.
"""

# ruff: noqa: S311 - moments to kill at need no cryptography

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vault.world import World

    from kv.vault.session import Vault

ROUNDS = int(os.environ.get("KV_CRASH_ROUNDS", "20"))

# Writes one secret after the other, of many sizes, and says each name once its write is acknowledged.
_WRITER = """
import os, random, sys
from kv.vault.session import RootKey, Vault
vault = Vault.open(sys.argv[1], RootKey.take(bytearray(os.read(0, 32))))
rng = random.Random(int(sys.argv[2]))
number = 0
while True:
    name = "r%s/%d" % (sys.argv[2], number)
    vault.put("secret", name, {"n": number}, name.encode() * rng.choice([1, 10, 400]), now=1.0)
    if number % 7 == 3:
        vault.put("secret", "again", {"n": number}, b"%d" % number, now=1.0)
    os.write(1, b"%d\\n" % number)
    number += 1
"""


def test_acknowledged_writes_survive(world: World) -> None:
    """Killed again and again while it writes, a vault opens each time and has every name that was acknowledged."""
    acknowledged: list[int] = []
    rng = random.Random(5)
    for turn in range(ROUNDS):
        acknowledged.append(_kill_a_writer(world, turn, rng.uniform(0.0, 0.06)))
        with world.open() as vault:
            _check(vault, turn, acknowledged[turn])
    assert sum(acknowledged) > ROUNDS
    with world.open() as vault:
        for turn, count in enumerate(acknowledged):
            _check(vault, turn, count)
        for name in vault.names("secret"):
            assert name == "again" or vault.value("secret", name).expose().startswith(name.encode())


def _check(vault: Vault, turn: int, count: int) -> None:
    """Every acknowledged name is there with its value; one more may be, which was on disk but not yet said."""
    for number in range(count):
        record = vault.get("secret", f"r{turn}/{number}")
        assert record is not None
        assert record.meta == {"n": number}
        assert vault.value("secret", record.name).expose().startswith(record.name.encode())
    assert vault.get("secret", f"r{turn}/{count + 1}") is None


def _kill_a_writer(world: World, turn: int, seconds: float) -> int:
    """Start a writer, kill it `seconds` after its first write; how many writes it acknowledged."""
    command = [sys.executable, "-c", _WRITER, str(world.path), str(turn)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        with world.root.expose() as key:
            writer.stdin.write(key)
        told = writer.stdout.read(1)
        time.sleep(seconds)
        writer.send_signal(signal.SIGKILL)
        told = (told or b"") + writer.stdout.read()
    return told.count(b"\n")
