"""What a process does before it may see a secret or a passphrase.

Rules of this file
- Standard library only. Every process that will handle a secret calls `shelter()` first: keeper, and each
  command that asks for a passphrase.
- The order matters. A process of the same user can open `/proc/PID/mem` while we start, and a descriptor once
  opened stays good after PR_SET_DUMPABLE. So the process that was born dumpable never handles anything: it
  sets the flag, then forks; the child's memory was never readable to anyone, and the parent only waits.
- This does not stop root, nor code loaded into our own process (LD_PRELOAD, a patched installation): `python -I`
  and an absolute path keep the environment out, SECURITY.md has the rest.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from functools import cache
from typing import TYPE_CHECKING

from kv.errors import KvError

if TYPE_CHECKING:
    import ctypes

_PR_SET_DUMPABLE, _PR_SET_PDEATHSIG = 4, 1
_PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 36, 38


@cache
def _libc() -> ctypes.CDLL:
    """The C library. Whoever forks for each run has it looked up once, before."""
    import ctypes

    return ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, argument: int) -> None:
    if _libc().prctl(option, argument, 0, 0, 0) != 0:
        raise KvError("keeper-start", why="the kernel refused to protect the process's memory")


def harden() -> None:
    """No core dumps, no ptrace, no `/proc/PID/mem` for others of our uid; private files. Raises under a tracer."""
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        _prctl(_PR_SET_DUMPABLE, 0)
    refuse_tracer()


def refuse_tracer() -> None:
    """Raise `KvError("traced")` while a debugger is attached (`TracerPid`, proc(5))."""
    try:
        with open("/proc/self/status", "rb") as status:
            for line in status:
                if line.startswith(b"TracerPid:"):
                    if tracer := int(line.split()[1]):
                        raise KvError("traced", pid=tracer)
                    return
    except FileNotFoundError:
        return  # no procfs: macOS, where the seam is `PT_DENY_ATTACH`


def shelter() -> None:
    """Return in a child that was never dumpable; the parent stays behind, relays signals and the exit status.

    The terminal's foreground group is the same for both, so typing, Ctrl-C and Ctrl-Z reach the child as well.
    """
    harden()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        die_with(parent)
        refuse_tracer()
        return
    _stand_by(child)


def _let_go() -> None:
    """Everything is the child's: a pipe or a connection that we held as well would not end when it lets go of it."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))


def die_with(parent: int) -> None:
    """In a fork of `parent`: be killed when it ends, and now if it has."""
    if sys.platform == "linux":
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)  # it died between fork and prctl


def adopt_orphans() -> None:
    """Become the parent of every process below us whose own parent ends."""
    if sys.platform == "linux":
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def give_up_privileges() -> None:
    """No program that this process starts gains privileges by its mode or capabilities (`sudo` is one)."""
    if sys.platform == "linux":
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def _stand_by(child: int) -> None:
    """Wait for `child` and end as it ended. Never returns."""
    _let_go()
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, lambda received, _: os.kill(child, received))
    while True:
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            os._exit(os.WEXITSTATUS(status))
        if os.WIFSIGNALED(status):
            ended_by = os.WTERMSIG(status)
            if ended_by != signal.SIGKILL:
                signal.signal(ended_by, signal.SIG_DFL)
            os.kill(os.getpid(), ended_by)
            os._exit(128 + ended_by)
