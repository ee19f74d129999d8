"""From a tool's arguments to a request: what the tools take, and what goes with what."""

from __future__ import annotations

from typing import Any

import pytest

from kv.errors import KvError
from kv.mcp.tools import check, request


def asked(tool: str, **given: Any) -> dict[str, object]:  # noqa: ANN401 - arguments of every type
    """The arguments of the request."""
    return request(tool, check(tool, given), 5.0).args


def refused(tool: str, **given: Any) -> str:  # noqa: ANN401 - as above
    """The argument that is refused."""
    with pytest.raises(KvError) as caught:
        asked(tool, **given)
    return str(caught.value.fields["argument"])


def test_a_result_that_is_too_large_can_be_asked_for_in_bounds() -> None:
    """A refusal that advises to ask for less can be followed, and a copy may take its time."""
    assert asked("kv_query", connection="shop", sql="select 1", max_bytes=1000)["max_bytes"] == 1000
    assert asked("kv_ssh", connection="web", argv=["ls"], max_bytes=1000)["max_bytes"] == 1000
    assert asked("kv_ssh_copy", connection="web", act="get", path="/x", timeout=300)["timeout"] == 300


def test_what_a_copy_has_no_use_for_is_refused() -> None:
    """A folder is not listed into a file, and only what is put there overwrites."""
    assert refused("kv_ssh_copy", connection="web", act="list", path="/x", file="y") == "file"
    assert refused("kv_ssh_copy", connection="web", act="get", path="/x", overwrite=True) == "overwrite"
    assert asked("kv_ssh_copy", connection="web", act="list", path="/x")["act"] == "list"
