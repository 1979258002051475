"""JAX with the whole run in one call: `lax.scan` over the batches."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.benchmarks.contenders._base import Order
from tests.benchmarks.contenders._jax import Jax


class JaxScan(Jax):
    """No host at all between the steps."""

    slug = "jax-scan"
    title = "JAX scan, all in a call"

    def compile(self) -> None:
        def epoch(params: Any, images: Any, labels: Any, table: Any, count: int) -> Any:
            def step(params: Any, rows: Any) -> Any:
                return self.step(params, images, labels, rows)

            params, losses = self.jax.lax.scan(step, params, table, length=count)
            return params, losses.mean()

        self.compiled = self.jax.jit(epoch, static_argnums=4, donate_argnums=0)

    def run(self, order: Order) -> float:
        jnp = self.jax.numpy
        table = None if order.indices is None else jnp.asarray(order.indices.astype(np.int32))
        self.params, loss = self.compiled(self.params, self.images, self.labels, table, order.count)
        self.jax.block_until_ready(self.params)
        return float(loss)
