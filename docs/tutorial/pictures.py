"""Draw the pictures of the tutorial: ``python docs/tutorial/pictures.py`` (it needs matplotlib)."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import portnn as pn
from portnn import plot

HERE = Path(__file__).parent
DATA = HERE.parents[1] / "examples" / "data" / "mnist"
BLUE, RED, GREY = "#0072B2", "#D55E00", "#777777"  # Okabe and Ito, Color Universal Design (2008)


def rows(split: str, count: int | None = None) -> tuple[Any, Any]:
    """Images as rows of numbers from 0 to 1, and labels."""
    images, labels = pn.data.load_mnist(DATA, split)
    return images[:count].reshape(-1, 784).astype(np.float32) / 255, labels[:count]


def new(width: float, height: float) -> Figure:
    """An empty figure."""
    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def bare(axes: Any) -> None:
    """Leave the two lines that are axes."""
    axes.spines[["top", "right"]].set_visible(False)


def show_weights(axes: Any, w: Any, title: str) -> None:
    """784 weights as an image: blue positive, red negative."""
    top = np.abs(w).max()
    axes.imshow(w.reshape(28, 28), cmap="RdBu", vmin=-top, vmax=top)
    axes.set_title(title, fontsize=9)
    axes.set_xticks([])
    axes.set_yticks([])


def digits() -> Figure:
    """The first twelve digits."""
    images, labels = pn.data.load_mnist(DATA, "train")
    return plot.images(images[:12], [str(n) for n in labels[:12]], columns=6)


def neuron() -> Figure:
    """Two means and their difference."""
    x, y = rows("train")
    zero, other = x[y == 0].mean(axis=0), x[y != 0].mean(axis=0)
    figure = new(6.4, 2.4)
    left, middle, right = figure.subplots(1, 3)
    for axes, picture, title in ((left, zero, "mean zero"), (middle, other, "mean of the others")):
        axes.imshow(picture.reshape(28, 28), cmap="gray_r", vmin=0, vmax=1)
        axes.set_title(title, fontsize=9)
        axes.set_xticks([])
        axes.set_yticks([])
    show_weights(right, zero - other, "weights: the difference")
    return figure


def activations() -> Figure:
    """Three activations, and their slopes."""
    z = np.linspace(-4, 4, 401)
    s = 1 / (1 + np.exp(-z))
    curves = {
        "ReLU": (np.maximum(z, 0), np.where(z > 0, 1.0, 0.0)),
        "sigmoid": (s, s * (1 - s)),
        "tanh": (np.tanh(z), 1 - np.tanh(z) ** 2),
    }
    figure = new(6.4, 3.4)
    grid = figure.subplots(2, 3, sharex=True, sharey="row")
    for (above, below), (name, (value, slope)) in zip(grid.T, curves.items(), strict=True):
        above.plot(z, value, color=BLUE)
        below.plot(z, slope, color=RED, linestyle="--")
        above.set_title(name, fontsize=10)
        below.set_xlabel("z")
        for axes in (above, below):
            axes.axhline(0, color=GREY, linewidth=0.5)
            bare(axes)
    grid[0, 0].set_ylim(-1.2, 2.2)
    grid[0, 0].set_ylabel("activation")
    grid[1, 0].set_ylabel("slope")
    return figure


def cross_entropy() -> Figure:
    """The loss over the probability of the right digit."""
    p = np.linspace(0.005, 1, 400)
    figure = new(4.6, 2.8)
    axes = figure.subplots()
    axes.plot(p, -np.log(p), color=BLUE)
    for at, text in ((0.1, "0.1: a guess, 2.3"), (0.5, "0.5: 0.69"), (1.0, "1: nothing")):
        axes.plot(at, -np.log(at), "o", color=RED)
        axes.annotate(
            text, (at, -np.log(at)), (at - (0.17 if at == 1 else -0.03), 0.25 - np.log(at)), fontsize=9
        )
    axes.set(xlabel="probability of the right digit", ylabel="loss, -log p", xlim=(0, 1.05), ylim=(0, 5.4))
    bare(axes)
    return figure


def downhill() -> Figure:
    """The loss of the page over one weight, and four points of the walk."""

    def loss(w: Any) -> Any:
        first, second = w - 0.4, 0.3 + 0.8
        return np.log(np.exp(first) + np.exp(second)) - first

    path = [0.5]
    for _ in range(3):
        slope = (loss(path[-1] + 0.001) - loss(path[-1] - 0.001)) / 0.002
        path.append(path[-1] - slope)
    w = np.linspace(-0.5, 3.5, 200)
    figure = new(4.6, 2.8)
    axes = figure.subplots()
    axes.plot(w, loss(w), color=BLUE)
    axes.plot(path, [loss(v) for v in path], "o--", color=RED)
    for i, v in enumerate(path):
        axes.annotate(str(i), (v, loss(v)), (v + 0.05, loss(v) + 0.08), fontsize=9)
    axes.set(xlabel="the weight w", ylabel="loss", ylim=(0, 2.2))
    bare(axes)
    return figure


def learning() -> Figure:
    """The curve of the page, and the ten hidden neurons."""
    x, labels = rows("train", 3000)
    rng = pn.random.stream(0)
    params = {}
    for layer, inputs in ((1, 784), (2, 10)):
        a = np.sqrt(6 / inputs)
        params[f"w{layer}"] = rng.uniform(-a, a, (inputs, 10)).astype(np.float32)
        params[f"b{layer}"] = np.zeros(10, dtype=np.float32)

    def loss(p: Any) -> Any:
        h = pn.relu(pn.ops.linear(x, p["w1"], p["b1"]))
        return pn.losses.softmax_cross_entropy(pn.ops.linear(h, p["w2"], p["b2"]), labels.astype(np.int32))

    first, curve = params["w1"], []
    for _ in range(200):
        value, gradient = pn.value_and_grad(loss)(params)
        params = {name: p - 0.1 * gradient[name] for name, p in params.items()}
        curve.append(float(value))
    figure = new(8.0, 2.8)
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.7))
    axes = left.subplots()
    axes.plot(range(1, 201), curve, color=BLUE)
    axes.axhline(np.log(10), color=GREY, linewidth=0.8, linestyle=":")
    axes.text(200, np.log(10) + 0.03, "guessing: 2.30", ha="right", fontsize=8, color=GREY)
    axes.set(xlabel="step", ylabel="loss", ylim=(0, 2.6))
    bare(axes)
    # What was learned: the weights less the noise that they began with.
    for i, one in enumerate(right.subplots(2, 5).flat):
        show_weights(one, (params["w1"] - first)[:, i], f"neuron {i}")
    return figure


def main() -> None:
    """Draw all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=HERE / "images", metavar="FOLDER")
    folder = parser.parse_args().output
    for draw in (digits, neuron, activations, cross_entropy, downhill, learning):
        draw().savefig(folder / f"{draw.__name__}.png", dpi=110)


if __name__ == "__main__":
    main()
