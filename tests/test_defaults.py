"""Defaults that others define: those of the Array API standard, of PyTorch, and of papers."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable
from typing import Any

import array_api_strict
import numpy as np
import pytest

import portnn as pn
from portnn import losses, metrics, nn, ops, optim, serialize
from portnn.optim import schedules
from portnn.train import callbacks

NAMESPACES = {"": (ops, array_api_strict)} | {
    name: (getattr(ops, name), getattr(array_api_strict, name)) for name in ("linalg", "fft")
}
STANDARD = [
    pytest.param(getattr(ours, name), getattr(theirs, name), id=f"{prefix}.{name}".strip("."))
    for prefix, (ours, theirs) in NAMESPACES.items()
    for name in ours.__all__
    if inspect.isfunction(getattr(theirs, name, None))
]
# There the strict namespace asks whether an argument was given at all; the standard says None.
ASKED = {("astype", "device"), ("from_dlpack", "device"), ("from_dlpack", "copy")}


def defaults(function: Callable[..., Any]) -> dict[str, Any]:
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}


@pytest.mark.parametrize(("ours", "theirs"), STANDARD)
def test_the_standard_has_them(ours, theirs):
    """An option with a default on both sides has the same one; array-api-strict follows the standard."""
    wanted = defaults(theirs)
    shared = {name: value for name, value in defaults(ours).items() if name in wanted}
    for name, value in shared.items():
        expected = None if (ours.__name__, name) in ASKED else wanted[name]
        assert value == expected, name
        assert type(value) is type(expected), name


def test_take_along_axis_takes_along_the_last():
    """The shape is such that no other axis will do."""
    x = np.arange(24.0).reshape(2, 3, 4)
    indices = np.asarray([[[3, 0], [1, 1], [2, 3]], [[0, 0], [3, 2], [1, 0]]])
    np.testing.assert_array_equal(ops.take_along_axis(x, indices), np.take_along_axis(x, indices, axis=-1))


# Ours, where PyTorch has it, and the options with the values that PyTorch documents. What is named otherwise
# there stands as (its name, value).
BETAS = ("betas", (0.9, 0.999))
ADAM = {"learning_rate": ("lr", 1e-3), "betas": BETAS, "eps": 1e-8}
CONV = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "bias": True}
POOL = {"padding": 0}
PYTORCH: dict[str, tuple[Callable[..., Any], str, dict[str, Any]]] = {
    "sgd": (
        optim.sgd,
        "optim.SGD",
        {"momentum": 0.0, "dampening": 0.0, "nesterov": False, "weight_decay": 0.0},
    ),
    "adam": (optim.adam, "optim.Adam", {**ADAM, "weight_decay": 0.0, "amsgrad": False}),
    "adamw": (optim.adamw, "optim.AdamW", {**ADAM, "weight_decay": 0.01, "amsgrad": False}),
    "adamax": (optim.adamax, "optim.Adamax", {**ADAM, "learning_rate": ("lr", 2e-3), "weight_decay": 0.0}),
    "nadam": (
        optim.nadam,
        "optim.NAdam",
        {**ADAM, "learning_rate": ("lr", 2e-3), "weight_decay": 0.0, "momentum_decay": 4e-3},
    ),
    "radam": (optim.radam, "optim.RAdam", {**ADAM, "weight_decay": 0.0}),
    "rmsprop": (
        optim.rmsprop,
        "optim.RMSprop",
        {
            "learning_rate": ("lr", 1e-2),
            "alpha": 0.99,
            "eps": 1e-8,
            "weight_decay": 0.0,
            "momentum": 0.0,
            "centered": False,
        },
    ),
    "adagrad": (
        optim.adagrad,
        "optim.Adagrad",
        {
            "learning_rate": ("lr", 1e-2),
            "lr_decay": 0.0,
            "weight_decay": 0.0,
            "initial_accumulator_value": 0.0,
            "eps": 1e-10,
        },
    ),
    "adadelta": (
        optim.adadelta,
        "optim.Adadelta",
        {"learning_rate": ("lr", 1.0), "rho": 0.9, "eps": 1e-6, "weight_decay": 0.0},
    ),
    "scale_by_adam": (optim.scale_by_adam, "optim.Adam", {"betas": BETAS, "eps": 1e-8}),
    "scale_by_adamax": (optim.scale_by_adamax, "optim.Adamax", {"betas": BETAS, "eps": 1e-8}),
    "scale_by_nadam": (
        optim.scale_by_nadam,
        "optim.NAdam",
        {"betas": BETAS, "eps": 1e-8, "momentum_decay": 4e-3},
    ),
    "scale_by_radam": (optim.scale_by_radam, "optim.RAdam", {"betas": BETAS, "eps": 1e-8}),
    "scale_by_rms": (optim.scale_by_rms, "optim.RMSprop", {"alpha": 0.99, "eps": 1e-8, "centered": False}),
    "scale_by_adagrad": (
        optim.scale_by_adagrad,
        "optim.Adagrad",
        {"initial_accumulator_value": 0.0, "eps": 1e-10},
    ),
    "scale_by_adadelta": (optim.scale_by_adadelta, "optim.Adadelta", {"rho": 0.9, "eps": 1e-6}),
    "trace": (optim.trace, "optim.SGD", {"dampening": 0.0, "nesterov": False}),
    "schedules.step": (schedules.step, "optim.lr_scheduler.StepLR", {"factor": ("gamma", 0.1)}),
    "schedules.multi_step": (
        schedules.multi_step,
        "optim.lr_scheduler.MultiStepLR",
        {"factor": ("gamma", 0.1)},
    ),
    "schedules.polynomial": (
        schedules.polynomial,
        "optim.lr_scheduler.PolynomialLR",
        {"exponent": ("power", 1.0)},
    ),
    "schedules.cosine": (
        schedules.cosine,
        "optim.lr_scheduler.CosineAnnealingLR",
        {"end": ("eta_min", 0.0)},
    ),
    "schedules.cosine_restarts": (
        schedules.cosine_restarts,
        "optim.lr_scheduler.CosineAnnealingWarmRestarts",
        {"growth": ("T_mult", 1), "end": ("eta_min", 0.0)},
    ),
    "schedules.warmup": (
        schedules.warmup,
        "optim.lr_scheduler.LinearLR",
        {"start_factor": ("start_factor", 1 / 3)},
    ),
    "schedules.one_cycle": (
        schedules.one_cycle,
        "optim.lr_scheduler.OneCycleLR",
        {
            "rise": ("pct_start", 0.3),
            "anneal": ("anneal_strategy", "cos"),
            "start_divisor": ("div_factor", 25.0),
            "end_divisor": ("final_div_factor", 1e4),
        },
    ),
    "Linear": (nn.Linear, "nn.Linear", {"bias": True}),
    **{name: (getattr(nn, name), f"nn.{name}", CONV) for name in ("Conv1d", "Conv2d")},
    **{
        name: (getattr(nn, name), f"nn.{name}", {**CONV, "output_padding": 0})
        for name in ("ConvTranspose1d", "ConvTranspose2d")
    },
    **{
        name: (getattr(nn, name), f"nn.{name}", {**POOL, "count_include_pad": True})
        for name in ("AvgPool1d", "AvgPool2d")
    },
    **{
        name: (getattr(nn, name), f"nn.{name}", {**POOL, "dilation": 1})
        for name in ("MaxPool1d", "MaxPool2d")
    },
    **{name: (getattr(nn, name), f"nn.{name}", {"p": 0.5}) for name in ("Dropout", "Dropout1d", "Dropout2d")},
    "BatchNorm": (
        nn.BatchNorm,
        "nn.BatchNorm1d",
        {"eps": 1e-5, "momentum": 0.1, "affine": True, "track": ("track_running_stats", True)},
    ),
    "GroupNorm": (nn.GroupNorm, "nn.GroupNorm", {"eps": 1e-5, "affine": True}),
    "InstanceNorm": (nn.InstanceNorm, "nn.InstanceNorm2d", {"eps": 1e-5, "affine": False}),
    "LayerNorm": (
        nn.LayerNorm,
        "nn.LayerNorm",
        {"eps": 1e-5, "affine": ("elementwise_affine", True), "bias": True},
    ),
    "PReLU": (nn.PReLU, "nn.PReLU", {"features": ("num_parameters", 1)}),
    "TransformerEncoderLayer": (
        nn.TransformerEncoderLayer,
        "nn.TransformerEncoderLayer",
        {"eps": ("layer_norm_eps", 1e-5), "bias": True},
    ),
    "TransformerDecoderLayer": (
        nn.TransformerDecoderLayer,
        "nn.TransformerDecoderLayer",
        {"eps": ("layer_norm_eps", 1e-5), "bias": True},
    ),
    "celu": (nn.celu, "nn.functional.celu", {"alpha": 1.0}),
    "elu": (nn.elu, "nn.functional.elu", {"alpha": 1.0}),
    "glu": (nn.glu, "nn.functional.glu", {"axis": ("dim", -1)}),
    "leaky_relu": (nn.leaky_relu, "nn.functional.leaky_relu", {"negative_slope": 0.01}),
    "batch_norm": (ops.batch_norm, "nn.functional.batch_norm", {"eps": 1e-5}),
    "group_norm": (ops.group_norm, "nn.functional.group_norm", {"eps": 1e-5}),
    "layer_norm": (ops.layer_norm, "nn.functional.layer_norm", {"eps": 1e-5}),
}


@pytest.mark.parametrize("name", PYTORCH)
def test_pytorch_has_them(name):
    ours, _, rows = PYTORCH[name]
    words, found = {"cos": "cosine"}, defaults(ours)
    for option, row in rows.items():
        _, expected = row if isinstance(row, tuple) else (option, row)
        assert found[option] == words.get(expected, expected), option


@pytest.mark.parametrize("name", PYTORCH)
def test_the_table_says_what_pytorch_has(name):
    torch = pytest.importorskip("torch", reason="torch is not installed: the table stands alone")
    _, path, rows = PYTORCH[name]
    found = defaults(operator.attrgetter(path)(torch))
    for option, row in rows.items():
        there, expected = row if isinstance(row, tuple) else (option, row)
        assert found[there] == expected, option


PAPERS = {
    "focal: Lin et al. 2017, section 4.1": (losses.focal, "gamma", 2.0),
    "sigmoid_focal: the same": (losses.sigmoid_focal, "gamma", 2.0),
    "lion: Chen et al. 2023, algorithm 2": (optim.lion, "betas", (0.9, 0.99)),
    "scale_by_lion: the same": (optim.scale_by_lion, "betas", (0.9, 0.99)),
    "rotary: Su et al. 2021, section 3.2.2": (ops.rotary, "base", 10_000.0),
    "positions: Vaswani et al. 2017, section 3.5": (nn.SinusoidalPositions, "base", 10_000.0),
    "Rescale: pixels to [0, 1]": (nn.Rescale, "scale", 1 / 255),
    "Rescale: no shift": (nn.Rescale, "offset", 0.0),
    "loss scale: Micikevicius et al. 2018, section 3.2": (
        optim.dynamic_loss_scale,
        "interval",
        2000,
    ),
    "huber: the change at 1, as torch.nn.HuberLoss": (losses.huber, "delta", 1.0),
    "multiclass_hinge: Crammer and Singer 2001": (losses.multiclass_hinge, "margin", 1.0),
    **{
        f"{loss.__name__}: the labels themselves": (loss, "label_smoothing", 0.0)
        for loss in (losses.softmax_cross_entropy, losses.sigmoid_cross_entropy)
    },
}


@pytest.mark.parametrize("name", PAPERS)
def test_papers_have_them(name):
    ours, option, expected = PAPERS[name]
    assert defaults(ours)[option] == expected


# Options that neither the standard nor PyTorch nor a paper decides, or that stand under other names there.
STACK = {"num_layers": 1, "bidirectional": False, "dropout": 0.0, "bias": True}
TRANSFORMER = {"dropout": 0.0, "norm_first": True, "rotary": False}
TRANSPOSED = {"stride": 1, "padding": 0, "output_padding": 0, "dilation": 1, "groups": 1}
CONVOLUTION = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
OURS: dict[str, dict[str, Any]] = {
    "losses.Task": {"start": 1},
    "losses.poisson_nll": {"log_input": True},
    "metrics.accuracy": {"normalize": True},
    "metrics.top_k_accuracy": {"k": 2, "normalize": True},
    "nn.Concatenate": {"axis": 1, "paired": False},
    **{f"nn.{name}": STACK for name in ("RNN", "LSTM", "GRU")},
    "nn.MultiHeadAttention": {"dropout": 0.0, "bias": True, "rotary": False},
    "nn.Parallel": {"paired": False},
    "nn.RMSNorm": {"affine": True},
    "nn.Shared": {"transposed": False},
    "nn.Sum": {"paired": False},
    "nn.TransformerDecoderLayer": TRANSFORMER,
    "nn.TransformerEncoderLayer": TRANSFORMER,
    "nn.Upsample": {"align_corners": False},
    "nn.gelu": {"approximate": False},
    **{f"nn.{name}": {"axis": -1} for name in ("log_softmax", "softmax", "softmin")},
    "nn.outline": {"limit": float("inf")},
    **{f"nn.init.{name}": {"mean": 0.0} for name in ("Normal", "normal")},
    **{f"nn.init.{name}": {"gain": 1.0} for name in ("Orthogonal", "orthogonal")},
    **{
        f"nn.init.{name}": {"mean": 0.0, "lower": -2.0, "upper": 2.0}
        for name in ("TruncatedNormal", "truncated_normal")
    },
    "optim.dynamic_loss_scale": {"initial": 32768.0},
    "optim.ema": {"decay": 0.999},
    "optim.lion": {"learning_rate": 1e-4, "weight_decay": 0.0},
    "optim.scale_by_adam": {"amsgrad": False, "eps_first": False},
    "optim.schedules.polynomial": {"end": 0.0},
    "train.callbacks.CSVLogger": {"append": False},
    "train.callbacks.Checkpoint": {"every_epochs": 1, "keep": 2},
    "train.callbacks.EarlyStopping": {"patience": 5, "min_delta": 0.0, "restore_best": True},
    "train.callbacks.ModelCheckpoint": {"save_best_only": False, "every": 1},
    "train.callbacks.ReduceLROnPlateau": {
        "factor": 0.1, "patience": 10, "min_delta": 1e-4, "cooldown": 0, "min_scale": 0.0,
    },
    "serialize.read_checked": {"keep": True},
    "ops.attention_weights": {"causal": False},
    "ops.scaled_dot_product_attention": {"causal": False},
    **{f"ops.avg_pool{n}d": {"padding": 0, "count_include_pad": True} for n in (1, 2)},
    **{f"ops.max_pool{n}d": {"padding": 0, "dilation": 1} for n in (1, 2)},
    **{f"ops.conv{n}d": CONVOLUTION for n in (1, 2)},
    **{f"ops.conv_transpose{n}d": TRANSPOSED for n in (1, 2)},
    "ops.logsumexp": {"keepdims": False},
    "ops.softmax_cross_entropy": {"mean": False},
    "ops.upsample": {"align_corners": False},
    "Network": {"seed": 0},
    "Primitive": {"constant": False},
    "export_onnx": {"softmax": False},
    "grad": {"argnums": 0, "has_aux": False},
    "value_and_grad": {"argnums": 0, "has_aux": False},
    "jit": {"cache_size": 32, "torch_compile": False},
    "lockstep": {"backends": ("cpu", "gpu")},
}  # fmt: skip


def numbers(function: Callable[..., Any]) -> dict[str, Any]:
    """The defaults that are numbers, flags or tuples with something in them."""
    return {
        k: v
        for k, v in defaults(function).items()
        if isinstance(v, bool | int | float) or (v and type(v) is tuple)
    }


@pytest.mark.parametrize("name", OURS)
def test_ours(name):
    found = numbers(operator.attrgetter(name)(pn))
    for option, expected in OURS[name].items():
        assert found[option] == expected, option
        assert type(found[option]) is type(expected), option


def test_every_default_stands_in_a_table():
    """Of what is public; a new option without a row fails."""
    rows = {(function, option) for function, _, options in PYTORCH.values() for option in options}
    rows |= {(function, option) for function, option, _ in PAPERS.values()}
    rows |= {(p.values[0], option) for p in STANDARD for option in defaults(p.values[1])}
    rows |= {(operator.attrgetter(name)(pn), option) for name, options in OURS.items() for option in options}
    modules = (
        losses,
        metrics,
        nn,
        nn.init,
        optim,
        schedules,
        callbacks,
        serialize,
        ops,
        ops.linalg,
        ops.fft,
        pn,
    )
    for module in modules:
        for name in module.__all__:
            public = getattr(module, name)
            is_error = inspect.isclass(public) and issubclass(public, Exception)
            if inspect.isfunction(public) or (inspect.isclass(public) and not is_error):
                missing = {(public, option) for option in numbers(public)} - rows
                assert not missing, f"{module.__name__}.{name}"
