"""Requests signed with a shared secret, after a person's template: webhooks as GitHub and Stripe sign them, exchanges.

Rules of this file
- The payload is filled in one pass, so that nothing a call contains is read as a placeholder.
- What stands in a template and is written into the request is written first: the signature is over what is sent.
- The secret signs and does not travel. An id that goes with it is a secret in a slot of its own.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from typing import TYPE_CHECKING

from brokers.contract import BrokerError
from brokers.http.auth import spelled, visible, written
from brokers.http.auth.totp import place, put

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from brokers.contract import Credential
    from brokers.message import Request, Response

_OPTIONS = ("payload", "value", "algorithm", "encoding", "secret", "timestamp", "unit", "nonce", "key")
_ALGORITHMS = frozenset({"sha1", "sha256", "sha512"})
_PAYLOAD = re.compile(rb"\{(method|host|path|query|target|timestamp|nonce|key|body)\}")
_VALUE = re.compile(r"\{(timestamp|nonce|key|signature)\}")
_PLACES = ("timestamp", "nonce", "key")  # options that say where something beside the signature is written
_BRACE = re.compile(r"[{}]")


class HmacSigning:
    r"""One secret, and an id in slot `key` where the option `key` says where it goes (or a template has `{key}`).

    Options: `place` of the signature; `payload`, what is signed: text with `{method}`, `{host}`, `{path}`, `{query}`,
    `{target}` (path and query as in the request line), `{timestamp}`, `{nonce}`, `{key}` and `{body}`; `\n` is a line
    end. `value` is what is written (`sha256={signature}`), `algorithm` sha256, sha1 or sha512, `encoding` hex or
    base64, `secret` text or base64, `unit` of the timestamp s or ms; `timestamp`, `nonce` and `key` are places.
    """

    name = "hmac"
    slots: tuple[str, ...] = ("secret",)
    spelling = "hmac:PLACE,payload=TEMPLATE[,value=…,algorithm=…,encoding=…,timestamp=PLACE,nonce=PLACE,key=PLACE,…]"
    reads_answers = False

    def parse(self, rest: str) -> dict[str, str]:
        """The signature's place, then the others by name."""
        return spelled.read(rest, "place", *_OPTIONS)

    def spell(self, options: Mapping[str, str]) -> str:
        """See `parse`."""
        return spelled.write(options, "place")

    def check(self, options: Mapping[str, str]) -> None:
        """Demand places of their own, and templates without unknown placeholders."""
        spelled.check(options, ("place", "payload"), _OPTIONS)
        places = [place(options[name]) for name in ("place", *_PLACES) if name in options]
        if len(set(places)) != len(places):
            raise BrokerError("options", why="two things cannot stand in one place")
        payload, value = options["payload"].encode(), options.get("value", "{signature}")
        if _BRACE.search(_PAYLOAD.sub(b"", payload).decode()) or _BRACE.search(_VALUE.sub("", value)):
            raise BrokerError("options", why="the template has a placeholder that is not known")
        if "{signature}" not in value:
            raise BrokerError("options", why="value has {signature} in it")
        if options.get("algorithm", "sha256") not in _ALGORITHMS:
            raise BrokerError("options", why="algorithm is sha256, sha1 or sha512")
        for name, words in (("encoding", {"hex", "base64"}), ("secret", {"text", "base64"}), ("unit", {"s", "ms"})):
            if name in options and options[name] not in words:
                raise BrokerError("options", why="encoding is hex or base64, secret text or base64, unit s or ms")

    def flow(
        self, request: Request, credential: Credential, options: Mapping[str, str]
    ) -> Generator[Request, Response, None]:
        """Yield the request with its signature, and what goes with it."""
        self.check(options)
        parts = _parts(request, credential, options)
        for name in _PLACES:
            if name in options:
                request = put(request, options[name], parts[name].decode())
        path, query = written(request, request.moment.base)
        whole = f"{path}?{query}" if query else path
        parts |= {"path": path.encode(), "query": query.encode(), "target": whole.encode()}
        template = options["payload"].replace("\\n", "\n").encode()
        payload = _PAYLOAD.sub(lambda found: parts[found[1].decode()], template)
        digest = hmac.new(_key(credential, options), payload, options.get("algorithm", "sha256")).digest()
        signed = digest.hex() if options.get("encoding", "hex") == "hex" else base64.b64encode(digest).decode()
        texts = {**{name: parts[name].decode() for name in _PLACES}, "signature": signed}
        value = _VALUE.sub(lambda found: texts[found[1]], options.get("value", "{signature}"))
        yield put(request, options["place"], value)

    def forms(self, credential: Credential, options: Mapping[str, str]) -> tuple[bytes, ...]:
        """None: the secret does not travel, and its base64 is met as that."""
        del credential, options
        return ()


def _parts(request: Request, credential: Credential, options: Mapping[str, str]) -> dict[str, bytes]:
    moment = request.moment
    now = int(moment.now * 1000) if options.get("unit") == "ms" else int(moment.now)
    used = "key" in options or any("{key}" in options.get(name, "") for name in ("payload", "value"))
    return {
        "method": request.method.encode(),
        "host": moment.authority.encode(),
        "timestamp": str(now).encode(),
        "nonce": moment.nonce.encode(),
        "key": visible(credential["key"]).encode() if used else b"",
        "body": request.body,
    }


def _key(credential: Credential, options: Mapping[str, str]) -> bytes:
    value = visible(credential["secret"])
    if options.get("secret", "text") == "text":
        return value.encode()
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error:
        raise BrokerError("credential", why="the value is not base64") from None
