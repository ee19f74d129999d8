"""The arguments of every verb: one struct a verb, every field typed and bounded, nothing unknown let through.

Rules of this file
- What is not described here does not exist.
- Bounds are on the struct, with the reason beside them; the broker has its own on what it is given.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Name = Annotated[str, msgspec.Meta(max_length=259)]  # four parts of 64 and their slashes
Short = Annotated[str, msgspec.Meta(max_length=200)]  # what a person reads on one line
Text = Annotated[str, msgspec.Meta(max_length=65536)]  # a query or a header list; larger things go into bodies
Line = Annotated[str, msgspec.Meta(max_length=16384)]  # a public key or certificate is a kilobyte or two
Hex = Annotated[str, msgspec.Meta(max_length=512, pattern="^[0-9a-f]*$")]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=600)]  # longer waits are made of several


class Strict(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Base of all: an unknown member is an error, not a hint at a newer client."""


class Nothing(Strict, frozen=True):
    """A verb without arguments."""


class Proof(Strict, frozen=True):
    """Evidence of the human that came with this request."""

    kind: Literal["passphrase", "totp", "pin", "window", "held"]
    mac: Hex = ""
    code: Annotated[str, msgspec.Meta(max_length=16)] = ""
    pin: Annotated[str, msgspec.Meta(max_length=64)] = ""
    via: Literal["terminal", "fd"] = "terminal"


class Wait(Strict, frozen=True):
    """Take up a ticket."""

    ticket: Annotated[str, msgspec.Meta(max_length=16)]
    wait: Seconds = 45.0


class Ticket(Strict, frozen=True):
    """Name a ticket."""

    ticket: Annotated[str, msgspec.Meta(max_length=16)]


class Listing(Strict, frozen=True):
    """List names below a prefix."""

    prefix: Name = ""


Place = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]  # number of an entry: what SQLite holds
Many = Annotated[int, msgspec.Meta(ge=1, le=1000)]  # entries that are decoded while the loop stands still


class Page(Strict, frozen=True):
    """A page of the audit: entries after a number; or the `last` ones, of those before a number."""

    after: Place = 0
    limit: Many = 200
    last: Many | None = None
    before: Place | None = None
    alarms: bool = False
    export: bool = False


class Named(Strict, frozen=True):
    """Name a secret or connection."""

    name: Name


Number = Annotated[int, msgspec.Meta(ge=1, le=1 << 40)]  # of a revision: more than anyone stores in a lifetime


class Revision(Strict, frozen=True):
    """Name a revision; the newest without one."""

    name: Name
    revision: Number | None = None


class Restore(Strict, frozen=True):
    """Name the revision to bring back."""

    name: Name
    revision: Number


class Auth(Strict, frozen=True):
    """How the credential enters a request."""

    scheme: Annotated[str, msgspec.Meta(max_length=32)]
    options: dict[Annotated[str, msgspec.Meta(max_length=64)], Annotated[str, msgspec.Meta(max_length=512)]] = {}


class Declaration(Strict, frozen=True):
    """A connection as a person declares it; what it leaves out comes from the provider, or stays as it was."""

    name: Name
    kind: Annotated[str, msgspec.Meta(max_length=32)] | None = None
    provider: Name | None = None
    host: Annotated[str, msgspec.Meta(max_length=512)] | None = None
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] | None = None
    database: Short | None = None
    user: Short | None = None
    tls: Literal["verify-full", "plain"] | None = None
    functions: Annotated[list[Annotated[str, msgspec.Meta(max_length=64)]], msgspec.Meta(max_length=64)] | None = None
    path: Annotated[str, msgspec.Meta(max_length=1024)] | None = None
    host_key: Annotated[list[Line], msgspec.Meta(max_length=16)] | None = None
    jump: Name | None = None
    profiles: Annotated[dict[Short, object], msgspec.Meta(max_length=64)] | None = None
    allow: Annotated[list[Line], msgspec.Meta(max_length=64)] | None = None
    roots: Annotated[list[Line], msgspec.Meta(max_length=16)] | None = None
    cwd: Line | None = None
    env: Annotated[list[Short], msgspec.Meta(max_length=32)] | None = None
    certificate: Line | None = None
    principals: Annotated[list[Short], msgspec.Meta(max_length=16)] | None = None
    source_address: Line | None = None
    auth: Auth | None = None
    options: dict[Annotated[str, msgspec.Meta(max_length=64)], Annotated[str, msgspec.Meta(max_length=512)]] | None = (
        None
    )
    ca: Annotated[str, msgspec.Meta(max_length=65536)] | None = None  # a PEM bundle of a few certificates
    addresses: Annotated[list[Annotated[str, msgspec.Meta(max_length=64)]], msgspec.Meta(max_length=16)] | None = None
    insecure_loopback: bool | None = None
    encoded_slash: bool | None = None
    admission: Literal["ask", "always"] | None = None
    preset: Literal["balanced", "relaxed", "strict"] | None = None
    rules: Annotated[list[tuple[Literal["allow", "ask", "deny"], Short]], msgspec.Meta(max_length=64)] | None = None
    calls_per_hour: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] | None = None
    secrets: dict[Annotated[str, msgspec.Meta(max_length=64)], Name] | None = None


SecretClass = Literal["low", "normal", "high"]


class Set(Strict, frozen=True):
    """Store a value (the body) under a name, and the connection that uses it."""

    name: Name
    cls: SecretClass | None = msgspec.field(default=None, name="class")
    note: Short | None = None
    connection: Declaration | None = None
    replace: bool = True


class Generate(Strict, frozen=True):
    """Make a value in the keeper, shown to nobody."""

    name: Name
    length: Annotated[int, msgspec.Meta(ge=8, le=1024)] = 32
    alphabet: Literal["alnum", "hex", "base64url", "symbols", "digits"] = "alnum"
    cls: SecretClass | None = msgspec.field(default=None, name="class")
    note: Short | None = None
    replace: bool = False


class Item(Strict, frozen=True):
    """One value of an import: its size in the body."""

    name: Name
    size: Annotated[int, msgspec.Meta(ge=1, le=1 << 20)]
    connection: Declaration | None = None


class Import(Strict, frozen=True):
    """Many values, all or none."""

    items: Annotated[list[Item], msgspec.Meta(min_length=1, max_length=1000)]  # an .env of a thousand lines
    replace: bool = False


class Connect(Strict, frozen=True):
    """Make or change a connection, or remove it."""

    name: Name
    declaration: Declaration | None = None
    remove: bool = False


class Move(Strict, frozen=True):
    """Rename a secret; connections that use it follow."""

    old: Name
    new: Name


class Approve(Strict, frozen=True):
    """Say yes to what waits under an id."""

    id: Annotated[str, msgspec.Meta(max_length=16)]
    scope: Literal["once", "session", "project"] | None = None


class Id(Strict, frozen=True):
    """Say no to what waits under an id."""

    id: Annotated[str, msgspec.Meta(max_length=16)]


class Session(Strict, frozen=True):
    """Name a session."""

    session: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{16}$")]


class Slot(Strict, frozen=True):
    """A slot sealed by the client: the keeper never sees the passphrase or code it opens with."""

    slot: dict[str, object]


class Totp(Strict, frozen=True):
    """Enrol an app, confirm it with its first code, or drop it."""

    action: Literal["enrol", "confirm", "off"]
    code: Annotated[str, msgspec.Meta(max_length=16)] = ""


class Pin(Strict, frozen=True):
    """Enrol a PIN, or drop it."""

    action: Literal["enrol", "off"]
    pin: Annotated[str, msgspec.Meta(max_length=64)] = ""


class Setup(Strict, frozen=True):
    """Tell clients of kv, or take it back: what the command does, said to be recorded."""

    clients: Annotated[list[Annotated[str, msgspec.Meta(pattern="^[a-z0-9-]{1,32}$")]], msgspec.Meta(max_length=64)]
    undo: bool = False


class Lent(Strict, frozen=True):
    """A secret for a program, and where it gets it: a variable, a file below the folder, a descriptor's number."""

    name: Name
    via: Literal["env", "stdin", "file", "fd"]
    to: Annotated[str, msgspec.Meta(max_length=1024)] = ""


class Variables(Strict, frozen=True):
    """How many variables the body holds: `NAME=VALUE` each, ended by NUL."""

    environment: Annotated[int, msgspec.Meta(ge=0, le=20_000)]  # more than any shell has


class Run(Variables, frozen=True):
    """Start a program with secrets. The body holds its `argv` words, each ended by NUL, then the environment."""

    argv: Annotated[int, msgspec.Meta(ge=1, le=4096)]  # `xargs` goes beyond, people and agents do not
    lent: Annotated[list[Lent], msgspec.Meta(min_length=1, max_length=1024)]
    person: bool = False
    redact: bool = True
    clear: bool = False
    timeout: Annotated[float, msgspec.Meta(ge=0, le=86400 * 30)] = 0.0
    reason: Annotated[str, msgspec.Meta(max_length=2000)] = ""
    wait: Seconds = 180.0


class HandOff(Strict, frozen=True):
    """Ask for values for the shell of this session."""

    names: Annotated[list[Name], msgspec.Meta(min_length=1, max_length=16)]  # what a person reads on one card
    reason: Annotated[str, msgspec.Meta(max_length=2000)] = ""
    wait: Seconds = 180.0


class Take(Strict, frozen=True):
    """Take one of them."""

    token: Annotated[str, msgspec.Meta(max_length=64)]


class Backup(Strict, frozen=True):
    """Back the vault up into the folder whose descriptor came along."""

    file: Annotated[str, msgspec.Meta(max_length=255)]
