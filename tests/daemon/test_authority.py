"""Agents and a person, in any order of acts: nothing is performed that policy or the person did not allow."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from asking import PERSON, READ, World
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
)
from nouns import ALICE, BOB, a_caller, a_plan, some_terms

from brokers.contract import Effect
from kv.daemon.approvals import WAIT
from kv.errors import KvError
from kv.model import QUIET, Approval, Pending, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable


class Keeper(RuleBasedStateMachine):
    """Two agents and a person, in any order of acts. Nothing is performed that policy or the person did not allow."""

    pendings: Bundle[Pending] = Bundle("pendings")

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.loop = asyncio.new_event_loop()
        self.answered: set[str] = set()  # nonces of what a person said yes to (or what a session answer covers)
        self.granted: set[tuple[str, str, Effect]] = set()
        self.released: set[str] = set()
        self.taken: set[str] = set()
        self.tasks: list[asyncio.Task[Approval]] = []

    def teardown(self) -> None:
        """End what still waits."""
        self.play(self.world.approvals.panic)
        try:
            assert all(task.done() for task in self.tasks)
            self.no_waiter_broke()
        finally:
            self.loop.close()

    def play(self, act: Callable[[], object]) -> KvError | None:
        """Do something within the loop, let everybody run, and return the declared error, if there was one."""

        async def go() -> None:
            act()

        error: KvError | None = None
        try:
            self.loop.run_until_complete(go())
        except KvError as found:
            error = found
        for _ in range(4):
            self.loop.run_until_complete(asyncio.sleep(0))
        return error

    # agents

    @rule(
        target=pendings,
        session=st.sampled_from([ALICE, BOB]),
        effect=st.sampled_from(list(Effect)),
        name=st.sampled_from(["stripe", "github"]),
        path=st.sampled_from(["/a", "/b"]),
        preset=st.sampled_from(["balanced", "relaxed", "strict"]),
        claim=st.sampled_from([("agent", ""), ("agent", "totp"), ("kv", "window"), ("kv", "")]),
    )
    def call(  # noqa: PLR0913 - all that an agent can choose
        self, *, session: str, effect: Effect, name: str, path: str, preset: str, claim: tuple[str, str]
    ) -> Pending | MultipleResults[Pending]:
        """An agent calls, claiming what it likes."""
        caller = a_caller(session, channel=claim[0], proven=claim[1])
        plan = a_plan(effect, name, path=path)
        decision = self.world.decide(caller, plan, some_terms(preset))
        if decision.verdict is Verdict.ALLOW:
            assert effect in QUIET or plan.digest() in self.released
            if preset != "relaxed" and (preset, effect) != ("balanced", READ):
                assert (session, name, effect) in self.granted
        if decision.verdict is not Verdict.ASK:
            return multiple()
        opened: list[Pending] = []
        asked = (caller, plan, decision, "", self.world.revision)
        self.play(lambda: opened.append(self.world.approvals.open(*asked)))
        if not opened:
            return multiple()
        self.tasks.append(self.loop.create_task(self.take(opened[0])))
        return opened[0]

    async def take(self, pending: Pending) -> Approval:
        """What the pipeline does with an ask: wait, then perform at once."""
        found = await self.world.approvals.wait(pending)
        assert (found.digest, found.session) == (pending.digest, pending.caller.session)
        assert found.nonce == pending.nonce
        assert pending.nonce in self.answered
        assert pending.nonce not in self.taken
        assert found.policy_revision == self.world.revision
        assert pending.caller.session_process not in self.world.dead
        self.taken.add(pending.nonce)
        return found

    @rule(pending=pendings, by=st.sampled_from(["", "window", "device"]), scope=st.sampled_from(["once", "session"]))
    def forge(self, pending: Pending, by: str, scope: str) -> None:
        """An agent that reached the method itself, without a proof, gets nothing."""
        error = self.play(lambda: self.world.approvals.approve(pending.id, by, pending.caller.session, scope))
        assert error is not None
        assert error.code == "proof-kind"

    @rule(pending=consumes(pendings))
    def withdraw(self, pending: Pending) -> None:
        """The caller hangs up."""
        self.play(lambda: self.world.approvals.withdraw(pending))

    @rule(session=st.sampled_from([ALICE, BOB]))
    def end(self, session: str) -> None:
        """A session ends; its id could only come back with the same process."""
        self.granted = {g for g in self.granted if g[0] != session}
        self.play(lambda: self.world.approvals.end(session))

    @rule(seconds=st.sampled_from([0.1, 60.0, WAIT, 3600.0]))
    def later(self, seconds: float) -> None:
        """Time passes."""
        self.world.now += seconds
        self.play(lambda: self.world.approvals.waiting(None))

    # the person

    @rule(pending=pendings, scope=st.sampled_from(["once", "session", "project"]))
    def approve(self, pending: Pending, scope: str) -> None:
        """A person says yes with a proof."""
        waits = {p.id: p for p in self.world.approvals.waiting(None)}
        target = waits.get(pending.id)
        if target is not None and scope in target.decision.scopes:
            self.answered.add(target.nonce)
            if scope == "project" and target.plan.effect is Effect.RELEASE:
                self.released.add(target.digest)
            if scope == "session":
                key = (target.caller.session, target.plan.connection.name, target.plan.effect)
                like = [p for p in waits.values() if (p.caller.session, p.plan.connection.name, p.plan.effect) == key]
                if target.plan.effect is Effect.RELEASE:
                    like = [p for p in like if p.digest == target.digest]
                self.answered.update(p.nonce for p in like if "session" in p.decision.scopes)
                if target.decision.minutes:
                    self.granted.add(key)
                    self.released.add(target.digest if target.plan.effect is Effect.RELEASE else "")
        self.play(lambda: self.world.approvals.approve(pending.id, "totp", PERSON, scope))

    @rule(pending=pendings)
    def deny(self, pending: Pending) -> None:
        """A person says no with a proof."""
        self.play(lambda: self.world.approvals.deny(pending.id, "pin"))

    @rule(session=st.sampled_from([ALICE, BOB]))
    def unfreeze(self, session: str) -> None:
        """A person lets a session go on."""
        self.play(lambda: self.world.approvals.unfreeze(session))

    @rule()
    def change_policy(self) -> None:
        """A person changes a rule."""
        self.world.revision += 1
        self.play(lambda: None)

    @invariant()
    def each_session_has_its_own(self) -> None:
        """No session's standing holds another's grant, or one for what may not be remembered."""
        for session in (ALICE, BOB):
            for grant in self.world.standing(a_caller(session)).grants:
                assert grant.session == session
                assert grant.effect in QUIET or grant.plan in self.released
                assert self.world.now < grant.until <= self.world.now + (3600.0 if grant.effect in QUIET else 43200.0)
                assert (session, grant.connection, grant.effect) in self.granted

    @invariant()
    def no_waiter_broke(self) -> None:
        """A waiter ends with an approval or a declared error, and never with a failed assertion of `take`."""
        for task in self.tasks:
            error = task.exception() if task.done() else None
            if error is not None and not isinstance(error, KvError):
                raise error


TestKeeper = Keeper.TestCase
TestKeeper.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
