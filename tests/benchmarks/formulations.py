"""Ways to compute a convolution with NumPy, its gradients among them; what `bench_convolution` prints.

Images lie with the channels last. Each way is given its memory beforehand, as a plan does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

# images, channels, height and width, outputs, kernel
SHAPES = [(128, 1, 28, 16, 5), (128, 16, 12, 32, 5), (128, 32, 14, 32, 3), (32, 64, 14, 64, 3)]
SMALL = 1_000_000
Way = Callable[[], Any]


def numbers(*shape: int) -> Any:
    """Random float32 numbers."""
    return np.random.default_rng(0).random(shape, dtype=np.float32)


def overlapping(x: Any, k: int) -> Any:
    """A view (n, oh, ow, k, k * c) of images (n, h, h, c) as their windows."""
    n, h, _, c = x.shape
    s, o = x.strides, h - k + 1
    return as_strided(x, (n, o, o, k, k * c), (s[0], s[1], s[2], s[1], s[3]))


def group(rows: int, across: int, each: int) -> int:
    """Windows of a product: rows of an image whose multiplications are few."""
    fitting = [r for r in range(1, rows + 1) if rows % r == 0 and r * across * each <= SMALL]
    return max(fitting, default=rows) * across


def forward(n: int, c: int, h: int, o: int, k: int) -> dict[str, Way]:
    """Ways to get the output (n, oh, ow, o)."""
    x, w = numbers(n, h, h, c), numbers(k * k * c, o)
    m = h - k + 1
    size = k * k * c
    windows, y = overlapping(x, k), np.empty((n, m, m, o), np.float32)
    rows, wide = np.empty((n, m, m, size), np.float32), np.empty((n, h, m, k * c), np.float32)
    flat, out = rows.reshape(-1, size), y.reshape(-1, o)
    some = group(m, m, size * o)
    stack, ys = rows.reshape(-1, some, size), y.reshape(-1, some, o)

    def lay_out() -> None:
        np.concatenate([x[:, :, j : j + m] for j in range(k)], axis=3, out=wide)
        np.concatenate([wide[:, i : i + m] for i in range(k)], axis=3, out=rows)

    def one_product() -> None:
        lay_out()
        np.matmul(flat, w, out)

    def small_products() -> None:
        lay_out()
        np.matmul(stack, w, ys)

    def together() -> None:
        images = max(1, 262_144 // (m * m * size * 4))
        for i in range(0, n, images):
            near = rows[: min(images, n - i)]  # the same memory each time
            np.copyto(near.reshape(-1, m, m, k, k * c), windows[i : i + images])
            np.matmul(near.reshape(-1, some, size), w, y[i : i + images].reshape(-1, some, o))

    return {
        "unfold, one product": one_product, "unfold, small products": small_products,
        "windows and products together": together, **without_unfolding(x, w, y, k),
    }  # fmt: skip


def without_unfolding(x: Any, w: Any, y: Any, k: int) -> dict[str, Way]:
    """Sums of shifted products, for which windows are laid out in part or not at all."""
    n, h, _, c = x.shape
    m, o = y.shape[1], y.shape[3]
    wide = np.empty((n, h, m, k * c), np.float32)
    part, factors = np.empty_like(y), w.reshape(k * k, c, o)

    def shifted() -> None:
        for a in range(k * k):
            i, j = divmod(a, k)
            np.matmul(x[:, i : i + m, j : j + m], factors[a], part if a else y)
            if a:
                np.add(y, part, y)

    def by_rows_of_the_kernel() -> None:
        np.concatenate([x[:, :, j : j + m] for j in range(k)], axis=3, out=wide)
        for i in range(k):
            strip = wide.reshape(n, h * m, k * c)[:, i * m : (i + m) * m]
            np.matmul(
                strip, factors[i * k : i * k + k].reshape(k * c, o), (part if i else y).reshape(n, -1, o)
            )
            if i:
                np.add(y, part, y)

    return {
        "a product for each place of the kernel": shifted,
        "a product for each row of the kernel": by_rows_of_the_kernel,
    }


def by_weight(n: int, c: int, h: int, o: int, k: int) -> dict[str, Way]:
    """Ways to get the gradient by the weight, from windows that are laid out."""
    m, size = h - k + 1, k * k * c
    rows, g = numbers(n, m * m, size), numbers(n, m * m, o)
    turned, straight = g.transpose(0, 2, 1), rows.transpose(0, 2, 1)
    one, each = np.empty((o, size), np.float32), np.empty((n, o, size), np.float32)
    other = np.empty((n, size, o), np.float32)

    def summed(products: Any, a: Any, b: Any) -> None:
        np.matmul(a, b, products)
        np.sum(products, axis=0)

    return {
        "one product": lambda: np.matmul(g.reshape(-1, o).T, rows.reshape(-1, size), one),
        "a product for each image, g first": lambda: summed(each, turned, rows),
        "a product for each image, windows first": lambda: summed(other, straight, g),
    }


def by_images(n: int, c: int, h: int, o: int, k: int) -> dict[str, Way]:
    """Ways to get the gradient by the images."""
    m, size = h - k + 1, k * k * o
    g, w, turned = numbers(n, m, m, o), numbers(o, k * k * c), numbers(size, c)
    around, dx = np.zeros((n, h + k - 1, h + k - 1, o), np.float32), np.empty((n, h, h, c), np.float32)
    windows, rows = overlapping(around, k), np.empty((n, h, h, size), np.float32)
    some = group(h, h, size * c)
    z = np.empty((n, m, m, k, k, c), np.float32)

    def unfold() -> None:
        around[:, k - 1 : k - 1 + m, k - 1 : k - 1 + m] = g
        images = max(1, 262_144 // (h * h * size * 4))
        for i in range(0, n, images):
            near = rows[: min(images, n - i)]
            np.copyto(near.reshape(-1, h, h, k, k * o), windows[i : i + images])
            np.matmul(near.reshape(-1, some, size), turned, dx[i : i + images].reshape(-1, some, c))

    def fold() -> None:
        np.matmul(g.reshape(-1, o), w, z.reshape(-1, k * k * c))
        dx[...] = 0.0
        for i in range(k):
            for j in range(k):
                place = dx[:, i : i + m, j : j + m]
                np.add(place, z[:, :, :, i, j], place)

    return {"windows of the gradient": unfold, "product, then sums in place": fold}


def compare(rounds: int) -> None:
    """Print the best time of each way, alternated."""
    for shape in SHAPES:
        n, c, h, o, k = shape
        operations = 2e-9 * n * (h - k + 1) ** 2 * k * k * c * o
        print(f"\n{n} images {h} x {h} x {c}, {o} kernels {k} x {k}: {operations:.2f} GFLOP")
        for title, make in (("forward", forward), ("by the weight", by_weight), ("by the images", by_images)):
            ways = make(*shape)
            times: dict[str, list[float]] = {name: [] for name in ways}
            for turn in range(rounds + 1):
                for name, way in ways.items():
                    begin = time.perf_counter()
                    way()
                    if turn:
                        times[name].append((time.perf_counter() - begin) * 1e3)
            for name, each in times.items():
                print(f"  {title:14} {name:40} {min(each):8.2f} ms")
