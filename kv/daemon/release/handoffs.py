"""The shell hand-off: a value for the asking session's own shell, by a token that is good once.

    kv get NAME         after a person's yes: a token a name, and no value
    kv take TOKEN       from the same session, within a minute: the value, once

Rules of this file
- Between the two lies no file and no pipe: a token is worth something only to the session that asked, which the kernel
  tells. Who else comes with it, or comes second, is an alarm, and the token is void.
- The value is opened when it is taken, after the audit has it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from brokers.contract import Connection, Effect, Plan
from kv.daemon import record
from kv.daemon.clock import boot_time
from kv.errors import KvError

if TYPE_CHECKING:
    from kv.audit.entry import Fields
    from kv.daemon.dispatch import Exchange
    from kv.daemon.house import House
    from kv.daemon.release.releases import JudgedRelease, Releases
    from kv.daemon.schema import HandOff, Take
    from kv.model import Approval, Caller

SECONDS = 60.0  # the shell takes it in the same breath
_REMEMBERED = 60.0  # s that a used token is known, for an alarm about who comes second
_MOST, _MOST_OF_ONE = 256, 32  # tokens, and of one session: two askings of the longest
_ONCE = "a value is handed over once, to the session that asked for it"


@dataclass(slots=True)
class _Token:
    name: str
    session: str
    judged: JudgedRelease
    approval: Approval | None
    until: float
    used: bool = False
    alarmed: bool = False


class HandOffs:
    """Hands values to shells. One per keeper."""

    def __init__(self, house: House, releases: Releases) -> None:
        self.house, self.releases = house, releases
        self._tokens: dict[str, _Token] = {}

    async def ask(self, exchange: Exchange) -> dict[str, object]:
        """Tokens for these names, once a person has said yes to all of them; or what to say until then.

        Raises `KvError`.
        """
        caller, args = exchange.caller, cast("HandOff", exchange.request.args)
        self.house.count_request(caller.session)
        self._check_room(caller.session, len(args.names))
        judged = self.releases.judge(caller, _plan(args.names), "get")
        approval = await self.releases.approval(exchange, judged, args.wait, args.reason)
        if isinstance(approval, dict):
            return approval
        self._check_room(caller.session, len(args.names))
        made = {name: self._token(name, caller, judged, approval) for name in args.names}
        return {"tokens": made, "seconds": int(SECONDS)}

    def _check_room(self, session: str, more: int) -> None:
        self._sweep()
        held = sum(token.session == session for token in self._tokens.values())
        if len(self._tokens) + more > _MOST or held + more > _MOST_OF_ONE:
            raise KvError("busy", what="values to be handed over")

    def _token(self, name: str, caller: Caller, judged: JudgedRelease, approval: Approval | None) -> str:
        text = secrets.token_hex(16)
        self._tokens[text] = _Token(name, caller.session, judged, approval, boot_time() + SECONDS)
        return text

    async def take(self, exchange: Exchange) -> tuple[dict[str, object], bytes]:
        """The value behind a token, once. Raises `KvError`."""
        caller = exchange.caller
        self.house.count_request(caller.session)
        self._sweep()
        token = self._tokens.get(cast("Take", exchange.request.args).token)
        if token is None:
            raise KvError("token-unknown")
        if token.used or token.session != caller.session:
            token.used = True
            again, token.alarmed = token.alarmed, True
            why = "a token of another session" if token.session != caller.session else "a token that was used"
            if not again:
                told: Fields = {"verb": "take", "title": f"{why}: {token.name}"}
                self.house.audit.alarm(**record.merge(record.who(caller), told))
            raise KvError("denied", rule=_ONCE, why=f"this is {why}", help="ask the user to look at kv audit tail")
        if boot_time() >= token.until:
            raise KvError("token-unknown")
        token.used = True
        facts = await self.releases.facts(caller, token.judged, "")
        intent = record.merge(facts, {"names": (token.name,), "verb": "take"}, record.by(token.approval, caller))
        with record.recorded(self.house.audit, intent):
            self.house.touch()
            self.releases.check_still(caller, token.judged)
            with self.house.spend(token.judged.plan.connection) as credential:
                return {"name": token.name}, credential[token.name].expose()

    def _sweep(self) -> None:
        now = boot_time()
        self._tokens = {text: each for text, each in self._tokens.items() if now < each.until + _REMEMBERED}


def _plan(names: list[str]) -> Plan:
    """The release of these values to a shell."""
    given = ", ".join(names)
    return Plan(
        connection=Connection(name="shell", kind="shell", target={}, scheme="", secrets={name: name for name in names}),
        effect=Effect.RELEASE,
        because="a shell is given the value itself",
        title=f"hand {given} to the shell",
        request={"names": sorted(names)},
        details=(
            ("gives", f"{given} to the shell of this session, and to all that it starts"),
            ("beware", "an agent in it can print the value: kv api and kv run would use it without handing it over"),
        ),
    )
