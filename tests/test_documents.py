"""The documents are tested like code: what they name exists, and what they tabulate is what the code says."""

from __future__ import annotations

import ast
import re
import string
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import msgspec
import pytest
import typer
from ai_clients import CLIENTS
from more_clients import MORE

from kv import wire
from kv.cli.app import build
from kv.daemon import places, server
from kv.daemon.requests import VERBS, Needs
from kv.errors import ERRORS, EXIT_STATUSES
from kv.hot import HOT, call
from kv.hot.arguments import GLOBAL
from kv.registry import AUTH, KINDS, load

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted(
    path
    for folder in (".", "brokers", "kv", "tests")
    for path in ((ROOT / folder).glob("*.md") if folder == "." else (ROOT / folder).rglob("*.md"))
)
SECURITY = (ROOT / "SECURITY.md").read_text()
README = (ROOT / "README.md").read_text()
WIRE = (ROOT / "kv" / "WIRE.md").read_text()

# Hosts that a document may link to or write down: standards, and names that belong to nobody.
HOSTS = {
    "keepachangelog.com",
    "semver.org",
    "www.rfc-editor.org",
    "datatracker.ietf.org",
    "www.sqlite.org",
    "sqlite.org",
}
RESERVED = (".test", ".example", "example.com", "example.org", "example.net")  # RFC 2606, RFC 6761
ATTACKS = (
    *("R-SQLRO", "R-SSHCMD"),
    *(
        "R-APPR",
        "R-FRONT",
        "R-IPC",
        "R-SSRF",
        "R-REBIND",
        "R-REDIR",
        "R-HOST",
        "R-ECHO",
        "R-LAUNDER",
        "R-MISUSE",
        "R-FILE",
    ),
    *(
        "R-KDF",
        "R-TOTP",
        "R-LOG",
        "R-AUDIT",
        "R-MASKBACK",
        "R-MEM",
        "R-DEPUTY",
        "R-DETECT",
        "R-INJ",
        "R-PHISH",
        "R-BUDGET",
    ),
    *("Hold-back", "Selection", "Confirmation", "fake keeper", "ticket", "`save`"),
)
PLANNED: set[str] = set()  # verbs that the README names as not there yet


def _tables(text: str) -> Iterator[list[list[str]]]:
    """The tables of a document: rows of cells, the heading first."""
    for block in re.findall(r"(?:^\|.*\|$\n?)+", text, re.MULTILINE):
        rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in block.splitlines()]
        yield [row for row in rows if not set("".join(row)) <= {"-"}]


def _section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next one of any level."""
    found = re.search(rf"^#+ {re.escape(heading)}$\n(.*?)(?=^#+ |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, heading
    return found[1]


def _words(cell: str) -> list[str]:
    """The code spans at the start of a cell, up to its first sentence."""
    return re.findall(r"`([^`]+)`", re.split(r"[:.(]", cell, maxsplit=1)[0])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    """A link between documents names a file that is there, and a heading that it has."""
    text = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        found = document.parent / path if path else document
        assert found.exists(), target
        assert not anchor or anchor in _anchors(found.read_text()), target


def _anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_document_names_a_machine_or_a_registry(document: Path) -> None:
    """Addresses are of standards or of nobody, absolute paths are of no real machine."""
    text = document.read_text()
    hosts = {urlsplit(url).hostname or "" for url in re.findall(r"https?://[^\s)\"'`>\]]+", text)}
    assert {host for host in hosts if host not in HOSTS and not host.endswith(RESERVED)} == set()
    assert re.findall(r"(?<![\w~.…])/(?:home|root|Users|work|tmp|usr|opt|var|srv|mnt)/[^\s`]*", text) == []


@pytest.mark.parametrize(
    "document", [ROOT / "README.md", ROOT / "SECURITY.md", ROOT / "CHANGELOG.md"], ids=lambda p: p.name
)
def test_no_document_says_what_an_agent_cannot(document: Path) -> None:
    """Protection is told by tier and by interface, never as what an agent is unable to do."""
    assert (
        re.findall(r"agents? (?:cannot|can not|can't|can never|is unable)", document.read_text(), re.IGNORECASE) == []
    )


def test_exit_statuses_are_those_of_the_code() -> None:
    """The README's table of exit statuses is the code's, word for word."""
    (table,) = _tables(_section(README, "Exit status"))
    assert {int(status): meaning for status, meaning in table[1:]} == EXIT_STATUSES


def test_readme_says_which_clients_are_run() -> None:
    """The README's table of clients names `make test` and `make clients` for those that they run, and for no other."""
    table = next(table for table in _tables(README) if table[0][0] == "`kv setup`")
    told = {row[0].split("`")[1]: row[-1].split(";")[0] for row in table[1:]}
    run = {client.name: "`make test`" for client in CLIENTS}
    run |= {client.name: "`make clients`" + ("" if client.turn else ": it lists kv") for client in MORE}
    assert {name: proof for name, proof in told.items() if proof != "documentation"} == run


def test_hints_are_those_of_the_code() -> None:
    """A hint in the README's transcripts is one that kv gives."""
    hints = re.findall(r"^ +hint: (.*)$", README, re.MULTILINE)
    assert hints
    assert set(hints) <= {hint for _, _, hint in ERRORS.values()}


class Command(NamedTuple):
    """A `kv …` that a document shows: its verbs (two for `kv audit tail`) and options."""

    verbs: tuple[str, ...]
    options: frozenset[str]


def _commands(text: str) -> Iterator[Command]:
    fences = re.findall(r"```\w*\n(.*?)```", text, re.DOTALL)
    lines = chain.from_iterable(fence.replace("\\\n", " ").splitlines() for fence in fences)
    for code in (*lines, *re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))):
        for part in re.split(r" ; | \| |\$ ", code.partition("  #")[0]):
            words = part.split()
            if words[:1] == ["kv"] and re.fullmatch(r"[a-z-]+", (*words, "", "")[1]):
                options = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
                yield Command(tuple(words[1:3]), frozenset(options))


@pytest.mark.parametrize(
    "document", [path for path in DOCUMENTS if path.name != "FORMAT.md"], ids=lambda path: path.name
)
def test_commands_exist(document: Path) -> None:
    """Every `kv` command that a document shows has its verb and takes its options."""
    itself = typer.main.get_command(build())
    verbs = getattr(itself, "commands", {})
    everywhere = set(GLOBAL) | {"--help"}
    commands = list(_commands(document.read_text()))
    assert commands or "`kv " not in document.read_text()
    for shown in commands:
        name, rest = shown.verbs[0], (*shown.verbs, "")[1]
        if name in PLANNED:
            assert name not in verbs, name
            continue
        verb = itself if name.startswith("--") else verbs[name]  # kv --install-completion
        verb = getattr(verb, "commands", {}).get(rest, verb)
        known = {spelling for option in verb.params for spelling in (*option.opts, *option.secondary_opts)}
        known |= set(call.OPTIONS) if name in HOT else set()
        assert shown.options <= known | everywhere, shown


# What follows kv's name in a sentence about it and is no verb of a command line.
PROSE = re.compile(r"[a-z]+(?:s|ed)|cannot|gave|itself|on|there|will|vault")


def test_commands_in_the_code_exist() -> None:
    """Whatever kv prints or says of itself sends nobody to a verb that is not there."""
    verbs = set(getattr(typer.main.get_command(build()), "commands", {}))
    lost = [
        f"{path.relative_to(ROOT)}:{node.lineno}: kv {verb}"
        for path in sorted((ROOT / "kv").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for verb in re.findall(r"\bkv ([a-z][a-z-]*)\b(?! \d)", node.value)  # "kv pin 1" labels a hash
        if verb not in verbs and not PROSE.fullmatch(verb)
    ]
    assert lost == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_tests_that_are_named_exist(document: Path) -> None:
    """Each file, folder and test that a document names is there."""
    for name in set(re.findall(r"`((?:kv|brokers|tests)/[^`\s…]+)`", document.read_text())):
        path, _, test = name.partition("::")
        assert list(ROOT.glob(path)), name
        assert not test or re.search(rf"^(?:async )?def {test}\(", (ROOT / path).read_text(), re.MULTILINE), name


def test_every_attack_is_answered_by_a_file_and_a_test() -> None:
    """Each attack of the list stands in one row, with what stops it, where, and a test that would notice."""
    rows = [row for table in _tables(SECURITY) if table[0][0] == "attack" for row in table[1:]]
    for attack in ATTACKS:
        assert [row[0] for row in rows if attack in row[0]], attack
    for row in rows:
        attack, stops, where, test = row
        assert stops, attack
        assert re.search(r"`(?:kv|brokers)/", where), attack
        assert re.search(r"`tests/", test), attack


def _fields(verb: str) -> set[str]:
    """A verb's arguments as the wire documents them: `name`, or `name?` where it may be left out."""
    fields = msgspec.structs.fields(VERBS[verb].schema)
    return {field.encode_name + ("" if field.required else "?") for field in fields}


def _verbs_in(heading: str) -> dict[str, list[str]]:
    table = next(table for table in _tables(_section(WIRE, heading)) if table[0][0] == "verb")
    return {row[0].strip("`"): row[1:] for row in table[1:]}


def test_wire_has_the_verbs_of_each_socket() -> None:
    """WIRE.md's two tables are the verbs of the agents' socket, and those that the person's has besides."""
    assert set(_verbs_in("Verbs on both sockets")) == {name for name, verb in VERBS.items() if verb.agents}
    assert set(_verbs_in("Verbs on `kv.sock` only")) == {name for name, verb in VERBS.items() if not verb.agents}


def test_wire_has_the_proof_of_each_verb() -> None:
    """No verb of the agents' socket takes a proof; the others take the one that WIRE.md says."""
    assert {verb.needs for verb in VERBS.values() if verb.agents} == {Needs.NOTHING}
    told = {name: row[0].replace("none", "nothing") for name, row in _verbs_in("Verbs on `kv.sock` only").items()}
    assert told == {name: VERBS[name].needs.value for name in told}


def test_wire_has_the_arguments_of_each_verb() -> None:
    """The arguments in WIRE.md are those of the schema, and those that may be left out are marked."""
    both, person = _verbs_in("Verbs on both sockets"), _verbs_in("Verbs on `kv.sock` only")
    for name, cell in {**{n: r[0] for n, r in both.items()}, **{n: r[1] for n, r in person.items()}}.items():
        told = _fields(cell.split("`")[1]) if cell.startswith("as ") else set(_words(cell))
        assert told == _fields(name), name


def test_wire_has_the_bounds_of_the_code() -> None:
    """Sizes, places and the version in WIRE.md are the code's."""
    for number in (
        f"2 to {wire.MAX_HEADER:,}",
        f"at most {wire.MAX_BODY >> 20} MiB",
        f"Wire version **{wire.VERSION}**",
    ):
        assert number in WIRE
    most = places._ALL
    assert f"{most['agent']} connections at once on `agent.sock` and {most['kv']} on `kv.sock`" in WIRE
    assert f"at most {server._ROOM >> 20} MiB on each" in WIRE


class Raised(NamedTuple):
    """A `KvError(…)`: where, its code ("" if it is no literal), the names of its fields (None if not all are told)."""

    place: str
    code: str
    fields: frozenset[str] | None


def _raised() -> Iterator[Raised]:
    for path in sorted((ROOT / "kv").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "KvError":
                first = node.args[0] if node.args else None
                code = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""
                named = [keyword.arg for keyword in node.keywords]
                fields = None if None in named else frozenset(name for name in named if name)
                yield Raised(f"{path.relative_to(ROOT)}:{node.lineno}", code, fields)


def test_readme_has_how_every_auth_scheme_is_written() -> None:
    """The spellings that README gives for `--auth` are those of the schemes."""
    (line,) = (line for line in README.splitlines() if line.startswith("- `--auth` is"))
    assert {f"`{load(AUTH, name)().spelling}`" for name in AUTH} == set(re.findall("`[a-z]+[^` ]*[^`]*`", line))


def test_readme_names_what_the_secrets_of_databases_and_servers_are() -> None:
    """In the order of the kinds, whose first is what a connection has where nothing was said."""
    (line,) = (line for line in README.splitlines() if line.startswith("- Of databases and servers `--auth`"))
    served = [load(KINDS, name)().schemes for name in ("mysql", "ssh")]
    assert re.findall("`([a-z-]+)`", line.partition(":")[2]) == [scheme for schemes in served for scheme in schemes]


def test_every_error_that_is_raised_is_listed_with_all_its_blanks() -> None:
    """A code that is raised is in the list, and brings what the sentence and the hint leave blank."""
    for raised in _raised():
        if raised.code:
            assert raised.code in ERRORS, raised.place
            _, sentence, hint = ERRORS[raised.code]
            blanks = {name for _, name, _, _ in string.Formatter().parse(sentence + hint) if name}
            assert raised.fields is None or blanks <= raised.fields, raised.place


def test_every_error_that_is_listed_is_raised() -> None:
    """No row of the list of errors is dead."""
    found = list(_raised())
    codes = {raised.code for raised in found}
    for path in {raised.place.partition(":")[0] for raised in found if not raised.code}:
        # A code that is not a literal at the call comes from a table of the same file.
        constants = (node for node in ast.walk(ast.parse((ROOT / path).read_text())) if isinstance(node, ast.Constant))
        codes |= {str(node.value) for node in constants}
    assert set(ERRORS) - codes == set()
