"""One run over the real channels, without a terminal."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from runs import LIBRARYS_OWN, STRONG, Lending, Nursery, an_order, hello, pin

if TYPE_CHECKING:
    from collections.abc import Callable

    from runs import Raw, Start

KEY = b"S3cr3t-value-very-long-0123456789abcdef"
WEAK = b"hunter2-password"
LENT = (Lending("KEY", KEY),)


def sh(line: str) -> list[str]:
    """A shell's line as arguments."""
    return ["sh", "-c", line]


def python(line: str) -> list[str]:
    """A Python program as arguments."""
    return [sys.executable, "-c", line]


def test_a_program_gets_what_it_was_lent_and_its_output_does_not_show_it(start: Start) -> None:
    """The value is in the environment, and on both outputs a reference stands in its place."""
    done = start(sh('test ${#KEY} = 39 && echo "<$KEY>" && echo "[$KEY]" >&2'), LENT).finish()
    assert (done.out, done.err) == (b"<{{kv:KEY}}>\n", b"[{{kv:KEY}}]\n")
    assert done.ended == {"exit": 0, "signal": 0, "timeout": False}
    assert done.facts["redactions"] == {"stdout": 1, "stderr": 1}


@pytest.mark.parametrize("status", [0, 3, 255])
def test_an_exit_status_is_reported(start: Start, status: int) -> None:
    """As the program gave it."""
    assert start(sh(f"exit {status}")).finish().ended["exit"] == status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV])
def test_a_signal_that_ends_it_is_reported(start: Start, number: signal.Signals) -> None:
    """By its number."""
    ended = start(sh(f"kill -{number.value} $$")).finish().ended
    assert (ended["exit"], ended["signal"]) == (-1, number.value)


def test_a_program_starts_as_a_shell_would_start_it(start: Start, tmp_path: Path) -> None:
    """Folder, mask, limits and signals are the client's; no other descriptor is open; no core; no new privileges."""
    line = "pwd; umask; ulimit -n; ulimit -c; ls /proc/self/fd; grep -E 'Sig(Blk|Ign)|NoNew' /proc/self/status"
    first = hello(umask=0o027, limits={"NOFILE": [99, 99]})
    out = start(sh(line), hello=first).finish().out.decode().split()
    assert out[:4] == [str(tmp_path), "0027", "99", "0"]
    assert out[4:8] == ["0", "1", "2", "3"]  # 3 is the listing's own
    assert (out[8:11], out[12:]) == (["SigBlk:", "0" * 16, "SigIgn:"], ["NoNewPrivs:", "1"])
    assert int(out[11], 16) & ~LIBRARYS_OWN == 0


def test_what_the_client_ignores_the_program_ignores(start: Start) -> None:
    """`nohup kv run …` means the program."""
    first = hello(ignored=[signal.SIGHUP])
    assert start(sh("kill -HUP $$; echo lives"), hello=first).finish().out == b"lives\n"


def test_arguments_and_input_arrive_byte_for_byte(start: Start) -> None:
    """Bytes that are no UTF-8 too."""
    odd = os.fsdecode(b"a\xff\nb")
    done = start([*python("import os,sys; print(os.fsencode(sys.argv[1])); print(sys.stdin.buffer.read())"), odd])
    assert done.finish(b"\0\xfe\n").out == b"b'a\\xff\\nb'\nb'\\x00\\xfe\\n'\n"


def test_binary_output_passes_unchanged(start: Start) -> None:
    """Every byte value, a megabyte of them."""
    done = start(python("import sys; sys.stdout.buffer.write(bytes(range(256))*4096)")).finish()
    assert done.out == bytes(range(256)) * 4096


def test_ten_thousand_variables_arrive(start: Start) -> None:
    """An environment has no bound of ours below the system's."""
    environment = {"PATH": os.environ["PATH"], **{f"V{n}": str(n) for n in range(10_000)}}
    done = start(sh("env | grep -c ^V; echo $V9999"), environment=environment).finish()
    assert done.out == b"10000\n9999\n"


def test_a_value_written_in_two_halves_a_second_apart_is_caught(start: Start) -> None:
    """What is held back is held for longer than that."""
    line = "import os,time; k=os.environb[b'KEY']; os.write(1,b'<'+k[:20]); time.sleep(1); os.write(1,k[20:]+b'>')"
    assert start(python(line), LENT).finish().out == b"<{{kv:KEY}}>"


def test_halves_on_two_streams_that_are_one_file_are_caught(start: Start) -> None:
    """`2>&1`: the order stays, and a value written half to each is seen whole."""
    line = "import os; k=os.environb[b'KEY']; os.write(1,b'<'+k[:20]); os.write(2,k[20:]+b'>')"
    assert start(python(line), LENT, shared=True).finish().out == b"<{{kv:KEY}}>"


def test_output_waits_for_nothing_but_the_silence(start: Start) -> None:
    """A line of a program that goes on is released after two seconds, whatever it looks like."""
    waits = []
    for text in ("harmless", KEY[:20].decode()):
        run = start(sh(f"echo {text}; sleep 60"))
        run.started()
        began = time.monotonic()
        os.read(run.stdout, 100)
        waits.append(time.monotonic() - began)
        run.tell({"signal": signal.SIGTERM})
        run.finish()
    assert all(1.8 < wait < 20 for wait in waits), waits  # a busy machine is no defect


def test_nothing_reacts_to_a_guess_at_a_weak_secret(start: Start) -> None:
    """It comes out as it went in, nothing stops, and neither side is told."""
    done = start(sh(f"echo {WEAK.decode()}; echo more >&2; echo $KEY > {WEAK.decode()}; mkdir d-{WEAK.decode()}"), LENT)
    found = done.finish()
    assert (found.out, found.err) == (WEAK + b"\n", b"more\n")
    assert found.said == [f"a file now holds KEY: {WEAK.decode()}"]
    assert found.facts["redactions"] == {}


def test_a_weak_secret_that_was_lent_is_replaced(start: Start) -> None:
    """Who was lent it learns nothing from a marker."""
    done = start(sh("echo $WEAK"), [Lending("dev/WEAK", WEAK)]).finish()
    assert done.out == b"{{kv:dev/WEAK}}\n"


def test_without_redaction_the_program_has_the_descriptors_themselves(start: Start) -> None:
    """For a person with proof: nothing is between."""
    done = start(sh("echo $KEY"), LENT, redact=False).finish()
    assert done.out == KEY + b"\n"


@pytest.mark.parametrize(("change", "code"), [("mv a b", "run-missing"), ("echo >>a", "run-changed")])
def test_what_changed_since_it_was_judged_is_not_started(start: Start, tmp_path: Path, change: str, code: str) -> None:
    """A program that was moved or changed in between is refused, by a code of its own on both lines."""
    program = tmp_path / "a"
    program.write_text("#!/bin/sh\ntouch ran\n")
    program.chmod(0o755)
    before = pin(str(program))
    subprocess.run(["sh", "-c", change], cwd=tmp_path, check=True)
    refused(start([str(program)], pin=before), code)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("kind", ["folder", "closed", "nonsense"])
def test_what_cannot_be_executed_is_refused(start: Start, tmp_path: Path, kind: str) -> None:
    """A folder, a file without the right, one that is no program of any kind: 126, as in a shell."""
    place = tmp_path / "a"
    place.mkdir() if kind == "folder" else place.write_bytes(
        b"\x7fELF\0nonsense" if kind == "nonsense" else b"#!/bin/sh"
    )
    place.chmod(0o600 if kind == "closed" else 0o700)
    assert refused(start([str(place)]), "run-refused")["exit"] == 126


def test_a_script_without_a_first_line_runs(start: Start, tmp_path: Path) -> None:
    """As it does from a shell."""
    script = tmp_path / "a"
    script.write_text("echo $0 $1\n")
    script.chmod(0o700)
    assert start([str(script), "x"]).finish().out == f"{script} x\n".encode()


def test_another_folder_than_the_one_that_was_approved_is_refused(start: Start) -> None:
    """The descriptor is held beside what the keeper saw."""
    refused(start(["true"], folder=[1, 2]), "run-folder")


def refused(run: Raw, code: str) -> dict[str, object]:
    """Both sides are told `code`; the error as the client has it."""
    done = run.finish()
    failed, error = done.keeper[-1]["failed"], done.client[-1]["error"]
    assert isinstance(failed, dict)
    assert isinstance(error, dict)
    assert (failed["code"], error["code"]) == (code, code)
    return error


def test_all_that_a_program_left_behind_is_ended_and_counted(start: Start) -> None:
    """A job in the background, and one that made a session of its own and lost its parents."""
    line = "sleep 101 & (setsid sleep 102 &) ; echo $$"
    run = start(sh(line))
    pid = run.started()
    done = run.finish()
    assert done.facts["left"] == 2
    assert done.said == ["ended 2 processes that it left behind"]
    assert not running("sleep", "101") + running("sleep", "102"), pid


def running(*argv: str) -> list[int]:
    """The processes with exactly these arguments."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if path.read_bytes() == b"".join(word.encode() + b"\0" for word in argv):
                found.append(int(path.parent.name))
    return found


def test_a_child_that_ignores_every_request_is_killed(start: Start) -> None:
    """Two seconds after it was asked; the client is told what ended it, and that it was the timeout."""
    line = "trap '' TERM HUP INT; while :; do sleep 103; done"
    began = time.monotonic()
    done = start(sh(line), timeout=0.3).finish()
    assert done.ended == {"exit": -1, "signal": signal.SIGKILL, "timeout": True}
    assert 2.2 < time.monotonic() - began < 20
    assert not running("sleep", "103")


@pytest.mark.parametrize("how", ["client", "keeper", "nonsense"])
def test_the_run_ends_with_its_client_and_at_the_keepers_word(start: Start, how: str) -> None:
    """Client gone, `kv panic`, or a client that says what no client of ours says: all of it ends."""
    number = {"client": "104", "keeper": "105", "nonsense": "106"}[how]
    run = start(sh(f"trap '' HUP; sleep {number} & setsid sleep {number}"))
    run.started()
    wait_for(lambda: len(running("sleep", number)) == 2)
    if how == "client":
        run.control.close()
    elif how == "keeper":
        run.keeper.kill()
    else:
        run.tell({"signal": 9999})
    assert "ended" in run.keeper.ended()
    assert not running("sleep", number)


def wait_for(true: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until it holds."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.01)


def test_a_client_that_is_gone_before_the_start_has_nothing_started(nursery: Nursery, tmp_path: Path) -> None:
    """Its first word is there, and it is not."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.send(json.dumps(hello(streams=["closed"] * 3)).encode())
    ours.close()
    folder = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    with theirs:
        keeper = nursery.begin(theirs, an_order(["touch", "ran"], tmp_path), [], folder)
    os.close(folder)
    failed = keeper.ended()["failed"]
    keeper.socket.close()
    assert isinstance(failed, dict)
    assert failed["code"] == "interrupted"
    assert not (tmp_path / "ran").exists()


def test_a_run_goes_on_when_the_keeper_is_locked(start: Start) -> None:
    """The nursery ends with the keeper; what it has forked keeps redacting and reports to its client."""
    with Nursery() as own:
        own.know(("KEY", KEY, STRONG))
        run = start(sh("sleep 0.5; echo $KEY"), LENT, nursery=own)
        run.started()
        own.close()
        run.keeper.socket.shutdown(socket.SHUT_RDWR)
        assert run.finish().out == b"{{kv:KEY}}\n"


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_signals_of_the_client_reach_the_program(start: Start, number: signal.Signals) -> None:
    """Those that a job is controlled by."""
    run = start(sh(f"trap 'echo got; exit 7' {number.value}; echo ready; sleep 9 & wait"), prompt=True)
    run.started()
    assert os.read(run.stdout, 100) == b"ready\n"
    run.tell({"signal": number})
    done = run.finish()
    assert (done.out, done.ended["exit"]) == (b"got\n", 7)


def test_a_stop_is_told_and_undone(start: Start) -> None:
    """The client stops likewise, as the shell that watches it expects."""
    run = start(sh("kill -STOP $$; echo on"))
    run.started()
    assert run.hear() == {"stopped": signal.SIGSTOP}
    run.tell({"continue": None, "foreground": False})
    assert run.finish().out == b"on\n"


def test_the_end_of_the_reader_reaches_the_program(start: Start) -> None:
    """`kv run -- yes | head -1`: SIGPIPE at its next write, as without us."""
    run = start(["yes"], prompt=True)
    run.started()
    os.read(run.stdout, 10)
    os.dup2(run.stderr, run.stdout)
    assert run.finish().ended["signal"] == signal.SIGPIPE


def test_a_closed_output_is_closed(start: Start) -> None:
    """`>&-`: writing fails as it does without us."""
    first = hello(streams=["given", "closed", "given"])
    done = start(sh("echo x; echo status $? >&2"), hello=first).finish()
    assert b"status 1" in done.err


def test_a_slow_reader_makes_the_program_wait(start: Start, tmp_path: Path) -> None:
    """What is written into a pipe that nobody empties is bounded, and so is the runner's memory."""
    line = "import os\nn=0\nwhile True:\n n+=os.write(1,b'x'*65536); open('n','w').write(str(n))"
    run = start(python(line))
    pid = run.started()
    sizes = []
    for _ in range(2):
        time.sleep(0.7)
        sizes.append(int((tmp_path / "n").read_text()))
    runner = int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].split()[1])
    peak = int(re.findall(r"VmHWM:\s+(\d+)", Path(f"/proc/{runner}/status").read_text())[0])
    assert sizes[0] == sizes[1] < 4 << 20
    assert peak < 96 << 10, "KiB"
    run.control.close()
    assert "ended" in run.keeper.ended()


@pytest.mark.parametrize("via", ["stdin", "fd", "file"])
def test_a_value_is_delivered_beside_the_environment(start: Start, tmp_path: Path, via: str) -> None:
    """By standard input, by a sealed descriptor, by a file in memory; and it is gone afterwards."""
    read = {
        "stdin": "sys.stdin.read()",
        "fd": "os.read(int(os.environ['KEY_FD']),99).decode()",
        "file": "open('k').read()",
    }
    line = f"import os,sys; v={read[via]}; print(len(v), v)"
    done = start(python(line), [Lending("KEY", KEY, via, "k" if via == "file" else "")]).finish()
    assert done.out == b"39 {{kv:KEY}}\n"
    assert not os.path.lexists(tmp_path / "k")


def test_new_files_that_hold_a_secret_are_told(start: Start, tmp_path: Path) -> None:
    """By name; an old one and one of git's are not, nor is one that holds a guess."""
    (tmp_path / "old").write_bytes(KEY)
    (tmp_path / ".git").mkdir()
    time.sleep(0.03)
    line = f"mkdir -p a/b; echo $KEY > a/b/c; echo $KEY > .git/x; echo {WEAK.decode()} > weak; ln -s old link"
    done = start(sh(line), LENT).finish()
    assert done.said == ["a file now holds KEY: a/b/c"]
    assert done.facts["files"] == 1


def test_a_name_that_holds_a_secret_is_told_without_it(start: Start) -> None:
    """A folder that a value named, with a sign that is not shown in it."""
    value = b"odd-\x01-value-0123456789"
    with Nursery() as own:
        own.know(("ODD", value, STRONG))
        done = start(sh('mkdir "$ODD"; touch "$ODD/x"'), [Lending("ODD", value)], nursery=own).finish()
    assert done.said == ["a name now holds ODD: {{kv:ODD}}"]
