"""Plans: functions made ready to be carried out again and again. README.md in this folder has the idea."""

from portnn.compile._errors import PlanError, PlanWarning, RetraceWarning
from portnn.compile._fingerprint import fingerprint
from portnn.compile._jit import Jitted, jit
from portnn.compile._kept import forget_loops, kept_loop
from portnn.compile._loop import Loop, Step, has_loops, make_loop
from portnn.compile._precision import Precision, check_precision
from portnn.compile._predictor import Predictor
from portnn.compile._probe import probe, sketch

__all__ = [
    "Jitted",
    "Loop",
    "PlanError",
    "PlanWarning",
    "Precision",
    "Predictor",
    "RetraceWarning",
    "Step",
    "check_precision",
    "fingerprint",
    "forget_loops",
    "has_loops",
    "jit",
    "kept_loop",
    "make_loop",
    "probe",
    "sketch",
]
