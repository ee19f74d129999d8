"""The secrets of an SSH connection as the driver takes them. The file where they leave their type.

Rules of this file
- A key is read by cryptography, which knows every format of it, and handed to paramiko in memory. No file, no agent.
- What cannot be read is refused as `credential`, in words that name no more than the kind of the fault.
- A digest of the secrets is keyed anew by every broker: it tells one lent credential from another, and nothing else.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
from typing import TYPE_CHECKING, NoReturn

import pyotp
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_ssh_private_key,
)
from paramiko import ECDSAKey, Ed25519Key, Message, RSAKey

from brokers.contract import BrokerError

if TYPE_CHECKING:
    from paramiko import PKey

    from brokers.contract import Credential

Private = Ed25519PrivateKey | EllipticCurvePrivateKey | RSAPrivateKey
MIN_RSA = 2048  # bits, as of host keys
_KEY_HEADS = (b"-----BEGIN OPENSSH PRIVATE KEY-----", b"-----BEGIN ")


def private(credential: Credential) -> Private:
    """The key in slot "secret", opened by slot "passphrase" where there is one. Raises `BrokerError("credential")`."""
    held = credential["secret"].expose().strip() + b"\n"
    opening = credential["passphrase"].expose() if "passphrase" in credential.slots else None
    load = load_ssh_private_key if held.startswith(_KEY_HEADS[0]) else load_pem_private_key
    if not held.startswith(_KEY_HEADS[1]):
        _refuse("it is no private key: it begins '-----BEGIN … PRIVATE KEY-----'")
    try:
        key = load(held, opening)
    except TypeError:  # cryptography's way to say so, of both kinds of file
        _refuse("the key has a passphrase and none was given (scheme key-passphrase), or it has none")
    except (ValueError, UnsupportedAlgorithm):
        # An OpenSSH file without its passphrase ends here as well, in a ValueError.
        _refuse("the private key cannot be read, or its passphrase is another")
    if isinstance(key, RSAPrivateKey) and key.key_size < MIN_RSA:
        _refuse("an RSA key has at least 2048 bits")
    if not isinstance(key, Ed25519PrivateKey | EllipticCurvePrivateKey | RSAPrivateKey):
        _refuse("a key is Ed25519, ECDSA or RSA: DSA is no more, and one in hardware cannot be lent")
    return key


def signer(key: Private, certificate: str = "") -> PKey:
    """`key` as paramiko signs with it, showing `certificate` ("TYPE BASE64") where there is one."""
    made: PKey
    if isinstance(key, Ed25519PrivateKey):
        text = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode("ascii")
        made = Ed25519Key.from_private_key(io.StringIO(text))
    elif isinstance(key, RSAPrivateKey):
        made = RSAKey(key=key)
    else:
        made = ECDSAKey(vals=(key, key.public_key()))
    if certificate:
        try:
            # As a message: from text, paramiko would first look for a file of that name.
            made.load_certificate(Message(base64.b64decode(certificate.split()[1], validate=True)))
        except (ValueError, IndexError, binascii.Error):
            raise BrokerError("options", why="the certificate is not one of this key's type") from None
    return made


def password(credential: Credential) -> str:
    """What logs in by password."""
    try:
        text = credential["secret"].expose().decode()
    except UnicodeDecodeError:
        _refuse("a password is text in UTF-8")
    if not text.isprintable():
        _refuse("a password holds no line end and no control character")
    return text


def code(credential: Credential, now: float) -> str:
    """The one-time code of `now`, of a base32 key or an `otpauth:` URI."""
    try:
        held = credential["totp"].expose().decode("ascii").strip()
        made = pyotp.parse_uri(held) if held.startswith("otpauth:") else pyotp.TOTP(held.replace(" ", "").upper())
        if not isinstance(made, pyotp.TOTP):
            _refuse("a one-time password by counter is not one by time")
        return made.at(int(now))
    except (ValueError, binascii.Error):
        _refuse("a one-time password is a base32 key of 112 bits or more, or an otpauth: URI")


def told_apart(credential: Credential, key: bytes) -> bytes:
    """A keyed digest of all secrets: equal for equal ones within one broker."""
    made = hashlib.blake2b(key=key, digest_size=32)
    for slot in sorted(credential.slots):
        value = credential.slots[slot].expose()
        made.update(len(slot).to_bytes(4, "big") + slot.encode() + len(value).to_bytes(4, "big") + value)
    return made.digest()


def _refuse(why: str) -> NoReturn:
    raise BrokerError("credential", why=why)
