"""The first and the last value allowed of axes, shapes, keys and parameters, for families of functions."""

from __future__ import annotations

import inspect

import array_api_strict
import numpy as np
import pytest

import portnn as pn
from portnn import losses, nn, ops, random, tree
from portnn.random import stream
from tests.nn.test_each_option import LAYERS

X = np.arange(1.0, 13.0).reshape(3, 4)
# What functions with an axis take before it.
BEFORE = {
    "concat": ([X, X],), "stack": ([X, X],), "take": (X, np.asarray([0])), "repeat": (X, 2), "roll": (X, 1),
    "take_along_axis": (X, np.zeros((3, 4), dtype=int)), "quantile": (X, 0.5), "logsumexp": (X,),
    "count_nonzero": (X,), "embedding": None, "squeeze": None, "searchsorted": None,
}  # fmt: skip
MORE = {"stack", "expand_dims"}  # there the result has an axis more


def with_an_axis():
    for name in ops.__all__:
        function = getattr(ops, name)
        if not callable(function) or isinstance(function, type) or BEFORE.get(name, ()) is None:
            continue
        parameters = inspect.signature(function).parameters
        if "axis" in parameters:
            needed = [p for p in parameters.values() if p.default is p.empty and p.name != "axis"]
            args = BEFORE.get(name, (X,) * len([p for p in needed if p.kind is p.POSITIONAL_ONLY]))
            yield pytest.param(function, args, 3 if name in MORE else 2, id=name)


@pytest.mark.parametrize(("function", "args", "axes"), list(with_an_axis()))
def test_axes_from_the_first_to_the_last(function, args, axes):
    for axis in range(-axes, axes):
        counted = np.asarray(function(*args, axis=axis % axes))
        np.testing.assert_array_equal(function(*args, axis=axis), counted)
    for axis in (-axes - 1, axes):
        with pytest.raises((ValueError, IndexError), match=r"ax[ie]s"):
            function(*args, axis=axis)


SPATIAL = {
    "max_pool2d": lambda x: ops.max_pool2d(x, 1), "avg_pool2d": lambda x: ops.avg_pool2d(x, 1),
    "max_pool1d": lambda x: ops.max_pool1d(x[:, :, 0], 1),
    "avg_pool1d": lambda x: ops.avg_pool1d(x[:, :, 0], 1),
    "global_max_pool": ops.global_max_pool, "global_avg_pool": ops.global_avg_pool,
    "group_norm": lambda x: ops.group_norm(x, groups=2),
}  # fmt: skip


@pytest.mark.parametrize("name", SPATIAL)
@pytest.mark.parametrize("shape", [(1, 2, 0, 3), (1, 2, 3, 0), (1, 2, 0, 0)])
def test_images_without_pixels_are_refused(name, shape):
    if name.endswith("1d"):
        shape = (1, 2, 1, 0)
    with pytest.raises(ValueError, match=name.removesuffix("1d").removesuffix("2d")):
        SPATIAL[name](np.ones(shape))


@pytest.mark.parametrize("name", ["global_max_pool", "global_avg_pool"])
def test_an_image_has_an_axis_behind_the_channels(name):
    with pytest.raises(ValueError, match=name):
        getattr(ops, name)(np.ones((2, 3)))
    assert getattr(ops, name)(np.ones((2, 3, 1))).shape == (2, 3)


def test_enlarging_by_one_changes_nothing():
    x = np.arange(12.0).reshape(1, 1, 3, 4)
    for mode in ("nearest", "linear"):
        np.testing.assert_array_equal(ops.upsample(x, 1, mode=mode), x)
        np.testing.assert_array_equal(ops.upsample(x, (2, 1), mode=mode).shape, (1, 1, 6, 4))


def test_a_grid_of_three():
    arrays = [np.arange(n) for n in (2, 3, 4)]
    for indexing in ("xy", "ij"):
        for ours, theirs in zip(
            ops.meshgrid(*arrays, indexing=indexing), np.meshgrid(*arrays, indexing=indexing), strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)


def with_parameters():
    for name, (make, x, _) in LAYERS.items():
        layer = make()
        if tree.leaves(layer.init(stream(0))):
            yield pytest.param(layer, x, id=name)


@pytest.mark.parametrize(("layer", "x"), list(with_parameters()))
def test_parameters_of_another_layer_are_refused(layer, x):
    params = layer.init(stream(0))
    options = {"training": False, "key": None}
    fewer = dict(list(params.items())[:-1]) if isinstance(params, dict) else params[:-1]
    for wrong in ({}, {"other": np.ones(2)}, [], fewer):
        with pytest.raises((ValueError, TypeError, KeyError)) as caught:
            layer.forward(wrong, layer.init_state(), x, **options)
        assert not isinstance(caught.value, KeyError), f"not checked: {caught.value!r}"


SOFT = np.asarray([[0.25, 0.75], [1.0, 0.0]])
WITH_SOFT_TARGETS = {
    "softmax_cross_entropy": SOFT, "kl_divergence": SOFT, "focal": SOFT, "sigmoid_cross_entropy": SOFT,
    "sigmoid_focal": np.round(SOFT), "hinge": np.round(SOFT), "squared_error": SOFT, "absolute_error": SOFT,
    "huber": SOFT, "log_cosh": SOFT, "poisson_nll": SOFT, "cosine_distance": SOFT,
}  # fmt: skip


@pytest.mark.parametrize("name", WITH_SOFT_TARGETS)
def test_a_loss_has_the_dtype_of_the_predictions(name):
    loss, targets = getattr(losses, name), WITH_SOFT_TARGETS[name]
    logits = np.asarray([[0.5, -1.0], [2.0, 0.25]], dtype=np.float32)
    found = {}
    for dtype in ("float32", "float64"):
        found[dtype], gradient = pn.value_and_grad(lambda x, y: loss(x, y))(logits, targets.astype(dtype))
        assert found[dtype].dtype == gradient.dtype == np.float32
    assert float(found["float32"]) == pytest.approx(float(found["float64"]), rel=1e-6)


@pytest.mark.parametrize("name", ["Dropout", "Dropout1d", "Dropout2d"])
def test_a_key_of_another_library_is_refused(name):
    x = np.ones((2, 3, 4, 5) if name == "Dropout2d" else (2, 3, 4), dtype=np.float32)
    layer = getattr(nn, name)(1.0)
    own, other = random.key(0, like=x), random.key(0, like=array_api_strict.ones(1))
    assert not np.any(layer.forward({}, {}, x, training=True, key=own)[0])
    with pytest.raises(TypeError, match="numpy"):
        layer.forward({}, {}, x, training=True, key=other)


def test_names_that_begin_with_underscores_are_not_the_librarys():
    xp = pn.differentiable(np)
    for space in (xp, xp.linalg, xp.fft):
        for name in ("__wrapped__", "__path__"):
            assert not hasattr(space, name)
    assert not hasattr(xp.linalg, "_linalg")


@pytest.mark.parametrize(("dtype", "size"), [("float16", 2), ("float32", 4), ("float64", 8)])
def test_a_limit_of_an_outline_is_in_bytes_of_the_dtype(dtype, size):
    layer = nn.Linear(10, 10, bias=False)
    nn.outline(layer, dtype, limit=100 * size)
    with pytest.raises(ValueError, match=f"than the {100 * size - 1} bytes"):
        nn.outline(layer, dtype, limit=100 * size - 1)


def test_padding_is_never_the_largest():
    """The gradient of a window goes to a pixel, also where pixels are infinite."""
    x = np.full((1, 1, 3, 3), -2.0)
    x[0, 0, 0, 0] = np.inf
    gradient = pn.grad(lambda x: ops.sum(ops.max_pool2d(x, 3, stride=1, padding=1)))(x)
    assert gradient[0, 0, 0, 0] == 4.0
    assert gradient.sum() == 9.0


def test_a_line_shows_the_epoch(capsys):
    x = np.zeros((4, 2), dtype=np.float32)
    pn.Network([nn.Linear(2, 2)]).fit(x, np.asarray([0, 1, 0, 1]), epochs=3, batch_size=2, progress=True)
    said = capsys.readouterr().err
    assert "epoch 3/3" in said
    assert "  loss 0." in said


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_slopes_of_what_is_taken_along_each_of_three_axes(axis):
    rng = np.random.default_rng(0)
    x, factors = rng.normal(size=(3, 4, 5)), rng.normal(size=(3, 4, 5))
    at = rng.integers(0, x.shape[axis], x.shape)
    gradient = pn.grad(lambda x: ops.sum(ops.take_along_axis(x, at, axis=axis) * factors))(x)
    places = np.indices(x.shape)
    places[axis] = at
    expected = np.zeros_like(x)
    np.add.at(expected, tuple(places), factors)
    np.testing.assert_allclose(gradient, expected, rtol=1e-14)
    some = np.asarray([2, 0, 2])
    gradient = pn.grad(lambda x: ops.sum(ops.square(ops.take(x, some, axis=axis))))(x)
    counts = np.bincount(some, minlength=x.shape[axis]).astype(float)
    shape = np.ones(3, dtype=int)
    shape[axis] = -1
    np.testing.assert_allclose(gradient, 2.0 * x * counts.reshape(shape), rtol=1e-14)


def test_smoothed_labels_of_sequences():
    """Each step of a sequence has the loss that it has alone: the classes are the last axis."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 5, 3))
    soft = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    for targets in (soft, rng.integers(0, 3, (2, 5))):
        whole = losses.softmax_cross_entropy(logits, targets, label_smoothing=0.25)
        flat = targets.reshape((10, *targets.shape[2:]))
        alone = losses.softmax_cross_entropy(logits.reshape(10, 3), flat, label_smoothing=0.25)
        assert float(whole) == pytest.approx(float(alone), rel=1e-14)
