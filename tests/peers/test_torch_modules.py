"""PyTorch's modules: outputs, gradients and running statistics of all samples of its own module database.

`module_db` of `torch.testing._internal` holds how PyTorch's own tests build and call each module. A module
and the layer of portnn are paired by name, and so are their options; an option that the layer lacks makes a
case not applicable, unless it has PyTorch's default. The weights go from one to the other by `from_torch`.
"""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch.testing._internal.common_modules import module_db

import portnn as pn
from portnn import nn, ops
from tests.peers.frame import NOT_APPLICABLE, Outcome, assert_close, judge, require

torch.set_num_threads(1)

SUITE = "PyTorch modules"
RENAMED = {
    "dim": "axis",
    "dim_feedforward": "hidden_features",
    "d_model": "features",
    "elementwise_affine": "affine",
    "embed_dim": "features",
    "embedding_dim": "features",
    "hidden_size": "hidden_features",
    "input_size": "in_features",
    "layer_norm_eps": "eps",
    "nhead": "heads",
    "nonlinearity": "activation",
    "normalized_shape": "shape",
    "num_channels": "features",
    "num_features": "features",
    "num_groups": "groups",
    "num_heads": "heads",
    "num_parameters": "features",
    "track_running_stats": "track",
}
# Options that say how PyTorch stores, computes or starts, and never what a module with given weights gives.
NEUTRAL = {"self", "mode", "device", "dtype", "inplace", "batch_first", "init", "norm_type", "args", "kwargs"}
SEQUENCES = (torch.nn.RNNBase, torch.nn.MultiheadAttention, torch.nn.TransformerEncoder)
SEQUENCES += (torch.nn.TransformerEncoderLayer, torch.nn.TransformerDecoderLayer)
# What a call hands on as arrays, in PyTorch's order; the rest of its arguments are masks.
ARRAYS = ("input", "src", "tgt", "query", "memory", "key", "value", "hx")


def to_numpy(x: Any) -> Any:
    return x.detach().numpy(force=True).copy() if isinstance(x, torch.Tensor) else x


def plain(name: str) -> str:
    return name.replace("_", "").lower()


def counterpart(cls: type) -> Any:
    """The layer or activation of portnn with a module's name; None where there is none."""
    names = {plain(cls.__name__), plain(re.sub(r"\dd$", "", cls.__name__)) if "Norm" in cls.__name__ else ""}
    layers = [getattr(nn, name) for name in nn.__all__ if plain(name) in names]
    return next(iter(sorted(layers, key=inspect.isfunction)), None)


def options(cls: type, given: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options a module is built with, and PyTorch's defaults of all of them."""
    init = torch.nn.RNNBase.__init__ if issubclass(cls, torch.nn.RNNBase) else cls.__init__
    signature = inspect.signature(init)
    before = (None, "") if issubclass(cls, torch.nn.RNNBase) else (None,)
    extra = {name: value for name, value in given.kwargs.items() if name == "nonlinearity"}
    rest = {name: value for name, value in given.kwargs.items() if name not in extra}
    bound = signature.bind(*before, *given.args, **rest)
    bound.apply_defaults()
    defaults = {name: parameter.default for name, parameter in signature.parameters.items()}
    return {n: v for n, v in {**bound.arguments, **extra}.items() if n not in NEUTRAL}, defaults


def build(cls: type, given: Any) -> Any:
    """The layer of portnn for a module of PyTorch."""
    if cls is torch.nn.TransformerEncoder:
        return build_encoder(*given.args, **given.kwargs)
    wanted, defaults = options(cls, given)
    target = counterpart(cls)
    if cls is torch.nn.MultiheadAttention:
        sizes = wanted.pop("kdim"), wanted.pop("vdim")
        require(sizes[0] == sizes[1], "MultiHeadAttention: values and keys of different lengths")
        wanted["memory_features"] = sizes[0]
    if "padding" in wanted and cls.__name__.startswith("ZeroPad"):
        wanted["padding"] = pairs(wanted["padding"], int(cls.__name__[-2]))
    if issubclass(cls, torch.nn.RNNBase):
        wanted["returns"] = "both"
    known = inspect.signature(target).parameters
    if "track_running_stats" in wanted and "track" not in known:
        wanted.pop("momentum")  # of statistics that are not kept
    chosen = {}
    for name, value in wanted.items():
        keyword = RENAMED.get(name, name)
        if keyword in known:
            chosen[keyword] = activation(value) if keyword == "activation" else value
        else:
            require(name in defaults and value == defaults[name], f"{target.__name__}: {name}")
    if inspect.isclass(target):
        return target(**chosen)
    return nn.Activation(target, **{name: value for name, value in chosen.items() if value is not None})


def build_encoder(layer: Any, num_layers: int, norm: Any = None) -> Any:
    """Stacked layers of an encoder, read off a built layer of PyTorch."""
    require(norm is None, "TransformerEncoder: a norm of another kind")
    own = pn.TransformerEncoderLayer(
        layer.self_attn.embed_dim,
        layer.self_attn.num_heads,
        layer.linear1.out_features,
        dropout=layer.dropout.p,
        activation=activation(layer.activation),
        norm_first=layer.norm_first,
        bias=layer.linear1.bias is not None,
        eps=layer.norm1.eps,
    )
    return pn.TransformerEncoder(own, num_layers, final_norm=False)


def activation(function: Any) -> Any:
    name = function if isinstance(function, str) else function.__name__
    require(hasattr(nn, name), f"activation {name}")
    return getattr(nn, name)


def pairs(padding: Any, dims: int) -> Any:
    """PyTorch's widths, which begin with the last axis, as a pair for each axis."""
    widths = (padding,) * (2 * dims) if isinstance(padding, int) else padding
    return tuple((widths[i], widths[i + 1]) for i in range(2 * dims - 2, -1, -2))


class Case:
    """A module with drawn weights and the arguments of a call, for both libraries."""

    def __init__(self, info: Any, sample: Any, training: bool) -> None:
        self.training = training
        given, call = sample.constructor_input, sample.forward_input
        require(call is not None, "a sample without a call")
        self.layer = build(info.module_cls, given)
        torch.manual_seed(0)
        takes_dtype = "dtype" in inspect.signature(info.module_cls.__init__).parameters
        named = {**given.kwargs, **({"dtype": torch.float64} if takes_dtype else {})}
        self.module = info.module_cls(*given.args, **named).to(torch.float64).train(training)
        with torch.no_grad():
            for parameter in self.module.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.3)
        require(not (training and self._draws()), "dropout in training, which draws at random")
        state_dict = {name: to_numpy(tensor) for name, tensor in self.module.state_dict().items()}
        self.params, self.state = nn.from_torch(self.layer, state_dict)
        named = dict(call.kwargs)
        self.inputs = [*call.args, *(named.pop(name) for name in ARRAYS if name in named)]
        self.inputs = [self._leaf(x) for x in self.inputs]
        self.masks = {name: mask for name, mask in named.items() if mask is not None}
        self.new_state: Any = None

    def _draws(self) -> bool:
        rates = [m.p for m in self.module.modules() if isinstance(m, torch.nn.Dropout)]
        rates += [m.dropout for m in self.module.modules() if isinstance(getattr(m, "dropout", None), float)]
        return any(rate > 0 for rate in rates)

    @staticmethod
    def _leaf(x: Any) -> Any:
        if isinstance(x, tuple):
            return tuple(Case._leaf(item) for item in x)
        is_float = isinstance(x, torch.Tensor) and x.dtype == torch.float64
        return x.detach().clone().requires_grad_() if is_float else x

    @property
    def leaves(self) -> list[torch.Tensor]:
        """The inputs that have a gradient."""
        return [x for x in pn.tree.leaves(self.inputs) if isinstance(x, torch.Tensor) and x.requires_grad]

    def check(self) -> None:
        theirs = self.module(*self.inputs, **self.masks)
        theirs = [y for y in flat(theirs)[: self._compared()] if isinstance(y, torch.Tensor)]
        arrays = [to_numpy(x) for x in self.leaves]
        ours = self.ours(self.params, *arrays)
        for mine, other in zip(ours, theirs, strict=True):
            assert_close(mine, to_numpy(other), 1e-9)
        self._check_state()
        if theirs[0].requires_grad:
            self._check_gradients(theirs, arrays)

    def _compared(self) -> int | None:
        """How many results are compared: the weights of attention are PyTorch's mean over heads."""
        return 1 if isinstance(self.module, torch.nn.MultiheadAttention) else None

    def ours(self, params: Any, *arrays: Any) -> list[Any]:
        """portnn's results as PyTorch lays them out."""
        filled = iter(arrays)
        call = fill(self.inputs, filled)
        if isinstance(self.module, SEQUENCES):
            return self._of_sequences(params, call)
        single = self._is_single(call[0])
        x = ops.expand_dims(call[0], axis=0) if single else call[0]
        y = self._applied(params, x)
        return [y[0, ...] if single else y]

    def _is_single(self, x: Any) -> bool:
        """Whether a convolution, a pooling or a norm was given one image without an axis of batches."""
        dims = re.search(r"(\d)d$", type(self.module).__name__)
        is_batch_norm = isinstance(self.module, torch.nn.modules.batchnorm._BatchNorm)
        return dims is not None and not is_batch_norm and x.ndim == int(dims[1]) + 1

    def _applied(self, params: Any, *inputs: Any, **options: Any) -> Any:
        y, self.new_state = self.layer.apply(
            params, *inputs, state=self.state, training=self.training, **options
        )
        return y

    def _of_sequences(self, params: Any, call: list[Any]) -> list[Any]:
        module = self.module
        inner = module.layers[0] if isinstance(module, torch.nn.TransformerEncoder) else module
        first = inner.batch_first if hasattr(inner, "batch_first") else inner.self_attn.batch_first
        order = partial(lay_out, single=call[0].ndim == 2, batch_first=first)
        if isinstance(module, torch.nn.RNNBase):
            return self._recurrent(params, call, order)
        if isinstance(module, torch.nn.MultiheadAttention):
            keys, values = (getattr(x, "plain", x) for x in call[1:3])
            require(np.array_equal(keys, values), "MultiHeadAttention: values of other inputs than keys")
            call = call[:2]
        y = self._applied(params, *(order(x) for x in call), **self._options(call[0]))
        return [order(y, back=True)]

    def _recurrent(self, params: Any, call: list[Any], order: Any) -> list[Any]:
        single = call[0].ndim == 2
        start = None
        if len(call) > 1 and call[1] is not None:
            states = call[1] if isinstance(call[1], tuple) else (call[1],)
            states = [ops.expand_dims(s, axis=1) if single else s for s in states]
            parts = [tuple(s[i, ...] for s in states) for i in range(states[0].shape[0])]
            start = tuple(part if len(part) > 1 else part[0] for part in parts)
        y, state = self._applied(params, order(call[0]), *([] if start is None else [start]))
        rows = [row if isinstance(row, tuple | list) else (row,) for row in state]
        ends = [ops.stack(list(column), axis=0) for column in zip(*rows, strict=True)]
        return [order(y, back=True), *(end[:, 0, :] if single else end for end in ends)]

    def _options(self, x: Any) -> dict[str, Any]:
        """portnn's masks, which name what is seen where PyTorch's name what is not."""
        found: dict[str, Any] = (
            {"causal": False} if isinstance(self.layer, pn.TransformerDecoderLayer) else {}
        )
        places = {
            "key_padding_mask": "key_mask",
            "src_key_padding_mask": "key_mask",
            "tgt_key_padding_mask": "key_mask",
        }
        places |= {"attn_mask": "mask", "src_mask": "mask", "mask": "mask", "tgt_mask": "mask"}
        places["memory_key_padding_mask"] = "memory_mask"
        for name, mask in self.masks.items():
            if not isinstance(mask, torch.Tensor):
                continue
            require(name in places, f"{type(self.layer).__name__}: {name}")
            require(mask.dtype == torch.bool, f"{type(self.layer).__name__}: a mask of numbers")
            seen = ~to_numpy(mask)
            if places[name] != "mask" and seen.ndim == 1:
                seen = seen[None]
            if places[name] == "mask" and seen.ndim == 3:
                seen = seen.reshape(-1, self.module.num_heads, *seen.shape[1:])
            found[places[name]] = seen
        return found

    def _check_state(self) -> None:
        """Compare the running statistics after a step in training."""
        if not self.training:
            return
        ours = nn.to_torch(self.layer, self.params, self.new_state)
        for name, tensor in self.module.state_dict().items():
            if name in ours:
                assert_close(ours[name], to_numpy(tensor), 1e-9)

    def _check_gradients(self, theirs: list[Any], arrays: list[Any]) -> None:
        """Compare the gradients by all parameters and inputs, with random cotangents."""
        rng = np.random.default_rng(0)
        weights = [np.asarray(rng.normal(size=tuple(y.shape))) for y in theirs]
        named = dict(self.module.named_parameters())
        points = [*named.values(), *self.leaves]
        cotangents = [torch.from_numpy(w) for w in weights]
        found = torch.autograd.grad(theirs, points, cotangents, allow_unused=True)
        expected = [torch.zeros_like(x) if g is None else g for x, g in zip(points, found, strict=True)]
        has_params = bool(pn.tree.leaves(self.params))
        function = self.ours if has_params else partial(self.ours, self.params)
        _, pull = pn.vjp(function, *([self.params] if has_params else []), *arrays)
        slopes = list(pull(weights))
        if has_params:
            mine = nn.to_torch(self.layer, slopes.pop(0), self.state)
            for name, other in zip(named, expected, strict=False):
                assert_close(mine[name], to_numpy(other), 1e-8)
        for slope, other in zip(slopes, expected[len(named) :], strict=True):
            assert_close(slope, to_numpy(other), 1e-8)


def flat(tree: Any) -> list[Any]:
    return [leaf for item in tree for leaf in flat(item)] if isinstance(tree, tuple | list) else [tree]


def fill(inputs: Any, arrays: Iterator[Any]) -> Any:
    """The inputs with arrays in the places of tensors of floats."""
    if isinstance(inputs, tuple | list):
        return type(inputs)(fill(x, arrays) for x in inputs)
    is_leaf = isinstance(inputs, torch.Tensor) and inputs.requires_grad
    return next(arrays) if is_leaf else to_numpy(inputs)


def lay_out(x: Any, *, single: bool, batch_first: bool, back: bool = False) -> Any:
    """Sequences with the batch first, as portnn has them; `back` to PyTorch's order."""
    if single:
        return x[0, ...] if back else ops.expand_dims(x, axis=0)
    return x if batch_first else ops.permute_dims(x, (1, 0, 2))


def outcomes(info: Any) -> Iterator[Outcome]:
    """The outcomes of all samples of a module, in prediction and where it differs in training."""
    if counterpart(info.module_cls) is None:
        yield Outcome(SUITE, info.name, NOT_APPLICABLE, "modules without a counterpart in portnn")
        return
    for training in (False, True) if info.train_and_eval_differ else (False,):
        torch.manual_seed(0)
        samples = info.module_inputs_func(info, "cpu", torch.float64, requires_grad=True, training=training)
        for i, sample in enumerate(samples):
            name = f"{info.name}[{'training' if training else 'prediction'}, {i}]"
            yield judge(SUITE, name, lambda: Case(info, sample, training).check())  # noqa: B023 - called at once


@pytest.mark.parametrize("info", module_db, ids=lambda info: info.name)
def test_module(info: Any, hold: Callable[[Iterator[Outcome]], None]) -> None:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        hold(outcomes(info))
