"""Reverse-mode derivatives of any order. README.md in this folder has the idea."""

from portnn.autodiff._checkpoint import checkpoint
from portnn.autodiff._tape import DifferentiationError
from portnn.autodiff._transforms import grad, stop_gradient, value_and_grad, vjp

__all__ = ["DifferentiationError", "checkpoint", "grad", "stop_gradient", "value_and_grad", "vjp"]
