"""Every flag and every word that a public function takes: anything else is refused by its name.

The options come from the signatures, so one that is new is tested, or fails for want of a call.
"""

# ruff: noqa: E501  # calls in a table, one a line

from __future__ import annotations

import importlib
import inspect

import numpy as np
import pytest

import portnn as pn
from portnn import decode, nn, ops, optim
from portnn.train import callbacks

X = np.arange(1.0, 13.0).reshape(3, 4)
Y = np.asarray([0, 1, 2])
HALVES = np.asarray([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.25, 0.25, 0.5]])
SQUARE = np.eye(3) * 2.0 + 0.1
CUBE = np.ones((2, 3, 4))
IMAGES = np.ones((1, 2, 4, 4))
HOST = pn.get_backend("numpy")
MODULES = (
    "portnn", "portnn.ops", "portnn.ops.linalg", "portnn.ops.fft", "portnn.nn", "portnn.losses", "portnn.metrics",
    "portnn.optim", "portnn.optim.schedules", "portnn.random", "portnn.data", "portnn.decode", "portnn.train",
    "portnn.train.callbacks", "portnn.program", "portnn.autodiff", "portnn.testing", "portnn.export",
)  # fmt: skip
NO_FLAG = [1, 0, "no", None, [True], 0.0, np.asarray([True, False])]
NO_WORD = ["asdf", "", 1, True, ["mean"]]


def options_of(thing):
    try:
        parameters = inspect.signature(thing).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p for p in parameters if isinstance(p.default, bool | str) and p.default is not p.empty]


def walk():
    """Each public function, and method of a public class, with the options that are flags or words."""
    found = {}
    for module in MODULES:
        for name in importlib.import_module(module).__all__:
            thing = getattr(importlib.import_module(module), name)
            if not callable(thing) or any(thing is other for other, _ in found.values()):
                continue
            short = name if module == "portnn" else f"{module.removeprefix('portnn.')}.{name}"
            found[short] = (thing, options_of(thing))
    return {name: pair for name, pair in found.items() if pair[1]}


def reduction(name, *args, **more):
    return lambda **o: getattr(ops, name)(X, *args, **more, **o)


def loss(name, *args):
    return lambda **o: getattr(pn.losses, name)(*args, **o)


def metric(name, *args):
    return lambda **o: getattr(pn.metrics, name)(*args, **o)


def generated(function, **more):
    token = ops.asarray(0, like=HOST)
    start = ops.reshape(ops.astype(token, "int64"), (1,))
    step = lambda state, tokens: (ops.zeros((tokens.shape[0], 3), dtype="float32", like=HOST), state)  # noqa: E731
    return lambda **o: function(step, {}, start=start, end=2, max_length=2, **more, **o)


# A call of each that works, to which a wrong option is added. Layers are made, and changed by replace.
CALLS = {
    **{name: reduction(name[4:]) for name in (
        "ops.all", "ops.any", "ops.argmax", "ops.argmin", "ops.argsort", "ops.sort", "ops.count_nonzero", "ops.max",
        "ops.min", "ops.mean", "ops.prod", "ops.std", "ops.sum", "ops.var", "ops.logsumexp")},
    "ops.cumulative_sum": reduction("cumulative_sum", axis=0),
    "ops.cumulative_prod": reduction("cumulative_prod", axis=0),
    "ops.astype": lambda **o: ops.astype(X, "float32", **o),
    "ops.attention_weights": lambda **o: ops.attention_weights(X, X, **o),
    "ops.scaled_dot_product_attention": lambda **o: ops.scaled_dot_product_attention(X, X, X, **o),
    "ops.avg_pool1d": lambda **o: ops.avg_pool1d(CUBE, 2, **o),
    "ops.avg_pool2d": lambda **o: ops.avg_pool2d(IMAGES, 2, **o),
    "ops.linspace": lambda **o: ops.linspace(0.0, 1.0, 3, dtype="float64", like=HOST, **o),
    "ops.meshgrid": lambda **o: ops.meshgrid(X[0], X[1], **o),
    "ops.rnn_step": lambda **o: ops.rnn_step(X[:, :2], X[:, :2], np.ones((2, 2)), **o),
    "ops.searchsorted": lambda **o: ops.searchsorted(X[0], X[0], **o),
    "ops.softmax_cross_entropy": lambda **o: ops.softmax_cross_entropy(HALVES, Y, **o),
    "ops.upsample": lambda **o: ops.upsample(IMAGES, 2, **{"mode": "linear", **o}),
    "ops.linalg.cholesky": lambda **o: ops.linalg.cholesky(SQUARE @ SQUARE.T, **o),
    "ops.linalg.matrix_norm": lambda **o: ops.linalg.matrix_norm(SQUARE, **o),
    "ops.linalg.qr": lambda **o: ops.linalg.qr(SQUARE, **o),
    "ops.linalg.svd": lambda **o: ops.linalg.svd(SQUARE, **o),
    "ops.linalg.vector_norm": lambda **o: ops.linalg.vector_norm(SQUARE, **o),
    **{f"ops.fft.{name}": lambda name=name, **o: getattr(ops.fft, name)(X.astype(complex), **o)
       for name in ("fft", "fftn", "hfft", "ifft", "ifftn", "irfft", "irfftn")},
    **{f"ops.fft.{name}": lambda name=name, **o: getattr(ops.fft, name)(X, **o) for name in ("rfft", "rfftn", "ihfft")},
    "gelu": lambda **o: nn.gelu(X, **o),
    "grad": lambda **o: pn.grad(ops.sum, **o),
    "value_and_grad": lambda **o: pn.value_and_grad(ops.sum, **o),
    "jit": lambda **o: pn.jit(ops.sum, **o),
    "get_backend": lambda **o: pn.get_backend(**o),
    "Primitive": lambda **o: pn.Primitive(ops.sum, **o),
    "Network": lambda **o: pn.Network([nn.Linear(2, 2)], loss=pn.losses.softmax_cross_entropy, **o),
    "nn.outline": lambda **o: nn.outline(nn.Linear(2, 2), **o),
    **{f"losses.{name}": loss(name, X, X) for name in ("absolute_error", "cosine_distance", "huber", "log_cosh",
       "squared_error", "sigmoid_cross_entropy", "poisson_nll", "sigmoid_focal")},
    **{f"losses.{name}": loss(name, HALVES, Y) for name in ("focal", "multiclass_hinge", "softmax_cross_entropy")},
    "losses.sigmoid_cross_entropy": loss("sigmoid_cross_entropy", HALVES, np.round(HALVES)),
    "losses.sigmoid_focal": loss("sigmoid_focal", HALVES, np.round(HALVES)),
    "losses.hinge": loss("hinge", HALVES, np.round(HALVES)),
    "losses.kl_divergence": loss("kl_divergence", HALVES, HALVES),
    "losses.gaussian_nll": loss("gaussian_nll", np.ones((3, 2)), np.ones((3, 1))),
    **{f"metrics.{name}": metric(name, Y, Y) for name in ("accuracy", "f1", "precision", "recall")},
    **{f"metrics.{name}": metric(name, X, X) for name in (
        "mean_absolute_error", "mean_squared_error", "root_mean_squared_error", "r2")},
    "metrics.average_precision": metric("average_precision", np.round(HALVES), HALVES),
    "metrics.top_k_accuracy": metric("top_k_accuracy", Y, HALVES),
    **{f"optim.{name}": lambda name=name, **o: getattr(optim, name)(0.1, **{"momentum": 0.9, **o} if name == "sgd" else o)
       for name in ("adam", "adamw", "rmsprop", "sgd")},
    "optim.scale_by_adam": lambda **o: optim.scale_by_adam(**o),
    "optim.scale_by_rms": lambda **o: optim.scale_by_rms(**o),
    "optim.trace": lambda **o: optim.trace(0.9, **o),
    "optim.schedules.one_cycle": lambda **o: optim.schedules.one_cycle(0.1, 10, **o),
    **{f"random.{name}": lambda name=name, **o: getattr(pn.random, name)(pn.random.key(0, like=HOST), (2,), **o)
       for name in ("normal", "truncated_normal", "uniform")},
    "data.batches_by_length": lambda **o: list(pn.data.batches_by_length([1, 2, 2], 2, **o)),
    "data.center_digit": lambda **o: pn.data.center_digit(np.eye(28), **o),
    "data.load_mnist": lambda **o: pn.data.load_mnist("/nowhere", **o),
    "data.read_image": lambda **o: pn.data.read_image("/nowhere", (28, 28), **o),
    "decode.greedy": generated(decode.greedy),
    "decode.beam_search": generated(decode.beam_search, beam=2),
    "export_onnx": lambda **o: pn.export_onnx(pn.Network([nn.Linear(2, 2)], loss=pn.losses.softmax_cross_entropy), **o),
    "train.batches": lambda **o: list(pn.train.batches((X, Y), 2, **o)),
    "train.callbacks.CSVLogger": lambda **o: callbacks.CSVLogger("log.csv", **o),
    "train.callbacks.EarlyStopping": lambda **o: callbacks.EarlyStopping(**o),
    "train.callbacks.ModelCheckpoint": lambda **o: callbacks.ModelCheckpoint("net", **o),
    "train.callbacks.ReduceLROnPlateau": lambda **o: callbacks.ReduceLROnPlateau(**o),
}  # fmt: skip

FREE = {"monitor", "note", "unit"}  # any text is right where it is given: what it names shows later
# Called by Network alone, which has checked; and results, which nobody makes.
INTERNAL = {
    "train.CheckpointEvent",
    "train.Dataset",
    "train.FitConfig",
    "train.NetState",
    "train.make_gradient",
    "data.Table",
    "program.LineDifference",
    "program.record",
    "optim.Optimizer",
}

MEMBER = nn.Linear(2, 2)
# Layers by their required arguments.
LAYERS = {
    **dict.fromkeys(("GRU", "LSTM", "RNN", "Linear", "GroupNorm"), (2, 2)), **dict.fromkeys(("AvgPool1d", "AvgPool2d"), (2,)),
    **dict.fromkeys(("Conv1d", "Conv2d", "ConvTranspose1d", "ConvTranspose2d"), (2, 2, 2)),
    **dict.fromkeys(("BatchNorm", "InstanceNorm", "LayerNorm", "RMSNorm"), (2,)), "Cast": (MEMBER,), "Rescale": (),
    **dict.fromkeys(("Concatenate", "Parallel", "Sum"), ([MEMBER, MEMBER],)), "Shared": ("tower", MEMBER),
    **dict.fromkeys(("MultiHeadAttention", "TransformerDecoderLayer", "TransformerEncoderLayer"), (4, 2)), "Upsample": (2, "linear"),
}  # fmt: skip
PUBLIC = walk()


def call_of(name):
    if name in CALLS:
        return CALLS[name]
    layer, args = getattr(nn, name), LAYERS[name]
    return lambda **o: layer(**dict(zip(inspect.signature(layer).parameters, args, strict=False)) | o)


CASES = [
    (name, option, wrong)
    for name, (_, options) in PUBLIC.items()
    if name not in INTERNAL
    for option in options
    for wrong in (NO_FLAG if isinstance(option.default, bool) else NO_WORD)
    if not (option.name in FREE and isinstance(wrong, str))
    if not (isinstance(wrong, int) and option.name == "ord")  # a number is an order
]


def test_every_public_function_with_such_an_option_has_a_call():
    assert PUBLIC.keys() - CALLS.keys() - LAYERS.keys() - INTERNAL == set()


@pytest.mark.parametrize(
    ("name", "option", "wrong"),
    CASES,
    ids=[f"{name} {option.name}={wrong!r:.12}" for name, option, wrong in CASES],
)
def test_what_is_neither_a_flag_nor_a_known_word_is_refused(name, option, wrong):
    with pytest.raises((TypeError, ValueError)) as caught:
        call_of(name)(**{option.name: wrong})
    said = str(caught.value)
    assert option.name in said, said
    assert len(said) < 300
