"""The world of the stories: a vault of one's own, a keeper, a hostile upstream, and the channels an agent has.

Rules of this file
- Black box: everything goes through `kv` as a process, the sockets, or the MCP server. Nothing of kv is imported but
  what a client of the wire would have.
- `seen` collects every byte that any channel showed; a story ends by asserting what is not in it.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from wired import Wire

if TYPE_CHECKING:
    from types import TracebackType

PASSPHRASE = b"copper lantern orbit velvet thistle magnet"

# What a command line begins with so that its process has no privileges: root without capabilities is a user like any.
_POWERLESS = ("setpriv", "--securebits=+noroot", "--inh-caps=-all", "--bounding-set=-all", "--")
UNPRIVILEGED = _POWERLESS if os.geteuid() == 0 else ()


@dataclass
class Ran:
    """One `kv` command that ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever the command printed
        """What it printed on stdout, as JSON."""
        return json.loads(self.out)

    @property
    def all(self) -> str:
        """Both streams."""
        return self.out + self.err


@dataclass
class World:
    """A vault under `folder`. Use as a context manager: the keeper is locked at the end."""

    folder: Path
    passphrase: bytes = PASSPHRASE
    seen: list[str] = field(default_factory=list)
    prefix: tuple[str, ...] = ()

    @property
    def vault(self) -> str:
        """The vault's path."""
        return str(self.folder / "vault.kv")

    @property
    def environment(self) -> dict[str, str]:
        """What a process of this world inherits."""
        kept = {k: v for k, v in os.environ.items() if k in {"PATH", "LANG", "LC_ALL", "TERM"}}
        return {**kept, "HOME": str(self.folder), "KV_VAULT": self.vault}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        # Over the socket, if it leads to the keeper still: a process of `kv` at every story's end would cost more.
        try:
            with Wire(self, "kv") as wire:
                locked = "ok" in wire.ask("lock")
        except (OSError, EOFError):
            locked = False
        if not locked:
            self.kv("lock")

    def argv(self, *args: str) -> list[str]:
        """The command line of `kv` with these arguments."""
        return [*self.prefix, sys.executable, "-m", "kv", *args]

    def kv(
        self,
        *args: str,
        stdin: bytes | None = None,
        proof: bool = False,
        cwd: Path | None = None,
        timeout: float = 60,
        apart: bool = False,
    ) -> Ran:
        """Run `kv`; with `proof` the passphrase waits on a descriptor, as a script would give it.

        `apart`: as the leader of a session of its own, as another terminal's program would be.
        """
        descriptors: tuple[int, ...] = ()
        if proof:
            read_end, write_end = os.pipe()
            os.write(write_end, self.passphrase)
            os.close(write_end)
            args, descriptors = (*args, "--passphrase-fd", str(read_end)), (read_end,)
        try:
            done = subprocess.run(
                self.argv(*args),
                input=stdin if stdin is not None else b"",
                capture_output=True,
                env=self.environment,
                cwd=cwd or self.folder,
                pass_fds=descriptors,
                timeout=timeout,
                start_new_session=apart,
                check=False,
            )
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        ran = Ran(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))
        self.seen.append(ran.all)
        return ran

    def must(self, *args: str, **options: Any) -> Ran:  # noqa: ANN401 - those of `kv`
        """Run `kv`, which has to succeed."""
        ran = self.kv(*args, **options)
        if ran.status:
            raise AssertionError(f"kv {args[0]} ended with {ran.status}: {ran.all}")
        return ran

    def init(self) -> Self:
        """Make the vault at the KDF's floor; its keeper runs afterwards."""
        recovery = str(self.folder / "recovery")
        self.must("init", "--no-totp", "--recovery-file", recovery, "--kdf-memory", "64MiB", "--json", proof=True)
        return self

    def copied(self, other: World) -> Self:
        """The locked vault of another world, with all that lies beside it: here, and unlocked.

        What `kv init` and the storing of secrets cost, a copy does not.
        """
        shutil.copytree(other.folder, self.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("keeper.log"))
        (self.folder / ".local/state/kv/vaults").write_text(f"{self.vault}\n")  # those that this user knows
        self.must("unlock", proof=True)
        self.seen.clear()
        return self

    def store(self, name: str, value: bytes, *options: str) -> Ran:
        """`kv set NAME --stdin …` with a proof by descriptor."""
        return self.must("set", name, "--stdin", *options, stdin=value, proof=True)

    def set_back(self) -> None:
        """The vault's file as it was before a secret was stored: opened again, it is read-only."""
        self.must("lock")
        older = Path(self.vault).read_bytes()
        self.must("unlock", proof=True)
        self.store("x/LATER", b"some-value-123456")
        self.must("lock")
        Path(self.vault).write_bytes(older)
        self.kv("unlock", proof=True)

    def connect(  # noqa: PLR0913 - a connection has this many sides
        self,
        name: str,
        value: bytes,
        port: int,
        ca: str,
        *options: str,
        host: str = "api.test",
        pins: tuple[str, ...] = ("127.0.0.1",),
    ) -> Ran:
        """A secret `demo/NAME` and the connection `name` to an upstream on loopback, or to where the name leads."""
        ca_file = self.folder / f"{name}.pem"
        ca_file.write_text(ca)
        chosen = options or ("--auth", "bearer", "--admission", "always")
        return self.store(
            f"demo/{name.upper()}",
            value,
            *("--connection", name, "--host", f"https://{host}:{port}"),
            *("--ca", str(ca_file), *(word for pin in pins for word in ("--allow-address", pin)), *chosen),
        )

    def leaked(self, value: bytes, texts: list[str] | None = None) -> list[str]:
        """The codings of `value` that some channel has shown."""
        shown = "\n".join(texts if texts is not None else self.seen)
        return [form for form, text in codings(value).items() if text in shown]


def codings(value: bytes) -> dict[str, str]:
    """The forms in which a value may come back."""
    text = value.decode("latin-1")
    return {
        "raw": text,
        "base64": base64.b64encode(value).decode().rstrip("="),
        "base64 +1": base64.b64encode(b"x" + value).decode()[2:-4],
        "base64 +2": base64.b64encode(b"xx" + value).decode()[3:-4],
        "base64url": base64.urlsafe_b64encode(value).decode().rstrip("="),
        "twice base64": base64.b64encode(base64.b64encode(value)).decode().rstrip("="),
        "hex": value.hex(),
        "HEX": value.hex().upper(),
        "url": urllib.parse.quote(text, safe=""),
        "percent": "".join(f"%{byte:02x}" for byte in value),
        "unicode escapes": "".join(f"\\u{byte:04x}" for byte in value),
        "quoted-printable": "".join(f"={byte:02X}" for byte in value),
        "octal": "".join(f"\\{byte:o}" for byte in value),
        "css": "".join(f"\\{byte:06x}" for byte in value),
        "long unicode escapes": "".join(f"\\U{byte:08x}" for byte in value),
        "percent u": "".join(f"%u{byte:04x}" for byte in value),
        "quotes doubled": text.replace('"', '""') if '"' in text else text,
        "html": "".join(f"&#{byte};" for byte in value),
        "reversed": text[::-1],
    }
