"""A value does not come back: one encoding, and any two."""

from __future__ import annotations

import base64
import gzip
import itertools
import random
from typing import TYPE_CHECKING

import pytest
from redact.encoders import ENCODERS, LAST

from kv.redact import Needles, Redaction, strength
from kv.redact.escapes import BACKSLASH, CSS, ENTITY, PERCENT, TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable

VALUES = {
    "token": b"sk_live_4eC39HqLyjWDarjtT1zdp7dc",
    "signs": b"p/\"w&0r<d>+\\n %41;='x#",
    "short": b"aB3$xY7!",
}
SURROUNDINGS = [(b"", b""), (b'{"key": "', b'"}'), (b"x7Q", b"Zr"), (b"/a/b_", b"-c/d\n"), (b"\xff\x00", b"\x80")]


def redaction_of(value: bytes) -> Redaction:
    """A call that was lent one secret."""
    needles = Needles()
    needles.add("prod/KEY", value, bits=128)
    return Redaction(needles.database(), ["prod/KEY"])


def gone(value: bytes, made: bytes, surroundings: list[tuple[bytes, bytes]] = SURROUNDINGS) -> None:
    """`made` does not survive redaction in any surroundings, and next to nothing of it does."""
    for before, after in surroundings:
        redaction = redaction_of(value)
        out = redaction.scrub(before + made + after, "body")
        assert redaction.verdict.count >= 1, (before, made)
        assert b"{{kv:prod/KEY}}" in out
        assert made[2:-2] not in out
        # Padding, and what the encoder itself put beside the value, may stay.
        assert len(out) <= len(before + after + b"{{kv:prod/KEY}}") + max(24, len(made) // 5), (before, made, out)


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("encoder", [*ENCODERS, *LAST])
def test_one_encoding(kind: str, encoder: str) -> None:
    """A value under one encoding is redacted, whatever stands before and after it."""
    gone(VALUES[kind], {**ENCODERS, **LAST}[encoder](VALUES[kind]))


@pytest.mark.parametrize("outer", ENCODERS)
def test_two_encodings(outer: str) -> None:
    """A value under any two encodings is redacted."""
    for kind, inner in itertools.product(("token", "signs"), ENCODERS):
        gone(VALUES[kind], ENCODERS[outer](ENCODERS[inner](VALUES[kind])), SURROUNDINGS[1:3])


@pytest.mark.parametrize("outer", [name for name in ENCODERS if "base64" in name or name == "hex"])
@pytest.mark.parametrize("inner", ["reversed", "upper case", "hex with colons"])
def test_other_spellings_within(outer: str, inner: str) -> None:
    """Reversal, letter case and separators are seen through base64 and hex too."""
    gone(VALUES["token"], ENCODERS[outer](LAST[inner](VALUES["token"])))


@pytest.mark.parametrize("last", ["reversed", "wrapped by a terminal", "spaced"])
@pytest.mark.parametrize("first", ["base64", "hex"])
def test_spelled_differently_once_encoded(first: str, last: str) -> None:
    """base64 and hex of a value may be reversed, wrapped and spaced."""
    gone(VALUES["token"], LAST[last](ENCODERS[first](VALUES["token"])))


@pytest.mark.parametrize("case", [bytes.upper, bytes.lower])
@pytest.mark.parametrize("word", [b"xxxxxxxxxxxxxxxxxxxx", b"WAREHOUSEKEEPERSWIFE", b"incomprehensibilities"])
def test_among_many_long_words(case: Callable[[bytes], bytes], word: bytes) -> None:
    """Words that base32 could have written hide no value in it, at whatever byte and character it begins."""
    for before, run in itertools.product(range(5), range(3)):
        made = case(base64.b32encode(b"\xff" * before + VALUES["short"] + b"\xff" * 5))
        column = [word, word[:14], word + b"s"] * 200
        column[300] = case(b"vbm"[:run]) + made
        redaction = redaction_of(VALUES["short"])
        out = redaction.scrub(b"\t".join(column), "body").split(b"\t")
        assert redaction.verdict.count == 1
        assert b"{{kv:prod/KEY}}" in out.pop(300)
        assert out == column[:300] + column[301:]


def test_basic_authorization_is_found_by_the_password() -> None:
    """A password is found in the base64 of `user:password`, without being told the user."""
    gone(VALUES["token"], b"Basic " + base64.b64encode(b"alice:" + VALUES["token"]))


@pytest.mark.parametrize("size", [8, 20, 64, 200])
def test_binary_values(size: int) -> None:
    """A value of any bytes is found as it is, in base64 at each alignment, in hex, and escaped."""
    value = random.Random(size).randbytes(size)  # noqa: S311 - the same bytes in every run
    names = [
        "base64 after one byte",
        "base64 after two bytes",
        "base64url",
        "hex",
        "percent, every byte",
        "octal, every byte",
    ]
    for encode in (bytes, *(ENCODERS[name] for name in names)):
        redaction = redaction_of(value)
        out = redaction.scrub(b"<" + encode(value) + b">", "body")
        assert redaction.verdict.count == 1
        assert len(out) <= len(b"<{{kv:prod/KEY}}>") + 10


@pytest.mark.parametrize("text", ["pässwörd-123€", 'naïve "quoted" café'])
def test_other_characters(text: str) -> None:
    """A value beyond ASCII is found escaped, reversed, in Latin-1, as mojibake, and in base64 of JSON."""
    value = text.encode()
    spellings = [
        ENCODERS["JSON"](value),
        base64.b64encode(ENCODERS["JSON, not ASCII"](value)),
        base64.b64encode(ENCODERS["JSON"](value)),
        "".join(f"&#{ord(character)};" for character in text).encode(),
        text[::-1].encode(),
        value.decode("latin-1").encode(),
        ENCODERS["JSON"](value.decode("latin-1").encode()),
        *([text.encode("latin-1")] if "€" not in text else []),
    ]
    for spelling in spellings:
        assert redaction_of(value).scrub(b"<" + spelling + b">", "body") in {
            b"<{{kv:prod/KEY}}>",
            b"<{{kv:prod/KEY}}=>",
            b"<{{kv:prod/KEY}}==>",
        }


@pytest.mark.parametrize("inner", ["as it is", "base64", "hex"])
def test_a_file_in_a_json_string(inner: str) -> None:
    """A file that comes as wrapped base64 in JSON is read, and only what encodes the value is replaced."""
    encode = {**ENCODERS, **LAST}[inner]
    lines = b"PATH=/usr/bin\nKEY=" + encode(VALUES["token"]) + b"\nHOME=/root\n"
    for before in range(0, 120, 7):
        data = b"#" * before + lines + b"#" * 200
        answer = b'{"content": "' + LAST["base64 wrapped in a JSON string"](data) + b'", "encoding": "base64"}'
        redaction = redaction_of(VALUES["token"])
        out = redaction.scrub(answer, "body")
        assert redaction.verdict.count == 1
        head, _, tail = out.partition(b"{{kv:prod/KEY}}")
        assert answer.startswith(head)
        assert answer.endswith(tail)
        covered = len(answer) - len(head) - len(tail)
        assert covered <= len(encode(VALUES["token"])) * 4 / 3 + 10
        assert base64.b64decode(head[13:].replace(b"\\n", b"")[: before // 3 * 4]) == b"#" * (before // 3 * 3)


@pytest.mark.parametrize(
    "value",
    [
        b'C:\\new\\table\\users"\xc3\xa9',
        b'nested"secret\xc3\xa9',
        b'u00e9"secret\xc3\xa9',
        b"x41secret\n\\x41\\101\xc3\xa9",
    ],
)
@pytest.mark.parametrize("before", [b"", b"\\", b"DOMAIN\\", b"\\\\"])
def test_backslashes_are_read_either_way(value: bytes, before: bytes) -> None:
    """A value with backslashes of its own, or with one before it, is found in JSON, and in JSON in JSON."""
    once = ENCODERS["JSON"](before + value)
    for made in (once, ENCODERS["JSON"](once), base64.b64encode(once)):
        redaction = redaction_of(value)
        assert b"secret" not in redaction.scrub(b'"' + made + b'"', "body")
        assert redaction.verdict.count == 1


@pytest.mark.parametrize(
    "spelt",
    [
        "&#" + "0" * 28 + "115;" + "k_live_4eC39HqLyjWDarjtT1zdp7dc",
        "sk%u005flive_4eC39HqLyjWDarjtT1zdp7dc",
        "sk\\5F live\\00005f4eC39HqLyjWDarjtT1zdp7dc",
        "sk\\137live\\U0000005f4eC39HqLyjWDarjtT1zdp7dc",
        "=?utf-8?Q?sk=5Flive=5F4eC39HqLyjWDarjtT1zdp7dc?=",
        "sk_live_4eC39Hq=\r\nLyjWDarjtT1=\nzdp7dc",
        "sk=\r\n=5F=\r\nlive=5f4eC39HqLyjWDarjtT1zdp7dc",
    ],
)
def test_some_characters_escaped(spelt: str) -> None:
    """A value of which single characters are escaped, in any of the ways that programs have, is found."""
    gone(VALUES["token"], spelt.encode())


@pytest.mark.parametrize("character", ["\U0001f511", "é", "\ufffd"])
def test_characters_beyond_ascii_in_every_escape(character: str) -> None:
    """A value with a character of any plane is found where that character alone is escaped, as a pair or as one."""
    value = f"pass{character}word-1234"
    units = character.encode("utf-16-be").hex()
    pair = [units[at : at + 4] for at in range(0, len(units), 4)]
    escapes = [
        "".join(f"%u{unit}" for unit in pair),
        "".join(f"\\u{unit}" for unit in pair),
        f"\\U{ord(character):08x}",
        f"\\{ord(character):x} ",
        f"&#{ord(character):015};",
        "".join(f"={byte:02X}" for byte in character.encode()),
    ]
    for escape in escapes:
        gone(value.encode(), value.replace(character, escape).encode())


def test_no_token_is_longer_than_its_bound() -> None:
    """The longest token of each escape fits into what a window reads beyond its ends."""
    digits = b"0" * 99 + b"1"
    texts = [b"&#", b"&#x", b"\\", b"\\u", b"\\U", b"\\u{", b"%", b"%u", b"&" + b"a" * 99 + b";"]
    for escape in (PERCENT, BACKSLASH, CSS, ENTITY):
        for text in texts:
            for made in (text + digits + b"}; ", text + b"d83d\\\\\\\\udd11", text + b"d83d%udd11"):
                assert all(len(found[0]) <= TOKEN for found in escape.token.finditer(made))


def test_what_is_no_value_stays() -> None:
    """Text without the value comes out unchanged: program text, JSON, base64 and compressed bytes."""
    chance = random.Random(7)  # noqa: S311 - the same bytes in every run
    texts = [
        b'{"id": "sk_live_", "list": [1, 2, 3], "path": "C:\\\\new", "url": "https://a.test/?q=%41&amp;b=1"}\n' * 40,
        base64.encodebytes(chance.randbytes(4000)),
        chance.randbytes(3000).hex().encode(),
        gzip.compress(b"plain text " * 999, mtime=0),
        b"%%%&&&\\\\\\;;;###" * 50,
    ]
    for text in texts:
        redaction = redaction_of(VALUES["token"])
        assert redaction.scrub(text, "body") == text
        assert redaction.verdict.hits == ()


def test_the_form_is_named() -> None:
    """A hit says which encodings the value came back under, outermost first."""
    redaction = redaction_of(VALUES["token"])
    for name in ("base64", "percent, every byte"):
        redaction.scrub(ENCODERS[name](ENCODERS["base64"](VALUES["token"])), "body")
    assert [hit.form for hit in redaction.verdict.hits] == ["base64 of base64", "url of base64"]
    assert strength(VALUES["token"]) > 64
