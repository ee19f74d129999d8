"""Guessing at the person's PIN: where it is tried, how often, and what is left of it for the person to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from person import Person
from wired import Wire
from world import PASSPHRASE, World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PIN = "918273"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An unlocked vault whose person has a PIN."""
    with World(tmp_path) as made:
        made.init()
        with Person(made.folder, made.environment) as person:
            words = ("Passphrase (hidden): ", PASSPHRASE.decode())
            status, text = person.run("kv pin", words, ("hidden): ", PIN), ("Again: ", PIN))
        assert status == 0, text
        yield made


def _try(wire: Wire, pin: str, verb: str = "approvals") -> str:
    answer = wire.ask(verb, {"id": "7F3K"} if verb == "approve" else {}, proof={"kind": "pin", "pin": pin})
    return str(answer["error"]["code"]) if "error" in answer else "ok"


def test_the_agents_socket_takes_no_proof(world: World) -> None:
    """Right or wrong, a proof on agent.sock is refused unjudged: it tells nothing, and freezes nobody's PIN."""
    with Wire(world) as agent:
        for pin in (PIN, *["000000"] * 8):
            assert _try(agent, pin, "status") == "bad-argument"
        assert _try(agent, PIN, "audit") == "bad-argument"
        assert "ok" in agent.ask("status")
    with Wire(world, "kv") as person:
        assert _try(person, PIN) == "ok"


def test_five_wrong_ones_freeze_and_a_restart_forgives_none(world: World) -> None:
    """Five wrong PINs freeze it, for the right one too, and after a new unlock; the passphrase still answers."""
    with Wire(world, "kv") as wire:
        assert [_try(wire, f"11111{n}") for n in range(6)] == ["proof-wrong"] * 5 + ["proof-frozen"]
        assert _try(wire, PIN) == "proof-frozen"
    world.must("lock")
    world.must("unlock", proof=True)
    with Wire(world, "kv") as wire:
        assert _try(wire, PIN) == "proof-frozen"
    assert world.must("approvals", "--json", proof=True).json == []


def test_every_wrong_proof_is_recorded(world: World) -> None:
    """Who guesses is in the audit, each time, on disk before the answer: a killed keeper forgets none."""
    with Wire(world, "kv") as wire:
        for n in range(3):
            _try(wire, f"11111{n}", "approve" if n == 2 else "approvals")
    entries = world.must("audit", "list", "--json", proof=True).json
    found = [entry for entry in entries if entry.get("verb") == "proof"]
    assert [entry["outcome"] for entry in found] == ["proof-wrong"] * 3
    assert [entry["title"] for entry in found] == ["pin for approvals", "pin for approvals", "pin for approve"]
    assert all(entry["peer"]["pid"] > 0 and entry["session"] for entry in found)
    shown = [line for line in world.must("audit", "tail", proof=True).out.splitlines() if "DENIED" in line]
    assert len(shown) == 3
    assert "wrong pin for approve" in shown[-1]


def test_a_flood_of_wrong_proofs_fills_no_disk(world: World) -> None:
    """Beyond ten a minute wrong proofs are counted, not written each: the audit does not grow with them."""
    proof = {"kind": "passphrase", "mac": "00" * 32}
    with Wire(world, "kv") as wire:
        for _ in range(60):
            wire.ask("challenge")
            assert wire.ask("rm", {"name": "X"}, proof=proof)["error"]["code"] == "proof-wrong"
    world.must("lock")
    world.must("unlock", proof=True)
    entries = world.must("audit", "list", "--json", proof=True).json
    wrong = [entry for entry in entries if entry.get("outcome") == "proof-wrong"]
    counted = [entry["count"] for entry in entries if entry.get("verb") == "proof-wrong"]
    assert (len(wrong), counted) == (10, [50])
