"""A graph of ONNX while it grows: nodes, constants and names, as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any, final

from portnn._typing import Array
from portnn.backend import get_backend
from portnn.export._errors import ExportError
from portnn.export._tensors import Length, Size, Tensor

__all__ = ["Graph", "Node"]

_HOST = get_backend("numpy")
LAST = 2**63 - 1
"""What `Slice` takes for the end of any axis."""


@final
@dataclass(frozen=True)
class Node:
    """One operator.

    Attributes:
        op: its type, such as "Gemm".
        name: its name, which begins with that of the layer.
        inputs: names of what it reads; "" for an optional input that is left out.
        outputs: names of what it gives.
        attributes: its attributes; a dtype is given by its name.
    """

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]


@final
class Graph:
    """Operators in order.

    Args:
        batch: the name of an input whose first axis is the batch; None if its size is fixed.

    Attributes:
        nodes: the operators.
        constants: arrays by name.
        place: the layer that operators are added for.
    """

    def __init__(self, batch: str | None) -> None:
        self.nodes: list[Node] = []
        self.constants: dict[str, Array] = {}
        self.place = ""
        self._batch = batch
        self._names: dict[int, str] = {}
        self._kept: list[Tensor] = []
        self._dtypes: dict[str, str] = {}
        self._makers: dict[str, Node] = {}
        self._met: dict[Any, tuple[str, ...]] = {}
        self._counts: dict[str, int] = {}

    # Tensors and their names

    def bind(self, tensor: Tensor, name: str, *, given: bool = False) -> None:
        """Let a tensor be known by a name; converted to its dtype if it is not `given` from outside."""
        if tensor.dtype.startswith("complex"):
            raise ExportError("ONNX computes with real numbers, these are complex")
        if given:
            self._dtypes[name] = tensor.dtype
        self._names[id(tensor)] = self.cast(name, tensor.dtype)
        self._kept.append(tensor)  # so that its id is not given to another

    def knows(self, tensor: Tensor) -> bool:
        """Whether it has a name."""
        return id(tensor) in self._names

    def of(self, item: Any, dtype: str | None = None) -> str:
        """The name of an argument, a tensor or a number, in a dtype."""
        if isinstance(item, Tensor):
            name = self._names[id(item)]
            return name if dtype is None else self.cast(name, dtype)
        if isinstance(item, Size):
            return self.cast(self.add("Squeeze", self.ints([item]), self.ints([0])), dtype or "int64")
        if isinstance(item, bool | int | float) and dtype is not None:
            return self.number(item, dtype)
        raise ExportError(f"expected arrays and real numbers, got {type(item).__name__}")

    def dtype(self, name: str) -> str:
        """The dtype of what has a name."""
        return self._dtypes[name]

    def maker(self, name: str) -> Node | None:
        """The operator that gives it; None for inputs and constants."""
        return self._makers.get(name)

    # Constants

    def constant(self, array: Array, name: str | None = None) -> str:
        """An array, under a name if it has one; else equal ones are kept once."""
        array = _HOST.asarray(array)
        if name is None:
            key = ("constant", str(array.dtype), array.shape, array.tobytes())
            if key in self._met:
                return self._met[key][0]
            name = self._new("constant")
            self._met[key] = (name,)
        self.constants[name] = array
        self._dtypes[name] = str(array.dtype)
        return name

    def number(self, value: Any, dtype: str) -> str:
        """A number without axes."""
        whole = not dtype.startswith(("float", "bool"))
        if whole and (isinstance(value, float) and (isnan(value) or value != int(value))):
            raise ExportError(f"the number {value} does not fit into {dtype}")
        return self.constant(_HOST.asarray(value, dtype=dtype))

    def ints(self, values: Sequence[Length]) -> str:
        """Integers along one axis, such as a shape; computed from the batch where they follow it."""
        if not any(isinstance(value, Size) for value in values):
            return self.constant(_HOST.xp.asarray(list(values), dtype=_HOST.xp.int64))
        parts = [self._size(v) if isinstance(v, Size) else self.ints([v]) for v in values]
        return parts[0] if len(parts) == 1 else self.add("Concat", *parts, axis=0)

    def _size(self, size: Size) -> str:
        if self._batch is None:
            raise ExportError(f"a number follows the batch ({size}), but the size of the batch is fixed")
        name = self.add("Shape", self._batch, dtype="int64", start=0, end=1)
        if size.per_sample != 1:
            name = self.add("Mul", name, self.ints([size.per_sample]))
        return self.add("Add", name, self.ints([size.rest])) if size.rest else name

    # Operators

    def add(self, op: str, *inputs: str, dtype: str | None = None, **attributes: Any) -> str:
        """Add an operator with one output, of the dtype of the first input if none is given; its name."""
        return self.several(op, inputs, [dtype or self._dtypes[inputs[0]]], **attributes)[0]

    def several(
        self, op: str, inputs: Sequence[str], dtypes: Sequence[str], **attributes: Any
    ) -> tuple[str, ...]:
        """Add an operator with as many outputs as dtypes; an equal one is there only once."""
        key = (op, tuple(inputs), repr(sorted(attributes.items())), len(dtypes))
        found = self._met.get(key)
        if found is None:
            name = self._new(f"{self.place}/{op}" if self.place else op)
            found = (name,) if len(dtypes) == 1 else tuple([f"{name}:{i}" for i in range(len(dtypes))])
            node = Node(op, name, tuple(inputs), found, attributes)
            self.nodes.append(node)
            self._met[key] = found
            for output, dtype in zip(found, dtypes, strict=True):
                self._dtypes[output], self._makers[output] = dtype, node
        return found

    def cast(self, name: str, dtype: str) -> str:
        """The same in another dtype."""
        return name if self._dtypes[name] == dtype else self.add("Cast", name, dtype=dtype, to=dtype)

    def _new(self, stem: str) -> str:
        """A name that is not taken: the stem, with a number from the second time on."""
        while True:
            count = self._counts[stem] = self._counts.get(stem, 0) + 1
            name = stem if count == 1 else f"{stem}_{count}"
            if name not in self._dtypes:
                return name

    # What several translations need

    def shaped(self, name: str, shape: Sequence[Length]) -> str:
        """The same elements in another shape."""
        if 0 in shape:
            return self.add("Reshape", name, self.ints(shape), allowzero=1)
        free = [i for i, length in enumerate(shape) if isinstance(length, Size)]
        if free:  # one length ONNX works out by itself
            shape = [-1 if i == free[0] else length for i, length in enumerate(shape)]
        return self.add("Reshape", name, self.ints(shape))

    def stretched(self, name: str, old: Sequence[Length], new: Sequence[Length]) -> str:
        """Repeated along axes of length one, by the rules of broadcasting."""
        if tuple(old) == tuple(new):
            return name
        old = [1] * (len(new) - len(old)) + list(old)
        # One stands for the length that is there.
        target = [1 if here == there else there for here, there in zip(old, new, strict=True)]
        return self.add("Expand", name, self.ints(target))

    def sliced(self, name: str, axis: int, start: Length | None, stop: Length | None, step: int = 1) -> str:
        """A part of one axis, counted as Python's slices count."""
        if start is None:
            start = 0 if step > 0 else LAST
        if stop is None:
            stop = LAST if step > 0 else -LAST
        return self.add(
            "Slice", name, self.ints([start]), self.ints([stop]), self.ints([axis]), self.ints([step])
        )

    def transposed(self, name: str, order: Sequence[int]) -> str:
        """The axes in another order."""
        plain = list(order) == list(range(len(order)))
        return name if plain else self.add("Transpose", name, perm=list(order))
