"""The one property, and the command: garbage is accepted or raises the declared error, within bounds. Nothing else.

Rules of this file
- Input NUMBER of a target depends on the seed and the number alone, so that what was found is found again: --only.
- Bounds are of the process's own time and memory, generous: they catch work without end, not a slow machine.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import signal
import sys
import time
import traceback
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from fuzz.targets import TARGETS

from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fuzz.target import Target

CPU_SECONDS = 10.0  # of one input; the slowest take a hundredth
MEMORY = 512 << 20  # bytes of address space that a whole run may add to what it began with


class TooLongError(Exception):
    """An input took more than `CPU_SECONDS`."""


@dataclass
class Report:
    """What a run saw of one target. `found` is the first input that broke the property, and how."""

    accepted: int = 0
    refused: int = 0
    found: tuple[int, BaseException] | None = None


def fuzz(target: Target, seed: int, seconds: float, only: int | None = None) -> Report:
    """Inputs for `seconds`, or the one with the number `only`; ends at the first that breaks the property."""
    report = Report()
    end = time.monotonic() + seconds
    for number in itertools.count() if only is None else [only]:
        if only is None and time.monotonic() >= end and number:
            break
        try:
            with _bounded():
                accepted = _one(target, Random(f"{seed}:{target.name}:{number}"))  # noqa: S311 - as often as asked
        except (Exception, RecursionError, MemoryError) as error:  # noqa: BLE001 - any other exception is the finding
            report.found = number, error
            break
        report.accepted += accepted
        report.refused += not accepted
    return report


def _one(target: Target, random: Random) -> bool:
    """Whether the input was accepted. Whatever is not declared is raised."""
    try:
        target.act(random)
    except target.declared as error:
        if isinstance(error, KvError) and error.code not in target.codes:
            raise
        return False
    return True


@contextmanager
def _bounded() -> Iterator[None]:
    def too_long(*_: object) -> None:
        raise TooLongError

    before = signal.signal(signal.SIGPROF, too_long)
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _limit_memory() -> None:
    """Let this process grow by `MEMORY` and no more: what asks for more gets a `MemoryError`, which is a finding."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - one number of the kernel's
            now = int(file.read().split()[0]) * resource.getpagesize()
    except OSError:  # only Linux says
        return
    resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))


def main(argv: list[str]) -> int:
    """The command: 0 where the property held, 1 where it did not."""
    parser = argparse.ArgumentParser(prog="python tests/fuzz", description="garbage into what reads others' bytes")
    parser.add_argument("targets", nargs="+", choices=sorted(TARGETS), metavar="|".join(sorted(TARGETS)))
    parser.add_argument("--seconds", type=float, default=30, help="for each target (default: 30)")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other inputs (default: 0)")
    parser.add_argument("--only", type=int, help="the input with this number alone, of every part of the target")
    asked = parser.parse_args(argv)
    _limit_memory()
    parts = [part for name in asked.targets for part in TARGETS[name]()]
    ends = [_told(part, asked, asked.seconds * len(asked.targets) / len(parts)) for part in parts]
    return int(any(ends))


def _told(part: Target, asked: argparse.Namespace, seconds: float) -> bool:
    """Whether something was found in one part, said on stdout."""
    report = fuzz(part, asked.seed, seconds, asked.only)
    print(f"{part.name:<16} seed {asked.seed}: {report.accepted:>8,} accepted {report.refused:>8,} refused", flush=True)
    if report.found is None:
        return False
    number, error = report.found
    group = part.name.partition(".")[0]
    print(f"FOUND: {type(error).__name__} at input {number}", flush=True)
    print(f"  again: python tests/fuzz {group} --seed {asked.seed} --only {number}", flush=True)
    traceback.print_exception(error, file=sys.stdout)
    return True
