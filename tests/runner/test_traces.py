"""What a run leaves in its folder: told by name, within bounds."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from kv.runner import traces
from kv.runner.known import Known
from kv.runner.traces import Search

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VALUE, OTHER, WEAK = b"sk_live_4eC39HqLyjWDarjtT1zdp7dc", b"another-Strong-Value-9f8e7d6c5b4a", b"hunter2-password"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    """The working folder, as a descriptor."""
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def search(since: int = 0) -> Search:
    """Of a run that was lent K, in a vault that also holds a strong and a weak secret."""
    slash = OTHER[:9] + b"/" + OTHER[9:]
    held = (("K", VALUE, 128), ("OTHER", OTHER, 128), ("SLASH", slash, 128), ("WEAK", WEAK, 30))
    known = Known((name, value, bits, []) for name, value, bits in held)
    return Search(known.database(["K"]), frozenset({"K"}), since)


def test_files_with_a_secret_in_any_encoding_are_found(folder: int, tmp_path: Path) -> None:
    """What was lent and what is strong; a guess at something weak is not confirmed."""
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "a").write_bytes(b"x" * 200_000 + VALUE.hex().encode())
    (tmp_path / "both").write_bytes(VALUE + b"\n" + OTHER)
    (tmp_path / "weak").write_bytes(WEAK)
    (tmp_path / "none").write_bytes(b"nothing")
    found = {trace.path: trace.names for trace in search().look(folder)}
    assert found == {"both": ("K", "OTHER"), "deep/er/a": ("K",)}


def test_names_that_hold_a_secret_are_found_once_where_they_begin(folder: int, tmp_path: Path) -> None:
    """A folder's, a link's, a file's; across folders where a value has a slash, and in any encoding."""
    (tmp_path / VALUE.decode() / "below").mkdir(parents=True)
    (tmp_path / VALUE.decode() / "below" / "m.pyc").write_bytes(b"x")
    (tmp_path / "way" / OTHER[:9].decode() / OTHER[9:].decode()).mkdir(parents=True)
    (tmp_path / WEAK.decode()).write_bytes(b"x")
    (tmp_path / f"a{VALUE.hex()}.log").symlink_to("nowhere")
    traces = search().look(folder)
    assert {(trace.path, trace.names) for trace in traces} == {
        (VALUE.decode(), ("K",)),
        (f"a{VALUE.hex()}.log", ("K",)),
        (f"way/{OTHER[:9].decode()}/{OTHER[9:].decode()}", ("SLASH",)),
    }
    assert all(trace.named for trace in traces)


def test_old_names_are_left_alone(folder: int, tmp_path: Path) -> None:
    """What was named so before the run is not of it."""
    (tmp_path / VALUE.decode()).write_bytes(b"x")
    time.sleep(0.05)
    assert search(time.time_ns()).look(folder) == []


def test_old_files_links_pipes_and_git_are_left_alone(folder: int, tmp_path: Path) -> None:
    """Nothing that was there before, nothing that leads out, nothing that would wait."""
    (tmp_path / "old").write_bytes(VALUE)
    time.sleep(0.05)
    since = time.time_ns()
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "x").write_bytes(VALUE)
    (tmp_path / "link").symlink_to("old")
    (tmp_path / "out").symlink_to("/")
    os.mkfifo(tmp_path / "pipe")
    assert search(since).look(folder) == []


@pytest.mark.parametrize(("name", "least"), [("_ENTRIES", 3), ("_BYTES", 10), ("_SECONDS", -1.0)])
def test_a_bound_ends_the_search_and_is_told(
    folder: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, least: float
) -> None:
    """Entries, bytes or time: what was found so far stands, and that there may be more."""
    for number in range(8):
        (tmp_path / str(number)).write_bytes(b"some text")
    whole = search()
    whole.look(folder)
    assert whole.complete
    monkeypatch.setattr(traces, name, least)
    bounded = search()
    bounded.look(folder)
    assert not bounded.complete
