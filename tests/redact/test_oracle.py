"""Redaction equals a redactor that only has to be right, however the stream is cut."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from redact import oracle
from redact.encoders import echoes

from kv.redact import Needles, Scrubber
from kv.redact.parts import parts
from kv.redact.stream import GEOMETRY, Geometry
from kv.redact.tally import Tally

if TYPE_CHECKING:
    from kv.redact import Database

# Windows and reach so small that a short text is many windows, and a find may be too long.
SMALL = Geometry(reach=400, window=67, quantum=16)


def loaded(secrets: dict[str, bytes]) -> Database:
    """The needles of these secrets, which are nothing but themselves and have harmless names."""
    needles = Needles()
    for name, value in secrets.items():
        assume(not any(parts(value)))
        needles.add(name, value, bits=100)
    database = needles.database()
    assume(all(database.marker(name) == f"{{{{kv:{name}}}}}".encode() for name in secrets))
    return database


def scrubbed(database: Database, chunks: list[bytes], geometry: Geometry = GEOMETRY) -> bytes:
    """What comes out of a scrubber."""
    scrubber = Scrubber(database, Tally(frozenset()), "body", geometry)
    return b"".join([*map(scrubber.feed, chunks), scrubber.flush()])


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(echoes(), st.lists(st.integers(0, 900), max_size=6))
def test_every_split_gives_what_the_oracle_gives(echo: tuple[dict[str, bytes], bytes], cuts: list[int]) -> None:
    """However a text is cut into chunks and windows, what comes out is the oracle's redaction of it, byte for byte."""
    secrets, text = echo
    database = loaded(secrets)
    bounds = [0, *sorted(cuts), len(text)]
    chunks = [text[start:end] for start, end in pairwise(bounds)]
    expected = oracle.redact(text, secrets, SMALL.reach)
    assert scrubbed(database, [text], SMALL._replace(window=1 << 20)) == expected
    assert scrubbed(database, [text], SMALL) == expected
    assert scrubbed(database, chunks, SMALL) == expected


@settings(max_examples=60)
@given(echoes())
def test_redacting_twice_changes_nothing(echo: tuple[dict[str, bytes], bytes]) -> None:
    """What has been redacted holds nothing more to redact, nor does what was put in."""
    secrets, text = echo
    database = loaded(secrets)
    once = scrubbed(database, [text])
    assert scrubbed(database, [once]) == once
