"""A person at a terminal runs a program with a secret: one proof, and then it is like running the program itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from person import Person
from world import PASSPHRASE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from world import World

KEY = b"S3cr3t-value-very-long-0123456789abcdef"
PROMPT = ("Passphrase (hidden): ", PASSPHRASE.decode())


@pytest.fixture
def person(world: World) -> Iterator[Person]:
    """A person whose vault holds KEY."""
    world.store("KEY", KEY)
    with Person(world.folder, world.environment) as made:
        yield made


def test_a_proof_then_the_program_as_it_is(person: Person) -> None:
    """It has their environment and their terminal, its status is theirs, and the value is scrubbed all the same."""
    person.run("export MINE=yes")
    line = "kv run --secret KEY -- sh -c 'test -t 0 && test -t 1 && test -t 2 && echo $MINE ${#KEY} $KEY; exit 7'"
    status, text = person.run(line, PROMPT)
    assert (status, text.splitlines()[-1]) == (7, "yes 39 {{kv:KEY}}")


def test_typing_stopping_and_going_on_after_a_proof(person: Person) -> None:
    """The process that was proved in is a sheltered child: the shell's job control reaches it all the same."""
    person.type("kv run --secret KEY -- cat -u")
    person.read("Passphrase (hidden): ")
    person.type(PASSPHRASE.decode())
    person.type("first")
    person.find(r"first\r\n(.*\r\n)?first\r\n")
    person.press("z")
    person.find("Stopped")
    assert person.run("stty -a | grep -o -- '-\\?icanon'") == (0, "icanon\n")
    person.type("fg")
    person.find(r"-m kv")
    person.type("second")
    person.find(r"second\r\nsecond\r\n")
    person.press("c")
    assert person.run("true")[0] == 0
    assert person.run("stty -a | grep -o -- '-\\?icanon'") == (0, "icanon\n")


def test_a_refused_proof_starts_nothing(person: Person, world: World) -> None:
    """Three wrong passphrases."""
    wrong = [("Passphrase (hidden): ", "nonsense")] * 3
    status, _ = person.run("kv run --secret KEY -- touch ran", *wrong)
    assert status == 7
    assert not (world.folder / "ran").exists()
