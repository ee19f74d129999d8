"""The main job: an agent gets the useful answer, the key appears on no channel, a write waits for a person."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scene import Scene
    from world import World


def test_an_agent_gets_the_answer_and_never_the_key(scene: Scene) -> None:
    """A service that echoes the key in many encodings gets the right key, and the agent gets none of them."""
    for path in ("/echo", "/encodings", "/head-echo", "/split", "/cookie", "/redirect", "/gzip", "/deflate"):
        ran = scene.world.kv("api", "echo", "GET", path, "--json")
        assert ran.status == 0, (path, ran.all)
    assert {request.header("authorization") for request in scene.upstream.requests} == {"Bearer " + scene.key.decode()}
    assert scene.world.leaked(scene.key) == []
    assert "{{kv:demo/ECHO}}" in scene.world.seen[-1] or any("{{kv:demo/ECHO}}" in text for text in scene.world.seen)


def test_the_json_of_a_call_is_as_documented(scene: Scene) -> None:
    """`kv api --json` prints status, headers, body, redactions and that it is untrusted."""
    found = scene.world.must("api", "echo", "GET", "/encodings", "--json").json
    assert found["status"] == 200
    assert isinstance(found["body"], dict)
    assert found["redactions"] > 0
    assert found["untrusted"] is True
    assert "content-type" in found["headers"]


def test_a_write_waits_and_is_made_once(scene: Scene) -> None:
    """A DELETE waits with status 4; approved, it is made exactly once; the same call again waits again."""
    world = scene.world
    first = world.kv("api", "echo", "DELETE", "/echo", "--reason", "duplicate", "--wait", "0", "--json")
    assert first.status == 4
    ticket = first.json["pending"]
    assert not scene.upstream.requests
    listed = world.must("approvals", "--json", proof=True).json
    assert [card["id"] for card in listed] == [ticket]
    world.must("approve", ticket, proof=True)
    result = world.must("wait", ticket, "--json").json
    assert result["status"] == 200
    assert [request.method for request in scene.upstream.requests] == ["DELETE"]
    again = world.kv("api", "echo", "DELETE", "/echo", "--reason", "duplicate", "--wait", "0", "--json")
    assert again.status == 4
    assert again.json["pending"] != ticket
    assert world.kv("approve", ticket, proof=True).status != 0
    assert len(scene.upstream.requests) == 1


def test_a_repeated_call_picks_up_the_approved_result(scene: Scene) -> None:
    """Asking again after a late approval returns the one result instead of making the call twice."""
    world = scene.world
    call = ("api", "echo", "POST", "/echo", "--json-body", '{"amount":1}', "--wait", "0", "--json")
    ticket = world.kv(*call).json["pending"]
    assert world.kv(*call).json["pending"] == ticket
    world.must("approve", ticket, proof=True)
    assert world.must(*call).json["status"] == 200
    assert len(scene.upstream.requests) == 1


def test_a_held_call_resumes_when_approved(scene: Scene) -> None:
    """A call that waits goes on by itself once a person says yes."""
    world = scene.world
    held = subprocess.Popen(
        world.argv("api", "echo", "POST", "/echo", "--json-body", "{}", "--wait", "60", "--json"),
        env=world.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )
    try:
        ticket = _waiting(world)
        world.must("approve", ticket, proof=True)
        out, err = held.communicate(timeout=30)
    finally:
        held.kill()
    world.seen.append(out.decode() + err.decode())
    assert held.returncode == 0
    assert f"kv approve {ticket}" in err.decode()
    assert len(scene.upstream.requests) == 1


def test_a_denied_call_ends_with_status_3(scene: Scene) -> None:
    """`kv deny` ends the held call as refused, and nothing is sent."""
    world = scene.world
    ticket = world.kv("api", "echo", "DELETE", "/echo", "--wait", "0", "--json").json["pending"]
    world.must("deny", ticket, proof=True)
    assert world.kv("wait", ticket).status == 3
    assert not scene.upstream.requests


def test_a_caller_that_goes_away_withdraws(scene: Scene) -> None:
    """A CLI call that is killed while it waits is no longer there to approve."""
    world = scene.world
    held = subprocess.Popen(
        world.argv("api", "echo", "DELETE", "/echo", "--wait", "60"),
        env=world.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
    )
    ticket = _waiting(world)
    held.kill()
    held.wait()
    deadline = time.monotonic() + 10
    while world.must("approvals", "--json", proof=True).json and time.monotonic() < deadline:
        time.sleep(0.05)
    assert world.kv("approve", ticket, proof=True).status != 0
    assert not scene.upstream.requests


def test_admission_is_asked_once_for_a_session(world: World, scene: Scene) -> None:
    """Without `--admission always` a session's first read waits; after that the session reads freely."""
    world.connect("asked", scene.key, scene.upstream.port, scene.upstream.ca_pem, "--auth", "bearer")
    first = world.kv("api", "asked", "GET", "/echo", "--wait", "0", "--json")
    assert first.status == 4
    world.must("approve", first.json["pending"], "--scope", "session", proof=True)
    world.must("wait", first.json["pending"], "--json")
    assert world.must("api", "asked", "GET", "/echo", "--json").json["status"] == 200


def test_everything_ends_at_lock(scene: Scene) -> None:
    """`kv lock` ends the keeper: the next call is told that the vault is locked, with status 5."""
    world = scene.world
    world.must("lock")
    ran = world.kv("api", "echo", "GET", "/echo")
    assert ran.status == 5
    assert "kv unlock" in ran.err
    world.must("unlock", proof=True)
    assert world.must("api", "echo", "GET", "/echo", "--json").json["status"] == 200


def _waiting(world: World) -> str:
    """The id of the one call that waits."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        listed = world.must("approvals", "--json", proof=True).json
        if listed:
            return str(listed[0]["id"])
        time.sleep(0.05)
    raise AssertionError("nothing waits")
