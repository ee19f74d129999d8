"""Bearer tokens: `Authorization: Bearer <secret>` (RFC 6750 section 2.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokers.http.auth import misspelt, only, visible, with_header

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from brokers.contract import Credential
    from brokers.message import Request, Response


class Bearer:
    """One secret, in the `authorization` header. No options."""

    name = "bearer"
    slots: tuple[str, ...] = ("secret",)
    spelling = "bearer"
    reads_answers = False

    def parse(self, rest: str) -> dict[str, str]:
        """Nothing stands behind it."""
        if rest:
            misspelt()
        return {}

    def spell(self, options: Mapping[str, str]) -> str:
        """See `parse`."""
        del options
        return ""

    def check(self, options: Mapping[str, str]) -> None:
        """Refuse any option."""
        only(options, ())

    def flow(
        self, request: Request, credential: Credential, options: Mapping[str, str]
    ) -> Generator[Request, Response, None]:
        """Yield the request with the header."""
        self.check(options)
        yield with_header(request, "authorization", f"Bearer {visible(credential['secret'])}")

    def forms(self, credential: Credential, options: Mapping[str, str]) -> tuple[bytes, ...]:
        """None: the secret itself is what travels."""
        del credential, options
        return ()
