"""What every broker asks of the arguments of a call, whatever they are for. Pure.

Rules of this file
- An unknown argument is refused: what is ignored silently was meant to do something.
- A reference (`{{kv:…}}`) is refused: the connection knows where its credential goes, and an agent has no say in it.
- A refusal names the argument and quotes nothing of it: its words are literals of the broker that refuses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from brokers.contract import BrokerError, Limits

if TYPE_CHECKING:
    from collections.abc import Mapping

REFERENCE = "{{kv:"  # how what redaction writes begins
MAX_BYTES = 16 << 20  # bytes of a result that fits into one answer


def refuse(argument: str, why: str) -> NoReturn:
    """Refuse an argument: `BrokerError("argument")`."""
    raise BrokerError("argument", argument=argument, why=why)


def check_known(arguments: Mapping[str, object], known: frozenset[str]) -> None:
    """Refuse arguments that are not among `known`."""
    if not known.issuperset(arguments):
        refuse("arguments", "there is an unknown one")


def text(value: object, argument: str) -> str:
    """`value` as text without a reference in it."""
    if not isinstance(value, str):
        refuse(argument, "it must be text")
    if REFERENCE in value:
        refuse(argument, "references are refused")
    return value


def limits(arguments: Mapping[str, object], longest: float) -> Limits:
    """`timeout` and `max_bytes` within their bounds; what is not said is as `Limits` has it."""
    given = Limits()
    timeout, max_bytes = arguments.get("timeout"), arguments.get("max_bytes")
    timeout = given.timeout if timeout is None else timeout
    max_bytes = given.max_bytes if max_bytes is None else max_bytes
    # NaN compares false with everything, so it is refused with the rest.
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout <= longest:
        refuse("timeout", f"a number of seconds, more than 0, at most {longest:g}")
    if isinstance(max_bytes, bool) or not isinstance(max_bytes, int) or not 0 < max_bytes <= MAX_BYTES:
        refuse("max_bytes", f"a number of bytes, 1 to {MAX_BYTES}")
    return Limits(float(timeout), max_bytes)
