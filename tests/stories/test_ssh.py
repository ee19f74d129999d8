"""A real OpenSSH server through kv: who may run what, what comes back, and what an agent never gets."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest
from agent import agent
from ssh_server import SshServer, keygen, public
from world import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.needs("sshd")


class Site:
    """A world with a server connected to it as `web`, admitted always."""

    def __init__(self, world: World, server: SshServer) -> None:
        self.world, self.server = world, server
        self.key = (server.folder / "user").read_bytes()
        self.where = ("--ssh", f"{server.user}@127.0.0.1:{server.port}", "--host-key", server.host_key)
        key = ("set", "web/KEY", "--file", str(server.folder / "user"), "--connection", "web", *self.where)
        world.must(*key, "--allow-address", "127.0.0.1", "--admission", "always", proof=True)

    def approved(self, *args: str, **options: Any) -> Any:  # noqa: ANN401 - whatever the command printed
        """What `kv ssh …` answers after a person's yes."""
        ticket = self.world.kv("ssh", *args[:1], "--wait", "0", "--json", *args[1:], **options).json["pending"]
        self.world.must("approve", ticket, proof=True)
        return self.world.kv("wait", ticket, "--json").json


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One server and one world for all: no story leaves anything behind that another meets."""
    with SshServer() as server, World(tmp_path_factory.mktemp("ssh")) as world:
        yield Site(world.init(), server)


def test_a_reading_command_is_as_with_ssh(site: Site) -> None:
    """stdout, stderr and exit status are the remote's, and nobody is asked."""
    ran = site.world.must("ssh", "web", "--", "whoami")
    assert (ran.out, ran.err) == (f"{site.server.user}\n", "")
    whole = site.world.must("ssh", "web", "--json", "--", "whoami").json
    assert {"exit": 0, "signal": None, "timed_out": False, "truncated": False}.items() <= whole.items()
    assert (whole["stdout"], whole["stderr"]) == (f"{site.server.user}\n", "")
    assert (whole["untrusted"], whole["source"]) == (True, "web")


def test_any_other_command_asks_with_its_exact_words(site: Site) -> None:
    """The card has the line that will be sent, quoted as it will be sent."""
    args = ("web", "--wait", "0", "--json", "--reason", "look", "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    told = site.world.kv("ssh", *args)
    assert told.status == 4
    card = told.json["card"]
    assert ["command", "sh -c 'echo out; echo err >&2; exit 3'"] in card["details"]
    assert card["effect"] == "unknown"
    site.world.must("approve", told.json["pending"], proof=True)
    ran = site.world.kv("wait", told.json["pending"])
    assert (ran.status, ran.out, ran.err) == (3, "out\n", "err\n")


def test_a_script_reads_how_a_command_ended(site: Site) -> None:
    """With --json the exit status is the command's, too; a list is one document."""
    site.world.must("connect", "web", "--root", str(site.server.home), "--command", "test -d /none", proof=True)
    ran = site.world.kv("ssh", "web", "--json", "--", "test", "-d", "/none")
    assert (ran.status, ran.json["exit"]) == (1, 1)
    listed = site.world.must("ssh-copy", "web", "list", str(site.server.home), "--json").json
    assert isinstance(listed["body"]["entries"], list)


@pytest.mark.parametrize(
    "words",
    [
        ("uname", "-a", ";", "id"),
        ("uname", "$(id)"),
        ("cat", "/etc/passwd"),
        ("df", "--output=source", "/"),
        ("ps", "-ef", "--sort=x"),
        ("ls", "/etc"),
        ("systemctl", "status", "-H", "evil"),
        ("journalctl", "--file=/etc/shadow"),
        ("env", "uptime"),
        ("UPTIME",),
        ("./uptime",),
    ],
)
def test_nothing_smuggles_itself_into_a_reading_command(site: Site, words: tuple[str, ...]) -> None:
    """An option, an operator or another program makes it another command, which asks."""
    assert site.world.kv("explain", "ssh", "web", "--json", "--", *words).json["verdict"] == "ask"


@pytest.mark.parametrize("word", ["a\nb", "a\x1bb"])
def test_a_line_end_is_refused(site: Site, word: str) -> None:
    """What would end a line on the other side is never sent."""
    ran = site.world.kv("ssh", "web", "--", "uname", word)
    assert (ran.status, "is refused" in ran.err) == (2, True)


def test_words_arrive_as_they_were_given(site: Site) -> None:
    """No shell takes them apart, whatever they hold."""
    words = ["a b", "$HOME", "`id`", "*", "~", "'", '"', "\\", "-n", "", "é∅", ";", "&&", "#"]
    told = site.approved("web", "--", "printf", "%s|", *words)
    assert told["stdout"] == "".join(f"{word}|" for word in words)


def test_the_key_and_what_is_like_it_never_come_back(site: Site) -> None:
    """A server that has the key (in a file, say) shows it as a reference."""
    (site.server.home / "stolen").write_bytes(site.key)
    told = site.approved("web", "--", "sh", "-c", f"cat {site.server.home}/stolen; base64 < {site.server.home}/stolen")
    lines = [line for line in site.key.decode().splitlines() if "PRIVATE" not in line]
    assert not [line for line in lines if line in told["stdout"]]
    assert "{{kv:web/KEY}}" in told["stdout"]
    assert told["redactions"]


def test_another_host_key_is_an_alarm(site: Site, tmp_path: Path) -> None:
    """Both fingerprints are told, and nothing is sent."""
    keygen(tmp_path / "other")
    other = public(tmp_path / "other.pub")
    site.world.store("twin/KEY", site.key, "--connection", "twin", *site.where[:2], "--host-key", other)
    site.world.must("connect", "twin", "--admission", "always", proof=True)
    before = site.server.logins()
    ran = site.world.kv("ssh", "twin", "--", "uptime")
    assert ran.status == 3
    assert "ALARM" in ran.err
    assert ran.err.count("SHA256:") == 2
    assert site.server.logins() == before
    alarms = site.world.must("audit", "list", "--alarms", "--all", proof=True).out
    assert "another host key than the pinned" in alarms, "the agent alone was told"


def test_no_host_key_is_taken_on_first_use(site: Site) -> None:
    """Without one that is known nothing is stored; a script is not asked, and known_hosts is not believed for it."""
    known = site.world.folder / ".ssh" / "known_hosts"
    known.parent.mkdir(exist_ok=True)
    known.unlink(missing_ok=True)
    ran = site.world.kv("set", "new/KEY", "--stdin", *site.where[:2], stdin=site.key, proof=True)
    assert (ran.status, "no host key is known" in ran.err) == (2, True)
    known.write_text(f"[127.0.0.1]:{site.server.port} {site.server.host_key}\n")
    ran = site.world.kv("set", "new/KEY", "--stdin", *site.where[:2], stdin=site.key, proof=True)
    assert (ran.status, "terminal" in ran.err) == (7, True)
    assert "new/KEY" not in site.world.must("ls").out


@pytest.mark.parametrize(("answer", "status"), [(b"n\n", 3), (b"y\n", 0)])
def test_what_known_hosts_says_is_shown_and_confirmed(site: Site, answer: bytes, status: int) -> None:
    """At a terminal the fingerprint is shown, and a yes pins it; a no is a person's refusal, and nothing is stored."""
    known = site.world.folder / ".ssh" / "known_hosts"
    known.parent.mkdir(exist_ok=True)
    known.write_text(f"[127.0.0.1]:{site.server.port} {site.server.host_key}\n")
    read_end, write_end = os.pipe()
    os.write(write_end, site.world.passphrase)
    os.close(write_end)
    os.set_inheritable(read_end, True)  # noqa: FBT003 - os' own signature
    argv = site.world.argv("set", "known/KEY", "--file", str(site.server.folder / "user"), *site.where[:2])
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(argv[0], [*argv, "--passphrase-fd", str(read_end)], site.world.environment)  # noqa: S606 - the story's
    os.close(read_end)
    told = b""
    while b"pin it?" not in told:
        told += os.read(terminal, 4096)
    os.write(terminal, answer)
    while True:
        try:
            data = os.read(terminal, 4096)
        except OSError:
            break
        if not data:
            break
        told += data
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == status, told
    os.close(terminal)
    assert ("known/KEY" in site.world.must("ls").out) == (status == 0)
    fingerprint = subprocess.run(
        ["ssh-keygen", "-lf", str(site.server.folder / "host_ed25519.pub")], capture_output=True, text=True, check=True
    ).stdout.split()[1]
    assert fingerprint.encode() in told


def test_an_empty_word_takes_back_what_was_declared(site: Site) -> None:
    """A pattern, a folder and a rule are gone when a person says so, and stay where nothing is said."""
    site.world.must("connect", "web", "--command", "echo *", "--root", "/srv", "--deny", "destroy", proof=True)
    site.world.must("connect", "web", "--admission", "always", proof=True)
    assert site.world.must("ssh", "web", "--", "echo", "hi").out == "hi\n"
    site.world.must("connect", "web", "--command", "", "--root", "", "--deny", "", "--profiles", "", proof=True)
    assert site.world.kv("ssh", "web", "--wait", "0", "--", "echo", "hi").status == 4
    web = next(c for c in site.world.must("connections", "--json").json if c["name"] == "web")
    assert web["rules"] == []


def test_profiles_and_patterns_are_what_a_person_declared(site: Site, tmp_path: Path) -> None:
    """A named command takes typed arguments; its effect is the person's word; a pattern lets one command through."""
    profiles = {"greet": {"argv": ["echo", "hello-{name}"], "arguments": {"name": "[a-z]+"}, "effect": "read"}}
    (tmp_path / "profiles.json").write_text(json.dumps(profiles))
    site.world.must(
        *("connect", "web", "--profiles", str(tmp_path / "profiles.json"), "--command", "expr * + 1"), proof=True
    )
    assert site.world.must("ssh", "web", "--profile", "greet", "-a", "name=bob").out == "hello-bob\n"
    assert site.world.kv("ssh", "web", "--profile", "greet", "-a", "name=$(id)").status == 2
    assert site.world.kv("ssh", "web", "--wait", "0", "--", "expr", "4", "+", "1").status in {0, 4}
    assert site.world.kv("explain", "ssh", "web", "--json", "--", "expr", "4", "+", "2").json["verdict"] == "ask"


def test_files_are_copied_below_the_roots_alone(site: Site) -> None:
    """To a new file below the working folder, from below a declared root; a link leads out of neither."""
    home = site.server.home
    (home / "log").write_text("line\n")
    (home / "out").symlink_to("/etc/passwd")
    site.world.must("connect", "web", "--root", str(home), proof=True)
    site.world.must("ssh-copy", "web", "get", f"{home}/log", "log.txt")
    assert (site.world.folder / "log.txt").read_text() == "line\n"
    assert site.world.kv("ssh-copy", "web", "get", "/etc/passwd", "p").status == 2
    assert site.world.kv("ssh-copy", "web", "get", f"{home}/out", "p").status != 0
    assert not (site.world.folder / "p").exists()
    listed = json.loads(site.world.must("ssh-copy", "web", "list", str(home)).out)
    assert {"log", "out"} <= {entry["name"] for entry in listed["entries"]}


def test_putting_a_file_asks_and_reads_below_the_folder_alone(site: Site) -> None:
    """What is sent is a file of the project, and no dot-file."""
    home = site.server.home
    site.world.must("connect", "web", "--root", str(home), proof=True)
    (site.world.folder / "new.txt").write_text("new\n")
    (site.world.folder / ".env").write_text("KEY=x\n")
    told = site.world.kv("ssh-copy", "web", "put", "new.txt", f"{home}/new.txt", "--wait", "0", "--json")
    assert told.json["card"]["effect"] == "write"
    site.world.must("approve", told.json["pending"], proof=True)
    assert site.world.kv("wait", told.json["pending"]).status == 0
    assert (home / "new.txt").read_text() == "new\n"
    for local in (".env", "../x", "/etc/hostname"):
        assert site.world.kv("ssh-copy", "web", "put", local, f"{home}/y").status == 2


def test_a_command_that_never_ends_is_hung_up_on(site: Site) -> None:
    """The answer says that it may go on."""
    told = site.approved("web", "--timeout", "1", "--", "sleep", "600")
    assert (told["timed_out"], told["may_go_on"], told["exit"]) == (True, True, None)
    assert site.world.must("ssh", "web", "--", "whoami").out == f"{site.server.user}\n"


def test_a_connection_that_breaks_off_is_told(site: Site) -> None:
    """Whoever waits for the command hears of it, and so does the audit."""
    argv = ("web", "--wait", "0", "--json", "--", "sh", "-c", "echo begun; exec sleep 4714")
    ticket = site.world.kv("ssh", *argv).json["pending"]
    site.world.must("approve", ticket, proof=True)
    until = time.monotonic() + 60
    while not site.server.processes(named="sleep 4714"):
        assert time.monotonic() < until
        time.sleep(0.05)
    site.server.end_sessions()
    ran = site.world.kv("wait", ticket, "--json")
    assert (ran.status, ran.json["error"]["code"]) == (8, "upstream-broken")
    ended = [one["outcome"] for one in site.world.must("audit", "list", "--json", proof=True).json if "outcome" in one]
    assert "upstream-broken" in ended
    assert "unknown" not in ended


def test_output_without_end_is_cut_and_costs_no_memory(site: Site) -> None:
    """The command is read to its end or its time, and the answer holds its first megabyte."""
    told = site.approved("web", "--max-bytes", "1000", "--timeout", "3", "--", "sh", "-c", "yes | head -c 50000000")
    assert (len(told["stdout"]), told["truncated"], told["exit"]) == (1000, True, 0)


def test_an_agent_over_mcp_runs_and_copies(site: Site) -> None:
    """kv_ssh and kv_ssh_copy are the same calls."""

    async def story() -> None:
        async with agent(site.world) as one:
            told = (await one.call("kv_ssh", connection="web", argv=["whoami"])).json
            assert (told["stdout"], told["exit"], told["untrusted"]) == (f"{site.server.user}\n", 0, True)
            why = (await one.call("kv_explain", provider="web", argv=["rm", "-rf", "/srv/x"])).json
            assert why["verdict"] == "ask"
            refused = await one.call("kv_ssh_copy", connection="web", act="put", path="/srv/x", file=".env")
            assert "dot-files" in refused.error

    asyncio.run(story())


def test_a_certificate_is_good_for_the_approved_command_alone(site: Site) -> None:
    """A connection that holds a CA key logs in with a certificate that the server itself holds to one command."""
    authority = (site.server.folder / "ca").read_bytes()
    options = ("--auth", "ca", "--admission", "always")
    site.world.store("ca/KEY", authority, "--connection", "signed", *site.where, *options)
    assert site.world.must("ssh", "signed", "--", "whoami").out == f"{site.server.user}\n"
    assert "ID " in site.server.log()  # sshd names the certificate that it let in


def test_a_jump_leads_through_another_connection(site: Site) -> None:
    """Both host keys are pinned; a changed jump host makes it another connection."""
    site.world.store("far/KEY", site.key, "--connection", "far", *site.where, "--admission", "always")
    site.world.must("connect", "far", "--jump", "web", proof=True)
    assert site.world.must("ssh", "far", "--", "whoami").out == f"{site.server.user}\n"
    told = site.world.kv("explain", "ssh", "far", "--json", "--", "uname").json
    assert "through" in {label for label, _ in told["details"]}


def test_the_verb_fits_the_kind(site: Site) -> None:
    """A server is no HTTP service and no database."""
    for verb in (("api", "web", "GET", "/"), ("query", "web", "select 1")):
        ran = site.world.kv(*verb)
        assert (ran.status, "use kv ssh" in ran.err) == (2, True)
