"""Verbs and options that people reach for seldom: each does what its help says, against the real keeper."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from typing import TYPE_CHECKING

import pytest
from upstream import Upstream
from world import PASSPHRASE, Ran, World

from brokers.http import catalogue
from kv.cli.declare import parse_auth, spell_auth

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = b"sk_live_Zx81mQp0Vt44eLw9"
NEW = b"marble tundra velvet onion sprocket lagoon"


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    """A service without TLS, which takes `KEY`."""
    with Upstream(key=KEY, tls=False) as up:
        yield up


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[World]:
    """One vault with the connection `echo`, by plain HTTP to loopback."""
    with World(tmp_path_factory.mktemp("options")) as made:
        made.init().store(
            "demo/ECHO",
            KEY,
            *("--connection", "echo", "--host", upstream.origin, "--auth", "bearer", "--admission", "always"),
            *("--insecure-loopback", "--allow-address", "127.0.0.1"),
        )
        yield made


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[World]:
    """A vault of one's own."""
    with World(tmp_path) as made:
        yield made.init()


def by_descriptors(world: World, *args: str, **given: bytes) -> Ran:
    """Run `kv` with each of `given` behind a descriptor: passphrase_fd=b"…" becomes `--passphrase-fd N`."""
    ends = {}
    for name, data in given.items():
        ends[name], write_end = os.pipe()
        os.write(write_end, data)
        os.close(write_end)
    options = [part for name, end in ends.items() for part in (f"--{name.replace('_', '-')}", str(end))]
    try:
        done = subprocess.run(
            world.argv(*args, *options),
            env=world.environment,
            cwd=world.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            pass_fds=tuple(ends.values()),
            timeout=60,
            check=False,
        )
    finally:
        for end in ends.values():
            os.close(end)
    return Ran(done.returncode, done.stdout, done.stderr)


def completed(world: World, line: str) -> list[str]:
    """What the shell is offered at the end of `line`, by the protocol of its completion script."""
    words = line.split(" ")
    environment = {"_KV_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run(
        world.argv(), env=world.environment | environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""
    return done.stdout.split()


def code_of(ran: Ran) -> tuple[int, str]:
    """Status and code of an error that was printed as JSON."""
    return ran.status, ran.json["error"]["code"]


def test_plain_http_reaches_loopback_when_it_was_said(world: World, upstream: Upstream) -> None:
    """--insecure-loopback lets a connection speak plain HTTP to this machine, and to no other."""
    assert world.must("api", "echo", "GET", "/echo", "--json").json["status"] == 200
    assert upstream.requests[-1].header("authorization") == f"Bearer {KEY.decode()}"
    for host, options in ((upstream.origin, ()), ("http://93.184.216.34", ("--insecure-loopback",))):
        ran = world.kv("connect", "plain", "--secret", "demo/ECHO", "--auth", "bearer", "--host", host, *options,
                       "--json", proof=True)  # fmt: skip
        assert code_of(ran) == (2, "bad-argument"), host


def test_a_budget_is_kept(world: World) -> None:
    """--calls-per-hour N lets N calls through, and 0 takes the budget away."""
    world.must("connect", "echo", "--calls-per-hour", "1", proof=True)
    assert next(c for c in world.must("connections", "--json").json if c["name"] == "echo")["calls_per_hour"] == 1
    answers = [world.kv("api", "echo", "GET", "/echo", "--json") for _ in range(2)]
    assert code_of(answers[-1]) == (3, "budget")
    world.must("connect", "echo", "--calls-per-hour", "0", proof=True)
    assert world.must("api", "echo", "GET", "/echo", "--json").json["status"] == 200


def test_a_database_is_looked_at_whenever_its_connection_changes(world: World) -> None:
    """In words that fit its kind, with --json too, and without --kind; one that is not there is no failure."""
    file = world.folder / "notes.db"
    sqlite3.connect(file).close()
    file.chmod(0o644)
    ran = world.must("connect", "notes", "--kind", "sqlite", "--path", str(file), proof=True)
    assert "every user of this machine may read the file" in ran.err
    assert "other users are kept out by:" in ran.err
    assert "role" not in ran.all
    told = world.must("connect", "notes", "--function", "total", "--json", proof=True).json
    assert (told["looked"]["server"].startswith("SQLite"), len(told["looked"]["warnings"])) == (True, 1)
    file.chmod(0o600)
    assert "nothing to warn of" in world.must("connect", "notes", "--function", "", proof=True).out
    file.unlink()
    assert "not looked at now" in world.must("connect", "notes", "--function", "total", proof=True).err
    gone = world.must("connect", "notes", "--function", "", "--json", proof=True).json
    assert gone["looked"]["error"]["code"] == "upstream-refused"
    assert "looked" not in world.must("connect", "echo", "--admission", "always", "--json", proof=True).json
    assert "looked" not in world.must("connect", "notes", "--remove", "--json", proof=True).json


def test_class_and_note_stay_with_a_secret(world: World) -> None:
    """--class and --note are shown, a new value keeps them, and a word that is no class is refused."""
    world.store("o/NOTED", b"value-of-noted-1", "--class", "high", "--note", "for the shop", "--no-connection")
    world.must("rotate", "o/NOTED", "--stdin", stdin=b"value-of-noted-2", proof=True)
    shown = world.must("show", "o/NOTED", "--json").json
    assert (shown["class"], shown["note"], shown["revision"]) == ("high", "for the shop", 2)
    ran = world.kv(
        "set", "o/BAD", "--stdin", "--class", "huge", "--no-connection", "--json", stdin=b"12345678", proof=True
    )
    assert code_of(ran) == (2, "bad-argument")


def test_no_connection_makes_none(world: World) -> None:
    """--no-connection stores a key of a known service alone; without it the connection is made."""
    before = world.must("connections", "--json").json
    alone = world.store("o/STRIPE_SECRET_KEY", b"sk_live_0123456789abcdefABCD", "--no-connection")
    assert "connection" not in alone.out
    assert world.must("connections", "--json").json == before
    assert "-> connection two/stripe" in world.store("two/STRIPE_SECRET_KEY", b"sk_live_0123456789abcdefABCD").out


def test_a_connection_is_removed_and_its_secret_stays(world: World) -> None:
    """--remove takes the connection away; a call on it is then unknown."""
    world.store(
        "o/GONE", b"value-of-gone-01", "--connection", "gone", "--host", "https://gone.test", "--auth", "bearer"
    )
    assert world.must("connect", "gone", "--remove", proof=True).out == "connection gone removed\n"
    assert world.must("show", "o/GONE", "--json").json["connections"] == []
    assert code_of(world.kv("api", "gone", "GET", "/", "--json")) == (6, "unknown-connection")
    assert code_of(world.kv("connect", "gone", "--remove", "--json", proof=True)) == (6, "unknown-connection")


def test_generate_replaces_only_when_told(world: World) -> None:
    """A name that exists is refused; with --replace it gets a new value and keeps the old one as a revision."""
    world.must("generate", "o/MADE", "--length", "40", "--alphabet", "hex", proof=True)
    assert code_of(world.kv("generate", "o/MADE", "--json", proof=True)) == (1, "exists")
    assert world.must("generate", "o/MADE", "--replace", "--json", proof=True).json["revision"] == 2
    world.must("get", "o/MADE", "--output", "made-1", "--revision", "1", proof=True)
    world.must("get", "o/MADE", "--output", "made-2", proof=True)
    first, second = ((world.folder / f"made-{n}").read_text() for n in (1, 2))
    assert (len(first), set(first) <= set("0123456789abcdef")) == (40, True)
    assert (len(second), first != second) == (32, True)
    ran = world.kv("get", "o/MADE", "--output", "made-9", "--revision", "9", "--json", proof=True)
    assert code_of(ran) == (6, "unknown-revision")
    assert not (world.folder / "made-9").exists()


def test_everything_of_an_env_file_is_taken_when_told(world: World) -> None:
    """--everything stores what does not look like a secret, too."""
    (world.folder / "all.env").write_text("ALL_PORT=8080\nALL_TOKEN=va-9917-lu-e3\n")
    some = world.must("import", "all.env", "-e", "some", "--yes", "--json", proof=True).json
    every = world.must("import", "all.env", "-e", "every", "--yes", "--everything", "--json", proof=True).json
    assert some["imported"] == ["some/ALL_TOKEN"]
    assert every["imported"] == ["every/ALL_PORT", "every/ALL_TOKEN"]


def test_a_person_lifts_a_freeze_as_the_hint_says(world: World) -> None:
    """Three refusals freeze; `kv approvals --all` names the session, and --unfreeze lets it go on."""
    write = ("api", "echo", "POST", "--wait", "0", "--json")
    for number in range(3):
        ticket = world.kv(*write, f"/echo?{number}").json["pending"]
        world.must("deny", ticket, proof=True)
    ran = world.kv(*write, "/echo")
    assert code_of(ran) == (3, "denied")
    assert "by rule 'a frozen session may do nothing'" in ran.json["error"]["message"]
    assert ran.json["error"]["hint"] == "only a person can lift this: kv approvals --all, then --unfreeze SESSION"
    listed = world.must("approvals", "--all", proof=True).out
    session = next(line.split()[1] for line in listed.splitlines() if "is frozen" in line)
    assert f"kv approvals --unfreeze {session}" in listed
    assert code_of(world.kv("approvals", "--unfreeze", session, "--json")) == (7, "proof-needed")
    assert world.kv(*write, "/echo").status == 3
    world.must("approvals", "--unfreeze", session, proof=True)
    assert world.kv(*write, "/echo").status == 4


def test_the_shell_completes_a_call(world: World) -> None:
    """`kv api e<TAB>` is a connection, then a method; a path is nobody's to guess."""
    assert completed(world, "kv api ec") == ["echo"]
    assert completed(world, "kv explain e") == ["echo"]
    assert completed(world, "kv api echo P") == ["POST", "PUT", "PATCH"]
    assert completed(world, "kv api echo --reason GET pu") == ["put"]
    assert completed(world, "kv api echo POST /") == []
    assert completed(world, "kv providers strip") == ["stripe"]
    assert completed(world, "kv audit li") == ["list"]
    assert completed(world, "kv api -q a = b ec") == ["echo"]  # as bash hands over a=b
    assert completed(world, "kv api echo --wait") == completed(world, "kv wait --wa") == ["--wait"]
    assert completed(world, "kv show --passphrase") == ["--passphrase-fd"]  # on no help page but that of kv itself
    assert "--passphrase-fd" not in world.must("show", "--help").out.partition("Every verb")[0]


def test_options_before_the_verb_in_every_spelling(world: World) -> None:
    """`kv -eprod api …` performs the verb with its own options, as typer reads them."""
    ran = world.kv("-edemo", "api", "echo", "POST", "/echo", "-f", "a=b=c", "-f", "d=-e", "--wait", "0", "--json")
    assert ran.json["pending"]
    assert "usage: kv api" in world.must("-edemo", "api", "-h").out


def test_completion_takes_vault_and_prefix_from_the_line(world: World, fresh: World) -> None:
    """--vault names the vault whose names are offered, -e the prefix that need not be typed, wherever they stand."""
    fresh.must("generate", "prod/ONLY_HERE", proof=True)
    assert completed(world, "kv show prod/ON") == []
    assert completed(world, f"kv --vault {fresh.vault} show prod/ON") == ["prod/ONLY_HERE"]
    assert completed(world, f"kv show --vault {fresh.vault} prod/ON") == ["prod/ONLY_HERE"]
    assert completed(world, f"kv -e prod show --vault {fresh.vault} ON") == ["ONLY_HERE"]
    assert completed(world, "kv -e demo show E") == ["ECHO"]
    assert completed(fresh, f"kv api --vault {world.vault} e") == ["echo"]


def test_a_locked_vault_completes_nothing(fresh: World) -> None:
    """No name, no error, and nothing is started."""
    fresh.must("generate", "NAME", proof=True)
    fresh.must("lock")
    assert completed(fresh, "kv show N") == completed(fresh, "kv api N") == []
    assert fresh.must("status", "--json").json["locked"] is True


def test_a_provider_is_shown_as_the_packs_have_it(world: World) -> None:
    """`kv providers NAME` names host, auth, key shape and classes; `--auth` takes what it prints as auth."""
    shown = world.must("providers", "stripe", "--json").json
    assert (shown["host"], shown["auth"]) == ("https://api.stripe.com", "bearer")
    assert {"effect": "mint", "methods": ["POST"], "path": "/v1/webhook_endpoints"}.items() <= max(
        shown["endpoints"], key=lambda row: row["path"] == "/v1/webhook_endpoints"
    ).items()
    plain = world.must("providers", "stripe").out
    assert "https://api.stripe.com" in plain
    assert "sk|rk" in plain
    assert "mint     POST" in plain
    assert "/v1/webhook_endpoints (secret -> " in plain
    for name in catalogue.names():
        auth = catalogue.load(name).auth
        options = {**auth.options, **dict.fromkeys(auth.open, "x")}
        assert parse_auth(spell_auth(auth.scheme, options)) == {"scheme": auth.scheme, "options": options}
    assert code_of(world.kv("providers", "strip", "--json")) == (6, "unknown-provider")


def test_what_a_service_leaves_open_is_given_in_one_command(world: World) -> None:
    """Service and region make host and signature; a changed one moves both, and a host of one's own stays."""
    pair = b"AK" + b"IA" + b"0A" * 8 + b":" + b"Ab1/" * 10
    world.store("aws/AWS_SECRET", pair, "--option", "service=sqs", "--option", "region=eu-central-1")

    def origin() -> str:
        found = world.must("connections", "--json").json
        return next(str(row["origin"]) for row in found if row["name"] == "aws/aws")

    assert origin() == "https://sqs.eu-central-1.amazonaws.com"
    asked = world.must("explain", "api", "aws/aws", "GET", "/?Action=PurgeQueue", "--json").json
    assert asked["effect"] == "destroy"
    world.must("connect", "aws/aws", "--option", "region=us-east-2", proof=True)
    assert origin() == "https://sqs.us-east-2.amazonaws.com"
    world.must("connect", "aws/aws", "--option", "service=iam", proof=True)
    assert origin() == "https://iam.amazonaws.com"
    world.must("connect", "aws/aws", "--host", "https://iam.aws.test", proof=True)
    world.must("connect", "aws/aws", "--option", "region=us-east-1", proof=True)
    assert origin() == "https://iam.aws.test"
    for wrong in (("region=evil.test/",), ("region=eu-central-1", "service=sqs", "surprise=1"), ("region=EU",)):
        words = [word for option in wrong for word in ("--option", option)]
        assert world.kv("connect", "aws/aws", *words, proof=True).status != 0
    missing = world.kv("set", "other/AWS_SECRET", "--stdin", "--option", "region=eu-central-1", stdin=pair, proof=True)
    assert missing.status != 0
    assert "--option service=" in missing.err
    world.store(
        "x/AWS_SECRET", pair, "--connection", "queue", "--option", "service=sqs", "--option", "region=eu-west-1"
    )
    assert "https://sqs.eu-west-1.amazonaws.com" in world.must("connections").out
    odd = world.kv("set", "other/AWS_SECRET", "--stdin", "--option", "service=sqs", stdin=b"no such pair", proof=True)
    assert (odd.status, "say --provider" in odd.err) == (2, True)
    assert "AWS_SECRET" not in world.must("ls", "--json", "-e", "other").out
    assert "eu-central-1" not in world.must("providers", "aws").out
    assert "--option service=… --option region=…" in world.must("providers", "aws").out


def test_part_of_a_host_and_an_option_are_given_alike(world: World) -> None:
    """Google's APIs have a host each and a scope each; an app of GitHub's its numbers."""
    scope = "https://www.googleapis.com/auth/devstorage.read_only"
    world.store("gcp/GOOGLE_SERVICE_ACCOUNT_KEY", b"{}", "--option", "api=storage", "--option", f"scope={scope}")
    world.store("gh/GITHUB_APP_KEY", b"-----BEGIN", "--option", "app=Iv23li00", "--option", "installation=77")
    found = {row["name"]: row["origin"] for row in world.must("connections", "--json").json}
    assert found["gcp/google"] == "https://storage.googleapis.com"
    assert found["gh/github-app"] == "https://api.github.com"
    asked = world.must("explain", "api", "gh/github-app", "POST", "/repos/a/b/keys", "--json").json
    assert asked["effect"] == "mint"
    world.must("connect", "gcp/google", "--option", "api=compute", proof=True)
    found = {row["name"]: row["origin"] for row in world.must("connections", "--json").json}
    assert found["gcp/google"] == "https://compute.googleapis.com"
    world.must("connect", "gcp/google", "--host", "https://google-proxy.corp.test", proof=True)
    world.must("connect", "gcp/google", "--option", "api=drive", proof=True)
    found = {row["name"]: row["origin"] for row in world.must("connections", "--json").json}
    assert found["gcp/google"] == "https://google-proxy.corp.test", "a host of one's own stays"


def test_the_recovery_code_by_file(fresh: World) -> None:
    """--code-file and --recovery-file need nobody at a terminal; old passphrase and old code open nothing."""
    fresh.must("lock")
    recover = ("recover", "--json", "--code-file")
    assert by_descriptors(fresh, *recover, "recovery", "--recovery-file", "second", passphrase_fd=NEW).status == 0
    assert code_of(fresh.kv("unlock", "--json", proof=True)) == (7, "wrong-passphrase")
    again = by_descriptors(fresh, *recover, "recovery", "--recovery-file", "third", passphrase_fd=PASSPHRASE)
    assert code_of(again) == (7, "wrong-recovery")
    assert not (fresh.folder / "third").exists()
    fresh.passphrase = NEW
    fresh.must("unlock", proof=True)


def test_only_the_code_is_made_new(fresh: World) -> None:
    """`kv recover --renew` takes the passphrase and keeps it; the code of before opens nothing."""
    fresh.must("recover", "--renew", "--recovery-file", "second", proof=True)
    assert (fresh.folder / "second").stat().st_mode & 0o777 == 0o600
    fresh.must("lock")
    old = by_descriptors(
        fresh, "recover", "--json", "--code-file", "recovery", "--recovery-file", "x", passphrase_fd=NEW
    )
    assert code_of(old) == (7, "wrong-recovery")
    new = by_descriptors(fresh, "recover", "--code-file", "second", "--recovery-file", "third", passphrase_fd=NEW)
    assert (new.status, new.out) == (0, "passphrase and recovery code are new\n")


def test_a_value_is_not_asked_for_in_vain(fresh: World) -> None:
    """Without a terminal `kv set` says where proof and value come from instead; without a vault it asks for none."""
    fresh.must("lock")
    assert code_of(fresh.kv("set", "K", "--json")) == (7, "no-terminal")
    ran = fresh.kv("set", "K", "--json", proof=True)
    assert code_of(ran) == (2, "usage")
    assert "give --stdin or --file PATH" in ran.err
    assert code_of(fresh.kv("set", "K", "--stdin", "--json", stdin=b"value-of-k-0001")) == (7, "proof-needed")
    assert code_of(fresh.kv("set", "K", "--vault", "elsewhere.kv", "--json")) == (6, "vault-missing")


def test_recovery_without_a_terminal_says_so_first(fresh: World) -> None:
    """Whether the vault is open or locked: there is nobody to type the code, and that is what is said."""
    assert code_of(fresh.kv("recover", "--json")) == (7, "no-terminal")
    fresh.must("lock")
    assert code_of(fresh.kv("recover", "--json")) == (7, "no-terminal")


def test_the_passphrase_is_changed_by_descriptors(fresh: World) -> None:
    """`kv passwd --new-passphrase-fd` takes both without a terminal, and refuses a weak one."""
    weak = by_descriptors(fresh, "passwd", "--json", passphrase_fd=PASSPHRASE, new_passphrase_fd=b"hunter2")
    assert code_of(weak) == (2, "weak-passphrase")
    assert "too weak: a stolen file could be guessed open (" in weak.err
    changed = by_descriptors(fresh, "passwd", passphrase_fd=PASSPHRASE, new_passphrase_fd=NEW)
    assert changed.out == "passphrase changed; backups made before still open with the old one\n"
    fresh.must("lock")
    assert fresh.kv("unlock", proof=True).status == 7
    fresh.passphrase = NEW
    fresh.must("unlock", proof=True)


def test_counts_are_said_as_people_say_them(fresh: World) -> None:
    """One secret is no "1 secrets"."""
    fresh.store("K", b"value-of-k-0001", "--connection", "k", "--host", "https://k.test", "--auth", "bearer")
    fresh.kv("api", "k", "GET", "/", "--wait", "0")
    said = fresh.must("status").out
    assert "holds    1 secret, 1 connection\n" in said
    assert "waiting  1 call of this session" in said
    fresh.must("generate", "L", proof=True)
    assert "2 secrets, 1 connection\n" in fresh.must("status").out
