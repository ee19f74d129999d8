"""R-HOST: two services behind one address and port, as at any large provider of hosting; each has a credential here."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from raw import Raw
from upstream import Peer, Received, Upstream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from world import World

KEYS = {"ours": b"sk_live_of_ours_0123456789", "theirs": b"sk_live_of_theirs_9876543210"}
HOSTS = {name: f"{name}.test" for name in KEYS}
AT_ONCE = 20


@dataclass
class Street:
    """One server for both hosts, a certificate for each, and the two connections to it."""

    world: World
    server: Upstream

    def reached_by(self) -> set[str]:
        """The connections whose calls came, each TCP connection having carried the calls of one alone.

        One name was asked for in TLS, it stood in every Host, and with it came its own credential and no other.
        """
        carried: dict[int, set[tuple[str | None, ...]]] = {}
        for seen in self.server.requests:
            who = (seen.sni, seen.header("host"), seen.header("authorization"))
            carried.setdefault(seen.connection, set()).add(who)
        assert all(len(each) == 1 for each in carried.values()), carried
        whose: dict[tuple[str | None, ...], str] = {
            (host, f"{host}:{self.server.port}", f"Bearer {KEYS[name].decode()}"): name for name, host in HOSTS.items()
        }
        return {whose[who] for each in carried.values() for who in each}

    def keys_are_masked(self) -> bool:
        """Whether either key, which the server gave back, came to the agent as its mask and in no other form."""
        shown = "\n".join(self.world.seen)
        return all(f"{{{{kv:demo/{name.upper()}}}}}" in shown for name in KEYS) and not any(
            self.world.leaked(key) for key in KEYS.values()
        )


@pytest.fixture
def street(world: World) -> Iterator[Street]:
    """Both connections, admitted always."""
    with Upstream(lax=True, names=tuple(HOSTS.values()), apart=True) as server:
        for name, key in KEYS.items():
            world.connect(name, key, server.port, server.ca_pem, host=HOSTS[name])
        yield Street(world, server)


def _together(world: World, path: str) -> list[object]:
    """The statuses of `AT_ONCE` calls that are under way at once, through both connections in turn."""
    with ExitStack() as stack:
        raws = [stack.enter_context(Raw(world)) for _ in range(AT_ONCE)]
        for number, raw in enumerate(raws):
            raw.send("call", {"connection": list(KEYS)[number % len(KEYS)], "path": path})
        answers = [raw.answer() for raw in raws]
    world.seen += [repr(answers), *(raw.body.decode() for raw in raws)]
    return [answer["ok"]["status"] for answer in answers]


def test_calls_in_alternation_share_no_stream(street: Street) -> None:
    """Two hosts at one address, called in turn: each has one stream of its own, which it keeps."""
    for name in list(KEYS) * 3:
        assert street.world.must("api", name, "GET", "/echo", "--json").json["status"] == 200
    assert street.reached_by() == set(KEYS)
    assert len(street.server.requests) == 6
    assert street.server.accepted == 2
    assert street.keys_are_masked()


def test_calls_at_once_share_no_stream(street: Street) -> None:
    """Twenty calls in the same moment, then twenty more on the streams that are left: none is on a neighbour's."""
    all_here = asyncio.Event()

    @street.server.route("/gather")
    async def gather(request: Received, peer: Peer) -> None:
        if len(street.server.requests) == AT_ONCE:
            all_here.set()
        await asyncio.wait_for(all_here.wait(), 30)
        await peer.json({"seen": dict(request.headers)})

    assert _together(street.world, "/gather") == [200] * AT_ONCE
    assert street.server.accepted == AT_ONCE
    assert _together(street.world, "/echo") == [200] * AT_ONCE
    assert street.server.accepted == AT_ONCE
    assert street.reached_by() == set(KEYS)
    assert street.keys_are_masked()


def test_a_neighbours_certificate_gets_no_request(world: World) -> None:
    """Where only the neighbour answers, be it with a certificate of the same authority, nothing is sent to it."""
    with Upstream(lax=True, names=(HOSTS["theirs"],)) as server:
        for name, key in KEYS.items():
            world.connect(name, key, server.port, server.ca_pem, host=HOSTS[name])
        assert world.must("api", "theirs", "GET", "/echo", "--json").json["status"] == 200
        refused = world.kv("api", "ours", "GET", "/echo", "--json").json["error"]
        assert refused["code"] == "upstream-tls"
        assert (server.accepted, server.connections) == (2, 1)  # the second never got beyond the handshake
        assert [seen.sni for seen in server.requests] == [HOSTS["theirs"]]
    assert not any(world.leaked(key) for key in KEYS.values())
