"""A model on loopback: an HTTP server that an AI client takes for its vendor's, and that calls the tools it is told to.

    with Model(("kv_status", {}), ("kv_api", {"provider": "echo", "path": "/echo"})) as model:
        … run a client against model.address …
        assert "200" in model.results[-1]

Rules of this file
- What it says depends on the request alone: as many results as the conversation holds, so many calls were made. The
  next one follows, and after the last a sentence. A client may ask on the side (a title, a count), twice, or anew.
- A tool is called by the name under which the client offers it. One that is not offered is searched for first, once,
  where the client has a search; a request that offers neither is one on the side.
- `asked` has every request as it came off the wire: all that the model's vendor would have got.
"""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NamedTuple, Self

from model_apis import JSON, Chat, Contents, Messages, Responses, Said

if TYPE_CHECKING:
    import socket

    from model_apis import Api

LAST = "that was all"

# How the target of a request ends, and whose API that is.
_APIS: dict[str, Api] = {
    "/messages": Messages(),
    "/responses": Responses(),
    "/chat/completions": Chat(),
    ":streamGenerateContent": Contents(),
    ":generateContent": Contents(),
}
_CALL, _SEARCH = "call_", "search_"  # how the ids of calls begin
_SEARCHES = ("tool_search", "ToolSearch")
_BY_NAME = "tool_call"  # calls what a search found, where the client keeps its list of tools as it is


class Asked(NamedTuple):
    """A request as it came off the wire."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def text(self) -> str:
        """All of it."""
        head = [f"{self.method} {self.target}", *(f"{name}: {value}" for name, value in self.headers)]
        return "\n".join([*head, self.body.decode(errors="replace")])


class Model:
    """A model that makes `calls`, one a turn, and listens on `sock` if there is one. Use as a context manager."""

    def __init__(self, *calls: tuple[str, JSON], sock: socket.socket | None = None) -> None:
        self.over = threading.Event()  # it has said its last word
        self.asked: list[Asked] = []
        self.results: list[str] = []  # what came back for each call, in the longest conversation
        self._calls = calls
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self), bind_and_activate=False)
        if sock is None:
            self._server.server_bind()
        else:
            self._server.socket.close()
            self._server.socket, self._server.server_address = sock, sock.getsockname()
        self._server.server_activate()
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def address(self) -> str:
        """The server's, without a path."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def note(self, asked: Asked) -> None:
        """Keep a request."""
        with self._lock:
            self.asked.append(asked)

    def says(self, api: Api, body: JSON) -> Said:
        """What follows in the conversation that `body` is."""
        offered, results = api.offered(body), api.results(body)
        done = [text for call, text in results.items() if call.startswith(_CALL)]
        with self._lock:
            self.results = max(self.results, done, key=len)
        if len(done) == len(self._calls):
            self.over.set()
            return Said(LAST)
        return self._wants(offered, results, *self._calls[len(done)], number=len(done))

    def _wants(self, offered: list[str], results: dict[str, str], name: str, arguments: JSON, *, number: int) -> Said:
        """A call of the tool `name`, or what has to come before it."""
        call = f"{_CALL}{number}"
        if tool := next((tool for tool in offered if tool.endswith(name)), ""):
            return Said(tool=tool, arguments=arguments, id=call)
        found = re.search(rf"[\w.-]*{name}\b", "".join(results.get(f"{_SEARCH}{name}", ())))
        if found and _BY_NAME in offered:
            return Said(tool=_BY_NAME, arguments={"name": found[0], "arguments": arguments}, id=call)
        if search := next((tool for tool in offered if tool in _SEARCHES and not found), ""):
            return Said(tool=search, arguments={"query": f"kv {name}"}, id=f"{_SEARCH}{name}")
        return Said(LAST)


def _handler(model: Model) -> type[BaseHTTPRequestHandler]:
    """What answers a request to `model`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            model.note(Asked(self.command, self.path, self.headers.items(), body))
            target = self.path.partition("?")[0]
            api = next((api for end, api in _APIS.items() if target.endswith(end)), None)
            if api is None:
                self._answer(404, "application/json", b"{}")
                return
            given = json.loads(body)
            said = model.says(api, given)
            if given.get("stream") or target.endswith(":streamGenerateContent"):
                events = "".join(_event(each) for each in api.events(said))
                self._answer(200, "text/event-stream", events.encode())
            else:
                self._answer(200, "application/json", json.dumps(api.whole(said)).encode())

        do_GET = do_HEAD = do_POST  # noqa: N815 - http.server's names

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: `asked` has it."""

    return Handler


def _event(data: JSON | str) -> str:
    """A server-sent event, named by its type where it has one."""
    if isinstance(data, str):
        return f"data: {data}\n\n"
    named = f"event: {data['type']}\n" if "type" in data else ""
    return f"{named}data: {json.dumps(data)}\n\n"
