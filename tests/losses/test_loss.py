"""The Loss class, the task that a loss decides, and what all losses have in common."""

import copy
import doctest
import inspect
import pickle
import sys
from functools import partial
from types import ModuleType

import numpy as np
import pytest

from portnn import losses, nn, ops
from portnn.autodiff import grad
from portnn.losses import Loss, Task, link_of, task_of
from portnn.losses._loss import loss_of, warn_of_probabilities
from tests.losses.names import CLASSES, LABELS, NAMES, VALUES, args_for, mine

X = np.linspace(-1.0, 1.0, 12).reshape(4, 3)

wrapped = Loss(mine, task=Task.VALUES)


def test_every_loss_has_a_task():
    assert {name for name in losses.__all__ if isinstance(getattr(losses, name), Loss)} == set(NAMES)
    for task, names in {Task.CLASSES: CLASSES, Task.LABELS: LABELS, Task.VALUES: VALUES}.items():
        for name in names:
            assert task_of(getattr(losses, name)) is task


def test_partial_is_seen_through():
    once = partial(losses.softmax_cross_entropy, label_smoothing=0.1)
    twice = partial(partial(once, reduction="sum"), ignore_index=0)
    assert task_of(twice) is Task.CLASSES
    assert link_of(twice) is ops.softmax


def test_the_outer_of_two_partials_counts():
    # functools flattens partials of partials, but not those that carry attributes.
    inner = partial(losses.poisson_nll, log_input=False)
    inner.note = "counts"
    assert link_of(partial(inner, log_input=True))(np.asarray([0.0])).tolist() == [1.0]
    assert link_of(partial(inner, reduction="sum"))(np.asarray([2.0])).tolist() == [2.0]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["int64", "bool", "float64"])
def test_weights_of_another_dtype_do_not_promote(name, dtype):
    x, t = args_for(name)
    assert getattr(losses, name)(x, t, sample_weight=np.ones(4, dtype=dtype)).dtype == np.float32


@pytest.mark.parametrize("ask", [task_of, link_of])
@pytest.mark.parametrize("loss", [mine, partial(mine), None])
def test_a_plain_function_has_no_task(ask, loss):
    with pytest.raises(
        TypeError, match=r"loss: the task of \w+ is not known; .*losses\.Loss\(function, task="
    ):
        ask(loss)


NAMED = {
    "mse": "squared_error", "mean_squared_error": "squared_error", "MAE": "absolute_error",
    "huber_loss": "huber",
    "binary_crossentropy": "sigmoid_cross_entropy", "log_loss": "softmax_cross_entropy",
    "sparse_categorical_crossentropy": "softmax_cross_entropy",
    **{name: name for name in NAMES},
}  # fmt: skip


@pytest.mark.parametrize("ask", [task_of, link_of])
def test_names_are_no_losses_but_lead_to_them(ask):
    for given, name in NAMED.items():
        with pytest.raises(
            TypeError, match=rf"^loss: expected .*, got '{given}'; write portnn\.losses\.{name}$"
        ):
            ask(given)
    for given in ("perplexity", "", "x" * 999):
        with pytest.raises(
            TypeError, match=r"got '.*; give one such as portnn\.losses\.squared_error$"
        ) as caught:
            ask(given)
        assert len(str(caught.value)) < 300


def test_losses_of_other_libraries_lead_to_those_of_portnn():
    def mse_loss(predictions, targets):
        return None

    class BCEWithLogitsLoss:
        pass

    for loss, name in ((mse_loss, "squared_error"), (BCEWithLogitsLoss(), "sigmoid_cross_entropy")):
        with pytest.raises(TypeError, match=rf"is not known; write portnn\.losses\.{name}, or losses\.Loss"):
            task_of(loss)


@pytest.mark.parametrize(
    ("loss", "raw", "shown"),
    [
        (losses.softmax_cross_entropy, [0.0, 0.0], [0.5, 0.5]),
        (losses.focal, [0.0, 0.0], [0.5, 0.5]),
        (losses.kl_divergence, [0.0, 0.0], [0.5, 0.5]),
        (losses.multiclass_hinge, [2.0, -1.0], [2.0, -1.0]),
        (losses.sigmoid_cross_entropy, [0.0, 1000.0], [0.5, 1.0]),
        (losses.sigmoid_focal, [0.0, 1000.0], [0.5, 1.0]),
        (losses.hinge, [2.0, -1.0], [2.0, -1.0]),
        (losses.squared_error, [2.0, -1.0], [2.0, -1.0]),
        (losses.poisson_nll, [0.0, -np.inf], [1.0, 0.0]),
        (partial(losses.poisson_nll, log_input=False), [2.0, 1.0], [2.0, 1.0]),
        (partial(partial(losses.poisson_nll, log_input=False), log_input=True), [0.0, 0.0], [1.0, 1.0]),
        (partial(losses.poisson_nll, reduction="sum"), [0.0, 0.0], [1.0, 1.0]),
        (losses.gaussian_nll, [2.0, -1.0], [2.0]),
        (partial(losses.gaussian_nll, log_variance=np.zeros(2)), [2.0, -1.0], [2.0, -1.0]),
    ],
)
def test_links(loss, raw, shown):
    assert link_of(loss)(np.asarray(raw)).tolist() == shown


def test_a_loss_of_ones_own():
    assert float(wrapped(X, X + 1.0)) == pytest.approx(1.0)
    assert task_of(partial(wrapped)) is Task.VALUES
    assert link_of(wrapped)(X) is X
    assert grad(lambda x: wrapped(x, X - 1.0))(X) == pytest.approx(np.full((4, 3), 1 / 12))
    shown = link_of(Loss(mine, task=Task.LABELS, link=ops.sigmoid))
    assert shown is ops.sigmoid


@pytest.mark.parametrize("name", NAMES)
def test_signature_docstring_and_doctest_are_kept(name):
    loss = getattr(losses, name)
    assert loss.__name__ == name
    assert repr(loss) == f"<loss {name}>"
    assert list(inspect.signature(loss).parameters)[:2] in (["logits", "targets"], ["predictions", "targets"])
    assert {"sample_weight", "reduction"} <= set(inspect.signature(loss).parameters)
    module = inspect.getmodule(loss.function)
    found = {test.name for test in doctest.DocTestFinder().find(module) if test.examples}
    assert f"{module.__name__}.{name}" in found


@pytest.mark.parametrize("name", NAMES)
def test_losses_pickle_to_themselves(name):
    loss = getattr(losses, name)
    assert pickle.loads(pickle.dumps(loss)) is loss
    assert copy.deepcopy(loss) is loss


def test_a_loss_of_a_loss_has_the_task_that_is_given():
    of_labels = Loss(losses.squared_error, task=Task.LABELS, link=ops.sigmoid)
    assert of_labels.function is losses.squared_error
    assert task_of(of_labels) is Task.LABELS
    assert link_of(of_labels) is ops.sigmoid
    assert of_labels.__doc__ == losses.squared_error.__doc__


def test_wrapped_functions_pickle(monkeypatch):
    # In a module that can be imported, as importlib mode leaves test modules out of sys.modules' names.
    module = ModuleType(mine.__module__)
    module.mine, module.wrapped = mine, wrapped
    monkeypatch.setitem(sys.modules, mine.__module__, module)
    again = pickle.loads(pickle.dumps(wrapped))
    assert (again.function, again.task, again.link) == (wrapped.function, wrapped.task, wrapped.link)


@pytest.mark.parametrize("name", NAMES)
def test_losses_run_under_jax_jit(name):
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    rng = np.random.default_rng(0)
    loss, (x, t) = getattr(losses, name), args_for(name)
    x, t = rng.normal(size=x.shape), rng.uniform(size=t.shape).round() if t.dtype.kind == "f" else t + 1
    w = rng.uniform(size=4)
    expected = loss(x, t, sample_weight=w)
    targets, weight = jax.numpy.asarray(t), jax.numpy.asarray(w)
    step = jax.jit(jax.value_and_grad(lambda x: loss(x, targets, sample_weight=weight)))
    found, slope = step(jax.numpy.asarray(x))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(slope, grad(lambda x: loss(x, t, sample_weight=w))(x), rtol=1e-10, atol=1e-14)


LINKS = {
    "softmax": ("softmax_cross_entropy", "focal", "kl_divergence"),
    "sigmoid": ("sigmoid_cross_entropy", "sigmoid_focal"),
    "the raw output": (
        "hinge", "multiclass_hinge", "squared_error", "absolute_error", "huber", "log_cosh",
        "cosine_distance",
    ),
    "exp": ("poisson_nll",),
    "the first half": ("gaussian_nll",),
}  # fmt: skip


@pytest.mark.parametrize("link", LINKS)
def test_what_each_loss_makes_of_raw_outputs(link):
    raw = np.asarray([[0.5, -1.0, 2.0, 0.0]])
    wanted = {
        "softmax": np.exp(raw) / np.exp(raw).sum(),
        "sigmoid": 1.0 / (1.0 + np.exp(-raw)),
        "the raw output": raw,
        "exp": np.exp(raw),
        "the first half": raw[:, :2],
    }[link]
    for name in LINKS[link]:
        np.testing.assert_allclose(link_of(getattr(losses, name))(raw), wanted, rtol=1e-14, err_msg=name)


def test_every_loss_has_a_link_in_the_table():
    listed = {name for names in LINKS.values() for name in names}
    assert listed == set(losses.__all__) - {"Loss", "Reduction", "Task", "link_of", "task_of"}


WARNED = [
    (losses.softmax_cross_entropy, nn.softmax, "softmax", "softmax"),
    (losses.softmax_cross_entropy, nn.sigmoid, "sigmoid", "softmax"),
    (losses.sigmoid_cross_entropy, nn.sigmoid, "sigmoid", "sigmoid"),
    (losses.sigmoid_focal, nn.hard_sigmoid, "hard_sigmoid", "sigmoid"),
    (partial(losses.focal, gamma=1.0), nn.softmax, "softmax", "softmax"),
    (losses.kl_divergence, nn.softmin, "softmin", "softmax"),
]


@pytest.mark.parametrize(("loss", "activation", "name", "link"), WARNED)
def test_probabilities_under_a_loss_of_logits_are_warned_of(loss, activation, name, link):
    own = loss_of(loss)[0].__name__
    text = (
        f"Network: the last layer is {name}, but the loss {own} takes logits and applies {link} itself; "
        f"applied twice, it trains badly. Leave the last layer out: predict_proba applies {link}"
    )
    with pytest.warns(UserWarning, match=name) as told:
        warn_of_probabilities(loss, activation)
    assert [str(warning.message) for warning in told] == [text]


def test_other_last_layers_are_not_warned_of():
    """The tests make an error of each warning."""
    for loss in (losses.squared_error, losses.hinge, losses.multiclass_hinge, losses.poisson_nll):
        warn_of_probabilities(loss, nn.softmax)
    for activation in (None, nn.relu, nn.log_softmax, lambda x: x):
        warn_of_probabilities(losses.softmax_cross_entropy, activation)
