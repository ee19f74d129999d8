"""A keeper's approvals in a small world: a clock, a process table and a policy that the test moves."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from nouns import a_caller, a_plan, some_terms

from brokers.contract import Effect
from kv.daemon.approvals import Approvals
from kv.errors import KvError
from kv.policy import decide

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from brokers.contract import Plan
    from kv.model import Approval, Caller, Decision, Pending, Process, Standing, Terms

PERSON = "c" * 16  # the session in which kv approve runs
READ, WRITE, DESTROY = Effect.READ, Effect.WRITE, Effect.DESTROY


@dataclass
class World:
    """A keeper's approvals with a clock, a process table and a policy that the test moves."""

    now: float = 1000.0
    dead: set[Process] = field(default_factory=set)
    revision: int = 1

    def __post_init__(self) -> None:
        self.drawn = itertools.count()
        self.approvals = Approvals(
            lambda: self.now,
            lambda n: hashlib.sha256(b"%d" % next(self.drawn)).digest()[:n],
            alive=lambda process: process not in self.dead,
            revision=lambda: self.revision,
        )

    def decide(self, caller: Caller, plan: Plan, terms: Terms | None = None) -> Decision:
        """Policy's word, on what stands now."""
        return decide(caller, plan, terms or some_terms(), self.standing(caller), self.now)

    def standing(self, caller: Caller | None = None) -> Standing:
        """What the caller's session has now."""
        caller = caller or a_caller()
        return self.approvals.standing(caller.session, caller.project, self.now)

    def open(self, plan: Plan | None = None, caller: Caller | None = None, reason: str = "") -> Pending:
        """Open what policy asks about."""
        caller, plan = caller or a_caller(), plan or a_plan(WRITE)
        return self.approvals.open(caller, plan, self.decide(caller, plan), reason, self.revision)

    def approve(self, pending: Pending, scope: str = "once", by: str = "totp") -> Pending:
        """A person's yes."""
        return self.approvals.approve(pending.id, by, PERSON, scope)


def run(story: Callable[[World], Coroutine[object, object, None]]) -> None:
    """Play a story on a fresh world."""
    asyncio.run(story(World()))


async def waiter(world: World, pending: Pending) -> asyncio.Task[Approval]:
    """A task that waits for the answer, as the pipeline's does, and has begun to."""
    task = asyncio.get_running_loop().create_task(world.approvals.wait(pending))
    await asyncio.sleep(0)
    return task


async def code_of(task: asyncio.Task[Approval]) -> str:
    """The error the waiter got."""
    with pytest.raises(KvError) as caught:
        await task
    return caught.value.code
