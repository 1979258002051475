"""The parameters of the estimators, and what they may be."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from numbers import Integral, Real
from typing import Any

from sklearn.utils._param_validation import Interval, Options, StrOptions

from portnn.backend import Backend
from portnn.optim import Optimizer

__all__ = ["CLASS_WEIGHT", "MLP", "NETWORK", "keep"]

SHARED: dict[str, Any] = {
    "alpha": [Interval(Real, 0, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "tol": [Interval(Real, 0, None, closed="left")],
    "verbose": ["verbose"],
    "warm_start": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="left")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {inf})],
    "backend": [None, str, Backend],
    "dtype": [StrOptions({"auto", "float32", "float64"})],
    "callbacks": [None, "array-like", tuple],
}
"""What all four take; the first part as scikit-learn has it."""

MLP: dict[str, Any] = {
    **SHARED,
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "activation": [StrOptions({"identity", "logistic", "tanh", "relu"}), callable],
    "solver": [StrOptions({"lbfgs", "sgd", "adam"})],
    "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
    "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
    "power_t": [Interval(Real, 0, None, closed="left")],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "beta_1": [Interval(Real, 0, 1, closed="left")],
    "beta_2": [Interval(Real, 0, 1, closed="left")],
    "epsilon": [Interval(Real, 0, None, closed="neither")],
    "max_fun": [Interval(Integral, 1, None, closed="left")],
    "dropout": [Interval(Real, 0, 1, closed="left"), "array-like"],
}
"""What a perceptron takes besides."""

NETWORK: dict[str, Any] = {
    **SHARED,
    "loss": [None, callable],
    "optimizer": [None, Optimizer, callable],
}
"""What an estimator of any network takes; the network itself is checked where it is made."""

CLASS_WEIGHT: dict[str, Any] = {"class_weight": [None, dict, list, StrOptions({"balanced"})]}


def keep(estimator: Any, parameters: Mapping[str, Any]) -> None:
    """Set the parameters of a constructor as attributes, unchanged, as scikit-learn wants them."""
    vars(estimator).update({n: v for n, v in parameters.items() if n not in ("self", "__class__")})
