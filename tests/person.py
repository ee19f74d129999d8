"""A person at a terminal: a shell on a pseudo-terminal, in which kv is typed and its prompts are answered.

The shell is an orphan and its session's leader: whoever runs the tests (an agent, perhaps) is not among its
ancestors, as it would not be among a person's. It stays the same process, so that what kv keeps for "the person's
shell" holds between commands.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Self

import pexpect

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PROMPT = "person> "

# The first process owns the terminal. Its grandchild, whose parent has ended, becomes the leader of a session of
# its own and takes the terminal over, as a shell in a terminal window has it; the first one only waits for its end.
_ORPHAN = """
import fcntl, os, signal, termios
signal.signal(signal.SIGHUP, signal.SIG_IGN)
terminal = os.ttyname(0)
end, held = os.pipe()
go, released = os.pipe()
first = os.fork()
if first:
    os.close(held)
    os.waitpid(first, 0)
    fcntl.ioctl(0, termios.TIOCNOTTY)
    os.close(released)
    os.read(end, 1)
    os._exit(0)
parent = os.getpid()
if os.fork():
    os._exit(0)
while os.getppid() == parent:
    pass
os.close(released)
os.read(go, 1)
os.setsid()
tty = os.open(terminal, os.O_RDWR)
for descriptor in (0, 1, 2):
    os.dup2(tty, descriptor)
os.set_inheritable(held, True)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
"""
_SECONDS = 90.0  # a busy machine is no defect
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Person:
    """A shell to type into, with `kv` the package under test. Use as a context manager."""

    def __init__(self, folder: Path, environment: Mapping[str, str], columns: int = 400) -> None:
        self._shell = pexpect.spawn(
            sys.executable,
            ["-c", _ORPHAN],
            env={**environment, "PS1": PROMPT, "TERM": "xterm", "BASH_SILENCE_DEPRECATION_WARNING": "1"},
            cwd=str(folder),
            encoding="utf-8",
            timeout=_SECONDS,
            dimensions=(50, columns),
        )
        self.read(PROMPT)
        self.run(f'kv() {{ "{sys.executable}" -m kv "$@"; }}')

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._shell.close(force=True)

    def type(self, line: str) -> None:
        """Type a line and Enter."""
        self._shell.sendline(line)

    def press(self, key: str) -> None:
        """Press Ctrl and a key."""
        self._shell.sendcontrol(key)

    def read(self, expected: str) -> str:
        """What appears up to and including `expected`, without escapes and carriage returns."""
        self._shell.expect_exact(expected)
        return _ESCAPES.sub("", f"{self._shell.before}{self._shell.after}").replace("\r", "")

    def find(self, pattern: str) -> re.Match[str]:
        """The match of `pattern` in what appears."""
        self._shell.expect(pattern)
        found = self._shell.match
        assert isinstance(found, re.Match)
        return found

    def run(self, line: str, *answers: tuple[str, str]) -> tuple[int, str]:
        """Type a command, answer each prompt in order; its status and everything that appeared meanwhile."""
        self.type(f"{line}; echo =$?=")
        self._shell.expect_exact("=$?=\r\n")  # the echo of what was typed
        text = ""
        for prompt, answer in answers:
            text += self.read(prompt)
            self.type(answer)
        status = int(self.find(r"=(\d+)=\r\n").group(1))
        before = str(self._shell.before)
        self.read(PROMPT)
        return status, text + _ESCAPES.sub("", before).replace("\r", "")
