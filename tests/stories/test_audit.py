"""The audit: what is in it, what never is, and what happens to those who change it."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pyte
from person import Person

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


def test_nothing_that_an_agent_wrote_begins_a_row(scene: Scene) -> None:
    """On 80 columns a path or a reason that imitates another entry goes on behind kv's mark; `--json` has it whole."""
    world = scene.world
    fake = "16:09:03--destroy-echo-DELETE/v1/all-200-approved"
    path = f"/{'a' * (80 - 30 - len('GET /'))}{fake}/{'b' * 40}"  # 30 columns stand before the title: the fake is next
    reason = "tidy up" + " " * 73 + f"\n\x1b[1G{fake}\r\n\u202e{fake}"
    world.must("api", "echo", "GET", path, "--reason", reason)
    held = world.kv("api", "echo", "DELETE", path, "--reason", reason, "--wait", "0", "--json").json
    world.must("deny", held["pending"], proof=True)
    for verb in ("tail", "list"):
        with Person(world.folder, world.environment, columns=80) as someone:
            asked = ("Passphrase (hidden): ", world.passphrase.decode())
            status, text = someone.run(f"kv audit {verb} --all", asked)
        screen = pyte.Screen(80, 100)
        pyte.Stream(screen).feed(text.replace("\n", "\r\n"))
        rows = [row.rstrip() for row in screen.display if row.strip()]
        entries = rows[1:]  # after the prompt
        assert (status, rows[0]) == (0, "Passphrase (hidden):")
        assert all(re.match(r"\d\d:\d\d:\d\d  \S+ ", row) or row.startswith(" " * 10 + "│ ") for row in entries)
        assert not [row for row in rows if row.startswith(fake[:10])]
        assert fake in "".join(row.removeprefix(" " * 10 + "│ ") for row in entries)
    entries = world.must("audit", "list", "--json", proof=True).json
    assert f"GET {path}" in [entry.get("title") for entry in entries]
    assert [entry["reason"] for entry in entries if entry.get("reason", "").startswith("tidy up")]
    piped = world.must("audit", "list", proof=True).out.splitlines()
    assert len([line for line in piped if fake in line]) == len([line for line in piped if "aaa" in line]) > 1
    assert not [line for line in piped if "b200" in line]  # nor does a title run into the status
