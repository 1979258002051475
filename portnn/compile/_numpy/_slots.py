"""Places for the arrays that a plan is given, or that NumPy makes while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

__all__ = ["Slot", "filled", "has_slot"]


@final
@dataclass(frozen=True, slots=True)
class Slot:
    """A place for an array that each run finds anew.

    Attributes:
        position: where it is among all slots of the plan.
    """

    position: int


def has_slot(nested: Any) -> bool:
    """Whether an argument is a slot, or a list or tuple with one in it."""
    return type(nested) is Slot or (isinstance(nested, tuple | list) and any(has_slot(x) for x in nested))


def filled(nested: Any, slots: Sequence[Any]) -> Any:
    """An argument with what is in the slots."""
    if type(nested) is Slot:
        return slots[nested.position]
    if isinstance(nested, tuple | list) and has_slot(nested):
        return type(nested)([filled(x, slots) for x in nested])
    return nested
