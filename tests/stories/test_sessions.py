"""What one session was given is nobody else's: tickets, results, grants, admissions."""

from __future__ import annotations

import select
import socket
from typing import TYPE_CHECKING

from raw import Raw

if TYPE_CHECKING:
    from scene import Scene
    from world import World

PENDING, DENIED, UNKNOWN = 4, 3, 6
WRITE = ("api", "echo", "POST", "/echo", "--json-body", '{"n":1}', "--wait", "0", "--json")


def test_another_session_cannot_take_up_a_ticket(scene: Scene) -> None:
    """A ticket's id is no authority: for another session it does not exist, before and after the approval."""
    world = scene.world
    ticket = world.kv(*WRITE).json["pending"]
    assert world.kv("wait", ticket, "--json", apart=True).status == UNKNOWN
    world.must("approve", ticket, proof=True)
    assert world.kv("wait", ticket, "--json", apart=True).status == UNKNOWN
    assert world.must("wait", ticket, "--json").json["status"] == 200


def test_who_hangs_up_before_being_told_of_the_card_leaves_none(scene: Scene) -> None:
    """A client that cannot be told that its call waits asked for nothing: no yes is left to be given."""
    for wait in (0, 60):
        with Raw(scene.world) as deaf:
            deaf.socket.shutdown(socket.SHUT_RD)
            deaf.send("call", {"connection": "echo", "method": "POST", "path": "/echo", "wait": wait})
            closed = select.poll()
            closed.register(deaf.socket, 0)  # POLLHUP, which comes unasked: the keeper has closed its end
            assert closed.poll(30_000)
    assert scene.world.must("approvals", "--json").json == []
    assert not scene.upstream.requests


def test_another_session_sees_no_waiting_calls(scene: Scene) -> None:
    """`kv approvals` without proof lists one's own only."""
    world = scene.world
    ticket = world.kv(*WRITE).json["pending"]
    assert [card["id"] for card in world.must("approvals", "--json").json] == [ticket]
    assert world.must("approvals", "--json", apart=True).json == []


def test_a_grant_does_not_cross_sessions(scene: Scene) -> None:
    """Writes granted to one session for an hour are asked about in another."""
    world = scene.world
    ticket = world.kv(*WRITE).json["pending"]
    world.must("approve", ticket, "--scope", "session", proof=True)
    world.must("wait", ticket)
    assert world.must(*WRITE[:5], '{"n":2}', "--json").json["status"] == 200
    assert world.kv(*WRITE, apart=True).status == PENDING


def test_a_grant_covers_neither_destroy_nor_another_connection(scene: Scene) -> None:
    """A granted write opens no DELETE, and no write elsewhere."""
    world = scene.world
    world.connect("other", scene.key, scene.upstream.port, scene.upstream.ca_pem)
    ticket = world.kv(*WRITE).json["pending"]
    world.must("approve", ticket, "--scope", "session", proof=True)
    assert world.kv("api", "echo", "DELETE", "/echo", "--wait", "0").status == PENDING
    assert world.kv("api", "other", "POST", "/echo", "--wait", "0").status == PENDING


def test_an_approval_is_void_when_policy_changed_meanwhile(scene: Scene) -> None:
    """A call that was shown under one policy is not approved under another."""
    world = scene.world
    ticket = world.kv(*WRITE).json["pending"]
    world.must("connect", "echo", "--preset", "strict", proof=True)
    _comes_too_late(world, ticket, "policy")
    told = world.kv("wait", ticket, "--json")
    assert (told.status, "the policy changed" in told.json["error"]["message"]) == (DENIED, True)
    assert not scene.upstream.requests


def _comes_too_late(world: World, ticket: str, why: str) -> None:
    """An approval is refused for that reason, or because the call has noticed it by itself and waits no longer."""
    ran = world.kv("approve", ticket, "--json", proof=True)
    code = ran.json["error"]["code"]
    assert (ran.status, code) in {(DENIED, "denied"), (UNKNOWN, "unknown-approval")}
    assert code == "unknown-approval" or why in ran.json["error"]["message"]


def test_an_approval_never_comes_after_the_sessions_end(scene: Scene) -> None:
    """The process whose session asked has ended: its waiting call can no longer be approved."""
    world = scene.world
    ticket = world.kv(*WRITE, apart=True).json["pending"]
    _comes_too_late(world, ticket, "session")
    assert not scene.upstream.requests


def test_a_projects_admission_ends_with_the_connection_it_was_for(scene: Scene) -> None:
    """Thirty days for this project are for the connection as it was: changed, it asks again, after a lock as well."""
    world = scene.world
    world.connect("asked", scene.key, scene.upstream.port, scene.upstream.ca_pem, "--auth", "bearer")
    first = world.kv("api", "asked", "GET", "/echo", "--wait", "0", "--json").json
    world.must("approve", first["pending"], "--scope", "project", proof=True)
    world.must("wait", first["pending"])
    world.must("lock")
    world.must("unlock", proof=True)
    assert world.must("api", "asked", "GET", "/echo", "--json").json["status"] == 200
    world.must(
        "connect", "asked", "--host", f"https://api.test:{scene.upstream.port}/", "--preset", "balanced", proof=True
    )
    world.must("lock")
    world.must("unlock", proof=True)
    assert world.kv("api", "asked", "GET", "/echo", "--wait", "0").status == PENDING


def test_three_denials_freeze_the_session(scene: Scene) -> None:
    """After three denials in five minutes a session gets nothing more, reads included; another one is not touched."""
    world = scene.world
    for number in range(3):
        ticket = world.kv(*WRITE[:5], f'{{"n":{number}}}', "--wait", "0", "--json").json["pending"]
        world.must("deny", ticket, proof=True)
    ran = world.kv("api", "echo", "GET", "/echo")
    assert ran.status == DENIED
    assert "frozen" in ran.err
    assert world.must("api", "echo", "GET", "/echo", "--json", apart=True).json["status"] == 200


def test_panic_stops_everything(scene: Scene) -> None:
    """`kv panic` needs no proof, ends the keeper and everything that waits."""
    world = scene.world
    world.kv(*WRITE)
    world.must("panic")
    assert world.kv("status", "--json").json["locked"] is True
    assert not scene.upstream.requests


def test_explain_decides_as_the_call_would(scene: Scene) -> None:
    """`kv explain` names the verdict and the rule, and performs nothing."""
    told = scene.world.must("explain", "echo", "DELETE", "/echo", "--json").json
    assert told["verdict"] == "ask"
    assert told["effect"] == "destroy"
    assert "destroy" in told["rule"]
    assert scene.world.must("explain", "echo", "GET", "/echo", "--json").json["verdict"] == "allow"
    assert not scene.upstream.requests
