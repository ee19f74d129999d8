"""`kv login`: log in to a service at its own page, for a connection whose auth is by device."""

from __future__ import annotations

from kv.cli import completing, tui
from kv.cli.keeper import acting
from kv.cli.options import Options, verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typer


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    verb(app, "login")(login)


def login(options: Options, *, name: completing.ConnectionArgument) -> None:
    """Log in to a service at its own page.

    kv keeps what the service gives for that. The connection's auth is device:…, and the secret for its slot "login" is
    there: kv generate makes one to be replaced.

    \b
      kv generate API_LOGIN
      kv connect api --secret login=API_LOGIN --auth device:… --host …
      kv login api
    """
    full = options.name(name)
    with acting(options) as keeper:
        ok = keeper.act("login", {"name": full}, event=_told).ok
    if options.as_json:
        tui.print_json(ok)
    else:
        tui.say(f"logged in to {full}")


def _told(event: dict[str, object]) -> None:
    """Where to go, and what to enter there."""
    tui.note(f"open {event.get('complete') or event.get('address')}")
    tui.note(f"and enter the code {event.get('code')}   (within {event.get('seconds')} s)")
