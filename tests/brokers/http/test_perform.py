"""Calls against a hostile upstream: what it received, and what came back."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

import pytest
from http_world import KEY, broker, call, calls, connection, lent, opened, refused, to
from upstream import NAME, Peer, Received, Upstream, encodings

from brokers.conformance import BrokerSuite
from brokers.contract import Broker, BrokerError, Connection, Credential
from brokers.http import transport
from brokers.http.broker import HttpBroker
from brokers.message import Request, Response

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence


@pytest.fixture(scope="module")
def served() -> Iterator[Upstream]:
    """One upstream for the module."""
    with Upstream(key=KEY) as up:
        yield up


@pytest.fixture
def up(served: Upstream) -> Upstream:
    """The upstream, with nothing received yet."""
    served.requests.clear()
    return served


class TestHttpBroker(BrokerSuite):
    """The HTTP broker keeps the suite of all brokers."""

    arguments: ClassVar[Mapping[str, object]] = {"method": "GET", "path": "/v1/things", "query": {"limit": 3}}
    refused: ClassVar[Sequence[Mapping[str, object]]] = (
        {"no such argument": 1},
        {"path": "//evil.test"},
        {"method": "CONNECT"},
        {"headers": {"authorization": "x"}},
        {"timeout": 1000},
    )

    def broker(self) -> Broker:
        """A new broker."""
        return broker()

    @contextmanager
    def reachable(self) -> Iterator[tuple[Connection, Credential]]:
        """An upstream."""
        with Upstream(key=KEY) as up:
            yield to(up), lent()

    def unreachable(self) -> tuple[Connection, Credential]:
        """A loopback port that nobody listens on."""
        return connection("https://api.test:1"), lent()

    def with_text(self, text: str) -> Sequence[Mapping[str, object]]:
        """Path, query name and value, header, and every kind of body."""
        post = {"method": "POST"}
        return (
            {"path": f"/{text}"},
            {"path": f"/x?a={text}"},
            {"query": {text: "1"}},
            {"query": {"a": text}},
            {"headers": {"x": text}},
            {**post, "json": {"a": [text]}},
            {**post, "json": {text: 1}},
            {**post, "text": text},
            {**post, "form": {"a": text}},
            {**post, "base64": base64.b64encode(text.encode()).decode()},
        )


def test_what_was_planned_is_what_arrives(up: Upstream) -> None:
    """Method, path, query, headers and body arrive byte for byte, with the credential added once."""
    conn = to(up, base_path="/v1")
    [done] = calls(
        conn,
        "/a b/é?x=1&y=%26",
        method="POST",
        headers={"Idempotency-Key": "k1"},
        json={"amount": 4200},
    )
    [seen] = up.requests
    assert done.status == 200
    assert (seen.method, seen.target) == ("POST", "/v1/a%20b/%C3%A9?x=1&y=%26")
    assert seen.body == b'{"amount":4200}'
    assert seen.headers == [
        ("host", f"{NAME}:{up.port}"),
        ("accept-encoding", "identity"),
        ("accept", "*/*"),
        ("content-type", "application/json"),
        ("idempotency-key", "k1"),
        ("user-agent", "kv"),
        ("authorization", f"Bearer {KEY.decode()}"),
        ("content-length", "15"),
    ]
    assert seen.sni == NAME


@pytest.mark.parametrize(
    ("auth", "options", "slots"),
    [
        ("bearer", {}, ["secret"]),
        ("basic", {"user": "ada"}, ["secret"]),
        ("header", {"name": "X-Api-Key"}, ["secret"]),
        ("query", {"name": "key"}, ["secret"]),
        ("path", {"template": "/bot{secret}"}, ["secret"]),
        ("several", {"one": "header:x-one", "two": "query:two"}, ["one", "two"]),
    ],
)
def test_every_scheme_is_let_in(up: Upstream, auth: str, options: dict[str, str], slots: list[str]) -> None:
    """The upstream finds the key where the connection says it goes."""
    assert [done.status for done in calls(to(up, auth=auth, options=options, slots=slots), "/v1/x?a=1")] == [200]


def test_without_the_key_nobody_is_let_in(up: Upstream) -> None:
    """The upstream of these tests does check: a wrong key is a 401."""
    assert calls(to(up), "/v1/x", key=b"sk_wrong_0000")[0].status == 401


def test_the_path_scheme_stays_beneath_the_base_path(up: Upstream) -> None:
    """Base path, then the template, then the call's path."""
    calls(to(up, auth="path", options={"template": "/bot{secret}"}, base_path="/api"), "/getMe")
    assert up.requests[0].target == f"/api/bot{KEY.decode()}/getMe"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"])
def test_every_method_works(up: Upstream, method: str) -> None:
    """Each method arrives as itself; an empty POST says that it is empty."""
    [done] = calls(to(up), "/v1/x", method=method)
    assert (done.status, up.requests[0].method) == (200, method)
    assert up.requests[0].header("content-length") == ("0" if method in {"POST", "PUT", "PATCH"} else None)


def test_large_bodies_travel_both_ways(up: Upstream) -> None:
    """Sixteen megabytes out, ten in."""
    [done] = calls(to(up), "/v1/x", method="PUT", text="x" * (16 << 20))
    assert (done.status, len(up.requests[0].body)) == (200, 16 << 20)
    up.requests.clear()
    [done] = calls(to(up), f"/big?bytes={10 << 20}")
    assert len(done.body) == (10 << 20) + len(KEY)


def test_an_early_answer_to_a_large_body_arrives(up: Upstream) -> None:
    """A server that says 413 without reading is heard, or it broke off; the call does not hang."""
    try:
        assert calls(to(up), "/early", method="POST", text="x" * (1 << 20))[0].status == 413
    except BrokerError as error:
        assert error.code == "broken"  # noqa: PT017 - a reset may overtake the answer


def test_answers_come_back_whole_and_unredacted(up: Upstream) -> None:
    """Redaction is not the broker's: every form of the key comes back, for the redactor to find."""
    plain, head, split = calls(to(up), "/encodings", "/head-echo", "/split")
    assert json.loads(plain.body) == encodings(KEY)
    assert head.status == 403
    assert head.reason == f"Bad {KEY.decode()}"
    assert head.header("x-your-key") == KEY.decode()
    assert split.body == b"key=" + KEY + b";"


def test_redirects_are_answers(up: Upstream) -> None:
    """A redirect goes back with its target, and nobody is asked there: not on another host, not on the same."""
    away, same = calls(to(up), "/redirect", "/redirect?to=/v1/elsewhere")
    assert (away.status, same.status) == (302, 302)
    assert away.header("location").startswith("http://169.254.169.254/")
    assert same.header("location") == "/v1/elsewhere"
    assert len(up.requests) == 2


def test_no_cookie_is_kept(up: Upstream) -> None:
    """What one answer sets, the next request does not carry."""
    calls(to(up), "/cookie", "/v1/x")
    assert up.requests[1].header("cookie") is None


def test_the_environment_is_not_asked(up: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a proxy, nor a netrc, nor another CA, nor a key log comes in by a variable."""
    for name in ("HTTPS_PROXY", "ALL_PROXY", "https_proxy", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("SSL_CERT_FILE", "/dev/null")
    monkeypatch.setenv("SSLKEYLOGFILE", "/proc/self/nowhere")
    assert calls(to(up), "/v1/x")[0].status == 200


@pytest.mark.parametrize("path", ["/gzip", "/deflate"])
def test_compressed_answers_are_decoded(up: Upstream, path: str) -> None:
    """What was compressed against our wish is plain before it is scanned."""
    assert calls(to(up), path)[0].body == b'{"key":"' + KEY + b'"}'


@pytest.mark.parametrize("path", ["/br", "/gzip-twice"])
def test_other_codings_are_withheld_before_any_byte(up: Upstream, path: str) -> None:
    """A coding that cannot be undone ends the call with no outcome at all."""

    async def run() -> None:
        async with opened() as through:
            await through.perform(through.plan(to(up), {"path": path}), lent())

    refused(lambda: asyncio.run(run()), "encoding")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/bomb", "encoding"),
        ("/truncated-gzip", "encoding"),
        ("/garbage", "broken"),
        ("/flood", "broken"),
        ("/many-headers", "broken"),
        ("/interim", "broken"),
        ("/two-lengths", "broken"),
        ("/short", "broken"),
        ("/drop", "broken"),
    ],
)
def test_hostile_answers_end_in_one_error(up: Upstream, path: str, code: str) -> None:
    """Bombs, floods, garbage and broken promises each end in an error of the list that quotes nothing."""
    error = refused(lambda: calls(to(up), path), code)
    assert KEY.decode() not in f"{error!r}{error.fields}"


def test_trailers_are_dropped(up: Upstream) -> None:
    """What comes after the body is not part of the answer."""
    [done] = calls(to(up), "/trailers")
    assert done.body == b"body"
    assert "x-key" not in [name for name, _ in done.headers]


def test_head_of_a_compressed_thing_has_no_body_to_decode() -> None:
    """HEAD and 304 describe a coding without having a body."""
    with Upstream(lax=True) as up:

        @up.route("/coded")
        async def coded(request: Received, peer: Peer) -> None:
            status = "200 OK" if request.method == "HEAD" else "304 Not Modified"
            await peer.raw(f"HTTP/1.1 {status}\r\ncontent-encoding: br\r\ncontent-length: 9\r\n\r\n".encode())

        assert calls(to(up), "/coded", method="HEAD")[0].status == 200
        assert calls(to(up), "/coded")[0].status == 304


@pytest.mark.parametrize("path", ["/hang", "/hang-body", "/drip"])
def test_the_deadline_is_for_the_whole_call(up: Upstream, path: str) -> None:
    """Silence before the head, within the body, or a byte now and then: the call ends when it was said to."""

    async def run() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with opened() as through:
            with pytest.raises(BrokerError) as caught:
                await call(through, to(up), path, timeout=0.4)
        assert (caught.value.code, caught.value.fields) == ("timeout", {"seconds": 1})
        return loop.time() - began

    assert 0.3 < asyncio.run(run()) < 5


def test_a_cancelled_call_frees_its_place(up: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller that goes away leaves no stream and no place taken, whether it waited or read."""
    monkeypatch.setattr(transport, "MAX_STREAMS", 2)

    async def run() -> int:
        async with opened() as through:
            for path in ("/hang", "/drip", "/hang", "/drip", "/hang"):
                task = asyncio.create_task(call(through, to(up), path))
                await asyncio.sleep(0.05)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            return (await call(through, to(up), timeout=5)).status

    assert asyncio.run(run()) == 200


def test_calls_wait_for_room_within_their_deadline(up: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """More calls than streams wait their turn; one whose time is up before says timeout."""
    monkeypatch.setattr(transport, "MAX_STREAMS", 2)

    async def run() -> list[object]:
        conn = to(up)
        async with opened() as through:
            slow = [asyncio.create_task(call(through, conn, "/hang", timeout=0.6)) for _ in range(2)]
            await asyncio.sleep(0.05)
            late = asyncio.create_task(call(through, conn, timeout=0.2))
            patient = [asyncio.create_task(call(through, conn, timeout=10)) for _ in range(10)]
            done = await asyncio.gather(*slow, late, *patient, return_exceptions=True)
        return [one.code if isinstance(one, BrokerError) else getattr(one, "status", one) for one in done]

    assert asyncio.run(run()) == ["timeout"] * 3 + [200] * 10


def test_a_gigabyte_is_not_held(up: Upstream) -> None:
    """A reader that stops after a megabyte of an endless body has cost about a megabyte."""

    async def run() -> int:
        async with opened() as through:
            outcome = await through.perform(through.plan(to(up), {"path": "/big"}), lent())
            taken = 0
            async for chunk in outcome.body:
                taken += len(chunk)
                assert len(chunk) <= 256 << 10
                if taken > 1 << 20:
                    break
            await outcome.aclose()
        return taken

    assert asyncio.run(run()) < 2 << 20


def test_plain_http_to_loopback_works_where_declared() -> None:
    """A development server without TLS is reached, by address and by name."""
    with Upstream(key=KEY, tls=False, names=("127.0.0.1",)) as up:
        assert calls(to(up, pins=()), "/v1/x")[0].status == 200
        assert calls(connection(f"http://dev.test:{up.port}"), "/v1/x")[0].status == 200
        assert up.requests[1].header("host") == f"dev.test:{up.port}"


class _TwoSteps:
    """A scheme that asks for a token first and uses what it was given."""

    name = "two-steps"
    slots: tuple[str, ...] = ("secret",)
    spelling = "two-steps"
    reads_answers = True

    def parse(self, rest: str) -> dict[str, str]:
        """Nothing stands behind it."""
        del rest
        return {}

    def spell(self, options: Mapping[str, str]) -> str:
        """See `parse`."""
        del options
        return ""

    def check(self, options: Mapping[str, str]) -> None:
        """Take any."""

    def flow(
        self, request: Request, credential: Credential, options: Mapping[str, str]
    ) -> Generator[Request, Response, None]:
        """Ask for the echo of a header first."""
        self.check(options)
        key = ("x-key", credential["secret"].expose().decode())
        answer = yield Request("GET", "/echo", (), (key, ("x-step", "one")), b"")
        token = json.loads(answer.body)["headers"]["x-step"]
        yield Request(
            request.method, request.path, request.query, (*request.headers, key, ("x-token", token)), request.body
        )

    def forms(self, credential: Credential, options: Mapping[str, str]) -> tuple[bytes, ...]:
        """None: the secret travels as it is."""
        del credential, options
        return ()


class _Endless(_TwoSteps):
    """A scheme that never has enough."""

    def flow(
        self, request: Request, credential: Credential, options: Mapping[str, str]
    ) -> Generator[Request, Response, None]:
        """Ask again and again."""
        self.check(options)
        key = ("x-key", credential["secret"].expose().decode())
        while True:
            yield Request("GET", request.path, (), (key,), b"")


def test_a_flow_may_take_several_steps(up: Upstream) -> None:
    """A scheme that reads answers gets them, all to the same origin; the last answer is the outcome, whole."""
    through = HttpBroker(lambda _: _TwoSteps(), lambda _: None)
    assert calls(to(up), "/split", through=through)[0].body == b"key=" + KEY + b";"
    assert [(seen.path, seen.header("x-token")) for seen in up.requests] == [("/echo", None), ("/split", "one")]


def test_a_flow_that_never_ends_is_ended(up: Upstream) -> None:
    """Four requests are the most one call makes."""
    through = HttpBroker(lambda _: _Endless(), lambda _: None)
    refused(lambda: calls(to(up), "/v1/x", through=through), "credential")
    assert len(up.requests) == 4


def test_a_bad_value_is_refused_before_anything_is_sent(up: Upstream) -> None:
    """A key stored with its line end is an error about the value, and no request."""
    error = refused(lambda: calls(to(up), "/v1/x", key=KEY + b"\n"), "credential")
    assert "line end" in str(error.fields["why"])
    assert up.requests == []


def test_a_missing_slot_is_refused(up: Upstream) -> None:
    """A connection that declares too few secrets is found when the call is planned, not after it was approved."""
    conn = to(up, auth="several", options={"one": "header:x-one", "two": "header:x-two"}, slots=["one"])
    refused(lambda: broker().plan(conn, {}), "credential", why="the connection declares no secret for 'two'")
    refused(lambda: broker().plan(to(up, slots=["other"]), {}), "credential")
