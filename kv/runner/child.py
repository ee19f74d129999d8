"""The child: from a fork of the runner to the program that was approved.

Rules of this file
- The program is found as a person's own shell would have started it: its folder, mask, limits and signals are the
  client's; nothing of the runner's is left on it but its parent.
- Between fork and `exec` this process holds the lent values and is still not readable to anyone. What it cannot set up
  it reports by a pipe that `exec` closes, and ends.
- What was approved is what is started: the file is opened once, held beside what was looked at, and that very file is
  executed, whatever its path leads to by then. (Before Linux 6.14 `ps` calls it by the descriptor's number.)
- Not a script's: its interpreter is given the path, without which it would not find what lies beside it, and opens that
  for itself a moment after our last look.
"""

from __future__ import annotations

import errno
import os
import resource
import signal
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from kv.errors import KvError
from kv.harden import die_with, give_up_privileges

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kv.runner.messages import Hello, Order

_LIMITS = {name: getattr(resource, f"RLIMIT_{name}") for name in (
    "AS", "CPU", "DATA", "FSIZE", "MEMLOCK", "NOFILE", "NPROC", "STACK"
)}  # fmt: skip
# Signals that are not what they are in a fresh process: what was ignored before we began, and what Python, the nursery
# and the runner do with some. (Sixty calls for all of them would be a good part of a start.)
_CHANGED = frozenset(
    {
        *(n for n in signal.valid_signals() if signal.getsignal(n) is signal.SIG_IGN),
        *(signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGTTOU, signal.SIGCHLD),
    }
)
_NO_SHEBANG = "/bin/sh"
_OTHER = 255  # in place of an `errno`: another file than the one that was looked at
_FIRST_LINE = 80  # bytes of a script that shells look at, to tell it from a program for another machine
_ABOVE = 64  # from here on descriptors are parked while the low numbers are dealt out
_MAX_WHY = 2

# What a shell calls "not found", with 127; everything else is 126.
_MISSING = {errno.ENOENT, errno.ENOTDIR}
_WHY = {
    errno.EACCES: "permission denied",
    errno.EISDIR: "it is a folder",
    errno.ENOEXEC: "it is no program",
    errno.ETXTBSY: "it is being written",
    errno.E2BIG: "its arguments and environment are too long",
    errno.ELOOP: "too many links",
    errno.ENOMEM: "no memory",
}


class Setup(NamedTuple):
    """All that a child is made of. `descriptors` are its numbers and what is to be there; absent ones are closed."""

    order: Order
    hello: Hello
    environment: Mapping[str, str | bytes]
    folder: int
    descriptors: Mapping[int, int]
    terminal: int | None  # its descriptor, if the child is to have it from the start


def start(setup: Setup) -> int:
    """Fork and execute; the child's pid. Raises `KvError`: run-changed, run-missing, run-refused."""
    reading, writing = os.pipe()
    runner = os.getpid()
    pid = os.fork()
    if pid == 0:
        _become(setup, runner, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as report:
        why = report.read(_MAX_WHY)  # nothing: `exec` has closed it
    if not why:
        return pid
    os.waitpid(pid, 0)
    raise _refusal(setup.order, why[0])


def _refusal(order: Order, number: int) -> KvError:
    name = order.argv[0]
    if number == errno.EACCES and os.path.isdir(order.executable):
        number = errno.EISDIR  # which no system says of what it is asked to execute
    if number == _OTHER:
        return KvError("run-changed", what="the program")
    if number in _MISSING:
        return KvError("run-missing", name=name, help="")
    return KvError("run-refused", name=name, why=_WHY.get(number, "the system refused it"))


def _become(setup: Setup, runner: int, report: int) -> NoReturn:
    """Be the program, or say in one byte why not. Nothing of the runner's code runs on."""
    number = errno.EINVAL
    try:
        die_with(runner)
        os.setpgid(0, 0)
        if setup.terminal is not None:
            os.tcsetpgrp(setup.terminal, os.getpid())
        os.fchdir(setup.folder)
        report = _place(setup.descriptors, report)
        os.umask(setup.hello.umask)
        _limit(setup.hello.limits)
        if not setup.order.privileges:
            give_up_privileges()
        _reset_signals(setup.hello.ignored)
        _execute(setup.order, setup.environment)
    except OSError as error:
        number = error.errno or errno.EINVAL
    except BaseException:  # noqa: BLE001, S110 - a fork of the runner must not run on as a second one
        pass
    os.write(report, bytes([min(number, _OTHER)]))
    os._exit(1)


def _place(wanted: Mapping[int, int], report: int) -> int:
    """Give each number its descriptor and close 0 to 2 where nothing is wanted; where the report's pipe is now.

    Everything else closes at `exec`: no descriptor of ours can be inherited.
    """
    import fcntl

    above = max(_ABOVE, *wanted) + 1 if wanted else _ABOVE
    report = fcntl.fcntl(report, fcntl.F_DUPFD_CLOEXEC, above)
    parked = {number: fcntl.fcntl(source, fcntl.F_DUPFD_CLOEXEC, above) for number, source in wanted.items()}
    for name in os.listdir("/proc/self/fd"):
        if (number := int(name)) < above and number not in parked:
            _shut(number)
    for number, source in parked.items():
        os.dup2(source, number, inheritable=True)
    return report


def _shut(number: int) -> None:
    try:
        os.close(number)
    except OSError:
        return  # of the listing itself


def _limit(wanted: Mapping[str, Sequence[int]]) -> None:
    """The client's limits, no higher than ours may be set; and no core, which would hold what was lent."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for name, kind in _LIMITS.items():
        if name in wanted:
            ours = resource.getrlimit(kind)[1]
            hard = _least(wanted[name][1], ours)
            resource.setrlimit(kind, (_least(wanted[name][0], hard), hard))


def _least(one: int, other: int) -> int:
    """The lower of two limits, of which `RLIM_INFINITY` is the highest."""
    finite = [limit for limit in (one, other) if limit != resource.RLIM_INFINITY]
    return min(finite, default=resource.RLIM_INFINITY)


def _reset_signals(ignored: Sequence[int]) -> None:
    """Python and the runner have changed some; a program expects them as a shell leaves them."""
    for number in _CHANGED.union(ignored):
        signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _execute(order: Order, environment: Mapping[str, str | bytes]) -> None:
    path = as_bytes(order.executable)
    argv = [as_bytes(word) for word in order.argv]
    spelled = {as_bytes(name): as_bytes(value) for name, value in environment.items()}
    program = os.open(path, os.O_PATH | os.O_CLOEXEC)
    _check(order, os.fstat(program))
    try:
        os.execve(program, argv, spelled)  # noqa: S606 - the very program, and no shell
    except OSError as error:
        if error.errno not in {errno.ENOENT, errno.ENOEXEC}:
            raise
        textual = error.errno == errno.ENOEXEC
    # The kernel executes no script whose interpreter could not open it: ours closes at `exec`.
    _check(order, os.stat(path))
    if not textual:
        os.execve(path, argv, spelled)  # noqa: S606 - as above
    if not _is_text(path):
        raise OSError(errno.ENOEXEC, "no program")
    # A script without a first line: as shells do.
    os.execve(_NO_SHEBANG, [b"sh", path, *argv[1:]], spelled)  # noqa: S606 - as above


def _check(order: Order, found: os.stat_result) -> None:
    if (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns) != order.pin:
        raise OSError(_OTHER, "changed")


def _is_text(path: bytes) -> bool:
    with open(path, "rb") as file:
        return b"\0" not in file.readline(_FIRST_LINE)


def as_bytes(text: str | bytes) -> bytes:
    """What a message spelled, whatever the locale of this process."""
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
