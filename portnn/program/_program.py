"""A program: what a function did, as a list of calls that can be read, counted, carried out and planned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

import array_api_compat

from portnn import tree
from portnn._typing import Namespace, Tree
from portnn.backend import convert_like
from portnn.program._line import Line, Listing
from portnn.program._reduce import reduced
from portnn.tracing import Call, Value, at_home, namespace, values_in

if TYPE_CHECKING:
    from portnn.program._machine import Machine

# Plans need none of what counts, prints, draws and carries out programs: it is imported when it is used.

__all__ = ["Program"]


@final
@dataclass(frozen=True, eq=False)
class Program:
    """A function that was written down: made by `portnn.trace`.

    ``print(program)`` shows it, one line a primitive.

    Attributes:
        name: the name of the function.
        namespace: the library with which it was written.
        inputs: for each array among the arguments a value, from left to right.
        names: where each of them stands in the arguments, such as ``0.weight``.
        result: what the function returns, with a `Value` for each array.
        calls: the calls of the standard's functions, in order.
        write: makes `written`, which plans do not need.

    Example:
        >>> import numpy as np
        >>> from portnn import ops
        >>> from portnn.program import trace
        >>> program = trace(ops.linear)(np.ones((64, 784)), np.ones((784, 10)), np.ones(10))
        >>> [line.name for line in program.lines], [call.name for call in program.calls], program.flops
        (['linear'], ['matmul', 'add'], 1004160)
    """

    name: str
    namespace: Namespace
    inputs: tuple[Value, ...]
    names: tuple[str, ...]
    result: Tree
    calls: tuple[Call, ...]
    write: Callable[[], Listing] = field(repr=False)
    _machines: dict[Any, Machine] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def written(self) -> Listing:
        """The program at the level of primitives, as it was written down."""
        return self.write()

    @cached_property
    def listing(self) -> Listing:
        """The program at the level of primitives, with nothing done twice and nothing for nobody."""
        lines, result = reduced(self.written.lines, self.written.result)
        return replace(self.written, lines=tuple(lines), result=result)

    @property
    def lines(self) -> tuple[Line, ...]:
        """The primitives, in order, and the calls that belong to none."""
        return self.listing.lines

    @property
    def flops(self) -> int:
        """The arithmetic operations of one run.

        A multiply-add counts 2. Products of matrices are exact; elementwise functions count 1 per element
        of their result, reductions the size of what they reduce, views and moves nothing. Sorts,
        Fourier transforms and decompositions are estimated by the leading term of the usual algorithm.
        """
        from portnn.program._cost import flops_of

        return sum([flops_of(call) for call in self.calls])

    @property
    def bytes(self) -> int:
        """The bytes that one run reads and writes, each call for itself; views move nothing.

        Divided by the bandwidth of a memory, the least time that the calls take one by one.
        """
        from portnn.program._cost import bytes_of

        return sum([bytes_of(call) for call in self.calls])

    @property
    def peak_bytes(self) -> int:
        """The most memory that results of calls take up at a time, besides the inputs, in bytes.

        Each array counts from the call that makes it to the last one that reads it; views count nothing.

        Example:
            >>> import numpy as np
            >>> from portnn import ops
            >>> from portnn.program import trace
            >>> trace(lambda x: ops.sum(ops.exp(x)))(np.ones(100)).peak_bytes
            808
        """
        from portnn.program._cost import peak_of

        return peak_of(self.calls, values_in(tree.leaves(self.result)))

    @at_home
    def eval(self, *args: Tree) -> Tree:
        """Carry out the program, line by line.

        Args:
            *args: as for the function: of the same tree structure, with arrays of the same shapes and dtypes,
                of any one library and device. Leaves that are no arrays must equal those of the trace.

        Returns:
            What the function returns, with arrays of the library and device of the arguments. On the library
            with which the program was written, bit for bit what the function gives.

        Raises:
            TypeError: if an argument is no array where one was, or arrays are of different libraries.
            ValueError: if structures, shapes, dtypes or other leaves differ from those of the trace.

        Example:
            >>> import numpy as np
            >>> from portnn import ops
            >>> from portnn.program import trace
            >>> program = trace(lambda x: ops.sum(2.0 * x))(np.ones(3))
            >>> float(program.eval(np.arange(3.0)))
            6.0
        """
        from portnn.program._arguments import checked_arrays

        arrays = checked_arrays(self.listing, args)
        return self._machine(arrays).run(arrays)

    def _machine(self, arrays: list[Any]) -> Machine:
        """The program on the library and device of these arrays; kept, with its constants there."""
        from portnn.program._machine import Machine

        xp, device = namespace(*arrays), array_api_compat.device(arrays[0])
        key = (getattr(xp, "__name__", xp), str(device))
        found = self._machines.get(key)
        if found is None:
            like = arrays[0]
            found = Machine(self.listing, xp, device, lambda constant: convert_like(constant, like))
            self._machines[key] = found
        return found

    def to_dot(self) -> str:
        r"""The program as a graph in the language of Graphviz, for ``dot -Tsvg``.

        Example:
            >>> import numpy as np
            >>> from portnn import ops
            >>> from portnn.program import trace
            >>> program = trace(ops.exp)(np.ones(3))
            >>> print(program.to_dot())
            digraph "exp" {
              rankdir=TB;
              input0 [shape=box, label="x\nfloat64[3]"];
              line0 [shape=ellipse, label="%0\nexp(x)"];
              input0 -> line0 [label="float64[3]"];
              result0 [shape=box, peripheries=2, label="result 0"];
              line0 -> result0 [label="float64[3]"];
            }
        """
        from portnn.program._dot import dot_text

        return dot_text(self.listing)

    def __str__(self) -> str:
        from portnn.program._text import listing_text

        count = len(self.lines)
        totals = f"{count} line{'' if count == 1 else 's'}, {self.flops:,} flops, {self.bytes:,} bytes"
        return listing_text(self.listing, totals)

    def __repr__(self) -> str:
        return f"<Program {self.name}: {len(self.calls)} calls>"
