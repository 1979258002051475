"""Tell by which angle a handwritten digit has been turned: a number instead of a class.

    python examples/regression_rotation.py                          # minutes on two cores
    python examples/regression_rotation.py --plot rotation.png      # predicted against true angles
    python examples/regression_rotation.py --backend gpu --epochs 30

Each digit of MNIST is turned by an angle drawn evenly from -45 to 45 degrees (bilinear interpolation). The
error cannot reach zero: people write with a slant of their own, and nothing tells it from a turn.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np

import portnn as pn
from _arguments import add_data, checked, parser_of
from portnn.data import augment, load_mnist

LIMIT = 45.0  # degrees
CHUNK = 500  # images turned at once: places of many more would take gigabytes


def turned(images: Any, seed: int, purpose: int) -> tuple[Any, Any]:
    """Images, each turned by an angle of its own, and the angles as a column."""
    angles = pn.random.stream(seed, purpose).uniform(-LIMIT, LIMIT, len(images)).astype(np.float32)
    rotate = pn.jit(augment.rotate)
    parts = [slice(i, i + CHUNK) for i in range(0, len(images), CHUNK)]
    return np.concatenate([rotate(images[part], angles[part]) for part in parts]), angles[:, None]


def convolution(n_in: int, n_out: int, kernel: int, stride: int = 1) -> list[Any]:
    """A convolution with what usually follows."""
    return [pn.Conv2d(n_in, n_out, kernel, stride=stride, bias=False), pn.BatchNorm(n_out), pn.relu]


def make_network(args: argparse.Namespace) -> pn.Network:
    """Three convolutions and two linear layers; one output, the angle in units of 45 degrees."""
    layers = [
        pn.Reshape((1, 28, 28)),
        pn.Rescale(),
        *convolution(1, 24, 5, stride=2),  # 12 x 12
        *convolution(24, 48, 3),  # 10 x 10
        pn.MaxPool2d(2),  # 5 x 5
        *convolution(48, 96, 3),  # 3 x 3
        pn.Flatten(),
        pn.Linear(96 * 9, 128),
        pn.relu,
        pn.Linear(128, 1),
    ]
    return pn.Network(layers, loss=pn.losses.squared_error, backend=args.backend, seed=args.seed)


def tell(epoch: pn.Epoch) -> None:
    """Print how an epoch went."""
    values = ", ".join(f"{name} {value:.4f}" for name, value in epoch.logs.items())
    print(f"epoch {epoch.number}/{epoch.total}: {values}", flush=True)


def train(network: pn.Network, images: Any, angles: Any, args: argparse.Namespace) -> None:
    """One cycle of the learning rate: up from little, then down to nearly nothing."""
    steps = args.epochs * ceil(len(images) / args.batch_size)
    network.fit(
        images,
        angles / LIMIT,
        epochs=args.epochs,
        batch_size=args.batch_size,
        optimizer=pn.optim.adamw(pn.optim.schedules.one_cycle(args.rate, max(2, steps))),
        callbacks=[tell],
    )


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = parser_of(__doc__, plot="predicted against true")
    add_data(parser)
    parser.add_argument("--turns", type=int, default=3, metavar="N", help="angles for each training image")
    parser.add_argument("--epochs", type=int, default=3, metavar="N")
    parser.add_argument("--batch-size", type=int, default=128, metavar="N")
    parser.add_argument("--rate", type=float, default=4e-3, help="the largest learning rate")
    parser.add_argument("--quick", action="store_true", help="a few images only, to see that it runs")
    return checked(parser, argv, "turns", "epochs", "batch_size")


def main(argv: Sequence[str] | None = None) -> None:
    """Train, and print the error in degrees and the share of the variance that is explained last."""
    args = parse(argv)
    few = 1024 if args.quick else None
    if args.quick:
        args.turns, args.epochs = 1, 1
    network = make_network(args)
    print(network.summary((28, 28)), end="\n\n")
    upright = load_mnist(args.data, "train")[0][:few]
    images, angles = turned(np.tile(upright, (args.turns, 1, 1)), args.seed, 1)
    test_images, test_angles = turned(load_mnist(args.data, "test")[0][:few], 0, 2)
    train(network, images, angles, args)

    predicted = network.predict(test_images) * LIMIT
    if args.plot:
        title = "By which angle test digits were turned, and what the network says"
        pn.plot.predictions(test_angles, predicted, unit="degrees", title=title).savefig(args.plot, dpi=90)
        print(f"the picture is in {args.plot}")
    rmse = pn.metrics.root_mean_squared_error(test_angles, predicted)
    print(f"root mean squared error: {float(rmse):.2f} degrees")
    print(f"R2: {float(pn.metrics.r2(test_angles, predicted)):.4f}")


if __name__ == "__main__":
    main()
