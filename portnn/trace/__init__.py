"""Primitives and the arrays that remember them. README.md in this folder has the idea."""

from portnn.trace._array import CONSTANT, Trace, TracedArray, lift, strip
from portnn.trace._namespace import check_floating, is_kind, namespace
from portnn.trace._primitive import Primitive, constant, primitive

__all__ = [
    "CONSTANT", "Primitive", "Trace", "TracedArray", "check_floating", "constant", "is_kind", "lift",
    "namespace", "primitive", "strip",
]  # fmt: skip
