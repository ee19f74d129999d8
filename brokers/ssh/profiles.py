"""Named commands with typed arguments, allow patterns, and what a command line is by them. Pure.

Rules of this file
- A match is of the whole list of words, never of a beginning: prefixes have let appended commands through elsewhere.
- An argument is one word or a part of one. It never begins with `-`, so that it cannot become an option, and it has a
  slash only where its type says so. Options stand in the profile, written by a person.
- What nothing matches is not refused: it is `unknown`, and a person is asked with the exact command.
- A profile's time is kept by the server: `timeout` comes before the words, and whatever happens to the connection, the
  command is ended by then, as far as the account may end it (not what `sudo` runs and TERM does not stop).
- stdin is a program's second argument list (`sh` reads commands from it): a profile that did not ask for it does not
  match a call that brings some.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from brokers.contract import BrokerError, Effect
from brokers.ssh import command, pattern, remote, runners
from brokers.ssh.pattern import Pattern, refuse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_PROFILES = 64  # of a connection: more than that, a person does not know them
MAX_ARGUMENTS = 8  # of a profile
MAX_ALLOW = 64  # patterns of a connection
MAX_TIMEOUT = 570  # seconds: kv waits for half a minute longer, and for ten minutes at most
PATH = "<path>"  # the type of an argument that is a path beneath a declared root

_NAME = re.compile(r"[a-z][a-z0-9-]{0,40}")
_HOLE = re.compile(r"\{([a-z][a-z0-9_]{0,20})\}")
_EFFECTS = {"read": Effect.READ, "write": Effect.WRITE, "destroy": Effect.DESTROY, "mint": Effect.MINT}
_ANY = "*"
_HIDDEN = ", but for a hidden file or folder, which no root of the connection names"

Type = Pattern | tuple[str, ...] | str  # a pattern, a choice of texts, or PATH


@dataclass(frozen=True, slots=True)
class Profile:
    """One named command. `forms` are the lists of words that it may be, with `{argument}` where an argument stands.

    `timeout` is in seconds, 0 for none.
    """

    name: str
    forms: tuple[tuple[str, ...], ...]
    arguments: Mapping[str, Type]
    effect: Effect
    stdin: bool = False
    timeout: int = 0

    def words(self, given: Mapping[str, str], roots: Sequence[str]) -> tuple[str, ...]:
        """The command for named arguments. Raises `BrokerError("argument")`."""
        form = next((form for form in self.forms if set(_holes(form)) == set(given)), None)
        if form is None:
            raise BrokerError("argument", argument="arguments", why="the profile takes others")
        for name, value in given.items():
            if not fits(self.arguments[name], value, roots):
                raise BrokerError(
                    "argument", argument="arguments", why="a value is not of the type that the profile says"
                )
        return tuple(_HOLE.sub(lambda hole: given[hole[1]], word) for word in form)

    def match(self, words: Sequence[str], roots: Sequence[str]) -> dict[str, str] | None:
        """The arguments by which the whole command is one of the forms; None where it is none of them."""
        found = (self._match(form, words, roots) for form in self.forms)
        return next((arguments for arguments in found if arguments is not None), None)

    def _match(self, form: Sequence[str], words: Sequence[str], roots: Sequence[str]) -> dict[str, str] | None:
        if len(form) != len(words):
            return None
        arguments: dict[str, str] = {}
        for meant, word in zip(form, words, strict=True):
            hole = _HOLE.search(meant)
            if hole is None:
                if meant != word:
                    return None
                continue
            before, after = meant[: hole.start()], meant[hole.end() :]
            if len(word) < len(before) + len(after) or not (word.startswith(before) and word.endswith(after)):
                return None
            value = arguments[hole[1]] = word[len(before) : len(word) - len(after)]
            if not fits(self.arguments[hole[1]], value, roots):
                return None
        return arguments

    def effect_on(self, words: Sequence[str], roots: Sequence[str]) -> Effect | None:
        """The effect of the command, None where it is not of this profile's; a hidden file makes any other unknown."""
        found = self.match(words, roots)
        if found is None:
            return None
        paths = [value for name, value in found.items() if self.arguments[name] == PATH]
        least = Effect.UNKNOWN if any(remote.hidden(path, roots) for path in paths) else Effect.READ
        return max(self.effect, least, key=lambda effect: effect.severity)


@dataclass(frozen=True, slots=True)
class Classified:
    """What a command is held to be: its effect, the reason, and the profile's name, or "", and time in seconds, or 0.

    `anywhere` says that it is the same command in every folder: it names no file by a relative path, and reads none.
    """

    effect: Effect
    because: str
    profile: str = ""
    timeout: int = 0
    anywhere: bool = False


def fits(kind: Type, value: str, roots: Sequence[str]) -> bool:
    """Whether `value` is of the type."""
    if isinstance(kind, tuple):
        return value in kind
    if kind == PATH:
        return remote.canonical(value) and remote.root_of(value, roots) is not None
    # A pattern that lets a '-' come first is still no way to an option; the slash is the pattern's own to allow.
    return isinstance(kind, Pattern) and not value.startswith("-") and kind.matches(value)


@dataclass(frozen=True, slots=True)
class Book:
    """What a connection says of commands: a person's profiles, the built-in ones, allow patterns, roots."""

    own: tuple[Profile, ...]
    builtin: tuple[Profile, ...]
    allow: tuple[str, ...]
    roots: tuple[str, ...]

    def named(self, name: str) -> Profile:
        """The profile of that name; a person's comes first. Raises `BrokerError("argument")`."""
        found = next((one for one in (*self.own, *self.builtin) if one.name == name), None)
        if found is None:
            raise BrokerError("argument", argument="profile", why="the connection has none of that name")
        return found


def classify(words: Sequence[str], book: Book, *, stdin: bool = False) -> Classified:
    """What the command is. Of several of a person's profiles the most severe counts; they come before the built-in."""
    own = [(effect, one) for one in book.own if (effect := one.effect_on(words, book.roots))]
    effect, worst = max(own, key=lambda found: found[0].severity, default=(Effect.READ, None))
    if worst is not None and (worst.effect.severity > Effect.UNKNOWN.severity or not stdin or worst.stdin):
        because = f"it is the connection's profile {worst.name}"
        because = because if effect is worst.effect else f"{because}{_HIDDEN}"
        timeouts = [one.timeout for _, one in own if one.timeout]  # whichever of them was meant
        return Classified(effect, because, worst.name, min(timeouts, default=0))
    if not stdin:
        for profile in book.builtin:
            if effect := profile.effect_on(words, book.roots):
                because = f"it is the built-in reading profile {profile.name}"
                if effect is not Effect.READ:
                    return Classified(effect, f"{because}{_HIDDEN}", profile.name)
                return Classified(effect, because, profile.name, anywhere=True)
        for text in book.allow:
            if _allowed(text.split(" "), words):
                return Classified(Effect.READ, "a pattern of the connection allows it to pass as reading")
        return Classified(Effect.UNKNOWN, "no profile and no pattern of the connection matches this command")
    return Classified(Effect.UNKNOWN, "it is given input, and no profile that takes input matches it")


def _allowed(meant: Sequence[str], words: Sequence[str]) -> bool:
    return len(meant) == len(words) and all(
        (bool(word) and not word.startswith("-")) if part == _ANY else part == word
        for part, word in zip(meant, words, strict=True)
    )


def check_allow(text: str) -> str:
    """An allow pattern in its canonical spelling: words with one blank between, `*` for one word that is no option."""
    words = text.split()
    if not words or len(words) > command.MAX_WORDS or len(text) > command.MAX_BYTES:
        refuse("an allow pattern is a command, word by word, with * for one whole word")
    try:
        command.check([word if word != _ANY else "x" for word in words])
    except BrokerError:
        refuse("an allow pattern names a command and holds no control characters")
    if any(_ANY in word and word != _ANY for word in words):
        refuse("in an allow pattern * stands for one whole word; a profile has types for parts of one")
    code = any(word == _ANY and runners.takes_code(before) for before, word in pairwise(words))
    if words[0] == _ANY or code or (_ANY in words and runners.runs_others(words[0])):
        refuse("an allow pattern must not leave open which command is run: write a profile with typed arguments")
    return " ".join(words)


def declared(given: object) -> tuple[Profile, ...]:
    """The profiles of a declaration `{name: {"argv", "arguments", "effect", "stdin", "timeout"}}`.

    Raises `BrokerError("options")`.
    """
    if not isinstance(given, Mapping) or len(given) > MAX_PROFILES:
        refuse("profiles are a mapping of names, at most 64")
    return tuple(_profile(name, held) for name, held in sorted(given.items()))


def _profile(name: object, given: object) -> Profile:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        refuse("a profile's name is lower-case letters, digits and '-'")
    if not isinstance(given, Mapping) or not {"argv", "arguments", "effect", "stdin", "timeout"}.issuperset(given):
        refuse("a profile has argv, arguments, effect, stdin and timeout")
    argv, effect = given.get("argv"), given.get("effect", "write")
    if not isinstance(argv, Sequence) or isinstance(argv, str) or not all(isinstance(word, str) for word in argv):
        refuse("a profile's argv is a list of words")
    form = tuple(argv)
    try:
        command.check([_HOLE.sub("x", word) for word in form])
    except BrokerError:
        refuse("a profile's argv names a command and holds no control characters")
    if not isinstance(effect, str) or effect not in _EFFECTS:
        refuse("a profile's effect is read, write, destroy or mint")
    arguments = _arguments(given.get("arguments", {}))
    holes = list(_holes(form))
    if set(holes) != set(arguments) or len(holes) != len(arguments) or "{" in _HOLE.sub("", form[0]):
        refuse("each argument stands in argv once, as {name}, and each {name} is an argument")
    if _HOLE.search(form[0]) or any(len(_HOLE.findall(word)) > 1 for word in form):
        refuse("the command itself is no argument, and a word holds one at most")
    timeout = _timeout(given["timeout"]) if "timeout" in given else 0
    return Profile(name, (form,), arguments, _EFFECTS[effect], stdin=given.get("stdin") is True, timeout=timeout)


def _timeout(given: object) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or not 0 < given <= MAX_TIMEOUT:
        refuse("a profile's timeout is in seconds, 1 to 570")
    return given


def _arguments(given: object) -> dict[str, Type]:
    if not isinstance(given, Mapping) or len(given) > MAX_ARGUMENTS:
        refuse("a profile has at most 8 arguments, each with its type")
    return {str(name): _type(held) for name, held in sorted(given.items())}


def _type(held: object) -> Type:
    if isinstance(held, str):
        return PATH if held == PATH else pattern.compiled(held)
    if isinstance(held, Sequence) and held and all(isinstance(one, str) and one.isprintable() for one in held):
        return tuple(held)
    return refuse("an argument's type is a pattern, a list of texts, or <path>")


def _holes(form: Iterable[str]) -> Iterator[str]:
    for word in form:
        yield from _HOLE.findall(word)
