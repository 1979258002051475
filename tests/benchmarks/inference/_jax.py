"""JAX with `jit` around the network."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.benchmarks.contenders import Task
from tests.benchmarks.contenders._jax import Jax
from tests.benchmarks.inference._base import Predictor


class JaxPredictor(Predictor, Jax):
    """One compiled function of parameters and images."""

    slug = "jax"
    title = "JAX jit"

    def load(self, task: Task) -> None:
        Jax.prepare(self, task)

    def compile(self) -> None:
        jnp = self.jax.numpy

        def answer(params: Any, x: Any) -> Any:
            for i, (w, b) in enumerate(params):
                x = (jnp.maximum(x, 0) if i else x) @ w + b
            return self.jax.nn.softmax(x)

        self.answer = self.jax.jit(answer)

    def predict(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(self.answer(self.params, x))
