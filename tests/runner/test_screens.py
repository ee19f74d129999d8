"""It feels like running the program itself: the same screens, by the same keys."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from screen import Window


class Play(NamedTuple):
    """A program, and what is done with it: keys, and what the screen shows then.

    `ready` is on the screen when it takes keys, where that one is never twice the same.
    """

    command: str
    steps: tuple[tuple[str, str], ...]
    ready: str = ""


PLAYS = {
    "bash": Play(
        "env PS1='inner> ' bash --norc",
        (
            ("", "inner>"),
            ("echo $((6*7))\n", "42"),
            ("sleep 9\n", "sleep 9"),
            ("\x03", "inner>"),
            ("exit\n", "$"),
        ),
    ),
    "vim": Play(
        "vim -u NONE --cmd 'syntax on' -c 'set ft=python' code.py",
        (("", "return 41"), ("Gohello\x1b", "hello"), (":split\n", "code.py [+]"), (":qa!\n", "$")),
    ),
    "less": Play(
        "less -R lines.txt",
        (("", "line 1"), (" ", "line 30"), ("/line 77\n", "line 77"), ("h", "SUMMARY OF LESS"), ("qq", "$")),
    ),
    "top": Play("top -d 60 -w 80", (("h", "Help for Interactive"), ("?", "Help for Windows")), ready="PID"),
    "python": Play(
        "python3 -q -i",
        (("", ">>>"), ("1/0\n", "ZeroDivisionError"), ("input('name? ')\n", "name? "), ("me\n", "'me'"), ("\x04", "$")),
    ),
    "nano": Play(
        "nano --ignorercfiles lines.txt",
        (("", "line 1"), ("typed ", "typed line 1"), ("\x18", "Save modified"), ("n", "$")),
    ),
    "whiptail": Play("whiptail --yesno 'Are you sure?' 10 40", (("", "<Yes>"), ("\t", "<No>"), ("\n", ""))),
    "dialog": Play(
        "dialog --menu 'Choose' 12 40 3 a one b two c three", (("", "three"), ("\x1b[B", "two"), ("\n", "b"))
    ),
    "git": Play(
        "git -C repo -c user.name=a -c user.email=a@b.test commit --allow-empty --quiet",
        (("", "Please enter the commit message"), ("iby an editor\x1b:wq\n", "$")),
    ),
    "ssh-keygen": Play(
        "ssh-keygen -q -t ed25519 -f key",
        (("", "Enter passphrase"), ("12345\n", "Enter same"), ("12346\n", "do not match"), ("\x03", "$")),
    ),
    "read": Play(
        "bash -c 'read -sp \"Password: \" x </dev/tty >/dev/null; echo; echo ${#x}' </dev/null",
        (("", "Password:"), ("seven77\n", "7")),
    ),
    "stty": Play("stty -a", (("", "echoke"),)),
}
WHO = ("-c", "user.name=a", "-c", "user.email=a@b.test")
NEEDS = {name: name for name in ("vim", "less", "top", "nano", "whiptail", "dialog", "ssh-keygen")}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.needs(NEEDS.get(name, "git"))) for name in PLAYS]
)
def test_every_screen_is_that_of_a_direct_run(window: Window, place: Path, name: str) -> None:
    """Text, colours and all, after each key: two windows side by side, a copy of the folder each."""
    play = PLAYS[name]
    if name == "git":
        subprocess.run(["git", "init", "-q", place / "repo"], check=True)
        subprocess.run(["git", *WHO, "commit", "--allow-empty", "-qm", "first"], check=True, cwd=place / "repo")
    twin = shutil.copytree(place, place.with_name("x"))
    direct, kv = window(through=False), window(below=twin)
    for screen in (direct, kv):
        screen.type(f"r {play.command}\n")
        screen.shows(play.ready)
    for keys, text in play.steps:
        for screen in (direct, kv):
            screen.type(keys)
        for screen in (direct, kv):
            screen.shows(text)
        kv.draws_as(direct)
