"""The arguments of the verbs that use a connection, typed and bounded like all (`schema`).

Rules of this file
- What of them the broker reads, its broker decodes once more, with bounds of its own.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec

from kv.daemon.schema import Name, Seconds, Short, Strict
from kv.errors import KvError


class Use(Strict, frozen=True):
    """What every call has, whatever kind of connection it uses.

    `arguments` collects what the broker reads; `VERB` is that of the kinds of connection that it is for.
    """

    VERB: ClassVar[str] = ""
    GIVEN: ClassVar[tuple[str, ...]] = ()  # members that are the broker's, where they are not None

    connection: Name
    timeout: float | None = None
    max_bytes: int | None = None
    select: Annotated[str, msgspec.Meta(max_length=2000)] = ""
    save: Annotated[str, msgspec.Meta(max_length=1024)] = ""
    reason: Annotated[str, msgspec.Meta(max_length=2000)] = ""
    wait: Seconds = 180.0
    live: bool = False  # a command's output as it comes, of what is saved how much has come

    @property
    def speaks(self) -> bool:
        """Whether it is a command, which has output."""
        return False

    def arguments(self) -> dict[str, object]:
        """The members that are the broker's, without the absent ones. Raises `KvError`: there is nothing to hear."""
        if self.live and not self.save and not self.speaks:
            raise KvError("bad-argument", argument="live", why="a command, or what is saved, is heard as it comes")
        return {name: value for name in self.GIVEN if (value := getattr(self, name)) is not None}


# the verbs of uses, and what they are called where people and agents say them: kv query, kv_query
TOOLS = {"call": "api", "query": "query", "ssh": "ssh"}


class Call(Use, frozen=True):
    """An HTTP request."""

    VERB: ClassVar[str] = "call"
    GIVEN: ClassVar[tuple[str, ...]] = (
        *("method", "path", "query", "headers", "text", "form", "base64"),
        *("timeout", "max_bytes", "capture"),
    )

    method: Annotated[str, msgspec.Meta(max_length=16)] = "GET"
    path: Annotated[str, msgspec.Meta(max_length=8192)] = "/"
    query: dict[str, object] | list[list[str]] | None = None
    headers: dict[str, str] | None = None
    json: object = msgspec.UNSET
    text: str | None = None
    form: dict[str, object] | list[list[str]] | None = None
    base64: str | None = None
    capture: Annotated[dict[Annotated[str, msgspec.Meta(max_length=520)], Name], msgspec.Meta(max_length=4)] | None = (
        None
    )

    def arguments(self) -> dict[str, object]:
        """As above; a body may be JSON's null."""
        found = super().arguments()
        return found if self.json is msgspec.UNSET else {**found, "json": self.json}


class Query(Use, frozen=True):
    """A statement for a database; or what tables it has; or rows for one of them, which are the body."""

    VERB: ClassVar[str] = "query"
    GIVEN: ClassVar[tuple[str, ...]] = (
        *("act", "sql", "params", "mode", "max_rows", "dry_run", "schema", "table", "columns", "format", "header"),
        *("timeout", "max_bytes"),
    )

    act: Literal["query", "schema", "load"] | None = None
    sql: Annotated[str, msgspec.Meta(max_length=1 << 20)] | None = None
    params: Annotated[list[str | int | float | bool | None], msgspec.Meta(max_length=1000)] | None = None
    mode: Literal["read", "write"] | None = None
    max_rows: int | None = None
    dry_run: bool | None = None
    schema: Short | None = None
    table: Short | None = None
    columns: Annotated[list[Short], msgspec.Meta(max_length=1000)] | None = None
    format: Literal["csv", "jsonl", "json"] | None = None
    header: bool | None = None

    def arguments(self) -> dict[str, object]:
        """As above; what is saved is exported in its format, which the file's ending says where nothing else does."""
        found = super().arguments()
        if self.save:
            found["export"] = found.pop("format", _ENDINGS.get(self.save.rpartition(".")[2].lower(), "csv"))
        return found


_ENDINGS = {"json": "json", "jsonl": "jsonl", "ndjson": "jsonl"}  # of a file that rows are saved in


Word = Annotated[str, msgspec.Meta(max_length=65536)]  # of a command; the broker bounds the whole line


class Ssh(Use, frozen=True):
    """A command for a server, word by word or by its profile, with the body as its input; or a file there or back."""

    VERB: ClassVar[str] = "ssh"
    GIVEN: ClassVar[tuple[str, ...]] = (
        *("act", "argv", "profile", "cwd", "env", "path", "overwrite"),
        *("timeout", "max_bytes"),
    )

    act: Literal["exec", "get", "put", "list"] | None = None
    argv: Annotated[list[Word], msgspec.Meta(max_length=256)] | None = None
    profile: Short | None = None
    filled: Annotated[dict[Short, Word], msgspec.Meta(max_length=32)] | None = msgspec.field(
        default=None, name="arguments"
    )
    cwd: Word | None = None
    env: Annotated[dict[Short, Word], msgspec.Meta(max_length=32)] | None = None
    path: Word | None = None
    overwrite: bool | None = None

    @property
    def speaks(self) -> bool:
        """See `Use.speaks`."""
        return self.act in {None, "exec"}

    def arguments(self) -> dict[str, object]:
        """As above, with what fills a profile's command. Raises `KvError`: a command is not selected or saved."""
        if self.speaks and (self.select or self.save):
            argument = "select" if self.select else "save"
            raise KvError("bad-argument", argument=argument, why="a command has no such answer")
        found = super().arguments()
        return found if self.filled is None else {**found, "arguments": self.filled}
