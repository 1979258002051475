"""ONNX's operators by portnn's functions: one adapter per operator, with attributes as options.

An operator with the name of a portnn function needs no adapter. A case with an attribute that neither the
adapter nor the function has is not applicable.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from functools import partial, reduce
from typing import Any

import numpy as np

import portnn as pn
from portnn import losses, nn, ops
from portnn.ops import linalg
from tests.peers.frame import NotApplicableError, require

# Operators that are functions of portnn under another name.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "And": ops.logical_and,
    "BitwiseNot": ops.bitwise_invert,
    "Det": linalg.det,
    "Neg": ops.negative,
    "Not": ops.logical_not,
    "Or": ops.logical_or,
    "Sub": ops.subtract,
    "Mul": ops.multiply,
    "Xor": ops.logical_xor,
    "GreaterOrEqual": ops.greater_equal,
    "LessOrEqual": ops.less_equal,
}
ADAPTERS: dict[str, Callable[..., Any]] = {}


def adapter(function: Callable[..., Any]) -> Callable[..., Any]:
    """Register an adapter under its name, which is the operator's."""
    ADAPTERS[function.__name__.rstrip("_")] = function
    return function


def find(operator: str) -> Callable[..., Any]:
    """Return the adapter of an operator, or portnn's function of that name."""
    for table in (ADAPTERS, FUNCTIONS):
        if operator in table:
            return table[operator]
    for module in (ops, nn):
        for name in module.__all__:
            function = getattr(module, name)
            is_function = inspect.isfunction(inspect.unwrap(function)) or hasattr(function, "vjp")
            if name.replace("_", "") == operator.lower() and is_function:
                return function
    raise NotApplicableError("operators without a counterpart in portnn")


def run(operator: str, inputs: list[Any], attributes: dict[str, Any], results: int) -> list[Any]:
    """Return the results of a node."""
    function = find(operator)
    known = inspect.signature(function).parameters
    for name in attributes:
        require(name in known, f"{operator}: {name}")
    if "results" in known:
        attributes = {**attributes, "results": results}
    y = function(*inputs, **attributes)
    return list(y) if isinstance(y, tuple | list) else [y]


def integers(x: Any) -> list[int]:
    return [int(v) for v in np.ravel(x)]


def of_one_dtype(function: Callable[..., Any], x: Any, y: Any) -> Any:
    """Compute in the dtype of the first operand, as ONNX does."""
    return ops.astype(function(x, y), str(x.dtype))


# Arithmetic.
@adapter
def Div(x, y):
    require(x.dtype.kind == "f", "Div: integers, rounded towards zero")
    return ops.divide(x, y)


@adapter
def Mod(x, y, fmod=0):
    require(not fmod, "Mod: fmod")
    return ops.remainder(x, y)


@adapter
def Pow(x, y):
    return of_one_dtype(ops.pow, x, y)


@adapter
def IsInf(x, detect_negative=1, detect_positive=1):
    require(bool(detect_negative and detect_positive), "IsInf: one of the signs")
    return ops.isinf(x)


@adapter
def BitShift(x, y, direction):
    return (ops.bitwise_left_shift if direction == "LEFT" else ops.bitwise_right_shift)(x, y)


def folded(function, *arrays):
    return reduce(function, arrays)


ADAPTERS |= {
    "Max": partial(folded, ops.maximum),
    "Min": partial(folded, ops.minimum),
    "Sum": partial(folded, ops.add),
    "Mean": lambda *arrays: reduce(ops.add, arrays) / len(arrays),
}


@adapter
def Clip(x, low=None, high=None):
    return ops.clip(x, low, high)


@adapter
def Gemm(x, y, z=None, alpha=1.0, beta=1.0, transA=0, transB=0):
    x = ops.matrix_transpose(x) if transA else x
    y = ops.matrix_transpose(y) if transB else y
    product = ops.multiply(ops.matmul(x, y), alpha)
    return product if z is None else ops.add(product, ops.multiply(z, beta))


# Activations.
@adapter
def LeakyRelu(x, alpha=0.01):
    return nn.leaky_relu(x, negative_slope=alpha)


@adapter
def PRelu(x, slope):
    """Broadcast slopes from the last axis; portnn would take a single axis as channels."""
    return nn.prelu(x, ops.reshape(slope, (1,) * (x.ndim - slope.ndim) + slope.shape))


@adapter
def HardSigmoid(x, alpha=0.2, beta=0.5):
    require(math.isclose(alpha, 1 / 6, rel_tol=1e-6) and beta == 0.5, "HardSigmoid: other slopes than 1/6")
    return nn.hard_sigmoid(x)


@adapter
def Swish(x, alpha=1.0):
    require(alpha == 1.0, "Swish: alpha")
    return nn.silu(x)


# Reductions.
def axes_of(axes: Any, noop: int) -> Any:
    """The axes of a reduction: none are all of them, or none where the node says so."""
    chosen = tuple(integers(axes)) if axes is not None else ()
    return chosen or (() if noop else None)


def reduction(function: Callable[..., Any], prepare: Callable[..., Any] = ops.positive) -> Callable[..., Any]:
    def call(x, given=None, axes=None, keepdims=1, noop_with_empty_axes=0):
        require(x.dtype != bool, "a reduction of booleans")
        axis = axes_of(axes if given is None else given, noop_with_empty_axes)
        return function(prepare(x), axis=axis, keepdims=bool(keepdims))

    return call


ADAPTERS |= {
    "ReduceSum": reduction(ops.sum),
    "ReduceMean": reduction(ops.mean),
    "ReduceProd": reduction(ops.prod),
    "ReduceMax": reduction(ops.max),
    "ReduceMin": reduction(ops.min),
    "ReduceLogSumExp": reduction(ops.logsumexp),
    "ReduceSumSquare": reduction(ops.sum, ops.square),
    "ReduceLogSum": reduction(lambda x, **options: ops.log(ops.sum(x, **options))),
    "ReduceL1": reduction(partial(linalg.vector_norm, ord=1)),
    "ReduceL2": reduction(linalg.vector_norm),
}


def place(function, x, axis=0, keepdims=1, select_last_index=0):
    require(not select_last_index, "ArgMax and ArgMin: the last of equal values")
    return function(x, axis=axis, keepdims=bool(keepdims))


def Arg(function):
    def call(x, axis=0, keepdims=1, select_last_index=0):
        return place(function, x, axis, keepdims, select_last_index)

    return call


ADAPTERS |= {"ArgMax": Arg(ops.argmax), "ArgMin": Arg(ops.argmin)}


def cumulative(function):
    def call(x, axis, exclusive=0, reverse=0):
        axis = int(axis) % x.ndim
        y = function(
            ops.flip(x, axis=axis) if reverse else x,
            axis=axis,
            dtype=str(x.dtype),
            include_initial=bool(exclusive),
        )
        if exclusive:
            y = y[(slice(None),) * axis + (slice(0, x.shape[axis]),)]
        return ops.flip(y, axis=axis) if reverse else y

    return call


ADAPTERS |= {"CumSum": cumulative(ops.cumulative_sum), "CumProd": cumulative(ops.cumulative_prod)}


# Shapes.
@adapter
def Concat(*arrays, axis):
    return ops.concat(list(arrays), axis=axis)


@adapter
def Transpose(x, perm=None):
    return ops.permute_dims(x, tuple(perm if perm is not None else range(x.ndim)[::-1]))


@adapter
def Flatten(x, axis=1):
    return ops.reshape(x, (math.prod(x.shape[: axis if axis >= 0 else x.ndim + axis]), -1))


@adapter
def Reshape(x, shape, allowzero=0):
    wanted = integers(shape)
    require(not (allowzero and 0 in wanted and -1 in wanted), "Reshape: allowzero")
    return ops.reshape(x, tuple(x.shape[i] if n == 0 and not allowzero else n for i, n in enumerate(wanted)))


@adapter
def Expand(x, shape):
    return ops.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(integers(shape))))


@adapter
def Tile(x, repetitions):
    return ops.tile(x, tuple(integers(repetitions)))


@adapter
def Squeeze(x, axes=None):
    chosen = integers(axes) if axes is not None else [i for i, n in enumerate(x.shape) if n == 1]
    return ops.squeeze(x, axis=tuple(chosen))


@adapter
def Unsqueeze(x, axes):
    for axis in sorted(a % (x.ndim + len(axes)) for a in integers(axes)):
        x = ops.expand_dims(x, axis=axis)
    return x


@adapter
def Split(x, lengths=None, axis=0, num_outputs=None, results=1):
    size = -(-x.shape[axis] // results)
    sizes = integers(lengths) if lengths is not None else [size] * (results - 1)
    ends = np.cumsum(sizes).tolist()
    starts = [0, *ends][: max(results, len(sizes))]
    stops = [*ends, x.shape[axis]][: len(starts)]
    before = (slice(None),) * (axis % x.ndim)
    return [x[(*before, slice(a, b))] for a, b in zip(starts, stops, strict=True)]


@adapter
def Slice(x, starts, ends, axes=None, steps=None):
    index = [slice(None)] * x.ndim
    chosen = integers(axes) if axes is not None else range(len(starts))
    for i, axis in enumerate(chosen):
        step = int(steps[i]) if steps is not None else 1
        stop = int(ends[i])
        index[axis] = slice(int(starts[i]), None if step < 0 and stop < -x.shape[axis] else stop, step)
    return ops.getitem(x, tuple(index))


@adapter
def Pad(x, widths, value=None, axes=None, mode="constant"):
    require(mode == "constant", f"Pad: mode {mode}")
    require(value is None or float(value) == 0.0, "Pad: other values than zero")
    widths = integers(widths)
    require(min(widths) >= 0, "Pad: negative widths")
    pairs = [(0, 0)] * x.ndim
    for i, axis in enumerate(integers(axes) if axes is not None else range(x.ndim)):
        pairs[axis] = (widths[i], widths[i + len(widths) // 2])
    return ops.pad(x, pairs)


@adapter
def EyeLike(x, dtype=None, k=0):
    wanted = str(x.dtype) if dtype is None else {1: "float32", 6: "int32", 11: "float64"}[dtype]
    return ops.eye(*x.shape, k=k, dtype=wanted, like=x)


@adapter
def Range(start, limit, delta):
    return ops.arange(start.item(), limit.item(), delta.item(), dtype=str(start.dtype), like=start)


@adapter
def Trilu(x, k=None, upper=1):
    return (ops.triu if upper else ops.tril)(x, k=0 if k is None else int(k))


# Indices.
@adapter
def Gather(x, indices, axis=0):
    axis = axis % x.ndim
    y = ops.take(x, ops.reshape(indices, (-1,)), axis=axis)
    return ops.reshape(y, (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))


@adapter
def GatherElements(x, indices, axis=0):
    others = [i for i in range(x.ndim) if i != axis % x.ndim]
    require(all(x.shape[i] == indices.shape[i] for i in others), "take_along_axis: fewer indices")
    return ops.take_along_axis(x, indices, axis=axis)


@adapter
def TopK(x, k, axis=-1, largest=1, sorted=1):
    order = ops.argsort(x, axis=axis, descending=bool(largest))
    order = order[(slice(None),) * (axis % x.ndim) + (slice(0, int(k[0])),)]
    return [ops.take_along_axis(x, order, axis=axis), order]


@adapter
def NonZero(x):
    return ops.stack(list(ops.nonzero(x)), axis=0)


@adapter
def Unique(x, axis=None, sorted=1, results=1):
    require(axis is None, "Unique: axis")
    require(bool(sorted), "Unique: in order of appearance")
    found = ops.unique_all(x)
    inverse = ops.reshape(found.inverse_indices, (-1,))
    return [found.values, found.indices, inverse, found.counts][:results]


# Convolution and pooling.
def padding(auto_pad: str, pads: Any, dims: int) -> Any:
    require(auto_pad in ("NOTSET", "VALID", "SAME_UPPER"), f"auto_pad {auto_pad}")
    if auto_pad != "NOTSET":
        return "same" if auto_pad == "SAME_UPPER" else 0
    pads = pads or [0] * (2 * dims)
    return tuple((pads[i], pads[i + dims]) for i in range(dims))


def spatial(x: Any, what: str) -> int:
    require(x.ndim - 2 in (1, 2), f"{what} of {x.ndim - 2} axes")
    return x.ndim - 2


@adapter
def Conv(
    x, w, b=None, auto_pad="NOTSET", dilations=None, group=1, kernel_shape=None, pads=None, strides=None
):
    dims = spatial(x, "convolution")
    return getattr(ops, f"conv{dims}d")(
        x,
        w,
        b,
        stride=tuple(strides or [1] * dims),
        padding=padding(auto_pad, pads, dims),
        dilation=tuple(dilations or [1] * dims),
        groups=group,
    )


@adapter
def ConvTranspose(
    x, w, b=None, dilations=None, group=1, kernel_shape=None, output_padding=None, pads=None, strides=None
):
    dims = spatial(x, "convolution")
    pads = pads or [0] * (2 * dims)
    require(pads[:dims] == pads[dims:], "ConvTranspose: pads that differ in front and behind")
    return getattr(ops, f"conv_transpose{dims}d")(
        x,
        w,
        b,
        stride=tuple(strides or [1] * dims),
        padding=tuple(pads[:dims]),
        output_padding=tuple(output_padding or [0] * dims),
        dilation=tuple(dilations or [1] * dims),
        groups=group,
    )


@adapter
def MaxPool(
    x, kernel_shape, auto_pad="NOTSET", ceil_mode=0, dilations=None, pads=None, strides=None, results=1
):
    dims = spatial(x, "pooling")
    require(results == 1, "MaxPool: indices")
    require(not ceil_mode, "MaxPool: ceil_mode")
    require(x.dtype.kind == "f", "MaxPool: integers")
    return getattr(ops, f"max_pool{dims}d")(
        x,
        tuple(kernel_shape),
        stride=tuple(strides or [1] * dims),
        padding=padding(auto_pad, pads, dims),
        dilation=tuple(dilations or [1] * dims),
    )


@adapter
def AveragePool(
    x,
    kernel_shape,
    auto_pad="NOTSET",
    ceil_mode=0,
    count_include_pad=0,
    dilations=None,
    pads=None,
    strides=None,
):
    dims = spatial(x, "pooling")
    require(not ceil_mode, "AveragePool: ceil_mode")
    require(all(d == 1 for d in dilations or []), "AveragePool: dilations")
    return getattr(ops, f"avg_pool{dims}d")(
        x,
        tuple(kernel_shape),
        stride=tuple(strides or [1] * dims),
        padding=padding(auto_pad, pads, dims),
        count_include_pad=bool(count_include_pad),
    )


def pooled(function, x):
    return ops.reshape(function(x), (*x.shape[:2], *(1,) * (x.ndim - 2)))


ADAPTERS |= {
    "GlobalAveragePool": lambda x: pooled(ops.global_avg_pool, x),
    "GlobalMaxPool": lambda x: pooled(ops.global_max_pool, x),
}


@adapter
def Resize(
    x,
    roi=None,
    scales=None,
    sizes=None,
    mode="nearest",
    coordinate_transformation_mode="half_pixel",
    nearest_mode="round_prefer_floor",
    antialias=0,
    cubic_coeff_a=None,
    keep_aspect_ratio_policy="stretch",
    exclude_outside=0,
    extrapolation_value=0.0,
):
    require(mode != "cubic", "Resize: cubic")
    require(not antialias, "Resize: antialias")
    spatial(x, "upsampling")
    named = scales is not None and len(scales) > 0
    factors = (
        [float(s) for s in scales] if named else [int(n) / m for n, m in zip(sizes, x.shape, strict=True)]
    )
    whole = all(f >= 1 and f.is_integer() for f in factors) and factors[0] == factors[1] == 1
    require(whole, "Resize: a scale that is not a whole number")
    allowed = ("half_pixel", "asymmetric") if mode == "nearest" else ("half_pixel", "align_corners")
    require(coordinate_transformation_mode in allowed, f"Resize: {mode} by {coordinate_transformation_mode}")
    if mode == "nearest":
        require(nearest_mode in ("round_prefer_floor", "floor"), f"Resize: {nearest_mode}")
    corners = coordinate_transformation_mode == "align_corners"
    return ops.upsample(x, tuple(int(f) for f in factors[2:]), mode=mode, align_corners=corners)


@adapter
def Upsample(x, scales, mode="nearest"):
    return ops.upsample(x, tuple(int(s) for s in scales[2:]), mode=mode)


# Normalization.
@adapter
def BatchNormalization(x, scale, bias, mean, var, epsilon=1e-5, momentum=0.9, training_mode=0):
    """In training the means and variances of the batch move the running ones, biased as ONNX has them."""
    if training_mode:
        y, own, spread = ops.batch_norm(x, scale, bias, eps=epsilon)
        return [y, mean * momentum + own * (1 - momentum), var * momentum + spread * (1 - momentum)]
    layer = pn.BatchNorm(x.shape[1], eps=epsilon)
    state = {"mean": mean, "var": var}
    return layer.apply({"weight": scale, "bias": bias}, x, state={**layer.init_state(), **state})[0]


@adapter
def LayerNormalization(x, scale, bias=None, axis=-1, epsilon=1e-5, stash_type=1, results=1):
    first = axis % x.ndim
    y = ops.layer_norm(x, scale, bias, shape=x.shape[first:], eps=epsilon)
    options = {"axis": tuple(range(first, x.ndim)), "keepdims": True}
    spread = ops.var(x, **options)
    return [y, ops.mean(x, **options), ops.reciprocal(ops.sqrt(spread + epsilon))][:results]


@adapter
def RMSNormalization(x, scale, axis=-1, epsilon=1e-5, stash_type=1):
    return ops.rms_norm(x, scale, shape=x.shape[axis % x.ndim :], eps=epsilon)


@adapter
def GroupNormalization(x, scale, bias, num_groups, epsilon=1e-5, stash_type=1):
    return ops.group_norm(x, scale, bias, groups=num_groups, eps=epsilon)


@adapter
def InstanceNormalization(x, scale, bias, epsilon=1e-5):
    return ops.group_norm(x, scale, bias, groups=x.shape[1], eps=epsilon)


@adapter
def MeanVarianceNormalization(x, axes=(0, 2, 3)):
    options = {"axis": tuple(axes), "keepdims": True}
    return (x - ops.mean(x, **options)) / (ops.std(x, **options) + 1e-9)


@adapter
def LpNormalization(x, axis=-1, p=2):
    norm = linalg.vector_norm(x, ord=p, axis=axis, keepdims=True)
    return x / ops.where(norm == 0.0, 1.0, norm)  # ONNX leaves a row of zeros as it is


# Recurrent layers.
def recurrent(layer: Any, gates: list[int], x, w, r, b, lengths, states, direction, layout):
    """Run a layer of portnn; `gates` are ONNX's positions of portnn's gates."""
    if layout:
        x, states = x, [None if s is None else np.swapaxes(s, 0, 1) for s in states]
    else:
        x = np.swapaxes(x, 0, 1)
    backwards = direction == "reverse"
    require(not (backwards and lengths is not None), "recurrent layers: lengths, backwards alone")
    size, directions = layer.hidden_features, w.shape[0]

    def ordered(array):
        return np.concatenate([array[g * size : (g + 1) * size] for g in gates])

    n = len(gates) * size
    b = np.zeros((directions, 2 * n), x.dtype) if b is None else b
    params = tuple(
        {
            "input": ordered(w[d]).T.copy(),
            "hidden": ordered(r[d]).T.copy(),
            "bias": ordered(b[d][:n]),
            "hidden_bias": ordered(b[d][n:]),
        }
        for d in range(directions)
    )
    zeros = np.zeros((x.shape[0], size), x.dtype)
    starts = [[zeros if s is None else s[d] for s in states] for d in range(directions)]
    initial = tuple(tuple(start) if len(start) > 1 else start[0] for start in starts)
    options = {} if lengths is None else {"lengths": lengths}
    y, ends = layer.apply(params, np.flip(x, 1) if backwards else x, initial, **options)
    y = np.reshape(np.flip(y, 1) if backwards else y, (*y.shape[:2], directions, size))
    rows = [end if isinstance(end, tuple | list) else (end,) for end in ends]
    finals = [np.stack(column) for column in zip(*rows, strict=True)]
    if layout:
        return [y, *(np.swapaxes(final, 0, 1) for final in finals)]
    return [np.transpose(y, (1, 2, 0, 3)), *finals]


def options_of(direction: str) -> dict[str, Any]:
    return {"bidirectional": direction == "bidirectional", "returns": "both"}


def usual(activations: Any, expected: list[str]) -> None:
    names = [name.lower() for name in activations or expected]
    require(names == expected * (len(names) // len(expected)), "recurrent layers: other activations")


@adapter
def RNN(
    x, w, r, b=None, lengths=None, h=None, hidden_size=0, direction="forward", activations=None, layout=0
):
    names = [name.lower() for name in activations or ["tanh"]]
    require(len(set(names)) == 1 and names[0] in ("tanh", "relu"), "recurrent layers: other activations")
    layer = pn.RNN(x.shape[2], hidden_size, getattr(nn, names[0]), **options_of(direction))
    return recurrent(layer, [0], x, w, r, b, lengths, [h], direction, layout)


@adapter
def GRU(
    x,
    w,
    r,
    b=None,
    lengths=None,
    h=None,
    hidden_size=0,
    direction="forward",
    activations=None,
    layout=0,
    linear_before_reset=0,
):
    usual(activations, ["sigmoid", "tanh"])
    require(bool(linear_before_reset), "GRU: the reset gate before the product")
    layer = pn.GRU(x.shape[2], hidden_size, **options_of(direction))
    return recurrent(layer, [1, 0, 2], x, w, r, b, lengths, [h], direction, layout)


@adapter
def LSTM(
    x,
    w,
    r,
    b=None,
    lengths=None,
    h=None,
    c=None,
    peepholes=None,
    hidden_size=0,
    direction="forward",
    activations=None,
    layout=0,
):
    usual(activations, ["sigmoid", "tanh", "tanh"])
    require(peepholes is None, "LSTM: peepholes")
    layer = pn.LSTM(x.shape[2], hidden_size, **options_of(direction))
    return recurrent(layer, [0, 2, 3, 1], x, w, r, b, lengths, [h, c], direction, layout)


@adapter
def Attention(
    q,
    k,
    v,
    mask=None,
    past_key=None,
    past_value=None,
    lengths=None,
    is_causal=0,
    kv_num_heads=None,
    q_num_heads=None,
    scale=None,
    softcap=0.0,
    results=1,
):
    require(past_key is None and past_value is None, "Attention: keys and values of earlier calls")
    require(lengths is None and not softcap, "Attention: lengths or a cap of the scores")
    require(mask is None or mask.dtype == bool, "Attention: a mask of numbers")
    require(results == 1, "Attention: further results")
    if q.ndim == 3:
        q, k, v = (
            np.transpose(t.reshape(*t.shape[:2], heads, -1), (0, 2, 1, 3))
            for t, heads in ((q, q_num_heads), (k, kv_num_heads), (v, kv_num_heads))
        )
    require(q.shape[1] == k.shape[1], "Attention: groups of queries")
    y = ops.scaled_dot_product_attention(q, k, v, mask, causal=bool(is_causal), scale=scale)
    if q_num_heads is None:
        return y
    return np.transpose(y, (0, 2, 1, 3)).reshape(y.shape[0], y.shape[2], -1)


@adapter
def SoftmaxCrossEntropyLoss(x, labels, weights=None, ignore_index=None, reduction="mean", results=1):
    loss = losses.softmax_cross_entropy(
        ops.moveaxis(x, 1, -1), labels, class_weights=weights, ignore_index=ignore_index, reduction=reduction
    )
    return [loss, nn.log_softmax(x, axis=1)][:results]
