"""Auth schemes: each keeps the suite's claims, and puts its secret where it says."""

from __future__ import annotations

import base64
import pathlib
import re
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import pytest
from http_world import lent, refused, scheme

from brokers.conformance import AuthSchemeSuite
from brokers.contract import AuthScheme, Credential, Secret
from brokers.http.auth import check_added
from brokers.http.auth.basic import Basic
from brokers.http.auth.bearer import Bearer
from brokers.http.auth.header import Header
from brokers.http.auth.path import Path
from brokers.http.auth.query import Query
from brokers.http.auth.several import Several
from brokers.message import Request
from kv.registry import AUTH

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

REQUEST = Request("GET", "/v1/x", (("a", "1"),), (("accept", "*/*"),), b"")


def made(name: str, options: Mapping[str, str], key: bytes = b"tok-123", slots: Sequence[str] = ("secret",)) -> Request:
    """The request that scheme `name` makes."""
    return next(scheme(name).flow(REQUEST, lent(key, slots), options))


class TestBearer(AuthSchemeSuite):
    """The bearer scheme keeps the suite."""

    scheme: AuthScheme = Bearer()
    secrets: ClassVar[Mapping[str, bytes]] = {"secret": b"tok_0123456789"}


class TestBasicWithUser(AuthSchemeSuite):
    """Basic with a declared user keeps the suite."""

    scheme: AuthScheme = Basic()
    options: ClassVar[Mapping[str, str]] = {"user": "ada"}
    secrets: ClassVar[Mapping[str, bytes]] = {"secret": b"p4ss:w0rd"}
    bad_options: ClassVar[Sequence[Mapping[str, str]]] = (
        {"user": "a", "password": "b"},
        {"user": "a:b"},
        {"user": "a\nb"},
        {"user": "é"},
        {"user": "a" * 300},
        {"name": "a"},
    )


class TestBasicWithPassword(AuthSchemeSuite):
    """Basic with the secret as user keeps the suite."""

    scheme: AuthScheme = Basic()
    options: ClassVar[Mapping[str, str]] = {"password": ""}
    secrets: ClassVar[Mapping[str, bytes]] = {"secret": b"sk_live_0123"}


class TestBasicWhole(AuthSchemeSuite):
    """Basic with both in the secret keeps the suite."""

    scheme: AuthScheme = Basic()
    secrets: ClassVar[Mapping[str, bytes]] = {"secret": b"ada:p4ssw0rd"}


class TestHeader(AuthSchemeSuite):
    """The header scheme keeps the suite."""

    scheme: AuthScheme = Header()
    options: ClassVar[Mapping[str, str]] = {"name": "X-Api-Key"}
    secrets: ClassVar[Mapping[str, bytes]] = {"secret": b"tok_0123456789"}
    bad_options: ClassVar[Sequence[Mapping[str, str]]] = (
        {},
        {"name": ""},
        {"name": "a b"},
        {"name": "x\r\ny"},
        {"name": "Host"},
        {"name": "content-length"},
        {"name": "User-Agent"},
        {"name": "referer"},
        {"name": "x-forwarded-for"},
        {"name": "proxy-authorization"},
        {"name": "x", "prefix": "a\n"},
        {"name": "x", "other": "y"},
    )


class TestQuery(AuthSchemeSuite):
    """The query scheme keeps the suite."""

    scheme: AuthScheme = Query()
    options: ClassVar[Mapping[str, str]] = {"name": "api_key"}
    secrets: ClassVar[Mapping[str, bytes]] = {"secret": b"tok_0123456789"}
    bad_options: ClassVar[Sequence[Mapping[str, str]]] = ({}, {"name": ""}, {"name": "a&b"}, {"name": "a", "x": "y"})


class TestPath(AuthSchemeSuite):
    """The path scheme keeps the suite."""

    scheme: AuthScheme = Path()
    options: ClassVar[Mapping[str, str]] = {"template": "/bot{secret}"}
    secrets: ClassVar[Mapping[str, bytes]] = {"secret": b"123456:ABC-def_0123"}
    bad_options: ClassVar[Sequence[Mapping[str, str]]] = (
        {"template": ""},
        {"template": "/bot"},
        {"template": "bot{secret}"},
        {"template": "/{secret}{secret}"},
        {"template": "/{secret}/../x"},
        {"template": "/./{secret}"},
        {"template": "//{secret}"},
        {"template": "/{secret}?x"},
        {"template": "/{secret}/"},
        {"template": "/{secret}", "x": "y"},
    )


class TestSeveral(AuthSchemeSuite):
    """Several secrets keep the suite."""

    scheme: AuthScheme = Several()
    options: ClassVar[Mapping[str, str]] = {"api_key": "header:DD-API-KEY", "app_key": "query:application_key"}
    secrets: ClassVar[Mapping[str, bytes]] = {"api_key": b"tok_0123456789", "app_key": b"app_9876543210"}
    bad_options: ClassVar[Sequence[Mapping[str, str]]] = (
        {},
        {"a": "header:x"},
        {"a": "header:x", "b": "header:X"},
        {"a": "header:x", "b": "cookie:y;z"},
        {"a": "cookie:x", "b": "header:cookie"},
        {"a": "header:x", "b": "totp:body:y"},
        {"a": "header:x", "b": "header:host"},
        {"A": "header:x", "b": "header:y"},
        {f"s{n}": f"header:x{n}" for n in range(9)},
    )


def test_every_scheme_is_covered_here() -> None:
    """No scheme of the registry is without the suite: in this file, or in one beside it that is named after it."""
    texts = [file.read_text(encoding="utf-8") for file in pathlib.Path(__file__).parent.glob("test_auth*.py")]
    covered = {
        name for text in texts for name in re.findall(r"^    scheme: AuthScheme = (\w+)\(\)$", text, re.MULTILINE)
    }
    assert covered == {place.partition(":")[2] for place in AUTH.values()}


def test_bearer_is_a_header() -> None:
    """`Authorization: Bearer …`, once, after what was there."""
    assert made("bearer", {}).headers == (("accept", "*/*"), ("authorization", "Bearer tok-123"))


@pytest.mark.parametrize(
    ("options", "key", "pair"),
    [
        ({"user": "ada"}, b"pw", b"ada:pw"),
        ({"user": ""}, b"pw", b":pw"),
        ({"password": ""}, b"sk_1", b"sk_1:"),
        ({"password": "x-oauth"}, b"sk_1", b"sk_1:x-oauth"),
        ({}, b"ada:p:w", b"ada:p:w"),
    ],
)
def test_basic_is_a_pair_and_the_pair_is_a_needle(options: dict[str, str], key: bytes, pair: bytes) -> None:
    """The secret is the password, the user or both; the pair is looked for in answers too."""
    value = dict(made("basic", options, key).headers)["authorization"]
    assert base64.b64decode(value.removeprefix("Basic ")) == pair
    assert scheme("basic").forms(lent(key), options) == (pair,)


def test_basic_refuses_values_that_do_not_fit() -> None:
    """A user with a colon would be split elsewhere; a lone word is no pair."""
    refused(lambda: made("basic", {"password": ""}, b"a:b"), "credential")
    refused(lambda: made("basic", {}, b"lone"), "credential")


def test_header_takes_a_prefix() -> None:
    """`Authorization: Token …` is a header with a prefix."""
    request = made("header", {"name": "Authorization", "prefix": "Token "})
    assert request.headers[-1] == ("authorization", "Token tok-123")


def test_query_adds_a_parameter() -> None:
    """The key goes behind what the agent asked."""
    assert made("query", {"name": "key"}).query == (("a", "1"), ("key", "tok-123"))


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("/bot{secret}", "/bottok-123/v1/x"),
        ("/{secret}", "/tok-123/v1/x"),
        ("/a/x-{secret}-y/b", "/a/x-tok-123-y/b/v1/x"),
    ],
)
def test_path_puts_the_secret_before_the_path(template: str, path: str) -> None:
    """The template's place is the only one."""
    assert made("path", {"template": template}).path == path


@pytest.mark.parametrize("key", [b"a/b", b"..", b".", b"a%2fb", b"a?b", b"a#b", b"a;b", b"a\\b", b"a b"])
def test_path_refuses_values_that_choose_a_path(key: bytes) -> None:
    """A value with a slash or an escape in it would call something else."""
    refused(lambda: made("path", {}, key), "credential")


def test_several_puts_each_in_its_place() -> None:
    """A header and a parameter, each with its own secret."""
    options = {"one": "header:X-One", "two": "query:two"}
    credential = Credential({"one": Secret("one", b"first-1"), "two": Secret("two", b"second-2")})
    request = next(scheme("several").flow(REQUEST, credential, options))
    assert request.headers[-1] == ("x-one", "first-1")
    assert request.query[-1] == ("two", "second-2")


def test_a_second_copy_is_found_wherever_it_stands() -> None:
    """The check does not depend on the order in which a scheme adds."""
    before = Request("GET", "/", (("key", "mine"),), (("x-key", "mine"),), b"")
    for made_ in (
        Request("GET", "/", (("key", "mine"), ("KEY", "s")), before.headers, b""),
        Request("GET", "/", (("key", "s"), ("key", "mine")), before.headers, b""),
        Request("GET", "/", before.query, (("x_key", "s"), ("x-key", "mine")), b""),
        Request("GET", "/", before.query, (*before.headers, ("a", "s"), ("a", "t")), b""),
    ):
        refused(partial(check_added, before, made_), "argument")
    check_added(before, Request("GET", "/", before.query, (*before.headers, ("a", "s")), b""))
