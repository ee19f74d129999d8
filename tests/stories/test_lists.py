"""Lists that outgrow a frame's header: thousands of names, thousands of entries, by every door that shows them."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pyotp
import pytest
from bench.vaults import fill, root_of
from jsonrpc import Line
from person import Person
from scene import KEY
from upstream import Upstream
from wired import Wire
from world import World

from kv.vault.session import Vault

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES, CONNECTIONS = 3_200, 1_300
CALLS = 1_100  # each is two entries


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A vault of thousands of names and connections; their last ones sort behind everything."""
    with World(tmp_path_factory.mktemp("crowded")) as made:
        where = ("--connection", "zz", "--host", "https://zz.test", "--auth", "bearer")
        made.init().store("zz/LAST", b"the-last-value-of-all", *where)
        made.must("lock")
        with root_of(made.folder / "vault.kv") as root, Vault.open(made.vault, root) as vault:
            fill(vault, (b"value-%06d-of-a-crowd" % number for number in range(NAMES)))
            like = vault.get("connection", "zz")
            assert like is not None
            rows = [("connection", f"many/c{number:06}", like.meta, None) for number in range(CONNECTIONS)]
            vault.put_many(rows, now=1.0)
        made.must("unlock", proof=True)
        yield made


def test_thousands_of_names_are_listed(crowded: World) -> None:
    """`kv ls`, completion and the socket itself list every name there is."""
    listed = crowded.must("ls", "--json").json
    assert len(listed) == NAMES + 1
    assert listed[-1]["name"] == "zz/LAST"
    assert "zz/LAST" in crowded.must("ls").out
    with Wire(crowded) as wire:
        answer = wire.ask("list")
        assert len(answer["ok"]["secrets"]) == NAMES + 1
        assert len(wire.ask("list", {"prefix": "zz"})["ok"]["secrets"]) == 1


def test_completion_finds_the_last_of_thousands(crowded: World) -> None:
    """What the shell completes does not end where a header would."""
    environment = {"_KV_COMPLETE": "complete_bash", "COMP_WORDS": "kv show zz/", "COMP_CWORD": "2"}
    done = subprocess.run(
        crowded.argv(), env=crowded.environment | environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["zz/LAST"]


def test_a_model_reads_thousands_of_names_in_parts(crowded: World) -> None:
    """`kv_list` gives its first part and a ticket; the parts together are the whole list."""
    with Line(crowded) as line:
        parts = line.parts("kv_list")
    assert len(parts) > 4
    found = json.loads("".join(part["body"] for part in parts))
    assert len(found["secrets"]) == NAMES + 1
    assert len(found["connections"]) == CONNECTIONS + 1


def test_thousands_of_connections_are_listed(crowded: World) -> None:
    """Every verb that lists connections lists them all."""
    with Wire(crowded, "kv") as wire:
        assert len(wire.ask("connections")["ok"]["connections"]) == CONNECTIONS + 1
    rows = crowded.must("connections", "--json").json
    assert (len(rows), rows[-1]["name"]) == (CONNECTIONS + 1, "zz")


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A vault whose audit holds thousands of entries, each as long as its caller could make it."""
    with World(tmp_path_factory.mktemp("busy")) as made, Upstream(key=KEY) as upstream:
        made.init().connect("echo", KEY, upstream.port, upstream.ca_pem)
        made.must("lock")
        made.must("unlock", "--calls-per-minute", "1000000", proof=True)
        with Wire(made) as wire:
            for n in range(CALLS):
                args = {"connection": "echo", "path": f"/{'x' * 290}{n:06}", "reason": "r" * 200}
                assert "ok" in wire.ask("call", args)
        yield made


def test_thousands_of_entries_are_listed(busy: World) -> None:
    """`kv audit list` shows every entry, `--limit` and `--after` cut it, and the newest are the last."""
    everything = busy.must("audit", "list", "--json", proof=True).json
    numbers = [entry["seq"] for entry in everything]
    assert len(numbers) > 2 * CALLS
    assert numbers == list(range(1, len(numbers) + 1))
    assert [e["seq"] for e in busy.must("audit", "list", "--limit", "5", "--json", proof=True).json] == numbers[:5]
    some = busy.must("audit", "list", "--after", "100", "--limit", "1500", "--json", proof=True).json
    assert [entry["seq"] for entry in some] == numbers[100:1600]
    assert len(busy.must("audit", "list", proof=True).out.splitlines()) > CALLS


def test_the_newest_of_thousands_of_entries_are_shown(busy: World) -> None:
    """`kv audit tail` shows the newest, as many as wanted, to whoever made them and to a person."""
    numbers = [entry["seq"] for entry in busy.must("audit", "list", "--json", proof=True).json]
    for limit, options in ((20, ()), (1700, ("--limit", "1700"))):
        newest = busy.must("audit", "tail", *options, "--json", proof=True).json
        assert [entry["seq"] for entry in newest] == numbers[-limit:]
    assert any(entry["title"].endswith(f"{CALLS - 1:06}") for entry in newest)
    with Wire(busy) as wire:
        own = wire.ask("audit", {"last": 1000})["ok"]
        assert (len(own["entries"]), own["more"]) == (1000, True)


def test_one_code_reads_the_whole_audit(busy: World) -> None:
    """A code works once, and the pages of one `kv audit list --all` are one act: it is asked for once."""
    with Person(busy.folder, busy.environment) as person:
        person.type("kv totp")
        person.read("Passphrase (hidden): ")
        person.type(busy.passphrase.decode())
        app = pyotp.TOTP(person.find(r"or type:  ([A-Z2-7 ]+)\r").group(1).replace(" ", ""))
        person.read("Code from the app: ")
        person.type(app.now())
        person.read("person> ")
        code = ("Code: ", app.at(app_time() + 30))
        status, text = person.run("kv audit list --all --json > all.json", code)
    assert status == 0, text
    assert len(json.loads((busy.folder / "all.json").read_text())) > 2 * CALLS


def app_time() -> int:
    """Now, as the app counts it."""
    import time

    return int(time.time())


def test_a_held_proof_reads_pages_and_answers_nothing(busy: World) -> None:
    """The proof of a page is good for further pages on its connection, and for no other verb or connection."""
    with Wire(busy, "kv") as wire:
        for verb, args in (("audit", {"limit": 1}), ("approve", {"id": "7F3K"})):
            assert wire.ask(verb, args, proof={"kind": "held"})["error"]["code"] == "proof-needed"
