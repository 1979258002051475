"""Names and arguments that are not there lead to those that were meant."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import import_module
from operator import attrgetter

import pytest

import portnn as pn
from portnn import _suggest, optim

MEANT = {
    "portnn": {
        "ReLU": "portnn.relu", "Relu": "portnn.relu", "LeakyReLU": "portnn.leaky_relu",
        "Dense": "portnn.Linear",
        "Adam": "portnn.optim.adam", "sgd": "portnn.optim.sgd", "mse": "portnn.losses.squared_error",
        "CrossEntropyLoss": "portnn.losses.softmax_cross_entropy", "BatchNorm1d": "portnn.BatchNorm",
        "EarlyStoping": "portnn.train.callbacks.EarlyStopping", "Sequental": "portnn.Sequential",
        "Model": "portnn.Network", "Module": "portnn.Layer", "exp": "portnn.ops.exp",
        "sine": "portnn.ops.sin",
        "DataLoader": "portnn.train.batches", "MLPClassifier": "portnn.estimators.MLPClassifier",
    },
    "portnn.nn": {
        "Dense": "portnn.nn.Linear", "Conv2D": "portnn.nn.Conv2d", "MaxPooling2D": "portnn.nn.MaxPool2d",
        "Linearr": "portnn.nn.Linear", "ReLU": "portnn.nn.relu", "BatchNormalization": "portnn.nn.BatchNorm",
    },
    "portnn.nn.init": {"HeNormal": "portnn.nn.init.he_normal"},
    "portnn.optim": {
        "Adam": "portnn.optim.adam", "SGD": "portnn.optim.sgd", "RMSProp": "portnn.optim.rmsprop",
        "clip_grad_norm_": "portnn.optim.clip_by_global_norm",
        "CosineAnnealingLR": "portnn.optim.schedules.cosine",
    },
    "portnn.optim.schedules": {"StepLR": "portnn.optim.schedules.step"},
    "portnn.losses": {
        "mse": "portnn.losses.squared_error", "MSELoss": "portnn.losses.squared_error",
        "cross_entropy": "portnn.losses.softmax_cross_entropy",
        "BCEWithLogitsLoss": "portnn.losses.sigmoid_cross_entropy",
        "mean_squared_error": "portnn.losses.squared_error",
    },
    "portnn.metrics": {"f1_score": "portnn.metrics.f1", "accuracyy": "portnn.metrics.accuracy"},
    "portnn.data": {"load_mnits": "portnn.data.load_mnist"},
    "portnn.ops": {"arccos": "portnn.ops.acos", "matmull": "portnn.ops.matmul"},
    "portnn.random": {"unniform": "portnn.random.uniform"},
}  # fmt: skip


@pytest.mark.parametrize(("package", "name"), [(p, name) for p, names in MEANT.items() for name in names])
def test_a_name_that_is_not_there_leads_to_the_one_that_is(package, name):
    with pytest.raises(AttributeError) as caught:
        getattr(import_module(package), name)
    meant = MEANT[package][name]
    assert str(caught.value) == f"module {package!r} has no attribute {name!r}; did you mean {meant}?"
    assert reached(meant) is not None


@pytest.mark.parametrize("package", MEANT)
def test_nothing_is_guessed_without_a_reason(package):
    with pytest.raises(AttributeError) as caught:
        attrgetter("zzyzx")(import_module(package))
    assert str(caught.value) == f"module {package!r} has no attribute 'zzyzx'"
    assert not hasattr(import_module(package), "__no_such_name__")


def test_the_names_of_other_libraries_lead_somewhere():
    for home in _suggest._ELSEWHERE:
        assert reached(f"portnn.{home}") is not None
    assert len(_suggest._OWN) == sum(len(others.split()) for others in _suggest._ELSEWHERE.values())


def reached(path):
    """What a dotted path leads to."""
    found = pn
    for name in path.split(".")[1:]:
        found = getattr(found, name, None) or import_module(f"{found.__name__}.{name}")
    return found


def test_python_adds_no_guess_of_its_own():
    code = "import portnn; portnn.Relu"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False).stderr
    assert told.endswith("module 'portnn' has no attribute 'Relu'; did you mean portnn.relu?\n")


ARGUMENTS = {
    "lr": (lambda: optim.adam(lr=0.1), "adam: unexpected argument 'lr'; did you mean learning_rate?"),
    "lr of sgd": (lambda: optim.sgd(lr=0.1), "sgd: unexpected argument 'lr'; did you mean learning_rate?"),
    "beta1": (lambda: optim.adam(0.1, beta1=0.9), "adam: unexpected argument 'beta1'; did you mean betas?"),
    "a typing error": (
        lambda: optim.sgd(0.1, momentun=0.9),
        "sgd: unexpected argument 'momentun'; did you mean momentum?",
    ),
    "max_grad_norm": (
        lambda: optim.clip_by_global_norm(max_grad_norm=1.0),
        "clip_by_global_norm: unexpected argument 'max_grad_norm'; did you mean max_norm?",
    ),
    "weight_decay": (
        lambda: optim.add_decayed_weights(wd=1.0),
        "add_decayed_weights: unexpected argument 'wd'; did you mean weight_decay?",
    ),
    "a schedule": (
        lambda: optim.schedules.cosine(0.1, T_max=10),
        "cosine: unexpected argument 'T_max'; did you mean steps?",
    ),
    "max_lr": (
        lambda: optim.schedules.one_cycle(max_lr=0.1, steps=10),
        "one_cycle: unexpected argument 'max_lr'; did you mean max_rate?",
    ),
    "none of them": (
        lambda: optim.ema(optim.sgd(0.1), foo=3),
        "ema: unexpected argument 'foo'; expected optimizer, decay",
    ),
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_an_argument_that_is_not_there_leads_to_the_one_that_is(name):
    call, text = ARGUMENTS[name]
    with pytest.raises(TypeError, match=f"^{re.escape(text)}$"):
        call()


def test_arguments_of_a_training():
    @_suggest.with_known_options
    def fit(x, *, epochs=1, batch_size=32, optimizer=None, validation_data=None, progress=None):
        return x, epochs

    assert fit(1, epochs=3) == (1, 3)
    expected = {
        "epoch": "epochs", "n_epochs": "epochs", "batch": "batch_size", "val_data": "validation_data",
        "verbose": "progress", "lr": "optimizer=portnn.optim.adam(0.001), with a rate of your own",
        "learning_rate": "optimizer=portnn.optim.adam(0.001), with a rate of your own",
    }  # fmt: skip
    for odd, meant in expected.items():
        text = f"fit: unexpected argument {odd!r}; did you mean {meant}?"
        with pytest.raises(TypeError, match=f"^{re.escape(text)}$"):
            fit(1, **{odd: 3})


POSITIONS = {
    "Network: expected one list of layers, got 2 arguments; write Network([first, second])": (
        lambda: pn.Network(pn.Linear(4, 2), pn.relu)
    ),
    "Sequential: expected one list of layers, got 2 arguments; write Sequential([first, second])": (
        lambda: pn.Sequential(pn.Linear(4, 2), pn.relu)
    ),
    "sgd: expected at most 1 argument without its name (learning_rate), got 2; "
    "give the others by name: momentum, dampening, nesterov, weight_decay": lambda: optim.sgd(0.1, 0.9),
    "fit: expected at most 2 arguments without their names (x, y), got 3; "
    "give the others by name: epochs, batch_size": lambda: pn.Network([pn.Linear(4, 2)]).fit([], [], 5),
    "odd: expected at most 0 arguments without their names, got 1": (
        lambda: _suggest.with_known_options(odd)(1)
    ),
}  # fmt: skip


def odd():
    pass


@pytest.mark.parametrize("text", POSITIONS)
def test_too_many_arguments_without_names(text):
    with pytest.raises(TypeError) as caught:  # noqa: PT011  # the text is compared
        POSITIONS[text]()
    assert str(caught.value).startswith(text)
    assert len(str(caught.value)) < 300


def test_any_number_of_arguments_stays_allowed():
    assert _suggest.with_known_options(lambda *args, **options: len(args))(1, 2, 3) == 3
