"""Which addresses a call may dial. Pure: asking for them is `resolver`'s.

Rules of this file
- `blocked` is a table. IPv4 is open except for the ranges listed (IANA special-purpose registry, RFC 6890);
  IPv6 is closed except for global unicast, and of that the listed parts are closed again.
- One blocked answer blocks the name: an attacker who mixes a private answer among public ones must not get to
  try until the resolver's order favours him.
- An exact pin was typed by a person and goes past the ranges, but never to a metadata service: no connection is
  worth the machine's own credentials.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING

from brokers.contract import BrokerError

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_ANSWERS = 64  # real names have at most a few dozen addresses; a longer answer is somebody's experiment

_METADATA = frozenset(
    map(
        ipaddress.ip_address,
        (
            "169.254.169.254",  # AWS, GCP, Azure, DigitalOcean, Oracle, …
            "169.254.170.2",  # AWS ECS task credentials
            "169.254.170.23",  # AWS EKS pod identity
            "100.100.100.200",  # Alibaba
            "168.63.129.16",  # Azure's host, a public address that only its machines reach
            "fd00:ec2::254",  # AWS over IPv6
            "fd00:ec2::23",  # AWS EKS pod identity over IPv6
            "fd20:ce::254",  # GCP over IPv6
        ),
    )
)

_BLOCKED_V4 = tuple(
    (ipaddress.IPv4Network(network), kind)
    for network, kind in (
        ("0.0.0.0/8", "unspecified"),  # "this host": Linux dials itself
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "carrier-grade NAT"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "protocol assignments"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("255.255.255.255/32", "broadcast"),
        ("240.0.0.0/4", "reserved"),
    )
)

# Each of these carries an IPv4 address inside, or a network's own: what it reaches cannot be read off it.
_BLOCKED_V6 = tuple(
    (ipaddress.IPv6Network(network), kind)
    for network, kind in (
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::ffff:0:0/96", "IPv4-mapped"),
        ("::ffff:0:0:0/96", "IPv4-translated"),
        ("::/96", "IPv4-compatible"),
        ("64:ff9b::/96", "NAT64"),
        ("64:ff9b:1::/48", "NAT64"),
        ("2001::/32", "Teredo"),
        ("2001:2::/48", "benchmarking"),
        ("2001:db8::/32", "documentation"),
        ("2001::/23", "protocol assignments"),
        ("2002::/16", "6to4"),
        ("3fff::/20", "documentation"),
        ("fc00::/7", "unique local"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
)
_PINNABLE = {"loopback", "private", "carrier-grade NAT", "unique local", "benchmarking", "documentation"}
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")


def parse(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address `text` spells canonically; raises `BrokerError("options")` for anything else.

    Zone ids (`fe80::1%eth0`) name an interface of this machine, other spellings of a number (`127.1`,
    `0x7f.1`) mean different things to different parsers: both are refused.
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise BrokerError("options", why="an address is written as plain IPv4 or IPv6") from None
    if "%" in text:
        raise BrokerError("options", why="an address with a zone is refused")
    return address


def blocked(text: str) -> str | None:
    """The kind of blocked range that the address `text` lies in, or None."""
    address = parse(text)
    if address in _METADATA:
        return "metadata service"
    if isinstance(address, ipaddress.IPv4Address):
        return next((kind for network, kind in _BLOCKED_V4 if address in network), None)
    listed = next((kind for network, kind in _BLOCKED_V6 if address in network), None)
    return listed or (None if address in _GLOBAL_V6 else "reserved")


def is_loopback(text: str) -> bool:
    """Whether plain HTTP to this address never leaves the machine."""
    return blocked(text) == "loopback"


def check_answers(answers: Iterable[str]) -> tuple[str, ...]:
    """The answers in their order, each spelled canonically; raises `BrokerError("address")` if any one is blocked."""
    unique = tuple(dict.fromkeys(str(parse(answer.partition("%")[0])) for answer in answers))
    if not unique or len(unique) > MAX_ANSWERS:
        raise BrokerError("dns")
    for answer in unique:
        kind = blocked(answer)
        if kind is not None:
            raise BrokerError("address", kind=kind)
    return unique


@lru_cache(maxsize=256)  # declared by people, checked at every dial
def check_pins(pins: tuple[str, ...]) -> tuple[str, ...]:
    """Exact pins, spelled canonically; raises `BrokerError("address")` for a metadata service or link-local one.

    Link-local is where metadata services live, and embedded forms (`::ffff:169.254.169.254`) reach them too: a pin
    is a plain address, or it is refused.
    """
    unique = tuple(dict.fromkeys(str(parse(pin)) for pin in pins))
    for pin in unique:
        kind = blocked(pin)
        if kind is not None and kind not in _PINNABLE:
            raise BrokerError("address", kind=kind)
    return unique
