"""What the keeper knows of the person whose programs it starts."""

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING

from kv.daemon.release.runs import user

if TYPE_CHECKING:
    import pytest


def test_a_user_whom_the_system_does_not_know_has_a_home_and_a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container started with any number for its user still unlocks and runs."""
    unknown = max(each.pw_uid for each in pwd.getpwall()) - 1
    while any(each.pw_uid == unknown for each in pwd.getpwall()):
        unknown -= 1
    monkeypatch.setenv("HOME", "/srv/ada")
    assert user(unknown) == (str(unknown), "/srv/ada", "/bin/sh")
    ours = pwd.getpwuid(os.geteuid())
    assert user(os.geteuid()) == (ours.pw_name, ours.pw_dir, ours.pw_shell)
