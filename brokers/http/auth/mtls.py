"""A client certificate and nothing more (RFC 8446 section 4.3.2): the handshake says who asks, the request does not.

With any other scheme, a certificate in the same slot is used beside what that one sends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokers.contract import BrokerError
from brokers.http.auth import document
from brokers.http.auth.plain import Plain

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from brokers.contract import Credential
    from brokers.message import Request, Response

CERTIFICATE, KEY = "client_certificate", "client_key"


class Mtls(Plain):
    """One secret: certificate (and what is between it and its CA) and key in PEM, or the key in slot `client_key`."""

    name = "mtls"
    slots: tuple[str, ...] = (CERTIFICATE,)
    spelling = "mtls"

    def flow(
        self, request: Request, credential: Credential, options: Mapping[str, str]
    ) -> Generator[Request, Response, None]:
        """Yield the request as it is, once there is a certificate for the handshake."""
        self.check(options)
        identity(credential)
        yield request

    def forms(self, credential: Credential, options: Mapping[str, str]) -> tuple[bytes, ...]:
        """None: neither travels; the lines of the key are looked for as those of any PEM."""
        del credential, options
        return ()


def identity(credential: Credential) -> str:
    """Certificate and key as one PEM text, for the handshake. Raises `BrokerError("credential")`."""
    parts = [
        document(credential[slot]) for slot in (CERTIFICATE, KEY) if slot in credential.slots or slot == CERTIFICATE
    ]
    text = "\n".join(parts)
    if "-----BEGIN CERTIFICATE-----" not in text or "PRIVATE KEY-----" not in text:
        raise BrokerError("credential", why="a client certificate is PEM text, with its key in it or in client_key")
    if "ENCRYPTED" in text:  # OpenSSL would ask for the passphrase on somebody's terminal
        raise BrokerError("credential", why="the client's key is encrypted: store it without a passphrase")
    return text
