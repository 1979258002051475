"""What is installed, what works, and what is missing."""

from __future__ import annotations

import platform
from typing import TextIO

from portnn._version import __version__
from portnn.backend._cupy import installed_builds
from portnn.backend._errors import BackendUnavailableError
from portnn.backend._get import get_backend
from portnn.backend._library import KNOWN, library

_MISSING = "not installed"


def available_backends() -> list[str]:
    """The names of the backends that work now, each tried by allocating on it.

    The libraries that are installed get imported, which may take seconds.

    Returns:
        Names for `get_backend`, NumPy's first.

    Example:
        >>> available_backends()[0]
        'numpy'
    """
    return [name for package in KNOWN for name in _try_all(package)[0]]


def _try_all(package: str) -> tuple[list[str], list[str]]:
    """The names of a library's backends that work, and what the others said."""
    try:
        names = library(package).device_names()
    except BackendUnavailableError as error:
        return [], [str(error)]
    working, problems = [], []
    for name in names:
        try:
            working.append(get_backend(name).name)
        except BackendUnavailableError as error:
            problems.append(str(error))
    return working, problems


def show_config(file: TextIO | None = None) -> None:
    """Print versions, devices, and what is missing with the command that gets it.

    Args:
        file: Where to write; None for standard output.

    Example:
        >>> import io
        >>> text = io.StringIO()
        >>> show_config(text)
        >>> "numpy" in text.getvalue()
        True
    """
    rows = [("Python", platform.python_version()), ("system", platform.platform())]
    rows += [("portnn", __version__)]
    rows += [(name, _version(name)) for name in ("array-api-compat", "threadpoolctl")]
    for package in KNOWN:
        working, problems = _try_all(package)
        builds = installed_builds() if package == "cupy" else [package.replace("_", "-")]
        versions = [_version(build) for build in builds if _version(build) != _MISSING]
        told = [*([f"works: {', '.join(working)}"] if working else []), *devices(working), *problems]
        if versions or not problems:  # else what is told begins with that it is not installed
            told = [", ".join(versions) or _MISSING, *told]
        rows += zip((package, *[""] * len(told)), told, strict=False)
    for name, text in rows:
        print(f"{name:<18}{text}", file=file)


def devices(names: list[str]) -> list[str]:
    """Return a line for each of these backends whose device has a name."""
    found = [(name, get_backend(name).hardware) for name in names]
    return [f"{name}: {hardware}" for name, hardware in found if hardware]


def _version(distribution: str) -> str:
    """The version of an installed distribution."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(distribution)
    except PackageNotFoundError:
        return _MISSING
