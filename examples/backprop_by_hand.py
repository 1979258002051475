"""Backpropagation written out: how a network of two layers learns, in plain array functions.

    python examples/backprop_by_hand.py
    python examples/backprop_by_hand.py --backend torch

The network reads an image of a digit, 784 numbers, and gives ten probabilities:

    x --(w1, b1)--> z1 --ReLU--> h --(w2, b2)--> z2 --softmax--> p        loss = -log p[the right digit]

Nothing below `forward` and `backward` is hidden in a library: every step is a function of the Array API
standard, so the same lines run on NumPy, CuPy, PyTorch and JAX. portnn is used for two things only: to read
the data, and to compute the same gradient by itself, which is compared with ours all along.

A row is an image here: x has the shape (n, 784), and a layer is x @ w. Many articles let a column be an
image, x of shape (784, n), and write w @ x. That is the same calculation with every matrix turned over.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from math import sqrt
from pathlib import Path
from typing import Any

import portnn as pn
from portnn.data import load_mnist

DATA = Path(__file__).parent / "data" / "mnist"
RATE = 0.1  # how far to walk downhill at each step
TOLERANCE = 1e-5  # float32 keeps seven digits; sums over thousands of images lose one or two

Params = dict[str, Any]


def initial(backend: pn.Backend, seed: int, hidden: int = 10) -> Params:
    """Small random weights, and biases of zero.

    Were all weights equal, all hidden units would learn the same thing forever. He's rule draws them from
    -a to a with a = sqrt(6 / inputs), which keeps numbers about as large behind a ReLU as in front of it.
    """
    rng = pn.random.stream(seed)
    params = {}
    for layer, n_in, n_out in ((1, 784, hidden), (2, hidden, 10)):
        a = sqrt(6 / n_in)
        params[f"w{layer}"] = backend.asarray(rng.uniform(-a, a, (n_in, n_out)), dtype="float32")
        params[f"b{layer}"] = backend.xp.zeros((n_out,), dtype=backend.xp.float32, device=backend.device)
    return params


def forward(xp: Any, params: Params, x: Any) -> tuple[Any, Any, Any]:
    """From images to the logarithms of probabilities, keeping what the way back will need.

    Shapes for n images and m hidden units: x (n, 784), z1 and h (n, m), z2 and log_p (n, 10).
    """
    # First layer: each hidden unit is a weighted sum of the pixels. (n, 784) @ (784, m) is (n, m), and the
    # bias, of shape (m,), is added to every row.
    z1 = x @ params["w1"] + params["b1"]
    # ReLU: what is negative becomes zero. Without it two layers would be no more than one.
    h = xp.where(z1 > 0, z1, xp.zeros_like(z1))
    # Second layer: ten scores for each image, one for each digit.
    z2 = h @ params["w2"] + params["b2"]
    # Softmax: p = exp(z2) / sum(exp(z2)) is positive and sums to one; log p = z2 - log(sum(exp(z2))).
    # Taking the largest score away first changes nothing in theory, and keeps exp from overflowing.
    z = z2 - xp.max(z2, axis=-1, keepdims=True)
    log_p = z - xp.log(xp.sum(xp.exp(z), axis=-1, keepdims=True))
    return z1, h, log_p


def loss_of(xp: Any, log_p: Any, y: Any) -> float:
    """Cross-entropy: minus the logarithm of the probability of the right digit, mean over the images.

    y (n, 10) has a one in each row at the right digit and zeros elsewhere, so the product picks it out.
    """
    images: int = y.shape[0]
    return -float(xp.sum(y * log_p)) / images


def backward(xp: Any, params: Params, x: Any, y: Any, z1: Any, h: Any, log_p: Any) -> Params:
    """How much the loss changes with each parameter: the chain rule, from the loss back to the pixels.

    d_z2 stands for the derivative of the loss by z2, and has the shape of z2. So it is with every name.
    """
    n = x.shape[0]
    # Loss and softmax together. For one image the loss is log(sum(exp(z2))) - z2[right], whose derivative by
    # z2[k] is exp(z2[k]) / sum(exp(z2)), that is p[k], less one if k is the right digit. Hence p - y: what
    # the network said minus what it should have said. The mean over n images divides it by n.
    d_z2 = (xp.exp(log_p) - y) / n
    # z2 = h @ w2 + b2. A weight w2[j, k] takes part in z2[i, k] of every image i, multiplied by h[i, j]: its
    # derivative is the sum over i of h[i, j] d_z2[i, k]. As matrices: (m, n) @ (n, 10) is (m, 10).
    d_w2 = xp.matrix_transpose(h) @ d_z2
    # The bias b2[k] is added to z2[i, k] of every image, so its derivative is the sum over the images.
    d_b2 = xp.sum(d_z2, axis=0)
    # h[i, j] takes part in all ten scores z2[i, k], by w2[j, k]: (n, 10) @ (10, m) is (n, m).
    d_h = d_z2 @ xp.matrix_transpose(params["w2"])
    # h = ReLU(z1) grows with z1 where z1 is positive, and does not move elsewhere: slope one or zero.
    d_z1 = xp.where(z1 > 0, d_h, xp.zeros_like(d_h))
    # The first layer is like the second, with x in the place of h.
    d_w1 = xp.matrix_transpose(x) @ d_z1
    d_b1 = xp.sum(d_z1, axis=0)
    return {"w1": d_w1, "b1": d_b1, "w2": d_w2, "b2": d_b2}


def machine_gradient(params: Params, x: Any, labels: Any) -> Params:
    """The gradient as portnn finds it by itself, from the forward pass alone."""

    def loss(p: Params) -> Any:
        h = pn.relu(pn.ops.linear(x, p["w1"], p["b1"]))
        return pn.losses.softmax_cross_entropy(pn.ops.linear(h, p["w2"], p["b2"]), labels)

    gradient: Params = pn.grad(loss)(params)
    return gradient


def largest_difference(xp: Any, ours: Params, theirs: Params) -> float:
    """The largest difference of two gradients, as a part of the largest entry, over all parameters."""
    parts = [xp.max(xp.abs(g - theirs[name])) / xp.max(xp.abs(theirs[name])) for name, g in ours.items()]
    return max(float(part) for part in parts)


def accuracy(xp: Any, params: Params, x: Any, labels: Any) -> float:
    """The part of the images whose most probable digit is the right one."""
    _, _, log_p = forward(xp, params, x)
    right = xp.astype(xp.argmax(log_p, axis=-1), xp.int32) == labels
    images: int = x.shape[0]
    return int(xp.count_nonzero(right)) / images


def load(backend: pn.Backend, folder: Path, split: str, n: int) -> tuple[Any, Any]:
    """Images as rows of numbers from 0 to 1, and labels, on the backend."""
    images, labels = load_mnist(folder, split)
    x = backend.asarray(images[:n].reshape(-1, 784) / 255, dtype="float32")
    return x, backend.asarray(labels[:n], dtype="int32")


def main(argv: Sequence[str] | None = None) -> None:
    """Train by hand, compare every gradient with portnn's, and print the test accuracy last."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backend", default="cpu", metavar="NAME", help="cpu, gpu, auto, torch, jax, ...")
    parser.add_argument("--data", type=Path, default=DATA, metavar="DIR")
    parser.add_argument("--iterations", type=int, default=100)
    parser.add_argument("--samples", type=int, default=6000, help="how many images to learn from")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)

    try:
        backend = pn.get_backend(args.backend)
    except (pn.BackendUnavailableError, ValueError) as error:
        parser.error(str(error))
    xp = backend.xp
    x, labels = load(backend, args.data, "train", args.samples)
    digits = xp.arange(10, dtype=xp.int32, device=backend.device)
    y = xp.astype(labels[:, None] == digits[None, :], xp.float32)

    params = initial(backend, args.seed)
    worst = 0.0
    for i in range(1, args.iterations + 1):
        z1, h, log_p = forward(xp, params, x)
        gradient = backward(xp, params, x, y, z1, h, log_p)
        difference = largest_difference(xp, gradient, machine_gradient(params, x, labels))
        assert difference <= TOLERANCE, f"iteration {i}: the gradients differ by {difference:.1e}"
        worst = max(worst, difference)
        # Downhill: against the gradient, a little.
        params = {name: p - RATE * gradient[name] for name, p in params.items()}
        if i == 1 or i % 10 == 0:
            loss = loss_of(xp, log_p, y)
            print(f"iteration {i:3d}: loss {loss:.4f}, difference {difference:.0e}", flush=True)

    print(f"\nportnn's gradient is the same: largest difference {worst:.1e} of the largest entry")
    print(f"test accuracy: {accuracy(xp, params, *load(backend, args.data, 'test', 10_000)):.4f}")


if __name__ == "__main__":
    main()
