"""Programs that run what they are given: behind one of these a word that is left open is any command at all. Pure.

Rules of this file
- A name counts with a version behind it and with a folder before it: `/usr/bin/python3.11` is `python`.
- The list is of what is known, and cannot be of all. So a word that is left open behind an option that takes code or a
  command (`-c`, `-e`, `--`) is refused of every program. Beyond that a pattern is a person's own word.
"""

from __future__ import annotations

import re

_SHELLS = (
    "sh ash bash rbash dash zsh fish ksh mksh pdksh csh tcsh elvish nu xonsh rc es yash busybox toybox pwsh powershell"
)
_LANGUAGES = """
    python pypy ipython perl ruby irb jruby node nodejs deno bun ts-node tsx lua luajit php awk gawk mawk nawk sed
    ed ex tclsh wish expect rscript r julia groovy scala java jshell ghci runghc ocaml clojure elixir iex erl
    escript guile racket sbcl clisp gforth m4 dc octave osascript gdb lldb bpftrace stap
"""
_CLIENTS = """
    psql mysql mariadb sqlite sqlplus mongo mongosh cqlsh clickhouse-client ftp lftp sftp telnet mail
    mailx mutt openssl
"""
_VIEWERS = """
    vi vim view vimdiff rvim nvim emacs nano pico joe mcedit less more most man info git hg svn tig
"""
_WRAPPERS = """
    env sudo doas su runuser pkexec gosu su-exec setpriv capsh sg newgrp login chroot unshare nsenter proot
    fakeroot bwrap firejail xargs parallel nohup nice ionice chrt taskset numactl setarch linux prlimit cpulimit
    timeout time exec eval command builtin source . setsid stdbuf unbuffer chronic ifne flock watch entr script
    screen tmux dtach byobu strace ltrace valgrind perf hyperfine catchsegv find fd rg tee dd start-stop-daemon
    daemonize systemd-run systemd-inhibit systemd-cat machinectl at batch crontab run-parts dbus-run-session
    dbus-launch xvfb-run ssh ssh-agent sshpass autossh mosh scp rsync rsh pdsh socat nc ncat netcat torify torsocks
    proxychains scl snap flatpak tcpdump
"""
_BUILDERS = """
    make gmake ninja cmake ant mvn gradle rake bundle gem npm npx yarn pnpm pip pipx uv uvx poetry cargo go tar
    cpio zip docker podman nerdctl ctr crictl lxc lxc-attach kubectl oc helm
    ansible ansible-playbook terraform vagrant just task pytest tox nox dotnet gunicorn uwsgi celery
"""
_RUNNERS = frozenset(f"{_SHELLS} {_LANGUAGES} {_CLIENTS} {_VIEWERS} {_WRAPPERS} {_BUILDERS}".split())
_VERSION = "0123456789.-"
_TAKES_CODE = frozenset({"-c", "-e", "-E", "--", "-exec", "-ic", "-lc", "-ec"})
_TAKES_CODE_LONG = re.compile(r"--(?:command|cmd|eval|exec|execute|expression|run|script|shell|rsh)")


def runs_others(word: str) -> bool:
    """Whether the program of that name or path runs what it is given."""
    name = word.rpartition("/")[2].lower()
    name = name.removesuffix("-dbg").removesuffix("-static").partition(".static")[0]
    name = name.removesuffix("-multiarch").removesuffix(".basic").removesuffix(".tiny").removesuffix(".openbsd")
    return name in _RUNNERS or name.rstrip(_VERSION) in _RUNNERS or name.startswith(("ld-", "ld.so"))


def takes_code(option: str) -> bool:
    """Whether what stands behind this word is likely to be run."""
    return option in _TAKES_CODE or _TAKES_CODE_LONG.fullmatch(option) is not None
