"""Learn to read handwritten digits, on any backend.

    python examples/digits.py                       # trains in seconds, prints the test accuracy
    python examples/digits.py --backend gpu         # the same on a GPU
    python examples/digits.py --recipe article      # the whole training set at each step, 1000 steps
    python examples/digits.py --recipe best --plot digits.png --save digits.safetensors

Every recipe is a network of fully connected layers; the images are 28 x 28 pixels, 784 numbers each.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

import portnn as pn
from _arguments import add_data, checked, parser_of
from portnn.data import load_mnist
from portnn.losses import Loss, Task, sigmoid_cross_entropy, softmax_cross_entropy
from portnn.optim import Optimizer, adamw, schedules, sgd


@dataclass(frozen=True)
class Recipe:
    """How to train; the optimiser is made when the number of steps is known."""

    hidden: tuple[int, ...]
    epochs: int
    batch_size: int | None
    optimizer: Callable[[int], Optimizer]
    label_smoothing: float = 0.0
    shifted: bool = False  # whether to learn each image in nine positions, one pixel apart
    lines: int = 20  # how many lines of progress to print at most


RECIPES = {
    "article": Recipe((10,), 1000, None, lambda steps: sgd(0.1)),
    "minibatch": Recipe((10,), 20, 64, lambda steps: sgd(schedules.cosine(0.1, steps))),
    "best": Recipe(
        (512, 256), 4, 256, lambda steps: adamw(schedules.one_cycle(3e-3, max(steps, 2))), 0.1, shifted=True
    ),
}


def one_against_rest(logits: Any, labels: Any, **options: Any) -> Any:
    """Ten yes-or-no questions for each image: the sum of their cross-entropies, each through a sigmoid."""
    classes = pn.ops.arange(logits.shape[-1], dtype="int32", like=logits)
    one_hot = pn.ops.equal(pn.ops.expand_dims(labels, axis=-1), classes)
    # The loss is a mean over images and classes; its sum over the classes is ten times that.
    return sigmoid_cross_entropy(logits, one_hot, **options) * logits.shape[-1]


def make_loss(output: str, label_smoothing: float) -> Any:
    """What to minimise, and by that what the ten outputs mean."""
    if output == "sigmoid":
        return Loss(one_against_rest, task=Task.CLASSES, link=pn.sigmoid)
    return partial(softmax_cross_entropy, label_smoothing=label_smoothing)


def make_network(recipe: Recipe, args: argparse.Namespace) -> pn.Network:
    """Linear layers with ReLU between them; bytes become numbers from 0 to 1 on the way in."""
    front = [pn.Flatten()] if recipe.batch_size is None else [pn.Flatten(), pn.Rescale()]
    return pn.Network(
        [*front, *pn.MLP([784, *recipe.hidden, 10]).layers],
        loss=make_loss(args.output, recipe.label_smoothing),
        backend=args.backend,
        seed=args.seed,
    )


def prepare(recipe: Recipe, images: Any) -> Any:
    """Pixels as the network takes them.

    Mini-batches stay bytes until their turn comes. For full batches the numbers are made once: it would
    be the same work in each of a thousand steps.
    """
    return images if recipe.batch_size else images.astype(np.float32) / 255


def shift(images: Any, labels: Any) -> tuple[Any, Any]:
    """Each image in nine positions: moved by one pixel or not, up or down, left or right."""
    framed = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    corners = [(i, j) for i in range(3) for j in range(3)]
    return np.concatenate([framed[:, i : i + 28, j : j + 28] for i, j in corners]), np.tile(labels, 9)


def report(epoch: pn.Epoch, *, every: int, unit: str) -> None:
    """Print a line after some of the epochs, the first and the last among them."""
    if epoch.number == 1 or epoch.number % every == 0 or epoch.number == epoch.total:
        values = ", ".join(f"{name.replace('val_', 'test ')} {x:.4f}" for name, x in epoch.logs.items())
        print(f"{unit} {epoch.number:4d}/{epoch.total}: {values}", flush=True)


def print_answer(network: pn.Network, image: Any, label: int) -> None:
    """A row for each digit: how probable the network finds it."""
    print(f"\nthe first test image is a {label}; the network says")
    for digit, p in enumerate(network.predict_proba(image[None])[0].tolist()):
        print(f"  {digit}  {p:8.4%}  {'#' * round(40 * p)}".rstrip())


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = parser_of(__doc__, plot="curves and mistakes")
    add_data(parser)
    parser.add_argument("--recipe", choices=RECIPES, default="minibatch", help="default: minibatch")
    parser.add_argument("--output", choices=["softmax", "sigmoid"], default="softmax")
    parser.add_argument("--epochs", type=int, metavar="N", help="default: what the recipe says")
    parser.add_argument("--samples", type=int, metavar="N", help="train on the first N images only")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the network to .safetensors")
    return checked(parser, argv, "epochs", "samples")


def train(
    network: pn.Network, recipe: Recipe, epochs: int, images: Any, labels: Any, test: tuple[Any, Any]
) -> pn.History:
    """Train as the recipe says; in a full batch an epoch is a single step, and called an iteration."""
    if recipe.shifted:
        images, labels = shift(images, labels)
    full = recipe.batch_size is None
    steps = epochs * ceil(len(labels) / (recipe.batch_size or len(labels)))
    every = max(1, epochs // recipe.lines)
    return network.fit(
        prepare(recipe, images),
        labels,
        epochs=epochs,
        batch_size=recipe.batch_size,
        optimizer=recipe.optimizer(steps),
        validation_data=None if full else test,
        callbacks=[partial(report, every=every, unit="iteration" if full else "epoch")],
        progress=False,
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Train, show, and print the test accuracy last."""
    args = parse(argv)
    recipe = RECIPES[args.recipe]
    network = make_network(recipe, args)
    print(network.summary((28, 28)), end="\n\n")
    images, labels = load_mnist(args.data, "train")
    test_images, test_labels = load_mnist(args.data, "test")
    test = prepare(recipe, test_images), test_labels

    epochs = recipe.epochs if args.epochs is None else args.epochs
    history = train(network, recipe, epochs, images[: args.samples], labels[: args.samples], test)
    print_answer(network, test[0][0], int(test_labels[0]))

    if args.plot:
        probabilities = network.predict_proba(test[0])
        figure = pn.plot.digits_report(history, test_images, test_labels, probabilities)
        figure.savefig(args.plot)
        print(f"\nthe picture is in {args.plot}")
    if args.save:
        network.save(args.save)
        print(f"\nthe network is in {args.save}")
    print(f"\ntest accuracy: {network.score(*test):.4f}")


if __name__ == "__main__":
    main()
