"""Defaults under PyTorch's names: those that differ are the ones that the page about PyTorch lists."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from portnn import losses, nn, optim

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "from-pytorch.md"
# PyTorch's words for the same thing.
CLASSES = {
    "BatchNorm": "BatchNorm1d", "InstanceNorm": "InstanceNorm1d",
    **dict.fromkeys(("GRU", "LSTM", "RNN"), "RNNBase"),
    "absolute_error": "L1Loss", "kl_divergence": "KLDivLoss", "multiclass_hinge": "MultiMarginLoss",
    "sigmoid_cross_entropy": "BCEWithLogitsLoss", "softmax_cross_entropy": "CrossEntropyLoss",
    "squared_error": "MSELoss",
}  # fmt: skip
OPTIONS = {
    "dim": "axis", "dim_feedforward": "hidden_features", "elementwise_affine": "affine", "init": "slope",
    "kdim": "memory_features", "layer_norm_eps": "eps", "lr": "learning_rate", "norm": "final_norm",
    "num_parameters": "features", "pos_weight": "positive_weights", "track_running_stats": "track",
    "vdim": "memory_features", "weight": "class_weights",
}  # fmt: skip
# How it always is here where PyTorch has an option; a new one of PyTorch's fails the test until it is here.
ALWAYS = {
    **dict.fromkeys(("batch_first", "bias"), True),
    **dict.fromkeys(("class_weights", "divisor_override", "eps", "max_norm", "max_value", "min_value")),
    **dict.fromkeys(("add_bias_kv", "add_zero_attn", "capturable", "ceil_mode"), False),
    **dict.fromkeys(("differentiable", "full", "inplace", "log_target", "maximize", "return_indices"), False),
    **dict.fromkeys(("decoupled_weight_decay", "scale_grad_by_freq", "sparse", "track"), False),
    "beta": 1, "end_dim": -1, "max_val": 1.0, "min_val": -1.0, "momentum": 0.1, "norm_type": 2.0, "p": 1,
    "padding_mode": "zeros", "proj_size": 0, "start_dim": 1, "threshold": 20,
}  # fmt: skip
# Where and how fast; sizes that are given in another way; bounds of what cannot happen here.
ASIDE = {
    "_freeze", "_weight", "device", "dtype", "enable_nested_tensor", "foreach", "fused", "mask_check",
    "recompute_scale_factor", "reduce", "scale_factor", "size", "size_average",
}  # fmt: skip
SAME = [{False, "none"}, {False, None}, {None, 0}]  # spelled in other ways


def theirs(name):
    """The class of PyTorch of a name, or None."""
    torch = pytest.importorskip("torch")
    plain = CLASSES.get(name, name).lower().replace("_", "")
    for place in (torch.nn, torch.optim):
        found = {n.lower(): getattr(place, n) for n in dir(place) if inspect.isclass(getattr(place, n))}
        for ending in ("", "loss"):
            if plain + ending in found:
                return found[plain + ending]
    return None


def options_of(thing):
    """Names and defaults; functions by their names, initializers by what they draw."""
    found = {}
    for name, p in inspect.signature(thing.__init__ if inspect.isclass(thing) else thing).parameters.items():
        value = p.default if p.default is p.empty else getattr(p.default, "__name__", p.default)
        made = getattr(thing, "__dataclass_fields__", {}).get(name)
        if made is not None and callable(made.default_factory):
            value = getattr(made.default_factory(), "value", None)
        found[name] = value
    return found


def differences():
    found = set()
    for name, mine in {n: getattr(m, n) for m in (nn, losses, optim) for n in m.__all__}.items():
        kind = theirs(name) if callable(mine) else None
        if kind is None or mine is nn.prelu:  # whose slopes are an argument
            continue
        here = options_of(mine)
        for option, other in options_of(kind).items():
            own = OPTIONS.get(option, option)
            if other is inspect.Parameter.empty or {option, own} & ASIDE:
                continue
            if own == "eps" and own not in here:  # of variances and rates, whose logarithms are given here
                continue
            value = here[own] if own in here else ALWAYS[own]
            given = value is inspect.Parameter.empty  # it has to be given here, so nothing is silent
            if not given and value != other and {value, other} not in SAME:
                found.add((name, own if own in here else option, repr(value), repr(other)))
    return found


def listed():
    """The rows of the page's table: our names, the option, the default here and there."""
    row = r"^\| (`.*`) \| `(\w+)` \| (?:always )?`(.*)` \| `(.*)` \|$"
    rows = re.findall(row, PAGE.read_text("utf-8"), re.MULTILINE)
    return {(name.strip("` "), *rest) for names, *rest in rows for name in names.split(",")}


def test_the_defaults_that_differ_are_those_on_the_page():
    assert differences() == listed()
    assert len(listed()) > 10


def test_most_classes_are_compared():
    same = [n for m in (nn, losses, optim) for n in m.__all__ if callable(getattr(m, n)) and theirs(n)]
    assert len(same) > 60
