"""What a call costs: arithmetic operations and bytes, from the shapes alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import log2, prod
from typing import Any

from portnn.program._line import dtype_name
from portnn.tracing import Call, Value

__all__ = ["bytes_of", "contraction", "flops_of", "is_view", "peak_of"]

_VIEWS = frozenset({
    "broadcast_arrays", "broadcast_to", "expand_dims", "linalg.diagonal", "linalg.matrix_transpose",
    "matrix_transpose", "moveaxis", "permute_dims", "reshape", "squeeze", "unstack",
})  # fmt: skip
_MOVES = _VIEWS | {
    "asarray", "astype", "concat", "copy", "flip", "from_dlpack", "getitem", "imag", "in_range",
    "meshgrid", "nonzero", "positive", "real", "repeat", "roll", "stack", "take", "take_along_axis", "tile",
    "to_device", "tril", "triu",
}  # fmt: skip
_REDUCTIONS = frozenset({
    "all", "any", "argmax", "argmin", "count_nonzero", "cumulative_prod", "cumulative_sum", "linalg.trace",
    "max", "mean", "min", "prod", "std", "sum", "var",
})  # fmt: skip


def is_view(call: Call) -> bool:
    """Whether the call only looks at its argument in another way."""
    if call.name == "getitem":
        return len(call.inputs()) == 1  # no array among the indices
    return call.name in _VIEWS


def flops_of(call: Call) -> int:
    """The arithmetic operations of a call.

    A multiply-add counts two. Products of matrices are exact; elementwise functions count one per element
    of their result, whatever the function; reductions the size of what they reduce; norms twice that;
    views and moves nothing. A sort counts n log2 n per axis, a Fourier transform 5 n log2 n (half of it if
    real), decompositions the leading term of the usual algorithm for n by n matrices (Golub and Van Loan,
    Matrix Computations, 4th edition). Complex operations count one.
    """
    if call.name in _MOVES:
        return 0
    values = call.inputs()
    if call.name in _REDUCTIONS:
        return values[0].size
    counted = _COUNTED.get(call.name.removeprefix("linalg."))
    if counted is not None:
        return int(counted(call, values))
    if call.name.startswith("fft."):
        return _fourier(call)
    return max([value.size for value in call.outputs()], default=0)


def contraction(call: Call) -> int:
    """How many terms are added up for one element of the result; 1 where none are."""
    values, results = call.inputs(), call.outputs()
    if call.name in _REDUCTIONS or call.name == "linalg.vector_norm":
        cumulative = call.name.startswith("cumulative")
        return max(values[0].shape, default=1) if cumulative else _ratio(values[0].size, results[0].size)
    if call.name.removeprefix("linalg.") in _PRODUCTS:
        return _ratio(flops_of(call), 2 * results[0].size)
    return 1


def bytes_of(call: Call) -> int:
    """The bytes that a call reads and writes; none for a view. Each array counts once."""
    if is_view(call):
        return 0
    read = {id(value): value for value in call.inputs()}
    written = sum(_memory(value) for value in call.outputs())
    if call.name in ("getitem", "take", "take_along_axis"):  # of the first argument only what is taken
        read.pop(id(call.inputs()[0]))
        return 2 * written + sum(_memory(value) for value in read.values())
    return written + sum(_memory(value) for value in read.values())


def peak_of(calls: Sequence[Call], results: Sequence[Value]) -> int:
    """The most bytes of results that are alive at a time, if each is given back after its last use."""
    owners: dict[int, int] = {}  # by a view, the array that holds its memory
    last: dict[int, int] = {}
    for i, call in enumerate(calls):
        read = [owners.get(id(value), id(value)) for value in call.inputs()]
        for value in call.outputs():
            owners[id(value)] = read[0] if read and is_view(call) else id(value)
        last.update(dict.fromkeys([*read, *[owners[id(value)] for value in call.outputs()]], i))
    last.update({owners.get(id(value), id(value)): len(calls) for value in results})
    alive = peak = 0
    held: dict[int, list[int]] = {}  # by the number of a call, what goes after it
    for i, call in enumerate(calls):
        for value in call.outputs():
            if owners[id(value)] == id(value):
                alive += _memory(value)
                held.setdefault(last[id(value)], []).append(_memory(value))
        peak = max(peak, alive)
        alive -= sum(held.pop(i, ()))
    return peak


def _memory(value: Value) -> int:
    """Bytes; an axis with stride 0 repeats the same ones."""
    strides = value.strides or (1,) * len(value.shape)
    return _width(dtype_name(value.dtype)) * prod(
        [n for n, step in zip(value.shape, strides, strict=True) if step]
    )


def _width(name: str) -> int:
    """Bytes per element of a dtype by its name."""
    bits = "".join([c for c in name if c.isdigit()])
    return int(bits) // 8 if bits else 1


def _ratio(whole: int, part: int) -> int:
    return max(1, whole // max(1, part))


def _matmul(call: Call, values: Sequence[Value]) -> int:
    return 2 * call.result.size * values[0].shape[-1]


def _tensordot(call: Call, values: Sequence[Value]) -> int:
    # (free a, common), (common, free b) -> (free a, free b)
    x, y = values
    common = round((x.size * y.size / max(1, call.result.size)) ** 0.5)
    return 2 * call.result.size * common


def _vecdot(call: Call, values: Sequence[Value]) -> int:
    x, y = values
    axis: int = call.options.get("axis", -1)
    return 2 * call.result.size * max(x.shape[axis], y.shape[axis])


def _sorted(call: Call, values: Sequence[Value]) -> float:
    x = values[0]
    n = x.shape[call.options.get("axis", -1)] if x.shape and not call.name.startswith("unique") else x.size
    return x.size * log2(n) if n > 1 else 0


def _matrices(factor: float) -> Callable[[Call, Sequence[Value]], float]:
    """An algorithm that takes ``factor * m * n * min(m, n)`` operations for each m by n matrix."""
    return lambda call, values: factor * values[0].size * min(values[0].shape[-2:])


def _solve(call: Call, values: Sequence[Value]) -> float:
    a, b = values
    n = a.shape[-1]
    columns = 1 if len(b.shape) == 1 else b.shape[-1]
    return a.size * (2 / 3 * n + 2 * columns)


def _fourier(call: Call) -> int:
    x, y = call.inputs()[0], call.outputs()[0]
    if call.name in ("fft.fftshift", "fft.ifftshift"):
        return 0
    axes: Any = call.options.get("axes")
    if call.name.endswith("n"):
        lengths = y.shape if axes is None else [max(x.shape[a], y.shape[a]) for a in axes]
    else:
        axis = call.options.get("axis", -1)
        lengths = [max(x.shape[axis], y.shape[axis])]
    real = call.name.split(".")[1] in ("rfft", "irfft", "rfftn", "irfftn", "hfft", "ihfft")
    size = max(x.size, y.size)
    return int((2.5 if real else 5) * size * sum(log2(n) for n in lengths if n > 1))


_PRODUCTS: dict[str, Callable[[Call, Sequence[Value]], float]] = {
    "matmul": _matmul, "tensordot": _tensordot, "vecdot": _vecdot,
}  # fmt: skip
_COUNTED: dict[str, Callable[[Call, Sequence[Value]], float]] = {
    **_PRODUCTS,
    "cholesky": _matrices(1 / 3),
    "cross": lambda call, values: 3 * call.result.size,
    "det": _matrices(2 / 3),
    "slogdet": _matrices(2 / 3),
    "eigh": _matrices(9),
    "eigvalsh": _matrices(4 / 3),
    "inv": _matrices(2),
    "matrix_norm": lambda call, values: 2 * values[0].size,
    "matrix_power": lambda call, values: 2 * values[0].size * values[0].shape[-1],
    "matrix_rank": _matrices(4),
    "pinv": _matrices(22),
    "qr": _matrices(4),
    "solve": _solve,
    "svd": _matrices(22),
    "svdvals": _matrices(4),
    "vector_norm": lambda call, values: 2 * values[0].size,
    "searchsorted": lambda call, values: values[1].size * log2(max(2, values[0].size)),
    "sort": _sorted,
    "argsort": _sorted,
    "unique_all": _sorted,
    "unique_counts": _sorted,
    "unique_inverse": _sorted,
    "unique_values": _sorted,
}
