"""Plans for NumPy: preallocated results, reused memory, parameters that lie end to end."""

from portnn.compile._numpy._packs import Pack, pack_calls
from portnn.compile._numpy._plan import NumpyPlan

__all__ = ["NumpyPlan", "Pack", "pack_calls"]
