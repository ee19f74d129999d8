"""Host keys as OpenSSH writes them: parsed strictly, spelled canonically, shown by their fingerprint. Pure.

Rules of this file
- A key is `TYPE BASE64`, and nothing else of its line is kept: a comment is anybody's text.
- Only the person's side reads `known_hosts`, and shows what it found: an agent of the same user can write it.
- A key that `known_hosts` marks `@revoked` is not found. `@cert-authority` is passed over: kv pins keys.
- Types are those that the driver verifies. SHA-1 signatures are no type here: an `ssh-rsa` key signs by SHA-2.
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import hmac
import re
from typing import NoReturn

from brokers.contract import BrokerError

MAX_KEYS = 16  # pinned for one host: four types, and as many again while they are being replaced
MAX_TEXT = 4 << 20  # bytes of a known_hosts file: tens of thousands of hosts
MIN_RSA = 2048  # bits: shorter ones are within reach of a rented cluster

# the type of a key: the signature algorithms that may prove its possession
ALGORITHMS = {
    "ssh-ed25519": ("ssh-ed25519",),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256",),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384",),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521",),
    "ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256"),
}
_POINTS = {"nistp256": 65, "nistp384": 97, "nistp521": 133}  # bytes of an uncompressed point (SEC 1, 2.3.3)
_ED25519 = 32
_HASHED = re.compile(r"\|1\|([A-Za-z0-9+/]{27}=)\|([A-Za-z0-9+/]{27}=)")  # SHA-1 of sshd(8): 20 bytes each
_SSH_PORT = 22


def canonical(line: str) -> str:
    """`TYPE BASE64` of a public key's line. Raises `BrokerError("options")`."""
    words = line.split()
    if len(words) < 2 or words[0] not in ALGORITHMS:  # noqa: PLR2004 - type and key
        _refuse("a host key is written 'ssh-ed25519 AAAA…', or as ecdsa-sha2-nistp256, -384, -521 or ssh-rsa")
    try:
        blob = base64.b64decode(words[1], validate=True)
    except (binascii.Error, ValueError):
        _refuse("the host key is not base64")
    _check(words[0], blob)
    return f"{words[0]} {base64.b64encode(blob).decode('ascii')}"


def blob_of(key: str) -> bytes:
    """The bytes that travel, of a canonical key."""
    return base64.b64decode(key.partition(" ")[2])


def fingerprint(blob: bytes) -> str:
    """As `ssh-keygen -l` prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode("ascii").rstrip("=")


def algorithms(keys: tuple[str, ...]) -> tuple[str, ...]:
    """What may be negotiated for pinned `keys`, in the order of `ALGORITHMS`.

    A server with a second key of another type would otherwise show that one, and look like an impostor.
    """
    types = {key.partition(" ")[0] for key in keys}
    return tuple(name for kind, names in ALGORITHMS.items() if kind in types for name in names)


def known(text: str, host: str, port: int) -> tuple[str, ...]:
    """The canonical keys that a `known_hosts` file has for a host, in its order.

    Only for this very port: OpenSSH also takes a key that is known for port 22, but another port may be another
    machine behind the same address. Lines that cannot be read are passed over, as ssh does.
    """
    if len(text) > MAX_TEXT:
        _refuse("known_hosts is larger than 4 MiB")
    name = host.lower() if port == _SSH_PORT else f"[{host.lower()}]:{port}"
    found: list[str] = []
    revoked: set[str] = set()
    for line in text.splitlines():
        words = line.split()
        marker = words.pop(0) if words and words[0].startswith("@") else ""
        if len(words) < 3 or marker not in {"", "@revoked"} or not _meant(words[0], name):  # noqa: PLR2004 - host and key
            continue
        try:
            key = canonical(" ".join(words[1:3]))
        except BrokerError:
            continue
        if marker:
            revoked.add(key)
        else:
            found.append(key)
    return tuple(key for key in dict.fromkeys(found) if key not in revoked)


def _meant(patterns: str, name: str) -> bool:
    """Whether the first field of a line means `name`: a hash of it, or patterns of which none denies it."""
    hashed = _HASHED.fullmatch(patterns)
    if hashed is not None:
        salt, digest = (base64.b64decode(part) for part in hashed.groups())
        # SHA-1 is the file's format; it hides names from a reader and protects nothing of ours.
        return hmac.compare_digest(hmac.new(salt, name.encode(), "sha1").digest(), digest)
    meant = False
    for pattern in patterns.lower().split(","):
        # Brackets of `[host]:port` are no character class to ssh, as they are to fnmatch.
        if fnmatch.fnmatchcase(name, pattern.removeprefix("!").replace("[", "[[]")):
            if pattern.startswith("!"):
                return False
            meant = True
    return meant


def _check(kind: str, blob: bytes) -> None:
    """Refuse a key that is not whole, not of its type, or has bytes too many: it would be pinned and never match."""
    fields = _fields(blob)
    if not fields or fields[0] != kind.encode():
        _refuse("the host key is not of the type that it says")
    rest = fields[1:]
    if kind == "ssh-ed25519":
        fits = [len(field) for field in rest] == [_ED25519]
    elif kind == "ssh-rsa":
        fits = len(rest) == 2 and len(rest[1].lstrip(b"\0")) * 8 >= MIN_RSA  # noqa: PLR2004 - exponent and modulus
    else:
        curve = kind.rpartition("-")[2]
        fits = len(rest) == 2 and rest[0] == curve.encode() and len(rest[1]) == _POINTS[curve]  # noqa: PLR2004 - as above
    if not fits:
        _refuse("the host key is damaged, or an RSA key of less than 2048 bits")


def _fields(blob: bytes) -> list[bytes]:
    """The length-prefixed strings of `blob` (RFC 4251 section 5), or none where it does not divide evenly."""
    fields = []
    while blob:
        size = int.from_bytes(blob[:4], "big")
        if len(blob) < 4 + size:
            return []
        fields.append(blob[4 : 4 + size])
        blob = blob[4 + size :]
    return fields


def _refuse(why: str) -> NoReturn:
    raise BrokerError("options", why=why)
