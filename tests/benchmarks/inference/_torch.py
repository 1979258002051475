"""PyTorch in inference mode, eager and compiled."""

from __future__ import annotations

import numpy as np

from tests.benchmarks.contenders import Task
from tests.benchmarks.contenders._torch_module import TorchModule
from tests.benchmarks.inference._base import Predictor


class TorchPredictor(Predictor, TorchModule):
    """The model and a softmax."""

    slug = "torch"
    title = "PyTorch"

    def load(self, task: Task) -> None:
        TorchModule.prepare(self, task)
        self.answer = self.wrap(self.model)

    def wrap(self, model: object) -> object:
        """The model as it is called."""
        return model

    def predict(self, x: np.ndarray) -> np.ndarray:
        torch = self.torch
        with torch.inference_mode():
            return torch.softmax(self.answer(torch.from_numpy(x).to(self.place)), dim=1).cpu().numpy()


class TorchCompilePredictor(TorchPredictor):
    """The same with the model compiled."""

    slug = "torch-compile"
    title = "PyTorch, compiled"

    def wrap(self, model: object) -> object:
        self.torch._dynamo.reset()
        return self.torch.compile(model)
