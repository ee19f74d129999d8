"""Which strings are looked for, for which secret, and since when."""

from __future__ import annotations

import json

import pytest

from kv.redact import LOOKAHEAD, Needles, Redaction, too_short
from kv.redact.forms import forms
from kv.redact.parts import parts

PEM = """-----BEGIN {label}-----
Proc-Type: 4,ENCRYPTED
MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQC7
VJTUt9Us8cKjMzEfYyjiWA4R4/M2bS1GB4t7NXp98C3SC6dVMvDu
ictGeurT8jNbvJZHtCSuYEvu
-----END {label}-----
"""
LINES = (b"MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQC7", b"ictGeurT8jNbvJZHtCSuYEvu")


def scrubbed(text: bytes, *secrets: tuple[str, bytes]) -> bytes:
    """`text` redacted for these secrets."""
    needles = Needles()
    for name, value in secrets:
        needles.add(name, value, bits=128)
    return Redaction(needles.database()).scrub(text, "body")


@pytest.mark.parametrize(
    ("value", "password"),
    [
        (b"postgres://bob:hunter22hunter@db.test:5432/shop?sslmode=require", b"hunter22hunter"),
        (b"postgres://bob:p%40ss%2Fword99@db.test/shop", b"p%40ss%2Fword99"),
        (b"postgres://bob:p%40ss%2Fword99@db.test/shop", b"p@ss/word99"),
        (b"mysql+pymysql://root:p@ss/w:rd@db.test/shop", b"p@ss/w:rd"),
        (b"redis://:onlypassword@cache.test/0", b"onlypassword"),
        (b"amqp://u:firstpart@h.test/v?next=http://x@y", b"firstpart"),
        (b"host=db.test user=bob password='it is long' dbname=shop", b"it is long"),
        (b"Server=db.test;Uid=bob;Pwd=correcthorse;", b"correcthorse"),
        (b"jdbc:postgresql://db.test/shop?user=bob&password=inquery99", b"inquery99"),
    ],
)
def test_the_password_of_a_dsn_is_a_part(value: bytes, password: bytes) -> None:
    """A connection string's password is redacted alone, as it stands and decoded."""
    assert password in set(parts(value))
    assert scrubbed(b"password " + password + b".", ("DSN", value)) == b"password {{kv:DSN}}."


def test_each_string_of_a_json_credential_is_a_part() -> None:
    """Every string of a JSON document is redacted alone, a key's lines within one too; numbers and keys are not."""
    value = json.dumps(
        {
            "account": {"names": ["first-string-value", "second-string-value"]},
            "private_key": PEM.format(label="PRIVATE KEY"),
            "dsn": "postgres://bob:hunter22hunter@db.test/shop",
            "number": 1234567890123,
            "tiny": "short",
        }
    ).encode()
    for part in (b"first-string-value", b"second-string-value", b"hunter22hunter", *LINES):
        assert scrubbed(b"<" + part + b">", ("CRED", value)) == b"<{{kv:CRED}}>"
    for rest in (b"1234567890123", b"short", b"private_key", b"account names"):
        assert scrubbed(rest, ("CRED", value)) == rest


def test_what_a_credential_file_publishes_is_no_part() -> None:
    """The project, addresses and type in a Google credential file may be read in any answer."""
    document = {
        "type": "service_account",
        "project_id": "shop-staging-1",
        "client_email": "ci@shop.test",
        "key": "s3cr3t-key-1",
    }
    value = json.dumps(document).encode()
    assert scrubbed(b"shop-staging-1 ci@shop.test service_account", ("G", value)).count(b"{{") == 0
    assert scrubbed(b"s3cr3t-key-1", ("G", value)) == b"{{kv:G}}"


@pytest.mark.parametrize("label", ["PRIVATE KEY", "RSA PRIVATE KEY", "OPENSSH PRIVATE KEY"])
def test_each_line_of_a_private_key_is_a_part(label: str) -> None:
    """A key's lines of 20 bytes or more are redacted one by one; its boundaries and headers are not."""
    value = PEM.format(label=label).encode()
    for line in LINES:
        assert scrubbed(b"> " + line + b" <", ("KEY", value)) == b"> {{kv:KEY}} <"
    for public in (f"-----BEGIN {label}-----".encode(), b"Proc-Type: 4,ENCRYPTED"):
        assert scrubbed(public, ("KEY", value)) == public


@pytest.mark.parametrize("label", ["CERTIFICATE", "PUBLIC KEY", "EC PARAMETERS"])
def test_what_is_public_in_pem_is_no_part(label: str) -> None:
    """Certificates and public keys that stand beside a key are not redacted line by line."""
    assert list(parts(PEM.format(label=label).encode())) == []


@pytest.mark.parametrize(
    "value",
    [
        b"[" * 100_000,
        b'{"a": ' * 50_000,
        b"[" + b"9" * 100_000 + b"]",
        b'{"type": []}',
        b"password='" * 400,
        b"-----BEGIN A-----" * 5_000,
    ],
)
def test_hostile_documents_are_read_within_bounds(value: bytes) -> None:
    """A value that an upstream minted cannot stop the keeper by how it is written."""
    assert len(list(parts(value))) <= 1000


def test_a_document_of_very_many_strings_is_bounded() -> None:
    """Of a document with more than a thousand strings the first thousand are parts."""
    value = json.dumps([f"string number {number}" for number in range(5000)]).encode()
    assert len(list(parts(value))) == 1000


@pytest.mark.parametrize(
    "value", [b"", b"a", b"1234567", b"        ", b"----:::::\\\\\\\\", b"a-b-c-d-e", b"}}}}}}}}}}"]
)
def test_short_values_are_said_to_be_short(value: bytes) -> None:
    """What is under 8 bytes, or hardly more than separators, has no needle and `too_short` says so."""
    assert too_short(value)
    assert scrubbed(b"<" + value + b"> 1234567 abcd", ("S", value)) == b"<" + value + b"> 1234567 abcd"


@pytest.mark.parametrize(
    "value", [b"12345678", b"pa-ss-12", b"p@s w0rd", b"!@#$%^&*", b"}abcdefg", b"?}}abcdefg", b"abcdefg{{kv"]
)
def test_eight_bytes_are_enough(value: bytes) -> None:
    """A value of 8 bytes is looked for."""
    assert not too_short(value)
    assert scrubbed(b"<" + value + b">", ("S", value)) == b"<{{kv:S}}>"


def test_revisions_tokens_and_derived_forms_are_all_of_one_name() -> None:
    """Each revision, and each string that travels in a value's place, is redacted under the secret's name."""
    needles = Needles()
    needles.add("K", b"first-revision", bits=99, derived=[b"alice:first-revision", b"minted-token-1"])
    needles.add("K", b"second-revision", bits=99)
    redaction = Redaction(needles.database(), ["K"])
    for value in (b"first-revision", b"second-revision", b"alice:first-revision", b"minted-token-1"):
        assert redaction.scrub(b"<" + value + b">", "body") == b"<{{kv:K}}>"
    needles.remove("K")
    assert Redaction(needles.database()).scrub(b"first-revision", "body") == b"first-revision"


def test_a_snapshot_does_not_change() -> None:
    """A call ends with the needles it began with; a new secret is looked for in the next, a removed one no longer."""
    needles = Needles()
    needles.add("OLD", b"old-secret-value", bits=99)
    needles.merge()
    before = needles.database()
    assert needles.database() is before
    needles.add("NEW", b"new-secret-value", bits=99)
    needles.remove("OLD")
    needles.remove("never there")
    after = needles.database()
    text = b"old-secret-value new-secret-value"
    assert Redaction(before).scrub(text, "body") == b"{{kv:OLD}} new-secret-value"
    assert Redaction(after).scrub(text, "body") == b"old-secret-value {{kv:NEW}}"
    needles.merge()
    assert Redaction(needles.database()).scrub(text, "body") == b"old-secret-value {{kv:NEW}}"


def test_many_new_secrets_join_the_first_engine() -> None:
    """Secrets added one by one, hundreds of them, are all looked for at every moment."""
    needles = Needles()
    for number in range(450):
        needles.add(f"K{number}", f"secret-value-{number:04d}-xyz".encode(), bits=99)
        if number % 90 == 0:
            text = b"<secret-value-0000-xyz> <" + f"secret-value-{number:04d}-xyz>".encode()
            assert Redaction(needles.database()).scrub(text, "body").count(b"{{kv:") == 2
    assert b"{{kv:K449}}" in Redaction(needles.database()).scrub(b"secret-value-0449-xyz", "body")


def test_one_value_under_two_names_is_lent_if_either_is() -> None:
    """A value stored twice is shown as the one that was lent, and confirms nothing."""
    needles = Needles()
    needles.add("dev/K", b"guessable-1", bits=20)
    needles.add("prod/K", b"guessable-1", bits=20)
    redaction = Redaction(needles.database(), ["prod/K"])
    assert redaction.scrub(b"guessable-1", "body") == b"{{kv:prod/K}}"
    assert not redaction.verdict.withhold
    needles.remove("prod/K")
    assert Redaction(needles.database()).scrub(b"guessable-1", "body") == b"{{kv:dev/K}}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hunter22", b"hunter22"),
        ("prod/hunter22-old", b"hunter22"),
        ("a/22RETNUH", b"hunter22"),
        ("aHVudGVyMjI", b"hunter22"),
        ("68756e7465723232", b"hunter22"),
        ("prod/KEY", b"d/KEY}}tail-of-it"),
        ("prod/KEY", b"head-of-it{{kv:prod"),
    ],
)
def test_a_marker_never_says_a_value(name: str, value: bytes) -> None:
    """A name that holds a value in any form, or makes one with what is around the marker, is not written."""
    needles = Needles()
    needles.add(name, value, bits=99)
    needles.add("other", b"another-secret-value", bits=99)
    redaction = Redaction(needles.database())
    once = redaction.scrub(b"<" + value + b"> another-secret-value tail-of-it head-of-it another-secret-value", "body")
    assert b"<{{kv:?}}>" in once
    assert b"{{kv:other}}" in once
    assert redaction.scrub(once, "body") == once


def test_how_much_to_read_beyond_a_cap_is_a_constant() -> None:
    """What a reader takes beyond its cap does not depend on the vault, and holds any find."""
    longest = max(len(form.pattern) for form in forms(bytes(range(33, 127)) * 2 + b"x" * 60))
    assert LOOKAHEAD > 36 * 256 > longest


def test_an_empty_vault_redacts_nothing() -> None:
    """Without needles text passes as it is."""
    assert Redaction(Needles().database()).scrub(b"anything {{kv:K}}", "body") == b"anything {{kv:K}}"
