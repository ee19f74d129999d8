"""Commands on a real OpenSSH server: what the program received, and what came back."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ssh_server import BANNER, SshServer, call, keygen, lent, once, opened, public, whole

from brokers.conformance import BrokerSuite
from brokers.contract import Broker, BrokerError, Connection, Credential
from brokers.ssh import hostkeys, pool
from brokers.ssh.broker import SshBroker
from brokers.ssh.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

pytestmark = pytest.mark.needs("sshd")
ENDED = {"signal": None, "timed_out": False, "may_go_on": False, "cut": False}


class TestSshBroker(BrokerSuite):
    """The SSH broker keeps the suite of all brokers."""

    arguments: ClassVar[Mapping[str, object]] = {"argv": ["uptime"]}
    refused: ClassVar[Sequence[Mapping[str, object]]] = (
        {"no such argument": 1},
        {"argv": ["a\nb"]},
        {"argv": "uptime"},
        {"argv": []},
        {"profile": "uptime"},
        {"cwd": "relative"},
        {"env": {"LD_PRELOAD": "x"}},
        {"timeout": 1000},
        {"max_bytes": 0},
        {"act": "shell"},
    )

    def broker(self) -> Broker:
        """A new broker."""
        return SshBroker()

    @contextmanager
    def reachable(self) -> Iterator[tuple[Connection, Credential]]:
        """A server."""
        with SshServer() as server:
            yield server.connection(), server.credential()

    def unreachable(self) -> tuple[Connection, Credential]:
        """A loopback port that nobody listens on."""
        target = {
            "host": "127.0.0.1",
            "port": 1,
            "user": "ada",
            "addresses": ["127.0.0.1"],
            "roots": ["/srv"],
            "env": ["TZ"],
            "host_keys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"],
        }
        return Connection("web", "ssh", target, "password"), lent(secret=b"hunter2-hunter2")

    def with_text(self, text: str) -> Sequence[Mapping[str, object]]:
        """A word, a profile's name and argument, a folder, a variable, and a path to copy."""
        return (
            {"argv": ["echo", text]},
            {"profile": text},
            {"profile": "cat", "arguments": {"path": f"/srv/{text}"}},
            {"argv": ["uptime"], "cwd": f"/{text}"},
            {"argv": ["uptime"], "env": {"TZ": text}},
            {"act": "get", "path": f"/srv/{text}"},
        )


def refused(to: Connection, credential: Credential, body: bytes = b"", **arguments: object) -> BrokerError:
    """The error of one call."""
    with pytest.raises(BrokerError) as caught:
        once(to, credential, body, **arguments)
    return caught.value


def test_streams_and_status_come_apart(sshd: SshServer) -> None:
    """What the program writes where, and how it ended."""
    done = once(sshd.connection(), sshd.credential(), argv=["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (done.out, done.err, done.head) == (b"out\n", b"err\n", {"exit": 3, **ENDED})


def test_a_signal_is_told_by_its_name(sshd: SshServer) -> None:
    """A program that was killed has no exit status."""
    done = once(sshd.connection(), sshd.credential(), argv=["sh", "-c", "kill -TERM $$"], cwd="/")
    assert done.head == {"exit": None, **ENDED, "signal": "TERM", "cut": True}


def test_a_greeting_is_in_no_output(sshd: SshServer) -> None:
    """What the server says before login is not what the command said."""
    done = once(sshd.connection(), sshd.credential(), argv=["true"])
    assert (done.out, done.err) == (b"", b"")


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    words=st.lists(
        st.text(
            st.sampled_from(" \\'\"`$!*?[]{}()<>|&;#~=%^@é-a")
            | st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])
        ),
        max_size=5,
    )
)
def test_the_program_receives_just_the_words(sshd: SshServer, words: list[str]) -> None:
    """End to end, through the account's shell: the words that were approved and no others."""
    script = 'printf "%s\\0" "$@"'
    done = once(sshd.connection(), sshd.credential(), argv=["sh", "-c", script, "sh", "first", *words])
    assert done.out.split(b"\0")[1:-1] == [word.encode() for word in words]


def test_folder_and_variable_arrive(sshd: SshServer) -> None:
    """In the command line, since no server is asked to accept variables."""
    to = sshd.connection(env=["TZ"], cwd="/usr")
    done = once(to, sshd.credential(), argv=["sh", "-c", 'echo "$PWD $TZ"'], env={"TZ": "a b"})
    assert done.out == b"/usr a b\n"
    assert once(to, sshd.credential(), argv=["pwd"], cwd="/tmp").out == b"/tmp\n"  # noqa: S108 - a folder that exists


def test_nothing_else_of_us_arrives(sshd: SshServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """No agent, no terminal, no variable of the keeper's."""
    monkeypatch.setenv("SSH_AUTH_SOCK", "/nowhere")
    monkeypatch.setenv("LC_EVIL", "x")
    done = once(sshd.connection(), sshd.credential(), argv=["sh", "-c", "env; tty; true"])
    assert b"SSH_AUTH_SOCK" not in done.out
    assert b"LC_EVIL" not in done.out
    assert b"not a tty" in done.out
    assert b"SSH_TTY" not in done.out


def test_input_arrives_whole_and_ends(sshd: SshServer) -> None:
    """Sixteen megabytes in, and out again, without the two waiting for each other."""
    body = bytes(range(256)) * (64 << 10)
    done = once(sshd.connection(), sshd.credential(), body, argv=["cat"], timeout=60)
    assert done.out == body
    assert once(sshd.connection(), sshd.credential(), argv=["cat"]).out == b""


def test_a_program_may_leave_its_input(sshd: SshServer) -> None:
    """A program that reads the first line of a large input and ends is done, whatever was still to be written."""
    done = once(sshd.connection(), sshd.credential(), b"one\n" * (2 << 20), argv=["head", "-n", "1"])
    assert (done.out, done.head["exit"]) == (b"one\n", 0)


def test_a_closed_half_is_no_end(sshd: SshServer) -> None:
    """A program that closes its output and works on is waited for, and its status is its own."""
    done = once(sshd.connection(), sshd.credential(), argv=["sh", "-c", "exec >&- 2>&-; sleep 0.3; exit 7"])
    assert (done.out, done.head) == (b"", {"exit": 7, **ENDED})


def test_a_second_call_does_not_log_in_again(sshd: SshServer) -> None:
    """Calls share a connection, at once and after each other; another account's credential does not."""

    async def run() -> int:
        before = sshd.logins()
        async with opened() as through:
            to = sshd.connection()
            await asyncio.gather(*(call(through, to, sshd.credential(), argv=["true"]) for _ in range(20)))
            await call(through, to, sshd.credential(), argv=["true"])
            assert sshd.logins() - before == 1
            with pytest.raises(BrokerError) as caught:
                await call(through, to, lent(secret=(sshd.folder / "stranger").read_bytes()), argv=["true"])
            assert caught.value.code == "login"
        return sshd.logins() - before

    assert asyncio.run(run()) == 1


def test_calls_wait_for_room(sshd: SshServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """More calls than sessions wait their turn; one whose time is up before says so."""
    monkeypatch.setattr(pool, "MAX_CALLS", 2)

    async def run() -> list[object]:
        async with opened() as through:
            to, credential = sshd.connection(), sshd.credential()
            slow = [
                await through.perform(through.plan(to, {"argv": ["sleep", "100"], "timeout": 60}), credential)
                for _ in range(2)
            ]
            with pytest.raises(BrokerError) as caught:
                await call(through, to, credential, argv=["true"], timeout=0.3)
            await asyncio.gather(*(one.aclose() for one in slow))
            done = await call(through, to, credential, argv=["true"])
        return [caught.value.code, done.head["exit"]]

    assert asyncio.run(run()) == ["timeout", 0]


def test_an_idle_connection_is_closed(sshd: SshServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody keeps a login for longer than it is used."""
    monkeypatch.setattr(pool, "KEEP_IDLE", 0.05)

    async def run() -> None:
        async with opened() as through:
            await call(through, sshd.connection(), sshd.credential(), argv=["true"])
            [lane] = through._pool._lanes.values()
            session = lane.session
            while lane.session is not None:  # noqa: ASYNC110 - nobody is told
                await asyncio.sleep(0.01)
            assert session is not None
            assert not session.alive
            await call(through, sshd.connection(), sshd.credential(), argv=["true"])

    asyncio.run(run())


def test_another_host_key_is_an_alarm(sshd: SshServer, tmp_path: object) -> None:
    """Both fingerprints are said, as ssh-keygen prints them, and no credential was shown."""
    stranger = public(sshd.folder / "stranger.pub")
    before = sshd.log().count("Failed") + sshd.logins()
    error = refused(sshd.connection(host_key=[stranger]), sshd.credential("password"), argv=["true"])
    assert error.code == "host-key"
    for field, name in (("pinned", "stranger"), ("found", "host_ed25519")):
        printed = subprocess.run(["ssh-keygen", "-lf", sshd.folder / f"{name}.pub"], capture_output=True, check=True)
        assert str(error.fields[field]) in printed.stdout.decode()
    assert sshd.log().count("Failed") + sshd.logins() == before
    del tmp_path


def test_any_pinned_key_will_do(sshd: SshServer) -> None:
    """A host of which only the ECDSA key is pinned shows that one, though it has an Ed25519 key too."""
    ecdsa = public(sshd.folder / "host_ecdsa.pub")
    for keys in ([ecdsa], [ecdsa, public(sshd.folder / "stranger.pub")], [sshd.host_key, ecdsa]):
        if len(keys) == 2 and keys[1] != ecdsa:
            assert refused(sshd.connection(host_key=keys), sshd.credential(), argv=["true"]).code == "host-key"
        else:
            assert once(sshd.connection(host_key=keys), sshd.credential(), argv=["true"]).head["exit"] == 0


def test_a_refused_login_says_so_and_no_more(sshd: SshServer) -> None:
    """Neither what the server said nor what was sent is in the error."""
    wrong = lent(secret=b"wrong-password-4711")
    error = refused(sshd.connection("password"), wrong, argv=["true"])
    assert error.code == "login"
    assert (
        refused(sshd.connection(), lent(secret=(sshd.folder / "stranger").read_bytes()), argv=["true"]).code == "login"
    )
    said = f"{error!r} {error.fields} {error.__cause__!r}"
    assert "4711" not in said
    assert BANNER not in said


def test_only_the_declared_way_is_tried(sshd: SshServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """No key in the home folder and no agent helps a connection that has another credential."""
    home = sshd.folder / "other-home"
    (home / ".ssh").mkdir(parents=True, exist_ok=True)
    (home / ".ssh" / "id_ed25519").write_bytes((sshd.folder / "user").read_bytes())
    (home / ".ssh" / "config").write_text(f"Host *\n  IdentityFile {sshd.folder}/user\n")
    monkeypatch.setenv("HOME", str(home))
    stranger = lent(secret=(sshd.folder / "stranger").read_bytes())
    assert refused(sshd.connection(), stranger, argv=["true"]).code == "login"


def test_a_half_login_is_none() -> None:
    """A server that wants a password behind the key has refused a connection that declares a key alone."""
    with SshServer(config="AuthenticationMethods publickey,password\n") as server:
        for scheme in ("key", "password"):
            error = refused(server.connection(scheme), server.credential(scheme), argv=["true"])
            assert error.code == "login"


def test_a_password_logs_in(sshd: SshServer) -> None:
    """By the password method alone."""
    done = once(sshd.connection("password"), sshd.credential("password"), argv=["whoami"])
    assert done.out.decode().strip() == sshd.user


@pytest.mark.parametrize(
    "options",
    [
        ("-t", "ed25519", "-N", ""),
        ("-t", "rsa", "-b", "2048", "-N", ""),
        ("-t", "rsa", "-b", "2048", "-m", "PEM", "-N", ""),
        ("-t", "ecdsa", "-b", "384", "-N", ""),
        ("-t", "ecdsa", "-b", "256", "-m", "PKCS8", "-N", ""),
        ("-t", "ed25519", "-N", "open sesame"),
        ("-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "open sesame"),
    ],
    ids=" ".join,
)
def test_every_kind_of_key_logs_in(
    sshd: SshServer, tmp_path_factory: pytest.TempPathFactory, options: tuple[str, ...]
) -> None:
    """OpenSSH's own format and the older ones, with a passphrase or without."""
    path = tmp_path_factory.mktemp("key") / "key"
    keygen(path, *options)
    sshd.authorize(public(sshd.folder / "user.pub"), public(path.with_suffix(".pub")))
    slots = {"secret": path.read_bytes()}
    if options[-1]:
        assert refused(sshd.connection(), lent(**slots), argv=["true"]).code == "credential"
        bad = lent(**slots, passphrase=b"wrong-4711")
        error = refused(sshd.connection("key-passphrase"), bad, argv=["true"])
        assert (error.code, "4711" in str(error.fields)) == ("credential", False)
        slots["passphrase"] = options[-1].encode()
    scheme = "key-passphrase" if options[-1] else "key"
    assert once(sshd.connection(scheme), lent(**slots), argv=["true"]).head["exit"] == 0


def test_a_users_certificate_logs_in(sshd: SshServer, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The key that nobody authorised is let in by what an authority signed; the certificate is public text."""
    path = tmp_path_factory.mktemp("key") / "key"
    keygen(path)
    subprocess.run(
        ["ssh-keygen", "-q", "-s", sshd.folder / "ca", "-I", "x", "-n", sshd.user, path.with_suffix(".pub")], check=True
    )
    certificate = path.with_name("key-cert.pub").read_text().strip()
    held = lent(secret=path.read_bytes())
    assert refused(sshd.connection(), held, argv=["true"]).code == "login"
    assert once(sshd.connection(certificate=certificate), held, argv=["true"]).head["exit"] == 0


@pytest.mark.parametrize(
    "value",
    [
        b"no key",
        b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
        b"\xff" * 100,
        b"-----BEGIN PRIVATE KEY-----\n",
    ],
)
def test_what_is_no_key_is_refused(sshd: SshServer, value: bytes) -> None:
    """An error about the credential, which does not quote it."""
    error = refused(sshd.connection(), lent(secret=value), argv=["true"])
    assert error.code == "credential"
    assert value.decode("latin-1") not in str(error.fields)


def test_a_command_that_never_ends_is_left(sshd: SshServer) -> None:
    """What it wrote is kept; the head says that time was up and that it may go on over there."""

    async def run() -> tuple[dict[str, object], bytes]:
        async with opened() as through:
            argv = ["sh", "-c", "echo begun; exec sleep 4711"]
            done = await call(through, sshd.connection(), sshd.credential(), argv=argv, timeout=1)
            again = await call(through, sshd.connection(), sshd.credential(), argv=["echo", "well"])
            assert again.out == b"well\n"
            return done.head, done.out

    head, out = asyncio.run(run())
    assert out == b"begun\n"
    assert head == {"exit": None, **ENDED, "timed_out": True, "may_go_on": True, "cut": True}
    until = time.monotonic() + 10
    while sshd.processes(named="sleep 4711"):  # it was asked to end, which sshd saw to
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.parametrize("stubborn", ["", "trap '' TERM; "])
def test_a_command_whose_time_the_server_keeps_has_ended(sshd: SshServer, stubborn: str) -> None:
    """With a profile's time nothing goes on over there, and what was said last may be half of something."""
    argv = ["sh", "-c", f"{stubborn}echo begun; sleep 4713; sleep 4713"]
    to = sshd.connection(profiles={"slow": {"argv": argv, "effect": "read", "timeout": 1}})
    done = once(to, sshd.credential(), profile="slow")
    assert done.out == b"begun\n"
    told = done.head
    # One that only KILL ends may be another user's, whom KILL did not reach: that is not known here.
    assert (told["timed_out"], told["may_go_on"], told["cut"]) == (True, bool(stubborn), True)
    assert not sshd.processes(named="4713")


def test_a_command_that_keeps_its_time_ends_as_it_does(sshd: SshServer) -> None:
    """The wrapper passes its exit status on."""
    to = sshd.connection(profiles={"quick": {"argv": ["sh", "-c", "exit 7"], "timeout": 60}})
    assert once(to, sshd.credential(), profile="quick").head == {"exit": 7, **ENDED}


def test_a_caller_who_goes_away_ends_the_channel(sshd: SshServer) -> None:
    """An outcome closed early tells the program by its broken pipe, and the connection stays for the next."""

    async def run() -> None:
        before = sshd.logins()
        async with opened() as through:
            plan = through.plan(sshd.connection(), {"argv": ["yes", "early-close-0815"], "timeout": 60})
            outcome = await through.perform(plan, sshd.credential())
            async for _ in outcome.body:
                break
            await outcome.aclose()
            assert outcome.head["may_go_on"] is True
            for _ in range(500):
                if not sshd.processes(named="early-close-0815"):
                    break
                await asyncio.sleep(0.01)
            assert not sshd.processes(named="early-close-0815")
            assert (await call(through, sshd.connection(), sshd.credential(), argv=["true"])).head["exit"] == 0
        assert sshd.logins() - before == 1

    asyncio.run(run())


def test_a_cancelled_call_frees_its_place(sshd: SshServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelled while logging in, while beginning, or while reading: the next call has room."""
    monkeypatch.setattr(pool, "MAX_CALLS", 1)

    async def run() -> object:
        async with opened() as through:
            to, credential = sshd.connection(), sshd.credential()
            for moment in (0, 0.01, 0.05, 0.1, 0.3, 0.01, 0.02):
                task = asyncio.create_task(call(through, to, credential, argv=["sleep", "100"]))
                await asyncio.sleep(moment)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            return (await call(through, to, credential, argv=["true"], timeout=20)).head["exit"]

    assert asyncio.run(run()) == 0


def test_a_stream_without_end_is_not_held(sshd: SshServer) -> None:
    """96 MB of output cost a few megabytes at any moment, read slowly or not."""
    script = """
import asyncio, resource, sys
sys.path.insert(0, sys.argv[1])
from brokers.contract import Connection, Credential, Secret
from brokers.ssh.broker import SshBroker
from brokers.ssh.session import Session
import json
def rss():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
async def main():
    to = Connection(**json.loads(sys.stdin.readline()))
    lent = Credential({"secret": Secret("k", open(sys.argv[2], "rb").read())})
    through = SshBroker()
    async def read(argv):
        outcome = await through.perform(through.plan(to, {"argv": argv, "timeout": 100}), lent)
        size = most = 0
        async for chunk in outcome.body:
            size += len(chunk)
            most = max(most, rss())
            if not size // (8 << 20) == (size - len(chunk)) // (8 << 20):
                await asyncio.sleep(0.05)
        await outcome.aclose()
        return size, most
    await read(["head", "-c", "1000000", "/dev/zero"])
    before = rss()
    size, most = await read(["head", "-c", str(96 << 20), "/dev/zero"])
    print(size, most - before)
    await through.aclose()
asyncio.run(main())
"""
    to = sshd.connection().canonical()
    done = subprocess.run(
        [sys.executable, "-c", script, ".", str(sshd.folder / "user")],
        input=json.dumps(to).encode(),
        capture_output=True,
        check=True,
        timeout=100,
    )
    size, growth = map(int, done.stdout.split())
    assert size == 96 << 20
    assert growth < 12 << 20


def test_new_keys_in_the_middle_are_no_end() -> None:
    """A server that exchanges keys anew every few megabytes, while data flows either way."""
    with SshServer(config="RekeyLimit 4M\n") as server:
        body = bytes(range(256)) * (64 << 10)
        done = once(server.connection(), server.credential(), body, argv=["cat"], timeout=90)
        assert (done.out == body, done.head["exit"]) == (True, 0)


def test_small_packets_are_not_held_back(sshd: SshServer) -> None:
    """Nagle's delay would cost each command forty milliseconds."""

    async def run() -> None:
        async with opened() as through:
            await call(through, sshd.connection(), sshd.credential(), argv=["true"])
            [lane] = through._pool._lanes.values()
            assert lane.session is not None
            assert isinstance(lane.session._sock, socket.socket)
            assert lane.session._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    asyncio.run(run())


def test_a_reader_of_nothing_holds_the_program_up(sshd: SshServer) -> None:
    """A program that writes much to both streams stands still when nobody reads, and gets on when somebody does."""

    async def run() -> None:
        async with opened() as through:
            argv = ["sh", "-c", "yes out | head -c 8000000 & yes err | head -c 8000000 >&2; wait"]
            outcome = await through.perform(through.plan(sshd.connection(), {"argv": argv}), sshd.credential())
            await asyncio.sleep(0.5)
            held = outcome.head
            assert held["exit"] is None
            done = await whole(outcome)
            assert (len(done.out), len(done.err), done.head["exit"]) == (8000000, 8000000, 0)

    asyncio.run(run())


def test_a_server_that_dies_is_told_and_the_next_call_works() -> None:
    """Output that was cut off ends in an error; a command is not sent twice; the next call logs in again."""

    async def run(server: SshServer) -> None:
        async with opened() as through:
            to, credential = server.connection(), server.credential()
            argv = ["sh", "-c", f"echo x >>{server.home}/ran; echo begun; exec sleep 100"]
            outcome = await through.perform(through.plan(to, {"argv": argv}), credential)
            assert await anext(outcome.body) == b"begun\n"
            await asyncio.to_thread(server.stop)
            with pytest.raises(BrokerError) as caught:
                await anext(outcome.body)
            assert caught.value.code == "broken"
            assert outcome.head["may_go_on"] is True
            await outcome.aclose()
            with pytest.raises(BrokerError) as caught:
                await call(through, to, credential, argv=["true"])
            assert caught.value.code == "connect"
            await asyncio.to_thread(server.start)
            assert (await call(through, to, credential, argv=["cat", f"{server.home}/ran"])).out == b"x\n"

    with SshServer() as server:
        asyncio.run(run(server))


@pytest.mark.parametrize("noticed", [True, False])
def test_a_connection_that_died_quietly_is_replaced(monkeypatch: pytest.MonkeyPatch, *, noticed: bool) -> None:
    """A kept connection whose server was restarted between two calls is no failure of the second.

    Whether its end was noticed before the call or only by it: nothing had been asked yet.
    """
    if not noticed:
        monkeypatch.setattr(Session, "alive", property(lambda session: session._way is not None))

    async def run(server: SshServer) -> None:
        async with opened() as through:
            await call(through, server.connection(), server.credential(), argv=["true"])
            await asyncio.to_thread(server.stop)
            await asyncio.to_thread(server.start)
            assert (await call(through, server.connection(), server.credential(), argv=["true"])).head["exit"] == 0

    with SshServer() as server:
        asyncio.run(run(server))


@pytest.mark.needs("fish")
def test_a_shell_that_is_not_posix_gets_the_words() -> None:
    """An account whose login shell is fish runs what was approved, and not what fish would make of POSIX quoting."""
    with SshServer("/usr/bin/fish") as server:
        argv = ["printf", "%s|", "\\", "; touch evil; ", "'", "a\\'b", "!x", "$HOME", "*"]
        done = once(server.connection(), server.credential(), argv=argv, cwd=str(server.home))
        assert done.out.decode() == "".join(f"{word}|" for word in argv[2:])
        assert not (server.home / "evil").exists()


def test_the_drivers_log_is_silent(sshd: SshServer, caplog: pytest.LogCaptureFixture) -> None:
    """Banners and user names are in no log."""
    with caplog.at_level(logging.DEBUG):
        once(sshd.connection(), sshd.credential(), argv=["true"])
        refused(sshd.connection("password"), lent(secret=b"wrong"), argv=["true"])
    assert not [record for record in caplog.records if record.name.startswith("paramiko")]


def test_an_early_error_is_ours(sshd: SshServer) -> None:
    """A private address without a pin is refused before anything is dialled, a name that nobody knows as well."""
    target = dict(sshd.connection().target)
    for host, code in (("10.0.0.1", "address"), ("nobody.invalid", "dns")):
        to = Connection("web", "ssh", {**target, "host": host, "addresses": []}, "key")
        assert refused(to, sshd.credential(), argv=["true"]).code == code


def test_fingerprints_are_those_of_openssh(sshd: SshServer) -> None:
    """For every type of key."""
    for name in ("host_ed25519", "host_ecdsa"):
        key = hostkeys.canonical(public(sshd.folder / f"{name}.pub"))
        printed = subprocess.run(["ssh-keygen", "-lf", sshd.folder / f"{name}.pub"], capture_output=True, check=True)
        assert hostkeys.fingerprint(hostkeys.blob_of(key)) == printed.stdout.split()[1].decode()
