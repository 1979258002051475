"""Defaults under PyTorch's names: those that differ are the ones that the page about PyTorch lists."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import numpy as np
import pytest

from portnn import losses, nn, ops, optim

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
    torch = pytest.importorskip("torch", reason="PyTorch is optional")
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


def causal_by_default():
    """The layers that hide what comes later unless they are told otherwise."""
    found = set()
    for name in nn.__all__:
        option = inspect.signature(getattr(getattr(nn, name), "forward", len)).parameters.get("causal")
        if option is not None and option.default is not False:
            found.add(name)
    return found


def test_what_is_causal_by_default_is_on_the_page():
    text = PAGE.read_text("utf-8")
    assert causal_by_default() == {"TransformerDecoderLayer"}
    assert "`TransformerDecoderLayer` has `causal=True`" in text


def test_decoders_and_masks_are_as_the_page_says():
    torch = pytest.importorskip("torch", reason="PyTorch is optional")
    layer = nn.TransformerDecoderLayer(8, 2, 12, norm_first=False)
    theirs = torch.nn.TransformerDecoderLayer(8, 2, 12, dropout=0.0, batch_first=True, dtype=torch.float64)
    params, state = nn.from_torch(layer, theirs.state_dict())
    x, memory = (np.random.default_rng(i).normal(size=(2, n, 8)) for i, n in enumerate((3, 5)))
    keep = np.asarray([[True] * 5, [True, True, False, True, False]])
    given = [torch.asarray(a) for a in (x, memory)]

    def here(**options):
        return layer.forward(params, state, x, memory, training=False, key=None, **options)[0]

    with torch.no_grad():
        hidden = theirs(*given, tgt_mask=torch.ones((3, 3), dtype=torch.bool).triu(1))
        np.testing.assert_allclose(here(), hidden, rtol=1e-9)
        np.testing.assert_allclose(here(causal=False), theirs(*given), rtol=1e-9)
        without = theirs(*given, memory_key_padding_mask=torch.asarray(~keep))
        np.testing.assert_allclose(here(causal=False, memory_mask=keep), without, rtol=1e-9)


def test_defaults_of_the_standard_are_as_the_page_says():
    torch = pytest.importorskip("torch", reason="PyTorch is optional")
    x = np.asarray([1.0, 2.0, 4.0])
    for name in ("var", "std"):
        mine, other = getattr(ops, name), getattr(torch, name)
        np.testing.assert_allclose(mine(x, correction=1), other(torch.asarray(x)), rtol=1e-12)
        assert mine(x) < mine(x, correction=1)
    ours = ops.meshgrid(x, x[:2], indexing="ij")
    for a, b in zip(ours, torch.meshgrid(torch.asarray(x), torch.asarray(x[:2]), indexing="ij"), strict=True):
        np.testing.assert_array_equal(a, b)
    assert ops.meshgrid(x, x[:2])[0].shape == (2, 3)
    np.testing.assert_array_equal(ops.repeat(x, 2), torch.repeat_interleave(torch.asarray(x), 2))
