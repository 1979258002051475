"""Everything follows X: arrays of torch, JAX and array-api-strict in, the same out.

scikit-learn follows other libraries only if SCIPY_ARRAY_API=1 was set before SciPy was imported, as the
session ``nox -s sklearn`` does; elsewhere these tests are skipped.
"""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest
from sklearn import config_context
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from portnn import nn
from portnn.backend import get_backend
from portnn.estimators import MLPClassifier, MLPRegressor, NetworkClassifier, NetworkRegressor

pytestmark = [
    pytest.mark.skipif(os.environ.get("SCIPY_ARRAY_API") != "1", reason="needs SCIPY_ARRAY_API=1"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),  # a few epochs are enough
]

X, Y = load_iris(return_X_y=True)
X = X.astype(np.float32)
FAST = {"random_state": 0, "max_iter": 20, "batch_size": 50}
HOMES = ["numpy", "torch", "jax", "array_api_strict", "array_api_strict:device1"]


@pytest.fixture(params=HOMES)
def home(request):
    pytest.importorskip(request.param.partition(":")[0])
    with config_context(array_api_dispatch=True):
        yield get_backend(request.param)


@pytest.mark.parametrize("kind", [MLPClassifier, NetworkClassifier])
def test_classifiers(home, kind):
    x, y = home.asarray(X), home.asarray(Y)
    model, plain = kind(**FAST).fit(x, y), kind(**FAST).fit(X, Y)
    for name in ("predict", "predict_proba", "predict_log_proba"):
        found = getattr(model, name)(x)
        assert home.owns(found)
        np.testing.assert_allclose(home.to_numpy(found), getattr(plain, name)(X), rtol=2e-3, atol=1e-5)
    assert home.owns(model.classes_)
    assert model.network_.backend is home
    assert isinstance(model.score(x, y), float)
    if kind is MLPClassifier:
        assert all(home.owns(a) for a in model.coefs_ + model.intercepts_)


@pytest.mark.parametrize("kind", [MLPRegressor, NetworkRegressor])
@pytest.mark.parametrize("outputs", [1, 2])
def test_regressors(home, kind, outputs):
    targets = X[:, 3] if outputs == 1 else X[:, 2:]
    x, y = home.asarray(X[:, :2]), home.asarray(targets)
    model, plain = kind(**FAST).fit(x, y), kind(**FAST).fit(X[:, :2], targets)
    found = model.predict(x)
    assert home.owns(found)
    assert found.shape == targets.shape
    np.testing.assert_allclose(home.to_numpy(found), plain.predict(X[:, :2]), rtol=1e-3, atol=1e-4)
    assert isinstance(model.score(x, y), float)


def test_half_precision_is_learned_in_single():
    torch = pytest.importorskip("torch", reason="PyTorch is optional; tests(torch) has it")
    with config_context(array_api_dispatch=True):
        for dtype in (torch.float16, torch.bfloat16):
            x = torch.tensor(X, dtype=dtype)
            assert MLPClassifier(**FAST).fit(x, torch.tensor(Y)).predict_proba(x).dtype == torch.float32


def test_validation_weights_and_early_stopping(home):
    x, y = home.asarray(X), home.asarray(Y)
    weight = home.asarray(np.ones(150, np.float32))
    model = MLPClassifier(early_stopping=True, class_weight="balanced", **FAST).fit(x, y, weight)
    assert 1 <= len(model.validation_scores_) <= 20
    model.set_params(early_stopping=False).fit(x, y, X_val=x, y_val=Y)
    assert model.validation_scores_[-1] == pytest.approx(float(model.score(x, y)))


def test_texts_and_labels(home):
    names = np.asarray(["a", "b", "c"])[Y]
    model = MLPClassifier(**FAST).fit(home.asarray(X), names)
    assert isinstance(model.predict(home.asarray(X)), np.ndarray)
    assert set(model.predict(home.asarray(X))) <= {"a", "b", "c"}
    labels = home.asarray(np.stack([Y == 0, Y > 0], axis=1).astype(np.int32))
    found = MLPClassifier(**FAST).fit(home.asarray(X), labels).predict(home.asarray(X))
    assert home.owns(found)
    assert (found.shape, found.dtype) == (labels.shape, labels.dtype)


def test_a_backend_of_its_own(home):
    model = MLPClassifier(backend="torch" if home.name == "numpy" else "cpu", **FAST)
    pytest.importorskip("torch", reason="PyTorch is optional; tests(torch) has it")
    model.fit(home.asarray(X), home.asarray(Y))
    assert model.network_.backend is get_backend(model.backend)
    assert home.owns(model.predict_proba(home.asarray(X)))
    assert home.owns(model.coefs_[0])


def test_pickles_and_other_libraries_are_refused(home):
    x, y = home.asarray(X), home.asarray(Y)
    model = pickle.loads(pickle.dumps(MLPClassifier(**FAST).fit(x, y)))
    assert home.owns(model.predict(x))
    other = get_backend("array_api_strict" if home.name != "array_api_strict" else "cpu")
    with pytest.raises(ValueError, match=r"MLPClassifier.predict\(\) must use the same namespace"):
        model.predict(other.asarray(X))


def test_estimators_move(home):
    array_api = pytest.importorskip("sklearn.utils._array_api")
    model = MLPClassifier(**FAST)
    model.partial_fit(X, Y, classes=[0, 1, 2])
    moved = array_api.move_estimator_to(model, home.xp, home.device)
    found = moved.predict_proba(home.asarray(X))
    assert home.owns(found)
    assert home.owns(moved.classes_)
    np.testing.assert_allclose(home.to_numpy(found), model.predict_proba(X), rtol=1e-5, atol=1e-6)
    moved.partial_fit(home.asarray(X), home.asarray(Y))
    model.partial_fit(X, Y)
    np.testing.assert_allclose(moved.loss_curve_, model.loss_curve_, rtol=1e-5)


# What scikit-learn wraps around an estimator follows torch; it does not index JAX or array-api-strict.
@pytest.fixture(params=["numpy", "torch"])
def followed(request):
    pytest.importorskip(request.param)
    with config_context(array_api_dispatch=True):
        yield get_backend(request.param)


def piped(**options):
    model = NetworkClassifier(nn.MLP([4, 8, 3]), **FAST)
    return make_pipeline(StandardScaler(), model.set_params(**options))


def test_pipeline(followed):
    x, y = followed.asarray(X), followed.asarray(Y)
    model = piped().fit(x, y)
    assert followed.owns(model.predict_proba(x))
    assert model.score(x, y) > 0.3


def test_grid_search(followed):
    x, y = followed.asarray(X), followed.asarray(Y)
    grid = GridSearchCV(piped(), {"networkclassifier__alpha": [0.0, 1.0]}, cv=2, error_score="raise").fit(
        x, y
    )
    assert followed.owns(grid.predict(x))
    assert grid.best_params_["networkclassifier__alpha"] in (0.0, 1.0)


def test_cross_validation(followed):
    scores = cross_val_score(piped(), followed.asarray(X), followed.asarray(Y), cv=3, error_score="raise")
    assert np.asarray(scores).shape == (3,)


def test_calibration(followed):
    x, y = followed.asarray(X), followed.asarray(Y)
    model = CalibratedClassifierCV(piped(), method="temperature", cv=2).fit(x, y)
    proba = model.predict_proba(x)
    assert followed.owns(proba)
    np.testing.assert_allclose(np.sum(followed.to_numpy(proba), axis=1), 1.0, rtol=1e-5)


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_permutation_importance(name):
    """scikit-learn permutes columns in NumPy's way, so it is not told to follow arrays here."""
    pytest.importorskip(name)
    x, y = get_backend(name).asarray(X), get_backend(name).asarray(Y)
    found = permutation_importance(piped().fit(x, y), x, y, n_repeats=2, random_state=0)
    assert found.importances_mean.shape == (4,)
