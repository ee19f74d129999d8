"""The controlling terminal, and what a person types there.

Rules of this file
- Secrets are read from `/dev/tty`, opened by ourselves, with the echo off. Standard input is never a fallback:
  what can be piped in can be piped in by anyone.
- A process whose input and error output both lead elsewhere was not started for a person to answer: it has no
  terminal, whatever it could open. So what an agent runs and captures fails at once, also in a shared terminal.
- Where an agent is among our ancestors no secret is asked for: the terminal is then the agent's to read, and a
  prompt that people see inside an agent's window is exactly what a forged one looks like.
- What was typed ahead of a hidden prompt is discarded: it was not meant for it.
- A secret typed here lives in a `Typed`, which has no string form, and is wiped after use as far as Python can.
"""

from __future__ import annotations

import contextlib
import os
import termios
from typing import TYPE_CHECKING, NoReturn, Self

from kv.clients import agent_above
from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Iterator

_LINE_MAX = 4096  # bytes: a line of the terminal's own editor is no longer (termios(3), canonical mode)


class Typed:
    """Bytes that a person typed or a descriptor gave: a passphrase, a code, a value."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes | bytearray) -> None:
        self._data = bytearray(data)

    def expose(self) -> bytes:
        """The bytes themselves."""
        return bytes(self._data)

    def expose_buffer(self) -> bytearray:
        """The bytes in place, for who can read them there; wiped by `wipe`."""
        return self._data

    def same(self, other: Typed) -> bool:
        """Whether both are the same, without a difference in time."""
        import hmac

        return hmac.compare_digest(self._data, other._data)

    def wipe(self) -> None:
        """Overwrite our copy."""
        self._data[:] = bytes(len(self._data))

    def __len__(self) -> int:
        return len(self._data)

    def __repr__(self) -> str:
        return "<typed>"

    __str__ = __repr__
    __hash__ = None  # type: ignore[assignment]  # Python's own way to say unhashable

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError("typed secrets are compared by `same`")

    def __reduce__(self) -> NoReturn:
        raise TypeError("typed secrets are not pickled")


class Terminal:
    """The controlling terminal, open. Raises `KvError("no-terminal")` where there is none to open."""

    def __init__(self) -> None:
        if not (os.isatty(0) or os.isatty(2)):
            raise KvError("no-terminal")
        try:
            self._fd = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:
            raise KvError("no-terminal") from None

    @classmethod
    def available(cls) -> Self | None:
        """The terminal, or None."""
        try:
            return cls()
        except KvError:
            return None

    def close(self) -> None:
        """Let go of it."""
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def width(self) -> int:
        """Its columns; 80 where it does not say."""
        return os.get_terminal_size(self._fd).columns or 80

    def print(self, text: str = "") -> None:
        """A line on the terminal, wherever stdout and stderr lead."""
        self._write(text + "\n")

    def _write(self, text: str) -> None:
        data = text.encode()
        while data:
            data = data[os.write(self._fd, data) :]

    def ask(self, prompt: str) -> str:
        """A visible answer, stripped. Raises `KeyboardInterrupt` at end of file."""
        self._write(prompt)
        return self._read().decode("utf-8", "replace").strip()

    def ask_hidden(self, prompt: str) -> Typed:
        """An answer that is not shown. Raises `KvError("denied")` inside an agent's window."""
        refuse_agent()
        with self._silent():
            self._write(prompt)
            typed = Typed(self._read())
        self._write("\n")
        return typed

    def confirm(self, question: str, *, default: bool = False) -> bool:
        """A yes or a no; an empty answer is `default`."""
        answer = self.ask(f"{question}  [{'Y/n' if default else 'y/N'}] ").lower()
        return default if not answer else answer in {"y", "yes"}

    @contextlib.contextmanager
    def _silent(self) -> Iterator[None]:
        before = termios.tcgetattr(self._fd)
        after = [*before]
        after[3] &= ~termios.ECHO
        termios.tcsetattr(self._fd, termios.TCSAFLUSH, after)
        try:
            yield
        finally:
            termios.tcsetattr(self._fd, termios.TCSAFLUSH, before)

    def _read(self) -> bytes:
        data = b""
        while not data.endswith(b"\n"):
            chunk = os.read(self._fd, _LINE_MAX)
            if not chunk:
                raise KeyboardInterrupt  # Ctrl-D on an empty line, or the terminal is gone
            data += chunk
        return data.rstrip(b"\r\n")


def refuse_agent() -> None:
    """Raise `KvError("denied")` where an agent is among our ancestors."""
    if label := agent_above(os.getppid()):
        why = f"{label} started this, and could read what is typed here"
        raise KvError("denied", rule="own terminal", why=why, help="run it in a terminal of your own")


def from_descriptor(descriptor: int) -> Typed:
    """A passphrase from a descriptor: everything up to its end, less one newline. Raises `KvError("usage")`."""
    data = bytearray()
    try:
        while len(data) <= _LINE_MAX and (chunk := os.read(descriptor, _LINE_MAX)):
            data += chunk
        os.close(descriptor)
    except OSError:
        raise KvError("usage", why=f"descriptor {descriptor} cannot be read") from None
    if len(data) > _LINE_MAX:
        raise KvError("too-large", argument="passphrase", limit="4 KiB")
    if data.endswith(b"\n"):
        del data[-1:]
    return Typed(data)
