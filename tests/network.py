"""A network of one's own: namespaces in which a public address is this machine's, and names lead where the test says.

    with Network(folder) as network, Names(network.dns) as names:
        names.turns = [["93.184.216.34"], ["127.0.0.1"]]
        … serve on `network.public` and on `network.loopback`, run kv as World(folder, prefix=network.prefix) …

A socket stays in the network that it was made in, whoever holds it. So the servers run in the test's own process, on
sockets that were made in there, and nothing but kv is started inside.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PUBLIC = "93.184.216.34"
SECONDS = 30
NEW = ("unshare", "--user", "--map-root-user", "--net", "--mount", "--")

# Runs inside: brings loopback up, gives it the public address, covers the resolver's files, makes the sockets and hands
# them out. It holds the namespaces until its channel is closed.
INSIDE = """
import fcntl, os, socket, struct, subprocess, sys
channel, public, *files = socket.socket(fileno=int(sys.argv[1])), *sys.argv[2:]
def interface(request, name, value):  # netdevice(7)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, request, struct.pack("16s24s", name, value))
interface(0x8914, b"lo", struct.pack("H", 1))  # SIOCSIFFLAGS, IFF_UP
interface(0x8916, b"lo:1", struct.pack("HH4s", socket.AF_INET, 0, socket.inet_aton(public)))  # SIOCSIFADDR
for file in files:
    over = "/etc/" + os.path.basename(file)
    if os.path.exists(over):  # where there is none, the C library does what ours says
        subprocess.run(["mount", "--bind", file, over], check=True)
made = [socket.socket(), socket.socket(), socket.socket(type=socket.SOCK_DGRAM)]
made[0].bind((public, 0))
made[1].bind(("127.0.0.1", made[0].getsockname()[1]))
made[2].bind(("127.0.0.1", 53))
socket.send_fds(channel, [b"."], [each.fileno() for each in made])
channel.recv(1)
"""


def why_none() -> str:
    """Why this machine gives nobody a network of their own; "" where it does."""
    try:
        done = subprocess.run([*NEW, "true"], capture_output=True, text=True, timeout=SECONDS, check=False)
    except OSError as error:
        return str(error)
    return done.stderr.strip() or f"unshare ended with {done.returncode}" if done.returncode else ""


class Network:
    """See the module. `public` and `loopback` are TCP sockets at one port, `dns` is where the resolver asks."""

    public: socket.socket
    loopback: socket.socket
    dns: socket.socket

    def __init__(self, folder: Path) -> None:
        (folder / "resolv.conf").write_text("nameserver 127.0.0.1\n")
        (folder / "nsswitch.conf").write_text("hosts: dns\n")  # no file and no daemon of the machine's answers
        self._files = [str(folder / "resolv.conf"), str(folder / "nsswitch.conf")]

    @property
    def prefix(self) -> tuple[str, ...]:
        """What a command line begins with so that its process is inside."""
        return ("nsenter", f"--target={self._holder.pid}", "--user", "--net", "--mount", "--preserve-credentials", "--")

    def __enter__(self) -> Self:
        self._channel, theirs = socket.socketpair()
        self._channel.settimeout(SECONDS)
        with theirs:
            self._holder = subprocess.Popen(
                [*NEW, sys.executable, "-c", INSIDE, str(theirs.fileno()), PUBLIC, *self._files],
                pass_fds=(theirs.fileno(),),
            )
        try:
            made = [socket.socket(fileno=each) for each in socket.recv_fds(self._channel, 1, 3)[1]]
            self.public, self.loopback, self.dns = made
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()
        try:
            self._holder.wait(SECONDS)
        finally:
            self._holder.kill()


@dataclass
class Names:
    """A name server. The n-th look-up gets the n-th of `turns`, IPv4 and IPv6 each to its question, then the last.

    `asked` has the type and name of every question.
    """

    sock: socket.socket
    turns: Sequence[Sequence[str]] = ()
    asked: list[tuple[str, str]] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.sendto(b"", self.sock.getsockname())
        self._thread.join(SECONDS)
        self.sock.close()

    def lookups(self, name: str) -> int:
        """How often the addresses of `name` were asked for."""
        return self.asked.count(("A", name))

    def _serve(self) -> None:
        while True:
            query, client = self.sock.recvfrom(1 << 16)
            if not query:
                return
            self.sock.sendto(self._answer(query), client)

    def _answer(self, query: bytes) -> bytes:
        """The response to `query` (RFC 1035, section 4): its question, and an address record for each answer."""
        end = query.index(b"\0", 12) + 5
        question, name = query[12:end], ".".join(_labels(query[12:end]))
        kind = int.from_bytes(question[-4:-2], "big")
        version, size, word = {1: (4, 4, "A"), 28: (6, 16, "AAAA")}[kind]
        turn = self.asked.count((word, name))
        self.asked.append((word, name))
        given = map(ipaddress.ip_address, self.turns[min(turn, len(self.turns) - 1)])
        records = [
            struct.pack(">HHHIH", 0xC00C, kind, 1, 0, size) + each.packed for each in given if each.version == version
        ]
        return query[:2] + struct.pack(">HHHHH", 0x8180, 1, len(records), 0, 0) + question + b"".join(records)


def _labels(question: bytes) -> list[str]:
    labels = []
    while size := question[0]:
        labels.append(question[1 : size + 1].decode())
        question = question[size + 1 :]
    return labels
