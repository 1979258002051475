"""Packages whose names are imported when they are first used (PEP 562)."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from importlib import import_module
from typing import Any

from portnn._suggest import missing

__all__ = ["look_up"]


def look_up(package: str, name: str, public: Collection[str], homes: Sequence[str]) -> Any:
    """A name of a package, from the first of its modules that has it; it is then kept.

    Args:
        package: the package.
        name: what was asked for.
        public: the names that the package has.
        homes: its modules with an `__all__`, from light to heavy, so that searches stop early.

    Raises:
        AttributeError: if the package has not got the name; it says what may have been meant.
    """
    for home in homes if name in public else ():
        module = import_module(f"{package}.{home}")
        if name in module.__all__:
            value = getattr(module, name)
            setattr(sys.modules[package], name, value)
            return value
    raise missing(package, name, public)
