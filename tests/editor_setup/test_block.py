"""A marked block in a text that people write."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from editor_setup import block
from editor_setup.contract import EditError, inverse, spliced

MARKDOWN = block.MARKDOWN
LINES = "# kv\n\nCredentials are used through kv.\n"
MADE = f"{MARKDOWN.begin}\n# kv\n\nCredentials are used through kv.\n{MARKDOWN.end}\n"


def put(text: str, lines: str = LINES, marks: block.Marks = MARKDOWN) -> str:
    """The text with the block."""
    return spliced(text, block.put(text, lines, marks))


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
    assert put(moved, "new\n") == f"above\n\n{MARKDOWN.begin}\nnew\n{MARKDOWN.end}\n\nbelow\n"


def test_what_a_person_wrote_around_it_stays() -> None:
    """Also what they wrote since."""
    assert drop(f"above\n\n{MADE}\nbelow\n") == "above\n\nbelow\n"
    assert drop("nothing of ours\n") == "nothing of ours\n"


@pytest.mark.parametrize(
    "text",
    [MARKDOWN.begin, f"x\n{MARKDOWN.end}", f"{MARKDOWN.end}\n{MARKDOWN.begin}", MADE + MADE, f"{MADE}{MARKDOWN.begin}"],
)
def test_half_a_block_is_left_alone(text: str) -> None:
    """Neither edit is made."""
    for edit in (put, drop):
        with pytest.raises(EditError):
            edit(text)


@given(
    st.text(st.sampled_from("ab \n\r#<!-"), max_size=30),
    st.text(st.sampled_from("xy\n"), max_size=9),
    st.sampled_from([block.MARKDOWN, block.PATTERNS]),
)
def test_every_byte_can_be_taken_back(text: str, lines: str, marks: block.Marks) -> None:
    """Whatever the text and its kind are; and dropped instead, what a person wrote is still there."""
    splices = block.put(text, lines, marks)
    made = spliced(text, splices)
    assert block.put(made, lines, marks) == []
    assert spliced(made, inverse(splices)) == text
    assert spliced(made, block.drop(made, marks)).rstrip("\r\n") == text.rstrip("\r\n")


def test_patterns_have_marks_that_are_no_patterns() -> None:
    """Each mark is a comment on a line of its own, whether the text ended its last line or not."""
    assert put("dist/\n!x", ".env\n.env.*", block.PATTERNS) == "dist/\n!x\n\n# kv:begin\n.env\n.env.*\n# kv:end\n"
