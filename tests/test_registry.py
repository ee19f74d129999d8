"""What THE PAGE lists twice says the same twice: a kind as it is declared, and the broker that performs its calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from brokers.personal import Inspects
from kv.daemon import schema, uses
from kv.registry import BROKERS, DEFAULT_KIND, KINDS, load

if TYPE_CHECKING:
    from brokers.contract import Broker
    from brokers.declaration import Kind


def test_every_kind_has_a_broker() -> None:
    """Whatever can be declared can be called, and the other way round."""
    assert KINDS.keys() == BROKERS.keys()
    assert DEFAULT_KIND in KINDS


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_is_what_its_broker_is(name: str) -> None:
    """One name, a verb that there is, members that can be declared; a role is looked at by brokers that can look."""
    kind, broker = cast("Kind", load(KINDS, name)()), load(BROKERS, name)
    assert (kind.name, cast("Broker", broker).kind) == (name, name)
    assert kind.verb in uses.TOOLS
    assert kind.members <= set(schema.Declaration.__struct_fields__)
    assert kind.inspected == issubclass(broker, Inspects)
