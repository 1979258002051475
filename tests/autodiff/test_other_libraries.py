"""portnn's functions under the differentiation of JAX and PyTorch, by being given their arrays."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from portnn import losses, nn, ops, tree
from portnn.autodiff import grad
from portnn.nn import _activations as activations
from portnn.random import stream
from tests.backends import Matrix

X = np.asarray([[0.7, -1.3, 2.6, -0.2], [-2.2, 0.4, 1.7, 0.9], [0.1, -0.6, -1.9, 3.4]])
LABELS = np.asarray([2, 0, 3])
BITS = (X > 0.5).astype(np.float64)
POSITIVE = np.abs(X) + 0.5
SOFT = np.exp(X) / np.exp(X).sum(axis=1, keepdims=True)

ACTIVATIONS = {
    name: getattr(nn, name)
    for name in (
        "celu", "elu", "gelu", "glu", "hard_sigmoid", "hard_swish", "hard_tanh", "identity", "leaky_relu",
        "log_sigmoid", "log_softmax", "mish", "relu", "selu", "sigmoid", "silu", "softmax", "softmin",
        "softplus", "softsign", "tanh",
    )
} | {"gelu tanh": partial(nn.gelu, approximate=True), "prelu": lambda x: nn.prelu(x, x[0, ...])}  # fmt: skip

LOSSES = {
    "softmax_cross_entropy": (losses.softmax_cross_entropy, LABELS),
    "softmax_cross_entropy soft": (losses.softmax_cross_entropy, SOFT),
    "softmax_cross_entropy smooth": (partial(losses.softmax_cross_entropy, label_smoothing=0.1), LABELS),
    "sigmoid_cross_entropy": (losses.sigmoid_cross_entropy, BITS),
    "focal": (losses.focal, LABELS),
    "sigmoid_focal": (losses.sigmoid_focal, BITS),
    "kl_divergence": (losses.kl_divergence, SOFT),
    "multiclass_hinge": (losses.multiclass_hinge, LABELS),
    "hinge": (losses.hinge, BITS),
    "poisson_nll": (losses.poisson_nll, np.round(POSITIVE)),
    "gaussian_nll": (lambda p, t: losses.gaussian_nll(p, t, ops.exp(ops.multiply(p, 0.1))), POSITIVE),
    "absolute_error": (losses.absolute_error, POSITIVE),
    "cosine_distance": (losses.cosine_distance, POSITIVE),
    "huber": (losses.huber, POSITIVE),
    "log_cosh": (losses.log_cosh, POSITIVE),
    "squared_error": (losses.squared_error, POSITIVE),
}


@pytest.fixture
def foreign(backend):
    """JAX or PyTorch."""
    if backend.member not in (Matrix.JAX, Matrix.TORCH):
        pytest.skip("no automatic differentiation of its own: pytest --backend torch --backend jax")
    return backend


def gradient_of(f, p, backend, *, compiled=False):
    """The gradient of `f` by a tree, computed by the library itself."""
    arrays = tree.map(backend.asarray, p)
    if backend.member is Matrix.JAX:
        import jax

        made = jax.grad(f)
        return tree.map(backend.to_numpy, (jax.jit(made) if compiled else made)(arrays))
    for leaf in tree.leaves(arrays):
        leaf.requires_grad_(True)
    f(arrays).backward()
    return tree.map(lambda leaf: backend.to_numpy(leaf.grad), arrays)


def assert_same(f, p, backend):
    """portnn's gradient on NumPy is the library's, and portnn's own on that library, and compiled."""
    expected = grad(f)(p)
    cases = [gradient_of(f, p, backend), tree.map(backend.to_numpy, grad(f)(tree.map(backend.asarray, p)))]
    if backend.member is Matrix.JAX:
        cases.append(gradient_of(f, p, backend, compiled=True))
    for found in cases:
        tree.map(lambda a, e: np.testing.assert_allclose(a, e, rtol=1e-9, atol=1e-12), found, expected)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name, foreign):
    def f(x):
        y = ACTIVATIONS[name](x)
        return ops.sum(ops.multiply(y, ops.sin(ops.add(y, 1.0))))

    assert_same(f, X, foreign)


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name, foreign):
    loss, targets = LOSSES[name]
    places = {"numpy": targets, "there": foreign.asarray(targets)}

    def f(logits):
        plain = logits.plain if hasattr(logits, "plain") else logits
        return loss(logits, places["numpy" if isinstance(plain, np.ndarray) else "there"])

    assert_same(f, X, foreign)


def test_every_loss_and_activation_is_here():
    plain = {name for name in losses.__all__ if isinstance(getattr(losses, name), losses.Loss)}
    assert {name.split()[0] for name in LOSSES} == plain
    assert {name.split()[0] for name in ACTIVATIONS} == set(activations.__all__)


def test_a_multilayer_perceptron(foreign):
    model = nn.MLP([4, 6, 5, 3], activation=nn.tanh)
    params = tree.map(lambda p: p + 0.1, model.init(stream(0), "float64"))
    there = foreign.asarray(X)

    def f(params):
        weight = params[0]["weight"]
        plain = weight.plain if hasattr(weight, "plain") else weight
        y = model.apply(params, X if isinstance(plain, np.ndarray) else there)
        return ops.mean(ops.multiply(y, y))

    assert_same(f, params, foreign)


def test_jit_vmap_and_apply(foreign):
    if foreign.member is not Matrix.JAX:
        pytest.skip("jit and vmap are JAX's")
    import jax

    model = nn.Sequential([nn.Rescale(), nn.Flatten(), nn.Linear(4, 3), nn.PReLU(3), nn.softmax])
    params = tree.map(foreign.asarray, model.init(stream(0), "float64"))
    x = foreign.asarray(X.reshape(3, 2, 2))
    expected = foreign.to_numpy(model.apply(params, x))
    np.testing.assert_allclose(jax.jit(model.apply)(params, x), expected, rtol=1e-12)
    one_by_one = jax.vmap(lambda row: model.apply(params, row[None, ...])[0, ...])(x)
    np.testing.assert_allclose(one_by_one, expected, rtol=1e-12)
