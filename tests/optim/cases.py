"""Every recipe with every option: how portnn says it, its oracle, and how torch says it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from portnn import optim, tree
from tests.optim import oracles

STEPS = 100


@dataclass(frozen=True)
class Case:
    """One row: a recipe, the oracle and its numbers, torch's class and its numbers if it has one."""

    name: str
    optimizer: optim.Optimizer
    oracle: Any
    numbers: dict[str, Any]
    torch: tuple[str, dict[str, Any]] | None


def _case(name, optimizer, oracle, numbers, torch_name, **options):
    return Case(name, optimizer, oracle, numbers, (torch_name, options) if torch_name else None)


_ADAM = {"lr": 1e-3, "b1": 0.9, "b2": 0.999, "eps": 1e-8}
_RMS = {"lr": 0.01, "alpha": 0.99, "eps": 1e-8}

# The first row of each algorithm uses the defaults on all three sides.
CASES = [
    _case("sgd", optim.sgd(0.1), oracles.sgd, {"lr": 0.1}, "SGD", lr=0.1),
    _case("sgd-decay", optim.sgd(0.1, weight_decay=0.05), oracles.sgd, {"lr": 0.1, "weight_decay": 0.05},
          "SGD", lr=0.1, weight_decay=0.05),
    _case("sgd-momentum", optim.sgd(0.1, momentum=0.9), oracles.sgd, {"lr": 0.1, "momentum": 0.9},
          "SGD", lr=0.1, momentum=0.9),
    _case("sgd-dampening", optim.sgd(0.1, momentum=0.8, dampening=0.3), oracles.sgd,
          {"lr": 0.1, "momentum": 0.8, "dampening": 0.3}, "SGD", lr=0.1, momentum=0.8, dampening=0.3),
    _case("sgd-nesterov", optim.sgd(0.1, momentum=0.9, nesterov=True, weight_decay=0.05), oracles.sgd,
          {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.05},
          "SGD", lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.05),
    _case("rmsprop", optim.rmsprop(), oracles.rmsprop, _RMS, "RMSprop"),
    _case("rmsprop-momentum", optim.rmsprop(momentum=0.7, weight_decay=0.05), oracles.rmsprop,
          {**_RMS, "momentum": 0.7, "weight_decay": 0.05}, "RMSprop", momentum=0.7, weight_decay=0.05),
    _case("rmsprop-centered", optim.rmsprop(0.02, alpha=0.9, eps=1e-6, momentum=0.5, centered=True),
          oracles.rmsprop,
          {"lr": 0.02, "alpha": 0.9, "eps": 1e-6, "momentum": 0.5, "centered": True},
          "RMSprop", lr=0.02, alpha=0.9, eps=1e-6, momentum=0.5, centered=True),
    _case("adagrad", optim.adagrad(), oracles.adagrad, {"lr": 0.01, "eps": 1e-10}, "Adagrad"),
    _case("adagrad-decay",
          optim.adagrad(0.1, lr_decay=0.01, weight_decay=0.05, initial_accumulator_value=0.2, eps=1e-6),
          oracles.adagrad, {"lr": 0.1, "eps": 1e-6, "lr_decay": 0.01, "initial": 0.2, "weight_decay": 0.05},
          "Adagrad", lr=0.1, lr_decay=0.01, weight_decay=0.05, initial_accumulator_value=0.2, eps=1e-6),
    _case("adadelta", optim.adadelta(), oracles.adadelta, {"lr": 1.0, "rho": 0.9, "eps": 1e-6}, "Adadelta"),
    _case("adadelta-decay", optim.adadelta(0.5, rho=0.8, eps=1e-5, weight_decay=0.05), oracles.adadelta,
          {"lr": 0.5, "rho": 0.8, "eps": 1e-5, "weight_decay": 0.05},
          "Adadelta", lr=0.5, rho=0.8, eps=1e-5, weight_decay=0.05),
    _case("adam", optim.adam(), oracles.adam, _ADAM, "Adam"),
    _case("adam-decay", optim.adam(0.01, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.05), oracles.adam,
          {"lr": 0.01, "b1": 0.8, "b2": 0.95, "eps": 1e-6, "weight_decay": 0.05},
          "Adam", lr=0.01, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.05),
    _case("adam-no-memory", optim.adam(0.01, betas=(0.0, 0.0)), oracles.adam,
          {"lr": 0.01, "b1": 0.0, "b2": 0.0, "eps": 1e-8}, "Adam", lr=0.01, betas=(0.0, 0.0)),
    _case("adam-amsgrad", optim.adam(0.01, betas=(0.9, 0.9), amsgrad=True), oracles.adam,
          {"lr": 0.01, "b1": 0.9, "b2": 0.9, "eps": 1e-8, "amsgrad": True},
          "Adam", lr=0.01, betas=(0.9, 0.9), amsgrad=True),
    _case("adamw", optim.adamw(), oracles.adam, {**_ADAM, "decoupled": 0.01}, "AdamW"),
    _case("adamw-amsgrad", optim.adamw(0.01, betas=(0.8, 0.9), weight_decay=0.1, amsgrad=True), oracles.adam,
          {"lr": 0.01, "b1": 0.8, "b2": 0.9, "eps": 1e-8, "decoupled": 0.1, "amsgrad": True},
          "AdamW", lr=0.01, betas=(0.8, 0.9), weight_decay=0.1, amsgrad=True),
    _case("nadam", optim.nadam(), oracles.nadam, {**_ADAM, "lr": 2e-3, "psi": 4e-3}, "NAdam"),
    _case("nadam-decay", optim.nadam(0.01, betas=(0.8, 0.95), weight_decay=0.05, momentum_decay=0.01),
          oracles.nadam,
          {"lr": 0.01, "b1": 0.8, "b2": 0.95, "eps": 1e-8, "psi": 0.01, "weight_decay": 0.05},
          "NAdam", lr=0.01, betas=(0.8, 0.95), weight_decay=0.05, momentum_decay=0.01),
    _case("radam", optim.radam(), oracles.radam, _ADAM, "RAdam"),
    _case("radam-decay", optim.radam(0.01, betas=(0.8, 0.95), weight_decay=0.05), oracles.radam,
          {"lr": 0.01, "b1": 0.8, "b2": 0.95, "eps": 1e-8, "weight_decay": 0.05},
          "RAdam", lr=0.01, betas=(0.8, 0.95), weight_decay=0.05),
    _case("radam-never-rectified", optim.radam(0.01, betas=(0.9, 0.5)), oracles.radam,
          {"lr": 0.01, "b1": 0.9, "b2": 0.5, "eps": 1e-8}, "RAdam", lr=0.01, betas=(0.9, 0.5)),
    _case("adamax", optim.adamax(), oracles.adamax, {**_ADAM, "lr": 2e-3}, "Adamax"),
    _case("adamax-decay", optim.adamax(0.01, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.05), oracles.adamax,
          {"lr": 0.01, "b1": 0.8, "b2": 0.95, "eps": 1e-6, "weight_decay": 0.05},
          "Adamax", lr=0.01, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.05),
    _case("lion", optim.lion(), oracles.lion, {"lr": 1e-4, "b1": 0.9, "b2": 0.99}, None),
    _case("lion-decay", optim.lion(0.01, betas=(0.8, 0.95), weight_decay=0.1), oracles.lion,
          {"lr": 0.01, "b1": 0.8, "b2": 0.95, "decoupled": 0.1}, None),
]  # fmt: skip

RECIPES = [case for case in CASES if "-" not in case.name]


def first_params() -> Any:
    """A tree with a matrix, a vector of one and a scalar, in float64 on NumPy."""
    rng = np.random.default_rng(1)
    return {"w": rng.normal(size=(3, 2)), "rest": [rng.normal(size=1), np.asarray(0.7)]}


def noise(shape: tuple[int, ...]) -> Any:
    """The part of the gradients that comes with the step: row t for step t."""
    return np.random.default_rng(len(shape)).normal(size=(STEPS, *shape))


def expected(case: Case, steps: int = STEPS) -> list[Any]:
    """The oracle's trajectory: the tree of parameters after each step."""
    first = first_params()
    leaves = []
    for leaf in tree.leaves(first):
        disturb = noise(leaf.shape)
        run = case.oracle(leaf, lambda t, x, d=disturb: 0.3 * x + d[t], **case.numbers)
        leaves.append(list(islice(run, steps)))
    return [tree.unflatten(tree.structure(first), list(row)) for row in zip(*leaves, strict=True)]


def trajectory(optimizer: optim.Optimizer, asarray: Any, steps: int = STEPS) -> list[Any]:
    """portnn's trajectory with the same gradients, on arrays made by `asarray`."""
    first = first_params()
    params = tree.map(asarray, first)
    shifts = tree.map(lambda leaf: noise(leaf.shape), first)
    state, found = optimizer.init(params), []
    for t in range(steps):
        grads = tree.map(lambda p, d, t=t: p * 0.3 + asarray(d[t]), params, shifts)
        updates, state = optimizer.update(grads, state, params)
        params = optim.apply_updates(params, updates)
        found.append(params)
    return found
