"""Bearer tokens: `Authorization: Bearer <secret>` (RFC 6750 section 2.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokers.http.auth import visible, with_header
from brokers.http.auth.plain import Plain

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from brokers.contract import Credential
    from brokers.message import Request, Response


class Bearer(Plain):
    """One secret, in the `authorization` header. No options."""

    name = "bearer"
    spelling = "bearer"

    def flow(
        self, request: Request, credential: Credential, options: Mapping[str, str]
    ) -> Generator[Request, Response, None]:
        """Yield the request with the header."""
        self.check(options)
        yield with_header(request, "authorization", f"Bearer {visible(credential['secret'])}")
