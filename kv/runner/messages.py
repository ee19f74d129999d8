"""What travels between keeper, runner and client of a run: one JSON object a message, read strictly.

Rules of this file
- Unknown members are refused, every number has a bound: the client's side is whoever the agent wrote.
- Text that is not UTF-8 (arguments, names of files) travels by `surrogateescape` and comes out as the same bytes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Generic, Literal, TypeVar

import msgspec

from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_HEADER = 32 << 20  # bytes of an order: the kernel takes 6 MiB of arguments and environment, JSON at worst sixfold
MAX_PACKET = 64 << 10
MAX_VALUE = 1 << 20

_Cells = Annotated[int, msgspec.Meta(ge=0, le=0xFFFF)]  # `struct winsize` has 16 bits
_Flags = Annotated[int, msgspec.Meta(ge=0, le=0xFFFFFFFF)]
_Byte = Annotated[int, msgspec.Meta(ge=0, le=0xFF)]
_Limit = Annotated[int, msgspec.Meta(ge=-1, le=(1 << 63) - 1)]  # -1: RLIM_INFINITY
_Number = Annotated[int, msgspec.Meta(ge=1, le=64)]  # of a signal
Size = tuple[_Cells, _Cells]
Modes = tuple[_Flags, _Flags, _Flags, _Flags, _Flags, _Flags, Annotated[list[_Byte], msgspec.Meta(max_length=64)]]
Stream = Literal["tty", "given", "closed"]


class Needled(msgspec.Struct, forbid_unknown_fields=True):
    """Keeper to nursery: a memfd of this size holds the needles (`kv.runner.main`)."""

    needles: Annotated[int, msgspec.Meta(ge=0, le=1 << 31)]


class Begin(msgspec.Struct, forbid_unknown_fields=True):
    """Keeper to nursery: fork a runner for the two channels that come along."""

    run: bool


class Lent(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One secret and how it is handed over. `to`: a variable, a relative path, or a number, by `via`."""

    name: str
    via: Literal["env", "stdin", "file", "fd"]
    to: str
    size: Annotated[int, msgspec.Meta(ge=0, le=MAX_VALUE)]


class Order(msgspec.Struct, forbid_unknown_fields=True):
    """Keeper to runner: the program to start. `kv.runner.order` reads it, with the values that follow.

    `pin` is (device, inode, size, mtime in ns, ctime in ns) of the executable, `folder` (device, inode) of the folder.
    """

    argv: Annotated[list[str], msgspec.Meta(min_length=1)]
    executable: str
    pin: tuple[int, int, int, int, int]
    environment: dict[str, str]
    folder: tuple[int, int]
    lent: list[Lent]
    redact: bool
    prompt: bool
    privileges: bool
    timeout: Annotated[float, msgspec.Meta(ge=0, le=1e9)]


class Kill(msgspec.Struct, forbid_unknown_fields=True):
    """Keeper to runner: end the program now."""

    kill: bool


class Hello(msgspec.Struct, forbid_unknown_fields=True):
    """Client to runner, once: its streams, terminal and limits.

    The descriptors of what is "given" come along, in order; then, if there is a terminal, one end of the pair of
    sockets that its bytes travel by. `foreground`: the program has the terminal from the start; otherwise it gets it
    when it first asks for it.
    """

    streams: tuple[Stream, Stream, Stream]
    terminal: Size | None
    modes: Modes | None
    umask: Annotated[int, msgspec.Meta(ge=0, le=0o777)]
    limits: Annotated[dict[str, tuple[_Limit, _Limit]], msgspec.Meta(max_length=32)]
    ignored: Annotated[list[_Number], msgspec.Meta(max_length=8)]
    foreground: bool


class Signal(msgspec.Struct, forbid_unknown_fields=True):
    """Client to runner: it received this signal."""

    signal: _Number


class Resize(msgspec.Struct, forbid_unknown_fields=True):
    """Client to runner: the terminal's rows and columns."""

    size: Size


class Continue(msgspec.Struct, forbid_unknown_fields=True):
    """Client to runner: it goes on after a stop; the size if there is a terminal, and whether it has that one again."""

    size: Size | None = msgspec.field(name="continue")
    foreground: bool


_Kind = TypeVar("_Kind", bound=msgspec.Struct)


class Kinds(Generic[_Kind]):
    """The kinds of message that one side takes at one place, told apart by their first members."""

    def __init__(self, *kinds: type[_Kind]) -> None:
        self._kinds = kinds

    def read(self, data: bytes | bytearray) -> _Kind:
        """The message in `data`. Raises `KvError("bad-frame")`."""
        try:
            members = json.loads(data.decode("utf-8", "surrogateescape"), object_pairs_hook=_no_duplicates)
            for kind in self._kinds:
                if kind.__struct_encode_fields__[0] in members:
                    return msgspec.convert(members, kind)
        except (TypeError, ValueError, RecursionError):  # msgspec's errors are `ValueError`s
            pass
        raise KvError("bad-frame", why="not a message of a run")


Message = Signal | Resize | Continue
TO_NURSERY = Kinds[Needled | Begin](Needled, Begin)
ORDER = Kinds[Order](Order)
KILL = Kinds[Kill](Kill)
HELLO = Kinds[Hello](Hello)
FROM_CLIENT = Kinds[Message](Signal, Resize, Continue)


def spell(message: Mapping[str, object]) -> bytes:
    """A message as it travels."""
    return json.dumps(message, separators=(",", ":")).encode()


def _no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found
