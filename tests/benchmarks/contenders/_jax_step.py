"""JAX with `jit` around one step, called once a step."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.benchmarks.contenders._base import Order
from tests.benchmarks.contenders._jax import Jax


class JaxStep(Jax):
    """The host passes nothing but arrays that are there already, and their memory is given back at once."""

    slug = "jax"
    title = "JAX jit, a step a call"

    def compile(self) -> None:
        def step(params: Any, total: Any, count: Any, table: Any, images: Any, labels: Any) -> Any:
            rows = None if table is None else table[count]
            params, loss = self.step(params, images, labels, rows)
            return params, total + loss, count + 1

        self.compiled = self.jax.jit(step, donate_argnums=(0, 1, 2))

    def run(self, order: Order) -> float:
        jnp = self.jax.numpy
        table = None if order.indices is None else jnp.asarray(order.indices.astype(np.int32))
        total, count = jnp.zeros(()), jnp.zeros((), dtype=jnp.int32)
        for _ in range(order.count):
            self.params, total, count = self.compiled(
                self.params, total, count, table, self.images, self.labels
            )
        self.jax.block_until_ready(self.params)
        return float(total) / order.count
