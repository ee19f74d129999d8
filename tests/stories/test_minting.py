"""Tokens that an auth flow mints, through kv: no answer shows one, and a refresh token that rotates is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from token_server import TokenServer
from upstream import Peer, Received, Upstream

if TYPE_CHECKING:
    from world import World

CLIENT_SECRET = b"cs-51Hq7Zk9vXwTt0aB-0123456789"


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
            server.valid.add(f"at-{number}-0123456789")
            granted = {"access_token": f"at-{number}-0123456789", "token_type": "Bearer", "expires_in": 3600}
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
