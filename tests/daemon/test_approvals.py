"""A person's answers: to whom they go, how often, and until when."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace

import pytest
from asking import PERSON, WRITE, World, code_of, run, waiter
from nouns import ALICE, BOB, a_caller, a_plan

from kv.daemon import approvals as module
from kv.daemon.approvals import HELD_BYTES, OVERALL, PER_SESSION, TAKE, WAIT, Approvals
from kv.daemon.budget import PROMPTS
from kv.errors import KvError
from kv.model import Approval, Verdict


def test_a_yes_resumes_the_waiting_call() -> None:
    """The very task that waits goes on, with an approval of its plan, session and policy that names the proof."""

    async def story(world: World) -> None:
        pending = world.open(reason="a\N{RIGHT-TO-LEFT OVERRIDE}" + "b" * 500)
        task = await waiter(world, pending)
        assert world.approve(pending) is pending
        found = await task
        assert found == Approval(
            pending.id, a_plan(WRITE).digest(), ALICE, 1, pending.nonce, "totp", PERSON, "once", world.now
        )
        assert len(pending.reason) <= 200
        assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in pending.reason
        assert world.approvals.waiting(None) == []

    run(story)


@pytest.mark.parametrize("answer", ["approve", "deny"])
def test_an_answer_before_the_waiter_began_is_not_lost(answer: str) -> None:
    """The asking is registered before it is shown, so the fastest person is not too fast."""

    async def story(world: World) -> None:
        pending = world.open()
        if answer == "approve":
            world.approve(pending)
            assert (await world.approvals.wait(pending)).id == pending.id
        else:
            world.approvals.deny(pending.id, "totp")
            assert await code_of(await waiter(world, pending)) == "refused"

    run(story)


def test_an_approval_is_used_once() -> None:
    """Neither a second answer, nor a second waiter, nor the same call again gets anything out of it."""

    async def story(world: World) -> None:
        pending = world.open()
        first, second = await waiter(world, pending), await waiter(world, pending)
        world.approve(pending)
        with pytest.raises(KvError) as caught:
            world.approve(pending)
        assert caught.value.code == "unknown-approval"
        assert (await first).id == pending.id
        assert await code_of(second) == "unknown-approval"
        assert await code_of(await waiter(world, pending)) == "unknown-approval"
        with pytest.raises(KvError):
            world.approve(pending)
        again = world.open()
        assert again is not pending
        assert (again.id, again.nonce) != (pending.id, pending.nonce)
        assert world.decide(a_caller(), a_plan(WRITE)).verdict is Verdict.ASK

    run(story)


def test_silence_is_no() -> None:
    """Nobody's answer within 180 s denies; the answer that comes later finds nothing."""

    async def story(world: World) -> None:
        pending = world.open()
        task = await waiter(world, pending)
        world.now += WAIT - 0.001
        assert world.approvals.waiting(None) == [pending]
        world.now += 0.001
        assert world.approvals.waiting(None) == []
        with pytest.raises(KvError) as caught:
            world.approve(pending)
        assert caught.value.code == "expired"
        assert await code_of(task) == "expired"
        with pytest.raises(KvError) as caught:
            world.approve(pending)
        assert caught.value.code == "unknown-approval"

    run(story)


def test_the_waiter_itself_notices_that_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any other event, and though the loop's clock slept, the waiting ends."""
    monkeypatch.setattr(module, "_POLL", 0.001)

    async def story(world: World) -> None:
        task = await waiter(world, world.open())
        world.now += WAIT
        assert await code_of(task) == "expired"

    run(story)


@pytest.mark.parametrize(("offset", "approved"), [(-0.001, True), (0.0, False), (0.001, False)])
def test_the_instant_of_expiry_belongs_to_no(offset: float, approved: bool) -> None:  # noqa: FBT001
    """A yes before the instant counts, even if the waiter wakes after it; a yes at the instant does not."""

    async def story(world: World) -> None:
        pending = world.open()
        task = await waiter(world, pending)
        world.now = pending.expires + offset
        if approved:
            world.approve(pending)
            world.now = pending.expires + 1.0
            world.approvals.waiting(None)
            assert (await task).at == pending.expires + offset
        else:
            with pytest.raises(KvError) as caught:
                world.approve(pending)
            assert caught.value.code == "expired"
            assert await code_of(task) == "expired"

    run(story)


def test_a_yes_that_nobody_takes_is_void_soon() -> None:
    """An approval does not lie around for whoever comes later."""

    async def story(world: World) -> None:
        pending = world.open()
        world.approve(pending)
        world.now += TAKE
        world.approvals.waiting(None)
        assert await code_of(await waiter(world, pending)) == "unknown-approval"

    run(story)


def test_a_no_ends_the_call() -> None:
    """The waiter hears that a person refused."""

    async def story(world: World) -> None:
        pending = world.open()
        task = await waiter(world, pending)
        assert world.approvals.deny(pending.id, "pin") is pending
        assert await code_of(task) == "refused"
        with pytest.raises(KvError):
            world.approve(pending)

    run(story)


def test_a_withdrawn_call_cannot_be_approved() -> None:
    """Who hung up gets nothing, whether the yes comes after or was just given."""

    async def story(world: World) -> None:
        pending = world.open()
        task = await waiter(world, pending)
        world.approvals.withdraw(pending)
        with pytest.raises(KvError) as caught:
            world.approve(pending)
        assert caught.value.code == "unknown-approval"
        assert await code_of(task) == "unknown-approval"
        other = world.open()
        world.approve(other)
        world.approvals.withdraw(other)
        assert await code_of(await waiter(world, other)) == "unknown-approval"

    run(story)


def test_a_changed_policy_voids_what_was_asked_under_the_old_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the approver nor the waiter gets past it, and the waiter learns it without an answer too."""
    monkeypatch.setattr(module, "_POLL", 0.001)

    async def story(world: World) -> None:
        pending = world.open()
        world.revision = 2
        with pytest.raises(KvError) as caught:
            world.approve(pending, "session")
        assert caught.value.code == "denied"
        assert "policy changed" in caught.value.message
        assert world.standing().grants == ()
        task = await waiter(world, world.open())
        world.revision = 3
        assert await code_of(task) == "denied"
        answered = world.open()
        world.approve(answered)
        world.revision = 4
        assert await code_of(await waiter(world, answered)) == "denied"

    run(story)


def test_the_same_call_under_a_new_policy_asks_anew() -> None:
    """An asking of the old revision is not joined."""

    async def story(world: World) -> None:
        pending = world.open()
        world.revision = 2
        assert world.open().id != pending.id

    run(story)


def test_the_dead_cannot_be_approved(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the end of the session's process its asking is void, for approver and waiter."""
    monkeypatch.setattr(module, "_POLL", 0.001)

    async def story(world: World) -> None:
        pending = world.open()
        task = await waiter(world, pending)
        world.dead.add(a_caller().session_process)
        with pytest.raises(KvError) as caught:
            world.approve(pending, "session")
        assert caught.value.code == "denied"
        assert "session ended" in caught.value.message
        assert await code_of(task) == "denied"
        assert world.standing().grants == ()
        assert await code_of(await waiter(world, world.open())) == "denied"

    run(story)


@pytest.mark.parametrize("by", ["", "window", "device", "TOTP", "agent"])
def test_only_a_fresh_proof_answers(by: str) -> None:
    """Whoever calls it: without a fresh proof nothing is approved or denied."""

    async def story(world: World) -> None:
        pending = world.open()
        with pytest.raises(KvError) as caught:
            world.approve(pending, by=by)
        assert caught.value.code == "proof-kind"
        with pytest.raises(KvError) as caught:
            world.approvals.deny(pending.id, by)
        assert caught.value.code == "proof-kind"
        assert world.approvals.waiting(None) == [pending]

    run(story)


def test_an_agents_session_does_not_approve_itself() -> None:
    """A proof typed inside the agent's own session is refused; a plain shell may approve what it asked."""

    async def story(world: World) -> None:
        pending = world.open()
        with pytest.raises(KvError) as caught:
            world.approvals.approve(pending.id, "totp", ALICE, "once")
        assert caught.value.code == "denied"
        assert world.approvals.waiting(ALICE) == [pending]
        shell = world.open(caller=a_caller(BOB, agent="", channel="kv"))
        assert world.approvals.approve(shell.id, "totp", BOB, "once") is shell

    run(story)


def test_the_same_call_of_a_session_is_asked_once() -> None:
    """A retry joins its asking, with the first reason; another session's same call is another asking."""

    async def story(world: World) -> None:
        pending = world.open(reason="first")
        assert world.open(reason="second") is pending
        assert pending.reason == "first"
        assert world.open(caller=a_caller(BOB)) is not pending
        assert len(world.approvals.waiting(None)) == 2
        assert world.approvals.waiting(ALICE) == [pending]

    run(story)


def test_an_approval_is_bound_to_every_byte_of_the_plan() -> None:
    """Another body, path, effect or connection is another asking."""

    async def story(world: World) -> None:
        plans = [a_plan(WRITE, body=b"a"), a_plan(WRITE, body=b"b"), a_plan(WRITE, path="/x"), a_plan(WRITE, "github")]
        assert len({world.open(plan).id for plan in plans}) == len(plans)

    run(story)


def test_an_id_is_read_as_it_is_spoken() -> None:
    """Lower case, and the letters that the alphabet leaves out, mean what they look like."""

    async def story(world: World) -> None:
        values = iter([bytes([0, 1, 1, 0]), bytes(16), bytes([0, 1, 1, 0]), bytes([10, 11, 12, 13]), bytes(16)])
        approvals = Approvals(lambda: 0.0, lambda _: next(values), alive=lambda _: True, revision=lambda: 1)
        world.approvals = approvals
        first = world.open()
        second = world.open(a_plan(WRITE, path="/x"))
        assert (first.id, second.id) == ("0110", "ABCD")
        assert approvals.approve("oIl0", "totp", PERSON, None) is first
        assert approvals.deny("abcd", "totp") is second

    run(story)


def test_a_generator_of_one_token_stops() -> None:
    """A broken source of randomness ends in an error and not in a loop."""

    async def story(world: World) -> None:
        world.approvals = Approvals(lambda: 0.0, bytes, alive=lambda _: True, revision=lambda: 1)
        world.open()
        with pytest.raises(KvError) as caught:
            world.open(a_plan(WRITE, path="/x"))
        assert caught.value.code == "busy"

    run(story)


def test_what_waits_is_bounded() -> None:
    """Eight of a session, sixty-four of all; a place that is free again is used again."""

    async def story(world: World) -> None:
        found = [world.open(a_plan(WRITE, path=f"/{n}")) for n in range(PER_SESSION)]
        with pytest.raises(KvError) as caught:
            world.open(a_plan(WRITE, path="/more"))
        assert caught.value.code == "busy"
        world.approvals.withdraw(found[0])
        world.open(a_plan(WRITE, path="/more"))
        for session, n in itertools.product(range(1, OVERALL // PER_SESSION), range(PER_SESSION)):
            world.open(a_plan(WRITE, path=f"/{n}"), a_caller(f"{session:016x}"))
        with pytest.raises(KvError) as caught:
            world.open(caller=a_caller(BOB))
        assert caught.value.code == "busy"

    run(story)


def test_bodies_that_wait_are_bounded() -> None:
    """Large bodies cannot fill the keeper's memory while they wait for an answer."""

    async def story(world: World) -> None:
        half = bytes(HELD_BYTES // 2)
        first = world.open(a_plan(WRITE, body=half))
        world.open(a_plan(WRITE, body=half, path="/x"))
        with pytest.raises(KvError) as caught:
            world.open(a_plan(WRITE, body=b"1", path="/y"))
        assert caught.value.code == "busy"
        world.approvals.withdraw(first)
        with pytest.raises(KvError):
            await world.approvals.wait(first)
        world.open(a_plan(WRITE, body=b"1", path="/y"))

    run(story)


def test_a_session_that_keeps_asking_is_stopped() -> None:
    """Withdrawing and asking again does not get round the limit of prompts."""

    async def story(world: World) -> None:
        for n in range(PROMPTS):
            world.approvals.withdraw(world.open(a_plan(WRITE, path=f"/{n}")))
        with pytest.raises(KvError) as caught:
            world.open()
        assert caught.value.code == "rate"
        world.open(caller=a_caller(BOB))

    run(story)


def test_a_cancelled_waiter_harms_nobody() -> None:
    """A task that is cancelled while it waits leaves an asking that can be withdrawn, and nothing pending."""

    async def story(world: World) -> None:
        pending = world.open()
        task = await waiter(world, pending)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        world.approvals.withdraw(pending)
        assert world.approvals.waiting(None) == []

    run(story)


def test_only_an_ask_waits() -> None:
    """To open what policy allowed or denied is a mistake of the keeper's own."""

    async def story(world: World) -> None:
        decision = replace(world.decide(a_caller(), a_plan(WRITE)), verdict=Verdict.DENY)
        with pytest.raises(ValueError, match="only an ask"):
            world.approvals.open(a_caller(), a_plan(WRITE), decision, "", 1)

    run(story)
