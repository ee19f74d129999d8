"""The `kv` command: find the verb, load what that verb needs and no more, end with the documented exit status.

Rules of this file
- `sys` is the only import before the verb is known: start-up time is a promise (`make bench`).
- A person never sees a traceback. What is not in the list of errors ends as `internal` with an id; the place
  of the defect is printed by its file and line, its text never: exception texts may quote what they failed on.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # `typing` itself costs a third of the start-up
if TYPE_CHECKING:
    from kv.errors import KvError

# Options that stand before or after the verb, and whether a value follows. `kv/cli/options.py` describes them.
GLOBAL = {
    "--vault": True,
    "-e": True,
    "--env": True,
    "--passphrase-fd": True,
    "--json": False,
    "--no-color": False,
}


def main() -> None:
    """Run the command line of this process; never returns."""
    sys.exit(run(sys.argv[1:]))


def run(argv: list[str]) -> int:
    """Perform `argv` and return the exit status. Errors are reported here, in one voice."""
    try:
        return _dispatch(argv)
    except KeyboardInterrupt:
        return 130  # 128 + SIGINT, as a shell reports it
    except BrokenPipeError:
        return _broken_pipe()
    except Exception as error:  # noqa: BLE001 - the last net: see `_report`
        return _report(error, as_json="--json" in _ours(argv))


def _ours(argv: list[str]) -> list[str]:
    """What is not an argument of another program."""
    return argv[: argv.index("--")] if "--" in argv else argv


def _dispatch(argv: list[str]) -> int:
    import os

    if "_KV_COMPLETE" in os.environ:  # the shell asks for completions (kv --install-completion)
        return _cli(argv)
    place = verb_place(argv)
    verb = argv[place] if place < len(argv) else ""
    from kv.hot import HOT

    if verb in HOT:
        from importlib import import_module

        status: int = import_module(HOT[verb]).main(verb, argv[:place] + argv[place + 1 :])
        if sys.stdout is not None:  # `kv run -- make >&-`
            sys.stdout.flush()
        return status
    if verb == "help":  # kv help VERB, as other programs have it
        return _dispatch([*argv[:place], *argv[place + 1 :], "--help"])
    if verb in {"version", "--version"}:
        return _version(argv)
    return _cli(argv)


def verb_place(argv: list[str]) -> int:
    """The index of the first word that is neither a global option nor the value of one."""
    place = 0
    while place < len(argv) and argv[place].partition("=")[0] in GLOBAL:
        place += 2 if GLOBAL.get(argv[place]) else 1
    return place


def _cli(argv: list[str]) -> int:
    from kv.cli.app import main as cli

    status = cli(argv)
    sys.stdout.flush()
    return status


def _version(argv: list[str]) -> int:
    from kv import __version__

    print(f'{{"version":"{__version__}"}}' if "--json" in argv else f"kv {__version__}")
    return 0


def _broken_pipe() -> int:
    """The reader went away (`kv audit list | head`). Python would complain again at exit: give it nowhere to write."""
    import os

    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    return 141  # 128 + SIGPIPE


def _report(error: Exception, *, as_json: bool) -> int:
    from kv.errors import KvError

    known = error if isinstance(error, KvError) else _internal(error)
    if as_json:
        import json

        print(json.dumps({"error": known.as_wire()}))
    print(f"kv: {known.message}", file=sys.stderr)
    for line in filter(None, known.hint.split("\n")):
        print(f"    hint: {line}", file=sys.stderr)
    return known.exit


def _internal(error: Exception) -> KvError:
    """A defect, as `internal` with an id that names its place: type, file and line of the innermost frames of kv."""
    import hashlib

    from kv.errors import KvError

    places, trace = [], error.__traceback__
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", "?"))
        if module.partition(".")[0] in {"kv", "brokers", "editor_setup"}:
            places.append(f"{module}:{trace.tb_lineno}")
        trace = trace.tb_next
    place = f"{type(error).__name__} at {places[-1] if places else '?'}"
    digest = hashlib.sha256("\n".join([type(error).__name__, *places]).encode()).hexdigest()
    return KvError("internal", id=f"{digest[:6]}, {place}")


if __name__ == "__main__":
    main()
