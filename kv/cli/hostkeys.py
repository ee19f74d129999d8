"""Which host key a server's connection is pinned to: one that was given, or of known_hosts after a person's yes.

Rules of this file
- A key is never taken on first use. known_hosts is a file that an agent can write: what is found there is shown, by
  its fingerprint, and a person says yes at the terminal.
- A connection that exists and leads to the same place keeps its key.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from kv.cli.terminal import Terminal
from kv.errors import KvError

if TYPE_CHECKING:
    from kv.cli.declare import Wish
    from kv.cli.keeper import Keeper

_FILES = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2", "/etc/ssh/ssh_known_hosts")
_MOST = 4 << 20  # bytes of a file: tens of thousands of hosts


def pinned(keeper: Keeper, wish: Wish, name: str) -> Wish:
    """The wish with a host key in it, where it needs one. Raises `KvError`: `usage`, `no-terminal`."""
    if wish.ssh is None or wish.host_keys:
        return wish
    user, host, port = _place(wish.ssh)
    if _leads_there(keeper, name, user, host, port):
        return wish
    if not (keys := _known(host, port)):
        why = (
            "no host key is known: give it with --host-key, as the server's own ssh-keygen -l or its provider shows it"
        )
        raise KvError("usage", why=why)
    from brokers.ssh.hostkeys import blob_of, fingerprint

    with Terminal() as terminal:
        terminal.print(f"  {host}, port {port}, is in known_hosts with")
        for key in keys:
            terminal.print(f"    {key.partition(' ')[0]:<20} {fingerprint(blob_of(key))}")
        terminal.print("  any program of yours can write that file: compare with what the server's owner says")
        if not terminal.confirm("pin it?"):
            raise KvError("usage", why="no host key was pinned, so nothing was stored")
    return replace(wish, host_keys=keys)


def _place(text: str) -> tuple[str, str, int]:
    """`user@host:port`, taken apart as the connection's kind does. Raises `KvError("usage")`."""
    from brokers.contract import BrokerError
    from brokers.ssh.kind import place

    try:
        return place(text)
    except BrokerError as error:
        raise KvError("usage", why=str(error.fields["why"])) from None


def _leads_there(keeper: Keeper, name: str, user: str, host: str, port: int) -> bool:
    keeper.reach()
    found = cast("list[dict[str, object]]", keeper.ask("connections").ok.get("connections", []))
    shown = f"[{host}]" if ":" in host else host
    origin = f"ssh://{user}@{shown}:{port}"
    return any(each.get("name") == name and each.get("origin") == origin for each in found)


def _known(host: str, port: int) -> tuple[str, ...]:
    from brokers.ssh.hostkeys import known

    found: list[str] = []
    for path in _FILES:
        try:
            with open(os.path.expanduser(path), encoding="utf-8", errors="replace") as file:
                found += known(file.read(_MOST), host, port)
        except OSError:
            continue
    return tuple(dict.fromkeys(found))
