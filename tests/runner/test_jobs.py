"""A run is a job of the shell that started it: stopped, continued, put to the background, ended, like any other."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from postgres import Postgres
from standin import KEY

if TYPE_CHECKING:
    from collections.abc import Callable

    from screen import Screen, Window


def pids(*words: str) -> list[int]:
    """The processes with these words at the end of their arguments."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            argv = path.read_bytes().decode(errors="replace").split("\0")[:-1]
        except OSError:
            continue
        if argv[-len(words) :] == list(words):
            found.append(int(path.parent.name))
    return found


def wait_for(true: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait until it holds."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.02)


def is_cooked(screen: Screen) -> None:
    """The shell has its terminal back, with line editing and echo."""
    screen.type("clear\n")
    screen.until(lambda lines: lines[0] == "$" and not any(lines[1:]))
    screen.type("stty -a | tr ' ;' '\\n\\n' | grep -xE '.?(icanon|echo|isig|icrnl|opost)' | tr '\\n' ' '\n")
    screen.shows("icrnl opost isig icanon echo")


def test_ctrl_z_and_fg(window: Window) -> None:
    """The shell says that the job has stopped, has its terminal, and gets the job back with its state."""
    screen = window()
    screen.type("r cat -u\n")
    wait_for(lambda: len(pids("cat", "-u")) > 1)
    screen.rest()
    screen.type("one\n")
    screen.until(lambda lines: lines.count("one") == 2)
    screen.type("\x1a")
    screen.shows("Stopped")
    is_cooked(screen)
    screen.type("fg\n")
    screen.shows("r cat -u")
    screen.rest()
    screen.type("two\n")
    screen.until(lambda lines: lines.count("two") == 2)
    screen.type("\x04")
    is_cooked(screen)


def test_a_job_in_the_background_runs_and_stops_when_it_wants_to_be_typed_at(window: Window) -> None:
    """`&`, `bg` and `fg`, with SIGTTIN for who reads from behind."""
    screen = window()
    screen.type("r sh -c 'echo begun; read x; echo got $x' &\n")
    screen.until(lambda lines: any(line.endswith("begun") for line in lines))
    screen.rest()
    screen.type("\n")
    screen.shows("Stopped")
    screen.type("clear; fg\n")
    screen.shows("r sh -c")
    screen.type("hello\n")
    screen.shows("got hello")
    is_cooked(screen)


@pytest.mark.needs("psql")
def test_psql_asks_and_answers_with_a_password_of_the_vault(window: Window) -> None:
    """Nobody types it, and it is in nobody's environment but psql's."""
    with Postgres(KEY) as server:
        screen = window()
        connect = f"host=127.0.0.1 port={server.port} user=app dbname=shop"
        screen.type(f"r sh -c 'PGPASSWORD=$KEY PSQL_PAGER= exec psql -X \"{connect}\"'\n")
        screen.shows("shop=>")
        screen.type("select 42 as answer;\n")
        screen.shows("(1 row)")
        assert any(line.strip() == "42" for line in screen.lines)
        screen.type("\\! echo $PGPASSWORD\n")
        screen.shows("{{kv:KEY}}")
        screen.type("\\q\n")
        is_cooked(screen)
        assert server.logins == [KEY]


def test_a_window_that_is_closed_takes_its_programs_along(window: Window) -> None:
    """The shell's SIGHUP, the terminal's end: nobody is left."""
    screen = window()
    screen.type("r sh -c 'echo begun; sleep 212; echo no'\n")
    wait_for(lambda: len(pids("sleep", "212")) == 1)
    screen.rest()
    screen.close()
    wait_for(lambda: not pids("sleep", "212"))


@pytest.mark.needs("top")
@pytest.mark.parametrize("command", ["top -d 61", "vim -u NONE lines.txt", "python3 -q -i", "cat"])
def test_a_program_that_has_the_terminal_ends_with_the_window(window: Window, command: str) -> None:
    """Whatever it does with its terminal at its end."""
    screen = window()
    screen.type(f"r {command}\n")
    wait_for(lambda: len(pids(*command.split())) > 1)
    screen.rest()
    screen.close()
    wait_for(lambda: not pids(*command.split()))


def test_an_orphan_in_the_background_that_wants_to_be_typed_at_is_told_no(window: Window, place: Path) -> None:
    """Who would never be put to the foreground is not stopped for ever: reading ends."""
    screen = window()
    screen.type("(r sh -c 'cat; touch told' &)\n")
    wait_for((place / "told").exists)
    is_cooked(screen)


def test_the_window_size_is_the_programs(window: Window) -> None:
    """At the start, and as it changes."""
    screen = window()
    screen.type("r sh -c 'trap \"stty size\" WINCH; stty size; while :; do sleep 0.05; done'\n")
    screen.shows("24 80")
    screen.resize(30, 100)
    screen.shows("30 100")
    screen.type("\x03")
    screen.shows("$")


def test_a_window_that_changed_while_the_job_was_stopped(window: Window) -> None:
    """The size is told again with `fg`."""
    screen = window()
    screen.type("r sh -c 'read x; stty size'\n")
    wait_for(lambda: pids("sh", "-c", "read x; stty size"))
    screen.rest()
    screen.type("\x1a")
    screen.shows("Stopped")
    screen.resize(31, 101)
    screen.type("fg\n")
    screen.shows("r sh -c")
    screen.type("\n")
    screen.shows("31 101")


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("echo piped | r cat", "piped"),
        ("r echo out | cat", "out"),
        ("echo x | r sed s/x/y/ | cat", "y"),
        ("r sh -c 'echo err >&2' 2>&1 >/dev/null | tr e E", "Err"),
        ("r sh -c 'test -t 0 && test -t 1 && test -t 2 && echo three'", "three"),
        ("r sh -c 'test -t 0 || echo not' </dev/null", "not"),
        ("r sh -c 'test -t 1 || echo not >&2' >/dev/null", "not"),
        ("r sh -c 'echo direct >/dev/tty' </dev/null >/dev/null 2>&1", "direct"),
        ("r sh -c 'read x </dev/tty; echo is $x' </dev/null | cat", "is typed"),
        ("r sh -c 'echo $KEY; echo $KEY >&2' | cat", "{{kv:KEY}}"),
    ],
)
def test_pipes_stay_pipes(window: Window, line: str, shown: str) -> None:
    """Whatever is redirected is what was given; the rest is a terminal; /dev/tty is one in any case."""
    screen = window()
    screen.type(f"{line}\n")
    if "typed" in shown:
        screen.rest()
        screen.type("typed\n")
    screen.until(lambda lines: shown in lines)
    is_cooked(screen)


def test_another_program_of_the_pipeline_gets_what_is_typed(window: Window) -> None:
    """Ours has not asked for the terminal, so it takes nothing away from the one that has it."""
    screen = window()
    screen.type("r sh -c 'echo from run; sleep 2' | sh -c 'cat; read x </dev/tty; echo cat has $x'\n")
    screen.shows("from run")
    screen.type("typed\n")
    screen.shows("cat has typed")


@pytest.mark.parametrize(
    ("line", "status"), [("exit 7", 7), ("kill -TERM $$", 143), ("kill -INT $$", 130), ("kill -KILL $$", 137)]
)
def test_the_shell_sees_how_it_ended(window: Window, line: str, status: int) -> None:
    """An exit status, or the signal that ended it."""
    assert window().run(f"r sh -c '{line}'") == status


def test_ctrl_c_ends_it_as_it_would(window: Window) -> None:
    """SIGINT to the program's group, and 130 for the shell."""
    screen = window()
    screen.type("r sleep 211\n")
    wait_for(lambda: len(pids("sleep", "211")) > 1)
    screen.rest()
    screen.type("\x03")
    is_cooked(screen)
    assert screen.run("r sh -c 'trap \"exit 9\" INT; kill -INT $$; sleep 1'") == 9


@pytest.mark.parametrize("number", [1, 2, 3, 9, 13, 14, 15])
def test_a_client_killed_by_any_signal_leaves_nobody_and_a_sane_terminal(window: Window, number: int) -> None:
    """While the program has the terminal raw; SIGKILL too."""
    screen = window()
    seconds = str(300 + number)
    screen.type(f"r sh -c 'stty raw -echo; sleep {seconds} & (setsid sleep {seconds} &) ; wait'\n")
    wait_for(lambda: len(pids("sleep", seconds)) == 2)
    words = ("sh", "-c", f"stty raw -echo; sleep {seconds} & (setsid sleep {seconds} &) ; wait")
    clients = [pid for pid in pids(*words) if b"kv\0run" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    screen.rest()
    os.kill(min(clients), number)  # the other is its guard
    screen.shows("$")
    is_cooked(screen)
    wait_for(lambda: not pids("sleep", seconds))


def test_a_program_that_leaves_its_group_can_still_be_stopped_and_continued(window: Window) -> None:
    """What is sent to a group that is gone is lost, and nothing else is."""
    screen = window()
    line = "import os,time; os.setpgid(0, os.getppid()); print('moved', flush=True); time.sleep(3); print('end')"
    screen.type(f'r python3 -c "{line}"\n')
    screen.until(lambda lines: "moved" in lines)
    screen.resize(25, 81)
    screen.type("\x1a\x03")
    screen.until(lambda lines: "end" in lines or "$" in lines)
    is_cooked(screen)
