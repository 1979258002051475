"""PyTorch's operations in portnn's functions: how arguments of the one become arguments of the other.

A key is a name of `op_db`, with or without its variant. Where PyTorch's name (or another that it knows for
the operation) is that of a function of portnn, the two are paired by it, and at most the order of PyTorch's
options stands here. An option that portnn's function lacks makes a case not applicable by itself.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from typing import Any

import numpy as np

from portnn import losses, nn, ops
from portnn.ops import fft, linalg
from tests.peers.frame import NotApplicableError, require

F = "nn.functional."
HOMES = {"": (ops,), "special": (ops,), "nn.functional": (nn, ops), "linalg": (linalg, ops), "fft": (fft,)}
RENAMED = {"dim": "axis", "dims": "axis", "keepdim": "keepdims", "diagonal": "k", "shifts": "shift"}
# Options that choose how PyTorch stores or computes a result, and never what it is.
NEUTRAL = {
    "inplace",
    "memory_format",
    "sparse_grad",
    "sparse",
    "out_int32",
    "recompute_scale_factor",
    "requires_grad",
}

# PyTorch's options, in its order, of operations that are paired with a function by name.
OPTIONS = {
    **dict.fromkeys(["sum", "mean", "prod", "amax", "amin", "all", "any", "argmax", "argmin"], "dim keepdim"),
    **dict.fromkeys(["logsumexp", "count_nonzero"], "dim keepdim"),
    **dict.fromkeys(["cumsum", "cumprod", F + "glu"], "dim"),
    **dict.fromkeys(["cat", "stack", "unsqueeze", "unbind", "linalg.vecdot", "linalg.cross"], "dim"),
    **dict.fromkeys(["tril", "triu"], "diagonal"),
    **dict.fromkeys(["fft.fft", "fft.ifft", "fft.rfft", "fft.irfft", "fft.hfft", "fft.ihfft"], "n dim norm"),
    **dict.fromkeys(["fft.fftn", "fft.ifftn", "fft.rfftn", "fft.irfftn"], "s dims norm"),
    **dict.fromkeys(["fft.fftshift", "fft.ifftshift"], "dims"),
    "diff": "n dim prepend append",
    "clamp": "min max",
    "roll": "shifts dims",
    "repeat_interleave": "repeats dim",
    "full_like": "fill_value",
    "linalg.svdvals": "driver",
    "linalg.vector_norm": "ord dim keepdim",
    "linalg.cholesky": "upper",
    "linalg.matrix_power": "n",
    F + "elu": "alpha",
    F + "celu": "alpha",
    F + "leaky_relu": "negative_slope",
    F + "gelu": "approximate",
}
# Functions whose names differ by more than underscores.
COUNTERPARTS = {
    "amax": ops.max,
    "amin": ops.min,
    "bitwise_not": ops.bitwise_invert,
    "bmm": ops.matmul,
    "cumprod": ops.cumulative_prod,
    "cumsum": ops.cumulative_sum,
    "float_power": ops.pow,
    "inverse": linalg.inv,
    "max.binary": ops.maximum,
    "min.binary": ops.minimum,
    "mm": ops.matmul,
    "mv": ops.matmul,
    "repeat_interleave": ops.repeat,
    "true_divide": ops.divide,
    "unbind": ops.unstack,
    "unsqueeze": ops.expand_dims,
}
ADAPTERS: dict[str, Callable[..., Any]] = {}
# Results that are determined up to signs, or that neither library chooses alike: what remains is compared.
COMPARED = {
    **dict.fromkeys(["svd", "linalg.svd"], slice(1, 2)),
    **dict.fromkeys([f"{F}{kind}max_pool{dims}d" for kind in ("", "adaptive_") for dims in (1, 2)], slice(1)),
}


def adapter(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function that takes PyTorch's arguments, its tensors as arrays, under `names`."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        ADAPTERS.update(dict.fromkeys(names, function))
        return function

    return register


@cache
def parameters(function: Callable[..., Any]) -> tuple[int, frozenset[str]]:
    """How many arrays a function takes by position, and the names of its options."""
    kinds = {name: parameter.kind for name, parameter in inspect.signature(function).parameters.items()}
    arrays = [name for name, kind in kinds.items() if kind is inspect.Parameter.POSITIONAL_ONLY]
    return len(arrays), frozenset(kinds) - set(arrays)


def translated(function: Callable[..., Any], options: str = "", **defaults: Any) -> Callable[..., Any]:
    """Adapt a function that differs from PyTorch's in the names of its options alone.

    Args:
        function: portnn's function.
        options: the names of PyTorch's options, in its order.
        **defaults: values of PyTorch's options that ask for nothing; None never does.
    """
    arrays, known = parameters(function)

    def call(*given: Any, **named: Any) -> Any:
        names = options.split()
        assert len(given) <= arrays + len(names), f"{function.__name__}: {len(given)} arguments"
        chosen = {}
        for name, value in {**dict(zip(names, given[arrays:], strict=False)), **named}.items():
            if value is None or name in NEUTRAL or (name in defaults and defaults[name] == value):
                continue
            keyword = RENAMED.get(name, name)
            if keyword == "axis" and "axes" in known:
                keyword, value = "axes", (value,) if isinstance(value, int) else value
            require(keyword in known, f"{function.__name__}: {name}")
            chosen[keyword] = axes(given[0], value) if keyword in ("axis", "axes") else value
        return function(*given[:arrays], **chosen)

    return call


def axes(x: Any, axis: Any) -> Any:
    """PyTorch's axes for an array: no axis among several is all of them, and a scalar has none."""
    require(getattr(x, "ndim", 1) > 0, "an axis of a 0-d array")
    return (tuple(axis) or None) if isinstance(axis, Sequence) else axis


def find(name: str, aliases: Iterable[str], variant: str) -> Callable[..., Any]:
    """The adapter of an operation; raises NotApplicableError where portnn has no counterpart."""
    keys = (f"{name}.{variant}", name)
    for table in (ADAPTERS, COUNTERPARTS):
        for key in keys:
            if key in table:
                return table[key] if table is ADAPTERS else translated(table[key], OPTIONS.get(name, ""))
    for other in (name, *aliases):
        home, _, last = other.rpartition(".")
        if function := _of_that_name(home, last.replace("_", "")):
            return translated(function, OPTIONS.get(name, ""))
    raise NotApplicableError("operations without a counterpart in portnn")


def _of_that_name(home: str, plain: str) -> Callable[..., Any] | None:
    """A public function of a home with this name, underscores aside."""
    for module in HOMES.get(home, ()):
        for name in module.__all__:
            if name.replace("_", "") == plain and inspect.isfunction(inspect.unwrap(getattr(module, name))):
                return getattr(module, name)
    return None


def at(x: Any, axis: int, index: Any) -> Any:
    """`x` with an index or slice on one axis."""
    require(x.ndim > 0, "an axis of a 0-d array")
    return ops.getitem(x, (slice(None),) * (axis % x.ndim) + (index, ...))


def one_argument(given: tuple[Any, ...]) -> tuple[Any, ...]:
    """Numbers that PyTorch takes one by one or in a sequence."""
    return tuple(given[0]) if len(given) == 1 and isinstance(given[0], Sequence) else given


def nonnumber(x: Any) -> Any:
    """Truth of numbers: PyTorch's logical functions take any dtype, the standard's take booleans."""
    return ops.not_equal(x, 0.0)


def times(x: Any, factor: float) -> Any:
    """A multiple, by portnn's function where there is something to multiply."""
    return x if factor == 1 else ops.multiply(x, factor) if hasattr(x, "shape") else x * factor


# Arithmetic.
ADAPTERS |= {
    "__radd__": lambda x, y: y + x,
    "__rsub__": lambda x, y: y - x,
    "__rmul__": lambda x, y: y * x,
    "__rdiv__": lambda x, y: y / x,
    "__rpow__": lambda x, y: y**x,
    "__rmod__": lambda x, y: y % x,
    "__rmatmul__": lambda x, y: y @ x,
    "__rand__": lambda x, y: y & x,
    "__ror__": lambda x, y: y | x,
    "__rxor__": lambda x, y: y ^ x,
    "add": lambda x, y, alpha=1: ops.add(x, times(y, alpha)),
    "sub": lambda x, y, alpha=1: ops.subtract(x, times(y, alpha)),
    "rsub": lambda x, y, alpha=1: ops.subtract(y, times(x, alpha)),
    "addcmul": lambda x, y, z, value=1: ops.add(x, times(ops.multiply(y, z), value)),
    "addcdiv": lambda x, y, z, value=1: ops.add(x, times(ops.divide(y, z), value)),
    "addmm": lambda x, y, z, beta=1, alpha=1: ops.add(times(x, beta), times(ops.matmul(y, z), alpha)),
    "addr": lambda x, y, z, beta=1, alpha=1: ops.add(times(x, beta), times(linalg.outer(y, z), alpha)),
    "lerp": lambda x, y, weight: ops.add(x, ops.multiply(ops.subtract(y, x), weight)),
    "clamp_min": lambda x, low: ops.clip(x, low, None),
    "clamp_max": lambda x, high: ops.clip(x, None, high),
    "where": lambda x, condition, y: ops.where(condition, x, y),
    "masked_fill": lambda x, mask, value: ops.where(mask, value, x),
    "logical_and": lambda x, y: ops.logical_and(nonnumber(x), nonnumber(y)),
    "logical_or": lambda x, y: ops.logical_or(nonnumber(x), nonnumber(y)),
    "logical_xor": lambda x, y: ops.logical_xor(nonnumber(x), nonnumber(y)),
    "logical_not": lambda x: ops.logical_not(nonnumber(x)),
    "clone": lambda x, **_: ops.positive(x),
    "contiguous": lambda x, **_: ops.positive(x),
    "resolve_conj": ops.conj,
}
ADAPTERS |= dict.fromkeys(["addmv", "baddbmm"], ADAPTERS["addmm"])


@adapter("div")
def divide(x, y, rounding_mode=None):
    if rounding_mode == "floor":
        return ops.floor_divide(x, y)
    return ops.trunc(ops.divide(x, y)) if rounding_mode else ops.divide(x, y)


@adapter("round")
def round_half_even(x, decimals=0):
    require(decimals == 0, "round: decimals")
    return ops.round(x)


@adapter("equal")
def equal_arrays(x, y):
    return ops.all(ops.equal(x, y)) if x.shape == y.shape else np.asarray(False)


# Reductions.
def spread(x, *given, dim=None, correction=None, unbiased=None, keepdim=False):
    """The options of var and std: PyTorch divides by n - 1 unless it is told otherwise."""
    for value in given:
        unbiased, dim = (value, dim) if isinstance(value, bool) else (unbiased, value)
    correction = (1 if unbiased is None else int(unbiased)) if correction is None else correction
    axis = None if dim is None else axes(x, dim)
    return {"axis": axis, "correction": correction, "keepdims": keepdim}


def with_mean(function, x, *given, **named):
    options = spread(x, *given, **named)
    rest = {name: options[name] for name in ("axis", "keepdims")}
    return [function(x, **options), ops.mean(x, **rest)]


def extreme(name, x, dim=None, keepdim=False):
    """The largest or smallest values, with their places where PyTorch has these."""
    options = {"axis": None if dim is None else axes(x, dim), "keepdims": keepdim}
    functions = [getattr(ops, name)] if dim is None else [getattr(ops, name), getattr(ops, "arg" + name)]
    return [function(x, **options) for function in functions]


def truth(function, x, *given, **named):
    return translated(function, "dim keepdim")(nonnumber(x), *given, **named)


ADAPTERS |= {
    "var": lambda *given, **named: ops.var(given[0], **spread(*given, **named)),
    "std": lambda *given, **named: ops.std(given[0], **spread(*given, **named)),
    "var_mean": partial(with_mean, ops.var),
    "std_mean": partial(with_mean, ops.std),
    "max.reduction_no_dim": partial(extreme, "max"),
    "max.reduction_with_dim": partial(extreme, "max"),
    "min.reduction_no_dim": partial(extreme, "min"),
    "min.reduction_with_dim": partial(extreme, "min"),
    "aminmax": lambda x, **named: [extreme("min", x, **named)[0], extreme("max", x, **named)[0]],
    "all": partial(truth, ops.all),
    "any": partial(truth, ops.any),
}


# Shapes.
@adapter("expand", "broadcast_to")
def broadcast(x, *shape):
    shape = one_argument(shape)
    missing = len(shape) - x.ndim
    return ops.broadcast_to(
        x, tuple(x.shape[i - missing] if n == -1 else int(n) for i, n in enumerate(shape))
    )


@adapter("repeat", "tile")
def tile(x, *repetitions):
    return ops.tile(x, one_argument(repetitions))


@adapter("reshape", "view")
def reshape(x, *shape):
    return ops.reshape(x, tuple(int(n) for n in one_argument(shape)))


@adapter("permute")
def permute(x, *order):
    return ops.permute_dims(x, one_argument(order))


@adapter("flatten")
def flatten(x, start_dim=0, end_dim=-1):
    if x.ndim == 0:
        return ops.reshape(x, (1,))
    first, last = start_dim % x.ndim, end_dim % x.ndim
    return ops.reshape(x, (*x.shape[:first], math.prod(x.shape[first : last + 1]), *x.shape[last + 1 :]))


@adapter("squeeze")
def squeeze(x, dim=None):
    asked = range(x.ndim) if dim is None else [dim] if isinstance(dim, int) else dim
    return ops.squeeze(x, axis=tuple(i for i in asked if x.ndim and x.shape[i] == 1))


@adapter("transpose")
def transpose(x, first, second):
    require(x.ndim > 0, "an axis of a 0-d array")
    order = list(range(x.ndim))
    order[first], order[second] = order[second], order[first]
    return ops.permute_dims(x, tuple(order))


@adapter("T", "t", "H", "mT", "mH", "adjoint")
def transposed(x):
    require(x.ndim >= 2, "the transpose of fewer than two axes")
    return ops.matrix_transpose(x)


def sizes(x, dim, lengths):
    """The parts of an axis with these lengths."""
    ends = np.cumsum(lengths).tolist()
    return [at(x, dim, slice(end - n, end)) for end, n in zip(ends, lengths, strict=True)]


@adapter("split", "unsafe_split")
def split(x, size, dim=0):
    require(x.ndim > 0, "an axis of a 0-d array")
    return sizes(x, dim, [min(size, x.shape[dim] - start) for start in range(0, x.shape[dim], size)])


@adapter("chunk", "unsafe_chunk")
def chunk(x, count, dim=0):
    require(x.ndim > 0, "an axis of a 0-d array")
    return split(x, -(-x.shape[dim] // count), dim)


def grid(arrays, indexing):
    require(all(x.ndim == 1 for x in arrays), "meshgrid: a 0-d array")
    return ops.meshgrid(*arrays, indexing=indexing)


def stacked(arrays, dim, least, shape):
    """Join arrays of at least `least` axes; smaller ones get a shape first."""
    widened = [ops.reshape(x, shape) if x.ndim < least else x for x in arrays]
    return ops.concat(widened, axis=min(dim, widened[0].ndim - 1))


ADAPTERS |= {
    "reshape_as": lambda x, y: ops.reshape(x, y.shape),
    "view_as": lambda x, y: ops.reshape(x, y.shape),
    "expand_as": lambda x, y: ops.broadcast_to(x, y.shape),
    "ravel": lambda x: ops.reshape(x, (-1,)),
    "flip": lambda x, dims: ops.flip(x, axis=tuple(dims) if isinstance(dims, Sequence) else dims),
    "fliplr": lambda x: ops.flip(x, axis=1),
    "flipud": lambda x: ops.flip(x, axis=0),
    "broadcast_tensors": lambda *xs: ops.broadcast_arrays(*xs),
    "split.list_args": lambda x, lengths, dim=0: sizes(x, dim, lengths),
    "split_with_sizes": lambda x, lengths, dim=0: sizes(x, dim, lengths),
    "hstack": lambda xs: stacked(xs, 1, 1, (1,)),
    "vstack": lambda xs: stacked(xs, 0, 2, (1, -1)),
    "select": at,
    "meshgrid.variadic_tensors": lambda *xs, indexing="ij": grid(xs, indexing),
    "meshgrid.list_of_tensors": lambda xs, indexing="ij": grid(xs, indexing),
}


@adapter("narrow")
def narrow(x, dim, start, length):
    require(isinstance(start, int), "narrow: a tensor as the start")
    start = start + x.shape[dim] if start < 0 else start
    return at(x, dim, slice(start, start + length))


# Indices, order.
@adapter("gather")
def gather(x, dim, index, sparse_grad=False):
    others = [i for i in range(x.ndim) if i != dim % x.ndim] if x.ndim else []
    fits = x.ndim > 0 and x.ndim == index.ndim and all(x.shape[i] == index.shape[i] for i in others)
    require(fits, "take_along_axis: indices smaller than the array")
    return ops.take_along_axis(x, index, axis=dim)


@adapter("take_along_dim")
def take_along(x, index, dim=None):
    require(dim is not None, "take_along_axis: no axis")
    return ops.take_along_axis(x, index, axis=dim)


@adapter("index_select")
def select_many(x, dim, index):
    require(x.ndim > 0 and index.ndim > 0, "take: a 0-d array or index")
    return ops.take(x, index, axis=dim)


@adapter("take")
def take_flat(x, index):
    return ops.reshape(ops.take(ops.reshape(x, (-1,)), ops.reshape(index, (-1,)), axis=0), index.shape)


@adapter("sort")
def sort(x, dim=-1, descending=False, stable=False):
    options = {"axis": axes(x, dim), "descending": descending}
    return [ops.sort(x, **options), ops.argsort(x, **options)]


@adapter("topk")
def top(x, k, dim=-1, largest=True, sorted=True):
    require(sorted, "topk: in any order")
    return [at(y, dim, slice(0, k)) for y in sort(x, dim, descending=largest)]


@adapter("searchsorted")
def search(x, values, out_int32=False, right=False, side=None, sorter=None):
    require(x.ndim == 1 and sorter is None, "searchsorted: several rows")
    return ops.searchsorted(x, values, side=side or ("right" if right else "left"))


ADAPTERS |= {
    "__getitem__": ops.getitem,
    "argsort": lambda *given, **named: sort(*given, **named)[1],
    "msort": lambda x: ops.sort(x, axis=0),
}


# Linear algebra.
@adapter("dot", "vdot", "inner")
def inner(x, y):
    if x.ndim == 0 or y.ndim == 0:
        return x * y
    return ops.tensordot(x, y, axes=((x.ndim - 1,), (y.ndim - 1,)))


@adapter("linalg.solve")
def solve(a, b, left=True):
    require(left, "solve: left=False")
    require(b.ndim in (1, a.ndim), "solve: a batch of vectors")
    return linalg.solve(a, b)


@adapter("linalg.qr", "qr")
def qr(x, mode="reduced", some=None):
    return list(linalg.qr(x, mode=mode if some is None else "reduced" if some else "complete"))


@adapter("svd", "linalg.svd")
def singular_values(x, some=True, full_matrices=True, compute_uv=True):
    return linalg.svdvals(x)


@adapter("linalg.matrix_norm")
def matrix_norm(x, ord="fro", dim=(-2, -1), keepdim=False):
    require([d % x.ndim for d in dim] == [x.ndim - 2, x.ndim - 1], "matrix_norm: other axes than the last")
    return linalg.matrix_norm(x, ord=ord, keepdims=keepdim)


@adapter("diagonal", "linalg.diagonal")
def diagonal(x, offset=0, dim1=0, dim2=1):
    dims = [-2, -1] if (dim1, dim2) == (0, 1) and x.ndim == 2 else [dim1, dim2]
    require([d % x.ndim for d in dims] == [x.ndim - 2, x.ndim - 1], "diagonal: other axes than the last")
    return linalg.diagonal(x, offset=offset)


ADAPTERS |= {
    "logdet": lambda x: linalg.slogdet(x)[1],
    "linalg.pinv.singular": lambda x, y: linalg.pinv(x @ ops.matrix_transpose(y)),
    "tensordot": lambda x, y, dims=2: ops.tensordot(x, y, axes=dims),
    "cholesky": translated(linalg.cholesky, "upper"),
    "linalg.eigh": translated(linalg.eigh, "UPLO", UPLO="L"),
    "linalg.eigvalsh": translated(linalg.eigvalsh, "UPLO", UPLO="L"),
}


# Activations and normalization.
def by_row(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adapt a softmax: its axis may be one of a scalar too."""

    def call(x, dim=-1, dtype=None):
        require(dtype is None, f"{function.__name__}: dtype")
        return function(x, axis=dim)

    return call


@adapter(F + "hardtanh")
def hard_tanh(x, min_val=-1.0, max_val=1.0, inplace=False):
    require((min_val, max_val) == (-1.0, 1.0), "hard_tanh: other bounds")
    return nn.hard_tanh(x)


@adapter(F + "softplus")
def softplus(x, beta=1, threshold=20):
    require(beta == 1 and threshold >= 20, "softplus: beta and threshold")
    return nn.softplus(x)


@adapter(F + "prelu")
def prelu(x, weight):
    """PyTorch's slopes are of axis 1; portnn's broadcast."""
    shape = (-1,) + (1,) * (x.ndim - 2) if weight.size > 1 and x.ndim > 2 else weight.shape if x.ndim else ()
    return nn.prelu(x, ops.reshape(weight, shape))


@adapter(F + "linear")
def linear(x, weight, bias=None):
    require(weight.ndim == 2, "linear: a weight of one axis")
    return ops.linear(x, ops.matrix_transpose(weight), bias)


@adapter(F + "batch_norm")
def batch_norm(x, mean=None, var=None, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    require(x.ndim > 1, "batch_norm: an input of one axis")
    if training or mean is None:
        return ops.batch_norm(x, weight, bias, eps=eps)[0]
    shape = (1, -1) + (1,) * (x.ndim - 2)
    mean, var = ops.reshape(mean, shape), ops.reshape(var, shape)
    y = ops.divide(ops.subtract(x, mean), ops.sqrt(ops.add(var, eps)))
    y = y if weight is None else ops.multiply(y, ops.reshape(weight, shape))
    return y if bias is None else ops.add(y, ops.reshape(bias, shape))


@adapter(F + "instance_norm")
def instance_norm(
    x,
    running_mean=None,
    running_var=None,
    weight=None,
    bias=None,
    use_input_stats=True,
    momentum=0.1,
    eps=1e-5,
):
    require(use_input_stats, "InstanceNorm: running statistics")
    return ops.group_norm(x, weight, bias, groups=x.shape[1], eps=eps)


ADAPTERS |= {
    "softmax": by_row(nn.softmax),
    "log_softmax": by_row(nn.log_softmax),
    F + "softmin": by_row(nn.softmin),
    "relu": nn.relu,
    F + "relu6": lambda x, inplace=False: ops.clip(x, 0.0, 6.0),
    F + "layer_norm": lambda x, shape, weight=None, bias=None, eps=1e-5: ops.layer_norm(
        x, weight, bias, shape=tuple(shape), eps=eps
    ),
    F + "rms_norm": lambda x, shape, weight=None, eps=None: ops.rms_norm(
        x, weight, shape=tuple(shape), eps=np.finfo(np.float64).eps if eps is None else eps
    ),
    F + "group_norm": lambda x, groups, weight=None, bias=None, eps=1e-5: ops.group_norm(
        x, weight, bias, groups=groups, eps=eps
    ),
    F + "normalize": lambda x, p=2.0, dim=1, eps=1e-12: (
        x / ops.maximum(linalg.vector_norm(x, ord=p, axis=axes(x, dim), keepdims=True), eps)
    ),
}


# Convolution, pooling, resampling.
def per_axis(value: Any, dims: int) -> Any:
    """A number, or PyTorch's sequence of one number or one for each axis, as portnn takes it."""
    if isinstance(value, str | int):
        return value
    return tuple(value) * dims if len(value) == 1 else tuple(value) or None


def batched(dims: int, function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function of batches take single images too."""

    def call(x, *given, **named):
        if x.ndim == dims + 1:
            return function(dims, ops.expand_dims(x, axis=0), *given, **named)[0, ...]
        return function(dims, x, *given, **named)

    return call


def convolution(dims, x, w, b=None, stride=1, padding=0, dilation=1, groups=1):
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    chosen = {name: per_axis(value, dims) for name, value in options.items()}
    return getattr(ops, f"conv{dims}d")(x, w, b, groups=groups, **chosen)


def transposed_convolution(dims, x, w, b=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    options = {"stride": stride, "padding": padding, "output_padding": output_padding, "dilation": dilation}
    chosen = {name: per_axis(value, dims) for name, value in options.items()}
    return getattr(ops, f"conv_transpose{dims}d")(x, w, b, groups=groups, **chosen)


def max_pool(dims, x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    require(not ceil_mode, "max_pool: ceil_mode")
    options = {"stride": stride or kernel_size, "padding": padding, "dilation": dilation}
    chosen = {name: per_axis(value, dims) for name, value in options.items()}
    return getattr(ops, f"max_pool{dims}d")(x, per_axis(kernel_size, dims), **chosen)


def avg_pool(
    dims,
    x,
    kernel_size,
    stride=None,
    padding=0,
    ceil_mode=False,
    count_include_pad=True,
    divisor_override=None,
):
    require(not ceil_mode, "avg_pool: ceil_mode")
    require(divisor_override is None, "avg_pool: divisor_override")
    chosen = {"stride": per_axis(stride or kernel_size, dims), "padding": per_axis(padding, dims)}
    kernel = per_axis(kernel_size, dims)
    return getattr(ops, f"avg_pool{dims}d")(x, kernel, count_include_pad=count_include_pad, **chosen)


def adaptive_pool(function, dims, x, output_size, return_indices=False):
    wanted = (output_size,) * dims if isinstance(output_size, int) else tuple(output_size)
    require(all(n == 1 for n in wanted), f"{function.__name__}: a larger output")
    return ops.reshape(function(x), (*x.shape[:2], *wanted))


for _dims in (1, 2):
    for _name, _function in {
        f"conv{_dims}d": convolution,
        f"conv_transpose{_dims}d": transposed_convolution,
        f"max_pool{_dims}d": max_pool,
        f"avg_pool{_dims}d": avg_pool,
        f"adaptive_avg_pool{_dims}d": partial(adaptive_pool, ops.global_avg_pool),
        f"adaptive_max_pool{_dims}d": partial(adaptive_pool, ops.global_max_pool),
    }.items():
        ADAPTERS[F + _name] = batched(_dims, _function)


@adapter(F + "pad")
def pad(x, widths, mode="constant", value=None):
    require(mode == "constant", "pad: other modes than zeros")
    require(not value, "pad: other values than zero")
    require(min(widths, default=0) >= 0, "pad: negative widths")
    pairs = [(widths[i], widths[i + 1]) for i in range(len(widths) - 2, -1, -2)]
    return ops.pad(x, [(0, 0)] * (x.ndim - len(pairs)) + pairs)


def interpolate(kind, x, size=None, scale_factor=None, mode=None, align_corners=None, **named):
    dims = x.ndim - 2
    require(dims in (1, 2), "upsample: three axes")
    require(not named.get("antialias"), "upsample: antialias")
    if size is not None:
        wanted = [size] * dims if isinstance(size, int) else size
        scales = [new / old for new, old in zip(wanted, x.shape[2:], strict=True)]
    else:
        scales = [scale_factor] * dims if isinstance(scale_factor, int | float) else scale_factor
    whole = all(s >= 1 and float(s).is_integer() for s in scales)
    require(whole, "upsample: a scale that is not a whole number")
    return ops.upsample(x, tuple(int(s) for s in scales), mode=kind, align_corners=bool(align_corners))


ADAPTERS |= {
    F + "interpolate.nearest": partial(interpolate, "nearest"),
    F + "interpolate.linear": partial(interpolate, "linear"),
    F + "interpolate.bilinear": partial(interpolate, "linear"),
    F + "upsample_nearest": partial(interpolate, "nearest"),
    F + "upsample_bilinear": partial(interpolate, "linear", align_corners=True),
}


@adapter(F + "embedding")
def embedding(weight, indices, padding_idx=None, max_norm=None, scale_grad_by_freq=False, **named):
    require(max_norm is None, "embedding: max_norm")
    require(not scale_grad_by_freq, "embedding: scale_grad_by_freq")
    return ops.embedding(weight, indices, padding=padding_idx)


@adapter(F + "scaled_dot_product_attention")
def attention(q, k, v, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False):
    require(dropout_p == 0.0, "attention: random dropout")
    require(not enable_gqa, "attention: groups of queries")
    require(attn_mask is None or attn_mask.dtype == bool, "attention: a mask of numbers")
    return ops.scaled_dot_product_attention(q, k, v, attn_mask, causal=is_causal, scale=scale)


# Losses.
def reduced(function: Callable[..., Any], **defaults: Any) -> Callable[..., Any]:
    """Adapt a loss of portnn: predictions, targets of their shape, and options of the same name."""

    def call(x, t, weight=None, reduction="mean", **named):
        require(weight is None, f"{function.__name__}: weight")
        require(x.shape == t.shape, f"{function.__name__}: targets of another shape")
        for name, value in defaults.items():
            require(named.pop(name, value) == value, f"{function.__name__}: {name}")
        return function(x, t, reduction=reduction, **named)

    return call


def reduce_by(reduction, y):
    return {"none": ops.positive, "mean": ops.mean, "sum": ops.sum}[reduction](y)


@adapter(F + "binary_cross_entropy_with_logits")
def binary_cross_entropy(x, t, weight=None, reduction="mean", pos_weight=None):
    require(weight is None, "sigmoid_cross_entropy: weights of elements")
    return losses.sigmoid_cross_entropy(x, t, positive_weights=pos_weight, reduction=reduction)


@adapter(F + "cross_entropy")
def cross_entropy(
    x,
    t,
    weight=None,
    ignore_index=-100,
    reduction="mean",
    label_smoothing=0.0,
):
    are_labels = t.dtype.kind == "i"
    if x.ndim > 1:
        x, t = ops.moveaxis(x, 1, -1), t if are_labels else ops.moveaxis(t, 1, -1)
    return losses.softmax_cross_entropy(
        x,
        t,
        label_smoothing=label_smoothing,
        class_weights=weight,
        ignore_index=ignore_index if are_labels else None,
        reduction=reduction,
    )


@adapter(F + "multi_margin_loss")
def multi_margin(x, t, p=1, margin=1.0, weight=None, reduction="mean"):
    require(p == 1, "multiclass_hinge: p")
    require(weight is None, "multiclass_hinge: weight")
    require(x.ndim > 1 or x.ndim > t.ndim, "multiclass_hinge: one sample and a target with an axis")
    return losses.multiclass_hinge(x, t, margin=margin, reduction=reduction)


@adapter(F + "gaussian_nll_loss")
def gaussian_nll(x, t, var, full=False, eps=1e-6, reduction="mean"):
    require(not full, "gaussian_nll: full")
    require(eps == 1e-6, "gaussian_nll: eps")
    require(getattr(var, "shape", None) == x.shape == t.shape, "gaussian_nll: variances of another shape")
    return losses.gaussian_nll(x, t, ops.log(var), reduction=reduction)


@adapter(F + "cosine_similarity")
def cosine_similarity(x, y, dim=1, eps=1e-8):
    require(x.shape == y.shape, "cosine_distance: arrays of different shapes")
    x, y = (ops.moveaxis(a, axes(a, dim), -1) for a in (x, y))
    return 1.0 - losses.cosine_distance(x, y, reduction="none")


@adapter(F + "multilabel_soft_margin_loss")
def multilabel_margin(x, t, weight=None, reduction="mean"):
    require(weight is None, "sigmoid_cross_entropy: weights of elements")
    return reduce_by(reduction, ops.mean(losses.sigmoid_cross_entropy(x, t, reduction="none"), axis=-1))


ADAPTERS |= {
    F + "mse_loss": reduced(losses.squared_error),
    F + "l1_loss": reduced(losses.absolute_error),
    F + "huber_loss": reduced(losses.huber),
    F + "smooth_l1_loss": reduced(losses.huber, beta=1.0),
    F + "poisson_nll_loss": reduced(losses.poisson_nll, full=False, eps=1e-8),
    F + "soft_margin_loss": lambda x, t, reduction="mean": reduce_by(reduction, nn.softplus(-(x * t))),
}


# New arrays.
def created(function: Callable[..., Any], shape: bool = False) -> Callable[..., Any]:
    """Adapt a function that makes an array from numbers, or from a shape."""

    def call(*given, dtype=None, end=None, requires_grad=False, **named):
        given = (one_argument(given),) if shape else given if end is None else (*given, end)
        require(
            all(isinstance(x, int | float | tuple) for x in given), f"{function.__name__}: tensors as numbers"
        )
        whole = dtype is None and all(isinstance(x, int) for x in given)
        wanted = dtype or ("int64" if whole and function is ops.arange else "float64")
        return function(*given, dtype=wanted, like=np.zeros(()), **named)

    return call


def uninitialized(*given, **named):
    raise NotApplicableError("values that nothing determines")


ADAPTERS |= {
    "zeros": created(ops.zeros, shape=True),
    "ones": created(ops.ones, shape=True),
    "full": created(ops.full),
    "eye": created(ops.eye),
    "arange": created(ops.arange),
    "linspace": created(ops.linspace),
    "empty": uninitialized,
    "empty_like": uninitialized,
}
