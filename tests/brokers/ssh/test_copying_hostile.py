"""Servers whose SFTP misbehaves: what they say costs neither memory nor a place for ever."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING

import pytest
from ssh_server import once
from ssh_sftp import EOF, folder, names, packet, status, text
from ssh_standin import StandIn

from brokers.contract import BrokerError

if TYPE_CHECKING:
    from collections.abc import Callable


def listing(server: StandIn, timeout: float = 20, max_bytes: int = 1 << 20) -> tuple[list[str], bool]:
    """The names of a list, and whether there are more."""
    to, lent = server.connection(roots=["/srv"]), server.credential()
    found = json.loads(once(to, lent, act="list", path="/srv", timeout=timeout, max_bytes=max_bytes).out)
    return [entry["name"] for entry in found["entries"]], found["truncated"]


def once_listed(answer: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """That answer to the first READDIR, and the end of the folder to all behind it."""
    asked: list[bytes] = []

    def listed(number: bytes) -> bytes:
        asked.append(number)
        return answer(number) if len(asked) == 1 else status(number, EOF)

    return listed


def test_a_folder_is_listed() -> None:
    """The server of these tests is one like any other if it is told to be."""
    with StandIn(sftp=folder(once_listed(lambda number: names(number, b".", b"b", b"a")))) as server:
        assert listing(server) == (["a", "b"], False)


@pytest.mark.parametrize("said", [b"Welcome to the machine\n" * 4, b"\0\0\0\0", b"\0\0\0\1x"])
def test_a_shell_that_greets_is_no_sftp_and_ends_the_call(said: bytes) -> None:
    """What is no answer to anything ends the call at once, however it is no answer."""
    with StandIn(sftp=lambda channel: channel.sendall(said)) as server:
        with pytest.raises(BrokerError) as caught:
            listing(server)
        assert caught.value.code in {"refused", "broken"}


@pytest.mark.parametrize(
    "answer",
    [
        lambda number: packet(102, number + text(b"h")),
        lambda number: status(number, 0),
        lambda number: packet(104, number + struct.pack(">II", 1, 1 << 20)),
    ],
    ids=["a handle", "all is well", "a name beyond the packet"],
)
def test_an_answer_that_no_driver_expects_ends_the_call(answer: Callable[[bytes], bytes]) -> None:
    """Whatever it raises within the driver."""
    with StandIn(sftp=folder(answer)) as server:
        with pytest.raises(BrokerError) as caught:
            listing(server)
        assert caught.value.code == "broken"


@pytest.mark.parametrize("count", [2, 0xFFFFFFFF])
def test_attributes_without_end_are_not_counted(count: int) -> None:
    """A file may have further attributes, and say that it has four billion of them; with a few it is listed."""
    entry = text(b"a") + text(b"") + struct.pack(">II", 0x80000000, count) + text(b"name") * 4
    answer = once_listed(lambda number: packet(104, number + struct.pack(">I", 1) + entry))
    with StandIn(sftp=folder(answer)) as server:
        if count == 2:
            assert listing(server) == (["a"], False)
            return
        with pytest.raises(BrokerError) as caught:
            listing(server)
        assert caught.value.code == "broken"


def test_a_packet_that_no_real_server_sends_is_not_read() -> None:
    """A packet may say that it holds sixteen megabytes; nothing of it is waited for."""
    with StandIn(sftp=folder(lambda number: struct.pack(">IB", (256 << 10) + 1025, 104) + number)) as server:
        with pytest.raises(BrokerError) as caught:
            listing(server)
        assert caught.value.code == "broken"


def test_a_name_that_no_real_folder_has_ends_the_call() -> None:
    """Longer than a path may be."""
    with StandIn(sftp=folder(lambda number: names(number, b"n" * 1025))) as server:
        with pytest.raises(BrokerError) as caught:
            listing(server)
        assert caught.value.code == "broken"


def test_names_without_end_are_cut() -> None:
    """After a megabyte of them, long before the ten thousandth."""
    with StandIn(sftp=folder(lambda number: names(number, *[b"n" * 1024] * 200))) as server:
        found, truncated = listing(server, timeout=60, max_bytes=16 << 20)
        assert (len(found), truncated) == (1024, True)
