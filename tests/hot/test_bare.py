"""Which variables a program without secrets does not get, by their names and shapes."""

from __future__ import annotations

import pytest

from kv.hot.bare import looks_secret, without


@pytest.mark.parametrize(
    "name",
    [
        *("AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "OPENAI_API_KEY", "DB_PASSWORD", "MYSQL_PASSWD", "CLIENT_SECRET"),
        *(
            "PGPASSWORD",
            "NPM_TOKEN",
            "npm_config__authToken",
            "GITHUB_PAT",
            "AZURE_CREDENTIALS",
            "SSH_PASSPHRASE",
            "APIKEY",
        ),
    ],
)
def test_names_of_credentials(name: str) -> None:
    """Whatever their value, unless there is none."""
    assert looks_secret(name, "x")
    assert not looks_secret(name, "")


@pytest.mark.parametrize(
    "name",
    [
        *("PATH", "HOME", "PWD", "OLDPWD", "SSH_AUTH_SOCK", "GPG_KEY", "KEYBOARD", "MONKEY", "NEXT_PUBLIC_API_KEY"),
        *("AWS_SHARED_CREDENTIALS_FILE", "SSH_PUBLIC_KEY", "TERM", "LANG", "TOKENIZERS_PARALLELISM", "PATTERN"),
    ],
)
def test_names_that_only_look_alike(name: str) -> None:
    """A program needs them, and they hold nothing."""
    assert not looks_secret(name, "x")


@pytest.mark.parametrize(
    "value",
    [
        "postgres://app:hunter2@db.example/shop",
        "redis://:hunter2@localhost:6379/0",
        "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
        "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
        "AKIAIOSFODNN7EXAMPLE",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlLW9mLWl0",
        "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n",
    ],
)
def test_shapes_of_credentials(value: str) -> None:
    """Whatever the variable's name."""
    assert looks_secret("X", value)


@pytest.mark.parametrize(
    "value",
    [
        "https://example.com/a:b@c",
        "postgres://localhost/shop",
        "skip",
        "sk-",
        "/usr/bin:/bin",
        "key=value",
        "user@host:path",
    ],
)
def test_shapes_of_anything_else(value: str) -> None:
    """Addresses without a password, and words."""
    assert not looks_secret("X", value)


def test_what_is_taken_out_is_told() -> None:
    """By name, sorted; what the vault holds too; the rest stays."""
    environment = {"Z_TOKEN": "1", "A_KEY": "2", "PLAIN": "held", "HOME": "/"}
    assert without(environment, ["PLAIN", "GONE"]) == ["A_KEY", "PLAIN", "Z_TOKEN"]
    assert environment == {"HOME": "/"}
