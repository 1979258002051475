"""``portnn compare``."""

from __future__ import annotations

from dataclasses import asdict
from math import isfinite
from typing import Any

from click import UsageError

from portnn import ops, random
from portnn._typing import Array
from portnn.autodiff import value_and_grad
from portnn.backend import BackendUnavailableError
from portnn.cli._saved import inputs_of, open_network, shape_of
from portnn.cli._source import split_names
from portnn.cli._terminal import emit
from portnn.losses import Task
from portnn.network import Network
from portnn.program import LockstepReport, lockstep

__all__ = ["run"]

_DEFAULT = "cpu,gpu"  # the backends that are compared if none are named


def run(
    *, network: str, backends: str, dtypes: str | None, gradient: bool, data: str | None, samples: int,
    shape: str | None, seed: int, as_json: bool,
) -> int:  # fmt: skip
    """Run a network on two backends at the same pace."""
    sides = _two("--dtypes", dtypes) if dtypes else None
    pair = _backends(backends, alone=sides is not None)
    net, notes = open_network(network, "cpu")
    if data:
        x = inputs_of(net, notes, [data], {"shape": shape, "invert": False})[:samples, ...]
    else:
        x = random_inputs(notes, (samples, *shape_of(net, notes, shape)), seed)
    f, arguments = _question(net, x, gradient)
    try:
        report = lockstep(f, arguments, pair, dtypes=sides)
    except BackendUnavailableError as error:
        if backends != _DEFAULT:
            raise
        other = "compare others, such as --backends cpu,torch or --dtypes float32,float64"
        raise RuntimeError(f"{error}; or {other}") from error
    emit(str(report), _plain(report), as_json)
    return 1 if report.first is not None else 0


def _backends(given: str, *, alone: bool) -> str | tuple[str, str]:
    """The backends to compare: of those that nobody named the first, if one is enough."""
    if alone and given == _DEFAULT:
        return split_names(given)[0]
    names = split_names(given)
    return names[0] if len(names) == 1 else _two("--backends", given)


def _two(option: str, given: str) -> tuple[str, str]:
    """Two names that are separated by a comma."""
    names = split_names(given)
    if len(names) != 2:
        example = "float32,float64" if option == "--dtypes" else "cpu,torch"
        raise UsageError(f"{option}: expected two such as {example}, got {given[:40]!r}.")
    return names[0], names[1]


def random_inputs(notes: dict[str, Any], shape: tuple[int, ...], seed: int) -> Array:
    """Samples that nobody has drawn: pixels as bytes, other numbers normally distributed."""
    key = random.key(seed)
    if notes.get("pixels"):
        return ops.astype(random.randint(key, shape, 0, 256), "uint8")
    return random.normal(key, shape)


def _question(net: Network, x: Array, gradient: bool) -> tuple[Any, tuple[Any, ...]]:
    """What is compared: predictions, or the loss of the network's own decisions with its gradient."""
    layer, state = net.layer, net.state
    if not gradient:

        def predictions(params: Any, x: Array) -> Any:
            return layer.apply(params, x, state=state)[0]

        return predictions, (net.params, x)
    found = {Task.CLASSES: "int32", Task.LABELS: "float32", Task.VALUES: net.dtype}
    y = ops.astype(net.predict(x), found[net.task])

    def loss(params: Any, x: Array, y: Array) -> Any:
        return net.loss(layer.apply(params, x, state=state)[0], y)

    return value_and_grad(loss), (net.params, x, y)


def _plain(report: LockstepReport) -> dict[str, Any]:
    """A report that JSON can hold."""
    lines = [{k: v if not isinstance(v, float) or isfinite(v) else str(v) for k, v in asdict(line).items()}
             for line in report.lines]  # fmt: skip
    first = None if report.first is None else report.first.index
    return {"sides": list(report.sides), "differs": first is not None, "first": first, "lines": lines}
