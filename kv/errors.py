"""The closed list of errors: one page for the wire, the command line and MCP alike.

Rules of this file
- Every failure that kv reports has a row here: code, exit status, sentence, hint. A code that is not
  listed cannot be raised, so a message can never be made up on the way.
- A sentence has blanks only for *fields* that kv itself made: a validated name, a rule's id, a number.
  A request, a value, a driver's text or a traceback never fills one; `clean` is the last net under that.
- Exit statuses are a public interface (README, "Exit status") and never change their meaning.

Standard library only: hot paths import this.
"""

from __future__ import annotations

OK, FAILED, USAGE, DENIED, PENDING, LOCKED, UNKNOWN, PROOF, UPSTREAM, DAMAGED = range(10)
INTERNAL = 70  # EX_SOFTWARE of sysexits.h: a defect of kv, not of its user
TIMED_OUT, NOT_EXECUTABLE, NOT_FOUND = 124, 126, 127  # as timeout(1) and shells have them

EXIT_STATUSES = {
    OK: "done",
    FAILED: "failed for a reason the message names",
    USAGE: "the command line or an argument is wrong",
    DENIED: "refused by a rule or by a person",
    PENDING: "waits for a person's approval",
    LOCKED: "no keeper runs for this vault: it is locked",
    UNKNOWN: "no such secret, connection, provider or approval",
    PROOF: "a proof is missing, wrong or frozen",
    UPSTREAM: "the other side could not be reached or did not answer properly",
    DAMAGED: "the vault or the audit is damaged, foreign or older than it was",
    INTERNAL: "a defect in kv",
    TIMED_OUT: "`kv run`, `kv ssh`: the program was ended, or left, after --timeout",
    NOT_EXECUTABLE: "`kv run`: the program cannot be executed",
    NOT_FOUND: "`kv run`: there is no such program",
}

_FIELD_MAX = 200  # characters: a field is a name or a number, never a document

# code: (exit status, sentence, hint). `{…}` are fields; a sentence names what happened, a hint what helps.
ERRORS: dict[str, tuple[int, str, str]] = {
    # whose fault: the caller's
    "usage": (USAGE, "{why}", ""),
    "bad-argument": (USAGE, "argument '{argument}' is refused: {why}", "kv explain shows how a call is read"),
    "bad-name": (
        USAGE,
        "this is not a name: {why}",
        "1 to 4 parts of A-Z a-z 0-9 _ . - joined by '/', each at most 64 characters",
    ),
    "bad-frame": (USAGE, "the frame is malformed: {why}", "client and keeper may differ in version: kv daemon status"),
    "bad-verb": (USAGE, "this socket has no such verb", "the agents' socket carries calls only"),
    "unknown-secret": (UNKNOWN, "no secret '{name}'{similar}", "kv ls lists the names"),
    "unknown-connection": (
        UNKNOWN,
        "no connection or provider '{name}'{similar}",
        "kv connections lists them; a person adds one with kv set or kv connect",
    ),
    "unknown-provider": (UNKNOWN, "no provider '{name}'{similar}", "kv providers lists the catalogue"),
    "unknown-approval": (UNKNOWN, "no call '{id}' waits for approval", "kv approvals lists what waits"),
    "unknown-ticket": (UNKNOWN, "no ticket '{id}' of this session", "make the call again"),
    "token-unknown": (UNKNOWN, "no such token, or its minute is over", "kv get NAME asks anew"),
    "unknown-revision": (UNKNOWN, "'{name}' has no revision {revision}", "kv history lists what is kept"),
    "exists": (FAILED, "'{name}' exists already", "kv rotate replaces a value, kv rm removes it"),
    "in-use": (FAILED, "'{name}' is used by {by}", "kv connections shows what uses it"),
    "value-argument": (
        USAGE,
        "a value never travels as an argument: it would stay in the shell's history and in /proc",
        "kv set NAME asks for it hidden; --stdin and --file PATH take it from elsewhere",
    ),
    "value-size": (USAGE, "a value is 1 byte to 1 MiB", "keep larger material in a file and seal its key here"),
    "value-mask": (
        USAGE,
        "this looks like a mask or a reference, not like a value",
        "what kv prints in place of a value names it; use the name",
    ),
    "reference-argument": (
        USAGE,
        "a reference in '{argument}' is refused: kv adds the credential itself",
        "leave it out; the connection knows where it goes",
    ),
    "too-large": (USAGE, "'{argument}' is larger than {limit}", "send less, or in parts"),
    "answer-size": (
        FAILED,
        "the answer is larger than a frame may be",
        "ask for less of it: a prefix, a lower --limit",
    ),
    "no-terminal": (
        PROOF,
        "this needs a terminal to ask on, and there is none",
        "run it in a terminal, or give the passphrase by --passphrase-fd",
    ),
    # whose decision: a rule's or a person's
    "denied": (DENIED, "denied by rule '{rule}': {why}", "{help}"),
    "expired": (
        DENIED,
        "nobody approved {id} within {seconds} s",
        "ask the user, then make the call again with a reason",
    ),
    "refused": (DENIED, "a person denied {id}", "do not repeat the call; ask the user what they want instead"),
    "declined": (DENIED, "{why}", ""),
    "frozen": (
        DENIED,
        "this session is frozen: {why}",
        "only a person can lift this: kv approvals --all, then --unfreeze SESSION",
    ),
    "rate": (DENIED, "too many calls: {limit}", "wait {seconds} s, or ask for fewer things at once"),
    "budget": (DENIED, "the budget of '{name}' is used up: {limit}", "a person can raise it: kv connect {name}"),
    "withheld": (DENIED, "the result is withheld: {why}", "the call was made; ask the user to look at kv audit tail"),
    "proof-needed": (
        PROOF,
        "'{verb}' needs a person's proof",
        "a person runs it in a terminal, or gives --passphrase-fd",
    ),
    "reveal-proof": (
        PROOF,
        "to reveal a value needs a person's proof, in a terminal or by --passphrase-fd",
        "for a program: kv api CONNECTION makes the call, kv run --secret {name} -- COMMAND starts it with the secret",
    ),
    "proof-wrong": (PROOF, "the proof is wrong", "tries left before kv freezes proofs for a while: {left}"),
    "proof-frozen": (
        PROOF,
        "too many wrong proofs; frozen for {seconds} s",
        "the passphrase still works: press Enter at the prompt to be asked for it",
    ),
    "proof-used": (PROOF, "this code was used already", "wait for the next one (30 s)"),
    "proof-kind": (PROOF, "this act takes {kinds} as proof", ""),
    "wrong-passphrase": (PROOF, "wrong passphrase", "kv recover opens the vault with the recovery code"),
    "wrong-recovery": (
        PROOF,
        "wrong recovery code",
        "seven groups of four characters: check their order, and that none is missing",
    ),
    "weak-passphrase": (
        USAGE,
        "too weak: a stolen file could be guessed open ({bits} bits, {floor} needed)",
        "a strong one you could use:  {suggestion}",
    ),
    # the keeper
    "locked": (LOCKED, "the vault is locked", "ask the user to run `kv unlock`"),
    "keeper-runs": (FAILED, "a keeper runs already (pid {pid})", "kv status shows it; kv lock ends it"),
    "keeper-foreign": (
        DAMAGED,
        "a listener that is not kv's answers on the socket; nothing was sent to it",
        "find out what pid {pid} is, end it, then kv unlock",
    ),
    "keeper-version": (
        FAILED,
        "client and keeper differ in version ({client} and {keeper})",
        "kv lock, then kv unlock starts the keeper of the installed version",
    ),
    "keeper-start": (FAILED, "the keeper did not start: {why}", "kv daemon logs"),
    "traced": (FAILED, "a debugger is attached; kv will not handle secrets under one", "end the tracer (pid {pid})"),
    "busy": (FAILED, "the keeper has no room for more {what}", "close some, or try again in a moment"),
    "settings": (
        FAILED,
        "{path} is left alone: {why}",
        "move it away, and kv setup goes on; --undo then leaves permission rules and empty files",
    ),
    "gone": (
        FAILED,
        "the keeper ended before it answered",
        "kv daemon logs says why; kv audit tail, how the call ended",
    ),
    "interrupted": (
        FAILED,
        "the call was cut off while it was under way: {why}",
        "it may have happened all the same: look before repeating it (kv audit tail has it as unknown)",
    ),
    # a program of `kv run`
    "run-missing": (NOT_FOUND, "command not found: {name}", "{help}"),
    "run-refused": (NOT_EXECUTABLE, "cannot execute {name}: {why}", ""),
    "run-changed": (DENIED, "{what} changed since it was looked at", "run it again; it is judged anew"),
    "run-delivery": (FAILED, "{name} cannot be handed over: {why}", ""),
    "run-folder": (FAILED, "the working folder cannot be used: {why}", "change to a folder that exists"),
    # the vault file and the disk
    "vault-missing": (UNKNOWN, "there is no vault at {path}", "kv init makes one"),
    "vault-exists": (FAILED, "there is a vault at {path} already", "kv unlock opens it"),
    "vault-foreign": (DAMAGED, "{path} is not a kv vault", "check --vault and KV_VAULT"),
    "vault-version": (DAMAGED, "the vault has format {version}, which this kv does not know", "update kv"),
    "vault-damaged": (DAMAGED, "the vault is damaged: {why}", "kv restore-backup brings a backup back"),
    "vault-kdf": (
        DAMAGED,
        "the vault's KDF parameters are out of bounds: {why}",
        "the file was tampered with: restore a backup",
    ),
    "vault-older": (
        DAMAGED,
        "this vault file is older than the one seen last (generation {found}, seen {seen}); it opens read-only",
        "kv unlock --accept-older with the passphrase, if you restored it yourself",
    ),
    "vault-unsafe": (FAILED, "the vault file is not safe to open: {why}", "chmod 600 the file, 700 its folder"),
    "vault-busy": (FAILED, "another process holds the vault", "kv status; kv lock ends the keeper"),
    "disk-full": (FAILED, "the disk is full; nothing was changed", "free some space and repeat"),
    "disk": (FAILED, "cannot {act} {path}: {why}", "check the folder's owner, mode and mount"),
    # the audit
    "audit-unwritable": (
        FAILED,
        "the audit cannot be written, so the act is refused",
        "free some space, or see kv doctor",
    ),
    "audit-broken": (DAMAGED, "the audit is broken at entry {entry}: {why}", "keep a copy; kv audit export"),
    # the other side
    "upstream-dns": (UPSTREAM, "the name of '{name}' does not resolve", "check the network, or pin --allow-address"),
    "upstream-address": (
        DENIED,
        "'{name}' resolves to an address that is blocked ({kind})",
        "a private target needs an exact pin: kv connect {name} --allow-address ADDRESS",
    ),
    "upstream-connect": (UPSTREAM, "'{name}' cannot be reached", "is the service up? kv doctor checks connections"),
    "upstream-tls": (
        UPSTREAM,
        "the certificate of '{name}' is not valid for it ({why})",
        "a private CA is given with kv connect {name} --ca FILE",
    ),
    "upstream-timeout": (
        UPSTREAM,
        "'{name}' did not answer within {seconds} s",
        "a write may have happened all the same: look before repeating it",
    ),
    "upstream-broken": (
        UPSTREAM,
        "'{name}' broke off or did not keep to its protocol",
        "a write may have happened all the same: look before repeating it",
    ),
    "upstream-encoding": (
        UPSTREAM,
        "'{name}' answered in an encoding that cannot be scanned for secrets ({why}); the body is withheld",
        "kv asks for plain bodies; the service ignored it",
    ),
    "upstream-login": (UPSTREAM, "'{name}' refuses the credential: {why}", "a person stores the right one: kv rotate"),
    "upstream-refused": (UPSTREAM, "'{name}' refuses: {why}", "kv connections shows where it leads"),
    "upstream-too-large": (UPSTREAM, "'{name}' answered with more than may be held ({limit})", "ask for less of it"),
    "upstream-key": (
        *(DENIED, "ALARM: '{name}' shows the host key {found}, and pinned is {pinned}; nothing was sent"),
        "was the host set up anew, or does somebody stand between? ask whoever runs it",
    ),
    "driver-missing": (FAILED, "a driver is not installed", "a person installs it: pip install '{what}'"),
    "save": (FAILED, "the result cannot be saved: {why}", "a new file name under the working folder, no links"),
    "unsupported": (FAILED, "{why}", ""),
    "internal": (INTERNAL, "a defect in kv ended this call ({id})", "kv daemon logs has the place, never values"),
}


class KvError(Exception):
    """A failure from the closed list.

    `code` is a key of `ERRORS`; `fields` fill the sentence's and the hint's blanks.
    Raises `KeyError` for a code or a blank that the list does not have: misuse, never input.
    """

    def __init__(self, code: str, **fields: str | int) -> None:
        self.code = code
        self.exit, sentence, hint = ERRORS[code]
        self.fields = {k: clean(v) if isinstance(v, str) else v for k, v in fields.items()}
        self.message = sentence.format(**self.fields)
        self.hint = hint.format(**self.fields)
        super().__init__(self.message)

    def as_wire(self) -> dict[str, object]:
        """The error as the wire and `--json` carry it: code, message, hint, exit status."""
        return {"code": self.code, "message": self.message, "hint": self.hint, "exit": self.exit}


class RemoteError(KvError):
    """An error the keeper reported, carried to the client word for word."""

    def __init__(self, wire: dict[str, object]) -> None:
        code = str(wire.get("code"))
        if code not in ERRORS:
            code = "internal"
        self.code = code
        self.exit = ERRORS[code][0]
        self.fields = {}
        self.message = clean(str(wire.get("message", "")), limit=4 * _FIELD_MAX)
        self.hint = clean(str(wire.get("hint", "")), limit=4 * _FIELD_MAX)
        Exception.__init__(self, self.message)


_LEFT_OUT = " … "
# Bidirectional controls reorder what a person reads; zero-width, filler and variation characters hide text in it, or
# make two different texts look the same (Unicode TR 36 and TR 39).
_INVISIBLE = {
    *(0x034F, 0x061C, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFEFF, 0xFFA0),
    *range(0x180B, 0x1810),
    *range(0x200B, 0x2010),
    *range(0x202A, 0x202F),
    *range(0x2060, 0x2070),
    *range(0xFE00, 0xFE10),
    *range(0xE0000, 0xE1000),
}


def clean(text: str, *, limit: int = _FIELD_MAX) -> str:
    """`text` without control and direction characters, at most `limit` characters (8 or more), head and tail kept."""
    safe = "".join(c if c.isprintable() and ord(c) not in _INVISIBLE else "\N{REPLACEMENT CHARACTER}" for c in text)
    if len(safe) <= limit:
        return safe
    tail = (limit - len(_LEFT_OUT)) // 2
    return f"{safe[: limit - len(_LEFT_OUT) - tail]}{_LEFT_OUT}{safe[-tail:]}"
