"""Training that goes wrong: an error that says where, and parameters that still work."""

from __future__ import annotations

import numpy as np
import pytest

from portnn import DivergenceError, Network, losses, ops, optim, tree
from portnn.nn import Linear, relu

# NumPy says itself when float32 overflows, which is what these tests bring about.
pytestmark = [
    pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning"),
]
RNG = np.random.default_rng(1)
X = RNG.normal(size=(64, 3)).astype(np.float32)
Y = (X @ np.asarray([[1.0], [2.0], [3.0]])).astype(np.float32)


def regression(backend):
    return Network([Linear(3, 8), relu, Linear(8, 1)], loss=losses.squared_error, backend=backend.backend)


def bits(net):
    return [np.array(net.backend.to_numpy(p)) for p in tree.leaves(net.params)]


def finite(net):
    return all(np.isfinite(p).all() for p in bits(net))


def same(a, b):
    return all((x == y).all() for x, y in zip(a, b, strict=True))


def test_a_rate_too_large_stops_with_the_step(backend):
    net = regression(backend)
    with pytest.raises(DivergenceError, match=r"the loss is (inf|nan) at step \d+; try a smaller") as caught:
        net.fit(X, Y, epochs=20, batch_size=16, optimizer=optim.sgd(1e6))
    assert len(str(caught.value)) < 300
    assert finite(net)
    assert np.isfinite(net.predict(np.zeros((2, 3), np.float32))).all()


def test_the_last_good_parameters_are_those_of_the_last_finite_loss(backend):
    net, by_hand = regression(backend), regression(backend)
    optimizer = optim.sgd(1e6)
    with pytest.raises(DivergenceError) as caught:
        # JAX compiles the whole step, and rounds otherwise than step by step.
        net.fit(X, Y, epochs=20, batch_size=None, optimizer=optimizer, compile="jax" not in backend.name)
    step = int(str(caught.value).partition("at step ")[2].partition(";")[0])
    for _ in range(step - 2):
        by_hand.partial_fit(X, Y, optimizer=optimizer)
    # The loss of the step before was finite: it came from the parameters before that step.
    assert same(bits(net), bits(by_hand))


def test_the_first_step_already(backend):
    net = regression(backend)
    before = bits(net)
    with pytest.raises(DivergenceError, match="at step 1"):
        net.fit(X, np.full((64, 1), 1e30, np.float32), epochs=3)
    assert same(bits(net), before)
    assert net.epochs == net.steps == 0


def test_an_update_of_the_last_step_is_seen_as_well(backend):
    net = regression(backend)
    before = bits(net)
    with pytest.raises(DivergenceError, match="parameters are not finite after step 1"):
        net.fit(X, Y, epochs=1, batch_size=None, optimizer=optim.sgd(3e38))
    assert same(bits(net), before)


def test_partial_fit_leaves_the_network_as_it_was(backend):
    net = regression(backend)
    before = bits(net)
    for target, optimizer in ((1e30, optim.sgd(0.1)), (1e3, optim.sgd(3e38))):
        with pytest.raises(DivergenceError, match=r"(at|after) step 1"):
            net.partial_fit(X, np.full((64, 1), target, np.float32), optimizer=optimizer)
        assert same(bits(net), before)
        assert (net.epochs, net.steps) == (0, 0)
    net.partial_fit(X, Y)
    assert finite(net)


def test_clipping_that_meets_infinity_says_so():
    net = Network([Linear(3, 1)], loss=losses.squared_error)
    before = bits(net)
    clipped = optim.chain(optim.clip_by_global_norm(1.0), optim.sgd(0.1))
    with pytest.raises(DivergenceError, match="at step 1") as caught:
        net.fit(X, np.full((64, 1), 1e30, np.float32), epochs=1, optimizer=clipped)
    assert len(str(caught.value)) < 300
    assert same(bits(net), before)


def test_training_goes_on_after_it():
    net = Network([Linear(3, 1)], loss=losses.squared_error)
    with pytest.raises(DivergenceError):
        net.fit(X, Y, epochs=9, optimizer=optim.sgd(1e6))
    fresh = Network([Linear(3, 1)], loss=losses.squared_error)
    fresh.fit(X, Y, epochs=5, optimizer=optim.adam(0.01))
    assert finite(fresh)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_loss_that_sees_nothing_leaves_finite_parameters(compiled):
    # Steps after the parameters have become NaN, with a finite loss each.
    blind = losses.Loss(
        lambda p, t: ops.mean(ops.where(ops.isfinite(p), p * 1e30, 1.0)), task=losses.Task.VALUES
    )
    net = Network([Linear(2, 1)], loss=blind, seed=1)
    before = tree.map(np.copy, net.params)
    with np.errstate(all="ignore"), pytest.raises(DivergenceError, match="parameters are not finite"):
        net.fit(
            np.ones((8, 2), "float32"), np.ones((8, 1), "float32"),
            epochs=2, batch_size=2, optimizer=optim.sgd(1e30), compile=compiled,
        )  # fmt: skip
    tree.map(np.testing.assert_array_equal, net.params, before)


# Predictions that are none


def broken(backend, value, loss=losses.softmax_cross_entropy, row=1):
    """A network whose raw predictions for one sample have a value at its first place."""
    classes = 1 if loss is losses.squared_error else 3

    def spoil(y):
        places = ops.arange(y.shape[0], dtype="int64", like=y)
        hit = ops.equal(places, row)[:, None]
        first = ops.equal(ops.arange(classes, dtype="int64", like=y), 0)[None, :]
        return ops.where(ops.logical_and(hit, first), value, y)

    return Network([Linear(3, classes), spoil], loss=loss, backend=backend.backend)


TARGETS = {
    losses.softmax_cross_entropy: np.arange(64) % 3,
    losses.sigmoid_cross_entropy: np.zeros((64, 3), dtype=np.float32),
    losses.squared_error: Y,
}


@pytest.mark.parametrize(
    ("loss", "value"),
    [
        (losses.softmax_cross_entropy, np.nan), (losses.softmax_cross_entropy, np.inf),
        (losses.sigmoid_cross_entropy, np.nan), (losses.squared_error, np.nan),
        (losses.squared_error, np.inf), (losses.squared_error, -np.inf),
    ],
)  # fmt: skip
def test_predictions_that_are_nan_are_errors(backend, loss, value):
    net = broken(backend, value, loss)
    calls = [("predict", net.predict)]
    if loss is not losses.squared_error:
        calls.append(("predict_proba", net.predict_proba))
    calls += [
        ("score", lambda x: net.score(x, TARGETS[loss][: len(x)])),
        ("evaluate", lambda x: net.evaluate(x, TARGETS[loss][: len(x)])),
    ]
    for name, call in calls:
        for n in (64, 64, 64, 2):  # as it is, as a plan is made, and from the plan
            told = (
                rf"^{name}: the prediction for sample 1 is NaN or infinite; .* too large for float32; scale"
            )
            with pytest.raises(ValueError, match=told) as caught:
                call(X[:n])
            assert len(str(caught.value)) < 300
    net.predict(X[:1])


def test_the_sample_is_named_among_many(backend):
    net = broken(backend, np.nan)
    x = np.zeros((5000, 3), dtype=np.float32)
    with pytest.raises(ValueError, match="sample 1 is NaN"):
        net.predict(x)
    with pytest.raises(ValueError, match="sample 1 is NaN"):
        net.predict_proba(x)


def test_infinite_logits_that_mean_something_are_answers(backend):
    masked = broken(backend, -np.inf)
    assert (masked.predict(X) >= 0).all()
    assert masked.predict_proba(X)[1, 0] == 0.0
    for value, sure in ((np.inf, 1.0), (-np.inf, 0.0)):
        net = broken(backend, value, losses.sigmoid_cross_entropy)
        assert net.predict_proba(X)[1, 0] == sure
        assert bool(net.predict(X)[1, 0]) is (sure == 1.0)


def test_an_overflow_in_a_layer(backend):
    net = Network([Linear(3, 8), relu, Linear(8, 3)], backend=backend.backend)
    net.params = tree.map(lambda a: ops.multiply(a, 1e25), net.params)
    for call in (net.predict, net.predict_proba):
        with pytest.raises(ValueError, match="the prediction for sample 0 is NaN or infinite"):
            call(np.ones((2, 3), dtype=np.float32) * 1e5)


def test_a_loss_that_is_nan_is_no_figure(backend):
    net = broken(backend, np.inf, losses.sigmoid_cross_entropy)  # infinite logits are answers
    y = TARGETS[losses.sigmoid_cross_entropy].copy()
    y[1, 0] = 1.0
    with pytest.raises(ValueError, match="evaluate: the loss is NaN, although no prediction is") as caught:
        net.evaluate(X, y)
    assert len(str(caught.value)) < 300


def test_validation_whose_predictions_are_nan_is_a_divergence(backend):
    net = broken(backend, np.nan, losses.squared_error, row=40)
    with pytest.raises(DivergenceError, match="after epoch 1, validation_data: the prediction for sample 40"):
        net.fit(X[:30], Y[:30], epochs=2, batch_size=10, validation_data=(X, Y), progress=False)
    assert finite(net)


@pytest.mark.parametrize("compile", [True, False])
def test_a_divergence_in_the_validation_keeps_the_epoch(compile):
    kept = []
    net = Network([Linear(2, 1)], loss=losses.squared_error, seed=0)
    far = np.full((2, 2), 3e38, np.float32)
    x, y = np.eye(2, dtype=np.float32).repeat(4, 0), np.full(8, 1e3, np.float32)
    options = {"batch_size": 2, "optimizer": optim.sgd(0.5), "compile": compile, "progress": False}
    net.fit(x, y, epochs=1, **options, callbacks=[lambda epoch: kept.append(epoch.model.params)])
    again = Network([Linear(2, 1)], loss=losses.squared_error, seed=0)
    with pytest.raises(DivergenceError, match="after epoch 1"):
        again.fit(x, y, epochs=2, **options, validation_data=(far, y[:2]))
    assert (again.epochs, again.steps) == (1, 4)
    np.testing.assert_array_equal(again.params[0]["weight"], kept[0][0]["weight"])
