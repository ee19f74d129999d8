"""A command line loads its own noun alone, so the table of nouns has to say every verb."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest
import typer

from kv.cli.app import NOUNS, build


def _verbs(app: typer.Typer) -> set[str]:
    return set(getattr(typer.main.get_command(app), "commands", {}))


@pytest.mark.parametrize("noun", sorted(NOUNS.keys() - {"elsewhere"}))
def test_the_table_has_what_the_noun_registers(noun: str) -> None:
    """And nothing else; each of its verbs is found by it."""
    app = typer.Typer()
    app.callback()(lambda: None)
    import_module(f"kv.cli.{noun}").register(app)
    assert _verbs(app) == set(NOUNS[noun])
    assert all(_verbs(build(verb)) == set(NOUNS[noun]) for verb in NOUNS[noun])


def test_an_unknown_verb_and_none_have_all() -> None:
    """So that the nearest one is proposed, and the help lists them."""
    every = {verb for verbs in NOUNS.values() for verb in verbs}
    assert every < _verbs(build()) == _verbs(build("sett"))


def test_a_verb_loads_no_other_noun_and_no_models() -> None:
    """What a command line costs is its own verb's."""
    script = (
        "import sys; from kv.cli.app import main; main(['ls', '--help']); "
        "print(sorted(n for n in sys.modules if n == 'pydantic' or n == 'kv.cli.setup'), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert (done.stderr, "usage" in done.stdout.lower()) == ("[]\n", True)
