"""The shell hand-off: a value for the shell of the session that asked, after a person's yes, once."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from raw import Raw

if TYPE_CHECKING:
    from world import World

PENDING, DENIED, UNKNOWN = 4, 3, 6
VALUE = b"hand-off \"value\" $HOME 'x' `id` 0123456789"


@pytest.fixture
def released(world: World) -> World:
    """A world with two secrets, whose hand-over to this session's shell was approved for the session."""
    world.store("prod/SHELL_KEY", VALUE)
    world.store("OTHER", b"another-value-0123456789")
    ticket = world.kv("get", "prod/SHELL_KEY", "OTHER", "--wait", "0", "--json").json["pending"]
    world.must("approve", ticket, "--scope", "session", proof=True)
    return world


def _shell(world: World, script: str) -> subprocess.CompletedProcess[bytes]:
    kv = f'kv() {{ "{sys.executable}" -m kv "$@"; }}\n'
    return subprocess.run(
        ["bash", "-c", kv + script],
        env=world.environment,
        cwd=world.folder,
        capture_output=True,
        timeout=60,
        check=False,
    )


def _token(world: World) -> str:
    line = world.must("get", "prod/SHELL_KEY", "OTHER").out
    found = re.search(r"take (\S+?)\)", line)
    assert found
    return found.group(1)


def test_nothing_is_handed_over_without_a_persons_yes(world: World) -> None:
    """The asking is a card that names the secret and says what a yes gives away; the answer holds no value."""
    world.store("SHELL_KEY", VALUE)
    ran = world.kv("get", "SHELL_KEY", "--wait", "0", "--json", "--reason", "deploy by hand")
    assert ran.status == PENDING
    card = ran.json["card"]
    assert (card["effect"], card["secrets"], card["reason"]) == ("release", ["SHELL_KEY"], "deploy by hand")
    assert any("can print the value" in text for _, text in card["details"])
    assert card["scopes"] == ["once", "session"]
    assert not world.leaked(VALUE)


def test_the_shell_has_the_values_and_no_channel_does(released: World) -> None:
    """`eval "$(kv get A B)"` sets both variables, whatever is in the values; what kv prints for it holds neither."""
    script = 'eval "$(kv get prod/SHELL_KEY OTHER)"; printf "%s|%s" "$SHELL_KEY" "$OTHER" >seen; env | grep -c ^OTHER='
    done = _shell(released, script)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"1\n", b"")
    assert (released.folder / "seen").read_bytes() == VALUE + b"|another-value-0123456789"
    line = released.must("get", "prod/SHELL_KEY", "OTHER").out
    assert line.count("\n") == 1
    assert not released.leaked(VALUE, [line])


def test_once_is_one_asking(world: World) -> None:
    """A yes for once gives one set of tokens; the next asks anew."""
    world.store("SHELL_KEY", VALUE)
    ticket = world.kv("get", "SHELL_KEY", "--wait", "0", "--json").json["pending"]
    world.must("approve", ticket, proof=True)
    assert "take" in world.must("get", "SHELL_KEY", "--wait", "0").out
    assert world.kv("get", "SHELL_KEY", "--wait", "0").status == PENDING


def test_a_token_is_good_once_and_the_second_taker_is_an_alarm(released: World) -> None:
    """Whoever comes second hears no value, and the person hears of it."""
    token = _token(released)
    assert released.must("take", token).out.encode() == VALUE
    released.seen.clear()
    ran = released.kv("take", token, "--json")
    assert (ran.status, ran.json["error"]["code"]) == (DENIED, "denied")
    alarms = released.must("audit", "list", "--alarms", "--json", proof=True).json
    assert any("a token that was used" in entry["title"] for entry in alarms)
    assert not released.leaked(VALUE)


def test_a_token_is_nothing_to_another_session(released: World) -> None:
    """Who overheard it gets an alarm instead of the value, and the token is void for everybody."""
    token = _token(released)
    released.seen.clear()
    assert released.kv("take", token, apart=True).status == DENIED
    assert released.kv("take", token).status == DENIED
    alarms = released.must("audit", "list", "--alarms", "--json", proof=True).json
    assert any("a token of another session" in entry["title"] for entry in alarms)
    assert not released.leaked(VALUE)


@pytest.mark.parametrize("token", ["", "x", "A" * 64])
def test_a_guessed_token_is_unknown(released: World, token: str) -> None:
    """It has 128 bits, and a wrong one says nothing."""
    with Raw(released) as raw:
        error = raw.ask("take", {"token": token})["error"]
    assert error["code"] == "token-unknown"


def test_a_high_secret_is_handed_to_nobody(world: World) -> None:
    """Its class refuses it, without a card."""
    world.store("ROOT_KEY", VALUE, "--class", "high")
    ran = world.kv("get", "ROOT_KEY", "--wait", "0", "--json")
    assert (ran.status, ran.json["error"]["code"]) == (DENIED, "denied")
    assert world.must("approvals", "--json").json == []


def test_a_secret_that_became_high_meanwhile_is_not_handed_over(released: World) -> None:
    """What is decided at the end is decided on what is then."""
    token = _token(released)
    released.store("prod/SHELL_KEY", VALUE, "--class", "high")
    released.seen.clear()
    assert released.kv("take", token).status == DENIED
    assert not released.leaked(VALUE)


def test_the_audit_has_who_took_what(released: World) -> None:
    """A release each, with the secret's name and the approval, and no value."""
    released.must("take", _token(released))
    entries = released.must("audit", "list", "--json", proof=True).json
    taken = [entry for entry in entries if entry["verb"] == "take" and entry["kind"] == "intend"]
    assert [(entry["effect"], entry["names"]) for entry in taken] == [("release", ["prod/SHELL_KEY"])]
    assert not released.leaked(VALUE, [str(entries)])


def test_a_fingerprint_tells_values_apart_and_nothing_of_them(world: World) -> None:
    """Equal for equal values of one vault, different for others; and no eight letters of the value are in it."""
    world.store("A", VALUE)
    world.store("B", VALUE)
    world.store("C", VALUE + b".")
    a, b, c = (world.must("peek", name).out.strip() for name in "ABC")
    assert a == b != c
    assert re.fullmatch(r"([0-9a-f]{4}-){4}[0-9a-f]{4}", a)
    world.must("rotate", "A", "--stdin", stdin=b"rotated-value-0123456789", proof=True)
    assert world.must("peek", "A").out.strip() != a
