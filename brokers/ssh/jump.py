"""A connection by way of another one: the jump host is put into the target whole, so that it is part of the plan. Pure.

Rules of this file
- What was approved includes the way: another jump host, key or account is another plan. So the application looks the
  name up once, before planning, and hands over what `through` makes of both.
- The jump host's secrets travel in slots of their own, `jump.secret`, and are tried on the jump host alone.
- One jump. A chain of them is a network's plan that nobody reads on a card.
- The jump host carries bytes and resolves names; it sees neither credential nor command, and both host keys are pinned.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import cast

from brokers.contract import BrokerError, Connection, Credential

PREFIX = "jump."


def through(connection: Connection, jump: Connection) -> Connection:
    """`connection` with `jump` in place of the name in its target, and with the slots of both.

    Raises `BrokerError("options")` where `jump` is not the connection that was named, or cannot be jumped through.
    """
    if connection.target.get("jump") != jump.name or jump.kind != connection.kind or jump.name == connection.name:
        raise BrokerError("options", why="the jump host is another ssh connection, by the name that was declared")
    if jump.target.get("jump"):
        raise BrokerError("options", why="a jump host is reached directly: one jump a connection")
    if jump.scheme == "ca":
        raise BrokerError("options", why="a one-command certificate opens no way through: the jump host takes a key")
    inner = {"name": jump.name, "scheme": jump.scheme, "target": dict(jump.target)}
    slots = {f"{PREFIX}{slot}": name for slot, name in jump.secrets.items()}
    return dataclasses.replace(
        connection, target={**connection.target, "jump": inner}, secrets={**connection.secrets, **slots}
    )


def hop(target: Mapping[str, object], credential: Credential) -> tuple[Mapping[str, object], str, Credential] | None:
    """The jump host's target, scheme and secrets, out of a connection's; None where there is no jump.

    Raises `BrokerError("options")` where a name still stands in its place.
    """
    found = target.get("jump")
    if not found:
        return None
    check(target)
    inner = cast("Mapping[str, object]", found)
    slots = {slot.removeprefix(PREFIX): held for slot, held in credential.slots.items() if slot.startswith(PREFIX)}
    return cast("Mapping[str, object]", inner["target"]), str(inner["scheme"]), Credential(slots)


def check(target: Mapping[str, object]) -> None:
    """Refuse a target whose jump host was not looked up."""
    found = target.get("jump")
    if found and not isinstance(found, Mapping):
        raise BrokerError("options", why="the connection that it jumps through is not there")
