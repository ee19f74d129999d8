"""Measuring: figures taken turn by turn, so that what the machine does meanwhile happens to both.

Rules of this file
- Nothing here judges: a figure is a list of samples, one a round, and `table` puts two lists side by side.
- A round measures ours, then the rival's. The first round is a warm-up and is thrown away.
- Memory is what the kernel says of a process (proc(5)), in MiB.
"""

from __future__ import annotations

import statistics
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MICROSECONDS = 1e6
MILLISECONDS = 1e3

_PATIENCE = 20.0  # seconds for the rounds of a row …
_ROUNDS = 3  # … but so many in any case


class NotMeasured(Exception):  # noqa: N818 - a reason, not an error
    """Why a row cannot be measured here."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much to measure."""

    quick: bool = False

    def of(self, full: int, quick: int) -> int:
        """The count for this scale."""
        return quick if self.quick else full


def alternate(ours: Callable[[], float], theirs: Callable[[], float], rounds: int) -> tuple[list[float], list[float]]:
    """Samples of both, taken in turns after one turn that is not counted; fewer where the machine is slow."""
    ours(), theirs()
    end = time.monotonic() + _PATIENCE
    mine: list[float] = []
    other: list[float] = []
    while len(mine) < rounds and (len(mine) < _ROUNDS or time.monotonic() < end):
        mine.append(ours())
        other.append(theirs())
    return mine, other


def seconds(act: Callable[[], object]) -> float:
    """How long `act` takes."""
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def cpu_seconds(act: Callable[[], object]) -> float:
    """How much of a processor `act` takes: for work that neither waits nor leaves this process."""
    start = time.process_time()
    act()
    return time.process_time() - start


def p50(act: Callable[[], object], times: int, unit: float = MICROSECONDS) -> float:
    """The median time of `act` in a batch: one sample."""
    return statistics.median(seconds(act) for _ in range(times)) * unit


def process(argv: Sequence[str], environment: Mapping[str, str], folder: Path) -> float:
    """Milliseconds from starting a process to its end. Raises `CalledProcessError` unless it ends well."""

    def run() -> None:
        quiet = subprocess.DEVNULL
        subprocess.run(argv, env=environment, cwd=folder, stdin=quiet, stdout=quiet, stderr=quiet, check=True)

    return seconds(run) * MILLISECONDS


def resident(pid: int, field: str = "VmRSS") -> float:
    """Resident memory of a process in MiB; `VmHWM` is the most it ever had."""
    try:
        status = Path(f"/proc/{pid}/status").read_text("ascii", "replace")
    except OSError:
        raise NotMeasured("the memory of a process is read from /proc, which this system has not") from None
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(f"{field}:")) / 1024


class Growth:
    """How much a process grows inside the `with`, in MiB: its peak less what it had before."""

    _EVERY = 0.002  # seconds between looks: a chunk of a body takes about as long

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._before = self._peak = resident(pid)
        self._highest = resident(pid, "VmHWM")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        highest = resident(self._pid, "VmHWM")
        if highest > self._highest:  # between two looks it had more than at any of them
            self._peak = highest

    def _watch(self) -> None:
        while not self._end.wait(self._EVERY):
            self._peak = max(self._peak, resident(self._pid))

    @property
    def mib(self) -> float:
        """The growth."""
        return self._peak - self._before
