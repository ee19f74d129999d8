"""Every pack of the catalogue, whatever it is: what a pack must be for `kv` to rely on it."""

from __future__ import annotations

import re
from collections import Counter
from importlib.resources import files
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from http_world import scheme

from brokers.contract import BrokerError, Effect
from brokers.http import catalogue, target

if TYPE_CHECKING:
    from brokers.http.catalogue import Pack

NAMES = catalogue.names()
PACKS = tuple(map(catalogue.load, NAMES))
DEEP = tuple(pack for pack in PACKS if pack.verified)


def each(packs: tuple[Pack, ...] = PACKS) -> pytest.MarkDecorator:
    """Run a test once for each of `packs`."""
    return pytest.mark.parametrize("pack", packs, ids=lambda pack: pack.name)


def domain(url: str) -> str:
    """The last two labels of a URL's host."""
    return ".".join((urlsplit(url).hostname or "").split(".")[-2:])


def test_the_catalogue_is_as_large_as_promised() -> None:
    """At least 50 services are known, and of at least 25 the endpoints are classed from their documentation."""
    assert len(DEEP) >= 25
    assert len(PACKS) >= 50


@each()
def test_origin_is_one_that_the_broker_accepts(pack: Pack) -> None:
    """A pack's origin is https and canonical, or there is none and a person has to give it."""
    if pack.origin_needed:
        assert not pack.origin
    else:
        given = dict.fromkeys(pack.open, "eu-west-1")
        filled = [pack.origin_for({**given, first: value}) for first in pack.auth.open[:1] for value in pack.origins]
        for origin in (pack.origin_for(given), *filled):
            assert str(target.parse_origin(origin)) == origin
            assert origin.startswith("https://")


@each()
def test_base_path_is_canonical(pack: Pack) -> None:
    """A base path is a path as the broker writes it, without a trailing slash."""
    if pack.base_path:
        assert target.join_path(target.split_path(pack.base_path)) == pack.base_path
        assert not pack.base_path.endswith("/")


@each()
def test_auth_is_complete(pack: Pack) -> None:
    """The auth scheme exists and takes the pack's options as they are."""
    scheme(pack.auth.scheme).check({**pack.auth.options, **dict.fromkeys(pack.auth.open, "1")})
    if pack.auth.scheme == "several":
        assert set(pack.slots) == set(pack.auth.options)
        assert not pack.env
    else:
        assert not pack.slots


@each()
def test_fixed_headers_are_no_place_for_the_credential(pack: Pack) -> None:
    """Fixed headers are lower case, visible, and none of those in which credentials or the host travel."""
    barred = {"authorization", "cookie", "host", "content-length", "connection", pack.auth.options.get("name", "")}
    for name, value in pack.headers.items():
        assert re.fullmatch(r"[a-z0-9-]+", name)
        assert name not in barred
        assert value.isascii()
        assert value.isprintable()


@each()
def test_shapes_are_linear(pack: Pack) -> None:
    """No shape repeats a group or leaves a repetition unbounded: no value makes matching slow."""
    for shape in (pack.shape, pack.distinctive):
        if shape is not None:
            assert not re.search(r"\)[*+{]|[*+]|,\}", re.sub(r"\[[^]]*\]", "x", shape.pattern))
            assert all(int(bound) <= 1024 for bound in re.findall(r",(\d+)\}", shape.pattern))
            assert not re.search(r"[$^]", re.sub(r"\[[^]]*\]", "x", shape.pattern)), "shapes match whole anyway"


@each()
def test_names_of_keys_are_names_of_variables(pack: Pack) -> None:
    """Names under which people keep keys are spelt as environment variables."""
    for name in (*pack.env, *(name for names in pack.slots.values() for name in names)):
        assert re.fullmatch(r"[A-Z][A-Z0-9_]{3,63}", name)


def test_no_name_of_a_key_is_claimed_twice() -> None:
    """A name points at one service: two would make it point at none."""
    claimed = Counter(
        name for pack in PACKS for name in (*pack.env, *(one for names in pack.slots.values() for one in names))
    )
    assert [name for name, count in claimed.items() if count > 1] == []


@each()
def test_documentation_is_the_services_own(pack: Pack) -> None:
    """Every row says where the service itself documents the endpoint."""
    assert pack.docs.startswith("https://")
    for row in pack.endpoints:
        assert row.doc.startswith("https://")
        assert domain(row.doc) == domain(pack.docs)


@each(tuple(pack for pack in PACKS if pack.open))
def test_what_is_open_leads_nowhere_else(pack: Pack) -> None:
    """What a person gives is a label of the host's name and no more; nothing is filled in where it is missing."""
    given = dict.fromkeys(pack.open, "eu-west-1")
    assert not re.search(r"[{}]", pack.origin_for(given))
    for name in re.findall(r"\{([a-z_]+)\}", pack.origin):
        assert pack.origin_for({each: given[each] for each in given if each != name}) == ""
        for value in ("evil.test/", "evil.test", "a@b", "", "-x", "EU", "a" * 64, "x:1", "x\n", "{region}"):
            with pytest.raises(BrokerError) as caught:
                pack.origin_for({**given, name: value})
            assert caught.value.code == "options"


@each(DEEP)
def test_deep_packs_know_what_mints_or_destroys(pack: Pack) -> None:
    """A pack that was verified names endpoints that make credentials or persistence, or cannot be undone."""
    strict = {Effect.MINT, Effect.DESTROY}
    assert re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", pack.verified)
    assert any(row.effect in strict for row in pack.endpoints) or (pack.body and strict & set(pack.body.names))


@each()
def test_no_row_is_written_twice(pack: Pack) -> None:
    """No two rows of a pack say something of the same method and pattern."""
    said = Counter(
        (method, row.pattern.text) for row in pack.endpoints for method in row.methods or {"GET", "POST", "DELETE"}
    )
    assert [row for row, count in said.items() if count > 1] == []


@each()
def test_reads_by_post_that_cost_money_have_a_budget(pack: Pack) -> None:
    """Inference is classed a read; so its packs bound the calls of an hour."""
    inference = ("/completions", "/responses", "/messages", ":generateContent", "/v2/chat")
    reads = [row for row in pack.endpoints if row.effect is Effect.READ and "POST" in row.methods]
    bounded = pack.calls_per_hour is not None and 0 < pack.calls_per_hour <= 10_000
    assert bounded or not any(row.pattern.text.endswith(inference) for row in reads)


@pytest.mark.parametrize("name", NAMES)
def test_rows_come_last(name: str) -> None:
    """Recognising a key reads a file up to its first row, so nothing that identifies it stands behind that."""
    text = (files("brokers.http") / "providers" / f"{name}.toml").read_text(encoding="utf-8")
    tables = re.findall(r"^\[.*$", text, re.MULTILINE)
    rows = [table for table in tables if table == "[[endpoints]]"]
    assert tables[len(tables) - len(rows) :] == rows
