"""What a person declares of an SSH connection, and what is refused as a declaration."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest
from ssh_server import lent

from brokers.contract import BrokerError
from brokers.ssh.kind import SshKind

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY = "ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0 " + b"k" * 32).decode()
OTHER = "ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0 " + b"o" * 32).decode()
CERTIFICATE = "ssh-ed25519-cert-v01@openssh.com AAAA"


def declared(before: Mapping[str, object] | None = None, scheme: str = "key", **given: object) -> dict[str, object]:
    """A target."""
    return SshKind().target(given, before or {}, scheme)


def web(scheme: str = "key", **given: object) -> dict[str, object]:
    """A first declaration."""
    return declared(None, scheme, **{"host": "deploy@web.test:2222", "host_key": [KEY], **given})


def test_a_target_is_canonical_json() -> None:
    """Equal declarations are equal, whatever their order; comments of keys are gone."""
    target = web(
        host_key=[f"{OTHER} x@y", KEY], allow=["b  c", "a"], roots=["/srv", "/opt", "/srv"], env=["TZ", "LANG"]
    )
    assert target == json.loads(json.dumps(target))
    assert target["host_keys"] == sorted([KEY, OTHER])
    assert (target["user"], target["host"], target["port"]) == ("deploy", "web.test", 2222)
    assert (target["allow"], target["roots"], target["env"]) == (["a", "b c"], ["/opt", "/srv"], ["LANG", "TZ"])
    assert target["readonly"] is True
    assert SshKind().place(target) == "ssh://deploy@web.test:2222"


@pytest.mark.parametrize(
    ("host", "place", "pins"),
    [
        ("ada@Web.Test", "ssh://ada@web.test:22", []),
        ("ada@127.0.0.1:2222", "ssh://ada@127.0.0.1:2222", ["127.0.0.1"]),
        ("ada@[::1]:2222", "ssh://ada@[::1]:2222", ["::1"]),
        ("ada@[2001:DB8:0::1]", "ssh://ada@[2001:db8::1]:22", []),
        ("ada@localhost", "ssh://ada@localhost:22", ["127.0.0.1", "::1"]),
        ("ada@10.0.0.5", "ssh://ada@10.0.0.5:22", []),
    ],
)
def test_a_host_is_written_as_ssh_writes_it(host: str, place: str, pins: list[str]) -> None:
    """A loopback address pins itself; another private one does not."""
    target = web(host=host)
    assert (SshKind().place(target), target["addresses"]) == (place, pins)


@pytest.mark.parametrize(
    "host",
    [
        "web.test",
        "",
        "ada@",
        "@web",
        "ada@web.test:0",
        "ada@web.test:99999",
        "ada@::1",
        "ada@[fe80::1%eth0]",
        "a b@web",
        "-oProxyCommand=x@web",
        "ada@-web",
        "ada@web test",
        "ada@web/x",
        "ada@web.test:22x",
        "a@b@c",
    ],
)
def test_what_is_no_host_is_refused(host: str) -> None:
    """No option, no zone, no path."""
    with pytest.raises(BrokerError, match="options"):
        web(host=host)


def test_a_host_key_is_demanded() -> None:
    """Nothing is trusted on first use."""
    for keys in ([], None, "x", [KEY] * 17, ["nonsense"], [1]):
        with pytest.raises(BrokerError, match="options"):
            web(host_key=keys)
    with pytest.raises(BrokerError, match="options"):
        declared(host="ada@web.test")


def test_a_change_keeps_the_rest_but_not_across_hosts() -> None:
    """Another user, root or profile leaves keys and pins; another host or port drops them."""
    first = web(addresses=["10.0.0.5"], roots=["/srv"])
    assert declared(first, env=["TZ"]) == {**first, "env": ["TZ"]}
    assert declared(first, host="root@web.test:2222") == {**first, "user": "root"}
    for moved in ("deploy@web.test", "deploy@other.test:2222"):
        with pytest.raises(BrokerError, match="options"):
            declared(first, host=moved)
        again = declared(first, host=moved, host_key=[OTHER])
        assert (again["addresses"], again["host_keys"], again["roots"]) == ([], [OTHER], ["/srv"])
    assert declared(web(host="a@127.0.0.1"), host="a@web.test", host_key=[KEY])["addresses"] == []


def test_addresses_behind_a_jump_host_are_pins() -> None:
    """Nothing is resolved there by kv: what a person wrote is dialled, but for metadata services."""
    assert web(host="ada@10.0.0.5", jump="bastion")["addresses"] == ["10.0.0.5"]
    with pytest.raises(BrokerError, match="address"):
        web(host="ada@169.254.169.254", jump="bastion")
    with pytest.raises(BrokerError, match="address"):
        web(addresses=["169.254.169.254"])


def test_the_builtin_profiles_can_be_taken_away() -> None:
    """And stay away when something else is declared."""
    first = web(profiles={"readonly": False, "up": {"argv": ["uptime"]}})
    assert (first["readonly"], first["profiles"]) == (False, {"up": {"argv": ["uptime"]}})
    assert declared(first, cwd="/srv")["readonly"] is False
    assert declared(first, profiles={})["readonly"] is False
    assert declared(first, profiles={"readonly": True})["readonly"] is True


@pytest.mark.parametrize(
    "given",
    [
        {"roots": ["srv"]},
        {"roots": ["/srv/"]},
        {"roots": ["/srv/../etc"]},
        {"roots": "/srv"},
        {"cwd": "srv"},
        {"cwd": "-"},
        {"env": ["LD_PRELOAD"]},
        {"env": ["PATH"]},
        {"env": ["path"]},
        {"env": ["A=B"]},
        {"env": ["BASH_ENV"]},
        {"env": ["GIT_SSH_COMMAND"]},
        {"env": ["PAGER"]},
        {"allow": ["sudo *"]},
        {"profiles": {"x": {}}},
        {"profiles": {"readonly": 1}},
        {"jump": "a b"},
        {"jump": 1},
        {"no such member": 1},
        {"certificate": "ssh-ed25519 AAAA"},
        {"certificate": "/etc/passwd"},
        {"certificate": f"{CERTIFICATE}\nx"},
        {"principals": ["deploy"]},
        {"source_address": "127.0.0.1"},
    ],
)
def test_what_does_not_go_together_is_refused(given: dict[str, object]) -> None:
    """As a declaration, before any call."""
    with pytest.raises(BrokerError, match="options"):
        declared({}, "key", **{"host": "a@web.test", "host_key": [KEY], **given})


def test_members_go_with_their_scheme() -> None:
    """A certificate with a key, principals with an authority."""
    assert web(certificate=CERTIFICATE)["certificate"] == CERTIFICATE
    assert web("ca", principals=["ops", "deploy"], source_address="192.0.2.0/24,::1/128")["principals"] == [
        "deploy",
        "ops",
    ]
    for scheme, given in (
        ("password", {"certificate": CERTIFICATE}),
        ("ca", {"certificate": CERTIFICATE}),
        ("ca", {"principals": ["a,b"]}),
        ("ca", {"source_address": "nowhere"}),
    ):
        with pytest.raises(BrokerError, match="options"):
            web(scheme, **given)


def test_a_key_within_an_uri_is_a_needle() -> None:
    """What a one-time password is made of, apart from the URI around it."""
    uri = b"otpauth://totp/web:ada?secret=JBSWY3DPEHPK3PXPJBSWY3DP&issuer=web"
    assert SshKind().forms(lent(secret=b"pw", totp=uri), {}) == (b"JBSWY3DPEHPK3PXPJBSWY3DP",)
    assert SshKind().forms(lent(secret=b"pw", totp=b"JBSWY3DPEHPK3PXP"), {}) == ()
    assert SshKind().forms(lent(secret=b"key"), {}) == ()
    assert SshKind().forms(lent(secret=b"pw", totp=b"\xff"), {}) == ()
