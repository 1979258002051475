"""`MLPClassifier` and `MLPRegressor`."""

from __future__ import annotations

from typing import Any, ClassVar

from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if

from portnn.estimators import _losses as own
from portnn.estimators._labels import Labels
from portnn.estimators._options import CLASS_WEIGHT, MLP, keep
from portnn.estimators._perceptron import Perceptron
from portnn.estimators._tasks import Classifying, Regressing
from portnn.losses import softmax_cross_entropy

__all__ = ["MLPClassifier", "MLPRegressor"]


class MLPClassifier(Classifying, Perceptron):
    """A multilayer perceptron that classifies, in the place of scikit-learn's.

    What scikit-learn's estimator of this name takes has the same defaults and meaning here, `random_state`
    included: the same number draws the same initial weights and the same split. Besides, there are:

    Args:
        loss: "log_loss", or a loss of `portnn.losses` or of your own.
        activation: a name of scikit-learn's, or any function of portnn or of your own.
        dropout: the share of each hidden layer's output that is dropped in training, or one for each layer.
        class_weight: a weight for each class, or "balanced"; for labels a list with such a dict for each.
        backend: where to compute: None for where X lies, or "cpu", "gpu", "torch:cuda" and so on.
        dtype: "float32" or "float64"; "auto" is float32 for inputs that are that or fit into it exactly, such
            as pixels, and float64 for others, which takes twice the time.
        callbacks: functions of a `portnn.Epoch`, such as those of `portnn.train.callbacks`.
        **others: as scikit-learn has them.

    Attributes:
        network_: the `portnn.Network`, which can be saved and drawn.
        validation_loss_curve_: the loss of the validation data (`X_val`, or what `early_stopping` holds out)
            after each epoch, without the penalty; None if there are none.
        others: as scikit-learn has them; `coefs_` and `intercepts_` may be set.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.pipeline import make_pipeline
        >>> from sklearn.preprocessing import StandardScaler
        >>> x, y = load_iris(return_X_y=True)
        >>> model = MLPClassifier((16,), learning_rate_init=0.05, dropout=0.1, random_state=0)
        >>> bool(make_pipeline(StandardScaler(), model).fit(x, y).score(x, y) > 0.95)
        True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **MLP,
        **CLASS_WEIGHT,
        "loss": [StrOptions({"log_loss"}), callable],
    }

    def __init__(
        self, hidden_layer_sizes: Any = (100,), activation: Any = "relu", *, solver: Any = "adam",
        alpha: Any = 0.0001, batch_size: Any = "auto", learning_rate: Any = "constant",
        learning_rate_init: Any = 0.001, power_t: Any = 0.5, max_iter: Any = 200, shuffle: Any = True,
        random_state: Any = None, tol: Any = 1e-4, verbose: Any = False, warm_start: Any = False,
        momentum: Any = 0.9, nesterovs_momentum: Any = True, early_stopping: Any = False,
        validation_fraction: Any = 0.1, beta_1: Any = 0.9, beta_2: Any = 0.999, epsilon: Any = 1e-8,
        n_iter_no_change: Any = 10, max_fun: Any = 15000, loss: Any = "log_loss", dropout: Any = 0.0,
        class_weight: Any = None, backend: Any = None, dtype: Any = "auto", callbacks: Any = None,
    ) -> None:  # fmt: skip  # a line a parameter would be a page
        keep(self, locals())

    def _choose_loss(self, labels: Labels) -> Any:
        """One output for two classes, as scikit-learn has it."""
        if callable(self.loss):
            return self.loss
        many = labels.kind == "classes" and len(labels.classes) > 2
        return softmax_cross_entropy if many else own.labels_log_loss

    partial_fit = available_if(Perceptron._is_stochastic)(Classifying.partial_fit)


class MLPRegressor(Regressing, Perceptron):
    """A multilayer perceptron that predicts numbers, in the place of scikit-learn's.

    What scikit-learn's estimator of this name takes has the same defaults and meaning here, `random_state`
    included. What there is besides is that of `MLPClassifier`, but for `class_weight`.

    Args:
        loss: "squared_error", "poisson", or a loss of `portnn.losses` or of your own.
        **others: as scikit-learn and `MLPClassifier` have them.

    Example:
        >>> import numpy as np
        >>> x = np.linspace(-1.0, 1.0, 200)[:, None]
        >>> options = {"activation": "tanh", "batch_size": 20, "learning_rate_init": 0.02, "random_state": 0}
        >>> model = MLPRegressor(hidden_layer_sizes=(20,), **options)
        >>> bool(model.fit(x, np.sin(3.0 * x[:, 0])).score(x, np.sin(3.0 * x[:, 0])) > 0.95)
        True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **MLP,
        "loss": [StrOptions({"squared_error", "poisson"}), callable],
    }

    def __init__(
        self, loss: Any = "squared_error", hidden_layer_sizes: Any = (100,), activation: Any = "relu", *,
        solver: Any = "adam", alpha: Any = 0.0001, batch_size: Any = "auto", learning_rate: Any = "constant",
        learning_rate_init: Any = 0.001, power_t: Any = 0.5, max_iter: Any = 200, shuffle: Any = True,
        random_state: Any = None, tol: Any = 1e-4, verbose: Any = False, warm_start: Any = False,
        momentum: Any = 0.9, nesterovs_momentum: Any = True, early_stopping: Any = False,
        validation_fraction: Any = 0.1, beta_1: Any = 0.9, beta_2: Any = 0.999, epsilon: Any = 1e-8,
        n_iter_no_change: Any = 10, max_fun: Any = 15000, dropout: Any = 0.0, backend: Any = None,
        dtype: Any = "auto", callbacks: Any = None,
    ) -> None:  # fmt: skip  # a line a parameter would be a page
        keep(self, locals())

    def _choose_loss(self) -> Any:
        if callable(self.loss):
            return self.loss
        return {"squared_error": own.half_squared_error, "poisson": own.half_poisson}[self.loss]

    partial_fit = available_if(Perceptron._is_stochastic)(Regressing.partial_fit)
