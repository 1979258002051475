"""How far sequences of symbols are from what they should be."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

__all__ = ["ErrorRates", "edit_distance", "error_rates"]


def edit_distance(a: Sequence[Hashable], b: Sequence[Hashable]) -> int:
    """How many symbols have to be inserted, deleted or replaced to make one sequence of the other.

    Levenshtein, Binary codes capable of correcting deletions, insertions, and reversals (1966); row by row as
    Wagner and Fischer, The string-to-string correction problem (1974).

    Args:
        a: a sequence of symbols: a string, or a list of words.
        b: another.

    Returns:
        The number of edits.

    Example:
        >>> edit_distance("kitten", "sitting"), edit_distance(["a", "rose"], ["a", "rose"])
        (3, 0)
    """
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (x != y))
    return row[-1]


class ErrorRates(NamedTuple):
    """How wrong sequences are.

    Attributes:
        tokens: edits for each symbol of the references; it can be above 1.
        sequences: the share of sequences that equal no reference of theirs.

    Example:
        >>> error_rates([["cat"], ["dog"]], ["cat", "dot"]).sequences
        0.5
    """

    tokens: float
    sequences: float


def error_rates(
    references: Sequence[Sequence[Sequence[Hashable]]], predictions: Sequence[Sequence[Hashable]]
) -> ErrorRates:
    """The rates of wrong symbols and of wrong sequences, as for phonemes and words, or words and sentences.

    Where a sequence has several references, the nearest counts, of equally near ones the longest: its edits
    and its length are summed.

    Args:
        references: for each sequence one or more true ones.
        predictions: the sequences.

    Returns:
        `ErrorRates`.

    Raises:
        ValueError: if there are no sequences, not as many of both, a sequence has no reference, or all
            nearest references are empty.

    Example:
        >>> rates = error_rates([["ruf", "rʊf"], ["haʊs"]], ["ruv", "haʊs"])
        >>> round(rates.tokens, 4), rates.sequences
        (0.1429, 0.5)
    """
    if len(references) != len(predictions) or not predictions:
        raise ValueError(
            f"error_rates: expected references for each prediction, at least one, got {len(references)} "
            f"for {len(predictions)}"
        )
    if not all(references):
        number = [bool(own) for own in references].index(False)
        raise ValueError(f"error_rates: sequence {number} has no reference")
    edits = length = wrong = 0
    for own, found in zip(references, predictions, strict=True):
        distance, shorter = min((edit_distance(found, true), -len(true)) for true in own)
        edits, length, wrong = edits + distance, length - shorter, wrong + (distance > 0)
    if not length:
        raise ValueError("error_rates: the references are empty, so there is nothing to divide by")
    return ErrorRates(edits / length, wrong / len(predictions))
