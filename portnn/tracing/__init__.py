"""Primitives and the arrays that remember them. README.md in this folder has the idea."""

from portnn.tracing import _recorded_operators  # noqa: F401  # recorded arrays need their operators
from portnn.tracing._array import CONSTANT, Trace, TracedArray, lift, strip
from portnn.tracing._bounds import (
    Extent,
    OutOfRangeError,
    collecting,
    extent_of,
    first_outside,
    in_range,
    parts_of,
    poisoned,
)
from portnn.tracing._names import standard_name
from portnn.tracing._namespace import (
    as_operand,
    check_floating,
    is_kind,
    namespace,
    number_for,
    numpy_scalars,
    refuse_objects,
    refuse_relatives,
)
from portnn.tracing._placement import at_home, on_device_of
from portnn.tracing._primitive import Primitive, constant, primitive
from portnn.tracing._recorded import RecordedArray, is_array
from portnn.tracing._recording import recorded
from portnn.tracing._tape import (
    Call,
    ControlFlowError,
    Execute,
    Tape,
    Unit,
    Value,
    is_recording,
    map_nested,
    values_in,
)

__all__ = [
    "CONSTANT", "Call", "ControlFlowError", "Execute", "Extent", "OutOfRangeError", "Primitive",
    "RecordedArray", "Tape", "Trace", "TracedArray", "Unit", "Value", "as_operand", "at_home",
    "check_floating", "collecting", "constant", "extent_of", "first_outside", "in_range", "is_array",
    "is_kind", "is_recording", "lift", "map_nested", "namespace", "number_for", "numpy_scalars",
    "on_device_of", "parts_of", "poisoned", "primitive", "recorded", "refuse_objects", "refuse_relatives",
    "standard_name", "strip", "values_in",
]  # fmt: skip
