"""One stream by itself: what is released when, and how much is held."""

from __future__ import annotations

import os
import select
from typing import TYPE_CHECKING

import pytest
from chunk_invariance import assert_chunk_invariant

from kv.redact import LOOKAHEAD, Redaction
from kv.runner.known import Known
from kv.runner.pump import PROMPT, SILENCE, Pump
from kv.runner.sink import sink

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

VALUE = b"sk_live_4eC39HqLyjWDarjtT1zdp7dc"
WEAK = b"hunter2-password"


class Memory:
    """A sink that takes `room` bytes, or everything."""

    def __init__(self, room: int = 1 << 40) -> None:
        self.data = bytearray()
        self.room = room
        self.closed = False

    def fileno(self) -> int:
        """A descriptor that is never polled."""
        return 1 << 20

    def write(self, data: memoryview) -> int:
        """See `Sink.write`."""
        taken = bytes(data[: self.room])
        self.room -= len(taken)
        self.data += taken
        return len(taken)

    def close(self) -> None:
        """See `Sink.close`."""
        self.closed = True


class Gone(Memory):
    """A sink that nobody reads."""

    def write(self, data: memoryview) -> int:
        """See `Sink.write`."""
        del data
        raise BrokenPipeError


class Stream:
    """A pump with its source in hand."""

    def __init__(self, memory: Memory, redaction: Redaction | None, silence: float = SILENCE) -> None:
        reading, self.writing = os.pipe()
        os.set_blocking(reading, False)
        self.reading = reading
        self.pump = Pump("stdout", reading, memory, redaction, silence)

    def say(self, data: bytes) -> None:
        """Have the program write, and the pump read."""
        view = memoryview(data)
        while view:
            view = view[os.write(self.writing, view[:65536]) :]
            self.pump.ready(self.reading, select.POLLIN)

    def end(self) -> None:
        """Have the program end."""
        os.close(self.writing)
        self.pump.ready(self.reading, select.POLLHUP)


def a_redaction() -> Redaction:
    """Of a run that was lent K."""
    known = Known([("K", VALUE, 128, []), ("W", WEAK, 30, [])])
    return Redaction(known.database(["K"]), ["K"])


def pumped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """What comes out for these chunks."""
    memory = Memory()
    stream = Stream(memory, a_redaction())
    for chunk in chunks:
        stream.say(chunk)
    stream.end()
    assert memory.closed
    yield bytes(memory.data)


def test_no_way_to_cut_the_stream_changes_what_comes_out() -> None:
    """Every cut near a value, at the edges of what is held and released, and all bytes alone around one of them."""
    filler = b"the quick brown fox jumps over the lazy dog\n" * 800
    places = (0, LOOKAHEAD - 5, LOOKAHEAD + 4090, 30_000)
    text = bytearray(filler)
    for place in places:
        text[place : place + len(VALUE)] = VALUE
    whole = bytes(text)
    cuts = sorted({place + step for place in places for step in range(0, len(VALUE) + 3, 5)} - {0})
    splits = [[whole[:cut], whole[cut:]] for cut in cuts]
    at = places[2]
    splits.append([whole[:at], *(whole[i : i + 1] for i in range(at, at + 40)), whole[at + 40 :]])
    expected = b"".join(pumped([whole]))
    assert expected.count(b"{{kv:K}}") == len(places)
    assert assert_chunk_invariant(pumped, lambda _: expected, whole, splits=splits) == len(splits)


def test_a_reader_that_is_slow_stops_the_reading() -> None:
    """From a mebibyte on the source is not asked for; it is again once the reader has taken some."""
    memory = Memory(room=0)
    stream = Stream(memory, None)
    stream.say(bytes(1 << 20))
    assert stream.reading not in dict(stream.pump.wants())
    memory.room = 1000
    stream.pump.write()
    assert stream.reading in dict(stream.pump.wants())


def test_the_end_of_the_reader_closes_the_programs_pipe() -> None:
    """Its next write fails, as it does without us."""
    stream = Stream(Gone(), None)
    stream.say(b"x")
    assert stream.pump.done
    with pytest.raises(BrokenPipeError):
        os.write(stream.writing, b"y")
    os.close(stream.writing)


@pytest.mark.parametrize("silence", [SILENCE, PROMPT])
def test_what_is_held_is_released_after_the_silence_alone(silence: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seconds for an agent, twenty milliseconds for a person, from the last byte on."""
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    memory = Memory()
    stream = Stream(memory, a_redaction(), silence)
    stream.say(b"hello ")
    now[0] += silence * 0.9
    stream.say(b"world")
    assert stream.pump.deadline() == pytest.approx(now[0] + silence)
    now[0] += silence * 0.9
    stream.pump.late()
    assert not memory.data
    now[0] += silence * 0.2
    stream.pump.late()
    assert memory.data == b"hello world"
    assert stream.pump.deadline() is None
    stream.end()


def test_a_stop_releases_nothing_of_an_agents() -> None:
    """A program could spell a secret by stopping between its halves."""
    for silence, shown in ((SILENCE, b""), (PROMPT, b"half")):
        memory = Memory()
        stream = Stream(memory, a_redaction(), silence)
        stream.say(b"half")
        stream.pump.pause()
        assert memory.data == shown
        stream.end()


def test_a_guess_changes_nothing_of_what_is_released_and_when() -> None:
    """Right or wrong, as it comes, and what follows it on this stream and another of the same run."""
    released = []
    for guess in (WEAK, WEAK.replace(b"2", b"3")):
        redaction, seen = a_redaction(), []
        memories = Memory(), Memory()
        streams = [Stream(memory, redaction) for memory in memories]
        for text in (b"." * LOOKAHEAD, guess, b"." * LOOKAHEAD, VALUE):
            for stream in streams:
                stream.say(text)
            seen += [len(memory.data) for memory in memories]
        for stream in streams:
            stream.end()
        released.append((seen, [bytes(memory.data).replace(guess, b"guess") for memory in memories]))
    assert released[0] == released[1]


def test_an_output_that_is_closed_early_ends_for_its_reader() -> None:
    """At once, although the program runs on; with what was held."""
    memory = Memory()
    stream = Stream(memory, a_redaction())
    stream.say(b"last words")
    stream.end()
    assert (bytes(memory.data), memory.closed, stream.pump.done) == (b"last words", True, True)


@pytest.mark.parametrize("kind", ["pipe", "socket", "file", "null"])
def test_every_kind_of_descriptor_takes_its_bytes(kind: str, tmp_path: os.PathLike[str]) -> None:
    """And where one has no room, nothing waits; O_NONBLOCK of the caller's own is left alone."""
    import socket
    from pathlib import Path

    reading = -1
    if kind == "pipe":
        reading, writing = os.pipe()
    elif kind == "socket":
        pair = socket.socketpair()
        reading, writing = (end.detach() for end in pair)
    else:
        place = Path(tmp_path, "f") if kind == "file" else Path(os.devnull)
        writing = os.open(place, os.O_WRONLY | os.O_CREAT)
    kept = os.dup(writing)
    made = sink(writing)
    with memoryview(bytes(1 << 20)) as view:
        taken = made.write(view)
        rest = made.write(view[taken:]) if kind in {"pipe", "socket"} else 0
    assert os.get_blocking(kept)
    assert taken == 1 << 20 if kind == "file" else 0 < taken < 1 << 20
    assert rest == 0
    made.close()
    for number in {kept, reading} - {-1}:
        os.close(number)


def test_a_read_only_descriptor_is_not_opened_for_writing() -> None:
    """One end of a pipe leads to the other through procfs: what was given is what is written to."""
    reading, writing = os.pipe()
    made = sink(reading)
    with pytest.raises(OSError, match="Bad file descriptor"), memoryview(b"x") as view:
        made.write(view)
    os.close(writing)
    made.close()
