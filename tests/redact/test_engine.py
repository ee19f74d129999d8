"""The matcher finds every occurrence, and nothing else."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from kv.redact.engine import SHORTEST, AhoCorasick

PATTERNS = st.binary(min_size=SHORTEST, max_size=12) | st.text("abq7", min_size=SHORTEST, max_size=14).map(str.encode)


@settings(max_examples=100)
@given(st.lists(PATTERNS, unique=True, max_size=8), st.data())
def test_every_occurrence_is_found(patterns: list[bytes], data: st.DataObject) -> None:
    """Overlapping, nested and repeated occurrences are all reported, once each."""
    pieces = st.sampled_from(patterns) if patterns else st.just(b"")
    haystack = b"".join(data.draw(st.lists(pieces | st.text("abq7", max_size=9).map(str.encode), max_size=8)))
    expected = [
        (at, at + len(pattern), index)
        for index, pattern in enumerate(patterns)
        for at in range(len(haystack))
        if haystack[at : at + len(pattern)] == pattern
    ]
    assert sorted(AhoCorasick(patterns).find(haystack)) == sorted(expected)
