"""PyTorch's operations: values, derivatives and plans of all samples of its own operator database.

`op_db` of `torch.testing._internal` holds what PyTorch's own tests feed to its operators. Each sample is a
case of four suites: portnn's value is PyTorch's; so are the gradients with random cotangents; so are the
gradients of those; and `pn.jit` gives the same bits as eager execution, on other numbers too.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.testing._internal.common_methods_invocations import op_db

import portnn as pn
from portnn import ops
from tests.peers.frame import (
    NOT_APPLICABLE,
    PASSED,
    NotApplicableError,
    Outcome,
    assert_close,
    judge,
    require,
)
from tests.peers.torch_operations import COMPARED, find

torch.set_num_threads(1)

VALUES, GRADIENTS, SECOND, PLANS = (
    f"PyTorch operations: {name}" for name in ("values", "gradients", "second derivatives", "plans")
)
TOLERANCES = {VALUES: 1e-10, GRADIENTS: 1e-8, SECOND: 1e-7}


class Leaf:
    """The place of an array of floats in a sample."""

    def __init__(self, index: int) -> None:
        self.index = index


def walk(tree: Any, replace: Callable[[Any], Any]) -> Any:
    """A copy of nested sequences and dictionaries with each leaf replaced."""
    if isinstance(tree, tuple | list):
        return (
            type(tree)(walk(item, replace) for item in tree) if type(tree) in (tuple, list) else tuple(tree)
        )
    if isinstance(tree, dict):
        return {key: walk(item, replace) for key, item in tree.items()}
    return replace(tree)


def flat(tree: Any) -> list[Any]:
    """The leaves of nested sequences."""
    return [leaf for item in tree for leaf in flat(item)] if isinstance(tree, tuple | list) else [tree]


def to_numpy(x: Any) -> Any:
    """An array of a tensor, and the name of a dtype; devices and layouts are left out."""
    if isinstance(x, torch.dtype):
        return str(x).removeprefix("torch.")
    if isinstance(x, torch.device | torch.layout | torch.memory_format):
        return None
    if not isinstance(x, torch.Tensor):
        return x
    require(x.dtype != torch.bfloat16, "NumPy has no bfloat16")
    return x.detach().resolve_conj().resolve_neg().numpy(force=True).copy()


class Sample:
    """A sample of an operation: one call for PyTorch and for portnn, its arrays of floats taken out."""

    def __init__(self, op: Any, sample: Any, function: Callable[..., Any]) -> None:
        self.op, self.function = op, function
        self.name = f"{op.name}.{op.variant_test_name}".rstrip(".")
        self.tensors: list[torch.Tensor] = []
        self.call = walk(((sample.input, *sample.args), sample.kwargs), self._take)
        self.arrays = [to_numpy(t) for t in self.tensors]
        self.wanted = [i for i, t in enumerate(self.tensors) if t.requires_grad]

    @property
    def has_tensors(self) -> bool:
        """Whether there is a tensor among the arguments, or none is needed."""
        leaves = flat([self.call[0], *self.call[1].values()])
        is_creation = not leaves or "dtype" in self.call[1]
        return is_creation or any(isinstance(x, Leaf | torch.Tensor) for x in leaves)

    def _take(self, x: Any) -> Any:
        if not isinstance(x, torch.Tensor) or x.dtype != torch.float64:
            return x
        self.tensors.append(x.detach().clone().requires_grad_(x.requires_grad))
        return Leaf(len(self.tensors) - 1)

    def _filled(self, leaves: Any, convert: Callable[[Any], Any]) -> Any:
        return walk(self.call, lambda x: leaves[x.index] if isinstance(x, Leaf) else convert(x))

    def theirs(self) -> list[Any]:
        """PyTorch's results."""
        given, named = self._filled(self.tensors, lambda x: x)
        return flat(self.op(*given, **named))[COMPARED.get(self.op.name, slice(None))]

    def ours(self, *arrays: Any) -> list[Any]:
        """portnn's results."""
        given, named = self._filled(arrays, to_numpy)
        return flat(self.function(*given, **named))


def cotangents(shapes: list[Any]) -> list[Any]:
    rng = np.random.default_rng(0)
    return [np.asarray(rng.normal(size=tuple(shape))) for shape in shapes]


def torch_gradients(outputs: list[Any], inputs: list[Any], weights: list[Any]) -> list[Any]:
    """PyTorch's gradients, with zeros where an input has no part in the outputs."""
    try:
        found = torch.autograd.grad(
            outputs, inputs, [torch.from_numpy(w) for w in weights], create_graph=True, allow_unused=True
        )
    except (RuntimeError, NotImplementedError) as error:
        raise NotApplicableError(f"PyTorch has no derivative: {str(error)[:60]}") from error
    return [torch.zeros_like(x) if g is None else g for x, g in zip(inputs, found, strict=True)]


class Cases:
    """The checks of one sample; each continues from the one before."""

    def __init__(self, sample: Sample) -> None:
        self.sample = sample
        self.expected: list[Any] = []

    def values(self) -> None:
        """Values, shapes and kinds of dtypes are PyTorch's."""
        require(self.sample.has_tensors, "no array among the arguments")
        self.expected = self.sample.theirs()
        require(not any(y is NotImplemented for y in self.expected), "PyTorch refuses its own sample")
        results = self.sample.ours(*self.sample.arrays)
        assert len(results) == len(self.expected), f"{len(results)} results of {len(self.expected)}"
        for ours, theirs in zip(results, self.expected, strict=True):
            assert_close(ours, to_numpy(theirs), TOLERANCES[VALUES])

    def gradients(self) -> None:
        """The gradients by all inputs are PyTorch's."""
        is_smooth = [getattr(y, "requires_grad", False) for y in self.expected]
        require(any(is_smooth), "PyTorch has no derivative")
        require(
            all(y.dtype == torch.float64 for y, s in zip(self.expected, is_smooth, strict=True) if s),
            "a complex result",
        )
        self.outputs = [i for i, smooth in enumerate(is_smooth) if smooth]
        outputs = [self.expected[i] for i in self.outputs]
        self.weights = cotangents([y.shape for y in outputs])
        self.inputs = [self.sample.tensors[i] for i in self.sample.wanted]
        self.slopes = torch_gradients(outputs, self.inputs, self.weights)
        for ours, theirs in zip(self.pull(*self.points()), self.slopes, strict=True):
            assert_close(ours, to_numpy(theirs), TOLERANCES[GRADIENTS])

    def second(self) -> None:
        """The gradients of the gradients are PyTorch's."""
        require(self.sample.op.supports_gradgrad, "PyTorch has no second derivative")
        weights = cotangents([g.shape for g in self.slopes])
        smooth = [i for i, g in enumerate(self.slopes) if g.requires_grad]
        theirs = [torch.zeros_like(x) for x in self.inputs]
        if smooth:
            theirs = torch_gradients(
                [self.slopes[i] for i in smooth], self.inputs, [weights[i] for i in smooth]
            )
        _, pull = pn.vjp(self.pull, *self.points())
        for mine, other in zip(pull(weights), theirs, strict=True):
            assert_close(mine, to_numpy(other), TOLERANCES[SECOND])

    def points(self) -> list[Any]:
        return [self.sample.arrays[i] for i in self.sample.wanted]

    def pull(self, *points: Any) -> list[Any]:
        """portnn's gradients with the cotangents."""
        _, pull = pn.vjp(lambda *x: [self._at(x)[i] for i in self.outputs], *points)
        return list(pull(self.weights))

    def _at(self, points: Any) -> list[Any]:
        arrays = list(self.sample.arrays)
        for i, x in zip(self.sample.wanted, points, strict=True):
            arrays[i] = x
        return self.sample.ours(*arrays)

    def plan(self) -> None:
        """A plan gives the bits of eager execution: at once, again, and on other numbers."""
        require(bool(self.sample.arrays), "no array of floats among the arguments")
        function = self._loss_with_gradients()
        planned = pn.jit(function)
        other = [np.asarray(x * 0.75 + 0.01) for x in self.sample.arrays]
        for points in (self.sample.arrays, self.sample.arrays, other):
            assert_same_bits(planned(*points), function(*points))

    def _loss_with_gradients(self) -> Callable[..., Any]:
        """A weighted sum of the results with its gradients, or the results where there is no derivative."""
        results = self.sample.ours(*self.sample.arrays)
        floats = [i for i, y in enumerate(results) if getattr(y, "dtype", None) == np.float64]
        weights = cotangents([results[i].shape for i in floats])

        def loss(*arrays: Any) -> Any:
            results = self.sample.ours(*arrays)
            return sum(ops.sum(results[i] * w) for i, w in zip(floats, weights, strict=True))

        function = pn.value_and_grad(loss, tuple(range(len(self.sample.arrays))))
        try:
            assert floats
            function(*self.sample.arrays)
        except (AssertionError, pn.DifferentiationError):
            return self.sample.ours
        return function


def assert_same_bits(ours: Any, eager: Any) -> None:
    for a, b in zip(pn.tree.leaves(ours), pn.tree.leaves(eager), strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert a.dtype == b.dtype, f"dtype {a.dtype}, eagerly {b.dtype}"
        np.testing.assert_array_equal(a, b)


def refusing(check: Callable[[], None]) -> Callable[[], None]:
    """Make a clear refusal to differentiate or to plan what a case needs and portnn lacks."""

    def call() -> None:
        try:
            check()
        except pn.DifferentiationError as error:
            raise NotApplicableError(str(error).partition(";")[0]) from error
        except pn.ControlFlowError as error:
            raise NotApplicableError("a plan cannot follow values: ControlFlowError") from error

    return call


def outcomes(op: Any) -> Iterator[Outcome]:
    """The outcomes of all samples of an operation."""
    name = f"{op.name}.{op.variant_test_name}".rstrip(".")
    try:
        function = find(op.name, [alias.name for alias in op.aliases], op.variant_test_name)
    except NotApplicableError as error:
        yield Outcome(VALUES, name, NOT_APPLICABLE, str(error))
        return
    dtypes = op.supported_dtypes("cpu")
    dtype = torch.float64 if torch.float64 in dtypes else torch.int64
    if dtype not in dtypes:
        yield Outcome(VALUES, name, NOT_APPLICABLE, "PyTorch takes neither float64 nor int64")
        return
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - what PyTorch's samples draw from
    smooth = op.supports_autograd and dtype == torch.float64
    try:
        samples = list(op.reference_inputs("cpu", dtype, requires_grad=smooth))
    except ValueError:  # PyTorch makes no integers with gradients, which some of its own samples would need
        samples = list(op.sample_inputs("cpu", dtype, requires_grad=smooth))
    for i, sample in enumerate(samples):
        yield from of_sample(f"{name}[{i}]", Sample(op, sample, function))


def of_sample(case: str, sample: Sample) -> Iterator[Outcome]:
    cases = Cases(sample)
    checks = {VALUES: cases.values, GRADIENTS: cases.gradients, SECOND: cases.second}
    before = Outcome("", case, PASSED)
    for suite, check in checks.items():
        if before.verdict == PASSED:
            before = judge(suite, case, refusing(check))
        else:
            before = Outcome(suite, case, NOT_APPLICABLE, f"{before.suite.partition(': ')[2]}: not passed")
        yield before
        if suite == VALUES and before.verdict == PASSED:
            yield judge(PLANS, case, refusing(cases.plan))


@pytest.mark.parametrize("op", op_db, ids=lambda op: f"{op.name}.{op.variant_test_name}".rstrip("."))
def test_operation(op: Any, hold: Callable[[Iterator[Outcome]], None]) -> None:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        hold(outcomes(op))
