"""What the shared nouns promise: strict forms, read back to what was written."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nouns import a_caller, a_person

from brokers.contract import Effect
from kv.errors import KvError
from kv.model import Rule, Terms, Verdict, initial_terms, parse_rule, terms_from
from kv.policy import PRESETS

META: dict[str, object] = {
    "admission": "always",
    "preset": "strict",
    "rules": ["deny DELETE /v1/**", "allow write POST /v1/refunds"],
    "calls_per_hour": 100,
}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("destroy", (Effect.DESTROY, "", "", "")),
        ("DELETE /v1/**", (None, "DELETE", "/v1/**", "")),
        ("  mint   POST  /v1/keys ", (Effect.MINT, "POST", "/v1/keys", "")),
        ("/v1/customers/*", (None, "", "/v1/customers/*", "")),
        ("agent:codex", (None, "", "", "codex")),
        ("write POST /v1/a*b/c agent:claude-code", (Effect.WRITE, "POST", "/v1/a*b/c", "claude-code")),
        ("/**", (None, "", "/**", "")),
    ],
)
def test_a_rule_is_read_as_a_person_writes_it(text: str, parts: tuple[Effect | None, str, str, str]) -> None:
    """Effect, method, path and agent stand in this order; spaces do not matter; the id is the canonical text."""
    rule = parse_rule("deny", text)
    assert (rule.verdict, rule.effect, rule.method, rule.path, rule.agent) == (Verdict.DENY, *parts)
    assert rule.id == "deny " + " ".join(text.split())


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "delete /v1/x",
        "DELETE v1/x",
        "/v1/x DELETE",
        "DELETE /v1/x /v1/y",
        "DELETE /v1/x?id=1",
        "DELETE /v1/x#y",
        "/v1/**/x",
        "/v1/a**",
        "/v1/***",
        "agent:Claude Code",
        "agent:",
        "destroyer",
        "/v1/" + "x" * 160,
        "/v1/\N{RIGHT-TO-LEFT OVERRIDE}x",
        "destroy mint",
    ],
)
def test_what_is_not_a_rule_is_refused(text: str) -> None:
    """A rule that could be read in two ways, or that no call could meet, does not come to be."""
    with pytest.raises(KvError) as caught:
        parse_rule("deny", text)
    assert caught.value.code == "bad-argument"


@pytest.mark.parametrize("text", ["DELETE /v1/**", "agent:codex", "read agent:codex"])
def test_an_allow_says_what_it_opens_and_not_to_whom(text: str) -> None:
    """An allow of DELETE must name its effect, and none may rest on a program's name, which any program can take."""
    with pytest.raises(KvError):
        parse_rule("allow", text)
    assert parse_rule("deny", text).id == f"deny {text}"


def test_terms_are_read_back_as_they_were_written() -> None:
    """The sealed form and the noun are two forms of one thing."""
    terms = terms_from(META)
    assert terms.as_meta() == META
    assert terms_from(terms.as_meta()) == terms


@pytest.mark.parametrize(
    "change",
    [
        {"admission": "never"},
        {"admission": None},
        {"preset": "lax"},
        {"preset": ["strict"]},
        {"rules": "deny destroy"},
        {"rules": [7]},
        {"rules": ["permit destroy"]},
        {"rules": ["deny  destroy"]},
        {"rules": ["deny"]},
        {"rules": ["deny destroy", "deny destroy"]},
        {"rules": [f"deny /v1/{n}" for n in range(65)]},
        {"calls_per_hour": 0},
        {"calls_per_hour": True},
        {"calls_per_hour": 1.5},
        {"calls_per_hour": 10**9},
        {"more": 1},
    ],
)
def test_damaged_terms_are_refused(change: dict[str, object]) -> None:
    """Terms of another shape, range or spelling are an error, never a guess."""
    with pytest.raises(KvError) as caught:
        terms_from({**META, **change})
    assert caught.value.code == "bad-argument"


@pytest.mark.parametrize("member", list(META))
def test_terms_lack_no_member(member: str) -> None:
    """A missing member has no default on disk."""
    with pytest.raises(KvError):
        terms_from({k: v for k, v in META.items() if k != member})


def test_terms_hold_no_rule_that_differs_from_its_text() -> None:
    """What a denial names is what was judged: a rule cannot carry another rule's id."""
    with pytest.raises(KvError):
        Terms(rules=(Rule(Verdict.ALLOW, id="deny destroy"),))


@given(st.text(max_size=40))
@settings(max_examples=200)
def test_no_text_breaks_the_parser(text: str) -> None:
    """Any text is a rule, canonical ever after, or the one declared error."""
    try:
        rule = parse_rule("ask", text)
    except KvError as error:
        code = error.code
    else:
        code = "bad-argument"
        assert parse_rule("ask", rule.id.removeprefix("ask ")) == rule
    assert code == "bad-argument"


@pytest.mark.parametrize(
    ("name", "preset"),
    [
        ("stripe", "balanced"),
        ("dev/stripe", "relaxed"),
        ("prod/dev/stripe", "balanced"),
        ("developer", "balanced"),
        ("database", "balanced"),
    ],
)
def test_only_what_is_for_development_starts_relaxed(name: str, preset: str) -> None:
    """`dev/` starts relaxed, everything asks for admission."""
    terms = initial_terms(name)
    assert (terms.preset, terms.admission) == (preset, "ask")


def test_every_preset_has_a_word_for_every_effect() -> None:
    """The table has no hole through which a call could fall."""
    for preset in PRESETS:
        assert Terms(preset=preset).preset == preset
        assert set(PRESETS[preset]) == set(Effect)
    assert len(PRESETS) == 3


@pytest.mark.parametrize(
    ("channel", "proven", "is_person"),
    [
        ("kv", "totp", True),
        ("kv", "pin", True),
        ("kv", "passphrase", True),
        ("kv", "window", False),
        ("kv", "", False),
        ("kv", "TOTP", False),
        ("agent", "totp", False),
        ("agent", "passphrase", False),
    ],
)
def test_a_person_is_who_proves_it_now(channel: str, proven: str, is_person: bool) -> None:  # noqa: FBT001
    """A window, a claim or a proof on the agents' socket makes no person."""
    assert a_caller(channel=channel, proven=proven).is_person is is_person
    assert a_person().is_person
