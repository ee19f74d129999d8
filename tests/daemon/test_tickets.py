"""Places for calls and their results: who holds most pays first, and what ended holds nothing."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from typing import TYPE_CHECKING

import asking
import pytest
from nouns import ALICE, BOB

from kv.daemon.aside import Aside
from kv.daemon.holdings import Holdings
from kv.daemon.tickets import MOST, MOST_OF_ONE, Tickets
from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


class World:
    """Tickets with a clock that the test moves; run it within a loop."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.made = 0
        self.tickets: Tickets[bytes] = Tickets(lambda: self.now, len, lambda _: None)

    def start(self, session: str, work: Coroutine[object, object, bytes]) -> str:
        """A call of the session, if there is room; its ticket's id."""
        try:
            self.tickets.make_room(session)
        except KvError:
            work.close()
            raise
        self.made += 1
        self.now += 1
        return self.tickets.start(f"T{self.made}", session, "", None, work).id

    def has(self, session: str, name: str) -> bool:
        """Whether the session still finds that ticket."""
        try:
            self.tickets.get(session, name)
        except KvError:
            return False
        return True


async def _turns() -> None:
    """Let everybody run who can."""
    for _ in range(5):
        await asyncio.sleep(0)


async def _hang() -> bytes:
    await asyncio.sleep(3600)
    return b""


async def _result(size: int = 1) -> bytes:
    return bytes(size)


def _play(story: Callable[[World], Coroutine[object, object, None]]) -> None:
    async def go() -> None:
        world = World()
        await story(world)
        await world.tickets.cancel_all()

    asyncio.run(go())


def test_a_session_that_fills_its_part_is_refused_alone() -> None:
    """With 64 calls under way a session is refused; another is not."""

    async def story(world: World) -> None:
        for _ in range(MOST_OF_ONE):
            world.start(ALICE, _hang())
        with pytest.raises(KvError) as caught:
            world.start(ALICE, _hang())
        assert caught.value.code == "busy"
        world.start(BOB, _hang())

    _play(story)


def test_results_give_way_before_calls_are_refused() -> None:
    """A session's oldest result that lies goes for its next call; where all is full, the fullest session's does."""

    async def story(world: World) -> None:
        first = [world.start(ALICE, _result()) for _ in range(MOST_OF_ONE)]
        await _turns()
        world.start(ALICE, _hang())
        assert [world.has(ALICE, name) for name in first[:2]] == [False, True]
        small = world.start(BOB, _result())
        await _turns()
        for number in range(MOST - MOST_OF_ONE):  # all others are under way: one more than there are places
            world.start(f"{number % 8:016}", _hang())
        assert [world.has(ALICE, name) for name in first[1:3]] == [False, True]
        assert world.has(BOB, small)

    _play(story)


def test_the_fullest_session_loses_its_results_first() -> None:
    """Of more than 64 MiB that nobody fetched, the oldest of who holds most goes, not the oldest of all."""

    async def story(world: World) -> None:
        small = world.start(BOB, _result())
        large = [world.start(ALICE, _result(16 << 20)) for _ in range(5)]
        await _turns()
        assert [world.has(ALICE, name) for name in large] == [False, False, True, True, True]
        assert world.has(BOB, small)

    _play(story)


def test_a_call_that_ended_holds_nothing_but_its_result() -> None:
    """What a call needed is let go at its end, cancelled before its first step or failed: its frames too."""

    class Body:
        pass

    async def fail(body: Body) -> bytes:
        raise KvError("busy", what=type(body).__name__)

    async def story(world: World) -> None:
        released: list[str] = []
        name = world.start(ALICE, _hang())
        ticket = world.tickets.get(ALICE, name)
        ticket.held.callback(released.append, name)
        world.tickets.withdraw(ticket)
        await _turns()
        assert released == [name]

        body = Body()
        watched = weakref.ref(body)
        name = world.start(ALICE, fail(body))
        del body
        await _turns()
        gc.collect()
        assert watched() is None
        with pytest.raises(KvError, match="Body"):
            world.tickets.collect(world.tickets.get(ALICE, name))

    _play(story)


def test_holdings_are_counted_by_session_and_together() -> None:
    """A share grows within its session's part and the whole; what is there anyway counts, and closing frees it."""
    holdings = Holdings(100, 60, "bytes")
    alice, more, bob = holdings.open(ALICE), holdings.open(ALICE), holdings.open(BOB)
    alice.reach(40)
    alice.reach(30)
    more.reach(20)
    for share, size in ((more, 21), (bob, 41)):
        with pytest.raises(KvError) as caught:
            share.reach(size)
        assert caught.value.code == "busy"
    bob.set(50)
    assert holdings.held == 110
    for share in (alice, more, bob):
        share.close()
    assert holdings.held == 0


def test_work_beside_the_loop_keeps_its_place_until_it_ends() -> None:
    """Who gives up waiting does not make room for another piece of work; what came of it is undone."""

    async def story(_: World) -> None:
        undone: list[str] = []
        go = threading.Event()
        aside = Aside(1, "work")

        def work() -> str:
            go.wait(20)
            return "done"

        waiting = asyncio.create_task(aside.do(work, undone.append))
        await asyncio.sleep(0.05)
        waiting.cancel()
        await asyncio.sleep(0)
        with pytest.raises(KvError) as caught:
            await aside.do(lambda: "another")
        assert caught.value.code == "busy"
        go.set()
        for _turn in range(200):
            await asyncio.sleep(0.01)
            if undone:
                break
        assert undone == ["done"]

    _play(story)


def test_a_call_that_was_given_up_is_joined_by_none() -> None:
    """From the moment of the withdrawal an identical call has a card of its own, before the first has had a turn."""

    async def story(world: asking.World) -> None:
        tickets: Tickets[bytes] = Tickets(lambda: world.now, len, world.approvals.withdraw)
        card = world.open()

        async def work() -> bytes:
            await world.approvals.wait(card)
            return b"performed"

        ticket = tickets.start(card.id, card.caller.session, card.digest, card, work())
        await asyncio.sleep(0)
        tickets.withdraw(ticket)
        again = world.open()
        assert again is not card
        assert world.approvals.waiting(None) == [again]
        with pytest.raises(KvError):
            world.approve(card)
        await _turns()
        with pytest.raises(KvError, match="no ticket"):
            tickets.collect(ticket)

    asking.run(story)
