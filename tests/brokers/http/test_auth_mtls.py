"""Client certificates: used in the handshake of their own lane, never on disk, and beside any other scheme."""

from __future__ import annotations

import asyncio
import os
import pathlib
import ssl
import threading
from typing import TYPE_CHECKING, ClassVar, Self

import pytest
import trustme
from http_world import calls, connection, opened, refused
from rsa_keys import pem, private_key
from upstream import NAME, Upstream

from brokers.conformance import AuthSchemeSuite, claim
from brokers.contract import AuthScheme, BrokerError, Connection, Credential, Secret
from brokers.http import identity as identity_module
from brokers.http.auth.mtls import CERTIFICATE, KEY, Mtls, identity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from brokers.http.broker import HttpBroker

CLIENTS = trustme.CA()


def issued(name: str, ca: trustme.CA = CLIENTS) -> tuple[bytes, bytes]:
    """A client's certificate and its key, PEM."""
    made = ca.issue_cert(f"{name}@clients.test")
    return made.cert_chain_pems[0].bytes(), made.private_key_pem.bytes()


ADA, BOB = issued("ada"), issued("bob")


class TestMtls(AuthSchemeSuite):
    """A client certificate keeps the suite; it travels in the handshake and not in the request."""

    scheme: AuthScheme = Mtls()
    secrets: ClassVar[Mapping[str, bytes]] = {CERTIFICATE: b"".join(ADA)}

    def test_the_credential_travels(self) -> None:
        """Another certificate is another identity for the handshake."""
        other = Credential({CERTIFICATE: Secret("c", b"".join(BOB))})
        claim(identity(self.credential()) != identity(other), "the certificate is used")


class Server:
    """An HTTPS server that demands a client's certificate, and answers with whose it is and which connection it was."""

    def __init__(self, server_ca: trustme.CA) -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        server_ca.issue_cert(NAME).configure_cert(context)
        CLIENTS.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
        self._context = context
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.port = 0
        self.accepted = 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        number = self.accepted
        certificate = writer.get_extra_info("ssl_object").getpeercert()
        [(_, who)] = certificate["subjectAltName"]
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                authorization = b"authorization: Bearer" in head
                body = f"{who} {number} {authorization}".encode()
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def __enter__(self) -> Self:
        self._thread.start()
        made = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context), self._loop
        )
        self._server = made.result(10)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _stop(self) -> None:
        self._server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


def conn_to(server: Server, ca: trustme.CA, auth: str = "mtls", *slots: str) -> Connection:
    """A connection to `server`."""
    text = ca.cert_pem.bytes().decode()
    return connection(f"https://{NAME}:{server.port}", ca=text, auth=auth, slots=slots or [CERTIFICATE])


async def said(through: HttpBroker, conn: Connection, **slots: bytes) -> str:
    """The body of the answer to one call."""
    lent = Credential({slot: Secret(slot, value) for slot, value in slots.items()})
    outcome = await through.perform(through.plan(conn, {"path": "/"}), lent)
    try:
        return b"".join([chunk async for chunk in outcome.body]).decode()
    finally:
        await outcome.aclose()


def test_a_client_is_known_by_its_certificate() -> None:
    """The server that demands one gets it, from one value or from two slots, and the stream is used again."""
    ca = trustme.CA()
    with Server(ca) as server:

        async def act() -> None:
            async with opened() as through:
                conn = conn_to(server, ca)
                assert await said(through, conn, client_certificate=b"".join(ADA)) == "ada@clients.test 1 False"
                assert await said(through, conn, client_certificate=b"".join(ADA)) == "ada@clients.test 1 False"
                apart = conn_to(server, ca, "mtls", CERTIFICATE, KEY)
                assert (
                    await said(through, apart, client_certificate=BOB[0], client_key=BOB[1])
                    == "bob@clients.test 2 False"
                )

        asyncio.run(act())


def test_another_certificate_is_another_lane() -> None:
    """A stream that was opened as Ada never carries Bob's call, though all else is equal; nor does one without."""
    ca = trustme.CA()
    with Server(ca) as server:

        async def act() -> None:
            async with opened() as through:
                conn = conn_to(server, ca)
                who = [await said(through, conn, client_certificate=b"".join(each)) for each in (ADA, BOB, ADA, BOB)]
                assert [text.partition("@")[0] for text in who] == ["ada", "bob", "ada", "bob"]
                with pytest.raises(BrokerError) as caught:
                    await said(through, conn_to(server, ca, "bearer", "secret"), secret=b"tok-0123456789")
                assert caught.value.code in {"broken", "tls"}

        asyncio.run(act())


def test_a_certificate_stands_beside_any_scheme() -> None:
    """A bearer token in the request, a certificate in the handshake: one connection with two slots."""
    ca = trustme.CA()
    with Server(ca) as server:

        async def act() -> None:
            async with opened() as through:
                conn = conn_to(server, ca, "bearer", "secret", CERTIFICATE)
                body = await said(through, conn, secret=b"tok-0123456789", client_certificate=b"".join(ADA))
                assert body == "ada@clients.test 1 True"

        asyncio.run(act())


def test_a_certificate_of_another_authority_is_not_let_in() -> None:
    """The server of these tests does check."""
    ca = trustme.CA()
    with Server(ca) as server:

        async def act() -> None:
            async with opened() as through:
                with pytest.raises(BrokerError) as caught:
                    await said(through, conn_to(server, ca), client_certificate=b"".join(issued("eve", trustme.CA())))
                assert caught.value.code in {"broken", "tls"}

        asyncio.run(act())


def test_the_server_is_verified_all_the_same() -> None:
    """A client's certificate changes nothing of whom we trust: another authority's server learns nothing."""
    with Server(trustme.CA()) as server:
        conn = conn_to(server, trustme.CA())

        async def act() -> None:
            async with opened() as through:
                with pytest.raises(BrokerError) as caught:
                    await said(through, conn, client_certificate=b"".join(ADA))
                assert (caught.value.code, caught.value.fields) == ("tls", {"why": "unknown CA"})

        asyncio.run(act())


def test_a_system_without_memory_files_is_no_driver_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection cannot be used there, and no package would help."""
    monkeypatch.delattr(identity_module.os, "memfd_create")  # type: ignore[attr-defined]  # the module that it uses
    with pytest.raises(BrokerError) as caught:
        identity_module._context("", b"".join(ADA))
    assert (caught.value.code, "Linux" in str(caught.value.fields["why"])) == ("options", True)


def test_the_key_has_no_name_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenSSL reads the key from a memory file; it is wiped and closed, whether or not the key could be used."""
    loaded: list[str] = []
    wiped: list[bytes] = []
    real, close = ssl.SSLContext.load_cert_chain, os.close

    def load(self: ssl.SSLContext, certfile: str, *rest: object, **more: object) -> None:
        loaded.append(str(pathlib.Path(certfile).readlink()))
        real(self, certfile, *rest, **more)  # type: ignore[arg-type]  # handed on as they came

    def closing(held: int) -> None:
        wiped.append(os.pread(held, 1 << 20, 0))
        close(held)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", load)
    monkeypatch.setattr(identity_module.os, "close", closing)  # type: ignore[attr-defined]  # the module that it uses
    identity_module._context("", b"".join(ADA))
    refused(lambda: identity_module._context("", ADA[0] + BOB[1]), "credential")
    assert [name.startswith("/memfd:") for name in loaded] == [True, True]
    assert [set(left) for left in wiped] == [{0}, {0}]


@pytest.mark.parametrize(
    "value",
    [
        ADA[0],
        ADA[1],
        ADA[0] + BOB[1],
        ADA[0] + pem(private_key(), b"passphrase"),
        ADA[0] + b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" + ADA[1],
    ],
    ids=["no key", "no certificate", "another's key", "encrypted", "damaged key", "damaged certificate"],
)
def test_what_is_no_identity_is_refused(value: bytes) -> None:
    """Half of one, somebody else's, a locked or damaged one: said before anything is dialled, nobody asked to type."""

    async def act() -> None:
        async with opened() as through:
            await said(
                through, connection("https://api.test:1", auth="mtls", slots=[CERTIFICATE]), client_certificate=value
            )

    refused(lambda: asyncio.run(act()), "credential")


def test_plain_http_has_no_handshake() -> None:
    """A certificate that could not be shown is an error, not a call without it."""
    with Upstream(lax=True, tls=False, names=("127.0.0.1",)) as up:
        conn = connection(up.origin, auth="mtls", slots=[CERTIFICATE])
        refused(lambda: calls(conn, "/v1/x", key=b"".join(ADA)), "options")
        assert up.requests == []
