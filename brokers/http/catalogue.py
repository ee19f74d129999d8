"""The catalogue of known HTTP services: one TOML file each in `providers/`, and nothing else needed to add one.

    name = "stripe"                      # the file's name; a-z 0-9 _ -
    title = "Stripe"
    origin = "https://api.stripe.com"    # or `origin_needed = true`: every tenant has its own, a person gives it; what
                                         # stands in braces, https://{region}.x.test, a person gives by --option
    like = ""                            # a pack whose headers, defaults, bodies and rows are this one's too
    base_path = ""                       # prefix of every path of a connection; the patterns lie beneath it
    encoded_slash = false                # true: a segment of a call's path may hold a slash, as %2F
    docs = "https://docs.stripe.com/api"
    verified = "2026-11"                 # when the whole reference was read for rows; left out where some are, or none
    [auth]
    scheme = "bearer"                    # basic, bearer, header, path, query, several
    options = {}                         # the scheme's own
    open = []                            # those of them that a person gives by --option
    [origins]                            # other origins, by the value of the first open option
    iam = "https://iam.amazonaws.com"
    [headers]                            # fixed ones that the service requires; the agent's own win
    [key]
    env = ["STRIPE_SECRET_KEY"]          # names under which people keep this key
    slots = {}                           # instead of `env`, for `several`: {slot = [names]}
    distinctive = 'sk_[a-z]{4}_[0-9A-Z]{9,99}'  # what only this service's keys look like, whole: enough without a name
    shape = '[0-9a-f]{32}'               # what else the value may look like; with neither, anything goes with the name
    [defaults]                           # effect by method where no row matches; HTTP's meaning where left out
    POST = "write"
    [budget]
    calls_per_hour = 600                 # for services whose reads cost money
    [body]                               # paths whose bodies say what they do
    kind = "graphql"                     # or "jsonrpc"
    paths = ["/graphql"]
    mint = ["*token*"]                   # names of mutations or methods, `*` is any text; also write, unknown, destroy
                                         # and, for jsonrpc, to the letter, read
    [[operations]]                       # of AWS: what stands in the answer of one that makes credentials
    service = "iam"
    name = "CreateAccessKey"
    gives = {"A.B" = "IAM_ACCESS_KEY"}   # as of an endpoint
    doc = "https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateAccessKey.html"
    [[endpoints]]                        # last in the file
    effect = "mint"                      # of several matching rows the most severe one counts
    methods = ["POST"]                   # left out: any
    paths = ["/v1/webhook_endpoints"]    # patterns, see `pattern`
    gives = {secret = "WEBHOOK_SECRET"}  # members of the answer that are new credentials, and what each is called
    doc = "https://docs.stripe.com/api/webhook_endpoints/create"

What the classes mean here: `mint` creates, changes or *hands out* credentials and persistence (keys, tokens,
webhooks, members, exports); `destroy` deletes what cannot be had back or moves money out.

Rules of this file
- Lazy: one file at a time, by name. Recognising a value reads no row of any file.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from brokers.contract import BrokerError
from brokers.http.pack import Auth, Body, Endpoint, Pack, PackError, parse

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

MAX_KEY = 8192  # bytes of a value that is compared with shapes: no service's key is longer

_ROWS = "\n[[endpoints]]\n"
_SUFFIX = ".toml"

__all__ = ["Auth", "Body", "Endpoint", "Pack", "PackError", "listing", "load", "names", "recognise"]


@cache
def names() -> tuple[str, ...]:
    """Every provider's name, sorted."""
    found = (entry.name for entry in _folder().iterdir())
    return tuple(sorted(name.removesuffix(_SUFFIX) for name in found if name.endswith(_SUFFIX)))


@cache  # any agent may ask for it, as often as it likes
def listing() -> tuple[dict[str, object], ...]:
    """Every provider, as agents and people are told of it: `name`, `title`, `docs`, `env`."""
    packs = (load(name) for name in names())
    return tuple({"name": p.name, "title": p.title, "docs": p.docs, "env": list(p.env)} for p in packs)


def load(name: str) -> Pack:
    """The pack of that name. Raises `BrokerError("options")` where there is none, `PackError` where it is malformed."""
    if name not in names():
        raise BrokerError("options", why="the catalogue has no provider of this name")
    return _load(name)


def recognise(name: str, value: bytes) -> Pack | None:
    """The service that a secret belongs to, by the last part of its name and by what the value looks like.

    A well-known name suffices unless the value contradicts it; a value alone only where its shape is distinctive.
    In doubt there is no answer and the person is asked: a key sent to the wrong service is a key given away.
    """
    if len(value) > MAX_KEY or not value.isascii():
        return None
    known, text = name.rpartition("/")[2].upper(), value.decode("ascii")
    heads = [_head(each) for each in names()]
    by_name = [pack for pack in heads if known in pack.env]
    by_shape = [pack for pack in heads if pack.distinctive and pack.distinctive.fullmatch(text)]
    found = by_name or by_shape
    if len(found) != 1 or (by_shape and by_shape != found):
        return None
    shape = found[0].shape or found[0].distinctive
    if not by_shape and shape and not shape.fullmatch(text):
        return None
    return load(found[0].name)


def _folder() -> Traversable:
    return files("brokers.http") / "providers"


def _read(name: str) -> str:
    return (_folder() / f"{name}{_SUFFIX}").read_text(encoding="utf-8")


@cache
def _load(name: str) -> Pack:
    pack = parse(name, _read(name))
    if not pack.like:
        return pack
    other = _load(pack.like)
    return replace(
        pack,
        headers=other.headers,
        defaults=other.defaults,
        body=other.body,
        operations=other.operations,
        endpoints=other.endpoints,
        verified=other.verified,
    )


@cache
def _head(name: str) -> Pack:
    """The pack without its rows: enough to recognise it, and a tenth of the reading."""
    return parse(name, _read(name).partition(_ROWS)[0])
