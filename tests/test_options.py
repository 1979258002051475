"""Options of functions that are no arrays: one table of what may be wrong with them, and of what is said."""

# ruff: noqa: E501  # one row a line, so that it reads as a table

from __future__ import annotations

import numpy as np
import pytest

from portnn import differentiable, ops, value_and_grad
from portnn.backend import get_backend

NAN, INF = float("nan"), float("inf")
X = np.arange(1.0, 25.0).reshape(2, 3, 4)
ROWS = X[0]
IMAGES = np.ones((2, 2, 5, 5))
HOST = get_backend("numpy")
LABELS = np.asarray([0, 1, 2])

# What an option can be given instead, and the error.
NUMBER = [("a", TypeError), (None, TypeError), ([1.0], TypeError), (True, TypeError), (1j, TypeError),
          (np.ones(2), TypeError), (NAN, ValueError), (INF, ValueError)]  # fmt: skip
NEGATIVE = [(-1.0, ValueError), (0.0, ValueError)]
POSITIVE = [*NUMBER, *NEGATIVE]
WHOLE = [("a", TypeError), (1.5, TypeError), ([1], TypeError)]
AXIS = [*WHOLE, (99, ValueError), (-99, ValueError), (10**30, ValueError)]
COUNT = [*WHOLE[:2], (0, ValueError), (-1, ValueError)]
FLAG = [("a", TypeError), (1, TypeError), ([True], TypeError), (np.asarray([True, False]), TypeError)]

OPTIONS = {
    "layer_norm eps": (lambda v: ops.layer_norm(X, eps=v), POSITIVE),
    "layer_norm shape": (lambda v: ops.layer_norm(X, shape=v), [("a", TypeError), (4, TypeError), ((5,), ValueError)]),
    "rms_norm eps": (lambda v: ops.rms_norm(X, eps=v), [NUMBER[0], *NUMBER[2:], *NEGATIVE]),
    "group_norm eps": (lambda v: ops.group_norm(X, groups=3, eps=v), POSITIVE),
    "group_norm groups": (lambda v: ops.group_norm(X, groups=v), [*COUNT, (2, ValueError), (True, TypeError)]),
    "batch_norm eps": (lambda v: ops.batch_norm(X, eps=v), POSITIVE),
    "softmax axis": (lambda v: ops.softmax(X, axis=v), AXIS),
    "log_softmax axis": (lambda v: ops.log_softmax(X, axis=v), AXIS),
    "logsumexp axis": (lambda v: ops.logsumexp(X, axis=v), [*AXIS[:2], *AXIS[3:]]),
    "logsumexp keepdims": (lambda v: ops.logsumexp(X, keepdims=v), FLAG),
    "attention_weights scale": (lambda v: ops.attention_weights(X, X, scale=v), [NUMBER[0], *NUMBER[2:]]),
    "attention_weights causal": (lambda v: ops.attention_weights(X, X, causal=v), FLAG),
    "scaled_dot_product_attention scale": (
        lambda v: ops.scaled_dot_product_attention(X, X, X, scale=v), [NUMBER[0], *NUMBER[2:]],
    ),
    "scaled_dot_product_attention causal": (
        lambda v: ops.scaled_dot_product_attention(X, X, X, causal=v), FLAG,
    ),
    "rotary base": (lambda v: ops.rotary(ROWS, LABELS, base=v), POSITIVE),
    "embedding padding": (lambda v: ops.embedding(ROWS, LABELS, padding=v), [*WHOLE, (3, ValueError), (-4, ValueError)]),
    "softmax_cross_entropy mean": (lambda v: ops.softmax_cross_entropy(ROWS, LABELS, mean=v), FLAG),
    "pad widths": (lambda v: ops.pad(ROWS, v), [(1, TypeError), ([1, 2], TypeError), ([(1, 2)], ValueError), ("ab", TypeError)]),
    "tensordot axes": (lambda v: ops.tensordot(ROWS, ROWS, axes=v), [("a", TypeError), (1.5, TypeError), (3, ValueError), ((0,), TypeError)]),
    "upsample scale": (lambda v: ops.upsample(X, v), COUNT),
    "upsample mode": (lambda v: ops.upsample(X, 2, mode=v), [("a", ValueError), (1, ValueError)]),
    "upsample align_corners": (lambda v: ops.upsample(X, 2, mode="linear", align_corners=v), FLAG),
    "avg_pool1d count_include_pad": (lambda v: ops.avg_pool1d(X, 2, count_include_pad=v), FLAG),
    "avg_pool2d count_include_pad": (lambda v: ops.avg_pool2d(IMAGES, 2, count_include_pad=v), FLAG),
    "max_pool1d kernel": (lambda v: ops.max_pool1d(X, v), COUNT),
    "max_pool2d stride": (lambda v: ops.max_pool2d(IMAGES, 2, stride=v), COUNT),
    "max_pool2d padding": (lambda v: ops.max_pool2d(IMAGES, 2, padding=v), [("a", ValueError), (1.5, TypeError), (-1, ValueError)]),
    "conv1d stride": (lambda v: ops.conv1d(X, np.ones((3, 3, 2)), stride=v), COUNT),
    "conv1d dilation": (lambda v: ops.conv1d(X, np.ones((3, 3, 2)), dilation=v), COUNT),
    "conv1d groups": (lambda v: ops.conv1d(X, np.ones((3, 3, 2)), groups=v), COUNT),
    "conv2d padding": (lambda v: ops.conv2d(IMAGES, np.ones((1, 2, 3, 3)), padding=v), [("a", ValueError), (1.5, TypeError)]),
    "conv_transpose1d output_padding": (
        lambda v: ops.conv_transpose1d(X, np.ones((3, 3, 2)), output_padding=v), [*WHOLE[:2], (-1, ValueError)],
    ),
    "tril k": (lambda v: ops.tril(X, k=v), WHOLE),
    "triu k": (lambda v: ops.triu(X, k=v), WHOLE),
    "cumulative_sum axis": (lambda v: ops.cumulative_sum(X, axis=v), AXIS),
    "concat axis": (lambda v: ops.concat([X, X], axis=v), AXIS),
    "stack axis": (lambda v: ops.stack([X, X], axis=v), AXIS),
    "take axis": (lambda v: ops.take(X, LABELS, axis=v), AXIS),
    "unstack axis": (lambda v: ops.unstack(X, axis=v), AXIS),
    "diff axis": (lambda v: ops.diff(X, axis=v), AXIS),
    "fftshift axes": (lambda v: ops.fft.fftshift(X, axes=v), [WHOLE[0], *AXIS[3:]]),
    "ifftshift axes": (lambda v: ops.fft.ifftshift(X, axes=v), [WHOLE[0], *AXIS[3:]]),
    "fftfreq n": (lambda v: ops.fft.fftfreq(v, like=HOST), COUNT),
    "fftfreq d": (lambda v: ops.fft.fftfreq(4, d=v, like=HOST), [*NUMBER, (0.0, ValueError)]),
    "rfftfreq d": (lambda v: ops.fft.rfftfreq(4, d=v, like=HOST), [*NUMBER, (0.0, ValueError)]),
    "arange step": (lambda v: ops.arange(0, 4, v, dtype="float64", like=HOST), [("a", TypeError), (0, ValueError), (NAN, ValueError)]),
    "arange start": (lambda v: ops.arange(v, 4, dtype="float64", like=HOST), [("a", TypeError), (NAN, ValueError)]),
    "linspace start": (lambda v: ops.linspace(v, 4.0, 3, dtype="float64", like=HOST), [("a", TypeError), (NAN, ValueError)]),
    "linspace num": (lambda v: ops.linspace(0.0, 1.0, v, dtype="float64", like=HOST), [*WHOLE, (-1, ValueError)]),
    "linspace endpoint": (
        lambda v: ops.linspace(0.0, 1.0, 3, dtype="float64", like=HOST, endpoint=v), FLAG,
    ),
}  # fmt: skip
CASES = [(name, call, value, error) for name, (call, rows) in OPTIONS.items() for value, error in rows]


@pytest.mark.parametrize(
    ("name", "call", "value", "error"), CASES, ids=[f"{c[0]}={c[2]!r:.20}" for c in CASES]
)
def test_a_wrong_option_is_named(name, call, value, error):
    with pytest.raises(error) as caught:
        call(value)
    said = str(caught.value)
    assert len(said) < 300
    assert type(caught.value) in (TypeError, ValueError), "one of the two, not what a library makes of it"
    function, option = name.split()
    assert function in said or option.rstrip("s") in said or "axis" in said, said


RIGHT = {
    "numbers of NumPy": (lambda: ops.layer_norm(X, eps=np.float32(0.25)), lambda: ops.layer_norm(X, eps=0.25)),
    "an array without axes": (lambda: ops.rms_norm(X, eps=np.asarray(0.5)), lambda: ops.rms_norm(X, eps=0.5)),
    "an integer": (lambda: ops.batch_norm(X, eps=1)[0], lambda: ops.batch_norm(X, eps=1.0)[0]),
    "a list as shape": (lambda: ops.layer_norm(X, shape=[4]), lambda: ops.layer_norm(X)),
    "integers of NumPy": (lambda: ops.softmax(X, axis=np.int64(1)), lambda: ops.softmax(X, axis=1)),
    "flags of NumPy": (
        lambda: ops.attention_weights(X, X, causal=np.bool_(True)),
        lambda: ops.attention_weights(X, X, causal=True),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("call", "same"), RIGHT.values(), ids=RIGHT)
def test_what_means_the_same_is_the_same(call, same):
    np.testing.assert_array_equal(call(), same())


def test_a_row_of_padding_may_be_counted_from_the_last():
    def total(weight, padding):
        return ops.sum(ops.embedding(weight, LABELS, padding=padding))

    last, again = (value_and_grad(total)(ROWS, padding)[1] for padding in (2, -1))
    np.testing.assert_array_equal(last, again)
    np.testing.assert_array_equal(last[2], np.zeros(4))


def test_an_option_has_no_gradient():
    with pytest.raises(TypeError, match="layer_norm: eps must be a number, got TracedArray"):
        value_and_grad(lambda eps: ops.sum(ops.layer_norm(X, eps=eps)))(np.asarray(0.1))


# Arguments that do not fit each other. The text is what a reader looks for: what was expected, and what was passed.
SQUARE, WIDE, TALL = np.ones((3, 3)), np.ones((2, 3)), np.ones((3, 2))
UNFIT = {
    "linear, bias": (lambda: ops.linear(TALL, WIDE, np.ones(2)), ValueError, r"bias \(2,\); expected"),
    "linear, weight": (lambda: ops.linear(TALL, TALL), ValueError, r"x \(3, 2\), weight \(3, 2\); expected"),
    "linear, a number": (lambda: ops.linear(np.asarray(1.0), WIDE), ValueError, r"x \(\), weight \(2, 3\)"),
    "linear, a weight of one axis": (lambda: ops.linear(TALL, np.ones(2)), ValueError, r"weight \(2,\)"),
    "astype": (lambda: ops.astype(X, "float99"), (TypeError, ValueError), "float99"),
    "cumulative_sum": (lambda: ops.cumulative_sum(WIDE), ValueError, "cumulative_sum: axis is needed for an array with 2"),
    "cumulative_prod": (lambda: ops.cumulative_prod(WIDE), ValueError, "cumulative_prod: axis is needed for an array with 2"),
    "diff": (lambda: ops.diff(WIDE, n=-1), ValueError, "diff: n must be at least 0, got -1"),
    "take": (lambda: ops.take(WIDE, LABELS), ValueError, "take: axis is needed for an array with 2 axes"),
    "concat": (lambda: ops.concat([]), ValueError, "concat: expected at least one array"),
    "stack, none": (lambda: ops.stack([]), ValueError, "stack: expected arrays of one shape"),
    "stack": (lambda: ops.stack([WIDE, WIDE, TALL]), ValueError, r"stack: .*\(2, 3\), \(2, 3\), \(3, 2\)"),
    "meshgrid, indexing": (lambda: ops.meshgrid(LABELS, indexing="ji"), ValueError, "'xy' or 'ij', got 'ji'"),
    "meshgrid": (lambda: ops.meshgrid(LABELS, WIDE), ValueError, r"at most one axis, got \[1, 2\]"),
    "tensordot": (lambda: ops.tensordot(WIDE, WIDE, axes=1), ValueError, r"differ in length: \[3\] of x1 and \[2\] of x2"),
    "tensordot, named": (lambda: ops.tensordot(WIDE, TALL, axes=((0,), (0,))), ValueError, r"\[2\] of x1 and \[3\]"),
    "moveaxis, twice": (lambda: ops.moveaxis(X, (0, 0), (1, 2)), ValueError, r"moveaxis: source=\(0, 0\)"),
    "moveaxis, twice to": (lambda: ops.moveaxis(X, (0, 1), (2, -1)), ValueError, r"destination=\(2, -1\)"),
    "moveaxis, numbers": (lambda: ops.moveaxis(X, (0, 1), 2), ValueError, "equally many distinct axes"),
    "matrix_norm": (lambda: ops.linalg.matrix_norm(WIDE, ord=3), ValueError, "matrix_norm: ord must be .* got 3"),
    "matrix_power": (lambda: ops.linalg.matrix_power(WIDE, 2), ValueError, r"square matrices .* got shape \(2, 3\)"),
    "matrix_power, a vector": (lambda: ops.linalg.matrix_power(LABELS, 2), ValueError, r"got shape \(3,\)"),
    "lstm_step": (
        lambda: ops.lstm_step(np.zeros((1, 4)), SQUARE[:1, :1], SQUARE[:1, :2], np.zeros((1, 4))),
        ValueError, r"lstm_step: expected a cell of shape \(1, 1\), got \(1, 2\)",
    ),
    "softmax_cross_entropy, targets": (
        lambda: ops.softmax_cross_entropy(ROWS, LABELS[:2]), ValueError, r"targets of shape \(2,\) do not fit logits of shape \(3, 4\)",
    ),
    "softmax_cross_entropy, no samples": (
        lambda: ops.softmax_cross_entropy(ROWS[:0], LABELS[:0], mean=True), ValueError, "the mean of no samples",
    ),
    "differentiable": (lambda: differentiable(3), TypeError, "expected an array library such as numpy, got int"),
    "differentiable, an attribute": (lambda: differentiable(np).__nothing__, AttributeError, "has no attribute __nothing__"),
    "isdtype": (lambda: ops.isdtype("float32", "real floating"), TypeError, "expected an array or a dtype .* got str"),
    "T": (lambda: value_and_grad(lambda x: ops.sum(x.T))(X), ValueError, "x.T is for two axes, got 3"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "text"), UNFIT.values(), ids=UNFIT)
def test_what_does_not_fit_is_named(call, kind, text):
    with pytest.raises(kind, match=text) as caught:
        call()
    assert len(str(caught.value)) < 300


def test_what_fits_though_it_is_rare():
    """What the checks of these arguments let through."""
    np.testing.assert_array_equal(ops.moveaxis(X, (0, 1), (2, 0)), np.moveaxis(X, (0, 1), (2, 0)))
    np.testing.assert_array_equal(ops.linalg.matrix_power(WIDE @ TALL, 0), np.eye(2))
    np.testing.assert_array_equal(ops.cumulative_sum(LABELS), np.cumsum(LABELS))
    assert [a.shape for a in ops.meshgrid(LABELS, np.asarray(1))] == [(1, 3), (1, 3)]
    assert differentiable(differentiable(np)) is differentiable(np)
    there = differentiable(np).from_dlpack(X, copy=True)
    np.testing.assert_array_equal(there, X)
    assert not np.shares_memory(there, X)
    assert np.shares_memory(differentiable(np).from_dlpack(X, copy=False), X)
