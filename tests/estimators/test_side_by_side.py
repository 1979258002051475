"""Beside scikit-learn's own perceptrons: the same losses, weights and scores to the last digits.

Both draw the same initial weights; without shuffling both see the same batches.
"""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from sklearn import neural_network as theirs
from sklearn.datasets import load_diabetes, load_digits

from portnn import estimators as ours

# A few epochs are enough here.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

DIGITS, LABELS = load_digits(return_X_y=True)
DIGITS, LABELS = DIGITS[:330] / 16.0, LABELS[:330]
PATIENTS, PROGRESS = load_diabetes(return_X_y=True)
PATIENTS, PROGRESS = PATIENTS[:230] * 20.0, PROGRESS[:230] / 100.0
TASKS = {
    "two classes": ("MLPClassifier", DIGITS, LABELS > 4),
    "ten classes": ("MLPClassifier", DIGITS, LABELS),
    "labels": ("MLPClassifier", DIGITS, np.stack([LABELS > 4, LABELS % 2 == 0, LABELS == 3], axis=1) * 1),
    "a value": ("MLPRegressor", PATIENTS, PROGRESS),
    "values": ("MLPRegressor", PATIENTS, np.stack([PROGRESS, PROGRESS**2], axis=1)),
}
OPTIONS = {
    "as it stands": {},
    "sigmoids and a large penalty": {"activation": "logistic", "alpha": 1.0, "hidden_layer_sizes": 9},
    "large epsilon": {"epsilon": 1e-2, "beta_1": 0.5, "beta_2": 0.9, "activation": "tanh"},
    "two layers": {"solver": "sgd", "hidden_layer_sizes": (9, 7), "learning_rate_init": 0.01},
    "no hidden layer": {"solver": "sgd", "hidden_layer_sizes": (), "learning_rate_init": 0.01},
    "plain momentum": {"solver": "sgd", "nesterovs_momentum": False, "momentum": 0.5},
    "all momentum": {"solver": "sgd", "momentum": 1.0, "learning_rate_init": 1e-4},
    "no momentum": {"solver": "sgd", "momentum": 0.0, "activation": "identity", "learning_rate_init": 0.01},
    "inverse scaling": {
        "solver": "sgd",
        "learning_rate": "invscaling",
        "learning_rate_init": 0.1,
        "power_t": 0.3,
    },
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 1, "tol": 0.5},
    "stops by itself": {"tol": 1.0, "n_iter_no_change": 2},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 2, "tol": 0.1},
    "by L-BFGS": {"solver": "lbfgs"},
}


def both(name, **options):
    return [getattr(module, name)(random_state=3, shuffle=False, **options) for module in (theirs, ours)]


def assert_same(a, b, x):
    np.testing.assert_allclose(b.predict(x), a.predict(x), rtol=1e-9)
    for mine, other in zip(b.coefs_ + b.intercepts_, a.coefs_ + a.intercepts_, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-9, atol=1e-9)
    for name in ("n_iter_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_", "t_"):
        assert getattr(b, name) == getattr(a, name), name
    assert b.loss_ == pytest.approx(a.loss_, rel=1e-9)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("task", TASKS)
def test_the_same_training(task, options):
    name, x, y = TASKS[task]
    a, b = both(name, max_iter=7, batch_size=64, **options)
    a.fit(x, y)
    b.fit(x, y)
    assert_same(a, b, x)
    if options.get("solver") != "lbfgs":
        np.testing.assert_allclose(b.loss_curve_, a.loss_curve_, rtol=1e-9)
        assert b.best_loss_ == pytest.approx(a.best_loss_)
        assert (b.validation_scores_ is None) == (a.validation_scores_ is None)
        np.testing.assert_allclose(b.validation_scores_ or [], a.validation_scores_ or [], rtol=1e-9)
        assert b.best_validation_score_ == pytest.approx(a.best_validation_score_)
    if name == "MLPClassifier":
        np.testing.assert_allclose(b.predict_proba(x), a.predict_proba(x), rtol=1e-6, atol=1e-12)
        np.testing.assert_allclose(b.predict_log_proba(x), a.predict_log_proba(x), rtol=1e-6)
        assert b.classes_.tolist() == a.classes_.tolist()


def test_poisson():
    a, b = both("MLPRegressor", loss="poisson", max_iter=5, batch_size=64)
    counts = np.round(np.stack([PROGRESS, PROGRESS * 2], axis=1))
    assert_same(a.fit(PATIENTS, counts), b.fit(PATIENTS, counts), PATIENTS)


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
@pytest.mark.parametrize("task", ["ten classes", "values"])
def test_sample_weights(task, solver):
    name, x, y = TASKS[task]
    weight = np.random.default_rng(0).integers(1, 4, size=len(x))
    a, b = both(name, solver=solver, max_iter=5, batch_size=len(x))
    assert_same(a.fit(x, y, weight), b.fit(x, y, weight), x)


@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("task", ["two classes", "ten classes", "labels", "values"])
def test_partial_fit_and_warm_start(task, solver):
    name, x, y = TASKS[task]
    a, b = both(name, solver=solver, max_iter=3, batch_size=100, warm_start=True, learning_rate="invscaling")
    classes = {} if name == "MLPRegressor" else {"classes": np.unique(y) if y.ndim == 1 else [0, 1, 2]}
    for model in (a, b):
        model.partial_fit(x[:250], y[:250], **classes)
        model.partial_fit(x[50:], y[50:])
    assert_same(a, b, x)
    assert_same(a.fit(x, y), b.fit(x, y), x)
    np.testing.assert_allclose(b.loss_curve_, a.loss_curve_, rtol=1e-9)


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_every_parameter_with_its_default(name):
    known = inspect.signature(getattr(theirs, name)).parameters
    mine = inspect.signature(getattr(ours, name)).parameters
    assert {n: (p.default, p.kind) for n, p in known.items()} == {
        n: (mine[n].default, mine[n].kind) for n in known
    }
    rest = mine.keys() - known.keys()
    assert rest >= {"backend", "dtype", "dropout", "callbacks"}
    assert all(mine[n].kind is inspect.Parameter.KEYWORD_ONLY for n in rest)


@pytest.mark.parametrize(
    "wrong",
    [{"alpha": -1.0}, {"solver": "rmsprop"}, {"activation": "swish"}, {"max_iter": 0}, {"momentum": 2}],
)
def test_the_same_refusals(wrong):
    for model in both("MLPClassifier", **wrong):
        with pytest.raises(ValueError, match=f"The '{next(iter(wrong))}' parameter of MLPClassifier must be"):
            model.fit(DIGITS, LABELS)


def test_verbose_prints_the_same(capsys):
    texts = []
    for model in both("MLPClassifier", verbose=True, max_iter=4, tol=1.0, n_iter_no_change=1):
        model.fit(DIGITS, LABELS)
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]
    assert "Stopping" in texts[0]
