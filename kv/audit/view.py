"""Entries as text: lines for a person (`kv audit tail`), a verdict, and lines for export. Pure.

Rules of this file
- What is shown is cleaned again: a file that somebody edited must not reach the terminal as control characters.
- A title and a label are others' words. On a terminal an entry goes on behind a mark (`kv.rows`), so that no path can
  be made to begin a row as another entry does; elsewhere it stays one line, for grep.
- An export line is the entry's own bytes and its mac, so that what is checked offline is what was signed.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from kv.audit.chain import MAC_BYTES, broken
from kv.audit.entry import BODY_MAX, Entry, decode
from kv.errors import clean
from kv.rows import tidy, usable, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import tzinfo

    from kv.audit.verify import Report

_BEFORE, _BETWEEN, _AFTER = b'{"entry":', b',"mac":"', b'"}\n'
_DENIED = {"denied", "refused", "expired", "frozen", "proof-wrong", "proof-used", "proof-frozen"}
_PROOFS = {"proof-wrong": "wrong ", "proof-used": "used ", "proof-frozen": "frozen: "}
_ANSWERS = {"approve": "approved", "deny": "denied"}
_KILO = 1000
_UNDER = " " * 10  # below what follows the time


def line(entry: Entry, zone: tzinfo | None = None) -> str:
    """One line of `kv audit tail`; times in `zone`, the local one by default."""
    at = datetime.fromtimestamp(entry.time, zone).astimezone(zone).strftime("%H:%M:%S")
    subject = f"{at}  {_what(entry):<7} {clean(entry.connection) or '-':<10} "
    title = tidy(entry.title, 300)
    if entry.kind == "alarm":
        return _joined(subject, title, _who(entry))
    if entry.kind == "event" and entry.verb in _ANSWERS:
        return f"{subject}{title:<30} {'':<6}{_answered(entry)}".rstrip()
    if entry.kind == "event" and not entry.decision:
        return _joined(subject, _told(entry), _who(entry))
    status = str(entry.status) if entry.status else ""
    size = _size(entry.bytes_in) if entry.bytes_in else ""
    return f"{subject}{title:<30} {status:<6}{_how(entry):<23} {size:<9}{_redacted(entry)}".rstrip()


def lines(entries: Iterable[Entry], zone: tzinfo | None = None, width: int = 0) -> Iterator[str]:
    """The lines of `entries`, an intent only where its settle is not among them; in rows where there is a `width`."""
    kept = list(entries)
    settled = {entry.of for entry in kept}
    found = (line(entry, zone) for entry in kept if entry.kind != "intend" or entry.seq not in settled)
    return (row for each in found for row in (wrapped(each, usable(width), under=_UNDER) if width else [each]))


def verdict(report: Report) -> str:
    """The sentence of `kv audit verify` about an intact chain."""
    since = f"{report.latest:,} {'entry' if report.latest == 1 else 'entries'} since unlock, {report.entries:,} in all"
    head = "head matches the vault" if report.sealed else "no head to compare with"
    if report.beyond:
        head += f", {report.beyond:,} {'entry follows' if report.beyond == 1 else 'entries follow'} it"
    if report.alarms:
        head += f"; {report.alarms:,} {'alarm' if report.alarms == 1 else 'alarms'} recorded"
    return f"{since}: chain intact, {head}."


def _what(entry: Entry) -> str:
    if entry.kind == "alarm":
        return "ALARM"
    if entry.decision == "deny" or entry.outcome in _DENIED:
        return "DENIED"
    return entry.verb if entry.verb in _ANSWERS else entry.effect or clean(entry.verb)


def _answered(entry: Entry) -> str:
    """A person's answer to a card: the yes or no, its scope, which card, and what proved the person."""
    proof = "" if entry.strength == "none" else entry.strength
    return clean(" ".join(filter(None, (_ANSWERS[entry.verb], entry.scope, entry.approval, proof))))


def _how(entry: Entry) -> str:
    """Why it was let through and, where it did not end well, how it ended."""
    words = []
    if entry.approval and entry.outcome not in _DENIED:
        admitted = entry.strength == "admission"
        strength = "" if admitted or entry.strength == "none" else entry.strength
        words = ["admitted" if admitted else "approved", "" if admitted else entry.scope, entry.approval, strength]
    ended = "running" if entry.kind == "intend" else "" if entry.outcome == "ok" else entry.outcome
    return clean(" ".join(filter(None, (*words, ended))))


def _joined(subject: str, *words: str) -> str:
    return f"{subject}{'     '.join(filter(None, words))}".rstrip()


def _told(entry: Entry) -> str:
    told = tidy(entry.title, 300) or (f"{entry.count:,} times" if entry.count else "")
    return f"{_PROOFS.get(entry.outcome, '')}{told}"


def _who(entry: Entry) -> str:
    if entry.peer is None:
        return tidy(entry.label)
    label = f" ({tidy(entry.label)})" if entry.label else ""
    return f"pid {entry.peer.pid} {tidy(entry.peer.exe)}{label}"


def _size(count: int) -> str:
    if count < _KILO:
        return f"{count} B"
    size = float(count)
    for unit in ("kB", "MB"):
        size /= _KILO
        if size < _KILO:
            return f"{size:.1f} {unit}"
    return f"{size / _KILO:,.1f} GB"


def _redacted(entry: Entry) -> str:
    total = sum(entry.redactions.values())
    if not total:
        return ""
    return f"{total:,} redaction{'' if total == 1 else 's'} in {', '.join(sorted(entry.redactions))}"


def exported(body: bytes, mac: bytes) -> bytes:
    """One line of an export: `{"entry":…,"mac":"64 hex digits"}`."""
    return b"".join((_BEFORE, body, _BETWEEN, mac.hex().encode(), _AFTER))


def imported(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes, bytes]]:
    """Number, body and mac of each line of an export. Raises `audit-broken` for any other line."""
    for number, each in enumerate(lines, 1):
        body, _, mac = each[: 2 * BODY_MAX].removeprefix(_BEFORE).removesuffix(_AFTER).rpartition(_BETWEEN)
        try:
            row = decode(body).seq, body, bytes.fromhex(mac.decode("ascii"))
        except ValueError:
            raise broken(number, "it is not a line of an export") from None
        if len(row[2]) != MAC_BYTES or exported(*row[1:]) != each:
            raise broken(number, "it is not a line of an export")
        yield row
