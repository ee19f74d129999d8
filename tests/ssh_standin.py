"""An SSH server in a thread that misbehaves as it is told: what no real sshd does."""

from __future__ import annotations

import contextlib
import io
import socket
import threading
from typing import TYPE_CHECKING, Self

import paramiko
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL
from paramiko.server import InteractiveQuery
from ssh_server import lent

from brokers.contract import Connection
from brokers.ssh.kind import SshKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from brokers.contract import Credential

    Prompts = Sequence[tuple[str, bool]]

PASSWORD = "a-password-4711"
SEED = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def new_key() -> paramiko.Ed25519Key:
    """A fresh host key."""
    text = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    key: paramiko.Ed25519Key = paramiko.Ed25519Key.from_private_key(io.StringIO(text))
    return key


class _Host(paramiko.ServerInterface):
    """Lets everybody in, unless `rounds` of questions are to be asked first."""

    def __init__(self, owner: StandIn) -> None:
        self.owner = owner

    def get_allowed_auths(self, username: str) -> str:
        del username
        return "keyboard-interactive" if self.owner.rounds else "password,publickey"

    def get_banner(self) -> tuple[str, str]:
        return (self.owner.banner, "en")

    def check_auth_password(self, username: str, password: str) -> int:
        del username
        self.owner.received.append(password)
        right = password == PASSWORD and not self.owner.rounds
        return AUTH_SUCCESSFUL if right else AUTH_FAILED

    def check_auth_interactive(self, username: str, submethods: str) -> int | InteractiveQuery:
        del username, submethods
        self._round = 0
        return self._ask() if self.owner.rounds else AUTH_FAILED

    def _ask(self) -> InteractiveQuery:
        return InteractiveQuery("", "Tell me", *self.owner.rounds[self._round])

    def check_auth_interactive_response(self, responses: list[str]) -> int | InteractiveQuery:
        self.owner.received += responses
        self._round += 1
        return AUTH_SUCCESSFUL if self._round >= len(self.owner.rounds) else self._ask()

    def check_global_request(self, kind: str, msg: paramiko.Message) -> bool:
        del msg
        return self._note(f"global {kind}")

    def check_channel_request(self, kind: str, chanid: int) -> int:
        del chanid
        self.owner.received.append(f"channel {kind}")
        return 0 if self.owner.opens else 1

    def check_channel_direct_tcpip_request(self, chanid: int, origin: object, destination: object) -> int:
        del chanid, origin, destination
        return 0 if self.owner.forwards else 1

    def _note(self, what: str) -> bool:
        self.owner.received.append(what)
        return False

    def check_channel_pty_request(self, *_: object) -> bool:
        return self._note("pty")

    def check_channel_env_request(self, *_: object) -> bool:
        return self._note("env")

    def check_channel_shell_request(self, channel: paramiko.Channel) -> bool:
        del channel
        return self._note("shell")

    def check_channel_forward_agent_request(self, channel: paramiko.Channel) -> bool:
        del channel
        return self._note("agent")

    def _answer(self, channel: paramiko.Channel) -> None:
        assert self.owner.answer is not None
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            self.owner.answer(channel)

    def check_channel_subsystem_request(self, channel: paramiko.Channel, name: str) -> bool:
        self.owner.received.append(f"subsystem {name}")
        if self.owner.sftp is not None:
            threading.Timer(0.05, self._speak, (channel,)).start()  # as below
        return self.owner.sftp is not None

    def _speak(self, channel: paramiko.Channel) -> None:
        assert self.owner.sftp is not None
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            self.owner.sftp(channel)

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self.owner.received.append(command.decode())
        if self.owner.answer is not None:
            threading.Timer(0.05, self._answer, (channel,)).start()  # behind the reply to this request
        return self.owner.runs


class StandIn:
    """Listens on loopback. `rounds` are the questions of a login, `answer` is given the channel of a command.

    `sftp` is given the channel of that subsystem (`ssh_sftp` has one to be told what to do). `raw` takes the place of
    SSH: it is given the socket. `forwards`: a way through is opened, and `after` has to accept its channel.
    """

    def __init__(  # noqa: PLR0913 - each is one way to misbehave
        self,
        *,
        answer: Callable[[paramiko.Channel], None] | None = None,
        sftp: Callable[[paramiko.Channel], None] | None = None,
        raw: Callable[[socket.socket], None] | None = None,
        after: Callable[[paramiko.Transport], None] | None = None,
        rounds: Sequence[Prompts] = (),
        banner: str = "hello",
        runs: bool = True,
        opens: bool = True,
        forwards: bool = False,
    ) -> None:
        self.answer, self.sftp, self.raw, self.after, self.rounds = answer, sftp, raw, after, rounds
        self.banner, self.runs, self.opens, self.forwards = banner, runs, opens, forwards
        self.key: paramiko.PKey = new_key()
        self.received: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock = self._listener.accept()[0]
                self._open.append(sock)
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            if self.raw is not None:
                self.raw(sock)
                return
            transport = paramiko.Transport(sock)
            transport.add_server_key(self.key)
            transport.start_server(server=_Host(self))
            if self.after is not None:
                self.after(transport)

    def connection(self, scheme: str = "password", **members: object) -> Connection:
        """A connection to it, whose key is pinned."""
        pinned = [f"ssh-ed25519 {self.key.get_base64()}"]
        given = {"host": f"ada@127.0.0.1:{self.port}", "host_key": pinned, **members}
        return Connection("standin", "ssh", SshKind().target(given, {}, scheme), scheme)

    def credential(self) -> Credential:
        """What is right for it."""
        return lent(secret=PASSWORD.encode(), totp=SEED.encode())
