"""Calls that wait for a person, and the person's answers.

Rules of this file
- `approve`, `deny`, `admit` and `unfreeze` are a person's acts: they run after a proof was checked and never on behalf
  of `agent.sock`. `approve` and `deny` refuse a kind of proof that is not fresh, whoever calls them.
- An asking ends once: approved, denied, expired, withdrawn or frozen; whichever comes first. The waiter is
  registered before anyone can see the asking, so no answer is ever lost.
- An answer is for one digest, one session and one policy revision, and is handed out once.
- Nothing here outlives the session's process: the dead cannot be approved.
"""

from __future__ import annotations

import asyncio
import math
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from brokers.contract import Effect
from kv.daemon import ids
from kv.daemon.budget import Prompts
from kv.daemon.standing import PANIC, Standings
from kv.errors import KvError, clean
from kv.model import FRESH_PROOFS, Approval, Pending, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from brokers.contract import Plan
    from kv.model import Caller, Decision, Process, Standing

WAIT = 180.0  # s: long enough to fetch a phone, short enough that the person still knows what it was about
TAKE = 10.0  # s an answer stays for its waiter, which takes it within milliseconds unless it is gone
PER_SESSION, OVERALL = 8, 64  # waiting calls: more is a loop, and a card longer than a screen is not read
HELD_BYTES = 64 << 20  # bodies of waiting calls: 64 of 16 MiB would be a gigabyte of the keeper's memory
REASON = 200  # characters of the agent's reason: two lines on a card; of more, the two ends

_POLL = 5.0  # s: the loop's clock stands still while the machine sleeps and the boot-time clock does not


@dataclass(slots=True, eq=False)
class _Asking:
    pending: Pending
    answer: asyncio.Future[None]
    approval: Approval | None = None
    failure: KvError | None = None
    lapses: float = math.inf  # when an answer that no waiter took is forgotten


class Approvals:
    """Every waiting call of the keeper, and what every session has been allowed.

    `clock` gives boot-time seconds, `alive` whether a process still exists, `revision` the policy revision that
    is in force now. All three are asked at the moment of an answer, never remembered.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        tokens: Callable[[int], bytes] = secrets.token_bytes,
        *,
        alive: Callable[[Process], bool],
        revision: Callable[[], int],
    ) -> None:
        self._clock, self._tokens, self._alive, self._revision = clock, tokens, alive, revision
        self._askings: dict[str, _Asking] = {}
        self._prompts = Prompts()
        self._standings = Standings()

    def open(self, caller: Caller, plan: Plan, decision: Decision, reason: str, policy_revision: int) -> Pending:
        """Register a call that waits; an identical one of the session that waits already is joined.

        Whoever finds the returned id among its tickets follows that ticket: one answer resumes one call.
        Raises `KvError`: frozen, rate (too many askings), busy (too many, or too much, waiting).
        """
        if decision.verdict is not Verdict.ASK:
            raise ValueError("only an ask can wait")
        now = self._sweep()
        if why := self._standings.frozen(caller.session):
            raise KvError("frozen", why=why)
        digest = plan.digest()
        for pending in self._undecided(caller.session):
            if (pending.digest, pending.policy_revision) == (digest, policy_revision):
                return pending
        self._bound(caller.session, len(plan.body))
        self._prompts.take(caller.session, now)
        pending = Pending(
            id=ids.new(self._askings, self._tokens),
            caller=caller,
            plan=plan,
            digest=digest,
            decision=decision,
            reason=clean(reason, limit=REASON),
            policy_revision=policy_revision,
            nonce=self._tokens(16).hex(),
            opened=now,
            expires=now + WAIT,
        )
        self._askings[pending.id] = _Asking(pending, asyncio.get_running_loop().create_future())
        return pending

    async def wait(self, pending: Pending) -> Approval:
        """The person's approval, handed out exactly once; the call is then performed at once.

        Raises `KvError`: expired (the default is no), refused, frozen, denied (the policy changed or the session
        ended meanwhile), unknown-approval (withdrawn, or taken by another waiter).
        """
        asking = self._askings.get(pending.id)
        if asking is None or asking.pending is not pending:
            raise KvError("unknown-approval", id=pending.id)
        while not asking.answer.done():
            left = max(0.0, pending.expires - self._clock())
            await asyncio.wait({asking.answer}, timeout=min(left, _POLL))
            self._sweep()
            if not asking.answer.done() and (stale := self._stale(pending)):
                self._settle(asking, stale)
        if self._askings.get(pending.id) is asking:
            del self._askings[pending.id]
        approval, asking.approval = asking.approval, None
        # once more, since the world may have moved between the answer and this line
        failure = asking.failure or self._stale(pending)
        if approval is None or failure is not None:
            raise failure or KvError("unknown-approval", id=pending.id)
        return approval

    def withdraw(self, pending: Pending) -> None:
        """The caller went away: nothing waits any more, and an approval not yet taken is void."""
        asking = self._askings.get(pending.id)
        if asking is not None and asking.pending is pending:
            self._settle(asking, KvError("unknown-approval", id=pending.id))

    def waiting(self, session: str | None) -> list[Pending]:
        """What waits for an answer, oldest first: one session's, or everybody's for None (a person with proof only)."""
        self._sweep()
        return self._undecided(session)

    def standing(self, session: str, project: str, now: float) -> Standing:
        """What `session`, working in `project` ("" for none), has at `now`."""
        return self._standings.of(session, project, now)

    def check(self, id: str, by: str, session_of_approver: str, scope: str | None) -> Pending:  # noqa: A002 - the wire's word
        """What a yes would answer, which `approve` does if called at once. Raises what that raises."""
        asking = self._find(id, by)
        pending, asker = asking.pending, asking.pending.caller
        if asker.agent and session_of_approver in {asker.session, asker.client_session}:
            rule, helps = "an approval never comes from the session that asks", "run kv approve in another terminal"
            raise KvError("denied", rule=rule, why="kv approve ran inside that session", help=helps)
        if (scope or "once") not in pending.decision.scopes:
            raise KvError("bad-argument", argument="scope", why=f"this takes {' or '.join(pending.decision.scopes)}")
        if stale := self._stale(pending):
            self._settle(asking, stale)
            raise stale
        return pending

    def approve(self, id: str, by: str, session_of_approver: str, scope: str | None) -> Pending:  # noqa: A002 - the wire's word
        """Answer one asking with yes and leave behind what `scope` (None: "once") says; its waiter resumes.

        A "session" answer also resumes the session's other waiting calls that it covers. A "project" answer is the
        caller's to seal into the vault before. Raises `KvError`: proof-kind, unknown-approval, expired, denied (policy
        changed, session ended, or the approver sits in the agent's own), bad-argument (a scope that is not offered).
        """
        pending, now, scope = self.check(id, by, session_of_approver, scope), self._clock(), scope or "once"
        self._standings.remember(pending, scope, now)
        for each in (pending, *(self._like(pending) if scope == "session" else ())):
            self._settle(self._askings[each.id], each.approved(by, session_of_approver, scope, now, under=pending.id))
        return pending

    def deny(self, id: str, by: str) -> Pending:  # noqa: A002 - the wire's word
        """Answer with no; the third within five minutes freezes the session.

        Raises `KvError`: proof-kind, unknown-approval, expired.
        """
        asking = self._find(id, by)
        self._settle(asking, KvError("refused", id=asking.pending.id))
        session = asking.pending.caller.session
        if self._standings.denied(session, self._clock()):
            self.freeze(session, "a person denied three of its calls within five minutes")
        return asking.pending

    def admit(self, connection: str, *, session: str = "", project: str = "", until: float = math.inf) -> None:
        """Remember an admission that a person gave: of a session for its life, or of a project before `until`."""
        if bool(session) == bool(project):
            raise ValueError("an admission is a session's or a project's")
        self._standings.admit(connection, session, project, until)

    def remember_release(self, session: str, plan: str) -> None:
        """Remember that a person proved this very plan in this session."""
        self._standings.remember_release(session, plan, self._clock())

    def unfreeze(self, session: str) -> None:
        """Let a frozen session ask again, from nothing. After `panic` only a new keeper helps."""
        self._standings.unfreeze(session)

    def frozen(self) -> dict[str, str]:
        """Every frozen session, and why."""
        return self._standings.all_frozen()

    def withheld(self, session: str) -> bool:
        """A result was withheld as a confirmed guess; the third freezes the session, and then this is True."""
        if freezes := self._standings.withheld(session):
            self.freeze(session, "three of its results confirmed a guess at a secret")
        return freezes

    def freeze(self, session: str, why: str) -> None:
        """End what the session has waiting, drop what it was allowed, and refuse it until `unfreeze`."""
        self._standings.freeze(session, why)
        for asking in self._of(session):
            self._settle(asking, KvError("frozen", why=why))

    def end(self, session: str) -> None:
        """The session is over: what it had, and what it waited for, goes with it. A freeze stays."""
        self._standings.end(session)
        for asking in self._of(session):
            self.withdraw(asking.pending)

    def forget(self, connection: str) -> None:
        """The connection was changed or removed: its grants and admissions were for the one before."""
        self._standings.forget(connection)

    def panic(self) -> None:
        """Drop everything and freeze every session, known or new, for the rest of this keeper's life."""
        self._standings.panic()
        for asking in self._of(None):
            self._settle(asking, KvError("frozen", why=PANIC))

    def _of(self, session: str | None) -> list[_Asking]:
        return [a for a in self._askings.values() if session in {None, a.pending.caller.session}]

    def _undecided(self, session: str | None) -> list[Pending]:
        return [a.pending for a in self._of(session) if not a.answer.done()]

    def _bound(self, session: str, size: int) -> None:
        """Raise where one more asking, with a body of `size` bytes, would pass a bound."""
        if len(self._undecided(session)) >= PER_SESSION:
            raise KvError("busy", what=f"waiting calls of one session ({PER_SESSION})")
        if len(self._undecided(None)) >= OVERALL:
            raise KvError("busy", what=f"waiting calls ({OVERALL})")
        if size + sum(len(a.pending.plan.body) for a in self._askings.values()) > HELD_BYTES:
            raise KvError("busy", what="bodies of waiting calls (64 MiB)")

    def _find(self, typed: str, by: str) -> _Asking:
        """The undecided asking that a person with a fresh proof means; who is just too late hears `expired`."""
        if by not in FRESH_PROOFS:
            raise KvError("proof-kind", kinds="totp, pin or passphrase")
        self._sweep()
        asking = self._askings.get(ids.typed(typed))
        if asking is not None and not asking.answer.done():
            return asking
        if asking is not None and asking.failure is not None and asking.failure.code == "expired":
            raise asking.failure
        raise KvError("unknown-approval", id=typed)

    def _stale(self, pending: Pending) -> KvError | None:
        """Why the world is no longer the one that the card showed, or None."""
        if why := self._standings.frozen(pending.caller.session):
            return KvError("frozen", why=why)
        if pending.policy_revision != self._revision():
            return _void("the policy it was asked under", "the policy changed while the call waited")
        if not self._alive(pending.caller.session_process):
            return _void("the session that asked", "the session ended while the call waited")
        return None

    def _like(self, answered: Pending) -> list[Pending]:
        """The session's other askings that a "session" answer settles: policy would allow them if they asked now."""

        def kind(p: Pending) -> tuple[object, ...]:
            plan = p.digest if p.plan.effect is Effect.RELEASE else ""
            return p.plan.connection.name, p.plan.effect, p.policy_revision, "session" in p.decision.scopes, plan

        others = self._undecided(answered.caller.session)
        return [p for p in others if p is not answered and kind(p) == kind(answered)]

    def _settle(self, asking: _Asking, answer: Approval | KvError) -> None:
        """Set the answer. The first one counts, but a yes that is not taken yet can still become a no."""
        if asking.failure is None:
            asking.approval = answer if isinstance(answer, Approval) else None
            asking.failure = answer if isinstance(answer, KvError) else None
            asking.lapses = self._clock() + TAKE
        if not asking.answer.done():
            asking.answer.set_result(None)

    def _sweep(self) -> float:
        """End what is over, and return now."""
        now = self._clock()
        for asking in self._of(None):
            if not asking.answer.done() and now >= asking.pending.expires:
                self._settle(asking, KvError("expired", id=asking.pending.id, seconds=int(WAIT)))
            elif now >= asking.lapses:
                self._settle(asking, KvError("unknown-approval", id=asking.pending.id))
                del self._askings[asking.pending.id]
        return now


def _void(what: str, why: str) -> KvError:
    return KvError("denied", rule=f"an approval holds as long as {what}", why=why, help="make the call again")
