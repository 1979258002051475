"""Fitted estimators through pickle, joblib, cloudpickle, skops and sklearn-onnx."""

from __future__ import annotations

import copy
import io
import os
import pickle
import re
from functools import partial

import cloudpickle
import joblib
import numpy as np
import pytest
import skops.io as sio
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_iris

import portnn as pn
from portnn import losses, optim
from portnn.estimators import MLPClassifier, MLPRegressor, NetworkClassifier, NetworkRegressor

# A few epochs are enough here.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_iris(return_X_y=True)
NAMES = np.asarray(["setosa", "versicolor", "virginica"])[Y]
LABELS = np.stack([Y == 0, Y > 0, Y > 1], axis=1) * 1
LAYERS = [pn.Linear(4, 5), pn.BatchNorm(5), pn.relu, pn.Dropout(0.1), pn.Linear(5, 3)]
FAST = {"max_iter": 3, "random_state": 0}
MODELS = {
    "classes": (MLPClassifier((4,), **FAST), Y),
    "texts": (MLPClassifier((4,), early_stopping=True, solver="sgd", **FAST), NAMES),
    "labels": (MLPClassifier((4,), activation=pn.gelu, class_weight=[{0: 1.0, 1: 2.0}] * 3, **FAST), LABELS),
    "two classes": (MLPClassifier((4,), solver="lbfgs", **FAST), Y == 1),
    "options": (
        MLPClassifier(
            (4,),
            activation=partial(pn.leaky_relu, negative_slope=0.2),
            loss=partial(losses.softmax_cross_entropy, label_smoothing=0.1),
            **FAST,
        ),
        Y,
    ),
    "values": (MLPRegressor("poisson", (4,), **FAST), Y),
    "network": (NetworkClassifier(LAYERS, optimizer=partial(optim.adam, 0.01), **FAST), NAMES),
    "optimizer": (
        NetworkClassifier(LAYERS, optimizer=optim.chain(optim.clip_by_value(1.0), optim.adam(0.01)), **FAST),
        Y,
    ),
    "average": (NetworkClassifier(LAYERS, optimizer=optim.ema(optim.sgd(0.1, momentum=0.5), 0.9), **FAST), Y),
    "default": (NetworkClassifier(loss=losses.focal, **FAST), Y),
    "regression": (NetworkRegressor(pn.MLP([4, 5, 1]), alpha=0.1, **FAST), Y),
}


def through_pickle(model):
    return pickle.loads(pickle.dumps(model))


def through_joblib(model):
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    return joblib.load(file)


def through_cloudpickle(model):
    return pickle.loads(cloudpickle.dumps(model))


def through_skops(model):
    data = sio.dumps(model)
    trusted = sio.get_untrusted_types(data=data)
    name = type(model).__name__
    assert [t.rpartition(".")[2] for t in trusted] == [name]  # nothing but the estimator has to be trusted
    return sio.loads(data, trusted=trusted)


WAYS = [through_pickle, through_joblib, through_cloudpickle, through_skops, copy.deepcopy]


def odd_parts(value, path=""):
    """The paths of what is neither an array of NumPy nor plain data."""
    if isinstance(value, dict):
        return [odd for key, part in value.items() for odd in odd_parts(part, f"{path}.{key}")]
    if isinstance(value, list | tuple):
        return [odd for i, part in enumerate(value) for odd in odd_parts(part, f"{path}.{i}")]
    plain = value is None or isinstance(value, bool | int | float | str | np.ndarray | np.generic)
    return [] if plain else [path]


def probabilities(model):
    return model.predict_proba(X) if hasattr(model, "classes_") else model.predict(X)


def shown(model):
    """The parameters; functions that a recipe of an optimizer makes are made anew where it is read."""
    return re.sub(r"(<locals>\.\w+) at 0x\w+", r"\1", str(clone(model).get_params()))


@pytest.mark.parametrize(("model", "y"), MODELS.values(), ids=MODELS)
def test_the_state_is_arrays_and_plain_values(model, y):
    assert odd_parts(clone(model).fit(X, y).__getstate__()) == []
    assert odd_parts(clone(model).__getstate__()) == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("model", "y"), MODELS.values(), ids=MODELS)
def test_what_comes_back_predicts_and_learns_alike(model, y, way):
    model = clone(model).fit(X, y)
    other = way(model)
    np.testing.assert_array_equal(probabilities(other), probabilities(model))
    assert shown(other) == shown(model)
    if hasattr(model, "partial_fit") and not model.early_stopping:
        for m in (model, other):
            m.partial_fit(X, y)
        np.testing.assert_array_equal(probabilities(other), probabilities(model))


@pytest.mark.parametrize("way", WAYS)
def test_what_comes_back_lies_where_it_was(way, backend):
    model = NetworkClassifier(LAYERS, backend=backend.backend, dtype="float32", **FAST).fit(X, NAMES)
    assert odd_parts(model.__getstate__()) == []
    other = way(model)
    assert (other.network_.layer, other.network_.backend) == (model.network_.layer, model.network_.backend)
    np.testing.assert_array_equal(probabilities(other), probabilities(model))
    for m in (model, other):
        m.partial_fit(X, NAMES)
    np.testing.assert_array_equal(probabilities(other), probabilities(model))


def test_a_shallow_copy_shares_the_network():
    model = MLPClassifier((4,), **FAST).fit(X, Y)
    assert copy.copy(model).network_ is model.network_


def own_schedule(step):
    return 0.01


def distance(predictions, targets, **options):
    return losses.squared_error(predictions, targets, **options)


VALUES = losses.Task.VALUES
DISTANCE = losses.Loss(distance, task=VALUES)
LOCAL = {
    "schedule": {"optimizer": optim.sgd(optim.schedules.cosine(0.1, 10))},
    "schedule in partial": {"optimizer": partial(optim.sgd, optim.schedules.cosine(0.1, 10))},
    "optimizer": {"optimizer": optim.Optimizer(lambda params: (), lambda grads, state, params: (grads, ()))},
    "recipe": {"optimizer": lambda: optim.sgd(0.1)},
    "loss": {"loss": losses.Loss(lambda p, t, **o: losses.squared_error(p, t, **o), task=VALUES)},
    "link": {"loss": losses.Loss(distance, task=VALUES, link=lambda x: x)},
    "loss in partial": {
        "loss": partial(losses.Loss(lambda p, t, **o: losses.huber(p, t, **o), task=VALUES), delta=2.0),
    },
    "network": {"network": lambda n, m: pn.Linear(n, m)},
    "activation": {"network": [pn.Linear(4, 3), [lambda x: x * 0.5], pn.Linear(3, 1)]},
    "callback": {"callbacks": [lambda epoch: None]},
}


@pytest.mark.parametrize("options", LOCAL.values(), ids=LOCAL)
def test_functions_without_a_name_are_refused_when_they_are_saved(options):
    model = NetworkRegressor(**{"network": [pn.Linear(4, 1)], **options}, **FAST)
    for one in (model, clone(model).fit(X, Y * 1.0)):
        with pytest.raises(TypeError, match=r"cannot be saved: .* functools\.partial") as caught:
            sio.dumps(one)
        assert len(str(caught.value)) < 300
    other = through_cloudpickle(one)  # as joblib's processes are given it
    np.testing.assert_array_equal(other.predict(X), one.predict(X))
    assert type(other.get_params()["optimizer"]) is type(one.optimizer)


@pytest.mark.parametrize("way", [through_pickle, through_joblib, through_cloudpickle])
def test_functions_of_a_module_are_saved(way):
    model = NetworkRegressor([pn.Linear(4, 1)], optimizer=optim.sgd(own_schedule), loss=DISTANCE, **FAST)
    model.fit(X, Y * 1.0)
    np.testing.assert_array_equal(probabilities(way(model)), probabilities(model))


def averaged():
    return optim.ema(optim.adam(0.01), 0.9)


@pytest.mark.parametrize("way", [through_pickle, through_joblib, through_cloudpickle])
def test_a_network_that_shows_averages_continues_from_what_they_are_of(way):
    model = NetworkClassifier([pn.Linear(4, 3)], optimizer=averaged, **FAST).fit(X, Y)
    other = way(model)
    for m in (model, other):
        m.partial_fit(X, Y)
    np.testing.assert_array_equal(probabilities(other), probabilities(model))


@pytest.mark.skipif(os.environ.get("SCIPY_ARRAY_API") != "1", reason="needs SCIPY_ARRAY_API=1")
def test_fitted_arrays_come_back_where_they_were():
    torch = pytest.importorskip("torch", reason="PyTorch is optional")
    with config_context(array_api_dispatch=True):
        model = MLPClassifier((4,), **FAST).fit(torch.asarray(X), torch.asarray(Y))
        assert odd_parts(model.__getstate__()) == []
        other = through_skops(model)
        assert isinstance(other.classes_, torch.Tensor)
        assert torch.equal(other.predict(torch.asarray(X)), model.predict(torch.asarray(X)))


@pytest.mark.parametrize("y", [Y, Y == 1, (Y == 1) * 2.0, NAMES, LABELS], ids=str)
def test_sklearn_onnx_converts_classifiers(y):
    from skl2onnx.common import shape_calculator as shapes
    from skl2onnx.operator_converters import multilayer_perceptron as converters

    model = MLPClassifier((5,), activation="tanh", **FAST).fit(X.astype(np.float32), y)
    shape = shapes.calculate_linear_classifier_output_shapes
    options = {
        "zipmap": [True, False, "columns"],
        "nocl": [True, False],
        "output_class_labels": [False, True],
    }
    labels, probabilities = converted(
        model, shape, converters.convert_sklearn_mlp_classifier, {"zipmap": False}, options=options
    )
    np.testing.assert_allclose(probabilities, model.predict_proba(X.astype(np.float32)), atol=1e-5)
    np.testing.assert_array_equal(labels, model.predict(X.astype(np.float32)))


def test_sklearn_onnx_converts_regressors():
    from skl2onnx.common import shape_calculator as shapes
    from skl2onnx.operator_converters import multilayer_perceptron as converters

    model = MLPRegressor(hidden_layer_sizes=(5, 3), **FAST).fit(X.astype(np.float32), Y)
    shape = shapes.calculate_linear_regressor_output_shapes
    [values] = converted(model, shape, converters.convert_sklearn_mlp_regressor, {})
    np.testing.assert_allclose(values[:, 0], model.predict(X.astype(np.float32)), atol=1e-5)


def converted(model, shapes, converter, chosen, **options):
    """What an estimator answers as ONNX, converted by what sklearn-onnx has for scikit-learn's."""
    from onnx.reference import ReferenceEvaluator
    from skl2onnx import convert_sklearn, update_registered_converter
    from skl2onnx.common.data_types import FloatTensorType

    kind = type(model)
    update_registered_converter(kind, f"Portnn{kind.__name__}", shapes, converter, **options)
    types = [("x", FloatTensorType([None, 4]))]
    made = convert_sklearn(model, initial_types=types, options={kind: chosen}, target_opset=15)
    return ReferenceEvaluator(made).run(None, {"x": X.astype(np.float32)})


def test_what_scikit_learn_keeps_by_private_names():
    for y, kind in (
        (Y, "multiclass"),
        (Y == 1, "binary"),
        (NAMES, "multiclass"),
        (LABELS, "multilabel-indicator"),
    ):
        model = MLPClassifier((4,), **FAST).fit(X, y)
        assert model._label_binarizer.y_type_ == kind
        np.testing.assert_array_equal(model._label_binarizer.classes_, model.classes_)
        p = model.predict_proba(X)
        expected = p[:, 1:] if kind == "binary" else p
        for checked in (True, False):
            np.testing.assert_array_equal(model._forward_pass_fast(X, check_input=checked), expected)
    values = MLPRegressor("poisson", (4,), **FAST).fit(X, Y)
    np.testing.assert_array_equal(values._forward_pass_fast(X)[:, 0], values.predict(X))
    for name in ("_label_binarizer", "coefs_", "_optimizer"):
        assert not hasattr(MLPClassifier(), name)
