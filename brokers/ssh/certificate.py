"""A certificate for one command: minted for one call, good for two minutes, and enforced by the server itself.

Rules of this file
- `force-command` is the very line that was approved. With it the server runs nothing else for this key, whoever has it.
- No extension at all: no pty, no forwarding of ports, agents or X11, no `~/.ssh/rc`.
- The key pair is made for the call and dies with it. What the authority's key signs names kv and the plan's digest, so
  that the server's log leads back to the approval.
- An sshd_config that forces a command of its own takes precedence over the certificate's: SECURITY.md says so.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import SSHCertificateBuilder, SSHCertificateType

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from brokers.ssh.credentials import Private

BEFORE = 30  # seconds: the server's clock may be that much behind
AFTER = 90  # seconds: enough to log in; a command that has begun may go on


def mint(
    authority: Private, command: str, target: Mapping[str, object], digest: str, now: float
) -> tuple[Ed25519PrivateKey, str]:
    """A fresh key, and its certificate as "TYPE BASE64"."""
    key = Ed25519PrivateKey.generate()
    builder = (
        SSHCertificateBuilder()
        .public_key(key.public_key())
        .serial(secrets.randbits(63))
        .type(SSHCertificateType.USER)
        .key_id(f"kv {digest}".encode())
        .valid_principals([name.encode() for name in principals(target)])
        .valid_after(int(now) - BEFORE)
        .valid_before(int(now) + AFTER)
        .add_critical_option(b"force-command", command.encode())
    )
    if target.get("source_address"):
        builder = builder.add_critical_option(b"source-address", str(target["source_address"]).encode())
    return key, builder.sign(authority).public_bytes().decode("ascii").strip()


def principals(target: Mapping[str, object]) -> Sequence[str]:
    """Whom the certificate lets in: as declared, or the account itself. Never nobody, which would mean everybody."""
    declared = target.get("principals")
    return tuple(declared) if isinstance(declared, list | tuple) and declared else (str(target["user"]),)
