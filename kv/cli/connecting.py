"""Which connection a secret gets when it is set: what the options say, what is recognised, what a person answers.

Rules of this file
- Nothing is asked unless the value itself was typed: a script is never held up by a question.
- Where a credential may go is a person's word. A guess is used only when name and shape agree on one service.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

from kv.cli import tui
from kv.cli.declare import Wish, parse_auth, schemes
from kv.cli.hostkeys import pinned
from kv.cli.kinds import by_dsn
from kv.cli.recognise import Guess, beside, default_name, dsn, guess
from kv.cli.terminal import Terminal
from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kv.cli.keeper import Keeper


def choose(  # noqa: PLR0913 - what is known of the secret and of the wish
    keeper: Keeper, secret: str, value: bytes, chosen: str | None, wish: Wish, *, interactive: bool
) -> dict[str, object] | None:
    """The declaration that goes with `kv set`, or None. `chosen` is the connection's name where one was given."""
    if wish.ssh is not None:
        name = chosen or default_name(secret)
        return pinned(keeper, wish, name).declaration(name)
    if (database := dsn(value)) is not None and by_dsn(database["kind"]):
        return _database(keeper, secret, database, chosen, wish)
    if wish.options and wish.provider is None and (found := guess(secret, value)) is not None:
        wish = replace(wish, provider=found.provider)
    if chosen is not None:
        return wish.declaration(chosen)
    if wish.options and wish.provider is None:
        raise KvError("usage", why="no known service is recognised by the name and the value: say --provider")
    if not wish.empty:
        return wish.declaration(beside(secret, wish.provider) if wish.provider else default_name(secret))
    return _recognised(keeper, secret, value, interactive=interactive)


def _database(
    keeper: Keeper, secret: str, stated: dict[str, object], chosen: str | None, wish: Wish
) -> dict[str, object] | None:
    """The declaration of the database that a DSN names; None where one uses this very secret and nothing was said."""
    known = _connections(keeper)
    using = [name for name, c in known.items() if secret in cast("list[str]", c.get("secrets", []))]
    if chosen is None and using and wish.empty:
        return None
    name = chosen or (using[0] if len(using) == 1 else default_name(secret))
    if chosen is None and not using and name in known:
        tui.note(f"connection {name} exists and uses another secret: --connection NAME makes one more")
        return None
    return {**stated, **wish.declaration(name), "auth": {"scheme": "dsn"}}


def _recognised(keeper: Keeper, secret: str, value: bytes, *, interactive: bool) -> dict[str, object] | None:
    known = _connections(keeper)
    if any(secret in cast("list[str]", c.get("secrets", [])) for c in known.values()):
        return None  # a new value for what is connected already
    found = guess(secret, value)
    if found is not None and found.connection in known:
        tui.note(f"connection {found.connection} exists and uses another secret: --connection NAME makes one more")
        return None
    if found is not None and found.whole:
        return {"name": found.connection, "provider": found.provider}
    if interactive:
        return _ask(secret, found)
    more = "".join(f" --option {name}=…" for name in found.open) if found is not None else ""
    tui.note(f"no connection uses {secret} yet: kv connect makes one" + (f", or kv set with{more}" if more else ""))
    return None


def _connections(keeper: Keeper) -> Mapping[str, Mapping[str, object]]:
    """The connections by name, from a vault that is opened for it if need be."""
    keeper.reach()
    found = cast("list[dict[str, object]]", keeper.ask("connections").ok.get("connections", []))
    return {str(connection["name"]): connection for connection in found}


def _ask(secret: str, found: Guess | None) -> dict[str, object] | None:
    with Terminal() as terminal:
        if found is not None and found.open:
            return _filled(terminal, found)
        if found is not None:
            host = terminal.ask(f"  {found.title}: your host (https://…, empty for no connection): ")
            return {"name": found.connection, "provider": found.provider, "host": host} if host else None
        host = terminal.ask("  which host is it for? (https://…, empty for none) ")
        if not host:
            terminal.print("  no connection yet: kv connect makes one")
            return None
        while True:
            answer = terminal.ask(f"  how does it enter a request? ({schemes()}) [bearer] ") or "bearer"
            try:
                auth = parse_auth(answer)
            except KvError as error:
                terminal.print(f"  {error.message}")
                continue
            return {"name": default_name(secret), "host": host, "auth": auth}


def _filled(terminal: Terminal, found: Guess) -> dict[str, object] | None:
    """The declaration with what the service leaves open; None where nothing is said."""
    given = {name: terminal.ask(f"  {found.title}: {name} (empty for no connection): ") for name in found.open}
    return {"name": found.connection, "provider": found.provider, "options": given} if all(given.values()) else None


def told(ok: Mapping[str, object]) -> str:
    """The end of a line about a stored or moved secret: where it goes."""
    names = ok.get("connections") or ([ok["connection"]] if ok.get("connection") else [])
    return f"   -> connection {', '.join(map(str, cast('list[object]', names)))}" if names else ""
