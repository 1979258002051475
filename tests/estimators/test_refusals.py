"""What the estimators refuse, in which words, and that a refused fit leaves the estimator as it was."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.utils.class_weight import compute_sample_weight

from portnn import DivergenceError, Linear, nn, optim, relu
from portnn.estimators import MLPClassifier, MLPRegressor, NetworkClassifier, NetworkRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_iris(return_X_y=True)
LABELS = np.stack([Y == 0, Y > 0], axis=1) * 1
FAST = {"random_state": 0, "max_iter": 3}


def first(features, outputs):
    return [Linear(features, 4), relu, Linear(4, outputs)]


def test_a_network_of_other_classes_than_y():
    for layers, outputs in (([Linear(4, 7)], "7 outputs"), (nn.MLP([4, 5, 1]), "1 output")):
        with pytest.raises(ValueError, match=rf"network: it has {outputs}, but y has 3 classes") as caught:
            NetworkClassifier(layers, **FAST).fit(X, Y)
        assert len(str(caught.value)) < 300
    with pytest.raises(ValueError, match=r"1 output, but y has 2 .* or give it loss=.*sigmoid_cross_entropy"):
        NetworkClassifier([Linear(4, 1)], **FAST).fit(X, Y == 1)
    with pytest.raises(ValueError, match=r"network: it gives arrays of shape \(n, 4, 3\), expected \(n, 3\)"):
        NetworkClassifier([nn.Reshape((4, 1)), Linear(1, 3)], **FAST).fit(X, Y)


def test_layers_have_whole_widths():
    with pytest.raises(TypeError, match=r"hidden_layer_sizes must be integers, got \(5.5,\)"):
        MLPClassifier((5.5,), **FAST).fit(X, Y)
    assert MLPClassifier(np.asarray([5, 4]), **FAST).fit(X, Y).n_layers_ == 4


def test_a_warm_start_has_the_same_classes_and_outputs():
    model = MLPClassifier((4,), warm_start=True, **FAST).fit(X, Y)
    for y in (Y[:100], Y[:100] + 1, np.minimum(Y, 1)):
        with pytest.raises(ValueError, match="warm_start can only be used where `y` has the same classes as"):
            model.fit(X[: len(y)], y)
    with pytest.raises(ValueError, match=r"y: expected 2 columns, one a label, got shape \(150, 3\)"):
        MLPClassifier(warm_start=True, **FAST).fit(X, LABELS).fit(X, np.eye(3, dtype=int)[Y])
    values = MLPRegressor(hidden_layer_sizes=(4,), warm_start=True, **FAST).fit(X, Y)
    for go_on in (values.fit, values.partial_fit):
        with pytest.raises(
            ValueError, match=r"y: expected 1 column, as before, got 2; a new estimator learns"
        ):
            go_on(X, LABELS)


def test_a_warm_start_has_the_same_network():
    model = NetworkClassifier([Linear(4, 3)], warm_start=True, **FAST).fit(X, Y).fit(X, Y)
    with pytest.raises(ValueError, match="network: it is not the one that was fitted; set warm_start=False"):
        model.set_params(network=[Linear(4, 5), Linear(5, 3)]).fit(X, Y)
    model.set_params(warm_start=False).fit(X, Y)
    assert len(model.network_.params) == 2
    NetworkClassifier(first, warm_start=True, **FAST).fit(X, Y).fit(X, Y)


@pytest.mark.parametrize(
    "wrong",
    [
        {"sample_weight": np.ones(3)},
        {"sample_weight": -np.ones(150)},
        {"X_val": X[:, :3], "y_val": Y},
        {"X_val": X, "y_val": Y + 1},
        {"X_val": X},
    ],
)
def test_a_refused_fit_changes_nothing(wrong):
    model = MLPClassifier((4,), **FAST).fit(X, Y)
    before, curve = model.predict_proba(X), list(model.loss_curve_)
    with pytest.raises(ValueError, match=r"sample_weight|X_val|features|classes not in"):
        model.fit(X, Y, **wrong)
    assert model.predict_proba(X).tolist() == before.tolist()
    assert model.loss_curve_ == curve
    new = MLPClassifier((4,), **FAST)
    with pytest.raises(ValueError, match=r"sample_weight|X_val|features|classes not in"):
        new.fit(X, Y, **wrong)
    assert not hasattr(new, "network_")
    assert not hasattr(new, "n_features_in_")


def test_what_was_learned_stays_if_a_callback_fails():
    def fail(epoch):
        if epoch.number == 2:
            raise ValueError("enough")

    model = MLPClassifier((4,), callbacks=[fail], **FAST)
    with pytest.raises(ValueError, match="enough"):
        model.fit(X, Y)
    assert len(model.loss_curve_) == 2
    assert model.predict(X).shape == (150,)


def test_one_weight_for_all_is_none():
    plain, *weighted = [MLPClassifier((4,), **FAST).fit(X, Y, w) for w in (None, 2, np.asarray(0.5))]
    for model in weighted:
        np.testing.assert_allclose(model.predict_proba(X), plain.predict_proba(X), rtol=1e-9)
    with pytest.raises(TypeError, match="sample_weight must hold booleans or numbers"):
        plain.fit(X, Y, ["a"] * 150)


def test_weights_of_classes_for_each_label():
    shares = [{0: 1.0, 1: 5.0}, {0: 2.0, 1: 1.0}]
    model = MLPClassifier((4,), class_weight=shares, **FAST).fit(X, LABELS)
    by_hand = MLPClassifier((4,), **FAST).fit(X, LABELS, compute_sample_weight(shares, LABELS))
    assert model.predict_proba(X).tolist() == by_hand.predict_proba(X).tolist()


STEEP = {"solver": "sgd", "learning_rate_init": 10.0, "activation": "identity", "random_state": 0}
DIVERGING = {
    "classes": MLPClassifier((50, 50), **STEEP),
    "values": MLPRegressor(hidden_layer_sizes=(50,), **STEEP),
    "poisson": MLPRegressor("poisson", (50,), **STEEP),
    "network": NetworkRegressor([Linear(4, 50), Linear(50, 1)], optimizer=optim.sgd(10.0), random_state=0),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # overflow is what these are about
@pytest.mark.parametrize("early_stopping", [True, False])
@pytest.mark.parametrize("model", DIVERGING.values(), ids=DIVERGING)
def test_divergence_is_told_as_scikit_learn_tells_it(model, early_stopping):
    model = clone(model).set_params(early_stopping=early_stopping, max_iter=50)
    text = r"Solver produced non-finite parameter weights.* need to be preprocessed\. .*smaller learning rate"
    with pytest.raises(DivergenceError, match=text) as caught:
        model.fit(X * 1e3, Y)
    assert isinstance(caught.value, ValueError)
    assert len(str(caught.value)) < 300
    params = [p for layer in model.network_.params for p in layer.values()]
    assert all(np.all(np.isfinite(p)) for p in params)  # the network keeps the last good ones


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("early_stopping", [True, False])
def test_huge_inputs_are_told(solver, early_stopping):
    x = np.finfo(np.float64).max * np.random.default_rng(0).uniform(size=(40, 2))
    model = MLPRegressor(solver=solver, early_stopping=early_stopping, random_state=0)
    with pytest.raises(ValueError, match="Solver produced non-finite parameter weights") as caught:
        model.fit(x, x[:, 0] > x[:, 1])
    assert len(str(caught.value)) < 300


def test_lbfgs_ignores_early_stopping():
    for model in (MLPClassifier((4,), solver="lbfgs"), MLPRegressor(hidden_layer_sizes=(4,), solver="lbfgs")):
        plain = model.set_params(random_state=0, max_iter=20).fit(X, Y)
        stopping = clone(model).set_params(early_stopping=True).fit(X, Y)
        np.testing.assert_array_equal(stopping.predict(X), plain.predict(X))
        assert (stopping.n_iter_, stopping.loss_) == (plain.n_iter_, plain.loss_)
        with pytest.raises(ValueError, match="solver='lbfgs' has no epochs"):
            stopping.fit(X, Y, X_val=X, y_val=Y)
