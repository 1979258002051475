"""Check user-supplied parameters and running state against those of the layers, and cast them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

from portnn import ops, tree
from portnn._typing import Array, Tree
from portnn.backend import Backend, get_backend
from portnn.tracing import is_array, is_kind

__all__ = ["Expected", "expected_of", "matched", "matched_like", "matched_state"]

_ABSENT = object()
_FROM_TORCH = "load_params(*portnn.nn.from_torch(net.layer, state_dict))"
_OF_TORCH = ("running_mean", "running_var", "num_batches_tracked")  # of batch norm, in a state_dict
_SHORT = ("float16", "bfloat16", "float8")  # exact in float32, but missing in some libraries


@final
@dataclass(frozen=True)
class Expected:
    """The expected shape and dtype of an array."""

    shape: tuple[int, ...]
    dtype: str


def expected_of(arrays: Tree) -> Tree:
    """Return the shapes and dtypes of a tree of arrays."""
    return tree.map(lambda a: Expected(tuple(a.shape), _name_of(a.dtype)), arrays)


def _name_of(dtype: Any) -> str:
    """Return the array-API name of a dtype of any library."""
    return str(getattr(dtype, "name", dtype)).rpartition(".")[2]


def matched(who: str, given: Tree, expected: Tree, backend: Backend, *, copy: bool = False) -> Tree:
    """Return a tree of arrays on a backend with the names, shapes and dtypes of the layers.

    Args:
        who: the calling function, for messages.
        given: a tree like the expected one, or a mapping from names such as "0.weight" to arrays, with arrays
            of any library or nested lists.
        expected: a tree of `Expected`.
        backend: the backend of the result.
        copy: whether to copy arrays that are already on it.

    Returns:
        `given` itself if nothing changes; else a new tree.

    Raises:
        TypeError: if `given` is not such a tree, or an array has another kind of dtype.
        ValueError: if a name is missing or unknown, a shape differs, or a number is not finite or too large.
    """
    _check_single(who, given, expected)
    wanted = tree.named(expected)
    found: dict[str, Any] = {}
    for name, value in _names(who, given, expected, ""):
        if name in found:
            raise ValueError(f"{who}: {name[:60]!r} is given twice")
        found[name] = value
    for name, one in wanted.items():
        if name not in found:
            raise ValueError(
                f"{who}: {name[:60]!r} of shape {_short(one.shape)} is missing; got {_some(found)}"
            )
    if odd := [name for name in found if name not in wanted]:
        hint = f"; for names of PyTorch write {_FROM_TORCH}" if odd[0].rpartition(".")[2] in _OF_TORCH else ""
        raise ValueError(f"{who}: unexpected {odd[0][:60]!r}; the layers have {_some(wanted)}{hint}")
    arrays = [_placed(f"{who}: {name[:60]!r}", found[name], wanted[name], backend, copy) for name in wanted]
    unchanged = all(a is found[name] for a, name in zip(arrays, wanted, strict=True))
    if unchanged and tree.structure(given) == tree.structure(expected):
        return given
    return tree.unflatten(expected, arrays)


def matched_state(who: str, given: Tree, expected: Tree, backend: Backend, *, copy: bool = False) -> Tree:
    """Do the same for a running state, whose 0-d integers are counters.

    Raises:
        TypeError: as for `matched`.
        ValueError: as for `matched`; if a counter is negative.
    """
    state = matched(who, given, expected, backend, copy=copy)
    for name, a in tree.items(state):
        if not a.shape and is_kind(a, "integral") and int(a) < 0:
            raise ValueError(f"{who}: {name[:60]!r} is a counter and must be at least 0, got {int(a)}")
    return state


def matched_like(who: str, given: Tree, present: Tree, backend: Backend) -> Tree:
    """Return a tree as arrays on a backend, with the shapes and dtypes of the current arrays.

    Args:
        who: as for `matched`.
        given: a tree with the structure of `present` and arrays of any library.
        present: arrays on the backend; an array of `given` that is the same object is not checked.
        backend: as for `matched`.

    Raises:
        TypeError: as for `matched`.
        ValueError: as for `matched`; if the structure differs.
    """
    if tree.structure(given) != tree.structure(present):
        raise ValueError(f"{who}: expected a tree of the same structure as the present state")
    leaves = [
        new if new is old else _placed(f"{who}: {name[:60]!r}", new, expected_of(old), backend, False)
        for (name, new), old in zip(tree.items(given), tree.leaves(present), strict=True)
    ]
    return tree.unflatten(given, leaves)


def _check_single(who: str, given: Tree, expected: Tree) -> None:
    """Check that the argument is not the pair (params, state) that `from_torch` and `from_keras` return.

    Raises:
        TypeError: if it is.
    """
    pair = isinstance(given, tuple) and len(given) == 2 and tree.leaves(expected)
    if pair and tree.structure(given[0]) == tree.structure(expected):
        raise TypeError(f"{who}: got a pair of parameters and state; unpack it: net.load_params(*...)")


def _names(who: str, given: Tree, expected: Tree, path: str) -> Iterator[tuple[str, Any]]:
    """Yield each given array with its path; a list in place of an array is one array."""
    start = f"{path}." if path else ""
    if isinstance(given, Mapping):
        for key, child in given.items():
            yield from _names(who, child, _member(expected, key), f"{start}{key}")
    elif isinstance(given, list | tuple) and isinstance(expected, list | tuple):
        for i, child in enumerate(given):
            yield from _names(who, child, _member(expected, i), f"{start}{i}")
    elif isinstance(expected, dict | list | tuple) and given is not None:
        keys = [*map(str, expected)] if isinstance(expected, dict) else [f"0 to {len(expected) - 1}"]
        place = f" at {path[:60]!r}" if path else ""
        raise TypeError(
            f"{who}: expected a dict or tuple{place} with {_some(keys)}, got {type(given).__name__}"
        )
    elif given is not None:
        yield path, given


def _member(expected: Tree, key: Any) -> Any:
    """Return the expected subtree at a key or position; None for a path of several keys."""
    if isinstance(expected, dict):
        return expected.get(key, _ABSENT)
    text = str(key)
    inside = isinstance(expected, list | tuple) and text.isdecimal() and len(text) < 10
    return expected[int(text)] if inside and int(text) < len(expected) else _ABSENT


def _some(names: Any) -> str:
    """Return the first few names for a message."""
    listed = [str(name)[:30] for name in names]
    more = f" and {len(listed) - 4} more" if len(listed) > 4 else ""
    return ", ".join(listed[:4]) + more if listed else "nothing"


def _short(shape: Any) -> str:
    return str(tuple(shape))[:60]


def _placed(what: str, value: Any, expected: Expected, backend: Backend, copy: bool) -> Array:
    """Return an array with the expected shape and dtype, on the backend.

    Raises:
        TypeError: if it has another kind of dtype.
        ValueError: if its shape differs, or a number does not fit into the dtype.
    """
    try:
        own = backend.owns(value)
        _check_plain(value)
        if not own and not is_array(value):
            value = _numbers(value, expected.dtype)
        _check_shape(value, expected.shape)
        native = getattr(
            value.dtype, "isnative", True
        )  # NumPy arrays of either byte order have the same dtype name
        if own and native and _name_of(value.dtype) == expected.dtype and not copy:
            return _finite(value)
        value = _castable(value, expected.dtype)
        return _finite(backend.asarray(value, dtype=expected.dtype, copy=True))
    except (TypeError, ValueError, OverflowError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{what}: {str(error).removeprefix('x ')[:200]}") from None


def _check_plain(value: Any) -> None:
    """Raise for a tensor that requires gradients: predictions would record them too."""
    if getattr(value, "requires_grad", False):
        raise ValueError("a tensor that requires grad; pass its detach()")


def _check_shape(value: Array, expected: tuple[int, ...]) -> None:
    shape = tuple(value.shape)
    if shape != expected:
        turned = len(shape) == 2 and shape == expected[::-1]
        hint = f"; for a matrix of PyTorch write {_FROM_TORCH}" if turned else ""
        raise ValueError(f"expected shape {_short(expected)}, got {_short(shape)}{hint}")


def _finite(value: Array) -> Array:
    """Return the array, checked.

    Raises:
        ValueError: if a number is NaN or infinite.
    """
    if is_kind(value, "real floating") and not bool(ops.all(ops.isfinite(value))):
        raise ValueError("has NaN or infinite numbers, with which no network predicts; replace them first")
    return value


def _numbers(value: Any, dtype: str) -> Array:
    """Return nested lists or a number as a NumPy array; Python ints become floating point if expected."""
    host = get_backend("numpy").to_numpy(value)
    plain = isinstance(value, list | tuple | int | float) and not isinstance(value, bool)
    if plain and dtype.startswith("float") and _kind_of(_name_of(host.dtype)) == "integers":
        return get_backend("numpy").asarray(host, dtype="float64")
    return host


def _kind_of(dtype: str) -> str:
    if dtype.startswith(("float", "bfloat")):
        return "floating-point numbers"
    return "integers" if dtype.startswith(("int", "uint")) else dtype


def _castable(value: Array, dtype: str) -> Array:
    """Return the array, checked to fit a dtype.

    Raises:
        TypeError: if the array has another kind of dtype.
        ValueError: if a number is too large.
    """
    name = _name_of(value.dtype)
    if _kind_of(name) != _kind_of(dtype):
        raise TypeError(f"expected {_kind_of(dtype)}, got dtype {name[:40]}; convert with astype")
    if name == dtype or 0 in value.shape or dtype == "bool":
        return value
    if name.startswith(_SHORT):
        return ops.astype(value, "float32")
    if dtype.startswith("float"):
        magnitudes, zero = ops.abs(value), ops.zeros_like(value)
        highest = float(ops.max(ops.where(ops.isfinite(value), magnitudes, zero)))
        lowest, limits = 0.0, ops.finfo(getattr(get_backend("numpy").xp, dtype))
    else:
        highest, lowest = int(ops.max(value)), int(ops.min(value))
        limits = ops.iinfo(getattr(get_backend("numpy").xp, dtype))
    if highest > type(highest)(limits.max) or lowest < type(lowest)(limits.min):
        raise ValueError(f"has numbers too large for {dtype}, up to {highest:.3g}")
    return value
