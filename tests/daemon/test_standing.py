"""What a person's answers leave behind: for whom, for what, how long; and what takes it away."""

from __future__ import annotations

from dataclasses import replace

import pytest
from asking import DESTROY, READ, WRITE, World, code_of, run, waiter
from nouns import ALICE, BOB, a_caller, a_plan

from brokers.contract import Effect
from kv.daemon.standing import DENIAL_WINDOW, DENIALS, PANIC, PROJECT_SECONDS, WITHHELD
from kv.errors import KvError
from kv.model import QUIET, Grant, Verdict


@pytest.mark.parametrize("effect", list(Effect))
@pytest.mark.parametrize("scope", ["session", "project", "forever", ""])
def test_a_scope_that_the_card_does_not_offer_is_refused(effect: Effect, scope: str) -> None:
    """What a person was not asked, they did not answer; and the asking goes on."""

    async def story(world: World) -> None:
        pending = world.open(a_plan(effect))
        if scope in {"", *pending.decision.scopes}:
            world.approve(pending, scope)
        else:
            with pytest.raises(KvError) as caught:
                world.approve(pending, scope)
            assert caught.value.code == "bad-argument"
            assert world.approvals.waiting(None) == [pending]
        if effect not in QUIET or not scope:
            kept = [grant.plan for grant in world.standing().grants]
            assert kept == ([pending.digest] if (effect, scope) == (Effect.RELEASE, "session") else [])
            assert not world.standing().admitted

    run(story)


def test_once_is_this_call_and_nothing_else() -> None:
    """It leaves no admission and no grant."""

    async def story(world: World) -> None:
        for effect in (READ, WRITE, DESTROY):
            world.approve(world.open(a_plan(effect)), "once")
        assert (world.standing().admitted, world.standing().grants) == (frozenset(), ())

    run(story)


def test_a_session_grant_is_for_its_session_effect_and_hour() -> None:
    """Writes go on without asking for 60 minutes; no other session, connection or effect gains anything."""

    async def story(world: World) -> None:
        pending = world.open()
        world.approve(pending, "session")
        until = world.now + 3600.0
        assert world.standing().grants == (Grant(ALICE, "stripe", WRITE, until, pending.id),)
        assert world.standing().admitted == {"stripe"}
        bob = a_caller(BOB)
        assert world.decide(a_caller(), a_plan(WRITE, path="/v1/other")).verdict is Verdict.ALLOW
        assert world.decide(a_caller(), a_plan(WRITE, "github")).verdict is Verdict.ASK
        assert world.decide(a_caller(), a_plan(DESTROY)).verdict is Verdict.ASK
        assert world.decide(bob, a_plan(WRITE)).verdict is Verdict.ASK
        assert world.standing(bob) == World().standing(bob)
        world.now = until
        assert world.standing().grants == ()
        assert world.decide(a_caller(), a_plan(WRITE)).verdict is Verdict.ASK

    run(story)


def test_an_admission_is_for_the_session_or_for_the_project() -> None:
    """The answer "this session" is one session's; "this project" is every session's of that folder, for 30 days."""

    async def story(world: World) -> None:
        bob, elsewhere, nowhere = a_caller(BOB), a_caller(BOB, project="/other"), a_caller(BOB, project="")
        world.approve(world.open(a_plan(READ)), "session")
        assert world.decide(a_caller(), a_plan(READ)).verdict is Verdict.ALLOW
        assert world.decide(bob, a_plan(READ)).verdict is Verdict.ASK
        world.approve(world.open(a_plan(READ), bob), "project")
        carol = a_caller("d" * 16)
        assert world.decide(carol, a_plan(READ)).verdict is Verdict.ALLOW
        assert world.standing(carol).grants == ()
        assert "stripe" not in world.standing(replace(carol, project="/other")).admitted
        assert "stripe" in world.standing(elsewhere).admitted
        world.approvals.end(BOB)
        assert "stripe" not in world.standing(nowhere).admitted
        world.now += PROJECT_SECONDS
        assert world.decide(carol, a_plan(READ)).verdict is Verdict.ASK

    run(story)


def test_an_admission_is_told_from_outside() -> None:
    """What was sealed in the vault is told to a new keeper; nobody's admission is a mistake."""
    world = World()
    world.approvals.admit("stripe", project="/shop", until=world.now + 1.0)
    world.approvals.admit("github", session=BOB)
    assert world.standing().admitted == {"stripe"}
    assert world.standing(a_caller(BOB)).admitted == {"stripe", "github"}
    assert world.standing(a_caller(project="")).admitted == frozenset()
    for session, project in (("", ""), (ALICE, "/shop")):
        with pytest.raises(ValueError, match="session's or a project's"):
            world.approvals.admit("stripe", session=session, project=project)


def test_a_session_answer_resumes_its_like() -> None:
    """The other waiting writes of that session go on, each with its own digest; another kind or session waits."""

    async def story(world: World) -> None:
        first = world.open()
        like = world.open(a_plan(WRITE, path="/v1/other"))
        others = [
            world.open(a_plan(READ)),
            world.open(a_plan(DESTROY)),
            world.open(a_plan(WRITE, "github")),
            world.open(caller=a_caller(BOB)),
        ]
        tasks = [await waiter(world, p) for p in (first, like)]
        world.approve(first, "session")
        found = [await task for task in tasks]
        assert [(a.id, a.digest) for a in found] == [(first.id, first.digest), (first.id, like.digest)]
        assert world.approvals.waiting(None) == others

    run(story)


def test_once_resumes_one_call() -> None:
    """Its like waits on."""

    async def story(world: World) -> None:
        first, like = world.open(), world.open(a_plan(WRITE, path="/v1/other"))
        world.approve(first, "once")
        assert world.approvals.waiting(None) == [like]

    run(story)


def test_three_noes_freeze_the_session_until_a_person_unfreezes_it() -> None:
    """Everything of it ends: what waits, what it was granted, what it asks; other sessions go on."""

    async def story(world: World) -> None:
        world.approve(world.open(), "session")
        bob = await waiter(world, world.open(caller=a_caller(BOB)))
        last = await waiter(world, world.open(a_plan(DESTROY, path="/last")))
        for n in range(DENIALS):
            world.approvals.deny(world.open(a_plan(DESTROY, path=f"/{n}")).id, "totp")
        assert await code_of(last) == "frozen"
        assert world.standing().grants == ()
        assert world.decide(a_caller(), a_plan(READ)).verdict is Verdict.DENY
        with pytest.raises(KvError) as caught:
            world.approvals.open(a_caller(), a_plan(), World().decide(a_caller(), a_plan()), "", 1)
        assert caught.value.code == "frozen"
        world.approvals.end(ALICE)
        assert "denied three" in world.standing().frozen
        assert not bob.done()
        world.approvals.unfreeze(ALICE)
        assert world.standing() == World().standing()
        world.approvals.withdraw(world.approvals.waiting(BOB)[0])
        await code_of(bob)

    run(story)


def test_the_denied_call_hears_no_even_if_it_freezes() -> None:
    """The third refused call learns that it was refused, the others that the session is frozen."""

    async def story(world: World) -> None:
        tasks = []
        for n in range(DENIALS):
            pending = world.open(a_plan(DESTROY, path=f"/{n}"))
            tasks.append(await waiter(world, pending))
            world.approvals.deny(pending.id, "totp")
        assert [await code_of(task) for task in tasks] == ["refused"] * DENIALS

    run(story)


def test_noes_far_apart_do_not_freeze() -> None:
    """Three denials in more than five minutes are a conversation."""

    async def story(world: World) -> None:
        for n in range(2 * DENIALS):
            world.approvals.deny(world.open(a_plan(DESTROY, path=f"/{n}")).id, "totp")
            world.now += DENIAL_WINDOW / (DENIALS - 1)
        assert world.standing().frozen == ""

    run(story)


def test_three_withheld_results_freeze_the_session() -> None:
    """Guesses confirmed are counted, and an approval that is not taken yet is taken back."""

    async def story(world: World) -> None:
        pending = world.open()
        world.approve(pending)
        assert [world.approvals.withheld(ALICE) for _ in range(WITHHELD)] == [False, False, True]
        assert await code_of(await waiter(world, pending)) == "frozen"
        assert "guess" in world.standing().frozen
        assert world.standing(a_caller(BOB)).frozen == ""

    run(story)


def test_panic_stops_everyone_for_good() -> None:
    """Grants, admissions, what waits and what was just approved: gone; nobody is unfrozen or new to it."""

    async def story(world: World) -> None:
        world.approve(world.open(), "session")
        world.approvals.admit("stripe", project="/shop")
        waiting, answered = world.open(caller=a_caller(BOB)), world.open(a_plan(DESTROY))
        tasks = [await waiter(world, waiting)]
        world.approve(answered)
        world.approvals.panic()
        tasks.append(await waiter(world, answered))
        assert [await code_of(task) for task in tasks] == ["frozen", "frozen"]
        world.approvals.unfreeze(ALICE)
        for caller in (a_caller(), a_caller(BOB), a_caller("d" * 16)):
            standing = world.standing(caller)
            assert (standing.admitted, standing.grants, standing.frozen) == (frozenset(), (), PANIC)

    run(story)


def test_the_end_of_a_session_ends_what_it_had() -> None:
    """Grants, admissions and waiting calls go with it, and nobody else's."""

    async def story(world: World) -> None:
        for caller in (a_caller(), a_caller(BOB)):
            world.approve(world.open(caller=caller), "session")
        task = await waiter(world, world.open(a_plan(DESTROY)))
        world.approvals.end(ALICE)
        assert await code_of(task) == "unknown-approval"
        assert world.standing() == World().standing()
        assert world.standing(a_caller(BOB)).admitted == {"stripe"}

    run(story)


def test_a_changed_connection_is_a_new_one() -> None:
    """What was granted for the connection of that name before is not granted for the one after."""

    async def story(world: World) -> None:
        for name in ("stripe", "github"):
            world.approve(world.open(a_plan(WRITE, name)), "session")
            world.approvals.admit(name, project="/shop")
        world.approvals.forget("stripe")
        assert world.standing().admitted == {"github"}
        assert [g.connection for g in world.standing().grants] == ["github"]

    run(story)
