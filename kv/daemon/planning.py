"""A call's plan, and where it is made: a large request beside the loop, so that a person's word is heard meanwhile.

Rules of this file
- `planned` is pure: a plan depends on the connection, the arguments and the body, and on nothing else. So the last
  plans of small requests are kept, each with the very connection that it is for: an agent polls, and pages.
- A large body is bounded in its parts as well as in its bytes, since a parser's time goes by the parts.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import msgspec

from brokers.contract import BrokerError
from kv.daemon.aside import Aside, uncollected
from kv.daemon.faults import as_kv_error
from kv.errors import KvError
from kv.redact import has_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from brokers.contract import Broker, Connection, Plan

LARGE = 64 << 10  # bytes: less is scanned within some milliseconds
_AT_ONCE = 1  # a plan of the largest body takes a second and some hundred MiB; two take as long, and twice that
_SMALL, _KEPT = 512, 64  # bytes of a request whose plan is kept, and how many are
MOST_PARTS = 1_000_000  # arrays and objects of a JSON text: half a second's work, as 16 MiB of real records are


class Planner:
    """Makes plans. One per keeper."""

    def __init__(self) -> None:
        self._aside = Aside(_AT_ONCE)
        self._made: OrderedDict[tuple[str, str, bytes], tuple[Plan, str]] = OrderedDict()

    async def plan(
        self, broker: Broker, connection: Connection, arguments: Mapping[str, object], body: bytes, name: str
    ) -> tuple[Plan, str]:
        """The plan of a call on the connection that it calls `name`, and the plan's digest. Raises `KvError`."""
        texts = {key: msgspec.json.encode(value) for key, value in arguments.items()} | {"body": body}

        def work() -> tuple[Plan, str]:
            return planned(broker, connection, arguments, texts, name)

        size = sum(map(len, texts.values()))
        if size <= min(broker.quick, _SMALL):
            return self._known(connection, (name, repr(arguments), body), work)
        if size <= broker.quick:
            return work()
        return await self._aside.do(lambda: uncollected(work))

    def _known(
        self, connection: Connection, asked: tuple[str, str, bytes], work: Callable[[], tuple[Plan, str]]
    ) -> tuple[Plan, str]:
        """What `work` returns, or returned when this was asked of this very connection: a changed one is another."""
        made = self._made.pop(asked, None)
        if made is None or made[0].connection is not connection:
            made = work()
        self._made[asked] = made  # the newest stands last
        if len(self._made) > _KEPT:
            self._made.popitem(last=False)
        return made


def planned(
    broker: Broker, connection: Connection, arguments: Mapping[str, object], texts: Mapping[str, bytes], name: str
) -> tuple[Plan, str]:
    """The plan and its digest; `texts` are the arguments and the body as bytes. Raises `KvError`."""
    for argument, text in texts.items():
        if has_reference(text):
            raise KvError("reference-argument", argument=argument)
    body = texts["body"]
    if body and _is_json(arguments) and too_many_parts(body.decode("latin-1")):
        raise KvError("too-large", argument="body", limit=f"{MOST_PARTS:,} arrays and objects")
    try:
        plan = broker.plan(connection, arguments, body)
    except BrokerError as error:
        raise as_kv_error(error, name) from None
    return plan, plan.digest()


def too_many_parts(text: str) -> bool:
    """Whether a JSON text could have more parts than are read in one go: more brackets, be they in strings."""
    return text.count("[") + text.count("{") > MOST_PARTS


def _is_json(arguments: Mapping[str, object]) -> bool:
    headers = arguments.get("headers")
    named = headers.items() if isinstance(headers, dict) else ()
    return any(key.lower() == "content-type" and "json" in str(value).lower() for key, value in named)
