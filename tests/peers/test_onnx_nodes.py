"""ONNX's operators: the data with which ONNX tests its backends, one node a case.

The cases come from `onnx.backend.test.case.node`, which ships in the wheel and makes them. Dtypes must be
ONNX's, and values agree to the tolerances that the cases state.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx
from onnx.backend.test.case.node import collect_testcases

from tests.peers.frame import NOT_APPLICABLE, Outcome, judge, require
from tests.peers.onnx_nodes import run

SUITE = "ONNX nodes"
HALF = 5e-3  # ONNX states its tolerances for float32


def to_array(value: Any) -> Any:
    """An array of a stored tensor; sequences, optional values and NumPy's unknown dtypes have none."""
    array = onnx.numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value
    require(isinstance(array, np.ndarray | np.generic), "sequences and optional values")
    require(array.dtype.kind in "fiub", f"dtype {array.dtype}")
    return np.asarray(array)


def attributes(node: Any) -> dict[str, Any]:
    """The attributes of a node as plain values."""
    found = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    return {name: plain(value) for name, value in found.items()}


def plain(value: Any) -> Any:
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.decode() if isinstance(value, bytes) else value


def check(case: Any) -> None:
    """Run the node of a case on all of its data."""
    graph = case.model.graph
    [node] = graph.node
    operator = f"{node.domain}.{node.op_type}".removeprefix(".").removeprefix("ai.onnx.")
    for inputs, expected in case.data_sets:
        given = dict(zip((i.name for i in graph.input), inputs, strict=False))
        given |= {i.name: i for i in graph.initializer if i.name not in given}
        arrays = [to_array(given[name]) if name else None for name in node.input]
        wanted = [name for name in node.output if name]
        results = run(operator, arrays, attributes(node), len(node.output))
        named = {name: y for name, y in zip(node.output, results, strict=False) if name}
        assert len(named) == len(wanted), f"{len(named)} results of {len(wanted)}"
        for name, theirs in zip(wanted, expected, strict=True):
            compare(named[name], to_array(theirs), case)


def compare(ours: Any, theirs: Any, case: Any) -> None:
    ours = np.asarray(ours)
    assert ours.dtype == theirs.dtype, f"dtype {ours.dtype}, the peer has {theirs.dtype}"
    relative = HALF if theirs.dtype == np.float16 else case.rtol
    np.testing.assert_allclose(ours, theirs, rtol=relative, atol=max(case.atol, 1e-6))
    assert ours.shape == theirs.shape, f"shape {ours.shape}, the peer has {theirs.shape}"


def outcomes() -> Iterator[Outcome]:
    """The outcomes of all cases; those with the function expanded have the data of another case."""
    np.random.seed(0)  # noqa: NPY002 - what ONNX's cases draw from
    for case in collect_testcases(None):
        if "_expanded" in case.name:
            yield Outcome(SUITE, case.name, NOT_APPLICABLE, "the data of another case, its function expanded")
        else:
            yield judge(SUITE, case.name, lambda: check(case))  # noqa: B023 - called at once


def test_nodes(hold: Callable[[Iterator[Outcome]], None]) -> None:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        hold(outcomes())
