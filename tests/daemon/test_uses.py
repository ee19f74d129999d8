"""What a use of a connection may hold, before anything is planned."""

from __future__ import annotations

import pytest

from kv.daemon.uses import Ssh
from kv.errors import KvError


@pytest.mark.parametrize(("argument", "select", "save"), [("select", "a", ""), ("save", "", "out")])
def test_a_command_has_nothing_to_select_or_save(argument: str, select: str, save: str) -> None:
    """It is refused before anybody is asked and anything is run; a file that is got is saved."""
    for use in (
        Ssh(connection="web", argv=["deploy"], select=select, save=save),
        Ssh(connection="web", act="exec", argv=["deploy"], select=select, save=save),
    ):
        with pytest.raises(KvError) as caught:
            use.arguments()
        assert (caught.value.code, caught.value.fields["argument"]) == ("bad-argument", argument)
    got = Ssh(connection="web", act="get", path="/srv/x", select=select, save=save)
    assert got.arguments() == {"act": "get", "path": "/srv/x"}
