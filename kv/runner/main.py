"""The nursery: `python -I -m kv.runner.main DESCRIPTOR KIND`, started by the keeper alone (`kv.spawn`).

It is kept warm, its modules loaded and its needles built, so that a run starts by a fork; and it serves as long as the
keeper lives, which is as long as the vault is unlocked. Runs that are under way outlive the keeper: they hold what they
were lent, and their own copy of the needles. So does the nursery, until the last of them has ended: what a runner that
is killed had started is left to it, and ends.

Rules of this file
- Between the keeper and one run this process has no part: what it passes on it closes and does not read.
"""

from __future__ import annotations

import contextlib
import gc
import mmap
import os
import signal
import socket
import sys
from typing import NoReturn

import msgspec

from kv.errors import KvError
from kv.harden import adopt_orphans, refuse_tracer
from kv.runner.control import Control
from kv.runner.delivery import roots, sweep
from kv.runner.known import Known, Row
from kv.runner.messages import MAX_PACKET, TO_NURSERY, Needled, spell
from kv.runner.offspring import Nest
from kv.runner.order import KeeperLine
from kv.runner.run import perform
from kv.spawn import become

_ROWS = msgspec.msgpack.Decoder(list[Row])


def main() -> None:
    """Serve the keeper until its line ends. Ends by `os._exit`: no shutdown runs over memory that held values."""
    line = become(sys.argv)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    nest = Nest(_clear)
    with contextlib.suppress(KvError, OSError):
        refuse_tracer()
        _serve(line, nest)
    nest.see_out()
    os._exit(0)


def _clear(runner: int) -> None:
    for root in roots():
        with contextlib.suppress(OSError):  # not every machine has each
            sweep(root, runner)


def _serve(line: socket.socket, nest: Nest) -> None:
    """Raises `KvError`, `OSError` where there is nobody to serve any more."""
    known = Known(())
    adopt_orphans()
    _tell_ready(line)
    while True:
        data, descriptors, _, _ = socket.recv_fds(line, MAX_PACKET, 4, socket.MSG_CMSG_CLOEXEC)
        if not data:
            return
        message = TO_NURSERY.read(data)
        if isinstance(message, Needled):
            (memory,) = descriptors
            known = _build(memory, message.needles)
            os.close(memory)
            _tell_ready(line)
        else:
            order, control = descriptors
            if not nest.fork():
                line.close()
                _run(order, control, known)
            os.close(order)
            os.close(control)


def _tell_ready(line: socket.socket) -> None:
    gc.collect()
    gc.freeze()  # what a fork shares stays shared: a collection would write to every object
    line.send(spell({"ready": True}))


def _build(memory: int, size: int) -> Known:
    """The needles in a memfd: a msgpack list of rows."""
    if not size:
        return Known(())
    with mmap.mmap(memory, size, prot=mmap.PROT_READ) as view:
        return Known(_ROWS.decode(view))


def _run(order: int, control: int, known: Known) -> NoReturn:
    """Be a runner, and end."""
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        perform(KeeperLine(socket.socket(fileno=order)), Control(socket.socket(fileno=control)), known)
    except BaseException:  # noqa: BLE001 - a defect ends this run: no traceback over memory that held values
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    main()
