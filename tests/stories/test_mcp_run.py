"""`kv_run` over MCP: a program with a secret in its environment, for a model that never holds it."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import pytest
from agent import IMPATIENT, play

if TYPE_CHECKING:
    from agent import Agent
    from world import World

VALUE = b"kv-run-over-mcp-7Qm2Zx81"
ECHO = ["sh", "-c", 'printf "%s\\n" "$TOKEN"; echo "$TOKEN" >&2; cat; exit 3']
ARGS = {"argv": ECHO, "secrets": ["prod/TOKEN"]}


@pytest.fixture
def lent(world: World) -> World:
    """A world with a secret."""
    world.store("prod/TOKEN", VALUE)
    return world


async def _approved(one: Agent, **args: object) -> dict[str, Any]:
    """Start it, have a person say yes for the session, and take up what became of it."""
    told = (await one.call("kv_run", **{**ARGS, **args})).json
    ident = str(told["say"]).split("kv approve ")[1][:4]
    await asyncio.to_thread(one.world.must, "approve", ident, "--scope", "session", proof=True)
    return await _end(one, told)


async def _end(one: Agent, told: dict[str, Any]) -> dict[str, Any]:
    while "pending" in told:
        told = (await one.call("kv_wait", ticket=told["pending"])).json
    return told


def test_a_program_runs_after_a_yes_and_its_output_comes_back_without_the_secret(lent: World) -> None:
    """Both streams apart, standard input, the exit status; the value on no channel of the model's."""

    async def story(one: Agent) -> None:
        told = await _approved(one, stdin="typed")
        assert told == {
            "untrusted": True,
            "source": "run",
            "exit": 3,
            "signal": 0,
            "timeout": False,
            "body": {"stdout": "{{kv:prod/TOKEN}}\ntyped", "stderr": "{{kv:prod/TOKEN}}\n"},
        }

    play(lent, story, serve=IMPATIENT)
    assert not lent.leaked(VALUE)


def test_the_model_is_told_how_a_person_can_say_yes(lent: World) -> None:
    """The sentence is the one to repeat to the user, and kv_wait has the rest."""

    async def story(one: Agent) -> None:
        told = (await one.call("kv_run", **ARGS, reason="deploy")).json
        assert "ask the user to run:  kv approve" in told["say"]
        assert told["say"].endswith("take it up with kv_wait")
        card = lent.must("approvals", "--all", "--json", proof=True).json[0]
        assert (card["reason"], card["secrets"]) == ("deploy", ["prod/TOKEN"])

    play(lent, story, serve=IMPATIENT)


def test_a_no_ends_it(lent: World) -> None:
    """The model hears that a person denied it; nothing was started."""

    async def story(one: Agent) -> None:
        told = (await one.call("kv_run", **{**ARGS, "argv": ["touch", "made"]})).json
        lent.must("deny", str(told["say"]).split("kv approve ")[1][:4], proof=True)
        assert "a person denied" in (await one.call("kv_wait", ticket=told["pending"])).error

    play(lent, story, serve=IMPATIENT)
    assert not (lent.folder / "made").exists()


def test_the_working_folder_is_the_models_to_name(lent: World, tmp_path: Path) -> None:
    """Relative to where the server was started; one that is not there is an error of its own."""
    (tmp_path / "below").mkdir()

    async def story(one: Agent) -> None:
        told = await _approved(one, argv=["pwd"], cwd="below")
        assert told["body"]["stdout"].strip() == str(tmp_path / "below")
        assert "working folder cannot be used" in (await one.call("kv_run", **ARGS, cwd="nowhere")).error

    play(lent, story, serve=IMPATIENT)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"argv": []}, "argument 'argv' is refused"),
        ({"argv": ["x", 1]}, "argument 'argv' is refused"),
        ({"argv": "npm test"}, "argument 'argv' is refused"),
        ({"secrets": []}, "argument 'secrets' is refused"),
        ({"secrets": ["NO_SUCH"]}, "no secret"),
        ({"secrets": ["prod/TOKEN=LD_PRELOAD"]}, "argument 'env' is refused"),
        ({"argv": ["no-such-program"]}, "command not found"),
        ({"argv": ["/etc"]}, "it is a folder"),
        ({"timeout": -1}, "argument 'timeout' is refused"),
        ({"env": {"A": "b"}}, "there is an unknown one"),
    ],
)
def test_what_cannot_be_run_is_refused_in_kvs_own_words(lent: World, change: dict[str, object], says: str) -> None:
    """Before a person is asked."""

    async def story(one: Agent) -> None:
        assert says in (await one.call("kv_run", **{**ARGS, **change})).error

    play(lent, story, serve=IMPATIENT)
    assert lent.must("approvals", "--all", "--json", proof=True).json == []


def test_a_long_output_keeps_its_head_and_its_tail(lent: World) -> None:
    """What is left out between them is said, and the parts come by kv_wait."""
    script = "import sys; sys.stdout.write('begin\\n' + 'x' * (3 << 20) + '\\nthe end\\n')"

    async def story(one: Agent) -> None:
        told = await _approved(one, argv=[sys.executable, "-c", script])
        whole = str(told["body"])
        while told["more"]:
            told = (await one.call("kv_wait", **told["more"])).json
            whole += str(told["body"])
        assert whole.startswith('{"stdout":"begin')
        assert "bytes are left out" in whole
        assert "the end" in whole
        assert len(whole) < 2 << 20

    play(lent, story, serve=IMPATIENT)


def test_a_program_ends_when_the_model_is_gone(lent: World, tmp_path: Path) -> None:
    """Its connection's end is the program's end."""

    async def story(one: Agent) -> None:
        argv = ["sh", "-c", "echo $$ >pid; exec sleep 600"]
        told = (await one.call("kv_run", **{**ARGS, "argv": argv})).json
        await asyncio.to_thread(one.world.must, "approve", str(told["say"]).split("kv approve ")[1][:4], proof=True)
        while told["say"] != "it runs; take it up with kv_wait":
            told = (await one.call("kv_wait", ticket=told["pending"])).json
        await asyncio.to_thread(_written, tmp_path / "pid")

    play(lent, story, serve=IMPATIENT)
    pid = (tmp_path / "pid").read_text().strip()
    _gone(pid)


def _written(path: Path) -> None:
    until = monotonic() + 30
    while not path.exists() or not path.read_text():
        assert monotonic() < until, "it has not begun"
        sleep(0.05)


def _gone(pid: str) -> None:
    until = monotonic() + 30
    while Path(f"/proc/{pid}").exists():
        assert monotonic() < until, "the program still runs"
        sleep(0.05)


def test_what_is_refused_or_never_fetched_leaves_nothing_behind(lent: World) -> None:
    """Neither a descriptor nor a place: the next program starts as the first did."""

    async def story(one: Agent) -> None:
        await _approved(one, argv=["true"])
        before = _descriptors()
        for _ in range(20):
            assert "no secret" in (await one.call("kv_run", argv=["true"], secrets=["NO_SUCH"])).error
            await one.call("kv_run", **{**ARGS, "argv": ["true"]})
        assert (await _approved(one, argv=["sh", "-c", "exit 5"]))["exit"] == 5
        assert _descriptors() <= before + 3

    play(lent, story, serve=IMPATIENT)


def _descriptors() -> int:
    """What the server below us has open."""
    (server,) = [pid for pid in _below(os.getpid()) if b"kv.mcp" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return len(list(Path(f"/proc/{server}/fd").iterdir()))


def _below(pid: int) -> list[int]:
    found = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [*found, *(each for child in found for each in _below(child))]
