"""Say which digits a picture shows when two lie over each other: several labels for one picture.

    python examples/multilabel_digits.py                          # a quarter of an hour on two cores
    python examples/multilabel_digits.py --plot multilabel.png    # pictures with the network's answers
    python examples/multilabel_digits.py --backend gpu --epochs 12

Two digits of MNIST are laid at random places on a canvas of 36 x 36 pixels, moved by at least 8 pixels
against each other (`--apart 0` is much harder); where they meet, the darker ink is seen. Pictures for
training are made of MNIST's training images, those for the test of its test images. Ten sigmoids answer
ten questions: is there a 0, is there a 1, ... Where both digits are the same, one answer is yes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

import portnn as pn
from _arguments import add_data, checked, parser_of
from portnn.data import load_mnist, overlay

SIDE = 36


def pairs(args: argparse.Namespace, split: str, n: int, rng: Any) -> tuple[Any, Any]:
    """Pictures of two digits, and which digits they show."""
    images, labels = load_mnist(args.data, split)
    return overlay(images, labels, n, rng=rng, size=(SIDE, SIDE), apart=args.apart)


def convolution(n_in: int, n_out: int, kernel: int, stride: int = 1) -> list[Any]:
    """A convolution with what usually follows."""
    return [pn.Conv2d(n_in, n_out, kernel, stride=stride, bias=False), pn.BatchNorm(n_out), pn.relu]


def make_network(args: argparse.Namespace) -> pn.Network:
    """Three convolutions and two linear layers; the loss makes ten yes-or-no questions of the outputs."""
    layers = [
        pn.Reshape((1, SIDE, SIDE)),
        pn.Rescale(),
        *convolution(1, 24, 5, stride=2),  # 16 x 16
        *convolution(24, 48, 3),  # 14 x 14
        pn.MaxPool2d(2),  # 7 x 7
        *convolution(48, 96, 3),  # 5 x 5
        pn.Flatten(),
        pn.Linear(96 * 25, 256),
        pn.relu,
        pn.Dropout(0.2),
        pn.Linear(256, 10),
    ]
    loss = pn.losses.sigmoid_cross_entropy
    return pn.Network(layers, loss=loss, backend=args.backend, seed=args.seed)


def tell(epoch: pn.Epoch) -> None:
    """Print how an epoch went."""
    values = ", ".join(f"{name} {value:.4f}" for name, value in epoch.logs.items())
    print(f"epoch {epoch.number}/{epoch.total}: {values}", flush=True)


def train(network: pn.Network, pictures: Any, shown: Any, args: argparse.Namespace) -> None:
    """One cycle of the learning rate: up from little, then down to nearly nothing."""
    steps = args.epochs * ceil(len(pictures) / args.batch_size)
    optimizer = pn.optim.adamw(pn.optim.schedules.one_cycle(args.rate, max(2, steps)))
    network.fit(
        pictures,
        shown,
        epochs=args.epochs,
        batch_size=args.batch_size,
        optimizer=optimizer,
        callbacks=[tell],
    )


def digits(row: Any) -> str:
    """The digits that a row of yes and no names."""
    return " ".join(str(digit) for digit in np.flatnonzero(row)) or "none"


def draw(file: Path, pictures: Any, shown: Any, answers: Any) -> None:
    """Two rows of pictures as they come, and two of mistakes."""
    wrong = np.flatnonzero((shown != answers).any(axis=1))[:20]
    rows = [*range(min(20, len(pictures))), *wrong.tolist()]
    captions = [
        digits(shown[i]) if i not in wrong else f"{digits(shown[i])} → {digits(answers[i])}" for i in rows
    ]
    figure = pn.plot.images(
        pictures[rows],
        captions,
        marked=[i in wrong for i in rows],
        columns=10,
        title="What the network sees in test pictures; below, mistakes: truth → answer",
    )
    figure.savefig(file, dpi=80)
    print(f"the picture is in {file}")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = parser_of(__doc__, plot="pictures and answers")
    add_data(parser)
    parser.add_argument("--pictures", type=int, default=250_000, metavar="N", help="how many to train on")
    parser.add_argument("--apart", type=float, default=8.0, help="pixels from digit to digit, at least")
    parser.add_argument("--epochs", type=int, default=5, metavar="N")
    parser.add_argument("--batch-size", type=int, default=128, metavar="N")
    parser.add_argument("--rate", type=float, default=4e-3, help="the largest learning rate")
    parser.add_argument("--quick", action="store_true", help="a few pictures only, to see that it runs")
    return checked(parser, argv, "pictures", "epochs", "batch_size")


def main(argv: Sequence[str] | None = None) -> None:
    """Train, and print how many test pictures are wholly right last."""
    args = parse(argv)
    if args.quick:
        args.pictures, args.epochs = 768, 1
    network = make_network(args)
    print(network.summary((SIDE, SIDE)), end="\n\n")
    pictures, shown = pairs(args, "train", args.pictures, pn.random.stream(args.seed, 1))
    test_pictures, test_shown = pairs(args, "test", 500 if args.quick else 10_000, pn.random.stream(0, 2))
    train(network, pictures, shown, args)

    probabilities = network.predict_proba(test_pictures)
    answers = (probabilities > 0.5).astype(np.uint8)
    each = pn.metrics.average_precision(test_shown, probabilities, average=None)
    print("average precision of 0 to 9:", " ".join(f"{p:.4f}" for p in each.tolist()))
    if args.plot:
        draw(args.plot, test_pictures, test_shown, answers)
    print(f"mean average precision: {float(each.mean()):.4f}")
    print(f"exact match: {float(pn.metrics.accuracy(test_shown, answers)):.4f}")


if __name__ == "__main__":
    main()
