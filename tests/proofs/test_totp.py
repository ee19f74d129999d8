"""One-time codes: RFC 4226 and RFC 6238 vectors, and that a code works once."""

from __future__ import annotations

import base64
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kv.errors import KvError
from kv.proofs import totp

SECRET = b"12345678901234567890"  # RFC 4226, appendix D
HOTP = ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"]
# RFC 6238, appendix B, SHA-1: eight digits there; of a longer code the last six are the six-digit one (RFC 4226, 5.3).
RFC6238 = {
    59: "94287082",
    1111111109: "07081804",
    1111111111: "14050471",
    1234567890: "89005924",
    2000000000: "69279037",
    20000000000: "65353130",
}

NEVER = -1  # no code was accepted yet


def code_at(now: float) -> str:
    """The code that an app shows at `now`."""
    return pyotp.TOTP(base64.b32encode(SECRET).decode()).at(now)


def refused(code: str, now: float, last: int = NEVER) -> str:
    """The error code with which a code is refused."""
    with pytest.raises(KvError) as caught:
        totp.check(SECRET, code, now=now, last_counter=last, left=3)
    return caught.value.code


def test_rfc4226() -> None:
    """The codes of RFC 4226, appendix D, belong to their counters."""
    for counter, code in enumerate(HOTP):
        assert totp.check(SECRET, code, now=counter * 30, last_counter=NEVER, left=5) == counter


@pytest.mark.parametrize("now", RFC6238)
def test_rfc6238(now: int) -> None:
    """The codes of RFC 6238, appendix B, are right at their times."""
    code = RFC6238[now][-6:]
    assert totp.check(SECRET, code, now=now, last_counter=NEVER, left=5) == now // 30


@pytest.mark.parametrize(
    ("offset", "right"), [(-60.0, False), (-30.0, True), (29.9, True), (59.9, True), (60.0, False)]
)
def test_window(offset: float, right: bool) -> None:  # noqa: FBT001  # a column of the table
    """A code counts one step early and one step late, and no more."""
    shown = 1_000_000 * 30
    code = code_at(shown)
    if right:
        assert totp.check(SECRET, code, now=shown + offset, last_counter=NEVER, left=5) == 1_000_000
    else:
        assert refused(code, shown + offset) == "proof-wrong"


def test_works_once() -> None:
    """A code that was accepted is burnt for everything, and so are all before it."""
    now = 1_000_000 * 30.0
    codes = {step: code_at(now + 30 * step) for step in (-1, 0, 1)}
    last = totp.check(SECRET, codes[0], now=now, last_counter=NEVER, left=5)
    assert refused(codes[0], now, last) == "proof-used"
    assert refused(codes[0], now + 30, last) == "proof-used"
    assert refused(codes[-1], now, last) == "proof-used"
    last = totp.check(SECRET, codes[1], now=now, last_counter=last, left=5)
    assert last == 1_000_001
    assert refused(codes[1], now + 30, last) == "proof-used"


def test_clock_set_back() -> None:
    """Setting the clock back does not bring burnt codes to life."""
    now = 1_000_000 * 30.0
    code = code_at(now)
    last = totp.check(SECRET, code_at(now + 3000), now=now + 3000, last_counter=NEVER, left=5)
    assert refused(code, now, last) == "proof-used"


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=12) | st.from_regex(r"\A[0-9]{6}\Z"))
def test_guesses(code: str) -> None:
    """Anything but the three codes of the moment is wrong, whatever it is made of."""
    now = 1_234_567_890
    if "".join(code.split()) not in {code_at(now + step) for step in (-30, 0, 30)}:
        assert refused(code, now) == "proof-wrong"


@pytest.mark.parametrize("code", ["005924", "005 924", " 005924\n", "00 59 24"])
def test_as_apps_show_it(code: str) -> None:
    """Spaces between groups of digits do not matter."""
    assert totp.check(SECRET, code, now=1234567890, last_counter=NEVER, left=5) == 41152263


@pytest.mark.parametrize(
    "code", ["", "5924", "0005924", "\uff10\uff10\uff15\uff19\uff12\uff14", "+05924", "005924\0", "٠٠٥٩٢٤"]
)
def test_other_digits(code: str) -> None:
    """Six ASCII digits and nothing else: no shorter number, other script or sign."""
    assert refused(code, 1234567890) == "proof-wrong"


def test_tries_left() -> None:
    """A wrong code says how many tries are left, and not what was typed."""
    with pytest.raises(KvError) as caught:
        totp.check(SECRET, "123456", now=1234567890, last_counter=NEVER, left=2)
    assert caught.value.fields == {"left": 2}
    assert "123456" not in f"{caught.value}{caught.value.hint}{caught.value.args}"


def test_before_the_epoch() -> None:
    """A clock before 1970 is no crash: no code is right then but that of the first step."""
    assert refused(HOTP[1], -1000.0) == "proof-wrong"
    assert totp.check(SECRET, HOTP[0], now=0, last_counter=NEVER, left=5) == 0


def test_secret_length() -> None:
    """A secret of another length is misuse, not a weaker factor."""
    for secret in (b"", b"short", b"x" * 21):
        with pytest.raises(ValueError, match="20 bytes"):
            totp.uri(secret, "vault")


def test_uri() -> None:
    """The enrolment address is what apps read: issuer and account in the label, the secret in base32."""
    parts = urlsplit(totp.uri(SECRET, "my laptop/vault"))
    assert (parts.scheme, parts.netloc, parts.path) == ("otpauth", "totp", "/kv:my%20laptop/vault")
    assert parse_qs(parts.query) == {"secret": ["GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"], "issuer": ["kv"]}
    assert totp.base32(SECRET) == "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ"
