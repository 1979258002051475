"""A common mistake that shows in a step, and the text that leads to what was meant."""

from __future__ import annotations

__all__ = ["name_accumulate"]

_TOO_FEW = "BatchNorm: training needs at least two elements a channel"


def name_accumulate(error: Exception, parts: int, size: int) -> None:
    """Say in an error that was raised in a part of a batch that the part was too small, if that is the cause.

    Args:
        error: the error; its message changes.
        parts: in how many parts batches are worked through.
        size: how many samples this part had.

    Example:
        >>> from portnn.nn import BatchNorm, outline
        >>> norm, x = BatchNorm(1), outline(BatchNorm(1))[0]["weight"][None]
        >>> try:
        ...     norm.apply(outline(norm)[0], x, training=True)
        ... except ValueError as error:
        ...     name_accumulate(error, 8, 1)
        ...     print(str(error)[:81])
        fit: accumulate=8 makes parts of 1 sample, too few for BatchNorm, which needs two
    """
    message = str(error)
    if parts > 1 and message.startswith(_TOO_FEW):
        samples = f"{size} sample{'s' if size > 1 else ''}"
        _, words, place = message.partition("; in layer ")
        text = (
            f"fit: accumulate={parts} makes parts of {samples}, too few for BatchNorm, which needs two "
            "elements a channel; pass a smaller accumulate or a larger batch_size (the last batch counts, "
            f"too), or use LayerNorm{words}{place}"
        )
        error.args = (text,)
