"""One-command certificates: the server itself holds a call to what was approved."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from ssh_server import SshServer, lent, once

from brokers.contract import BrokerError
from brokers.ssh import certificate, credentials
from brokers.ssh.broker import SshBroker

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.needs("sshd")


def minted(sshd: SshServer, folder: Path, command: str, now: float) -> list[str]:
    """An `ssh` that logs in with what is minted for `command` at `now`."""
    authority = credentials.private(sshd.credential("ca"))
    key, text = certificate.mint(authority, command, sshd.connection("ca").target, "d" * 64, now)
    (folder / "key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    (folder / "key").chmod(0o600)
    (folder / "key-cert.pub").write_text(f"{text}\n")
    return [
        "ssh",
        "-F",
        "none",
        "-i",
        str(folder / "key"),
        "-p",
        str(sshd.port),
        "-o",
        "IdentitiesOnly=yes",
        "-o",
        "BatchMode=yes",
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        f"UserKnownHostsFile={folder / 'known'}",
        "-o",
        "LogLevel=ERROR",
        f"{sshd.user}@127.0.0.1",
    ]


def ran(argv: list[str]) -> subprocess.CompletedProcess[bytes]:
    """What came of it."""
    return subprocess.run(argv, capture_output=True, check=False, timeout=60, stdin=subprocess.DEVNULL)


def test_an_approved_command_runs(sshd: SshServer) -> None:
    """With nothing but the authority's key in the vault; each call logs in anew."""
    before = sshd.logins()
    done = once(sshd.connection("ca"), sshd.credential("ca"), b"in", argv=["sh", "-c", "cat; echo err >&2; exit 4"])
    assert (done.out, done.err, done.head["exit"]) == (b"in", b"err\n", 4)
    assert sshd.logins() - before == 1


def test_the_servers_log_leads_to_the_approval(sshd: SshServer) -> None:
    """The certificate's name is kv's, with the digest of the plan."""
    to = sshd.connection("ca")
    once(to, sshd.credential("ca"), argv=["echo", "log"])
    assert f"kv {SshBroker().plan(to, {'argv': ['echo', 'log']}).digest()}" in sshd.log()


def test_another_command_is_not_run(sshd: SshServer, tmp_path: Path) -> None:
    """Whoever has key and certificate runs the approved command, whatever they ask for: a shell, a file, another."""
    ssh = minted(sshd, tmp_path, "echo approved", time.time())
    assert ran([*ssh, "id; touch ~/evil"]).stdout == b"approved\n"
    assert ran(ssh).stdout == b"approved\n"
    assert ran([*ssh, "-s", "sftp"]).stdout == b"approved\n"
    assert not (sshd.home / "evil").exists()


def test_it_opens_nothing_but_the_command(sshd: SshServer, tmp_path: Path) -> None:
    """No terminal, no forwarded port, no agent."""
    ssh = minted(sshd, tmp_path, "tty; env", time.time())
    assert b"PTY allocation request failed" in ran([ssh[0], "-tt", *ssh[1:]]).stderr
    done = ran([ssh[0], "-A", *ssh[1:]])
    assert b"not a tty" in done.stdout
    assert b"SSH_AUTH_SOCK" not in done.stdout
    forward = ran([ssh[0], "-W", f"127.0.0.1:{sshd.port}", *ssh[1:]])
    assert (forward.stdout, forward.stderr) == (b"", b"stdio forwarding failed\r\n")


@pytest.mark.parametrize("shift", [-certificate.AFTER - 5, certificate.BEFORE + 60])
def test_it_is_good_for_two_minutes(sshd: SshServer, tmp_path: Path, shift: float) -> None:
    """Before and after, the server lets nobody in."""
    assert certificate.BEFORE + certificate.AFTER <= 120
    done = ran([*minted(sshd, tmp_path, "echo approved", time.time() + shift), "x"])
    assert done.returncode == 255
    assert b"approved" not in done.stdout


def test_it_is_for_one_account(sshd: SshServer) -> None:
    """Another principal is another account: the server refuses."""
    with pytest.raises(BrokerError) as caught:
        once(sshd.connection("ca", principals=["somebody"]), sshd.credential("ca"), argv=["true"])
    assert caught.value.code == "login"


def test_it_may_be_bound_to_an_address(sshd: SshServer) -> None:
    """From elsewhere than declared, it is worth nothing."""
    assert (
        once(sshd.connection("ca", source_address="127.0.0.0/8"), sshd.credential("ca"), argv=["true"]).head["exit"]
        == 0
    )
    with pytest.raises(BrokerError) as caught:
        once(sshd.connection("ca", source_address="192.0.2.1/32"), sshd.credential("ca"), argv=["true"])
    assert caught.value.code == "login"


def test_another_authority_is_none(sshd: SshServer) -> None:
    """A key that the server does not trust signs nothing that it takes."""
    with pytest.raises(BrokerError) as caught:
        once(sshd.connection("ca"), lent(secret=(sshd.folder / "stranger").read_bytes()), argv=["true"])
    assert caught.value.code == "login"


def test_files_are_not_copied_with_it(sshd: SshServer) -> None:
    """SFTP has no one command to be held to."""
    with pytest.raises(BrokerError) as caught:
        SshBroker().plan(sshd.connection("ca", roots=["/srv"]), {"act": "get", "path": "/srv/x"})
    assert caught.value.code == "options"
