"""Parity with torch.nn: the same parameters, and then the same numbers, in float64 to 1e-9.

A test draws shapes and options from a generator, makes a layer and the module of PyTorch that it corresponds
to, and hands both to `compare` with the inputs:

    from tests.parity.frame import cases, compare, torch

    @cases(5)
    def test_linear(rng):
        a, b = rng.integers(1, 6, 2)
        compare(nn.Linear(a, b), torch.nn.Linear(a, b), rng.normal(size=(4, a)))

`compare` draws the module's parameters and statistics anew, converts them by `portnn.nn.from_torch`, and
compares the outputs, the gradients by all inputs and by all parameters, and the running state, eager and as a
plan. Tests skip, visibly, where PyTorch is missing, so name `torch` inside them alone. The session
`tests(torch)` has it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce
from typing import Any

import numpy as np
import pytest

from portnn import ops, tree
from portnn.autodiff import value_and_grad
from portnn.compile import jit
from portnn.nn import Layer, from_torch, to_torch

try:
    import torch
except ModuleNotFoundError:
    torch = None

TOLERANCE = 1e-9


def cases(count: int) -> Any:
    """Run a test `count` times, each with a generator `rng` of its own."""
    missing = pytest.mark.skipif(torch is None, reason="parity with PyTorch needs PyTorch")
    seeds = [pytest.param(np.random.default_rng([20, i]), id=str(i)) for i in range(count)]
    return lambda test: missing(pytest.mark.parametrize("rng", seeds)(test))


def compare(
    layer: Layer,
    module: Any,
    *inputs: Any,
    training: bool = False,
    options: dict[str, Any] | None = None,
    call: Callable[..., Any] | None = None,
) -> None:
    """Compare a layer with a module of PyTorch, on NumPy, eager and as a plan.

    Args:
        layer: the layer.
        module: the module; its parameters are drawn anew, unlike zero.
        *inputs: NumPy arrays: floating-point ones are differentiated by, others are handed on.
        training: whether it is a step of training.
        options: the layer's own keyword options, NumPy arrays among them.
        call: from the module and its inputs, tensors, to its output, if that is not ``module(*inputs)``: a
            tensor or a tree of them, like the layer's output.
    """
    rng = np.random.default_rng(7)
    module = module.double().train(training)
    _randomise(module, rng)
    before = {name: t.detach().clone() for name, t in module.state_dict().items()}
    params, state = from_torch(layer, before)
    _check_round_trip(layer, params, state, before)
    run = partial(_differentiate, layer, training=training, options=options or {})
    expected = _of_torch(layer, module, before, inputs, call, rng)
    for differentiate in (run, jit(run)):
        found = differentiate(params, state, inputs, expected[1])
        for what, mine, theirs in zip(
            ("output", "gradient", "state"), found, (expected[0], *expected[2:]), strict=True
        ):
            _assert_near(what, mine, theirs)


def _randomise(module: Any, rng: np.random.Generator) -> None:
    """Parameters and statistics that no wrong formula meets by chance; variances stay positive."""
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if tensor.dtype.is_floating_point:
                values = rng.normal(size=tuple(tensor.shape))
                values = np.abs(values) + 0.5 if name.endswith("running_var") else values
                tensor.copy_(torch.asarray(values))


def _check_round_trip(layer: Layer, params: Any, state: Any, before: Any) -> None:
    back = to_torch(layer, params, state)
    assert back.keys() == before.keys()
    for name, tensor in before.items():
        np.testing.assert_array_equal(back[name], tensor.numpy(), err_msg=name, strict=True)


def _floating(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def _differentiate(
    layer: Layer, params: Any, state: Any, inputs: Any, seeds: Any, *, training: bool, options: dict[str, Any]
) -> tuple[Any, Any, Any]:
    """Output, gradients by parameters and floating-point inputs, and the new state."""
    places = [i for i, x in enumerate(inputs) if getattr(x, "dtype", None) == np.float64]

    def function(p: Any, xs: Any) -> Any:
        given = list(inputs)
        for i, x in zip(places, xs, strict=True):
            given[i] = x
        out, after = layer.apply(p, *given, state=state, training=training, **options)
        products = [
            ops.sum(ops.multiply(y, s)) for y, s in zip(tree.leaves(out), tree.leaves(seeds), strict=True)
        ]
        return reduce(ops.add, products), (out, after)

    chosen = tuple([inputs[i] for i in places])
    (_, (out, after)), (by_params, by_inputs) = value_and_grad(function, argnums=(0, 1), has_aux=True)(
        params, chosen
    )
    return out, (by_params, *by_inputs), after


def _of_torch(
    layer: Layer,
    module: Any,
    before: Any,
    inputs: Any,
    call: Callable[..., Any] | None,
    rng: np.random.Generator,
) -> tuple[Any, Any, Any, Any]:
    """The same of PyTorch in portnn's layout, with the cotangents in the second place."""
    tensors = [
        torch.tensor(x, requires_grad=_floating(x)) if isinstance(x, np.ndarray) else x for x in inputs
    ]
    module.zero_grad()
    out = module(*tensors) if call is None else call(module, *tensors)
    seeds = tree.map(lambda y: rng.normal(size=tuple(y.shape)), out)
    torch.autograd.backward(tree.leaves(out), [torch.asarray(s) for s in tree.leaves(seeds)])
    by_name = dict(module.named_parameters(remove_duplicate=False))
    grads = {n: by_name[n].grad if n in by_name else t for n, t in before.items()}
    by_params, _ = from_torch(
        layer, {n: torch.zeros_like(before[n]) if g is None else g for n, g in grads.items()}
    )
    by_inputs = [t.grad.numpy() for t, x in zip(tensors, inputs, strict=True) if _floating(x)]
    _, state = from_torch(layer, module.state_dict())
    return tree.map(lambda y: y.detach().numpy(), out), seeds, (by_params, *by_inputs), state


def _assert_near(what: str, mine: Any, theirs: Any) -> None:
    """Leaves as near as 1e-9, relative to the largest of each."""
    assert tree.structure(mine) == tree.structure(theirs), what
    for (name, a), e in zip(tree.items(mine), tree.leaves(theirs), strict=True):
        size = max(1.0, float(np.max(np.abs(e), initial=0.0)))
        assert a.shape == e.shape, f"{what} {name}: shape {a.shape}, expected {e.shape}"
        assert a.dtype == e.dtype, f"{what} {name}: {a.dtype}, expected {e.dtype}"
        np.testing.assert_allclose(a, e, rtol=0.0, atol=TOLERANCE * size, err_msg=f"{what} {name}")
