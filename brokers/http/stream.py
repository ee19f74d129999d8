"""One connection to one checked address, with TLS verified against the name. No HTTP here.

Rules of this file
- `dial` takes an address, never a name to look up: whoever holds a `Stream` knows what was dialled.
- TLS always verifies: against the declared CA and nothing else, or against the system's roots. The environment
  is not asked (`SSL_CERT_FILE`, `SSLKEYLOGFILE`): who may set a variable must not choose whom a secret is sent to.
- Every failure of the socket, TLS or the resolver leaves as `BrokerError`, from `failure` and nowhere else.
- A deadline is a timer that cuts the connection: no way of waiting, reading or writing outlives it.
"""

from __future__ import annotations

import asyncio
import ssl
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

from brokers.contract import BrokerError

if TYPE_CHECKING:
    from brokers.http.target import Origin

MAX_UNREAD = 256 << 10  # bytes received ahead of the reader, then the peer has to wait
_BUNDLES = (  # where systems keep their roots, should OpenSSL's built-in place be empty
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)
# X509_V_ERR_* of OpenSSL's x509_vfy.h, as a person would say them
_TLS_REASONS = {
    9: "not valid yet",
    10: "expired",
    18: "self-signed",
    19: "unknown CA",
    20: "unknown CA",
    21: "unknown CA",
    23: "revoked",
    62: "another name",
    64: "another address",
}


def failure(error: BaseException, seconds: float = 0) -> BrokerError:
    """`error` of socket, TLS or clock as one of the closed list. Its text, which may quote the peer, is dropped."""
    if isinstance(error, BrokerError):
        return error
    if isinstance(error, TimeoutError):
        return BrokerError("timeout", seconds=max(1, round(seconds)))
    if isinstance(error, ssl.SSLCertVerificationError):
        return BrokerError("tls", why=_TLS_REASONS.get(error.verify_code, "not trusted"))
    if isinstance(error, ssl.SSLError):
        return BrokerError("tls", why="the handshake failed")
    return BrokerError("connect")


@lru_cache(maxsize=64)  # as many as the transport keeps lanes; the system's roots take 20 ms to load
def tls_context(ca: str) -> ssl.SSLContext:
    """The context that connections without a client certificate share: see `new_context`."""
    return new_context(ca)


def new_context(ca: str) -> ssl.SSLContext:
    """A client context that trusts `ca` (PEM text) alone, or the system's roots where it is empty.

    Contexts hold no session of a server's: Python resumes one only when it is handed over explicitly.
    Raises `BrokerError("options")` for a CA that OpenSSL cannot read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies, checks names; reads no SSLKEYLOGFILE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        if ca:
            context.load_verify_locations(cadata=ca)
        else:
            _load_system_roots(context)
    except (ssl.SSLError, ValueError, OSError):
        raise BrokerError("options", why="the CA cannot be read") from None
    return context


def _load_system_roots(context: ssl.SSLContext) -> None:
    places = ssl.get_default_verify_paths()  # `openssl_*` are compiled in; the other two follow the environment
    if Path(places.openssl_capath).is_dir():
        context.load_verify_locations(capath=places.openssl_capath)
    for bundle in (places.openssl_cafile, *_BUNDLES):
        if Path(bundle).is_file():
            context.load_verify_locations(cafile=bundle)
            return


class Stream(asyncio.Protocol):
    """Bytes to and from one peer. `address` is what was dialled; `born` is the loop's time of that."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.born = asyncio.get_running_loop().time()
        self.idle_since = self.born
        self._transport: asyncio.Transport | None = None
        self._unread = bytearray()
        self._ended = False
        self._expired = False
        self._waiter: asyncio.Future[None] | None = None
        self._deadline: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio once the handshake is done (and TCP_NODELAY set, as asyncio does by itself)."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Called by asyncio."""
        self._unread += data
        if len(self._unread) > MAX_UNREAD and self._transport is not None:
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """Called by asyncio: half-closed is closed, HTTP has no use for the other half."""
        self._ended = True
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        """Called by asyncio."""
        del error
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def write(self, data: bytes) -> None:
        """Hand over `data`; it is sent while the answer is being read, so that early answers are not deadlocks."""
        if self._transport is not None:
            self._transport.write(data)

    async def read(self, limit: int) -> bytes:
        """1 to `limit` bytes, or b"" at the end. Raises `TimeoutError` once the deadline has cut the connection."""
        while not self._unread and not self._ended:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if self._expired:
            raise TimeoutError
        data = bytes(self._unread[:limit])
        del self._unread[:limit]
        if len(self._unread) <= MAX_UNREAD and self._transport is not None and not self._ended:
            self._transport.resume_reading()
        return data

    def expire_at(self, when: float | None) -> None:
        """Cut the connection at the loop's time `when`; None takes the deadline back.

        A timer that rings too early looks when to ring again: deadlines move on with every call, and mostly outwards.
        """
        self._deadline = when
        if when is None or (self._timer is not None and self._timer.when() <= when):
            return
        self._set_timer(when)

    def _set_timer(self, when: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if when is None else asyncio.get_running_loop().call_at(when, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._deadline is not None and self._deadline > asyncio.get_running_loop().time():
            self._set_timer(self._deadline)
        elif self._deadline is not None:
            self._expired = True
            self.cut()
            self._wake()

    @property
    def quiet(self) -> bool:
        """Whether it can carry another request: open, all sent, and nothing received that nobody asked for.

        Bytes ahead of a request would be read as its answer, so a peer could answer the next call beforehand.
        """
        transport = self._transport
        return (
            transport is not None
            and not (self._ended or self._unread or transport.is_closing())
            and transport.get_write_buffer_size() == 0
        )

    def cut(self) -> None:
        """Close at once, without the peer's consent."""
        self._deadline = None
        self._set_timer(None)
        self._ended = True
        if self._transport is not None:
            self._transport.abort()


async def dial(origin: Origin, address: str, tls: ssl.SSLContext | None) -> Stream:
    """A stream to `address`, verified to be `origin.host`; without TLS only where the scheme is not https.

    The name goes into SNI and into the certificate check; the address is a literal, which asyncio dials as it is.
    Raises what sockets and TLS raise; `failure` knows them.
    """
    loop = asyncio.get_running_loop()
    secure = origin.scheme == "https"
    if secure != (tls is not None):
        raise TypeError("https is spoken over TLS, and nothing else is")
    _, stream = await loop.create_connection(
        lambda: Stream(address),
        address,
        origin.port,
        ssl=tls,
        server_hostname=origin.host if secure else None,
    )
    return stream
