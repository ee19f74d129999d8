"""The inner terminal: the runner leads its session, the child is its foreground group.

A terminal passed by descriptor would steal typing from the caller's background jobs and take Ctrl-Z away from the
caller's shell. So the program gets a terminal of its own, with the modes and the size of the client's, and the bytes
travel.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import termios
from typing import TYPE_CHECKING

from kv.errors import KvError

if TYPE_CHECKING:
    from kv.runner.messages import Modes, Size

_WINSIZE = struct.Struct("4H")  # `struct winsize`: rows, columns, and pixels that nobody fills


class Terminal:
    """A pseudo-terminal that is the controlling one of this process, which must be a session's leader without one."""

    def __init__(self, size: Size, modes: Modes | None) -> None:
        self.master, self.slave = os.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)
        os.set_blocking(self.master, False)
        self.resize(size)
        if modes is not None:
            self._set(modes)

    def _set(self, modes: Modes) -> None:
        *flags, characters = modes
        if len(characters) != len(termios.tcgetattr(self.slave)[6]):
            raise KvError("bad-frame", why="not the modes of a terminal")
        with contextlib.suppress(termios.error):  # modes of a device that a pseudo-terminal is not
            attributes: list[int | list[bytes | int]] = [*flags, [*characters]]
            termios.tcsetattr(self.slave, termios.TCSANOW, attributes)

    def resize(self, size: Size) -> None:
        """Rows and columns; the foreground group is told by SIGWINCH."""
        with contextlib.suppress(OSError):  # it was closed
            fcntl.ioctl(self.master, termios.TIOCSWINSZ, _WINSIZE.pack(*size, 0, 0))

    def give(self, group: int) -> None:
        """Make `group` the foreground: that of the child, or our own, so that the child is in the background."""
        with contextlib.suppress(OSError):  # it has just ended
            os.tcsetpgrp(self.slave, group)

    @property
    def given(self) -> bool:
        """Whether the foreground is another group than ours."""
        with contextlib.suppress(OSError):
            return os.tcgetpgrp(self.slave) != os.getpgrp()
        return False

    def hang_up(self) -> None:
        """Close our hold on the inner side: the outer one ends after what was written."""
        if self.slave >= 0:
            os.close(self.slave)
            self.slave = -1

    def close(self) -> None:
        """The window is gone: whoever has the terminal is told by SIGHUP, as by any."""
        self.hang_up()
        if self.master >= 0:
            os.close(self.master)
            self.master = -1
