"""What people put estimators into: pipelines, searches, calibration, importances, progress bars."""

from __future__ import annotations

import sys
from functools import partial
from importlib import import_module

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.experimental import enable_halving_search_cv  # noqa: F401  # makes HalvingGridSearchCV known
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, cross_val_score
from sklearn.multioutput import ClassifierChain
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from portnn import Linear, optim, relu
from portnn.estimators import MLPClassifier, MLPRegressor, NetworkClassifier

# A few epochs are enough here.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_iris(return_X_y=True)
ORDER = np.random.default_rng(0).permutation(150)
X, Y = X[ORDER], Y[ORDER]
FAST = {"random_state": 0, "max_iter": 15, "batch_size": 30}
MODELS = {
    "MLP": MLPClassifier((8,), learning_rate_init=0.05, **FAST),
    "network": NetworkClassifier(
        [Linear(4, 8), relu, Linear(8, 3)], optimizer=partial(optim.adam, 0.05), **FAST
    ),
}


@pytest.fixture(params=MODELS.values(), ids=MODELS)
def model(request):
    return make_pipeline(StandardScaler(), request.param)


def test_cross_validation(model):
    assert cross_val_score(model, X, Y, cv=3, error_score="raise").mean() > 0.9


def test_searches(model):
    step = model.steps[-1][0]
    name = f"{step}__alpha"
    grid = GridSearchCV(model, {name: [1e-4, 1e3]}, cv=2, error_score="raise").fit(X, Y)
    assert grid.best_params_ == {name: 1e-4}
    halving = HalvingGridSearchCV(
        model, {name: [1e-4, 1e3]}, resource=f"{step}__max_iter", min_resources=4, max_resources=8,
        factor=2, cv=2, error_score="raise", random_state=0,
    ).fit(X, Y)  # fmt: skip
    assert halving.best_params_[name] == 1e-4
    assert halving.best_estimator_[-1].n_iter_ == 8


@pytest.mark.slow
def test_search_in_processes():
    grid = GridSearchCV(MODELS["MLP"], {"alpha": [1e-4, 1.0]}, cv=2, n_jobs=2, error_score="raise").fit(X, Y)
    assert grid.best_estimator_.score(X, Y) > 0.9


def test_calibration(model):
    calibrated = CalibratedClassifierCV(model, cv=2).fit(X, Y)
    np.testing.assert_allclose(calibrated.predict_proba(X).sum(axis=1), 1.0)
    assert calibrated.score(X, Y) > 0.9


def test_importances(model):
    found = permutation_importance(model.fit(X, Y), X, Y, n_repeats=3, random_state=0)
    assert np.argmax(found.importances_mean) in (2, 3)  # the petals


def test_chains_and_frames():
    pandas = pytest.importorskip("pandas")
    labels = np.stack([Y == 0, Y > 1], axis=1) * 1
    assert ClassifierChain(MODELS["MLP"]).fit(X, labels).score(X, labels) > 0.8
    frame = pandas.DataFrame(X, columns=list("abcd"))
    model = MLPClassifier((4,), **FAST).fit(frame, Y)
    assert model.feature_names_in_.tolist() == list("abcd")
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame.rename(columns={"a": "z"}))


class Recorder:
    """A callback of scikit-learn's."""

    def __init__(self, stop_at=None):
        self.calls, self.scores, self.stop_at = [], [], stop_at

    def setup(self, estimator, context):
        self.calls.append("setup")

    def teardown(self, estimator, context):
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.calls.append(f"begin {context.task_name} {context.task_id}")

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, fitted_estimator=None):
        self.calls.append(f"end {context.task_name} {context.task_id}")
        if fitted_estimator is not None:
            self.scores.append((fitted_estimator, fitted_estimator.score(X, y)))
        return self.stop_at == context.task_id


def test_callbacks_of_scikit_learn():
    recorder = Recorder()
    model = MLPClassifier((8,), learning_rate_init=0.05, random_state=0, max_iter=3).set_callbacks(recorder)
    model.fit(X, Y)
    epochs = [f"{what} epoch {i}" for i in range(3) for what in ("begin", "end")]
    assert recorder.calls == ["setup", "begin fit 0", *epochs, "end fit 0", "teardown"]
    assert [m.score(X, Y) for m, _ in recorder.scores] == [score for _, score in recorder.scores]
    assert recorder.scores[-1][1] == model.score(X, Y)


def test_a_callback_of_scikit_learn_may_stop():
    recorder = Recorder(stop_at=1)
    model = MLPRegressor(hidden_layer_sizes=(8,), max_iter=30).set_callbacks(recorder).fit(X, Y)
    assert model.n_iter_ == 2
    assert recorder.calls[-3:] == ["end epoch 1", "end fit 0", "teardown"]


def test_every_task_that_begins_ends():
    recorder = Recorder()
    model = MLPClassifier((8,), tol=10.0, n_iter_no_change=2, max_iter=30, random_state=0)
    model.set_callbacks(recorder).fit(X, Y)
    begun = [c.removeprefix("begin ") for c in recorder.calls if c.startswith("begin")]
    ended = [c.removeprefix("end ") for c in recorder.calls if c.startswith("end")]
    assert sorted(begun) == sorted(ended)
    assert len(recorder.scores) == model.n_iter_ == 4


def test_progress_bars(capsys):
    callback = pytest.importorskip("sklearn.callback")
    pytest.importorskip("rich")
    bar = callback.ProgressBar()
    model = make_pipeline(StandardScaler(), MLPClassifier((4,), max_iter=3, random_state=0))
    model.set_callbacks(bar).fit(X, Y)
    assert "MLPClassifier" in capsys.readouterr().out


def test_an_older_scikit_learn_is_refused_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.callback", None)
    monkeypatch.delitem(sys.modules, "portnn.estimators")
    with pytest.raises(ImportError, match=r"needs scikit-learn 1\.9: pip install"):
        import_module("portnn.estimators")
