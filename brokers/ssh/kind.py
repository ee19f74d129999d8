"""What a person declares of an SSH connection: where it leads, which host keys it shows, what may be run and copied.

Rules of this file
- Pure, and without a driver: it is loaded whenever a connection is declared or listed.
- At least one host key is pinned, by a person. No call ever learns one.
- A new host is a new server: neither host keys nor address pins of the one before stay behind.
- A loopback address that a person wrote is its own pin, and so is any address behind a jump host, where kv resolves
  nothing. Any other private address takes a pin.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from brokers import addresses
from brokers.ssh import hostkeys, profiles, remote
from brokers.ssh.jump import through
from brokers.ssh.pattern import refuse

if TYPE_CHECKING:
    from brokers.contract import Connection, Credential

MAX_ROOTS = 16
MAX_ENV = 32  # names of variables
MAX_CERTIFICATE = 16 << 10  # bytes: a certificate has a kilobyte or two
_PORT = 22
_HOST = re.compile(
    r"(?:([^@\[\]]+)@)?(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?))(?::([0-9]{1,5}))?"
)
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,63}\$?")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_CERTIFICATE = re.compile(
    r"((?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521))-cert-v01@openssh\.com) ([A-Za-z0-9+/]+=*)(?: .*)?"
)
_LOCALHOST = ("127.0.0.1", "::1")
# Variables that choose which program runs, or what it loads first: an allowed `uptime` would be another's program.
_LOADERS = re.compile(
    r"LD_.*|DYLD_.*|PATH|ENV|BASH_.*|SHELLOPTS|IFS|PS4|CDPATH|HOME|SHELL|PYTHON.*|PERL.*|RUBY.*|NODE_.*|GIT_.*|.*PAGER.*"
    r"|.*EDITOR|VISUAL|LESS.*|GCONV_PATH|SSH_.*"
)


class SshKind:
    """An account on a server.

    Target: `{host, port, user, addresses, host_keys, jump, readonly, profiles, allow, roots, cwd, env, certificate,
    principals, source_address}`. `jump` is the name of another ssh connection, "" for none; `jump.through` puts what it
    is in its place. `profiles` is as `profiles.declared` reads it; given `{"readonly": false}` takes the built-in ones
    away.
    """

    name = "ssh"
    verb = "ssh"
    schemes = {  # noqa: RUF012 - the protocol's, and nobody changes it
        "key": ("secret",),
        "key-passphrase": ("secret", "passphrase"),
        "password": ("secret",),
        "password-totp": ("secret", "totp"),
        "ca": ("secret",),
    }
    inspected = False
    members = frozenset(
        {
            *("host", "host_key", "addresses", "jump", "profiles", "allow", "roots", "cwd", "env", "certificate"),
            *("principals", "source_address"),
        }
    )

    def target(self, given: Mapping[str, object], before: Mapping[str, object], scheme: str) -> dict[str, object]:
        """The whole target. Raises `BrokerError("options")`."""
        if not self.members.issuperset(given):
            refuse("something was said that an ssh connection does not have")
        user, host, port = _host(given, before)
        same = (host, port) == (before.get("host"), before.get("port"))
        kept = (
            before if same else {name: held for name, held in before.items() if name not in {"addresses", "host_keys"}}
        )
        jump = _text(given, kept, "jump")
        if jump and not _NAME.fullmatch(jump):
            refuse("jump names another ssh connection")
        keys = given["host_key"] if "host_key" in given else kept.get("host_keys")
        profile, readonly = _profiles(given, kept)
        target: dict[str, object] = {
            "host": host,
            "port": port,
            "user": user,
            "addresses": list(_pins(given, kept, host, behind=bool(jump))),
            "host_keys": _keys(keys),
            "jump": jump,
            "readonly": readonly,
            "profiles": profile,
            "allow": sorted({profiles.check_allow(text) for text in _texts(given, kept, "allow", profiles.MAX_ALLOW)}),
            "roots": sorted(set(_texts(given, kept, "roots", MAX_ROOTS))),
            "cwd": _text(given, kept, "cwd"),
            "env": sorted(set(_texts(given, kept, "env", MAX_ENV))),
            "certificate": _text(given, kept, "certificate"),
            "principals": sorted(set(_texts(given, kept, "principals", 16))),
            "source_address": _text(given, kept, "source_address"),
        }
        _check(target, scheme)
        return target

    def place(self, target: Mapping[str, object]) -> str:
        """As a URL."""
        return f"ssh://{account(target)}"

    def forms(self, credential: Credential, target: Mapping[str, object]) -> tuple[bytes, ...]:
        """The key of a one-time password as it stands within its `otpauth:` URI; every other secret is its own form."""
        del target
        if "totp" not in credential.slots:
            return ()
        try:
            query = parse_qs(urlsplit(credential["totp"].expose().decode()).query)
        except (UnicodeDecodeError, ValueError):
            return ()
        return tuple(value.encode() for value in query.get("secret", ()))

    def jump(self, target: Mapping[str, object]) -> str:
        """The jump host's name."""
        name = target.get("jump")
        return name if isinstance(name, str) else ""

    def through(self, connection: Connection, jump: Connection) -> Connection:
        """See `jump.through`."""
        return through(connection, jump)


def place(text: str) -> tuple[str, str, int]:
    """User, host and port of `user@host:port`. Raises `BrokerError("options")`."""
    return _host({"host": text}, {})


def account(target: Mapping[str, object]) -> str:
    """`user@host:port`, for people."""
    host = str(target["host"])
    return f"{target['user']}@{f'[{host}]' if ':' in host else host}:{target['port']}"


def _host(given: Mapping[str, object], before: Mapping[str, object]) -> tuple[str, str, int]:
    if "host" not in given:
        if not before:
            refuse("say where: user@host, or user@host:port")
        return str(before["user"]), str(before["host"]), int(str(before["port"]))
    written = given["host"]
    found = _HOST.fullmatch(written) if isinstance(written, str) else None
    if found is None or not _USER.fullmatch(found[1] or ""):
        refuse("a host is written user@host or user@host:port, IPv6 in brackets")
    port = int(found[4] or _PORT)
    if not 0 < port < 1 << 16:
        refuse("a port is 1 to 65535")
    host = str(addresses.parse(found[2])) if found[2] else found[3].lower()
    return found[1], host, port


def _pins(given: Mapping[str, object], kept: Mapping[str, object], host: str, *, behind: bool) -> tuple[str, ...]:
    pins = addresses.check_pins(_texts(given, kept, "addresses", 16))
    if pins:
        return pins
    if host == "localhost":
        return _LOCALHOST
    try:
        literal = str(ipaddress.ip_address(host))
    except ValueError:
        return ()
    return addresses.check_pins((literal,)) if behind or addresses.is_loopback(literal) else ()


def _keys(given: object) -> list[str]:
    if not isinstance(given, list | tuple) or not 0 < len(given) <= hostkeys.MAX_KEYS:
        refuse("pin the host key: one to 16 lines 'ssh-ed25519 AAAA…', as ssh-keyscan prints them behind the name")
    return sorted(
        {hostkeys.canonical(line) if isinstance(line, str) else refuse("a host key is text") for line in given}
    )


def _profiles(given: Mapping[str, object], kept: Mapping[str, object]) -> tuple[dict[str, object], bool]:
    """The person's profiles as they are kept, and whether the built-in ones count."""
    said = given.get("profiles", kept.get("profiles", {}))
    if not isinstance(said, Mapping):
        refuse("profiles are a mapping of names, at most 64")
    own = dict(said)
    readonly = own.pop("readonly", kept.get("readonly", True))
    if not isinstance(readonly, bool):
        refuse("readonly is true or false: it is the name of the built-in profiles")
    profiles.declared(own)
    return own, readonly


def _check(target: Mapping[str, object], scheme: str) -> None:
    """Refuse what does not go together."""
    if not all(isinstance(root, str) and remote.canonical(root) for root in _list(target, "roots")):
        refuse("a root is an absolute path without '.' and '..', and without a slash at its end")
    cwd = str(target["cwd"])
    if cwd and not remote.canonical(cwd):
        refuse("the working folder is an absolute path without '.' and '..'")
    for name in _list(target, "env"):
        if not _VARIABLE.fullmatch(name) or _LOADERS.fullmatch(name):
            refuse("a variable is named in capitals, and is none that chooses which program runs or what it loads")
    certificate = str(target["certificate"])
    if certificate and (scheme not in {"key", "key-passphrase"} or not _CERTIFICATE.fullmatch(certificate)):
        refuse("a certificate goes with a key, on one line as ssh-keygen writes it: TYPE-cert-v01@openssh.com AAAA…")
    principals = _list(target, "principals")
    if (principals or target["source_address"]) and scheme != "ca":
        refuse("principals and source_address are for one-command certificates: scheme ca")
    if not all(_USER.fullmatch(name) for name in principals):
        refuse("a principal is a user's name")
    for network in str(target["source_address"]).split(",") if target["source_address"] else ():
        try:
            ipaddress.ip_network(network)
        except ValueError:
            refuse("source_address is a list of networks with ',' between, as sshd(8) takes it")


def _list(target: Mapping[str, object], member: str) -> tuple[str, ...]:
    held = target[member]
    return tuple(held) if isinstance(held, list) else ()


def _text(given: Mapping[str, object], kept: Mapping[str, object], member: str) -> str:
    value = given.get(member, kept.get(member, ""))
    if not isinstance(value, str) or len(value) > MAX_CERTIFICATE or not (value.isprintable() or not value):
        refuse(f"{member} is one line of text")
    return value.strip()


def _texts(given: Mapping[str, object], kept: Mapping[str, object], member: str, most: int) -> tuple[str, ...]:
    value = given.get(member, kept.get(member, ()))
    if not isinstance(value, list | tuple) or len(value) > most or not all(isinstance(one, str) for one in value):
        refuse(f"{member} is a list of texts, at most {most}")
    return tuple(value)
