"""Signed calls to moto's server over real HTTP, which checks each signature with botocore and each right with IAM."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING

import pytest
from http_world import connection, opened
from moto import settings
from moto.server import ThreadedMotoServer

from brokers.contract import Credential, Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from brokers.contract import Connection

VERSION = {"iam": "2010-05-08", "sts": "2011-06-15"}
POLICY = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*", "dynamodb:*"], "Resource": "*"}]}
)


class Aws:
    """Moto, and one user's keys: `S3` and DynamoDB are allowed to it, IAM is not."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.keys = {"access_key_id": "AKIAUNKNOWN000000000", "secret_access_key": "none"}

    def connection(self, service: str) -> Connection:
        """A connection to a service."""
        return connection(
            f"http://127.0.0.1:{self.port}",
            auth="sigv4",
            options={"service": service, "region": "us-east-1"},
            slots=list(self.keys),
            name=service,
        )

    def call(self, service: str, keys: dict[str, str] | None = None, **arguments: object) -> tuple[int, str]:
        """Status and body of one call."""
        lent = Credential({slot: Secret(slot, value.encode()) for slot, value in (keys or self.keys).items()})

        async def act() -> tuple[int, str]:
            async with opened() as through:
                outcome = await through.perform(through.plan(self.connection(service), arguments), lent)
                try:
                    body = b"".join([chunk async for chunk in outcome.body])
                finally:
                    await outcome.aclose()
            return int(str(outcome.head["status"])), body.decode()

        return asyncio.run(act())

    def action(self, service: str, action: str, keys: dict[str, str] | None = None, **form: str) -> tuple[int, str]:
        """One action of a service that takes forms."""
        whole = {"Action": action, "Version": VERSION[service], **form}
        return self.call(service, keys, method="POST", path="/", form=whole)


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    """Moto with a user, from then on checking every call."""
    unchecked = settings.INITIAL_NO_AUTH_ACTION_COUNT
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        world = Aws(server.get_host_and_port()[1])
        assert world.action("iam", "CreateUser", UserName="ada")[0] == 200
        allowed = world.action("iam", "PutUserPolicy", UserName="ada", PolicyName="p", PolicyDocument=POLICY)
        assert allowed[0] == 200
        status, body = world.action("iam", "CreateAccessKey", UserName="ada")
        assert status == 200
        found = {name: re.findall(f"<{name}>(.*?)</{name}>", body)[0] for name in ("AccessKeyId", "SecretAccessKey")}
        world.keys = {"access_key_id": found["AccessKeyId"], "secret_access_key": found["SecretAccessKey"]}
        settings.INITIAL_NO_AUTH_ACTION_COUNT = 0.0
        yield world
    finally:
        settings.INITIAL_NO_AUTH_ACTION_COUNT = unchecked
        server.stop()


def test_sts_knows_who_calls(aws: Aws) -> None:
    """The caller's identity is the user whose key signed, and a key that is almost right is nobody's."""
    status, body = aws.action("sts", "GetCallerIdentity")
    assert status == 200
    assert "user/ada" in body
    wrong = {**aws.keys, "secret_access_key": aws.keys["secret_access_key"][:-1] + "~"}
    status, body = aws.action("sts", "GetCallerIdentity", wrong)
    assert status == 403
    assert "SignatureDoesNotMatch" in body


def test_an_object_goes_to_s3_and_comes_back(aws: Aws) -> None:
    """Put, get, list and delete, with a key that has blanks and letters of other alphabets in it."""
    assert aws.call("s3", method="PUT", path="/shop")[0] == 200
    path = "/shop/a b/é~.txt"
    assert aws.call("s3", method="PUT", path=path, text="hello")[0] == 200
    assert aws.call("s3", path=path) == (200, "hello")
    status, body = aws.call("s3", path="/shop", query={"list-type": "2", "prefix": "a b/"})
    assert status == 200
    assert "<Key>a b/é~.txt</Key>" in body
    wrong = {**aws.keys, "secret_access_key": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
    assert aws.call("s3", wrong, path=path)[0] == 403
    assert aws.call("s3", method="DELETE", path=path)[0] == 204


def test_dynamodb_lists_its_tables(aws: Aws) -> None:
    """A service that takes JSON, with a target header that is signed."""
    headers = {"x-amz-target": "DynamoDB_20120810.ListTables", "content-type": "application/x-amz-json-1.0"}
    status, body = aws.call("dynamodb", method="POST", path="/", headers=headers, json={})
    assert (status, json.loads(body)) == (200, {"TableNames": []})
    wrong = {**aws.keys, "secret_access_key": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
    assert aws.call("dynamodb", wrong, method="POST", path="/", headers=headers, json={})[0] in {400, 403}


def test_what_the_user_may_not_do_is_refused(aws: Aws) -> None:
    """The server of these tests does check rights."""
    assert aws.action("iam", "ListUsers")[0] == 403
