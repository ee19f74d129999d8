"""New passphrases and recovery codes: chosen, judged, written down.

Rules of this file
- A weak passphrase is refused where it is typed, with what it is worth and a strong one to take instead.
- A recovery code goes to the terminal itself or to a new file of mode 0600: never to stdout, where a log may lie.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from typing import TYPE_CHECKING, Self

from kv.cli.terminal import Terminal, Typed, from_descriptor
from kv.errors import KvError

if TYPE_CHECKING:
    from kv.vault.kdf import KdfParameters

_ORDINALS = ("1st", "2nd", "3rd", "4th", "5th", "6th", "7th")
_UNITS = {"KIB": 1, "MIB": 1 << 10, "GIB": 1 << 20}


def choose(terminal: Terminal, prompt: str = "Passphrase (hidden): ") -> Typed:
    """A new passphrase, strong enough, typed twice."""
    from kv.vault import passphrase

    while True:
        typed = terminal.ask_hidden(prompt)
        bits = passphrase.strength(typed.expose_buffer())
        if bits < passphrase.FLOOR_BITS:
            weak = KvError("weak-passphrase", bits=bits, floor=passphrase.FLOOR_BITS, suggestion=passphrase.suggest())
            terminal.print(f"  {weak.message}")
            terminal.print(f"  {weak.hint}")
        else:
            passphrase.require_strong(typed.expose_buffer())
            if typed.same(terminal.ask_hidden("Again: ")):
                return typed
            terminal.print("  the two entries differ")
        typed.wipe()


def from_fd(descriptor: int) -> Typed:
    """A new passphrase from a descriptor. Raises `KvError("weak-passphrase")`."""
    from kv.vault.passphrase import require_strong

    typed = from_descriptor(descriptor)
    require_strong(typed.expose_buffer())
    return typed


def costs(memory: str) -> KdfParameters:
    """The KDF's costs: the floor's, with so much memory. Raises `KvError("usage")`."""
    from kv.vault.kdf import CEILING, FLOOR

    text = memory.strip().upper()
    unit = next((unit for unit in _UNITS if text.endswith(unit)), "")
    digits = text.removesuffix(unit).strip()
    if not unit or not digits.isdigit() or len(digits) > 9:  # noqa: PLR2004 - far above what any machine has
        raise KvError("usage", why="--kdf-memory takes a size like 64MiB")
    size = int(digits) * _UNITS[unit]
    if not FLOOR.memory <= size <= CEILING.memory:
        raise KvError("usage", why=f"--kdf-memory is {FLOOR.memory >> 10}MiB to {CEILING.memory >> 10}MiB")
    return FLOOR._replace(memory=size)


class CodeFile:
    """A new file for a recovery code, made before the code is: a code without a place would be lost.

    Use as a context manager: unless `write` was called, the file is removed again.
    """

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        self._written = False
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            self._descriptor = os.open(self.path, flags, 0o600)
        except OSError as error:
            raise KvError("disk", act="write", path=path, why=os.strerror(error.errno or 0)) from None

    def write(self, code: str) -> None:
        """Write the code and bring it to the disk."""
        try:
            os.write(self._descriptor, code.encode() + b"\n")
            os.fsync(self._descriptor)
        except OSError as error:
            raise KvError("disk", act="write", path=self.path, why=os.strerror(error.errno or 0)) from None
        self._written = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)
        if not self._written:
            with contextlib.suppress(OSError):
                os.unlink(self.path)


def show_code(terminal: Terminal, code: str) -> None:
    """Show a recovery code once, and have two of its groups typed back: who can do that has it written down."""
    terminal.print("recovery code, shown once, keep it off this machine:")
    terminal.print(f"  {code}")
    groups = code.split("-")
    while True:
        first, second = sorted(secrets.SystemRandom().sample(range(len(groups)), 2))
        typed = terminal.ask(f"  Type the {_ORDINALS[first]} and {_ORDINALS[second]} group: ")
        if typed.upper().replace("-", " ").split() == [groups[first], groups[second]]:
            return
        terminal.print("  those groups do not match; check what you wrote down")


def read_code(path: str) -> str:
    """A recovery code from a file. Raises `KvError("disk" | "wrong-recovery")`."""
    try:
        with open(path, encoding="ascii") as file:
            return file.read(200)
    except OSError as error:
        raise KvError("disk", act="read", path=path, why=os.strerror(error.errno or 0)) from None
    except UnicodeDecodeError:
        raise KvError("wrong-recovery") from None
