"""Wrong proofs: five, then longer and longer freezes, whatever happens to the keeper or its clock."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kv.errors import KvError
from kv.proofs.throttle import Throttle


def test_five_tries() -> None:
    """Five tries may be wrong; the sixth is not looked at."""
    state = Throttle()
    for left in (4, 3, 2, 1, 0):
        state = state.charge(100.0)
        assert state.left == left
    with pytest.raises(KvError) as caught:
        state.charge(100.0)
    assert (caught.value.code, caught.value.fields) == ("proof-frozen", {"seconds": 60})


def test_doubling() -> None:
    """Each wrong try after a freeze freezes twice as long, to an hour and no further."""
    state, now, lengths = Throttle(), 0.0, []
    for _ in range(20):
        now += state.frozen(now)
        state = state.charge(now)
        lengths.append(state.frozen(now))
    assert lengths == [0, 0, 0, 0, 60, 120, 240, 480, 960, 1920, *[3600] * 10]


def test_to_the_second() -> None:
    """A freeze ends when it says, and not a moment before."""
    state = Throttle(5, 1000.0)
    assert [state.frozen(now) for now in (1000.0, 1000.5, 1059.0, 1059.999, 1060.0)] == [60, 60, 1, 1, 0]
    assert state.charge(1060.0) == Throttle(6, 1060.0)


def test_asking_does_not_prolong() -> None:
    """Trying during a freeze neither shortens nor lengthens it, so that nobody can be kept out for good."""
    state = Throttle(5, 1000.0)
    for now in range(1000, 1060):
        with pytest.raises(KvError, match="frozen for"):
            state.charge(float(now))
    assert state.frozen(1060.0) == 0


def test_right_starts_over() -> None:
    """After a right proof there are five tries again."""
    assert Throttle().left == 5
    assert Throttle().charge(0.0).charge(1.0).left == 3


def test_survives_a_restart() -> None:
    """The state goes through JSON; a reboot, after which the clock starts at zero, begins the freeze anew."""
    state = Throttle(7, 90_000.5)
    stored = json.loads(json.dumps(state.as_dict()))
    assert Throttle.from_dict(stored, 90_100.0) == state
    rebooted = Throttle.from_dict(stored, 12.0)
    assert rebooted.frozen(12.0) == 240
    assert rebooted.frozen(252.0) == 0


def test_clock_backwards() -> None:
    """A clock that goes backwards does not end a freeze, nor stretch it."""
    assert Throttle(5, 1000.0).frozen(10.0) == 60


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.floats(0, 5000)), max_size=60), st.integers(0, 60))
def test_bounded_odds(steps: list[tuple[bool, float]], reboots: int) -> None:
    """However tries, waits and restarts are arranged, a day has five tries and then never two in one freeze."""
    state, now, charged = Throttle(), 0.0, 0
    for index, (restart, wait) in enumerate(steps):
        now += wait
        if restart and index < reboots:
            state = Throttle.from_dict(state.as_dict(), 0.0)
            now = 0.0
        frozen = state.frozen(now)
        try:
            state = state.charge(now)
            charged += 1
        except KvError:
            assert frozen
        else:
            assert not frozen
            assert charged < 5 or state.frozen(now) >= 60
    assert state.wrong == min(charged, 11)


@pytest.mark.parametrize(
    "stored",
    [
        {},
        {"wrong": 1},
        {"wrong": 1, "since": 0.0, "more": 1},
        {"wrong": 1, "other": 0.0},
        {"wrong": -1, "since": 0.0},
        {"wrong": 12, "since": 0.0},
        {"wrong": 1.0, "since": 0.0},
        {"wrong": "1", "since": 0.0},
        {"wrong": 1, "since": -1.0},
        {"wrong": 1, "since": float("nan")},
        {"wrong": 1, "since": float("inf")},
        {"wrong": 1, "since": None},
    ],
)
def test_malformed(stored: dict[str, object]) -> None:
    """A stored state that kv cannot have written is damage, never a fresh start."""
    with pytest.raises(KvError) as caught:
        Throttle.from_dict(stored, 0.0)
    assert caught.value.code == "vault-damaged"
