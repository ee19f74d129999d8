"""What the groups play on: an origin of our own, a vault with secrets in it, and its keeper.

Rules of this file
- kv is a process here, as in the stories: `world.World` does the talking. Only a crowd of secrets is put into the
  vault's file directly, while it is locked.
- The keeper is unlocked with a high limit of calls: what is measured is a call, not the brake.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import trustme
from bench.corpus import corpus, made_up
from bench.vaults import fill, root_of
from world import World

from kv.client import Client
from kv.paths import Runtime
from kv.vault.session import Vault

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVERS = Path(__file__).parent / "servers"
CONNECTION = "echo"
PATH = "/v1/things"
CALL: dict[str, object] = {"connection": CONNECTION, "method": "GET", "path": PATH}
_NAME = "api.test"
_CALLS_PER_MINUTE = "1000000"
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Origin:
    """A running origin: `url` for a direct client that trusts `ca`."""

    port: int
    ca: Path

    @property
    def url(self) -> str:
        """Where it is."""
        return f"https://127.0.0.1:{self.port}"


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A throw-away folder."""
    with tempfile.TemporaryDirectory(prefix="kvb-") as path:
        yield Path(path)


@contextlib.contextmanager
def running(*argv: str) -> Iterator[subprocess.Popen[bytes]]:
    """A Python process that is stopped at the end; what stands beside its script is not importable to it."""
    process = subprocess.Popen([sys.executable, "-P", *argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate()


@contextlib.contextmanager
def an_origin() -> Iterator[Origin]:
    """An origin in a process of its own, so that it takes no time of the client's."""
    with folder() as here:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(here / "ca.pem"))
        authority.issue_cert(_NAME, "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(here / "cert.pem"))
        (here / "block").write_bytes(corpus(_BLOCK))
        with running(str(SERVERS / "origin.py"), str(here / "cert.pem"), str(here / "block")) as process:
            if process.stdout is None:
                raise RuntimeError("no pipe")
            yield Origin(int(process.stdout.readline()), here / "ca.pem")


@dataclass(frozen=True, slots=True)
class Stage:
    """An unlocked vault; `values` are the secrets in it, the connection's apart."""

    world: World
    values: list[str]

    def client(self) -> Client:
        """A connection to the agents' socket, a session of its own."""
        return Client(self.world.vault, kind="mcp")

    @property
    def socket(self) -> str:
        """The path of the agents' socket."""
        return Runtime(self.world.vault).agent_socket

    @property
    def pid(self) -> int:
        """The keeper's."""
        return int(self.world.must("status", "--json").json["pid"])

    def lock(self) -> None:
        """End the keeper."""
        self.world.must("lock")

    def unlock(self) -> None:
        """Start one."""
        self.world.must("unlock", "--calls-per-minute", _CALLS_PER_MINUTE, proof=True)


@contextlib.contextmanager
def a_stage(origin: Origin | None = None, *, secrets: int = 0, mark: str = "kvb") -> Iterator[Stage]:
    """A new vault with that many secrets besides a connection `echo` to the origin; its keeper is a fresh one."""
    with folder() as here, World(here) as world:
        stage = Stage(world.init(), made_up(secrets, mark))
        if origin is not None:
            (key,) = made_up(1)
            done = world.connect(CONNECTION, key.encode(), origin.port, origin.ca.read_text())
            if done.status:
                raise RuntimeError(done.all)
        stage.lock()
        with root_of(here / "vault.kv") as root, Vault.open(world.vault, root) as vault:
            fill(vault, [value.encode() for value in stage.values])
        stage.unlock()
        yield stage
