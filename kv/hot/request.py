"""A call as the wire takes it, and what every verb that makes one takes from a command line.

Rules of this file
- It only spells the request; what may be sent is judged by the keeper, by the same function for every client.
- What one verb alone has stands with that verb: `call`, `statement`, `ssh`.
"""

from __future__ import annotations

import os

from kv.client import AGENT, Client
from kv.errors import KvError
from kv.hot.person import announce
from kv.paths import vault_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kv.client import Answer
    from kv.hot.arguments import Arguments, Table

_MAX_INPUT = 16 << 20  # the keeper's bound on a body: read no more than shows that it is passed


class Call:
    """A call as the wire takes it: `args`, and the raw `body` beside them."""

    def __init__(self, args: dict[str, object], body: bytes) -> None:
        self.args = args
        self.body = body


def shared(max_bytes: str, timeout: str) -> Table:
    """The options that every call has; what its two bounds are of is the verb's to say."""
    return {
        "--max-bytes": ("max_bytes", "N", max_bytes),
        "--timeout": ("timeout", "SECONDS", timeout),
        "--reason": ("reason", "TEXT", "why, for the person who is asked"),
        "--wait": ("wait", "SECONDS", "how long to wait for a person (180); 0 prints a ticket at once"),
    }


def stated(found: Arguments, *texts: str) -> dict[str, object]:
    """What was said of those, and of the options called `texts`. Raises `KvError("usage")`."""
    args: dict[str, object] = {}
    for name in (*texts, "reason"):
        if (text := found.get(name)) is not None:
            args[name] = text
    for name, kind in (("max_bytes", int), ("timeout", float), ("wait", float)):
        if (number := found.number(name, kind)) is not None:
            args[name] = number
    return args


def read_input(text: str) -> bytes:
    """The bytes that TEXT, @FILE or - stand for. Raises `KvError("disk" | "too-large")`."""
    if text == "-":
        import sys

        data = sys.stdin.buffer.read(_MAX_INPUT + 1)
    elif text.startswith("@"):
        try:
            with open(text[1:], "rb") as file:
                data = file.read(_MAX_INPUT + 1)
        except OSError as error:
            raise KvError("disk", act="read", path=text[1:], why=os.strerror(error.errno or 0)) from None
    else:
        data = text.encode("utf-8", "surrogateescape")
    if len(data) > _MAX_INPUT:
        raise KvError("too-large", argument="body", limit="16 MiB")
    return data


def ask(verb: str, found: Arguments, call: Call, output: Callable[[str, bytes], None] | None = None) -> Answer:
    """Have the keeper perform it; what it saves is saved below this folder. Raises `KvError`.

    `output` is given what a live command says: the stream's name, and bytes.
    """
    vault = vault_path(found.get("vault"))
    waits = announce(vault, quiet=found.get("wait") == "0")
    if "save" not in call.args:
        with Client(vault, AGENT) as client:
            return client.ask(verb, call.args, call.body, event=waits, output=output)
    from kv.hot.meter import Meter

    folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    with Client(vault, AGENT) as client, Meter() as meter:

        def event(told: dict[str, object]) -> None:
            if told.get("event") == "progress":
                meter.show(told.get("bytes"))
            else:
                waits(told)

        args = {**call.args, "live": True} if meter.on else call.args
        return client.ask(verb, args, call.body, folder=folder, event=event)
