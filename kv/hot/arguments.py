"""Arguments of the hot verbs: a table of options, parsed in forty lines, with the same errors as everywhere.

Rules of this file
- Standard library only, and hardly any of it: `argparse` alone would cost more than the call.
- What a person typed is never quoted back, except the name of an option, and that only if it looks like one: the rest
  may be a value pasted by mistake.
"""

from __future__ import annotations

from kv.errors import KvError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# spelling: (name, metavar or "" for a switch, help). An option with "…" in its metavar may be repeated.
Table = dict[str, tuple[str, str, str]]

_WORD = 24  # letters: no option's name is longer
_COLUMNS, _BESIDE = 79, 30  # of a help page, and where it says what an option does

GLOBAL: Table = {
    "--vault": ("vault", "PATH", "another vault than $KV_VAULT or the default one"),
    "--env": ("env", "PREFIX", "default prefix of names: -e prod makes KEY prod/KEY ($KV_ENV)"),
    "-e": ("env", "PREFIX", ""),
    "--json": ("json", "", "print JSON"),
    "--no-color": ("no_color", "", "no colours ($NO_COLOR)"),
    "--passphrase-fd": ("passphrase_fd", "N", "read the passphrase from this descriptor, where one is asked for"),
}
HELP: Table = {"--help": ("help", "", "this page"), "-h": ("help", "", "")}


class Arguments:
    """Parsed arguments: `words`, and options by name; an absent switch is False, an absent option None or []."""

    def __init__(self, table: Table) -> None:
        self.words: list[str] = []
        self._switches = {name: False for name, metavar, _ in table.values() if not metavar}
        self._lists: dict[str, list[str]] = {name: [] for name, metavar, _ in table.values() if metavar.endswith("…")}
        self._values: dict[str, str] = {}

    def on(self, name: str) -> bool:
        """Whether a switch was given."""
        return self._switches[name]

    def get(self, name: str) -> str | None:
        """The value of an option, or None."""
        return self._values.get(name)

    def all(self, name: str) -> list[str]:
        """Every value of an option that may be repeated."""
        return self._lists[name]

    def number(self, name: str, kind: type[int | float]) -> int | float | None:
        """The value of an option as a number. Raises `KvError("usage")`."""
        text = self._values.get(name)
        if text is None:
            return None
        try:
            return kind(text)
        except ValueError:
            raise KvError("usage", why=f"--{name.replace('_', '-')} takes a number") from None

    def put(self, name: str, metavar: str, value: str) -> None:
        """Record one occurrence."""
        if not metavar:
            self._switches[name] = True
        elif metavar.endswith("…"):
            self._lists[name].append(value)
        elif name in self._values:
            raise KvError("usage", why=f"--{name.replace('_', '-')} is given twice")
        else:
            self._values[name] = value


def parse(argv: Sequence[str], options: Table) -> Arguments:
    """Options wherever they stand, `--name VALUE` or `--name=VALUE`; after `--` all are words."""
    table = {**GLOBAL, **options}
    found = Arguments(table)
    rest = iter(argv)
    for argument in rest:
        if argument == "--":
            found.words.extend(rest)
        elif argument.startswith("-") and argument != "-":
            spelling, given, value = argument.partition("=")
            name, metavar, _ = _option(spelling, table)
            if metavar and not given:
                value = next(rest, None) or _missing(spelling, metavar)
            elif given and not metavar:
                raise KvError("usage", why=f"{spelling} takes no value")
            found.put(name, metavar, value)
        else:
            found.words.append(argument)
    return found


def read(argv: Sequence[str], options: Table, head: str) -> Arguments | None:
    """As `parse`; where it is help that was asked for, print the page that begins with `head`, and return None."""
    found = parse(argv, options)
    if not found.on("help"):
        return found
    print(usage(head, options))
    return None


def full_name(given: str, env: str | None) -> str:
    """A secret's full name: with the default prefix in front unless it has a path already; `/KEY` takes none."""
    if given.startswith("/"):
        return given[1:]
    folder = prefix(env)
    return f"{folder}/{given}" if folder and "/" not in given else given


def prefix(env: str | None) -> str:
    """The default prefix of names, of `--env` or `KV_ENV`, without slashes at its ends."""
    if env is None:
        import os

        env = os.environ.get("KV_ENV", "")
    return env.strip("/")


def _option(spelling: str, table: Table) -> tuple[str, str, str]:
    found = table.get(spelling)
    if found is None:
        from kv.similar import similar

        raise KvError("usage", why=f"no {named(spelling)}{similar(spelling, table)}")
    return found


def named(spelling: str) -> str:
    """How an unknown option is told: by its name where it can only be one, and not a key that was pasted."""
    word = spelling.lstrip("-").replace("-", "")
    return f"option {spelling}" if len(word) <= _WORD and word.isascii() and word.isalpha() else "such option"


def _missing(spelling: str, metavar: str) -> str:
    raise KvError("usage", why=f"{spelling} needs a value: {spelling} {metavar}")


def usage(head: str, options: Mapping[str, tuple[str, str, str]]) -> str:
    """A help page: `head`, the verb's own options, then those of every verb. In 79 columns if `head` is."""
    own, common = ([line for row in rows(t) for line in _described(*row[1:])] for t in (options, GLOBAL))
    return "\n".join([head.strip(), *(["", "options:", *own] if own else []), "", "options of every verb:", *common])


def _described(spellings: list[str], metavar: str, text: str) -> list[str]:
    import textwrap

    first, *rest = textwrap.wrap(text, _COLUMNS - _BESIDE)
    return [f"  {', '.join(spellings)} {metavar}".ljust(_BESIDE) + first, *(" " * _BESIDE + line for line in rest)]


def rows(options: Mapping[str, tuple[str, str, str]]) -> list[tuple[str, list[str], str, str]]:
    """A table by its options: name, spellings, metavar, help."""
    found: dict[str, tuple[str, list[str], str, str]] = {}
    for spelling, (name, metavar, text) in options.items():
        _, spellings, _, words = found.get(name, (name, [], metavar, text))
        found[name] = (name, [*spellings, spelling], metavar, words or text)
    return list(found.values())


def spelled(options: Mapping[str, tuple[str, str, str]], given: Mapping[str, object]) -> list[str]:
    """Options by name as `parse` reads them: the way back from who has parsed them already."""
    found = []
    for name, (spelling, *_), metavar, _ in rows(options):
        value = given.get(name)
        if value and not metavar:
            found.append(spelling)
        elif isinstance(value, list | str):
            found += [f"{spelling}={one}" for one in ([value] if isinstance(value, str) else value)]
    return found
