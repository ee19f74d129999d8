"""What a broker is: the words that `kv` and `brokers` share, and nothing else.

Rules of this file
- Standard library only; no I/O; no import of `kv`.
- A `Plan` is frozen and canonical: what was judged, shown, digested and recorded is what is performed.
- A `Secret` has no string form. Its bytes leave through `expose()` alone, which `grep` finds.
- A broker reports failure by `BrokerError`, whose codes are a closed list and whose words are literals
  of the broker's source: never a request, an answer or a driver's text.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NoReturn, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Mapping

    from brokers.message import Request, Response

_JSON = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True)


class Effect(StrEnum):
    """What a call does to the world. Ordered by how much it takes to allow it: see `severity`.

    `RELEASE` is no broker's: a program is given the value itself.
    """

    READ = "read"
    WRITE = "write"
    UNKNOWN = "unknown"
    DESTROY = "destroy"
    MINT = "mint"
    RELEASE = "release"

    @property
    def severity(self) -> int:
        """0 (read) to 5 (release); of several matching classes the most severe one counts."""
        return _SEVERITY[self]


_SEVERITY = {effect: at for at, effect in enumerate(Effect)}


class Secret:
    """A value that cannot be printed, compared, pickled or copied by accident.

    `expose()` is the only way out, and is called where a request is built and nowhere else.
    """

    __slots__ = ("_value", "name")

    def __init__(self, name: str, value: bytes) -> None:
        self.name = name
        self._value = value

    def expose(self) -> bytes:
        """The value itself, 1 byte to 1 MiB."""
        return self._value

    def __repr__(self) -> str:
        return f"<secret {self.name}>"

    __str__ = __repr__
    __hash__ = None  # type: ignore[assignment]  # a hash of the object says nothing, one of the value too much

    def __eq__(self, other: object) -> NoReturn:
        """Refuse: `==` on secrets is a timing leak where it works and a silent no where it does not."""
        raise TypeError("secrets are not compared")

    def __reduce__(self) -> NoReturn:
        """Refuse: a pickled secret is a secret on disk."""
        raise TypeError("secrets are not pickled")

    def __format__(self, spec: str) -> str:
        return repr(self)


@dataclass(frozen=True, slots=True)
class Credential:
    """The secrets lent to one call, by slot: `{"secret": …}` for one, more names for a scheme that takes several."""

    slots: Mapping[str, Secret]

    def __getitem__(self, slot: str) -> Secret:
        """The secret in `slot`; raises `BrokerError("credential")` where the connection declared none."""
        if slot not in self.slots:
            raise BrokerError("credential", why=f"the connection declares no secret for '{slot}'")
        return self.slots[slot]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one call. Seconds and bytes; each has a ceiling in the broker that reads it."""

    timeout: float = 30.0
    max_bytes: int = 1 << 20


@dataclass(frozen=True, slots=True)
class Connection:
    """A named target and how secrets are used on it, as a person declared it. JSON values throughout.

    `target` is the broker's own: for http `{"origin", "base_path", "addresses", "ca", "insecure_loopback",
    "encoded_slash"}`.
    `secrets` maps the slots of the auth scheme to names of secrets.
    """

    name: str
    kind: str
    target: Mapping[str, object]
    scheme: str
    options: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    provider: str = ""

    def canonical(self) -> dict[str, object]:
        """The JSON form that goes into a plan's digest: a changed connection is a changed plan."""
        return {
            "name": self.name,
            "kind": self.kind,
            "target": dict(self.target),
            "scheme": self.scheme,
            "options": dict(self.options),
            "secrets": dict(self.secrets),
            "provider": self.provider,
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """The frozen description of one call: judged, shown, digested, recorded and performed; the same object throughout.

    `request` is the broker's canonical JSON form of what will be sent (without the credential); `body` its payload.
    "capture" in it lists members of the answer that are new credentials, each with the name of the secret to be.
    A request of "path" may say in "alike" which other paths a server might take it for: deny and ask rules meet these.
    `title` is one line for a card ("POST https://api.test/v1/refunds"); `details` are further lines, (label, text).
    """

    connection: Connection
    effect: Effect
    because: str
    title: str
    request: Mapping[str, object]
    body: bytes = b""
    details: tuple[tuple[str, str], ...] = ()
    limits: Limits = field(default_factory=Limits)

    def canonical(self) -> bytes:
        """One JSON line, keys sorted, body by its SHA-256: equal plans have equal bytes."""
        return _JSON.encode(
            {
                "connection": self.connection.canonical(),
                "effect": self.effect.value,
                "request": dict(self.request),
                "body": hashlib.sha256(self.body).hexdigest(),
                "timeout": self.limits.timeout,
                "max_bytes": self.limits.max_bytes,
            }
        ).encode()

    def digest(self) -> str:
        """SHA-256 of `canonical()`, 64 hex digits: what an approval is bound to."""
        return hashlib.sha256(self.canonical()).hexdigest()


@dataclass(slots=True)
class Outcome:
    """What came back, *before* redaction: nothing of it may leave except through the redactor.

    `head` is the broker's JSON-able description (http: `{"status", "reason", "headers": [[name, value], …]}`); a broker
    that learns something at the end only (an exit status) completes it before `body` ends.
    `body` yields decoded chunks; `stderr` is a second stream of a broker that has one, and both must be read at once.
    Where these two may have ended in the middle of something, the head's `cut` is true.
    `aclose` frees the connection, and is called exactly once, whether or not the body was read to its end.
    """

    head: dict[str, object]
    body: AsyncIterator[bytes]
    aclose: Closer
    stderr: AsyncIterator[bytes] | None = None


class Closer(Protocol):
    """An async callable that frees what an outcome holds."""

    async def __call__(self) -> None:
        """Free it."""


class Safe(Protocol):
    """Where a broker puts what an auth flow got, the moment it has it: before it is sent anywhere, or told of."""

    def learn(self, connection: str, secret: Secret, seconds: float) -> None:
        """`secret` lets in for so long, and is to be looked for. Raises `BrokerError` where it cannot be."""

    def replace(self, connection: str, slot: str, before: Secret, after: Secret) -> None:
        """The other side takes `after` in the place of `before` from now on: it is to be stored."""


class AuthScheme(Protocol):
    """How a credential enters a request, as a pure flow: requests out, responses in, no I/O, no clock.

    (The shape is that of httpx's `Auth.auth_flow`.) `spelling` is how a person writes it, `basic[:USER]`: the name, and
    behind a colon what `parse` reads and `spell` writes. `reads_answers` says that the flow wants to see the answers;
    of one that does not, the first answer is the answer. A scheme keeps no state: calls of a connection share it.
    """

    name: str
    slots: tuple[str, ...]
    spelling: str
    reads_answers: bool

    def parse(self, rest: str) -> dict[str, str]:
        """The options that a person wrote behind the colon; "" for nothing. `check` judges them.

        Raises `BrokerError("options")` for what is not written as `spelling` says.
        """

    def spell(self, options: Mapping[str, str]) -> str:
        """What `parse` reads these options from."""

    def check(self, options: Mapping[str, str]) -> None:
        """Raise `BrokerError("options")` unless `options` are complete and well formed for this scheme."""

    def flow(
        self, request: Request, credential: Credential, options: Mapping[str, str]
    ) -> Generator[Request, Response, None]:
        """Yield the request with the credential in it; a scheme that mints tokens yields more than one."""

    def forms(self, credential: Credential, options: Mapping[str, str]) -> tuple[bytes, ...]:
        """Strings derived from the credential that travel in its place (`user:password`): needles too."""


class Broker(Protocol):
    """Performs calls of one kind."""

    kind: str
    wants: tuple[str, ...]  # the application's lookups that it is made with, by the names of its parameters
    quick: int  # bytes of arguments that it plans within some milliseconds; what is longer is planned beside the loop
    places: int  # calls that it has at work at once on one connection; a further one waits
    places_in_all: int  # and on all of them

    def plan(self, connection: Connection, arguments: Mapping[str, object], body: bytes = b"") -> Plan:
        """Pure: canonical plan of a call, or `BrokerError`."""

    def preview(self, plan: Plan) -> Plan | None:
        """Pure: a reading call whose answer tells how much `plan` would touch, `{"rows": N}`; None where none does."""

    async def perform(self, plan: Plan, credential: Credential) -> Outcome:
        """The only I/O to the outside. Raises `BrokerError`."""

    async def aclose(self) -> None:
        """Close every pooled connection."""


# code: its fields, all of them. The sentence a person reads stands in the application's list of errors.
BROKER_ERRORS = {
    "argument": ("argument", "why"),  # an argument of the call is refused
    "options": ("why",),  # the connection's declaration is incomplete or malformed
    "credential": ("why",),  # the credential does not fit the scheme
    "dns": (),  # the name does not resolve
    "address": ("kind",),  # the name resolves to a blocked address
    "connect": (),  # no connection could be made
    "tls": ("why",),  # the certificate is not valid for the name
    "timeout": ("seconds",),  # no answer in time
    "broken": (),  # the other side broke off or broke its protocol; what it was asked for may have happened
    "encoding": ("why",),  # the body's coding cannot be undone within bounds
    "login": ("why",),  # the other side refuses the credential, or asks for it in a way that gives it away
    "refused": ("why",),  # the other side refuses for a reason of its own before anything was performed
    "too-large": ("limit",),  # an answer is larger than may be held
    "host-key": ("pinned", "found"),  # the other side shows another key than the pinned one; both are fingerprints
    "missing": ("what",),  # a driver is not installed
}


class BrokerError(Exception):
    """A broker's failure. `fields` hold literals of the broker's own source and numbers, nothing that came in."""

    def __init__(self, code: str, **fields: str | int) -> None:
        if fields.keys() != set(BROKER_ERRORS[code]):
            raise KeyError(code)
        self.code = code
        self.fields = fields
        super().__init__(code)
