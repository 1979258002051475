"""Multilayer perceptrons with scikit-learn's parameters, initial weights and attributes."""

from __future__ import annotations

from math import sqrt
from numbers import Integral
from types import SimpleNamespace
from typing import Any

from portnn import nn
from portnn.backend import convert_like
from portnn.estimators import _methods as methods
from portnn.estimators._fitting import Fitting
from portnn.estimators._lbfgs import minimise
from portnn.losses import Task, link_of
from portnn.network import Network
from portnn.optim import Optimizer

__all__ = ["Perceptron"]

_ACTIVATIONS = {"identity": nn.identity, "logistic": nn.sigmoid, "tanh": nn.tanh, "relu": nn.relu}
_LINKS = {"sigmoid": "logistic"}  # what scikit-learn calls the functions behind the last layer


class Perceptron(Fitting):
    """A network of linear layers."""

    _seeds_network = False

    @property
    def _learning_rate(self) -> str:
        """How the learning rate changes: only that of gradient descent does."""
        return self.learning_rate if self.solver == "sgd" else "constant"

    @property
    def _stops_early(self) -> bool:
        """Return whether the training uses validation scores; L-BFGS has no epochs and ignores the option."""
        return bool(self.early_stopping) and self.solver != "lbfgs"

    @property
    def _optimizer(self) -> SimpleNamespace:
        """Return an object with scikit-learn's ``_optimizer.learning_rate``."""
        return SimpleNamespace(learning_rate=self._rate)

    def _layers(self, features: Any, outputs: int) -> list[Any]:
        hidden = self._hidden()
        function = self.activation if callable(self.activation) else _ACTIVATIONS[self.activation]
        layers: list[Any] = []
        for a, b, p in zip([features, *hidden], hidden, self._shares(len(hidden)), strict=False):
            layers += [nn.Linear(a, b), function, *([nn.Dropout(p)] if p else [])]
        return [*layers, nn.Linear(hidden[-1] if hidden else features, outputs)]

    def _hidden(self) -> list[int]:
        """The widths of the hidden layers."""
        sizes = self.hidden_layer_sizes
        hidden = list(sizes) if hasattr(sizes, "__iter__") else [sizes]
        if not all(isinstance(n, Integral) for n in hidden):
            raise TypeError(f"hidden_layer_sizes must be integers, got {sizes!r:.60}")
        hidden = [int(n) for n in hidden]
        if any(n <= 0 for n in hidden):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {hidden}.")
        return hidden

    def _shares(self, n: int) -> list[float]:
        """The share that is dropped behind each hidden layer."""
        dropout = self.dropout
        shares = [float(p) for p in dropout] if hasattr(dropout, "__iter__") else [float(dropout)] * n
        if len(shares) != n or not all(0.0 <= p < 1.0 for p in shares):
            raise ValueError(
                f"dropout must be a share in [0, 1), or one for each of {n} hidden layers, "
                f"got {dropout!r:.60}"
            )
        return shares

    def _check_same(self) -> None:
        widths = [self.network_.params[i]["bias"].shape[0] for i in _linear(self.network_)]
        if widths[:-1] != self._hidden():
            raise ValueError(
                f"hidden_layer_sizes: {self._hidden()} cannot go on from a network of {widths[:-1]}; "
                "set warm_start=False"
            )

    def _train(
        self, x: Any, targets: Any, weight: Any, validation: Any, shown: dict[str, Any], *, incremental: bool
    ) -> None:
        if self.solver != "lbfgs":
            super()._train(x, targets, weight, validation, shown, incremental=incremental)
            return
        if self.network_.layer.draws or self.callbacks or validation is not None:
            raise ValueError(
                "solver='lbfgs' has no epochs: dropout, callbacks and validation need 'adam' or 'sgd'"
            )
        penalty = methods.L2(self.alpha) if self.alpha else None
        options = {"maxiter": self.max_iter, "maxfun": self.max_fun, "gtol": self.tol}
        self.n_iter_, self.loss_ = minimise(self.network_, x, targets, weight, penalty, **options)

    def _start(self, network: Network, rng: Any) -> None:
        """Weights and biases as scikit-learn draws them, from the same generator in the same order.

        Uniform between ``±sqrt(6 / (in + out))`` (Glorot and Bengio 2010), with 2 for 6 and sigmoids.
        """
        self.n_layers_ = len(_linear(network)) + 1
        link = getattr(link_of(network.loss), "__name__", "identity")
        self.out_activation_ = _LINKS.get(link, link)
        factor = 2.0 if self.activation == "logistic" else 6.0
        params = list(network.params)
        for i in _linear(network):
            shape = tuple(params[i]["weight"].shape)
            bound = sqrt(factor / (shape[0] + shape[1]))
            drawn = {
                "weight": rng.uniform(-bound, bound, shape),
                "bias": rng.uniform(-bound, bound, shape[1]),
            }
            params[i] = {n: network.backend.asarray(a, dtype=network.dtype) for n, a in drawn.items()}
        network.params = tuple(params)
        for name, arrays in self.__dict__.pop("_given", {}).items():
            _put(network, name, arrays)

    def _forget(self) -> None:
        self.__dict__.pop("_given", None)

    def _forward_pass_fast(self, X: Any, check_input: bool = True) -> Any:
        """Return the output of the last activation, under the name that sklearn-onnx uses.

        Args:
            X: inputs (n, features).
            check_input: False for arrays that have been checked already.

        Returns:
            Probabilities (n, classes), (n, labels) or for two classes (n, 1); or values (n, outputs).
        """
        x = self._inputs(X, "predict") if check_input else self._bring(X)
        network = self.network_
        return network.predict(x) if network.task is Task.VALUES else network.predict_proba(x)

    def _make_optimizer(self) -> Optimizer:
        rate = self.learning_rate_init
        if self.solver == "sgd":
            return methods.sgd(rate, self.momentum, nesterov=self.nesterovs_momentum)
        return methods.adam(rate, (self.beta_1, self.beta_2), self.epsilon)

    def _is_stochastic(self) -> bool:
        if self.solver == "lbfgs":
            raise AttributeError("partial_fit is only available for stochastic optimizers. lbfgs is not.")
        return True

    def _part(self, name: str) -> list[Any]:
        if not hasattr(self, "network_"):
            given = getattr(self, "_given", {})
            if name not in given:
                raise AttributeError(f"{type(self).__name__} is not fitted yet, so it has no {name}s")
            return given[name]  # the list that was set; its items may be replaced
        network = self.network_
        like = self._home.asarray([0.0], dtype=network.dtype)
        return [convert_like(network.params[i][name], like) for i in _linear(network)]

    def _set_part(self, name: str, arrays: Any) -> None:
        if hasattr(self, "network_"):
            _put(self.network_, name, arrays)
        else:
            self._given = {**getattr(self, "_given", {}), name: arrays}

    @property
    def coefs_(self) -> list[Any]:
        """The weights of each layer (inputs, outputs), arrays of X's library; they may be set.

        If set before the first `partial_fit`, or before `fit` with `warm_start`, training starts from them.
        """
        return self._part("weight")

    @coefs_.setter
    def coefs_(self, arrays: Any) -> None:
        self._set_part("weight", arrays)

    @property
    def intercepts_(self) -> list[Any]:
        """The biases of each layer (outputs,), arrays of X's library; they may be set like `coefs_`."""
        return self._part("bias")

    @intercepts_.setter
    def intercepts_(self, arrays: Any) -> None:
        self._set_part("bias", arrays)


def _linear(network: Network) -> list[int]:
    """The positions of the linear layers."""
    return [i for i, layer in enumerate(network.layer.members) if isinstance(layer, nn.Linear)]


def _put(network: Network, name: str, arrays: Any) -> None:
    """Replace the weights or the biases of the linear layers.

    Raises:
        ValueError: if there are too few, too many, or one has the wrong shape.
    """
    params, places = list(network.params), _linear(network)
    if len(arrays) != len(places):
        raise ValueError(f"expected {len(places)} arrays, one for each layer, got {len(arrays)}")
    for i, a in zip(places, arrays, strict=True):
        new = network.backend.asarray(a, dtype=network.dtype)
        if new.shape != params[i][name].shape:
            expected = tuple(params[i][name].shape)
            raise ValueError(f"expected an array of shape {expected}, got {tuple(new.shape)}")
        params[i] = {**params[i], name: new}
    network.params = tuple(params)
