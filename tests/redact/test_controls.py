"""What a terminal obeys and an eye cannot see is removed, and nothing passes by it (R-INJ)."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kv.redact import Needles, Redaction, strip_controls

VALUE = "sk_live_4eC39HqLyjWDarjtT1zdp7dc"


def redaction(value: str = VALUE) -> Redaction:
    """Of a call that was lent K."""
    needles = Needles()
    needles.add("K", value.encode(), bits=128)
    return Redaction(needles.database(), ["K"])


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("plain\ttext\nnext línea 漢字 🙂", "plain\ttext\nnext línea 漢字 🙂"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b1;31mred\x9bm", "red"),
        ("\x1b[2J\x1b[1;1Hgone", "gone"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;https://evil.test\x1b\\click\x1b]8;;\x1b\\", "click"),
        ("\x1b]52;c;c2VjcmV0\x9ctext", "text"),
        ("\x1bPq#0;2;0;0;0\x1b\\text", "text"),
        ("\x1b_command\x1b\\text\x1b^x\x07", "text"),
        ("\x1b(0\x1bctext\x1b=", "text"),
        ("a\rb\x08c\x00d\x7fe\x85f\x0b", "abcdef"),
        ("pass\u202edrow\u202c", "passdrow"),
        ("a\u200bb\u200cc\u200dd\u2060e\ufefff\u00adg", "abcdefg"),
        ("hi\U000e0041\U000e0042\U000e007f", "hi"),
        ("x\ufe0fy\u3164z", "xyz"),
    ],
)
def test_controls_go_and_text_stays(text: str, left: str) -> None:
    """Escape sequences, C0 and C1, bidi and invisible characters go; tab, line feed and every script stay."""
    assert strip_controls(text) == left


@pytest.mark.parametrize("opening", ["\x1b]0;", "\x1b[", "\x1bP", "\x9d", "\x1b"])
def test_an_unended_sequence_swallows_nothing(opening: str) -> None:
    """An upstream cannot hide the rest of a text behind a sequence it never ends."""
    rest = "0123456789 " * 1000
    assert strip_controls(opening + rest + "\nTHE END").endswith("0123456789 \nTHE END")


@pytest.mark.parametrize("unit", ["\x9d", "\x1b]", "\x9b0", "\x1b[", "\x1b[0 ", "\x1b", "\x90a", "\u200b"])
def test_stripping_is_linear(unit: str) -> None:
    """A megabyte of beginnings takes no minute."""
    strip_controls(unit * 300_000)


@settings(max_examples=200)
@given(st.text(st.sampled_from("\x1b[]P0;m\x07\\\x9b\x9c\x9d\x90\u200b\u202eab \n"), max_size=40))
def test_stripping_twice_changes_nothing(text: str) -> None:
    """What was stripped holds no control that stripping could have made."""
    once = strip_controls(text)
    assert strip_controls(once) == once
    assert not any(character in once for character in "\x1b\x9b\x9c\x9d\x90\u200b\u202e\x07")


@pytest.mark.parametrize(
    "inserted", ["\u200b", "\u202e", "\x1b[0m", "\x1b]0;x\x07", "\u00ad", "\ufeff", "\x08", "\U000e0041"]
)
def test_a_value_that_stripping_makes_whole_is_redacted(inserted: str) -> None:
    """An echo with invisible characters in the value passes a scan, is made whole by stripping, and redacted still."""
    echo = f"key {inserted.join(VALUE)}!"
    assert redaction().present(echo, "body") == "key {{kv:K}}!"


def test_a_value_that_holds_what_is_stripped_is_redacted() -> None:
    """A value with an invisible character in it is redacted before stripping would make it another."""
    value = "pass\u200bword\u200b1234\u202e"
    assert redaction(value).present(f"<{value}>", "body") == "<{{kv:K}}>"


def test_what_is_presented_is_stripped_and_redacted() -> None:
    """Presenting leaves neither controls nor values, encoded or not, and is done after once."""
    call = redaction()
    shown = call.present(f"\x1b[31m{VALUE.encode().hex()}\x1b[0m and \u202e{VALUE}", "body")
    assert shown == "{{kv:K}} and {{kv:K}}"
    assert call.present(shown, "body") == shown


def test_text_that_is_no_unicode_is_shown() -> None:
    """A lone surrogate is no reason to fail."""
    assert redaction().scrub_text(f"\udc80{VALUE}", "header") == "\\udc80{{kv:K}}"


PIECES = st.sampled_from(
    ["a", "=", "\x1b[0m", "%2", "\\", "&", VALUE, VALUE[:9], VALUE[9:], b64encode(VALUE.encode()).decode()]
)


@settings(max_examples=300)
@given(st.lists(st.lists(PIECES, max_size=4).map("".join), max_size=5))
def test_texts_shown_together_are_shown_as_each_alone(texts: list[str]) -> None:
    """Nothing that a scan of one header finds is overlooked because many were looked at in one scan."""
    assert redaction().present_all(texts, "header") == [redaction().present(text, "header") for text in texts]
