"""One authenticated connection to one server, over a socket that was dialled to a checked address.

Rules of this file
- The socket is ours: TCP_NODELAY is on (Nagle's delay costs 40 ms a command), and `cut` shuts it down, which ends every
  wait within the driver.
- Behind a jump host the socket is a channel of another session, which is held for as long.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from paramiko import Channel, ChannelException, SSHException

from brokers.contract import BrokerError
from brokers.resolver import resolve
from brokers.ssh import hostkeys, threads
from brokers.ssh.driver import KEEP_ALIVE, Client
from brokers.ssh.login import login

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from brokers.resolver import Resolver
    from brokers.ssh.login import Leg

MAX_DIALS = 3  # addresses tried before giving up
DEAD_AFTER = 30_000  # milliseconds that what was sent may stay unacknowledged: a machine that is gone answers nothing


class Session:
    """A connection that is logged in, or about to be. `born` is the loop's time, `calls` counts who holds it."""

    def __init__(self, client: Client, sock: socket.socket | Channel, way: Way) -> None:
        self.client = client
        self.calls = 0
        self.born = asyncio.get_running_loop().time()
        self._sock = sock
        self._way: Way | None = way
        self._at_work = 0

    def heed(self, *, more: bool) -> None:
        """One more, or one less, is at work in it: of a server that nobody calls not much is heard.

        Nor of the jump host before it, which holds a session that rests, and is not at work for it.
        """
        self._at_work += 1 if more else -1
        if self._at_work == int(more):  # the first, or the last
            self.client.listen(much=more)
            if self._way is not None:
                self._way.heed(more)

    @property
    def alive(self) -> bool:
        """Whether another channel may be opened."""
        return self.client.is_active() and self._way is not None

    def cut(self) -> None:
        """End it now, with all that runs in it. Does not wait."""
        way, self._way = self._way, None
        if way is None:
            return
        if isinstance(self._sock, socket.socket):
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)
        threads.spawn(self._close)
        way.free()

    def _close(self) -> None:
        with contextlib.suppress(SSHException, EOFError, OSError):
            self.client.close()
        with contextlib.suppress(SSHException, EOFError, OSError):
            self._sock.close()


@dataclass(frozen=True, slots=True)
class Way:
    """How a server is reached: through `behind`, or by dialling.

    `free` is called once, when what came of it ends; `heed` whenever it begins or ceases to be at work.
    """

    resolver: Resolver
    behind: Session | None
    free: Callable[[], None]
    heed: Callable[[bool], None]


async def connect(leg: Leg, way: Way, deadline: float) -> Session:
    """A session on `leg`. Raises `BrokerError`, and `TimeoutError` at the loop's time `deadline`."""
    sock: socket.socket | Channel
    try:
        async with asyncio.timeout_at(deadline):
            if way.behind is None:
                sock = await _dial(leg, way.resolver, deadline)
            else:
                sock = await _tunnel(leg, way.behind, deadline)
    except BaseException:
        way.free()
        raise
    session = Session(Client(sock, hostkeys.algorithms(leg.pinned)), sock, way)
    try:
        async with asyncio.timeout_at(deadline):
            await threads.in_thread(lambda: login(session.client, leg, time.time()))
    except BaseException:
        session.cut()
        raise
    session.client.set_keepalive(KEEP_ALIVE)
    return session


async def _dial(leg: Leg, resolver: Resolver, deadline: float) -> socket.socket:
    """A socket to a checked address. An address that refuses gives way to the next, a bad name never does."""
    loop = asyncio.get_running_loop()
    host, port = str(leg.target["host"]), int(str(leg.target["port"]))
    tries = (await resolve(host, port, _pins(leg), resolver))[:MAX_DIALS]
    slow = False
    for done, address in enumerate(tries):
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)  # noqa: FBT003 - the socket module's own way to say it
            async with asyncio.timeout((deadline - loop.time()) / (len(tries) - done)):
                await loop.sock_connect(sock, (address, port))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_AFTER)
            sock.setblocking(True)  # noqa: FBT003 - as above
        except BaseException as error:
            sock.close()
            if not isinstance(error, OSError):
                raise
            slow = isinstance(error, TimeoutError)
        else:
            return sock
    if slow:
        raise TimeoutError
    raise BrokerError("connect")


def _pins(leg: Leg) -> tuple[str, ...]:
    return tuple(cast("Sequence[str]", leg.target["addresses"]))


async def _tunnel(leg: Leg, behind: Session, deadline: float) -> Channel:
    """A channel of the jump host's to the server: to the pinned address, or to the name, which it resolves itself."""
    to = ((_pins(leg) or (str(leg.target["host"]),))[0], int(str(leg.target["port"])))
    left = deadline - asyncio.get_running_loop().time()
    try:
        return await threads.in_thread(
            lambda: behind.client.open_channel("direct-tcpip", to, ("127.0.0.1", 0), timeout=left)
        )
    except ChannelException as error:
        if error.code == _CONNECT_FAILED:
            raise BrokerError("connect") from None
        raise BrokerError("refused", why="the jump host opens no way through") from None
    except (SSHException, EOFError, OSError):
        raise BrokerError("broken") from None


_CONNECT_FAILED = 2  # SSH_OPEN_CONNECT_FAILED (RFC 4254 section 5.1)
