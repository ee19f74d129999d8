"""Who is at the other end: certificates, names, addresses, and streams that are never shared."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trustme
from http_world import KEY, broker, call, calls, connection, lent, opened, refused, to
from upstream import NAME, Peer, Received, Upstream

from brokers.contract import BrokerError
from brokers.http import stream, transport

if TYPE_CHECKING:
    from brokers.http.target import Origin

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]


def answers(*turns: Sequence[str]) -> Resolver:
    """A resolver that answers with each of `turns` in its turn, and then the last for ever."""
    left = list(turns)

    async def resolve(host: str, port: int) -> Sequence[str]:
        del host, port
        return left.pop(0) if len(left) > 1 else left[0]

    return resolve


def dialled(monkeypatch: pytest.MonkeyPatch, reach: str = "127.0.0.1") -> list[str]:
    """Every address that is dialled from now on; the dial itself goes to `reach`, since tests own no public address."""
    seen: list[str] = []
    real = stream.dial

    async def dial(origin: Origin, address: str, tls: ssl.SSLContext | None) -> stream.Stream:
        seen.append(address)
        return await real(origin, reach, tls)

    monkeypatch.setattr(transport, "dial", dial)
    return seen


def test_a_certificate_for_another_name_is_refused() -> None:
    """The check is on the name, though an address is dialled: nothing is sent to a server that cannot prove it."""
    with Upstream(key=KEY, names=("other.test", "127.0.0.1")) as up:
        conn = connection(f"https://{NAME}:{up.port}", ca=up.ca_pem)
        refused(lambda: calls(conn, "/v1/x"), "tls", why="another name")
        assert up.requests == []


def test_an_address_as_host_is_checked_as_an_address() -> None:
    """An origin that is an address needs a certificate for that address."""
    with Upstream(key=KEY, names=("127.0.0.1",)) as up:
        assert calls(to(up), "/v1/x")[0].status == 200
    with Upstream(key=KEY, names=(NAME,)) as up:
        conn = connection(f"https://127.0.0.1:{up.port}", ca=up.ca_pem)
        refused(lambda: calls(conn, "/v1/x"), "tls", why="another address")


def test_another_authority_is_refused() -> None:
    """With a CA declared only that one counts; without one the system's, which do not know ours."""
    with Upstream(key=KEY) as up:
        other = trustme.CA().cert_pem.bytes().decode()
        refused(lambda: calls(connection(up.origin, ca=other), "/v1/x"), "tls", why="unknown CA")
        refused(lambda: calls(connection(up.origin), "/v1/x"), "tls")
        assert up.requests == []


def test_an_expired_certificate_is_refused() -> None:
    """Yesterday's certificate is not today's."""
    ca = trustme.CA()
    past = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    with Upstream(key=KEY, ca=ca, cert=ca.issue_cert(NAME, not_after=past)) as up:
        refused(lambda: calls(to(up), "/v1/x"), "tls", why="expired")


def test_a_self_signed_certificate_is_refused() -> None:
    """A certificate that vouches for itself vouches for nobody."""
    with Upstream(key=KEY) as up:
        error = refused(lambda: calls(connection(up.origin), "/v1/x"), "tls")
        assert error.fields["why"] in {"unknown CA", "self-signed"}


def test_a_server_without_tls_is_a_tls_error() -> None:
    """Plain bytes where TLS was declared are refused, with nothing sent in the clear."""
    got = b""

    async def run() -> None:
        async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal got
            got = await reader.read(4096)
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(plain, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, opened() as through:
            await call(through, connection(f"https://{NAME}:{port}"), timeout=5)

    refused(lambda: asyncio.run(run()), "tls", why="the handshake failed")
    assert KEY not in got


def test_old_tls_is_refused() -> None:
    """TLS 1.1 and before are not spoken."""
    assert stream.tls_context("").minimum_version is ssl.TLSVersion.TLSv1_2


def test_system_roots_do_not_follow_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """`SSL_CERT_FILE` does not add a root: whoever sets a variable does not choose whom a secret is sent to."""
    with Upstream(key=KEY) as up:
        stream.tls_context.cache_clear()
        with up.ca.cert_pem.tempfile() as path:
            monkeypatch.setenv("SSL_CERT_FILE", path)
            refused(lambda: calls(connection(up.origin), "/v1/x"), "tls")
        stream.tls_context.cache_clear()


def test_a_ca_that_is_none_is_an_error_of_the_declaration() -> None:
    """PEM that OpenSSL cannot read is said to be that."""
    bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    refused(lambda: calls(connection("https://api.test:1", ca=bad), "/v1/x"), "options")


def test_nobody_there_is_a_connect_error() -> None:
    """A refused connection is said to be one."""
    refused(lambda: calls(connection("https://api.test:1"), "/v1/x"), "connect")


def test_two_names_at_one_address_never_share_a_stream() -> None:
    """R-HOST: A and B live at one address behind one certificate; B's request never travels on A's connection."""
    with Upstream(lax=True, names=("a.test", "b.test")) as up:
        a = connection(f"https://a.test:{up.port}", ca=up.ca_pem, name="a")
        b = connection(f"https://b.test:{up.port}", ca=up.ca_pem, name="b")

        async def run() -> None:
            async with opened() as through:
                for conn in (a, b, a, b, a, b):
                    await call(through, conn)

        asyncio.run(run())
        by_connection: dict[int, set[tuple[str | None, str | None]]] = {}
        for seen in up.requests:
            by_connection.setdefault(seen.connection, set()).add((seen.sni, seen.header("host")))
        assert len(up.requests) == 6
        assert sorted(next(iter(names)) for names in by_connection.values()) == [
            ("a.test", f"a.test:{up.port}"),
            ("b.test", f"b.test:{up.port}"),
        ]


def test_two_connections_to_one_origin_never_share_a_stream() -> None:
    """Not even the same name: a stream belongs to one declared connection, with its CA and its pins."""
    with Upstream(lax=True) as up:

        async def run() -> None:
            async with opened() as through:
                for conn in (to(up, name="one"), to(up, name="two"), to(up, name="one", pins=("127.0.0.1", "::1"))):
                    await call(through, conn)
                await call(through, to(up, name="one"))

        asyncio.run(run())
        assert [seen.connection for seen in up.requests] == [1, 2, 3, 1]


def test_a_changed_ca_opens_no_old_stream() -> None:
    """After a person changed the CA, what was verified by the old one is not used again."""
    with Upstream(lax=True) as up:
        other = trustme.CA().cert_pem.bytes().decode()

        async def run() -> None:
            async with opened() as through:
                await call(through, to(up))
                with pytest.raises(BrokerError) as caught:
                    await call(through, connection(up.origin, ca=other))
                assert caught.value.code == "tls"

        asyncio.run(run())


def test_a_name_that_turns_private_is_not_dialled(monkeypatch: pytest.MonkeyPatch) -> None:
    """R-REBIND: the second answer is private. It is refused, and what is dialled is what was checked."""
    seen = dialled(monkeypatch)
    with Upstream(lax=True) as up:
        conn = to(up, pins=())

        async def run() -> None:
            async with opened(broker(answers(["1.1.1.1"], ["127.0.0.1"]))) as through:
                assert (await call(through, conn)).status == 200
                assert (await call(through, conn)).status == 200  # on the kept stream: nobody is asked
            with pytest.raises(BrokerError) as caught:
                await call(through, conn)
            assert (caught.value.code, caught.value.fields) == ("address", {"kind": "loopback"})

        asyncio.run(run())
    assert seen == ["1.1.1.1"]


def test_the_resolver_is_asked_once_for_a_dial(monkeypatch: pytest.MonkeyPatch) -> None:
    """R-REBIND within one call: an answer that changes between check and dial is never seen."""
    seen = dialled(monkeypatch)
    with Upstream(lax=True) as up:
        turns = answers(["1.1.1.1"], ["169.254.169.254"])
        calls(to(up, pins=()), "/v1/x", through=broker(turns))
    assert seen == ["1.1.1.1"]


def test_one_private_answer_among_many_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """R-SSRF: nothing is dialled where any answer is blocked."""
    seen = dialled(monkeypatch)
    conn = connection("https://api.test", pins=())
    for private in ("10.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "fd00:ec2::254"):
        through = broker(answers(["1.1.1.1", private, "8.8.8.8"]))
        refused(partial(calls, conn, "/v1/x", through=through), "address")
    assert seen == []


def test_a_declared_private_address_needs_a_pin(monkeypatch: pytest.MonkeyPatch) -> None:
    """An origin that is itself a private address is blocked until a person pins it."""
    seen = dialled(monkeypatch)
    refused(lambda: calls(connection("https://10.0.0.7", pins=()), "/"), "address", kind="private")
    assert seen == []


def test_the_next_address_is_tried_when_one_refuses() -> None:
    """A host with a dead first address is reached by its second."""
    with Upstream(key=KEY) as up:
        conn = to(up, pins=("127.0.0.2", "127.0.0.1"))
        assert calls(conn, "/v1/x")[0].status == 200


def test_a_bad_certificate_is_not_tried_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that answers with the wrong name ends the call: the next address is no second opinion."""
    seen = dialled(monkeypatch)
    with Upstream(key=KEY, names=("other.test",)) as up:
        conn = connection(f"https://{NAME}:{up.port}", ca=up.ca_pem, pins=("127.0.0.1", "127.0.0.2"))
        refused(lambda: calls(conn, "/v1/x"), "tls")
    assert seen == ["127.0.0.1"]


def test_answers_ahead_of_a_request_are_not_its_answers() -> None:
    """A server that sends a second answer with the first cannot forge the next call's."""
    with Upstream(key=KEY) as up:
        first, second = calls(to(up), "/ahead", "/v1/x")
        assert first.body == b"first!"
        assert second.body != b"forged"
        assert [seen.connection for seen in up.requests] == [1, 2]


def test_late_bytes_end_a_stream() -> None:
    """Bytes that arrive after an answer, before any request, end the stream too."""
    with Upstream(lax=True) as up:

        @up.route("/late")
        async def late(_request: Received, peer: Peer) -> None:
            await peer.reply(b"now")
            await asyncio.sleep(0.05)
            await peer.raw(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged")

        async def run() -> bytes:
            async with opened() as through:
                await call(through, to(up), "/late")
                await asyncio.sleep(0.2)
                return (await call(through, to(up))).body

        assert asyncio.run(run()) != b"forged"
        assert [seen.connection for seen in up.requests] == [1, 2]


@pytest.mark.parametrize(("method", "sent"), [("GET", 3), ("POST", 2)])
def test_only_safe_requests_are_repeated(method: str, sent: int) -> None:
    """A stream that closes as it is used again: a read is sent anew, a write fails and says so."""
    with Upstream(lax=True) as up:

        @up.route("/fickle")
        async def fickle(_request: Received, peer: Peer) -> None:
            if len(up.requests) == 2:
                peer.close()
            else:
                await peer.reply(b"{}")

        async def run() -> str:
            through = broker()
            await call(through, to(up), "/fickle", method=method)
            try:
                await call(through, to(up), "/fickle", method=method)
            except BrokerError as error:
                return error.code
            finally:
                await through.aclose()
            return "done"

        assert asyncio.run(run()) == ("done" if method == "GET" else "broken")
        assert len(up.requests) == sent


def test_writes_do_not_go_out_on_stale_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that idled longer than a server might wait is for reads only."""
    monkeypatch.setattr(transport, "KEEP_IDLE_WRITE", 0.05)
    with Upstream(lax=True) as up:

        async def run() -> None:
            async with opened() as through:
                await call(through, to(up))
                await asyncio.sleep(0.1)
                await call(through, to(up))
                await asyncio.sleep(0.1)
                await call(through, to(up), method="POST")

        asyncio.run(run())
        assert [seen.connection for seen in up.requests] == [1, 1, 2]


def test_idle_streams_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream nobody uses is gone after its time, without anybody asking."""
    monkeypatch.setattr(transport, "KEEP_IDLE", 0.05)
    with Upstream(lax=True) as up:

        async def run() -> None:
            async with opened() as through:
                conn = to(up)
                await call(through, conn)
                assert up.alive == 1
                await asyncio.sleep(0.3)
                assert up.alive == 0
                await call(through, conn)

        asyncio.run(run())
        assert [seen.connection for seen in up.requests] == [1, 2]


def test_old_streams_ask_the_resolver_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy stream does not outlive what its name resolves to."""
    monkeypatch.setattr(transport, "MAX_AGE", 0.0)
    seen = dialled(monkeypatch)
    with Upstream(lax=True) as up:

        async def run() -> None:
            async with opened(broker(answers(["1.1.1.1"], ["8.8.8.8"]))) as through:
                await call(through, to(up, pins=()))
                await asyncio.sleep(0.01)
                await call(through, to(up, pins=()))

        asyncio.run(run())
    assert seen == ["1.1.1.1", "8.8.8.8"]


def test_lanes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The least recently used idle connection gives way; no number of connections holds sockets for ever."""
    monkeypatch.setattr(transport, "MAX_LANES", 2)
    with Upstream(lax=True) as up:

        async def run() -> None:
            async with opened() as through:
                for name in ("one", "two", "three", "three", "two", "one"):
                    await call(through, to(up, name=name))

        asyncio.run(run())
        assert [seen.connection for seen in up.requests] == [1, 2, 3, 3, 2, 4]


def test_many_calls_at_once_use_few_streams() -> None:
    """64 calls at once are all answered, over no more streams than a connection may have."""
    with Upstream(key=KEY) as up:

        async def run() -> list[int]:
            async with opened() as through:
                plan = through.plan(to(up), {"path": "/v1/x"})

                async def one() -> int:
                    outcome = await through.perform(plan, lent())
                    async for _ in outcome.body:
                        pass
                    await outcome.aclose()
                    return int(str(outcome.head["status"]))

                return await asyncio.gather(*[one() for _ in range(64)])

        assert asyncio.run(run()) == [200] * 64
        assert up.connections <= transport.MAX_STREAMS
