"""kill -9: what was acknowledged is there, and the chain is whole."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import tracemalloc

import pytest
from audit.world import KEY, World, call

WRITER = """
import sys
from kv.audit import AuditLog
log = AuditLog.open(sys.argv[1], bytes(range(32)), bytes.fromhex(sys.argv[2]) or None)
print("sealed", log.checkpoint().hex(), flush=True)
while True:
    seq = log.intend(verb="call", effect="write", session="5e55")
    print("intent", seq, flush=True)
    log.settle(seq, outcome="ok")
    print("settle", seq, flush=True)
    if log.head_due:
        print("sealed", log.checkpoint().hex(), flush=True)
"""


@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.2])
def test_killed_writer(world: World, seconds: float) -> None:
    """A writer killed at any moment loses no entry that it had acknowledged, and leaves a log that verifies."""
    for _ in range(2):
        argv = [sys.executable, "-c", WRITER, str(world.path), (world.sealed or b"").hex()]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as writer:  # ourselves
            assert writer.stdout is not None
            said = [writer.stdout.readline()]
            time.sleep(seconds)
            writer.send_signal(signal.SIGKILL)
            said += writer.stdout.read().splitlines(keepends=True)
        words = [line.split() for line in said if line.endswith("\n")]
        world.sealed = bytes.fromhex([word for what, word in words if what == "sealed"][-1])
        report = world.verify()
        log = world.unlock()
        assert log.alarm_at_open == ""
        assert log.recovered == report.beyond
        entries = {entry.seq: entry for entry in log.entries()}
        settled = {entry.of: entry.outcome for entry in entries.values() if entry.kind == "settle"}
        assert all(entries[int(seq)].kind == "intend" for what, seq in words if what == "intent")
        assert all(settled[int(seq)] == "ok" for what, seq in words if what == "settle")
        assert settled.keys() == {entry.seq for entry in entries.values() if entry.kind == "intend"}
        world.lock(log)
    assert world.verify().beyond == 0


def test_constant_memory(world: World) -> None:
    """Verifying 3,000 entries takes no more memory than a page of them."""
    log = world.unlock()
    for number in range(1500):
        call(log, number)
    world.sealed = log.checkpoint()
    world.verify()
    tracemalloc.start()
    try:
        assert world.verify().entries == 3001
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 400_000


def test_key_is_not_kept(world: World) -> None:
    """An open log holds neither the subkey nor its epoch's first key."""
    log = world.unlock()
    call(log)
    kept = [*vars(log).values(), *vars(log._chain).values()]
    assert KEY not in [bytes(each) for each in kept if isinstance(each, bytes | bytearray)]
    key = log._chain._key
    log.close()
    assert key == bytes(32)
