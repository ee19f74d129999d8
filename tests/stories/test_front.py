"""The policy's subject at the policy's door: a program of the person's own terminal tries every verb."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING

import pexpect
import pytest

if TYPE_CHECKING:
    from scene import Scene
    from world import World

DENIED, PROOF = 3, 7

# What an agent would type to widen what it may do, with what it can make up. None has a proof.
ATTEMPTS = [
    ("set", "NEW", "--stdin"),
    ("set", "demo/ECHO", "--stdin"),
    ("generate", "NEW"),
    ("rotate", "demo/ECHO", "--stdin"),
    ("rm", "demo/ECHO"),
    ("mv", "demo/ECHO", "demo/OTHER"),
    ("restore", "demo/ECHO", "1"),
    ("get", "demo/ECHO", "--raw"),
    ("get", "demo/ECHO", "--output", "stolen"),
    ("connect", "echo", "--host", "https://evil.test", "--auth", "bearer"),
    ("connect", "echo", "--admission", "always"),
    ("approve", "{ticket}"),
    ("approve", "{ticket}", "--scope", "session"),
    ("deny", "{ticket}"),
    ("passwd",),
    ("recover",),
    ("totp", "enrol"),
    ("totp", "off"),
    ("pin", "set"),
    ("pin", "off"),
    ("import", "planted.env", "--yes"),
]

# In one terminal: the person's shell has unlocked with a passphrase typed, so a proof window may be open; a child
# of the same session and tty, without setsid, then runs what is in `attempts`.
AGENT = """
import json, subprocess, sys
argv, attempts = json.loads(sys.argv[1])
found = []
for attempt in attempts:
    done = subprocess.run([*argv, *attempt], input=b"value-of-an-agent", capture_output=True, timeout=60)
    found.append([attempt, done.returncode, (done.stdout + done.stderr).decode()])
print("FOUND " + json.dumps(found), flush=True)
"""


def _shell(world: World) -> pexpect.spawn[str]:
    shell = pexpect.spawn(
        "bash", ["--norc", "-i"], env=world.environment | {"PS1": "ready> "}, cwd=str(world.folder), encoding="utf-8",
        timeout=60, dimensions=(40, 4000),
    )  # fmt: skip
    shell.expect("ready> ")
    return shell


def _matched(shell: pexpect.spawn[str]) -> str:
    assert isinstance(shell.match, re.Match)
    return str(shell.match.group(1))


def _open_window(shell: pexpect.spawn[str], world: World) -> None:
    """Type a proof into the shell; afterwards the person's next verb needs none."""
    shell.sendline(f"{sys.executable} -m kv set PROVED --file agent.py")
    shell.expect("assphrase")
    shell.sendline(world.passphrase.decode())
    shell.expect("ready> ")
    shell.sendline(f"{sys.executable} -m kv rm PROVED; echo status $?")
    shell.expect(r"status (\d+)")
    assert _matched(shell) == "0", shell.before
    shell.expect("ready> ")


# A file of the project that the person runs from their own shell: the shell is its parent, so the window is open to it.
SCRIPT = """
import json, socket, struct, sys
sock = socket.socket(socket.AF_UNIX); sock.connect(sys.argv[1])
def exactly(size):
    data = b""
    while len(data) < size:
        data += sock.recv(size - len(data))
    return data
def receive():
    return json.loads(exactly(struct.unpack(">I", exactly(4))[0]))
def ask(verb, args, body=b""):
    header = {"verb": verb, "args": args, "client": "cli", "proof": {"kind": "window"}, "body": len(body)}
    text = json.dumps(header).encode()
    sock.sendall(struct.pack(">I", len(text)) + text + body)
    answer = receive()
    return answer["error"]["code"] if "error" in answer else "done"
receive()
evil = {"name": "echo", "host": "https://evil.test", "admission": "always"}
new = {**evil, "name": "new", "auth": {"scheme": "bearer"}}
lent = {**new, "secrets": {"secret": "demo/ECHO"}}
print("FOUND " + json.dumps([
    ask("generate", {"name": "made/BY_WINDOW"}),
    ask("connect", {"name": "echo", "declaration": evil}),
    ask("connect", {"name": "new", "declaration": lent}),
    ask("set", {"name": "demo/ECHO", "connection": new}, b"another-value-of-mine"),
    ask("set", {"name": "demo/OTHER", "connection": evil}, b"another-value-of-mine"),
    ask("import", {"items": [{"name": "demo/X", "size": 8, "connection": lent}]}, b"12345678"),
    ask("get", {"name": "demo/ECHO"}),
    ask("approve", {"id": "7F3K"}),
]), flush=True)
"""


@pytest.mark.timeout(240)
def test_a_window_turns_no_existing_credential_elsewhere(scene: Scene) -> None:
    """What the person's own shell runs in the window may add what is new, and lead nothing that exists elsewhere."""
    world = scene.world
    (world.folder / "agent.py").write_text(AGENT)
    (world.folder / "script.py").write_text(SCRIPT)
    before = world.must("connections", "--json").json
    shell = _shell(world)
    try:
        _open_window(shell, world)
        shell.sendline(f"{sys.executable} script.py {world.vault}.d/kv.sock")
        shell.expect(r"FOUND (\[.*\])\r\n")
        found = json.loads(_matched(shell))
    finally:
        shell.close(force=True)
    assert found == ["done", *["proof-needed"] * 7]
    assert world.must("connections", "--json").json == before


@pytest.mark.timeout(240)
def test_a_child_of_the_unlocking_terminal_can_change_nothing(scene: Scene) -> None:
    """After `kv unlock` and a proved `kv set` in one terminal, an agent there gets no changing verb through."""
    world = scene.world
    ticket = world.kv("api", "echo", "DELETE", "/echo", "--wait", "0", "--json").json["pending"]
    (world.folder / "planted.env").write_text("PLANTED_KEY=0123456789abcdef\n")
    (world.folder / "agent.py").write_text(AGENT)
    before = (world.must("ls", "--json").json, world.must("connections", "--json").json)
    shell = _shell(world)
    try:
        _open_window(shell, world)
        attempts = [[part.replace("{ticket}", ticket) for part in attempt] for attempt in ATTEMPTS]
        (world.folder / "attempts.json").write_text(json.dumps([world.argv(), attempts]))
        shell.sendline(f'{sys.executable} agent.py "$(cat attempts.json)" < /dev/null')
        shell.expect(r"FOUND (\[.*\])\r\n", timeout=200)
        found = json.loads(_matched(shell))
    finally:
        shell.close(force=True)
    refused = {(status, "needs" in output or "denied" in output) for _, status, output in found}
    assert refused <= {(DENIED, True), (PROOF, True)}, found
    assert (world.must("ls", "--json").json, world.must("connections", "--json").json) == before
    assert not scene.upstream.requests
    assert not (world.folder / "stolen").exists()
    assert world.leaked(scene.key, [output for _, _, output in found]) == []


def test_without_a_terminal_a_changing_verb_fails_at_once(scene: Scene) -> None:
    """No proof and no terminal: refused with the proof's status, never waiting for one."""
    (scene.world.folder / "planted.env").write_text("PLANTED_KEY=0123456789abcdef\n")
    for attempt in ATTEMPTS:
        arguments = [part.replace("{ticket}", "7F3K") for part in attempt]
        ran = scene.world.kv(*arguments, stdin=b"value-of-an-agent", timeout=20)
        assert ran.status in {DENIED, PROOF}, (arguments, ran.all)
        assert "needs" in ran.err or "denied" in ran.err, (arguments, ran.all)
