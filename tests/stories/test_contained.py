"""Tier T3: an agent in a box of its own, or of another user, that reaches the agents' socket and nothing else.

To build the box takes root: elsewhere these stories are skipped, and say so.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from scene import Scene

OTHER_UID = 65534

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root may become another user or mount: run the suite as root to see T3"
)

# In namespaces of its own: the socket is bound into the box, then the vault's whole folder is covered.
BOX = """
set -e
touch "$BOX/agent.sock"
mount --bind "$WORLD/vault.kv.d/agent.sock" "$BOX/agent.sock"
mount -t tmpfs none "$WORLD"
cd "$BOX"
exec "$@"
"""

# What an agent in the box tries, with kv itself: a call, its own view, and everything that is the person's.
AGENT = """
import json, os, subprocess, sys
def kv(*args):
    done = subprocess.run([sys.executable, "-m", "kv", *args], input=b"x", capture_output=True, timeout=60)
    return [done.returncode, (done.stdout + done.stderr).decode()]
print(json.dumps({
    "pid": os.getpid(),
    "call": kv("api", "echo", "GET", "/echo", "--json"),
    "status": kv("status", "--json"),
    "list": kv("ls", "--json"),
    "person": {line: kv(*line.split()) for line in (
        "approvals", "audit list", "get demo/ECHO --raw", "set NEW --stdin", "approve 7F3K", "show demo/ECHO",
        "lock", "panic",
    )},
    "vault": os.listdir(os.environ["WORLD"]),
}))
"""


@pytest.mark.needs("unshare")
def test_a_box_with_the_agents_socket_holds_calls_and_nothing_else(scene: Scene, tmp_path_factory: Any) -> None:  # noqa: ANN401 - pytest's
    """In another pid and mount namespace calls work, the tier is T3, and no verb of the person's finds a socket."""
    world, box = scene.world, tmp_path_factory.mktemp("box")
    done = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-c", BOX, "sh", sys.executable, "-c", AGENT],
        env={
            **{name: value for name, value in os.environ.items() if name in {"PATH", "LANG"}},
            "HOME": str(box), "BOX": str(box), "WORLD": str(world.folder), "KV_AGENT_SOCKET": str(box / "agent.sock"),
        },
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    world.seen.append(done.stdout)
    assert found["pid"] < 10
    assert (found["call"][0], json.loads(found["call"][1].partition("\n")[0])["status"]) == (0, 200)
    assert json.loads(found["status"][1])["tier"] == "T3"
    assert [row["name"] for row in json.loads(found["list"][1])] == ["demo/ECHO"]
    assert found["vault"] == []
    nothing_to_end = {command: found["person"].pop(command) for command in ("lock", "panic")}
    assert all(said.startswith("locked already") for _, said in nothing_to_end.values())
    assert [command for command, (status, _) in found["person"].items() if status == 0] == []
    assert world.must("status", "--json").json["locked"] is False
    assert world.must("show", "demo/ECHO", "--json").json["revision"] == 1
    assert world.leaked(scene.key) == []


# Another user's whole attempt, by the system's own Python, since that user need not see ours.
STRANGER = """
import json, os, socket, struct, sys
folder, vault = sys.argv[1:]
def exactly(sock, size):
    data = b""
    while len(data) < size:
        chunk = sock.recv(size - len(data))
        if not chunk:
            raise EOFError
        data += chunk
    return data
def receive(sock):
    header = json.loads(exactly(sock, struct.unpack(">I", exactly(sock, 4))[0]))
    header["data"] = exactly(sock, header.get("body", 0)).decode()
    return header
def ask(sock, verb, args, **more):
    text = json.dumps({"verb": verb, "args": args, "client": "cli", **more}).encode()
    sock.sendall(struct.pack(">I", len(text)) + text)
    return receive(sock)
def tried(act, *args):
    try:
        act(*args)
        return "done"
    except OSError as error:
        return type(error).__name__
agent = socket.socket(socket.AF_UNIX)
agent.connect(folder + "/agent.sock")
receive(agent)
print(json.dumps({
    "call": ask(agent, "call", {"connection": "echo", "path": "/echo"}),
    "tier": ask(agent, "status", {})["ok"]["tier"],
    "save": ask(agent, "call", {"connection": "echo", "path": "/echo", "save": "x"})["error"]["code"],
    "set": ask(agent, "set", {"name": "X"})["error"]["code"],
    "proof": ask(agent, "status", {}, proof={"kind": "window"})["error"]["code"],
    "kv": tried(socket.socket(socket.AF_UNIX).connect, folder + "/kv.sock"),
    "files": [tried(open, path) for path in (vault, folder + "/audit.kv", folder + "/keeper.log", folder + "/lock")],
    "listing": tried(os.listdir, folder),
}))
"""


def test_another_user_that_was_let_in_makes_calls_and_nothing_else(scene: Scene) -> None:
    """With `--agent-uid` another user's program makes calls on agent.sock; every other file and socket is closed."""
    world = scene.world
    world.must("lock")
    world.must("unlock", "--agent-uid", str(OTHER_UID), proof=True)
    folder = Path(world.vault + ".d")
    for path in folder.parents:
        if path.stat().st_uid == 0 and str(path).startswith("/tmp/"):  # noqa: S108 - pytest's folder
            path.chmod(0o755)
    done = subprocess.run(
        ["python3", "-c", STRANGER, str(folder), world.vault],
        user=OTHER_UID, group=OTHER_UID, extra_groups=[], cwd="/", env={"PATH": "/usr/local/bin:/usr/bin:/bin"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    world.seen.append(done.stdout)
    found = json.loads(done.stdout)
    assert found["call"]["ok"]["status"] == 200
    assert found["tier"] == "T3"
    assert (found["save"], found["set"], found["proof"]) == ("save", "bad-verb", "bad-argument")
    assert (found["kv"], found["listing"]) == ("PermissionError", "PermissionError")
    assert found["files"] == ["PermissionError"] * 4
    assert world.leaked(scene.key) == []
