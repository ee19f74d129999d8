"""The caller's terminal while a program runs in an inner one.

Rules of this file
- It is raw only while we are its foreground and the program has it. Whatever ends us, its modes come back: a guard, a
  process of our own, restores them where we no longer can (SIGKILL).
- A pipeline's other programs have the same terminal: what is typed is read only once our program has asked for it.
"""

from __future__ import annotations

import contextlib
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Attributes = list[Any]  # `termios`: four flags, two speeds, the control characters

_CHUNK = 4096
_FLAGS = 4


class Terminal:
    """The controlling terminal, open. `open` gives None where there is none."""

    def __init__(self, descriptor: int) -> None:
        import termios

        self._descriptor = descriptor
        self._cooked: Attributes = termios.tcgetattr(descriptor)
        self._guard = (-1, -1)  # its pid, and our end of the pipe that it watches
        self._size = (24, 80)
        self.raw = False

    @classmethod
    def open(cls) -> Terminal | None:
        """The terminal of this process, whatever its standard streams are."""
        try:
            return cls(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
        except OSError:
            return None

    def fileno(self) -> int:
        """What to poll for typing."""
        return self._descriptor

    @property
    def modes(self) -> list[object]:
        """As the runner takes them: flags, speeds, then the control characters as numbers."""
        *flags, characters = self._cooked
        return [*flags, [one if isinstance(one, int) else one[0] for one in characters]]

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        with contextlib.suppress(OSError):  # it was closed
            columns, lines = os.get_terminal_size(self._descriptor)
            self._size = lines, columns
        return self._size

    @property
    def gone(self) -> bool:
        """Whether the window was closed."""
        try:
            os.tcgetpgrp(self._descriptor)
        except OSError:
            return True
        return False

    @property
    def foreground(self) -> bool:
        """Whether what is typed is for our process group."""
        try:
            return os.tcgetpgrp(self._descriptor) == os.getpgrp()
        except OSError:
            return False  # it was closed

    def take(self) -> None:
        """Go raw: every byte is the program's. Modes that somebody changed meanwhile are those that come back."""
        import termios

        if self.raw:
            return
        self._cooked = termios.tcgetattr(self._descriptor)
        raw = _raw(self._cooked)
        self._watch(raw)
        termios.tcsetattr(self._descriptor, termios.TCSADRAIN, raw)
        self.raw = True

    def restore(self) -> None:
        """Give the terminal back as it was."""
        import termios

        if not self.raw:
            return
        self.raw = False
        with contextlib.suppress(termios.error):  # it was closed
            termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._cooked)
        pid, watched = self._guard
        os.close(watched)
        os.waitpid(pid, 0)

    def _watch(self, raw: Attributes) -> None:
        """Fork the guard: it waits until our end of a pipe closes, by `restore` or by our death, and looks."""
        import signal

        reading, watched = os.pipe()
        if pid := os.fork():
            self._guard = pid, watched
            os.close(reading)
            return
        try:
            os.setpgid(0, 0)  # who ends our group means the program
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            _close_all_but(reading, self._descriptor)
            os.read(reading, 1)
            self._put_back(raw)
        finally:
            os._exit(0)

    def _put_back(self, raw: Attributes) -> None:
        """Restore the modes, but only if they are still the raw ones: a shell may have done it, and set its own."""
        import termios

        if termios.tcgetattr(self._descriptor)[:_FLAGS] == raw[:_FLAGS]:
            termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._cooked)

    def read(self) -> bytes:
        """What was typed; nothing at the terminal's end."""
        try:
            return os.read(self._descriptor, _CHUNK)
        except OSError:
            return b""

    def write(self, data: bytes) -> None:
        """Show bytes of the program."""
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._descriptor, view) :]
            except OSError:
                return  # it was closed: the program is told by the signal that comes with it


def streams() -> list[str]:
    """What each of the standard streams is: our terminal, something else that was given, or closed."""
    return [_kind(number) for number in range(3)]


def _kind(number: int) -> str:
    try:
        os.fstat(number)
    except OSError:
        return "closed"
    try:
        os.tcgetpgrp(number)  # of the controlling terminal alone
    except OSError:
        return "given"
    return "tty"


def _close_all_but(*kept: int) -> None:
    """A guard holds no stream and no run open."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in kept:
            try:
                os.close(int(name))
            except OSError:
                continue  # of the listing itself


def _raw(cooked: Attributes) -> Attributes:
    """As cfmakeraw(3) makes them."""
    import termios

    iflag, oflag, cflag, lflag, *speeds, characters = cooked
    iflag &= ~(termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP)
    iflag &= ~(termios.INLCR | termios.IGNCR | termios.ICRNL | termios.IXON)
    lflag &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
    cflag = cflag & ~(termios.CSIZE | termios.PARENB) | termios.CS8
    made = [*characters]
    made[termios.VMIN], made[termios.VTIME] = 1, 0
    return [iflag, oflag & ~termios.OPOST, cflag, lflag, *speeds, made]
