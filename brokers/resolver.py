"""From a name to the addresses that may be dialled: ask once, have every answer judged.

Rules of this file
- Nothing here dials. The caller dials an address that came from here and never asks the resolver again.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import TYPE_CHECKING

from brokers.addresses import check_answers, check_pins
from brokers.contract import BrokerError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    Resolver = Callable[[str, int], Awaitable[Sequence[str]]]


async def system_resolver(host: str, port: int) -> Sequence[str]:
    """Ask the system's resolver once. Raises `BrokerError("dns")`."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise BrokerError("dns") from None
    return [str(entry[4][0]) for entry in found]


async def resolve(host: str, port: int, pins: tuple[str, ...], resolver: Resolver) -> tuple[str, ...]:
    """The checked addresses of `host`, in the order to dial: the pins without asking anybody, or every answer's."""
    if pins:
        return check_pins(pins)
    try:
        literal = str(ipaddress.ip_address(host))
    except ValueError:
        return check_answers(await resolver(host, port))
    return check_answers((literal,))
