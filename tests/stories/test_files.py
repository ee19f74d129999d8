"""The files, changed while nobody watched: what the next unlock says, and what the person finds afterwards."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from world import PASSPHRASE

if TYPE_CHECKING:
    from collections.abc import Callable

    from scene import Scene
    from world import World

DAMAGED = 9


def _audit(world: World) -> Path:
    return world.folder / "vault.kv.d" / "audit.kv"


def _delete(path: Path) -> None:
    for each in path.parent.glob("audit.kv*"):
        each.unlink()


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:4096])


def _replace(path: Path) -> None:
    """A log that is well formed, and of another vault or time."""
    _delete(path)
    shutil.copy(path.parent / "kept", path)


def _kill(world: World) -> None:
    pid = int(world.must("status", "--json").json["pid"])
    os.kill(pid, 9)
    while Path(f"/proc/{pid}").exists():
        time.sleep(0.02)


def _finding(world: World, what: str) -> dict[str, Any]:
    found: dict[str, Any] = next(row for row in world.kv("doctor", "--json").json if row["what"] == what)
    return found


@pytest.mark.parametrize("change", [_delete, _truncate, _replace])
def test_an_audit_that_was_taken_away_is_shouted(world: World, change: Callable[[Path], None]) -> None:
    """A deleted, cut or exchanged audit: `kv unlock` warns, verify's sentence and doctor tell of the alarm."""
    assert "alarm" not in world.must("audit", "verify").out
    assert _finding(world, "audit")["verdict"] == "good"
    world.must("lock")
    shutil.copy(_audit(world), _audit(world).parent / "kept")
    world.must("unlock", proof=True)
    world.must("lock")
    change(_audit(world))
    opened = world.must("unlock", proof=True)
    assert "warning: ALARM: the audit is broken" in opened.err
    assert "kv audit list --all --alarms" in opened.err
    assert world.must("audit", "verify").out.endswith("; 1 alarm recorded.\n")
    found = _finding(world, "audit")
    assert (found["verdict"], "kv audit list --all --alarms" in found["text"]) == ("bad", True)
    (alarm,) = world.must("audit", "list", "--alarms", "--json", proof=True).json
    assert "it was set aside" in alarm["title"]


def test_an_act_on_a_locked_vault_warns_as_unlock_does(world: World) -> None:
    """Whatever opens the vault first finds what was done to it, and says so."""
    world.must("lock")
    _delete(_audit(world))
    assert "warning: ALARM: the audit is broken" in world.must("generate", "NEW", "--json", proof=True).err


def test_a_killed_keeper_is_told(world: World) -> None:
    """What followed the sealed head is counted at the next unlock: it could have been more."""
    world.must("generate", "NEW", "--json", proof=True)
    _kill(world)
    opened = world.must("unlock", proof=True).err
    assert "the keeper before this one was killed: 2 audit entries after the last sealed head" in opened


def test_the_very_first_audit_is_missed_too(world: World) -> None:
    """A keeper that was killed right after `kv init`, and its audit deleted: the next unlock misses it."""
    _kill(world)
    _delete(_audit(world))
    assert "warning: ALARM: the audit is broken" in world.must("unlock", proof=True).err


def test_an_older_vault_file_is_shouted_and_read_only(scene: Scene) -> None:
    """A rolled-back vault: a loud warning, an alarm, reads that work, no change; accepted, it is one's own again."""
    world = scene.world
    vault, older = Path(world.vault), world.folder / "older"
    world.must("lock")
    shutil.copy(vault, older)
    world.must("unlock", proof=True)
    world.store("AFTER", b"a-value-of-later-on")
    world.must("lock")
    shutil.copy(older, vault)
    opened = world.must("unlock", "--json", proof=True)
    assert "warning: read-only: this vault file is older than the one seen last (generation " in opened.err
    assert len(opened.json["warnings"]) == 1
    status = world.must("status", "--json").json
    assert status["read_only"] is True
    assert status["generation"] < status["seen"]
    assert f"(generation {status['generation']}, seen {status['seen']})" in world.must("status").out
    assert _finding(world, "newest")["verdict"] == "bad"
    alarms = world.must("audit", "list", "--alarms", "--json", proof=True).json
    assert [entry["title"] for entry in alarms] == [
        f"the vault file is older than the one seen last: generation {status['generation']}, seen {status['seen']}"
    ]
    assert world.must("api", "echo", "GET", "/echo", "--json").json["status"] == 200
    refused = world.kv("set", "AFTER", "--stdin", stdin=b"another-value-now", proof=True)
    assert (refused.status, "older than the one seen last" in refused.err) == (DAMAGED, True)
    assert "--accept-older is taken at its start only" in world.must("unlock", "--accept-older", proof=True).err
    world.must("lock")
    accepted = world.must("unlock", "--accept-older", proof=True)
    assert "read-only" not in accepted.err
    world.store("AFTER", b"another-value-now")
    world.must("lock")
    again = world.must("unlock", "--json", proof=True)
    assert (again.json["read_only"], again.json["warnings"]) == (False, [])
    assert PASSPHRASE.decode() not in "".join(world.seen)
