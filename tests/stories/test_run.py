"""`kv run`: a program gets the secrets that were named and nothing else, and an agent none of them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import pytest
from raw import Raw
from world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from world import Ran

FAILED, DENIED, PENDING, LOCKED, UNKNOWN, PROOF = 1, 3, 4, 5, 6, 7
VALUE = b'run-value-7Qm2"Zx81/+=$HOME'
LOOK = 'import os,json;print(json.dumps({"env":dict(os.environ),"fds":sorted(os.listdir("/proc/self/fd"))}))'


@pytest.fixture(scope="module")
def _lent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("run")) as made:
        made.init()
        made.store("prod/TOKEN", VALUE)
        made.store("OTHER", b"another-value-0123456789")
        made.store("ROOT", b"root-value-0123456789abc", "--class", "high")
        yield made


@pytest.fixture
def lent(_lent: World) -> World:
    """A world with secrets, shared by the stories that leave it as it was."""
    _lent.seen.clear()
    return _lent


@pytest.fixture
def own(world: World) -> World:
    """A world of one's own with a secret."""
    world.store("prod/TOKEN", VALUE)
    return world


def _run(world: World, *command: str, options: tuple[str, ...] = (), scope: str = "session", **more: Any) -> Ran:  # noqa: ANN401 - those of `kv`
    """Ask, have a person say yes, and run it."""
    args = ("run", "--secret", "prod/TOKEN", *options)
    asked = world.kv(*args, "--wait", "0", "--json", "--", *command, **more)
    if asked.status != PENDING:
        return asked
    world.must("approve", asked.json["pending"], "--scope", scope, proof=True)
    return world.kv(*args, "--", *command, **more)


def _start(world: World, *command: str) -> subprocess.Popen[bytes]:
    """A run under way, after a yes."""
    asked = world.kv("run", "--secret", "prod/TOKEN", "--wait", "0", "--json", "--", *command)
    world.must("approve", asked.json["pending"], "--scope", "session", proof=True)
    return subprocess.Popen(
        world.argv("run", "--secret", "prod/TOKEN", "--", *command),
        env=world.environment,
        cwd=world.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def _written(path: Path) -> str:
    until = monotonic() + 30
    while not path.exists() or not path.read_text().endswith("\n"):
        assert monotonic() < until, f"{path.name} was not written"
        sleep(0.02)
    return path.read_text().strip()


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] in "ZX"
    except OSError:
        return True


def _wait_gone(pid: int) -> None:
    until = monotonic() + 30
    while not _gone(pid):
        assert monotonic() < until, "it still runs"
        sleep(0.02)


# what is asked


def test_nothing_is_started_without_a_persons_yes(own: World) -> None:
    """The card names program, folder and secret, and says that the agent can edit what will hold it."""
    ran = own.kv("run", "--secret", "prod/TOKEN", "--wait", "0", "--json", "--reason", "try it", "--", "touch", "made")
    assert ran.status == PENDING
    card = ran.json["card"]
    told = dict(card["details"])
    assert (card["title"], card["effect"], card["secrets"]) == ("touch made", "release", ["prod/TOKEN"])
    assert told["in"] == str(own.folder)
    assert told["program"].startswith(str(shutil.which("touch")))
    assert told["gives"] == "prod/TOKEN as $TOKEN"
    assert "code in this folder, which the agent can edit, will hold this" in told["beware"]
    assert "outside the agent's sandbox" in told["beware"]
    assert (card["scopes"], card["preselected"]) == (["once", "session"], "session")
    assert not (own.folder / "made").exists()
    own.must("deny", card["id"], proof=True)
    assert own.kv("run", "--secret", "prod/TOKEN", "--wait", "0", "--", "touch", "made").status == DENIED
    assert own.kv("run", "--secret", "prod/TOKEN", "--wait", "0", "--", "touch", "made").status == PENDING
    assert not (own.folder / "made").exists()


def test_a_yes_for_once_is_one_run(own: World) -> None:
    """The same command asks again."""
    assert _run(own, "sh", "-c", "exit 7", scope="once").status == 7
    assert own.kv("run", "--secret", "prod/TOKEN", "--wait", "0", "--", "sh", "-c", "exit 7").status == PENDING


def test_a_yes_for_the_session_is_for_that_command_in_that_session(own: World) -> None:
    """Again without asking; another argument, folder, secret, delivery, or session is asked about."""
    command = ("sh", "-c", "echo yes")
    own.store("OTHER", b"another-value-0123456789")
    assert _run(own, *command).out == "yes\n"
    assert own.kv("run", "--secret", "prod/TOKEN", "--", *command).out == "yes\n"
    below = own.folder / "below"
    below.mkdir()
    asked = ("run", "--wait", "0", "--secret")
    others: list[tuple[tuple[str, ...], dict[str, Any]]] = [
        ((*asked, "prod/TOKEN", "--", "sh", "-c", "echo no"), {}),
        ((*asked, "prod/TOKEN=T", "--", *command), {}),
        ((*asked, "OTHER=TOKEN", "--", *command), {}),
        ((*asked, "prod/TOKEN", "--secret", "OTHER", "--", *command), {}),
        ((*asked, "prod/TOKEN", "--timeout", "5", "--", *command), {}),
        (("run", "--wait", "0", "--file", "prod/TOKEN=t", "--", *command), {}),
        ((*asked, "prod/TOKEN", "--", *command), {"cwd": below}),
        ((*asked, "prod/TOKEN", "--", *command), {"apart": True}),
    ]
    assert [own.kv(*words, **more).status for words, more in others] == [PENDING] * len(others)


def test_a_program_that_changes_while_its_card_waits_is_not_run(own: World) -> None:
    """What was approved is what is executed: the swapped file is another program, which nobody has approved."""
    tool = own.folder / "tool"
    tool.write_text("#!/bin/sh\necho good\n")
    tool.chmod(0o755)
    words = ("run", "--secret", "prod/TOKEN", "--", "./tool")
    waits = subprocess.Popen(
        own.argv(*words), env=own.environment, cwd=own.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    until = monotonic() + 30
    while not (cards := own.must("approvals", "--all", "--json", proof=True).json):
        assert monotonic() < until
    tool.write_text("#!/bin/sh\necho evil; cp /proc/self/environ stolen\n")
    own.must("approve", cards[0]["id"], "--scope", "session", proof=True)
    out, _ = waits.communicate(timeout=60)
    assert (waits.returncode, out) == (DENIED, b"")
    assert not (own.folder / "stolen").exists()
    assert own.kv(*words[:3], "--wait", "0", *words[3:]).status == PENDING


def test_a_program_that_changes_after_a_yes_for_the_session_is_asked_about(own: World) -> None:
    """A grant is for the file as it was, even where its size and its times are set back."""
    tool = own.folder / "tool"
    tool.write_text("#!/bin/sh\necho good\n")
    tool.chmod(0o755)
    assert _run(own, "./tool").out == "good\n"
    times = tool.stat()
    tool.write_text("#!/bin/sh\necho evil\n")
    os.utime(tool, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert own.kv("run", "--secret", "prod/TOKEN", "--wait", "0", "--", "./tool").status == PENDING


def test_a_high_secret_is_lent_to_no_agents_program(lent: World) -> None:
    """Refused without a card, and recorded; a person with a proof may."""
    ran = lent.kv("run", "--secret", "ROOT", "--json", "--", "true")
    assert (ran.status, ran.json["error"]["code"]) == (DENIED, "denied")
    assert lent.kv("run", "--secret", "ROOT", "--", "sh", "-c", "exit 4", proof=False).status == DENIED
    read, write = os.pipe()
    os.write(write, lent.passphrase)
    os.close(write)
    words = lent.argv("run", "--secret", "ROOT", "--passphrase-fd", str(read), "--", "sh", "-c", "exit 4")
    done = subprocess.run(words, env=lent.environment, cwd=lent.folder, pass_fds=[read], timeout=60, check=False)
    os.close(read)
    assert done.returncode == 4


def test_an_agent_cannot_have_its_output_left_alone(lent: World) -> None:
    """`--no-redact` takes a proof with that very request, whatever was allowed before."""
    assert _run(lent, "sh", "-c", "echo $TOKEN").status == 0
    ran = lent.kv("run", "--no-redact", "--secret", "prod/TOKEN", "--", "sh", "-c", "echo $TOKEN")
    assert ran.status == PROOF
    assert not lent.leaked(VALUE)


# what a program gets


def test_a_program_gets_what_was_named_and_nothing_of_the_vaults(lent: World) -> None:
    """Its environment is the person's basics and the secret; no descriptor but the three; no passphrase, no key."""
    ran = _run(lent, sys.executable, "-c", LOOK)
    found = json.loads(ran.out)
    allowed = {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "PWD", "LANG", "LC_ALL", "TZ", "TERM", "XDG_RUNTIME_DIR"}
    assert found["env"].pop("TOKEN") == "{{kv:prod/TOKEN}}"
    assert set(found["env"]) <= {*allowed, "LC_CTYPE"}  # the last is Python's own
    assert found["fds"] == ["0", "1", "2", "3"]  # the last is the listing's
    assert lent.passphrase.decode() not in ran.all
    assert not lent.leaked(VALUE)


def test_nothing_of_the_agents_environment_leads_the_program(own: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a loader's nor an interpreter's variable passes, nor a PATH with a program of the same name."""
    evil = own.folder / "evil"
    evil.mkdir()
    (evil / "env").write_text("#!/bin/sh\necho evil\n")
    (evil / "env").chmod(0o755)
    leading = {
        "LD_PRELOAD": "/evil.so",
        "NODE_OPTIONS": "--require /evil.js",
        "PYTHONPATH": "/evil",
        "BASH_ENV": "/evil",
        "GIT_SSH_COMMAND": "evil",
        "npm_config_prefix": "/evil",
        "PERL5OPT": "-Mevil",
        "EDITOR": "evil",
        "PATH": f"{evil}:{os.environ['PATH']}",
        "HOME": str(evil),
        "CI": "1",
        "TERM": "../../evil",
    }
    kept = own.environment
    monkeypatch.setattr(type(own), "environment", property(lambda _: {**kept, **leading, "HOME": kept["HOME"]}))
    ran = _run(own, "env")
    assert "evil" not in ran.out
    assert "CI=1" in ran.out


def test_each_way_to_hand_a_secret_over(own: World) -> None:
    """Standard input, a file that is gone at the end, a descriptor; and several at once."""
    look = (
        "import os,sys,hashlib as h;d=lambda b:h.sha256(b).hexdigest();"
        'f=open("in/key.pem","rb");s=os.stat("in/key.pem");'
        'print(d(f.read()),oct(s.st_mode&0o777),d(os.read(int(os.environ["TOKEN_FD"]),99)),d(sys.stdin.buffer.read()))'
    )
    (own.folder / "in").mkdir()
    options = ("--file", "prod/TOKEN=in/key.pem", "--fd", "prod/TOKEN=7", "--stdin-secret", "prod/TOKEN")
    digest = hashlib.sha256(VALUE).hexdigest()
    assert _run(own, sys.executable, "-c", look, options=options).out.split() == [digest, "0o600", digest, digest]
    assert list((own.folder / "in").iterdir()) == []


def test_an_env_file_holds_references_and_nothing_else(own: World) -> None:
    """`NAME=kv://path`, so that it can be committed; a line with a value is refused by its number."""
    (own.folder / "kv.env").write_text("# what the deploy needs\nDEPLOY=kv://prod/TOKEN\n\n")
    args = ("run", "--env-file", "kv.env", "--", "sh", "-c", 'echo "${#DEPLOY}"')
    asked = own.kv(*args[:3], "--wait", "0", "--json", *args[3:])
    assert dict(asked.json["card"]["details"])["gives"] == "prod/TOKEN as $DEPLOY"
    own.must("approve", asked.json["pending"], proof=True)
    assert own.must(*args).out == f"{len(VALUE)}\n"
    (own.folder / "kv.env").write_text("A=kv://prod/TOKEN\nSECRET=hunter2-hunter2\n")
    ran = own.kv(*args)
    assert ran.status == 2
    assert "line 2" in ran.err
    assert "hunter2" not in ran.all


# what comes back


def test_the_value_comes_back_in_no_form(lent: World) -> None:
    """Plain, base64, hex, URL and JSON escaped, on either stream, byte by byte or at once."""
    forms = (
        "import os,sys,base64 as b,urllib.parse as u,json,time\n"
        'v=os.environb[b"TOKEN"];o=sys.stdout.buffer;e=sys.stderr.buffer\n'
        'for f in (v,b.b64encode(v),v.hex().encode(),u.quote(v,safe="").encode(),json.dumps(v.decode()).encode()):\n'
        "  o.write(f+b'\\n');o.flush();e.write(f+b'\\n');e.flush()\n"
        "  for c in f: o.write(bytes([c]));o.flush()\n"
        "  o.write(b'\\n')\n"
    )
    ran = _run(lent, sys.executable, "-c", forms)
    assert ran.status == 0
    assert ran.out.count("kv:prod/TOKEN") >= 10
    assert not lent.leaked(VALUE)


def test_nothing_reacts_to_a_guess_at_a_weak_secret(own: World) -> None:
    """A program that prints guesses sees them all come out; nothing is counted, told, or held against its session."""
    own.store("WEAK", b"sunshine42")
    for number in range(4):
        ran = _run(own, "sh", "-c", f"echo {number} guess: sunshine42; echo after; mkdir sunshine42-{number}")
        assert (ran.status, ran.out, ran.err) == (0, f"{number} guess: sunshine42\nafter\n", "")
    with Raw(own) as raw:
        entries = raw.ask("audit")["ok"]["entries"]
    assert not any(entry.get("redactions") for entry in entries)
    assert {entry["outcome"] for entry in entries if entry["kind"] == "settle"} == {"ok"}
    assert not own.must("audit", "list", "--alarms", "--json", proof=True).json


def test_where_output_stops_does_not_tell_which_guess_was_right(own: World) -> None:
    """Guesses a few KiB apart, as many as one likes: they all come out."""
    own.store("WEAK", b"sunshine42")
    guesses = [f"guess{number:05}" for number in range(200)]
    guesses[133] = "sunshine42"
    (own.folder / "guesses").write_text("\n".join(guesses))
    printing = "import os\nfor g in open('guesses'): os.write(1,(g.strip()+' '*5000+'\\n').encode())"
    assert _run(own, sys.executable, "-c", printing).out.split() == guesses


def test_the_name_of_a_file_confirms_no_guess(own: World) -> None:
    """What is said of files overlooks a guess as what the program says does."""
    own.store("WEAK", b"sunshine42")
    ran = _run(own, "sh", "-c", 'for g in moonlight1 sunshine42; do echo "$TOKEN" >"$g"; done')
    told = sorted(line.partition(": ")[2] for line in ran.err.splitlines())
    assert told == ["a file now holds prod/TOKEN: moonlight1", "a file now holds prod/TOKEN: sunshine42"]


def test_a_file_that_now_holds_the_secret_is_told(own: World) -> None:
    """By its name, on standard error, after the run."""
    ran = _run(own, "sh", "-c", 'mkdir -p build; echo "$TOKEN" >build/config; echo fine >build/other')
    assert "a file now holds prod/TOKEN: build/config" in ran.err
    assert "other" not in ran.err
    assert not own.leaked(VALUE)


def test_a_name_that_is_now_the_secret_is_told(own: World) -> None:
    """A variable that says where a program writes: a listing of the folder would be the value."""
    (own.folder / "m.py").write_text("x = 1\n")
    ran = _run(own, sys.executable, "-c", "import os,sys; sys.pycache_prefix = os.environ['TOKEN']; import m")
    assert "a name now holds prod/TOKEN: {{kv:prod/TOKEN}}" in ran.err
    assert not own.leaked(VALUE)


def test_the_audit_has_who_ran_what_with_which_secret(own: World) -> None:
    """Intended before, settled after with the exit status and what was taken out; a value in the words is not in it."""
    command = ("sh", "-c", f"echo $TOKEN; exit 9 # {VALUE.decode()}? to the end")
    assert _run(own, *command).status == 9
    entries = own.must("audit", "list", "--json", proof=True).json
    begun = next(entry for entry in entries if entry["verb"] == "run" and entry["kind"] == "intend")
    ended = next(entry for entry in entries if entry["kind"] == "settle" and entry["of"] == begun["seq"])
    assert (begun["effect"], begun["names"], "approval" in begun) == ("release", ["prod/TOKEN"], False)
    assert (ended["outcome"], ended["status"], ended["redactions"]) == ("ok", 9, {"stdout": 1})
    assert begun["title"].endswith("? to the end'")
    assert VALUE.decode() not in json.dumps(entries)


# how it ends


@pytest.mark.parametrize(
    ("command", "status", "says"),
    [
        (["no-such-program"], 127, "command not found: no-such-program"),
        (["./no-such-program"], 127, "command not found: no-such-program"),
        (["/etc"], 126, "cannot execute etc: it is a folder"),
        (["/etc/passwd"], 126, "cannot execute passwd: it may not be executed"),
    ],
)
def test_what_cannot_be_executed_ends_as_in_a_shell(lent: World, command: list[str], status: int, says: str) -> None:
    """127 and 126, before a person is asked."""
    ran = lent.kv("run", "--secret", "prod/TOKEN", "--", *command)
    assert (ran.status, says in ran.err) == (status, True)


def test_a_signal_that_ends_the_program_ends_kv_likewise(lent: World) -> None:
    """Whoever waits for kv sees the program's own end."""
    assert _run(lent, "sh", "-c", "kill -TERM $$").status == -signal.SIGTERM
    assert _run(lent, "sh", "-c", "kill -KILL $$").status == -signal.SIGKILL


def test_an_unknown_secret_and_a_locked_vault_say_so(own: World) -> None:
    """Statuses 6 and 5; nothing runs."""
    ran = own.kv("run", "--secret", "prod/TOKE", "--", "touch", "made")
    assert (ran.status, "did you mean 'prod/TOKEN'" in ran.err) == (UNKNOWN, True)
    own.must("lock")
    ran = own.kv("run", "--secret", "prod/TOKEN", "--", "touch", "made")
    assert (ran.status, "kv unlock" in ran.err) == (LOCKED, True)
    assert not (own.folder / "made").exists()


def test_a_folder_that_is_gone_is_an_error_of_its_own(own: World) -> None:
    """Before anything is asked."""
    gone = own.folder / "gone"
    gone.mkdir()
    words = " ".join(f"'{word}'" for word in own.argv("run", "--secret", "prod/TOKEN", "--", "true"))
    script = f"cd '{gone}'; rmdir '{gone}'; {words}"
    done = subprocess.run(["sh", "-c", script], env=own.environment, capture_output=True, timeout=60, check=False)
    assert (done.returncode, b"working folder" in done.stderr) == (FAILED, True)


def test_a_run_outlives_a_lock_and_ends_as_if_nothing_had_been(own: World) -> None:
    """The program goes on and its output is scrubbed; the audit says that it was left running."""
    running = _start(own, "sh", "-c", 'echo $$ >pid; while [ ! -e go ]; do sleep 0.05; done; echo "$TOKEN"; exit 5')
    _written(own.folder / "pid")
    assert own.must("status", "--json").json["runs"] == 1
    own.must("lock")
    assert own.kv("status", "--json").json["locked"]
    (own.folder / "go").touch()
    out, err = running.communicate(timeout=60)
    assert (running.returncode, out, err) == (5, b"{{kv:prod/TOKEN}}\n", b"")
    own.must("unlock", proof=True)
    entries = own.must("audit", "list", "--json", proof=True).json
    assert "left-running" in [entry.get("outcome") for entry in entries]


def test_a_keeper_that_is_killed_takes_no_program_along(own: World) -> None:
    """The program, its output and its exit status are the runner's, and the terminal's owner sees no difference."""
    running = _start(own, "sh", "-c", 'echo $$ >pid; while [ ! -e go ]; do sleep 0.05; done; echo "$TOKEN"; exit 5')
    _written(own.folder / "pid")
    os.kill(own.must("status", "--json").json["pid"], signal.SIGKILL)
    (own.folder / "go").touch()
    out, _ = running.communicate(timeout=60)
    assert (running.returncode, out) == (5, b"{{kv:prod/TOKEN}}\n")


@pytest.mark.parametrize("locked", [False, True], ids=["unlocked", "after a lock"])
def test_panic_ends_every_program(own: World, *, locked: bool) -> None:
    """And all that it has started; also those that outlived a lock."""
    running = _start(own, "sh", "-c", "trap '' TERM HUP; sleep 600 & echo $! >below; echo $$ >pid; wait; wait")
    pids = [int(_written(own.folder / name)) for name in ("pid", "below")]
    if locked:
        own.must("lock")
    own.must("panic")
    running.communicate(timeout=60)
    for pid in pids:
        _wait_gone(pid)


def test_the_programs_end_is_the_clients_end(own: World) -> None:
    """A client that is killed takes along the program and what that has started."""
    running = _start(own, "sh", "-c", "setsid sleep 600 & echo $! >below; echo $$ >pid; wait")
    pids = [int(_written(own.folder / name)) for name in ("pid", "below")]
    running.kill()
    running.communicate(timeout=60)
    for pid in pids:
        _wait_gone(pid)


def test_a_live_run_is_no_activity(own: World) -> None:
    """The vault's idle time goes on while a program runs."""
    running = _start(own, "sh", "-c", "echo $$ >pid; exec sleep 600")
    pid = int(_written(own.folder / "pid"))
    first = own.must("status", "--json").json["idle_left"]
    until = monotonic() + 30
    while own.must("status", "--json").json["idle_left"] >= first:
        assert monotonic() < until
    os.kill(pid, signal.SIGKILL)
    running.communicate(timeout=60)


# without secrets


def test_without_secrets_the_callers_own_program_runs_without_what_lies_around(
    own: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables with a credential's name or shape go, and those that hold a value of the vault's; kv says which."""
    kept = own.environment
    more = {"AWS_SECRET_ACCESS_KEY": "x", "PLAIN": "y", "HIDDEN": VALUE.decode(), "SHAPED": "ghp_" + "a" * 36}
    monkeypatch.setattr(type(own), "environment", property(lambda _: {**kept, **more}))
    ran = own.must("run", "--", "env")
    assert ran.err == "kv: without AWS_SECRET_ACCESS_KEY, HIDDEN, SHAPED\n"
    assert "PLAIN=y" in ran.out
    assert VALUE.decode() not in ran.out
    own.must("lock")
    ran = own.must("run", "--no-secrets", "--", "env")
    assert ran.err.endswith("\nkv: without AWS_SECRET_ACCESS_KEY, SHAPED\n")
    assert ran.err.startswith("kv: the vault is locked: its values were not looked for")
    assert own.kv("run", "--", "sh", "-c", "exit 9").status == 9
    assert own.kv("run", "--", "no-such-program").status == 127


def test_no_guess_is_confirmed_by_what_is_taken_out(own: World) -> None:
    """An agent that puts guesses into variables learns nothing of a secret that could be guessed."""
    own.store("WEAK", b"sunshine42")
    body = b"G=sunshine42\0H=" + VALUE + b"\0"
    with Raw(own) as raw:
        assert raw.ask("carried", {"environment": 2}, body)["ok"] == {"names": ["H"]}


def test_a_low_secrets_run_can_be_remembered_for_good(own: World) -> None:
    """For that exact command in that folder, by any keeper; not offered where one of its secrets is not low."""
    own.store("CI", b"low-value-0123456789abcd", "--class", "low")
    args = ("run", "--secret", "CI", "--wait", "0", "--json", "--", "sh", "-c", "exit 6")
    asked = own.kv(*args)
    assert asked.json["card"]["scopes"] == ["once", "session", "project"]
    own.must("approve", asked.json["pending"], "--scope", "project", proof=True)
    own.must("lock")
    own.must("unlock", proof=True)
    assert own.kv(*args).status == 6
    assert own.kv(*args[:-1], "exit 7").status == PENDING
    mixed = own.kv("run", "--secret", "prod/TOKEN", *args[1:])
    assert mixed.json["card"]["scopes"] == ["once", "session"]
    own.store("CI", b"low-value-0123456789abcd", "--class", "normal")
    assert own.kv(*args).status == PENDING


@pytest.mark.needs("git")
def test_a_yes_for_good_is_bound_to_the_work_tree(own: World) -> None:
    """In a repository it holds while git sees no change, whichever keeper; the card says what that leaves open."""
    shop = own.folder / "shop"
    shop.mkdir()
    (shop / "test.sh").write_text("exit 6\n")
    (shop / ".gitignore").write_text("cache\n")
    subprocess.run(["git", "init", "-q"], cwd=shop, check=True, timeout=60)
    args = ("run", "--secret", "prod/TOKEN", "--wait", "0", "--json", "--", "sh", "test.sh")
    asked = own.kv(*args, cwd=shop)
    assert asked.json["card"]["scopes"] == ["once", "session", "project"]
    assert asked.json["card"]["bound"]
    own.must("approve", asked.json["pending"], "--scope", "project", proof=True)
    own.must("lock")
    own.must("unlock", proof=True)
    (shop / "cache").write_text("x")
    assert own.kv(*args, cwd=shop).status == 6
    (shop / "test.sh").write_text("exit 7\n")
    assert own.kv(*args, cwd=shop).status == PENDING
    (shop / "test.sh").write_text("exit 6\n")
    assert own.kv(*args, cwd=shop).status == 6
    (shop / "new").write_text("")
    assert own.kv(*args, cwd=shop).status == PENDING
