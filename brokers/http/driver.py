"""Drive an auth scheme's flow to the answer that counts, and make the outcome of it.

Rules of this file
- Every step of a flow goes to the connection's own origin, of a minting to the one that was declared: `send` knows no
  other.
- A scheme that reads answers says so (`reads_answers = True`, as httpx's `Auth.requires_response_body`); it is
  shown the head and at most 64 KiB of body. For every other scheme the first answer is the answer.
- A token endpoint's answer is read whole or not at all, and none of it goes on but what the scheme takes.
- However a step ends, its stream is freed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokers.contract import BrokerError, Outcome
from brokers.http.decoding import coding_of, decoded
from brokers.message import Response

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator

    from brokers.contract import AuthScheme
    from brokers.http.auth.minting import Minted
    from brokers.http.transport import Answer
    from brokers.message import Request

MAX_STEPS = 4  # requests of one flow: a refused one, a refresh, the call, and one more
MAX_SHOWN = 64 << 10  # bytes of an answer that a flow reads: a token, not a download
_BODILESS = frozenset({204, 304})  # statuses whose headers describe a body that is not there (RFC 9110 section 6.4.1)


async def drive(
    scheme: AuthScheme, flow: Generator[Request, Response, None], send: Callable[[Request], Awaitable[Answer]]
) -> Outcome:
    """The outcome of the flow's last request. Raises `BrokerError`."""
    request = next(flow)
    for _ in range(MAX_STEPS):
        answer = await send(request)
        try:
            body = _body(request, answer)
            if not scheme.reads_answers:
                return _outcome(answer, body)
            shown, body = await _peek(body)
            try:
                request = flow.send(Response(answer.status, answer.headers, shown[:MAX_SHOWN]))
            except StopIteration:
                return _outcome(answer, body)
        except BaseException:
            await answer.aclose()
            raise
        await answer.aclose()
    raise BrokerError("credential", why="the auth scheme asks for more and more requests")


async def mint(flow: Generator[Request, Response, Minted], send: Callable[[Request], Awaitable[Answer]]) -> Minted:
    """The token that the flow ends with. Raises `BrokerError`."""
    try:
        request = next(flow)
        for _ in range(MAX_STEPS):
            request = flow.send(await exchange(request, send))
    except StopIteration as done:
        made: Minted = done.value
        return made
    raise BrokerError("credential", why="the auth scheme asks for more and more requests")


async def exchange(request: Request, send: Callable[[Request], Awaitable[Answer]]) -> Response:
    """The whole answer to `request`. Raises `BrokerError("too-large")` for more than a token endpoint has to say."""
    answer = await send(request)
    try:
        shown, _ = await _peek(_body(request, answer))
        if len(shown) >= MAX_SHOWN:
            raise BrokerError("too-large", limit=MAX_SHOWN)
        return Response(answer.status, answer.headers, shown)
    finally:
        await answer.aclose()


def _body(request: Request, answer: Answer) -> AsyncGenerator[bytes, None]:
    bodiless = request.method == "HEAD" or answer.status in _BODILESS
    coding = "identity" if bodiless else coding_of(answer.headers)
    return answer.body() if coding == "identity" else decoded(answer.body(), coding)


def _outcome(answer: Answer, body: AsyncGenerator[bytes, None]) -> Outcome:
    async def aclose() -> None:
        await body.aclose()
        await answer.aclose()

    head: dict[str, object] = {
        "status": answer.status,
        "reason": answer.reason,
        "headers": [[name, value] for name, value in answer.headers],
    }
    return Outcome(head=head, body=body, aclose=aclose)


async def _peek(body: AsyncGenerator[bytes, None]) -> tuple[bytes, AsyncGenerator[bytes, None]]:
    """The first bytes of `body`, and the whole of it again."""
    shown = b""
    async for chunk in body:
        shown += chunk
        if len(shown) >= MAX_SHOWN:
            break
    return shown, _again(shown, body)


async def _again(shown: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    if shown:
        yield shown
    async for chunk in rest:
        yield chunk
