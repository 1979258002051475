"""W10: training steps of sequence models in portnn, PyTorch eager and JAX jit, from the same parameters.

Two models: a GRU (128 units) over 64 sequences of 20 steps of 64 numbers, and a layer of a transformer's
encoder (128 features, 4 heads, 512 hidden, norms first) over 64 sequences of 20. A step goes forward, back
through the mean square of the outputs' distance from targets, and takes a step of gradient descent. Run with
``python -m tests.benchmarks.bench_sequences``: by default one core, everybody alternated in one process, and
the ratios of each round.
"""

from __future__ import annotations

import os
from typing import Any

from tests.benchmarks import side_by_side
from tests.benchmarks.side_by_side import Steps

N, TIME, FEATURES, HIDDEN, HEADS, RATE = 64, 20, 64, 128, 4, 0.1


def gru() -> tuple[Any, int]:
    """The layer of portnn and the length of its input vectors."""
    from portnn import nn

    return nn.GRU(FEATURES, HIDDEN), FEATURES


def transformer() -> tuple[Any, int]:
    """The layer of portnn and the length of its input vectors."""
    from portnn import nn

    return nn.TransformerEncoderLayer(HIDDEN, HEADS), HIDDEN


MODELS = {"gru": gru, "transformer": transformer}


def portnn_steps(layer: Any, params: Any, x: Any, y: Any, *, compiled: bool = True) -> Steps:
    """portnn on NumPy, as a plan or eager."""
    from portnn import ops

    def loss(p: Any) -> Any:
        return ops.mean(ops.square(ops.subtract(layer.apply(p, x), y)))

    return side_by_side.portnn_steps(loss, params, RATE, compiled=compiled)


def torch_steps(name: str, tensors: Any, x: Any, y: Any) -> Steps:
    """PyTorch eager, with its own layers and `torch.optim.SGD`."""
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    if name == "gru":
        module: Any = torch.nn.GRU(FEATURES, HIDDEN, batch_first=True)
    else:
        module = torch.nn.TransformerEncoderLayer(
            HIDDEN, HEADS, 4 * HIDDEN, dropout=0.0, batch_first=True, norm_first=True
        )
    state = {key: torch.asarray(a) for key, a in tensors.items()}
    xs, ys = torch.asarray(x), torch.asarray(y)

    def make() -> Any:
        module.load_state_dict(state)
        return module

    def loss(module: Any) -> Any:
        out = module(xs)
        return torch.nn.functional.mse_loss(out[0] if name == "gru" else out, ys)

    return side_by_side.torch_steps(make, loss, RATE)


def _jax_gru(p: Any, x: Any) -> Any:
    import jax
    import jax.numpy as jnp

    [q] = p
    n = HIDDEN

    def step(h: Any, a: Any) -> Any:
        b = h @ q["hidden"] + q["hidden_bias"]
        r, z = jax.nn.sigmoid(a[:, :n] + b[:, :n]), jax.nn.sigmoid(a[:, n : 2 * n] + b[:, n : 2 * n])
        h = (1 - z) * jnp.tanh(a[:, 2 * n :] + r * b[:, 2 * n :]) + z * h
        return h, h

    inputs = jnp.swapaxes(x @ q["input"] + q["bias"], 0, 1)
    _, hs = jax.lax.scan(step, jnp.zeros((x.shape[0], n), x.dtype), inputs)
    return jnp.swapaxes(hs, 0, 1)


def _jax_transformer(p: Any, x: Any) -> Any:
    import jax
    import jax.numpy as jnp

    def linear(q: Any, x: Any) -> Any:
        return x @ q["weight"] + q["bias"]

    def norm(q: Any, x: Any) -> Any:
        centred = x - jnp.mean(x, -1, keepdims=True)
        scale = jax.lax.rsqrt(jnp.mean(centred * centred, -1, keepdims=True) + 1e-5)
        return centred * scale * q["weight"] + q["bias"]

    a, attn = norm(p["norm1"], x), p["self_attn"]
    q, k, v = (linear(attn[m], a).reshape(*x.shape[:2], HEADS, -1) for m in ("query", "key", "value"))
    heads = jax.nn.dot_product_attention(q, k, v).reshape(x.shape)
    x = x + linear(attn["output"], heads)
    return x + linear(p["linear2"], jax.nn.relu(linear(p["linear1"], norm(p["norm2"], x))))


def jax_steps(name: str, params: Any, x: Any, y: Any) -> Steps:
    """JAX: the step as one `jax.jit`, the recurrence as `jax.lax.scan`."""
    import jax.numpy as jnp

    model = _jax_gru if name == "gru" else _jax_transformer
    xs, ys = jnp.asarray(x), jnp.asarray(y)
    return side_by_side.jax_steps(lambda p: jnp.mean(jnp.square(model(p, xs) - ys)), params, RATE)


def contenders(name: str, peers: list[str]) -> dict[str, Steps]:
    """Everybody, from the same parameters on the same batch."""
    import numpy as np

    from portnn.nn import to_torch
    from portnn.random import stream

    layer, width = MODELS[name]()
    params = layer.init(stream(0))
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(N, TIME, w)).astype(np.float32) for w in (width, HIDDEN))
    makers = {
        "portnn.jit": lambda: portnn_steps(layer, params, x, y),
        "portnn eager": lambda: portnn_steps(layer, params, x, y, compiled=False),
        "PyTorch eager": lambda: torch_steps(name, to_torch(layer, params), x, y),
        "JAX jit": lambda: jax_steps(name, params, x, y),
    }
    return side_by_side.chosen(makers, peers)


def main() -> None:
    """Measure what the command line asks for."""
    parser = side_by_side.options("training steps of sequence models, milliseconds", rounds=7, steps=20)
    parser.add_argument("--models", nargs="*", default=list(MODELS), choices=list(MODELS))
    options = parser.parse_args()
    side_by_side.use_cores(options.cores)
    for name in options.models:
        everybody = contenders(name, options.peers)
        side_by_side.measure(name, everybody, options.rounds, options.steps, 1e-4)


if __name__ == "__main__":
    main()
