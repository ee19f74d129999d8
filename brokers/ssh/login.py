"""From a socket to an authenticated connection: the host key first, then the credential, in one way only.

Rules of this file
- Nothing is authenticated before the server has shown, and proved to have, one of the pinned keys. A different one is
  an alarm with both fingerprints.
- Only the way that the connection declares is tried: no agent, no file, no empty attempt, no second way. A server that
  is satisfied in part has refused.
- Questions are answered where they look like what they should be, once each. The words of a question are the server's,
  and go nowhere.
- Every failure of the driver leaves as `BrokerError` in our words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from paramiko import AuthenticationException, BadAuthenticationType
from paramiko.ssh_exception import IncompatiblePeer

from brokers.contract import BrokerError
from brokers.ssh import certificate, credentials, hostkeys
from brokers.ssh.driver import DRIVER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from brokers.contract import Credential
    from brokers.ssh.driver import Client

MAX_ROUNDS = 4  # of questions: PAM asks for one thing a round, and sends an empty round at the end
_CODE = re.compile(r"\b(?:verification|one[- ]?time|otp|totp|token|passcode|authenticator|2fa|code)\b", re.IGNORECASE)
_PASSWORD = re.compile(r"password\b|passwort\b|mot de passe|contraseña", re.IGNORECASE)
_MAX_PROMPT = 200  # characters: a question, not a letter


@dataclass(frozen=True, slots=True)
class Leg:
    """One server on the way, and how to log in to it. `command` and `digest` are for a one-command certificate."""

    target: Mapping[str, object]
    scheme: str
    credential: Credential = field(repr=False)
    command: str = ""
    digest: str = ""

    @property
    def pinned(self) -> tuple[str, ...]:
        """The host keys, canonical."""
        return tuple(cast("Sequence[str]", self.target["host_keys"]))


def login(client: Client, leg: Leg, now: float) -> None:
    """Shake hands, check the host key, authenticate. Blocks. Raises `BrokerError`."""
    try:
        client.start_client()
        shown = client.get_remote_server_key().asbytes()
    except DRIVER as error:
        raise _handshake_failure(client, leg, error) from None
    check_host_key(shown, leg.pinned)
    try:
        _authenticate(client, leg, now)
    except BrokerError as error:
        # An answer's refusal comes by way of the driver's thread, and with a trace of it.
        raise BrokerError(error.code, **error.fields) from None
    except BadAuthenticationType:
        raise BrokerError("login", why="the server does not offer the connection's way to log in") from None
    except AuthenticationException:
        raise BrokerError("login", why="the server refuses the credential") from None
    except DRIVER:
        raise BrokerError("broken") from None
    if not client.is_authenticated():
        raise BrokerError("login", why="the server wants more than the connection declares")


def check_host_key(shown: bytes, pinned: Sequence[str]) -> None:
    """Raise the alarm unless `shown` is one of `pinned`."""
    if shown in {hostkeys.blob_of(key) for key in pinned}:
        return
    raise BrokerError("host-key", pinned=_fingerprints(pinned), found=hostkeys.fingerprint(shown))


def _fingerprints(pinned: Sequence[str]) -> str:
    return ", ".join(hostkeys.fingerprint(hostkeys.blob_of(key)) for key in pinned)


def _handshake_failure(client: Client, leg: Leg, error: BaseException) -> BrokerError:
    if not isinstance(error, IncompatiblePeer):
        return BrokerError("broken")
    # It was agreed how to exchange keys and not on a host key: the server has none of a pinned type.
    if client.kex_engine is not None and client.host_key_type is None:
        return BrokerError("host-key", pinned=_fingerprints(leg.pinned), found="keys of other types only")
    return BrokerError("refused", why="it speaks no algorithm that is held to be safe")


def _authenticate(client: Client, leg: Leg, now: float) -> None:
    user = str(leg.target["user"])
    if leg.scheme == "password":
        client.auth_password(user, credentials.password(leg.credential), fallback=False)
    elif leg.scheme == "password-totp":
        client.auth_interactive(user, Answers(credentials.password(leg.credential), leg.credential, now))
    elif leg.scheme == "ca":
        authority = credentials.private(leg.credential)
        key, made = certificate.mint(authority, leg.command, leg.target, leg.digest, now)
        client.auth_publickey(user, credentials.signer(key, made))
    else:
        key_pair = credentials.private(leg.credential)
        client.auth_publickey(user, credentials.signer(key_pair, str(leg.target.get("certificate") or "")))


class Answers:
    """What is said to a server that asks (RFC 4256): the password and the code, each once, and nothing else."""

    def __init__(self, password: str, credential: Credential, now: float) -> None:
        self._password = password
        self._credential = credential
        self._now = now
        self._said: set[str] = set()
        self._rounds = 0

    def __call__(self, title: str, instructions: str, prompts: Sequence[tuple[str, bool]]) -> list[str]:
        """The answers to one round of questions. Raises `BrokerError("login")`."""
        del title, instructions
        self._rounds += 1
        if self._rounds > MAX_ROUNDS:
            raise BrokerError("login", why="the server does not stop asking")
        return [self._answer(prompt, echo=echo) for prompt, echo in prompts]

    def _answer(self, prompt: str, *, echo: bool) -> str:
        kind = wanted(prompt)
        if kind is None or kind in self._said:
            raise BrokerError("login", why="the server asks for something other than password and code, or twice")
        if kind == "password" and echo:
            raise BrokerError("login", why="the server asks for the password in the open")
        self._said.add(kind)
        return credentials.code(self._credential, self._now) if kind == "code" else self._password


def wanted(prompt: str) -> str | None:
    """What a question asks for: "password", "code", or None where it is neither, or looks like both."""
    if len(prompt) > _MAX_PROMPT:
        return None
    found = [kind for kind, looks in (("code", _CODE), ("password", _PASSWORD)) if looks.search(prompt)]
    # "One-time password" is a code; "password and code" is a question that nobody should answer.
    if found == ["code", "password"] and re.search(r"one[- ]?time password", prompt, re.IGNORECASE):
        return "code"
    return found[0] if len(found) == 1 else None
