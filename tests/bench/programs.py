"""`kv run`: what it adds to a program's start, to many secrets at once, and to what the program prints."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

from bench.corpus import corpus, made_up
from bench.measure import alternate, cpu_seconds, process
from bench.stage import a_stage
from bench.starts import kv
from bench.table import Goal, Row
from bench.vaults import name

from kv.redact import Needles, Redaction
from kv.runner.pump import SILENCE, Pump
from kv.runner.sink import sink

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.measure import Scale
    from bench.stage import Stage

_MANY = 1000
_PUMPED = 100  # secrets that the pump looks for
_MEGABYTE = 1_000_000


def rows(scale: Scale) -> Iterator[Row]:
    """A start without secrets, one with; a thousand secrets beside one; a pump that scans beside one that does not."""
    with a_stage(secrets=_MANY) as stage:
        bare = [sys.executable, "-c", "pass"]
        one, many = _granted(stage, 1), _granted(stage, _MANY)
        for what, argv in (("kv run -- true", [*kv(), "run", "--", "true"]), ("kv run --secret NAME -- true", one)):
            mine, other = alternate(lambda argv=argv: _ran(stage, argv), lambda: _ran(stage, bare), scale.of(20, 8))  # type: ignore[misc]  # bound
            yield Row(f"{what}: whole process", "ms", mine, "python -c pass", other, Goal(3))
        mine, other = alternate(lambda: _ran(stage, many), lambda: _ran(stage, one), scale.of(10, 4))
        yield Row(f"a run with {_MANY:,} secrets", "ms", mine, "with one", other, Goal(1.2))
    yield _pumped(scale)


def _ran(stage: Stage, argv: Sequence[str]) -> float:
    return process(argv, stage.world.environment, stage.world.folder)


def _granted(stage: Stage, count: int) -> list[str]:
    """A command that is lent that many secrets, and that a person has proved once in this session.

    (A thousand are more than an agent can ask for on one card.) It is not proved again, so the descriptor is not read.
    """
    lent = [word for number in range(count) for word in ("--secret", f"{name(number)}=S{number}")]
    read, written = os.pipe()
    with os.fdopen(written, "wb") as file:
        file.write(stage.world.passphrase)
    words = [*kv(), "run", *lent, "--passphrase-fd", str(read), "--", "true"]
    subprocess.run(words, env=stage.world.environment, cwd=stage.world.folder, pass_fds=[read], check=True)
    os.close(read)
    return words


def _pumped(scale: Scale) -> Row:
    """Program text and encoded documents, in no secret's presence, which is what programs print."""
    needles = Needles()
    for number, value in enumerate(made_up(_PUMPED)):
        needles.add(name(number), value.encode(), bits=128)
    database = needles.database()
    text = corpus(scale.of(24, 6) * _MEGABYTE)
    megabytes = len(text) / _MEGABYTE
    mine, other = alternate(
        lambda: megabytes / cpu_seconds(lambda: _pump(text, Redaction(database))),
        lambda: megabytes / cpu_seconds(lambda: _pump(text, None)),
        scale.of(5, 3),
    )
    what = f"kv run's pump, {megabytes:g} MB, {_PUMPED} secrets"
    return Row(what, "MB/cpu-s", mine, "the same without a scan", other, Goal(0.25, at_least=True))


def _pump(text: bytes, redaction: Redaction | None) -> None:
    """`text` through a pump, from a pipe to nowhere. The writer's time is counted with either."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    pump = Pump("stdout", reading, sink(os.open(os.devnull, os.O_WRONLY)), redaction, SILENCE)
    writer = threading.Thread(target=_write, args=(writing, text))
    writer.start()
    while not pump.ended:
        for descriptor, events in pump.wants():
            pump.ready(descriptor, events)
    writer.join()
    pump.close()


def _write(descriptor: int, text: bytes) -> None:
    with os.fdopen(descriptor, "wb", buffering=0) as file, memoryview(text) as view:
        at = 0
        while at < len(view):
            at += file.write(view[at : at + (1 << 18)]) or 0
