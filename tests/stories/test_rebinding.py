"""R-REBIND: a name server that is not one's friend, in a network where the public address and the trap are both there.

Each connection is declared without a pin: where its credential goes is the name server's word, as far as kv lets it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from network import PUBLIC, Names, Network, why_none
from scene import KEY
from upstream import NAME, Peer, Received, Upstream
from world import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

INNER = (
    *("127.0.0.1", "10.0.0.1", "169.254.169.254", "0.0.0.0"),  # noqa: S104 - nothing is bound to it
    *("::1", "::ffff:127.0.0.1", "fd00:ec2::254"),
)

pytestmark = pytest.mark.needs("unshare")


@dataclass
class Place:
    """The origin at the public address, the trap at loopback, both with the name's certificate; and the name server."""

    world: World
    origin: Upstream
    trap: Upstream
    names: Names

    def end(self, path: str) -> object:
        """What an agent's call ends in: the status of an answer, or the code of an error."""
        told = self.world.kv("api", "echo", "GET", path, "--json").json
        return told["error"]["code"] if "error" in told else told["status"]

    def key_stayed(self) -> bool:
        """Whether the trap was never so much as connected to, and the agent had the key's mask and nothing else."""
        masked = any("{{kv:demo/ECHO}}" in shown for shown in self.world.seen)
        return self.trap.accepted == 0 and masked and self.world.leaked(KEY) == []


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """The connection `echo` to a name without a pin, admitted always."""
    if why := why_none():
        pytest.skip(f"no network of one's own is to be had here: {why}")
    with Network(tmp_path) as network, Names(network.dns) as names:
        origin = Upstream(key=KEY, sock=network.public)
        trap = Upstream(lax=True, ca=origin.ca, sock=network.loopback)
        origin.route("/last")(_last)
        with origin, trap, World(tmp_path, prefix=network.prefix) as world:
            world.init().connect("echo", KEY, origin.port, origin.ca_pem, pins=())
            yield Place(world, origin, trap, names)


async def _last(request: Received, peer: Peer) -> None:
    """The credential as an answer, after which the stream is gone."""
    await peer.reply(str(request.header("authorization")).encode(), headers=(("connection", "close"),))
    peer.close()


def test_a_name_that_turns_to_loopback_gets_nothing(place: Place) -> None:
    """The kept stream goes where it was dialled; once it is gone, the name's new address is refused and not dialled."""
    place.names.turns = [[PUBLIC], ["127.0.0.1"]]
    assert [place.end(path) for path in ("/echo", "/echo", "/last")] == [200, 200, 200]
    assert place.names.lookups(NAME) == 1
    assert [place.end("/echo"), place.end("/echo")] == ["upstream-address"] * 2
    assert [seen.header("authorization") for seen in place.origin.requests] == [f"Bearer {KEY.decode()}"] * 3
    assert place.origin.accepted == 1
    assert place.key_stayed()


def test_a_name_with_one_inner_address_among_its_answers_gets_nothing(place: Place) -> None:
    """A public address beside an inner one, in whatever order and family, is no reason to dial either."""
    for inner in INNER:
        for turn in ([PUBLIC, inner], [inner, PUBLIC]):
            place.names.turns = [turn]
            assert place.end("/echo") == "upstream-address", turn
    assert place.origin.accepted == 0
    place.names.turns = [[PUBLIC]]
    assert place.end("/echo") == 200
    assert place.key_stayed()


def test_the_address_that_was_checked_is_the_one_that_is_dialled(place: Place) -> None:
    """Each new stream asks the name server once: one that turns at every question never gets in between."""
    place.names.turns = [[PUBLIC], ["127.0.0.1"]] * 3
    assert [place.end("/last") for _ in range(6)] == [200, "upstream-address"] * 3
    assert place.names.lookups(NAME) == 6
    assert {name for _, name in place.names.asked} == {NAME}
    assert [seen.sni for seen in place.origin.requests] == [NAME] * 3
    assert place.origin.accepted == 3
    assert place.key_stayed()
