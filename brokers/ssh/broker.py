"""The SSH broker: a pure `plan`, and a `perform` that runs what was planned and nothing else.

Rules of this file
- `plan` knows no secret and asks nobody. The command line in the plan is the one that is sent, byte for byte.
- The credential logs in, and is seen by no command: no agent, no environment, no argument carries it.
- Nothing that may have begun is tried again. A session that was kept and is found dead before anything was asked of the
  server gives way to the next, until one is new.
- What the server says of itself, its greeting and its error messages, never gets into an error.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from brokers.arguments import refuse
from brokers.contract import BrokerError, Credential, Effect, Outcome, Plan
from brokers.resolver import system_resolver
from brokers.ssh import book, card, command, jump, remote
from brokers.ssh.arguments import decode
from brokers.ssh.call import GoneError
from brokers.ssh.copying import Copy
from brokers.ssh.kind import account
from brokers.ssh.login import Leg
from brokers.ssh.pool import MAX_CALLS, MAX_LANES, Pool
from brokers.ssh.running import Run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from brokers.contract import Connection, Limits
    from brokers.resolver import Resolver
    from brokers.ssh.arguments import Draft
    from brokers.ssh.call import Call
    from brokers.ssh.pool import Loan

# Variables that change how something is shown, and not what is done: with them a reading profile stays one.
HARMLESS = frozenset({"LANG", "LANGUAGE", "TZ", "TERM", "COLUMNS", "LINES", "NO_COLOR"})

_KEEPS_TIME = ("timeout", "-k", "5")  # of GNU and BusyBox: TERM after so long, and KILL five seconds later
_LATER = 30.0  # seconds: those five, and what it takes to log in


class SshBroker:
    """Commands and copies over SSH. `resolver` is asked for names without pins."""

    kind = "ssh"
    wants: tuple[str, ...] = ()
    quick = 16 << 10
    places, places_in_all = MAX_CALLS, MAX_CALLS * MAX_LANES

    def __init__(self, resolver: Resolver = system_resolver) -> None:
        self._pool = Pool(resolver)

    def plan(self, connection: Connection, arguments: Mapping[str, object], body: bytes = b"") -> Plan:
        """The canonical plan of a call. Raises `BrokerError`: `argument`, `options`."""
        draft = decode(arguments, body)
        jump.check(connection.target)
        return _exec(connection, draft) if draft.act == "exec" else _copy(connection, draft)

    def preview(self, plan: Plan) -> Plan | None:
        """None: no server says what a command would do."""
        del plan
        return None

    async def perform(self, plan: Plan, credential: Credential) -> Outcome:
        """Run or copy what was planned. The outcome of a command has two streams, and both must be read at once.

        Raises `BrokerError`.
        """
        deadline = asyncio.get_running_loop().time() + plan.limits.timeout
        try:
            loan, call = await self._started(plan, credential, deadline)
        except TimeoutError:
            raise BrokerError("timeout", seconds=max(1, round(plan.limits.timeout))) from None

        async def aclose() -> None:
            try:
                await call.aclose()
            finally:
                loan.release()

        # A copy has one stream: what it says of itself is an error of the list.
        return Outcome(
            call.head, call.out.chunks(), aclose, stderr=call.err.chunks() if isinstance(call, Run) else None
        )

    async def _started(self, plan: Plan, credential: Credential, deadline: float) -> tuple[Loan, Call]:
        leg, hop = _legs(plan, credential)
        while True:
            loan = await self._pool.borrow(leg, hop, deadline)
            call = _call(plan, loan)
            try:
                await call.start(deadline, plan.limits.timeout)
            except GoneError:
                loan.session.cut()
                loan.release()
                if not loan.kept:
                    raise BrokerError("broken") from None
            except BrokerError as error:
                loan.release()
                raise BrokerError(error.code, **error.fields) from None
            except BaseException:
                loan.release()
                raise
            else:
                return loan, call

    async def aclose(self) -> None:
        """Close every session."""
        await self._pool.aclose()


def _exec(connection: Connection, draft: Draft) -> Plan:
    target = connection.target
    pages = book.of(target)
    words = draft.argv
    if draft.profile:
        words = pages.named(draft.profile).words(draft.arguments, pages.roots)
    cwd = draft.cwd or str(target.get("cwd") or "")
    if not set(draft.env) <= set(cast("Sequence[str]", target.get("env") or ())):
        refuse("env", "a variable that the connection does not allow")
    held = book.classify(words, pages, stdin=bool(draft.body))
    line = command.line((*_KEEPS_TIME, str(held.timeout), *words) if held.timeout else words, cwd, draft.env)
    effect, because = held.effect, held.because
    if effect is Effect.READ and not HARMLESS.issuperset(draft.env):
        effect, because = Effect.UNKNOWN, "a variable may change what an otherwise known command does"
    if draft.cwd and draft.cwd != target.get("cwd") and not held.anywhere and effect.severity < Effect.UNKNOWN.severity:
        # `make deploy` and `git status` do what the folder's files say, and the folder is the agent's choice here.
        effect, because = Effect.UNKNOWN, "a known command, but in another folder than the connection's"
    if effect is Effect.UNKNOWN and not card.fits(line):
        refuse("argv", "it is more than a card shows: put it into a file on the server, or have a profile made")
    details = _details(line, draft.body)
    details += [("folder", cwd)] if cwd else []
    details += [("profile", held.profile)] if held.profile else []
    details += _way(target)
    return Plan(
        connection=connection,
        effect=effect,
        because=because,
        title=card.title("ssh", account(target), line),
        request={
            "method": "PROFILE" if draft.profile else "EXEC",
            "command": line,
            "argv": list(words),
            "profile": draft.profile or held.profile,
            "cwd": cwd,
            "env": dict(draft.env),
            "timeout": held.timeout,
        },
        body=draft.body,
        details=tuple(details),
        limits=_limits(draft.limits, held.timeout),
    )


def _limits(given: Limits, timeout: int) -> Limits:
    """With the time that the server needs to end what has taken too long: hanging up before that would leave it."""
    return replace(given, timeout=max(given.timeout, timeout + _LATER)) if timeout else given


def _details(line: str, body: bytes) -> card.Lines:
    """The command and what it is given; what a person does not see of either is said first of all."""
    shown = card.command(line)
    cautions, lines = card.given(body, len(shown))
    return [*cautions, *shown, *lines]


_COPIES = {
    ("get", False): (Effect.READ, "it reads a file beneath a declared root"),
    ("list", False): (Effect.READ, "it lists a folder beneath a declared root"),
    ("put", False): (Effect.WRITE, "it creates a file beneath a declared root"),
    ("put", True): (Effect.DESTROY, "it overwrites a file beneath a declared root"),
}
_HIDDEN = {
    "get": (Effect.UNKNOWN, "it reads what is hidden, which no root of the connection names"),
    "put": (Effect.MINT, "it writes what is hidden, which no root of the connection names: it may let somebody in"),
}


def _copy(connection: Connection, draft: Draft) -> Plan:
    target = connection.target
    if connection.scheme == "ca":
        raise BrokerError("options", why="a one-command certificate copies no files: it would let in for all of SFTP")
    root = remote.root_of(draft.path, book.of(target).roots)
    if root is None:
        refuse("path", "it lies outside the roots that a person declared")
    if draft.act == "put" and draft.path == root:
        refuse("path", "a file is put beneath a root, not in its place")
    effect, because = _COPIES[draft.act, draft.overwrite]
    if remote.hidden(draft.path, book.of(target).roots):
        effect, because = _HIDDEN["put" if draft.act == "put" else "get"]
    file = card.file(draft.body) if draft.act == "put" else []
    return Plan(
        connection=connection,
        effect=effect,
        because=because,
        title=card.title("ssh", account(target), f"{draft.act} {draft.path}"),
        request={
            "method": draft.act.upper(),
            "path": draft.path,
            "overwrite": draft.overwrite,
            "command": "",
            "profile": "",
        },
        body=draft.body,
        details=(*card.whole("path", draft.path), *card.whole("root", root), *_way(target), *file),
        limits=draft.limits,
    )


def _way(target: Mapping[str, object]) -> list[tuple[str, str]]:
    inner = target.get("jump")
    if not inner:
        return []
    return [("through", account(cast("Mapping[str, Mapping[str, object]]", inner)["target"]))]


def _legs(plan: Plan, credential: Credential) -> tuple[Leg, Leg | None]:
    connection = plan.connection
    way = jump.hop(connection.target, credential)
    own = {slot: held for slot, held in credential.slots.items() if not slot.startswith(jump.PREFIX)}
    line = str(plan.request["command"])
    leg = Leg(connection.target, connection.scheme, Credential(own), line, plan.digest())
    return leg, None if way is None else Leg(*way)


def _call(plan: Plan, loan: Loan) -> Call:
    if plan.request["method"] in {"EXEC", "PROFILE"}:
        return Run(loan.session, str(plan.request["command"]), plan.body, timed=bool(plan.request["timeout"]))
    return Copy(loan.session, plan.request, book.of(plan.connection.target).roots, plan.body)
