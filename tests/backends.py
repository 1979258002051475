"""The matrix of backends that tests run on.

A test that takes the fixture `backend` (or `xp`, or `device`) runs once for each of them. Which ones,
the command line says: ``pytest --backend torch --backend strict``.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from portnn.backend import Backend, get_backend


class Matrix(enum.StrEnum):
    """Every backend that tests know."""

    NUMPY = "numpy"
    NUMPY_READONLY = "numpy_readonly"
    STRICT = "array_api_strict"
    STRICT_DEVICE1 = "array_api_strict:device1"
    STRICT_NO_FLOAT64 = "array_api_strict:no_float64"
    STRICT_RESTRICTED = "array_api_strict:restricted"
    TORCH = "torch"
    JAX = "jax"
    CUPY = "cupy"
    CUPY_SECOND = "cupy:1"  # while the first GPU is CuPy's current one

    @property
    def is_strict(self) -> bool:
        """Whether it is one of array-api-strict's."""
        return self.value.startswith("array_api_strict")

    @property
    def backend_name(self) -> str:
        """The name that get_backend takes."""
        special = {"numpy_readonly": "numpy", "array_api_strict:restricted": "array_api_strict"}
        return special.get(self.value, "jax:cpu" if self is Matrix.JAX else self.value)


STRICT = [member for member in Matrix if member.is_strict]
DEFAULT = [Matrix.NUMPY, Matrix.NUMPY_READONLY, *STRICT]
GROUPS: dict[str, list[Matrix]] = {
    "cpu": [Matrix.NUMPY, Matrix.NUMPY_READONLY],
    "gpu": [Matrix.CUPY],
    "strict": STRICT,
    "all": list(Matrix),
}


@dataclass(frozen=True)
class BackendUnderTest:
    """A backend and what a test asks of it."""

    member: Matrix
    backend: Backend

    @property
    def name(self) -> str:
        """The name in the matrix, such as "numpy_readonly"."""
        return self.member.value

    @property
    def xp(self) -> Any:
        """The namespace."""
        return self.backend.xp

    @property
    def device(self) -> Any:
        """The device."""
        return self.backend.device

    @property
    def has_float64(self) -> bool:
        """Whether the device has float64."""
        return "float64" in self.xp.__array_namespace_info__().dtypes(device=self.device)

    def asarray(self, x: Any, dtype: str | None = None) -> Any:
        """Values as an array of this backend, copied; dtype by name, None keeps that of np.asarray."""
        host = np.array(x, dtype=dtype)
        if self.member is Matrix.NUMPY_READONLY:
            host.flags.writeable = False
            return host
        return self.backend.asarray(host)

    def to_numpy(self, x: Any) -> np.ndarray:
        """An array of this backend as a NumPy array."""
        return self.backend.to_numpy(x)


def open_member(member: Matrix) -> BackendUnderTest:
    """Open a backend of the matrix; raises RuntimeError or ValueError when it cannot serve."""
    if member is Matrix.JAX:
        _enable_x64()
    return BackendUnderTest(member, get_backend(member.backend_name))


def _enable_x64() -> None:
    try:
        import jax
    except ImportError:
        return  # get_backend says what is missing
    jax.config.update("jax_enable_x64", True)


def select(names: list[str]) -> list[Matrix]:
    """The backends to run on; one that is named but cannot serve is an error of usage."""
    chosen: list[Matrix] = []
    for name in names:
        if name not in GROUPS and name not in set(Matrix):
            raise pytest.UsageError(f"--backend {name}: expected one of {', '.join([*GROUPS, *Matrix])}")
        members = GROUPS.get(name) or [Matrix(name)]
        if name != "all":  # all: whatever is there, the rest are visible skips
            _check_available(name, members)
        chosen += members
    return list(dict.fromkeys(chosen)) or DEFAULT


def _check_available(name: str, members: list[Matrix]) -> None:
    for member in members:
        try:
            open_member(member)
        except (RuntimeError, ValueError) as error:
            raise pytest.UsageError(f"--backend {name}: {error}") from error


@contextmanager
def in_use(bench: BackendUnderTest) -> Iterator[BackendUnderTest]:
    """The state of the library in which the tests of a member run."""
    current = nullcontext() if bench.member is Matrix.CUPY_SECOND else bench.backend.activate()
    with _flags(bench.member), current:
        yield bench


def _flags(member: Matrix) -> AbstractContextManager[Any]:
    """Restricted: what the standard calls optional is off; linalg stays, for the functions that need it."""
    if member is not Matrix.STRICT_RESTRICTED:
        return nullcontext()
    import array_api_strict

    return array_api_strict.ArrayAPIStrictFlags(
        api_version="2024.12",
        boolean_indexing=False,
        data_dependent_shapes=False,
        enabled_extensions=("linalg",),
    )
