"""The built-in reading profiles, as data: commands that look at a server and change nothing on it. Pure.

Rules of this file
- Every option that may be given stands here. What is typed is a name, a number or a path beneath a declared root.
- Left out on purpose: `ps e` (environments hold secrets), `date -s`, `hostname NAME`, `journalctl --vacuum`, `find` (it
  executes), `less` and `man` (they start shells), `ip` and `sysctl` (the same words set as show).
- `timeout` stands before none of them. macOS and older BSDs have none, and an older BusyBox' has no `-k`: there every
  look at a server would fail. To a server that compares (`ForceCommand`) it would be another command. And what only
  reads may go on after it was hung up on, for as long as it likes. A person's profile of the same name comes first.
- `cat`, `head`, `tail`, `ls`, `stat` and `du` take what a path leads to, links included: a root is declared for folders
  in which nobody less trusted than its reader can place links.
"""

from __future__ import annotations

from brokers.contract import Effect
from brokers.ssh.pattern import compiled
from brokers.ssh.profiles import PATH, Profile, Type

_UNIT = compiled(r"[A-Za-z0-9][A-Za-z0-9@._:-]{0,200}")  # systemd's alphabet without its backslash
_COUNT = compiled(r"[1-9][0-9]{0,4}")  # lines: 99,999 are more than any cap lets through
_DAY = compiled(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

_TYPES: dict[str, Type] = {"unit": _UNIT, "lines": _COUNT, "path": PATH, "day": _DAY}

_FORMS: dict[str, tuple[str, ...]] = {
    "uptime": ("uptime", "uptime -p", "uptime -s"),
    "hostname": ("hostname", "hostname -f", "hostname -I"),
    "uname": ("uname", "uname -a", "uname -r", "uname -m"),
    "whoami": ("whoami",),
    "id": ("id",),
    "date": ("date", "date -u", "date -Is"),
    "who": ("who", "w"),
    "nproc": ("nproc",),
    "lscpu": ("lscpu",),
    "df": ("df", "df -h", "df -i", "df -hT", "df -h {path}"),
    "free": ("free", "free -m", "free -h", "free -g"),
    "vmstat": ("vmstat", "vmstat -s"),
    "ps": ("ps", "ps aux", "ps -e", "ps -ef", "ps aux --sort=-%cpu", "ps aux --sort=-%mem"),
    "ss": ("ss -s", "ss -tln", "ss -tlnp", "ss -tuln", "ss -tulnp"),
    "ls": ("ls {path}", "ls -l {path}", "ls -la {path}", "ls -lh {path}", "ls -lah {path}", "ls -lt {path}"),
    "stat": ("stat {path}",),
    "du": ("du -sh {path}", "du -s {path}"),
    "cat": ("cat {path}",),
    "head": ("head {path}", "head -n {lines} {path}"),
    "tail": ("tail {path}", "tail -n {lines} {path}"),
    "wc": ("wc {path}", "wc -l {path}"),
    "systemctl-status": ("systemctl status {unit}", "systemctl status --no-pager {unit}"),
    "systemctl-is-active": ("systemctl is-active {unit}",),
    "systemctl-is-enabled": ("systemctl is-enabled {unit}",),
    "systemctl-failed": ("systemctl --failed", "systemctl --failed --no-pager"),
    "journalctl": (
        "journalctl --no-pager -u {unit}",
        "journalctl --no-pager -u {unit} -n {lines}",
        "journalctl --no-pager -u {unit} --since {day}",
        "journalctl -u {unit} -n {lines} --no-pager",
        "journalctl -u {unit} --no-pager",
        "journalctl -u {unit} -n {lines}",
        "journalctl -u {unit}",
    ),
}


def _profile(name: str, lines: tuple[str, ...]) -> Profile:
    arguments = {hole: kind for hole, kind in _TYPES.items() if any(f"{{{hole}}}" in line for line in lines)}
    return Profile(name, tuple(tuple(line.split()) for line in lines), arguments, Effect.READ)


PROFILES = tuple(_profile(name, lines) for name, lines in _FORMS.items())
