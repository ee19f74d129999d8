"""What of a caller's environment reaches a program: of an agent's hardly anything, of a person's all but kv's own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kv.daemon.release.environment import basics, of_agent, of_person, variables
from kv.errors import KvError

PERSON = {"PATH": "/usr/bin", "HOME": "/home/ada", "USER": "ada"}

LEADERS = [
    *("LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "NODE_OPTIONS", "PYTHONPATH", "PYTHONSTARTUP", "GIT_SSH_COMMAND"),
    *("npm_config_registry", "NPM_CONFIG_PREFIX", "BASH_ENV", "ENV", "PERL5OPT", "RUBYOPT", "JAVA_TOOL_OPTIONS"),
    *("EDITOR", "PAGER", "BROWSER", "SSH_AUTH_SOCK", "TMPDIR", "KV_VAULT", "HTTPS_PROXY", "SSL_CERT_FILE", "IFS"),
]


@pytest.mark.parametrize("name", LEADERS)
def test_what_leads_a_program_does_not_pass_from_an_agent(name: str) -> None:
    """A loader's, an interpreter's, a shell's or a tool's variable is not the agent's to set."""
    assert name not in of_agent({name: "x"}, PERSON, "/w")


@pytest.mark.parametrize("name", ["PATH", "HOME", "USER"])
def test_path_and_home_are_the_persons(name: str) -> None:
    """Whatever the agent's shell says of them."""
    assert of_agent({name: "/elsewhere"}, PERSON, "/w")[name] == PERSON[name]


@given(st.dictionaries(st.text(), st.text()))
def test_nothing_passes_that_names_a_file(given: dict[str, str]) -> None:
    """Of all that an agent may set, no value has a slash but a time zone's, and none leads out of its folder."""
    found = of_agent(given, {}, "/w")
    assert all("/" not in value for name, value in found.items() if name not in {"PWD", "TZ"})


@pytest.mark.parametrize(
    ("zone", "passes"),
    [
        ("UTC", True),
        ("Europe/Berlin", True),
        ("/etc/passwd", False),
        (":/x", False),
        ("../../x", False),
        ("a/b/c/d", False),
    ],
)
def test_a_time_zone_is_no_path(zone: str, *, passes: bool) -> None:
    """Libc reads the file that TZ names."""
    assert ("TZ" in of_agent({"TZ": zone}, {}, "/w")) is passes


def test_a_person_has_their_environment_less_what_is_kvs_own() -> None:
    """A program that is kv itself finds its vault by where it is, not by what led its parent."""
    assert of_person({"LD_LIBRARY_PATH": "/opt", "KV_VAULT": "/v", "_KV_COMPLETE": "x"}) == {"LD_LIBRARY_PATH": "/opt"}


def test_of_a_name_that_is_there_twice_the_first_counts() -> None:
    """As `getenv` has it: else what is judged is not what the program sees."""
    assert variables([b"A=1", b"A=2", b"=x", b"none", b"B=a=b"]) == {"A": "1", "B": "a=b"}


def test_an_environment_has_a_bound() -> None:
    """20,000 variables."""
    with pytest.raises(KvError):
        variables(b"V%d=" % number for number in range(20_001))


def test_a_shell_without_a_path_has_the_systems() -> None:
    """And who one is comes from the system where the shell did not say."""
    assert basics({}, "ada", "/home/ada", "/bin/bash") == {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "USER": "ada",
        "LOGNAME": "ada",
        "HOME": "/home/ada",
        "SHELL": "/bin/bash",
    }
    assert basics({"PATH": "/x", "HOME": "/y", "LD_PRELOAD": "z"}, "ada", "/home/ada", "")["PATH"] == "/x"
