"""PyTorch's optimizers: trajectories of all samples of its own optimizer database.

`optim_db` of `torch.testing._internal` holds the options with which PyTorch's own tests build its optimizers.
Both libraries take 60 steps from the same parameters; all parameters after every step are compared.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.testing._internal.common_optimizers import optim_db

import portnn as pn
from portnn import ops, optim
from tests.peers.frame import NOT_APPLICABLE, NotApplicableError, Outcome, assert_close, judge, require

torch.set_num_threads(1)

SUITE = "PyTorch optimizers"
STEPS = 60
TOLERANCE = 1e-11
# How PyTorch computes a step, and never what it is.
NEUTRAL = {"foreach", "fused", "capturable", "differentiable"}
RENAMED = {"lr": "learning_rate"}
SHAPES = ((3, 4), (5,), ())


def numbers(value: Any) -> Any:
    """Options as numbers, which PyTorch takes as tensors too."""
    if isinstance(value, tuple):
        return tuple(numbers(item) for item in value)
    return value.item() if isinstance(value, torch.Tensor) else value


def counterpart(cls: type) -> Callable[..., Any]:
    """portnn's function with the name of PyTorch's class."""
    require(hasattr(optim, cls.__name__.lower()), "optimizers without a counterpart in portnn")
    return getattr(optim, cls.__name__.lower())


def build(cls: type, named: dict[str, Any]) -> Any:
    """portnn's optimizer with PyTorch's options, and its defaults where portnn has others."""
    function = counterpart(cls)
    named = {name: numbers(value) for name, value in named.items() if name not in NEUTRAL}
    defaults = {name: parameter.default for name, parameter in inspect.signature(cls).parameters.items()}
    named = {"lr": defaults["lr"]} | named
    if cls is torch.optim.Adam and named.pop("decoupled_weight_decay", False):
        function = optim.adamw
    chosen = {}
    for name, value in named.items():
        keyword = RENAMED.get(name, name)
        known = keyword in inspect.signature(function).parameters
        require(known or value == defaults[name], f"{function.__name__}: {name}")
        if known:
            chosen[keyword] = value
    return function(**chosen)


def drawn(seed: int) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.normal(size=shape)) for shape in SHAPES]


START, FACTORS = drawn(0), drawn(1)


def objective(params: Any, xp: Any, factors: Any) -> Any:
    """A function with a curved, bounded landscape."""
    terms = [xp.sin(p * c) + 0.1 * p**4 - 0.3 * p * c for p, c in zip(params, factors, strict=True)]
    total = xp.sum(terms[0])
    for term in terms[1:]:
        total = total + xp.sum(term)
    return total


def their_course(cls: type, named: dict[str, Any]) -> list[Any]:
    params = [torch.tensor(p, requires_grad=True) for p in START]
    factors = [torch.tensor(c) for c in FACTORS]
    optimizer = cls(params, **named)
    course = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        objective(params, torch, factors).backward()
        optimizer.step()
        course.append([p.detach().numpy().copy() for p in params])
    return course


def our_course(optimizer: Any) -> list[Any]:
    params, course = START, []
    state = optimizer.init(params)
    gradient = pn.grad(lambda params: objective(params, ops, FACTORS))
    for _ in range(STEPS):
        updates, state = optimizer.update(gradient(params), state, params)
        params = optim.apply_updates(params, updates)
        course.append(params)
    return course


def check(cls: type, sample: Any) -> None:
    require(sample.params is None, "parameters in groups")
    named = dict(sample.kwargs)
    ours = our_course(build(cls, named))
    for mine, other in zip(ours, their_course(cls, named), strict=True):
        for a, b in zip(mine, other, strict=True):
            assert_close(a, b, TOLERANCE)


def outcomes(info: Any) -> Iterator[Outcome]:
    """The outcomes of all options of an optimizer."""
    cls = info.optim_cls
    try:
        counterpart(cls)
    except NotApplicableError as error:
        yield Outcome(SUITE, cls.__name__, NOT_APPLICABLE, str(error))
        return
    for i, sample in enumerate(info.optim_inputs_func("cpu", torch.float64)):
        name = f"{cls.__name__}[{i}, {sample.desc}]"
        yield judge(SUITE, name, lambda: check(cls, sample))  # noqa: B023 - called at once


@pytest.mark.parametrize("info", optim_db, ids=lambda info: info.optim_cls.__name__)
def test_optimizer(info: Any, hold: Callable[[Iterator[Outcome]], None]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        hold(outcomes(info))
