"""Real AI clients, told of kv by `kv setup`: their models call through it, learn no secret, and every byte comes back.

Rules of this file
- Each client runs in a home of its own, with its user's settings or what it makes there at its first start, against a
  model on loopback and, where this machine gives one, in a network that has nothing but loopback.
- It plays once; every story looks at one side of what was played.
- What follows differs by client in the rows of `ai_clients` alone.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import TYPE_CHECKING

import pytest
from ai_clients import CLIENTS
from model_server import LAST, Model
from more_clients import ALL
from network import Names, Network, why_none
from scene import KEY
from upstream import Upstream, encodings
from world import World, codings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ai_clients import AiClient
    from model_apis import JSON

SECONDS = 120  # for one run of a client on a busy machine; it takes 1 to 4
READ = {"provider": "echo", "path": "/encodings"}
WRITE = {"provider": "echo", "path": "/echo", "method": "POST", "body": {"n": 1}, "reason": "a story"}
CALLS: tuple[tuple[str, JSON], ...] = (("kv_status", {}), ("kv_api", READ), ("kv_api", WRITE))

# `make clients` sets it: there the clients are all that can be had without an account, and not the suite's alone.
PLAYING = ALL if "KV_TESTING_CLIENTS" in os.environ else CLIENTS

pytestmark = pytest.mark.timeout(600)


@dataclass
class Played:
    """What one client did and left. Trees are of its home: `before` kv came, `told`, `taken back`, and `after` use."""

    client: AiClient
    world: World
    upstream: Upstream
    model: Model
    lookups: list[tuple[str, str]] = field(default_factory=list)
    trees: dict[str, dict[str, bytes]] = field(default_factory=dict)
    listing: str = ""
    said: str = ""

    def tree(self, name: str) -> None:
        """Remember how the client's home is: every file and folder that is not of the vault or of kv's own state."""
        home = self.world.folder
        found = {str(path.relative_to(home)): path for path in home.rglob("*") if not path.is_socket()}
        kvs = ("vault.kv", "recovery", "echo.pem", ".local/state/kv", "resolv.conf", "nsswitch.conf")
        self.trees[name] = {
            place: path.read_bytes() if path.is_file() else b""
            for place, path in found.items()
            if not place.startswith(kvs)
        }

    def told(self) -> dict[str, bytes]:
        """The files that `kv setup` wrote."""
        return {place: data for place, data in self.trees["told"].items() if self.trees["before"].get(place) != data}


@pytest.fixture(scope="module", params=PLAYING, ids=lambda client: client.name)
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """The whole play of one client: it is told, lists its servers, takes a turn, and is told no more."""
    client: AiClient = request.param
    begins = client.argv
    alone = not (lacks := why_none())
    if client.asks and not alone:
        pytest.skip(f"{client.name} asks for {client.asks[0]}, and this machine gives no network of one's own: {lacks}")
    with ExitStack() as stack:
        world = stack.enter_context(World(tmp_path_factory.mktemp("home"))).init()
        upstream = stack.enter_context(Upstream(key=KEY))
        world.connect("echo", KEY, upstream.port, upstream.ca_pem)
        (world.folder / "shop").mkdir()
        network = stack.enter_context(Network(world.folder)) if alone else None
        names = stack.enter_context(Names(network.dns, [[]])) if network else None
        if network:
            stack.enter_context(network.public)  # nobody serves there
        model = stack.enter_context(Model(*CALLS, sock=network.loopback if network else None))
        play = Played(client, world, upstream, model, names.asked if names else [])
        for place, text in client.settings.items():
            (world.folder / place).parent.mkdir(parents=True, exist_ok=True)
            (world.folder / place).write_text(text.replace("{model}", model.address))
        argv = [*(network.prefix if network else ()), *begins]
        if not client.settings:
            run(play, [*argv, *client.listing])
        play.tree("before")
        tell(play)
        play.tree("told")
        tell(play, "--undo")
        play.tree("taken back")
        tell(play)
        play.listing = run(play, [*argv, *client.listing]) if client.listing else ""
        if client.turn:
            approving = threading.Thread(target=approve, args=(play,))
            approving.start()
            play.said = run(play, [*argv, *client.turn])
            model.over.set()
            approving.join()
        tell(play, "--undo")
        play.tree("after")
        yield play


@pytest.fixture
def turned(played: Played) -> Played:
    """What was played by a client that takes a turn here."""
    if not played.client.turn:
        pytest.skip(f"{played.client.name} takes no turn without an account")
    return played


def tell(play: Played, *options: str) -> None:
    """`kv setup`, by a person's proof."""
    play.world.must("setup", play.client.name, *options, "--yes", proof=True)


def run(play: Played, argv: list[str]) -> str:
    """One run of the client, to its end: what it printed."""
    given = {name: text.replace("{model}", play.model.address) for name, text in play.client.environment.items()}
    process = subprocess.Popen(
        argv,
        env={**play.world.environment, **given},
        cwd=play.world.folder / "shop",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
    )
    try:
        printed, _ = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        printed, _ = process.communicate()
        pytest.fail(f"{play.client.name} did not end: {printed}")
    assert process.returncode == 0, printed
    return printed


def approve(play: Played) -> None:
    """A person who says yes to the write, once it waits. Gives up when the model has the last word."""
    while not play.model.over.wait(0.1):
        if not play.upstream.requests:
            continue
        for waiting in play.world.must("approvals", "--json", proof=True).json:
            play.world.must("approve", waiting["id"], proof=True)
            return


def forms(value: bytes) -> list[str]:
    """The forms in which a secret may be told, each plain, in JSON, and in JSON within JSON."""
    plain = {*codings(value).values(), *encodings(value).values()}
    once = {json.dumps(form)[1:-1] for form in plain}
    return sorted(plain | once | {json.dumps(form)[1:-1] for form in once})


def test_a_secret_that_is_told_would_be_found() -> None:
    """Each form in which an upstream gives the key back is found in a tool's result within a request."""
    for text in encodings(KEY).values():
        sent = json.dumps({"content": json.dumps({"body": text})})
        assert [form for form in forms(KEY) if form in sent], text


def test_the_client_says_that_kv_is_there(played: Played) -> None:
    """Its own listing has kv, started and connected where the client does that for a listing."""
    if not played.client.listing:
        pytest.skip(f"{played.client.name} has no listing")
    assert played.client.listed in next(line for line in played.listing.splitlines() if "kv" in line), played.listing


def test_its_model_calls_through_kv(turned: Played) -> None:
    """The upstream gets the key, the model what the upstream answered, and kv knows which client it is."""
    assert LAST in turned.said
    assert len(turned.model.results) == len(CALLS), turned.said
    status, read, _ = (text.replace("\\", "") for text in turned.model.results)
    assert '"locked":false' in status
    assert f'"caller":"{turned.client.label}"' in status
    assert '"untrusted":true,"source":"echo","status":200' in read
    assert '"raw":"{{kv:demo/ECHO}}"' in read
    assert [request.method for request in turned.upstream.requests] == ["GET", "POST"]
    assert {r.header("authorization") for r in turned.upstream.requests} == {f"Bearer {KEY.decode()}"}


def test_a_write_waits_for_a_person_and_goes_on(turned: Played) -> None:
    """While kv asks the person, the client waits for its tool, and the model gets the answer of the call."""
    written = turned.model.results[-1].replace("\\", "").replace(" ", "")
    assert '"status":200' in written
    assert '"n":1' in written


def test_nobody_else_is_told_a_secret(played: Played) -> None:
    """No request to the model's vendor and no file that the client keeps has it, in any form."""
    kept = "\n".join(data.decode("latin-1") for data in played.trees["after"].values())
    sent = "\n".join(asked.text for asked in played.model.asked)
    assert READ["path"] in sent or not played.client.turn
    assert [form for form in forms(KEY) if form in sent or form in kept] == []


def test_it_asks_for_no_other_host(played: Played) -> None:
    """The settings of these stories keep the client to its model: it looks up no name that is not known here."""
    assert {name for _, name in played.lookups} <= set(played.client.asks)


def test_every_byte_comes_back(played: Played) -> None:
    """What a client was told of and did not touch since is as it was before, folders too."""
    assert played.told()
    assert played.trees["taken back"] == played.trees["before"]


def test_what_the_client_wrote_since_is_all_that_stays(played: Played) -> None:
    """Taken back after a turn, nothing of ours is in its files; what is new is in the client's own places."""
    before, after = played.trees["before"], played.trees["after"]
    for place in played.told():
        assert before.get(place) == after.get(place) or place in played.client.rewrites
        assert played.world.vault.encode() not in after.get(place, b"")
    changed = {place for place in before.keys() | after.keys() if before.get(place) != after.get(place)}
    assert {place for place in changed if not any(fnmatch(place, each) for each in played.client.own)} == set()
