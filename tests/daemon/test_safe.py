"""What flows got: every token is looked for until it ends, within bounds, and nothing that could be guessed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from brokers.contract import BrokerError, Secret
from kv.daemon import safe as module
from kv.daemon.safe import MOST, MOST_BYTES, Safe
from kv.errors import KvError
from kv.redact import Needles, Redaction

if TYPE_CHECKING:
    from kv.daemon.house import House


class Kept:
    """A house with needles and a clock, and what it learns."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(module, "boot_time", lambda: self.now)
        self.needles = Needles()
        self.safe = Safe(cast("House", SimpleNamespace(needles=self.needles)))

    def learn(self, number: int, seconds: float = 3600, more: int = 0) -> bytes:
        """A token of that number."""
        value = b"at-%d-Vq7ZkX2mB9tW4rL8c" % number + b"xK3-9fQ_" * more
        self.safe.learn("api", Secret("t", value), seconds)
        return value

    def shown(self, text: bytes) -> bytes:
        """A text without the needles."""
        return Redaction(self.needles.database(), ()).scrub(text, "body")


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Kept:
    """An empty one."""
    return Kept(monkeypatch)


def test_every_token_that_lasts_is_looked_for(kept: Kept) -> None:
    """However many there are; one that has ended is forgotten when the next is learnt, and the others are not."""
    first, *others = [kept.learn(number, 60 if number == 0 else 3600) for number in range(12)]
    assert all(value not in kept.shown(b"log: " + value) for value in (first, *others))
    kept.now += 61
    others.append(kept.learn(100))
    assert first in kept.shown(b"log: " + first)
    assert all(value not in kept.shown(b"log: " + value) for value in others)


@pytest.mark.parametrize(("count", "more"), [(MOST, 0), (MOST_BYTES // 8100, 1000)])
def test_what_is_looked_for_is_bounded(kept: Kept, count: int, more: int) -> None:
    """In tokens and in bytes; when some have ended there is room again."""
    for number in range(count):
        kept.learn(number, 60, more)
    with pytest.raises(BrokerError) as caught:
        kept.learn(1000, 60, more)
    assert caught.value.code == "refused"
    kept.now += 61
    kept.learn(1001, 60, more)


def test_a_token_of_which_no_end_is_known_is_looked_for_as_well(kept: Kept) -> None:
    """For some minutes."""
    value = kept.learn(1, 0)
    kept.now += 300
    kept.learn(2)
    assert value not in kept.shown(value)


def test_a_replaced_secret_that_the_vault_does_not_take_is_looked_for(kept: Kept) -> None:
    """The call goes on with it, a person is told once, and no answer shows it."""
    before, after = (Secret("r", b"rt-%d-Vq7ZkX2mB9tW4rL8c" % number) for number in (1, 2))
    alarms: list[str] = []

    def full(*_: object, **__: object) -> None:
        raise KvError("disk-full", what="the vault")

    held = SimpleNamespace(meta={})
    kept.safe._house = cast(
        "House",
        SimpleNamespace(
            needles=kept.needles,
            entry=lambda _: SimpleNamespace(connection=SimpleNamespace(secrets={"refresh_token": "api/TOKEN"})),
            vault=SimpleNamespace(get=lambda *_: held, value=lambda *_: before, put_many=full),
            audit=SimpleNamespace(alarm=lambda **told: alarms.append(told["title"])),
        ),
    )
    for _ in range(2):
        kept.safe.replace("api", "refresh_token", before, after)
    assert after.expose() not in kept.shown(b"log: " + after.expose())
    assert len(alarms) == 1


def test_a_replaced_secret_leaves_what_a_person_stored(kept: Kept) -> None:
    """The vault holds another one by now: nothing is written."""
    before, after, theirs = (Secret("r", b"rt-%d-Vq7ZkX2mB9tW4rL8c" % number) for number in (1, 2, 3))
    kept.safe._house = cast(
        "House",
        SimpleNamespace(
            entry=lambda _: SimpleNamespace(connection=SimpleNamespace(secrets={"refresh_token": "api/TOKEN"})),
            vault=SimpleNamespace(get=lambda *_: SimpleNamespace(meta={}), value=lambda *_: theirs),
        ),
    )
    kept.safe.replace("api", "refresh_token", before, after)  # `put_many` is not even there
