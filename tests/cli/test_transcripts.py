"""What a person sees and types: terminal transcripts against the real keeper."""

from __future__ import annotations

import json
import re
import shutil
import time
from typing import TYPE_CHECKING

import pyotp
import pytest
import segno
from person import Person
from world import PASSPHRASE, World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WORDS = PASSPHRASE.decode()
ASK = ("Passphrase (hidden): ", WORDS)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[World]:
    """A folder and an environment, without a vault."""
    with World(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A vault that the tests below share; each uses names of its own and leaves it unlocked."""
    with World(tmp_path_factory.mktemp("shared")) as made:
        yield made.init()


@pytest.fixture
def world(shared: World) -> World:
    """The shared vault, unlocked."""
    if shared.must("status", "--json").json["locked"]:
        shared.must("unlock", proof=True)
    return shared


@pytest.fixture
def person(world: World) -> Iterator[Person]:
    """Somebody at a terminal of their own in front of the shared vault: a new shell, so no window is open."""
    with Person(world.folder, world.environment) as someone:
        yield someone


@pytest.fixture
def newcomer(fresh: World) -> Iterator[Person]:
    """Somebody at a terminal, without a vault, and without the AI clients that the machine may have on its PATH."""
    programs = fresh.folder / "programs"
    programs.mkdir()
    (programs / "bash").symlink_to(shutil.which("bash") or "")
    with Person(fresh.folder, {**fresh.environment, "PATH": str(programs)}) as someone:
        yield someone


def test_the_first_minute(fresh: World, newcomer: Person) -> None:
    """`kv init`: weak refused with a suggestion, retyped, PIN, recovery code on the terminal, `.env` taken in."""
    env = fresh.folder / ".env"
    env.write_text("# mine\nJWT_SECRET='0f8a-5d27-77c1-bb02'\nPORT=8080\n")
    newcomer.type("kv init --kdf-memory 64MiB")
    newcomer.read("Passphrase (hidden): ")
    newcomer.type("hunter2")
    weak = newcomer.read("Passphrase (hidden): ")
    assert re.search(r"^  too weak: a stolen file could be guessed open \(\d+ bits, 50 needed\)$", weak, re.MULTILINE)
    assert len(re.search(r"could use:  (.*)\n", weak)[1].split()) == 6  # type: ignore[index]
    newcomer.type(WORDS)
    newcomer.read("Again: ")
    newcomer.type(WORDS + "x")
    assert "the two entries differ" in newcomer.read("Passphrase (hidden): ")
    newcomer.type(WORDS)
    newcomer.read("Again: ")
    newcomer.type(WORDS)
    newcomer.read("Daily proof for approvals: ")
    newcomer.type("p")
    newcomer.read("hidden): ")
    newcomer.type("918273")
    newcomer.read("Again: ")
    newcomer.type("918273")
    newcomer.read("shown once")
    code = newcomer.find(r"((?:[0-9A-Z]{4}-){6}[0-9A-Z]{4})").group(1)
    groups = code.split("-")
    newcomer.read("Type the ")
    asked = [int(n) for n in re.findall(r"\d", newcomer.read(" group: "))]
    newcomer.type("WRONG GUESS")
    assert "do not match" in newcomer.read("Type the ")
    asked = [int(n) for n in re.findall(r"\d", newcomer.read(" group: "))]
    newcomer.type(" ".join(groups[n - 1].lower() for n in asked))
    ready = newcomer.read("(only names are shown)  [y/N] ")
    assert "vault ready and unlocked: ~/vault.kv   (locks in " in ready
    assert "found .env with 1 value that looks like a secret. import it?" in ready
    newcomer.type("y")
    shown = newcomer.read("[y/N] ")
    assert "JWT_SECRET" in shown
    assert "PORT        -> not a secret" in shown
    newcomer.type("y")
    done = newcomer.read("person> ")
    assert "rewrote .env" in done
    assert env.read_text() == "# mine\nJWT_SECRET='kv://JWT_SECRET'\nPORT=8080\n"
    assert "0f8a-5d27" not in weak + ready + shown + done
    assert [row["name"] for row in fresh.must("ls", "--json").json] == ["JWT_SECRET"]
    assert code not in json.dumps(fresh.seen)


def test_the_first_minute_with_an_app(fresh: World, newcomer: Person) -> None:
    """`kv init` draws the QR code of the address that the app needs, takes the app's code, and TOTP is then a proof."""
    newcomer.type("kv init --kdf-memory 64MiB")
    for prompt, answer in (("Passphrase (hidden): ", WORDS), ("Again: ", WORDS), ("each time)? ", "t")):
        newcomer.read(prompt)
        newcomer.type(answer)
    drawn = [line.removeprefix("  ") for line in newcomer.read("  or type:  ").splitlines()]
    secret = newcomer.find(r"([A-Z2-7 ]+)\r").group(1).replace(" ", "")
    app = pyotp.TOTP(secret)
    address = app.provisioning_uri(name="vault.kv", issuer_name="kv")
    code = segno.make_qr(address, error="l", boost_error=False)
    assert modules(drawn[1:-1]) == [[bool(module) for module in row] for row in code.matrix_iter(border=2)]
    newcomer.read("Code from the app: ")
    newcomer.type(app.now())
    newcomer.read("shown once")
    recovery = newcomer.find(r"((?:[0-9A-Z]{4}-){6}[0-9A-Z]{4})").group(1).split("-")
    newcomer.read("Type the ")
    asked = [int(n) for n in re.findall(r"\d", newcomer.read(" group: "))]
    newcomer.type(" ".join(recovery[n - 1] for n in asked))
    assert "vault ready and unlocked: ~/vault.kv" in newcomer.read("person> ")
    assert fresh.must("status", "--json").json["proofs"] == ["totp", "passphrase"]
    assert secret not in json.dumps(fresh.seen)


def test_a_client_is_told_at_the_end(fresh: World, newcomer: Person) -> None:
    """`kv init` offers the AI clients that are here, shows what it would write, and needs no further proof."""
    for folder in (".cursor", ".junie"):
        (fresh.folder / folder).mkdir()
    status, text = newcomer.run(
        "kv init --no-totp --recovery-file code --kdf-memory 64MiB",
        ("Passphrase (hidden): ", WORDS),
        ("Again: ", WORDS),
        ("Cursor is installed. set it up?  [y/N] ", "y"),
        ("Junie is installed. set it up?  [y/N] ", ""),
        ("write this?  [y/N] ", "y"),
    )
    assert (status, "1 client told; kv setup --all --undo takes it back" in text) == (0, True)
    assert re.search(r"^~/\.cursor/mcp\.json\n@@ line 1 @@\n\+\{", text, re.MULTILINE)
    assert json.loads((fresh.folder / ".cursor" / "mcp.json").read_text())["mcpServers"]["kv"]["args"][-1] == "mcp"
    assert not (fresh.folder / ".junie" / "mcp").exists()


def modules(drawn: list[str]) -> list[list[bool]]:
    """The dark modules of a code that is drawn in half blocks on a dark ground, where what is inked is light."""
    inked = {" ": (False, False), "\N{UPPER HALF BLOCK}": (True, False), "\N{LOWER HALF BLOCK}": (False, True),
             "\N{FULL BLOCK}": (True, True)}  # fmt: skip
    rows = [[not inked[block][half] for block in line] for line in drawn for half in (0, 1)]
    return rows if len(rows) == len(rows[0]) else rows[:-1]  # an odd number of rows ends with half a line of ground


def test_a_terminal_proof_opens_a_window_and_a_descriptor_does_not(world: World, person: Person) -> None:
    """The second change within five minutes asks nothing; after one by descriptor the next asks again."""
    world.must("generate", "FIRST", proof=True)
    status, text = person.run("kv generate A", ASK)
    assert (status, "stored A" in text) == (0, True)
    status, text = person.run("kv mv A B")
    assert (status, text) == (0, "A is B now\n")
    assert world.kv("rm", "B").status == 7


def test_what_is_typed_hidden_is_not_shown(world: World, person: Person) -> None:
    """Neither the value nor the passphrase appears, and a lone value asks for its host."""
    status, text = person.run(
        "kv set MY_TOKEN",
        ("MY_TOKEN (hidden): ", "tok-5e7a1bb09c"),
        ("which host is it for?", "https://api.test"),
        ("[bearer] ", "nonsense"),
        ("[bearer] ", "header:X-Token"),
        ASK,
    )
    assert status == 0
    assert "--auth is one of" in text
    assert "stored MY_TOKEN   (revision 1)   -> connection my" in text
    assert "tok-5e7a1bb09c" not in text
    assert WORDS not in text
    made = next(c for c in world.must("connections", "--json").json if c["name"] == "my")
    assert (made["name"], made["origin"], made["auth"]) == ("my", "https://api.test", "header")
    status, text = person.run("kv set MY_TOKEN", ("MY_TOKEN (hidden): ", "tok-another-one"))
    assert (status, "revision 2" in text) == (0, True)
    assert made in world.must("connections", "--json").json


def test_a_wrong_passphrase_may_be_typed_again(world: World, person: Person) -> None:
    """Three tries at the terminal, then the error; `kv unlock` afterwards opens as ever."""
    world.must("lock")
    wrong = ("Passphrase (hidden): ", "not the passphrase")
    status, text = person.run("kv unlock", wrong, wrong, wrong)
    assert status == 7
    assert text.count("wrong passphrase") == 3
    assert "kv recover" in text
    status, text = person.run("kv unlock --idle 10m --until 23:59", wrong, ASK)
    assert status == 0
    assert text.splitlines()[-1].startswith("unlocked: ~/vault.kv   (locks in 10 min if idle")
    status, text = person.run("kv unlock")
    assert (status, text.startswith("unlocked already")) == (0, True)


def test_a_change_to_a_locked_vault_opens_acts_and_locks(world: World, person: Person) -> None:
    """On a locked vault a changing verb asks for the passphrase, acts, and leaves no keeper behind."""
    world.must("lock")
    status, text = person.run("kv generate LATER", ASK)
    assert (status, "stored LATER" in text) == (0, True)
    assert world.must("status", "--json").json["locked"] is True
    world.must("unlock", proof=True)
    assert "LATER" in world.must("ls").out


def test_a_value_is_revealed_on_the_terminal_only(world: World, person: Person) -> None:
    """`kv get` takes the passphrase each time, shows the value on a terminal, and refuses a pipe."""
    world.store("K", b"the-value-itself-77")
    status, text = person.run("kv get K", ASK)
    assert (status, "the-value-itself-77\n" in text) == (0, True)
    status, text = person.run("kv get K --revision 1 | cat")
    assert "terminal only" in text
    assert "the-value-itself-77" not in text
    status, text = person.run("kv get K --output k.txt", ASK)
    assert (world.folder / "k.txt").read_bytes() == b"the-value-itself-77"
    assert (world.folder / "k.txt").stat().st_mode & 0o777 == 0o600
    status, text = person.run("kv get K --output k.txt", ASK)
    assert (status, "File exists" in text) == (1, True)


def test_codes_of_an_app(fresh: World, newcomer: Person) -> None:
    """TOTP: enrolled by QR code and first code; then the next code is a proof; a code counts once."""
    fresh.init()
    newcomer.type("kv totp")
    newcomer.read("Passphrase (hidden): ")
    newcomer.type(WORDS)
    drawn = newcomer.read("  or type:  ").splitlines()
    blocks = [
        line for line in drawn if re.fullmatch("  [ \N{FULL BLOCK}\N{UPPER HALF BLOCK}\N{LOWER HALF BLOCK}]+", line)
    ]
    assert 15 <= len(blocks) <= 35
    assert len({len(line) for line in blocks}) == 1
    secret = newcomer.find(r"([A-Z2-7 ]+)\r").group(1).replace(" ", "")
    app = pyotp.TOTP(secret)
    newcomer.read("Code from the app: ")
    newcomer.type("000000")
    newcomer.read("Code from the app: ")
    used = app.now()
    newcomer.type(used)
    assert "TOTP codes are set" in newcomer.read("person> ")
    where = ("--connection", "shop", "--host", "https://shop.test", "--auth", "bearer")
    fresh.store("shop/KEY", b"shop-key-0123456789", *where)
    ticket = fresh.kv("api", "shop", "GET", "/v1/x", "--wait", "0", "--json").json["pending"]
    newcomer.type("kv approve")
    newcomer.read("Code: ")
    newcomer.type(used)
    assert "used already" in newcomer.read("Code: ")
    newcomer.type(app.at(time.time() + 30))  # one code: for the card, and held for the answer
    assert f"{ticket}  admission" in newcomer.read("[d] deny     ")
    newcomer.type("d")
    assert f"denied: {ticket}" in newcomer.read("person> ")
    assert fresh.must("status", "--json").json["proofs"] == ["totp", "passphrase"]
    status, text = newcomer.run("kv totp off", ASK)
    assert (status, text.splitlines()[-1]) == (0, "TOTP codes are off")
    assert fresh.must("status", "--json").json["proofs"] == ["passphrase"]


def test_a_vault_never_seen_before_is_asked_for(world: World, person: Person) -> None:
    """A passphrase is not typed for a vault that its person never confirmed."""
    world.must("lock")
    (world.folder / ".local" / "state" / "kv" / "vaults").unlink()
    status, text = person.run("kv unlock", ("is it yours?  [y/N] ", ""))
    assert status == 2
    assert "not used here before: ~/vault.kv" in text
    status, _ = person.run("kv unlock", ("is it yours?  [y/N] ", "y"), ASK)
    assert status == 0
    world.must("lock")
    assert person.run("kv unlock", ASK)[0] == 0


def test_the_recovery_code_sets_a_new_passphrase(fresh: World, newcomer: Person) -> None:
    """`kv recover` takes the code, sets passphrase and code anew, and the old ones open nothing."""
    fresh.init()
    fresh.must("lock")
    code = (fresh.folder / "recovery").read_text().strip()
    new = "marble tundra velvet onion sprocket lagoon"
    newcomer.type("kv recover --recovery-file new-code")
    newcomer.read("Recovery code: ")
    newcomer.type(code.lower())
    newcomer.read("New passphrase (hidden): ")
    newcomer.type(new)
    newcomer.read("Again: ")
    newcomer.type(new)
    assert "passphrase and recovery code are new" in newcomer.read("person> ")
    assert fresh.kv("unlock", proof=True).status == 7
    assert newcomer.run("kv unlock", ("Passphrase (hidden): ", new))[0] == 0
    fresh.must("lock")
    assert newcomer.run("kv recover", ("Recovery code: ", code))[0] == 7
    assert (fresh.folder / "new-code").read_text().strip() != code


def test_the_passphrase_is_changed(fresh: World, newcomer: Person) -> None:
    """`kv passwd` takes the old one and twice the new one; only the new one opens."""
    fresh.init()
    new = "marble tundra velvet onion sprocket lagoon"
    status, _ = newcomer.run("kv passwd", ASK, ("New passphrase (hidden): ", new), ("Again: ", new))
    assert status == 0
    fresh.must("lock")
    assert fresh.kv("unlock", proof=True).status == 7
    assert newcomer.run("kv unlock", ("Passphrase (hidden): ", new))[0] == 0


def test_ctrl_c_at_a_hidden_prompt_leaves_the_terminal_as_it_was(world: World, person: Person) -> None:
    """The echo is back, nothing was stored, and the status is 130."""
    person.type("kv set NEVER; echo =$?=")
    person.read("NEVER (hidden): ")
    person.press("c")
    assert person.find(r"=(\d+)=\r\n").group(1) == "130"
    person.read("person> ")
    assert " -echo " not in person.run("stty -a")[1]
    assert "NEVER" not in world.must("ls").out


def test_one_pin_shows_the_card_and_answers_it(fresh: World, newcomer: Person) -> None:
    """`kv approve` without an id: the PIN once, the oldest card of whatever session, the answer."""
    fresh.init()
    status, _ = newcomer.run(
        "kv pin",
        ASK,
        ("hidden): ", "111111"),
        ("hidden): ", "918273"),
        ("Again: ", "918273"),
    )
    assert status == 0
    fresh.store(
        "shop/KEY", b"shop-key-0123456789", "--connection", "shop", "--host", "https://shop.test", "--auth", "bearer"
    )
    ticket = fresh.kv("api", "shop", "GET", "/v1/x", "--reason", "look", "--wait", "0", "--json").json["pending"]
    status, text = newcomer.run("kv approve", ("PIN: ", "918273"), ("[d] deny     ", "x"), ("[d] deny     ", "d"))
    assert status == 0
    assert f"{ticket}  admission" in text
    assert "GET https://shop.test/v1/x" in text
    assert 'the agent says: "look"' in text
    assert text.endswith(f"denied: {ticket}\n")
    assert text.count("PIN: ") == 1
    status, text = newcomer.run("kv approve", ("PIN: ", "000000"), ("PIN: ", "918273"))
    assert status == 6
    assert "the proof is wrong" in text
    assert "nothing waits" in text


def test_a_frozen_pin_leaves_the_passphrase(fresh: World, newcomer: Person) -> None:
    """Five wrong PINs freeze it, whoever typed them; Enter at the prompt leads to the passphrase, as the hint says."""
    fresh.init()
    where = ("--connection", "shop", "--host", "https://shop.test", "--auth", "bearer")
    fresh.store("shop/KEY", b"shop-key-0123456789", *where)
    status, _ = newcomer.run("kv pin", ASK, ("hidden): ", "918273"), ("Again: ", "918273"))
    assert status == 0
    stricter = "kv connect shop --preset strict"  # takes a proof of its own each time
    wrong = ("PIN: ", "192837")
    no_pin = ("PIN: ", "my own passphrase")  # is none of the five, and stays here
    status, text = newcomer.run(stricter, no_pin, wrong, wrong, wrong)
    assert (status, text.count("digits only, or Enter alone")) == (7, 1)
    status, text = newcomer.run(stricter, wrong, wrong, ("PIN: ", "918273"))
    assert (status, "frozen for 60 s" in text) == (7, True)
    assert "hint: the passphrase still works: press Enter at the prompt to be asked for it" in text
    assert newcomer.run(stricter, ("PIN: ", ""), ASK)[0] == 0
    status, text = newcomer.run("kv pin off", ASK)
    assert (status, text.splitlines()[-1]) == (0, "the PIN is off")
    assert fresh.must("status", "--json").json["proofs"] == ["passphrase"]


def test_a_persons_own_run_is_proved_once_for_each_command(world: World, person: Person) -> None:
    """It has the shell's environment; the same again asks no more, another one and untouched output do."""
    world.store("K", b"the-value-itself-77")
    command = "kv run --secret K -- sh -c 'echo $K $MINE; exit 3'"
    person.run("export MINE=mine")
    status, text = person.run(command, ASK)
    assert (status, "{{kv:K}} mine" in text, "will have K" in text) == (3, True, True)
    status, text = person.run(command)
    assert (status, "{{kv:K}} mine" in text, "will have K" in text) == (3, True, False)
    person.run("export MINE=other")
    assert person.run(command, ASK)[0] == 3
    raw = command.replace("--secret", "--no-redact --secret")
    for _ in range(2):
        status, text = person.run(raw, ASK)
        assert (status, "the-value-itself-77 other" in text) == (3, True)


def test_a_person_hands_a_value_to_their_shell(world: World, person: Person) -> None:
    """Asked in place, with the card; the value is in the variable, and nowhere on the screen."""
    world.store("K", b"the-value-itself-77")
    status, text = person.run('eval "$(kv get K)"; echo "${#K}"', ("[d] deny     ", "o"), ASK)
    assert (status, "hand K to the shell" in text, "\n19\n" in text) == (0, True, True)
    assert "the-value-itself-77" not in text


def test_a_no_is_an_answer(world: World, person: Person) -> None:
    """Nothing is imported, nothing is replaced, and that is no misuse."""
    (world.folder / "n.env").write_text("N_API_KEY=0123456789abcdef0123\n")
    status, text = person.run("kv import n.env", ("[y/N] ", "n"))
    assert (status, "nothing was imported" in text) == (0, True)
    assert "N_API_KEY" not in world.must("ls").out
