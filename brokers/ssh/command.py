r"""One command line out of a list of words, which every shell takes apart into just these words again. Pure.

Rules of this file
- The remote side is a shell (sshd runs `$SHELL -c LINE`), so a word that it could read as more than a word is quoted.
- Quoting is POSIX, and stays harmless where the account's shell is another. fish reads `\'` within single quotes as an
  escape, so that `'\' '; rm …'` would end where sh is still inside; csh expands `!` within them. Backslash, `!` and the
  single quote itself are therefore written outside of single quotes, in ways that sh, fish and csh read alike.
- What no quoting makes safe is refused: NUL, line ends and other control characters, text that is no UTF-8.
- The first word names a command: `A=B` would be an assignment to sh, `-x` an option to what runs it.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from brokers.arguments import refuse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_WORDS = 256  # a list of files; beyond that a card shows nobody what is done
MAX_BYTES = 16 << 10  # of all words: half of the 32 KiB that a packet must hold (RFC 4253 section 6.1), quoted
MAX_LINE = 64 << 10  # bytes of the line: below Linux' 128 KiB for one argument, and OpenSSH's 256 KiB for a packet

_PLAIN = re.compile(r"[A-Za-z0-9_/.,:@+-][A-Za-z0-9_/.,:@+=-]*")
_PLAIN_FIRST = re.compile(r"[A-Za-z0-9_/][A-Za-z0-9_/.+-]*")
# Words that a shell takes for itself where they stand first and unquoted: sh, bash, zsh, fish and csh.
_RESERVED = frozenset(
    {
        *("case", "coproc", "do", "done", "elif", "else", "esac", "fi", "for", "foreach", "function", "if"),
        *("in", "nocorrect", "repeat", "select", "then", "time", "until", "while", "and", "begin", "end"),
        *("not", "or", "switch", "breaksw", "default", "endif", "endsw", "goto", "onintr"),
    }
)
_APART = {"'": '"\'"', "\\": '"\\\\"', "!": "\\!"}
_PIECES = re.compile(r"(['\\!])")


def line(words: Sequence[str], cwd: str = "", environment: Mapping[str, str] | None = None) -> str:
    """The command line. `cwd` is an absolute path; the names of `environment` were checked by whoever allows them.

    Raises `BrokerError("argument")`.
    """
    check(words)
    made = [quote_first(words[0]), *map(quote, words[1:])]
    if environment:
        assigned = []
        for name, value in sorted(environment.items()):
            check_word(value, "env")
            assigned.append(f"{name}={quote(value) if value else ''}")
        made = ["env", *assigned, *made]
    if cwd:
        check_word(cwd, "cwd")
        # Absolute, so that neither CDPATH nor `cd -` (the folder before) has a say.
        if not cwd.startswith("/"):
            refuse("cwd", "it is an absolute path")
        made = ["cd", "--", quote(cwd), "&&", "exec", *made]
    whole = " ".join(made)
    if len(whole.encode()) > MAX_LINE:
        refuse("argv", "the command line is longer than 64 KiB")
    return whole


def check(words: Sequence[str]) -> None:
    """Refuse words that are too many, too long, or nothing to name a command with."""
    if not words or len(words) > MAX_WORDS:
        refuse("argv", "one to 256 words")
    for word in words:
        check_word(word, "argv")
    if sum(len(word.encode()) for word in words) > MAX_BYTES:
        refuse("argv", "at most 16 KiB together")
    if not words[0] or words[0][0] in "-=~%@" or "=" in words[0]:
        refuse("argv", "the first word names a command: it does not begin with '-', '~', '%' or '@', and has no '='")


def check_word(word: str, argument: str) -> None:
    """Refuse a word that cannot travel."""
    try:
        word.encode()
    except UnicodeError:
        refuse(argument, "it is not UTF-8")
    if any(unicodedata.category(character) == "Cc" for character in word):
        refuse(argument, "NUL, line ends and other control characters are refused: give such data as stdin")


def quote(word: str) -> str:
    """`word` as a shell reads it back; as it is where no shell sees anything in it."""
    if _PLAIN.fullmatch(word):
        return word
    if not word:
        return "''"
    return "".join(_APART.get(piece) or f"'{piece}'" for piece in _PIECES.split(word) if piece)


def quote_first(word: str) -> str:
    """As `quote`, for a word in the place of a command's name: a reserved one is quoted, which makes it a name."""
    return word if _PLAIN_FIRST.fullmatch(word) and word not in _RESERVED else _quoted(word)


def _quoted(word: str) -> str:
    made = quote(word)
    return f"'{word}'" if made == word else made
