"""Tokens that an auth flow mints, through kv: no answer shows one, and a refresh token that rotates is stored."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from token_server import TokenServer
from upstream import Peer, Received, Upstream

if TYPE_CHECKING:
    from world import World

CLIENT_SECRET = b"cs-51Hq7Zk9vXwTt0aB-0123456789"
ANOTHER = b"sk_51Hq7Zk9vXwTt0aB0123456789zzz"


def oauth(up: Upstream, grant: str) -> str:
    """`--auth` for a grant whose token endpoint is beside the API."""
    return f"{grant}:{up.origin}/token,client=app,token_addresses=127.0.0.1"


def test_a_minted_token_that_is_echoed_is_taken_out(world: World) -> None:
    """In the very first answer, whose token was made for that call."""
    with Upstream(lax=True) as up:
        server = TokenServer(up)
        world.connect(
            "api", CLIENT_SECRET, up.port, up.ca_pem, "--auth", oauth(up, "oauth2-client"), "--admission", "always"
        )
        ran = world.must("api", "api", "GET", "/v1/x")
        assert server.valid
        assert not [token for token in server.valid if token in ran.all]
        assert "{{kv:api:token}}" in ran.out
        assert world.must("api", "api", "GET", "/v1/x").status == 0
        assert len(server.asked) == 1


def test_a_rotated_refresh_token_is_stored_and_used(world: World) -> None:
    """The old one is good for nothing any more: after a lock the new one works."""
    with Upstream(lax=True) as up:
        server = TokenServer(up, rotate=True)
        first = server.refresh.encode()
        world.connect("api", first, up.port, up.ca_pem, "--auth", oauth(up, "oauth2-refresh"), "--admission", "always")
        world.must("api", "api", "GET", "/v1/x")
        assert server.refresh.encode() != first
        world.must("lock")
        world.must("unlock", proof=True)
        world.must("api", "api", "GET", "/v1/x")
        assert server.asked[0]["refresh_token"] == [first.decode()]
        assert len(server.asked) == 2
        assert "was replaced by the other side" in world.must("audit", "list", "--all", proof=True).out
        assert server.refresh not in "".join(world.seen)


def test_a_token_of_a_call_that_fails_is_looked_for(world: World) -> None:
    """An agent's own time-out does not keep it from being a needle: another service's log shows it taken out."""
    log: list[str | None] = []
    with Upstream(lax=True) as up, Upstream(lax=True) as logs:

        @up.route("/v1/slow")
        async def slow(request: Received, peer: Peer) -> None:
            del peer
            log.append(request.header("authorization"))
            await asyncio.sleep(20)

        @logs.route("/log")
        async def told(_: Received, peer: Peer) -> None:
            await peer.json({"lines": log})

        server = TokenServer(up)
        world.connect(
            "api", CLIENT_SECRET, up.port, up.ca_pem, "--auth", oauth(up, "oauth2-client"), "--admission", "always"
        )
        world.connect("logs", ANOTHER, logs.port, logs.ca_pem, "--auth", "bearer", "--admission", "always")
        assert world.kv("api", "api", "GET", "/v1/slow", "--timeout", "1").status != 0
        assert log
        shown = world.must("api", "logs", "GET", "/log").out
        assert "{{kv:api:token}}" in shown
        assert not [token for token in server.valid if token in shown]


def test_every_token_that_lasts_is_looked_for(world: World) -> None:
    """However many an agent has made, by answers that say 401: the first is still found in a log."""
    with Upstream(lax=True) as up, Upstream(lax=True) as logs:

        @logs.route("/log")
        async def told(_: Received, peer: Peer) -> None:
            await peer.json({"lines": sorted(every)})

        every: set[str] = set()
        server = TokenServer(up)
        world.connect(
            "api", CLIENT_SECRET, up.port, up.ca_pem, "--auth", oauth(up, "oauth2-client"), "--admission", "always"
        )
        world.connect("logs", ANOTHER, logs.port, logs.ca_pem, "--auth", "bearer", "--admission", "always")
        for _ in range(8):
            world.must("api", "api", "GET", "/v1/x")
            every |= server.valid
            server.valid.clear()  # so that the next call has another made
        assert len(every) >= 8
        shown = world.must("api", "logs", "GET", "/log").out
        assert not [token for token in every if token in shown]


@pytest.mark.parametrize("grant", ["oauth2-client", "oauth2-refresh"])
@pytest.mark.parametrize("value", ["application/json", "a:application/json", '["application/json"]', "content-type"])
def test_an_endpoint_cannot_have_common_words_taken_out(world: World, grant: str, value: str) -> None:
    """What could be guessed is refused as a token and as a refresh token: no other connection's answer is touched."""
    with Upstream(lax=True) as up, Upstream(lax=True) as other:
        server = TokenServer(up)

        async def answer(peer: Peer, number: int) -> None:
            token = f"at-{number}-Vq7ZkX2mB9tW4rL8c" if grant == "oauth2-refresh" else value
            await peer.json({"access_token": token, "refresh_token": value, "expires_in": 3600})

        server.answer = answer
        secret = CLIENT_SECRET if grant == "oauth2-client" else server.refresh.encode()
        world.connect("api", secret, up.port, up.ca_pem, "--auth", oauth(up, grant), "--admission", "always")
        world.connect("other", ANOTHER, other.port, other.ca_pem, "--auth", "bearer", "--admission", "always")
        ran = world.kv("api", "api", "GET", "/v1/x")
        assert ran.status == 8, ran.all
        for _ in range(4):
            told = world.must("api", "other", "GET", "/x", "--json")
            assert "{{kv:" not in told.out


def test_what_a_person_stored_meanwhile_stays(world: World) -> None:
    """A refresh token that was replaced long ago is not put back, whatever fails and however the keeper ends."""
    with Upstream(lax=True) as up:
        server = TokenServer(up, rotate=True)
        first = server.refresh.encode()
        world.connect("api", first, up.port, up.ca_pem, "--auth", oauth(up, "oauth2-refresh"), "--admission", "always")
        world.must("api", "api", "GET", "/v1/x")
        server.refresh = "rt-9-aPersonsOwnQ7vZ2kX5"
        world.must("set", "demo/API", "--stdin", stdin=server.refresh.encode(), proof=True)
        world.must("lock")
        world.must("unlock", proof=True)
        world.must("api", "api", "GET", "/v1/x")
        assert server.asked[-1]["refresh_token"] == ["rt-9-aPersonsOwnQ7vZ2kX5"]


def test_refused_logins_are_counted(world: World) -> None:
    """Ten in a row close the connection to the session, as ten answers of 401 do: accounts lock."""
    with Upstream(lax=True) as up:
        server = TokenServer(up)

        async def answer(peer: Peer, number: int) -> None:
            del number
            await peer.json({"error": "invalid_client"}, status="401 Unauthorized")

        server.answer = answer
        world.connect(
            "api", CLIENT_SECRET, up.port, up.ca_pem, "--auth", oauth(up, "oauth2-client"), "--admission", "always"
        )
        found = [world.kv("api", "api", "GET", "/v1/x") for _ in range(12)]
        assert len(server.asked) == 10
        assert "10 times in a row" in found[-1].err


def test_a_person_logs_in_at_the_services_own_page(world: World) -> None:
    """The code is shown to the person, what comes of it is stored, and calls go through with it."""
    with Upstream(lax=True) as up:
        server = TokenServer(up)
        polls = iter([{"error": "authorization_pending"}, None])

        @up.route("/device")
        async def device(_: Received, peer: Peer) -> None:
            offer = {
                "device_code": "dc-0123456789",
                "user_code": "WDJB-MJHT",
                "verification_uri": "https://auth.test/a",
            }
            await peer.json({**offer, "expires_in": 60, "interval": 1})

        async def polled(peer: Peer, number: int) -> None:
            told = next(polls, None)
            if told is not None:
                await peer.json(told, status="400 Bad Request")
                return
            server.valid.add(f"at-{number}-Vq7ZkX2mB9tW4rL8c")
            granted = {"access_token": f"at-{number}-Vq7ZkX2mB9tW4rL8c", "token_type": "Bearer", "expires_in": 3600}
            await peer.json({**granted, "refresh_token": server.refresh})

        server.answer = polled
        world.must("generate", "API_LOGIN", proof=True)
        (world.folder / "ca.pem").write_text(up.ca_pem)
        auth = f"device:{up.origin}/token,client=app,device_path=/device,token_addresses=127.0.0.1"
        where = ("--host", f"https://api.test:{up.port}", "--ca", str(world.folder / "ca.pem"))
        more = ("--allow-address", "127.0.0.1", "--admission", "always", "--secret", "login=API_LOGIN")
        world.must("connect", "api", *where, "--auth", auth, *more, proof=True)
        told = world.must("login", "api", proof=True)
        assert "WDJB-MJHT" in told.err
        assert "https://auth.test/a" in told.err
        assert world.must("api", "api", "GET", "/v1/x", "--json").json["status"] == 200
        assert server.refresh not in "".join(world.seen)
