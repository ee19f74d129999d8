"""Plans of HTTP calls: pure, canonical, beneath the declared origin whatever the agent writes."""

from __future__ import annotations

import json
from functools import partial
from typing import cast
from urllib.parse import urlsplit

import pytest
from http_world import broker, connection, refused
from httpx2 import URL
from hypothesis import example, given, settings
from hypothesis import strategies as st

from brokers.contract import BrokerError, Effect, Plan
from brokers.http import target
from brokers.http.broker import agree
from brokers.http.target import Origin

BROKER = broker()
# Text as an attacker composes it: pieces that parsers disagree about, among anything at all.
PIECES = [
    *(
        "/",
        "//",
        "\\",
        ".",
        "..",
        "@",
        ":",
        "#",
        "?",
        "&",
        ";",
        "=",
        "%",
        "%2e",
        "%2E",
        "%2f",
        "%5c",
        "%00",
        "%0a",
        "%25",
    ),
    *(
        "%252e",
        "[",
        "]",
        "{{kv:",
        "}}",
        " ",
        "\t",
        "\r\n",
        "evil.test",
        "https:",
        "v1",
        "é",
        "%c3%a9",
        "%ff",
        "\N{FULLWIDTH SOLIDUS}",
    ),
]
HOSTILE = st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=12).map("".join)


def url_of(plan: Plan) -> str:
    """The URL that a plan says, put together from its request."""
    request = plan.request
    segments = (*cast("tuple[str, ...]", request["base"]), *cast("tuple[str, ...]", request["segments"]))
    query = target.join_query(cast("tuple[tuple[str, str], ...]", request["query"]))
    origin = plan.connection.target["origin"]
    return f"{origin}{target.join_path(segments)}" + (f"?{query}" if query else "")


@settings(max_examples=200)
@given(path=HOSTILE, rooted=st.booleans(), name=HOSTILE, value=HOSTILE)
@example(path="/..;/x", rooted=False, name="a", value="b")
@example(path="/%2e%2e/%2e%2e/x", rooted=False, name="a", value="b")
@example(path="/\\evil.test", rooted=False, name="a", value="b")
@example(path="/@evil.test:443/", rooted=False, name="", value="")
def test_any_path_is_refused_or_stays_beneath_the_declared_place(
    path: str, name: str, value: str, *, rooted: bool
) -> None:
    """Whatever is written, either the call is refused, or two parsers see the declared origin and base path in it."""
    conn = connection("https://api.test:8443", base_path="/base/v1")
    try:
        plan = BROKER.plan(conn, {"path": f"/{path}" if rooted else path, "query": {name: value}})
    except BrokerError as error:
        assert error.code == "argument"  # noqa: PT017 - refusing is one of the two good ends
        return
    url = url_of(plan)
    ours, theirs = urlsplit(url), URL(url)
    assert (ours.scheme, ours.hostname, ours.port) == ("https", "api.test", 8443)
    assert (theirs.scheme, theirs.raw_host, theirs.port) == ("https", b"api.test", 8443)
    assert not theirs.userinfo
    assert not ours.fragment
    raw = theirs.raw_path.decode()
    assert raw == ours.path + ("?" + ours.query if ours.query else "")
    assert ours.path.startswith("/base/v1/")
    assert not {".", ".."} & set(ours.path.split("/"))
    assert url.isascii()
    assert url.isprintable()
    assert not set(' \\"<>^`{|}') & set(url)


@settings(max_examples=200)
@given(path=HOSTILE)
@example(path="a%2Fb/%2e%2e%2f")
@example(path="a%2F..%2F..%2Fb")
def test_a_path_with_encoded_slashes_is_refused_or_stays_beneath_the_declared_place(path: str) -> None:
    """Where segments may hold a slash as well, a server that takes it for one finds the base path in front, no more."""
    conn = connection("https://api.test:8443", base_path="/base/v1", encoded_slash=True)
    try:
        plan = BROKER.plan(conn, {"path": f"/{path}"})
    except BrokerError as error:
        assert error.code == "argument"  # noqa: PT017 - refusing is one of the two good ends
        return
    url = url_of(plan)
    read = urlsplit(url).path
    assert URL(url).raw_path.decode().partition("?")[0] == read == plan.request["path"]
    assert "%2f" not in read
    for seen in (read, read.replace("%2F", "/")):
        assert seen.startswith("/base/v1/")
        assert "//" not in seen
        assert not {".", ".."} & set(seen.split("/"))
    assert BROKER.plan(conn, {"path": url.removeprefix("https://api.test:8443/base/v1")}) == plan


@settings(max_examples=100)
@given(path=st.lists(st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=8), max_size=5), value=HOSTILE)
def test_canonical_spelling_is_stable(path: list[str], value: str) -> None:
    """A canonical path and query, given again, make the same plan: nothing is encoded or decoded twice."""
    try:
        plan = BROKER.plan(connection(), {"path": "/" + "/".join(path), "query": {"q": value}})
    except BrokerError:
        return
    again = BROKER.plan(connection(), {"path": url_of(plan).removeprefix("https://api.test")})
    assert again.digest() == plan.digest()
    assert again == plan


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/a/../b", ""),
        ("/a b", ""),
        ("/a#b", ""),
        ("/a?b", "c"),
        ("/a\n", ""),
        ("/a", "b#c"),
        ("/é", ""),
        ("@evil.test/", ""),
    ],
)
def test_a_url_that_two_parsers_read_differently_is_no_plan(path: str, query: str) -> None:
    """Should an odd path get past the canon, the parsers' disagreement still stops it."""
    agree(Origin("https", "api.test", 8443), "/a", "b=c")
    refused(lambda: agree(Origin("https", "api.test", 8443), path, query), "argument", argument="path")


def test_equal_calls_have_equal_digests_and_others_do_not() -> None:
    """Spelling does not matter, meaning does: each part of a call is in its digest."""
    call: dict[str, object] = {"method": "POST", "path": "/v1/x?a=1", "json": {"b": 1}, "headers": {"x-y": "z"}}

    def digest(**change: object) -> str:
        return BROKER.plan(connection(), {**call, **change}).digest()

    assert digest() == digest(path="/%761/x?%61=1", headers={"X-Y": " z"}, method="post")
    others = [
        digest(path="/v1/x?a=2"),
        digest(path="/v1/y?a=1"),
        digest(method="PUT"),
        digest(json={"b": 2}),
        digest(headers={"x-y": "w"}),
        digest(headers={}),
        digest(timeout=5),
        digest(max_bytes=5),
        BROKER.plan(connection(base_path="/b"), call).digest(),
        BROKER.plan(connection("https://api2.test"), call).digest(),
        BROKER.plan(connection(pins=("127.0.0.2",)), call).digest(),
    ]
    assert len({digest(), *others}) == len(others) + 1


def test_a_plan_says_what_will_be_sent() -> None:
    """Title and details show the method, the whole URL without its query, the query, headers and body."""
    plan = BROKER.plan(
        connection("https://api.stripe.com", base_path="/v1"),
        {"method": "post", "path": "/refunds?expand=é", "headers": {"Idempotency-Key": "k1"}, "json": {"amount": 4200}},
    )
    assert plan.title == "POST https://api.stripe.com/v1/refunds"
    assert ("query", "expand=é") in plan.details
    assert ("header", "idempotency-key: k1") in plan.details
    assert ("field", "amount=4200") in plan.details
    assert plan.body == b'{"amount":4200}'
    assert plan.effect is Effect.WRITE
    assert json.loads(plan.canonical())["request"]["query"] == [["expand", "é"]]


def test_a_title_is_ascii() -> None:
    """Letters that look like others, or turn the direction of a line, are shown encoded."""
    plan = BROKER.plan(connection(), {"path": "/\N{RIGHT-TO-LEFT OVERRIDE}nimda/\N{CYRILLIC SMALL LETTER A}dmin"})
    assert plan.title == "GET https://api.test/%E2%80%AEnimda/%D0%B0dmin"


@pytest.mark.parametrize(
    ("auth", "options", "slots", "arguments"),
    [
        ("header", {"name": "X-Api-Key"}, ["secret"], {"headers": {"x-api-key": "guess"}}),
        ("header", {"name": "X-Api-Key"}, ["secret"], {"headers": {"X_Api_Key": "guess"}}),
        ("query", {"name": "key"}, ["secret"], {"query": {"key": "guess"}}),
        ("query", {"name": "key"}, ["secret"], {"path": "/x?KEY=guess"}),
        ("query", {"name": "key"}, ["secret"], {"path": "/x?key[]=guess"}),
        ("query", {"name": "api_key"}, ["secret"], {"path": "/x?api.key=guess"}),
        ("several", {"a": "header:dd-api-key", "b": "query:app"}, ["a", "b"], {"headers": {"DD-API-KEY": "guess"}}),
        ("several", {"a": "header:dd-api-key", "b": "query:app"}, ["a", "b"], {"query": {"app": "guess"}}),
    ],
)
def test_the_place_of_the_credential_is_refused(
    auth: str, options: dict[str, str], slots: list[str], arguments: dict[str, object]
) -> None:
    """A second value where the credential goes is refused when the call is planned, before anybody is asked."""
    conn = connection(auth=auth, options=options, slots=slots)
    refused(lambda: BROKER.plan(conn, arguments), "argument", why="the credential stands in the place of this name")


def test_a_connection_that_says_something_else_is_refused() -> None:
    """A target that no `connection_target` made is not dialled on trust."""
    good = connection()
    for bad in (
        {"origin": 3},
        {"origin": "http://api.test"},
        {"origin": "http://127.0.0.1", "insecure_loopback": True},
        {"origin": "http://x.test", "insecure_loopback": True, "addresses": ["10.0.0.1"]},
        {"origin": "http://127.0.0.1", "insecure_loopback": 1, "addresses": ["127.0.0.1"]},
        {"origin": "https://a.test", "addresses": "127.0.0.1"},
        {"origin": "https://a.test", "ca": None},
        {"origin": "https://a.test", "base_path": 3},
        {},
    ):
        conn = type(good)(good.name, "http", bad, "bearer", {}, good.secrets)
        refused(partial(BROKER.plan, conn, {}), "options")


def test_a_pack_gives_headers_and_base_path() -> None:
    """What the catalogue says of a service is part of the plan; the agent's own header wins."""
    pack_headers = cast("tuple[tuple[str, str], ...]", BROKER.plan(connection(), {}).request["headers"])
    assert dict(pack_headers) == {"accept": "*/*", "user-agent": "kv"}
    mine = BROKER.plan(connection(), {"headers": {"User-Agent": "shop/1.0", "Accept": "text/csv"}})
    assert dict(cast("tuple[tuple[str, str], ...]", mine.request["headers"])) == {
        "accept": "text/csv",
        "user-agent": "shop/1.0",
    }
