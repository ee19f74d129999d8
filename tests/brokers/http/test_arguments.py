"""What an agent may say of a request."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from functools import partial

import pytest
from http_world import refused
from hypothesis import given, settings
from hypothesis import strategies as st

from brokers.contract import BrokerError, Limits
from brokers.http.arguments import METHODS, decode

BARRED = [
    "authorization",
    "proxy-authorization",
    "proxy-connection",
    "cookie",
    "cookie2",
    "host",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "transfer-encoding",
    "content-length",
    "content-encoding",
    "accept-encoding",
    "expect",
    "range",
    "if-range",
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x_forwarded_for",
    "x-real-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "x-original-url",
    "x-rewrite-url",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "X_HTTP_Method_Override",
    "Authorization",
    "HOST",
    "http2-settings",
    "sec-websocket-key",
]


def test_a_call_has_defaults() -> None:
    """Nothing but a path is a GET with the default limits."""
    draft = decode({"path": "/v1/x"}, b"")
    assert (draft.method, draft.segments, draft.query, draft.headers, draft.body) == ("GET", ("v1", "x"), (), (), b"")
    assert draft.limits == Limits(30.0, 1 << 20)


def test_unknown_arguments_are_refused() -> None:
    """A misspelled argument is an error, not a call without it."""
    refused(lambda: decode({"path": "/", "querry": {"a": "b"}}, b""), "argument", argument="arguments")


@pytest.mark.parametrize("method", ["CONNECT", "TRACE", "get\r\n", "", "PROPFIND", "G ET", 7, None])
def test_other_methods_are_refused(method: object) -> None:
    """Methods that tunnel, that echo the credential, or that nobody classed are refused."""
    refused(lambda: decode({"method": method}, b""), "argument", argument="method")


def test_methods_may_be_written_small() -> None:
    """`get` is GET, and every listed method is taken."""
    assert [decode({"method": method.lower()}, b"").method for method in METHODS] == list(METHODS)


def test_query_may_stand_in_the_path_and_beside_it() -> None:
    """`/x?limit=3` is parsed strictly and joined with the query argument, mapping or pairs."""
    pairs = (("limit", "3"), ("a", "1"), ("a", "2"), ("b", "true"), ("c", "1.5"))
    assert decode({"path": "/x?limit=3", "query": {"a": [1, 2], "b": True, "c": 1.5}}, b"").query == pairs
    assert decode({"path": "/x?limit=3", "query": [["a", 1], ["a", "2"], ["b", True], ["c", 1.5]]}, b"").query == pairs
    refused(lambda: decode({"path": "/x#f?a"}, b""), "argument", argument="path")


@pytest.mark.parametrize(
    "query",
    [
        "a=1",
        3,
        {"a": None},
        {"a": {"b": 1}},
        {"a": float("nan")},
        [["a"]],
        [["a", "b", "c"]],
        {"a": 1 << 80},
        {"a": ["x"] * 300},
        [["a", "b"]] * 300,
        {"a": "\ud800"},
        {"a": "\x00"},
        {1: "a"},
    ],
)
def test_other_shapes_of_queries_are_refused(query: object) -> None:
    """A query is names and scalars, and no more of them than a person could mean."""
    refused(lambda: decode({"query": query}, b""), "argument", argument="query")


@pytest.mark.parametrize("name", BARRED)
def test_headers_that_are_kvs_are_refused(name: str) -> None:
    """Who asks, over which connection, for which host and with which credential is not the agent's to say."""
    refused(lambda: decode({"headers": {name: "x"}}, b""), "argument", argument="headers")


@pytest.mark.parametrize(
    "headers",
    [
        {"a b": "x"},
        {"a:": "x"},
        {"": "x"},
        {"x": "a\r\nb: c"},
        {"x": "a\nb"},
        {"x": "a\x00b"},
        {"x": "é"},
        {"x": "{{kv:KEY}}"},
        {"x": 3},
        {"X": "a", "x": "b"},
        {"x": "y" * 9000},
        {f"x{n}": "y" for n in range(70)},
        {f"x{n}": "y" * 1000 for n in range(40)},
        [["x", "y"]],
        "x: y",
    ],
)
def test_malformed_headers_are_refused(headers: object) -> None:
    """A header is a token and visible ASCII, once, within bounds."""
    refused(lambda: decode({"headers": headers}, b""), "argument", argument="headers")


def test_headers_are_folded_and_sorted() -> None:
    """Names are lower case and in one order, so equal calls have equal plans."""
    assert decode({"headers": {"X-B": " 1 ", "User-Agent": "me"}}, b"").headers == (("user-agent", "me"), ("x-b", "1"))


def test_bodies_come_in_five_ways() -> None:
    """JSON, text, form, base64 and raw bytes, each with the content type it implies."""
    post = {"method": "POST"}

    def body(given: dict[str, object], raw: bytes = b"") -> tuple[bytes, str]:
        draft = decode({**post, **given}, raw)
        return draft.body, dict(draft.headers).get("content-type", "")

    assert body({"json": {"b": [1, "é"], "a": None}}) == ('{"b":[1,"é"],"a":null}'.encode(), "application/json")
    assert body({"json": None}) == (b"null", "application/json")
    assert body({"text": "é"}) == ("é".encode(), "text/plain; charset=utf-8")
    assert body({"form": {"a": "x y", "b": [1, 2]}}) == (b"a=x%20y&b=1&b=2", "application/x-www-form-urlencoded")
    assert body({"base64": base64.b64encode(b"\x00\xff").decode()}) == (b"\x00\xff", "application/octet-stream")
    assert body({}, b"\x00raw") == (b"\x00raw", "application/octet-stream")
    assert body({"json": {}, "headers": {"content-type": "application/vnd.api+json"}})[1] == "application/vnd.api+json"
    assert body({}) == (b"", "")


@pytest.mark.parametrize(
    ("given", "argument"),
    [
        ({"json": {"a": float("nan")}}, "json"),
        ({"json": {"a": b"bytes"}}, "json"),
        ({"json": "\ud800"}, "json"),
        ({"json": {}, "text": "x"}, "json"),
        ({"text": "x", "form": {"a": "b"}}, "text"),
        ({"text": 3}, "text"),
        ({"base64": "===="}, "base64"),
        ({"base64": "YQ"}, "base64"),
        ({"base64": "YQ==\n"}, "base64"),
        ({"form": "a=b"}, "form"),
        ({"text": "x" * ((16 << 20) + 1)}, "text"),
        ({"text": "a {{kv:KEY}} b"}, "body"),
        ({"json": {"a": ["{{kv:KEY}}"]}}, "body"),
        ({"form": {"a": "{{kv:KEY}}"}}, "form"),
        ({"base64": base64.b64encode(b"{{kv:KEY}}").decode()}, "body"),
    ],
)
def test_bad_bodies_are_refused(given: dict[str, object], argument: str) -> None:
    """One body, well formed, within bounds, without a reference."""
    refused(lambda: decode({"method": "POST", **given}, b""), "argument", argument=argument)


def test_deep_json_is_refused_or_written_but_never_a_crash() -> None:
    """Nesting that Python cannot write is an argument error."""
    deep: object = []
    for _ in range(100_000):
        deep = [deep]
    refused(lambda: decode({"method": "POST", "json": deep}, b""), "argument", argument="json")
    while isinstance(deep, list) and deep:  # taken apart by hand: freeing it whole would recurse as deep
        deep = deep.pop()


def test_two_bodies_are_refused() -> None:
    """Bytes beside a body argument are two bodies."""
    refused(lambda: decode({"method": "POST", "json": {}}, b"raw"), "argument", argument="json")
    refused(lambda: decode({"method": "HEAD"}, b"raw"), "argument", argument="method")


@pytest.mark.parametrize(
    "name", ["_method", "_METHOD", ".method", " _method", "[method", "%5Fmethod", "X-HTTP-Method-Override"]
)
def test_method_overrides_are_refused_wherever_servers_look(name: str) -> None:
    """`_method=DELETE` does not turn an approved POST into a DELETE, in PHP's spellings neither."""
    plain = name.replace("%5F", "_")
    post: dict[str, object] = {"method": "POST"}
    form = "application/x-www-form-urlencoded; charset=utf-8"
    for call in (
        {"path": f"/x?{name}=DELETE"},
        {"query": {plain: "DELETE"}},
        {"form": {plain: "DELETE"}},
        {"json": {plain: "DELETE"}},
        {"text": f"a=1&{name}=DELETE", "headers": {"content-type": form}},
        {"text": json.dumps({plain: "DELETE"}), "headers": {"content-type": "application/json"}},
        {"text": "\ufeff" + json.dumps({plain: "DELETE"}), "headers": {"content-type": "text/json"}},
        {
            "text": f'--b\r\ncontent-disposition: form-data; name="{plain}"\r\n\r\nDELETE\r\n--b--',
            "headers": {"content-type": "multipart/form-data; boundary=b"},
        },
    ):
        refused(partial(decode, {**post, **call}, b""), "argument")


FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=b"
PART = "--b\r\n{}\r\n\r\nDELETE\r\n--b--\r\n"


@pytest.mark.parametrize(
    ("content_type", "text"),
    [
        # PHP: blanks before a name do not count, nor does what follows a NUL
        (FORM, "+" * 64 + "_method=DELETE"),
        (FORM, "a=1&" + "%20" * 22 + "_method=DELETE"),
        (FORM, "+" * 2000 + "_method=DELETE"),
        (FORM, "_method%00x=DELETE"),
        (FORM, "a=1;_method=DELETE"),
        (FORM, "_method[x]=DELETE"),
        (FORM, "_meth%FFod=DELETE"),
        (FORM, "a=100%&_method=DELETE"),
        (FORM, "a=100%"),
        (FORM, "&".join(["a=1"] * 5000)),
        # Rack: a backslash in quotes stands for what follows it; it takes a content-id where there is no name
        (MULTIPART, PART.format('Content-Disposition: form-data; name="\\_method"')),
        (MULTIPART, PART.format('Content-Disposition: form-data; name="_me\\thod"')),
        (MULTIPART, PART.format("Content-ID: _method")),
        (MULTIPART, PART.format('Content-Disposition: form-data; name="' + " " * 99 + '_method"')),
        (MULTIPART, PART.format('Content-Disposition: form-data; name="_method" x')),
        (MULTIPART, PART.format('Content-Disposition: form-data;\r\n\tNAME = \r\n "_method"')),
        (MULTIPART, PART.format('Content-Disposition : form-data; name="_method\0x"')),
        # RFC 2231, and RFC 2047 as Java reads it
        (MULTIPART, PART.format("Content-Disposition: form-data; name*=utf-8''_method")),
        (MULTIPART, PART.format("Content-Disposition: form-data; name*=utf-8''%5Fmethod")),
        (MULTIPART, PART.format('Content-Disposition: form-data; name*0="_me"; name*1="thod"')),
        (MULTIPART, PART.format('Content-Disposition: form-data; name="=?utf-8?q?=5Fmethod?="')),
        (MULTIPART, PART.format('Content-Disposition: form-data; name="a"; name="_method"')),
        (MULTIPART, PART.format('Content-Disposition: form-data; name="%5Fmethod"')),
        (MULTIPART, PART.format("Content-Disposition: form-data; name=" + "a" * 2000)),
        (MULTIPART, PART.format('Content-Disposition: form-data; x="' + "a" * 9000 + '"; name="_method"')),
        (MULTIPART, PART.format('Content-Disposition: form-data; name="a"') * 1001),
        # Ruby's parser takes comments, others a comma too many; a name may be escaped
        ("application/json", '/**/{"_method":"DELETE"}'),
        ("application/json", '{"_method":"DELETE",}'),
        ("application/json", '{"\\u005fmethod":"DELETE"}'),
        ("application/json", "[" * 100_000),
        ("application/x-ndjson", '{"a":1}\n{"_method":"DELETE"}\n'),
        # Rack takes a body of no type for a form
        ("", "_method=DELETE"),
        (";", "_method=DELETE"),
        ("text", "_method=DELETE"),
    ],
)
def test_method_overrides_are_refused_in_spellings_that_servers_undo(content_type: str, text: str) -> None:
    """Blanks, NULs, backslashes, continuations and comments hide no `_method`: what cannot be followed is refused."""
    call = {"method": "POST", "text": text, "headers": {"content-type": content_type}}
    refused(lambda: decode(call, b""), "argument", argument="body" if "/" in content_type else "headers")


@pytest.mark.parametrize(
    "name", ["_method\0x", "\t_method", "_me\nthod", "a\x7f", "_method ", "_method[", "_method[a]"]
)
def test_a_form_has_no_control_characters_in_its_names(name: str) -> None:
    """The `form` argument is held to the same: what a server cuts a name at is refused."""
    refused(lambda: decode({"method": "POST", "form": {name: "DELETE"}}, b""), "argument", argument="form")


@pytest.mark.parametrize(
    "name", ["x-httpmethod-override", "x-httpmethodoverride", "X_HTTP_MethodOverride", "http-method"]
)
def test_override_headers_are_refused_however_they_are_hyphenated(name: str) -> None:
    """Separators in a header's name do not make it another one; a header that only resembles one is data."""
    if name == "http-method":
        assert decode({"headers": {name: "x"}}, b"").headers == ((name, "x"),)
    else:
        refused(lambda: decode({"headers": {name: "DELETE"}}, b""), "argument", argument="headers")


@pytest.mark.parametrize(
    ("content_type", "text"),
    [
        (FORM, "payment_method=card&method=post&note=%2B1+a;b&flag"),
        (FORM, "name=caf%E9"),
        (
            MULTIPART,
            PART.format('Content-Disposition: form-data; name="file"; filename="a_method.txt"; filename*=utf-8\'\'a'),
        ),
        ("application/json; charset=utf-8", '{"payment_method": 1, "a": {"_method": 1}, "n": ' + "9" * 5000 + "}"),
        ("application/x-ndjson", '{"index":{}}\n{"a":1}\n\n'),
        ("application/vnd.api+json", "[]"),
        ("text/plain", "_method=DELETE"),
    ],
)
def test_ordinary_bodies_pass(content_type: str, text: str) -> None:
    """Forms, uploads and documents as people and programs write them travel byte for byte."""
    call = {"method": "POST", "text": text, "headers": {"content-type": content_type}}
    assert decode(call, b"").body == text.encode()


def test_a_hostile_body_is_read_in_bounded_time() -> None:
    """What is looked at in a body is bounded, whatever stands in it."""
    for text in ("\n" * (1 << 20), "content-id" + " " * (1 << 20), "content-disposition:" + "name " * (1 << 18)):
        call = {"method": "POST", "text": text, "headers": {"content-type": MULTIPART}}
        with suppress(BrokerError):
            decode(call, b"")


def test_a_nested_or_similar_name_is_no_override() -> None:
    """`payment_method` and a nested `_method` are data."""
    assert decode({"method": "POST", "json": {"payment_method": "card", "a": {"_method": 1}}}, b"").body
    assert decode({"query": {"method": "card"}}, b"").query == (("method", "card"),)


@pytest.mark.parametrize("timeout", [0, -1, 121, float("nan"), float("inf"), "5", True])
def test_timeouts_are_bounded(timeout: object) -> None:
    """Two minutes is the longest anybody waits."""
    refused(lambda: decode({"timeout": timeout}, b""), "argument", argument="timeout")


@pytest.mark.parametrize("max_bytes", [0, -1, (16 << 20) + 1, 1.5, "5", True])
def test_result_sizes_are_bounded(max_bytes: object) -> None:
    """A result fits into one answer."""
    refused(lambda: decode({"max_bytes": max_bytes}, b""), "argument", argument="max_bytes")


def test_limits_are_taken_over() -> None:
    """The given timeout and size are the plan's."""
    assert decode({"timeout": 5, "max_bytes": 100}, b"").limits == Limits(5.0, 100)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
NAMES = ["method", "path", "query", "headers", "json", "text", "form", "base64", "timeout", "max_bytes", "else"]


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from(NAMES), JSON, max_size=4), st.binary(max_size=9))
def test_any_arguments_are_a_draft_or_refused(arguments: dict[str, object], body: bytes) -> None:
    """Whatever an agent sends is decoded, or refused by the declared error with literals only."""
    try:
        decode(arguments, body)
    except BrokerError as error:
        said = (error.code, set(error.fields))
        assert said == ("argument", {"argument", "why"})
