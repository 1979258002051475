"""Layers that prepare the input: other shapes, other scales."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, prod
from typing import Any, final

from portnn import ops
from portnn._typing import Array, Tree
from portnn.nn._checks import check_size
from portnn.nn._layer import Key, Layer
from portnn.tracing import is_kind

__all__ = ["Flatten", "Rescale", "Reshape"]


@final
@dataclass(frozen=True)
class Flatten(Layer):
    """All axes but the first as one: images (n, height, width) become rows (n, height * width).

    Example:
        >>> import numpy as np
        >>> Flatten().apply({}, np.zeros((5, 28, 28))).shape
        (5, 784)
    """

    def forward(
        self, params: Tree, state: Tree, x: Array, *, training: bool, key: Key | None
    ) -> tuple[Array, Tree]:
        """Reshape (n, ...) to (n, product of the rest)."""
        if not x.shape:
            raise ValueError("Flatten: expected an input with a batch axis, got shape ()")
        if len(x.shape) == 2:
            return x, state
        return ops.reshape(x, (x.shape[0], prod(x.shape[1:]))), state


@final
@dataclass(frozen=True)
class Reshape(Layer):
    """Each sample under another shape: images without channels (n, 28, 28) become (n, 1, 28, 28), and back.

    Args:
        shape: the shape of one sample; one length may be -1 and is worked out.

    Raises:
        TypeError: if a length is no integer.
        ValueError: if a length is neither positive nor -1, or several are -1.

    Example:
        >>> import numpy as np
        >>> Reshape((1, 28, 28)).apply({}, np.zeros((5, 784))).shape
        (5, 1, 28, 28)
    """

    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        given: Any = self.shape
        lengths = given if isinstance(given, tuple | list) else (given,)
        shape = tuple([n if n == -1 else check_size("Reshape", "a length", n) for n in lengths])
        if shape.count(-1) > 1:
            raise ValueError(f"Reshape: only one length may be -1, got {shape}")
        object.__setattr__(self, "shape", shape)

    def forward(
        self, params: Tree, state: Tree, x: Array, *, training: bool, key: Key | None
    ) -> tuple[Array, Tree]:
        """Reshape (n, ...) to (n, *shape)."""
        if not x.shape:
            raise ValueError("Reshape: expected an input with a batch axis, got shape ()")
        size, known = prod(x.shape[1:]), prod([n for n in self.shape if n != -1])
        if size != known and (-1 not in self.shape or size % known):
            raise ValueError(
                f"Reshape: samples of shape {tuple(x.shape[1:])} do not fit into {self.shape}: "
                f"{size} elements, not {known}"
            )
        shape = tuple([size // known if n == -1 else n for n in self.shape])
        return ops.reshape(x, (x.shape[0], *shape)), state


@final
@dataclass(frozen=True)
class Rescale(Layer):
    """Multiply by a number and add another: pixels 0 to 255 become numbers 0 to 1.

    Data can so stay in memory as bytes and become floating point one batch at a time.

    Args:
        scale: the factor.
        offset: what is added.
        dtype: the dtype that integers are converted to; floating-point input keeps its own.

    Raises:
        ValueError: if a number is not finite, or `dtype` is not a floating-point dtype.

    Example:
        >>> import numpy as np
        >>> Rescale().apply({}, np.asarray([[0, 255]], dtype=np.uint8)).tolist()
        [[0.0, 1.0]]
    """

    scale: float = 1.0 / 255.0
    offset: float = 0.0
    dtype: str = "float32"

    def __post_init__(self) -> None:
        if not isfinite(self.scale) or not isfinite(self.offset):
            raise ValueError(f"Rescale: scale and offset must be finite, got {self.scale} and {self.offset}")
        if self.dtype not in ("float32", "float64"):
            raise ValueError(f"Rescale: dtype must be 'float32' or 'float64', got {self.dtype!r}")

    def forward(
        self, params: Tree, state: Tree, x: Array, *, training: bool, key: Key | None
    ) -> tuple[Array, Tree]:
        """``x * scale + offset`` in floating point."""
        if not is_kind(x, "real floating"):
            x = ops.astype(x, self.dtype)
        y = ops.multiply(x, self.scale)
        return (ops.add(y, self.offset) if self.offset else y), state
