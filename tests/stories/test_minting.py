"""Tokens that an auth flow mints, through kv: no answer shows one, and a refresh token that rotates is stored.

And credentials that a call makes: into the vault by their name, before anything of the answer is shown.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from jsonrpc import Line
from token_server import TokenServer
from upstream import Peer, Received, Upstream

if TYPE_CHECKING:
    from scene import Scene
    from world import Ran, World

CLIENT_SECRET = b"cs-51Hq7Zk9vXwTt0aB-0123456789"
ANOTHER = b"sk_51Hq7Zk9vXwTt0aB0123456789zzz"


def oauth(up: Upstream, grant: str) -> str:
    """`--auth` for a grant whose token endpoint is beside the API."""
    return f"{grant}:{up.origin}/token,client=app,token_addresses=127.0.0.1"


def rotated(world: World, up: Upstream) -> tuple[TokenServer, bytes]:
    """A connection `api` whose refresh token was replaced by its first call, and the token that it had before."""
    server = TokenServer(up, rotate=True)
    first = server.refresh.encode()
    world.connect("api", first, up.port, up.ca_pem, "--auth", oauth(up, "oauth2-refresh"), "--admission", "always")
    world.must("api", "api", "GET", "/v1/x")
    return server, first


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
        server, first = rotated(world, up)
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


def test_what_is_refused_has_no_number_of_tokens_made(world: World) -> None:
    """A path that says 401 whatever the token is: within some minutes no other is made for it."""
    with Upstream(lax=True) as up:

        @up.route("/v1/admin")
        async def no(_: Received, peer: Peer) -> None:
            await peer.json({}, status="401 Unauthorized")

        server = TokenServer(up)
        world.connect(
            "api", CLIENT_SECRET, up.port, up.ca_pem, "--auth", oauth(up, "oauth2-client"), "--admission", "always"
        )
        for path in ("/v1/admin",) * 4 + ("/v1/x",):
            world.must("api", "api", "GET", path)
        assert len(server.asked) == 1


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
        server, _ = rotated(world, up)
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


# Credentials that a call makes.

NEW = b"nk_live_Qm81/tr0Vx+44eLw9=Zk7"


def answers(scene: Scene, body: object, status: str = "200 OK", headers: tuple[tuple[str, str], ...] = ()) -> None:
    """Let `/v1/keys` answer so."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()

    @scene.upstream.route("/v1/keys")
    async def make(_request: Received, peer: Peer) -> None:
        await peer.reply(data, status=status, headers=(("content-type", "application/json"), *headers))


def approved(world: World, *words: str, connection: str = "echo") -> Ran:
    """The result of a call that a person says yes to."""
    asked = world.kv("api", connection, "POST", "/v1/keys", *words, "--wait", "0", "--json").json
    world.must("approve", asked["pending"], proof=True)
    return world.must("wait", asked["pending"], "--json")


def secrets(world: World) -> set[str]:
    """The names in the vault."""
    return {row["name"] for row in world.must("ls", "--json").json}


def test_a_captured_credential_is_a_reference_wherever_it_stands(scene: Scene) -> None:
    """It is stored under its name, and neither body nor header nor a later answer shows it; a lock changes nothing."""
    world, text = scene.world, NEW.decode()
    answers(
        scene,
        {"id": 7, "data": {"keys": [{"token": text}]}, "again": f"curl -H 'X-Key: {text}'"},
        headers=(("x-token", text), ("location", f"/keys/{text}")),
    )
    asked = world.kv(
        *("api", "echo", "POST", "/v1/keys", "--capture", "data.keys.0.token=demo/NEW", "--wait", "0", "--json")
    ).json
    assert asked["card"]["effect"] == "mint"
    assert ["capture", "data.keys.0.token of the answer, as secret demo/NEW"] in asked["card"]["details"]
    assert "demo/NEW" not in secrets(world)
    world.must("approve", asked["pending"], proof=True)
    found = world.must("wait", asked["pending"], "--json").json
    assert found["captured"] == {"data.keys.0.token": "{{kv:demo/NEW}}"}
    assert found["body"]["data"] == {"keys": [{"token": "{{kv:demo/NEW}}"}]}
    assert (found["body"]["id"], found["status"]) == (7, 200)
    assert "demo/NEW" in secrets(world)
    assert "capture" in world.must("audit", "list", "--all", proof=True).out
    world.must("lock")
    world.must("unlock", proof=True)
    assert "{{kv:demo/NEW}}" in world.must("api", "echo", "GET", "/echo", "-q", "a=b", "-H", f"x-a: {text}").out
    assert not world.leaked(NEW)
    world.must("get", "demo/NEW", "--output", "new.txt", proof=True)
    assert (world.folder / "new.txt").read_bytes() == NEW


def test_a_capture_asks_whatever_the_call_does_else(scene: Scene) -> None:
    """A read that is allowed, on a connection that lets writes through, is a mint with a capture."""
    world = scene.world
    world.must("connect", "echo", "--preset", "relaxed", proof=True)
    for method in ("GET", "POST", "DELETE"):
        judged = world.must("explain", "echo", method, "/v1/keys", "--capture", "token=demo/NEW", "--json").json
        assert (judged["verdict"], judged["effect"]) == ("ask", "mint")
    plain = world.must("explain", "echo", "GET", "/v1/keys", "--json").json
    assert plain["digest"] != judged["digest"]


@pytest.mark.parametrize(
    "capture",
    [
        ("token=demo/ECHO",),
        ("token=other/NEW",),
        ("token=NEW",),
        ("token=demo",),
        ("token=demo/../x",),
        ("token=demonstration/NEW",),
        ("token=demo/A", "id=demo/A"),
        ("a..b=demo/A",),
        ("[]=demo/A",),
        ("a=demo/A", "b=demo/B", "c=demo/C", "d=demo/D", "e=demo/E"),
    ],
)
def test_a_capture_that_may_not_be_is_refused_before_the_call(shared: Scene, capture: tuple[str, ...]) -> None:
    """A name that exists, one elsewhere, one twice, and what names no member: nobody is asked and nothing is sent."""
    words = [word for each in capture for word in ("--capture", each)]
    ran = shared.world.kv("api", "echo", "POST", "/v1/keys", *words, "--wait", "0", "--json")
    assert ran.status == 2, ran.all
    assert not shared.upstream.requests


@pytest.mark.parametrize(
    "body",
    [
        {"data": {"api_key": NEW.decode()}, "status": "made"},
        {"token": {"value": NEW.decode()}},
        {"token": [NEW.decode()]},
        {"token": None, "other": NEW.decode()},
        {"token": 12345678901234567890, "other": NEW.decode()},
        {"token": "short", "other": NEW.decode()},
        {"token": "application/json", "other": NEW.decode()},
        {"token": "x" * 70_000, "other": NEW.decode()},
        {"token": "{{kv:demo/ECHO}}", "other": NEW.decode()},
        b'{"token":"%b","token":"other-token-0123"}' % NEW,
        b"token=%b" % NEW,
        b'{"token":"%b"' % NEW,
        [NEW.decode()],
        {"token": NEW.decode(), "more": "x" * (1 << 20)},
    ],
    ids=lambda body: str(body)[:30],
)
def test_an_answer_without_the_credential_is_withheld(shared: Scene, body: object) -> None:
    """The credential may be anywhere in it: nothing is stored or shown but why, and the names of members."""
    world = shared.world
    answers(shared, body, headers=(("x-token", NEW.decode()),))
    found = approved(world, "--capture", "token=demo/NEW").json
    assert (found["status"], found["captured"], found["headers"]) == (200, {}, {})
    assert found["uncaptured"].keys() == {"token"}
    assert found["body"] in ("", None)
    if isinstance(body, dict) and "data" in body:
        assert found["members"] == ["status", "data.api_key"]
    assert "demo/NEW" not in secrets(world)
    assert not world.leaked(NEW)


def test_one_of_two_is_kept_and_the_rest_withheld(scene: Scene) -> None:
    """What was found is stored: the answer is gone, and it is not to be lost with it."""
    answers(scene, {"id": "kid-Vq7ZkX2mB9tW4rL8cT", "secrets": NEW.decode()})
    found = approved(scene.world, "--capture", "id=demo/ID", "--capture", "secret=demo/NEW").json
    assert (found["captured"], found["uncaptured"].keys()) == ({"id": "{{kv:demo/ID}}"}, {"secret"})
    assert "demo/ID" in secrets(scene.world)
    assert not scene.world.leaked(NEW)


def test_the_vaults_own_secret_gets_no_second_name(shared: Scene) -> None:
    """A service that gives the connection's key back makes no copy of it under another name."""
    answers(shared, {"token": shared.key.decode()})
    found = approved(shared.world, "--capture", "token=demo/NEW").json
    assert found["uncaptured"] == {"token": "the vault has it already"}
    assert "demo/NEW" not in secrets(shared.world)


def test_a_refusal_is_shown(shared: Scene) -> None:
    """An answer that says no made no credential: an agent reads why."""
    answers(shared, {"error": "no such scope"}, status="422 Unprocessable Entity")
    found = approved(shared.world, "--capture", "token=demo/NEW").json
    assert (found["status"], found["body"]) == (422, {"error": "no such scope"})
    assert "captured" not in found


def test_a_read_only_vault_captures_nothing(scene: Scene) -> None:
    """What could not be stored is not made."""
    world = scene.world
    world.set_back()
    ran = world.kv("api", "echo", "POST", "/v1/keys", "--capture", "token=demo/NEW", "--wait", "0", "--json")
    assert json.loads(ran.out)["error"]["code"] == "vault-older"
    assert not scene.upstream.requests


def test_two_calls_do_not_store_under_one_name(scene: Scene) -> None:
    """Both were asked about before either was made: the second is refused when it is to be made."""
    world = scene.world
    answers(scene, {"token": NEW.decode()})
    ask = ("--capture", "token=demo/NEW", "--wait", "0", "--json")
    first = world.kv("api", "echo", "POST", "/v1/keys", *ask).json["pending"]
    second = world.kv("api", "echo", "PUT", "/v1/keys", *ask).json["pending"]
    world.must("approve", first, proof=True)
    world.must("wait", first, "--json")
    world.must("approve", second, proof=True)
    assert json.loads(world.kv("wait", second, "--json").out)["error"]["code"] == "bad-argument"
    assert [request.method for request in scene.upstream.requests] == ["POST"]


def test_what_a_pack_declares_is_captured_unasked(world: World) -> None:
    """Stripe's new webhook has a secret, which gets the pack's name beside the key, or the one that the call gives."""
    key = b"sk_" + b"test_" + b"Ab1" * 8
    with Upstream(key=key) as up:
        world.connect("stripe", key, up.port, up.ca_pem, "--provider", "stripe", "--admission", "always")

        @up.route("/v1/webhook_endpoints")
        async def make(_request: Received, peer: Peer) -> None:
            await peer.json({"id": "we_1", "secret": NEW.decode()})

        def made(*words: str) -> Any:  # noqa: ANN401 - what the command printed
            asked = world.kv("api", "stripe", "POST", "/v1/webhook_endpoints", *words, "--wait", "0", "--json").json
            world.must("approve", asked["pending"], proof=True)
            return world.must("wait", asked["pending"], "--json").json["body"]

        assert made() == {"id": "we_1", "secret": "{{kv:demo/STRIPE_WEBHOOK_SECRET}}"}
        again = world.kv("api", "stripe", "POST", "/v1/webhook_endpoints", "--wait", "0")
        assert "give another name" in again.err
    assert not world.leaked(NEW)


def test_an_agent_captures_over_mcp(scene: Scene) -> None:
    """`kv_api` takes `capture`, and its answer has the reference."""
    answers(scene, {"token": NEW.decode()})
    scene.world.must("connect", "echo", "--allow", "mint", proof=True)
    with Line(scene.world) as line:
        asked = {"provider": "echo", "path": "/v1/keys", "method": "POST", "reason": "a key for the tests"}
        found = line.call("kv_api", **asked, capture={"token": "demo/NEW"})
        assert found["captured"] == {"token": "{{kv:demo/NEW}}"}
        assert found["body"] == {"token": "{{kv:demo/NEW}}"}
        assert line.refused("kv_api", **asked, capture={"token": 7})["code"] == "bad-argument"
    assert not scene.world.leaked(NEW)
