"""From what a person declares to a connection: what is kept of the one before, and what is not."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import msgspec

from kv.daemon.connections import declare
from kv.daemon.schema import Declaration
from kv.model import Terms

if TYPE_CHECKING:
    from kv.daemon.entry import Entry


def declared(before: Entry | None = None, **said: Any) -> Entry:  # noqa: ANN401 - members of many types
    """The connection `shop` after `said`, as the wire brings it."""
    return declare(msgspec.convert({"name": "shop", **said}, Declaration), before, "shop/KEY", Terms())


def test_how_a_service_is_reached_does_not_go_to_another() -> None:
    """Pins and plain HTTP were said of one host: another is looked up, and spoken to by TLS."""
    here = declared(host="http://127.0.0.1:8000", auth={"scheme": "bearer"}, insecure_loopback=True)
    there = declared(here, host="https://api.test").connection.target
    assert (there["addresses"], there["insecure_loopback"]) == ([], False)
    pinned = declared(host="https://api.test", auth={"scheme": "bearer"}, addresses=["10.0.0.5"])
    assert declared(pinned, host="https://other.test").connection.target["addresses"] == []
    for same in ({}, {"host": "https://API.test:443/"}, {"encoded_slash": True}):
        assert declared(pinned, **same).connection.target["addresses"] == ["10.0.0.5"]


def test_what_was_declared_of_a_server_can_be_taken_back() -> None:
    """Reach and restrictions alike: an empty word or list is said, and is not the same as nothing."""
    key = "ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0 " + b"k" * 32).decode()
    stated: dict[str, Any] = {"jump": "bastion", "roots": ["/srv"], "cwd": "/srv", "env": ["TZ"], "allow": ["uptime"]}
    made = declared(kind="ssh", host="ada@web.test", host_key=[key], auth={"scheme": "key"}, **stated)
    assert declared(made) == made
    bare = declared(made, jump="", roots=[], cwd="", env=[], allow=[]).connection.target
    assert {name: bare[name] for name in stated} == {"jump": "", "roots": [], "cwd": "", "env": [], "allow": []}


def test_an_authoritys_bounds_can_be_taken_back() -> None:
    """From where a certificate is good, and for whom."""
    key = "ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0 " + b"k" * 32).decode()
    stated: dict[str, Any] = {"principals": ["ops"], "source_address": "192.0.2.0/24"}
    made = declared(kind="ssh", host="ada@web.test", host_key=[key], auth={"scheme": "ca"}, **stated)
    bare = declared(made, principals=[], source_address="").connection.target
    assert (bare["principals"], bare["source_address"]) == ([], "")
