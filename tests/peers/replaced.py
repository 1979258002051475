"""A plugin of pytest that puts portnn's perceptrons in the place of scikit-learn's."""

from __future__ import annotations

import sklearn.neural_network

from portnn import estimators

for name in ("MLPClassifier", "MLPRegressor"):
    setattr(sklearn.neural_network, name, getattr(estimators, name))
