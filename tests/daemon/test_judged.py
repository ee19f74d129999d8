"""What a card says of how much a call would touch."""

from __future__ import annotations

import json

import pytest

from kv.daemon.judged import estimate


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ({"rows": 1}, "about 1 row"),
        ({"rows": 12345}, "about 12,345 rows"),
        ({"rows": None}, "not to be had"),
        ({"rows": None, "plan": []}, "not to be had"),
        ({"rows": None, "plan": ["SCAN t"]}, "no number is to be had; rows are found by SCAN t"),
        ({"error": {"message": "no such table"}}, "none: the server refuses the statement (no such table)"),
        ([], "not to be had"),
    ],
)
def test_an_estimate_is_told_as_far_as_it_is_to_be_had(found: object, says: str) -> None:
    """A number of rows; of SQLite, which has none, how it finds them."""
    assert estimate(json.dumps(found).encode()) == says


def test_a_long_plan_is_bounded() -> None:
    """The other side's text does not push anything off a card."""
    says = estimate(json.dumps({"rows": None, "plan": ["SCAN \n" + "x" * 500] * 9}).encode())
    assert len(says) < 300
    assert says.endswith("and 5 more steps")
    assert "\n" not in says
