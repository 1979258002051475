"""Several arrays into one, one into several, and arrays stretched against one another."""

from __future__ import annotations

from collections.abc import Sequence

from portnn._typing import Array
from portnn.ops._broadcasting import broadcast_to, match, reshape
from portnn.ops._helpers import normalize_axis, plain, plain_namespace
from portnn.ops._manipulation import cut, expand_dims
from portnn.tracing import namespace, primitive

__all__ = ["broadcast_arrays", "concat", "meshgrid", "stack", "tile", "unstack"]


@primitive
def _concat(*arrays: Array, axis: int) -> Array:
    return namespace(*arrays).concat(arrays, axis=axis)


def _concat_rule(g: Array, y: Array, *arrays: Array, axis: int) -> list[Array]:
    """Cut the gradient where the arrays were joined."""
    parts, start = [], 0
    for a in arrays:
        stop = start + a.shape[axis]
        parts.append(match(cut(g, axis=axis, start=start, stop=stop), a))
        start = stop
    return parts


_concat.vjp_joint(_concat_rule)


def concat(arrays: Sequence[Array], /, *, axis: int | None = 0) -> Array:
    """Join arrays along an existing axis.

    Args:
        arrays: arrays with the same shape but for `axis`.
        axis: the axis to join along; None flattens the arrays first.

    Returns:
        An array of the promoted dtype.

    Raises:
        ValueError: if there are no arrays.

    Example:
        >>> import numpy as np
        >>> concat([np.asarray([1, 2]), np.asarray([3])]).tolist()
        [1, 2, 3]
    """
    if not arrays:
        raise ValueError("concat: expected at least one array, got an empty sequence")
    if axis is None:
        return _concat(*[reshape(a, (-1,)) for a in arrays], axis=0)
    return _concat(*arrays, axis=normalize_axis(axis, len(arrays[0].shape)))


def stack(arrays: Sequence[Array], /, *, axis: int = 0) -> Array:
    """Join arrays of one shape along a new axis.

    Args:
        arrays: arrays of the same shape.
        axis: where the new axis stands in the result.

    Returns:
        An array with one axis more.

    Raises:
        ValueError: if there are no arrays, or their shapes differ.

    Example:
        >>> import numpy as np
        >>> stack([np.asarray([1, 2]), np.asarray([3, 4])], axis=1).tolist()
        [[1, 3], [2, 4]]
    """
    if not arrays or any(a.shape != arrays[0].shape for a in arrays):
        raise ValueError(f"stack: expected arrays of one shape, got {[tuple(a.shape) for a in arrays[:4]]}")
    axis = normalize_axis(axis, len(arrays[0].shape) + 1)
    return _concat(*[expand_dims(a, axis=axis) for a in arrays], axis=axis)


@primitive
def _unstack(x: Array, /, *, axis: int) -> tuple[Array, ...]:
    before = (slice(None),) * axis
    return tuple([x[(*before, i, ...)] for i in range(x.shape[axis])])


# One step puts all gradients together; a step for each would make as many arrays of the shape of x.
_unstack.vjp(lambda g, y, x, axis: stack(g, axis=axis))


def unstack(x: Array, /, *, axis: int = 0) -> tuple[Array, ...]:
    """Take an array apart along an axis; the reverse of `stack`.

    Args:
        x: an array with at least one axis.
        axis: the axis to take apart.

    Returns:
        As many arrays as `axis` is long, without that axis.

    Example:
        >>> import numpy as np
        >>> [part.tolist() for part in unstack(np.asarray([[1, 2], [3, 4]]), axis=1)]
        [[1, 3], [2, 4]]
    """
    return _unstack(x, axis=normalize_axis(axis, len(x.shape)))


def tile(x: Array, repetitions: tuple[int, ...], /) -> Array:
    """Lay copies of an array side by side.

    Args:
        x: an array.
        repetitions: how many copies along each axis; the shorter of it and the shape is filled up with
            ones in front.

    Returns:
        An array whose axes are as many times longer.

    Example:
        >>> import numpy as np
        >>> tile(np.asarray([1, 2]), (2, 2)).tolist()
        [[1, 2, 1, 2], [1, 2, 1, 2]]
    """
    ndim = max(len(x.shape), len(repetitions))
    shape = (1,) * (ndim - len(x.shape)) + tuple(x.shape)
    copies = (1,) * (ndim - len(repetitions)) + tuple(repetitions)
    apart = reshape(x, tuple([m for n in shape for m in (1, n)]))
    filled = broadcast_to(apart, tuple([m for c, n in zip(copies, shape, strict=True) for m in (c, n)]))
    return reshape(filled, tuple([c * n for c, n in zip(copies, shape, strict=True)]))


def broadcast_arrays(*arrays: Array) -> tuple[Array, ...]:
    """Broadcast arrays against one another.

    Args:
        *arrays: arrays of compatible shapes.

    Returns:
        Arrays of their common shape; they may share memory with the given ones.

    Example:
        >>> import numpy as np
        >>> [a.shape for a in broadcast_arrays(np.ones((2, 1)), np.ones(3))]
        [(2, 3), (2, 3)]
    """
    shape = tuple(plain_namespace(*arrays).broadcast_arrays(*[plain(a) for a in arrays])[0].shape)
    return tuple([broadcast_to(a, shape) for a in arrays])


def meshgrid(*arrays: Array, indexing: str = "xy") -> tuple[Array, ...]:
    """Coordinate arrays from one-dimensional coordinates.

    Args:
        *arrays: n arrays of at most one dimension and one dtype.
        indexing: "xy" (the first two axes exchanged, as in plots) or "ij" (as in matrices).

    Returns:
        n arrays of n dimensions; the i-th varies along the axis of the i-th coordinate.

    Raises:
        ValueError: if an array has several dimensions or `indexing` is another word.

    Example:
        >>> import numpy as np
        >>> [a.tolist() for a in meshgrid(np.asarray([1, 2]), np.asarray([3, 4]))]
        [[[1, 2], [1, 2]], [[3, 3], [4, 4]]]
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing must be 'xy' or 'ij', got {indexing!r}")
    if any(len(a.shape) > 1 for a in arrays):
        raise ValueError(
            f"meshgrid: expected arrays of at most one axis, got {[len(a.shape) for a in arrays[:6]]} axes"
        )
    n = len(arrays)
    place = list(range(n))
    if indexing == "xy" and n > 1:
        place[:2] = [1, 0]
    return broadcast_arrays(
        *[
            reshape(a, tuple([-1 if i == p else 1 for i in range(n)]))
            for a, p in zip(arrays, place, strict=True)
        ]
    )
