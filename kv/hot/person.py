"""Whether a person sits here, and what they are told while something of theirs waits for a yes."""

from __future__ import annotations

import os

from kv.hot.result import note

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def announce(vault: str, *, quiet: bool) -> Callable[[dict[str, object]], None]:
    """What to do while a call waits: ask the person in place if they sit here, else say how they can answer."""

    def event(told: dict[str, object]) -> None:
        if quiet:
            return  # the ticket that follows says it all
        if sits_here():
            from kv.cli.approval import answer_in_place

            answer_in_place(vault, told)
        else:
            note(str(told.get("say", "")))

    return event


def sits_here() -> bool:
    """Whether a person started this: a terminal to ask on, and no agent above us.

    A guess, and no more than a convenience: whoever passes it still has to give a proof.
    """
    if not os.isatty(2):
        return False
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    from kv.clients import agent_above

    return not agent_above(os.getppid())
