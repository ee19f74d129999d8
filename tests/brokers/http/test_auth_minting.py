"""Schemes that mint tokens, as pure flows: what they ask, what they take, what a hostile endpoint gets from them."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import parse_qsl

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from http_world import refused
from hypothesis import given
from hypothesis import strategies as st
from jwt.types import Options
from minting_suite import MOMENT, MintingSuite, answered, said
from rsa_keys import pem, private_key

from brokers.contract import AuthScheme, BrokerError, Credential, Secret
from brokers.http.auth.assertion import rs256
from brokers.http.auth.device import Device, Pause
from brokers.http.auth.github_app import GithubApp
from brokers.http.auth.google_service import GoogleService
from brokers.http.auth.minting import MAX_LIFE, NO_WORD, Minted, Mints, endpoint_of, granted, seconds_in
from brokers.http.auth.oauth2_client import Oauth2Client
from brokers.http.auth.oauth2_refresh import Oauth2Refresh
from brokers.message import Request, Response
from brokers.personal import Prompt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

URL = "https://auth.test/oauth/token"
CLIENT = {"token_url": URL, "client": "app 1", "scope": "read write"}
BAD_CLIENT: Sequence[Mapping[str, str]] = (
    {},
    {"token_url": URL},
    {"client": "a"},
    {**CLIENT, "auth": "digest"},
    {**CLIENT, "other": "x"},
    {**CLIENT, "scope": "a\nb"},
    {**CLIENT, "scope": "x" * 600},
    *({**CLIENT, "token_url": url} for url in ("http://auth.test/t", "ftp://auth.test/t", "auth.test/t", f"{URL}?a=b")),
    *(
        {**CLIENT, "token_url": url}
        for url in ("https://u:p@auth.test/t", "https://auth.test/../t", "https://a.test/%2F")
    ),
    {**CLIENT, "token_addresses": "localhost"},
    {**CLIENT, "scope": ""},
    {**CLIENT, "token_url": "http://auth.test/t", "token_addresses": "10.0.0.1"},
    {**CLIENT, "token_ca": "own"},
)


def keys(**slots: bytes) -> Credential:
    """A credential of these slots."""
    return Credential({slot: Secret(slot, value) for slot, value in slots.items()})


def fields(request: Request) -> dict[str, str]:
    """The form that a request posts."""
    return dict(parse_qsl(request.body.decode(), strict_parsing=True))


class TestOauth2Client(MintingSuite):
    """Client credentials keep the suite."""

    scheme: AuthScheme = Oauth2Client()
    options: ClassVar[Mapping[str, str]] = CLIENT
    secrets: ClassVar[Mapping[str, bytes]] = {"client_secret": b"s3cr3t-0123456789"}
    bad_options = BAD_CLIENT


class TestOauth2Refresh(MintingSuite):
    """A refresh token keeps the suite, with the client's own secret."""

    scheme: AuthScheme = Oauth2Refresh()
    options: ClassVar[Mapping[str, str]] = {**CLIENT, "auth": "post"}
    secrets: ClassVar[Mapping[str, bytes]] = {"refresh_token": b"rt-0123456789"}
    bad_options = BAD_CLIENT


class TestDevice(MintingSuite):
    """What a login made keeps the suite."""

    scheme: AuthScheme = Device()
    options: ClassVar[Mapping[str, str]] = {**CLIENT, "device_path": "/oauth/device"}
    secrets: ClassVar[Mapping[str, bytes]] = {"login": b'{"refresh_token": "rt-0123456789"}'}
    other: ClassVar[Mapping[str, bytes]] = {"login": b'{"refresh_token": "rt-other-0123"}'}
    bad_options = (*BAD_CLIENT, CLIENT, {**CLIENT, "device_path": "https://other.test/"})


class TestGithubApp(MintingSuite):
    """GitHub Apps keep the suite."""

    scheme: AuthScheme = GithubApp()
    options: ClassVar[Mapping[str, str]] = {"app": "12345", "installation": "678"}
    secrets: ClassVar[Mapping[str, bytes]] = {"private_key": pem(private_key())}
    other: ClassVar[Mapping[str, bytes]] = {"private_key": pem(private_key(1))}
    answers: ClassVar[tuple[Response, ...]] = (
        said({"token": "ghs_0123456789", "expires_at": "2027-01-15T09:00:00Z"}, 201),
    )
    bad_options = ({}, {"app": "1"}, {"app": "1", "installation": "x"}, {"app": "a/b", "installation": "1"})


def google_key(which: int = 0, **changes: object) -> bytes:
    """The JSON key of a service account."""
    members = {
        "type": "service_account",
        "client_email": "robot@project.iam.gserviceaccount.com",
        "private_key_id": "kid-1",
        "private_key": pem(private_key(which)).decode(),
        "token_uri": "https://oauth2.googleapis.com/token",
        **changes,
    }
    return json.dumps(members).encode()


class TestGoogleService(MintingSuite):
    """Service accounts keep the suite, with a scope."""

    scheme: AuthScheme = GoogleService()
    options: ClassVar[Mapping[str, str]] = {"scope": "https://www.googleapis.com/auth/cloud-platform"}
    secrets: ClassVar[Mapping[str, bytes]] = {"key": google_key()}
    other: ClassVar[Mapping[str, bytes]] = {"key": google_key(1)}
    bad_options = (
        {},
        {"scope": "a", "audience": "b"},
        {"scope": " a"},
        {"scope": "a  b"},
        {"audience": ""},
        {"x": "y"},
    )


class TestGoogleServiceAudience(TestGoogleService):
    """Service accounts keep the suite, with an audience and without any request."""

    scheme: AuthScheme = GoogleService()
    options: ClassVar[Mapping[str, str]] = {"audience": "https://pubsub.googleapis.com/"}
    answers: ClassVar[tuple[Response, ...]] = ()


def test_the_client_says_who_it_is_in_a_header_or_in_the_form() -> None:
    """RFC 6749 section 2.3.1: form-encoded within Basic, or two fields; never both."""
    credential = keys(client_secret=b"a:b c%")
    [asked], made = answered(Oauth2Client().mint(credential, CLIENT, MOMENT), said({"access_token": "tok-01234"}))
    assert (asked.method, asked.path) == ("POST", "/oauth/token")
    basic = dict(asked.headers)["authorization"].removeprefix("Basic ")
    assert base64.b64decode(basic) == b"app+1:a%3Ab+c%25"
    assert fields(asked) == {"grant_type": "client_credentials", "scope": "read write"}
    assert (made.token.expose(), made.seconds) == (b"tok-01234", NO_WORD)
    options = {**CLIENT, "auth": "post", "audience": "https://api.test"}
    [asked], _ = answered(Oauth2Client().mint(credential, options, MOMENT), said({"access_token": "tok-01234"}))
    assert "authorization" not in dict(asked.headers)
    assert fields(asked) == {
        "grant_type": "client_credentials",
        "scope": "read write",
        "audience": "https://api.test",
        "client_id": "app 1",
        "client_secret": "a:b c%",
    }
    assert Oauth2Client().forms(credential, CLIENT) == (b"app 1:a:b c%",)


def test_a_public_client_has_no_secret() -> None:
    """Without a client's secret a refresh says only which client it is."""
    [asked], made = answered(
        Oauth2Refresh().mint(keys(refresh_token=b"rt-01234567"), CLIENT, MOMENT), said({"access_token": "tok-01234"})
    )
    assert fields(asked)["client_id"] == "app 1"
    assert "authorization" not in dict(asked.headers)
    assert made.rotated == {}
    refused(lambda: answered(Oauth2Client().mint(keys(), CLIENT, MOMENT)), "credential")


def test_a_replaced_refresh_token_comes_out() -> None:
    """The new one stands in the slot's place."""
    answer = said({"access_token": "tok-01234", "refresh_token": "rt-new-0123"})
    _, made = answered(Oauth2Refresh().mint(keys(refresh_token=b"rt-old-0123"), CLIENT, MOMENT), answer)
    assert made.rotated["refresh_token"].expose() == b"rt-new-0123"


def test_an_endpoint_is_what_was_declared() -> None:
    """Origin, path and pins, each as a person wrote it."""
    found = endpoint_of({"token_url": "https://auth.test:8443/a/b", "token_addresses": "192.0.2.1 2001:db8::1"})
    assert (str(found.origin), found.path, found.pins) == (
        "https://auth.test:8443",
        "/a/b",
        ("192.0.2.1", "2001:db8::1"),
    )
    assert endpoint_of({"token_url": "https://auth.test"}).path == "/"
    refused(lambda: endpoint_of({**CLIENT, "token_addresses": "169.254.169.254"}), "address")
    assert found.own_ca
    assert not endpoint_of({"token_url": "https://auth.test", "token_ca": "system"}).own_ca


@pytest.mark.parametrize(
    ("word", "seconds"),
    [
        *((None, NO_WORD), (3600, 3600), (3600.5, 3600.5), ("3600", 3600), (1, 1)),
        *((0, 0), (-1, 0), (float("nan"), 0), (float("-inf"), 0), (True, 0), ("", 0), ("-1", 0), ("1e9", 0), ([1], 0)),
        *((float("inf"), MAX_LIFE), (10**30, MAX_LIFE), (10**400, MAX_LIFE), ("9" * 15, MAX_LIFE), ("9" * 16, 0)),
    ],
)
def test_no_word_of_an_endpoint_makes_a_token_last(word: object, seconds: float) -> None:
    """Negative, huge, not a number or not one at all: at most a day, and nothing where it makes no sense."""
    assert seconds_in({} if word is None else {"expires_in": word}) == seconds


ECHO = b"s3cr3t-0123456789"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Response(302, (("location", "https://evil.test/"),), b'{"access_token":"tok-0123456789"}'), "refused"),
        (Response(307, (), b""), "refused"),
        (Response(200, (), b"<html>" + ECHO), "refused"),
        (Response(200, (), b"[" * 60000), "refused"),
        (Response(200, (), b'["tok-0123456789"]'), "refused"),
        (Response(500, (), b"error: " + ECHO), "refused"),
        (Response(200, (), b"\xff\xfe"), "refused"),
        (said({"error": "invalid_client", "error_description": ECHO.decode()}, 401), "login"),
        (said({"error": ECHO.decode()}, 400), "login"),
        (said({"error": {"code": ECHO.decode()}}, 400), "login"),
        (said({"error": ECHO.decode(), "access_token": "tok-0123456789"}), "login"),
        (said({"access_token": "tok-0123456789"}, 400), "login"),
        (said({"access_token": "tok-0123456789", "token_type": "mac"}), "login"),
        (said({"access_token": "tok-0123456789", "token_type": ["bearer"]}), "login"),
        *(
            (said({"access_token": token}), "login")
            for token in (
                "",
                "short",
                "a\r\nx-evil: 1",
                "tok 0123456789",
                "tok-é0123456789",
                "x" * 20000,
                12345678,
                None,
            )
        ),
        (said({}), "login"),
    ],
)
def test_a_hostile_endpoint_gets_no_word_into_an_error(answer: Response, code: str) -> None:
    """Redirects, pages, echoes of the secret and tokens that would break out of a header: one error, in our words."""
    error = refused(lambda: answered(Oauth2Client().mint(keys(client_secret=ECHO), CLIENT, MOMENT), answer), code)
    assert ECHO.decode() not in f"{error!r}{error.fields}"
    assert error.__cause__ is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(
    [
        *("access_token", "refresh_token", "token_type", "expires_in", "error", "token", "expires_at", "interval"),
        *("device_code", "user_code", "verification_uri", "verification_uri_complete"),
    ]
)
GOOD = st.sampled_from(["tok-0123456789", "bearer", "https://auth.test/a", 3600, "2027-01-15T08:30:00Z"])
ANSWERS = st.builds(
    lambda status, body: Response(status, (), body),
    st.sampled_from([200, 201, 204, 302, 400, 401, 500]),
    st.binary(max_size=40)
    | st.dictionaries(NAMES, JSON | GOOD, max_size=8).map(lambda value: json.dumps(value).encode()),
)


@given(ANSWERS, st.sampled_from([TestOauth2Client, TestOauth2Refresh, TestDevice, TestGoogleService]))
def test_any_answer_is_a_token_or_a_declared_refusal(answer: Response, case: type[MintingSuite]) -> None:
    """Whatever an endpoint says, what comes of it can stand in a header and ends within a day, or is our error."""
    suite = case()
    try:
        assert isinstance(suite.scheme, Mints)
        _, made = answered(suite.scheme.mint(suite.credential(), suite.options, MOMENT), answer)
    except BrokerError as error:
        assert error.code in {"login", "refused"}  # noqa: PT017 - a token will do as well
    else:
        assert made.token.expose().decode().isprintable()
        assert 0 <= made.seconds <= MAX_LIFE


@given(ANSWERS, st.lists(ANSWERS, max_size=3))
def test_any_answers_end_a_login(offer: Response, answers: list[Response]) -> None:
    """Whatever a service offers and says, the login shows only what a terminal takes as text, and ends."""
    machine, left = Device().login(keys(), {**CLIENT, "device_path": "/oauth/device"}), [offer, *answers]

    def go() -> None:
        told: Response | None = None
        for _ in range(4000):
            step = machine.send(told)
            told = None
            if isinstance(step, Request):
                told = left.pop(0) if left else PENDING
            elif isinstance(step, Prompt):
                assert f"{step.code}{step.address}{step.complete}".isprintable()
                assert 0 < step.seconds <= 1800
            else:
                assert 1 <= step.seconds <= 60

    with pytest.raises((StopIteration, BrokerError)):
        go()


def test_a_rotated_token_that_cannot_travel_is_refused() -> None:
    """It would lock the person out at the next call: better now."""
    answer = said({"access_token": "tok-0123456789", "refresh_token": "a\nb"})
    refused(
        lambda: answered(Oauth2Refresh().mint(keys(refresh_token=b"rt-0123456789"), CLIENT, MOMENT), answer), "login"
    )


def test_tokens_of_either_case_are_bearer_tokens() -> None:
    """RFC 6749 section 5.1: the type is not case sensitive."""
    for kind in ("Bearer", "bearer", "BEARER"):
        assert granted(said({"access_token": "tok-0123456789", "token_type": kind}))


def test_github_gets_an_assertion_of_ten_minutes_with_room_for_clocks() -> None:
    """`iat` is a minute ago and `exp` in nine: what GitHub's documentation asks for; the key signs and stays."""
    asked, made = TestGithubApp().minted(TestGithubApp().credential())
    [request] = asked
    assert (request.method, request.path, request.body) == ("POST", "/app/installations/678/access_tokens", b"")
    token = dict(request.headers)["authorization"].removeprefix("Bearer ")
    public = private_key().public_key()
    claims = jwt.decode(token, public, algorithms=["RS256"], options={"verify_exp": False, "verify_iat": False})
    assert claims == {"iat": 1_799_999_940, "exp": 1_800_000_540, "iss": "12345"}
    assert made.token.expose() == b"ghs_0123456789"
    assert made.seconds == 3600


@pytest.mark.parametrize(
    ("expires", "seconds"),
    [
        ("2027-01-15T08:30:00Z", 1800),
        ("2027-01-15T08:30:00+00:00", 1800),
        ("2999-01-01T00:00:00Z", 3600),
        ("2020-01-01T00:00:00Z", 0),
        *((None, 0), ("soon", 0), (3600, 0), ("0001-01-01T00:00:00+23:59", 0)),
    ],
)
def test_a_wrong_clock_makes_no_token_last(expires: object, seconds: float) -> None:
    """An installation's token lasts an hour; whatever the two clocks say, it is kept no longer."""
    answer = said({"token": "ghs_0123456789", "expires_at": expires}, 201)
    case = TestGithubApp()
    _, made = answered(GithubApp().mint(case.credential(), case.options, MOMENT), answer)
    assert made.seconds == seconds


@pytest.mark.parametrize("status", [200, 401, 403, 404, 422, 500])
def test_github_refusals_are_told_apart(status: int) -> None:
    """What to look at, in our words."""
    case = TestGithubApp()
    answer = said({"message": "nope", "token": "ghs_0123456789"}, status)
    refused(lambda: answered(GithubApp().mint(case.credential(), case.options, MOMENT), answer), "login")


def test_google_gets_the_assertion_of_rfc_7523() -> None:
    """Issuer, audience, scope and an hour, ten seconds back; the key's id in the header."""
    case = TestGoogleService()
    asked, _ = case.minted(case.credential())
    [request] = asked
    form = fields(request)
    assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    public, quiet = private_key().public_key(), Options(verify_exp=False, verify_iat=False)
    claims = jwt.decode(
        form["assertion"], public, algorithms=["RS256"], audience="https://oauth2.googleapis.com/token", options=quiet
    )
    assert claims["iss"] == "robot@project.iam.gserviceaccount.com"
    assert claims["scope"] == "https://www.googleapis.com/auth/cloud-platform"
    assert (claims["iat"], claims["exp"]) == (1_799_999_990, 1_800_003_590)
    assert jwt.get_unverified_header(form["assertion"])["kid"] == "kid-1"


def test_google_takes_a_self_signed_assertion_as_token() -> None:
    """With an audience nobody is asked: the token is made here, and lasts as long as it says."""
    case = TestGoogleServiceAudience()
    asked, made = case.minted(case.credential())
    assert asked == []
    public, quiet = private_key().public_key(), Options(verify_exp=False, verify_iat=False)
    claims = jwt.decode(
        made.token.expose().decode(), public, algorithms=["RS256"], audience=case.options["audience"], options=quiet
    )
    assert claims["iss"] == claims["sub"] == "robot@project.iam.gserviceaccount.com"
    assert claims["exp"] - MOMENT.now == made.seconds


@pytest.mark.parametrize(
    "value",
    [
        google_key(token_uri="https://evil.test/token"),
        google_key(token_uri=None),
        google_key(type="authorized_user"),
        google_key(client_email=""),
        google_key(private_key="-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
        *(b"{}", b"[]", b"null", b"{", b"{" * 60000),
    ],
    ids=lambda value: value[:12].decode(),
)
def test_a_key_cannot_choose_who_is_asked(value: bytes) -> None:
    """A JSON key that names another endpoint than Google's is refused: the assertion would be somebody else's."""
    case = TestGoogleService()
    refused(lambda: case.minted(keys(key=value)), "credential")


@pytest.mark.parametrize(
    "value",
    [
        pem(private_key(bits=1024)),
        pem(ec.generate_private_key(ec.SECP256R1())),
        pem(private_key(), b"passphrase"),
        b"-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n",
        b"sk_live_0123456789",
    ],
    ids=["short", "curve", "encrypted", "damaged", "none"],
)
def test_keys_that_cannot_sign_are_refused(value: bytes) -> None:
    """Too short, of another kind, locked, damaged or none at all: said before anything is sent, and not quoted."""
    error = refused(lambda: rs256({"iss": "1"}, value.decode()), "credential")
    assert value.decode()[30:60] not in str(error.fields) or len(value) < 30


def test_an_assertion_is_the_same_for_the_same_claims() -> None:
    """RS256 has no chance in it: that is why a flow may sign and still be pure."""
    text = pem(private_key()).decode()
    assert rs256({"iss": "1"}, text) == rs256({"iss": "1"}, text)


DEVICE = {**CLIENT, "device_path": "/oauth/device"}
OFFER = {
    "device_code": "dc-0123456789",
    "user_code": "WDJB-MJHT",
    "verification_uri": "https://auth.test/activate",
    "verification_uri_complete": "https://auth.test/activate?user_code=WDJB-MJHT",
    "expires_in": 1800,
    "interval": 5,
}
PENDING, SLOW = said({"error": "authorization_pending"}, 400), said({"error": "slow_down"}, 400)


def logged_in(*answers: Response, offer: object = None) -> tuple[list[object], Minted]:
    """The steps of a login that is answered so, and what it makes."""
    machine = Device().login(keys(), DEVICE)
    left = [said(offer if offer is not None else OFFER), *answers]
    steps: list[object] = []
    told: Response | None = None
    try:
        while True:
            step = machine.send(told)
            steps.append(step)
            told = left.pop(0) if isinstance(step, Request) else None
    except StopIteration as done:
        return steps, done.value


def test_a_login_shows_waits_and_asks_until_it_is_granted() -> None:
    """RFC 8628: the code is asked for and shown, and the token asked for after every pause; `slow_down` adds 5 s."""
    granted_ = said({"access_token": "at-0123456789", "refresh_token": "rt-0123456789", "expires_in": 60})
    steps, made = logged_in(PENDING, SLOW, PENDING, granted_)
    prompt = Prompt("WDJB-MJHT", "https://auth.test/activate", "https://auth.test/activate?user_code=WDJB-MJHT", 1800)
    assert steps[1] == prompt
    assert [step.seconds for step in steps if isinstance(step, Pause)] == [5, 5, 10, 10]
    asked = [step for step in steps if isinstance(step, Request)]
    assert [request.path for request in asked] == ["/oauth/device", *["/oauth/token"] * 4]
    assert fields(asked[0]) == {"scope": "read write", "client_id": "app 1"}
    assert fields(asked[1]) == {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "device_code": "dc-0123456789",
        "client_id": "app 1",
    }
    assert made.rotated["login"].expose() == b'{"refresh_token": "rt-0123456789"}'


def test_a_service_without_refresh_tokens_gives_a_lasting_one() -> None:
    """What the login made is then the token itself, and nobody is asked for another."""
    _, made = logged_in(said({"access_token": "gho_0123456789"}))
    held = made.rotated["login"]
    assert held.expose() == b'{"access_token": "gho_0123456789"}'
    asked, minted = answered(Device().mint(Credential({"login": held}), DEVICE, MOMENT))
    assert (asked, minted.token.expose(), minted.seconds) == ([], b"gho_0123456789", MAX_LIFE)


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ([said({"error": "access_denied"}, 400)], "declined"),
        ([said({"error": "expired_token"}, 400)], "in time"),
        ([PENDING] * 400, "in time"),
        ([SLOW] * 400, "in time"),
        ([said({"error": "whatever"}, 400)], "its own"),
    ],
)
def test_a_login_ends(answers: list[Response], why: str) -> None:
    """Declined, too late, or put off for ever: it ends by itself."""
    with pytest.raises(BrokerError) as caught:
        logged_in(*answers)
    assert why in str(caught.value.fields["why"])


@pytest.mark.parametrize("interval", [0, -1, 0.001, 1e9, float("nan"), "5", True, None, [5]])
def test_a_service_cannot_set_the_pace(interval: object) -> None:
    """Neither a thousand questions a second, nor one a year."""
    steps, _ = logged_in(said({"access_token": "gho_0123456789"}), offer={**OFFER, "interval": interval})
    assert Pause(5.0) in steps


@pytest.mark.parametrize(
    "change",
    [
        {"verification_uri": "javascript:alert(1)"},
        {"verification_uri": "http://auth.test/"},
        {"verification_uri": "https://auth.test/\x1b[2J"},
        {"verification_uri": "https://auth.test/" + "a" * 600},
        {"verification_uri": None},
        {"user_code": "\x1b]0;x\x07"},
        {"user_code": "A" * 100},
        {"user_code": "WDJB. Now run: curl"},
        {"verification_uri": "https://login.test@evil.test/"},
        {"user_code": 1},
        {"device_code": ""},
        {"device_code": "a\nb"},
        {"device_code": None},
    ],
)
def test_nothing_is_shown_that_a_terminal_would_obey(change: dict[str, object]) -> None:
    """Controls, other schemes and endless text from the service are refused, not cleaned."""
    refused(lambda: logged_in(offer={**OFFER, **change}), "login")


@pytest.mark.parametrize(
    "complete", ["https://evil.test/activate?c=1", "https://auth.test@evil.test/", "http://auth.test/"]
)
def test_the_address_with_the_code_is_the_same_page(complete: str) -> None:
    """Another one is left out: a person would log in for somebody else there."""
    answer = said({"access_token": "gho_0123456789"})
    steps, _ = logged_in(answer, offer={**OFFER, "verification_uri_complete": complete})
    assert next(step for step in steps if isinstance(step, Prompt)).complete == ""


def test_google_calls_the_address_by_its_older_name() -> None:
    """`verification_url` is taken where the other is missing."""
    offer = {**OFFER, "verification_url": "https://www.google.com/device"}
    del offer["verification_uri"]
    steps, _ = logged_in(said({"access_token": "gho_0123456789"}), offer=offer)
    assert isinstance(steps[1], Prompt)
    assert steps[1].address == "https://www.google.com/device"


@pytest.mark.parametrize(
    "value", [b"", b"{}", b"tok", b"[]", b'{"a":"b"}', b'{"refresh_token":"a","access_token":"b"}']
)
def test_without_a_login_there_is_no_token(value: bytes) -> None:
    """The refusal says what to do."""
    error = refused(lambda: answered(Device().mint(keys(login=value), DEVICE, MOMENT)), "credential")
    assert "kv login" in str(error.fields["why"])
