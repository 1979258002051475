"""W9: the convolutional network of `examples/digits_conv.py` in portnn, PyTorch eager, JAX jit and
onnxruntime.

A training step takes 128 images forward, back through the cross-entropy, and takes a step of gradient
descent; a prediction takes them forward. Dropout is left out, so that everybody computes the same numbers.
Run with ``python -m tests.benchmarks.bench_convolution``: by default one core, everybody alternated in one
process, and the ratios of each round. ``--formulations`` compares ways to compute one convolution in NumPy
instead.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from tests.benchmarks import side_by_side
from tests.benchmarks.side_by_side import Steps

BATCH, RATE = 128, 0.05


def network() -> Any:
    """The layers of the example that have arithmetic."""
    from portnn import nn

    return nn.Sequential([
        nn.Conv2d(1, 16, 5), nn.relu, nn.MaxPool2d(2), nn.Conv2d(16, 32, 5), nn.relu, nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(512, 128), nn.relu, nn.Linear(128, 10),
    ])  # fmt: skip


def portnn_steps(model: Any, params: Any, x: Any, y: Any, *, compiled: bool = True) -> Steps:
    """portnn on NumPy, as a plan or eager."""
    from portnn import losses

    def loss(p: Any, x: Any, y: Any) -> Any:
        return losses.softmax_cross_entropy(model.apply(p, x, training=True), y)

    return side_by_side.portnn_steps(loss, params, RATE, x, y, compiled=compiled)


def portnn_loop(model: Any, params: Any, x: Any, y: Any) -> Steps:
    """The loop of `Network.fit`, whose parameters stay in place and whose products threads share."""
    from portnn import autodiff, losses, ops, tree
    from portnn.compile import make_loop

    def loss(p: Any, x: Any, y: Any) -> Any:
        return losses.softmax_cross_entropy(model.apply(p, x, training=True), y)

    def step(p: Any, x: Any, y: Any) -> tuple[Any, Any]:
        value, grads = autodiff.value_and_grad(loss)(p, x, y)
        return tree.map(lambda a, g: ops.subtract(a, g * RATE), p, grads), value

    loop = make_loop(step, params, (x, y), BATCH, shuffled=False)

    def steps(count: int) -> float:
        loop.write(params)
        value = 0.0
        with loop.limits():
            for _ in range(count):
                value = float(loop.run(None, 0, 1)[0])
        return value

    return steps


def torch_module(tensors: Any) -> Any:
    """The same network of PyTorch's own layers."""
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    t = torch.nn
    module = t.Sequential(
        t.Conv2d(1, 16, 5), t.ReLU(), t.MaxPool2d(2), t.Conv2d(16, 32, 5), t.ReLU(), t.MaxPool2d(2),
        t.Flatten(), t.Linear(512, 128), t.ReLU(), t.Linear(128, 10),
    )  # fmt: skip
    module.load_state_dict({name: torch.asarray(a) for name, a in tensors.items()})
    return module


def torch_steps(tensors: Any, x: Any, y: Any) -> Steps:
    """PyTorch eager, with `torch.optim.SGD`."""
    import torch

    xs, ys = torch.asarray(x), torch.asarray(y)

    def loss(module: Any) -> Any:
        return torch.nn.functional.cross_entropy(module(xs), ys)

    return side_by_side.torch_steps(lambda: torch_module(tensors), loss, RATE)


def jax_network(p: Any, x: Any) -> Any:
    """The same network in JAX's own functions."""
    import jax

    for q in (p[0], p[3]):
        x = jax.lax.conv_general_dilated(x, q["weight"], (1, 1), "VALID") + q["bias"][:, None, None]
        x = jax.lax.reduce_window(
            jax.nn.relu(x), -float("inf"), jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID"
        )
    hidden = jax.nn.relu(x.reshape(x.shape[0], -1) @ p[7]["weight"] + p[7]["bias"])
    return hidden @ p[9]["weight"] + p[9]["bias"]


def jax_steps(params: Any, x: Any, y: Any) -> Steps:
    """JAX: the step as one `jax.jit`."""
    import jax
    import jax.numpy as jnp

    xs, ys = jnp.asarray(x), jnp.asarray(y)

    def loss(p: Any) -> Any:
        logs = jax.nn.log_softmax(jax_network(p, xs))
        return -jnp.mean(logs[jnp.arange(len(ys)), ys])

    return side_by_side.jax_steps(loss, params, RATE)


def repeated(run: Callable[[], Any]) -> Steps:
    """Predictions, again and again; the number is one of them."""

    def steps(count: int) -> float:
        found: Any = None
        for _ in range(count):
            found = run()
        return float(found[-1, -1])

    return steps


def onnx_session(tensors: Any) -> Any:
    """onnxruntime on the same network, built node by node."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    node = helper.make_node
    nodes = []
    for i, (weight, before) in enumerate((("0", "x"), ("3", "p0"))):
        pool = {"kernel_shape": [2, 2], "strides": [2, 2]}
        nodes.append(node("Conv", [before, f"{weight}.weight", f"{weight}.bias"], [f"c{i}"]))
        nodes += [node("Relu", [f"c{i}"], [f"r{i}"]), node("MaxPool", [f"r{i}"], [f"p{i}"], **pool)]
    nodes += [node("Flatten", ["p1"], ["f"]), node("Gemm", ["f", "7.weight", "7.bias"], ["h"], transB=1)]
    nodes += [node("Relu", ["h"], ["a"]), node("Gemm", ["a", "9.weight", "9.bias"], ["y"], transB=1)]
    ends = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)]
        for name, shape in (("x", ["n", 1, 28, 28]), ("y", ["n", 10]))
    ]
    constants = [numpy_helper.from_array(a, name) for name, a in tensors.items()]
    graph = helper.make_graph(nodes, "digits", *ends, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def trainers(peers: list[str]) -> dict[str, Steps]:
    """Everybody who trains, from the same parameters on the same batch."""
    model, params, tensors, x, y = start()
    makers = {
        "portnn fit": lambda: portnn_loop(model, params, x, y),
        "portnn.jit": lambda: portnn_steps(model, params, x, y),
        "portnn eager": lambda: portnn_steps(model, params, x, y, compiled=False),
        "PyTorch eager": lambda: torch_steps(tensors, x, y),
        "JAX jit": lambda: jax_steps(params, x, y),
    }
    return side_by_side.chosen(makers, peers)


def predictors(peers: list[str]) -> dict[str, Steps]:
    """Everybody who predicts."""
    model, params, tensors, x, _ = start()

    def of_portnn() -> Steps:
        import portnn as pn

        run = pn.jit(lambda p, x: model.apply(p, x))
        return repeated(lambda: run(params, x))

    def of_torch() -> Steps:
        import torch

        module, xs = torch_module(tensors).eval(), torch.asarray(x)
        run = torch.inference_mode()(module)
        return repeated(lambda: run(xs))

    def of_jax() -> Steps:
        import jax

        run, p = jax.jit(jax_network), jax.tree.map(jax.numpy.asarray, params)
        return repeated(lambda: run(p, x).block_until_ready())

    def of_onnx() -> Steps:
        session = onnx_session(tensors)
        return repeated(lambda: session.run(None, {"x": x})[0])

    makers = {"portnn.jit": of_portnn, "PyTorch eager": of_torch, "JAX jit": of_jax, "onnxruntime": of_onnx}
    return side_by_side.chosen(makers, peers)


def start() -> tuple[Any, ...]:
    """The network, its parameters, the same as PyTorch names them, and a batch."""
    import numpy as np

    from portnn.nn import to_torch
    from portnn.random import stream

    model = network()
    params = model.init(stream(0))
    rng = np.random.default_rng(0)
    x = rng.random((BATCH, 1, 28, 28), dtype=np.float32)
    return model, params, to_torch(model, params), x, rng.integers(0, 10, BATCH)


def main() -> None:
    """Measure what the command line asks for."""
    about = "the network of digits_conv.py, milliseconds for 128 images"
    parser = side_by_side.options(about, rounds=9, steps=10)
    parser.add_argument("--formulations", action="store_true", help="ways to compute one convolution")
    options = parser.parse_args()
    side_by_side.use_cores(options.cores)
    if options.formulations:
        from tests.benchmarks.formulations import compare

        compare(options.rounds)
        return
    for what, everybody in (("training", trainers), ("predicting", predictors)):
        side_by_side.measure(what, everybody(options.peers), options.rounds, options.steps, 1e-3)


if __name__ == "__main__":
    main()
