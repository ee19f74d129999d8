"""A file on disk, edited and brought back: links, modes, writers beside us, files that are none of ours to touch."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from editor_setup import block, files, jsonc, receipt
from editor_setup.contract import EditError, Splice

if TYPE_CHECKING:
    from collections.abc import Callable

PATH = ("mcpServers", "kv")


def put(text: str) -> list[Splice]:
    """An entry of ours."""
    return jsonc.put(text, PATH, {"command": "/opt/kv"})


def drop(text: str) -> list[Splice]:
    """It goes."""
    return jsonc.drop(text, PATH)


def test_what_was_not_there_is_made_and_goes_again(tmp_path: Path) -> None:
    """A new file is its person's alone; taken back, neither it nor the folders made for it are left."""
    path = tmp_path / "a" / "b" / "settings.json"
    done = receipt.edited(path, put)
    assert done is not None
    assert (done.existed, stat.S_IMODE(path.stat().st_mode)) == (False, 0o600)
    assert receipt.edited(path, put) is None
    assert receipt.undone(path, receipt.of(done.as_dict()), drop)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_which_something_else_is_stays(tmp_path: Path) -> None:
    """Of those made for a file that goes, the ones that others use by now are left, and what was there before."""
    path = tmp_path / "a" / "b" / "settings.json"
    done = receipt.edited(path, put)
    assert done is not None
    (tmp_path / "a" / "theirs").touch()
    assert receipt.undone(path, done, drop)
    assert list(tmp_path.rglob("*")) == [tmp_path / "a", tmp_path / "a" / "theirs"]


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o664])
def test_mode_and_link_stay(tmp_path: Path, mode: int) -> None:
    """Dotfiles are links into a repository, often; what is changed is what they lead to."""
    real, link = tmp_path / "real.json", tmp_path / "link.json"
    real.write_bytes(b'{\r\n\t"a": 1\r\n}')
    real.chmod(mode)
    link.symlink_to(real)
    done = receipt.edited(link, put)
    assert done is not None
    assert link.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == mode
    assert b'"kv": {\r\n\t\t\t"command"' in real.read_bytes()
    assert receipt.undone(link, done, drop)
    assert (link.is_symlink(), real.read_bytes()) == (True, b'{\r\n\t"a": 1\r\n}')
    assert sorted(each.name for each in tmp_path.iterdir()) == ["link.json", "real.json"]


def test_a_client_that_rewrites_its_file_loses_nothing(tmp_path: Path) -> None:
    """What it wrote between our look and our write is there, and so is ours."""
    path = tmp_path / "state.json"
    path.write_text('{"n": 0}')
    looks = 0

    def meanwhile(text: str) -> list[Splice]:
        nonlocal looks
        looks += 1
        if looks < 4:
            path.write_text(f'{{"n": {looks}}}')
        return put(text)

    files.edit(path, meanwhile)
    assert jsonc.read(path.read_text()) == {"n": 3, "mcpServers": {"kv": {"command": "/opt/kv"}}}


def test_a_file_that_never_stands_still_is_left_alone(tmp_path: Path) -> None:
    """It is said, and nothing is half done."""
    path = tmp_path / "state.json"
    looks = 0

    def meanwhile(text: str) -> list[Splice]:
        nonlocal looks
        looks += 1
        path.write_text(f'{{"n": {looks}}}')
        return put(text)

    with pytest.raises(EditError, match="changed"):
        files.edit(path, meanwhile)
    assert jsonc.read(path.read_text()) == {"n": looks}
    assert [each.name for each in tmp_path.iterdir()] == ["state.json"]


def test_what_appears_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    """A file that was not there at our look and is at our write is edited like one that was."""
    path = tmp_path / "new.json"

    def meanwhile(text: str) -> list[Splice]:
        if not path.exists():
            path.write_text('{"theirs": 1}')
        return put(text)

    files.edit(path, meanwhile)
    assert jsonc.read(path.read_text()) == {"theirs": 1, "mcpServers": {"kv": {"command": "/opt/kv"}}}


def test_what_a_person_wrote_since_stays(tmp_path: Path) -> None:
    """Then not every byte is as it was, which is said; but all is there that is not ours."""
    path = tmp_path / "settings.json"
    path.write_text('{\n  "a": 1\n}\n')
    done = receipt.edited(path, put)
    assert done is not None
    path.write_text(path.read_text().replace('"a": 1', '"a": 2'))
    assert not receipt.undone(path, done, drop)
    assert jsonc.read(path.read_text()) == {"a": 2, "mcpServers": {}}


def _folder(path: Path) -> None:
    path.mkdir()


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _latin(path: Path) -> None:
    path.write_bytes(b'{"a": "\xe4"}')


def _huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(files.MAX_BYTES + 1)


@pytest.mark.parametrize(
    ("make", "code"), [(_folder, "place"), (_pipe, "place"), (_latin, "unreadable"), (_huge, "large")]
)
def test_what_is_no_settings_file_is_left_alone(tmp_path: Path, make: Callable[[Path], None], code: str) -> None:
    """A folder, a pipe (which is not waited for), another encoding, a file that is no text."""
    path = tmp_path / "x"
    make(path)
    with pytest.raises(EditError) as caught:
        files.edit(path, put)
    assert caught.value.code == code
    assert [each.name for each in tmp_path.iterdir()] == ["x"]


def test_a_folder_that_takes_nothing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be written is said, and what is there stays."""
    path = tmp_path / "settings.json"
    path.write_text("{}")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EditError) as caught:
        files.edit(path, put)
    assert (caught.value.code, path.read_text()) == ("place", "{}")
    assert [each.name for each in tmp_path.iterdir()] == ["settings.json"]


@given(st.one_of(st.none(), st.text(st.sampled_from("ab \n\r\ufeff#é"), max_size=20)), st.booleans())
def test_two_edits_of_one_file_are_taken_back(before: str | None, twice: bool) -> None:  # noqa: FBT001 - a case of the table
    """From the last to the first, whatever the file was."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "AGENTS.md")
        if before is not None:
            path.write_bytes(before.encode())
        texts = ["one", "two"] if twice else ["one"]
        done = [receipt.edited(path, lambda text, new=new: block.put(text, new)) for new in texts]  # type: ignore[misc]  # bound
        for each in reversed(done):
            assert each is not None
            assert receipt.undone(path, each, block.drop)
        assert (path.read_bytes().decode() if path.exists() else None) == before
