"""Where things are: everything of a vault derives from the vault's path.

Rules of this file
- Standard library only, no I/O beyond `stat` and `mkdir`.
- A client started with another environment (an editor passes five variables to its servers) must still find
  the keeper: nothing here but the default location depends on the environment.
"""

from __future__ import annotations

import os

from kv.errors import KvError

_SUN_PATH = 104  # bytes of `sockaddr_un.sun_path`, less its NUL, on the smallest platform


def home() -> str:
    """The user's home: `HOME`, else the password database's."""
    return os.environ.get("HOME") or os.path.expanduser("~")


def default_vault() -> str:
    """`$XDG_DATA_HOME/kv/vault.kv`, else `~/.local/share/kv/vault.kv` (XDG Base Directory specification)."""
    return os.path.join(os.environ.get("XDG_DATA_HOME") or os.path.join(home(), ".local", "share"), "kv", "vault.kv")


def vault_path(given: str | None = None) -> str:
    """The vault's absolute path: `--vault`, else `KV_VAULT`, else the default. Its folder's links are resolved.

    The last component is left alone: that a vault is not a link is checked where it is opened.
    """
    path = os.path.abspath(given or os.environ.get("KV_VAULT") or default_vault())
    folder, name = os.path.split(path)
    return os.path.join(os.path.realpath(folder), name)


class Runtime:
    """The folder beside a vault: sockets, lock, audit, log. `path` is the vault's absolute path."""

    def __init__(self, path: str) -> None:
        self.vault = path
        self.folder = path + ".d"
        self.agent_socket = os.path.join(self.folder, "agent.sock")
        self.kv_socket = os.path.join(self.folder, "kv.sock")
        self.lock = os.path.join(self.folder, "lock")
        self.audit = os.path.join(self.folder, "audit.kv")
        self.log = os.path.join(self.folder, "keeper.log")

    def make(self) -> None:
        """Make the folder, 0700, or check that it is ours alone. Raises `KvError("disk" | "vault-unsafe")`."""
        try:
            os.mkdir(self.folder, 0o700)
        except FileExistsError:
            self.check()
        except OSError as error:
            raise KvError("disk", act="make", path=self.folder, why=os.strerror(error.errno or 0)) from None

    def check(self) -> None:
        """Refuse a runtime folder that another user could have prepared or can write."""
        try:
            found = os.lstat(self.folder)
        except OSError:
            raise KvError("locked") from None
        if not _private_folder(found):
            raise KvError("vault-unsafe", why="its .d folder is not a folder of yours with mode 0700")


def _private_folder(found: os.stat_result) -> bool:
    from stat import S_ISDIR

    # Others may pass through it to the one socket that was opened to them (`--agent-uid`), and see nothing of it.
    return S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o066


def socket_address(path: str) -> tuple[str, int | None]:
    """An address that `connect` and `bind` take for `path`, and a descriptor to close afterwards.

    A path longer than `sun_path` is reached through its folder's descriptor (Linux: `/proc/self/fd`).
    """
    if len(os.fsencode(path)) < _SUN_PATH:
        return path, None
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    return f"/proc/self/fd/{folder}/{os.path.basename(path)}", folder


def state_folder() -> str:
    """`$XDG_STATE_HOME/kv`: which vaults this user confirmed, and the last generation seen of each."""
    return os.path.join(os.environ.get("XDG_STATE_HOME") or os.path.join(home(), ".local", "state"), "kv")
