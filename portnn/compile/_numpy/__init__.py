"""Plans for NumPy: preallocated results, reused memory, parameters that lie end to end."""

from portnn.compile._numpy._loop import NumpyLoop
from portnn.compile._numpy._packs import Pack, pack_calls
from portnn.compile._numpy._plan import NumpyPlan

__all__ = ["NumpyLoop", "NumpyPlan", "Pack", "pack_calls"]
