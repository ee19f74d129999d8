"""The arrows between kv's parts, as data: who may import whom, which file may touch which library, how long it may be.

Rules of this file
- The tables are the claims; the tests only read them beside the source. A file that no row covers fails, and so does
  a permission of a dangerous kind (a third-party package, an exposure, an exception) that nobody uses any more.
- A change of architecture is a change of a row here, seen in review.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter

import pytest
from source import PACKAGES, ROOT, Module, beneath, imports, modules, row_of

from kv.hot import HOT

# Who may import whom. A row covers a module and what is beneath it, but `kv` and `brokers` cover their `__init__`
# alone: a new file of theirs needs a row. A part may always import itself.
ARROWS: dict[str, set[str]] = {
    # a library that performs calls; it has never heard of a vault, a socket, a policy or a command line
    "brokers": set(),
    "brokers.message": set(),
    "brokers.contract": {"brokers.message"},
    "brokers.conformance": {"brokers.contract", "brokers.message"},
    "brokers.arguments": {"brokers.contract"},
    "brokers.declaration": {"brokers.contract"},
    "brokers.addresses": {"brokers.contract"},
    "brokers.lanes": set(),
    "brokers.personal": {"brokers.contract"},
    "brokers.resolver": {"brokers.addresses", "brokers.contract"},
    "brokers.http": {
        *("brokers.addresses", "brokers.arguments", "brokers.contract", "brokers.message", "brokers.personal"),
        *("brokers.lanes", "brokers.resolver"),
    },
    "brokers.sql": {
        *("brokers.addresses", "brokers.arguments", "brokers.contract", "brokers.declaration", "brokers.personal"),
        *("brokers.lanes", "brokers.resolver"),
    },
    "brokers.ssh": {
        *("brokers.addresses", "brokers.arguments", "brokers.contract", "brokers.declaration", "brokers.lanes"),
        "brokers.resolver",
    },
    # a library that edits other programs' configuration; it has never heard of secrets
    "editor_setup": set(),
    "editor_setup.contract": set(),
    "editor_setup.catalogue": {"editor_setup.client"},
    "editor_setup.client": set(),
    "editor_setup.block": {"editor_setup.contract"},
    "editor_setup.edits": {"editor_setup.block", "editor_setup.contract", "editor_setup.jsonc"},
    "editor_setup.files": {"editor_setup.contract"},
    "editor_setup.jsonc": {"editor_setup.contract", "editor_setup.jsonc_tree"},
    "editor_setup.jsonc_tree": {"editor_setup.contract"},
    "editor_setup.receipt": {"editor_setup.contract", "editor_setup.files"},
    "editor_setup.setup": {
        "editor_setup.client",
        "editor_setup.contract",
        "editor_setup.edits",
        "editor_setup.files",
    },
    "editor_setup.toml_table": {"editor_setup.contract"},
    "editor_setup.yaml_text": {"editor_setup.contract", "editor_setup.yaml_tree"},
    "editor_setup.yaml_tree": {"editor_setup.contract"},
    # leaves that everything may lean on
    "kv": set(),
    "kv.errors": set(),
    "kv.similar": set(),
    "kv.variable": set(),
    "kv.clients": set(),
    "kv.registry": set(),
    "kv.disk": set(),
    "kv.rows": {"kv.errors"},
    "kv.paths": {"kv.errors"},
    "kv.harden": {"kv.errors"},
    "kv.seen": {"kv.paths"},
    "kv.strangers": set(),
    "kv.programs": set(),
    # the client side
    "kv.wire": {"kv.errors"},
    "kv.client": {"kv", "kv.errors", "kv.paths", "kv.strangers", "kv.wire"},
    "kv.spawn": {"kv.errors", "kv.harden"},
    "kv.birth": {"kv.errors", "kv.paths", "kv.spawn", "kv.wire"},
    "kv.hot": {"kv", "kv.client", "kv.errors", "kv.paths", "kv.rows", "kv.similar", "kv.variable"},
    "kv.mcp": {"kv", "kv.client", "kv.errors", "kv.hot", "kv.paths", "kv.variable"},
    "kv.cli": {
        *("kv", "kv.errors", "kv.harden", "kv.paths", "kv.rows", "kv.seen", "kv.similar", "kv.variable"),
        "kv.registry",  # how an auth scheme is written stands in its class
        *("kv.card", "kv.client", "kv.clients", "kv.hot", "kv.programs"),
        *("kv.proofs", "kv.vault"),  # the passphrase opens its slot in the command, and never travels
    },
    "kv.demo": set(),  # it has what any outsider has: the command line and the official SDK
    "kv.__main__": {"kv", "kv.errors", "kv.hot"},
    # what judges and keeps: no part of it knows who calls
    "kv.model": {"brokers.contract", "kv.errors"},
    "kv.card": {"kv.errors", "kv.model", "kv.rows"},
    "kv.policy": {"brokers.contract", "kv.model"},
    "kv.proofs": {"kv.errors"},
    "kv.redact": {"kv.errors"},
    "kv.audit": {"kv.disk", "kv.errors", "kv.rows"},
    "kv.vault": {"brokers.contract", "kv.disk", "kv.errors"},
    "kv.runner": {"kv.disk", "kv.errors", "kv.harden", "kv.redact", "kv.spawn"},
    # the keeper
    "kv.daemon": {
        *("kv", "kv.errors", "kv.harden", "kv.paths", "kv.seen", "kv.similar", "kv.clients", "kv.strangers", "kv.wire"),
        *("kv.disk", "kv.programs", "kv.spawn", "brokers.contract", "brokers.declaration", "brokers.personal"),
        *("kv.audit", "kv.card", "kv.model", "kv.policy", "kv.proofs", "kv.redact", "kv.registry", "kv.vault"),
    },
}

# Arrows that exist inside functions only, or for types only: nothing of them is loaded with the module.
LATE: dict[tuple[str, str], str] = {
    ("kv.__main__", "kv.cli"): "a verb loads what it needs and no more",
    ("kv.cli", "kv.__main__"): "help and completion look for the verb where the start looks for it",
    ("kv.hot", "kv.cli"): "a person's own call that has to ask hands over to what asks",
    ("kv.hot", "kv.mcp"): "the SDK's imports take a second and are nobody else's",
    ("kv.hot", "kv.clients"): "only then is it looked at whose call it is",
    ("kv.cli", "kv.birth"): "only `init` and `unlock` bring up a keeper",
    ("kv.cli", "kv.audit"): "`audit verify` reads the log without a keeper",
    ("kv.cli", "editor_setup.catalogue"): "`setup` edits the files of other programs: which clients there are",
    ("kv.cli", "editor_setup.client"): "as above: where their files stand",
    ("kv.cli", "editor_setup.contract"): "as above: what is refused",
    ("kv.cli", "editor_setup.files"): "as above: what was done is kept as safely",
    ("kv.cli", "editor_setup.receipt"): "as above: what was done, and back",
    ("kv.cli", "editor_setup.setup"): "as above: what there is to do",
    ("editor_setup.edits", "editor_setup.toml_table"): "read only where a client's settings are TOML",
    ("editor_setup.edits", "editor_setup.yaml_text"): "as above, YAML: its parser takes longer to load than the rest",
    ("kv.cli", "kv.redact"): "`import` leaves masks where they are",
    ("kv.cli", "brokers.contract"): "a scheme refuses in the brokers' words what it cannot read",
    ("kv.cli", "brokers.declaration"): "the kinds say themselves what their connections are",
    ("kv.cli", "brokers.http"): "the packs know which service a key's shape belongs to",
    ("kv.cli", "brokers.sql"): "a database's URL says where its connection leads",
    ("kv.cli", "brokers.ssh"): "known_hosts is read on the person's side alone",
    ("kv.daemon", "brokers.http"): "the packs complete a connection's declaration",
    ("kv.daemon", "kv.client"): "the lock's holder is found in one way on both sides",
}

# Third-party packages: the distribution it is of, and the only modules (with what is beneath them) that import it.
# What is not here runs on the standard library alone: the hot verbs, the client and the wire among it.
THIRD_PARTY: dict[str, tuple[str, set[str]]] = {
    "ahocorasick_rs": ("ahocorasick-rs", {"kv.redact.engine"}),
    "argon2": ("argon2-cffi", {"kv.vault.kdf"}),
    "cryptography": (
        "cryptography",
        {"brokers.http.auth.assertion", "brokers.ssh.certificate", "brokers.ssh.credentials"},
    ),
    "dotenv": ("python-dotenv", {"kv.cli.dotenv"}),
    "h11": ("h11", {"brokers.http.exchange"}),
    "httpx2": ("httpx2", {"brokers.http.broker"}),
    "idna": ("idna", {"brokers.http.target"}),
    "jmespath": ("jmespath", {"kv.daemon.select"}),
    "jwt": ("pyjwt", {"brokers.http.auth.assertion"}),
    "mcp": ("mcp", {"kv.demo.show", "kv.mcp"}),
    "mcp_types": ("mcp", {"kv.mcp"}),
    "msgspec": ("msgspec", {"kv.audit.entry", "kv.cli.audit", "kv.daemon", "kv.runner"}),
    "nacl": ("pynacl", {"kv.vault.box"}),
    "paramiko": ("paramiko", {"brokers.ssh"}),
    "psycopg": ("psycopg", {"brokers.sql.postgres"}),
    "pymysql": ("pymysql", {"brokers.sql.mysql"}),
    "pyotp": ("pyotp", {"brokers.http.auth.totp", "brokers.ssh.credentials", "kv.proofs.totp"}),
    "ruamel": ("ruamel-yaml", {"editor_setup.yaml_text", "editor_setup.yaml_tree"}),
    "segno": ("segno", {"kv.proofs.qr"}),
    "sqlglot": ("sqlglot", {"brokers.sql.tree", "brokers.sql.conditions"}),
    "trustme": ("trustme", {"kv.demo.upstream"}),
    "typer": ("typer", {"kv.cli"}),
    "zxcvbn": ("zxcvbn", {"kv.redact.strength", "kv.vault.passphrase"}),
}

# Distributions that are read and not imported: the only module that opens their files.
DATA: dict[str, str] = {"xkcdpass": "kv.vault.passphrase"}

# Where a secret's bytes leave their type: the files to read when asking who can see a plaintext.
EXPOSURES: dict[str, str] = {
    "brokers.conformance": "looks for the value in what a broker said",
    "brokers.http.auth": "the credential enters the request",
    "brokers.ssh.credentials": "keys and passwords are handed to the driver",
    "brokers.ssh.kind": "the key of a one-time password is taken out of its URI",
    "brokers.http.tokens": "a token is kept under a keyed hash of what it was made with",
    "brokers.sql.kind": "the password that logs in is taken out of its DSN, and a session is kept under a keyed hash",
    "kv.cli.enrolment": "a typed PIN is sent to be enrolled",
    "kv.cli.init": "the first passphrase makes its slot",
    "kv.cli.keeper": "a typed passphrase unlocks",
    "kv.cli.passphrase": "a new passphrase is judged",
    "kv.cli.proof": "a typed proof is turned into what travels",
    "kv.cli.secret": "a typed value is sent to be stored",
    "kv.cli.vault": "a new passphrase makes its slot",
    "kv.daemon.enrolment": "a TOTP secret is replaced by one who has it",
    "kv.daemon.release.fingerprint": "a keyed fingerprint is made of it",
    "kv.daemon.gate": "PIN and TOTP are checked",
    "kv.daemon.release.handoffs": "a shell is given what a person released to it",
    "kv.daemon.house": "every value becomes needles",
    "kv.daemon.safe": "what was minted becomes needles, what was replaced is stored",
    "kv.daemon.release.runs": "a program is given what it is lent",
    "kv.daemon.secrets": "reveal, after a fresh proof",
    "kv.vault.keys": "the key is placed in the arena",
    "kv.vault.slots": "a passphrase opens its slot",
}

# What judges, parses and counts does nothing else: no file, no clock, no chance, no waiting. A row is a module or what
# is beneath it; `IMPURE` says which modules of the standard library would make a liar of it.
PURE = {
    *(
        "brokers.arguments",
        "brokers.contract",
        "brokers.declaration",
        "brokers.lanes",
        "brokers.message",
        "brokers.personal",
        "kv.card",
        "kv.errors",
        "kv.model",
        "kv.policy",
        "kv.redact",
        "kv.rows",
        "kv.similar",
    ),
    "kv.wire",
    *(
        "brokers.addresses",
        "brokers.http.arguments",
        "brokers.http.auth",
        "brokers.http.card",
        "brokers.http.classify",
    ),
    *("brokers.http.decoding", "brokers.http.operations", "brokers.http.overrides", "brokers.http.pack"),
    *(
        "brokers.http.actions",
        "brokers.http.capture",
        "brokers.http.kind",
        "brokers.http.pattern",
        "brokers.http.reading",
    ),
    "brokers.http.target",
    *(
        "brokers.sql.arguments",
        "brokers.sql.brackets",
        "brokers.sql.conditions",
        "brokers.sql.invoked",
        "brokers.sql.dsn",
        "brokers.sql.export",
        "brokers.sql.kind",
    ),
    *("brokers.sql.places", "brokers.sql.plain", "brokers.sql.reach", "brokers.sql.records", "brokers.sql.rows"),
    *("brokers.sql.shown", "brokers.sql.statement", "brokers.sql.tokens", "brokers.sql.tree"),
    *("brokers.sql.typenames", "brokers.sql.verbs"),
    *("brokers.sql.mysql.faults", "brokers.sql.mysql.literal", "brokers.sql.mysql.text"),
    *("brokers.sql.postgres.catalogue", "brokers.sql.postgres.cells", "brokers.sql.postgres.faults"),
    "brokers.sql.postgres.role",
    *("brokers.ssh.arguments", "brokers.ssh.book", "brokers.ssh.card", "brokers.ssh.command", "brokers.ssh.hostkeys"),
    *("brokers.ssh.jump", "brokers.ssh.kind", "brokers.ssh.pattern", "brokers.ssh.profiles", "brokers.ssh.readonly"),
    "brokers.ssh.remote",
    "brokers.ssh.runners",
    *("editor_setup.block", "editor_setup.contract", "editor_setup.jsonc", "editor_setup.jsonc_tree"),
    *("editor_setup.toml_table", "editor_setup.yaml_text", "editor_setup.yaml_tree"),
    *("kv.audit.chain", "kv.audit.entry", "kv.audit.view", "kv.cli.dotenv", "kv.cli.secrecy"),
    *("kv.daemon.budget", "kv.daemon.requests", "kv.daemon.release.carried", "kv.daemon.release.command"),
    "kv.daemon.release.environment",
    *("kv.daemon.schema", "kv.daemon.uses"),
    *("kv.proofs.passphrase", "kv.proofs.pin", "kv.proofs.throttle", "kv.proofs.totp"),
    *("kv.vault.contents", "kv.vault.format", "kv.vault.names"),
}
IMPURE = {
    *("asyncio", "multiprocessing", "os", "pathlib", "random", "secrets", "select", "shutil", "signal", "socket"),
    *("sqlite3", "subprocess", "tempfile", "threading", "time"),
}

# Lines a module and a function may have, docstrings counted, and who may have more for which reason.
MODULE_LINES, FUNCTION_LINES = 300, 60
LONG: dict[str, str] = {}

# What a start may load beyond a bare `python -c pass`: the sockets and what they bring, nothing that weighs a
# millisecond. Modules with a leading underscore come along with one of these.
START = {
    *("__future__", "array", "collections", "contextlib", "copyreg", "enum", "errno", "functools", "itertools"),
    *("keyword", "kv", "math", "operator", "re", "reprlib", "select", "selectors", "socket", "struct", "types"),
    "warnings",
}


def test_every_module_has_a_place() -> None:
    """Each file of the product belongs to a part whose arrows are written down."""
    lost = [str(module) for module in modules().values() if row_of(module.name, set(ARROWS)) is None]
    assert not lost, f"no row of ARROWS covers {', '.join(lost)}: add one that says what it may import"


def test_every_row_has_a_module() -> None:
    """No part is written down that is not there."""
    parts = {row_of(name, set(ARROWS)) for name in modules()}
    named = {*ARROWS, *(end for arrow in LATE for end in arrow)}
    assert not named - parts, "rows that cover no module"


def test_imports_follow_the_arrows() -> None:
    """A part imports the parts that its row names, and the late ones only where nothing is loaded at the start."""
    strays = []
    for module in modules().values():
        part = row_of(module.name, set(ARROWS))
        for target, kind in sorted(imports(module)):
            other = row_of(target, set(ARROWS))
            known = part is None or other is None or other == part or other in ARROWS[part]
            if not known and (kind == "top" or (part, other) not in LATE):
                strays.append(f"{module}: {part} may not import {target}" + (" at its top" if kind == "top" else ""))
    assert not strays, "\n".join(strays)


def test_late_arrows_are_used() -> None:
    """No exception is kept for an import that is gone."""
    rows = set(ARROWS)
    drawn = {(row_of(m.name, rows), row_of(target, rows)) for m in modules().values() for target, _ in imports(m)}
    assert not set(LATE) - drawn, "rows of LATE that nothing needs"


def test_relative_imports_are_not_used() -> None:
    """A name is written in full: one spelling for the reader, for grep and for these tables."""
    relative = [
        f"{module}:{node.lineno}"
        for module in modules().values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert not relative


def test_arrows_make_no_circle() -> None:
    """The parts can be read in an order in which each leans on those before it only."""
    order = list(TopologicalSorter(ARROWS).static_order())
    assert order.index("kv.wire") < order.index("kv.client") < order.index("kv.mcp")
    assert order.index("kv.policy") < order.index("kv.daemon")


def test_files_make_no_circle() -> None:
    """The files, too, can be read in an order: none needs for its start what needs it for its own."""
    known = modules()
    TopologicalSorter(
        {name: {target for target, kind in imports(known[name]) if kind == "top" and target in known} for name in known}
    ).prepare()


def test_what_decides_does_nothing_else() -> None:
    """No module of PURE imports what reads a clock, a file or the world; what it leans on of ours is pure as well."""
    strays = [
        f"{module} imports {target}"
        for module in modules().values()
        if beneath(module.name, PURE)
        for target, kind in sorted(imports(module))
        if kind != "types"
        and (target.partition(".")[0] in IMPURE or (target in modules() and not beneath(target, PURE)))
    ]
    assert not strays, "\n".join(strays)
    assert all(any(beneath(name, {row}) for name in modules()) for row in PURE), "rows of PURE that cover no module"


def test_libraries_do_not_know_the_application() -> None:
    """`brokers` names nothing of `kv`, in any row."""
    named = {target for part, others in ARROWS.items() if part.startswith("brokers") for target in others}
    assert not [target for target in named if target.startswith("kv")]
    assert not [arrow for arrow in LATE if arrow[0].startswith("brokers")]


def third_party(module: Module) -> set[str]:
    """The third-party packages that `module` imports, wherever in it."""
    roots = {name.partition(".")[0] for name, _ in imports(module)}
    return roots - sys.stdlib_module_names - set(PACKAGES)


def test_third_party_packages_stay_in_their_files() -> None:
    """A dependency is imported where its row says and nowhere else; most of kv knows the standard library alone."""
    strays = [
        f"{module} imports {root}: no row of THIRD_PARTY allows it"
        for module in modules().values()
        for root in sorted(third_party(module))
        if not beneath(module.name, THIRD_PARTY.get(root, ("", set()))[1])
    ]
    assert not strays, "\n".join(strays)


def test_third_party_permissions_are_used() -> None:
    """No file keeps a permission it has no use for."""
    used = {(root, module.name) for module in modules().values() for root in third_party(module)}
    idle = [
        f"{place} does not import {root}"
        for root, (_, places) in THIRD_PARTY.items()
        for place in sorted(places)
        if not any(root == there and beneath(name, {place}) for there, name in used)
    ]
    assert not idle, "\n".join(idle)


def test_dependencies_are_those_that_are_used() -> None:
    """Every declared dependency is used and every used one is declared: none arrives by way of another."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    declared = [
        *project["dependencies"],
        *(line for extra in project["optional-dependencies"].values() for line in extra),
    ]
    used = {*(distribution for distribution, _ in THIRD_PARTY.values()), *DATA}
    assert {re.split(r"[^a-z0-9-]", line)[0] for line in declared} == used


def test_data_of_others_is_opened_in_one_file() -> None:
    """A distribution that is there for its files is named by the module that reads them and by no other."""
    for distribution, place in DATA.items():
        naming = {m.name for m in modules().values() for node in ast.walk(m.tree) if names_it(node, distribution)}
        assert naming == {place}


def names_it(node: ast.AST, text: str) -> bool:
    """Whether `node` is the string `text`."""
    return isinstance(node, ast.Constant) and node.value == text


def exposes(module: Module) -> bool:
    """Whether `module` calls `.expose()`, or another method of that beginning, on anything."""
    return any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr.startswith("expose")
        for node in ast.walk(module.tree)
    )


def test_secrets_leave_their_type_in_known_files() -> None:
    """The files in which a plaintext can be seen are these, each for one reason."""
    exposing = {module.name for module in modules().values() if exposes(module)}
    unknown, idle = exposing - set(EXPOSURES), set(EXPOSURES) - exposing
    assert not unknown, "they call .expose(): give the value to a file of EXPOSURES, or say there what for"
    assert not idle, "rows of EXPOSURES that no file needs"


def oversize(module: Module) -> dict[str, int]:
    """What is longer than it may be in `module`: names to lines."""
    found = {module.name: module.lines} if module.lines > MODULE_LINES else {}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            lines = node.end_lineno - node.lineno + 1
            if lines > FUNCTION_LINES:
                found[f"{module.name}.{node.name}"] = lines
    return found


def test_modules_and_functions_stay_small() -> None:
    """No module over 300 lines and no function over 60, but for the ones that say why."""
    long = {name: lines for module in modules().values() for name, lines in oversize(module).items()}
    assert not {name: lines for name, lines in long.items() if name not in LONG}, "split them, or say why not in LONG"
    assert not set(LONG) - set(long), "rows of LONG that are not long any more"


def loaded(statement: str) -> set[str]:
    """The top-level names of what a fresh interpreter imports for `statement`."""
    argv = [sys.executable, "-I", "-X", "importtime", "-c", statement]
    for _ in range(2):  # the first may have to compile, and compiling has imports of its own
        done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    names = [line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {name.partition(".")[0] for name in names[1:]}


@pytest.mark.parametrize("module", ["kv.client", *sorted(set(HOT.values()))])
def test_a_hot_start_loads_little(module: str) -> None:
    """The client and the hot verbs start on a short list of the standard library: no asyncio, no typer, no driver."""
    extra = {name for name in loaded(f"import {module}") - loaded("pass") - START if not name.startswith("_")}
    assert not extra, f"{module} now loads {', '.join(sorted(extra))} at its start"


def test_every_exception_from_the_linter_has_a_reason() -> None:
    """`# noqa` and `# type: ignore` name their rule and say why, as each ignored rule in pyproject.toml does."""
    bare = [
        f"{module}:{number}"
        for module in modules().values()
        for number, line in enumerate(module.path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search("# (noqa|type: ignore)", line)
        and not re.search(r"# (noqa: [A-Z0-9]+(, [A-Z0-9]+)*|type: ignore\[[a-z, -]+\]) +(- |# )\S", line)
    ]
    assert not bare, "no reason given"


def test_every_ignored_rule_has_a_reason() -> None:
    """Nothing is switched off for the whole project without a sentence beside it."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    rules = re.findall(r'^ +"[A-Z]+[0-9]*",(.*)$', text, re.MULTILINE)
    assert rules
    assert all(re.match(r" # \w", rest) or rest.startswith(' # "') for rest in rules)
