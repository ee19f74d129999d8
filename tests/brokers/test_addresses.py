"""Which addresses may be dialled: the table, the pins, and resolving once."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import pytest
from http_world import refused
from hypothesis import given
from hypothesis import strategies as st

from brokers import addresses, resolver
from brokers.contract import BrokerError

if TYPE_CHECKING:
    from collections.abc import Sequence

BLOCKED = [
    ("127.0.0.1", "loopback"),
    ("127.255.255.254", "loopback"),
    ("0.0.0.0", "unspecified"),  # noqa: S104 - it is blocked here, not bound
    ("0.1.2.3", "unspecified"),
    ("10.0.0.1", "private"),
    ("172.16.0.1", "private"),
    ("172.31.255.255", "private"),
    ("192.168.1.1", "private"),
    ("100.64.0.1", "carrier-grade NAT"),
    ("100.127.255.255", "carrier-grade NAT"),
    ("100.100.100.200", "metadata service"),
    ("169.254.1.1", "link-local"),
    ("169.254.169.254", "metadata service"),
    ("169.254.170.2", "metadata service"),
    ("192.0.0.8", "protocol assignments"),
    ("192.0.2.1", "documentation"),
    ("198.51.100.7", "documentation"),
    ("203.0.113.9", "documentation"),
    ("192.88.99.1", "6to4 relay"),
    ("198.18.0.1", "benchmarking"),
    ("198.19.255.255", "benchmarking"),
    ("224.0.0.1", "multicast"),
    ("239.255.255.255", "multicast"),
    ("240.0.0.1", "reserved"),
    ("255.255.255.255", "broadcast"),
    ("::", "unspecified"),
    ("::1", "loopback"),
    ("::7f00:1", "IPv4-compatible"),
    ("::ffff:127.0.0.1", "IPv4-mapped"),
    ("::ffff:8.8.8.8", "IPv4-mapped"),
    ("::ffff:a9fe:a9fe", "IPv4-mapped"),
    ("::ffff:0:8.8.8.8", "IPv4-translated"),
    ("64:ff9b::8.8.8.8", "NAT64"),
    ("64:ff9b::a9fe:a9fe", "NAT64"),
    ("64:ff9b:1::1", "NAT64"),
    ("2002:7f00:1::", "6to4"),
    ("2001::1", "Teredo"),
    ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "Teredo"),
    ("2001:2::1", "benchmarking"),
    ("2001:db8::1", "documentation"),
    ("3fff::1", "documentation"),
    ("2001:20::1", "protocol assignments"),
    ("fc00::1", "unique local"),
    ("fd12:3456::1", "unique local"),
    ("168.63.129.16", "metadata service"),
    ("fd00:ec2::254", "metadata service"),
    ("fd20:ce::254", "metadata service"),
    ("fe80::1", "link-local"),
    ("fec0::1", "site-local"),
    ("ff02::1", "multicast"),
    ("100::1", "reserved"),
    ("5f00::1", "reserved"),
    ("4000::1", "reserved"),
]
OPEN = ["1.1.1.1", "8.8.8.8", "99.255.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.1"]
OPEN += [
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2606:4700::1111",
    "2a00:1450::1",
    "2001:4860::8",
]


@pytest.mark.parametrize(("address", "kind"), BLOCKED)
def test_blocked_ranges_are_named(address: str, kind: str) -> None:
    """Every special-purpose range is blocked, under a name that an error can show."""
    assert addresses.blocked(address) == kind


@pytest.mark.parametrize("address", OPEN)
def test_public_addresses_are_open(address: str) -> None:
    """Addresses beside the blocked ranges can be dialled."""
    assert addresses.blocked(address) is None


@given(st.ip_addresses())
def test_nothing_that_is_not_global_gets_through(address: object) -> None:
    """What Python's own registry does not call global unicast is blocked here too."""
    text = str(address)
    if addresses.blocked(text) is None:
        parsed = addresses.parse(text)
        assert parsed.is_global
        assert not parsed.is_multicast


@pytest.mark.parametrize(
    "text", ["127.1", "2130706433", "0x7f.0.0.1", "017700000001", "010.0.0.1", "fe80::1%lo", "", "a"]
)
def test_odd_spellings_are_no_addresses(text: str) -> None:
    """A number that other programs would read as an address is refused, and a zone too."""
    refused(lambda: addresses.parse(text), "options")


@pytest.mark.parametrize(("address", "kind"), BLOCKED)
def test_one_blocked_answer_blocks_the_name(address: str, kind: str) -> None:
    """A private answer among public ones is not a matter of luck."""
    for answers in (["1.1.1.1", address], [address, "1.1.1.1"], [address]):
        refused(partial(addresses.check_answers, answers), "address", kind=kind)


def test_an_empty_or_endless_answer_is_no_answer() -> None:
    """A name without addresses, or with hundreds, does not resolve."""
    refused(lambda: addresses.check_answers([]), "dns")
    refused(lambda: addresses.check_answers([f"1.1.{n // 256}.{n % 256}" for n in range(300)]), "dns")


def test_pins_reach_private_addresses_but_no_metadata() -> None:
    """A person may pin their LAN; nobody may pin the machine's own credentials, however it is spelled."""
    assert addresses.check_pins(("127.0.0.1", "10.0.0.5", "fd12::1")) == ("127.0.0.1", "10.0.0.5", "fd12::1")
    for pin in ("169.254.169.254", "fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "169.254.9.9", "fe80::1"):
        refused(partial(addresses.check_pins, (pin,)), "address")
    for pin in ("::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1"):
        refused(partial(addresses.check_pins, (pin,)), "address")


def test_pins_are_not_looked_up() -> None:
    """With a pin, DNS is not asked at all."""

    async def asked(host: str, port: int) -> Sequence[str]:
        raise AssertionError(host, port)

    assert asyncio.run(resolver.resolve("api.test", 443, ("127.0.0.1",), asked)) == ("127.0.0.1",)


def test_a_literal_host_is_judged_like_an_answer() -> None:
    """An address in place of a name gets no further than the name would."""

    async def asked(host: str, port: int) -> Sequence[str]:
        raise AssertionError(host, port)

    assert asyncio.run(resolver.resolve("1.1.1.1", 443, (), asked)) == ("1.1.1.1",)
    with pytest.raises(BrokerError) as caught:
        asyncio.run(resolver.resolve("10.0.0.1", 443, (), asked))
    assert caught.value.code == "address"


def test_the_system_resolver_answers_or_says_so() -> None:
    """`localhost` resolves to loopback; a name that cannot exist is a dns error, not a driver's text."""
    assert "127.0.0.1" in asyncio.run(resolver.system_resolver("localhost", 443))
    with pytest.raises(BrokerError) as caught:
        asyncio.run(resolver.system_resolver("no-such-name.invalid", 443))
    assert caught.value.code == "dns"
    assert caught.value.__suppress_context__
