"""Argon2id: what it computes, and what it refuses to compute."""

from __future__ import annotations

import itertools

import pytest
from argon2.low_level import Type, hash_secret_raw
from vault.world import code_of

from kv.vault import kdf
from kv.vault.kdf import CEILING, FLOOR, KdfParameters, calibrate, derive


@pytest.mark.parametrize("passphrase", [b"", b"correct horse", bytearray(b"\0\xff" * 500)])
def test_is_argon2id(passphrase: bytes | bytearray) -> None:
    """The key is that of the library's own raw hash, so that any Argon2id (version 0x13) opens a slot."""
    into = bytearray(32)
    derive(passphrase, b"0123456789abcdef", FLOOR, memoryview(into))
    raw = hash_secret_raw(bytes(passphrase), b"0123456789abcdef", FLOOR.passes, FLOOR.memory, FLOOR.lanes, 32, Type.ID)
    assert bytes(into) == raw


@pytest.mark.parametrize(
    "change",
    [
        {"memory": FLOOR.memory - 1},
        {"memory": CEILING.memory + 1},
        {"memory": 0},
        {"memory": 1 << 32},
        {"passes": FLOOR.passes - 1},
        {"passes": CEILING.passes + 1},
        {"lanes": FLOOR.lanes - 1},
        {"lanes": CEILING.lanes + 1},
        {"lanes": -1},
    ],
)
def test_bounds(change: dict[str, int]) -> None:
    """Costs below the floor or above the ceiling are refused before any work is done."""
    parameters = FLOOR._replace(**change)
    assert code_of(parameters.check) == "vault-kdf"
    assert code_of(lambda: derive(b"x", bytes(16), parameters, memoryview(bytearray(32)))) == "vault-kdf"
    assert FLOOR.check() == FLOOR
    assert CEILING.check() == CEILING


def _machine(monkeypatch: pytest.MonkeyPatch, speed: float, memory: int) -> KdfParameters:
    """The parameters for a machine that fills a GiB in 1/`speed` s and has `memory` KiB."""
    monkeypatch.setattr(kdf, "_memory", lambda: memory)
    monkeypatch.setattr(kdf, "_measure", lambda p, _: p.memory * p.passes / (1 << 20) / speed)
    return calibrate()


@pytest.mark.parametrize("speed", [0.3, 1.0, 1.7, 3.0, 6.0, 9.0])
def test_calibration(monkeypatch: pytest.MonkeyPatch, speed: float) -> None:
    """On machines of every speed an unlock takes 0.3 to 1 s, within bounds."""
    parameters = _machine(monkeypatch, speed, 64 << 20).check()
    seconds = parameters.memory * parameters.passes / (1 << 20) / speed
    assert 0.3 <= seconds <= 1.0


@pytest.mark.parametrize(("speed", "memory"), [(0.01, 64 << 20), (9.0, 1 << 17), (9.0, 0)])
def test_calibration_at_the_edges(monkeypatch: pytest.MonkeyPatch, speed: float, memory: int) -> None:
    """A slow or a small machine gets the floor's memory, never less; a small one pays in passes."""
    parameters = _machine(monkeypatch, speed, memory).check()
    assert parameters.memory == FLOOR.memory
    assert (parameters.passes > FLOOR.passes) is (speed > 1)


def test_calibration_measures() -> None:
    """It is real work that is timed."""
    ticks = itertools.count(0.0, 10.0)
    assert calibrate(lambda: next(ticks)) == FLOOR
