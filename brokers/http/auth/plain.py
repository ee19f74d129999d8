"""What the plain schemes have in common, to be inherited: one secret, which itself is what travels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokers.http.auth import misspelt, only

if TYPE_CHECKING:
    from collections.abc import Mapping

    from brokers.contract import Credential


class Plain:
    """A scheme with nothing to say of it. One that sends anything but the secret says so in `forms` of its own."""

    slots: tuple[str, ...] = ("secret",)
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

    def forms(self, credential: Credential, options: Mapping[str, str]) -> tuple[bytes, ...]:
        """None: the secret itself is what travels, URL-encoded at most."""
        del credential, options
        return ()


class Named(Plain):
    """A scheme of which the `name` of a place is said, and no more."""

    def parse(self, rest: str) -> dict[str, str]:
        """The name."""
        if not rest:
            misspelt()
        return {"name": rest}

    def spell(self, options: Mapping[str, str]) -> str:
        """See `parse`."""
        return options["name"]
