"""AWS Signature Version 4: the request is signed with the secret key, which does not travel.

Rules of this file
- What is signed is what is sent: path and query in the encoding of the request line, every header that no hop changes.
- A signature of the agent's own is left out of the plan (`OWN`): tools sign whatever they send, and this connection
  signs anew. What is spelled so that only some servers take it for a part of one is refused.
- S3 differs twice: its path is encoded once and not twice, and the body's digest is a header.

Written after AWS's "Create a signed AWS API request"; checked against AWS's own vectors and botocore.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from brokers.contract import BrokerError
from brokers.http.auth import SLASH, document, misspelt, only, visible, with_header, written

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from brokers.contract import Credential
    from brokers.message import Moment, Request, Response

_ALGORITHM = "AWS4-HMAC-SHA256"
_PART = re.compile(r"[a-z0-9-]{1,64}")  # of a scope: `execute-api`, `eu-central-1`
_KEY_ID = re.compile(r"[\x21-\x2b\x2d\x2e\x30-\x7e]{1,128}")  # no comma, no slash: both would end it in the header
_ENCODED_ONCE = frozenset({"s3", "s3-object-lambda", "s3-outposts"})
_UNSIGNED = frozenset({"accept-encoding", "connection", "expect", "user-agent", "x-amzn-trace-id"})  # hops change them
_OURS = re.compile(r"x-amz-(algorithm|credential|date|expires|security-token|signature|signedheaders)", re.IGNORECASE)
# Names of a signature's parts, as parameters and as headers, which a call is planned without.
OWN = frozenset(
    {
        *("x-amz-algorithm", "x-amz-content-sha256", "x-amz-credential", "x-amz-date"),
        *("x-amz-expires", "x-amz-security-token", "x-amz-signature", "x-amz-signedheaders"),
    }
)
_PLAIN = "-_.~"  # what AWS never encodes, beside letters and digits
_BLANKS = re.compile(r" +")
_MEMBERS = (
    ("AccessKeyId", "aws_access_key_id"),
    ("SecretAccessKey", "aws_secret_access_key"),
    ("SessionToken", "aws_session_token"),
)


class Keys(NamedTuple):
    """Who signs, and with what. It holds the secret key, so it is made where it is used."""

    key_id: str
    secret: str
    session: str


class Sigv4:
    """Options: `service` and `region`, as they stand in a scope.

    One secret: the secret access key, with the key id in slot `access_key_id` and, of temporary keys, the token in slot
    `session_token`. Or all of it in the one: `ID:SECRET`, or JSON as `aws sts` prints it.
    """

    name = "sigv4"
    slots: tuple[str, ...] = ("secret_access_key",)
    spelling = "sigv4:SERVICE/REGION"
    reads_answers = False

    def parse(self, rest: str) -> dict[str, str]:
        """Service and region."""
        service, mark, region = rest.partition("/")
        if not mark:
            misspelt()
        return {"service": service, "region": region}

    def spell(self, options: Mapping[str, str]) -> str:
        """See `parse`."""
        return f"{options['service']}/{options['region']}"

    def check(self, options: Mapping[str, str]) -> None:
        """Demand both."""
        only(options, ("service", "region"))
        if not all(_PART.fullmatch(options.get(name, "")) for name in ("service", "region")):
            raise BrokerError("options", why="sigv4 takes a service and a region, like s3/eu-central-1")

    def flow(
        self, request: Request, credential: Credential, options: Mapping[str, str]
    ) -> Generator[Request, Response, None]:
        """Yield the request with its date and signature."""
        self.check(options)
        _refuse_signed(request)
        moment, keys = request.moment, keys_of(credential)
        stamp = datetime.fromtimestamp(int(moment.now), UTC).strftime("%Y%m%dT%H%M%SZ")
        digest = hashlib.sha256(request.body).hexdigest()
        made = with_header(request, "x-amz-date", stamp)
        if options["service"] in _ENCODED_ONCE:
            made = with_header(made, "x-amz-content-sha256", digest)
        if keys.session:
            made = with_header(made, "x-amz-security-token", keys.session)
        names, canonical = canonical_request(made, moment, digest, once=options["service"] in _ENCODED_ONCE)
        scope = f"{stamp[:8]}/{options['region']}/{options['service']}/aws4_request"
        text = "\n".join((_ALGORITHM, stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()))
        signature = hmac.new(_signing_key(keys.secret, scope), text.encode(), "sha256").hexdigest()
        value = f"{_ALGORITHM} Credential={keys.key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
        yield with_header(made, "authorization", value)

    def forms(self, credential: Credential, options: Mapping[str, str]) -> tuple[bytes, ...]:
        """The secret key and the session token, where they are parts of the one secret."""
        del options
        keys = keys_of(credential)
        return tuple(part.encode() for part in (keys.secret, keys.session) if part)


def keys_of(credential: Credential) -> Keys:
    """The keys in the slots that are declared. Raises `BrokerError("credential")`."""
    if "access_key_id" in credential.slots:
        key_id, secret, session = visible(credential["access_key_id"]), visible(credential["secret_access_key"]), ""
    else:
        key_id, secret, session = _all_in_one(document(credential["secret_access_key"]))
    if "session_token" in credential.slots:
        session = visible(credential["session_token"])
    texts = (key_id, secret, session or "x")
    if not _KEY_ID.fullmatch(key_id) or not all(text.isascii() and text.isprintable() and text for text in texts):
        raise BrokerError("credential", why="an access key has an id and a secret of visible ASCII")
    return Keys(key_id, secret, session)


def _all_in_one(text: str) -> Keys:
    if not text.startswith("{"):
        key_id, mark, secret = text.partition(":")
        if not mark:
            raise BrokerError("credential", why="without a slot access_key_id, the value reads ID:SECRET or is JSON")
        return Keys(key_id, secret, "")
    try:
        members = json.loads(text)
    except (ValueError, RecursionError):
        members = None
    members = members.get("Credentials", members) if isinstance(members, dict) else None
    found = [_member(members, *names) for names in _MEMBERS] if isinstance(members, dict) else [""]
    if not all(found[:2]):
        raise BrokerError("credential", why="the JSON has no AccessKeyId and SecretAccessKey")
    return Keys(*found)


def _member(members: Mapping[str, object], *names: str) -> str:
    value = next((members[name] for name in names if name in members), "")
    return value if isinstance(value, str) else ""


def _refuse_signed(request: Request) -> None:
    named = [("headers", name) for name, _ in request.headers] + [("query", name) for name, _ in request.query]
    for argument, name in named:
        if _OURS.fullmatch(name.strip().replace("_", "-")):
            raise BrokerError("argument", argument=argument, why="the connection signs the request, and nobody else")


def canonical_request(request: Request, moment: Moment, digest: str, *, once: bool) -> tuple[str, str]:
    """The names of the signed headers and the canonical request, as AWS's documentation has them."""
    path = _strict_path(request, moment) if once else quote(written(request, moment.base)[0], safe=f"/{_PLAIN}")
    pairs = sorted((quote(name, safe=_PLAIN), quote(value, safe=_PLAIN)) for name, value in request.query)
    query = "&".join(f"{name}={value}" for name, value in pairs)
    headers = {name: _BLANKS.sub(" ", value.strip()) for name, value in request.headers if name not in _UNSIGNED}
    signed = sorted({**headers, "host": moment.authority}.items())
    names = ";".join(name for name, _ in signed)
    lines = "".join(f"{name}:{value}\n" for name, value in signed)
    return names, f"{request.method}\n{path}\n{query}\n{lines}\n{names}\n{digest}"


def _strict_path(request: Request, moment: Moment) -> str:
    # S3 reads an object's key and encodes it itself, all but the unreserved characters; a path on its way keeps more.
    segments = [*moment.base, *(segment.replace(SLASH, "/") for segment in request.path.split("/")[1:])]
    return "".join(f"/{quote(segment, safe=_PLAIN)}" for segment in segments)


def _signing_key(secret: str, scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), "sha256").digest()
    return key
