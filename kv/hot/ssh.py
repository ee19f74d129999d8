"""`kv ssh`: a command on a server, through the keeper. `kv ssh-copy`: a file there or back.

Rules of this file
- The command is words, which the keeper quotes: no shell of this machine and none of the other takes them apart.
- stdout, stderr and the exit status are the remote command's, as with ssh(1); what kv has to say is on stderr.
- Towards a terminal output comes as it is made; elsewhere at the end, when all of it has been looked at (`--live` asks
  for the former).
"""

from __future__ import annotations

import codecs
import sys

from kv.errors import FAILED, OK, TIMED_OUT, KvError
from kv.hot.arguments import HELP, Table, read
from kv.hot.beneath import read_beneath
from kv.hot.request import Call, ask, read_input, shared, stated
from kv.hot.result import show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kv.hot.arguments import Arguments

_SSH = """
usage: kv ssh CONNECTION [options] -- COMMAND [ARGUMENT…]
       kv ssh CONNECTION --profile NAME [-a NAME=VALUE…] [options]

Run a command on a server. kv logs in, shows nobody the key, and takes every
secret out of what comes back. Known reading commands (uptime, df, ls, …) and
your own profiles go through; any other asks with the exact command.

  kv ssh web -- uptime
  kv ssh web --profile service-restart -a name=nginx --reason "new settings"
"""
_COPY = """
usage: kv ssh-copy CONNECTION get REMOTE [LOCAL] [options]
       kv ssh-copy CONNECTION put LOCAL REMOTE [options]
       kv ssh-copy CONNECTION list REMOTE [options]

Copy a file from or to a server, or list a folder there, below the roots that
its connection declares. LOCAL is a file below this folder.

  kv ssh-copy web get /srv/app/log/error.log error.log
"""
_MOST_STATUS = 255
_LIVE_BYTES = 16 << 20  # of each stream, the most that the keeper lets through: what is live is held by nobody
_LONG = "hang up after this long (30)"
COMMAND_OPTIONS: Table = {
    "--profile": ("profile", "NAME", "a command that the connection names, in place of its words"),
    "-a": ("argument", "NAME=VALUE…", "what fills a place of the profile; repeat for more"),
    "--cwd": ("cwd", "FOLDER", "the folder there to run it in"),
    "--set": ("set", "NAME=VALUE…", "a variable that the connection allows; repeat for more"),
    "--stdin": ("stdin", "TEXT|@FILE|-", "its standard input; @FILE reads a file, - ours"),
    "--live": ("live", "", "text as it comes, up to 16 MiB, as towards a terminal; else at the end"),
    **shared("keep at most N bytes of each stream (1 MiB)", _LONG),
}
OPTIONS = {**COMMAND_OPTIONS, **HELP}
COPY_OPTIONS: Table = {
    "--overwrite": ("overwrite", "", "put a file in the place of one that is there"),
    **shared("read at most N bytes of a list (1 MiB)", _LONG),
    **HELP,
}


def main(verb: str, argv: list[str]) -> int:
    """Perform `kv ssh` or `kv ssh-copy`. Raises `KvError`."""
    options, head = (COPY_OPTIONS, _COPY) if verb == "ssh-copy" else (OPTIONS, _SSH)
    if (found := read(argv, options, head)) is None:
        return OK
    request = copy(found) if verb == "ssh-copy" else build(found)
    if verb == "ssh" and not found.on("json") and (found.on("live") or sys.stdout.isatty()):
        request.args = {"max_bytes": _LIVE_BYTES, **request.args, "live": True}
    with Output() as output:
        answer = ask("ssh", found, request, output)
    return show(answer, as_json=found.on("json"), fail=False)


def build(found: Arguments) -> Call:
    """The command that the command line spells. Raises `KvError`: usage, disk, too-large."""
    if not found.words:
        raise KvError("usage", why="say where: kv ssh CONNECTION -- COMMAND; kv ssh --help shows how")
    profile, words = found.get("profile"), found.words[1:]
    if bool(words) == (profile is not None):
        raise KvError("usage", why="give a command behind --, or --profile NAME")
    args: dict[str, object] = {"connection": found.words[0], **stated(found)}
    if profile is None:
        args["argv"] = words
    else:
        args |= {"profile": profile, "arguments": _pairs(found, "argument", "-a")}
    if (cwd := found.get("cwd")) is not None:
        args["cwd"] = cwd
    if found.all("set"):
        args["env"] = _pairs(found, "set", "--set")
    given = found.get("stdin")
    return Call(args, b"" if given is None else read_input(given))


def copy(found: Arguments) -> Call:
    """The copying that the command line spells. Raises `KvError`: usage, bad-argument, disk, too-large."""
    name, act, *rest = [*found.words, "", ""][: max(2, len(found.words))]
    if act not in {"get", "put", "list"} or not 1 <= len(rest) <= (1 if act == "list" else 2):
        raise KvError("usage", why="say what to copy: kv ssh-copy CONNECTION get|put|list …; --help shows how")
    args: dict[str, object] = {"connection": name, "act": act, **stated(found)}
    if act == "put":
        local, remote = [*rest, ""][:2]
        if not remote:
            raise KvError("usage", why="say where to: kv ssh-copy CONNECTION put LOCAL REMOTE")
        args |= {"path": remote, **({"overwrite": True} if found.on("overwrite") else {})}
        return Call(args, read_beneath(local))
    args["path"] = rest[0]
    if act == "get":
        args["save"] = rest[1] if len(rest) > 1 else rest[0].rpartition("/")[2]
    return Call(args, b"")


def _pairs(found: Arguments, option: str, spelling: str) -> dict[str, str]:
    pairs = [text.partition("=") for text in found.all(option)]
    if not all(name and mark for name, mark, _ in pairs) or len({name for name, _, _ in pairs}) < len(pairs):
        raise KvError("usage", why=f"{spelling} takes NAME=VALUE, each name once")
    return {name: value for name, _, value in pairs}


def exit_status(ok: dict[str, object]) -> int:
    """As ssh(1) and shells have it: the command's own, 128 and the number for a signal, 124 for a time-out."""
    import signal

    if ok.get("timed_out"):
        return TIMED_OUT
    if isinstance(code := ok.get("exit"), int):
        return code if 0 <= code <= _MOST_STATUS else FAILED  # a system keeps the last eight bits, and makes 0 of 256
    number = getattr(signal, f"SIG{ok.get('signal')}", None)
    return 128 + number if isinstance(number, int) else FAILED


class Output:
    """The two streams, to ours; towards a terminal control characters are made visible."""

    def __init__(self) -> None:
        self._decoders: dict[str, codecs.IncrementalDecoder] = {}

    def __enter__(self) -> Output:  # noqa: PYI034 - Self would cost a hot verb typing
        return self

    def __exit__(self, *_: object) -> None:
        for stream in list(self._decoders):
            self(stream, b"", final=True)

    def __call__(self, stream: str, data: bytes, *, final: bool = False) -> None:
        """Write what comes next. A character may come in two parts."""
        from kv.hot.result import printable

        ours = sys.stderr if stream == "stderr" else sys.stdout
        if ours.isatty():
            decoder = self._decoders.setdefault(stream, codecs.getincrementaldecoder("utf-8")("replace"))
            data = printable(decoder.decode(data, final).encode())
        ours.buffer.write(data)
        ours.flush()
