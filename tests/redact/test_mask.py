"""Masks, placeholders and references: what must not come back as if it were a value (R-MASKBACK)."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redact.encoders import ENCODERS

from kv.redact import Needles, Redaction, has_reference, is_mask


@pytest.mark.parametrize(
    "value",
    [
        "", "  ", "''", "{{kv:prod/STRIPE_KEY}}", " {{KV: x }} ", '"{{kv:?}}"',
        "\u2039kv:NAME: use kv_api, not a value\u203a", "kv://prod/STRIPE_KEY", "*", "********", "••••••••", "●●●●",
        "xxxxxxxx", "XXXX-XXXX", "...", "…", "sk-...", "sk-…", "sk_live_****", "****1234", "AKIA************",
        "S3cr3...7890", "ghp_xxxxxxxxxxxxxxxxxxxx", "<redacted>", "[REDACTED]", "***REDACTED***",
        "<secret:redacted>", "(hidden)", "[MASKED by ci]", "redacted", "<api-key>", "<your token>",
        "[your key here]", "${STRIPE_KEY}", "{{ secret }}", "changeme", "CHANGE_ME", "change-me-please!",
        "replace this", "your-api-key-here", "your_secret_key", "YOUR API TOKEN", "my-password",
        "insert-token-here", "api_key_here", "TODO", "null", "placeholder", "n/a",
    ],
)  # fmt: skip
def test_masks_are_refused(value: str) -> None:
    """What shows that a value was hidden, or is yet to be put in, is no value."""
    assert is_mask(value.encode())


@pytest.mark.parametrize(
    "value",
    [
        "sk_live_4eC39HqLyjWDarjtT1zdp7dc", "hunter2", "p@ss*word", "a**b", "correct horse battery staple",
        "postgres://u:p@h/db", "wait... what did you say", "xoxb-1234-abcd", "Mask3dAvenger", "changemenot4",
        "yourkeyisinthemail", '{"a": "***"}',
        "-----BEGIN PRIVATE KEY-----\nMIIEvgIBADAN\n-----END PRIVATE KEY-----", "x" * 300 + "1", "\x00\xff\x80",
    ],
)  # fmt: skip
def test_values_are_not_masks(value: str) -> None:
    """Real values are accepted, with stars and dots in them too."""
    assert not is_mask(value.encode("utf-8", "surrogateescape"))


def test_every_marker_is_a_mask_and_a_reference() -> None:
    """Whatever redaction writes is refused both as a value and as an argument."""
    needles = Needles()
    needles.add("a/b.c-d_e", b"some-secret-value", bits=99)
    needles.add("some-secret-value", b"some-secret-value-2", bits=99)
    redaction = Redaction(needles.database())
    for value in (b"some-secret-value", b"some-secret-value-2"):
        marker = redaction.scrub(value, "body")
        assert is_mask(marker)
        assert has_reference(marker)


@pytest.mark.parametrize("encoder", [name for name in ENCODERS if name != "base64, 19 and LF"])
def test_references_are_seen_in_any_spelling(encoder: str) -> None:
    """A reference in an argument is seen in any case, spaced, and under any two encodings."""
    for reference in (b"{{kv:prod/STRIPE_KEY}}", b"Bearer {{ KV :prod/STRIPE_KEY}}"):
        once = ENCODERS[encoder](reference)
        assert has_reference(b"a=1&b=" + once)
        for outer in ("percent, every byte", "base64", "hex", "JSON", "HTML, hex"):
            assert has_reference(b"<" + ENCODERS[outer](once) + b">")


@pytest.mark.parametrize(
    "text", [b"", b"{{name}}", b"{kv:x}", b"kv:prod/X", b"{{kv}}", b"{{kv.x}}", b"%7Bkv%3A", b"https://kv.test/{{id}}"]
)
def test_other_text_is_no_reference(text: bytes) -> None:
    """Templates of other programs, and kv's own name, are no references."""
    assert not has_reference(text)


def test_a_reference_in_a_large_body_is_seen() -> None:
    """A reference is found anywhere in a body of megabytes, over the border of any two steps too."""
    noise = random.Random(2).randbytes(300_000)  # noqa: S311 - the same bytes in every run
    for at in (0, (128 << 10) - 3, (256 << 10) - 1, 299_999):
        assert has_reference(noise[:at] + b"%7b%7Bkv:K}}" + noise[at:])
    assert not has_reference(noise)


@settings(max_examples=150)
@given(st.binary(max_size=300) | st.text("*xX.-[]<>{}$your key", max_size=300).map(str.encode))
def test_any_bytes_are_judged(value: bytes) -> None:
    """Both questions have an answer for any bytes."""
    assert is_mask(value) in {True, False}
    assert has_reference(value) in {True, False}
