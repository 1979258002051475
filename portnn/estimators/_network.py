"""`NetworkClassifier` and `NetworkRegressor`: any network as an estimator."""

from __future__ import annotations

from typing import Any, ClassVar

from portnn import nn, optim
from portnn._typing import Array
from portnn.estimators._fitting import Fitting
from portnn.estimators._labels import Labels
from portnn.estimators._options import CLASS_WEIGHT, NETWORK, keep
from portnn.estimators._tasks import Classifying, Regressing
from portnn.losses import Task, sigmoid_cross_entropy, softmax_cross_entropy, squared_error
from portnn.nn import Layer
from portnn.optim import Optimizer

__all__ = ["NetworkClassifier", "NetworkRegressor"]


class Described(Fitting):
    """An estimator whose network is a parameter."""

    _many_axes = True

    def _layers(self, features: Any, outputs: int) -> Any:
        network = self.network
        if network is None:
            if not isinstance(features, int):
                raise ValueError(
                    f"network: needed for samples of shape {features}; without one, X has shape (n, features)"
                )
            network = nn.MLP([features, 100, outputs])
        ready = isinstance(network, Layer | list | tuple) or not callable(network)
        made = network if ready else network(features, outputs)
        if not isinstance(made, Layer | list | tuple):
            raise TypeError(
                "network: expected a layer, a list of layers, or a function (n_features, n_outputs) that "
                f"makes one of these, got {type(made).__name__}"
            )
        return made

    def _check_same(self) -> None:
        network = self.network
        if isinstance(network, list | tuple):
            network = nn.Sequential(network)
        if isinstance(network, Layer) and network != self.network_.layer:
            raise ValueError("network: it is not the one that was fitted; set warm_start=False")

    def _make_optimizer(self) -> Optimizer:
        made = self.optimizer
        if made is None:
            return optim.adam(0.001)
        made = made if isinstance(made, Optimizer) else made()
        if not isinstance(made, Optimizer):
            raise TypeError(
                "optimizer: expected one of portnn.optim, or a function without arguments that makes one, "
                f"got {type(made).__name__}"
            )
        return made


class NetworkClassifier(Classifying, Described):
    """A classifier of any network.

    Data, answers, validation and the other parameters are those of `MLPClassifier`.

    Args:
        network: a layer, a list of layers, or a function ``(n_features, n_outputs)`` that makes one of these,
            where `n_features` is the shape of a sample if X has more than two axes; by default one hidden
            layer of 100.
        loss: a loss of `portnn.losses` or of your own; by default softmax_cross_entropy,
            or sigmoid_cross_entropy for several labels.
        optimizer: one of `portnn.optim`, or a function without arguments that makes one; by default
            ``adam(0.001)``.
        alpha: factor of an L2 penalty of the weights, as scikit-learn's perceptrons have it.
        class_weight: a weight for each class, or "balanced"; for labels a list with such a dict for each.
        backend: where to compute: None for where X lies, or "cpu", "gpu", "torch:cuda" and so on.
        dtype: "float32" or "float64"; "auto" is float32 for inputs that are that or fit into it exactly, such
            as pixels, and float64 for others.
        callbacks: functions of a `portnn.Epoch`, such as those of `portnn.train.callbacks`.
        **others: as `MLPClassifier` has them.

    Attributes:
        network_: the `portnn.Network`, which can be saved and drawn.
        loss_curve_: the loss after each epoch, with the penalty.
        validation_scores_: the score of the validation data after each epoch, None if there are none.
        validation_loss_curve_: their loss, likewise.

    Example:
        >>> from portnn import Linear, optim, relu
        >>> from sklearn.datasets import load_iris
        >>> x, y = load_iris(return_X_y=True)
        >>> layers = [Linear(4, 16), relu, Linear(16, 3)]
        >>> model = NetworkClassifier(layers, optimizer=optim.adam(0.05), tol=0.01, random_state=0)
        >>> bool(model.fit(x, y).score(x, y) > 0.95)
        True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {**NETWORK, **CLASS_WEIGHT, "network": "no_validation"}

    def __init__(
        self, network: Any = None, *, loss: Any = None, optimizer: Any = None, alpha: Any = 0.0,
        batch_size: Any = "auto", max_iter: Any = 200, shuffle: Any = True, random_state: Any = None,
        tol: Any = 1e-4, verbose: Any = False, warm_start: Any = False, early_stopping: Any = False,
        validation_fraction: Any = 0.1, n_iter_no_change: Any = 10, class_weight: Any = None,
        backend: Any = None, dtype: Any = "auto", callbacks: Any = None,
    ) -> None:  # fmt: skip  # a line a parameter would be a page
        keep(self, locals())

    def _check_outputs(self, x: Array) -> None:
        network, wanted = self.network_, len(self._labels.classes)
        if network.task is not Task.CLASSES:
            return
        _, *shape = network.predict_proba(x[:1, ...]).shape
        if len(shape) != 1:
            found = ", ".join(["n", *map(str, shape)])
            raise ValueError(f"network: it gives arrays of shape ({found}), expected (n, {wanted})")
        if shape[0] != wanted:
            found = "1 output" if shape[0] == 1 else f"{shape[0]} outputs"
            more = (
                ", or give it loss=portnn.losses.sigmoid_cross_entropy"
                if (shape[0], wanted) == (1, 2)
                else ""
            )
            raise ValueError(
                f"network: it has {found}, but y has {wanted} classes; end it with "
                f"Linear(..., {wanted}){more}"
            )

    def _choose_loss(self, labels: Labels) -> Any:
        if self.loss is not None:
            return self.loss
        return softmax_cross_entropy if labels.kind == "classes" else sigmoid_cross_entropy


class NetworkRegressor(Regressing, Described):
    """A regressor of any network.

    Parameters and attributes are those of `NetworkClassifier`, but for `class_weight`; data and answers are
    those of `MLPRegressor`.

    Args:
        network: as `NetworkClassifier` takes it.
        loss: a loss of `portnn.losses` or of your own; by default squared_error.
        **others: as `NetworkClassifier` has them.

    Example:
        >>> import numpy as np
        >>> from portnn import Linear, optim, tanh
        >>> x = np.linspace(-1.0, 1.0, 200)[:, None]
        >>> layers = [Linear(1, 20), tanh, Linear(20, 1)]
        >>> model = NetworkRegressor(layers, optimizer=optim.adam(0.02), batch_size=20, random_state=0)
        >>> bool(model.fit(x, np.sin(3.0 * x[:, 0])).score(x, np.sin(3.0 * x[:, 0])) > 0.95)
        True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {**NETWORK, "network": "no_validation"}

    def __init__(
        self, network: Any = None, *, loss: Any = None, optimizer: Any = None, alpha: Any = 0.0,
        batch_size: Any = "auto", max_iter: Any = 200, shuffle: Any = True, random_state: Any = None,
        tol: Any = 1e-4, verbose: Any = False, warm_start: Any = False, early_stopping: Any = False,
        validation_fraction: Any = 0.1, n_iter_no_change: Any = 10, backend: Any = None, dtype: Any = "auto",
        callbacks: Any = None,
    ) -> None:  # fmt: skip  # a line a parameter would be a page
        keep(self, locals())

    def _choose_loss(self) -> Any:
        return squared_error if self.loss is None else self.loss
