"""What a user may get wrong, in one table: the message is read, and nothing has changed."""

# ruff: noqa: E501  # one row a line, so that it reads as a table

from __future__ import annotations

import copy
import warnings
from functools import partial

import array_api_strict
import numpy as np
import pytest

import portnn as pn
from portnn import losses, metrics, optim, tree
from portnn.backend import BackendUnavailableError, get_backend
from portnn.data import load_mnist
from portnn.losses import Loss, Task

X = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
Y = np.arange(8) % 3
NAN = np.where(np.arange(32).reshape(8, 4) == 13, np.nan, X).astype(np.float32)
ONE_HOT = np.eye(3, dtype=np.float32)[Y]
STRICT = array_api_strict.asarray(X)


def classes(**options):
    return pn.Network([pn.Linear(4, 5), pn.relu, pn.Linear(5, 3)], **options)


@pytest.fixture(scope="module")
def nets():
    """A trained network of each task, with the state of an optimiser."""
    made = {
        "classes": classes(),
        "labels": pn.Network([pn.Linear(4, 2)], loss=losses.sigmoid_cross_entropy),
        "values": pn.Network([pn.Linear(4, 2)], loss=losses.squared_error),
    }
    made["classes"].partial_fit(X, Y, optimizer=optim.adam(0.01))
    made["labels"].partial_fit(X, X[:, :2] > 0)
    made["values"].partial_fit(X, X[:, :2])
    return made


def state(nets):
    """All that could change: parameters, counters, optimisers, data, and what is global."""
    bits = {
        name: (
            net.params,
            net.state,
            net.epochs,
            net.steps,
            net.net_state.opt_state,
            net.sample_shape,
            net.backend,
        )
        for name, net in nets.items()
    }
    legacy = np.random.get_state()[1].tolist()  # noqa: NPY002  # NumPy's global stream must not move
    return copy.deepcopy(bits), legacy, dict(np.geterr()), list(warnings.filters), X.sum()


def equal(a, b):
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    return a == b


def fit(*args, on="classes", **options):
    return lambda nets: nets[on].fit(*args, **{"epochs": 1, **options})


def predict(x, on="classes", how="predict"):
    return lambda nets: getattr(nets[on], how)(x)


def make(*args, **options):
    return lambda _: pn.Network(*(args or ([pn.Linear(4, 3)],)), **options)


def call(f, *args, **options):
    return lambda _: f(*args, **options)


ROWS = {
    # Backends
    "backend: unknown": (call(get_backend, "tensorflow"), ValueError, "unknown backend 'tensorflow': expected"),
    "backend: empty": (call(get_backend, ""), ValueError, "unknown backend ''"),
    "backend: sentence": (call(get_backend, "x y " * 99), ValueError, "unknown backend 'x y"),
    "backend: type": (call(get_backend, 3), TypeError, "backend must be a name such as 'cpu' or a Backend, got int"),
    "backend: device": (call(get_backend, "array_api_strict:9"), (ValueError, BackendUnavailableError), "9"),
    "backend: numpy has none": (call(get_backend, "cpu:1"), (ValueError, BackendUnavailableError), "1"),
    "backend: of a network": (make(backend="nope"), ValueError, "unknown backend 'nope'"),
    "backend: dtype": (
        make(backend="array_api_strict:no_float64", dtype="float64"), ValueError, "has no dtype 'float64'"),
    "backend: ragged": (call(get_backend("cpu").asarray, [[1], [1, 2]]), ValueError, "not a rectangular array"),
    "backend: text": (call(get_backend("cpu").asarray, ["a"]), TypeError, "must hold booleans or numbers"),
    "to: unknown": (lambda nets: nets["classes"].to("nope"), ValueError, "unknown backend 'nope'"),
    # A network's own arguments
    "network: class": (make([pn.Linear]), TypeError, r"got the class Linear; write Linear\(...\)"),
    "network: text": (make(["relu"]), TypeError, "a layer or an activation function .* got str; write portnn.relu"),
    "network: empty": (make([]), ValueError, "at least one layer"),
    "network: function": (make(pn.relu), TypeError, r"expected a list of layers, .* write \[layer, ...\]"),
    "network: size": (lambda _: pn.Linear(0, 3), ValueError, "in_features must be at least 1, got 0"),
    "network: widths": (call(pn.MLP, 5), TypeError, r"MLP: expected a list of widths, got int"),
    "network: parameters": (
        call(pn.Linear(4, 3).apply, {"w": X}, X), ValueError, r"Linear: expected parameters named weight, bias"),
    "network: parameters of less": (
        call(pn.MLP([4, 3, 2]).apply, ({},), X), ValueError, "Sequential: expected parameters for 3 layers, .* got 1"),
    "network: loss text": (make(loss="mse"), TypeError, "got 'mse'; write portnn.losses.squared_error"),
    "network: loss function": (make(loss=np.mean), TypeError, "task of mean is not known"),
    "network: dtype": (make(dtype="int8"), ValueError, "dtype must be 'float32' or 'float64', got 'int8'"),
    "network: seed": (make(seed=-1), ValueError, "non-negative integers"),
    "network: seed type": (make(seed=0.5), TypeError, "expected integers for seed and path, got float"),
    # fit: options
    "fit: epochs": (fit(X, Y, epochs=0), ValueError, "fit: epochs must be at least 1, got 0"),
    "fit: epochs type": (fit(X, Y, epochs=1.5), TypeError, "fit: epochs must be an integer, got float"),
    "fit: batch": (fit(X, Y, batch_size=0), ValueError, "fit: batch_size must be at least 1, got 0"),
    "fit: batch bool": (fit(X, Y, batch_size=True), TypeError, "batch_size must be an integer, got bool"),
    "fit: a column of labels": (fit(X, Y[:, None]), ValueError, r"y: expected labels of shape \(\d+,\) or .*, got shape \(\d+, 1\); write y\[:, 0\]"),
    "fit: a column of reals": (fit(X, Y[:, None] * 1.0), ValueError, r"got shape \(\d+, 1\); write y\[:, 0\]"),
    "fit: optimiser text": (fit(X, Y, optimizer="adam"), TypeError, "from portnn.optim, .* got str"),
    "fit: optimiser class": (fit(X, Y, optimizer=optim.adam), TypeError, "from portnn.optim, .* got function"),
    "fit: shuffle": (fit(X, Y, shuffle="no"), TypeError, "shuffle must be True or False, got str"),
    "fit: progress": (fit(X, Y, progress=3), TypeError, "progress must be True, False, None or an object with the methods step and epoch, got int"),
    "fit: callbacks": (fit(X, Y, callbacks=print), TypeError, r"must be a list of callbacks or functions .* write \[callback\]"),
    "fit: a callback": (fit(X, Y, callbacks=[3]), TypeError, "list of callbacks or functions of an Epoch, got int"),
    "fit: validation": (fit(X, Y, validation_data=X), TypeError, r"must be a pair \(x, y\) or .*, got ndarray"),
    "fit: validation of 4": (fit(X, Y, validation_data=(X, Y, Y, Y)), TypeError, r"weight\), got 4 values"),
    "fit: validation inputs": (
        fit(X, Y, validation_data=(X[:, :2], Y)), ValueError, r"^validation_data: Linear: .* got \(1, 2\)"),
    "fit: validation labels": (
        fit(X, Y, validation_data=(X, Y + 9)), ValueError, "^validation_data: y: sample 0 has the label 9"),
    # fit: data
    "x: none": (fit(None, Y), TypeError, "x: .* got NoneType"),
    "x: text": (fit([["a"] * 4] * 8, Y), TypeError, "x: .* booleans or numbers"),
    "x: number": (fit(1.0, Y), ValueError, "x: expected an array with a batch axis, got a single number"),
    "x: empty": (fit(X[:0], Y[:0]), ValueError, r"x: .* at least one sample, got an empty array .*\(0, 4\)"),
    "x: width": (fit(X[:, :3], Y), ValueError, r"Linear: expected .* \(..., 4\), got \(1, 3\)"),
    "x: image": (fit(np.zeros((8, 2, 2)), Y), ValueError, r"put portnn.Flatten\(\) in front"),
    "x: bytes": (fit(X.astype(np.uint8), Y), TypeError, r"got uint8; put portnn.Rescale\(\) in front"),
    "x: bool": (fit(X > 0, Y), TypeError, "x: expected real numbers, got dtype bool"),
    "x: complex": (fit(X + 1j, Y), TypeError, "x: expected real numbers, got dtype complex"),
    "x: NaN": (fit(NAN, Y), ValueError, "x: sample 3 has NaN or infinite values; remove or replace"),
    "x: one sample": (predict(X[0]), ValueError, r"x: expected shape \(n, 4\), .* write x\[None\]"),
    "x: too large": (fit(X.astype("float64") + 1e300, Y), ValueError, "x: has values beyond 3.4e[+]38, too large for the network's dtype"),
    "y: too large": (
        fit(X, X[:, :2].astype("float64") + 1e300, on="values"), ValueError, "y: has values beyond 3.4e[+]38, too large"),
    "x: ragged": (fit([[1.0] * 4, [1.0]], Y), ValueError, "x: .* not a rectangular array"),
    "y: number": (fit(X, Y[:-1]), ValueError, "y: expected as many targets as samples in x, 8, got 7"),
    "y: label": (fit(X, Y + 1), ValueError, "y: sample 2 has the label 3, but the network has 3 classes, 0 to 2"),
    "y: negative": (fit(X, Y - 1), ValueError, "y: sample 0 has the label -1"),
    "y: huge": (fit(X, Y.astype(np.uint64) + 2**63), ValueError, "y: sample 0 has the label"),
    "y: floating": (fit(X, Y.astype(float)), TypeError, "y: expected integer labels or one-hot rows, .* float64"),
    "y: one-hot sum": (fit(X, ONE_HOT * 0.5), ValueError, "rows that sum to 1; for several labels use sigmoid"),
    "y: one-hot range": (fit(X, ONE_HOT * 2), ValueError, "y: expected targets between 0 and 1"),
    "y: numbers": (fit(X, X[:, 0] * 9 + 2.0, on="labels"), ValueError, "loss=portnn.losses.squared_error"),
    "y: text": (fit(X, ["a"] * 8), TypeError, "^y: must hold .* number the classes 0, 1"),
    "y: one class": (
        lambda _: pn.Network([pn.Linear(4, 1)]).fit(X, Y), ValueError, "one class; .*sigmoid_cross_entropy"),
    "summary: number": (
        lambda nets: nets["classes"].summary(4), TypeError, r"input_shape must be a tuple, got int; write \(4,\)"),
    "save: onto a folder": (
        lambda nets: nets["classes"].save("."), IsADirectoryError, "cannot save .: it is a folder; name a file"),
    "y: one-hot width": (fit(X, np.eye(4)[Y]), ValueError, r"\(1, 4\).*\(1, 3\)"),
    "y: NaN": (fit(X, NAN[:, :2], on="values"), ValueError, "y: sample 3 has NaN"),
    "y: shape": (fit(X, X, on="values"), ValueError, r"\(1, 4\).*\(1, 2\); .* reshape one of them"),
    "y: labels": (fit(X, X[:, :2] * 9, on="labels"), ValueError, "between 0 and 1 for a loss for labels"),
    "y: complex": (fit(X, X[:, :2] + 1j, on="values"), TypeError, "y: expected real numbers, got dtype complex"),
    "weight: shape": (fit(X, Y, sample_weight=X[0]), ValueError, r"sample_weight: expected shape \(8,\), .* \(4,\)"),
    "weight: negative": (fit(X, Y, sample_weight=Y - 1.0), ValueError, "sample_weight: .* not negative"),
    "weight: zero": (fit(X, Y, sample_weight=Y * 0.0), ValueError, "at least one above zero"),
    "weight: NaN": (fit(X, Y, sample_weight=NAN[:, 1]), ValueError, "sample_weight: sample 3 has NaN"),
    # The rest of a network
    "predict: width": (predict(X.T), ValueError, r"Linear: expected an input of shape \(..., 4\), got \(4, 8\)"),
    "predict: NaN": (predict(NAN, how="predict_proba"), ValueError, "x: sample 3 has NaN"),
    "predict: empty": (predict([]), ValueError, "x: expected at least one sample"),
    "proba: values": (predict(X, on="values", how="predict_proba"), TypeError, "no probabilities; use predict"),
    "score: labels": (lambda nets: nets["classes"].score(X, Y + 1), ValueError, "sample 2 has the label 3"),
    "evaluate: number": (lambda nets: nets["classes"].evaluate(X, Y[:3]), ValueError, "as many targets"),
    "partial_fit: optimiser": (
        lambda nets: nets["classes"].partial_fit(X, Y, optimizer=0.1), TypeError, "from portnn.optim, .* float"),
    "summary: shape": (lambda nets: nets["classes"].summary((3,)), ValueError, r"\(..., 4\), got \(1, 3\)"),
    "save: folder": (lambda nets: nets["classes"].save("/nowhere/at/all"), FileNotFoundError, "make it first"),
    "load: file": (call(pn.Network.load, "/nowhere/at/all"), FileNotFoundError, "cannot load .*: no such file"),
    # Losses, metrics and optimisers
    "loss: shapes": (call(losses.squared_error, X, X[:3]), ValueError, r"\(3, 4\).*\(8, 4\)"),
    "loss: libraries": (call(losses.squared_error, X, STRICT), TypeError, "arrays of different libraries: numpy and"),
    "loss: reduction": (call(losses.huber, X, X, reduction="max"), ValueError, "'mean', 'sum' or 'none', got 'max'"),
    "loss: labels": (call(losses.softmax_cross_entropy, X, Y + 0.0), TypeError, "class labels .* losses.squared_error$"),
    "loss: empty": (call(losses.squared_error, X[:0], X[:0]), ValueError, "mean of no samples"),
    "loss: smoothing": (
        call(losses.softmax_cross_entropy, X, Y, label_smoothing=1.5), ValueError, "label_smoothing must be"),
    "loss: task": (call(Loss, np.mean, task="values"), TypeError, "task must be Task.CLASSES"),
    "loss: partial": (make(loss=partial(np.mean)), TypeError, "task of mean is not known"),
    "loss: link": (call(Loss, np.mean, task=Task.VALUES, link=3), TypeError, "link must be callable, got int"),
    "metric: empty": (call(metrics.accuracy, Y[:0], Y[:0]), ValueError, "y_true is empty .* at least one sample"),
    "metric: shapes": (call(metrics.r2, X[:, 0], X[:3, 0]), ValueError, "y_true has 8, y_pred has 3"),
    "optim: rate": (call(optim.adam, 0.0), ValueError, "learning_rate must be finite and > 0, got 0.0"),
    "optim: momentum": (call(optim.sgd, 0.1, momentum=1.0), ValueError, r"momentum must be in \[0, 1\)"),
    "optim: trees": (
        lambda _: optim.sgd(0.1).update({"a": X}, optim.sgd(0.1).init({"b": X}), {"b": X}), ValueError, "keys"),
    "optim: infinite": (
        lambda _: optim.clip_by_global_norm(1.0).update([X * np.inf], (), [X]), pn.NonFiniteGradientError, r"grads\[0\]: expected finite numbers"),
    # Data
    "data: nothing": (call(load_mnist, "/nowhere/at/all"), FileNotFoundError, "/nowhere/at/all"),
    "data: split": (call(load_mnist, ".", "valid"), ValueError, "split .*'valid'"),
    # Derivatives
    "grad: integers": (lambda _: pn.grad(pn.ops.sum)(Y), TypeError, "argument 0: .* got dtype int64"),
    "grad: no scalar": (lambda _: pn.grad(pn.ops.exp)(X), ValueError, r"scalar \(shape \(\)\), got shape \(8, 4\)"),
    "grad: a number": (lambda _: pn.grad(float)(X[0, 0]), TypeError, r"float\(x\), .* would drop the derivative"),
    "grad: a method": (
        lambda _: pn.grad(lambda x: x.sum())(X), AttributeError, r"attribute 'sum'; .* portnn.ops.sum\(x\)"),
    "grad: values only": (
        lambda _: pn.grad(lambda x: pn.ops.sum(pn.ops.linalg.qr(x)[0]))(X), pn.DifferentiationError, "qr has no"),
    "tree: different": (call(tree.map, max, [X], [[X]]), ValueError, "trees differ at 0"),
}  # fmt: skip


def test_there_are_rows_enough():
    assert len(ROWS) >= 40


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")  # inf * 0 in one of the rows
@pytest.mark.parametrize(("wrong", "kind", "text"), ROWS.values(), ids=ROWS.keys())
def test_the_message_helps_and_nothing_changes(wrong, kind, text, nets):
    before = state(nets)
    with pytest.raises(kind, match=text) as caught:
        wrong(nets)
    assert len(str(caught.value)) < 300
    assert "array(" not in str(caught.value)
    assert equal(state(nets), before)


def test_a_dtype_of_another_library_is_refused():
    torch = pytest.importorskip("torch", reason="PyTorch is optional; tests(torch) has it")
    with pytest.raises(TypeError, match=r"astype: torch\.float32 is no dtype of the library of x; name it"):
        pn.ops.astype(np.ones(2), torch.float32)
