"""What benchmarks of one training step share: everybody takes turns, and the ratios are those of a round."""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

Steps = Callable[[int], float]  # takes a number of steps, one at least, and gives the last number


def descent(step: Callable[..., tuple[Any, Any]], params: Any, *batch: Any) -> Steps:
    """Steps from `params` on, of a function that gives the loss and the parameters after it."""

    def steps(count: int) -> float:
        value, p = step(params, *batch)
        for _ in range(count - 1):
            value, p = step(p, *batch)
        return float(value)

    return steps


def portnn_steps(loss: Callable[..., Any], params: Any, rate: float, *batch: Any, compiled: bool) -> Steps:
    """Gradient descent in portnn on NumPy, as a plan or eager."""
    import portnn as pn
    from portnn import ops, tree

    def step(p: Any, *batch: Any) -> tuple[Any, Any]:
        value, grads = pn.value_and_grad(loss)(p, *batch)
        return value, tree.map(lambda a, g: ops.subtract(a, g * rate), p, grads)

    return descent(pn.jit(step) if compiled else step, params, *batch)


def jax_steps(loss: Callable[[Any], Any], params: Any, rate: float) -> Steps:
    """Gradient descent in JAX, the step as one `jax.jit`."""
    import jax

    @jax.jit
    def step(p: Any) -> Any:
        value, grads = jax.value_and_grad(loss)(p)
        return value, jax.tree.map(lambda a, g: a - rate * g, p, grads)

    return descent(step, jax.tree.map(jax.numpy.asarray, params))


def torch_steps(make: Callable[[], Any], loss: Callable[[Any], Any], rate: float) -> Steps:
    """Gradient descent in PyTorch, eager, with `torch.optim.SGD`, from a module that is made anew."""
    import torch

    def steps(count: int) -> float:
        module = make()
        optimizer = torch.optim.SGD(module.parameters(), rate)
        value: Any = None
        for _ in range(count):
            optimizer.zero_grad()
            value = loss(module)
            value.backward()
            optimizer.step()
        return float(value.detach())

    return steps


def measure(what: str, everybody: dict[str, Steps], rounds: int, count: int, tolerance: float) -> None:
    """Print each one's median time, and that of portnn's first entry over it, round by round."""
    numbers = {peer: steps(3) for peer, steps in everybody.items()}
    assert max(numbers.values()) - min(numbers.values()) < tolerance, numbers
    times: dict[str, list[float]] = {peer: [] for peer in everybody}
    for _ in range(rounds):
        for peer, steps in everybody.items():
            begin = time.perf_counter()
            steps(count)
            times[peer].append((time.perf_counter() - begin) / count * 1e3)
    first = next(iter(everybody))
    for peer, each in times.items():
        ratios = [ours / theirs for ours, theirs in zip(times[first], each, strict=True)]
        line = f"{what:12} {peer:14} {statistics.median(each):8.2f} ms, {min(each):8.2f} at best;"
        print(f"{line} {first} takes {statistics.median(ratios):5.2f} of it", flush=True)


def chosen(makers: dict[str, Callable[[], Steps]], peers: list[str]) -> dict[str, Steps]:
    """Those that are asked for, ready to run; everybody if nobody is named."""
    return {peer: make() for peer, make in makers.items() if not peers or peer in peers}


def options(description: str, *, rounds: int, steps: int) -> argparse.ArgumentParser:
    """The options that all of them have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--steps", type=int, default=steps, help="steps in each round")
    parser.add_argument("--cores", type=int, default=1, help="on how many cores everybody runs")
    parser.add_argument("--peers", nargs="*", default=[], help="by default all")
    return parser


def use_cores(count: int) -> None:
    """Keep this process to some cores; to be called before any library starts its threads."""
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:count]))
    for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ[variable] = str(count)
