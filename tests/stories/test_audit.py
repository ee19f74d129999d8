"""The audit: what is in it, what never is, and what happens to those who change it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scene import Scene

DAMAGED = 9


def test_every_call_is_recorded_without_values_queries_and_bodies(scene: Scene) -> None:
    """A call is recorded before and after: names, effect, status, redactions; neither body, query nor value."""
    world = scene.world
    world.must("api", "echo", "GET", "/encodings", "-q", "customer=SECRETQUERY", "--json")
    world.kv("api", "echo", "DELETE", "/echo", "--reason", "because of MYREASON", "--wait", "0")
    entries = world.must("audit", "list", "--json", proof=True).json
    read = [entry for entry in entries if entry.get("title", "").startswith("GET")]
    assert [entry["kind"] for entry in read] == ["intend", "settle"]
    assert read[1]["status"] == 200
    assert read[1]["redactions"]["body"] > 0
    assert read[0]["names"] == ["demo/ECHO"]
    text = str(entries)
    assert "SECRETQUERY" not in text
    assert world.leaked(scene.key, [text]) == []
    file = (world.folder / "vault.kv.d" / "audit.kv").read_bytes()
    assert scene.key not in file
    assert b"SECRETQUERY" not in file


def test_verify_finds_an_edit_a_cut_and_a_deletion(scene: Scene) -> None:
    """Edited, truncated and deleted audits are reported, with status 9 or an alarm; an untouched one verifies."""
    world = scene.world
    world.must("api", "echo", "GET", "/echo")
    assert world.must("audit", "verify").status == 0
    world.must("lock")
    path = world.folder / "vault.kv.d" / "audit.kv"
    good = path.read_bytes()
    tables = "SELECT name FROM sqlite_master WHERE type = 'table'"
    for change in ("UPDATE {} SET body = replace(body, 'echo', 'ohce')", "DELETE FROM {} WHERE rowid = 3"):
        with closing(sqlite3.connect(path)) as database:
            table = database.execute(tables).fetchone()[0]
            columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
            if "rowid" in change:
                change = change.replace("rowid", columns[0])  # noqa: PLW2901 - the table is WITHOUT ROWID
            database.execute(change.format(table))
            database.commit()
        world.must("unlock", proof=True)
        ran = world.kv("audit", "verify")
        listed = str(world.must("audit", "list", "--json", proof=True).json)
        assert ran.status == DAMAGED or "alarm" in listed, (change, ran.all)
        world.must("lock")
        for leftover in path.parent.glob("audit.kv*"):
            leftover.unlink()
        path.write_bytes(good)
        path.chmod(0o600)
    path.unlink()
    world.must("unlock", proof=True)
    assert "alarm" in str(world.must("audit", "list", "--json", proof=True).json)


def test_what_cannot_be_recorded_does_not_happen(scene: Scene) -> None:
    """An audit that cannot be written refuses the call: nothing is sent."""
    world = scene.world
    folder = world.folder / "vault.kv.d"
    (folder / "audit.kv").rename(folder / "moved.kv")
    ran = world.kv("api", "echo", "GET", "/echo")
    assert ran.status != 0
    assert "audit" in ran.err
    assert not scene.upstream.requests
    (folder / "moved.kv").rename(folder / "audit.kv")
