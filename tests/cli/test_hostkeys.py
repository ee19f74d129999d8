"""Which keys known_hosts has for a server, over all of its files."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from brokers.ssh.hostkeys import MAX_TEXT
from kv.cli.hostkeys import listed
from kv.errors import KvError

if TYPE_CHECKING:
    from pathlib import Path

KEYS = [
    "ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0 " + bytes([number]) * 32).decode()
    for number in range(2)
]


def found(folder: Path, *texts: bytes) -> tuple[str, ...]:
    """The keys of `web.test` in files of these texts."""
    files = [folder / f"known_hosts{number}" for number in range(len(texts))]
    for file, text in zip(files, texts, strict=True):
        file.write_bytes(text)
    return listed("web.test", 22, [str(folder / "absent"), *map(str, files)])


def test_a_key_that_another_file_revokes_is_not_offered(tmp_path: Path) -> None:
    """The machine's file speaks against what stands in the user's, as ssh has it."""
    mine = f"caf\xe9 x\nweb.test {KEYS[0]}\nweb.test {KEYS[1]}".encode("latin-1")
    assert found(tmp_path, mine, b"") == tuple(KEYS)
    assert found(tmp_path, mine, f"@revoked * {KEYS[0]}\n".encode()) == (KEYS[1],)


def test_a_file_is_read_whole_or_refused(tmp_path: Path) -> None:
    """What would be cut off may be a revocation; a character of two bytes counts twice."""
    line = f"web.test {KEYS[0]}\n".encode()
    for filler in (b"#", "\xe9".encode()):
        large = line + filler * (MAX_TEXT // len(filler)) + f"\n@revoked * {KEYS[0]}\n".encode()
        with pytest.raises(KvError, match="larger than 4 MiB") as caught:
            found(tmp_path, large)
        assert caught.value.code == "usage"
