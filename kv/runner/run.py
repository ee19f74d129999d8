"""One run: order in, program started, relayed, cleaned up after, reported. A fork of the nursery performs it."""

from __future__ import annotations

import os
import select
import signal
import time
from typing import TYPE_CHECKING

from kv.errors import KvError, clean
from kv.harden import adopt_orphans
from kv.redact import Redaction
from kv.runner import child
from kv.runner.delivery import Files, numbers, roots, sealed, variable
from kv.runner.pump import PROMPT, SILENCE
from kv.runner.relay import Relay
from kv.runner.streams import Streams
from kv.runner.traces import Search

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kv.runner.control import Control
    from kv.runner.known import Known
    from kv.runner.messages import Hello
    from kv.runner.order import Given, KeeperLine
    from kv.runner.traces import Trace

_LAST_WORDS = 5.0  # seconds for a client to take its last messages
_SAID = 10  # files that are named


def perform(keeper: KeeperLine, control: Control, known: Known) -> None:
    """Do what the keeper ordered, and tell both sides how it went. Returns when nothing of the run is left.

    Raises what is a defect of ours, after it was told: what the program had started is then the nursery's to end.
    """
    files = Files(roots())
    try:
        os.setsid()
        adopt_orphans()
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # the inner terminal's foreground is set from behind it
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # which its end sends to whoever leads its session
        control.wait()
        given = keeper.receive()
        hello, descriptors = control.hello()
        _live(given, hello, descriptors, keeper, control, known, files)
    except KvError as error:
        _tell(keeper, control, error)
    except Exception as error:
        _tell(keeper, control, _defect(error))
        raise
    finally:
        files.clear()
        _wait(control)


def _tell(keeper: KeeperLine, control: Control, error: KvError) -> None:
    keeper.tell({"failed": {"code": error.code, **error.fields}})
    control.tell({"error": error.as_wire()})


def _wait(control: Control) -> None:
    """Let the client take its last messages."""
    until = time.monotonic() + _LAST_WORDS
    while control.waiting and time.monotonic() < until:
        select.select([], [control], [], _LAST_WORDS)
        control.send()


def _defect(error: Exception) -> KvError:
    """A defect by its type and place: an exception's text may quote what it failed on."""
    trace, place = error.__traceback__, "?"
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__"))
        place = f"{module}:{trace.tb_lineno}" if module.startswith("kv.") else place
        trace = trace.tb_next
    return KvError("internal", id=f"{type(error).__name__} at {place}")


def _live(  # noqa: PLR0913, PLR0917 - what a run is between
    given: Given,
    hello: Hello,
    descriptors: list[int],
    keeper: KeeperLine,
    control: Control,
    known: Known,
    files: Files,
) -> None:
    """From the first stream to the last word. Raises `KvError` where the program cannot be started."""
    order, names, began = given.order, given.names, time.time_ns()
    database = known.database(names)
    redaction = Redaction(database, names)
    streams = Streams(hello, descriptors, redaction if order.redact else None, PROMPT if order.prompt else SILENCE)
    environment = _delivered(given, streams, files)
    foreground = streams.terminal.slave if streams.terminal is not None and hello.foreground else None
    if control.gone() or not keeper.silent():  # the order may have waited here for seconds, for the client's first word
        raise KvError("interrupted", why="the run was given up before its program was started")
    pid = child.start(child.Setup(order, hello, environment, given.folder, streams.child, foreground))
    given.values.clear()
    environment.clear()
    streams.let_go()
    keeper.tell({"started": pid})
    control.tell({"started": pid})
    relay = Relay(pid, keeper, control, streams, timeout=order.timeout)
    relay.run()
    search = Search(database, names, began)
    found = search.look(given.folder) if not control.ended else []
    control.say([*_said(relay, found, redaction, complete=search.complete)])
    ended = {**_status(relay.status), "timeout": relay.timed_out}
    facts = {"redactions": _counted(redaction), "files": len(found), "left": relay.left}
    keeper.tell({"ended": {**ended, **facts}})
    control.tell({"ended": ended})


def _delivered(given: Given, streams: Streams, files: Files) -> dict[str, str | bytes]:
    """Hand every value over; the environment with what goes there. Raises `KvError("run-delivery")`."""
    environment: dict[str, str | bytes] = dict(given.order.environment)
    places = numbers(lent for lent in given.values if lent.via == "fd")
    for lent, value in given.values.items():
        if lent.via == "env":
            if b"\0" in value or not lent.to or "=" in lent.to:
                raise KvError("run-delivery", name=lent.name, why="an environment cannot hold it")
            environment[lent.to] = value
        elif lent.via == "stdin":
            streams.fill(value)
        elif lent.via == "file":
            files.add(given.folder, lent, value)
        else:
            streams.pass_on(places[lent], sealed(value))
            environment[variable(lent.name)] = str(places[lent])
    return environment


def _said(relay: Relay, found: list[Trace], redaction: Redaction, *, complete: bool) -> Iterator[str]:
    """The lines about a run that a person should read."""
    if relay.left:
        yield f"ended {relay.left} process{'es' if relay.left > 1 else ''} that it left behind"
    for trace in found[:_SAID]:
        what = "a name" if trace.named else "a file"
        # Before it is cleaned, for that may take a value's own signs away; and after it, with all that is said.
        path = redaction.scrub(os.fsencode(trace.path), "report").decode("utf-8", "replace")
        yield redaction.present(f"{what} now holds {', '.join(trace.names)}: {clean(path)}", "report")
    if len(found) > _SAID:
        yield f"and {len(found) - _SAID} more files"
    if not complete:
        yield "the folder is too large to look at every new file; some may hold a secret"


def _status(status: int | None) -> dict[str, int]:
    """How the program ended; a run that was ended before it did counts as killed."""
    if status is None:
        return {"exit": -1, "signal": int(signal.SIGKILL)}
    if os.WIFSIGNALED(status):
        return {"exit": -1, "signal": os.WTERMSIG(status)}
    return {"exit": os.WEXITSTATUS(status), "signal": 0}


def _counted(redaction: Redaction) -> dict[str, int]:
    counts: dict[str, int] = {}
    for hit in redaction.verdict.hits:
        counts[hit.place] = counts.get(hit.place, 0) + hit.count
    return counts
