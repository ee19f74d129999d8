"""Which host key a server's connection is pinned to: one that was given, or of known_hosts after a person's yes.

Rules of this file
- A key is never taken on first use. known_hosts is a file that an agent can write: what is found there is shown, by
  its fingerprint, and a person says yes at the terminal.
- A key that one file has and another revokes is revoked; a file too large to read whole is refused, since what is cut
  off may be a revocation.
- A connection that exists and leads to the same place keeps its key.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from kv.cli.terminal import Terminal
from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kv.cli.declare import Wish
    from kv.cli.keeper import Keeper

_FILES = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2", "/etc/ssh/ssh_known_hosts")


def pinned(keeper: Keeper, wish: Wish, name: str) -> Wish:
    """The wish with a host key in it, where it needs one. Raises `KvError`: `usage`, `declined`, `no-terminal`."""
    if wish.ssh is None or wish.host_keys:
        return wish
    user, host, port = _place(wish.ssh)
    if _leads_there(keeper, name, user, host, port):
        return wish
    if not (keys := listed(host, port)):
        why = (
            "no host key is known: give it with --host-key, as its provider shows it or, on the server itself, "
            "cat /etc/ssh/ssh_host_ed25519_key.pub"
        )
        raise KvError("usage", why=why)
    from brokers.ssh.hostkeys import blob_of, fingerprint

    with Terminal() as terminal:
        terminal.print(f"  {host}, port {port}, is in known_hosts with")
        for key in keys:
            terminal.print(f"    {key.partition(' ')[0]:<20} {fingerprint(blob_of(key))}")
        terminal.print("  any program of yours can write that file: compare with what the server's owner says")
        if not terminal.confirm("pin it?"):
            raise KvError("declined", why="no host key was pinned, so nothing was stored")
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


def listed(host: str, port: int, files: Sequence[str] = _FILES) -> tuple[str, ...]:
    """The canonical keys that known_hosts has for a host, over all its files. Raises `KvError("usage")`."""
    from brokers.contract import BrokerError
    from brokers.ssh.hostkeys import MAX_TEXT, known

    parts = []
    for path in files:
        try:
            with open(os.path.expanduser(path), "rb") as file:
                parts.append(file.read(MAX_TEXT + 1))
        except OSError:
            continue
    try:
        # A byte is one character here, whatever it is, so that the bound is one of bytes.
        return known(b"\n".join(parts).decode("ascii", "surrogateescape"), host, port)
    except BrokerError as error:
        raise KvError("usage", why=f"{error.fields['why']}: give the server's key with --host-key") from None
