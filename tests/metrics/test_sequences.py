"""Edit distances against the definition, and error rates with several references."""

from __future__ import annotations

from functools import cache

import hypothesis.strategies as st
import pytest
from hypothesis import given

from portnn import metrics


@cache
def by_definition(a: str, b: str) -> int:
    """The least number of edits, over all first edits."""
    if not a or not b:
        return len(a) + len(b)
    replaced = by_definition(a[1:], b[1:]) + (a[0] != b[0])
    return min(replaced, by_definition(a[1:], b) + 1, by_definition(a, b[1:]) + 1)


words = st.text("abc", max_size=6)


@given(words, words)
def test_distance_is_the_definition(a: str, b: str) -> None:
    assert metrics.edit_distance(a, b) == by_definition(a, b)
    assert metrics.edit_distance(list(a), tuple(b)) == by_definition(a, b)


def test_the_nearest_reference_counts() -> None:
    """Edits 1 and 0; lengths 3 (of the nearest, not the shortest) and 2."""
    rates = metrics.error_rates([["abc", "x"], ["de"]], ["abx", "de"])
    assert rates == metrics.ErrorRates(1 / 5, 0.5)


def test_of_equally_near_references_the_longest_counts() -> None:
    assert metrics.error_rates([["ab", "abcd"]], ["abc"]).tokens == 1 / 4


def test_a_rate_may_exceed_one() -> None:
    assert metrics.error_rates([["a"]], ["bcd"]).tokens == 3.0


@pytest.mark.parametrize(
    ("references", "predictions", "message"),
    [
        ([["a"]], [], "at least one, got 1 for 0"),
        ([], [], "at least one, got 0 for 0"),
        ([["a"]], ["a", "b"], "got 1 for 2"),
        ([["a"], []], ["a", "b"], "sequence 1 has no reference"),
        ([[""]], ["a"], "references are empty"),
    ],
)
def test_errors(references: list[list[str]], predictions: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        metrics.error_rates(references, predictions)
