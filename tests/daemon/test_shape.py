"""From an outcome to what may be shown, where something else goes wrong: nothing comes before the verdict."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from nouns import a_plan

from brokers.contract import Outcome
from kv.daemon.aside import Aside
from kv.daemon.holdings import Holdings
from kv.daemon.save import Apart, SavedFile
from kv.daemon.shape import Desk, Shown, show
from kv.daemon.uses import Call
from kv.errors import KvError
from kv.redact import Needles

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from kv.redact import Database

WEAK = b"Winter-1903"
RIGHT, WRONG = b"it is Winter-1903 ".ljust(64, b"."), b"it is Winter-1904 ".ljust(64, b".")
PLENTY = 1 << 20


@pytest.fixture
def database() -> Database:
    """A vault whose one secret can be guessed; it is lent to no call here."""
    needles = Needles()
    needles.add("prod/ADMIN", WEAK, bits=20)
    needles.merge()
    return needles.database()


def _outcome(*chunks: bytes) -> Outcome:
    async def body() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    async def aclose() -> None:
        pass

    return Outcome({"status": 200, "headers": [["content-type", "text/plain"]]}, body(), aclose)


def _saved(database: Database, folder: Path, *chunks: bytes, most: int = PLENTY, spooled: int = PLENTY) -> Shown:
    """What a call shows that saves the chunks as `out`, where `most` bytes may be saved and `spooled` ones be held."""

    async def go() -> Shown:
        share = Holdings(spooled, spooled, "answers that are being saved").open("a")
        beneath, spool = os.open(folder, os.O_RDONLY | os.O_DIRECTORY), os.memfd_create("test")
        saved = SavedFile(beneath, "out", spool, share, Apart(Aside(1), Counter(), "a"), most)
        desk = Desk(database, Holdings(PLENTY, PLENTY, "answers").open("a"), Aside(1), saved)
        try:
            return await show(_outcome(*chunks), a_plan(), Call(connection="stripe", save="out"), desk)
        finally:
            saved.close()

    return asyncio.run(go())


def test_an_answer_is_measured_as_it_comes(database: Database, tmp_path: Path) -> None:
    """An answer that just fits is withheld for its guess, although its redacted form would not fit."""
    assert _saved(database, tmp_path, RIGHT, most=64).withheld
    assert not (tmp_path / "out").exists()
    assert not _saved(database, tmp_path, WRONG, most=64).withheld
    assert (tmp_path / "out").read_bytes() == WRONG


@pytest.mark.parametrize("bounds", [{"most": 40}, {"spooled": 40}])
def test_no_failure_to_save_comes_before_the_verdict(
    database: Database, tmp_path: Path, bounds: dict[str, int]
) -> None:
    """Too large, or no room: a right guess is withheld and counted, a wrong one ends in the failure."""
    assert _saved(database, tmp_path, RIGHT[:32], RIGHT[32:], **bounds).withheld
    with pytest.raises(KvError) as caught:
        _saved(database, tmp_path, WRONG[:32], WRONG[32:], **bounds)
    assert caught.value.code == ("save" if "most" in bounds else "busy")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_was_there_stays_as_it_was(database: Database, tmp_path: Path) -> None:
    """`save` makes new files only, and says so after the verdict."""
    (tmp_path / "out").write_bytes(b"mine")
    assert _saved(database, tmp_path, RIGHT).withheld
    with pytest.raises(KvError, match="exists already"):
        _saved(database, tmp_path, WRONG)
    assert (tmp_path / "out").read_bytes() == b"mine"


def test_what_is_read_is_bounded_with_the_body_that_was_sent(database: Database) -> None:
    """The body and the answer of a call are held together; where there is no room for both, a guess is judged first."""

    async def go(*chunks: bytes) -> Shown:
        share = Holdings(100, 100, "bodies and answers of calls").open("a")
        share.set(80)
        desk = Desk(database, share, Aside(1))
        return await show(_outcome(*chunks), replace(a_plan(), body=b"x" * 60), Call(connection="stripe"), desk)

    assert asyncio.run(go(RIGHT)).withheld
    with pytest.raises(KvError) as caught:
        asyncio.run(go(WRONG))
    assert caught.value.code == "busy"
    assert not asyncio.run(go(WRONG[:40])).withheld


def test_the_loop_breathes_between_chunks(database: Database) -> None:
    """Chunks that came at once do not keep others waiting until the last one was read."""

    async def go() -> int:
        seen = 0

        async def watch() -> None:
            nonlocal seen
            while True:
                seen += 1
                await asyncio.sleep(0)

        watcher = asyncio.create_task(watch())
        desk = Desk(database, Holdings(PLENTY, PLENTY, "answers").open("a"), Aside(1))
        await show(_outcome(*[b"text " * 10] * 50), a_plan(), Call(connection="stripe"), desk)
        watcher.cancel()
        return seen

    assert asyncio.run(go()) >= 49
