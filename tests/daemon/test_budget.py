"""How many calls: a loop is stopped, a budget holds in every hour, a refused credential is not tried on."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kv.daemon import budget as module
from kv.daemon.budget import BURST, COOL, PROMPT_WINDOW, PROMPTS, PROMPTS_OVERALL, REFUSALS, Budget, Prompts
from kv.errors import KvError

START = 5000.0


def code_of(error: pytest.ExceptionInfo[KvError]) -> str:
    """The error's code."""
    return error.value.code


def test_a_burst_passes_and_a_loop_does_not() -> None:
    """As many calls as the burst go at once; the next is told how long to wait, and then goes."""
    budget = Budget(per_minute=60, burst=5)
    for _ in range(5):
        budget.take("a", START)
    with pytest.raises(KvError) as caught:
        budget.take("a", START)
    assert code_of(caught) == "rate"
    assert caught.value.fields["seconds"] == 1
    assert "60 a minute for this session" in caught.value.message
    budget.take("a", START + 1.0)
    with pytest.raises(KvError):
        budget.take("a", START + 1.0)


def test_a_session_does_not_pay_for_another() -> None:
    """Each session has its own bucket."""
    budget = Budget(per_minute=60, burst=1)
    budget.take("a", START)
    budget.take("b", START)
    with pytest.raises(KvError):
        budget.take("a", START)


def test_many_sessions_are_not_many_budgets() -> None:
    """A program that makes itself a new session for every call gets eight sessions' worth and no more."""
    budget = Budget(per_minute=60, burst=2)
    for n in range(16):
        budget.take(f"s{n}", START)
    with pytest.raises(KvError) as caught:
        budget.take("s16", START)
    assert "all sessions" in caught.value.message


def test_sessions_are_forgotten_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Idle sessions make room; without room a new one is turned away and nothing grows."""
    monkeypatch.setattr(module, "SESSIONS", 3)
    budget = Budget(per_minute=60, burst=4)
    for n in range(3):
        budget.take(f"s{n}", START)
    with pytest.raises(KvError) as caught:
        budget.take("new", START)
    assert code_of(caught) == "busy"
    budget.take("new", START + 4.0)


def test_a_clock_that_stands_or_steps_back_gives_no_calls() -> None:
    """Time that does not pass refills nothing."""
    budget = Budget(per_minute=60, burst=1)
    budget.take("a", START)
    for now in (START, START - 100.0, START + 0.5):
        with pytest.raises(KvError):
            budget.take("a", now)


def test_the_normal_burst_takes_64_at_once() -> None:
    """64 calls side by side, several times over, are no loop."""
    budget = Budget()
    for _ in range(BURST):
        budget.take("a", START)
    assert BURST >= 4 * 64


def test_the_hour_is_used_up_and_says_when_it_is_over() -> None:
    """The call after the last of the hour is refused by name, with the seconds until there is room."""
    budget = Budget()
    for n in range(3):
        budget.charge("a", "openai", 3, START + n)
    with pytest.raises(KvError) as caught:
        budget.charge("b", "openai", 3, START + 10.0)
    assert code_of(caught) == "budget"
    assert "3 calls an hour, more in 3" in caught.value.message
    budget.charge("a", "github", 3, START + 10.0)
    budget.charge("a", "openai", 4, START + 10.0)
    budget.charge("a", "openai", 3, START + 3660.0)


def test_a_raised_or_dropped_budget_counts_at_once() -> None:
    """The number is that of the terms in force; without one nothing is counted."""
    budget = Budget()
    budget.charge("a", "openai", 1, START)
    with pytest.raises(KvError):
        budget.charge("a", "openai", 1, START)
    for _ in range(10):
        budget.charge("a", "openai", None, START)
    budget.charge("a", "openai", 1, START)


@given(st.integers(1, 5), st.lists(st.floats(0, 900), min_size=1, max_size=60))
@settings(max_examples=150)
def test_no_hour_has_more_than_its_budget(most: int, gaps: list[float]) -> None:
    """Wherever an hour is laid on the calls that went out, it holds no more than the budget; nor is it a wall."""
    budget, now, went = Budget(), START, list[float]()
    for gap in gaps:
        now += gap
        try:
            budget.charge("a", "openai", most, now)
        except KvError:
            recent = sum(now - 3660.0 < t for t in went)
        else:
            recent = most
            went.append(now)
        assert recent >= most
    for at in went:
        assert sum(at <= t < at + 3600.0 for t in went) <= most


@pytest.mark.parametrize("status", [401, 403])
def test_ten_refusals_close_the_connection_for_a_while(status: int) -> None:
    """Probing with a credential that is refused ends after ten; then one try, and one more refusal closes it again."""
    budget = Budget()
    for _ in range(REFUSALS):
        budget.charge("a", "stripe", None, START)
        budget.note("a", "stripe", status, START)
    with pytest.raises(KvError) as caught:
        budget.charge("a", "stripe", None, START + 1.0)
    assert code_of(caught) == "rate"
    assert caught.value.fields["seconds"] == COOL - 1.0
    budget.charge("b", "stripe", None, START + 1.0)
    budget.charge("a", "github", None, START + 1.0)
    later = START + COOL
    budget.charge("a", "stripe", None, later)
    with pytest.raises(KvError):
        budget.charge("a", "stripe", None, later)
    budget.note("a", "stripe", 200, later + 1.0)
    budget.charge("a", "stripe", None, later + 1.0)


def test_refusals_count_in_a_row_only() -> None:
    """An answer between them starts the count anew."""
    budget = Budget()
    for n in range(50):
        budget.charge("a", "stripe", None, START)
        budget.note("a", "stripe", 404 if n % 9 == 8 else 403, START)


def test_refusals_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest streak goes when there are too many, so that memory does not grow with sessions."""
    monkeypatch.setattr(module, "STREAKS", 2)
    budget = Budget()
    for session in ("a", "b", "c"):
        for _ in range(REFUSALS):
            budget.note(session, "stripe", 401, START)
    budget.charge("a", "stripe", None, START)
    for session in ("b", "c"):
        with pytest.raises(KvError):
            budget.charge(session, "stripe", None, START)


def test_a_person_is_not_asked_too_often() -> None:
    """One session's askings are bounded in ten minutes, and everybody's together."""
    prompts = Prompts()
    for _ in range(PROMPTS):
        prompts.take("a", START)
    with pytest.raises(KvError) as caught:
        prompts.take("a", START + 1.0)
    assert code_of(caught) == "rate"
    assert caught.value.fields["seconds"] == PROMPT_WINDOW - 1.0
    for n in range(PROMPTS_OVERALL - PROMPTS):
        prompts.take(f"s{n}", START)
    with pytest.raises(KvError):
        prompts.take("new", START + 1.0)
    prompts.take("a", START + PROMPT_WINDOW)
