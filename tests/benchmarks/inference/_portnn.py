"""portnn's `Network.predict_proba`."""

from __future__ import annotations

import numpy as np

from tests.benchmarks.contenders import Task
from tests.benchmarks.contenders._portnn import make_network
from tests.benchmarks.inference._base import Predictor


class PortnnPredictor(Predictor):
    """Checks of the input are part of the time."""

    slug = "portnn"
    title = "portnn"
    packages = ("portnn",)
    devices = ("cpu", "gpu")

    @classmethod
    def thread_choices(cls, device: str) -> tuple[int | None, ...]:
        return (None,)

    def load(self, task: Task) -> None:
        import portnn as pn

        self.net = make_network(pn, task, self.device)

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.net.predict_proba(x)

    def synchronize(self) -> None:
        self.net.backend.synchronize()
