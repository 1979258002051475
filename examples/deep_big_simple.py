"""Plain networks of many wide layers, which never see the same digit twice: every epoch distorts them anew.

    python examples/deep_big_simple.py                          # reduced: minutes on two cores
    python examples/deep_big_simple.py --plot distorted.png     # and what it learns from
    python examples/deep_big_simple.py --recipe modern --backend gpu
    python examples/deep_big_simple.py --recipe paper --backend gpu

Ciresan, Meier, Gambardella, Schmidhuber, "Deep, big, simple neural nets for handwritten digit recognition"
(2010), had 0.35 % of errors with 784-2500-2000-1500-1000-500-10 after 114 hours on a GPU. `paper` is their
recipe: a step for each image, no momentum, a learning rate that shrinks by a factor each epoch. `modern` has
their widths with ReLU, batch norm and AdamW, `reduced` is that with fewer and narrower layers. All learn
from digits that are bent, turned and scaled at random before each epoch, on the network's own device.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import cos, pi
from pathlib import Path
from typing import Any

import numpy as np

import portnn as pn
from _arguments import add_data, checked, parser_of
from portnn.data import augment, load_mnist
from portnn.optim import Optimizer, adamw, sgd

BIG = (2500, 2000, 1500, 1000, 500)
# A digit is turned by up to 15 degrees; a 1 or a 7 by half of that, else one may become the other.
TURN = np.where(np.isin(np.arange(10), (1, 7)), 7.5, 15.0).astype(np.float32)
DISTORTION = {"scale": 0.175, "alpha": 37.0, "sigma": 5.5}
CHUNK = 250  # images distorted at once: places and fields of many more would take gigabytes


def tanh_of_the_paper(x: Any) -> Any:
    """LeCun's hyperbolic tangent, which maps 1 to about 1."""
    return pn.tanh(x * 0.6666) * 1.7159


def plain(width_in: int, width: int) -> list[Any]:
    """A layer as it was made in 2010."""
    small = pn.nn.init.uniform(-0.05, 0.05)
    return [pn.Linear(width_in, width, weight_init=small, bias_init=small), tanh_of_the_paper]


def normed(width_in: int, width: int) -> list[Any]:
    """A layer as it is made now."""
    return [pn.Linear(width_in, width, bias=False), pn.BatchNorm(width), pn.relu]


@dataclass(frozen=True)
class Recipe:
    """How to train; the learning rate is a function of how much of the training is done, from 0 to 1."""

    hidden: tuple[int, ...]
    layer: Callable[[int, int], list[Any]]
    epochs: int
    batch_size: int
    rate: Callable[[float], float]
    optimizer: Callable[[float], Optimizer] = adamw


RECIPES = {
    "reduced": Recipe((1000, 500), normed, 12, 128, lambda done: 1e-3 * (1 + cos(pi * done)) + 1e-6),
    "modern": Recipe(BIG, normed, 200, 256, lambda done: 5e-4 * (1 + cos(pi * done)) + 1e-6),
    "paper": Recipe(BIG, plain, 800, 1, lambda done: 1e-3 * 1e-3**done, sgd),
}


def make_network(recipe: Recipe, args: argparse.Namespace) -> pn.Network:
    """Pixels from -1 to 1, hidden layers, ten outputs."""
    widths = [784, *recipe.hidden]
    hidden = [part for pair in pairwise(widths) for part in recipe.layer(*pair)]
    layers = [pn.Flatten(), pn.Rescale(1 / 127.5, -1.0), *hidden, pn.Linear(widths[-1], 10)]
    return pn.Network(layers, loss=pn.losses.softmax_cross_entropy, backend=args.backend, seed=args.seed)


@pn.jit
def distort(key: Any, images: Any, turn: Any) -> Any:
    """Bent, turned and scaled images; each is interpolated once."""
    return augment.distort(key, images, angle=turn, **DISTORTION)


def distorted(key: Any, images: Any, turn: Any) -> Any:
    """All images, each distorted in a way of its own, on their device."""
    starts = range(0, images.shape[0], CHUNK)
    keys = pn.random.split(key, len(starts))
    parts = [slice(start, start + CHUNK) for start in starts]
    return pn.ops.concat([distort(k, images[p, ...], turn[p]) for k, p in zip(keys, parts, strict=True)])


def train(
    network: pn.Network, recipe: Recipe, data: Any, test: Any, args: argparse.Namespace
) -> dict[str, Any]:
    """For each epoch: distort, go through what comes out once, and see how good the network is."""
    images, labels, turn = (network.backend.asarray(a) for a in (*data, TURN[data[1]]))
    key = pn.random.key(args.seed, 1, like=network.backend)
    history: dict[str, list[float]] = {}
    for epoch in range(args.epochs):
        with network.backend.activate():
            x = distorted(pn.random.fold_in(key, epoch), images, turn)
        now = network.fit(
            x,
            labels,
            epochs=1,
            batch_size=args.batch_size,
            optimizer=recipe.optimizer(recipe.rate(epoch / max(1, args.epochs - 1))),
            validation_data=test,
            progress=False,
        )
        for name, values in now.items():
            history.setdefault(name, []).extend(values)
        last = {name.replace("val_", "test "): values[-1] for name, values in history.items()}
        print(f"epoch {epoch + 1:3d}: " + ", ".join(f"{n} {v:.4f}" for n, v in last.items()), flush=True)
    return history


def draw(file: Path, images: Any, labels: Any, seed: int) -> None:
    """The first ten training digits, each above five of the forms in which it is learnt."""
    first = images[:10]
    rows = [distorted(pn.random.key(seed, 1, epoch), first, TURN[labels[:10]]) for epoch in range(5)]
    title = "Digits as they are (first row), and as the network met them in its first five epochs"
    figure = pn.plot.images(np.concatenate([first, *rows]), columns=10, title=title)
    figure.savefig(file, dpi=64)
    print(f"the picture is in {file}")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = parser_of(__doc__, plot="distorted digits")
    add_data(parser)
    parser.add_argument("--recipe", choices=RECIPES, default="reduced", help="default: reduced")
    parser.add_argument("--epochs", type=int, metavar="N", help="default: what the recipe says")
    parser.add_argument("--batch-size", type=int, metavar="N", help="default: what the recipe says")
    parser.add_argument("--quick", action="store_true", help="a few images only, to see that it runs")
    return checked(parser, argv, "epochs", "batch_size")


def main(argv: Sequence[str] | None = None) -> None:
    """Train, and print the test accuracy last."""
    args = parse(argv)
    recipe = RECIPES[args.recipe]
    few = 1000 if args.quick else None
    args.epochs = args.epochs or (1 if args.quick else recipe.epochs)
    args.batch_size = args.batch_size or recipe.batch_size
    network = make_network(recipe, args)
    print(network.summary((28, 28)), end="\n\n")
    images, labels = load_mnist(args.data, "train")
    data = images[:few], labels[:few]
    test_images, test_labels = load_mnist(args.data, "test")
    test = test_images[:few], test_labels[:few]
    if args.plot:
        draw(args.plot, images, labels, args.seed)
    train(network, recipe, data, test, args)
    print(f"test accuracy: {network.score(*test):.4f}")


if __name__ == "__main__":
    main()
