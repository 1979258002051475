"""scikit-learn's `MLPClassifier.predict_proba`."""

from __future__ import annotations

import numpy as np

from tests.benchmarks.contenders import Task
from tests.benchmarks.contenders._sklearn import make_classifier
from tests.benchmarks.inference._base import Predictor


class SklearnPredictor(Predictor):
    """A classifier with the trained parameters."""

    slug = "sklearn"
    title = "scikit-learn"
    packages = ("sklearn", "threadpoolctl")

    def load(self, task: Task) -> None:
        self.classifier = make_classifier(task)

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.classifier.predict_proba(x)
