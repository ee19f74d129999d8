"""Profiles and patterns: what a command is held to be, and how arguments are kept from being more than that."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.contract import BrokerError, Effect
from brokers.ssh import pattern, profiles, readonly
from brokers.ssh.profiles import Book, check_allow, classify, declared

ROOTS = ("/srv/app", "/var/log")
RESTART = {"service-restart": {"argv": ["systemctl", "restart", "{name}"], "arguments": {"name": "[a-z0-9][a-z0-9-]*"}}}


def book(given: object = None, allow: tuple[str, ...] = ()) -> Book:
    """A connection's book."""
    return Book(declared(given or {}), readonly.PROFILES, tuple(map(check_allow, allow)), ROOTS)


def test_a_time_holds_whichever_profile_matches_first() -> None:
    """Another profile that the command also fits does not take it away."""
    given = {
        "a-make": {"argv": ["make", "{target}"], "arguments": {"target": "[a-z]+"}, "effect": "write"},
        "deploy": {"argv": ["make", "deploy"], "effect": "write", "timeout": 60},
    }
    assert classify(("make", "deploy"), book(given)).timeout == 60
    assert classify(("make", "test"), book(given)).timeout == 0


READING = [
    "uptime",
    "df -h",
    "free -m",
    "ps aux",
    "hostname",
    "uname -a",
    "whoami",
    "id",
    "date",
    "ls -la /var/log",
    "cat /srv/app/config.toml",
    "tail -n 200 /var/log/syslog",
    "systemctl status nginx",
    "systemctl is-active sshd.service",
    "journalctl --no-pager -u postgresql@15-main.service -n 100",
    "journalctl -u nginx --no-pager",
    "ls /srv/app",
]
NOT_READING = [
    "uptime; id",
    "df -h /etc/../root",
    "ps e",
    "ps auxe",
    "date -s tomorrow",
    "hostname evil",
    "cat /etc/shadow",
    "cat /srv/app/../../etc/shadow",
    "cat /srv/application/x",
    "cat -- /srv/app/x",
    "cat /srv/app/x /etc/shadow",
    "cat",
    "cat /srv/app//x",
    "cat /srv/app/./x",
    "cat /srv/app/x/",
    "tail -f /var/log/syslog",
    "tail -n -1 /var/log/syslog",
    "tail -n 100000000 /var/log/x",
    "tail --pid=1 /var/log/x",
    "journalctl -u --vacuum-time=1s",
    "journalctl --rotate",
    "journalctl -u nginx -n 5 --file=/etc/shadow",
    "systemctl status --root=/tmp",
    "systemctl status -H",
    "systemctl restart nginx",
    "systemctl status ../x",
    "ls -la",
    "ls --color=always /var/log",
    "ls / /var/log",
    "find /var/log -delete",
    "sudo uptime",
    "/home/x/uptime",
    "uname -a -a",
    "UPTIME",
    "cat /srv/app/x\u202e",
    "cat /srv/app/.env",
    "tail -n 5 /var/log/.x/log",
    "ls -la /srv/app/.git",
    "df -h /srv/app/.cache",
    "env uptime",
    "sh -c uptime",
]


@pytest.mark.parametrize("line", READING)
def test_looking_at_a_server_is_reading(line: str) -> None:
    """What an agent asks of a server all day needs nobody."""
    held = classify(line.split(" "), book())
    assert held.effect is Effect.READ
    assert held.profile


@pytest.mark.parametrize("line", NOT_READING)
def test_no_option_and_no_path_is_smuggled(line: str) -> None:
    """Whatever is more, or other, than a reading command word by word is asked about."""
    assert classify(line.split(" "), book()).effect is Effect.UNKNOWN


@given(
    st.lists(
        st.sampled_from(
            ["cat", "tail", "-n", "journalctl", "-u", "--x", "-", "--", "/etc/x", "/var/log/x", "..", "a;b", ""]
        ),
        max_size=6,
    )
)
def test_a_reading_profile_has_only_its_own_options(words: list[str]) -> None:
    """Of any list that is judged as reading, each word that begins with a dash stands in the profile, written by us."""
    held = classify(words, book())
    if held.effect is Effect.READ:
        found = next(one for one in readonly.PROFILES if one.name == held.profile)
        theirs = {word for form in found.forms for word in form}
        assert all(word in theirs for word in words if word.startswith("-"))
        assert all(word.startswith(("/var/log", "/srv/app")) for word in words if "/" in word)


def test_a_persons_profile_has_its_own_effect() -> None:
    """A profile restarts the service of that name and no other thing; its effect is what the person said, or write."""
    held = classify(["systemctl", "restart", "nginx"], book(RESTART))
    assert (held.effect, held.profile) == (Effect.WRITE, "service-restart")
    for name in ("--all", "nginx;id", "Nginx", "", "nginx x", "ngin\u0445", "-", "nginx\n"):
        assert classify(["systemctl", "restart", name], book(RESTART)).effect is Effect.UNKNOWN, name


def test_a_hidden_file_is_at_least_unknown() -> None:
    """A profile that takes a path beneath a root takes no `.env` in it without asking; a severer one stays severe."""
    for effect, held in (("read", "unknown"), ("write", "unknown"), ("destroy", "destroy"), ("mint", "mint")):
        pages = book({"do": {"argv": ["do", "--on={p}"], "arguments": {"p": "<path>"}, "effect": effect}})
        assert classify(["do", "--on=/srv/app/x"], pages).effect == effect
        found = classify(["do", "--on=/srv/app/.x/y"], pages)
        assert (found.effect, found.profile) == (held, "do")
    assert classify(["cat", "/srv/app/.env"], Book((), readonly.PROFILES, (), ("/srv/app/.env",))).effect is Effect.READ


def test_a_pattern_of_dashes_is_no_way_to_an_option() -> None:
    """Even where a person's pattern lets a dash come first."""
    pages = book({"rm": {"argv": ["rm", "{name}"], "arguments": {"name": "[a-z-]+"}}})
    assert classify(["rm", "a-b"], pages).effect is Effect.WRITE
    assert classify(["rm", "-rf"], pages).effect is Effect.UNKNOWN
    with pytest.raises(BrokerError, match="argument"):
        pages.named("rm").words({"name": "-rf"}, ROOTS)


def test_a_call_by_name_is_the_same_command() -> None:
    """Profile and arguments make the words that the profile matches."""
    words = book(RESTART).named("service-restart").words({"name": "nginx"}, ROOTS)
    assert words == ("systemctl", "restart", "nginx")
    tail = book().named("tail").words({"path": "/var/log/x", "lines": "5"}, ROOTS)
    assert tail == ("tail", "-n", "5", "/var/log/x")
    for arguments in ({"name": "-x"}, {"name": "a/b"}, {}, {"name": "a", "more": "b"}):
        with pytest.raises(BrokerError, match="argument"):
            book(RESTART).named("service-restart").words(arguments, ROOTS)
    with pytest.raises(BrokerError, match="argument"):
        book().named("cat").words({"path": "/etc/shadow"}, ROOTS)
    with pytest.raises(BrokerError, match="argument"):
        book().named("nothing")


def test_the_most_severe_of_a_persons_profiles_counts() -> None:
    """Two profiles that match do not make the milder one true; a person's word goes before the built-in."""
    two = {
        "a": {"argv": ["svc", "{x}"], "arguments": {"x": "[a-z]+"}, "effect": "read"},
        "b": {"argv": ["svc", "drop"], "effect": "destroy"},
        "uptime": {"argv": ["uptime"], "effect": "write"},
    }
    assert classify(["svc", "drop"], book(two)).effect is Effect.DESTROY
    assert classify(["svc", "look"], book(two)).effect is Effect.READ
    assert classify(["uptime"], book(two)).effect is Effect.WRITE


def test_input_is_a_second_command_line() -> None:
    """`sh` reads its commands from stdin: only a profile that says so takes any."""
    given = {"import": {"argv": ["psql", "shop"], "stdin": True}, "sh": {"argv": ["sh"], "effect": "read"}}
    assert classify(["psql", "shop"], book(given), stdin=True).effect is Effect.WRITE
    assert classify(["sh"], book(given), stdin=True).effect is Effect.UNKNOWN
    drop = {"drop": {"argv": ["dropdb", "shop"], "effect": "destroy"}}
    assert classify(["dropdb", "shop"], book(drop), stdin=True).effect is Effect.DESTROY  # no milder by that
    assert classify(["uptime"], book(), stdin=True).effect is Effect.UNKNOWN
    assert classify(["svc"], book(allow=("svc",)), stdin=True).effect is Effect.UNKNOWN


def test_an_allow_pattern_is_whole_and_word_by_word() -> None:
    """`*` is one word that is no option, and nothing may follow."""
    pages = book(allow=("docker-compose ps", "kubectl-view get *"))
    assert classify(["kubectl-view", "get", "pods"], pages).effect is Effect.READ
    for words in (
        ["kubectl-view", "get", "-A"],
        ["kubectl-view", "get"],
        ["kubectl-view", "get", "a", "b"],
        ["docker-compose", "ps", "x"],
        ["kubectl-view", "get", ""],
    ):
        assert classify(words, pages).effect is Effect.UNKNOWN


@pytest.mark.parametrize(
    "text",
    ["", "*", "* x", "bash *", "sudo *", "/usr/bin/python3 *", "ls a*", "A=b x", "-x", "x\ny\x00", "git *", "env *"],
)
def test_a_pattern_that_leaves_the_command_open_is_refused(text: str) -> None:
    """An interpreter with a free word behind it is every command there is."""
    with pytest.raises(BrokerError, match="options"):
        check_allow(text)


@pytest.mark.parametrize(
    "text",
    [
        *("just *", "pytest *", "busybox.static *", "vim.basic *", "nc.openbsd *", "python3.11-dbg *", "snap run *"),
        *("python3.11 *", "setsid *", "stdbuf -oL *", "chroot / *", "flock /tmp/l *", "ionice *", "npx *", "nsenter *"),
        *("runuser -u root -- *", "ksh93 *", "perl5.36 -e *", "psql -c *", "nodejs -e *", "pkexec *", "ssh-agent *"),
        *(
            "less *",
            "lua5.4 *",
            "unshare *",
            "chronic *",
            "/lib64/ld-linux-x86-64.so.2 *",
            "Rscript *",
            "python3-3.9 *",
        ),
        *("ours -c *", "ours --eval *", "ours -- *", "/opt/ours --command * x", "linux64 *", "/usr/bin/su-exec root *"),
    ],
)
def test_neither_a_version_nor_a_wrapper_hides_it(text: str) -> None:
    """Nor an option behind which any program takes a command."""
    with pytest.raises(BrokerError, match="options"):
        check_allow(text)


@pytest.mark.parametrize(
    "text",
    [
        "systemctl status *",
        "journalctl -u ssh -n *",
        "dig * +short",
        "grep -F * /srv/log",
        "python3 -V",
        "md5sum *",
        "s3cmd ls *",
    ],
)
def test_other_patterns_are_taken(text: str) -> None:
    """A free word that is an argument, and a runner without one."""
    assert check_allow(text) == text


@pytest.mark.parametrize(
    "given",
    [
        [],
        {"A": {"argv": ["x"]}},
        {"a": {"argv": "x"}},
        {"a": {"argv": []}},
        {"a": {"argv": ["x"], "more": 1}},
        {"a": {"argv": ["x", "{y}"]}},
        {"a": {"argv": ["x"], "arguments": {"y": "a"}}},
        {"a": {"argv": ["{y}"], "arguments": {"y": "a"}}},
        {"a": {"argv": ["x", "{y}", "{y}"], "arguments": {"y": "a"}}},
        {"a": {"argv": ["x", "{y}{z}"], "arguments": {"y": "a", "z": "a"}}},
        {"a": {"argv": ["x"], "effect": "release"}},
        {"a": {"argv": ["x"], "effect": ["read"]}},
        {"a": {"argv": ["x"], "timeout": 0}},
        {"a": {"argv": ["x"], "timeout": 571}},
        {"a": {"argv": ["x"], "timeout": 1.5}},
        {"a": {"argv": ["x"], "timeout": True}},
        {"a": {"argv": ["x"], "timeout": "9"}},
        {"a": {"argv": ["x", "a\nb"]}},
        {"a": {"argv": ["x", "{y}"], "arguments": {"y": []}}},
        {"a": {"argv": ["x", "{y}"], "arguments": {"y": "(a|b)"}}},
        {f"p{number}": {"argv": ["x"]} for number in range(65)},
    ],
)
def test_a_malformed_profile_is_refused(given: object) -> None:
    """A profile that would never match, or match more than it says, is found when it is declared."""
    with pytest.raises(BrokerError, match="options"):
        declared(given)


def test_an_argument_may_be_a_part_of_a_word_a_choice_or_a_path() -> None:
    """`--unit={name}` holds the argument behind the option that a person wrote."""
    pages = book(
        {
            "x": {
                "argv": ["x", "--unit={name}", "{size}", "{path}"],
                "arguments": {"name": "[a-z]+", "size": ["-m", "-h"], "path": "<path>"},
            }
        }
    )
    assert classify(["x", "--unit=a", "-m", "/var/log/b"], pages).effect is Effect.WRITE
    for words in (
        ["x", "--unit=", "-m", "/var/log/b"],
        ["x", "--unit=a", "-k", "/var/log/b"],
        ["x", "--unit=a", "-m", "/b"],
        ["x", "--unit=-a", "-m", "/var/log/b"],
    ):
        assert classify(words, pages).effect is Effect.UNKNOWN


@pytest.mark.parametrize(
    ("text", "yes", "no"),
    [
        ("[a-z0-9][a-z0-9-]*", ["a", "a-1", "0"], ["", "-a", "A", "a_b", "a\n", "aé"]),
        ("v?[0-9]{1,3}\\.[0-9]+", ["v1.2", "123.4"], ["v1", "1234.5", "1x2", "1."]),
        ("[0-9]{4}", ["2026"], ["202", "20260"]),
        ("a*b", ["b", "aaab"], ["a", "ba"]),
        ("[]", None, None),
        ("[^a]", None, None),
        ("a|b", None, None),
        (".", None, None),
        ("(a)", None, None),
        ("[a-", None, None),
        ("[z-a]", None, None),
        ("[A-z]", None, None),
        ("a{2,1}", None, None),
        ("a{", None, None),
        ("", None, None),
        ("[0-9]{513}", None, None),
        ("é", None, None),
        ("\\d+", None, None),
        ("[a-z]{300}[a-z]{300}", None, None),
    ],
)
def test_the_pattern_language(text: str, yes: list[str] | None, no: list[str] | None) -> None:
    """Classes, characters and counts, against the whole value; everything else is refused when it is written."""
    if yes is None or no is None:
        with pytest.raises(BrokerError, match="options"):
            pattern.compiled(text)
        return
    made = pattern.compiled(text)
    assert [value for value in yes if not made.matches(value)] == []
    assert [value for value in no if made.matches(value)] == []


def test_no_pattern_is_slow() -> None:
    """What takes a backtracking engine longer than the universe takes milliseconds."""
    made = pattern.compiled("[a-z]*" * 30 + "[0-9]")
    began = time.process_time()
    assert not made.matches("a" * pattern.MAX_ARGUMENT)
    assert time.process_time() - began < 1
    assert not made.matches("a" * (pattern.MAX_ARGUMENT + 1))


def test_no_builtin_profile_lets_an_argument_be_an_option() -> None:
    """Every hole of the built-in profiles refuses a dash in front, and a slash unless it is a path."""
    for profile in readonly.PROFILES:
        for kind in profile.arguments.values():
            assert not profiles.fits(kind, "-x", ROOTS)
            assert kind == profiles.PATH or not profiles.fits(kind, "a/b", ROOTS)
