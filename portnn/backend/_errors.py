"""Why a backend cannot serve, and the command that mends it."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from types import ModuleType
from typing import Literal, TypeAlias

Reason: TypeAlias = Literal["package", "conflict", "driver", "device", "broken"]

INSTALL = {
    "cupy": 'pip install "portnn[cuda13x]" (driver 580 or newer) or pip install "portnn[cuda12x]"',
    "torch": 'pip install "portnn[torch]"',
    "jax": 'pip install "portnn[jax]"',
    "array_api_strict": "pip install array-api-strict",
}


class BackendUnavailableError(RuntimeError):
    """A backend was asked for that cannot serve on this machine.

    Attributes:
        backend: The name of the backend that was tried.
        reason: ``"package"`` (not installed), ``"conflict"`` (two CuPy builds, or CUPY_TF32 is set),
            ``"driver"`` (none, or too old), ``"device"`` (none, or not that number), ``"broken"``
            (installed, but fails).

    Example:
        >>> str(BackendUnavailableError("cupy:7", "device", "there is 1 GPU, number 0"))
        "backend 'cupy:7' is not available: there is 1 GPU, number 0"
    """

    def __init__(self, backend: str, reason: Reason, message: str) -> None:
        super().__init__(f"backend {backend!r} is not available: {message}")
        self.backend = backend
        self.reason = reason
        self._message = message

    def __reduce__(self) -> tuple[type[BackendUnavailableError], tuple[str, str, str]]:
        return type(self), (self.backend, self.reason, self._message)


_TELLING = re.compile(r"error\s*(\w+\s*)?:\s*\S", re.IGNORECASE)


def said(error: BaseException) -> str:
    """Return the most informative line of an error, short enough to be quoted in another message.

    Compiler logs begin with warnings, and CuPy's import error begins with a separator: the first line with
    "error:" and a text after it is preferred to the first line.
    """
    lines = [line.strip() for line in str(error).splitlines() if any(c.isalnum() for c in line)]
    telling = [line for line in lines if _TELLING.search(line)]
    text = [*telling, *lines, type(error).__name__][0]
    return text if len(text) <= 120 else text[:117] + "..."


def is_installed(package: str) -> bool:
    """Whether a top-level package can be found, without importing it."""
    if package in sys.modules:  # a module put there by hand has no spec to be found by
        return sys.modules[package] is not None
    return importlib.util.find_spec(package) is not None


def load(package: str, backend: str) -> ModuleType:
    """Import an optional package, or say how to get it."""
    if not is_installed(package):
        how = INSTALL.get(package, f"pip install {package}")
        raise BackendUnavailableError(backend, "package", f"{package} is not installed. Get it by: {how}")
    try:
        return importlib.import_module(package)
    except (ImportError, OSError) as error:  # OSError: a shared library that cannot be loaded
        message = f"{package} is installed but cannot be imported ({said(error)}). Reinstall it."
        raise BackendUnavailableError(backend, "broken", message) from error
