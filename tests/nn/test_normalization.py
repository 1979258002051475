"""Layers that normalise: running statistics in a training, prediction, files, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from portnn import Network, nn, ops, tree
from portnn.nn import (
    BatchNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    Linear,
    RMSNorm,
    describe,
    from_description,
)  # fmt: skip
from portnn.random import stream
from tests.helpers import assert_close

X = np.random.default_rng(0).normal(3.0, 2.0, (40, 6)).astype(np.float32)
LABELS = np.arange(40) % 3


def network():
    return Network([Linear(6, 8), BatchNorm(8), nn.relu, Linear(8, 3), BatchNorm(3, momentum=None)], seed=1)


def test_a_plan_carries_the_statistics_bit_for_bit():
    nets = [network(), network()]
    for net, compile in zip(nets, (False, True), strict=True):
        net.fit(X, LABELS, epochs=3, batch_size=16, compile=compile, progress=False)
    bits = [[np.ascontiguousarray(a).tobytes() for a in tree.leaves((n.params, n.state))] for n in nets]
    assert bits[0] == bits[1]
    assert [int(s["count"]) for s in nets[0].state if s] == [9, 9]


def test_statistics_of_a_training_and_prediction():
    net = Network([BatchNorm(6), Linear(6, 3)], seed=0)
    net.fit(X, LABELS, epochs=2, batch_size=None, progress=False)
    mean, var = X.mean(0), X.var(0, ddof=1)
    np.testing.assert_allclose(net.state[0]["mean"], 0.19 * mean, rtol=1e-5)
    np.testing.assert_allclose(net.state[0]["var"], 0.81 + 0.19 * var, rtol=1e-5)
    p, s = net.params, net.state[0]
    z = (X - s["mean"]) / np.sqrt(s["var"] + 1e-5) * p[0]["weight"] + p[0]["bias"]
    logits = z @ p[1]["weight"] + p[1]["bias"]
    assert (net.predict(X) == logits.argmax(1)).all()
    assert (net.predict(X[:1]) == logits[:1].argmax(1)).all()
    assert int(net.state[0]["count"]) == 2


def test_statistics_survive_a_file(tmp_path):
    net = network()
    net.fit(X, LABELS, epochs=1, batch_size=16, progress=False)
    net.save(tmp_path / "net.safetensors")
    again = Network.load(tmp_path / "net.safetensors")
    assert again.layer == net.layer
    for a, b in zip(tree.leaves(net.state), tree.leaves(again.state), strict=True):
        np.testing.assert_array_equal(a, b, strict=True)
    assert "BatchNorm" in net.summary()


@pytest.mark.parametrize("shape", [(5, 3), (5, 3, 4), (5, 3, 2, 2)])
def test_batch_norm_without_statistics_uses_the_batch(shape, backend):
    x = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    layer = BatchNorm(3, affine=False, track=False)
    assert layer.init_state() == {}
    y = layer.apply({}, backend.asarray(x))
    axes = (0, *range(2, x.ndim))
    expected = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)
    np.testing.assert_allclose(backend.to_numpy(y), expected, rtol=1e-5, atol=1e-6)


def test_without_a_state_the_first_one_is_used_where_x_is(backend):
    x = backend.asarray(X[:3])
    layer = nn.Sequential([BatchNorm(6, affine=False)])
    found = backend.to_numpy(layer.apply(({},), x))
    np.testing.assert_allclose(found, X[:3] / np.sqrt(1.0 + 1e-5), rtol=1e-6)


def test_large_numbers_of_samples_keep_their_digits():
    """A plain mean of so many float32 numbers is wrong by more than the deviation."""
    x = 1e4 + np.random.default_rng(2).normal(size=(60_000, 2))
    exact = (x.astype(np.float32) - x.astype(np.float32).mean(0, dtype=np.float64)) / x.astype(
        np.float32
    ).std(0, dtype=np.float64)
    y, *_ = ops.batch_norm(x.astype(np.float32))
    assert np.abs(y - exact).max() < 1e-3


IMAGES = np.zeros((2, 3, 2, 2), np.float32)
REFUSED = {
    "one sample": (lambda: BatchNorm(6).apply(BatchNorm(6).init(stream(0)), X[:1], training=True), ValueError,
                   r"training needs at least two elements a channel, got shape \(1, 6\); leave out the last"),
    "channels": (lambda: BatchNorm(4).apply({}, IMAGES), ValueError, r"\(n, 4, \.\.\.\), got \(2, 3, 2, 2\)"),
    "one axis": (lambda: BatchNorm(4).apply({}, IMAGES[0, 0, 0]), ValueError, "BatchNorm: expected an input"),
    "bytes": (lambda: BatchNorm(3).apply({}, IMAGES.astype(np.uint8)), TypeError, "put portnn.Rescale"),
    "params": (lambda: BatchNorm(3).apply({}, IMAGES), ValueError, "expected parameters named weight, bias"),
    "momentum": (lambda: BatchNorm(3, momentum=1.1), ValueError, "momentum must be between 0 and 1, or None"),
    "eps": (lambda: LayerNorm(3, eps=0.0), ValueError, "LayerNorm: eps must be a positive number, got 0.0"),
    "shape": (lambda: LayerNorm((3, 0)), ValueError, "LayerNorm: shape must be at least 1, got 0"),
    "no shape": (lambda: RMSNorm(()), ValueError, "RMSNorm: shape must name at least one axis"),
    "shape float": (lambda: RMSNorm(2.0), TypeError, "RMSNorm: shape must be an integer, got float"),
    "layer input": (lambda: LayerNorm((3, 2)).apply({}, IMAGES), ValueError, r"\(\.\.\., 3, 2\), got"),
    "groups": (lambda: GroupNorm(2, 3), ValueError, "features must be a multiple of groups, got 3 and 2"),
    "positions": (lambda: InstanceNorm(6).apply({}, X), ValueError, "two positions a channel, got shape"),
    "op batch": (lambda: ops.batch_norm(X[:0]), ValueError, "batch_norm: .* not empty, got"),
    "op batch weight": (lambda: ops.batch_norm(X, X[0, :3]), ValueError, r"weight of shape \(6,\), got"),
    "op layer": (lambda: ops.layer_norm(X, shape=(3,)), ValueError, r"\(\.\.\., 3\), got \(40, 6\)"),
    "op layer weight": (lambda: ops.layer_norm(X, X[0], shape=(40, 6)), ValueError, "expected a weight of"),
    "op rms": (lambda: ops.rms_norm(LABELS), TypeError, "rms_norm"),
    "op group": (lambda: ops.group_norm(X, groups=4), ValueError, "channels a multiple of groups=4, got"),
    "op group weight": (lambda: ops.group_norm(X, X[0, :2], groups=2), ValueError, r"weight of shape \(6,\)"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "text"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(call, kind, text):
    with pytest.raises(kind, match=text) as caught:
        call()
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_rms_norm_has_the_epsilon_of_pytorch(dtype):
    torch = pytest.importorskip("torch", reason="PyTorch is optional")
    kind = getattr(torch, dtype)
    for scale in (1.0, 1e-2, 1e-3):
        x = torch.asarray(np.random.default_rng(0).normal(0.0, scale, (5, 8)), dtype=kind)
        expected = torch.nn.functional.rms_norm(x.double(), (8,), eps=torch.finfo(kind).eps)
        if kind.itemsize == 2:
            expected = torch.nn.functional.rms_norm(x, (8,)).double()  # computed in float32
        found = ops.rms_norm(x).double()
        layer = RMSNorm(8, affine=False).apply({}, x).double()
        rtol = {"float16": 0.1, "bfloat16": 0.05, "float32": 1e-5, "float64": 1e-12}[dtype]
        assert torch.allclose(found, expected, rtol=rtol, atol=0.0)
        assert torch.equal(found, layer)


def test_rms_norm_of_no_epsilon_in_float32(backend):
    x = np.full((2, 4), 1e-3, dtype=np.float32)
    expected = x / np.sqrt(np.float64(1e-6) + 2.0**-23)
    found = RMSNorm(4, affine=False).apply({}, backend.asarray(x))
    assert_close(found, expected.astype(np.float32), rtol=1e-5, backend=backend)
    again = from_description(describe(RMSNorm(4)))
    assert (again, again.eps) == (RMSNorm(4, eps=None), None)
