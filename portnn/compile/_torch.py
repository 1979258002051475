"""Programs handed to ``torch.compile`` in PyTorch's own operations; of portnn its tracer sees nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, final

from portnn import ops, tree
from portnn._typing import Array, Tree
from portnn.compile._bounds import inputs_checked
from portnn.compile._errors import PlanError
from portnn.program import Program
from portnn.tracing import Value, collecting, map_nested, poisoned, values_in

__all__ = ["TorchPlan"]


@final
class TorchPlan:
    """A program compiled by ``torch.compile``.

    Args:
        program: the program, written down on PyTorch.
        arrays: arrays of its inputs' shapes and dtypes.
    """

    def __init__(self, program: Program, arrays: Sequence[Array]) -> None:
        import torch
        from torch.fx.experimental.proxy_tensor import make_fx

        program, self._checks = inputs_checked(program)
        self._program = program
        self._results = list(dict.fromkeys(values_in(tree.leaves(program.result))))
        self._looks = any(call.name == "in_range" for call in program.calls)
        self._compiled: Any = torch.compile(make_fx(self._run)(*arrays))
        self._failure = torch._dynamo.exc.BackendCompilerFailed

    def _run(self, *arrays: Array) -> list[Array]:
        """Return the results, and whether a check inside the graph failed, where none can raise."""
        with collecting() as notes:
            found = self._calls(
                arrays, in_range=partial(poisoned, instead=0)
            )  # so that no memory out of bounds is read
        return [*found, ops.any(ops.stack(notes))] if notes else found

    def _calls(self, arrays: Sequence[Array], in_range: Callable[..., Array] | None = None) -> list[Array]:
        """The calls of the program, one after the other."""
        known: dict[Value, Array] = dict(zip(self._program.inputs, arrays, strict=True))

        def find(item: Any) -> Any:
            if type(item) is not Value:
                return item
            return known[item] if item.constant is None else item.constant

        made = set()
        for call in self._program.calls:
            function = in_range if in_range is not None and call.name == "in_range" else call.function
            found = function(*map_nested(find, call.args), **map_nested(find, call.options))
            places = values_in(call.result)
            known.update(zip(places, [found] if type(call.result) is Value else found, strict=True))
            made.update(places)
        # What the caller gets is not what the caller or the plan holds.
        return [known[value] if value in made else find(value).clone() for value in self._results]

    def __call__(self, arrays: Sequence[Array], args: Tree) -> Tree:
        """What the program gives.

        Raises:
            PlanError: if PyTorch's compiler cannot serve, as without a C++ compiler.
        """
        for check in self._checks:
            check(arrays)
        try:
            found = self._compiled(*arrays)
            if self._looks and bool(found.pop()):
                self._calls(arrays)  # which raises, and names the wrong value
        except self._failure as error:
            said = str(error).splitlines()[0]
            raise PlanError(
                f"jit: torch.compile failed: {said:.160}; on a CPU it needs a C++ compiler "
                "(Debian: apt install g++), or leave torch_compile out"
            ) from error
        results = dict(zip(self._results, found, strict=True))
        return tree.map(lambda leaf: results[leaf] if type(leaf) is Value else leaf, self._program.result)

    def explain(self) -> str:
        """Who compiles."""
        count = len(self._program.calls)
        return f"{count} call{'' if count == 1 else 's'}, compiled by torch.compile"
