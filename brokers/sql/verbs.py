"""What the words of a statement say of it: what is never sent, and what each kind does to the world. Pure.

Rules of this file
- Judged by words in their places, so that a text that no parser understands has a verdict as well.
- Never sent: what ends or changes the transaction and the session that the guard consists of, what moves files or
  programs, and what has a tool of its own.
- A word that could also be a name counts as the worse of the two where a statement can begin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from brokers.contract import Effect
from brokers.sql import places
from brokers.sql.places import QUERIES, draws, follows, inserts
from brokers.sql.tokens import refuse, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from brokers.sql.tokens import Token


_TRANSACTION = "transactions are kv's: one statement a call, and one transaction a statement"
_SESSION = "the session's state is kv's: settings, prepared statements, cursors, locks and channels are refused"
_FILES = "files go through kv (--save, --load), never through the server"
_SERVER = "the running of the server is not done through kv"
_CLIENT = "this is a command of a client or the body of a procedure, not a statement"
_REFUSED = {
    _TRANSACTION: "BEGIN START COMMIT ROLLBACK SAVEPOINT RELEASE END ABORT PREPARE XA",
    _SESSION: "SET RESET DISCARD EXECUTE DEALLOCATE LISTEN UNLISTEN NOTIFY LOCK UNLOCK DECLARE FETCH MOVE CLOSE OPEN"
    " USE HANDLER",
    _FILES: "COPY LOAD ATTACH DETACH BACKUP RESTORE CLONE BINLOG",
    _SERVER: "CHECKPOINT FLUSH SHUTDOWN KILL RESTART PURGE CHANGE STOP SLAVE INSTALL UNINSTALL CACHE SIGNAL"
    " RESIGNAL GET",
    _CLIENT: "DELIMITER SOURCE SYSTEM IF LOOP WHILE REPEAT RETURN ITERATE LEAVE GO EXIT QUIT HELP",
}
REFUSED = {word: why for why, words in _REFUSED.items() for word in words.split()}
_PRAGMA = "PRAGMA is refused: kv's schema call lists tables, columns and keys"

# Objects whose making or changing gives somebody power, or leaves code behind that runs later.
_POWER = words(
    """
    FUNCTION PROCEDURE ROUTINE TRIGGER EVENT RULE EXTENSION ROLE USER GROUP POLICY SUBSCRIPTION PUBLICATION
    SERVER FOREIGN LANGUAGE TRANSFORM CAST OPERATOR AGGREGATE ACCESS CONVERSION TABLESPACE PACKAGE PLUGIN
    PRIVILEGES SYSTEM PARSER TEMPLATE DICTIONARY LARGE LOGFILE RESOURCE INSTANCE
    """
)
_POWER_ANYWHERE = frozenset(
    {"OWNER", "DEFINER", "AUTHORIZATION", "GRANT", "REVOKE", "SECURITY", "TRIGGER", "RULE", "SONAME"}
)
_OBJECTS = words(
    """
    TABLE VIEW INDEX SEQUENCE SCHEMA DATABASE TYPE DOMAIN STATISTICS COLLATION CONFIGURATION COLUMN CONSTRAINT
    OWNED
    """
)
_OUTSIDE = frozenset({"DIRECTORY", "FEDERATED", "CONNECT", "SPIDER", "S3", "OQGRAPH", "SPHINX", "CONNECTION"})
# Engines that keep a table's rows in the database's own files: what another does, kv does not know. In memory rows last
# until the server ends.
_KEEPING = frozenset({"INNODB", "MYISAM", "ARIA", "ROCKSDB", "ARCHIVE", "CSV"})
_IN_MEMORY = frozenset({"MEMORY", "HEAP"})
_LOSING = frozenset({"DROP", "TRUNCATE", "DISCARD", "EXCHANGE"})
_PLAIN = {
    "TRUNCATE": (Effect.DESTROY, "it empties"),
    "COMMENT": (Effect.WRITE, "it changes a comment"),
    "REFRESH": (Effect.WRITE, "it fills a materialised view anew"),
    "REINDEX": (Effect.WRITE, "it builds indexes anew"),
    "CLUSTER": (Effect.WRITE, "it rewrites a table"),
    "VACUUM": (Effect.WRITE, "it rewrites storage"),
    "ANALYZE": (Effect.WRITE, "it gathers statistics"),
    "ANALYSE": (Effect.WRITE, "it gathers statistics"),
    "OPTIMIZE": (Effect.WRITE, "it rewrites a table"),
    "REPAIR": (Effect.WRITE, "it rewrites a table"),
    "CHECK": (Effect.WRITE, "it checks a table, and locks it meanwhile"),
    "CHECKSUM": (Effect.WRITE, "it locks a table to sum it up"),
    "RENAME": (Effect.WRITE, "it renames"),
    "GRANT": (Effect.MINT, "it gives privileges"),
    "REVOKE": (Effect.MINT, "it takes privileges"),
    "SECURITY": (Effect.MINT, "it sets a security label"),
    "REASSIGN": (Effect.MINT, "it changes who owns things"),
    "CALL": (Effect.UNKNOWN, "it runs a procedure, which may do anything"),
    "DO": (Effect.UNKNOWN, "it runs code, which may do anything"),
}
_HARMLESS_SHOW = words(
    """
    DATABASES SCHEMAS TABLES COLUMNS FIELDS INDEX INDEXES KEYS CREATE VARIABLES STATUS WARNINGS ERRORS ENGINES
    CHARACTER CHARSET COLLATION PRIVILEGES PROCESSLIST TABLE TRIGGERS EVENTS PROCEDURE FUNCTION OPEN
    COUNT PLUGINS STORAGE
    """
)
# What SHOW CREATE shows; not so of a user, which has a password's hash, and of a server, which has a password. GRANTS
# shows the same hash.
_SHOWN_CREATE = words("TABLE VIEW DATABASE SCHEMA SEQUENCE PROCEDURE FUNCTION TRIGGER EVENT PACKAGE")
_SHOW_PREFIX = frozenset({"FULL", "GLOBAL", "SESSION", "LOCAL", "EXTENDED"})


class Verdict(NamedTuple):
    """An effect and why, and the word of the statement's kind."""

    effect: Effect
    because: str
    kind: str


def check(items: Sequence[Token], dialect: str) -> None:
    """Refuse what is never sent, wherever in the statement it stands. Raises `BrokerError("argument")`."""
    words = [token.word for token in items]
    if words[0] == ".":
        refuse(_CLIENT)
    first = next((word for word in words if word != "("), "")
    second = words[words.index(first) + 1] if first and words.index(first) + 1 < len(words) else ""
    _check_first(first, second, dialect)
    if dialect == "sqlite":
        if first == "VACUUM" and "INTO" in words:
            refuse(_FILES)
        if any(token.text.lower().startswith("pragma_") and token.kind in {"word", "quoted"} for token in items):
            refuse(_PRAGMA)
        if any(token.text.lower() == "load_extension" and token.kind in {"word", "quoted"} for token in items):
            refuse("load_extension starts a program")
    if dialect == "mysql":
        _check_into(items, first)
    if dialect == "postgres" and first == "CREATE" and follows(words, "AS", {"EXECUTE"}):
        refuse(_SESSION)
    if first in {"CREATE", "ALTER"} and follows(words, "BEGIN", {"ATOMIC"}):
        refuse(_CLIENT)


def _check_first(first: str, second: str, dialect: str) -> None:
    if first in REFUSED and not (first == "HELP" and dialect == "mysql"):
        refuse(REFUSED[first])
    if first == "PRAGMA":
        refuse(_PRAGMA)
    if (first, second) == ("IMPORT", "TABLE"):
        refuse(_FILES)
    if (first, second) in {("DROP", "PREPARE"), ("SHOW", "BINLOG"), ("SHOW", "RELAYLOG")}:
        refuse(_SESSION if first == "DROP" else _SERVER)


def _check_into(items: Sequence[Token], first: str) -> None:
    """MySQL's `INTO OUTFILE`, `INTO DUMPFILE` and `INTO @variable` may stand in three places of a query."""
    for at, token in enumerate(items):
        if token.word != "INTO":
            continue
        after = items[at + 1] if at + 1 < len(items) else None
        if after and after.word in {"OUTFILE", "DUMPFILE"}:
            refuse(_FILES)
        if (after and after.kind == "variable") or not inserts(items, at) or first in {"SELECT", "VALUES", "TABLE"}:
            refuse("a query INTO variables is refused: the answer has its rows")


def administers(items: Sequence[Token], dialect: str) -> Verdict | None:  # noqa: PLR0911 - one way out for each verb
    """The verdict on what is neither a query nor a change of rows; None for these two and what is not known."""
    word = items[0].word
    words = [token.word for token in items]
    if word == "CREATE":
        return _creates(words, dialect, places.engines(items))
    if word == "ALTER":
        return _alters(words, dialect, places.engines(items))
    if word == "DROP":
        return _drops(words)
    if word == "SHOW":
        return _shows(items, dialect)
    if word == "RENAME" and words[1:2] == ["USER"]:
        return Verdict(Effect.MINT, "it renames a user", word)
    if word == "IMPORT":
        return Verdict(Effect.MINT, "it makes tables of another server reachable", word)
    if word == "HELP":
        return Verdict(Effect.READ, "it asks for the server's manual", word)
    if word in _PLAIN:
        return Verdict(*_PLAIN[word], word)
    return None


def _object(words: Sequence[str]) -> str:
    """What is created, altered or dropped; the first word that names a kind of object."""
    return next((word for word in words[1:12] if word in _POWER or word in _OBJECTS), "")


def _creates(words: Sequence[str], dialect: str, engines: frozenset[str]) -> Verdict:
    what = _object(words)
    if what in _POWER or _POWER_ANYWHERE.intersection(words):
        return Verdict(Effect.MINT, "it creates something that gives power or runs later", "CREATE")
    if dialect == "sqlite" and words[1:2] == ["VIRTUAL"]:
        return Verdict(Effect.UNKNOWN, "it creates a virtual table, whose module is code", "CREATE")
    if dialect == "mysql" and (_OUTSIDE.intersection(words) or engines - _KEEPING - _IN_MEMORY):
        return Verdict(Effect.UNKNOWN, "it creates a table that may lie outside of the database", "CREATE")
    if words[1:3] == ["OR", "REPLACE"] and what != "VIEW":
        return Verdict(Effect.DESTROY, "it replaces what may be there", "CREATE")
    if not what:
        return Verdict(Effect.UNKNOWN, "it creates something that kv does not know", "CREATE")
    return Verdict(Effect.WRITE, f"it creates a {what.lower()}", "CREATE")


def _alters(words: Sequence[str], dialect: str, engines: frozenset[str]) -> Verdict:
    what = _object(words)
    if what in _POWER or _POWER_ANYWHERE.intersection(words) or what == "DATABASE":
        return Verdict(Effect.MINT, "it changes who may do what, or what runs later", "ALTER")
    if lost := _lost(words, dialect):
        return Verdict(Effect.DESTROY, lost, "ALTER")
    if dialect == "mysql" and engines - _KEEPING:
        return Verdict(Effect.UNKNOWN, "it moves a table to where its rows may be lost", "ALTER")
    if _OUTSIDE.intersection(words) or not what:
        return Verdict(Effect.UNKNOWN, "it changes something that kv does not know", "ALTER")
    return Verdict(Effect.WRITE, f"it changes a {what.lower()}", "ALTER")


def _lost(words: Sequence[str], dialect: str) -> str:
    """How a change of a table's definition loses what is in it; empty where it does not."""
    if _LOSING.intersection(words):
        return "it drops a part of a table"
    if dialect == "postgres" and places.retypes(words):
        return "it writes every value of a column anew"
    if dialect == "mysql" and "IGNORE" in words:
        return "it deletes the rows that do not fit, or parts of them"
    return ""


def _drops(words: Sequence[str]) -> Verdict:
    what = _object(words)
    if what in _POWER - {"FUNCTION", "PROCEDURE", "ROUTINE", "AGGREGATE", "CAST", "OPERATOR", "EVENT", "TABLESPACE"}:
        return Verdict(Effect.MINT, "it drops something that privileges or checks depend on", "DROP")
    return Verdict(Effect.DESTROY, f"it drops {'a ' + what.lower() if what and what != 'OWNED' else 'objects'}", "DROP")


def _shows(items: Sequence[Token], dialect: str) -> Verdict:
    if dialect == "postgres":
        if len(items) > 1 and not any("." in token.text for token in items):
            return Verdict(Effect.READ, "it reads a setting", "SHOW")
        return Verdict(Effect.UNKNOWN, "it reads a setting of an application's own", "SHOW")
    words = [token.word for token in items[1:] if token.word not in _SHOW_PREFIX]
    if ":=" in words or draws(items) or follows(words, "(", {*QUERIES, "("}):
        return Verdict(Effect.UNKNOWN, "its condition does more than compare what it shows", "SHOW")
    if words[:1] == ["CREATE"] and words[1:2] and words[1] not in _SHOWN_CREATE:
        return Verdict(Effect.UNKNOWN, "it shows how something other than a table was made", "SHOW")
    if dialect == "mysql" and words[:1] and words[0] in _HARMLESS_SHOW:
        return Verdict(Effect.READ, "it reads what the server says of itself", "SHOW")
    return Verdict(Effect.UNKNOWN, "it is a SHOW that kv does not know", "SHOW")
