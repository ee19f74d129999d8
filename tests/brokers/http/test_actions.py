"""AWS's services of the RPC kind: the operation's name says what a call does, wherever it stands; no method does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from http_world import broker, connection, refused
from hypothesis import given
from hypothesis import strategies as st

from brokers.contract import BrokerError, Effect

if TYPE_CHECKING:
    from brokers.contract import Plan

BROKER = broker()
FORM = {"content-type": "application/x-www-form-urlencoded"}
SERVICES = ("iam", "sts", "ec2", "sqs", "sns", "rds", "cloudformation", "ses", "never-heard-of")


def plan(service: str, method: str = "GET", path: str = "/", **arguments: object) -> Plan:
    """A plan at that service."""
    options = {"service": service, "region": "us-east-1"}
    conn = connection(auth="sigv4", options=options, slots=("secret_access_key",))
    return BROKER.plan(conn, {"method": method, "path": path, **arguments})


def effect(service: str, method: str = "GET", path: str = "/", **arguments: object) -> str:
    """What it is taken for."""
    return plan(service, method, path, **arguments).effect.value


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(
    ("operation", "meant"),
    [
        ("CreateAccessKey", "mint"),
        ("CreateLoginProfile", "mint"),
        ("AssumeRole", "mint"),
        ("GetSessionToken", "mint"),
        ("GetFederationToken", "mint"),
        ("GetPasswordData", "mint"),
        ("AttachUserPolicy", "mint"),
        ("DeleteUser", "destroy"),
        ("TerminateInstances", "destroy"),
        ("PurgeQueue", "destroy"),
        ("RunInstances", "unknown"),
        ("SendMessage", "unknown"),
        ("getcalleridentity", "unknown"),
        ("", "unknown"),
        ("Describe Instances", "unknown"),
        ("GetCallerIdentity", "read"),
        ("DescribeInstances", "read"),
        ("ListUsers", "read"),
    ],
)
def test_get_acts(service: str, operation: str, meant: str) -> None:
    """Every Query API acts on GET as on POST, so the operation is what counts."""
    assert effect(service, "GET", f"/?Action={operation.replace(' ', '%20')}&Version=2010-05-08") == meant
    assert effect(service, "HEAD", query={"Action": operation}) == meant


def test_a_form_is_judged_like_a_query() -> None:
    """By POST a read is one, at the services that take nothing but operations."""
    assert effect("iam", "POST", form={"Action": "ListUsers"}) == "read"
    assert effect("iam", "POST", form={"Action": "CreateAccessKey"}) == "mint"
    assert effect("iam", "POST", form={"Action": "DeleteUser"}) == "destroy"
    assert effect("iam", "POST", text="Action=DeleteUser&Version=1", headers=FORM) == "destroy"
    assert effect("sqs", "POST", "/123456789012/queue", form={"Action": "GetQueueAttributes"}) == "read"


@pytest.mark.parametrize("service", ["never-heard-of", "ses", "lambda"])
def test_elsewhere_a_name_makes_nothing_a_read(service: str) -> None:
    """At a service whose paths say what is done, `Action` may be a parameter that nobody looks at."""
    assert effect(service, "POST", "/v2/email/identities?Action=ListIdentities", json={}) == "write"
    assert effect(service, "DELETE", "/v2/things?Action=ListIdentities") == "destroy"


@pytest.mark.parametrize(
    ("target", "meant"),
    [
        ("DynamoDB_20120810.DeleteTable", "destroy"),
        ("DynamoDB_20120810.GetItem", "read"),
        ("DynamoDB_20120810.PutItem", "unknown"),
        ("secretsmanager.GetSecretValue", "mint"),
        ("secretsmanager.BatchGetSecretValue", "mint"),
        ("AmazonSSM.GetParametersByPath", "mint"),
        ("AWSCognitoIdentityProviderService.DescribeUserPoolClient", "mint"),
        ("TrentService.ScheduleKeyDeletion", "destroy"),
        ("Logs_20140328.DescribeLogGroups", "read"),
        ("GetItem", "unknown"),
        ("a.GetItem, a.DeleteTable", "unknown"),
    ],
)
def test_the_json_protocols_header_is_judged_behind_its_dot(target: str, meant: str) -> None:
    """`x-amz-target` names the operation of a POST."""
    assert effect("dynamodb", "POST", headers={"x-amz-target": target}, json={}) == meant


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=x", "application/octet-stream", ""])
def test_a_header_makes_no_read_where_a_form_is_looked_at(kind: str) -> None:
    """IAM looks for `Action` in the body and for no header: what the header says is no reading of the body."""
    headers = {"x-amz-target": "X.ListUsers", **({"content-type": kind} if kind else {})}
    assert effect("iam", "POST", text="Action=DeleteUser&UserName=x", headers=headers) == "unknown"


@pytest.mark.parametrize(
    "target",
    [
        *("Glue.GetConnections", "Glue.GetConnection", "Cognito.DescribeIdentityProvider", "WAF.GetDecryptedAPIKey"),
        *("Cognito.GetIdentityProviderByIdentifier", "States.GetActivityTask"),
    ],
)
def test_what_hands_out_a_secret_is_no_read(target: str) -> None:
    """Though it is called Get or Describe."""
    assert effect("glue", "POST", headers={"x-amz-target": target}, json={}) == "mint"


def test_the_operation_in_a_path_is_judged() -> None:
    """Smithy's RPC v2 has it there."""
    path = "/service/GraniteServiceVersion20100801/operation/"
    assert effect("monitoring", "POST", f"{path}DeleteAlarms") == "destroy"
    assert effect("monitoring", "POST", f"{path}DescribeAlarms") == "read"


@pytest.mark.parametrize(
    "arguments",
    [
        {"path": "/?Action=ListUsers&Action=DeleteUser"},
        {"path": "/?Action=ListUsers", "query": {"Action": "DeleteUser"}},
        {"path": "/?Action=ListUsers", "method": "POST", "form": {"Action": "DeleteUser"}},
        {"path": "/?Action=ListUsers&action=DeleteUser"},
        {"path": "/?Action=ListUsers", "method": "POST", "headers": {"x-amz-target": "a.DeleteUser"}, "json": {}},
        {"path": "/?Action=ListUsers", "method": "POST", "text": "Action=ListUsers;Action=DeleteUser", "headers": FORM},
    ],
)
def test_two_operations_are_refused(arguments: dict[str, object]) -> None:
    """Which of them counts only the service knows."""
    refused(lambda: plan("iam", **arguments), "argument", argument="Action")  # type: ignore[arg-type]  # of several kinds


@pytest.mark.parametrize(
    "arguments",
    [
        {"path": "/?action=ListUsers"},
        {"path": "/?Action%20=ListUsers"},
        {"path": "/?Action%5B%5D=ListUsers"},
        {"path": "/", "method": "POST", "text": "Action=ListUsers&Version=1"},
        {"path": "/", "method": "POST", "text": "Action=ListUsers;x=1", "headers": FORM},
        {
            "path": "/",
            "method": "POST",
            "text": "Action=ListUsers",
            "headers": {"content-type": "application/x-www-form-urlencoded; charset=utf-7"},
        },
        {"path": "/", "method": "POST", "json": {}, "headers": {"x_amz_target": "a.GetItem"}},
        {"path": "/?X-Amz-Target=a.GetItem", "method": "POST", "json": {}},
    ],
)
def test_what_has_more_than_one_reading_is_unknown(arguments: dict[str, object]) -> None:
    """Nearly an `Action` is none that a read could be told by."""
    assert effect("iam", **arguments) == "unknown"  # type: ignore[arg-type]  # of several kinds


@pytest.mark.parametrize("service", ["s3", "execute-api", "lambda"])
def test_other_services_keep_their_own_parameters(service: str) -> None:
    """An `Action` at a bucket or at an API of one's own is a parameter like any."""
    assert effect(service, "GET", "/x?Action=DeleteUser&Action=b") == "read"


def test_other_schemes_are_not_judged_by_it() -> None:
    """A service that is no AWS may call a parameter so."""
    found = BROKER.plan(connection(), {"path": "/?Action=DeleteUser"})
    assert found.effect is Effect.READ


@given(st.text(max_size=40), st.text(max_size=40), st.sampled_from(["GET", "POST"]))
def test_whatever_is_named_is_classed_or_refused(name: str, value: str, method: str) -> None:
    """No name and no value makes the judge fail, and none but a read's own is a read by POST."""
    try:
        found = plan("iam", method, query=[[name, value]])
    except BrokerError:  # what cannot stand in a query
        return
    assert found.effect is not Effect.READ or method == "GET"
    if method == "GET" and name == "Action" and not value.startswith(("Get", "List", "Describe", "BatchGet")):
        assert value in {"Query", "Scan"} or found.effect is not Effect.READ
