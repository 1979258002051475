"""Learn to draw handwritten digits: a variational autoencoder, on any backend.

    python examples/generative_digits.py --plot drawn.png        # less than ten minutes on two cores
    python examples/generative_digits.py --latent 2 --plot plane.png
    python examples/generative_digits.py --long --backend gpu    # a longer training of a larger network

Kingma and Welling, Auto-encoding variational Bayes (2014). The encoder tells where the code z of an image x
may lie, as a normal distribution q(z|x); the decoder tells for a code how probable ink is at each of 784
pixels. Both learn to make small, in nats an image, the

    -ELBO = E_q[-log p(x|z)] + KL(q(z|x) ‖ p(z)),    p(z) the standard normal distribution,

which is on average at least -log p(x), what an image costs under the model. Pixels are black or white: black
with the probability that is their grey value, drawn anew whenever training meets an image, and once for all
in the test set (as Burda, Grosse and Salakhutdinov, Importance weighted autoencoders, 2016).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import log
from statistics import NormalDist
from typing import Any

import portnn as pn
from _arguments import add_data, checked, parser_of
from portnn import ops, random
from portnn.data import load_mnist
from portnn.losses import sigmoid_cross_entropy

PIXELS = 784
PART = 500  # test images at a time


@dataclass(frozen=True)
class Recipe:
    """How large, and how long."""

    hidden: tuple[int, ...]
    latent: int
    epochs: int
    batch_size: int
    rate: float = 1e-3
    codes: int = 50  # for each test image, in the estimate of -log p(x)
    samples: int | None = None  # training images; some means some of the test images too


RECIPES = {
    "default": Recipe((500, 500), 40, 40, 128),
    "quick": Recipe((64,), 8, 8, 50, 5e-3, codes=5, samples=3000),
    "long": Recipe((1000, 1000), 64, 800, 256),
}


@dataclass(frozen=True)
class Autoencoder:
    """Two networks: from images to distributions of codes, and from codes to images."""

    hidden: tuple[int, ...]
    latent: int

    @property
    def encoder(self) -> pn.Layer:
        """Pixels to the means of codes and the logarithms of their variances, side by side."""
        return pn.MLP([PIXELS, *self.hidden, 2 * self.latent], activation=pn.tanh)

    @property
    def decoder(self) -> pn.Layer:
        """Codes to logits: their sigmoid is how probable ink is."""
        return pn.MLP([self.latent, *reversed(self.hidden), PIXELS], activation=pn.tanh)

    def init(self, seed: int) -> Any:
        """The parameters of both."""
        layers = (self.encoder, self.decoder)
        return tuple(layer.init(random.stream(seed, i)) for i, layer in enumerate(layers))

    def encode(self, params: Any, x: Any) -> tuple[Any, Any]:
        """Means and log variances of q(z|x), each of shape (n, latent)."""
        both = self.encoder.apply(params[0], x)
        return both[:, : self.latent], both[:, self.latent :]

    def decode(self, params: Any, z: Any) -> Any:
        """How probable ink is at each pixel, of shape (n, 784)."""
        return pn.sigmoid(self.decoder.apply(params[1], z))

    def cost(self, params: Any, x: Any, z: Any) -> Any:
        """-log p(x|z), of shape (n,)."""
        logits = self.decoder.apply(params[1], z)
        return ops.sum(sigmoid_cross_entropy(logits, x, reduction="none"), axis=1)

    def draw(self, params: Any, x: Any, key: Any) -> tuple[Any, Any, Any, Any]:
        """Mean and log variance of q(z|x), the noise that was drawn, and the code z that it makes."""
        mean, log_variance = self.encode(params, x)
        noise = random.normal(key, mean.shape)
        return mean, log_variance, noise, ops.add(mean, ops.multiply(ops.exp(log_variance * 0.5), noise))

    def negative_elbo(self, params: Any, x: Any, key: Any) -> Any:
        """The mean over images, with one code for each; the KL divergence is that of their appendix B."""
        mean, log_variance, _, z = self.draw(params, x, key)
        kl = ops.sum(ops.exp(log_variance) + ops.square(mean) - 1.0 - log_variance, axis=1) * 0.5
        return ops.mean(self.cost(params, x, z) + kl)

    def log_weights(self, params: Any, x: Any, key: Any) -> Any:
        """log p(x|z) p(z) / q(z|x) for a code z of each image, (n,); the mean of its exponential is p(x)."""
        _, log_variance, noise, z = self.draw(params, x, key)
        return ops.sum(ops.square(noise) + log_variance - ops.square(z), axis=1) * 0.5 - self.cost(
            params, x, z
        )


def binarise(images: Any, key: Any) -> Any:
    """Bytes to 0.0 and 1.0: ink with the probability that is the grey value."""
    return ops.astype(random.bernoulli(key, ops.astype(images, "float32") / 255), "float32")


def train(model: Autoencoder, recipe: Recipe, images: Any, test: Any, seed: int) -> Any:
    """The parameters after training; a line for each epoch."""
    params = pn.tree.map(lambda p: ops.asarray(p, like=images), model.init(seed))
    a_pass = images.shape[0] // recipe.batch_size
    optimizer = pn.optim.adam(pn.optim.schedules.cosine(recipe.rate, a_pass * recipe.epochs))
    state = optimizer.init(params)

    @pn.jit
    def step(params: Any, state: Any, grey: Any, key: Any) -> Any:
        ink, noise = random.split(key)
        loss, gradient = pn.value_and_grad(model.negative_elbo)(params, binarise(grey, ink), noise)
        updates, state = optimizer.update(gradient, state, params)
        return pn.optim.apply_updates(params, updates), state, loss

    bound = pn.jit(model.negative_elbo)
    for epoch in range(1, recipe.epochs + 1):
        losses = []
        keys = random.split(random.key(seed, 2, epoch, like=images), a_pass)
        batches = pn.train.batches(images, recipe.batch_size, seed=seed, epoch=epoch, drop_last=True)
        for grey, key in zip(batches, keys, strict=True):
            params, state, loss = step(params, state, grey, key)
            losses.append(loss)
        mean = float(ops.mean(ops.stack(losses)))
        print(
            f"epoch {epoch:3d}/{recipe.epochs}: -ELBO {mean:.2f}, test {on_test(bound, params, test):.2f}",
            flush=True,
        )
    return params


def parts(test: Any) -> Iterator[tuple[Any, Any]]:
    """The test set a part at a time, with a key for each."""
    for i in range(0, test.shape[0], PART):
        yield test[i : i + PART, ...], random.key(0, 4, i, like=test)


def on_test(bound: Any, params: Any, test: Any) -> float:
    """-ELBO on the test set, in nats an image."""
    found = [bound(params, x, key) for x, key in parts(test)]
    return float(ops.mean(ops.stack(found)))


def likelihood(model: Autoencoder, params: Any, test: Any, codes: int) -> float:
    """-log p(x) in nats an image, estimated from above with several codes each (Burda et al., equation 8)."""
    weigh = pn.jit(model.log_weights)
    found = []
    for x, key in parts(test):
        logs = ops.stack([weigh(params, x, k) for k in random.split(key, codes)])
        found.append(ops.mean(ops.logsumexp(logs, axis=0)) - log(codes))
    return -float(ops.mean(ops.stack(found)))


def walk(model: Autoencoder, params: Any, test: Any, side: int) -> Any:
    """Codes of a square in the plane, (side², latent): the whole plane if that is all there is, else one
    that goes through the codes of four test images, which are its corners.
    """
    if model.latent == 2:
        steps = [NormalDist().inv_cdf((i + 0.5) / side) for i in range(side)]
        return ops.asarray([[x, -y] for y in steps for x in steps], dtype="float32", like=test)
    steps = [i / (side - 1) for i in range(side)]
    shares = [[(1 - y) * (1 - x), (1 - y) * x, y * (1 - x), y * x] for y in steps for x in steps]
    corners, _ = model.encode(params, test[:4, ...])
    return ops.matmul(ops.asarray(shares, dtype="float32", like=test), corners)


def draw(model: Autoencoder, params: Any, test: Any, seed: int) -> Any:
    """A picture of what the decoder makes of random codes, of codes of test images, and of a walk."""
    codes = random.normal(random.key(seed, 3, like=test), (100, model.latent))
    shown = test[:50, ...]
    back = model.decode(params, model.encode(params, shown)[0])
    pairs = ops.stack([ops.reshape(a, (10, 5, 28, 28)) for a in (shown, back)], axis=2)
    square = model.decode(params, walk(model, params, test, 10))
    grids = {
        "drawn from random codes": ops.reshape(model.decode(params, codes), (10, 10, 28, 28)),
        "test images, each with its reconstruction": ops.reshape(pairs, (10, 10, 28, 28)),
        "a walk through the plane of codes": ops.reshape(square, (10, 10, 28, 28)),
    }
    return pn.plot.image_grids(grids)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = parser_of(__doc__, plot="images")
    add_data(parser)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="a small network on few images, in seconds")
    size.add_argument("--long", action="store_true", help="a larger network, for hours or a GPU")
    parser.add_argument("--latent", type=int, metavar="N", help="numbers in a code; default: the recipe's")
    parser.add_argument("--epochs", type=int, metavar="N", help="default: the recipe's")
    return checked(parser, argv, "latent", "epochs")


def main(argv: Sequence[str] | None = None) -> None:
    """Train, draw, and print the bound on the test set last."""
    args = parse(argv)
    recipe = RECIPES["quick" if args.quick else "long" if args.long else "default"]
    recipe = replace(recipe, latent=args.latent or recipe.latent, epochs=args.epochs or recipe.epochs)
    model = Autoencoder(recipe.hidden, recipe.latent)
    backend = pn.get_backend(args.backend)
    with backend.activate():
        images, test = (
            backend.asarray(load_mnist(args.data, split)[0].reshape(-1, PIXELS)[:n])
            for split, n in (("train", recipe.samples), ("test", recipe.samples and PART))
        )
        test = binarise(
            test, random.key(0, 1, like=test)
        )  # whatever the seed: every run has the same test set
        params = train(model, recipe, images, test, args.seed)
        if args.plot:
            draw(model, params, test, args.seed).savefig(args.plot, dpi=100)
            print(f"\nthe picture is in {args.plot}")
        estimate = likelihood(model, params, test, recipe.codes)
        print(f"\n-log p(x) on the test set, with {recipe.codes} codes an image: at most {estimate:.2f} nats")
        print(f"-ELBO on the test set: {on_test(model.negative_elbo, params, test):.2f} nats")


if __name__ == "__main__":
    main()
