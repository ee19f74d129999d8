"""What may be done: the table of presets, a person's rules above it, and what no rule can open."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nouns import ALICE, BOB, a_caller, a_person, a_plan, some_terms

from brokers.contract import Connection, Effect, Plan
from kv.errors import KvError
from kv.model import Caller, Decision, Grant, Standing, Terms, Verdict
from kv.policy import PRESETS, decide, glob

R, W, U, D, M = Effect.READ, Effect.WRITE, Effect.UNKNOWN, Effect.DESTROY, Effect.MINT
X = Effect.RELEASE
ALLOW, ASK, DENY = Verdict.ALLOW, Verdict.ASK, Verdict.DENY
ADMITTED = Standing(frozenset({"stripe"}))
NOW = 1000.0

# preset, effect: verdict before admission, verdict after it, scopes after it
TABLE = {
    ("balanced", R): (ASK, ALLOW, ()),
    ("balanced", W): (ASK, ASK, ("once", "session")),
    ("balanced", U): (ASK, ASK, ("once",)),
    ("balanced", D): (ASK, ASK, ("once",)),
    ("balanced", M): (ASK, ASK, ("once",)),
    ("balanced", X): (ASK, ASK, ("once", "session")),
    ("relaxed", R): (ASK, ALLOW, ()),
    ("relaxed", W): (ASK, ALLOW, ()),
    ("relaxed", U): (ASK, ASK, ("once",)),
    ("relaxed", D): (ASK, ASK, ("once",)),
    ("relaxed", M): (ASK, ASK, ("once",)),
    ("relaxed", X): (ASK, ASK, ("once", "session", "project")),
    ("strict", R): (ASK, ASK, ("once", "session")),
    ("strict", W): (ASK, ASK, ("once",)),
    ("strict", U): (DENY, DENY, ()),
    ("strict", D): (DENY, DENY, ()),
    ("strict", M): (DENY, DENY, ()),
    ("strict", X): (DENY, DENY, ()),
}
# every caller that is not a person: agents, the unknown, a shell with a window, a proof where none can be
AGENTS = [
    a_caller(),
    a_caller(agent=""),
    a_caller(agent="", channel="kv"),
    a_caller(agent="", channel="kv", proven="window"),
    a_caller(proven="totp"),
    a_caller(channel="kv", proven="device"),
]


def judge(  # noqa: PLR0913 - each test names the one part it is about
    effect: Effect,
    terms: Terms | None = None,
    standing: Standing = ADMITTED,
    *,
    caller: Caller | None = None,
    method: str = "GET",
    path: str = "/v1/refunds",
) -> Decision:
    """Decide about one call of an admitted agent, unless told otherwise."""
    plan = a_plan(effect, method=method, path=path)
    return decide(caller or a_caller(), plan, terms or some_terms(), standing, NOW)


@pytest.mark.parametrize("caller", AGENTS)
@pytest.mark.parametrize(("preset", "effect"), list(TABLE))
def test_the_table_holds_for_everyone_without_a_fresh_proof(preset: str, effect: Effect, caller: Caller) -> None:
    """Preset and effect decide, whatever the caller says it is; a window or a claimed proof changes nothing."""
    before, after, scopes = TABLE[preset, effect]
    assert judge(effect, some_terms(preset), Standing(), caller=caller).verdict is before
    found = judge(effect, some_terms(preset), caller=caller)
    assert (found.verdict, found.scopes) == (after, scopes)
    assert not found.admission
    always = judge(effect, some_terms(preset, admission="always"), Standing(), caller=caller)
    assert (always.verdict, always.scopes, always.admission) == (after, scopes, False)


@pytest.mark.parametrize("proven", ["totp", "pin", "passphrase"])
@pytest.mark.parametrize(("preset", "effect"), list(TABLE))
def test_a_proof_that_came_with_the_call_is_its_approval(preset: str, effect: Effect, proven: str) -> None:
    """A person who proves themself for this very request may do all that their own rules do not forbid."""
    found = judge(effect, some_terms(preset), Standing(), caller=a_person(proven))
    assert found.verdict is ALLOW
    assert proven in found.why
    denied = judge(effect, some_terms(preset, "deny /v1/**"), Standing(), caller=a_person(proven))
    assert denied.verdict is DENY


def test_a_frozen_session_may_nothing() -> None:
    """Freezing beats every rule, every grant and `always`, and says why."""
    standing = Standing(frozenset({"stripe"}), (), "a person denied three calls")
    found = judge(R, some_terms("relaxed", "allow /v1/**", admission="always"), standing)
    assert (found.verdict, found.why) == (DENY, "a person denied three calls")


@pytest.mark.parametrize("effect", list(Effect))
def test_the_first_use_is_asked_once_and_says_what_it_opens(effect: Effect) -> None:
    """The admission is part of the first asking, whatever that is about."""
    assert judge(effect, standing=Standing()).admission
    found = judge(R, some_terms("relaxed"), Standing())
    assert found.why == "this session has not used stripe before; a yes lets it: read, write"
    assert found.scopes == ("once", "session", "project")
    assert found.minutes == 0
    assert judge(R, standing=Standing(frozenset({"github"}))).verdict is ASK


def test_without_a_project_there_is_none_to_admit() -> None:
    """A session whose folder is unknown is not offered "this project"."""
    found = judge(R, standing=Standing(), caller=a_caller(project=""))
    assert found.scopes == ("once", "session")


def test_a_sentence_names_the_rule() -> None:
    """A denial says which rule and what would help, in words that stand in the table."""
    found = judge(D)
    assert found.rule == "balanced: destroy asks every time"
    assert found.why == "it destroys something, and that cannot be undone"
    assert "ask the user" in found.help
    assert judge(D, some_terms("balanced", "deny DELETE /v1/**"), method="DELETE").rule == "deny DELETE /v1/**"


@pytest.mark.parametrize(("preset", "effect"), list(TABLE))
def test_every_decision_fits_the_error_that_carries_it(preset: str, effect: Effect) -> None:
    """Rule, why and help are one line each and survive the closed list of errors uncut."""
    for standing in (Standing(), ADMITTED):
        found = judge(effect, some_terms(preset), standing)
        text = KvError("denied", rule=found.rule, why=found.why, help=found.help)
        assert found.rule in text.message
        assert found.why in text.message
        assert found.help == text.hint


# grants


@pytest.mark.parametrize("effect", list(Effect))
@pytest.mark.parametrize("preset", ["balanced", "relaxed", "strict"])
def test_a_grant_answers_only_where_the_table_lets_it(preset: str, effect: Effect) -> None:
    """Writes in `balanced`, reads in `strict`; never what destroys, mints or cannot be classed."""
    standing = Standing(frozenset({"stripe"}), (Grant(ALICE, "stripe", effect, NOW + 1, "7F3K"),))
    without = judge(effect, some_terms(preset))
    found = judge(effect, some_terms(preset), standing)
    if (preset, effect) in {("balanced", W), ("strict", R)}:
        assert (found.verdict, found.rule) == (ALLOW, "granted by 7F3K")
    else:
        assert found == without


@pytest.mark.parametrize(
    "grant",
    [
        Grant(BOB, "stripe", W, NOW + 1, "7F3K"),
        Grant(ALICE, "github", W, NOW + 1, "7F3K"),
        Grant(ALICE, "stripe", R, NOW + 1, "7F3K"),
        Grant(ALICE, "stripe", W, NOW, "7F3K"),
    ],
)
def test_a_grant_is_for_one_session_connection_effect_and_time(grant: Grant) -> None:
    """Another session's, connection's or effect's grant opens nothing, nor does one at the moment it ends."""
    assert judge(W, standing=Standing(frozenset({"stripe"}), (grant,))).verdict is ASK


@pytest.mark.parametrize("preset", ["balanced", "relaxed", "strict"])
def test_a_release_is_granted_for_that_very_plan(preset: str) -> None:
    """The same command again needs no second yes in `balanced`; another one does, and in `strict` there is none."""
    plan = a_plan(X)
    for digest, meant in ((plan.digest(), ALLOW), (a_plan(X, path="/other").digest(), ASK), ("", ASK)):
        grant = Grant(ALICE, "stripe", X, NOW + 1, "7F3K", digest)
        found = decide(a_caller(), plan, some_terms(preset, admission="always"), Standing(grants=(grant,)), NOW)
        assert found.verdict is (DENY if preset == "strict" else meant)


@pytest.mark.parametrize("preset", ["balanced", "relaxed", "strict"])
def test_a_release_is_remembered_for_good_in_relaxed_alone(preset: str) -> None:
    """For that very plan, in its project."""
    plan = a_plan(X)
    for digest in (plan.digest(), a_plan(X, path="/other").digest()):
        standing = Standing(frozenset({f"stripe:{digest}"}))
        found = decide(a_caller(), plan, some_terms(preset, admission="always"), standing, NOW)
        assert (found.verdict is ALLOW) is (preset == "relaxed" and digest == plan.digest())


def test_a_grant_does_not_answer_a_persons_own_ask_rule() -> None:
    """Who wrote "ask for this path" is asked for this path, whatever was granted for the connection."""
    standing = Standing(frozenset({"stripe"}), (Grant(ALICE, "stripe", W, NOW + 1, "7F3K"),))
    found = judge(W, some_terms("balanced", "ask POST /v1/refunds"), standing, method="POST")
    assert (found.verdict, found.rule, found.scopes) == (ASK, "ask POST /v1/refunds", ("once",))


def test_a_slip_in_the_table_is_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were a line of the table to offer a grant for a destroy by mistake, it would be asked every time all the same."""
    monkeypatch.setitem(PRESETS["balanced"], D, PRESETS["balanced"][W])
    standing = Standing(frozenset({"stripe"}), (Grant(ALICE, "stripe", D, NOW + 1, "7F3K"),))
    found = judge(D, standing=standing)
    assert (found.verdict, found.scopes, found.minutes) == (ASK, ("once",), 0)


# a person's rules


@pytest.mark.parametrize("order", list(itertools.permutations(["allow /v1/**", "ask /v1/**", "deny /v1/**"])))
def test_deny_wins_then_ask_then_allow(order: tuple[str, ...]) -> None:
    """The order in which rules were written does not matter."""
    assert judge(R, some_terms("balanced", *order)).verdict is DENY
    assert judge(R, some_terms("balanced", *(r for r in order if "deny" not in r))).verdict is ASK
    assert judge(W, some_terms("balanced", "allow /v1/**")).verdict is ALLOW


def test_rules_go_above_the_preset_in_both_directions() -> None:
    """An allow opens what `strict` asks, an ask opens what it denies, a deny closes what `relaxed` allows."""
    assert judge(W, some_terms("strict", "allow POST /v1/refunds"), method="POST").verdict is ALLOW
    assert judge(D, some_terms("strict", "ask destroy")).verdict is ASK
    assert judge(R, some_terms("relaxed", "deny /v1/refunds")).verdict is DENY


def test_an_allow_rule_does_not_admit() -> None:
    """What a call may do and which session may use the connection are two questions."""
    found = judge(W, some_terms("balanced", "allow POST /v1/refunds"), Standing(), method="POST")
    assert (found.verdict, found.admission) == (ASK, True)
    assert "what its allow rules name" in found.why


@pytest.mark.parametrize("effect", [U, D, M])
def test_only_an_allow_that_names_it_opens_more_than_reads_and_writes(effect: Effect) -> None:
    """`allow POST /v1/**` was not written with `POST /v1/keys`, a mint, in mind."""
    wide = judge(effect, some_terms("relaxed", "allow /**", "allow POST /v1/**"), method="POST", path="/v1/keys")
    assert wide.verdict is ASK
    named = some_terms("relaxed", f"allow {effect.value} POST /v1/keys")
    assert judge(effect, named, method="POST", path="/v1/keys").verdict is ALLOW
    assert judge(effect, named, method="POST", path="/v1/keys/2").verdict is ASK
    first = judge(effect, named, Standing(), method="POST", path="/v1/keys")
    assert (first.verdict, first.scopes) == (ASK, ("once",))


def test_a_rule_against_an_agent_meets_whoever_hides() -> None:
    """A program that is not recognised may be that agent; one that is known to be another is not met."""
    terms = some_terms("balanced", "deny agent:codex")
    assert judge(R, terms, caller=a_caller(agent="codex")).verdict is DENY
    assert judge(R, terms, caller=a_caller(agent="")).verdict is DENY
    assert judge(R, terms, caller=a_caller(agent="claude-code")).verdict is ALLOW
    assert judge(R, terms, caller=a_person()).verdict is ALLOW
    assert judge(R, terms, caller=a_person(agent="codex")).verdict is DENY


@pytest.mark.parametrize("rule", ["allow /v1/**", "ask /v1/**", "deny POST /v1/**", "allow GET"])
@pytest.mark.parametrize("request_", [{}, {"statement": "select 1"}, {"method": 7, "path": ["/v1/x"]}, {"path": ""}])
def test_what_cannot_be_evaluated_is_denied(rule: str, request_: dict[str, object]) -> None:
    """A rule about paths and methods, and a plan that has none: no, even for an allow."""
    plan = Plan(Connection("stripe", "sql", {}, "none"), R, "a test", "select 1", request_)
    found = decide(a_caller(), plan, some_terms("balanced", rule), ADMITTED, NOW)
    assert (found.verdict, found.rule) == (DENY, "what cannot be evaluated is denied")


def test_a_rule_that_another_part_excludes_needs_no_path() -> None:
    """`deny destroy /v1/**` says nothing about a statement that reads."""
    plan = Plan(Connection("stripe", "sql", {}, "none"), R, "a test", "select 1", {"statement": "select 1"})
    assert decide(a_caller(), plan, some_terms("balanced", "deny destroy /v1/**"), ADMITTED, NOW).verdict is ALLOW


def test_a_deny_is_seen_even_if_another_rule_cannot_be_evaluated() -> None:
    """No order of rules hides an unevaluable one behind an allow."""
    plan = Plan(Connection("stripe", "sql", {}, "none"), R, "a test", "select 1", {"statement": "select 1"})
    for rules in (("allow read", "deny /v1/**"), ("deny /v1/**", "allow read")):
        assert decide(a_caller(), plan, some_terms("balanced", *rules), ADMITTED, NOW).verdict is DENY


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("/v1/things", "/v1/things", True),
        ("/v1/things", "/v1/things/", False),
        ("/v1/things", "/v1/Things", False),
        ("/v1/*", "/v1/things", True),
        ("/v1/*", "/v1/", False),
        ("/v1/*", "/v1/a/b", False),
        ("/v1/*/keys", "/v1/a/keys", True),
        ("/v1/*/keys", "/v1/a/b/keys", False),
        ("/v1/**", "/v1/a", True),
        ("/v1/**", "/v1/a/b/c", True),
        ("/v1/**", "/v1/", True),
        ("/v1/**", "/v1", False),
        ("/v1/**", "/v10/a", False),
        ("/**", "/", True),
        ("/**", "/a/b", True),
        ("/a*b", "/ab", True),
        ("/a*b", "/axxb", True),
        ("/a*b*c", "/a-b-c", True),
        ("/a*b*c", "/acb", False),
        ("/ab*ba", "/aba", False),
        ("/a.c", "/abc", False),
        ("/[a]", "/a", False),
    ],
)
def test_globs(pattern: str, path: str, matches: bool) -> None:  # noqa: FBT001
    """`*` stays within a segment and is not nothing where it is all of one; `**` is any tail; all else is itself."""
    assert glob(pattern, path) is matches


@pytest.mark.parametrize(
    "path", ["/v1/Keys", "/V1/KEYS", "/v1/keys/", "/v1//keys", "/v1/k%65ys", "/v1/%4Beys", "//v1/keys//"]
)
def test_a_deny_is_read_widely_and_an_allow_to_the_letter(path: str) -> None:
    """A server that is careless about case, slashes or escapes does not make a hole in a deny."""
    assert judge(R, some_terms("balanced", "deny /v1/keys"), path=path).verdict is DENY
    assert judge(R, some_terms("balanced", "ask /v1/keys"), path=path).verdict is ASK
    assert judge(W, some_terms("balanced", "allow /v1/keys"), path=path).verdict is ASK


def test_a_deny_of_a_tree_covers_its_root() -> None:
    """`deny /v1/keys/**` means the keys, so also the list of them with a slash at its end."""
    terms = some_terms("balanced", "deny /v1/keys/**")
    assert judge(R, terms, path="/v1/keys/9").verdict is DENY
    assert judge(R, terms, path="/v1/keys/").verdict is DENY
    assert judge(R, terms, path="/v1/keys").verdict is DENY
    assert judge(R, terms, path="/v1/keysmith").verdict is ALLOW


def test_a_hostile_path_does_not_hold_the_keeper_up() -> None:
    """A glob full of stars against a path made to backtrack is judged: backtracking would outlast any time limit."""
    terms = some_terms("balanced", "deny /" + "*a" * 60 + "b")
    assert judge(R, terms, path="/" + "a" * 60_000).verdict is ALLOW


@given(st.text("ab/*", min_size=1, max_size=8), st.text("ab/", max_size=8))
@settings(max_examples=200)
def test_globs_equal_their_definition(pattern: str, path: str) -> None:
    """The linear matcher says what the plain recursive definition says."""
    pattern = "/" + re.sub(r"\*+", "*", pattern)
    path = "/" + path

    def segment(p: str, t: str) -> bool:
        if not p:
            return not t
        if p[0] == "*":
            return segment(p[1:], t) or (bool(t) and segment(p, t[1:]))
        return bool(t) and t[0] == p[0] and segment(p[1:], t[1:])

    want, have = pattern.split("/"), path.split("/")
    expected = len(want) == len(have) and all(
        segment(w, h) and not (w == "*" and not h) for w, h in zip(want, have, strict=True)
    )
    assert glob(pattern, path) is expected


RULES = st.sampled_from(
    ["allow /**", "allow GET /v1/**", "allow POST /v1/keys", "allow read", "allow write", "ask mint", "deny GET /v2/**"]
)
GRANTS = st.builds(
    Grant,
    session=st.sampled_from([ALICE, BOB]),
    connection=st.sampled_from(["stripe", "github"]),
    effect=st.sampled_from(list(Effect)),
    until=st.sampled_from([NOW, NOW + 1e9]),
    approval=st.just("7F3K"),
)


@given(
    caller=st.sampled_from(AGENTS),
    effect=st.sampled_from([U, D, M]),
    preset=st.sampled_from(["balanced", "relaxed", "strict"]),
    admission=st.sampled_from(["ask", "always"]),
    rules=st.lists(RULES, max_size=4, unique=True),
    grants=st.lists(GRANTS, max_size=4),
    admitted=st.booleans(),
    path=st.sampled_from(["/v1/keys", "/v1/x/y", "/V1/keys"]),
)
@settings(max_examples=200)
def test_nothing_that_is_remembered_lets_an_agent_destroy_or_mint(  # noqa: PLR0913 - all that a decision depends on
    *,
    caller: Caller,
    effect: Effect,
    preset: str,
    admission: str,
    rules: list[str],
    grants: list[Grant],
    admitted: bool,
    path: str,
) -> None:
    """Whatever stands, an unknown, destroy or mint call without its own proof asks for that call only, or is denied."""
    standing = Standing(frozenset({"stripe"} if admitted else ()), tuple(grants))
    terms = some_terms(preset, *rules, admission=admission)
    found = judge(effect, terms, standing, caller=caller, method="POST", path=path)
    assert found.verdict is not ALLOW
    assert found.scopes in {(), ("once",)}
    assert found.minutes == 0
