"""Credentials that AWS makes, whose answers are XML: real operations against moto's server, through kv."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from moto.server import ThreadedMotoServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from world import World

KEY = b"AK" + b"IA" + b"0A" * 8 + b":" + b"Ab1/" * 10  # put together here so that no file holds what looks like a key


@contextmanager
def moto() -> Iterator[int]:
    """Moto's server; its port."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        yield server.get_host_and_port()[1]
    finally:
        server.stop()


@pytest.fixture
def aws(world: World) -> Iterator[World]:
    """Connections to moto's services, on which a person lets an agent write."""
    with moto() as port:
        world.store("demo/AWS", KEY)
        for service in ("iam", "sts", "ec2"):
            where = ("--host", f"http://127.0.0.1:{port}", "--allow-address", "127.0.0.1", "--insecure-loopback")
            options = ("--option", f"service={service}", "--option", "region=us-east-1", "--admission", "always")
            more = ("--secret", "secret_access_key=demo/AWS", "--allow", "write")
            world.must("connect", service, "--provider", "aws", *where, *options, *more, proof=True)
        yield world


def act(world: World, service: str, action: str, *words: str, **fields: str) -> Any:  # noqa: ANN401 - what it printed
    """One operation, to which a person says yes."""
    form = [word for name, value in {"Action": action, **fields}.items() for word in ("-f", f"{name}={value}")]
    asked = world.kv("api", service, "POST", "/", *form, *words, "--wait", "0", "--json").json
    world.must("approve", asked["pending"], proof=True)
    return world.must("wait", asked["pending"], "--json").json


def stored(world: World, name: str) -> bytes:
    """What the vault holds under that name."""
    file = world.folder / name.replace("/", "-")
    world.must("get", name, "--output", str(file), proof=True)
    return file.read_bytes()


def test_a_new_access_key_is_a_reference(aws: World) -> None:
    """Its id is shown, and its secret is in the vault and nowhere else."""
    act(aws, "iam", "CreateUser", UserName="ada")
    made = act(aws, "iam", "CreateAccessKey", UserName="ada")
    reference = "{{kv:demo/IAM_SECRET_ACCESS_KEY}}"
    assert made["captured"] == {"CreateAccessKeyResponse.CreateAccessKeyResult.AccessKey.SecretAccessKey": reference}
    assert f"<SecretAccessKey>{reference}</SecretAccessKey>" in made["body"]
    assert re.search("<AccessKeyId>AKIA[A-Z0-9]{16}</AccessKeyId>", made["body"])
    assert re.fullmatch(b"[A-Za-z0-9/+]{40}", value := stored(aws, "demo/IAM_SECRET_ACCESS_KEY"))
    assert not aws.leaked(value)


def test_keys_of_a_role_are_references(aws: World) -> None:
    """Both parts of what STS hands out; under names of the call's own if it gives any."""
    arn = "arn:aws:iam::123456789012:role/reader"
    member = "AssumeRoleResponse.AssumeRoleResult.Credentials"
    given = ("--capture", f"{member}.SecretAccessKey=demo/ROLE_KEY")
    made = act(aws, "sts", "AssumeRole", *given, RoleArn=arn, RoleSessionName="tests")
    assert made["captured"] == {
        f"{member}.SecretAccessKey": "{{kv:demo/ROLE_KEY}}",
        f"{member}.SessionToken": "{{kv:demo/STS_SESSION_TOKEN}}",
    }
    for name in ("demo/ROLE_KEY", "demo/STS_SESSION_TOKEN"):
        assert not aws.leaked(stored(aws, name))


def test_a_new_key_pair_is_a_reference(aws: World) -> None:
    """A private key of many lines."""
    made = act(aws, "ec2", "CreateKeyPair", KeyName="tests")
    assert made["captured"] == {"CreateKeyPairResponse.keyMaterial": "{{kv:demo/EC2_KEY_PAIR}}"}
    value = stored(aws, "demo/EC2_KEY_PAIR")
    assert value.startswith(b"-----BEGIN")
    assert not [line for line in value.splitlines()[1:-1] if line in "".join(aws.seen).encode()]


def test_xml_without_the_member_is_withheld(aws: World) -> None:
    """Where a call names a member that is none, the answer has the names of those that there are, and no text."""
    made = act(aws, "iam", "CreateUser", "--capture", "CreateUserResponse.Key=demo/KEY", UserName="grace")
    assert made["uncaptured"] == {"CreateUserResponse.Key": "there is no such member"}
    assert made["body"] == ""
    assert "CreateUserResponse.CreateUserResult.User.UserName" in made["members"]
