"""Schemes that sign or compute: HMAC after a template, one-time codes, cookies; with vectors that others published."""

from __future__ import annotations

import base64
import hmac
from typing import TYPE_CHECKING, ClassVar

import pyotp
import pytest
from http_world import broker, connection, lent, refused
from hypothesis import given
from hypothesis import strategies as st

from brokers.conformance import AuthSchemeSuite
from brokers.contract import AuthScheme, Credential, Secret
from brokers.http.auth import spelled
from brokers.http.auth.cookie import Cookie
from brokers.http.auth.hmac_signing import HmacSigning
from brokers.http.auth.several import Several
from brokers.http.auth.totp import Totp, code
from brokers.message import Moment, Request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOMENT = Moment(1_531_420_618.9, "abcdef0123456789abcdef0123456789", "api.test", ("v2",))
REQUEST = Request("POST", "/v1/things", (("limit", "3"),), (("accept", "*/*"),), b'{"a":1}', MOMENT)
BASE32 = base64.b32encode(b"12345678901234567890")  # RFC 6238, appendix B


class TestCookie(AuthSchemeSuite):
    """The cookie scheme keeps the suite."""

    scheme: AuthScheme = Cookie()
    options: ClassVar[Mapping[str, str]] = {"name": "session"}
    secrets: ClassVar[Mapping[str, bytes]] = {"secret": b"tok_0123456789"}
    bad_options: ClassVar[Sequence[Mapping[str, str]]] = ({}, {"name": ""}, {"name": "a;b"}, {"name": "a", "x": "y"})


class TestTotp(AuthSchemeSuite):
    """The one-time code keeps the suite."""

    scheme: AuthScheme = Totp()
    options: ClassVar[Mapping[str, str]] = {"place": "header:X-OTP"}
    secrets: ClassVar[Mapping[str, bytes]] = {"secret": BASE32}
    request = REQUEST
    bad_options: ClassVar[Sequence[Mapping[str, str]]] = ({}, {"place": "body:x"}, {"place": "header:host"})


class TestHmac(AuthSchemeSuite):
    """Signing keeps the suite, with all that it can add."""

    scheme: AuthScheme = HmacSigning()
    options: ClassVar[Mapping[str, str]] = {
        "place": "header:X-Signature",
        "payload": "{method}{host}{target}{timestamp}{nonce}{key},100%{body}",
        "value": "t={timestamp},v1={signature}",
        "algorithm": "sha512",
        "encoding": "base64",
        "timestamp": "header:X-Time",
        "unit": "ms",
        "nonce": "query:nonce",
        "key": "header:X-Key",
    }
    secrets: ClassVar[Mapping[str, bytes]] = {"secret": b"tok_0123456789", "key": b"id-0123"}
    request = REQUEST
    bad_options: ClassVar[Sequence[Mapping[str, str]]] = (
        {},
        {"place": "header:x"},
        {"place": "body", "payload": "{body}"},
        {"place": "header:x", "payload": "{secret}"},
        {"place": "header:x", "payload": "{body"},
        {"place": "header:x", "payload": "{body}", "value": "sha256="},
        {"place": "header:x", "payload": "{body}", "value": "{body}{signature}"},
        {"place": "header:x", "payload": "{body}", "algorithm": "md5"},
        {"place": "header:x", "payload": "{body}", "encoding": "base32"},
        {"place": "header:x", "payload": "{body}", "timestamp": "header:X"},
        {"place": "header:host", "payload": "{body}"},
        {"place": "header:x", "payload": "{body}\n"},
        {"place": "header:x", "payload": "{body}" * 100},
    )


def test_a_spelling_survives_commas_and_percent_signs() -> None:
    """What ends an option can stand in one."""
    text = "header:X-Sig,payload={timestamp}%2C100%25,value=t={timestamp}%2Cv1={signature}"
    options = HmacSigning().parse(text)
    assert options["payload"] == "{timestamp},100%"
    assert HmacSigning().spell(options) == text
    for bad in ("header:x,payload=%41", "header:x,payload=%", "header:x,other=1", "header:x,payload", ",payload=x"):
        refused(lambda bad=bad: HmacSigning().parse(bad), "options")  # type: ignore[misc]  # the loop's own


@given(
    st.dictionaries(st.sampled_from(["payload", "value", "key"]), st.text(max_size=20), max_size=3), st.text(min_size=1)
)
def test_any_options_are_read_as_they_were_written(options: dict[str, str], first: str) -> None:
    """No text in an option becomes another option."""
    whole = {"place": first, **options}
    assert spelled.read(spelled.write(whole, "place"), "place", "payload", "value", "key") == whole


SLACK = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar"
    b"&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2F"
    b"hooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629"
    b"121.803a0bc887a14d10d2c447fce8b6703c"
)
BINANCE = (
    *(("symbol", "LTCBTC"), ("side", "BUY"), ("type", "LIMIT"), ("timeInForce", "GTC"), ("quantity", "1")),
    *(("price", "0.1"), ("recvWindow", "5000")),
)


def signed(request: Request, options: Mapping[str, str], **slots: bytes) -> Request:
    """The signed request."""
    credential = Credential({slot: Secret(slot, value) for slot, value in slots.items()})
    return next(HmacSigning().flow(request, credential, options))


def test_github_webhooks() -> None:
    """The example of GitHub's "Validating webhook deliveries"."""
    options = {"place": "header:X-Hub-Signature-256", "payload": "{body}", "value": "sha256={signature}"}
    request = Request("POST", "/", (), (), b"Hello, World!", MOMENT)
    made = signed(request, options, secret=b"It's a Secret to Everybody")
    expected = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert made.headers == (("x-hub-signature-256", expected),)


def test_slack_requests() -> None:
    """The example of Slack's "Verifying requests from Slack", whose timestamp is signed and sent."""
    options = {
        "place": "header:X-Slack-Signature",
        "payload": "v0:{timestamp}:{body}",
        "value": "v0={signature}",
        "timestamp": "header:X-Slack-Request-Timestamp",
    }
    made = signed(Request("POST", "/", (), (), SLACK, MOMENT), options, secret=b"8f742231b10e8888abcd99yyyzzz85a5")
    assert dict(made.headers) == {
        "x-slack-request-timestamp": "1531420618",
        "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
    }


def test_stripe_webhooks() -> None:
    """As Stripe's "Verify manually" says: timestamp, point and body are signed, and both stand in one header."""
    options = {
        "place": "header:Stripe-Signature",
        "payload": "{timestamp}.{body}",
        "value": "t={timestamp},v1={signature}",
    }
    made = signed(REQUEST, options, secret=b"whsec_0123")
    expected = hmac.digest(b"whsec_0123", b'1531420618.{"a":1}', "sha256").hex()
    assert dict(made.headers)["stripe-signature"] == f"t=1531420618,v1={expected}"


def test_binance_orders() -> None:
    """The example of Binance's "SIGNED endpoint security": the timestamp is a parameter and signed with the rest."""
    options = {
        "place": "query:signature",
        "payload": "{query}",
        "timestamp": "query:timestamp",
        "unit": "ms",
        "key": "header:X-MBX-APIKEY",
    }
    request = Request("POST", "/api/v3/order", BINANCE, (), b"", Moment(1499827319.559, "", "api.test"))
    key = b"vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
    made = signed(request, options, secret=b"NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j", key=key)
    assert made.query[-2:] == (
        ("timestamp", "1499827319559"),
        ("signature", "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"),
    )
    assert made.headers == (("x-mbx-apikey", key.decode()),)


def test_what_a_call_contains_is_no_placeholder() -> None:
    """A body that reads `{timestamp}` is signed as these letters: an agent cannot make two payloads one."""
    request = Request("POST", "/{nonce}", (), (), b"{timestamp}{key}", MOMENT)
    options = {"place": "header:X-Sig", "payload": "{path}\\n{body}"}
    made = signed(request, options, secret=b"tok_0123456789")
    expected = hmac.digest(b"tok_0123456789", b"/v2/%7Bnonce%7D\n{timestamp}{key}", "sha256").hex()
    assert dict(made.headers)["x-sig"] == expected


def test_a_secret_in_base64_is_decoded_or_refused() -> None:
    """Exchanges give out keys in base64 and mean the bytes."""
    options = {"place": "header:X-Sig", "payload": "{body}", "secret": "base64"}
    made = signed(REQUEST, options, secret=base64.b64encode(b"\x00\xffraw"))
    assert dict(made.headers)["x-sig"] == hmac.digest(b"\x00\xffraw", b'{"a":1}', "sha256").hex()
    refused(lambda: signed(REQUEST, options, secret=b"not base64!"), "credential")


def test_an_agent_sends_no_signature_of_its_own() -> None:
    """Where the connection writes, the agent does not, and it is told before anybody is asked."""
    options = {"place": "header:X-Sig", "payload": "{body}", "timestamp": "query:ts"}
    conn = connection(auth="hmac", options=options)
    refused(lambda: broker().plan(conn, {"headers": {"x-sig": "mine"}}), "argument", argument="headers")
    refused(lambda: broker().plan(conn, {"query": {"ts": "1"}}), "argument", argument="query")


@pytest.mark.parametrize(
    ("algorithm", "length", "now", "expected"),
    [
        ("SHA1", 20, 59, "94287082"),
        ("SHA256", 32, 59, "46119246"),
        ("SHA512", 64, 59, "90693936"),
        ("SHA1", 20, 1111111109, "07081804"),
        ("SHA256", 32, 1111111109, "68084774"),
        ("SHA512", 64, 1111111109, "25091201"),
        ("SHA1", 20, 1111111111, "14050471"),
        ("SHA1", 20, 1234567890, "89005924"),
        ("SHA256", 32, 2000000000, "90698825"),
        ("SHA512", 64, 20000000000, "47863826"),
    ],
)
def test_rfc_6238_vectors(algorithm: str, length: int, now: int, expected: str) -> None:
    """The table of RFC 6238, appendix B, by way of addresses as a QR code holds them."""
    key = base64.b32encode((b"1234567890" * 7)[:length]).decode().rstrip("=")
    address = f"otpauth://totp/a:b?secret={key}&algorithm={algorithm}&digits=8&period=30"
    assert code(Secret("s", address.encode()), now) == expected


def test_a_bare_secret_makes_the_usual_code() -> None:
    """Base32 as services show it, in groups and in lower case: six digits."""
    assert code(Secret("s", b"gezd gnbv-gy3t qojq gezd gnbv gy3t qojq"), 59) == "287082"
    assert code(Secret("s", BASE32), 59) == pyotp.TOTP(BASE32.decode()).generate_otp(1)


@pytest.mark.parametrize(
    "value",
    [
        *(b"short", b"GEZDGNBVGY3TQOJ1", b"otpauth://hotp/a?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"),
        *(b"otpauth://totp/a", b"otpauth://totp/a?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&digits=99"),
        b"otpauth://totp/a?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&period=1",
        b"otpauth://totp/a?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&algorithm=MD5",
        b"otpauth://totp/a?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&secret=GEZDGNBVGY3TQOJQ",
        *(b"otpauth://[totp/?secret=GEZDGNBVGY3TQOJQ", b"A" * 300, b"GEZDGNBVGY3TQOJQG"),
    ],
)
def test_values_that_make_no_code_are_refused(value: bytes) -> None:
    """Neither a guessable secret, nor a counter's, nor a period of a second."""
    error = refused(lambda: code(Secret("s", value), 59), "credential")
    assert value.decode() not in str(error.fields)


def test_a_code_stands_beside_other_secrets() -> None:
    """`several` puts a token, a cookie and a code each in its place."""
    options = {"one": "header:Authorization", "otp": "totp:header:X-OTP", "jar": "cookie:session"}
    slots = {"one": b"token-1", "otp": BASE32, "jar": b"session-1"}
    credential = Credential({slot: Secret(slot, value) for slot, value in slots.items()})
    request = Request("GET", "/", (), (), b"", Moment(59))
    made = next(Several().flow(request, credential, options))
    assert made.headers == (("authorization", "token-1"), ("x-otp", "287082"), ("cookie", "session=session-1"))


JSON, FORM = {"content-type": "application/json"}, {"content-type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    ("where", "kind", "body", "sent"),
    [
        ("json:otp", JSON, b'{"a": 1e999, "b":{"otp":1}}', b'{"a": 1e999, "b":{"otp":1},"otp":"287082"}'),
        ("json:otp", JSON, b" { } \n", b' {"otp":"287082"}'),
        ("form:otp", FORM, b"user=a%20b", b"user=a%20b&otp=287082"),
        ("json:otp", {}, b"", b""),
    ],
)
def test_a_code_stands_behind_what_was_approved(where: str, kind: dict[str, str], body: bytes, sent: bytes) -> None:
    """Not a letter of the agent's body is written anew; a call without one gets none."""
    request = Request("POST", "/", (), tuple(kind.items()), body, Moment(59))
    for scheme, options in ((Totp(), {"place": where}), (Several(), {"secret": f"totp:{where}", "b": "header:x-b"})):
        scheme.check(options)
        credential = Credential({"secret": Secret("s", BASE32), "b": Secret("b", b"token-1")})
        assert next(scheme.flow(request, credential, options)).body == sent


@pytest.mark.parametrize(
    ("where", "kind", "body"),
    [
        ("json:otp", JSON, b'{"otp":"1"}'),
        ("json:otp", JSON, b'{"OTP":"1"}'),
        ("json:otp_code", JSON, b'{"otp-code":"1"}'),
        ("json:otp", JSON, b'{"a":1,"a":2}'),
        ("json:otp", JSON, b'["otp"]'),
        ("json:otp", JSON, b'{"a":1'),
        ("json:otp", JSON, b'{"a":"' + b"x" * (1 << 18) + b'"}'),
        ("json:otp", FORM, b"a=1"),
        ("form:otp", JSON, b"{}"),
        ("form:otp", FORM, b"a=1&Otp=2"),
        ("form:otp", FORM, b"a=1;otp=2"),
        ("form:otp", FORM, b"%6ftp=2"),
        ("form:otp", FORM, b"otp[]=2"),
    ],
)
def test_a_code_has_one_place_in_a_body(where: str, kind: dict[str, str], body: bytes) -> None:
    """What some server would take for the agent's own code is refused before anybody is asked."""
    conn = connection(auth="totp", options={"place": where})
    given_ = {"method": "POST", "path": "/", "headers": kind}
    refused(lambda: broker().plan(conn, given_, body), "argument")


def test_only_a_code_stands_in_a_body() -> None:
    """A secret in a body would be stored and forwarded as data."""
    for options in ({"a": "json:key", "b": "header:x-b"}, {"a": "totp:json:x", "b": "totp:json:x"}):
        refused(lambda options=options: Several().check(options), "options")  # type: ignore[misc]  # the loop's own


def test_a_cookie_cannot_become_two() -> None:
    """A value with what ends a cookie in it is refused; one in quotes is a value."""
    for value in (b"a; admin=1", b"a,b", b'a"b', b"a\\b", b"a b"):
        refused(lambda value=value: next(Cookie().flow(REQUEST, lent(value), {"name": "s"})), "credential")  # type: ignore[misc]  # the loop's own
    assert next(Cookie().flow(REQUEST, lent(b'"ab"'), {"name": "s"})).headers[-1] == ("cookie", 's="ab"')
    refused(
        lambda: broker().plan(connection(auth="cookie", options={"name": "s"}), {"headers": {"cookie": "a"}}),
        "argument",
    )
