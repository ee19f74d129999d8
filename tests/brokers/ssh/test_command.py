"""A list of words becomes one line, and a real shell takes it apart into just these words."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from brokers.contract import BrokerError
from brokers.ssh import command

if TYPE_CHECKING:
    from pathlib import Path

SHELLS = [shell for shell in ("dash", "bash", "busybox sh", "zsh", "fish") if shutil.which(shell.split()[0])]
# What shells see something in, so that random words are made of it.
_TRICKY = " \\'\"`$!*?[]{}()<>|&;#~=%^@,:+-/.aéλ\u202e\U0001f600"
_WORDS = st.lists(
    st.text(st.sampled_from(_TRICKY) | st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])), max_size=6
)


def received(shell: str, line: str, folder: Path) -> list[bytes]:
    """The words that a program is started with when `shell` runs `line`, as sshd has it run."""
    show = folder / "show"
    if not show.exists():
        show.write_text('#!/bin/sh\nfor word; do printf "%s\\0" "$word"; done\n')
        show.chmod(0o755)
    done = subprocess.run(
        [*shell.split(), "-c", line],
        capture_output=True,
        check=False,
        timeout=30,
        cwd="/",
        env={"HOME": "/nowhere", "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split(b"\0")[:-1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the program is that shows its words."""
    return tmp_path_factory.mktemp("show")


@pytest.mark.parametrize("shell", SHELLS)
@settings(max_examples=150)
@given(words=_WORDS)
@example(words=["\\", "; touch /tmp/evil; "])
@example(words=["a'b", '"', "$(id)", "`id`", "!!", "!#", "", "~root", "=ls", "%1", "-x", "*", "a=b", "{a,b}"])
def test_a_shell_receives_just_these_words(shell: str, folder: Path, words: list[str]) -> None:
    """Whatever words are accepted, the program on the other side is started with them and no others.

    With fish too, which has no POSIX quoting: an account's shell is not ours to choose.
    """
    line = command.line([str(folder / "show"), *words])
    assert received(shell, line, folder) == [word.encode() for word in words]


@pytest.mark.parametrize("shell", SHELLS)
@settings(max_examples=40)
@given(value=st.text(st.sampled_from(_TRICKY)), words=_WORDS)
def test_folder_and_variables_come_along(shell: str, folder: Path, value: str, words: list[str]) -> None:
    """The working folder and a variable arrive as they were given, and the words too."""
    odd = folder / "a b'c\\d!e"
    odd.mkdir(exist_ok=True)
    script = 'printf "%s\\0" "$PWD" "$GREETING" "$@"'
    line = command.line(["sh", "-c", script, "sh", *words], str(odd), {"GREETING": value})
    assert received(shell, line, folder) == [str(odd).encode(), value.encode(), *(word.encode() for word in words)]


@pytest.mark.parametrize("name", ["if", "time", "{", "while", "function", "select", "then", "case"])
@pytest.mark.parametrize("shell", [shell for shell in SHELLS if shell != "fish"])  # it knows no quoting for these
def test_a_reserved_word_is_a_name(shell: str, name: str, tmp_path: Path) -> None:
    """A first word that the shell's grammar has a use for is looked up as a program, like any other."""
    program = tmp_path / name
    program.write_text("#!/bin/sh\necho ran\n")
    program.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": "/nowhere"}
    argv = [*shell.split(), "-c", command.line([name, "x"])]
    assert subprocess.run(argv, capture_output=True, check=True, timeout=30, env=environment).stdout == b"ran\n"


@pytest.mark.parametrize("bad", ["\0", "\n", "\r", "\t", "\x1b[2J", "\x7f", "\x85", "\ud800"])
def test_what_no_quoting_makes_safe_is_refused(bad: str) -> None:
    """NUL, line ends, escapes and what is no UTF-8, in every place."""
    for words, cwd, env in ((["echo", f"a{bad}b"], "", {}), (["x"], f"/a{bad}", {}), (["x"], "", {"A": bad})):
        with pytest.raises(BrokerError) as caught:
            command.line(words, cwd, env)
        assert caught.value.code == "argument"
        assert bad not in str(caught.value.fields)


@pytest.mark.parametrize(
    "words",
    [
        [],
        [""],
        ["-c", "id"],
        ["LD_PRELOAD=/tmp/x.so", "uptime"],
        ["~/x"],
        ["=ls"],
        ["%1"],
        ["x"] * 257,
        ["x", "y" * (16 << 10)],
    ],
)
def test_what_names_no_command_or_is_too_much_is_refused(words: list[str]) -> None:
    """An assignment in the place of a command would set what the next word loads."""
    with pytest.raises(BrokerError, match="argument"):
        command.line(words)


def test_a_relative_folder_is_refused() -> None:
    """`cd -` would go to wherever a variable says."""
    for cwd in ("-", "x", "~"):
        with pytest.raises(BrokerError, match="argument"):
            command.line(["x"], cwd)


def test_plain_words_are_shown_plainly() -> None:
    """A person reads what they would have typed."""
    assert command.line(["systemctl", "restart", "nginx.service"]) == "systemctl restart nginx.service"
    assert command.line(["ls", "a b"], "/srv", {"TZ": "UTC"}) == "cd -- /srv && exec env TZ=UTC ls 'a b'"
