"""AWS Signature Version 4: AWS's own vectors, botocore beside it, and what an agent tries."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
import pathlib
from typing import TYPE_CHECKING, Any, ClassVar
from unittest import mock

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth  # type: ignore[import-untyped]  # it has no types
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]  # it has no types
from botocore.credentials import Credentials  # type: ignore[import-untyped]  # it has no types
from http_world import broker, connection, refused
from hypothesis import given, settings
from hypothesis import strategies as st

from brokers.conformance import AuthSchemeSuite
from brokers.contract import AuthScheme, Credential, Secret
from brokers.http import target
from brokers.http.auth import written
from brokers.http.auth.sigv4 import Sigv4, canonical_request
from brokers.message import Moment, Request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VECTORS = json.loads(
    (pathlib.Path(__file__).parents[2] / "vectors" / "auth" / "sigv4.json").read_text(encoding="utf-8")
)
KEY_ID, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
NOW = 1_800_000_000.0
OPTIONS = {"service": "service", "region": "us-east-1"}


def keys(**slots: str) -> Credential:
    """A credential of these slots."""
    return Credential({slot: Secret(slot, value.encode()) for slot, value in slots.items()})


def signed(request: Request, credential: Credential, service: str = "service") -> dict[str, str]:
    """The headers of the signed request."""
    return dict(next(Sigv4().flow(request, credential, {**OPTIONS, "service": service})).headers)


class TestSigv4(AuthSchemeSuite):
    """With key id and secret apart, it keeps the suite."""

    scheme: AuthScheme = Sigv4()
    options: ClassVar[Mapping[str, str]] = OPTIONS
    secrets: ClassVar[Mapping[str, bytes]] = {"access_key_id": KEY_ID.encode(), "secret_access_key": SECRET.encode()}
    request = Request("POST", "/v1/things", (("limit", "3"),), (("accept", "*/*"),), b'{"a":1}', Moment(NOW, "n", "h"))
    bad_options: ClassVar[Sequence[Mapping[str, str]]] = (
        {},
        {"service": "s3"},
        {"service": "s3", "region": ""},
        {"service": "S3", "region": "eu-central-1"},
        {"service": "s3", "region": "eu/central"},
        {"service": "s3", "region": "eu", "other": "x"},
    )


class TestSigv4InOne(TestSigv4):
    """With both in one value, it keeps the suite."""

    scheme: AuthScheme = Sigv4()
    secrets: ClassVar[Mapping[str, bytes]] = {"secret_access_key": f"{KEY_ID}:{SECRET}".encode()}


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["name"])
def test_aws_own_vectors(case: dict[str, Any]) -> None:
    """What AWS publishes is what is signed: which headers, and the signature."""
    request = Request(
        case["method"],
        case["path"],
        tuple((name, value) for name, value in case["query"]),
        tuple((name, value) for name, value in case["headers"]),
        case["body"].encode(),
        Moment(case["now"], "", case["host"], ()),
    )
    secret = VECTORS["secrets"][case["key_id"]]
    if case.get("unencoded"):  # the suite's request line holds this path as it is, which HTTP does not allow
        stamp, scope = "20150830T123600Z", "20150830/us-east-1/service/aws4_request"
        made = Request(request.method, request.path, (), (("x-amz-date", stamp),), b"")
        _, canonical = canonical_request(made, request.moment, hashlib.sha256(b"").hexdigest(), once=True)
        key = f"AWS4{secret}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        assert hmac.digest(key, text.encode(), "sha256").hex() == case["signature"]
        return
    made_ = signed(request, keys(access_key_id=case["key_id"], secret_access_key=secret), case["service"])
    assert f"SignedHeaders={case['signed']}, Signature={case['signature']}" in made_["authorization"]


def by_botocore(request: Request, service: str, session: str | None) -> str:
    """The header that botocore makes for what is sent."""
    path, query = written(request, request.moment.base)
    headers = {name: value for name, value in request.headers if name != "user-agent"}
    url = f"https://{request.moment.authority}{path}" + (f"?{query}" if query else "")
    asked = AWSRequest(method=request.method, url=url, data=request.body, headers=headers)
    made = (S3SigV4Auth if service == "s3" else SigV4Auth)(Credentials(KEY_ID, SECRET, session), service, "us-east-1")
    with mock.patch("botocore.auth.get_current_datetime", return_value=_datetime()):
        made.add_auth(asked)
    return str(asked.headers["Authorization"])


def _datetime() -> dt.datetime:
    return dt.datetime.fromtimestamp(NOW, dt.UTC)


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=8)
PLAIN = st.text(st.sampled_from("abzAZ09-_.~ é€"), min_size=1, max_size=8).filter(lambda text: text.strip(".") != "")


@settings(max_examples=150, deadline=None)
@given(
    service=st.sampled_from(["execute-api", "s3", "dynamodb"]),
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    segments=st.lists(PLAIN, max_size=4),
    base=st.lists(PLAIN, max_size=2),
    query=st.lists(st.tuples(TEXT, TEXT), max_size=5, unique_by=lambda pair: pair[0].lower()),
    headers=st.dictionaries(
        st.sampled_from(["content-type", "x-amz-target", "accept", "x-amz-meta-a", "user-agent"]),
        st.text(st.sampled_from("ab/ =;,*"), max_size=12),
        max_size=4,
    ),
    body=st.binary(max_size=64),
    session=st.sampled_from([None, "FwoGZXIvYXdzEXAMPLETOKEN"]),
)
def test_botocore_signs_alike(  # noqa: PLR0913, PLR0917 - a request has these parts
    service: str,
    method: str,
    segments: list[str],
    base: list[str],
    query: list[tuple[str, str]],
    headers: dict[str, str],
    body: bytes,
    session: str | None,
) -> None:
    """For any request, AWS's own library makes the same header, character for character."""
    stripped = {name: value.strip() for name, value in headers.items()}
    request = Request(
        method,
        "/" + "/".join(segments),
        tuple(query),
        tuple(sorted(stripped.items())),
        body,
        Moment(NOW, "", "a.test", tuple(base)),
    )
    slots = {"access_key_id": KEY_ID, "secret_access_key": SECRET, **({"session_token": session} if session else {})}
    assert signed(request, keys(**slots), service)["authorization"] == by_botocore(request, service, session)


@pytest.mark.parametrize(
    "text",
    [
        f"{KEY_ID}:{SECRET}",
        json.dumps({"AccessKeyId": KEY_ID, "SecretAccessKey": SECRET}),
        json.dumps({"aws_access_key_id": KEY_ID, "aws_secret_access_key": SECRET}),
        json.dumps({"Version": 1, "AccessKeyId": KEY_ID, "SecretAccessKey": SECRET, "Expiration": "2026"}),
        json.dumps({"Credentials": {"AccessKeyId": KEY_ID, "SecretAccessKey": SECRET}}),
    ],
)
def test_one_value_may_hold_all(text: str) -> None:
    """`ID:SECRET` and the JSON of AWS's own tools sign as the two apart; the secret in it is a needle of its own."""
    request = Request("GET", "/", (), (), b"", Moment(NOW, "", "a.test"))
    apart = signed(request, keys(access_key_id=KEY_ID, secret_access_key=SECRET))
    assert signed(request, keys(secret_access_key=text)) == apart
    assert Sigv4().forms(keys(secret_access_key=text), OPTIONS) == (SECRET.encode(),)


def test_a_session_token_travels_and_is_a_needle() -> None:
    """The token of temporary keys is a header that is signed, wherever it was kept."""
    request = Request("GET", "/", (), (), b"", Moment(NOW, "", "a.test"))
    text = json.dumps({"AccessKeyId": KEY_ID, "SecretAccessKey": SECRET, "SessionToken": "FwoGZXIv/token"})
    for credential in (
        keys(secret_access_key=text),
        keys(access_key_id=KEY_ID, secret_access_key=SECRET, session_token="FwoGZXIv/token"),
    ):
        made = signed(request, credential)
        assert made["x-amz-security-token"] == "FwoGZXIv/token"
        assert "SignedHeaders=host;x-amz-date;x-amz-security-token" in made["authorization"]
        assert b"FwoGZXIv/token" in Sigv4().forms(credential, OPTIONS)


@pytest.mark.parametrize(
    "text",
    [
        *("only", "a,b:secret", "a/b:secret", ":secret", "id:", "id:sec\tret", "{", "[]", "{}", "{" * 5000),
        *('{"AccessKeyId":"a"}', '{"AccessKeyId":1,"SecretAccessKey":2}', '{"Credentials":[]}'),
        '{"AccessKeyId":"a\\nb","SecretAccessKey":"c"}',
    ],
)
def test_values_that_are_no_keys_are_refused(text: str) -> None:
    """A value that would end its place in the header, or is something else, is refused and not quoted."""
    request = Request("GET", "/", (), (), b"", Moment(NOW, "", "a.test"))
    error = refused(lambda: signed(request, keys(secret_access_key=text)), "credential")
    assert len(text) < 3 or text not in str(error.fields)


OWN = ["X-Amz-Signature", "x-amz-credential", "X-Amz-Date", "X-Amz-Security-Token", "x-amz-content-sha256"]


@pytest.mark.parametrize("service", ["s3", "sqs"])
def test_a_signature_of_the_agents_own_is_left_out(service: str) -> None:
    """Tools sign whatever they send: nothing of that is planned, shown or sent, and the connection signs anew."""
    conn = connection(auth="sigv4", options={**OPTIONS, "service": service}, slots=["secret_access_key"])
    through = broker()
    signed_ = {
        "path": "/a?" + "&".join(f"{name}=agents-own" for name in OWN),
        "query": dict.fromkeys(OWN, "agents-own"),
        "headers": {**dict.fromkeys(OWN, "agents-own"), "Authorization": "AWS4-HMAC-SHA256 agents-own"},
    }
    plan = through.plan(conn, signed_)
    assert plan.digest() == through.plan(conn, {"path": "/a"}).digest()
    assert b"agents-own" not in plan.canonical()
    assert "agents-own" not in str(plan.details)


def test_another_connection_keeps_refusing_it() -> None:
    """Where nobody signs for AWS, an `authorization` of the agent's own is one, and a parameter is a parameter."""
    refused(lambda: broker().plan(connection(), {"path": "/", "headers": {"authorization": "AWS4 x"}}), "argument")
    assert broker().plan(connection(), {"path": "/?X-Amz-Date=1"}).request["query"] == (("X-Amz-Date", "1"),)


@pytest.mark.parametrize("name", ["x_amz_security_token", " X-Amz-Signature", "X_Amz-Date"])
def test_an_odd_spelling_of_a_signature_is_refused(name: str) -> None:
    """What only some servers take for a part of one ends the call before anybody is asked to approve it."""
    conn = connection(auth="sigv4", options=OPTIONS, slots=["secret_access_key"])
    through = broker()
    refused(lambda: through.plan(conn, {"path": "/", "query": {name: "x"}}), "argument", argument="query")
    refused(lambda: through.plan(conn, {"path": "/", "headers": {name: "x"}}), "argument", argument="headers")


def test_s3_encodes_an_objects_key_once_and_strictly() -> None:
    """Two spellings of one path are signed as the one that S3 makes of both; elsewhere what is sent is signed."""
    request = Request("GET", "/a=b/c d", (), (), b"", Moment(NOW, "", "a.test"))
    assert target.join_path(("a=b", "c d")) == "/a=b/c%20d"
    assert canonical_request(request, request.moment, "", once=True)[1].split("\n")[1] == "/a%3Db/c%20d"
    assert canonical_request(request, request.moment, "", once=False)[1].split("\n")[1] == "/a%3Db/c%2520d"
