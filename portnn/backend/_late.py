"""Modules that are imported when they are used.

``from numpy import *``, with which array-api-compat begins its namespace for NumPy, asks NumPy for all public
names, and NumPy imports the parts behind some of them only when they are asked for: its Fortran compiler, its
tests, its masked arrays. These three take longer than the rest of NumPy.
"""

from __future__ import annotations

import sys
from importlib.util import LazyLoader, find_spec, module_from_spec

__all__ = ["import_late"]


def import_late(package: str, *names: str) -> None:
    """Let parts of a package be imported when somebody first looks at what is in them.

    `importlib.util.LazyLoader` does this: the modules are there, and fill themselves. What was imported
    before stays as it is.

    Args:
        package: the package, which is imported.
        *names: its modules.
    """
    for name in names:
        path = f"{package}.{name}"
        spec = None if path in sys.modules else find_spec(path)
        if spec is None or spec.loader is None:
            continue
        spec.loader = LazyLoader(spec.loader)
        module = module_from_spec(spec)
        sys.modules[path] = module
        spec.loader.exec_module(module)
        setattr(sys.modules[package], name, module)
