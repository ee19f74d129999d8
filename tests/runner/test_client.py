"""`kv run` as a program or an agent starts it, without a terminal: the real client, the real runner."""

from __future__ import annotations

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
from runs import LIBRARYS_OWN
from standin import KEY, StandIn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runs import Nursery

Run = subprocess.Popen[bytes]


@pytest.fixture
def standin(nursery: Nursery, tmp_path: Path) -> Iterator[StandIn]:
    """A keeper that takes every caller for what it says it is."""
    with StandIn(nursery, tmp_path) as made:
        yield made


@pytest.fixture
def kv(standin: StandIn, tmp_path: Path) -> Iterator[Callable[..., Run]]:
    """Start `kv run` with these arguments, in a session of its own, without a terminal."""
    started: list[Run] = []

    def start(*words: str, environment: dict[str, str] | None = None, **options: object) -> Run:
        variables = {**os.environ, "KV_VAULT": str(standin.vault), **(environment or {})}
        streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        argv = [sys.executable, "-m", "kv", "run", *words]
        started.append(
            subprocess.Popen(argv, env=variables, cwd=tmp_path, start_new_session=True, **{**streams, **options})  # type: ignore[call-overload] # of Popen's many
        )
        return started[-1]

    yield start
    for run in started:
        run.kill()
        run.communicate()


def ended(run: Run, stdin: bytes = b"") -> tuple[int, bytes, bytes]:
    """Status and both outputs."""
    out, err = run.communicate(stdin, timeout=30)
    return run.returncode, out, err


def lend(*words: str) -> tuple[str, ...]:
    """Arguments that lend KEY to a command."""
    return ("--secret", "KEY", "--", *words)


def running(*argv: str) -> list[int]:
    """The processes with exactly these arguments."""
    wanted = b"".join(word.encode() + b"\0" for word in argv)
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += [int(path.parent.name)] * (path.read_bytes() == wanted)
        except OSError:
            continue
    return found


def wait_for(true: Callable[[], object], seconds: float = 15.0) -> None:
    """Wait until it holds."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.02)


def test_input_goes_in_and_output_comes_back_scrubbed(kv: Callable[..., Run]) -> None:
    """In a pipe on each side."""
    line = 'read x; echo "$x $KEY"; echo "$KEY" >&2; exit 3'
    assert ended(kv(*lend("sh", "-c", line)), b"in\n") == (3, b"in {{kv:KEY}}\n", b"{{kv:KEY}}\n")


@pytest.mark.parametrize(
    ("name", "status", "said"),
    [
        ("no-such-program", 127, "command not found"),
        ("/etc", 126, "it is a folder"),
        ("/etc/passwd", 126, "permission denied"),
    ],
)
def test_a_program_that_cannot_start_has_a_shells_status(
    kv: Callable[..., Run], name: str, status: int, said: str
) -> None:
    """127 where there is none, 126 where it cannot be executed: with secrets and without."""
    for words in (lend(name), ("--", name)):
        found, out, err = ended(kv(*words))
        assert (found, out) == (status, b"")
        assert said in err.decode()


def test_a_refusal_is_the_keepers(kv: Callable[..., Run], standin: StandIn) -> None:
    """Its sentence, its status, and nothing is started."""
    standin.refuse = {"code": "denied", "message": "denied by rule 'x': y", "hint": "z", "exit": 3}
    status, out, err = ended(kv(*lend("touch", "ran")))
    assert (status, out) == (3, b"")
    assert b"denied by rule" in err
    assert standin.runs == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("npm", "test"), "write -- before the command"),
        (("--secret", "KEY", "--"), "write -- before the command"),
        (("--secret", "KEY", "--no-secrets", "--", "true"), "--no-secrets, or secrets"),
        (("--sekret", "KEY", "--", "true"), "did you mean --secret"),
    ],
)
def test_a_command_line_that_says_nothing_clear_is_refused(
    kv: Callable[..., Run], words: tuple[str, ...], said: str
) -> None:
    """What is the program's stands behind `--`, and nowhere else."""
    status, _, err = ended(kv(*words))
    assert status == 2
    assert said.replace("did you mean ", "") in err.decode()


def test_options_of_the_program_are_not_ours(kv: Callable[..., Run]) -> None:
    """`--json`, `--help` and another `--` behind the first belong to it."""
    assert ended(kv(*lend("echo", "--json", "--", "--help")))[1] == b"--json -- --help\n"


def test_what_is_asked_of_the_keeper(kv: Callable[..., Run], standin: StandIn) -> None:
    """The words and variables in the body, the rest in the request; without a terminal nothing of a person."""
    ended(kv("--timeout", "9", "--reason", "why", "--clear-env", *lend("true", "a b"), environment={"ODD": "x=y\nz"}))
    (request,) = standin.requests
    args, words = request["args"], request["words"]
    assert isinstance(args, dict)
    assert isinstance(words, list)
    assert words[:2] == [b"true", b"a b"]
    assert b"ODD=x=y\nz" in words
    assert args == {
        "argv": 2,
        "environment": len(words) - 2,
        "lent": [{"name": "KEY", "via": "env", "to": "KEY"}],
        "person": False,
        "redact": True,
        "clear": True,
        "timeout": 9.0,
        "wait": 180.0,
        "reason": "why",
    }


def test_a_timeout_is_124(kv: Callable[..., Run]) -> None:
    """As timeout(1) has it, whatever ended the program."""
    assert ended(kv("--timeout", "0.3", *lend("sleep", "401")))[0] == 124
    assert not running("sleep", "401")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV, signal.SIGINT])
def test_a_signal_that_ends_the_program_ends_the_client(kv: Callable[..., Run], number: signal.Signals) -> None:
    """Whoever waits for us sees what it would have seen."""
    assert ended(kv(*lend("sh", "-c", f"kill -{number.value} $$")))[0] == -number.value


def test_ten_thousand_variables(kv: Callable[..., Run]) -> None:
    """All the way through."""
    many = {f"V{n}": "x" * 20 for n in range(10_000)}
    assert ended(kv(*lend("sh", "-c", "env | grep -c ^V"), environment=many))[1] == b"10000\n"


def test_pipes_end_with_the_program_and_not_with_us(kv: Callable[..., Run]) -> None:
    """Who writes to it and who reads from it learn of its closing at once, while it still runs."""
    run = kv(*lend("sh", "-c", "exec <&- >&-; sleep 402"))
    assert run.stdout is not None
    assert run.stdin is not None
    assert run.stdout.read() == b""
    wait_for(lambda: running("sleep", "402"))
    with pytest.raises(BrokenPipeError):
        os.write(run.stdin.fileno(), bytes(1))
    assert run.poll() is None


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_a_closed_stream_is_closed_for_the_program(kv: Callable[..., Run], tmp_path: Path, closed: int) -> None:
    """`<&-`, `>&-`, `2>&-`: nothing of ours gets its number."""
    line = f"[ -e /proc/self/fd/{closed} ] || touch closed"
    run = kv(*lend("sh", "-c", line), preexec_fn=lambda: os.close(closed))
    assert ended(run)[0] == 0
    assert (tmp_path / "closed").exists()


@pytest.mark.parametrize("number", [1, 2, 3, 6, 9, 11, 13, 14, 15])
def test_a_client_killed_while_it_runs_leaves_nobody(kv: Callable[..., Run], number: int) -> None:
    """By every signal that ends a process: the program, its children, and one in a session of its own."""
    seconds = str(500 + number)
    run = kv(*lend("sh", "-c", f"sleep {seconds} & (setsid sleep {seconds} &) ; sleep {seconds}"))
    wait_for(lambda: len(running("sleep", seconds)) == 3)
    run.send_signal(number)
    run.wait(15)
    wait_for(lambda: not running("sleep", seconds))


@pytest.mark.parametrize("delay", [0.0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.15, 0.2])
def test_a_client_killed_at_any_moment_leaves_nobody(kv: Callable[..., Run], delay: float) -> None:
    """Before it has asked, while it asks, right after the start."""
    seconds = str(600 + delay * 1000)
    run = kv(*lend("sleep", seconds))
    time.sleep(delay)
    run.kill()
    run.wait(15)
    time.sleep(0.3)
    wait_for(lambda: not running("sleep", seconds))


def test_a_runner_that_is_killed_takes_the_program_along(kv: Callable[..., Run], standin: StandIn) -> None:
    """And all that this one has started; the client says so instead of waiting, and other runs go on."""
    other = kv(*lend("sh", "-c", "sleep 404 & read x; echo on"))
    wait_for(lambda: running("sleep", "404"))
    run = kv(*lend("sh", "-c", "sleep 403 & (setsid sleep 403 &) ; echo $PPID; wait"))
    wait_for(lambda: len(running("sleep", "403")) == 2)
    (program,) = running("sh", "-c", "sleep 403 & (setsid sleep 403 &) ; echo $PPID; wait")
    runner = int(Path(f"/proc/{program}/stat").read_bytes().rpartition(b") ")[2].split()[1])
    os.kill(runner, signal.SIGKILL)
    status, _, err = ended(run)
    assert status == 1
    assert b"cut off" in err
    wait_for(lambda: not running("sleep", "403"))
    assert running("sleep", "404")
    assert ended(other, b"\n")[:2] == (0, b"on\n")
    assert len(standin.runs) == 2


def test_without_secrets_credentials_are_taken_out(kv: Callable[..., Run]) -> None:
    """By name, by shape, and what the vault holds; the program replaces us, and its pid is ours."""
    variables = {"A_TOKEN": "x", "URL": "postgres://a:b@c/d", "HIDDEN": KEY.decode(), "PLAIN": "y"}
    run = kv("--", "sh", "-c", "echo $$ $A_TOKEN $URL $HIDDEN $PLAIN; exit 5", environment=variables)
    assert ended(run) == (5, f"{run.pid} y\n".encode(), b"kv: without A_TOKEN, HIDDEN, URL\n")


def test_without_secrets_no_keeper_is_needed(kv: Callable[..., Run], tmp_path: Path) -> None:
    """A locked vault, or none: the names and the shapes still count."""
    run = kv(
        "--no-secrets",
        "--",
        "sh",
        "-c",
        "echo ${A_TOKEN-gone}",
        environment={"A_TOKEN": "x", "KV_VAULT": str(tmp_path / "none")},
    )
    status, out, err = ended(run)
    assert (status, out) == (0, b"gone\n")
    assert err.startswith(b"kv: the vault is locked: its values were not looked for")
    assert err.endswith(b"\nkv: without A_TOKEN\n")


def test_signals_are_as_a_shell_leaves_them_without_secrets(kv: Callable[..., Run]) -> None:
    """What Python ignores a program does not inherit."""
    _, out, _ = ended(kv("--", "grep", "SigIgn", "/proc/self/status"))
    assert int(out.split()[1], 16) & ~LIBRARYS_OWN == 0


PYTEST = f"{sys.executable} -m pytest -q -p no:cacheprovider --color=yes test_it.py"


@pytest.mark.parametrize(
    "command",
    ["make -j3 -s all", pytest.param("npm test --silent", marks=pytest.mark.needs("npm")), PYTEST, "git log --oneline"],
)
def test_programs_that_developers_run(kv: Callable[..., Run], tmp_path: Path, command: str) -> None:
    """Output, errors and status are those of a direct run, but for how long it took."""
    (tmp_path / "Makefile").write_text("all: a b c\na b c:\n\t@echo done; exit 0\n")
    (tmp_path / "package.json").write_text('{"scripts": {"test": "echo tested && exit 4"}}')
    (tmp_path / "test_it.py").write_text("def test_it():\n    assert 1 == 2\n")
    for line in ("init -q", "-c user.name=a -c user.email=a@b.test commit -q --allow-empty -m first"):
        subprocess.run(["git", *line.split()], cwd=tmp_path, check=True)
    words = command.split()
    direct = subprocess.run(words, cwd=tmp_path, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    status, out, err = ended(kv(*lend(*words), stdin=subprocess.DEVNULL))
    assert status == direct.returncode
    assert timeless(out) == timeless(direct.stdout) != b""
    assert timeless(err) == timeless(direct.stderr)


def timeless(text: bytes) -> bytes:
    """Without times."""
    return re.sub(rb"\d+\.\d+s", b"", text)


def test_a_prefix_counts_wherever_it_stands(standin: StandIn) -> None:
    """`kv -edev run …` is read elsewhere than `kv run -e dev …`, and means the same."""
    command = ("--secret", "WEAK", "--", "sh", "-c", "echo ${#WEAK} --x")
    for argv in (("run", "-e", "dev", *command), ("-edev", "run", *command), ("-e", "dev", "run", *command)):
        variables = {**os.environ, "KV_VAULT": str(standin.vault)}
        done = subprocess.run([sys.executable, "-m", "kv", *argv], env=variables, capture_output=True, check=False)
        assert (done.returncode, done.stdout) == (0, b"16 --x\n")


@pytest.mark.needs("node")
def test_a_server_serves_until_it_is_interrupted(kv: Callable[..., Run]) -> None:
    """A Node server with a secret in its environment: reached over loopback, ended by SIGINT as it ends itself."""
    script = (
        "const s=require('http').createServer((q,r)=>r.end(String(process.env.KEY.length)));"
        "s.listen(0,'127.0.0.1',()=>console.log(s.address().port));"
        "process.on('SIGINT',()=>{console.log('bye '+process.env.KEY);s.close(()=>process.exit(6))})"
    )
    run = kv(*lend("node", "-e", script))
    assert run.stdout is not None
    port = int(run.stdout.readline())
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert client.makefile("rb").read().endswith(b"39")
    run.send_signal(signal.SIGINT)
    assert ended(run)[:2] == (6, b"bye {{kv:KEY}}\n")
