"""Host keys and known_hosts: what is read, and what is not believed."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ssh_server import keygen, public

from brokers.contract import BrokerError
from brokers.ssh import hostkeys

if TYPE_CHECKING:
    from pathlib import Path


def key(number: int) -> str:
    """A canonical Ed25519 key: any 32 bytes are one to this file."""
    blob = b"\0\0\0\x0bssh-ed25519\0\0\0 " + bytes([number]) * 32
    return f"ssh-ed25519 {base64.b64encode(blob).decode()}"


def hashed(name: str) -> str:
    """A host's name as `HashKnownHosts yes` writes it."""
    salt = b"s" * 20
    digest = hmac.new(salt, name.encode(), hashlib.sha1).digest()
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


@pytest.mark.needs("ssh-keygen")
@pytest.mark.parametrize("kind", ["ed25519", "ecdsa -b 256", "ecdsa -b 384", "ecdsa -b 521", "rsa -b 2048"])
def test_every_type_of_key_is_read(tmp_path: Path, kind: str) -> None:
    """Type and key, without the comment; the fingerprint is the one that ssh-keygen prints."""
    keygen(tmp_path / "k", "-t", *kind.split(), "-N", "", "-C", "some body's comment")
    line = (tmp_path / "k.pub").read_text()
    made = hostkeys.canonical(line)
    assert made == public(tmp_path / "k.pub")
    printed = subprocess.run(["ssh-keygen", "-lf", tmp_path / "k.pub"], capture_output=True, check=True).stdout.split()
    assert hostkeys.fingerprint(hostkeys.blob_of(made)) == printed[1].decode()


@pytest.mark.parametrize(
    "line",
    [
        "",
        "ssh-ed25519",
        "ssh-ed25519 !!!",
        "ssh-dss AAAA",
        "sk-ssh-ed25519@openssh.com AAAA",
        f"ssh-rsa {key(1).split()[1]}",
        key(1)[:-8],
        f"{key(1)}AAAA",
        f"web {key(1)}",
        "ssh-ed25519-cert-v01@openssh.com AAAA",
        "ssh-rsa " + base64.b64encode(b"\0\0\0\x07ssh-rsa\0\0\0\x03\x01\0\x01\0\0\0\x40" + b"n" * 64).decode(),
        "ssh-ed25519 " + base64.b64encode(b"\xff\xff\xff\xff").decode(),
    ],
)
def test_what_is_no_whole_key_is_refused(line: str) -> None:
    """A key that could never match is found when it is pinned; short RSA and unknown types too."""
    with pytest.raises(BrokerError, match="options"):
        hostkeys.canonical(line)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    """There is no other failure."""
    with contextlib.suppress(BrokerError):
        assert hostkeys.canonical(hostkeys.canonical(text)) == hostkeys.canonical(text)
    assert isinstance(hostkeys.known(text, "web.test", 22), tuple)


@pytest.mark.parametrize(
    ("line", "host", "port", "found"),
    [
        ("web.test", "web.test", 22, True),
        ("WEB.test", "Web.Test", 22, True),
        ("a,web.test,b", "web.test", 22, True),
        ("web.test", "web.test", 2222, False),
        ("[web.test]:2222", "web.test", 2222, True),
        ("[web.test]:2222", "web.test", 22, False),
        ("[2001:db8::1]:2222", "2001:db8::1", 2222, True),
        ("*.test", "web.test", 22, True),
        ("*.test,!web.test", "web.test", 22, False),
        ("!web.test,*.test", "web.test", 22, False),
        ("we[b].test", "web.test", 22, False),
        ("web.test.evil.test", "web.test", 22, False),
        (hashed("web.test"), "web.test", 22, True),
        (hashed("[web.test]:2222"), "web.test", 2222, True),
        (hashed("other.test"), "web.test", 22, False),
        ("|1|short|short", "web.test", 22, False),
        (f"|1|{'A' * 27}=|{'A' * 26}=A", "web.test", 22, False),
        ("@cert-authority web.test", "web.test", 22, False),
        ("@revoked web.test", "web.test", 22, False),
        ("#web.test", "web.test", 22, False),
    ],
)
def test_a_line_means_the_hosts_that_it_names(line: str, host: str, port: int, *, found: bool) -> None:
    """By name, by pattern, by hash, for a port."""
    assert hostkeys.known(f"{line} {key(1)} comment\n", host, port) == ((key(1),) if found else ())


def test_a_revoked_key_is_not_found_wherever_it_stands() -> None:
    """Before or after the line that has it, under the same name or a pattern."""
    for lines in (
        [f"web.test {key(1)}", f"@revoked * {key(1)}"],
        [f"@revoked web.test {key(1)}", f"web.test {key(1)}"],
    ):
        text = "\n".join([*lines, f"web.test {key(2)}", "web.test nonsense", f"web.test {key(2)}"])
        assert hostkeys.known(text, "web.test", 22) == (key(2),)


@pytest.mark.needs("ssh-keygen")
def test_what_openssh_hashes_is_found(tmp_path: Path) -> None:
    """`ssh-keygen -H` is the writer of such files."""
    path = tmp_path / "known"
    path.write_text(f"web.test {key(1)}\n[web.test]:2222 {key(2)}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", path], check=True, capture_output=True)
    text = path.read_text()
    assert "web.test" not in text
    assert hostkeys.known(text, "web.test", 22) == (key(1),)
    assert hostkeys.known(text, "web.test", 2222) == (key(2),)


def test_only_pinned_types_are_negotiated() -> None:
    """An RSA key proves itself by SHA-2."""
    assert hostkeys.algorithms((key(1),)) == ("ssh-ed25519",)
    assert hostkeys.algorithms(("ssh-rsa AAAA", key(1))) == ("ssh-ed25519", "rsa-sha2-512", "rsa-sha2-256")
