"""A rule that is wrong by one part in 10⁶ is caught: every rule in portnn, one at a time."""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
from functools import cache
from types import ModuleType
from typing import Any

import pytest

from portnn import tree
from portnn.autodiff._tape import GradTrace
from portnn.testing import check_gradients
from portnn.tracing import Primitive
from tests.table.engine import SMOOTH, Row, squared
from tests.table.test_table import ROWS

PACKAGES = ("portnn.ops", "portnn.nn", "portnn.losses")
BIT = 1.0 + 1e-6


def _has_elements(row: Row) -> bool:
    return all(x.size for x in tree.leaves(row.make()) if hasattr(x, "size"))


SMOOTH_ROWS = [row for row in ROWS if row.kind == SMOOTH and _has_elements(row)]


def modules(package: ModuleType) -> list[ModuleType]:
    """The modules in a package."""
    found = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    return [package, *[importlib.import_module(info.name) for info in found]]


def primitives() -> dict[str, Primitive[..., Any]]:
    """Every primitive with rules, by module and name."""
    return {
        f"{module.__name__.removeprefix('portnn.')}.{name}": value
        for package in PACKAGES
        for module in modules(importlib.import_module(package))
        for name, value in vars(module).items()
        if isinstance(value, Primitive) and value.function.__module__ == module.__name__
        and (value.rules or value.joint)
    }  # fmt: skip


PRIMITIVES = primitives()
SPOTS = [
    (name, i)
    for name, unit in PRIMITIVES.items()
    for i, rule in enumerate(unit.rules or (unit.joint,))
    if rule is not None
]


def function(row: Row, order: int) -> Any:
    """What is checked in an order."""
    return row.function if order == 1 else squared(row)


@cache
def users() -> dict[tuple[int, int], dict[Row, int]]:
    """For the rule of a primitive by one of its arguments: the rows that use it, and in which order."""
    found: dict[tuple[int, int], dict[Row, int]] = {}
    record = GradTrace.record

    def watch(self: GradTrace, unit: Any, nodes: Any, *rest: Any) -> Any:
        for i, node in enumerate(nodes):
            if node is not None:
                found.setdefault((id(unit), 0 if unit.joint else i), {}).setdefault(row, order)
        return record(self, unit, nodes, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GradTrace, "record", watch)
        for order in (1, 2):
            for row in [row for row in SMOOTH_ROWS if row.order >= order]:
                # A row that fails is the business of test_gradient_proof; here it is only watched.
                with contextlib.suppress(AssertionError):
                    check_gradients(function(row, order), row.make(), order, directions=1, step=row.step)
    return found


def scaled(g: Any) -> Any:
    """A gradient that is wrong by one part in 10⁶."""
    if isinstance(g, tuple | list):
        return type(g)(scaled(part) for part in g)
    return None if g is None else g * BIT


@pytest.mark.parametrize(("name", "i"), SPOTS, ids=[f"{name}-{i}" for name, i in SPOTS])
def test_spoiled_rule_is_caught(name: str, i: int, monkeypatch: pytest.MonkeyPatch) -> None:
    unit = PRIMITIVES[name]
    rows = users().get((id(unit), i), {})
    assert rows, f"no row uses the rule {i} of {name}"

    def spoil(rule: Any) -> Any:
        return lambda *args, **options: scaled(rule(*args, **options))

    if unit.joint:
        monkeypatch.setattr(unit, "joint", spoil(unit.joint))
    else:
        monkeypatch.setattr(unit, "rules", tuple(spoil(r) if k == i else r for k, r in enumerate(unit.rules)))
    seen = any(notices(row, order) for row, order in rows.items())
    assert seen, f"rule {i} of {name} off by 1e-6 is seen by none of {', '.join(map(str, rows))}"


def notices(row: Row, order: int) -> bool:
    """Whether the check of a row fails."""
    try:
        check_gradients(function(row, order), row.make(), order, step=row.step, tolerance=row.tolerance)
    except AssertionError as error:
        return "gradient by argument" in str(error)
    return False
