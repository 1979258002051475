"""One program on two backends at the same pace, to find where they part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

from portnn import tree
from portnn._typing import Array, Tree
from portnn.backend import Backend, get_backend
from portnn.program._difference import difference, on_host, scale_of, tolerated
from portnn.program._line import Line, Listing, dtype_name
from portnn.program._machine import Machine
from portnn.program._report import LineDifference, LockstepReport
from portnn.program._text import Names, kind_of
from portnn.program._trace import trace
from portnn.tracing import is_array

__all__ = ["lockstep"]

_FLOATS = ("bfloat16", "float16", "float32", "float64")  # from coarse to fine
_COMPLEX = ("complex64", "complex128")


@final
@dataclass(frozen=True)
class _Side:
    """A backend, and the dtype that floating-point arrays have there; None for the one they have."""

    backend: Backend
    dtype: str | None

    @property
    def label(self) -> str:
        return self.backend.name if self.dtype is None else f"{self.backend.name} {self.dtype}"

    @property
    def dtypes(self) -> dict[str, str]:
        """This side's dtypes for others, by name."""
        if self.dtype is None:
            return {}
        wide = "complex128" if self.dtype == "float64" else "complex64"
        return {**dict.fromkeys(_FLOATS, self.dtype), **dict.fromkeys(_COMPLEX, wide)}

    def place(self, x: Array) -> Array:
        """An array of any library on this side."""
        name = dtype_name(x.dtype)
        return self.backend.asarray(x, dtype=self.dtypes.get(name, name))

    def machine(self, listing: Listing) -> Machine:
        return Machine(listing, self.backend.xp, self.backend.device, self.place, self.dtypes)

    def carry_out(self, machine: Machine, i: int, known: dict[int, Array]) -> None:
        with self.backend.activate():
            try:
                machine.carry_out(i, known)
            except Exception as error:  # whatever it is, it goes on, with the place added
                error.add_note(f"on {self.label}")
                raise


def lockstep(
    f: Callable[..., Tree],
    args: tuple[Tree, ...],
    backends: str | Backend | tuple[str | Backend, str | Backend] = ("cpu", "gpu"),
    *,
    dtypes: tuple[str, str] | None = None,
    tolerance: float | None = None,
) -> LockstepReport:
    """Run a function on two backends, primitive by primitive, and report the first that differs.

    The function is traced on the first backend. Each primitive is then carried out on both, on the second
    with the values that the first had for its arguments: what differs is the primitive itself, not what came
    before. How far the two runs part by themselves is reported as ``accumulated``.

    Args:
        f: a function of trees of arrays, as for `trace`.
        args: its arguments, with arrays of any library.
        backends: two backends, or one that is run in two dtypes.
        dtypes: the dtype of floating-point arrays on each of them; None leaves them as they are. The run in
            the coarser dtype hands its values to the other, which can hold them exactly.
        tolerance: the largest difference that is no finding, relative to the size of the numbers: the
            largest result, for sums the largest term, for products of matrices the largest product of
            two entries. None takes ``32 eps sqrt(n)``, where eps is that of the coarser dtype and n the
            number of terms that the primitive adds up. Integers, booleans, NaN and infinities must be equal.

    Returns:
        A report to print: ``first``, the first primitive that differs, or None, and ``worst()``. Of the
        decompositions in `ops.linalg` only those with one right answer can be compared.

    Raises:
        TypeError: if there is no array among the arguments.
        ValueError: if there are not two runs to compare, or a dtype is none of floating-point numbers.
        BackendUnavailableError: if a backend cannot serve.

    Example:
        >>> import numpy as np
        >>> from portnn import ops
        >>> x = np.linspace(-3.0, 3.0, 64)
        >>> f = lambda x: ops.sum(ops.exp(x) * ops.tanh(x))
        >>> report = lockstep(f, (x,), "cpu", dtypes=("float32", "float64"))
        >>> report.first is None
        True
        >>> [line.name for line in report.lines]
        ['exp', 'tanh', 'multiply', 'sum']
    """
    if not isinstance(args, tuple):
        raise TypeError(f"lockstep: args must be a tuple of arguments, got {type(args).__name__}; write (x,)")
    lead, other = sides = _sides(backends, dtypes)
    if dtypes is not None and _FLOATS.index(dtypes[1]) < _FLOATS.index(dtypes[0]):
        lead, other = other, lead
    with lead.backend.activate():
        placed = tree.map(lambda leaf: lead.place(leaf) if is_array(leaf) else leaf, args)
        program = trace(f)(*placed)
    arrays = [leaf for leaf in tree.leaves(placed) if is_array(leaf)]
    lines = _Comparison(program.listing, lead, other, arrays, tolerance).run()
    return LockstepReport(program.name, (sides[0].label, sides[1].label), tuple(lines))


def _sides(backends: Any, dtypes: Any) -> tuple[_Side, _Side]:
    pair = (backends, backends) if isinstance(backends, str | Backend) else tuple(backends)
    if len(pair) != 2:
        raise ValueError(f"lockstep: backends must be one or two, got {len(pair)}")
    if dtypes is not None and (len(dtypes) != 2 or not all(name in _FLOATS for name in dtypes)):
        raise ValueError(f"lockstep: dtypes must be two of {', '.join(_FLOATS)}, got {str(dtypes)[:60]}")
    first, second = get_backend(pair[0]), get_backend(pair[1])
    one, two = (None, None) if dtypes is None else dtypes
    if first is second and one == two:
        raise ValueError(
            f"lockstep: nothing to compare: both runs are on {first.name!r}; name two backends, "
            "or dtypes=('float32', 'float64')"
        )
    return _Side(first, one), _Side(second, two)


@final
class _Comparison:
    """Two machines that go through a listing side by side."""

    def __init__(
        self, listing: Listing, lead: _Side, other: _Side, arrays: list[Array], tolerance: float | None
    ) -> None:
        self.listing = listing
        self.names = Names(listing)
        self.lead, self.other = lead, other
        self.machines = lead.machine(listing), other.machine(listing)
        self.tolerance = tolerance
        keys = [id(value) for value in listing.inputs]
        self.known = dict(zip(keys, arrays, strict=True))  # what the lead has
        self.fed = {key: other.place(x) for key, x in self.known.items()}  # the same on the other side
        self.own = dict(self.fed)  # what the other side has by itself

    def run(self) -> list[LineDifference]:
        return [self._line(i, line) for i, line in enumerate(self.listing.lines)]

    def _line(self, i: int, line: Line) -> LineDifference:
        lead, other = self.machines
        self.lead.carry_out(lead, i, self.known)
        alone = dict(self.fed)
        self.other.carry_out(other, i, alone)
        self.other.carry_out(other, i, self.own)
        keys = [id(value) for value in line.outputs() if value.constant is None]
        found = self._compare(i, line, alone, keys)
        for key in keys:
            self.fed[key] = self.other.place(self.known[key])
        for key in lead.last_uses[i]:
            for values in (self.known, self.fed, self.own):
                values.pop(key, None)
        return found

    def _compare(self, i: int, line: Line, alone: dict[int, Array], keys: list[int]) -> LineDifference:
        given = {id(v): self.known[id(v)] for v in line.inputs() if v.constant is None}
        results = [on_host(self.known[key]) for key in keys]
        scale = scale_of(line, [on_host(x) for x in given.values()], results)
        labels = (self.lead.label, self.other.label)
        same_inputs = [
            difference(a, on_host(alone[key]), scale, labels) for a, key in zip(results, keys, strict=True)
        ]
        own_inputs = [
            difference(a, on_host(self.own[key]), scale, labels) for a, key in zip(results, keys, strict=True)
        ]
        worst = max(same_inputs, key=lambda d: d.relative)
        allowed = self.tolerance
        if allowed is None:
            dtypes = [dtype_name(values[key].dtype) for key in keys for values in (self.known, alone)]
            allowed = tolerated(line, dtypes)
        return LineDifference(
            index=i,
            name=line.name,
            text=f"{self.names.results(line)} = {self.names.call(line)}",
            kind=", ".join([kind_of(value) for value in line.outputs()]),
            absolute=worst.absolute,
            relative=worst.relative,
            tolerance=allowed,
            accumulated=max([d.relative for d in own_inputs]),
            note=worst.note,
        )
