"""The rival of the keeper's round trip: the same question and answer over HTTP, by starlette and uvicorn.

Usage: python starlette_status.py SOCKET
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request


async def status(request: Request) -> JSONResponse:
    """What the keeper's `status` says, less the work of finding it out."""
    asked = await request.json()
    return JSONResponse(
        {
            "since": 10,
            "idle_left": 14000,
            "cap_left": 43000,
            "locked": asked["verb"] != "status",
            "pid": os.getpid(),
            "version": "0.1.0",
            "vault": "/some/where/vault.kv",
            "secrets": 10,
            "connections": 1,
            "waiting": 0,
            "session": "0123456789abcdef",
            "caller": "a program",
        }
    )


if __name__ == "__main__":
    application = Starlette(routes=[Route("/status", status, methods=["POST"])])
    uvicorn.run(application, uds=sys.argv[1], log_level="warning", access_log=False)
