"""A person's rules meet the calls that the broker plans, however these are spelt."""

from __future__ import annotations

import pytest
from http_world import broker, connection
from hypothesis import given
from hypothesis import strategies as st
from nouns import a_caller, some_terms

from kv.model import Standing, Verdict
from kv.policy import decide

BROKER = broker()
ADMITTED = Standing(frozenset({connection().name}))


def verdict(rule: str, method: str, path: str, base_path: str = "", *, encoded_slash: bool = False) -> Verdict:
    """What an agent's call is met with under one rule."""
    conn = connection(base_path=base_path, encoded_slash=encoded_slash)
    plan = BROKER.plan(conn, {"method": method, "path": path})
    return decide(a_caller(), plan, some_terms("relaxed", rule), ADMITTED, 1000.0).verdict


@pytest.mark.parametrize("says", ["deny", "ask"])
@pytest.mark.parametrize(
    ("rule", "method", "path"),
    [
        ("GET /api/v4/user/keys", "GET", "/api/v4/user/keys.json"),
        ("GET /api/v4/user/keys", "GET", "/api/v4/user/keys.XML/"),
        ("POST /v1/keys", "POST", "/v1/keys%20"),
        ("POST /v1/keys", "POST", "/v1/%20keys"),
        ("POST /v1/keys", "POST", "/v1/keys%C2%A0"),
        ("GET /v1/keys", "HEAD", "/v1/keys"),
        ("read GET /v1/secrets/**", "HEAD", "/v1/secrets/a"),
        ("GET /v1/keys/**", "GET", "/v1/keys.json"),
        ("GET /v1/*/keys", "GET", "/V1/a/Keys.json%20"),
        ("GET /v1/keys.json", "GET", "/v1/keys.json"),
    ],
)
def test_a_deny_or_ask_meets_what_servers_take_for_the_same(says: str, rule: str, method: str, path: str) -> None:
    """A format suffix, blanks and HEAD for GET make no hole in a rule that closes something."""
    assert verdict(f"{says} {rule}", method, path) is Verdict(says)


def test_a_rule_is_about_the_whole_path() -> None:
    """The declared base path belongs to what a rule reads, in every spelling."""
    assert verdict("deny GET /api/v4/user/keys", "GET", "/user/keys.json", "/api/v4") is Verdict.DENY
    assert verdict("deny GET /user/keys", "GET", "/user/keys.json", "/api/v4") is Verdict.ALLOW


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "/v1/a.json"), ("PUT", "/v1/a%20"), ("PUT", "/v1/A"), ("PUT", "/v1/a/"), ("HEAD", "/v1/a")],
)
def test_an_allow_stays_exact(method: str, path: str) -> None:
    """What opens something opens what it says and nothing that only resembles it."""
    rule = f"allow {'GET' if method == 'HEAD' else method} /v1/a"
    plan = BROKER.plan(connection(), {"method": method, "path": path})
    found = decide(a_caller(), plan, some_terms("strict", rule), ADMITTED, 1000.0)
    assert found.verdict is Verdict.ASK


@pytest.mark.parametrize(
    "rule",
    [
        "/projects/*/hooks",
        "/projects/shop/api/hooks",
        "/projects/shop/**",
        "/projects/shop%2fapi/hooks",
        "/projects/shop%2Fapi/hooks",
    ],
)
@pytest.mark.parametrize("path", ["/projects/shop%2Fapi/hooks", "/projects/Shop%2fapi/hooks.json/"])
def test_a_segment_with_a_slash_is_met_whole_and_split(rule: str, path: str) -> None:
    """A deny reads `shop%2Fapi` as one segment and as two: whichever the service takes it for, the rule holds."""
    assert verdict(f"deny {rule}", "GET", path, encoded_slash=True) is Verdict.DENY


def test_an_allow_reads_a_segment_with_a_slash_as_one() -> None:
    """What opens `/projects/shop/**` opens nothing in the project `shop%2Fapi`, though it would be spelt alike."""
    for rule, path in (
        ("PUT /projects/*", "/projects/shop%2Fapi"),
        ("PUT /projects/shop%2Fapi", "/projects/shop%2fapi"),
    ):
        assert allowed(rule, path), rule
    for rule, path in (("PUT /projects/shop/**", "/projects/shop%2Fapi"), ("PUT /projects/*", "/projects/shop/api")):
        assert not allowed(rule, path), rule


def allowed(rule: str, path: str) -> bool:
    """Whether an allow rule opens a write that `strict` asks about."""
    plan = BROKER.plan(connection(encoded_slash=True), {"method": "PUT", "path": path})
    found = decide(a_caller(), plan, some_terms("strict", f"allow {rule}"), ADMITTED, 1000.0)
    return found.verdict is Verdict.ALLOW


def test_other_methods_are_not_met() -> None:
    """A rule about GET says nothing of POST, nor one about HEAD of GET."""
    assert verdict("deny GET /v1/keys", "POST", "/v1/keys") is Verdict.ALLOW
    assert verdict("deny HEAD /v1/keys", "GET", "/v1/keys") is Verdict.ALLOW


@given(st.sampled_from(["", "%20", "%C2%A0", "%E3%80%80"]), st.sampled_from(["", ".json", ".CSV", ".html"]), st.data())
def test_no_spelling_escapes_a_deny(blank: str, suffix: str, data: st.DataObject) -> None:
    """Case, blanks, suffix and a last slash together, in any segment."""
    spelt = "".join(data.draw(st.sampled_from([c.upper(), c, f"%{ord(c):02x}"])) for c in "keys")
    path = f"/v1{blank}/{blank}{spelt}{suffix}{blank}{data.draw(st.sampled_from(['', '/']))}"
    assert verdict("deny GET /v1/keys", data.draw(st.sampled_from(["GET", "HEAD"])), path) is Verdict.DENY
