"""Plans for GPUs through CuPy: generated kernels, cuBLAS, CUDA graphs. CuPy is imported when one is made."""

from portnn.compile._cupy._loop import CupyLoop
from portnn.compile._cupy._predictions import CupyPredictions
from portnn.compile._cupy._single import CupyPlan, plan_function
from portnn.compile._cupy._tracing import LayoutOnly

__all__ = ["CupyLoop", "CupyPlan", "CupyPredictions", "LayoutOnly", "plan_function"]
