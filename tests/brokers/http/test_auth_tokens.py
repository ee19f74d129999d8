"""Minted tokens through the broker, against a real token endpoint and a real API: how often is asked, who is told."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from http_world import broker, connection, no_dns, opened, refused, scheme
from rsa_keys import pem, private_key
from token_server import TokenServer
from upstream import Peer, Received, Upstream

from brokers.contract import BrokerError, Connection, Credential, Secret
from brokers.http import catalogue
from brokers.http.broker import HttpBroker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from brokers.contract import Outcome
    from brokers.personal import Prompt

SECRET = b"s3cr3t-0123456789"


@pytest.fixture
def up() -> Iterator[Upstream]:
    """One upstream for API and token endpoint."""
    with Upstream(lax=True) as served:
        yield served


@pytest.fixture
def server(up: Upstream) -> TokenServer:
    """Its OAuth world."""
    return TokenServer(up)


def options_for(up: Upstream, path: str = "/token", **more: str) -> dict[str, str]:
    """Client options that lead to `up`."""
    return {"token_url": f"{up.origin}{path}", "client": "app", "token_addresses": "127.0.0.1", **more}


def conn_to(up: Upstream, auth: str = "oauth2-client", slot: str = "client_secret", **options: str) -> Connection:
    """A connection to the API of `up`."""
    return connection(up.origin, ca=up.ca_pem, auth=auth, options=options_for(up, **options), slots=[slot])


def keys(**slots: bytes) -> Credential:
    """A credential of these slots."""
    return Credential({slot: Secret(slot, value) for slot, value in slots.items()})


LENT = keys(client_secret=SECRET)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


class Learnt:
    """A safe that remembers what it was told, in order."""

    def __init__(self) -> None:
        self.tokens: list[tuple[str, bytes]] = []
        self.replaced: list[tuple[str, str, bytes, bytes]] = []

    def learn(self, connection: str, secret: Secret, seconds: float) -> None:
        """See `Safe`."""
        assert seconds > 0
        self.tokens.append((connection, secret.expose()))

    def replace(self, connection: str, slot: str, before: Secret, after: Secret) -> None:
        """See `Safe`."""
        self.replaced.append((connection, slot, before.expose(), after.expose()))


def with_clock(clock: Clock, safe: Learnt | None = None) -> HttpBroker:
    """A broker that goes by `clock`."""
    return HttpBroker(scheme, catalogue.load, no_dns, clock, safe)


async def made(through: HttpBroker, conn: Connection, lent: Credential = LENT, **arguments: object) -> Outcome:
    """The outcome of one call, its body read to the end and put into the head."""
    outcome = await through.perform(through.plan(conn, {"path": "/v1/x", **arguments}), lent)
    try:
        outcome.head["body"] = b"".join([chunk async for chunk in outcome.body]).decode()
    finally:
        await outcome.aclose()
    return outcome


def run(act: Callable[[HttpBroker], Awaitable[None]], through: HttpBroker | None = None) -> None:
    """Run `act` with a broker that is closed in the end."""

    async def inside() -> None:
        async with opened(through) as used:
            await act(used)

    asyncio.run(inside())


def test_sixty_four_calls_at_once_make_one_token(up: Upstream, server: TokenServer) -> None:
    """However many wait, the endpoint is asked once; the token is told once, before it is sent."""
    server.open.clear()

    async def act(through: HttpBroker) -> None:
        calls = [asyncio.create_task(made(through, conn_to(up))) for _ in range(64)]
        await asyncio.to_thread(server.arrived.wait, 60)
        server.open.set()
        done = await asyncio.gather(*calls)
        assert Counter(one.head["status"] for one in done) == {200: 64}
        again = await made(through, conn_to(up))
        assert again.head["status"] == 200
        assert "at-1-Vq7ZkX2mB9tW4rL8c" in str(again.head["body"]), "the API echoes it: so it has to be a needle"

    safe = Learnt()
    run(act, with_clock(Clock(), safe))
    assert safe.tokens == [("echo", b"at-1-Vq7ZkX2mB9tW4rL8c")]
    assert len(server.asked) == 1
    assert server.asked[0] == {"grant_type": ["client_credentials"]}


def test_a_leader_that_goes_away_strands_nobody(up: Upstream, server: TokenServer) -> None:
    """The call that caused the request is cancelled; those behind it get the token, and it is asked for once."""
    server.open.clear()

    async def act(through: HttpBroker) -> None:
        leader = asyncio.create_task(made(through, conn_to(up)))
        await asyncio.to_thread(server.arrived.wait, 60)
        followers = [asyncio.create_task(made(through, conn_to(up))) for _ in range(3)]
        await asyncio.sleep(0)
        leader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leader
        server.open.set()
        assert [one.head["status"] for one in await asyncio.gather(*followers)] == [200] * 3

    run(act)
    assert len(server.asked) == 1


def test_a_follower_waits_no_longer_than_it_may(up: Upstream, server: TokenServer) -> None:
    """A call's own deadline counts while it waits for a token, and the others go on waiting."""
    server.open.clear()

    async def act(through: HttpBroker) -> None:
        patient = asyncio.create_task(made(through, conn_to(up)))
        with pytest.raises(BrokerError) as caught:
            await made(through, conn_to(up), timeout=0.2)
        assert caught.value.code == "timeout"
        server.open.set()
        assert (await patient).head["status"] == 200

    run(act)
    assert len(server.asked) == 1


def test_a_failure_is_told_to_all_who_wait_and_not_kept(up: Upstream, server: TokenServer) -> None:
    """Three calls share one refusal; the next call asks again."""
    server.open.clear()

    async def deny(peer: Peer, number: int) -> None:
        del number
        await peer.json({"error": "invalid_client", "error_description": SECRET.decode()}, status="401 Unauthorized")

    server.answer = deny

    async def act(through: HttpBroker) -> None:
        calls = [asyncio.create_task(made(through, conn_to(up))) for _ in range(3)]
        await asyncio.to_thread(server.arrived.wait, 60)
        server.open.set()
        done = await asyncio.gather(*calls, return_exceptions=True)
        assert [one.code for one in done if isinstance(one, BrokerError)] == ["login"] * 3
        assert not any(SECRET.decode() in f"{one!r}{getattr(one, 'fields', '')}" for one in done)
        server.answer = None
        assert (await made(through, conn_to(up))).head["status"] == 200

    run(act)
    assert len(server.asked) == 2


def test_a_token_is_kept_until_a_minute_before_its_end(up: Upstream, server: TokenServer) -> None:
    """An hour's token serves 59 minutes, then another is asked for."""
    clock = Clock()

    async def act(through: HttpBroker) -> None:
        for seconds, tokens in ((0, 1), (3539, 1), (1, 2), (3539, 2), (1, 3)):
            clock.now += seconds
            await made(through, conn_to(up))
            assert len(server.asked) == tokens

    run(act, with_clock(clock))


@pytest.mark.parametrize("seconds", [30, 0, -5, "never", float("nan"), 1e400])
def test_a_token_with_no_sensible_end_serves_its_call(up: Upstream, server: TokenServer, seconds: object) -> None:
    """Whatever the endpoint says of its token's life, the call works; a day is the longest that one is kept."""
    server.seconds = seconds
    clock = Clock()

    async def act(through: HttpBroker) -> None:
        assert (await made(through, conn_to(up))).head["status"] == 200
        clock.now += 86400
        assert (await made(through, conn_to(up))).head["status"] == 200

    run(act, with_clock(clock))
    assert len(server.asked) == 2


def test_a_kept_token_that_is_refused_is_replaced_once(up: Upstream, server: TokenServer) -> None:
    """401 with a token of some age: another is asked for, and what then comes is the answer, whatever it is."""
    clock = Clock()

    async def act(through: HttpBroker) -> None:
        await made(through, conn_to(up))
        server.valid.clear()
        assert (await made(through, conn_to(up))).head["status"] == 401, "another would be no better so soon"
        clock.now += 301
        one = await made(through, conn_to(up), method="POST", json={"a": 1})
        assert (one.head["status"], "at-2-Vq7ZkX2mB9tW4rL8c" in str(one.head["body"])) == (200, True)
        server.valid.clear()
        clock.now += 301
        server.up.route("/v1/x")(unauthorized)
        assert (await made(through, conn_to(up))).head["status"] == 401

    async def unauthorized(request: Received, peer: Peer) -> None:
        del request
        await peer.reply(b"no", status="401 Unauthorized")

    run(act, with_clock(clock))
    assert len(server.asked) == 3


def test_a_fresh_token_that_is_refused_is_the_answer(up: Upstream, server: TokenServer) -> None:
    """A 401 to a token just made is the service's word, and no reason to ask for another."""
    server.answer = forged

    async def act(through: HttpBroker) -> None:
        assert (await made(through, conn_to(up))).head["status"] == 401

    run(act)
    assert len(server.asked) == 1


async def forged(peer: Peer, number: int) -> None:
    """A token that the API does not know."""
    await peer.json({"access_token": f"xx-{number}-Vq7ZkX2mB9tW4rL8c"})


def test_another_credential_or_connection_never_meets_a_token(up: Upstream, server: TokenServer) -> None:
    """A token belongs to what it was made with: another secret, another scope, another name asks for itself."""

    async def act(through: HttpBroker) -> None:
        await made(through, conn_to(up))
        await made(through, conn_to(up), keys(client_secret=b"another-0123456"))
        await made(through, conn_to(up, scope="admin"))
        other = conn_to(up)
        await made(through, Connection("other", "http", other.target, other.scheme, other.options, other.secrets))
        await made(through, conn_to(up))

    run(act)
    assert len(server.asked) == 4


def test_a_closed_broker_has_forgotten(up: Upstream, server: TokenServer) -> None:
    """Closing ends a minting that is under way and drops every token."""
    server.open.clear()

    async def act() -> None:
        through = broker()
        waiting = asyncio.create_task(made(through, conn_to(up)))
        await asyncio.to_thread(server.arrived.wait, 60)
        await through.aclose()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        server.open.set()
        assert (await made(through, conn_to(up))).head["status"] == 200
        await through.aclose()
        assert (await made(through, conn_to(up))).head["status"] == 200
        await through.aclose()

    asyncio.run(act())
    assert len(server.asked) == 3


def test_replaced_refresh_tokens_are_told_and_used(up: Upstream, server: TokenServer) -> None:
    """Each refresh kills the old token. The new one is told at once, with what it replaces, and is used even before."""
    server.rotate = True
    clock, safe = Clock(), Learnt()
    conn = conn_to(up, "oauth2-refresh", "refresh_token")
    zero, one, two = (b"rt-%d-Vq7ZkX2mB9tW4rL8c" % number for number in range(3))

    async def act(through: HttpBroker) -> None:
        await made(through, conn, keys(refresh_token=zero))
        assert safe.replaced == [("echo", "refresh_token", zero, one)]
        # The vault could not store it: the old one is lent again, and nobody is asked again.
        await made(through, conn, keys(refresh_token=zero))
        await made(through, conn, keys(refresh_token=one))
        assert len(server.asked) == 1
        clock.now += 3600
        # Whichever is lent now, the newest is what the endpoint gets.
        last = await made(through, conn, keys(refresh_token=zero))
        assert (last.head["status"], server.asked[1]["refresh_token"]) == (200, [one.decode()])
        assert safe.replaced[1:] == [("echo", "refresh_token", one, two)]

    run(act, with_clock(clock, safe))


def test_what_was_got_is_told_though_the_call_fails(up: Upstream, server: TokenServer) -> None:
    """The endpoint has replaced the refresh token, and the API broke off: neither it nor the token is lost."""
    server.rotate = True
    conn, safe = conn_to(up, "oauth2-refresh", "refresh_token"), Learnt()

    async def act(through: HttpBroker) -> None:
        with pytest.raises(BrokerError):
            await made(through, conn, keys(refresh_token=b"rt-0-Vq7ZkX2mB9tW4rL8c"), path="/drop")
        assert safe.replaced[0][3] == b"rt-1-Vq7ZkX2mB9tW4rL8c"
        assert safe.tokens == [("echo", b"at-1-Vq7ZkX2mB9tW4rL8c")]

    run(act, with_clock(Clock(), safe))


def test_a_dead_refresh_token_is_said_in_our_words(up: Upstream, server: TokenServer) -> None:
    """`invalid_grant` is an error about the grant."""
    server.refresh = "rt-other-0123456"
    conn = conn_to(up, "oauth2-refresh", "refresh_token")

    async def act(through: HttpBroker) -> None:
        with pytest.raises(BrokerError) as caught:
            await made(through, conn, keys(refresh_token=b"rt-0-Vq7ZkX2mB9tW4rL8c"))
        assert "used up, revoked" in str(caught.value.fields["why"])

    run(act)


async def redirecting(peer: Peer, number: int) -> None:
    """302 to the metadata service."""
    del number
    await peer.reply(b"{}", status="302 Found", headers=(("location", "http://169.254.169.254/token"),))


async def flooding(peer: Peer, number: int) -> None:
    """10 MB of JSON."""
    del number
    await peer.reply(b'{"access_token":"tok-0123456789","x":"' + b"x" * (10 << 20) + b'"}')


async def garbled(peer: Peer, number: int) -> None:
    """Half an answer, quoting the secret."""
    del number
    await peer.reply(b'{"access_token":"' + SECRET)


async def breaking(peer: Peer, number: int) -> None:
    """A token that would be two headers."""
    del number
    await peer.json({"access_token": "tok-0123456789\r\nx-admin: 1"})


async def compressed(peer: Peer, number: int) -> None:
    """A coding that is not undone."""
    del number
    await peer.reply(b"\x0b\x02\x80", headers=(("content-encoding", "br"),))


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (redirecting, "refused"),
        (flooding, "too-large"),
        (garbled, "refused"),
        (breaking, "login"),
        (compressed, "encoding"),
    ],
)
def test_a_hostile_endpoint_ends_the_call(
    up: Upstream, server: TokenServer, answer: Callable[[Peer, int], object], code: str
) -> None:
    """Nothing is followed, swallowed or quoted, the API is never asked, and the next call works."""
    server.answer = answer

    async def act(through: HttpBroker) -> None:
        with pytest.raises(BrokerError) as caught:
            await made(through, conn_to(up))
        assert caught.value.code == code
        assert SECRET.decode() not in f"{caught.value!r}{caught.value.fields}"
        assert [seen.path for seen in up.requests] == ["/token"]
        server.answer = None
        assert (await made(through, conn_to(up))).head["status"] == 200

    run(act)


def test_the_secret_goes_to_the_endpoint_and_the_token_to_the_api(up: Upstream) -> None:
    """Two origins: neither sees what is the other's, and each is held to its own pins and names."""
    with Upstream(lax=True, ca=up.ca, names=("auth.test",)) as auth:
        server = TokenServer(auth)
        TokenServer(up).valid = server.valid
        conn = connection(
            up.origin, ca=up.ca_pem, auth="oauth2-client", options=options_for(auth), slots=["client_secret"]
        )

        async def act(through: HttpBroker) -> None:
            assert (await made(through, conn)).head["status"] == 200

        run(act)
        [token], [call] = auth.requests, up.requests
        assert (token.sni, call.sni) == ("auth.test", "api.test")
        assert token.header("host") == f"auth.test:{auth.port}"
        assert SECRET.decode() not in str(call)
        assert "at-1" not in str(token)


def test_an_endpoint_with_another_name_gets_nothing(up: Upstream, server: TokenServer) -> None:
    """A certificate for another name ends it before the secret is sent; an unpinned name is looked up and checked."""
    conn = connection(
        up.origin,
        ca=up.ca_pem,
        auth="oauth2-client",
        options={**options_for(up), "token_url": f"https://evil.test:{up.port}/token"},
        slots=["client_secret"],
    )

    async def metadata(host: str, port: int) -> list[str]:
        del host, port
        return ["169.254.169.254"]

    async def act(through: HttpBroker) -> None:
        with pytest.raises(BrokerError) as caught:
            await made(through, conn)
        assert caught.value.code == "tls"

    async def unpinned(through: HttpBroker) -> None:
        options = {name: value for name, value in options_for(up).items() if name != "token_addresses"}
        free = connection(up.origin, ca=up.ca_pem, auth="oauth2-client", options=options, slots=["client_secret"])
        with pytest.raises(BrokerError) as caught:
            await made(through, free)
        assert caught.value.code == "address"

    run(act)
    run(unpinned, HttpBroker(scheme, catalogue.load, metadata))
    assert server.asked == []


def test_plain_http_for_tokens_has_to_be_allowed_for_the_connection() -> None:
    """An option alone does not send a secret in the clear."""
    options = {"token_url": "http://127.0.0.1:1/token", "token_addresses": "127.0.0.1", "client": "app"}
    conn = connection(auth="oauth2-client", options=options, slots=["client_secret"])
    refused(lambda: broker().plan(conn, {"path": "/"}), "options")


def test_an_agent_sends_no_authorization_of_its_own(up: Upstream) -> None:
    """Before any approval, and before any token is made."""
    refused(lambda: broker().plan(conn_to(up), {"headers": {"authorization": "Bearer mine"}}), "argument")


def test_github_apps_ask_where_they_call(up: Upstream) -> None:
    """The assertion goes to the connection's own origin beneath its base path, and the token with the call."""
    valid: set[str] = set()

    @up.route("/api/v3/app/installations/678/access_tokens")
    async def tokens(request: Received, peer: Peer) -> None:
        assert (request.header("content-length"), request.method) == ("0", "POST")
        valid.add("ghs_0123456789abcdef")
        await peer.json({"token": "ghs_0123456789abcdef", "expires_at": "2027-01-15T09:00:00Z"}, status="201 Created")

    @up.route("/api/v3/v1/x")
    async def api(request: Received, peer: Peer) -> None:
        known = (request.header("authorization") or "").removeprefix("Bearer ") in valid
        await peer.json({}, status="200 OK" if known else "401 Unauthorized")

    options = {"app": "12345", "installation": "678"}
    conn = connection(
        up.origin, ca=up.ca_pem, auth="github-app", options=options, slots=["private_key"], base_path="/api/v3"
    )

    async def act(through: HttpBroker) -> None:
        lent = keys(private_key=pem(private_key()))
        for _ in range(3):
            assert (await made(through, conn, lent)).head["status"] == 200

    run(act, with_clock(Clock()))
    assert Counter(seen.path for seen in up.requests) == {
        "/api/v3/app/installations/678/access_tokens": 1,
        "/api/v3/v1/x": 3,
    }


def offered(up: Upstream, polls: list[Mapping[str, object]]) -> None:
    """Add a device endpoint to `up`, and a token endpoint that answers with each of `polls` in its turn."""

    @up.route("/device")
    async def device(request: Received, peer: Peer) -> None:
        del request
        offer = {"device_code": "dc-0123456789", "user_code": "WDJB-MJHT", "verification_uri": "https://auth.test/a"}
        await peer.json({**offer, "expires_in": 900, "interval": 1})

    @up.route("/token")
    async def token(request: Received, peer: Peer) -> None:
        del request
        said = polls.pop(0)
        await peer.json(said, status="400 Bad Request" if "error" in said else "200 OK")


def test_a_person_logs_in_and_the_connection_works(up: Upstream) -> None:
    """The code is shown once; what the login made is then lent, and makes tokens."""
    granted = {"access_token": "at-0-Vq7ZkX2mB9tW4rL8c", "refresh_token": "rt-0-Vq7ZkX2mB9tW4rL8c"}
    offered(up, [{"error": "authorization_pending"}, granted])
    conn = conn_to(up, "device", "login", device_path="/device")
    shown: list[Prompt] = []
    waited: list[float] = []

    async def show(prompt: Prompt) -> None:
        shown.append(prompt)

    async def pause(seconds: float) -> None:
        waited.append(seconds)

    async def act(through: HttpBroker) -> None:
        new = await through.login(conn, keys(), show, pause)
        server = TokenServer(up)
        assert (await made(through, conn, Credential(new))).head["status"] == 200
        assert server.asked[0]["refresh_token"] == ["rt-0-Vq7ZkX2mB9tW4rL8c"]
        with pytest.raises(BrokerError) as caught:
            await through.login(conn_to(up), LENT, show)
        assert caught.value.code == "options"

    run(act)
    assert [prompt.code for prompt in shown] == ["WDJB-MJHT"]
    assert waited == [1.0, 1.0]
