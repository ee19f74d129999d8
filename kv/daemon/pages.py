"""The audit as it is read through the sockets: pages, lines with their MACs, the verdict on the whole chain.

Rules of this file
- Without a proof a session reads its own entries since the unlock; with one, a person reads everybody's.
- A page ends at a number of entries or of bytes, whichever comes first, and says whether there may be more: how long
  an entry is, its caller has a hand in (a path, a reason), and no caller may make the audit unreadable.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from kv.audit import verify
from kv.audit.entry import encode
from kv.audit.view import verdict
from kv.errors import KvError
from kv.paths import Runtime

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kv.audit import AuditLog, Entry
    from kv.daemon.dispatch import Answer
    from kv.daemon.house import House
    from kv.daemon.schema import Page
    from kv.model import Caller

_PAGE_BYTES = 4 << 20  # of entries in one answer; a frame's body takes four times as much


def page(log: AuditLog, caller: Caller, args: Page) -> Answer:
    """A page, oldest entry first. Raises `proof-needed` for an export without a proof."""
    if args.export:
        if not caller.is_person:
            raise KvError("proof-needed", verb="audit export")
        return _exported(log, args)
    session = None if caller.is_person else caller.session
    kind = "alarm" if args.alarms else None
    if args.last is not None:
        limit, found = args.last, log.newest(args.last, before=args.before, session=session, kind=kind)
    else:
        limit, found = args.limit, log.entries(after=args.after, limit=args.limit, session=session, kind=kind)
    kept = list(_within_bytes(found))
    more = len(kept) == limit or next(found, None) is not None
    listed = [msgspec.to_builtins(entry) for entry in kept]
    return {"entries": listed if args.last is None else listed[::-1], "more": more}, b""


def _within_bytes(entries: Iterable[Entry]) -> Iterator[Entry]:
    left = _PAGE_BYTES
    for entry in entries:
        yield entry
        left -= len(encode(entry))
        if left <= 0:
            return


def _exported(log: AuditLog, args: Page) -> Answer:
    """Lines that `verify_export` can check, as the body."""
    lines, size = list[bytes](), 0
    for line in islice(log.export(after=args.after), args.limit):
        lines.append(line)
        size += len(line)
        if size >= _PAGE_BYTES:
            return {"more": True}, b"".join(lines)
    return {"more": len(lines) == args.limit}, b"".join(lines)


async def verified(house: House) -> dict[str, object]:
    """What the whole chain proves, against its head. Raises `audit-broken`."""
    runtime = Runtime(house.vault.path)
    with house.vault.subkey("audit") as key:
        # Thousands of entries take a while, and `verify` has a connection of its own: not on the loop.
        report = await asyncio.to_thread(verify, runtime.audit, bytes(key), house.audit.head)
    return {"intact": True, "says": verdict(report), **asdict(report)}
