"""`select`: JMESPath over redacted JSON, within bounds that an expression cannot talk its way out of."""

from __future__ import annotations

import pytest

from kv.daemon.select import select
from kv.errors import KvError

DOCUMENT = {"items": [{"id": 1, "tags": ["a", "b"]}, {"id": 2, "tags": []}], "total": 2}


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("total", 2),
        ("items[*].id", [1, 2]),
        ("items[?id > `1`].id | [0]", 2),
        ("{n: total, first: items[0].tags[0]}", {"n": 2, "first": "a"}),
        ("items[].tags[]", ["a", "b"]),
        ("nothing.here", None),
        ("join('-', items[0].tags)", "a-b"),
    ],
)
def test_it_is_jmespath(expression: str, found: object) -> None:
    """Fields, projections, filters, hashes, pipes and functions work as the specification has them."""
    assert select(expression, DOCUMENT) == found


@pytest.mark.parametrize("expression", ["", "[", "total.", "abs(total, total)", "abs(items)", "unknown(total)"])
def test_what_does_not_parse_or_apply_is_an_error(expression: str) -> None:
    """A bad expression is a bad argument, with no word of the library's."""
    with pytest.raises(KvError) as caught:
        select(expression, DOCUMENT)
    assert caught.value.code == "bad-argument"


@pytest.mark.parametrize(
    "expression",
    [
        "|".join(["[@,@][]"] * 60),
        "|".join(["[@,@]"] * 60),
        "|".join(["[@,@]"] * 60) + "|to_string(@)",
        "|".join(["[@,@]"] * 60) + "|[0] == [1]",
        "|".join(["{a:@,b:@}"] * 40) + "|length(to_string(@))",
        "total|to_string(@)|" + "|".join(["join('',[@,@])"] * 60),
        "[" * 500 + "@" + "]" * 500,
    ],
)
def test_a_greedy_expression_is_refused_before_it_costs(expression: str) -> None:
    """Doubling, with and without a function that writes it out, ends at the budget; seconds of it are an outage."""
    with pytest.raises(KvError) as caught:
        select(expression, DOCUMENT)
    assert caught.value.code == "bad-argument"
