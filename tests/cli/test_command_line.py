"""The command line as a person meets it, without a keeper."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from kv.__main__ import run
from kv.errors import ERRORS, EXIT_STATUSES
from kv.hot import HOT
from kv.hot.result import print_json
from kv.hot.status import span

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CANARY = "sk-canary-6e1f0c"


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home of our own: no vault, no state; and nothing here may get as far as forking."""

    def shelter() -> None:
        raise AssertionError("it went on instead of refusing")

    monkeypatch.setattr("kv.cli.keeper.shelter", shelter)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("KV_VAULT", "KV_ENV", "XDG_DATA_HOME", "XDG_STATE_HOME", "KV_AGENT_SOCKET", "_KV_COMPLETE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    "argv",
    [
        ["set", f"NAME={CANARY}"],
        ["set", "NAME", CANARY],
        ["rotate", "NAME", CANARY],
        ["rotate", f"NAME={CANARY}"],
        ["--json", "set", "-e", "prod", "NAME", CANARY, "more"],
    ],
)
def test_a_value_as_argument_is_refused_and_never_repeated(argv: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    """`kv set NAME=VALUE` ends with status 2, says why and how, and does not print the value once more."""
    assert run(argv) == 2
    said = "".join(capfd.readouterr())
    assert "never travels as an argument" in said
    assert "shell's history" in said
    assert CANARY not in said


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["st"], "no such verb"),
        (["conect"], "did you mean 'connect'?"),
        (["apy"], "no such verb (did you mean 'api'?)"),
        (["audit", "lst"], "no such verb (did you mean 'list'?); kv audit --help lists them"),
        (["--json", "daemon", "--vault", "x", "stat"], "no such verb (did you mean 'status'?)"),
        (["audit", CANARY], "no such verb; kv audit --help"),
        (["get"], "NAME is missing"),
        (["-e"], "-e needs a value"),
        (["rm", "A", CANARY], "too many or too few words"),
        (["ls", f"--{CANARY}"], "no such option"),
        (["ls", "--jsn"], "no option --jsn (did you mean '--json'?)"),
        (["set", "K", f"-----BEGIN PRIVATE KEY----- {CANARY}"], "no such option"),
        (["unlock", "--passphrase-fd", CANARY], "--passphrase-fd is missing or malformed"),
        (["unlock", "--idle", CANARY], "a span of time"),
        (["unlock", "--until", "25:00"], "a time of day"),
        (["history", "A", f"--revision={CANARY}"], "no option --revision"),
        (["status", f"--vault-{CANARY}"], "no such option"),
        (["api", "c", "/", f"-{CANARY}"], "no such option"),
        ([CANARY], "no such verb"),
        (["set", "K", "--stdin", "--file", "x"], "--stdin or --file"),
        (["connect", "c"], "say what to change"),
        (["connect", "c", "--remove", "--host", "https://x"], "--remove takes no other option"),
        (["connect", "c", "--auth", CANARY], "--auth is one of"),
        (["connect", "c", "--ca", "/dev/null"], "--ca takes a PEM file"),
        (["init", "--kdf-memory", "32MiB"], "--kdf-memory is 64MiB to 1024MiB"),
        (["init", "--kdf-memory", "2GiB"], "--kdf-memory is 64MiB to 1024MiB"),
        (["init", "--kdf-memory", CANARY], "a size like 64MiB"),
    ],
)
def test_a_wrong_command_line_ends_with_status_2(argv: list[str], says: str, capfd: pytest.CaptureFixture[str]) -> None:
    """One sentence in kv's voice, on stderr; what was typed for an option or word is not repeated."""
    assert run(argv) == 2
    out, err = capfd.readouterr()
    assert says in err
    assert CANARY not in out + err
    assert "Traceback" not in err


def test_an_error_is_an_object_with_json(capfd: pytest.CaptureFixture[str]) -> None:
    """With --json an error is one object on stdout: code, message, hint, exit status; stderr still says it."""
    assert run(["ls", "--json"]) == 5
    out, err = capfd.readouterr()
    assert json.loads(out)["error"] == {
        "code": "locked",
        "message": "the vault is locked",
        "hint": "ask the user to run `kv unlock`",
        "exit": 5,
    }
    assert err == "kv: the vault is locked\n    hint: ask the user to run `kv unlock`\n"


def test_a_locked_vault_is_an_answer_of_status(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """`kv status` succeeds for a vault that is locked, or that is not there."""
    assert run(["--vault", str(tmp_path / "v.kv"), "status", "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert (found["locked"], found["pid"], found["tier"], found["exists"]) == (True, None, None, False)


@pytest.mark.parametrize("verb", ["set", "init", "import", "approve", "doctor", "restore-backup", *HOT])
def test_every_verb_has_help_with_an_example(verb: str, capfd: pytest.CaptureFixture[str]) -> None:
    """`kv VERB --help` shows a line that can be typed."""
    assert run([verb, "--help"]) == 0
    assert f"  kv {verb}" in capfd.readouterr().out


def test_help_lists_every_verb_of_the_issue(capfd: pytest.CaptureFixture[str]) -> None:
    """`kv --help` names all verbs, hot ones too."""
    assert run(["--help"]) == 0
    listed = {line.split()[0] for line in capfd.readouterr().out.partition("Commands:")[2].splitlines() if line.strip()}
    wanted = (
        "init unlock lock status passwd totp pin recover set get ls show rotate rm mv history restore generate import "
        "backup restore-backup connect connections providers api explain run approve deny approvals wait panic audit "
        "mcp doctor daemon demo version"
    )
    assert set(wanted.split()) <= listed


@pytest.mark.parametrize("argv", [[], ["audit"], ["-e", "prod", "daemon"]])
def test_without_a_verb_the_help_is_shown(argv: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    """`kv`, and a noun alone, are answered with what there is; the status says that nothing was done."""
    assert run(argv) == 2
    out, err = capfd.readouterr()
    assert out.startswith("Usage: kv")
    assert err == ""
    assert run(["--json", *argv]) == 2
    assert json.loads(capfd.readouterr().out)["error"]["message"].startswith("the verb is missing; kv")


def test_help_is_a_verb_too(capfd: pytest.CaptureFixture[str]) -> None:
    """`kv help VERB` is `kv VERB --help`, of hot and other verbs, on each level."""
    for words in ([], ["api"], ["set"], ["audit", "list"]):
        assert run(["help", *words]) == 0
        asked = capfd.readouterr().out
        assert run([*words, "--help"]) == 0
        assert asked == capfd.readouterr().out


def test_help_fits_eighty_columns(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """No page of help is wider than the terminal that people begin with, and no verb's sentence is cut short."""
    monkeypatch.setenv("COLUMNS", "80")
    pages: list[list[str]] = [[]]
    for page in pages:  # each appends those that it lists
        assert run([*page, "--help"]) == 0
        out = capfd.readouterr().out
        wrong = [line for line in out.splitlines() if len(line) > 79 or line.endswith("...")]
        assert [line for line in wrong if not line.startswith("Usage:")] == []
        listed = out.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
        pages += [[*page, line.split()[0]] for line in listed if line[2] != " "]
    assert ["audit", "verify"] in pages


def test_no_changing_verb_waits_without_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without a terminal and a descriptor a changing verb fails at once, for an existing vault as well."""
    (tmp_path / "v.kv").write_bytes(b"")
    monkeypatch.setattr("kv.cli.proof.Terminal.available", lambda: None)
    for argv in (["rm", "A"], ["mv", "A", "B"], ["generate", "A"], ["connect", "c", "--remove"], ["unlock"]):
        assert run(["--vault", str(tmp_path / "v.kv"), *argv]) == 7
        assert "needs a person's proof" in capfd.readouterr().err


def test_a_defect_is_told_by_its_place_and_never_by_its_text(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """An exception that is not in the list ends as `internal`: an id and a line of kv's, no text, no traceback."""
    import kv.hot.status

    def broken(_: str) -> None:
        raise ValueError(CANARY)

    monkeypatch.setattr(kv.hot.status, "ask", broken)
    assert run(["status"]) == 70
    out, err = capfd.readouterr()
    assert "a defect in kv" in err
    assert "ValueError at kv.hot.status:" in err
    assert CANARY not in out + err
    assert "Traceback" not in err


@pytest.mark.parametrize(("raised", "status"), [(KeyboardInterrupt, 130)])
def test_an_interrupt_ends_quietly(
    raised: type[BaseException], status: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C ends with 130, as a shell expects, and without a word."""
    import kv.hot.status

    def stop(_: str) -> None:
        raise raised

    monkeypatch.setattr(kv.hot.status, "ask", stop)
    assert run(["status"]) == status
    assert capfd.readouterr().err == ""


def test_exit_statuses_are_all_documented() -> None:
    """Every error's exit status is one of the public list."""
    assert {row[0] for row in ERRORS.values()} <= EXIT_STATUSES.keys()


def test_the_hot_path_stays_light() -> None:
    """`kv api` and its like load neither typer nor anything else outside the standard library and kv's client side."""
    import subprocess

    code = (
        "import sys; from kv.__main__ import run; import contextlib, io\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):\n"
        "    run(['api', 'x', 'GET', '/']), run(['status'])\n"
        "print(sorted(m for m in sys.modules if m.partition('.')[0] in "
        "{'typer', 'msgspec', 'pydantic', 'nacl', 'argparse', 'asyncio', 'inspect', 'dataclasses', 'kv'}))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(found.stdout.replace("'", '"')))
    assert {name for name in loaded if name.partition(".")[0] == "kv"} <= {
        *("kv", "kv.__main__", "kv.errors", "kv.client", "kv.wire", "kv.paths", "kv.similar"),
        *("kv.hot", "kv.hot.api", "kv.hot.arguments", "kv.hot.call", "kv.hot.person", "kv.hot.request"),
        *("kv.hot.result", "kv.hot.status"),
    }
    assert all(name.startswith("kv") for name in loaded)


def test_names_take_the_prefix(options: Callable[..., object]) -> None:
    """`-e prod` goes before a plain name, not before a path, and a leading slash takes none."""
    made = options(env="prod")
    assert [made.name(n) for n in ("KEY", "aws/KEY", "/KEY")] == ["prod/KEY", "aws/KEY", "KEY"]  # type: ignore[attr-defined]
    assert options().name("KEY") == "KEY"  # type: ignore[attr-defined]


@pytest.fixture
def options() -> Callable[..., object]:
    """The options of a command, imported late: `typer` comes with them."""
    from kv.cli.options import Options

    return Options


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (45, "45 s"),
        (61, "1 min"),
        (3540, "59 min"),
        (3541, "1 h"),
        (12_000, "3 h 20 min"),
        (14_399, "4 h"),
        (43_199.2, "12 h"),
    ],
)
def test_durations_are_told_as_people_do(seconds: float, said: str) -> None:
    """A vault that was unlocked a second ago locks in 4 h, not in 3 h 59 min."""
    assert span(seconds) == said


def test_half_a_character_is_printed_as_json_spells_it(capsys: pytest.CaptureFixture[str]) -> None:
    """A service that answers with half a surrogate pair gives a result like any other."""
    print_json({"body": "half \ud800", "whole": "\N{GRINNING FACE}"})
    assert capsys.readouterr().out == '{"body": "half \\ud800", "whole": "\N{GRINNING FACE}"}\n'
