"""W7: what an installation weighs, with all that it needs."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

__all__ = ["SIZED", "closure", "measure_sizes"]

ROOT = Path(__file__).parents[3]
SIZED = ("portnn", "autograd", "scikit-learn", "tinygrad", "onnxruntime", "jax", "torch")


def normal(name: str) -> str:
    """A distribution's name as it is compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def needs(requirements: list[str]) -> list[str]:
    """The names of what has to be there on this machine, extras left out."""
    parsed = map(Requirement, requirements)
    return [normal(one.name) for one in parsed if one.marker is None or one.marker.evaluate({"extra": ""})]


def weight(found: Distribution) -> int:
    """The bytes of the files of a distribution."""
    files = [Path(str(found.locate_file(file))) for file in found.files or []]
    return sum(file.stat().st_size for file in files if file.is_file())


def look_up(name: str) -> tuple[int, list[str]]:
    """The bytes of a distribution itself, and what it needs.

    Raises:
        PackageNotFoundError: if it is not installed.
    """
    if name == "portnn":  # often installed as a link to its folder, which then is what counts
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        files = [file for file in (ROOT / "portnn").rglob("*") if file.suffix in (".py", ".md", ".typed")]
        return sum(file.stat().st_size for file in files), needs(project["dependencies"])
    found = distribution(name)
    return weight(found), needs(found.requires or [])


def closure(name: str) -> dict[str, int]:
    """The bytes of a distribution and of everything it needs, by name.

    Raises:
        PackageNotFoundError: if one of them is not installed.
    """
    sizes: dict[str, int] = {}
    waiting = [normal(name)]
    while waiting:
        if (current := waiting.pop()) not in sizes:
            sizes[current], more = look_up(current)
            waiting += more
    return sizes


def measure_sizes() -> dict[str, Any]:
    """Bytes of each with its dependencies, in this environment."""
    results: dict[str, Any] = {}
    for name in SIZED:
        try:
            sizes = closure(name)
        except PackageNotFoundError as error:
            results[name] = {"status": "missing", "reason": str(error.name)}
        else:
            results[name] = {"status": "ok", "bytes": sum(sizes.values()), "parts": sizes}
    return results
