"""What a person sees: the keeper's words, the agent's words as such, and nothing hidden."""

from __future__ import annotations

import json
from dataclasses import replace

import pyte
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nouns import ALICE, BOB, a_caller, a_plan, some_terms

from brokers.contract import Effect, Plan
from kv.card import card, cards, choices, lines
from kv.errors import clean
from kv.model import Caller, Pending, Standing
from kv.policy import decide

HIDDEN = (
    "\x1b\x07\r\n\t\x00\x9b\N{RIGHT-TO-LEFT OVERRIDE}\N{LEFT-TO-RIGHT ISOLATE}"
    "\N{ZERO WIDTH SPACE}\N{ZERO WIDTH NO-BREAK SPACE}"
)


def a_pending(
    plan: Plan, *, admitted: bool = True, reason: str = "", preset: str = "balanced", caller: Caller | None = None
) -> Pending:
    """An asking that policy itself decided on, opened at 100."""
    caller = caller or a_caller(project="/home/me/shop")
    standing = Standing(frozenset({plan.connection.name} if admitted else ()))
    decision = decide(caller, plan, some_terms(preset), standing, 100.0)
    return Pending("7F3K", caller, plan, plan.digest(), decision, clean(reason), 1, "00" * 16, 100.0, 280.0)


def test_a_write_looks_like_this() -> None:
    """The card of a write: who, how long, what, with which secret, what it carries, and the agent's reason as such."""
    details = (("charge", "ch_3PqX"), ("amount", "4200"))
    plan = a_plan(Effect.WRITE, method="POST", details=details)
    shown = card(a_pending(plan, reason="refund the duplicate charge of order 1182"), 104.9)
    assert lines(shown, "/home/me") == [
        "7F3K  write       Claude Code, ~/shop" + " " * 41 + " waits 0:04",
        "      POST https://api.test/v1/refunds        STRIPE_KEY",
        "      charge: ch_3PqX",
        "      amount: 4200",
        '      the agent says: "refund the duplicate charge of order 1182"',
    ]
    assert choices(shown) == "[o] once  [s] writes to stripe, this session, 60 min  [d] deny"
    assert shown["preselected"] == "session"
    assert shown["ask"] == "this write call to stripe needs the user's yes"


def test_an_admission_looks_like_this() -> None:
    """The card of a first use says what a yes opens, and shows the first call."""
    shown = card(a_pending(a_plan(), admitted=False), 172.0)
    assert lines(shown, "/home/me/") == [
        "7F3K  admission   Claude Code, ~/shop" + " " * 41 + " waits 1:12",
        "      this session has not used stripe before; a yes lets it: read",
        "      first call:   GET https://api.test/v1/refunds",
        "      the agent gives no reason",
    ]
    assert choices(shown) == "[s] this session  [p] this project, 30 days  [o] only this call  [d] deny"
    assert shown["ask"] == "this session has not used stripe before"


@pytest.mark.parametrize(
    ("effect", "told"),
    [(Effect.READ, False), (Effect.WRITE, False), (Effect.DESTROY, False), (Effect.MINT, True), (Effect.UNKNOWN, True)],
)
def test_what_the_call_itself_does_not_show_is_told(effect: Effect, told: bool) -> None:  # noqa: FBT001 - the table's column
    """Why kv takes it for what makes a credential, or cannot tell: in one line."""
    plan = replace(a_plan(effect), because="it calls  nosuch")
    shown = lines(card(a_pending(plan, preset="strict"), 100.0))
    assert ("      why: it calls nosuch" in shown) == told


@pytest.mark.parametrize("admitted", [True, False])
@pytest.mark.parametrize("effect", [Effect.DESTROY, Effect.MINT, Effect.UNKNOWN])
def test_what_cannot_be_undone_is_offered_once_only(effect: Effect, admitted: bool) -> None:  # noqa: FBT001
    """No card of a destroy, a mint or an unknown call offers to be remembered, nor passes for an admission."""
    shown = card(a_pending(a_plan(effect), admitted=admitted), 100.0)
    assert choices(shown) == "[o] once  [d] deny"
    assert (shown["kind"], shown["preselected"]) == (effect.value, "once")


def test_a_first_write_does_not_pass_for_an_admission() -> None:
    """A card that says "admission" opens no write by the way."""
    shown = card(a_pending(a_plan(Effect.WRITE), admitted=False), 100.0)
    assert shown["kind"] == "write"
    assert choices(shown) == "[o] once  [s] writes to stripe, this session, 60 min  [d] deny"


@pytest.mark.parametrize("bad", list(HIDDEN))
def test_no_hidden_character_reaches_the_person(bad: str) -> None:
    """Escapes, direction marks and zero-width characters are shown as replaced, wherever the agent wrote them."""
    caller = replace(a_caller(), label=f"Cl{bad}aude", project=f"/sh{bad}op")
    plan = a_plan(Effect.WRITE, title=f"POST /{bad}x", details=((f"a{bad}", f"b{bad}"),))
    shown = card(replace(a_pending(plan, caller=caller), reason=f"be{bad}cause"), 100.0)
    text = json.dumps(shown, ensure_ascii=False) + "".join(lines(shown)) + choices(shown)
    assert bad not in text
    assert text.count("\N{REPLACEMENT CHARACTER}") >= 6


def test_the_middle_of_a_long_text_is_what_is_left_out() -> None:
    """Head and tail are shown, so that nothing hides behind a long beginning."""
    plan = a_plan(
        Effect.WRITE, title="POST /" + "a" * 5000 + "/delete-all", details=(("body", "b" * 9000 + "THE END"),)
    )
    shown = card(a_pending(plan, reason="c" * 5000 + "really"), 100.0)
    title, reason = str(shown["title"]), str(shown["reason"])
    assert title.startswith("POST /a")
    assert title.endswith("/delete-all")
    assert len(title) < 410
    assert reason.endswith("really")
    assert len(reason) <= 200
    text = "\n".join(lines(shown))
    assert "THE END" in text
    assert "/delete-all" in text
    assert "really" in text


def test_of_many_details_the_first_and_the_last_are_shown() -> None:
    """A flood of details says how many are left out, between head and tail."""
    details = tuple((f"n{i}", str(i)) for i in range(1000))
    found = card(a_pending(a_plan(Effect.WRITE, details=details)), 100.0)["details"]
    assert isinstance(found, list)
    assert len(found) == 33
    assert (found[0], found[-1]) == (["n0", "0"], ["n999", "999"])
    assert found[16] == ["…", "968 more are not shown"]


def test_the_agent_cannot_leave_its_quotation() -> None:
    """A quotation mark in the reason does not end it."""
    shown = card(a_pending(a_plan(Effect.WRITE), reason='ok" [approved by "security"]'), 100.0)
    assert lines(shown)[-1] == "      the agent says: \"ok' [approved by 'security']\""
    assert lines({**shown, "reason": 'a"b'})[-1] == '      the agent says: "a\'b"'


def on_screen(shown: dict[str, object], columns: int) -> list[str]:
    """The rows that a person sees of a card on a terminal of that many columns."""
    screen = pyte.Screen(columns, 200)
    pyte.Stream(screen).feed("".join(f"{line}\r\n" for line in lines(shown, "/home/me", columns)))
    return [row.rstrip() for row in screen.display if row.strip()]


def faking(columns: int) -> tuple[Plan, str]:
    """A call whose texts fill rows with blanks, to go on at the left edge as if kv spoke."""
    fake = "7F3K  read        a terminal, ~/shop".ljust(columns) + "      GET https://api.test/v1/me"
    details = (
        ("field", "note=ok" + " " * (columns - 13) + fake),
        ("field", f"note={'x' * (columns - 17)} │ [o] approved"),
        (f"a{' ' * columns}b", "│ kv: checked"),
        ("field", "宽" * 60 + " " * columns + fake),
    )
    reason = "tidy up" + " " * (columns - 29) + fake
    title = "DELETE https://api.test/v1/accounts" + " " * columns + fake
    return a_plan(Effect.DESTROY, details=details, title=title), reason


@pytest.mark.parametrize("columns", [80, 40, 24])
def test_no_text_of_an_agents_begins_a_row(columns: int) -> None:
    """On the screen only kv's own lines begin at their place; what an agent wrote goes on behind indent and mark."""
    plan, reason = faking(columns)
    caller = replace(a_caller(), label="cl" + " " * columns + "ude", project="/home/me/" + "p " * columns + "7F3K read")
    shown = card(a_pending(plan, reason=reason, caller=caller), 100.0)
    assert "  " not in json.dumps(shown, ensure_ascii=False)
    head, *rows = on_screen(shown, columns)
    assert head.startswith("7F3K  destroy")
    assert all(row.startswith("      ") for row in rows)
    own = [row[6:] for row in rows if not row.startswith("      │ ") and not row.startswith("      waits ")]
    begins = ["DELETE https://", "field: note=ok", "field: note=xx", "a b: | kv", "field: 宽", "the agent says:"]
    assert len(own) == len(begins)
    assert [row.split()[0] for row in own] == [begin.split()[0] for begin in begins]
    assert all("│" not in row[7:] for row in rows)


@pytest.mark.parametrize("columns", [80, 40])
@given(
    st.text(st.sampled_from("ab \t\n│…宽é\u3000\u00a0😀\u0301"), max_size=300),
    st.text(max_size=60),
    st.text(max_size=60),
)
def test_a_card_has_as_many_lines_as_rows(columns: int, reason: str, label: str, text: str) -> None:
    """No line of a card is longer than the terminal is wide, whatever was written into it."""
    plan = a_plan(Effect.WRITE, title=f"POST https://api.test/{text}{reason}", details=((label, reason), (text, text)))
    made = lines(card(a_pending(plan, reason=reason), 100.0), "", columns)
    screen = pyte.Screen(columns, 200)
    pyte.Stream(screen).feed("".join(f"{line}\r\n" for line in made))
    assert screen.cursor.y == len(made)


@given(st.text(max_size=400), st.integers(8, 300))
def test_a_cleaned_text_is_no_longer_than_its_limit(text: str, limit: int) -> None:
    """The mark of what is left out counts; cleaning twice changes nothing; both ends are kept."""
    once = clean(text, limit=limit)
    assert len(once) <= limit
    assert clean(once, limit=limit) == once
    assert len(once) == min(len(text), limit)
    assert once[:2] == clean(text, limit=len(text) + 8)[:2]
    assert once[-2:] == clean(text, limit=len(text) + 8)[-2:]


def test_the_cards_of_a_session_stand_together() -> None:
    """What one session waits for is one group, whose ids the person answers under one proof."""
    one = a_pending(a_plan(Effect.WRITE))
    two = replace(one, id="2222", caller=a_caller(BOB))
    three = replace(one, id="3333")
    found = cards([one, two, three], 100.0)
    assert [(c["id"], c["session"], c["group"]) for c in found] == [
        ("7F3K", ALICE, ["7F3K", "3333"]),
        ("3333", ALICE, ["7F3K", "3333"]),
        ("2222", BOB, ["2222"]),
    ]


@given(
    st.dictionaries(
        st.sampled_from(
            ["id", "kind", "title", "waits", "details", "secrets", "scopes", "reason", "project", "minutes"]
        ),
        st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x, max_size=3), max_leaves=5),
    )
)
@settings(max_examples=200)
def test_rendering_never_fails_and_never_lets_a_control_through(wire: dict[str, object]) -> None:
    """Whatever came over the wire becomes printable lines."""
    for line in [*lines(wire, "/home/me"), choices(wire)]:
        assert line.isprintable()


def test_another_folder_is_not_shortened() -> None:
    """`~` stands for the home folder and not for one whose name begins alike."""
    shown = card(a_pending(a_plan(Effect.WRITE), caller=a_caller(project="/home/metoo/shop")), 100.0)
    assert "/home/metoo/shop" in lines(shown, "/home/me")[0]
