"""Strict decoding of requests: the table of verbs, and the one way from a frame to a typed request.

Rules of this file
- An unknown verb, member or type ends in one `KvError`.
- `VERBS` says what each socket can do, and which proof each verb takes.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, TypeVar

import msgspec

from kv.daemon.schema import (
    Approve,
    Backup,
    Connect,
    Generate,
    HandOff,
    Id,
    Import,
    Listing,
    Move,
    Named,
    Nothing,
    Page,
    Pin,
    Proof,
    Restore,
    Revision,
    Run,
    Session,
    Set,
    Setup,
    Slot,
    Strict,
    Take,
    Ticket,
    Totp,
    Variables,
    Wait,
)
from kv.daemon.uses import Call, Query, Ssh
from kv.errors import KvError

_T = TypeVar("_T", bound=Strict)


class Needs(StrEnum):
    """Which proof a verb takes."""

    NOTHING = "nothing"
    WINDOW = "window"  # any proof, or one of the last five minutes by the same parent
    FRESH = "fresh"  # any proof, given for this very act
    PASSPHRASE = "passphrase"  # noqa: S105 - a word, not one; the passphrase, given for this very act


class Verb(NamedTuple):
    """A row of `VERBS`: the schema of its arguments, what it needs, whether the agents' socket has it, whether it uses.

    `uses`: having succeeded it starts the vault's idle time anew. Looking is not using: an editor that polls the status
    would keep a vault open for ever. A `call` uses the vault when it is performed, not when it is made.
    """

    schema: type[Strict]
    needs: Needs
    agents: bool = False
    uses: bool = False


VERBS: dict[str, Verb] = {
    "status": Verb(Nothing, Needs.NOTHING, agents=True),
    "list": Verb(Listing, Needs.NOTHING, agents=True),
    "providers": Verb(Nothing, Needs.NOTHING, agents=True),
    "call": Verb(Call, Needs.NOTHING, agents=True),
    "query": Verb(Query, Needs.NOTHING, agents=True),
    "explain": Verb(Call, Needs.NOTHING, agents=True),
    "explain-query": Verb(Query, Needs.NOTHING, agents=True),
    "ssh": Verb(Ssh, Needs.NOTHING, agents=True),
    "explain-ssh": Verb(Ssh, Needs.NOTHING, agents=True),
    "run": Verb(Run, Needs.NOTHING, agents=True),
    "hand-off": Verb(HandOff, Needs.NOTHING, agents=True),
    "take": Verb(Take, Needs.NOTHING, agents=True),
    "peek": Verb(Named, Needs.NOTHING, agents=True),
    "carried": Verb(Variables, Needs.NOTHING, agents=True),
    "wait": Verb(Wait, Needs.NOTHING, agents=True),
    "withdraw": Verb(Ticket, Needs.NOTHING, agents=True),
    "approvals": Verb(Nothing, Needs.NOTHING, agents=True),
    "audit": Verb(Page, Needs.NOTHING, agents=True),
    "challenge": Verb(Nothing, Needs.NOTHING),
    "lock": Verb(Nothing, Needs.NOTHING),
    "panic": Verb(Nothing, Needs.NOTHING),
    "show": Verb(Named, Needs.NOTHING),
    "history": Verb(Named, Needs.NOTHING),
    "connections": Verb(Nothing, Needs.NOTHING),
    "login": Verb(Named, Needs.FRESH, uses=True),
    "inspect": Verb(Named, Needs.WINDOW, uses=True),
    "set": Verb(Set, Needs.WINDOW, uses=True),
    "generate": Verb(Generate, Needs.WINDOW, uses=True),
    "import": Verb(Import, Needs.WINDOW, uses=True),
    "connect": Verb(Connect, Needs.FRESH, uses=True),
    "mv": Verb(Move, Needs.WINDOW, uses=True),
    "rm": Verb(Named, Needs.WINDOW, uses=True),
    "restore": Verb(Restore, Needs.WINDOW, uses=True),
    "get": Verb(Revision, Needs.PASSPHRASE, uses=True),
    "approve": Verb(Approve, Needs.FRESH, uses=True),
    "deny": Verb(Id, Needs.FRESH, uses=True),
    "unfreeze": Verb(Session, Needs.FRESH, uses=True),
    "audit-verify": Verb(Nothing, Needs.NOTHING),
    "passwd": Verb(Slot, Needs.PASSPHRASE, uses=True),
    "recovery": Verb(Slot, Needs.PASSPHRASE, uses=True),
    "totp": Verb(Totp, Needs.PASSPHRASE, uses=True),
    "pin": Verb(Pin, Needs.PASSPHRASE, uses=True),
    "setup": Verb(Setup, Needs.FRESH, uses=True),
    "backup": Verb(Backup, Needs.NOTHING),
}


class Request(NamedTuple):
    """A request, decoded: `args` is an instance of its verb's schema."""

    name: str
    verb: Verb
    args: Strict
    raw: dict[str, object]
    proof: Proof | None
    relay: bool
    body: bytes


def decode(header: dict[str, object], body: bytes, channel: str) -> Request:
    """The request in a frame. Raises `KvError`: `bad-verb`, `bad-argument`, `bad-frame`."""
    unknown = header.keys() - {"verb", "args", "client", "proof"}
    name, raw, client = header.get("verb"), header.get("args", {}), header.get("client")
    if unknown or not isinstance(name, str) or not isinstance(raw, dict) or client not in ("cli", "mcp"):
        raise KvError("bad-frame", why="a request has verb, args, client and perhaps a proof")
    verb = VERBS.get(name)
    if verb is None or (channel == "agent" and not verb.agents):
        raise KvError("bad-verb")
    if "proof" in header and channel == "agent":  # no verb there takes one, and a guesser must not get to try
        raise KvError("bad-argument", argument="proof", why="the agents' socket takes none")
    proof = _convert(header["proof"], Proof, "proof") if "proof" in header else None
    args = _convert(raw, verb.schema, name)
    return Request(name, verb, args, raw, proof, client == "mcp", body)


def _convert(value: object, schema: type[_T], what: str) -> _T:
    try:
        return msgspec.convert(value, schema, strict=True)
    except msgspec.ValidationError as error:
        raise KvError("bad-argument", argument=_place(str(error)) or what, why="it has another shape") from None
    except (ValueError, OverflowError, RecursionError):
        raise KvError("bad-argument", argument=what, why="it has another shape") from None


def _place(message: str) -> str:
    """The member's name in msgspec's message (`… - at `$.wait``): a word of our own schema, and only if it is."""
    place = message.rpartition("`$.")[2].rstrip("`") if "`$." in message else ""
    return place if place.replace(".", "").replace("_", "").replace("[", "").replace("]", "").isalnum() else ""
