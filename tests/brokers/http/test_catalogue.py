"""The catalogue: reading packs strictly, and recognising whose key a value is."""

from __future__ import annotations

import pytest

from brokers.contract import BrokerError, Effect
from brokers.http import catalogue
from brokers.http.catalogue import PackError
from brokers.http.pack import parse

MINIMAL = """
name = "toy"
title = "Toy"
origin = "https://api.toy.test"
docs = "https://toy.test/docs"
[auth]
scheme = "bearer"
"""
ROW = """
[[endpoints]]
effect = "mint"
methods = ["POST"]
paths = ["/v1/keys"]
doc = "https://toy.test/docs/keys"
"""
OPERATION = """
[[operations]]
service = "iam"
name = "CreateKey"
gives = { a = "SECRET" }
doc = "https://toy.test/docs/keys"
"""
# Made up, and put together here so that no file holds anything that looks like a key.
SAMPLES = {
    "airtable": ("pat", "Ab1" * 4, "Cd", ".", "0f" * 32),
    "anthropic": ("sk", "-ant-", "api03-", "Ab1" * 20),
    "aws": ("AK", "IA", "0A" * 8, ":", "Ab1/" * 10),
    "buildkite": ("bk", "ua_", "0f" * 20),
    "clickup": ("pk", "_1234567_", "AB" * 16),
    "digitalocean": ("dop", "_v1_", "0f" * 32),
    "figma": ("fig", "d_", "Ab1" * 14),
    "github": ("gh", "p_", "Ab1" * 12),
    "gitlab": ("gl", "pat-", "Ab1" * 7),
    "groq": ("gs", "k_", "Ab1" * 17),
    "huggingface": ("h", "f_", "Ab1" * 12),
    "linear": ("lin", "_api_", "Ab1" * 13),
    "notion": ("nt", "n_", "Ab1" * 15),
    "openai": ("sk", "-proj-", "Ab1" * 20),
    "openrouter": ("sk", "-or-v1-", "0f" * 32),
    "perplexity": ("pp", "lx-", "Ab1" * 16),
    "render": ("rn", "d_", "Ab1" * 9),
    "replicate": ("r", "8_", "Ab1" * 12, "A"),
    "sendgrid": ("S", "G.", "Ab1" * 7, "A.", "Cd2" * 14, "C"),
    "sentry": ("sn", "trys_", "Ab1" * 20),
    "shopify": ("shp", "at_", "0f" * 16),
    "slack": ("xo", "xb-", "1" * 12, "-", "Ab1" * 8),
    "stripe": ("sk", "_test_", "Ab1" * 8),
    "supabase": ("sb", "p_", "0f" * 20),
    "tavily": ("tv", "ly-", "Ab1" * 10),
    "telegram": ("123456789", ":", "Ab1" * 11, "Ab"),
    "twilio": ("A", "C", "0f" * 16, ":", "Ab" * 16),
    "xai": ("xa", "i-", "Ab1" * 20),
}


def sample(name: str) -> bytes:
    """A value that looks like a key of the service `name`."""
    return "".join(SAMPLES[name]).encode()


def recognised(name: str, value: bytes) -> str | None:
    """The name of the service that is recognised."""
    pack = catalogue.recognise(name, value)
    return pack.name if pack else None


def test_every_distinctive_shape_has_a_sample() -> None:
    """The table above covers the catalogue: a new distinctive shape is tried like the others."""
    assert {name for name in catalogue.names() if catalogue.load(name).distinctive} == set(SAMPLES)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_distinctive_value_is_enough(name: str) -> None:
    """A value that only one service's keys look like is recognised whatever it is called."""
    assert recognised("prod/whatever", sample(name)) == name


@pytest.mark.parametrize("name", SAMPLES)
def test_nothing_around_a_distinctive_value_is_tolerated(name: str) -> None:
    """A shape is that of the whole value: a line end, a quote or a second key make it another value."""
    for value in (sample(name) + b"\n", b'"' + sample(name) + b'"', sample(name) + b" " + sample(name)):
        assert recognised("prod/whatever", value) is None


@pytest.mark.parametrize("name", catalogue.names())
def test_every_well_known_name_leads_to_its_service(name: str) -> None:
    """Each declared name is recognised with a fitting value, in any folder and in any case."""
    pack = catalogue.load(name)
    fillers = [b"0f" * 32, b"0f" * 20, b"Ab1" * 12, b"Ab1" * 6 + b"Ab", b"AI" + b"za" + b"Ab1" * 12]
    fillers += [b"sk-" + b"Ab1" * 10, b"re_" + b"Ab1" * 10]
    candidates = [sample(name)] if name in SAMPLES else fillers
    for key in pack.env:
        found = {recognised(spelt, value) for value in candidates for spelt in (key, f"prod/{key}", key.lower())}
        assert name in found
        assert found <= {name, None}


@pytest.mark.parametrize("other", [name for name in SAMPLES if name != "openai"])
def test_a_value_that_contradicts_its_name_is_nobodys(other: str) -> None:
    """A key of one service under the name of another is sent to neither before a person has said which."""
    assert recognised("OPENAI_API_KEY", sample(other)) is None
    assert recognised("MAILGUN_API_KEY", sample(other)) is None


@pytest.mark.parametrize("value", [b"", b"hunter2", b"\xff\xfe" * 20, "ключ".encode(), b"x" * 9000])
def test_what_is_no_key_is_nobodys(value: bytes) -> None:
    """Values that no service gave out are not recognised, and none raises."""
    assert recognised("prod/whatever", value) is None
    assert recognised("OPENAI_API_KEY", value) is None


def test_keys_of_a_pair_make_no_connection_alone() -> None:
    """Where a service wants two secrets, one of them is not enough to know what to do."""
    assert recognised("DD_API_KEY", b"0f" * 16) is None


def test_names_are_sorted_and_load() -> None:
    """The list of providers is what can be loaded."""
    names = catalogue.names()
    assert list(names) == sorted(names)
    assert [catalogue.load(name).name for name in names] == list(names)


@pytest.mark.parametrize("name", ["", "nosuch", "../catalogue", "stripe.toml", "Stripe"])
def test_an_unknown_provider_is_refused(name: str) -> None:
    """A name leads to a pack of the catalogue or to an error: never to another file."""
    with pytest.raises(BrokerError) as caught:
        catalogue.load(name)
    assert caught.value.code == "options"


def test_a_pack_is_read_whole() -> None:
    """What the smallest file leaves out has a neutral value; rows are one for each path."""
    pack = parse("toy", MINIMAL + ROW.replace('"/v1/keys"', '"/v1/keys", "/v1/tokens"'))
    assert (pack.base_path, pack.headers, pack.env, pack.shape, pack.calls_per_hour) == ("", {}, (), None, None)
    assert [(row.effect, row.methods, row.pattern.text) for row in pack.endpoints] == [
        (Effect.MINT, frozenset({"POST"}), "/v1/keys"),
        (Effect.MINT, frozenset({"POST"}), "/v1/tokens"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        MINIMAL.replace("toy", "other"),
        MINIMAL.replace("https://api", "http://api"),
        MINIMAL.replace('origin = "https://api.toy.test"', ""),
        MINIMAL.replace("docs", "origin_needed = true\ndocs"),
        MINIMAL.replace('"bearer"', "1"),
        MINIMAL + 'open = ["name"]\n[auth.options]\nname = "x"',
        MINIMAL + '[origins]\nx = "https://x.toy.test"',
        MINIMAL + 'open = ["name"]\n[origins]\nx = "http://x.toy.test"',
        MINIMAL + "surprise = 1",
        MINIMAL + "[surprise]",
        MINIMAL + "[key]\nshape = '['",
        MINIMAL + "[key]\nenv = 'TOY'",
        MINIMAL + "[key]\nenv = [1]",
        MINIMAL + "[budget]\ncalls_per_hour = true",
        MINIMAL + "[budget]\ncalls_per_hour = '60'",
        MINIMAL + '[defaults]\nFETCH = "read"',
        MINIMAL + '[defaults]\nGET = "harmless"',
        MINIMAL + '[body]\nkind = "soap"\npaths = ["/"]',
        MINIMAL + '[body]\nkind = "graphql"',
        MINIMAL + '[body]\nkind = "graphql"\npaths = ["/graphql"]\nread = ["x"]',
        MINIMAL + '[body]\nkind = "graphql"\npaths = ["/graphql"]\nharmless = ["x"]',
        MINIMAL + ROW.replace("mint", "harmless"),
        MINIMAL + ROW.replace("POST", "FETCH"),
        MINIMAL + ROW.replace("/v1/keys", "v1/keys"),
        MINIMAL + ROW.replace("/v1/keys", "/{a...}/{b...}"),
        MINIMAL + ROW.replace("/v1/keys", "/{a}{b}"),
        MINIMAL + ROW.replace('["/v1/keys"]', "[]"),
        MINIMAL + ROW.replace("https://toy", "http://toy"),
        MINIMAL + ROW + 'note = "x"',
        MINIMAL + ROW + 'gives = { secret = "lower" }',
        MINIMAL + OPERATION.replace("SECRET", "lower"),
        MINIMAL + OPERATION.replace('a = "SECRET"', ""),
        MINIMAL + OPERATION.replace("https", "http"),
        MINIMAL + OPERATION + "more = 1",
        MINIMAL + ROW.replace("mint", "write") + 'gives = { secret = "TOY_SECRET" }',
        MINIMAL + ROW.replace('methods = ["POST"]', "") + 'gives = { secret = "TOY_SECRET" }',
        "not toml",
    ],
)
def test_a_malformed_pack_is_refused(text: str) -> None:
    """Unknown keys, other types and unknown words are faults of the pack, found when it is read."""
    with pytest.raises(PackError):
        parse("toy", text)
