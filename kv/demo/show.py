"""The demo itself: what an agent does, what it gets, what a person decides, what is recorded.

Rules of this file
- No short cuts: the vault is made by `kv init`, the key stored by `kv set`, the agent is the official MCP SDK's
  client on `kv mcp`, the person is `kv approve` with a passphrase on a descriptor.
- Every claim on the screen has been checked just before it is printed; one that fails ends the demo with status 1.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
import tempfile
from typing import Any

from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from kv.demo.upstream import REFUNDS, Upstream, echoes

_OK = 200


class DemoError(Exception):
    """A claim of the demo did not hold."""


class Demo:
    """One run in a throw-away folder. `seen` collects every byte the agent's side was given."""

    def __init__(self, folder: str, upstream: Upstream) -> None:
        self._folder = folder
        self._upstream = upstream
        self._passphrase = secrets.token_hex(16)
        self._environment = {**os.environ, "KV_VAULT": os.path.join(folder, "vault.kv"), "XDG_STATE_HOME": folder}
        self.seen: list[str] = []

    def kv(self, *args: str, stdin: bytes = b"", proof: bool = False) -> tuple[int, str]:
        """Run `kv`; with `proof` the passphrase is on descriptor 3. Status and output."""
        read_end, write_end = os.pipe()
        with os.fdopen(write_end, "wb") as pipe:
            pipe.write(self._passphrase.encode())
        try:
            argv = [sys.executable, "-m", "kv", *args, *(("--passphrase-fd", str(read_end)) if proof else ())]
            done = subprocess.run(  # noqa: S603 - kv itself
                argv,
                input=stdin,
                env=self._environment,
                capture_output=True,
                pass_fds=(read_end,),
                check=False,
                timeout=120,
            )
        finally:
            os.close(read_end)
        return done.returncode, (done.stdout + done.stderr).decode()

    def prepare(self) -> None:
        """A vault, a key, a connection; the key's only way in is a pipe."""
        recovery = os.path.join(self._folder, "recovery")
        self._must(self.kv("init", "--no-totp", "--recovery-file", recovery, "--kdf-memory", "64MiB", proof=True))
        self._must(
            self.kv(
                *("set", "demo/API_KEY", "--stdin", "--connection", "demo", "--host", self._upstream.origin),
                *("--auth", "bearer", "--ca", self._upstream.ca_file(self._folder), "--allow-address", "127.0.0.1"),
                stdin=self._upstream.key.encode(),
                proof=True,
            )
        )

    async def waiting(self, held: asyncio.Task[dict[str, Any]]) -> dict[str, Any]:
        """The card that the person sees while the agent's call is held."""
        for _ in range(100):
            if held.done():
                raise DemoError(f"the call was not held: {held.result()}")
            listed = json.loads(self._must(await asyncio.to_thread(self.kv, "approvals", "--json", proof=True)))
            if listed:
                card: dict[str, Any] = listed[0]
                return card
        raise DemoError("the call never asked")

    async def approve(self, name: str, scope: str) -> None:
        """The person's yes."""
        self._must(await asyncio.to_thread(self.kv, "approve", name, "--scope", scope, proof=True))

    async def api(self, agent: Client, method: str, reason: str) -> dict[str, Any]:
        """The agent's call."""
        arguments: dict[str, Any] = {"provider": "demo", "path": "/v1/refunds", "method": method, "reason": reason}
        if method == "POST":
            arguments["body"] = {"charge": "ch_1", "amount": 4200}
        return await self.call(agent, "kv_api", **arguments)

    def _must(self, ran: tuple[int, str]) -> str:
        status, output = ran
        if status:
            raise DemoError(f"kv ended with status {status}: {output}")
        return output

    def agent(self) -> Client:
        """The agent's side: the SDK's client, with `kv mcp` as its server."""
        server = StdioServerParameters(
            command=sys.executable, args=["-m", "kv", "mcp"], env=self._environment, cwd=self._folder
        )
        return Client(stdio_client(server))

    async def call(self, agent: Client, tool: str, **arguments: object) -> dict[str, Any]:
        """One tool call; its text is what the model would read."""
        result = await agent.call_tool(tool, arguments)
        text = "".join(getattr(part, "text", "") for part in result.content)
        self.seen.append(text)
        return json.loads(text) if not result.is_error else {"error": text}


def _claim(holds: object, says: str) -> None:
    if not holds:
        raise DemoError(f"this does not hold: {says}")
    print(f"  ok  {says}", flush=True)


async def _agents_hour(demo: Demo, upstream: Upstream) -> None:
    async with demo.agent() as agent:
        print("\nthe agent asks: GET /v1/refunds")
        held = asyncio.create_task(demo.api(agent, "GET", "count this week's refunds"))
        card = await demo.waiting(held)
        _claim(not upstream.calls, f"a session's first use of a connection waits for a person ({card['id']})")
        await demo.approve(card["id"], "session")
        result = await held
        _claim(
            result.get("status") == _OK and result["body"]["refunds"] == REFUNDS, "admitted: the agent has its answer"
        )
        forms = echoes(upstream.key)
        _claim(result["redactions"] >= len(forms), f"{result['redactions']} echoes of the key were taken out of it")
        _claim((await demo.api(agent, "GET", "")).get("status") == _OK, "admitted once: the next read asks nobody")

        print("\nthe agent writes: POST /v1/refunds")
        held = asyncio.create_task(demo.api(agent, "POST", "refund the duplicate charge"))
        card = await demo.waiting(held)
        _claim(not _posts(upstream), f"the write is stopped until a person's proof arrives ({card['id']})")
        await demo.approve(card["id"], "once")
        done = await held
        _claim(done.get("status") == _OK and _posts(upstream) == 1, "approved once: the held call went on, once")

        print("\nthe agent tries the same write again")
        held = asyncio.create_task(demo.api(agent, "POST", "refund the duplicate charge"))
        other = await demo.waiting(held)
        _claim(other["id"] != card["id"] and _posts(upstream) == 1, "an approval is used once: it waits again")
        status, output = await asyncio.to_thread(demo.kv, "approve", card["id"], proof=True)
        _claim(status != 0 and _posts(upstream) == 1, f"approving {card['id']} a second time is refused")
        demo.seen.append(output)
        await asyncio.to_thread(demo.kv, "deny", other["id"], proof=True)
        _claim("error" in await held and _posts(upstream) == 1, "denied: the agent is told, and nothing was sent")


def _posts(upstream: Upstream) -> int:
    return sum(call.startswith("POST ") for call in upstream.calls)


def main() -> int:
    """Run the demo. 0 if every claim held."""
    held = True
    key = "sk_demo_" + secrets.token_urlsafe(24)
    print("kv demo: a throw-away vault, a careless service on loopback, an agent, a person")
    with tempfile.TemporaryDirectory(prefix="kv-demo-") as folder, Upstream(key) as upstream:
        demo = Demo(folder, upstream)
        try:
            print("\nthe person makes a vault and stores a key")
            demo.prepare()
            _claim(demo.kv("ls")[1].count("demo/API_KEY"), "the vault knows demo/API_KEY, and where it may go")
            asyncio.run(_agents_hour(demo, upstream))
            print("\nafterwards")
            leaks = [form for form, text in echoes(key).items() if any(text in seen for seen in demo.seen)]
            _claim(not leaks, f"the key is in none of the {len(demo.seen)} texts the agent was given, in any coding")
            status, output = demo.kv("audit", "verify")
            _claim(status == 0, f"kv audit verify: {output.strip()}")
        except* DemoError as failed:  # the SDK's client wraps what ends it in a group
            for error in failed.exceptions:
                print(f"kv: {error}", file=sys.stderr)
            held = False
        finally:
            demo.kv("lock")
    print("\ndone; nothing is left of it")
    return 0 if held else 1
