"""Servers that misbehave: impostors before the host key is checked, and pinned ones that went bad."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import struct
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import paramiko
import pyotp
import pytest
from ssh_server import call, once, opened
from ssh_standin import PASSWORD, SEED, StandIn, new_key

from brokers.contract import BrokerError, Credential
from brokers.ssh import driver, session
from brokers.ssh.jump import through
from brokers.ssh.login import wanted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from brokers.contract import Connection

WORDS = "SERVERS-OWN-WORDS-7788"


def refused(server: StandIn, scheme: str = "password", timeout: float = 5, to: Connection | None = None) -> BrokerError:
    """The error of a call, which says nothing of the server's words and of the password."""
    with pytest.raises(BrokerError) as caught:
        once(to or server.connection(scheme), server.credential(), argv=["true"], timeout=timeout)
    said = f"{caught.value!r} {caught.value.fields} {caught.value.__cause__!r}"
    assert WORDS not in said
    assert PASSWORD not in said
    return caught.value


def ends(status: int = 0, out: bytes = b"", err: bytes = b"") -> Callable[[paramiko.Channel], None]:
    """A command's answer."""

    def answer(channel: paramiko.Channel) -> None:
        if out:
            channel.sendall(out)
        if err:
            channel.sendall_stderr(err)
        channel.send_exit_status(status)
        channel.close()

    return answer


def test_a_stand_in_behaves_if_it_is_told_to() -> None:
    """The stand-in of these tests is a server like any other; only `exec` is asked of it."""
    with StandIn(answer=ends(3, b"out", b"err")) as server:
        done = once(server.connection(), server.credential(), argv=["make", "it"])
        assert (done.out, done.err, done.head["exit"]) == (b"out", b"err", 3)
        assert server.received == [PASSWORD, "channel session", "make it"]


def test_an_idle_session_is_kept_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Routers forget who says nothing; and it logs in once for two calls."""
    monkeypatch.setattr(session, "KEEP_ALIVE", 0.1)

    async def story(server: StandIn) -> None:
        async with opened() as broker:
            await call(broker, server.connection(), server.credential(), argv=["true"])
            for _ in range(600):  # a busy machine is no defect
                if "global keepalive@lag.net" in server.received:
                    break
                await asyncio.sleep(0.1)
            await call(broker, server.connection(), server.credential(), argv=["true"])

    with StandIn(answer=ends()) as server:
        asyncio.run(story(server))
        assert "global keepalive@lag.net" in server.received
        assert server.received.count(PASSWORD) == 1


def test_password_and_code_are_each_given_once() -> None:
    """In one round or in two, by the look of the question."""
    for rounds in (
        [[("Password: ", False), ("Verification code: ", True)]],
        [[("Password: ", False)], [("One-time password (OATH) for `ada': ", False)], []],
    ):
        with StandIn(answer=ends(), rounds=rounds) as server:
            assert once(server.connection("password-totp"), server.credential(), argv=["x"]).head["exit"] == 0
            assert server.received[0] == PASSWORD
            assert pyotp.TOTP(SEED).verify(server.received[1], valid_window=1)


@pytest.mark.parametrize(
    "rounds",
    [
        [[("Your mother's maiden name: ", False)]],
        [[("Password: ", True)]],
        [[("Password: ", False), ("Password again: ", False)]],
        [[("Password: ", False)], [("Password: ", False)]],
        [[("Password and code: ", False)]],
        [[("Vault PIN of kv: ", False)]],
        [[("code " * 100, False)]],
        [[]] * 10,
        [[("x", False)] * 1000],
    ],
)
def test_odd_questions_get_no_answer(rounds: list[list[tuple[str, bool]]]) -> None:
    """What is neither password nor code, or is asked twice or in the open, ends the login."""
    with StandIn(answer=ends(), rounds=rounds) as server:
        assert refused(server, "password-totp").code in {"login", "broken"}
        assert server.received.count(PASSWORD) <= 1
        assert not [line for line in server.received if line.startswith("channel")]


@pytest.mark.parametrize(
    ("prompt", "kind"),
    [
        ("Password:", "password"),
        ("ada@web's password: ", "password"),
        ("Verification code:", "code"),
        ("OTP: ", "code"),
        ("One-time password: ", "code"),
        ("Enter your token:", "code"),
        ("Passcode: ", "code"),
        ("Encode:", None),
        ("Name:", None),
        ("", None),
    ],
)
def test_questions_are_told_apart(prompt: str, kind: str | None) -> None:
    """By whole words."""
    assert wanted(prompt) == kind


def test_a_password_goes_by_the_password_method_alone() -> None:
    """A server that offers questions instead is not answered."""
    with StandIn(rounds=[[("Password: ", False)]]) as server:
        error = refused(server)
        assert (error.code, server.received) == ("login", [PASSWORD])


def test_an_impostor_gets_nothing() -> None:
    """Another key of the pinned type: an alarm before anything is said."""
    with StandIn(answer=ends()) as server:
        to = server.connection()
        server.key = new_key()
        error = refused(server, to=to)
        assert error.code == "host-key"
        assert error.fields["found"] == server.key.fingerprint
        assert server.received == []


def test_a_host_without_a_pinned_type_is_an_alarm() -> None:
    """An impostor who shows an ECDSA key instead is one all the same."""
    with StandIn(answer=ends()) as server:
        to = server.connection()
        server.key = paramiko.ECDSAKey.generate()
        error = refused(server, to=to)
        assert error.code == "host-key"
        assert str(error.fields["pinned"]).startswith("SHA256:")
        assert server.received == []


def test_channels_that_the_server_opens_are_refused() -> None:
    """Neither an agent's, nor a forwarded port's, nor X11's, nor a session."""
    opened_back: list[str] = []

    def answer(channel: paramiko.Channel) -> None:
        transport = channel.get_transport()
        for kind in ("auth-agent@openssh.com", "x11", "forwarded-tcpip", "session"):
            try:
                transport.open_channel(kind, ("127.0.0.1", 1), ("127.0.0.1", 1), timeout=5)
                opened_back.append(kind)
            except paramiko.SSHException:
                pass
        ends(5)(channel)

    with StandIn(answer=answer) as server:
        assert once(server.connection(), server.credential(), argv=["x"]).head["exit"] == 5
        assert opened_back == []


def test_a_giant_greeting_is_cut_off() -> None:
    """Text without end before the version line costs neither memory nor the whole time."""

    def raw(sock: socket.socket) -> None:
        while True:
            sock.sendall(WORDS.encode() * 1000)

    with StandIn(raw=raw) as server:
        began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert refused(server, timeout=20).code == "broken"
        assert time.monotonic() - began < 5
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8 << 10  # KiB


def test_a_packet_of_four_gigabytes_is_not_read() -> None:
    """An impostor's first packet says how long it is; it is not believed."""

    def raw(sock: socket.socket) -> None:
        sock.sendall(b"SSH-2.0-x\r\n" + struct.pack(">I", 0xFFFFFFF4))
        while True:
            sock.sendall(bytes(1 << 16))

    with StandIn(raw=raw) as server:
        began = time.monotonic()
        assert refused(server, timeout=20).code == "broken"
        assert time.monotonic() - began < 5


def test_a_large_login_banner_is_borne() -> None:
    """It is read, and goes nowhere."""
    with StandIn(answer=ends(), banner=WORDS * 1000) as server:
        done = once(server.connection(), server.credential(), argv=["x"])
        assert WORDS.encode() not in done.out + done.err
    with StandIn(answer=ends(), banner=WORDS * 100_000) as server:
        assert refused(server).code in {"broken", "login"}


def mute(sock: socket.socket) -> None:
    """Not a word."""
    sock.recv(1)
    time.sleep(30)


def silent(sock: socket.socket) -> None:
    """A version, and nothing behind it."""
    sock.sendall(b"SSH-2.0-silent\r\n")
    time.sleep(30)


@pytest.mark.parametrize("raw", [mute, silent])
def test_a_server_that_never_answers_is_left(raw: Callable[[socket.socket], None]) -> None:
    """Silence before or after the version line: the call ends when it was said to."""
    with StandIn(raw=raw) as server:
        began = time.monotonic()
        error = refused(server, timeout=0.5)
        assert (error.code, error.fields) == ("timeout", {"seconds": 1})
        assert time.monotonic() - began < 3


def test_an_unanswered_command_may_go_on() -> None:
    """The request went out and nothing came back: that is said, and is no failure to begin."""

    def after(transport: paramiko.Transport) -> None:
        real = transport._send_user_message  # type: ignore[attr-defined]  # an attack
        # Nothing of a channel's is answered once it is open.
        transport._send_user_message = lambda message: None if message.asbytes()[0] >= 93 else real(message)  # type: ignore[attr-defined]  # an attack
        time.sleep(30)

    with StandIn(after=after) as server:
        began = time.monotonic()
        done = once(server.connection(), server.credential(), argv=["x"], timeout=1)
        assert (done.head["timed_out"], done.head["may_go_on"]) == (True, True)
        assert time.monotonic() - began < 8


def test_a_refused_command_or_channel_says_so() -> None:
    """Before anything was performed."""
    with StandIn(runs=False) as server:
        assert refused(server).code == "refused"
    with StandIn(opens=False) as server:
        assert refused(server).code == "refused"


async def measured(stream: AsyncIterator[bytes], sizes: list[int]) -> None:
    """The sizes of what comes."""
    async for chunk in stream:
        sizes.append(len(chunk))  # noqa: PERF401 - what came before the error counts


def test_output_beyond_the_window_is_the_end() -> None:
    """A server that ignores the window would fill the memory: the connection is cut."""

    def answer(channel: paramiko.Channel) -> None:
        transport = channel.get_transport()
        for _ in range(4000):
            message = paramiko.Message()
            message.add_byte(b"\x5e")
            message.add_int(channel.remote_chanid)
            message.add_string(bytes(32 << 10))
            transport._send_user_message(message)  # type: ignore[attr-defined]  # an attack

    async def run(server: StandIn) -> None:
        async with opened() as through:
            outcome = await through.perform(through.plan(server.connection(), {"argv": ["x"]}), server.credential())
            [lane] = through._pool._lanes.values()
            assert lane.session is not None
            until = time.monotonic() + 30
            while lane.session.alive:
                assert time.monotonic() < until
                await asyncio.sleep(0.01)
            sizes: list[int] = []
            with pytest.raises(BrokerError) as caught:
                await measured(outcome.body, sizes)
            assert caught.value.code == "broken"
            assert sum(sizes) <= driver.WINDOW + driver.MAX_PACKET + (1 << 20)
            await outcome.aclose()

    with StandIn(answer=answer) as server:
        asyncio.run(run(server))


@pytest.mark.parametrize("kind", [7, 60])
def test_a_count_of_four_billion_is_not_counted(kind: int) -> None:
    """Extensions or prompts: paramiko would loop until the end of the night, with the interpreter's lock."""

    def after(transport: paramiko.Transport) -> None:
        message = paramiko.Message()
        message.add_byte(bytes([kind]))
        for _ in range(3 if kind == 60 else 0):
            message.add_string("")
        message.add_int(0xFFFFFFFF)
        transport._send_message(message)  # type: ignore[attr-defined]  # an attack
        time.sleep(30)

    with StandIn(after=after, answer=ends()) as server:
        began = time.process_time()
        with pytest.raises(BrokerError) as caught:
            once(server.connection("password-totp"), server.credential(), argv=["x"], timeout=3)
        assert caught.value.code in {"broken", "login"}  # and no timeout: the driver did not count
        assert time.process_time() - began < 2


def nothing() -> paramiko.Message:
    """A message that says nothing."""
    message = paramiko.Message()
    message.add_byte(paramiko.common.cMSG_IGNORE)
    message.add_string(b"")
    return message


def flood(transport: paramiko.Transport, over: threading.Event) -> None:
    """Say nothing, as often as it goes; `over` is set when nobody listens any more."""
    with contextlib.suppress(EOFError, OSError, paramiko.SSHException):
        while transport.is_active() and not over.is_set():
            transport._send_message(nothing())  # type: ignore[attr-defined]  # private to paramiko
    over.set()


def test_a_server_that_nobody_calls_is_not_listened_to() -> None:
    """A kept session costs a processor for what its server says in it: soon it is ended, and the next call logs in."""
    over = threading.Event()

    def answer(channel: paramiko.Channel) -> None:
        ends()(channel)
        threading.Thread(target=flood, args=(channel.get_transport(), over), daemon=True).start()

    async def story(server: StandIn) -> None:
        async with opened() as broker:
            await call(broker, server.connection(), server.credential(), argv=["true"])
            assert await asyncio.to_thread(over.wait, 60), "it still listens"
            done = await call(broker, server.connection(), server.credential(), argv=["true"])
            assert done.head["exit"] == 0

    with StandIn(answer=answer) as server:
        asyncio.run(story(server))
        assert server.received.count(PASSWORD) == 2


def test_a_jump_host_is_not_listened_to_when_nobody_calls_the_server_behind_it() -> None:
    """Not as a server of its own, and not where a session through it is kept; with a call at work it may say much."""
    over, resting = threading.Event(), threading.Event()

    def carry(transport: paramiko.Transport) -> None:
        channel = transport.accept(20)
        assert channel is not None
        with socket.create_connection(("127.0.0.1", server.port)) as behind:
            for _ in range(2 * driver.MAX_UNASKED):
                transport._send_message(nothing())  # type: ignore[attr-defined]  # private to paramiko
            for one, other in ((channel, behind), (behind, channel)):
                threading.Thread(target=pass_on, args=(one, other), daemon=True).start()
            resting.wait(20)
            flood(transport, over)

    def pass_on(one: paramiko.Channel | socket.socket, other: paramiko.Channel | socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError):
            while data := one.recv(1 << 15):
                other.sendall(data)

    async def story(jump: StandIn) -> None:
        to = through(server.connection(jump="bastion"), replace(jump.connection(), name="bastion"))
        slots = {f"jump.{slot}": held for slot, held in jump.credential().slots.items()}
        held = Credential({**server.credential().slots, **slots})
        async with opened() as broker:
            for _ in range(2):
                over.clear()
                resting.clear()
                assert (await call(broker, to, held, argv=["true"])).head["exit"] == 0
                assert (await call(broker, to, held, argv=["true"])).head["exit"] == 0
                resting.set()
                assert await asyncio.to_thread(over.wait, 10), "it still listens"

    with StandIn(answer=ends()) as server, StandIn(forwards=True, after=carry) as jump:
        asyncio.run(story(jump))
        assert jump.received.count(PASSWORD) == server.received.count(PASSWORD) == 2


def test_an_odd_signal_is_no_text_of_the_servers() -> None:
    """The head holds a signal's name, not what a server calls one."""

    def answer(channel: paramiko.Channel) -> None:
        message = paramiko.Message()
        message.add_byte(b"\x62")
        message.add_int(channel.remote_chanid)
        message.add_string("exit-signal")
        message.add_boolean(False)  # noqa: FBT003 - a message is written value by value
        message.add_string(f"{WORDS} \x1b[2J")
        message.add_boolean(False)  # noqa: FBT003 - a message is written value by value
        message.add_string("")
        message.add_string("")
        channel.get_transport()._send_user_message(message)  # type: ignore[attr-defined]  # an attack
        channel.close()

    with StandIn(answer=answer) as server:
        assert once(server.connection(), server.credential(), argv=["x"]).head["signal"] == "?"


def test_no_status_is_no_status() -> None:
    """A server that closes without one is believed, and nothing is made up."""
    with StandIn(answer=lambda channel: channel.close()) as server:
        head = once(server.connection(), server.credential(), argv=["x"]).head
        assert (head["exit"], head["cut"]) == (None, False)


def test_a_channel_that_is_closed_on_a_program_was_cut() -> None:
    """Without the program's own end of output before it, the last that came may be half of something."""

    def answer(channel: paramiko.Channel) -> None:
        message = paramiko.Message()
        message.add_byte(b"\x61")
        message.add_int(channel.remote_chanid)
        channel.sendall(b"half a sec")
        channel.get_transport()._send_user_message(message)  # type: ignore[attr-defined]  # an attack

    with StandIn(answer=answer) as server:
        done = once(server.connection(), server.credential(), argv=["x"])
        assert (done.out, done.head["cut"]) == (b"half a sec", True)


def test_a_broker_outlives_them_all() -> None:
    """One broker, one bad server after another, and a good one at the end."""

    async def run() -> object:
        async with opened() as through:
            for bad in (
                StandIn(runs=False),
                StandIn(raw=lambda sock: sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")),
                StandIn(rounds=[[("?", True)]]),
            ):
                with bad as server, pytest.raises(BrokerError):
                    await call(through, server.connection(), server.credential(), argv=["x"], timeout=5)
            with StandIn(answer=ends(4)) as server:
                return (await call(through, server.connection(), server.credential(), argv=["x"])).head["exit"]

    assert asyncio.run(run()) == 4
