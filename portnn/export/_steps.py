"""One program of several: written down for batches of several sizes, they tell what follows the batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, final

from portnn import tree
from portnn.backend import get_backend
from portnn.export._errors import ExportError
from portnn.export._tensors import Tensor, fitted
from portnn.program import Program
from portnn.tracing import Value, map_nested

__all__ = ["Step", "Steps", "merged", "tensors_in"]

_HOST = get_backend("numpy")
_FIXED = "batch_size=n exports a graph for batches of n alone"


@final
@dataclass(frozen=True, eq=False)
class Step:
    """A primitive, or a call of the standard, with a `Tensor` for each array and a `Size` where one follows.

    Attributes:
        name: what is carried out.
        own: whether it is a primitive of portnn; one of the user's may have the same name.
        args: positional arguments.
        options: keyword arguments.
        result: what it gives.
        inner: for a primitive, gives the calls that it made, when they are wanted.
        place: the layer that it belongs to, "" if that is not known.
    """

    name: str
    own: bool
    args: tuple[Any, ...]
    options: dict[str, Any]
    result: Any
    inner: Callable[[], tuple[Step, ...]]
    place: str

    def calls(self) -> tuple[Step, ...]:
        """The calls that a primitive made; of a call, itself.

        Raises:
            ExportError: if they follow the batch in a way that ONNX cannot say.
        """
        return self.inner() or (self,)


@final
@dataclass(frozen=True, eq=False)
class Steps:
    """A program whose shapes follow the batch: inputs, the steps that are needed, results by their paths."""

    inputs: tuple[Tensor, ...]
    steps: tuple[Step, ...]
    results: dict[str, Tensor]


def tensors_in(nested: Any) -> list[Tensor]:
    """Every `Tensor` in arguments, from left to right; those in slices are none."""
    found: list[Tensor] = []
    map_nested(lambda item: found.append(item) if type(item) is Tensor else None, nested)
    return found


def merged(programs: Sequence[Program], batches: Sequence[int], marks: Sequence[tuple[int, str]]) -> Steps:
    """One program for batches of any size.

    Args:
        programs: the same function, written down once for each size.
        batches: the sizes.
        marks: the layers of the first program: the number of calls when one was through, and its name.

    Raises:
        ExportError: if the programs differ in more than sizes.
    """
    merger = _Merger(batches)
    inputs = tuple([merger.tensor(values) for values in zip(*[p.inputs for p in programs], strict=True)])
    lines = [program.written.lines for program in programs]
    names = [[line.name for line in found] for found in lines]
    if any(found != names[0] for found in names[1:]):
        raise ExportError(
            f"the network does other things for a batch of {batches[0]} than for one of "
            f"{batches[1]}; let it do the same for all, or export with batch_size=n"
        )
    steps, past = [], 0
    for same in zip(*lines, strict=True):
        past += len(same[0].calls)
        merger.place = next((name for position, name in marks if past <= position), "")
        steps.append(merger.step(same))
    results = [tree.leaves(program.written.result) for program in programs]
    paths = [path for path, _ in tree.items(programs[0].written.result)]
    outputs = dict(zip(paths, [merger.merge(same) for same in zip(*results, strict=True)], strict=True))
    if odd := [item for item in outputs.values() if type(item) is not Tensor]:
        raise ExportError(f"the function returns {type(odd[0]).__name__}, expected arrays")
    return Steps(inputs, _needed(steps, outputs.values()), outputs)


class _Merger:
    """Puts the same places of several programs together."""

    def __init__(self, batches: Sequence[int]) -> None:
        self.batches = batches
        self.place = ""
        self.name = ""
        self._known: dict[tuple[int, ...], Tensor] = {}

    def step(self, lines: Sequence[Any]) -> Step:
        """A step from the same line, or the same call, of each program."""
        first = lines[0]
        self.name = first.name
        args, options, result = (
            self.merge([getattr(x, part) for x in lines]) for part in ("args", "options", "result")
        )
        own = getattr(first, "is_primitive", False) and _is_ours(first)
        return Step(
            first.name, own, args, options, result, partial(self._calls, lines, self.place), self.place
        )

    def _calls(self, lines: Sequence[Any], place: str) -> tuple[Step, ...]:
        """What the lines are made of, in the layer that they belong to."""
        self.place = place
        inner = [getattr(line, "calls", ()) for line in lines]
        names = [[call.name for call in calls] for calls in inner]
        if any(found != names[0] for found in names[1:]):
            raise self._differs("what it calls")
        return tuple([self.step(same) for same in zip(*inner, strict=True)])

    def merge(self, items: Sequence[Any]) -> Any:
        """The same argument, or a part of one."""
        first = items[0]
        if any(type(item) is not type(first) for item in items):
            raise self._differs("an argument")
        if type(first) is Value:
            return self.tensor(items)
        if isinstance(first, slice):
            return slice(*[self.merge([getattr(s, part) for s in items]) for part in _SLICE])
        if isinstance(first, dict):
            return {key: self.merge([item[key] for item in items]) for key in first}
        if isinstance(first, tuple | list):
            if len({len(item) for item in items}) > 1:
                raise self._differs("the number of its arguments")
            parts = [self.merge(same) for same in zip(*items, strict=True)]
            return parts if isinstance(first, list) else tuple(parts)
        if type(first) is int:
            size = fitted(items, self.batches)
            if size is None:
                raise self._differs(f"a number ({', '.join(map(str, items))})")
            return size
        if all(item is first or item == first for item in items) or repr(first) == "nan":
            return first
        raise self._differs(f"a number ({', '.join([f'{item!s:.12}' for item in items])})")

    def tensor(self, values: Sequence[Value]) -> Tensor:
        """The tensor that stands for the same value of each program."""
        key = tuple([id(value) for value in values])
        found = self._known.get(key)
        if found is None:
            lengths = list(zip(*[value.shape for value in values], strict=True))
            shape = [fitted(same, self.batches) for same in lengths]
            if None in shape:
                raise self._differs(f"an axis of lengths {lengths[shape.index(None)]}")
            constants = [value.constant for value in values]
            arrays = None if constants[0] is None else tuple([_HOST.to_numpy(a) for a in constants])
            dtype = str(values[0].dtype).rpartition(".")[2]
            found = Tensor(tuple([n for n in shape if n is not None]), dtype, arrays)
            self._known[key] = found
        return found

    def _differs(self, what: str) -> ExportError:
        place = f" in {self.place}" if self.place else ""
        text = f"{self.name}{place}: {what} follows the batch in a way that ONNX cannot say"
        return ExportError(f"{text[:220]}; {_FIXED}")


_SLICE = ("start", "stop", "step")


def _is_ours(line: Any) -> bool:
    """Whether a primitive is portnn's own, and gives not its variant that saves."""
    module: str = getattr(line.function, "__module__", "") or ""
    name: str = getattr(line.function, "__name__", "")
    return module.partition(".")[0] == "portnn" and name.lstrip("_") == line.name


def _needed(steps: list[Step], results: Iterable[Tensor]) -> tuple[Step, ...]:
    """The steps that have a part in the results."""
    wanted = {id(tensor) for tensor in results}
    kept = []
    for step in reversed(steps):
        if any(id(tensor) in wanted for tensor in tensors_in(step.result)):
            kept.append(step)
            wanted.update(id(tensor) for tensor in tensors_in((step.args, step.options)))
    return tuple(kept[::-1])
