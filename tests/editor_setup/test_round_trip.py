"""Every client, whatever its files look like: told and taken back, each byte is as it was; told twice, none changes."""

from __future__ import annotations

import json
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from settings_texts import json_texts, prose, toml_texts, yaml_texts

from editor_setup import receipt
from editor_setup.catalogue import load, names
from editor_setup.client import SCOPES, Places
from editor_setup.contract import EditError
from editor_setup.setup import MISSING, OK, Change, Wanted, changes, is_here

if TYPE_CHECKING:
    from editor_setup.client import Client
    from editor_setup.edits import Edit
    from editor_setup.receipt import Receipt

ENV = {"KV_VAULT": '/home/ada/my "vault"\\é.kv'}


def told(client: Client, scope: str, home: Path) -> list[Change]:
    """What it takes to tell a client, in a home of its own."""
    private = (home / "kv", Path("/srv/kv"))
    places = Places(home, home / ".config", home / "shop", "linux")
    return changes(client, scope, places, Wanted(("/opt/kv", "mcp"), ENV, "text\n", "skill\n", private))


def put(change: Change) -> list[tuple[Edit, Receipt]]:
    """Make a change; what was done, edit by edit. Raises `EditError` before anything is written."""
    change.standing({})
    made = [(edit, receipt.edited(change.path, edit.made)) for edit in change.edits]
    return [(edit, done) for edit, done in made if done is not None]


def take_back(change: Change, done: list[tuple[Edit, Receipt]]) -> bool:
    """From the last to the first; whether every byte came back."""
    back = [receipt.undone(change.path, each, edit.drop) for edit, each in reversed(done)]
    return all(back)


def tree(folder: Path) -> dict[str, bytes | None]:
    """All that is in a folder."""
    return {str(path): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def texts_of(change: Change) -> st.SearchStrategy[str]:
    """Files as the one of a change may be: names are those that the edits look for."""
    words = sorted({word.strip("[]") for edit in change.edits for word in edit.key.split("/")})
    suffix = change.path.suffix
    if suffix == ".toml":
        return toml_texts(words)
    if suffix in {".yaml", ".yml"}:
        return yaml_texts([word for word in words if word.isidentifier()])
    return prose() if suffix not in {".json", ".jsonc"} else json_texts(words, words)


@settings(deadline=None)
@given(st.data())
def test_whatever_the_files_look_like(data: st.DataObject) -> None:
    """A file that is not understood is left alone; every other is told, tells the client, and is brought back."""
    client = load(data.draw(st.sampled_from(names())))
    scope = data.draw(st.sampled_from(SCOPES))
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder).resolve()
        for change in told(client, scope, home):
            text = data.draw(st.one_of(st.none(), texts_of(change)))
            if text is not None:
                change.path.parent.mkdir(parents=True, exist_ok=True)
                change.path.write_bytes(text.encode())
        for change in told(client, scope, home):
            before = tree(home)
            try:
                done = put(change)
            except EditError:
                assert tree(home) == before
                continue
            assert change.standing({}) == OK
            after = tree(home)
            assert put(change) == []
            assert tree(home) == after
            assert take_back(change, done)
            assert tree(home) == before


HOSTILE = {
    "comments everywhere": '/* a */ { // b\n "x" /* c */ : /* d */ 1 /* e */, // f\n } // g',
    "carriage returns": '{\r\n\t"x": {\r\n\t\t"y": [1]\r\n\t}\r\n}',
    "a byte-order mark, no end of the line": '\ufeff{\n    "x": 1\n}',
    "5 MB of state": json.dumps({"projects": {f"/{n}": {"history": ["x" * 400] * 10} for n in range(1250)}}, indent=2),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("name", [name for name in names() if "user" in load(name).servers])
def test_settings_of_every_client_survive(name: str, text: str, tmp_path: Path) -> None:
    """Those in JSON, that is: a link stays a link to the same file, with its mode, and every byte comes back."""
    for change in told(load(name), "user", tmp_path):
        if change.path.suffix != ".json":
            continue
        kept = tmp_path / "dotfiles"
        kept.write_bytes(text.encode())
        kept.chmod(0o640)
        change.path.parent.mkdir(parents=True, exist_ok=True)
        change.path.symlink_to(kept)
        done = put(change)
        assert change.standing({}) == OK
        assert kept.read_bytes() != text.encode()
        assert take_back(change, done)
        assert (change.path.is_symlink(), kept.read_bytes()) == (True, text.encode())
        assert stat.S_IMODE(kept.stat().st_mode) == 0o640
        change.path.unlink()


@pytest.mark.parametrize("name", names())
def test_a_file_that_is_read_only_stays(name: str, tmp_path: Path) -> None:
    """Its person, or what manages their settings, wants it as it is: it is said, and nothing beside it is left."""
    for change in told(load(name), "user", tmp_path):
        change.path.parent.mkdir(parents=True, exist_ok=True)
        change.path.write_text("{}" if change.path.suffix == ".json" else "")
        change.path.chmod(0o444)
        before = tree(tmp_path)
        with pytest.raises(EditError) as caught:
            put(change)
        assert caught.value.code in {"place", "unmade"}
        assert tree(tmp_path) == before


@pytest.mark.parametrize("name", [name for name in names() if "user" in load(name).servers])
def test_a_client_that_writes_meanwhile_loses_nothing(name: str, tmp_path: Path) -> None:
    """Each writes its state while ours is written: both are there, and taken back its own is."""
    change = told(load(name), "user", tmp_path)[0]
    states = {".toml": "n = {}\n", ".yaml": "n: {}\n"}
    state = states.get(change.path.suffix, '{{"n": {}}}\n')
    change.path.parent.mkdir(parents=True, exist_ok=True)
    change.path.write_text(state.format(0))
    (edit,) = change.edits
    looks = 0

    def meanwhile(text: str) -> list[object]:
        nonlocal looks
        looks += 1
        if looks < 3:
            change.path.write_text(state.format(looks))
        return list(edit.made(text))

    done = receipt.edited(change.path, meanwhile)  # type: ignore[arg-type]  # splices they are
    assert done is not None
    assert change.standing({}) == OK
    assert receipt.undone(change.path, done, edit.drop)
    assert change.path.read_text() == state.format(2)


def test_a_rule_is_written_once(tmp_path: Path) -> None:
    """Rules that a person had are neither doubled nor taken for ours."""
    change = next(each for each in told(load("claude-code"), "user", tmp_path) if each.what == "permissions")
    change.path.parent.mkdir(parents=True)
    change.path.write_text('{"permissions": {"deny": ["Read(./.env)"]}}')
    assert change.standing({}) == MISSING
    done = put(change)
    assert len(done) == len(change.edits) - 1
    assert change.path.read_text().count("Read(./.env)") == 1
    assert take_back(change, done)
    assert change.standing({}) == MISSING
    assert [each.name for each in (tmp_path / ".claude").iterdir()] == ["settings.json"]


def test_a_folder_that_cannot_be_looked_into_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in there is not ours to see: then the client is taken for what else tells of it."""

    def refused(_: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "exists", refused)
    places = Places(tmp_path, tmp_path / ".config", tmp_path / "shop", "linux")
    assert not is_here(load("opencode"), places, lambda _: None)
    assert is_here(load("opencode"), places, lambda name: name)
    assert told(load("opencode"), "user", tmp_path)[0].path.name == "opencode.json"


def test_a_link_that_leads_to_itself_is_left_alone(tmp_path: Path) -> None:
    """Like everything that is no plain file."""
    (tmp_path / ".claude.json").symlink_to(tmp_path / ".claude.json")
    with pytest.raises(EditError) as caught:
        put(told(load("claude-code"), "user", tmp_path)[0])
    assert caught.value.code == "place"
