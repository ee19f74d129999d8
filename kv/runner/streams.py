"""What the child gets at 0, 1 and 2, made of what the client handed over: descriptors of its own, pipes, a terminal.

Rules of this file
- Standard input is passed on as it is. Output passes a pump, unless a person with proof wanted it untouched.
- Two outputs that are the same file share one pipe: their order stays, and what is written half to each is seen whole.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

from kv.runner.inlet import Inlet
from kv.runner.pump import Pump
from kv.runner.sink import sink
from kv.runner.terminal import Terminal

if TYPE_CHECKING:
    from kv.redact import Redaction
    from kv.runner.messages import Hello

_PIPE = 256 << 10  # bytes at a time: a scan costs something before it begins
_NAMES = ("stdin", "stdout", "stderr")


class Streams:
    """The streams of one run. `child` says which descriptor is to be at which number in the child.

    Without a redaction what is given is passed on as it is.
    """

    def __init__(self, hello: Hello, descriptors: list[int], redaction: Redaction | None, silence: float) -> None:
        self.child: dict[int, int] = {}
        self.pumps: list[Pump] = []
        self.inlets: list[Inlet] = []
        self.terminal: Terminal | None = None
        self._passed: list[int] = []  # the child's alone, once it has them
        self._redaction, self._silence = redaction, silence
        given = iter(descriptors)
        found = {number: next(given) for number in range(3) if hello.streams[number] == "given"}
        if hello.terminal is not None:
            self.terminal = Terminal(hello.terminal, hello.modes)
            self._relay(self.terminal, next(given))
            self.child.update({n: self.terminal.slave for n in range(3) if hello.streams[n] == "tty"})
        shared = {1, 2} <= found.keys() and os.path.sameopenfile(found[1], found[2])
        for number, descriptor in found.items():
            if not number or redaction is None:
                self.pass_on(number, descriptor)
            elif shared and 1 in self.child:
                self.child[number] = self.child[1]
                os.close(descriptor)
            else:
                self._pipe(number, descriptor)

    def pass_on(self, number: int, descriptor: int) -> None:
        """Give the child `descriptor` itself."""
        self.child[number] = descriptor
        self._passed.append(descriptor)

    def fill(self, data: bytes) -> None:
        """Give the child `data` as its standard input, and then the end."""
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        self.pass_on(0, reading)
        self.inlets.append(Inlet(writing, data=data))

    def _pipe(self, number: int, descriptor: int) -> None:
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        with contextlib.suppress(OSError):  # a person's share of pipe memory may be used up
            fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _PIPE)
        self.pass_on(number, writing)
        self.pumps.append(Pump(_NAMES[number], reading, sink(descriptor), self._redaction, self._silence))

    def _relay(self, terminal: Terminal, stream: int) -> None:
        """Both ways between the inner terminal and the client's, whose bytes travel by `stream`."""
        os.set_blocking(stream, False)
        self.inlets.append(Inlet(os.dup(terminal.master), source=os.dup(stream)))
        self.pumps.append(Pump("terminal", os.dup(terminal.master), sink(stream), self._redaction, self._silence))

    def let_go(self) -> None:
        """Close what the child has now: a pipe ends when nobody holds it."""
        for descriptor in self._passed:
            os.close(descriptor)
        self._passed.clear()
