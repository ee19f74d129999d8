"""Lines for a person, and lines for export."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from audit.world import KEY, World, call

from kv.audit import Entry, Peer, Report, view
from kv.audit.entry import build
from kv.audit.verify import verify_export
from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Callable


def entry(at: str, kind: str, **fields: object) -> Entry:
    """An entry at a time of 2026-11-23, UTC."""
    moment = datetime.fromisoformat(f"2026-11-23T{at}+00:00").timestamp()
    return build({"seq": 1, "epoch": 1, "time": moment, "clock": 1, "kind": kind, **fields})


REFUNDS = {"verb": "call", "connection": "stripe", "outcome": "ok", "status": 200}
TAIL = [
    (
        entry(
            "16:02:11", "settle", **REFUNDS, effect="read", title="GET /v1/refunds", approval="7F3K",
            strength="admission", scope="session", bytes_in=2100,
        ),
        "16:02:11  read    stripe     GET /v1/refunds                200   admitted 7F3K           2.1 kB",
    ),
    (
        entry(
            "16:04:40", "settle", **REFUNDS, effect="write", title="POST /v1/refunds", approval="9XQ2",
            strength="totp", scope="once", bytes_in=1300, redactions={"body": 1},
        ),
        "16:04:40  write   stripe     POST /v1/refunds               200   approved once 9XQ2 totp 1.3 kB   1 redaction in body",  # noqa: E501  # as it is shown
    ),
    (
        entry(
            "16:09:03", "event", connection="stripe", effect="destroy", title="DELETE /v1/customers/cus_9",
            decision="ask", approval="7HHK", outcome="expired",
        ),
        "16:09:03  DENIED  stripe     DELETE /v1/customers/cus_9           expired",
    ),
    (
        entry(
            "16:09:20", "alarm", verb="socket", peer=Peer(48121, "python3", 1000), label="Claude Code, ~/shop",
            title="a listener that is not ours was found on the socket; refused",
        ),
        "16:09:20  ALARM   -          a listener that is not ours was found on the socket; refused     pid 48121 python3 (Claude Code, ~/shop)",  # noqa: E501  # as it is shown
    ),
    (
        entry(
            "16:09:30", "event", verb="approve", connection="stripe", effect="write", title="POST /v1/refunds",
            approval="9XQ2", scope="once", strength="totp",
        ),
        "16:09:30  approve stripe     POST /v1/refunds                     approved once 9XQ2 totp",
    ),
    (
        entry(
            "16:09:40", "event", verb="deny", connection="stripe", effect="destroy", title="DELETE /v1/customers/cus_9",
            approval="7HHK", strength="descriptor-passphrase",
        ),
        "16:09:40  deny    stripe     DELETE /v1/customers/cus_9           denied 7HHK descriptor-passphrase",
    ),
    (
        entry("16:09:50", "event", verb="proof", outcome="proof-wrong", title="pin for approve"),
        "16:09:50  DENIED  -          wrong pin for approve",
    ),
    (entry("16:10:00", "event", verb="unlock"), "16:10:00  unlock  -"),
    (
        entry("16:10:00", "event", verb="unlock", title="12 entries followed the sealed head", count=12),
        "16:10:00  unlock  -          12 entries followed the sealed head",
    ),
    (entry("16:11:00", "event", verb="rate", count=1234), "16:11:00  rate    -          1,234 times"),
    (
        entry("16:12:00", "settle", verb="call", connection="db", effect="write", title="UPDATE", outcome="unknown"),
        "16:12:00  write   db         UPDATE                               unknown",
    ),
    (
        entry("16:13:00", "intend", verb="call", connection="db", effect="read", title="SELECT"),
        "16:13:00  read    db         SELECT                               running",
    ),
    (
        entry("16:14:00", "settle", verb="set", effect="admin", title="set prod/KEY", outcome="ok", strength="window"),
        "16:14:00  admin   -          set prod/KEY",
    ),
    (
        entry("16:15:00", "event", connection="db", effect="read", title="SELECT", decision="deny", rule="no db"),
        "16:15:00  DENIED  db         SELECT",
    ),
    (
        entry(
            "16:16:00", "settle", **REFUNDS, effect="read", title="GET /", redactions={"body": 2, "header": 1},
            bytes_in=12_000_000_000,
        ),
        "16:16:00  read    stripe     GET /                          200                           12.0 GB  3 redactions in body, header",  # noqa: E501  # as it is shown
    ),
]  # fmt: skip


@pytest.mark.parametrize(("of", "line"), TAIL)
def test_line(of: Entry, line: str) -> None:
    """A line of the tail reads as the first hour's transcript shows it."""
    assert view.line(of, UTC) == line


def test_rows_of_a_terminal() -> None:
    """With a width an entry takes rows of its own: what goes on stands behind the mark, which no text can bring."""
    long = entry(
        "16:09:30", "settle", **REFUNDS, effect="read", title=f"GET /{'a' * 60} │ {' ' * 99}16:09:31  approve",
        bytes_in=2100,
    )  # fmt: skip
    found = list(view.lines([long, TAIL[0][0]], UTC, width=60))
    assert found == [
        "16:09:30  read    stripe     GET",
        f"          │ /{'a' * 46}",
        f"          │ {'a' * 14} | 16:09:31 approve 200",
        "          │ 2.1 kB",
        "16:02:11  read    stripe     GET /v1/refunds",
        "          │ 200   admitted 7F3K           2.1 kB",
    ]
    assert list(view.lines([TAIL[0][0]], UTC)) == [TAIL[0][1]]


def test_a_label_cannot_leave_its_row() -> None:
    """A client names itself: blanks in its name are one blank, and the rest of it is behind the mark as well."""
    label = f"Claude{' ' * 80}16:09:31  approve stripe"
    alarm = entry("16:09:20", "alarm", verb="socket", peer=Peer(7, "python3", 1000), label=label, title="refused")
    assert list(view.lines([alarm], UTC, width=60)) == [
        "16:09:20  ALARM   -          refused     pid 7 python3",
        "          │ (Claude 16:09:31 approve stripe)",
    ]


def test_local_time() -> None:
    """Without a zone the times are the reader's own."""
    assert view.line(TAIL[0][0]).startswith(datetime.fromtimestamp(TAIL[0][0].time).strftime("%H:%M:%S"))  # noqa: DTZ006


def test_edited_texts_stay_text() -> None:
    """A file that somebody edited cannot send escapes to the terminal."""
    raw = Entry(
        seq=1, epoch=1, time=1.0, clock=1, kind="alarm", title="a\x1b]0;x\x07", label="l\u202e", peer=Peer(1, "\x9b", 1)
    )
    assert view.line(raw, UTC).isprintable()
    escape = "\x1b"
    settle = Entry(seq=1, epoch=1, time=1.0, clock=1, kind="settle", connection=escape, verb=escape, outcome=escape)
    assert view.line(settle, UTC).isprintable()


def test_tail_of_calls(world: World) -> None:
    """A call is one line: its intent is shown only while it runs."""
    log = world.unlock()
    call(log)
    log.intend(verb="call", connection="db", effect="read", title="SELECT")
    lines = list(view.lines(log.entries(), UTC))
    assert [line.split()[1] for line in lines] == ["unlock", "read", "read"]
    assert lines[2].endswith("running")


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (Report(1208, 4, 9, 0, 0, sealed=True), "head matches the vault."),
        (Report(1208, 4, 9, 0, 12, sealed=True), "head matches the vault, 12 entries follow it."),
        (Report(1208, 4, 9, 0, 1, sealed=True), "head matches the vault, 1 entry follows it."),
        (Report(1208, 4, 9, 0, 0, sealed=False), "no head to compare with."),
        (Report(1208, 4, 9, 2, 0, sealed=True), "head matches the vault; 2 alarms recorded."),
        (Report(1208, 4, 9, 1, 1, sealed=True), "head matches the vault, 1 entry follows it; 1 alarm recorded."),
    ],
)
def test_verdict(report: Report, said: str) -> None:
    """The verdict of verification is one sentence."""
    assert view.verdict(report) == f"4 entries since unlock, 1,208 in all: chain intact, {said}"


def test_verdict_on_one_entry() -> None:
    """A single entry is counted in the singular."""
    assert view.verdict(Report(1, 1, 1, 0, 0, sealed=True)).startswith("1 entry since unlock, 1 in all: chain intact")


def test_export_verifies(history: World) -> None:
    """An export can be checked without the file, and says the same as the file."""
    log = history.unlock()
    lines = list(log.export())
    assert verify_export(lines, KEY, log.head) == history.verify()
    assert verify_export([], KEY, None).entries == 0


MISSING = "it is missing"
EDITED = "it was edited, moved or signed with another key"
NO_LINE = "it is not a line of an export"


@pytest.mark.parametrize(
    ("spoil", "number", "why"),
    [
        (lambda lines: lines[:-1], 15, MISSING),
        (lambda lines: lines[1:], 1, MISSING),
        (lambda lines: [*lines[:3], *lines[4:]], 4, MISSING),
        (lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]], 4, MISSING),
        (lambda lines: [lines[0].replace(b"unlock", b"locked"), *lines[1:]], 1, EDITED),
        (lambda lines: [lines[0] + b" ", *lines[1:]], 1, NO_LINE),
        (lambda lines: [lines[0].rstrip(), *lines[1:]], 1, NO_LINE),
        (lambda lines: [lines[0], b"\n", *lines[1:]], 2, NO_LINE),
        (lambda lines: [lines[0], b"\xff" * 9, *lines[1:]], 2, NO_LINE),
        (lambda lines: [lines[0][:-6] + b'AB"}\n', *lines[1:]], 1, NO_LINE),
        (lambda lines: [lines[0][:-6] + b'"}\n', *lines[1:]], 1, NO_LINE),
        (lambda lines: [lines[0].removeprefix(b'{"entry":'), *lines[1:]], 1, NO_LINE),
        (lambda lines: [lines[0].replace(b'"mac":"', b'"mac":" '), *lines[1:]], 1, NO_LINE),
        (lambda lines: [lines[0][:-67] + lines[0][-67:].upper(), *lines[1:]], 1, NO_LINE),
        (lambda lines: [b"x" * 10_000_000, *lines], 1, NO_LINE),
    ],
)
def test_export_tampered(history: World, spoil: Callable[[list[bytes]], list[bytes]], number: int, why: str) -> None:
    """A line of an export that is missing, moved, edited or malformed is named."""
    log = history.unlock()
    lines = spoil(list(log.export()))
    with pytest.raises(KvError) as caught:
        verify_export(lines, KEY, log.head)
    assert caught.value.code == "audit-broken"
    assert (caught.value.fields["entry"], caught.value.fields["why"]) == (number, why)
