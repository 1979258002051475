"""scikit-learn's estimators over portnn's networks: ``pip install "portnn[sklearn]"``.

`MLPClassifier` and `MLPRegressor` take what scikit-learn's own take, by the same names and with the same
meaning, and more besides; `NetworkClassifier` and `NetworkRegressor` make an estimator of any network.

    >>> from sklearn.datasets import load_iris
    >>> from portnn.estimators import MLPClassifier
    >>> x, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier((8,), batch_size=50, learning_rate_init=0.05, random_state=0).fit(x, y)
    >>> bool(model.score(x, y) > 0.95)
    True

With ``sklearn.set_config(array_api_dispatch=True)`` everything follows X: answers and fitted arrays are of
the library of X and lie on its device.
"""

from importlib import import_module

try:
    import_module("sklearn.callback")  # asked for here, so that one error says what is missing
except ModuleNotFoundError as error:
    raise ImportError('portnn.estimators needs scikit-learn 1.9: pip install "portnn[sklearn]"') from error

from portnn.estimators._mlp import MLPClassifier, MLPRegressor
from portnn.estimators._network import NetworkClassifier, NetworkRegressor

__all__ = ["MLPClassifier", "MLPRegressor", "NetworkClassifier", "NetworkRegressor"]
