"""Guessing at a secret that was not lent: what an agent can print, select, save and read in its own audit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from scene import Scene

DENIED, USAGE = 3, 2
WEAK = b"Winter-1903"


@pytest.fixture
def guessing(scene: Scene) -> Scene:
    """A scene whose vault also holds a guessable secret, and a session that may write to `echo`."""
    world = scene.world
    world.store("prod/ADMIN", WEAK)
    world.must("connect", "echo", "--preset", "relaxed", proof=True)
    return scene


def _echo(scene: Scene, guess: str, *options: str, cwd: Path | None = None) -> tuple[int, str]:
    body = json.dumps({"a": ["x", guess]})
    ran = scene.world.kv("api", "echo", "POST", "/echo", "--json-body", body, "--json", *options, cwd=cwd)
    return ran.status, ran.all


def test_a_right_guess_is_withheld_whatever_is_selected(guessing: Scene) -> None:
    """An expression that fails on the redacted text does not come before the verdict: it would tell, uncounted."""
    status, said = _echo(guessing, WEAK.decode(), "--select", "contains(to_string(@), '{{kv') && abs(method)")
    assert (status, "withheld" in said) == (DENIED, True)
    status, said = _echo(guessing, "Winter-1904", "--select", "abs(method)")
    assert (status, "withheld" in said) == (USAGE, False)


def test_a_withheld_result_leaves_no_count_and_no_file(guessing: Scene) -> None:
    """Neither one's own audit nor the working folder tells more of a withheld result than that it was withheld."""
    world = guessing.world
    work = world.folder / "work"
    work.mkdir()
    status, _ = _echo(guessing, " ".join([WEAK.decode()] * 7), "--save", "out.json", cwd=work)
    assert status == DENIED
    assert list(work.iterdir()) == []
    entries = world.must("audit", "list", "--json").json
    withheld = [entry for entry in entries if entry.get("outcome") == "withheld"]
    assert withheld
    assert all(not entry.get("redactions") for entry in withheld)


def test_three_right_guesses_freeze_the_session(guessing: Scene) -> None:
    """The fourth call of a session that confirmed three guesses is refused, and an alarm is in the audit."""
    for _ in range(3):
        assert _echo(guessing, WEAK.decode())[0] == DENIED
    ran = guessing.world.kv("api", "echo", "GET", "/echo")
    assert (ran.status, "frozen" in ran.err) == (DENIED, True)
    assert "alarm" in str(guessing.world.must("audit", "list", "--json", proof=True).json)


def test_a_weak_password_in_a_long_value_is_guarded_too(scene: Scene) -> None:
    """A DSN is no harder to guess than its password: echoed whole by a guesser, it is withheld."""
    world = scene.world
    world.store("prod/DSN", b"postgresql://orders_service:Summer2024!@orders-db.internal:5432/orders")
    world.must("connect", "echo", "--preset", "relaxed", proof=True)
    status, said = _echo(scene, "postgresql://orders_service:Summer2024!@orders-db.internal:5432/orders")
    assert (status, "withheld" in said) == (DENIED, True)
