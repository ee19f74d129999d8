"""The arguments of hot verbs: one table, one parser, one sentence for each mistake."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kv.__main__ import verb_place
from kv.errors import KvError
from kv.hot.arguments import parse
from kv.hot.call import OPTIONS, build

if TYPE_CHECKING:
    from pathlib import Path


def test_verb_is_found_behind_global_options_and_their_values() -> None:
    """The verb is the first word that is neither a global option nor the value of one."""
    assert verb_place(["api", "x"]) == 0
    assert verb_place(["--vault", "api", "-e", "prod", "--json", "api", "x"]) == 5
    assert verb_place(["--vault=api", "status"]) == 1
    assert verb_place(["--json"]) == 1


def test_global_options_are_taken_before_and_after_the_words_of_a_hot_verb() -> None:
    """`--vault` and `--json` mean the same wherever they stand."""
    for argv in (["--vault", "v", "--json", "a", "GET", "/"], ["a", "--json", "GET", "/", "--vault=v"]):
        found = parse(argv, OPTIONS)
        assert (found.get("vault"), found.on("json"), found.words) == ("v", True, ["a", "GET", "/"])


def test_the_value_of_an_option_may_look_like_an_option() -> None:
    """`--reason --json` gives a reason, and does not switch to JSON."""
    found = parse(["--reason", "--json", "a", "/"], OPTIONS)
    assert found.get("reason") == "--json"
    assert not found.on("json")


def test_words_after_two_dashes_are_no_options() -> None:
    """After `--` everything is a word."""
    assert parse(["--", "--json", "-q"], OPTIONS).words == ["--json", "-q"]


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--slect", "x"], "no option --slect (did you mean '--select'?)"),
        (["--reason"], "--reason needs a value"),
        (["--json=yes"], "--json takes no value"),
        (["c", "/", "--wait", "soon"], "--wait takes a number"),
        (["c"], "say what to call"),
        (["c", "GET", "/", "x"], "say what to call"),
        (["c", "/", "-q", "novalue"], "-q takes KEY=VALUE"),
        (["c", "/", "-H", "a: 1", "-H", "A: 2"], "a header is given twice"),
        (["c", "/", "-d", "x", "-f", "a=b"], "give one body"),
        (["c", "/", "--json-body", "{"], "is not JSON"),
    ],
)
def test_a_wrong_command_line_is_one_sentence(argv: list[str], says: str) -> None:
    """Every mistake in the arguments of a call ends in a `usage` error that names the option."""
    with pytest.raises(KvError) as caught:
        build(parse(argv, OPTIONS))
    assert caught.value.code == "usage"
    assert says in caught.value.message


def test_a_call_is_spelled_as_the_wire_takes_it() -> None:
    """Method in capitals, pairs in their order, numbers as numbers, small JSON as JSON."""
    argv = ["c", "post", "/x", "-q", "a=1", "-q", "a=2=3", "-H", "x-y:  z ", "--json-body", '{"k":[1]}', "--wait", "0"]
    call = build(parse([*argv, "--max-bytes", "10", "--select", "k"], OPTIONS))
    assert call.args == {
        "connection": "c",
        "method": "POST",
        "path": "/x",
        "query": [["a", "1"], ["a", "2=3"]],
        "headers": {"x-y": "z"},
        "select": "k",
        "max_bytes": 10,
        "wait": 0.0,
        "json": {"k": [1]},
    }
    assert call.body == b""


def test_a_get_needs_no_method() -> None:
    """`kv api CONNECTION PATH` is a GET."""
    assert build(parse(["c", "/x"], OPTIONS)).args["method"] == "GET"


def test_a_large_json_body_travels_beside_the_header(tmp_path: Path) -> None:
    """JSON that does not fit a frame's header becomes its body, with its content type."""
    file = tmp_path / "b.json"
    file.write_text('["' + "x" * 100_000 + '"]')
    call = build(parse(["c", "PUT", "/", "--json-body", f"@{file}"], OPTIONS))
    assert call.body == file.read_bytes()
    assert call.args["headers"] == {"content-type": "application/json"}


def test_a_body_has_a_bound_before_it_is_sent(tmp_path: Path) -> None:
    """More than 16 MiB is refused by the client, without a keeper."""
    file = tmp_path / "big"
    with file.open("wb") as out:
        out.truncate((16 << 20) + 1)
    with pytest.raises(KvError) as caught:
        build(parse(["c", "PUT", "/", "-d", f"@{file}"], OPTIONS))
    assert caught.value.code == "too-large"


def test_a_file_that_is_missing_is_a_disk_error() -> None:
    """`@FILE` that cannot be read says so, with the path and the system's reason."""
    with pytest.raises(KvError) as caught:
        build(parse(["c", "PUT", "/", "-d", "@/nowhere/at/all"], OPTIONS))
    assert caught.value.code == "disk"
    assert "No such file" in caught.value.message
