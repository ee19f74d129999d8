"""What the program has started, and its end: nobody of it outlives the run.

Rules of this file
- The runner has adopted orphans (`kv.harden.adopt_orphans`), so whoever was started, however often it forked and
  whatever session it made, is below us in the tree of processes. (One that is started by somebody else on the program's
  behalf, a service manager or a container daemon, is not.)
- Only what is below us is ended, by pid. A child of ours keeps its pid until we have waited for it; one of theirs could
  lose it to a stranger only in the instant between our look and our signal, when thousands are started.
"""

from __future__ import annotations

import os
import signal
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Container

_GENTLE = (signal.SIGHUP, signal.SIGCONT, signal.SIGTERM)
_STAT = 1024  # bytes: fifty numbers and a name
_GRACE = 2.0  # seconds between asking and killing
_PATIENCE = 10.0  # seconds of killing, after which who is left is root's, or waits for a broken disk
_AGAIN = 0.1  # a process that forks while it is killed leaves a child for the next look


def descendants(pid: int, *, but: Container[int] = ()) -> list[int]:
    """The pids below `pid`, parents first, and those among them for whose end their parent has not waited.

    A child that is in `but` is left out, and what is below it.
    """
    children: defaultdict[int, list[int]] = defaultdict(list)
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                parent = _read(f"/proc/{name}/stat").rpartition(b") ")[2].split()[1]
            except OSError:
                continue  # it ended meanwhile
            children[int(parent)].append(int(name))
    found, waiting = [], [pid]
    while waiting:
        below = [child for child in children.pop(waiting.pop(), []) if child not in but]
        found += below
        waiting += below
    return found


def _read(path: str) -> bytes:
    """A small file of procfs, without what a file object asks about it: there are hundreds, at the end of a run."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, _STAT)
    finally:
        os.close(descriptor)


class Ending:
    """The end of all that is below this process, step by step: ask, wait, kill."""

    def __init__(self, now: float) -> None:
        below = descendants(os.getpid())
        self.count = len(below)
        self._kill_at = now + _GRACE
        self._until = now + _GRACE + _PATIENCE
        self.in_vain = False
        for number in _GENTLE:
            _signal(below, number)

    def deadline(self) -> float:
        """When `late` is to be called."""
        return self._kill_at

    def late(self, now: float) -> None:
        """Kill what has not ended, and look again soon."""
        if now >= self._kill_at:
            _signal(descendants(os.getpid()), signal.SIGKILL)
            self._kill_at = now + _AGAIN
            self.in_vain = now >= self._until


class Nest:
    """The runners of a nursery, whose parent this process is.

    A runner ends what it has started. One that is killed, or fails, cannot: its child dies with it
    (`kv.harden.die_with`), and what that one had started becomes ours, and ends here. `clear` is called with the pid
    of such a runner, for what it left that is no process.
    """

    def __init__(self, clear: Callable[[int], None]) -> None:
        self._runners: set[int] = set()
        self._clear = clear
        signal.signal(signal.SIGCHLD, self._reap)

    def fork(self) -> int:
        """Fork a runner: its pid, or 0 in the runner."""
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGCHLD,))  # it may end before we know it
        try:
            if runner := os.fork():
                self._runners.add(runner)
            return runner
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGCHLD,))

    def see_out(self) -> None:
        """Return when no runner, and nothing that one has left, is there any more."""
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGCHLD,))
        while not self._reap():
            signal.sigwait((signal.SIGCHLD,))

    def _reap(self, *_: object) -> bool:
        """Wait for whoever has ended, and end what a runner has left. Whether this process has no child any more."""
        childless, orphaned, failed = False, False, []
        try:
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                pid, status = ended
                if pid not in self._runners:
                    orphaned = True
                elif status:
                    failed.append(pid)
                self._runners.discard(pid)
        except ChildProcessError:
            childless = True
        if orphaned or failed:
            _signal(descendants(os.getpid(), but=self._runners), signal.SIGKILL)
        for pid in failed:
            self._clear(pid)
        return childless


def _signal(pids: list[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except OSError:
            continue  # gone, or not ours to end
