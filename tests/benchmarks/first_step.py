"""W6: a process that loads one library, takes one step of training, and says so.

Run as ``python -m tests.benchmarks.first_step LIBRARY``; it prints the loss. A batch of 64, 784-10-10. Each
makes its images itself, so that none imports more than it needs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

PIXELS, BATCH = 784, 64


def with_portnn() -> float:
    """`Network.fit` on one batch."""
    import numpy as np

    import portnn as pn

    x, y = np.full((BATCH, PIXELS), 7, dtype=np.uint8), np.arange(BATCH) % 10
    net = pn.Network([pn.Rescale(), pn.Linear(PIXELS, 10), pn.relu, pn.Linear(10, 10)])
    options = {"epochs": 1, "batch_size": BATCH, "optimizer": pn.optim.sgd(0.1)}
    return net.fit(x, y, progress=False, **options)["loss"][0]


def with_torch() -> float:
    """Modules, `backward`, an optimiser."""
    import torch

    x, y = torch.full((BATCH, PIXELS), 7, dtype=torch.uint8), torch.arange(BATCH) % 10
    model = torch.nn.Sequential(torch.nn.Linear(PIXELS, 10), torch.nn.ReLU(), torch.nn.Linear(10, 10))
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    loss = torch.nn.functional.cross_entropy(model(x.to(torch.float32) / 255), y)
    loss.backward()
    sgd.step()
    return float(loss)


def with_jax() -> float:
    """One call of a compiled step."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    x, y = np.full((BATCH, PIXELS), 7, dtype=np.uint8), np.arange(BATCH) % 10
    rng = np.random.default_rng(0)
    params = [
        ((rng.random(shape, dtype=np.float32) - 0.5) / 20, np.zeros(10, dtype=np.float32))
        for shape in ((PIXELS, 10), (10, 10))
    ]

    def objective(params: list, x: object, y: object) -> object:
        (w1, b1), (w2, b2) = params
        z = jnp.maximum(x.astype(jnp.float32) / 255 @ w1 + b1, 0) @ w2 + b2
        return -jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], axis=1).mean()

    @jax.jit
    def step(params: list, x: object, y: object) -> tuple:
        loss, gradients = jax.value_and_grad(objective)(params, x, y)
        return jax.tree.map(lambda p, g: p - 0.1 * g, params, gradients), loss

    params, loss = step(params, x, y)
    jax.block_until_ready(params)
    return float(loss)


def with_sklearn() -> float:
    """`partial_fit` of one batch."""
    import numpy as np
    from sklearn.neural_network import MLPClassifier

    x, y = np.full((BATCH, PIXELS), 7 / 255, dtype=np.float32), np.arange(BATCH) % 10
    options = {"solver": "sgd", "alpha": 0.0, "momentum": 0.0, "learning_rate_init": 0.1}
    classifier = MLPClassifier(hidden_layer_sizes=(10,), batch_size=BATCH, **options)
    classifier.partial_fit(x, y, classes=np.arange(10))
    return classifier.loss_


LIBRARIES: dict[str, Callable[[], float]] = {
    "portnn": with_portnn,
    "torch": with_torch,
    "jax": with_jax,
    "sklearn": with_sklearn,
}

if __name__ == "__main__":
    print(LIBRARIES[sys.argv[1]](), flush=True)
