"""What of an answer is said to be a new credential: by the call, and by the service's pack. Part of the plan."""

from __future__ import annotations

from dataclasses import replace

import pytest
from http_world import broker, connection, refused

from brokers.contract import Effect, Plan

BROKER = broker()
STRIPE = replace(connection(provider="stripe"), secrets={"secret": "prod/pay/STRIPE_KEY"})


def plan(method: str = "POST", path: str = "/v1/keys", **arguments: object) -> Plan:
    """A plan on a connection without a pack."""
    return BROKER.plan(connection(), {"method": method, "path": path, **arguments})


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_capture_is_part_of_the_plan(method: str) -> None:
    """It makes a mint of any call, stands on the card, and another name is another plan."""
    made = plan(method, capture={"data.keys.0": "K/NEW"})
    assert made.effect is Effect.MINT
    assert made.details[0] == ("capture", "data.keys.0 of the answer, as secret K/NEW")
    assert len({made.digest(), plan(method).digest(), plan(method, capture={"data.keys.0": "K/OLD"}).digest()}) == 3
    assert "capture" not in plan(method, capture={}).request


@pytest.mark.parametrize(
    "capture",
    [
        "token",
        ["token", "NAME"],
        {"token": 7},
        {7: "NAME"},
        {"token": ""},
        {"token": "N" * 260},
        {"": "NAME"},
        {"a b": "NAME"},
        {"a.": "NAME"},
        {"[0]": "NAME"},
        {".".join("abcdefghi"): "NAME"},
        {"a": "NAME", "b": "NAME"},
        dict(zip("abcde", "ABCDE", strict=True)),
    ],
)
def test_what_names_no_member_is_refused(capture: object) -> None:
    """A member has one path and one name, and there are few."""
    refused(lambda: plan(capture=capture), "argument", argument="capture")


@pytest.mark.parametrize("path", ["/v1/webhook_endpoints", "/v1/Webhook_Endpoints", "/v1/webhook_endpoints/"])
@pytest.mark.parametrize("capture", [None, {}, {"id": "prod/pay/ID"}])
def test_a_pack_captures_whatever_the_call_says(path: str, capture: object) -> None:
    """A call adds to what is declared, and does not leave it out; however it spells the path."""
    made = BROKER.plan(STRIPE, {"method": "POST", "path": path, "capture": capture})
    wanted = dict(made.request["capture"])  # type: ignore[call-overload]  # pairs
    assert wanted.pop("secret") == "prod/pay/STRIPE_WEBHOOK_SECRET"
    assert wanted == (capture or {})


@pytest.mark.parametrize(
    "capture", [{"url": "prod/pay/STRIPE_WEBHOOK_SECRET"}, {f"m{number}": f"prod/pay/M{number}" for number in "abcd"}]
)
def test_a_call_cannot_push_out_what_its_pack_captures(capture: dict[str, str]) -> None:
    """By its very name for another member, whose value would be kept in its place; or by many of its own."""
    given = {"method": "POST", "path": "/v1/webhook_endpoints", "capture": capture}
    refused(lambda: BROKER.plan(STRIPE, given), "argument", argument="capture")


def test_a_call_gives_what_is_declared_another_name() -> None:
    """So that there can be two."""
    asked = {"method": "POST", "path": "/v1/webhook_endpoints", "capture": {"secret": "prod/pay/SECOND"}}
    assert BROKER.plan(STRIPE, asked).request["capture"] == (("secret", "prod/pay/SECOND"),)
    assert "capture" not in BROKER.plan(STRIPE, {"path": "/v1/webhook_endpoints"}).request


AWS = replace(
    connection(
        "https://iam.amazonaws.com", auth="sigv4", provider="aws", options={"service": "iam", "region": "us-east-1"}
    ),
    secrets={"secret_access_key": "prod/AWS_SECRET"},
)
MADE = "CreateAccessKeyResponse.CreateAccessKeyResult.AccessKey.SecretAccessKey"


@pytest.mark.parametrize(
    "call",
    [
        {"method": "POST", "path": "/", "form": {"Action": "CreateAccessKey", "Version": "2010-05-08"}},
        {"method": "POST", "path": "/", "form": {"Action": "createaccesskey"}},
        {"method": "GET", "path": "/", "query": {"Action": "CreateAccessKey"}},
        {"method": "POST", "path": "/any", "query": {"Action": "CreateAccessKey"}},
    ],
)
def test_what_an_operation_gives_is_captured(call: dict[str, object]) -> None:
    """However it is called."""
    made = BROKER.plan(AWS, call)
    assert made.request["capture"] == ((MADE, "prod/IAM_SECRET_ACCESS_KEY"),)
    assert made.effect is Effect.MINT


@pytest.mark.parametrize(("service", "action"), [("iam", "ListAccessKeys"), ("sts", "CreateAccessKey"), ("iam", "")])
def test_another_operation_gives_nothing(service: str, action: str) -> None:
    """Nor does one of that name at another service."""
    other = replace(AWS, options={**AWS.options, "service": service})
    assert (
        "capture" not in BROKER.plan(other, {"path": "/", **({"query": {"Action": action}} if action else {})}).request
    )
