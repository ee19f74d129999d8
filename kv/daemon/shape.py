"""From an outcome to what may be shown: redact whole and decoded, then select and cap, then redact once more.

Rules of this file
- Nothing of an outcome is looked at before it has been redacted, and nothing is cut before that: a cap that falls
  into a secret would leave its beginning (the selection oracle). So the reader goes on for the longest needle's
  reach beyond the cap, and the cap is applied to what came out of the scrubber.
- What will be shown is scrubbed again as it will be shown: parsing, selecting and joining can put together
  what lay apart.
- A result that confirms a guess is withheld whole (the confirmation oracle); how it is withheld does not depend on
  where in it the guess was.
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from kv.daemon import streams
from kv.daemon.aside import uncollected
from kv.daemon.planning import LARGE, too_many_parts
from kv.daemon.safe import label
from kv.daemon.save import too_large
from kv.daemon.select import select
from kv.errors import KvError
from kv.redact import Redaction, strip_controls

if TYPE_CHECKING:
    from collections.abc import Iterable

    from brokers.contract import Outcome, Plan
    from kv.audit.entry import Fields
    from kv.daemon.aside import Aside
    from kv.daemon.holdings import Share
    from kv.daemon.listener import Listener
    from kv.daemon.save import SavedFile
    from kv.daemon.uses import Use
    from kv.redact import Database, Verdict


_PORTION = 256 << 10  # bytes that are scanned in one go: a window of the scrubber, some milliseconds
# A value that was escaped twice can leave one backslash before its marker, which would make the JSON around it invalid.
_HALF_ESCAPE = re.compile(r"(?<!\\)((?:\\\\)*)\\(?=\{\{kv:)")


@dataclass(slots=True)
class Shown:
    """A call's result, redacted. `came` is the bytes that came in; `withheld`: nothing of it may be shown."""

    status: int
    came: int
    places: dict[str, int]
    withheld: bool
    members: dict[str, object] = field(default_factory=dict)
    raw: bytes = b""

    def reply(self) -> tuple[dict[str, object], bytes]:
        """Header members and body for the wire."""
        return self.members, self.raw

    def facts(self) -> Fields:
        """What the audit records of it. Of a withheld one no counts: an agent reads its own entries."""
        return {"status": self.status, "bytes_in": self.came, "redactions": {} if self.withheld else self.places}


@dataclass(frozen=True, slots=True)
class Desk:
    """What an answer is read with: the needles, the call's share of memory, a place beside the loop, the file to be."""

    database: Database
    share: Share
    aside: Aside
    saved: SavedFile | None = None
    lent: tuple[str, ...] = ()  # names of secrets that came with this very answer
    listener: Listener | None = None  # who hears what comes, as it comes


async def show(outcome: Outcome, plan: Plan, args: Use, desk: Desk) -> Shown:
    """Read the outcome to its end or cap and make what may be shown of it. Raises `KvError`, `BrokerError`."""
    lent = *plan.connection.secrets.values(), label(plan.connection.name), *desk.lent
    redaction = Redaction(desk.database, lent)
    if outcome.stderr is not None:
        return await _command(outcome, plan, args, desk, redaction)
    headers = _headers(outcome.head, redaction)
    is_json = outcome.head.get("form") == "json" or "json" in headers.get("content-type", "")
    raw, form, truncated = b"", "none", False
    if desk.saved is not None:
        came, unfit = await _save(outcome, redaction, desk.saved, desk.listener)
    else:
        data, came, truncated, unfit = await _read(outcome, redaction, plan, desk.share)
        try:
            work = partial(_document, data, args.select, redaction, is_json=is_json)
            raw, form = work() if len(data) <= LARGE else await desk.aside.do(partial(uncollected, work))
        except KvError as error:
            unfit = unfit or error
    verdict = redaction.verdict
    facts = Shown(status(outcome), came=came, places=_places(verdict), withheld=verdict.withhold)
    if verdict.withhold:
        return facts
    if unfit is not None:  # only now: a complaint about a redacted text must not tell that it was redacted
        raise unfit
    facts.raw = raw
    facts.members = {
        **({"status": facts.status, "headers": headers} if "status" in outcome.head else {}),
        **({"failed": True} if outcome.head.get("failed") is True else {}),
        "verb": args.VERB,
        "form": form,
        "redactions": verdict.count,
        "truncated": truncated,
        "untrusted": True,
        "source": plan.connection.name,
    }
    if desk.saved is not None:
        await desk.saved.keep()
        facts.members["saved"] = {"path": args.save, "bytes": desk.saved.size}
    return facts


async def _command(outcome: Outcome, plan: Plan, args: Use, desk: Desk, redaction: Redaction) -> Shown:
    """Of an outcome with two streams: the body is the first and then the second, `stdout` says where that begins.

    Of one that went out as it came (`live`), both are empty.
    """
    both = await streams.read(outcome, plan, desk, redaction)
    (out, _), (err, _) = await streams.texts(both, desk, lambda data: _document(data, "", redaction, is_json=False))
    out, err = redaction.scrub_joined(out, err, "stderr")
    verdict = redaction.verdict
    told = Shown(0, came=sum(stream.came for stream in both), places=_places(verdict), withheld=verdict.withhold)
    if verdict.withhold:
        return told
    for stream in both:
        if stream.unfit is not None:
            raise stream.unfit
    told.raw = out + err
    told.members = {
        **streams.facts(outcome),
        "verb": args.VERB,
        "stdout": len(out),
        "redactions": verdict.count,
        "truncated": any(stream.cut for stream in both),
        **({"live": True} if desk.listener is not None and desk.listener.began else {}),
        "untrusted": True,
        "source": plan.connection.name,
    }
    return told


def status(outcome: Outcome) -> int:
    """The status that stands in the outcome's head, 0 where there is none."""
    found = outcome.head.get("status")
    return found if isinstance(found, int) else 0


def _places(verdict: Verdict) -> dict[str, int]:
    found: dict[str, int] = {}
    for hit in verdict.hits:
        found[hit.place] = found.get(hit.place, 0) + hit.count
    return found


def _headers(head: dict[str, object], redaction: Redaction) -> dict[str, str]:
    """Names to values; of a repeated one the values joined as RFC 9110, section 5.2 does."""
    found: dict[str, str] = {}
    listed = head.get("headers")
    for name, value in listed if isinstance(listed, list) else []:
        found[name] = f"{found[name]}, {value}" if name in found else value
    shown = redaction.present_all([*found.keys(), *found.values()], "header")
    return dict(zip(shown[: len(found)], shown[len(found) :], strict=True))


def _portions(chunk: bytes) -> Iterable[bytes]:
    """A chunk in portions that are scanned within some milliseconds: a row of a database may be one of 60 MB."""
    if len(chunk) <= _PORTION:
        return (chunk,)
    return (chunk[at : at + _PORTION] for at in range(0, len(chunk), _PORTION))


async def _read(
    outcome: Outcome, redaction: Redaction, plan: Plan, share: Share
) -> tuple[bytes, int, bool, KvError | None]:
    """The redacted body up to its cap, how many bytes came in, whether there was more, and what speaks against it."""
    scrubber, cap = redaction.stream("body"), plan.limits.max_bytes
    out = bytearray()
    came, unfit = 0, None
    async for whole in outcome.body:
        for chunk in _portions(whole):
            if came:
                await asyncio.sleep(0)  # a breath for the loop: chunks that came at once would be one long gasp
            came += len(chunk)
            out += scrubber.feed(chunk)
            if len(out) > cap:
                return bytes(out[:cap]), came, True, None
            try:
                share.reach(len(plan.body) + came)
            except KvError as busy:
                unfit = busy
                break
        if unfit is not None:
            break
    out += scrubber.flush()
    return bytes(out[:cap]), came, len(out) > cap, unfit


async def _save(
    outcome: Outcome, redaction: Redaction, saved: SavedFile, listener: Listener | None
) -> tuple[int, KvError | None]:
    """Spool the redacted body; how many bytes came in, and what speaks against keeping it.

    What comes in is counted beside what is written, and a failure to write ends the writing and not the reading: when
    an answer is too large, or full is full, must not depend on what was found in it before the verdict has been asked.
    """
    scrubber = redaction.stream("file")
    came, unfit = 0, None

    def write(data: bytes) -> KvError | None:
        try:
            saved.write(data)
        except KvError as error:
            return error
        return None

    async for whole in outcome.body:
        for chunk in _portions(whole):
            if came:
                await asyncio.sleep(0)
            came += len(chunk)
            if came > saved.most:
                break
            data = scrubber.feed(chunk)
            unfit = unfit or write(data)
            if listener is not None:
                await listener.progress(came)
        if came > saved.most:
            unfit = too_large(saved.most)
            break
    data = scrubber.flush()
    return came, unfit or write(data)


def _document(data: bytes, expression: str, redaction: Redaction, *, is_json: bool) -> tuple[bytes, str]:
    """What is shown of a redacted body, and its form: "json", "text" or "bytes"."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        if expression:
            raise KvError("bad-argument", argument="select", why="the answer is not JSON") from None
        return data, "bytes"
    plain = strip_controls(text)
    if r"\{{kv:" in plain and (is_json or expression):
        plain = _HALF_ESCAPE.sub(r"\1", plain)
    if not is_json and not expression:
        return (data if plain == text else redaction.scrub_text(plain, "body").encode()), "text"
    try:
        document = _parsed(plain)
    except (ValueError, RecursionError):
        if expression:
            raise KvError("bad-argument", argument="select", why="the answer is not (whole) JSON") from None
        return (data if plain == text else redaction.scrub_text(plain, "body").encode()), "text"
    if not expression and plain == text and "\\u" not in text:
        return data, "json"  # nothing was taken out or put together since it was scanned whole
    document = _strings(select(expression, document) if expression else document)
    shown = redaction.scrub_text(json.dumps(document, ensure_ascii=False, separators=(",", ":")), "body")
    return shown.encode(), "json" if _parses(shown) else "text"


def _parsed(text: str) -> object:
    """`text` as JSON. Raises `ValueError`, `RecursionError`."""
    if too_many_parts(text):
        raise ValueError
    return json.loads(text)


def _parses(text: str) -> bool:
    try:
        _parsed(text)
    except (ValueError, RecursionError):
        return False
    return True


def _strings(value: object) -> object:
    """`value` without control characters in any string of it; scanned afterwards, since this can close a gap."""
    if isinstance(value, str):
        return strip_controls(value)
    if isinstance(value, dict):
        return {strip_controls(k): _strings(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_strings(v) for v in value]
    return value
