"""What a row of the table is, and what is asked of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import array_api_compat
import numpy as np

from portnn import ops, tree
from portnn.autodiff import vjp
from portnn.backend import get_backend
from portnn.tracing import CONSTANT, TracedArray
from tests.backends import BackendUnderTest, Matrix

SMOOTH = "smooth"  # has a derivative, checked
CONSTANT_KIND = "constant"  # its results are constants for every derivative
VALUES = "values only"  # differentiating is an error

Maker = Callable[[np.random.Generator], Any]


@dataclass(frozen=True)
class Row:
    """One public function at one kind of argument.

    Attributes:
        name: where the function is public, such as "ops.add".
        function: the function of arrays, with its options bound.
        args: what makes each argument from a generator (a float64 NumPy array or a tree of them; integers
            and booleans are handed on), or a Python value that stands for itself.
        oracle: the same function in NumPy, SciPy-free and independent of portnn, of float64 arrays.
        kind: SMOOTH, CONSTANT_KIND or VALUES.
        case: tells rows of one function apart.
        order: how often it is differentiated.
        elementwise: whether broadcasting, 0-d and empty arrays are tried too.
        rtol: tolerance of the value in float64, relative to the largest expected one.
        rtol32: the same in float32.
        grad32: tolerance of the gradient in float32, relative to its largest entry.
        step: as in check_gradients.
        tolerance: as in check_gradients.
        repeatable: whether an elementwise function of two arrays is smooth at f(x, x).
        numbers: whether an elementwise function of two arrays takes a Python number for one of them.
        needs_data_dependent_shapes: whether shapes of its results depend on values.
        not_on: members of the matrix whose library has not got it.
        own_dtype: whether the dtype of the result is float32 whatever the arguments are.
    """

    name: str
    function: Callable[..., Any]
    args: tuple[Any, ...]
    oracle: Callable[..., Any]
    kind: str = SMOOTH
    case: str = ""
    order: int = 2
    elementwise: bool = False
    rtol: float = 1e-12
    rtol32: float = 2e-6
    grad32: float = 5e-6
    step: float = 1e-2
    tolerance: float = 1e-8
    repeatable: bool = True
    numbers: bool = True
    needs_data_dependent_shapes: bool = False
    not_on: tuple[str, ...] = ()
    own_dtype: bool = False

    def __str__(self) -> str:
        return f"{self.name}({self.case})" if self.case else self.name

    def make(self, seed: int = 0) -> list[Any]:
        """The arguments, with values that float32 holds exactly, so that all dtypes see the same point."""
        rng = np.random.default_rng([seed, *str(self).encode()])
        made = [a(rng) if callable(a) else a for a in self.args]
        return [tree.map(_representable, a) for a in made]


def _representable(x: Any) -> Any:
    floating = isinstance(x, np.ndarray) and x.dtype == np.float64
    return x.astype(np.float32).astype(np.float64) if floating else x


def normal(*shape: int) -> Maker:
    """Normal numbers."""
    return lambda rng: np.asarray(rng.normal(size=shape))


def between(low: float, high: float, *shape: int) -> Maker:
    """Uniform numbers."""
    return lambda rng: np.asarray(rng.uniform(low, high, size=shape))


def apart(*shape: int, gap: float = 0.2) -> Maker:
    """Shuffled numbers of both signs, none closer than about half of `gap` to another or to zero."""

    def make(rng: np.random.Generator) -> np.ndarray:
        n = int(np.prod(shape))
        values = (rng.permutation(n) - n // 2 + 0.5 + rng.uniform(-0.2, 0.2, n)) * gap
        return np.asarray(values.reshape(shape))

    return make


def integers(low: int, high: int, *shape: int) -> Maker:
    """Uniform integers, `high` not among them."""
    return lambda rng: np.asarray(rng.integers(low, high, size=shape, dtype=np.int64))


def booleans(*shape: int) -> Maker:
    """Booleans of a fair coin."""
    return lambda rng: np.asarray(rng.uniform(size=shape) < 0.5)


def fixed(values: Any, dtype: str = "float64") -> Maker:
    """The same numbers always."""
    return lambda rng: np.asarray(values, dtype=dtype)


def namespace(x: Any) -> Any:
    """The library's own namespace of an array, traced or not."""
    return array_api_compat.array_namespace(x.plain if isinstance(x, TracedArray) else x)


def to_complex(x: Any) -> Any:
    """A real array as a complex one of the same precision, by way of portnn."""
    xp = namespace(x)
    return ops.astype(x, xp.complex64 if x.dtype == xp.float32 else xp.complex128)


def squared(row: Row) -> Callable[..., Any]:
    """The function with its floating-point results squared.

    The second derivative of a linear function alone is zero and asks nothing of its rule; squared, the rule
    is differentiated by the gradient that it is given.
    """

    def function(*args: Any) -> Any:
        return tree.map(lambda y: ops.square(y) if is_array(y) and _real(y) else y, row.function(*args))

    return function


def is_array(x: Any) -> bool:
    """Whether x is an array of any library."""
    return isinstance(x, TracedArray) or array_api_compat.is_array_api_obj(x)


def is_floating(x: Any) -> bool:
    """Whether x is a float64 or float32 NumPy array."""
    return isinstance(x, np.ndarray | np.generic) and x.dtype.kind == "f"


def place(args: list[Any], backend: BackendUnderTest, dtype: str = "float64") -> list[Any]:
    """The arguments on a backend; floating-point ones in the dtype given."""

    def one(x: Any) -> Any:
        if not isinstance(x, np.ndarray | np.generic):
            return x
        return backend.asarray(x, dtype if is_floating(x) else None)

    return [tree.map(one, a) for a in args]


def dtypes(backend: BackendUnderTest) -> list[str]:
    """The real dtypes of a backend."""
    return ["float64", "float32"] if backend.has_float64 else ["float32"]


def run(backend: BackendUnderTest, dtype: str, function: Callable[..., Any], args: list[Any]) -> Any:
    """Call the function with `args`: on JAX one by one in float32, as one program of jax.jit in float64.

    JAX compiles each step for each shape and dtype, which takes longer than all else that a row does.
    """
    leaves = tree.leaves(args)
    chosen = [i for i, x in enumerate(leaves) if is_array(x) and _real(x)]
    if backend.member is not Matrix.JAX or dtype == "float32" or not chosen:
        return function(*args)
    import jax

    def call(*xs: Any) -> list[Any]:  # integers and booleans keep their values: they may decide shapes
        full = list(leaves)
        for i, x in zip(chosen, xs, strict=True):
            full[i] = x
        results.append(function(*tree.unflatten(args, full)))
        return [x for x in tree.leaves(results[-1]) if is_array(x)]

    results: list[Any] = []
    found = iter(jax.jit(call)(*[leaves[i] for i in chosen]))
    return tree.map(lambda x: next(found) if is_array(x) else x, results[-1])


def assert_on(backend: BackendUnderTest, x: Any, what: str) -> None:
    """An array of the library and the device of the backend, and not a traced one."""
    assert array_api_compat.is_array_api_obj(x), f"{what} is no array but {type(x).__name__}"
    found = array_api_compat.array_namespace(x)
    assert found.__name__ == backend.xp.__name__, f"{what}: namespace {found.__name__}"
    assert array_api_compat.device(x) == backend.device, f"{what}: device {array_api_compat.device(x)}"


def assert_near(actual: np.ndarray, expected: np.ndarray, rtol: float, what: str) -> None:
    """Values as near as `rtol` times the largest expected one; NaN and infinities in the same places."""
    assert actual.shape == expected.shape, f"{what}: shape {actual.shape}, expected {expected.shape}"
    if expected.size == 0 or expected.dtype.kind in "biu":
        np.testing.assert_array_equal(actual, expected, err_msg=what)
        return
    size = np.max(np.abs(expected), initial=0.0, where=np.isfinite(expected))
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=rtol * float(size), err_msg=what)


def assert_value(row: Row, backend: BackendUnderTest, dtype: str, args: list[Any] | None = None) -> None:
    """The function's value is the oracle's, of the right dtype, library and device."""
    host = row.make() if args is None else args
    expected = row.oracle(*host)
    placed = place(host, backend, dtype)
    # Where values decide shapes, there is no program before there are values.
    one_by_one = row.needs_data_dependent_shapes
    actual = row.function(*placed) if one_by_one else run(backend, dtype, row.function, placed)
    found, wanted = tree.leaves(actual), tree.leaves(expected)
    assert len(found) == len(wanted), f"{len(found)} results, expected {len(wanted)}"
    for i, (a, e) in enumerate(zip(found, wanted, strict=True)):
        if not isinstance(e, np.ndarray | np.generic):
            assert a == e, f"result {i}: {a!r}, expected {e!r}"
            continue
        assert_on(backend, a, f"result {i}")
        values, e = backend.to_numpy(a), np.asarray(e)
        if e.dtype.kind in "fc":
            wide = e.dtype.kind == "f"
            kind = "float32" if row.own_dtype else dtype
            names = {"float64": ("complex128", "float64"), "float32": ("complex64", "float32")}[kind]
            assert values.dtype.name == names[wide], f"result {i}: dtype {values.dtype}, given {dtype}"
        else:
            assert values.dtype.kind == e.dtype.kind, f"result {i}: dtype {values.dtype}, expected {e.dtype}"
        assert_near(values, e, row.rtol if dtype == "float64" else row.rtol32, f"result {i}")


def cotangents(out: Any, seed: int = 1) -> Any:
    """A random NumPy cotangent for every array of a NumPy result."""
    rng = np.random.default_rng(seed)
    return tree.map(lambda y: _representable(np.asarray(rng.normal(size=np.shape(y)))), out)


def gradients(row: Row, args: list[Any], seeds: Any) -> tuple[Any, list[Any]]:
    """The value, and the gradient by each floating-point array among the arguments, in order."""
    leaves = tree.leaves(args)
    chosen = [i for i, x in enumerate(leaves) if is_array(x) and _real(x)]

    def call(*xs: Any) -> Any:
        full = list(leaves)
        for i, x in zip(chosen, xs, strict=True):
            full[i] = x
        return row.function(*tree.unflatten(args, full))

    value, pullback = vjp(call, *[leaves[i] for i in chosen])
    return value, list(pullback(seeds(value)))


def _real(x: Any) -> bool:
    return bool(namespace(x).isdtype(x.dtype, "real floating"))


@cache
def reference(row: Row) -> tuple[Any, list[np.ndarray]]:
    """Cotangents, and the float64 gradients on NumPy, which check_gradients has proven."""
    held: list[Any] = []

    def seeds(value: Any) -> Any:
        held.append(cotangents(value))
        return held[0]

    _, found = gradients(row, row.make(), seeds)
    return held[0], [get_backend("numpy").to_numpy(g) for g in found]


def assert_gradient(row: Row, backend: BackendUnderTest, dtype: str, args: list[Any] | None = None) -> None:
    """The gradient on a backend is NumPy's in float64, of the arguments' dtype, library and device."""
    seeds, expected = reference(row)
    placed = place(row.make(), backend, dtype) if args is None else args

    def function(*args: Any) -> list[Any]:
        return gradients(row, list(args), lambda value: place([seeds], backend, dtype)[0])[1]

    found = run(backend, dtype, function, placed)
    bound = 1e-11 if dtype == "float64" else row.grad32
    for i, (g, e) in enumerate(zip(found, expected, strict=True)):
        assert_on(backend, g, f"gradient {i}")
        values = backend.to_numpy(g)
        assert values.dtype.name == dtype, f"gradient {i}: dtype {values.dtype}, expected {dtype}"
        assert values.shape == e.shape, f"gradient {i}: shape {values.shape}, expected {e.shape}"
        if e.size:
            worst = float(np.max(np.abs(values.astype(np.float64) - e)))
            limit = bound * float(np.max(np.abs(e)))
            assert worst <= limit, f"gradient {i}: differs by {worst:.3g}, allowed {limit:.3g}"


def assert_constant(row: Row, args: list[Any]) -> None:
    """No result of the function depends on a traced argument."""
    results: list[Any] = []

    def seeds(value: Any) -> Any:
        return cotangents(value)

    def call(*traced: Any) -> Any:
        results.append(row.function(*traced))
        return [x for x in tree.leaves(traced) if is_array(x) and _real(x)]

    gradients(Row(row.name, call, row.args, row.oracle), args, seeds)
    for out in tree.leaves(results[0]):
        constant = not isinstance(out, TracedArray) or out.trace is CONSTANT
        assert constant, f"{row} recorded {out!r}: it is said to be constant"


def strided(x: Any) -> Any:
    """The same values with reversed and skipping strides."""
    if not isinstance(x, np.ndarray) or x.ndim == 0:
        return x
    wide = np.zeros([2 * n for n in x.shape], dtype=x.dtype)
    view = wide[tuple([slice(None, None, -2)] * x.ndim)]
    view[...] = x
    return view
