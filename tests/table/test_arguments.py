"""What every library takes and refuses alike: axes, indices, complex arrays, relatives of arrays."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from portnn import Network, losses, metrics, nn, ops, optim, program, tree
from portnn.autodiff import grad, value_and_grad, vjp
from portnn.backend import get_backend
from portnn.compile import jit
from portnn.random import stream
from tests.backends import BackendUnderTest, Matrix
from tests.table import test_table
from tests.table.engine import place

X = np.random.default_rng(0).normal(size=(2, 3, 4))

# By name: the function of an array and an axis, its oracle, and whether it takes several axes.
REDUCTIONS: dict[str, tuple[Any, Any]] = {
    **{name: (getattr(ops, name), getattr(np, name)) for name in (
        "sum", "mean", "max", "min", "var", "std", "prod", "all", "any", "flip", "count_nonzero")},
    "vector_norm": (ops.linalg.vector_norm, np.linalg.vector_norm),
    "logsumexp": (ops.logsumexp, lambda x, axis: np.log(np.sum(np.exp(x), axis=axis))),
}  # fmt: skip
ALONG: dict[str, tuple[Any, Any]] = {
    **{name: (getattr(ops, name), getattr(np, name)) for name in (
        "argmax", "argmin", "argsort", "sort", "diff")},
    "cumulative_sum": (ops.cumulative_sum, np.cumsum), "cumulative_prod": (ops.cumulative_prod, np.cumprod),
    "roll": (partial(ops.roll, shift=1), partial(np.roll, shift=1)),
    "softmax": (ops.softmax, lambda x, axis: np.exp(x) / np.sum(np.exp(x), axis=axis, keepdims=True)),
    "unstack": (lambda x, axis: ops.unstack(x, axis=axis)[0], lambda x, axis: np.take(x, 0, axis=axis)),
    "repeat": (lambda x, axis: ops.repeat(x, 2, axis=axis), lambda x, axis: np.repeat(x, 2, axis=axis)),
    "concat": (lambda x, axis: ops.concat([x, x], axis=axis),
               lambda x, axis: np.concatenate([x, x], axis=axis)),
}  # fmt: skip


@pytest.mark.parametrize("name", [*REDUCTIONS, *ALONG])
def test_an_axis_counts_from_either_end(name: str, backend: BackendUnderTest) -> None:
    function, oracle = (REDUCTIONS | ALONG)[name]
    x = backend.asarray(X, "float32")
    for axis in [-1, 0, 2, -3, *([(0, -1), (-2, 0)] if name in REDUCTIONS else [])]:
        found = backend.to_numpy(function(x, axis=axis))
        np.testing.assert_allclose(found, oracle(X, axis=axis), rtol=1e-4, atol=1e-6)
        if found.dtype.kind == "f":
            value, pullback = vjp(lambda x, axis=axis: function(x, axis=axis), x)
            assert tuple(pullback(backend.xp.ones_like(value))[0].shape) == X.shape


@pytest.mark.parametrize(
    "name", [*REDUCTIONS, *ALONG, "expand_dims", "squeeze", "permute_dims", "vecdot", "take"]
)
def test_an_axis_that_does_not_exist_is_a_value_error(name: str, backend: BackendUnderTest) -> None:
    x = backend.asarray(X, "float32")
    places = backend.asarray(np.asarray([0]))
    others: dict[str, Any] = {
        "expand_dims": ops.expand_dims, "squeeze": ops.squeeze, "vecdot": partial(ops.vecdot, x),
        "permute_dims": lambda x, axis: ops.permute_dims(x, (axis, 0, 1)),
        "take": lambda x, axis: ops.take(x, places, axis=axis),
    }  # fmt: skip
    function = others[name] if name in others else (REDUCTIONS | ALONG)[name][0]
    for axis in (4, -5):
        with pytest.raises(ValueError, match=f"axis={axis} is out of range for an array with [34] axes"):
            function(x, axis=axis)
    with pytest.raises(TypeError, match="must be an integer"):
        function(x, axis=0.5)
    if name in REDUCTIONS:
        with pytest.raises(ValueError, match="names an axis twice"):
            function(x, axis=(1, -2))


def test_permutations_count_from_either_end(backend: BackendUnderTest) -> None:
    x = backend.asarray(X, "float32")
    for axes in ((-1, 0, 1), (2, -3, -2), (-3, -2, -1)):
        value, pullback = vjp(lambda x, axes=axes: ops.permute_dims(x, axes), x)
        np.testing.assert_allclose(backend.to_numpy(value), np.transpose(X, axes), rtol=1e-6)
        np.testing.assert_allclose(backend.to_numpy(pullback(value)[0]), X, rtol=1e-6)
    for axes in ((0, 1), (0, 1, 1), (0, 1, -2)):
        with pytest.raises(ValueError, match=r"ax[ei]s"):
            ops.permute_dims(x, axes)
    assert tuple(ops.expand_dims(x, axis=-1).shape) == (2, 3, 4, 1)
    assert tuple(ops.squeeze(x[:1, ...], axis=-3).shape) == (3, 4)
    with pytest.raises(ValueError, match="must have length one"):
        ops.squeeze(x, axis=-1)


def test_cross_products_are_of_three_elements(backend: BackendUnderTest) -> None:
    a, b = (backend.asarray(np.ones((2, n)), "float32") for n in (2, 3))
    for pair in ((a, a), (a, b), (b, a)):
        with pytest.raises(ValueError, match="cross: expected vectors of 3 elements"):
            ops.linalg.cross(*pair)
    assert tuple(ops.linalg.cross(b, b, axis=-1).shape) == (2, 3)


INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
ROWS = np.random.default_rng(0).normal(size=(3, 4))
PICKS: dict[str, tuple[Any, Any]] = {
    "take": (lambda x, i: ops.take(x, i, axis=0), lambda x, i: np.take(x, i, axis=0)),
    "take along": (lambda x, i: ops.take_along_axis(x, i[:, None], axis=1),
                   lambda x, i: np.take_along_axis(x, i[:, None], axis=1)),
    "getitem": (ops.getitem, lambda x, i: x[i]),
    "getitem of pairs": (lambda x, i: ops.getitem(x, (i, i)), lambda x, i: x[i, i]),
    "embedding": (ops.embedding, lambda x, i: x[i]),
    "cross-entropy": (ops.softmax_cross_entropy, lambda x, i: np.log(np.sum(np.exp(x), 1)) - x[[0, 1, 2], i]),
    "loss": (partial(losses.softmax_cross_entropy, reduction="none"),
             lambda x, i: np.log(np.sum(np.exp(x), 1)) - x[[0, 1, 2], i]),
    "hinge": (partial(losses.multiclass_hinge, reduction="none"),
              lambda x, i: (np.maximum(x - x[[0, 1, 2], i][:, None] + 1.0, 0.0).sum(1) - 1.0) / 4.0),
}  # fmt: skip


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("name", PICKS)
def test_indices_of_every_integer_dtype(name: str, dtype: str, backend: BackendUnderTest) -> None:
    function, oracle = PICKS[name]
    if backend.member.is_strict and name.startswith("getitem"):
        pytest.skip("array-api-strict wants an ellipsis, and signed integers")
    places = np.asarray([2, 0, 1])
    x, xp = backend.asarray(ROWS, "float32"), backend.xp
    i = xp.astype(backend.asarray(places), getattr(xp, dtype))
    expected = oracle(ROWS, places)
    np.testing.assert_allclose(backend.to_numpy(function(x, i)), expected, rtol=1e-5)
    value, pullback = vjp(lambda x: function(x, i), x)
    (found,) = pullback(backend.xp.ones_like(value))
    _, exact = vjp(lambda x: function(x, places), ROWS)
    np.testing.assert_allclose(
        backend.to_numpy(found), exact(np.ones_like(expected))[0], rtol=1e-4, atol=1e-6
    )


# Functions whose arrays are real: one complex array among them is refused, whichever it is.
REAL = (
    "losses.", "ops.linear", "ops.conv", "ops.batch_norm", "ops.layer_norm", "ops.rms_norm", "ops.group_norm",
    "ops.gru_step", "ops.lstm_step", "ops.rnn_step", "ops.softmax_cross_entropy", "ops.attention_weights",
    "ops.scaled_dot_product_attention", "nn.prelu", "nn.Linear", "nn.Conv", "nn.BatchNorm", "nn.LayerNorm",
    "nn.GroupNorm", "nn.RMSNorm", "nn.PReLU", "nn.MultiHeadAttention", "nn.GRU", "nn.LSTM", "nn.RNN",
    "nn.Transformer",
)  # fmt: skip
CASES = [row for row in test_table.ROWS if row.name.startswith(REAL)]


@pytest.mark.parametrize("row", CASES, ids=str)
def test_a_complex_array_is_refused(row: Any) -> None:
    args = row.make()
    leaves = tree.leaves(args)
    for i, x in enumerate(leaves):
        if isinstance(x, np.ndarray) and x.dtype == np.float64:
            spoiled = [*leaves[:i], x.astype(complex), *leaves[i + 1 :]]
            with pytest.raises(TypeError, match="real") as caught:
                row.function(*tree.unflatten(args, spoiled))
            assert len(str(caught.value)) < 300


def test_a_complex_bias_is_named(backend: BackendUnderTest) -> None:
    if backend.member is Matrix.STRICT_NO_FLOAT64:
        pytest.skip("the device has no complex128")
    x, w = (place([np.ones(shape)], backend, "float32")[0] for shape in ((1, 1, 4), (1, 1, 2)))
    with pytest.raises(TypeError, match=r"conv1d: bias must be real, got dtype .*complex128"):
        ops.conv1d(x, w, backend.asarray(np.ones(1), "complex128"))


RELATIVES = {
    "masked": (lambda x: np.ma.masked_array(x, mask=np.zeros(x.shape, dtype=bool)), "masked array.*filled"),
    "matrix": (np.matrix, r"numpy\.matrix.*asarray"),
}


@pytest.mark.parametrize("kind", RELATIVES)
@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_relatives_of_arrays_are_refused_everywhere(kind: str) -> None:
    make, text = RELATIVES[kind]
    plain = np.ones((4, 2), dtype=np.float32)
    x, y = make(plain), np.ones((4, 1), dtype=np.float32)
    network = Network([nn.Linear(2, 1)], loss=losses.squared_error)
    layer = nn.Linear(2, 1)
    attempts: dict[str, Any] = {
        "grad": lambda: grad(ops.sum)(x), "vjp": lambda: vjp(ops.exp, x),
        "value": lambda: value_and_grad(ops.sum)(x),
        "pullback": lambda: vjp(ops.exp, plain)[1](x), "function": lambda: ops.add(plain, x),
        "mixed": lambda: grad(lambda t: ops.sum(ops.multiply(t, x)))(plain),
        "loss": lambda: losses.huber(x, x),
        "trace": lambda: program.trace(lambda a, b: ops.add(a, b))(plain, x),
        "jit": lambda: jit(lambda a, b: ops.add(a, b))(plain, x),
        "closed": lambda: jit(lambda a: ops.add(a, x))(plain),
        "layer": lambda: layer.apply(layer.init(stream(0)), x), "metric": lambda: metrics.r2(x, x),
        "optimizer": lambda: optim.adam().init({"w": x}), "fit": lambda: network.fit(x, y, epochs=1),
        "targets": lambda: network.fit(plain, make(y), epochs=1), "predict": lambda: network.predict(x),
        "asarray": lambda: ops.asarray(x, like=plain), "backend": lambda: get_backend("numpy").asarray(x),
    }  # fmt: skip
    for name, attempt in attempts.items():
        with pytest.raises(TypeError, match=text) as caught:
            attempt()
        assert len(str(caught.value)) < 300, name


def test_no_axes_reduce_nothing(backend: BackendUnderTest) -> None:
    x = backend.asarray(np.asarray([[0.0, 2.0], [-1.0, 0.0]]), "float32")
    assert backend.to_numpy(ops.count_nonzero(x, axis=())).tolist() == [[0, 1], [1, 0]]
    assert ops.count_nonzero(x, axis=()).dtype == ops.count_nonzero(x).dtype
    for name in ("sum", "mean", "max", "min", "prod"):
        found = backend.to_numpy(getattr(ops, name)(x, axis=()))
        assert found.tolist() == [[0.0, 2.0], [-1.0, 0.0]], name


def test_shifts_are_integers(backend: BackendUnderTest) -> None:
    x = backend.asarray(X, "float32")
    for shift in (1.5, "1", (1, 0.5)):
        with pytest.raises(TypeError, match="roll: shift must be"):
            ops.roll(x, shift, axis=(0, 1) if isinstance(shift, tuple) else 0)  # type: ignore[arg-type]
    for shift in (np.int64(1), 1):
        np.testing.assert_allclose(
            backend.to_numpy(ops.roll(x, shift, axis=0)), np.roll(X, 1, axis=0), rtol=1e-6
        )
