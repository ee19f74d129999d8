"""What is read from a client and a keeper: strictly, and nothing but `KvError` for what is not a message."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runs import hello

from kv.errors import KvError
from kv.runner.messages import FROM_CLIENT, HELLO, KILL, ORDER, TO_NURSERY, Continue, Resize, Signal, spell

if TYPE_CHECKING:
    from msgspec import Struct

    from kv.runner.messages import Kinds

KINDS: tuple[Kinds[Any], ...] = (FROM_CLIENT, HELLO, KILL, ORDER, TO_NURSERY)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from([*hello(), "signal", "size", "continue", "argv"]), inner)
    ),
)


@pytest.mark.parametrize("kinds", KINDS)
@given(data=st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_garbage_is_refused_in_one_way(kinds: Kinds[Struct], data: bytes) -> None:
    """Whatever the bytes: a message, or `bad-frame`."""
    refused = ""
    try:
        kinds.read(data)
    except KvError as error:
        refused = error.code
    assert refused in {"", "bad-frame"}


@pytest.mark.parametrize(
    ("message", "found"),
    [
        ({"signal": 15}, Signal(15)),
        ({"size": [24, 80]}, Resize((24, 80))),
        ({"continue": None, "foreground": True}, Continue(None, foreground=True)),
    ],
)
def test_messages_of_a_client(message: dict[str, object], found: object) -> None:
    """Each by its first member."""
    assert FROM_CLIENT.read(spell(message)) == found


@pytest.mark.parametrize(
    "text",
    [
        '{"signal":15,"signal":9}',
        '{"signal":15,"more":1}',
        '{"signal":true}',
        '{"signal":15.0}',
        '{"signal":"15"}',
        '{"signal":0}',
        '{"signal":65}',
        '{"size":[24]}',
        '{"size":[24,65536]}',
        '{"size":[-1,80]}',
        '{"continue":[24,80]}',
        '{"kill":true}',
        "[]",
        "{}",
        "",
    ],
)
def test_what_is_nearly_a_message_is_refused(text: str) -> None:
    """Two members of a name, unknown ones, other types, numbers out of bounds."""
    with pytest.raises(KvError):
        FROM_CLIENT.read(text.encode())


@pytest.mark.parametrize(
    "change",
    [
        {"umask": 0o1000},
        {"streams": ["given", "given"]},
        {"streams": ["given", "given", "file"]},
        {"terminal": [24, 80, 1]},
        {"modes": [0, 0, 0, 0, 0, 0, [256]]},
        {"limits": {"NOFILE": [1]}},
        {"limits": {"NOFILE": [1 << 63, 1]}},
        {"ignored": [1] * 9},
    ],
)
def test_a_first_word_out_of_bounds_is_refused(change: dict[str, object]) -> None:
    """Every number of it has one."""
    HELLO.read(spell(hello()))
    with pytest.raises(KvError):
        HELLO.read(spell(hello(**change)))


def test_bytes_that_are_no_text_come_out_as_they_went_in() -> None:
    """An argument is bytes, and JSON is text: `surrogateescape` is between them."""
    odd = b"a\xff\n".decode("utf-8", "surrogateescape")
    for data in (
        json.dumps({"argv": [odd]}).encode(),
        json.dumps({"argv": [odd]}, ensure_ascii=False).encode("utf-8", "surrogateescape"),
    ):
        members = {"argv": [odd], "executable": "/x", "pin": [0] * 5, "environment": {}, "folder": [0, 0], "lent": []}
        flags = {"redact": True, "prompt": False, "privileges": False, "timeout": 0}
        whole = (
            json.dumps({**members, **flags}).encode().replace(json.dumps([odd]).encode(), data[len(b'{"argv": ') : -1])
        )
        assert ORDER.read(whole).argv == [odd]
