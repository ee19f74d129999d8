"""The table of descriptors, and the places in it that stay free for the person's socket.

What the keeper may hold at once: 448 and 64 connections with a folder each (1,024), 256 calls with a stream to their
service, the folder that came along, the one below it and a spool (1,024), as many idle streams as the brokers keep,
and some forty of its own. A keeper asks for 4,096 at its birth, which systems allow; where the hard limit is lower,
agents are refused before the table is full.
"""

from __future__ import annotations

import os
import resource

from kv.errors import KvError

_WANTED = 4096
_SPARE = 128  # for the 64 connections of the person's socket, and for the files of vault and audit


def raise_limit() -> None:
    """At birth: as many descriptors as are wanted, or as the hard limit allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED if hard == resource.RLIM_INFINITY else min(_WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def scarce(descriptor: int) -> bool:
    """Whether only the spare ones are left, as `descriptor` tells that was just given out: the lowest is, always."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return soft != resource.RLIM_INFINITY and descriptor >= soft - _SPARE


def check() -> None:
    """Raise `KvError("busy")` when a call would take one of the spare ones; with all that are wanted none can."""
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= _WANTED:
        return
    try:
        probe = os.open("/", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        raise KvError("busy", what="descriptors") from None
    os.close(probe)
    if scarce(probe):
        raise KvError("busy", what="descriptors")
