"""The plan of a run: everything that decides what happens is in it, and the card says what a yes gives away."""

from __future__ import annotations

from typing import Any

import pytest

from kv.daemon.release import command
from kv.daemon.release.command import Manner, Place
from kv.daemon.release.program import Program
from kv.daemon.schema import Lent
from kv.errors import KvError

PROGRAM = Program("/usr/bin/npm", (1, 2, 3, 4, 5), "d" * 64, ours=False, script=True)
PARTS: dict[str, Any] = {
    "argv": ["npm", "test"],
    "program": PROGRAM,
    "place": Place("/home/ada/shop", (7, 8)),
    "environment": {"PATH": "/usr/bin", "CI": "1"},
    "lent": [Lent(name="prod/STRIPE_KEY", via="env", to="STRIPE_KEY")],
    "manner": Manner(person=False, redact=True, timeout=0.0),
}


@pytest.mark.parametrize(
    "other",
    [
        {"argv": ["npm", "test", "--"]},
        {"program": PROGRAM._replace(path="/opt/npm")},
        {"program": PROGRAM._replace(digest="e" * 64)},
        {"program": PROGRAM._replace(pin=(1, 9, 3, 4, 5))},
        {"place": Place("/home/ada/shop", (7, 9))},
        {"place": Place("/home/ada/other", (7, 8))},
        {"environment": {"PATH": "/usr/bin", "CI": "2"}},
        {"environment": {"PATH": "/usr/bin"}},
        {"lent": [Lent(name="prod/STRIPE_KEY", via="env", to="STRIPE")]},
        {"lent": [Lent(name="dev/STRIPE_KEY", via="env", to="STRIPE_KEY")]},
        {"lent": [Lent(name="prod/STRIPE_KEY", via="file", to="STRIPE_KEY")]},
        {"lent": [Lent(name="prod/STRIPE_KEY", via="stdin")]},
        {"lent": [*PARTS["lent"], Lent(name="MORE", via="env", to="MORE")]},
        {"manner": Manner(person=True, redact=True, timeout=0.0)},
        {"manner": Manner(person=False, redact=False, timeout=0.0)},
        {"manner": Manner(person=False, redact=True, timeout=1.0)},
    ],
    ids=lambda other: f"{other}"[:40],
)
def test_whatever_changes_is_another_plan(other: dict[str, Any]) -> None:
    """An approval of one is none of the other."""
    assert command.plan(**PARTS).digest() == command.plan(**PARTS).digest()
    assert command.plan(**{**PARTS, **other}).digest() != command.plan(**PARTS).digest()


def test_the_card_of_an_agents_run_says_what_it_gives_away() -> None:
    """Which secret in which variable, to which program in which folder; and that the agent can edit what runs there."""
    plan = command.plan(**PARTS)
    told = dict(plan.details)
    assert plan.title == "npm test"
    assert told["in"] == "/home/ada/shop"
    assert told["program"] == "/usr/bin/npm"
    assert told["gives"] == "prod/STRIPE_KEY as $STRIPE_KEY"
    assert told["beware"] == (
        "code in this folder, which the agent can edit, will hold this; outside the agent's sandbox"
    )


def test_the_card_says_so_where_the_program_itself_can_be_changed() -> None:
    """A program below the folder is the agent's to write."""
    told = dict(command.plan(**{**PARTS, "program": PROGRAM._replace(ours=True)}).details)
    assert told["program"] == "/usr/bin/npm   (programs of this user can change it)"


def test_a_persons_run_says_that_it_takes_their_environment() -> None:
    """And that nothing is taken out of its output, where that is so."""
    told = dict(command.plan(**{**PARTS, "manner": Manner(person=True, redact=False, timeout=0.0)}).details)
    assert told["environment"] == "of the shell that it is run from: 2 variables"
    assert "nothing is taken out" in told["output"]


@pytest.mark.parametrize(
    ("via", "to"),
    [
        *[("env", name) for name in ("", "A B", "1A", "A=B", "LD_PRELOAD", "PATH", "path", "BASH_ENV", "NODE_OPTIONS")],
        *[("env", name) for name in ("GIT_CONFIG_COUNT", "KV_VAULT", "PYTHONPATH", "A\n")],
        *[("file", path) for path in ("", "/etc/passwd", "../x", "a/../b", "a//b", "./a", "a/")],
        *[("fd", number) for number in ("0", "2", "256", "03", "-1", "3 ", "²", "x")],
        ("stdin", "x"),
    ],
)
def test_a_secret_has_a_proper_place(via: Any, to: str) -> None:  # noqa: ANN401 - one of a literal type
    """No variable that leads a program, no file outside the folder, no descriptor that is taken."""
    with pytest.raises(KvError) as caught:
        command.check_lent([Lent(name="A", via=via, to=to)])
    assert caught.value.code == "bad-argument"


def test_two_secrets_do_not_share_a_place() -> None:
    """Which one counts would be nobody's decision."""
    with pytest.raises(KvError):
        command.check_lent([Lent(name="A", via="env", to="X"), Lent(name="B", via="env", to="X")])
    command.check_lent([Lent(name="A", via="env", to="X"), Lent(name="A", via="file", to="X")])


def test_a_runner_is_told_what_stands_in_the_plan() -> None:
    """The order is made of the plan that was judged; values are told by their size alone."""
    plan = command.plan(**PARTS)
    told = command.order(plan, PROGRAM, PARTS["lent"], [12])
    assert told["argv"] == ["npm", "test"]
    assert told["executable"] == "/usr/bin/npm"
    assert told["pin"] == [1, 2, 3, 4, 5]
    assert told["folder"] == [7, 8]
    assert told["environment"] == PARTS["environment"]
    assert told["lent"] == [{"name": "prod/STRIPE_KEY", "via": "env", "to": "STRIPE_KEY", "size": 12}]
    assert (told["redact"], told["prompt"], told["privileges"]) == (True, False, False)
