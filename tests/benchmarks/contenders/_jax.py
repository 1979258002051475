"""What the contenders of JAX share: data, parameters, one step as a function."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.benchmarks.contenders._base import LEARNING_RATE, Contender, Task, UnavailableError

PRECISIONS = {"float32": "highest", "tf32": "tensorfloat32", "bfloat16": "highest"}


class Jax(Contender):
    """Data and parameters on one device, and a step that finds its batch in a table of indices there."""

    packages = ("jax",)
    devices = ("cpu", "gpu")
    precisions = ("float32", "tf32", "bfloat16")
    threads_at_start = True

    @classmethod
    def environment(cls, threads: int | None) -> dict[str, str]:
        """XLA takes the size of its pool of threads from NPROC, once."""
        return {} if threads is None else {"NPROC": str(threads)}

    def __init__(self, device: str) -> None:
        super().__init__(device)
        import jax

        try:
            jax.config.update("jax_default_device", jax.devices(device)[0])
        except RuntimeError as error:
            raise UnavailableError(f"jax for {device}: {error}") from None
        self.jax = jax

    def use_threads(self, threads: int | None) -> None:
        """Nothing: its process was started with them."""

    def prepare(self, task: Task) -> None:
        jnp = self.jax.numpy
        self.jax.config.update("jax_default_matmul_precision", PRECISIONS[task.precision])
        self.kind = jnp.bfloat16 if task.precision == "bfloat16" else jnp.float32
        self.images = jnp.asarray(task.images)
        self.labels = jnp.asarray(task.labels.astype(np.int32))
        self.params = [tuple(jnp.array(a) for a in pair) for pair in task.weights]
        self.compile()

    def compile(self) -> None:
        """Wrap `step` in what the contender is about."""
        raise NotImplementedError

    def objective(self, params: Any, x: Any, y: Any) -> Any:
        """The loss; with bfloat16 layers compute in it, and parameters and loss stay float32."""
        jnp, x = self.jax.numpy, x.astype(self.kind)
        for i, (w, b) in enumerate(params):
            x = jnp.maximum(x, 0) if i else x
            x = x @ w.astype(self.kind) + b.astype(self.kind)
        scores = self.jax.nn.log_softmax(x.astype(jnp.float32))
        return -jnp.take_along_axis(scores, y[:, None], axis=1).mean()

    def step(self, params: Any, images: Any, labels: Any, rows: Any) -> tuple[Any, Any]:
        """Parameters after one step, and the loss."""
        jnp = self.jax.numpy
        if rows is not None:
            images, labels = jnp.take(images, rows, axis=0), jnp.take(labels, rows, axis=0)
        if images.dtype == jnp.uint8:
            images = images.astype(jnp.float32) * np.float32(1 / 255)
        loss, gradients = self.jax.value_and_grad(self.objective)(params, images, labels)
        after = self.jax.tree.map(lambda p, g: p - np.float32(LEARNING_RATE) * g, params, gradients)
        return after, loss
