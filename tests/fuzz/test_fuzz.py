"""Every reader of others' bytes holds against garbage for a moment, and the fuzzer finds what it is there to find."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from fuzz import run
from fuzz.mutate import VALUES, as_json, mutated, mutated_tree
from fuzz.sockets import REQUESTS
from fuzz.target import Target, kv_target
from fuzz.targets import TARGETS

from kv import wire
from kv.daemon.requests import VERBS, decode
from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = Path(run.__file__).parent
SEEDS = [wire.encode({"verb": "status", "args": {"a": [1, 2.5, None]}, "client": "cli"}, b"body")]
LINE = re.compile(r"^([a-z.]+) +seed 7: +([\d,]+) accepted +([\d,]+) refused$", re.MULTILINE)


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_garbage_is_accepted_or_refused(name: str) -> None:
    """Two seconds of it: every part of a target is reached, lets inputs in or keeps them out, and does nothing else."""
    done = subprocess.run(
        [sys.executable, str(FOLDER), name, "--seconds", "2", "--seed", "7"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    parts = {
        part: (int(let.replace(",", "")), int(kept.replace(",", ""))) for part, let, kept in LINE.findall(done.stdout)
    }
    assert {part.partition(".")[0] for part in parts} == {name}
    assert len(parts) >= 3
    assert sum(let for let, _ in parts.values()) > 0
    assert sum(kept for _, kept in parts.values()) > 0
    assert 0 not in {sum(counts) for counts in parts.values()}


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda each: f"{each['verb']}-{each['client']}")
def test_garbage_begins_with_good_requests(request_: dict[str, Any]) -> None:
    """What is spoilt is a request that was good before: one that is refused at once reaches nothing behind that."""
    verb = VERBS[request_["verb"]]
    assert decode(request_, b"", "kv").verb is verb
    if verb.agents and "proof" not in request_:
        assert decode(request_, b"", "agent").verb is verb


def _reads(random: Random) -> None:
    decoder = wire.Decoder()
    header = as_json(random, mutated_tree(random, {"verb": "status", "args": {}, "client": "cli", "n": 1}))
    decoder.feed(len(header).to_bytes(4, "big") + header)
    decoder.next()


def _with_an_index(random: Random) -> None:
    mutated(random, SEEDS)[8]


def _with_another_code(random: Random) -> None:
    if len(mutated(random, SEEDS)) > 100:
        raise KvError("internal", id="planted")


def _with_no_end(random: Random) -> None:
    while b"verb" not in mutated(random, SEEDS):
        while True:
            pass


def _with_no_bound(random: Random) -> None:
    if b"verb" not in mutated(random, SEEDS):
        raise MemoryError


PLANTED: dict[str, tuple[Callable[[Random], None], type[BaseException]]] = {
    "an exception that nobody declared": (_with_an_index, IndexError),
    "a code that this reader has not": (_with_another_code, KvError),
    "work without end": (_with_no_end, run.TooLongError),
    "memory without bound": (_with_no_bound, MemoryError),
}


@pytest.mark.parametrize("defect", PLANTED)
def test_a_planted_defect_is_found_and_found_again(defect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever breaks the property ends the run with the input's number, and that number alone shows it again."""
    monkeypatch.setattr(run, "CPU_SECONDS", 0.2)
    act, error = PLANTED[defect]
    target = kv_target("planted.one", act, "bad-frame")
    found = run.fuzz(target, seed=7, seconds=20).found
    assert found is not None
    assert type(found[1]) is error
    again = run.fuzz(target, seed=7, seconds=0, only=found[0])
    assert again.accepted + again.refused == 0
    assert again.found is not None
    assert type(again.found[1]) is error


def test_a_defect_planted_in_the_codec_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were the codec to rely on a member that it did not look for, a frame without it would be found."""
    assert run.fuzz(kv_target("planted.codec", _reads, "bad-frame"), seed=7, seconds=0.5).found is None
    parse = wire.parse_header

    def forgetful(text: bytes) -> dict[str, object]:
        header = parse(text)
        return {**header, "body": len(header["args"])}  # type: ignore[arg-type]  # the defect

    monkeypatch.setattr(wire, "parse_header", forgetful)
    found = run.fuzz(kv_target("planted.codec", _reads, "bad-frame"), seed=7, seconds=20).found
    assert found is not None
    assert isinstance(found[1], KeyError | TypeError)


def test_the_command_says_what_it_found(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """It ends with status 1, the exception, its place, and the command that shows it again."""
    monkeypatch.setattr(run, "_limit_memory", lambda: None)
    monkeypatch.setitem(TARGETS, "wire", lambda: [Target("wire.planted", _with_an_index, (KvError,))])
    assert run.main(["wire", "--seconds", "20", "--seed", "7"]) == 1
    said = capsys.readouterr().out
    assert "FOUND: IndexError at input" in said
    again = re.search(r"again: python tests/fuzz wire --seed 7 --only (\d+)$", said, re.MULTILINE)
    assert again is not None
    assert "_with_an_index" in said
    assert run.main(["wire", "--seed", "7", "--only", again[1]]) == 1


def test_memory_is_bounded() -> None:
    """What asks for more than the bound gets an error instead of the machine."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from fuzz import run, target; run._limit_memory();"
        "one = target.Target('x.y', lambda random: bytes(2 * run.MEMORY), (ValueError,));"
        "print(type(run.fuzz(one, seed=0, seconds=5).found[1]).__name__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(FOLDER.parent)], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.stdout == "MemoryError\n", done.stderr


def test_the_same_seed_gives_the_same_inputs() -> None:
    """An input is made of its seed and number and nothing else."""

    def made(seed: int) -> list[object]:
        random = Random(seed)  # noqa: S311 - it makes garbage, no secrets
        return [(mutated(random, SEEDS), repr(mutated_tree(random, {"a": [1, {"b": 2}]}))) for _ in range(500)]

    values = repr(VALUES)
    assert made(1) == made(1)
    assert made(1) != made(2)
    assert repr(VALUES) == values  # an input that changed them would change every later one
