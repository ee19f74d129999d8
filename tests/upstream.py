"""A hostile upstream: a real HTTP/1.1 server on loopback, over TLS unless told otherwise, that misbehaves on request.

    with Upstream(key=b"sk_live_…") as up:
        … call https://api.test:{up.port}/echo with the CA up.ca_pem, pinned to 127.0.0.1 …
        assert up.requests[-1].header("authorization") == "Bearer sk_live_…"

It runs in a thread of its own on raw bytes, since no proper server would send what these routes send. `ROUTES` lists
them; `up.route("/mine")` adds one. With a key, a request that carries it nowhere is answered 401.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import html
import json
import ssl
import threading
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, quote, urlsplit

import trustme

if TYPE_CHECKING:
    import socket

MIB = 1 << 20
NAME = "api.test"


@dataclass(frozen=True)
class Received:
    """A request as it came off the wire. `connection` counts TCP connections, `sni` is the name asked for in TLS."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    connection: int
    sni: str | None

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, list[str]]:
        """The query, decoded."""
        return parse_qs(urlsplit(self.target).query, keep_blank_values=True)

    def header(self, name: str) -> str | None:
        """The one value of header `name` (lower case); None if absent, an error if sent twice."""
        values = [value for given, value in self.headers if given == name]
        if len(values) > 1:
            raise AssertionError(f"{name} was sent {len(values)} times")
        return values[0] if values else None


@dataclass
class Peer:
    """What a route answers with: raw bytes, or a proper response."""

    writer: asyncio.StreamWriter
    key: bytes
    keep: bool = True

    async def raw(self, data: bytes) -> None:
        """Send `data` as it is; raises `ConnectionError` once the client is gone."""
        self.writer.write(data)
        await self.writer.drain()
        await asyncio.sleep(0)  # `drain` alone need not let the loop notice that nobody listens
        if self.writer.transport.is_closing():
            raise ConnectionError

    async def reply(
        self, body: bytes = b"", *, status: str = "200 OK", headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        """Send a response with a length."""
        fields = "".join(f"{name}: {value}\r\n" for name, value in headers)
        await self.raw(f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n{fields}\r\n".encode() + body)

    async def json(self, value: object, *, status: str = "200 OK") -> None:
        """Send a JSON response."""
        await self.reply(json.dumps(value).encode(), status=status, headers=(("content-type", "application/json"),))

    async def chunk(self, data: bytes) -> None:
        """Send one chunk of a chunked body; b"" ends it."""
        await self.raw(b"%x\r\n%s\r\n" % (len(data), data))

    async def start(self, *headers: tuple[str, str]) -> None:
        """Send the head of a chunked response."""
        fields = "".join(f"{name}: {value}\r\n" for name, value in headers)
        await self.raw(f"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n{fields}\r\n".encode())

    def close(self) -> None:
        """Close the connection after this request."""
        self.keep = False


Route = Callable[[Received, Peer], Awaitable[None]]
ROUTES: dict[str, Route] = {}


def _route(path: str) -> Callable[[Route], Route]:
    def add(route: Route) -> Route:
        ROUTES[path] = route
        return route

    return add


def encodings(key: bytes) -> dict[str, str]:
    """`key` as servers have been seen to give it back, by the name of the encoding."""
    text = key.decode("latin-1")
    encoded = base64.b64encode(key).decode()
    return {
        "raw": text,
        "base64": encoded,
        "base64 unpadded": encoded.rstrip("="),
        "base64 url": base64.urlsafe_b64encode(key).decode(),
        "base64 offset 1": base64.b64encode(b"x" + key).decode(),
        "base64 offset 2": base64.b64encode(b"xy" + key).decode(),
        "base64 wrapped": "\n".join(encoded[i : i + 16] for i in range(0, len(encoded), 16)),
        "base64 of user:key": base64.b64encode(b"user:" + key).decode(),
        "hex": key.hex(),
        "hex upper": key.hex().upper(),
        "url": quote(key, safe=""),
        "url all": "".join(f"%{byte:02x}" for byte in key),
        "url twice": quote(quote(key, safe=""), safe=""),
        "json escaped": "".join(f"\\u{byte:04x}" for byte in key),
        "html": html.escape(text),
        "html all": "".join(f"&#{byte};" for byte in key),
        "reversed": text[::-1],
    }


@_route("/echo")
async def echo(request: Received, peer: Peer) -> None:
    """Everything that came, as JSON, the credential included."""
    await peer.json(
        {
            "method": request.method,
            "target": request.target,
            "headers": dict(request.headers),
            "body": request.body.decode("latin-1"),
        }
    )


@_route("/encodings")
async def encoded(_request: Received, peer: Peer) -> None:
    """The key in every encoding of `encodings`."""
    await peer.json(encodings(peer.key))


@_route("/head-echo")
async def head_echo(_request: Received, peer: Peer) -> None:
    """The key in the status line, a header, a cookie and an error page."""
    text = peer.key.decode("latin-1")
    headers = (
        ("x-your-key", text),
        ("set-cookie", f"token={text}; Path=/"),
        ("www-authenticate", f'Bearer e="{text}"'),
    )
    await peer.reply(f"<p>bad key {text}</p>".encode(), status=f"403 Bad {text}", headers=headers)


@_route("/split")
async def split(_request: Received, peer: Peer) -> None:
    """The key in chunks of one byte, each a packet."""
    await peer.start(("content-type", "text/plain"))
    for byte in b"key=" + peer.key + b";":
        await peer.chunk(bytes([byte]))
    await peer.chunk(b"")


@_route("/redirect")
async def redirect(request: Received, peer: Peer) -> None:
    """302 to the query's `to`, by default the metadata service, with the key in the target."""
    to = request.query.get("to", ["http://169.254.169.254/latest/?k=" + peer.key.decode("latin-1")])[0]
    await peer.reply(b"moved", status="302 Found", headers=(("location", to),))


@_route("/cookie")
async def cookie(_request: Received, peer: Peer) -> None:
    """A cookie that a client with a jar would send back."""
    await peer.reply(b"{}", headers=(("set-cookie", "session=abc; Path=/"),))


@_route("/hang")
async def hang(_request: Received, _peer: Peer) -> None:
    """Nothing, for ever."""
    await asyncio.sleep(3600)


@_route("/hang-body")
async def hang_body(_request: Received, peer: Peer) -> None:
    """A head and one byte of body, then nothing."""
    await peer.raw(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nx")
    await asyncio.sleep(3600)


@_route("/drip")
async def drip(_request: Received, peer: Peer) -> None:
    """One byte every 50 ms, for ever: each is progress, the whole never ends."""
    await peer.start()
    while True:
        await peer.chunk(b".")
        await asyncio.sleep(0.05)


@_route("/big")
async def big(request: Received, peer: Peer) -> None:
    """The query's `bytes` of text, 1 GiB by default, with the key at the very end."""
    size = int(request.query.get("bytes", [str(1024 * MIB)])[0])
    await peer.raw(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n\r\n" % (size + len(peer.key))
    )
    block = (b"0123456789abcdef" * 4096)[: 64 << 10]
    for start in range(0, size, len(block)):
        await peer.raw(block[: size - start])
    await peer.raw(peer.key)


@_route("/bomb")
async def bomb(_request: Received, peer: Peer) -> None:
    """1 GiB of zeros, gzipped to 1 MiB."""
    member = gzip.compress(bytes(16 * MIB))
    await peer.reply(member * 64, headers=(("content-encoding", "gzip"),))


@_route("/gzip")
async def gzipped(_request: Received, peer: Peer) -> None:
    """The key in a gzipped body, though nobody asked for gzip."""
    await peer.reply(gzip.compress(b'{"key":"' + peer.key + b'"}'), headers=(("content-encoding", "gzip"),))


@_route("/deflate")
async def deflated(_request: Received, peer: Peer) -> None:
    """The key in a deflated body."""
    await peer.reply(zlib.compress(b'{"key":"' + peer.key + b'"}'), headers=(("content-encoding", "deflate"),))


@_route("/truncated-gzip")
async def truncated_gzip(_request: Received, peer: Peer) -> None:
    """A gzipped body that ends early."""
    await peer.reply(gzip.compress(b"key " + peer.key)[:-6], headers=(("content-encoding", "gzip"),))


@_route("/br")
async def brotli(_request: Received, peer: Peer) -> None:
    """A body in a coding that is not undone."""
    await peer.reply(b"\x0b\x02\x80" + peer.key + b"\x03", headers=(("content-encoding", "br"),))


@_route("/gzip-twice")
async def gzip_twice(_request: Received, peer: Peer) -> None:
    """A body coded twice over."""
    await peer.reply(gzip.compress(gzip.compress(peer.key)), headers=(("content-encoding", "gzip, gzip"),))


@_route("/garbage")
async def garbage(_request: Received, peer: Peer) -> None:
    """No HTTP at all."""
    await peer.raw(b"\x00\xff garbage " + peer.key + b"\r\n\r\n")
    peer.close()


@_route("/flood")
async def flood(_request: Received, peer: Peer) -> None:
    """Headers without end."""
    await peer.raw(b"HTTP/1.1 200 OK\r\n")
    for number in range(200_000):
        await peer.raw(b"x-%d: %s\r\n" % (number, b"y" * 100))
    await peer.raw(b"content-length: 0\r\n\r\n")


@_route("/many-headers")
async def many_headers(_request: Received, peer: Peer) -> None:
    """More headers than any answer needs, in few bytes."""
    await peer.reply(b"{}", headers=tuple((f"x{number}", "y") for number in range(1000)))


@_route("/interim")
async def interim(_request: Received, peer: Peer) -> None:
    """Interim answers without end."""
    with contextlib.suppress(ConnectionError):
        while True:
            await peer.raw(b"HTTP/1.1 100 Continue\r\n\r\n")


@_route("/trailers")
async def trailers(_request: Received, peer: Peer) -> None:
    """A chunked body with the key in a trailer."""
    await peer.start(("trailer", "x-key"))
    await peer.chunk(b"body")
    await peer.raw(b"0\r\nx-key: " + peer.key + b"\r\n\r\n")


@_route("/two-lengths")
async def two_lengths(_request: Received, peer: Peer) -> None:
    """Two lengths that contradict each other: the stuff of response smuggling."""
    await peer.raw(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 40\r\n\r\n{}")


@_route("/ahead")
async def ahead(_request: Received, peer: Peer) -> None:
    """An answer, and at once another one, to a request that was not made yet."""
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n"
    await peer.raw(answer + b"first!" + answer + b"forged")


@_route("/early")
async def early(_request: Received, peer: Peer) -> None:
    """413 and a closed connection."""
    await peer.reply(b"too large", status="413 Content Too Large", headers=(("connection", "close"),))
    peer.close()


@_route("/short")
async def short(_request: Received, peer: Peer) -> None:
    """Half of the promised body, then the end."""
    await peer.raw(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n" + b"x" * 50)
    peer.close()


@_route("/drop")
async def drop(_request: Received, peer: Peer) -> None:
    """A closed connection instead of an answer."""
    peer.close()


async def anything(request: Received, peer: Peer) -> None:
    """What every other path answers."""
    if request.method == "HEAD":
        await peer.raw(b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n")
    else:
        await peer.json({"ok": True, "method": request.method, "path": request.path})


def _server_context(cert: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    cert.configure_cert(context)
    return context


@dataclass
class Upstream:
    """See the module. `names` stand in the certificate; `ca` makes several upstreams share an authority.

    `lax` switches the check of the key off. `tls=False` speaks plain HTTP. `apart` gives each name a certificate of its
    own, chosen by SNI. `sock` is what to listen on instead of `host` and `port`.
    """

    key: bytes = b""
    names: tuple[str, ...] = (NAME,)
    ca: trustme.CA = field(default_factory=trustme.CA)
    tls: bool = True
    lax: bool = False
    host: str = "127.0.0.1"
    cert: trustme.LeafCert | None = None
    apart: bool = False
    sock: socket.socket | None = None
    port: int = 0
    requests: list[Received] = field(default_factory=list)
    accepted: int = 0  # TCP connections, also those whose client broke TLS off
    connections: int = 0
    alive: int = 0  # of the connections those that are open

    def __post_init__(self) -> None:
        """Prepare; nothing listens yet."""
        self._routes = dict(ROUTES)
        self._snis: dict[int, str | None] = {}
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)

    @property
    def ca_pem(self) -> str:
        """The authority's certificate."""
        return self.ca.cert_pem.bytes().decode()

    @property
    def origin(self) -> str:
        """The URL under which a client that knows the name would find it."""
        return f"{'https' if self.tls else 'http'}://{self.names[0]}:{self.port}"

    def route(self, path: str) -> Callable[[Route], Route]:
        """Decorate a coroutine function that answers `path` on this upstream alone."""

        def add(route: Route) -> Route:
            self._routes[path] = route
            return route

        return add

    def __enter__(self) -> Self:
        """Listen, on a port of the system's choice unless one was given."""
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("the upstream did not start")
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, cutting every connection."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._loop.set_exception_handler(lambda *_: None)  # a client that breaks off is what tests are about
        tasks: set[asyncio.Task[None]] = set()

        async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            if task is not None:
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            self.alive += 1
            with contextlib.suppress(OSError, EOFError, ValueError, asyncio.CancelledError):
                await self._serve(reader, writer)
            self.alive -= 1
            writer.transport.abort()

        def protocol() -> asyncio.StreamReaderProtocol:
            self.accepted += 1
            return asyncio.StreamReaderProtocol(asyncio.StreamReader(limit=MIB), accepted)

        place: dict[str, Any] = {"sock": self.sock} if self.sock else {"host": self.host, "port": self.port}
        server = await self._loop.create_server(
            protocol, ssl=self._context() if self.tls else None, backlog=512, **place
        )
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _context(self) -> ssl.SSLContext:
        context = _server_context(self.cert or self.ca.issue_cert(*self.names))
        own = {name: _server_context(self.ca.issue_cert(name)) for name in self.names} if self.apart else {}

        def seen(tls: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
            self._snis[id(tls)] = name
            tls.context = own.get(name or "", context)

        context.sni_callback = seen  # called with an SSLObject under asyncio
        return context

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        sni = self._snis.pop(id(writer.get_extra_info("ssl_object")), None)
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            line, *fields = head[:-4].split("\r\n")
            method, target, _ = line.split(" ", 2)
            headers = [(name.lower(), value.strip()) for name, _, value in (f.partition(":") for f in fields)]
            if (target.partition("?")[0], method) == ("/early", "POST"):
                body = b""
            else:
                body = await reader.readexactly(int(dict(headers).get("content-length", "0")))
            request = Received(method, target, headers, body, number, sni)
            self.requests.append(request)
            peer = Peer(writer, self.key)
            if self.lax or self._knows(request):
                await self._routes.get(request.path, anything)(request, peer)
            else:
                await peer.json({"error": "no valid key"}, status="401 Unauthorized")
            if not peer.keep:
                return

    def _knows(self, request: Received) -> bool:
        """Whether the key is in the request: in the target, a header, or a Basic pair."""
        key = self.key.decode("latin-1")
        places = [request.target, *(value for _, value in request.headers)]
        for value in list(places):
            kind, _, pair = value.partition(" ")
            if kind.lower() == "basic":
                with contextlib.suppress(ValueError):
                    places.append(base64.b64decode(pair).decode("latin-1"))
        return any(key in place or quote(key, safe="") in place for place in places)
