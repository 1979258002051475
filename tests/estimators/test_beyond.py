"""What the estimators have beyond scikit-learn's: validation data, dropout, weights, any loss and network."""

from __future__ import annotations

import copy
import pickle
from functools import partial

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris

from portnn import Dropout, Embedding, Linear, Network, losses, nn, optim
from portnn.estimators import MLPClassifier, MLPRegressor, NetworkClassifier, NetworkRegressor
from portnn.train.callbacks import EarlyStopping

# A few epochs are enough here.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_iris(return_X_y=True)
NAMES = np.asarray(["setosa", "versicolor", "virginica"])[Y]
FAST = {"learning_rate_init": 0.05, "random_state": 0, "max_iter": 30, "batch_size": 50}


def network(features, outputs):
    return [Linear(features, 16), nn.relu, Linear(16, outputs)]


def test_validation_data_and_their_curves():
    model = MLPClassifier((16,), **FAST).fit(X[::2], NAMES[::2], X_val=X[1::2], y_val=NAMES[1::2])
    assert len(model.validation_loss_curve_) == len(model.validation_scores_) == model.n_iter_
    assert model.validation_scores_[-1] == pytest.approx(model.score(X[1::2], NAMES[1::2]))
    expected = -np.mean(np.log(model.predict_proba(X[1::2])[np.arange(75), Y[1::2]]))
    assert model.validation_loss_curve_[-1] == pytest.approx(expected)
    assert model.best_validation_score_ is None
    stopped = MLPClassifier((16,), early_stopping=True, n_iter_no_change=3, tol=0.5, **FAST)
    stopped.fit(X[::2], NAMES[::2], X_val=X[1::2], y_val=NAMES[1::2])
    assert stopped.n_iter_ < 30
    assert stopped.score(X[1::2], NAMES[1::2]) == pytest.approx(stopped.best_validation_score_)
    values = MLPRegressor(hidden_layer_sizes=(8,), **FAST).fit(
        X[::2, :3], X[::2, 3], None, X[1::2, :3], X[1::2, 3]
    )
    assert values.validation_scores_[-1] == pytest.approx(values.score(X[1::2, :3], X[1::2, 3]))
    with pytest.raises(ValueError, match="X_val and y_val belong together"):
        model.fit(X, NAMES, X_val=X)
    with pytest.raises(ValueError, match=r"classes not in `self.classes_`, such as .*'rose'"):
        model.fit(X, NAMES, X_val=X, y_val=np.where(Y == 0, "rose", NAMES))


def test_texts_as_classes_and_their_weights():
    plain = MLPClassifier((8,), **FAST).fit(X, NAMES)
    assert plain.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert set(plain.predict(X)) <= set(NAMES)
    heavy = clone(plain).set_params(class_weight={"setosa": 1.0, "virginica": 50.0, "versicolor": 1.0})
    assert np.mean(heavy.fit(X, NAMES).predict(X) == "virginica") > np.mean(plain.predict(X) == "virginica")
    rare = np.concatenate([np.arange(50), np.arange(50, 54)])
    balanced = MLPClassifier((8,), class_weight="balanced", **FAST).fit(X[rare], NAMES[rare])
    weights = np.where(Y[rare] == 0, 54 / 100, 54 / 8)
    by_hand = MLPClassifier((8,), **FAST).fit(X[rare], NAMES[rare], weights)
    np.testing.assert_allclose(balanced.predict_proba(X), by_hand.predict_proba(X))
    with pytest.raises(ValueError, match="needs all data at once"):
        balanced.partial_fit(X[rare], NAMES[rare])


def test_dropout_and_functions_of_ones_own():
    model = MLPClassifier((16, 8), activation=nn.gelu, dropout=(0.5, 0.0), **FAST).fit(X, Y)
    kinds = [type(layer).__name__ for layer in model.network_.layer.layers]
    assert kinds == ["Linear", "Activation", "Dropout", "Linear", "Activation", "Linear"]
    assert model.predict_proba(X).tolist() == model.predict_proba(X).tolist()
    assert model.score(X, Y) > 0.9
    with pytest.raises(ValueError, match=r"dropout must be a share in \[0, 1\), or one for each of 2"):
        MLPClassifier((16, 8), dropout=[0.5]).fit(X, Y)


def test_callbacks_see_the_network_and_may_stop():
    seen = []
    watch = EarlyStopping("val_loss", patience=2, min_delta=10.0)
    model = MLPClassifier(callbacks=[lambda epoch: seen.append((epoch.number, epoch.model)), watch], **FAST)
    model.fit(X, Y, X_val=X, y_val=Y)
    assert [number for number, _ in seen] == [1, 2, 3]
    assert all(isinstance(net, Network) for _, net in seen)
    assert model.n_iter_ == 3


def test_any_loss():
    smooth = MLPClassifier(loss=partial(losses.softmax_cross_entropy, label_smoothing=0.2), **FAST).fit(
        X, Y == 1
    )
    assert (smooth.n_outputs_, smooth.out_activation_) == (2, "softmax")
    assert smooth.predict_proba(X).max() < 0.995
    robust = MLPRegressor(partial(losses.huber, delta=0.1), (8,), **FAST).fit(X[:, :3], X[:, 3])
    assert robust.score(X[:, :3], X[:, 3]) > 0.8
    yes = NetworkClassifier(network=[Linear(4, 1)], loss=losses.sigmoid_cross_entropy, max_iter=3).fit(
        X, NAMES == "setosa"
    )
    assert yes.predict_proba(X).shape == (150, 2)
    assert yes.predict(X).dtype == bool
    with pytest.raises(
        ValueError, match="a loss for labels, but y has 3 classes; softmax_cross_entropy is for"
    ):
        MLPClassifier(loss=losses.sigmoid_cross_entropy).fit(X, Y)


@pytest.mark.parametrize("described", [network, network(4, 3), nn.MLP([4, 16, 3]), None])
def test_networks_of_any_description(described):
    model = NetworkClassifier(described, optimizer=partial(optim.adam, 0.05), max_iter=60, random_state=0)
    model.fit(X, NAMES)
    assert model.score(X, NAMES) > 0.94
    assert model.n_features_in_ == 4
    again = clone(model).fit(X, NAMES)
    assert again.predict_proba(X).tolist() == model.predict_proba(X).tolist()
    values = NetworkRegressor(
        lambda n, k: network(n, k), optimizer=optim.adam(0.05), max_iter=40, random_state=0, batch_size=30
    )
    assert values.fit(X[:, :3], X[:, 3]).score(X[:, :3], X[:, 3]) > 0.8


def test_images_and_tokens():
    images, labels = load_digits(return_X_y=True)
    images = (images[:300] * 15).reshape(-1, 1, 8, 8).astype(np.uint8)
    layers = [nn.Rescale(1 / 255), nn.Conv2d(1, 4, 3), nn.relu, nn.Flatten(), Linear(144, 10)]
    model = NetworkClassifier(layers, optimizer=optim.adam(0.02), max_iter=15, random_state=0)
    assert model.fit(images, labels[:300]).score(images, labels[:300]) > 0.9
    assert model.network_.dtype == "float32"
    made = []
    NetworkClassifier(lambda shape, n: made.append(shape) or layers, max_iter=1).fit(images, labels[:300])
    assert made == [(1, 8, 8)]
    words = np.asarray([[0, 1], [1, 0], [2, 3], [3, 2]] * 5)
    tokens = NetworkClassifier(
        [Embedding(4, 8), nn.Flatten(), Linear(16, 2)], max_iter=50, optimizer=optim.adam(0.1)
    )
    assert tokens.fit(words, words[:, 0] > 1).score(words, words[:, 0] > 1) == 1.0
    with pytest.raises(ValueError, match=r"needed for samples of shape \(1, 8, 8\)"):
        NetworkClassifier().fit(images, labels[:300])
    with pytest.raises(TypeError, match=r"network: expected a layer, .* got int"):
        NetworkClassifier(3).fit(X, Y)


@pytest.mark.parametrize(
    ("x", "dtype", "found"),
    [
        (X, "auto", "float64"),
        (X.astype(np.float32), "auto", "float32"),
        (np.round(X).astype(np.uint8), "auto", "float32"),
        (np.round(X).astype(int), "auto", "float64"),
        (X.tolist(), "auto", "float64"),
        (X, "float32", "float32"),
        (X.astype(np.float32), "float64", "float64"),
    ],
)
def test_the_dtype_follows_the_inputs(x, dtype, found):
    model = MLPClassifier((3,), dtype=dtype, max_iter=2, random_state=0).fit(x, Y)
    assert model.predict_proba(x).dtype == model.coefs_[0].dtype == model.intercepts_[1].dtype == found
    assert isinstance(model.loss_, float)


def test_sparse_inputs_and_labels():
    dense, held = MLPClassifier(**FAST).fit(X, Y), MLPClassifier(**FAST).fit(sparse.csr_array(X), Y)
    assert held.predict_proba(sparse.csc_array(X)).tolist() == dense.predict_proba(X).tolist()
    labels = np.stack([Y == 0, Y > 0], axis=1) * 1
    model = MLPClassifier(**FAST).fit(X, sparse.csr_array(labels))
    assert model.predict(X).dtype == labels.dtype
    assert np.mean(model.predict(X) == labels) > 0.95


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("move", [lambda m: pickle.loads(pickle.dumps(m)), copy.deepcopy])
def test_a_copy_goes_on_as_the_original(move, solver):
    model = MLPClassifier((8,), solver=solver, dropout=0.2, random_state=0)
    model.partial_fit(X, Y, classes=[0, 1, 2]).partial_fit(X, Y)
    other = move(model)
    assert other.predict_proba(X).tolist() == model.predict_proba(X).tolist()
    for m in (model, other):
        m.partial_fit(X, Y)
    assert other.predict_proba(X).tolist() == model.predict_proba(X).tolist()
    assert other.loss_curve_ == model.loss_curve_


def test_weights_may_be_set_and_networks_saved(tmp_path):
    model = MLPClassifier((8,), max_iter=2, random_state=0).fit(X, Y)
    weights = [np.zeros_like(w) for w in model.coefs_]
    model.coefs_ = weights
    model.intercepts_ = [np.zeros(8), np.asarray([1.0, 0.0, 0.0])]
    assert model.predict(X).tolist() == [0] * 150
    model.network_.save(tmp_path / "net.safetensors")
    assert Network.load(tmp_path / "net.safetensors").predict(X).tolist() == [0] * 150
    with pytest.raises(ValueError, match=r"expected an array of shape \(8, 3\), got \(3,\)"):
        model.coefs_ = [weights[0], np.zeros(3)]


@pytest.mark.parametrize("warm_start", [False, True])
def test_weights_set_before_fitting_are_what_training_begins_with(warm_start):
    from sklearn.neural_network import MLPClassifier as Theirs

    options = {"hidden_layer_sizes": (3,), "solver": "sgd", "momentum": 0.0, "warm_start": warm_start}
    before = Theirs(**options, max_iter=1, random_state=1).fit(X, Y)
    found, expected = MLPClassifier(**options, random_state=5), before
    found.coefs_, found.intercepts_ = before.coefs_, before.intercepts_
    assert found.coefs_ is before.coefs_
    if warm_start:
        found.set_params(max_iter=1, shuffle=False, batch_size=150).fit(X, Y)
        expected = before.set_params(max_iter=1, shuffle=False, batch_size=150).fit(X, Y)
    else:
        found.partial_fit(X, Y, classes=[0, 1, 2])
        expected.partial_fit(X, Y)
    for mine, theirs in zip(
        found.coefs_ + found.intercepts_, expected.coefs_ + expected.intercepts_, strict=True
    ):
        np.testing.assert_allclose(mine, theirs, rtol=1e-9)
    afresh = MLPClassifier(**options | {"warm_start": False}, max_iter=1, random_state=5)
    plain = clone(afresh).fit(X, Y)
    afresh.coefs_ = before.coefs_
    np.testing.assert_array_equal(afresh.fit(X, Y).coefs_[0], plain.coefs_[0])
    wrong = MLPClassifier((3,))
    wrong.coefs_ = before.coefs_[:1]
    with pytest.raises(ValueError, match="expected 2 arrays, one for each layer, got 1"):
        wrong.partial_fit(X, Y, classes=[0, 1, 2])


def test_refusals_of_partial_and_warm_fits():
    model = MLPClassifier((4,), max_iter=2, random_state=0)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        model.partial_fit(X, Y)
    model.partial_fit(X[:60], Y[:60], classes=[0, 1, 2]).partial_fit(X, Y)
    with pytest.raises(ValueError, match="is not the same as on last call to partial_fit"):
        model.partial_fit(X, Y, classes=[0, 1, 2, 3])
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping"):
        MLPClassifier(early_stopping=True).partial_fit(X, Y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match=r"hidden_layer_sizes: \[5\] cannot go on from a network of \[4\]"):
        model.set_params(warm_start=True, hidden_layer_sizes=5).fit(X, Y)
    assert not hasattr(MLPClassifier(solver="lbfgs"), "partial_fit")
    with pytest.raises(ValueError, match="solver='lbfgs' has no epochs: dropout"):
        MLPClassifier(solver="lbfgs", dropout=0.5).fit(X, Y)
    with pytest.raises(ValueError, match="The validation set is too small"):
        MLPClassifier(early_stopping=True, validation_fraction=0.001).fit(X, Y)


def test_ctrl_c_keeps_what_was_learned():
    def interrupt(epoch):
        if epoch.number == 2:
            raise KeyboardInterrupt

    model = MLPClassifier((4,), callbacks=[interrupt], random_state=0)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model.fit(X, Y)
    assert len(model.loss_curve_) == 2
    assert model.predict(X).shape == (150,)


def test_one_class_has_probability_one():
    model = MLPClassifier((4,), max_iter=2).fit(X, np.full(150, 7))
    assert model.predict(X).tolist() == [7] * 150
    assert model.predict_proba(X).tolist() == [[1.0]] * 150


def test_the_diagram_and_dropout_layers_in_a_list():
    model = NetworkClassifier([Linear(4, 8), Dropout(0.5), Linear(8, 3)])
    assert "NetworkClassifier" in model._repr_html_()
    assert "Dropout(p=0.5)" in repr(model)
