"""Where a call goes: declared origins, canonical paths and queries."""

from __future__ import annotations

from functools import partial

import pytest
from http_world import refused
from hypothesis import example, given, settings
from hypothesis import strategies as st

from brokers.contract import BrokerError
from brokers.http import target
from brokers.http.target import Origin, connection_target, join_path, join_query, parse_origin, split_path, split_query


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://api.test", Origin("https", "api.test", 443)),
        ("api.test", Origin("https", "api.test", 443)),
        ("api.test:8443", Origin("https", "api.test", 8443)),
        ("HTTPS://API.Test:443/", Origin("https", "api.test", 443)),
        ("https://[2606:4700::1111]:8443", Origin("https", "2606:4700::1111", 8443)),
        ("https://[2606:4700:0:0::1111]", Origin("https", "2606:4700::1111", 443)),
        ("https://1.1.1.1", Origin("https", "1.1.1.1", 443)),
        ("https://müller.example", Origin("https", "xn--mller-kva.example", 443)),
        ("https://MÜLLER.example", Origin("https", "xn--mller-kva.example", 443)),
    ],
)
def test_origins_have_one_spelling(text: str, origin: Origin) -> None:
    """However a person writes it, an origin is one scheme, one A-label host and one port."""
    assert parse_origin(text) == origin
    assert parse_origin(str(origin)) == origin


def test_look_alikes_show_as_a_labels() -> None:
    """A Cyrillic letter in a host cannot be taken for a Latin one: what is stored and shown is its A-label."""
    assert parse_origin("https://\N{CYRILLIC SMALL LETTER A}pple.com").host == "xn--pple-43d.com"
    assert str(parse_origin("https://ａｐｉ.test")) == "https://api.test"  # noqa: RUF001 - fullwidth letters are those letters


@pytest.mark.parametrize(
    "text",
    [
        "https://user@api.test",
        "https://user:pw@api.test",
        "https://api.test/v1",
        "https://api.test?x",
        "https://api.test#x",
        "https://api.test\\@evil.test",
        "https://api.test:0",
        "https://api.test:65536",
        "https://api.test:080",
        "https://api.test.",
        "https://api..test",
        "https://-api.test",
        "https://api.test\n.evil",
        "https://api test",
        "https://%61pi.test",
        "https://127.1",
        "https://0x7f.1",
        "https://2130706433",
        "https://0x7f000001",
        "https://017700000001",
        "https://1.1.1.08",
        "https://api.1",
        "https://①②⑦.1",
        "https://[fe80::1%25eth0]",
        "https://[::1",
        "https://[1.2.3.4]",
        "https://xn--a",
        "ftp://api.test",
        "//api.test",
        "",
        "https://",
        "https://" + "a" * 64 + ".test",
    ],
)
def test_odd_origins_are_refused(text: str) -> None:
    """What two programs could read as two hosts is no host."""
    refused(lambda: parse_origin(text), "options")


@settings(max_examples=200)
@given(st.text(max_size=30) | st.from_regex("(http[s\u017f]?://)?[a-z0-9.:\\[\\]@%-]{0,30}", fullmatch=True))
@example("HTTP\u017f://api.test")  # a long s, which is an `s` to what ignores case
def test_any_text_is_an_origin_or_refused(text: str) -> None:
    """Whatever is typed as a host has one stable reading, or none."""
    try:
        origin = parse_origin(text)
    except BrokerError as error:
        assert error.code == "options"  # noqa: PT017 - refusing is one of the two good ends
        return
    assert parse_origin(str(origin)) == origin
    assert str(origin).isascii()
    assert set("/?#@\\% ").isdisjoint(origin.authority)


def test_a_declared_target_holds_what_the_broker_reads() -> None:
    """`--host` and its companions become one JSON object, canonical and checked."""
    assert connection_target("API.test:8443", addresses=["127.0.0.1"], ca="", base_path="/v1") == {
        "origin": "https://api.test:8443",
        "base_path": "/v1",
        "addresses": ["127.0.0.1"],
        "ca": "",
        "insecure_loopback": False,
        "encoded_slash": False,
    }
    assert connection_target("api.test", encoded_slash=True)["encoded_slash"] is True


def test_plain_http_is_for_loopback_and_must_be_asked_for() -> None:
    """Plain HTTP needs the flag and loopback addresses, both; https takes no such flag."""
    refused(lambda: connection_target("http://127.0.0.1:80"), "options")
    refused(lambda: connection_target("https://127.0.0.1:80", insecure_loopback=True), "options")
    refused(lambda: connection_target("http://10.0.0.1", insecure_loopback=True), "options")
    refused(lambda: connection_target("http://api.test", insecure_loopback=True), "options")
    refused(lambda: connection_target("http://api.test", addresses=["10.0.0.1"], insecure_loopback=True), "options")
    refused(
        lambda: connection_target("http://api.test", addresses=["127.0.0.1", "10.0.0.1"], insecure_loopback=True),
        "options",
    )
    for host, pins in (("http://127.0.0.1:8080", ["127.0.0.1"]), ("http://localhost:1", ["127.0.0.1", "::1"])):
        assert connection_target(host, insecure_loopback=True)["addresses"] == pins
    assert connection_target("http://[::1]:80", insecure_loopback=True)["addresses"] == ["::1"]


def test_bad_pins_and_cas_are_refused() -> None:
    """A pin is a plain address that may be pinned, a CA is PEM, and both are bounded."""
    refused(lambda: connection_target("api.test", addresses=["127.1"]), "options")
    refused(lambda: connection_target("api.test", addresses=["169.254.169.254"]), "address", kind="metadata service")
    refused(lambda: connection_target("api.test", addresses=[f"10.0.0.{n}" for n in range(1, 10)]), "options")
    refused(lambda: connection_target("api.test", ca="not PEM"), "options")
    refused(lambda: connection_target("api.test", ca="-----BEGIN CERTIFICATE-----" + "A" * (1 << 19)), "options")
    refused(lambda: connection_target("api.test", base_path="v1/.."), "argument")


@pytest.mark.parametrize(
    ("path", "canonical"),
    [
        ("/", "/"),
        ("/v1/x", "/v1/x"),
        ("/v1/", "/v1/"),
        ("/%76%31/x", "/v1/x"),
        ("/a b", "/a%20b"),
        ("/a%20b", "/a%20b"),
        ("/a+b", "/a+b"),
        ("/a%2Bb", "/a+b"),
        ("/é", "/%C3%A9"),
        ("/%c3%a9", "/%C3%A9"),
        ("/@user:x,y=1!$&'()*", "/@user:x,y=1!$&'()*"),
        ("/100%25", "/100%25"),
        ("/models/gpt-4o:embed", "/models/gpt-4o:embed"),
        ("/.well-known/x", "/.well-known/x"),
        ("/...", "/..."),
        ("/a..b", "/a..b"),
        ('/"<>[]^`{|}', "/%22%3C%3E%5B%5D%5E%60%7B%7C%7D"),
        ("/http:/x", "/http:/x"),
    ],
)
def test_paths_have_one_spelling(path: str, canonical: str) -> None:
    """Every spelling of a path becomes the same bytes, which are stable from then on."""
    assert join_path(split_path(path)) == canonical
    assert join_path(split_path(canonical)) == canonical


BAD_PATHS = [
    "",
    "x",
    "v1/x",
    "https://evil.test/x",
    "//evil.test/x",
    "/v1//x",
    "\\\\evil.test",
    "/\\evil.test",
    "/a\\b",
    "/a%5cb",
    "/a%5Cb",
    "/a/../b",
    "/..",
    "/.",
    "/a/.",
    "/a/./b",
    "/a/%2e%2e/b",
    "/a/.%2e/b",
    "/%2E",
    "/a/%252e%252e/b",
    "/a%252fb",
    "/a%252Fb",
    "/%25252e",
    "/a%2fb",
    "/a%2Fb",
    "/a/..;/b",
    "/a;x=1/b",
    "/a%3Bb",
    "/a#b",
    "/a%00b",
    "/a\x00b",
    "/a%0d%0ab",
    "/a\r\nb",
    "/a\tb",
    "/a%7f",
    "/a\x85b",
    "/a%c2%85b",
    "/a%",
    "/a%2",
    "/a%zz",
    "/a%ff",
    "/a%c0%ae",
    "/a%ed%a0%80",
    "/a\ud800",
    "/{{kv:KEY}}",
    "/%7b%7bkv:KEY}}",
    "/" + "a/" * 200,
]


@pytest.mark.parametrize("path", BAD_PATHS)
def test_paths_that_can_be_read_in_two_ways_are_refused(path: str) -> None:
    """Climbing, second hosts, second encodings, controls and references never become part of a URL."""
    refused(lambda: split_path(path), "argument", argument="path")


@pytest.mark.parametrize(
    ("path", "segments", "canonical"),
    [
        ("/projects/group%2fproject", ("projects", "group/project"), "/projects/group%2Fproject"),
        ("/a%2Fb%2Fc/d", ("a/b/c", "d"), "/a%2Fb%2Fc/d"),
        ("/a%2Fb/", ("a/b", ""), "/a%2Fb/"),
        ("/files/src%2F.env", ("files", "src/.env"), "/files/src%2F.env"),
        ("/a/b", ("a", "b"), "/a/b"),
        ("/", ("",), "/"),
    ],
)
def test_an_encoded_slash_is_data_of_its_segment(path: str, segments: tuple[str, ...], canonical: str) -> None:
    """Where a person declared it, a segment holds a slash, which travels as `%2F`."""
    assert split_path(path, encoded_slash=True) == segments
    assert join_path(segments) == canonical
    assert split_path(canonical, encoded_slash=True) == segments


CLIMBING = [
    "/%2e%2e%2f",
    "/..%2fx",
    "/a%2F..%2Fb",
    "/a%2f%2e%2e/b",
    "/a%2F.",
    "/.%2Fa",
    "/%2Fa",
    "/a%2F",
    "/a%2F/b",
    "/a%2F%2Fb",
    "/%2F",
    "/%2F%2Fevil.test",
    "/a%252Fb",
    "/a%2F%252e%252e",
    "/a%2F..;/b",
    "/a%2F%5c..",
    "/a%2F%00",
    "/" + "a%2F" * 128 + "a",
]


@pytest.mark.parametrize("path", [*(path for path in BAD_PATHS if path.lower() != "/a%2fb"), *CLIMBING])
def test_an_encoded_slash_opens_no_way_up(path: str) -> None:
    """What an encoded slash parts is held to what segments are: nothing climbs, is empty, or is encoded twice."""
    refused(lambda: split_path(path, encoded_slash=True), "argument", argument="path")


def test_queries_have_one_spelling() -> None:
    """Pairs are decoded once and encoded once; what separates pairs elsewhere is data here."""
    pairs = split_query("a=1&b=x+y&c=%26%3D%3B&flag&e=%C3%A9&a=2&d=a;b")
    assert pairs == (("a", "1"), ("b", "x y"), ("c", "&=;"), ("flag", ""), ("e", "é"), ("a", "2"), ("d", "a;b"))
    assert join_query(pairs) == "a=1&b=x%20y&c=%26%3D%3B&flag=&e=%C3%A9&a=2&d=a%3Bb"
    assert split_query(join_query(pairs)) == pairs


def test_bad_queries_are_refused() -> None:
    """Broken escapes, other encodings than UTF-8, NUL and floods are refused; line ends are text."""
    for text in ("a=%", "a=%ff", "a=%00", "%zz", "a=\x1b", "a={{kv:K}}"):
        refused(partial(split_query, text), "argument", argument="query")
    refused(lambda: split_query("&".join(["a=1"] * 300)), "argument", argument="query")
    assert split_query("q=a%0Ab%09c") == (("q", "a\nb\tc"),)


def test_sizes_are_bounded() -> None:
    """What common servers would cut off is refused before it is sent."""
    refused(lambda: target.check_size("/" + "a" * 5000, ""), "argument", argument="path")
    refused(lambda: target.check_size("/a", "b=" + "c" * 8000), "argument", argument="query")
    target.check_size("/" + "a" * 4000, "b=" + "c" * 3000)
