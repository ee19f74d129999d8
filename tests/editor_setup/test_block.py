"""A marked block in a text that people write."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from editor_setup import block
from editor_setup.contract import EditError, inverse, spliced

LINES = "# kv\n\nCredentials are used through kv.\n"
MADE = f"{block.BEGIN}\n# kv\n\nCredentials are used through kv.\n{block.END}\n"


def put(text: str, lines: str = LINES) -> str:
    """The text with the block."""
    return spliced(text, block.put(text, lines))


def drop(text: str) -> str:
    """The text without it."""
    return spliced(text, block.drop(text))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", MADE),
        ("# mine\n", f"# mine\n\n{MADE}"),
        ("# mine", f"# mine\n\n{MADE}"),
        ("# mine\r\n", f"# mine\r\n\r\n{MADE}".replace("\n", "\r\n").replace("\r\r", "\r")),
    ],
)
def test_it_stands_at_the_end_behind_an_empty_line(before: str, after: str) -> None:
    """In the text's own line ends; doing it twice changes nothing."""
    assert put(before) == after
    assert block.put(after, LINES) == []


def test_a_newer_one_takes_the_place_of_the_older() -> None:
    """Wherever a person moved it."""
    moved = f"above\n\n{MADE}\nbelow\n"
    assert put(moved, "new\n") == f"above\n\n{block.BEGIN}\nnew\n{block.END}\n\nbelow\n"


def test_what_a_person_wrote_around_it_stays() -> None:
    """Also what they wrote since."""
    assert drop(f"above\n\n{MADE}\nbelow\n") == "above\n\nbelow\n"
    assert drop("nothing of ours\n") == "nothing of ours\n"


@pytest.mark.parametrize(
    "text", [block.BEGIN, f"x\n{block.END}", f"{block.END}\n{block.BEGIN}", MADE + MADE, f"{MADE}{block.BEGIN}"]
)
def test_half_a_block_is_left_alone(text: str) -> None:
    """Neither edit is made."""
    for edit in (put, drop):
        with pytest.raises(EditError):
            edit(text)


@given(st.text(st.sampled_from("ab \n\r#<!-"), max_size=30), st.text(st.sampled_from("xy\n"), max_size=9))
def test_every_byte_can_be_taken_back(text: str, lines: str) -> None:
    """Whatever the text is; and dropped instead, what a person wrote is still there."""
    splices = block.put(text, lines)
    made = spliced(text, splices)
    assert block.put(made, lines) == []
    assert spliced(made, inverse(splices)) == text
    assert drop(made).rstrip("\r\n") == text.rstrip("\r\n")
