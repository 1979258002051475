"""A training loop of one's own: parameters, gradients and updates in plain sight, on any backend.

    python examples/custom_loop.py
    python examples/custom_loop.py --backend jax

`Network.fit` does the same in one call. Write a loop when you want what `fit` does not do: here the size
of the gradient is measured at each step.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import portnn as pn
from portnn.data import load_mnist

DATA = Path(__file__).parent / "data" / "mnist"


def train(backend: pn.Backend, model: pn.Layer, x: Any, y: Any, args: argparse.Namespace) -> Any:
    """Train and return the parameters: a tree of arrays, here a tuple with a dictionary for each layer."""
    # A layer holds no arrays. Its parameters are drawn on the host, then moved to where the work is done.
    params = pn.tree.map(backend.asarray, model.init(pn.random.stream(args.seed)))
    optimizer = pn.optim.adam(1e-3)
    state = optimizer.init(params)

    def objective(params: Any, x: Any, y: Any) -> Any:
        return pn.losses.softmax_cross_entropy(model.apply(params, x), y)

    @pn.jit  # written down once for each size of batch, then carried out as a plan
    def step(params: Any, state: Any, x: Any, y: Any) -> Any:
        loss, gradient = pn.value_and_grad(objective)(params, x, y)
        updates, state = optimizer.update(gradient, state, params)
        return pn.optim.apply_updates(params, updates), state, loss, pn.optim.global_norm(gradient)

    for epoch in range(1, args.epochs + 1):
        losses, sizes = [], []
        for images, labels in pn.train.batches((x, y), args.batch_size, seed=args.seed, epoch=epoch):
            params, state, loss, size = step(params, state, images, labels)
            # Arrays, not numbers: reading a number would make a GPU wait at each step.
            losses.append(loss)
            sizes.append(size)
        mean_loss, mean_size = (float(pn.ops.mean(pn.ops.stack(values))) for values in (losses, sizes))
        print(f"epoch {epoch}: loss {mean_loss:.4f}, size of the gradient {mean_size:.3f}", flush=True)
    return params


def main(argv: Sequence[str] | None = None) -> None:
    """Train a network without `Network`, and print the test accuracy last."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backend", default="cpu", metavar="NAME", help="cpu, gpu, auto, torch, jax, ...")
    parser.add_argument("--data", type=Path, default=DATA, metavar="DIR")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--samples", type=int, metavar="N", help="train on the first N images only")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)

    try:
        backend = pn.get_backend(args.backend)
    except (pn.BackendUnavailableError, ValueError) as error:
        parser.error(str(error))
    model = pn.Sequential([pn.Flatten(), pn.Rescale(), pn.Linear(784, 64), pn.relu, pn.Linear(64, 10)])
    with backend.activate():
        x, y = (backend.asarray(a[: args.samples]) for a in load_mnist(args.data, "train"))
        test_x, test_y = (backend.asarray(a) for a in load_mnist(args.data, "test"))
        params = train(backend, model, x, y, args)
        answers = pn.ops.argmax(model.apply(params, test_x), axis=-1)
        print(f"test accuracy: {float(pn.metrics.accuracy(test_y, answers)):.4f}")


if __name__ == "__main__":
    main()
