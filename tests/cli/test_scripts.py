"""What scripts rely on: descriptors, JSON, exit statuses; every act black-box against the real keeper."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest
from person import Person
from upstream import Peer, Received, Upstream
from world import PASSPHRASE, World

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = b"sk_live_Zx81mQp0Vt44eLw9"
ASK = ("Passphrase (hidden): ", PASSPHRASE.decode())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One vault with `echo` (always admitted) and `asked` (admission asked), both to one upstream."""
    with World(tmp_path_factory.mktemp("scripts")) as made, Upstream(key=KEY) as upstream:
        made.init()

        @upstream.route("/missing")
        async def missing(_request: Received, peer: Peer) -> None:
            await peer.json({"error": "missing"}, status="404 Not Found")

        made.connect("echo", KEY, upstream.port, upstream.ca_pem)
        made.connect("asked", KEY, upstream.port, upstream.ca_pem, "--auth", "bearer")
        yield made


def test_a_call_prints_the_answer_and_says_the_rest_on_stderr(world: World) -> None:
    """The body alone on stdout, with --json one object; the key in neither."""
    plain = world.must("api", "echo", "GET", "/echo")
    assert plain.err.startswith("kv: HTTP 200")
    whole = world.must("api", "echo", "GET", "/echo", "--json").json
    assert whole["status"] == 200
    assert whole["untrusted"] is True
    assert whole["redactions"] >= 1
    assert isinstance(whole["headers"], dict)
    assert not world.leaked(KEY, [plain.all, json.dumps(whole)])


def test_upstream_errors_fail_only_when_asked_to(world: World) -> None:
    """An HTTP error is an answer (status 0); with --fail it ends with status 8."""
    missing = world.kv("api", "echo", "/missing", "--json")
    assert (missing.status, missing.json["status"]) == (0, 404)
    assert world.kv("api", "echo", "/missing", "--fail").status == 8


def test_a_call_that_waits_is_a_ticket_and_resumes(world: World) -> None:
    """--wait 0 ends with status 4 and the ticket; approve by descriptor; `kv wait` has the result, once."""
    held = world.kv("api", "echo", "DELETE", "/echo", "--reason", "duplicate", "--wait", "0", "--json")
    assert held.status == 4
    ticket = held.json["pending"]
    assert [card["id"] for card in world.must("approvals", "--json", proof=True).json] == [ticket]
    assert world.kv("wait", ticket, "--wait", "0").status == 4
    assert world.kv("approve", ticket).status == 7
    approved = world.must("approve", ticket, "--json", proof=True).json
    assert (approved["id"], approved["resumed"], approved["effect"]) == (ticket, True, "destroy")
    assert world.must("wait", ticket, "--json").json["status"] == 200
    assert world.kv("wait", ticket).status == 6
    assert world.must("approvals", "--json").json == []


def test_a_denied_call_ends_with_status_3(world: World) -> None:
    """`kv deny` ends the waiting call as refused by a person."""
    ticket = world.kv("api", "echo", "DELETE", "/echo?2", "--wait", "0", "--json").json["pending"]
    assert world.must("deny", ticket, proof=True).out == f"denied: {ticket}\n"
    ran = world.kv("wait", ticket, "--json")
    assert (ran.status, ran.json["error"]["code"]) == (3, "refused")


def test_a_person_answers_their_own_call_in_place(world: World) -> None:
    """At a terminal the card appears under the call, and the answer with a proof lets it go on."""
    with Person(world.folder, world.environment) as person:
        status, text = person.run("kv api asked GET /echo --json > out", ("[d] deny     ", "s"), ASK)
        assert status == 0
        assert "admission" in text
        assert "GET https://api.test" in text
        assert json.loads((world.folder / "out").read_text())["status"] == 200
        assert person.run("kv api asked GET /echo --json | tail -c1")[0] == 0  # admitted: nothing is asked
        status, text = person.run("kv api echo DELETE /echo?3", ("[d] deny     ", "d"), ASK)
    assert status == 3


def test_files_are_saved_below_the_folder_only(world: World) -> None:
    """--save makes a new redacted file here; an existing or outside path is refused."""
    world.must("api", "echo", "GET", "/echo", "--save", "saved.json")
    saved = (world.folder / "saved.json").read_text()
    assert not world.leaked(KEY, [saved])
    assert world.kv("api", "echo", "GET", "/echo", "--save", "saved.json").status == 1
    assert world.kv("api", "echo", "GET", "/echo", "--save", "../out.json").status == 1


def test_an_env_file_is_imported_and_rewritten(world: World) -> None:
    """--yes --rewrite stores what looks secret, shows names only, leaves references; --json tells of each line."""
    file = world.folder / "app.env"
    file.write_text(
        "export A_TOKEN='va-9917-lu-e3'\nDEBUG=true\nURL=postgres://u:pw-77ac19@localhost/x # db\nR=${A_TOKEN}\n"
    )
    refused = world.kv("import", str(file), proof=True)
    assert (refused.status, "--yes" in refused.err) == (2, True)
    done = world.must("import", "-e", "app", "--file", str(file), "--yes", "--rewrite", "--json", proof=True)
    assert done.json["imported"] == ["app/A_TOKEN", "app/URL"]
    assert done.json["left"] == {"DEBUG": "not a secret, left in place", "R": "made of other variables, left in place"}
    assert file.read_text() == "export A_TOKEN='kv://app/A_TOKEN'\nDEBUG=true\nURL=kv://app/URL # db\nR=${A_TOKEN}\n"
    again = world.must("import", str(file), "--yes", "--json", proof=True)
    assert again.json["imported"] == []
    shown = world.must("ls", "app")
    assert "app/URL" in shown.out
    for value in (b"va-9917-lu-e3", b"pw-77ac19"):
        assert not world.leaked(value)


def test_a_rename_carries_its_connection_and_history(world: World) -> None:
    """A new value is a revision, a rename keeps connection and history, and what is in use is not removed."""
    world.store("T/OLD", b"first-value-0001", "--connection", "t", "--host", "https://t.test", "--auth", "query:key")
    assert (
        world.must("rotate", "T/OLD", "--stdin", "--json", stdin=b"second-value-02\n", proof=True).json["revision"] == 2
    )
    assert world.kv("rotate", "T/NONE", "--stdin", stdin=b"x" * 9, proof=True).status == 6
    world.must("mv", "T/OLD", "T/NEW", proof=True)
    assert world.must("show", "T/NEW", "--json").json["connections"] == ["t"]
    assert world.must("restore", "T/NEW", "1", "--json", proof=True).json["name"] == "T/NEW"
    assert len(world.must("history", "T/NEW", "--json").json) == 4
    assert world.kv("rm", "T/NEW", proof=True).status == 1
    assert world.must("rm", "T/NEW", "--connections", "--json", proof=True).json == {
        "name": "T/NEW",
        "connections": ["t"],
    }


def test_the_audit_is_listed_verified_and_exported(world: World) -> None:
    """`audit verify` says one sentence; everybody's entries and the export take a proof; no value is in any of it."""
    assert "chain intact" in world.must("audit", "verify").out
    assert world.must("audit", "list", "--json", proof=True).json
    assert world.kv("audit", "export").status == 7
    lines = world.must("audit", "export", proof=True).out.splitlines()
    assert [json.loads(line)["entry"]["seq"] for line in lines] == list(range(1, len(lines) + 1))
    assert world.must("audit", "tail", "--limit", "3").out.count("\n") <= 3
    assert not world.leaked(KEY)


def test_doctor_gives_a_verdict_on_every_line(world: World) -> None:
    """Each finding is good, note or bad; a world-readable vault is bad and ends with status 1."""
    found = world.kv("doctor", "--json").json
    assert {"tier", "keeper", "vault", "audit", "ptrace"} <= {row["what"] for row in found}
    assert {row["verdict"] for row in found} <= {"good", "note", "bad"}
    (world.folder / "vault.kv").chmod(0o644)
    ran = world.kv("doctor")
    (world.folder / "vault.kv").chmod(0o600)
    assert ran.status == 1
    assert "open to others: chmod 600" in ran.out


def test_a_reader_that_goes_away_is_no_error(world: World) -> None:
    """`kv audit list | head -c0` ends as any program does at a closed pipe, without a word."""
    argv = " ".join(world.argv("audit", "list", "--json"))
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {argv} | true; echo $?"],
        capture_output=True,
        env=world.environment,
        text=True,
        check=True,
    )
    assert done.stdout.strip() in {"0", "141"}
    assert done.stderr == ""


def test_a_backup_comes_back(world: World) -> None:
    """A backup opens with its passphrase, replaces the vault only while locked, and the replaced one is kept."""
    world.must("backup", "copy.kv")
    world.must("generate", "AFTER", proof=True)
    assert world.kv("backup", "copy.kv").status != 0
    assert world.kv("restore-backup", "copy.kv", proof=True).status == 1
    world.must("lock")
    kept = world.must("restore-backup", "copy.kv", "--json", proof=True).json["kept"]
    assert "older than the one seen last" in world.must("unlock", proof=True).err
    assert world.kv("generate", "AFTER", proof=True).status == 9
    world.must("lock")
    world.must("unlock", "--accept-older", proof=True)
    assert "AFTER" not in world.must("ls").out
    assert world.folder.joinpath(kept).exists()
