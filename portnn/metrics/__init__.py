"""Measures of how good predictions are, equal to scikit-learn's functions of the same meaning.

Each takes ``(y_true, y_pred)`` as arrays of one library and returns an array of that library and device,
0-d unless several scores were asked for. The dtype is that of the floating-point arguments, sample
weights included; without any, the library's default (float64 for NumPy, float32 for PyTorch and JAX).

Where values are not known yet, as inside ``jax.jit``, shapes and dtypes are checked and values are not,
and ``n_classes`` has to be given. `edit_distance` and `error_rates` are about Python's sequences.
"""

from typing import TYPE_CHECKING

from portnn._suggest import missing
from portnn.metrics._classification import accuracy, confusion_matrix
from portnn.metrics._precision_recall import f1, precision, recall
from portnn.metrics._probabilities import log_loss, top_k_accuracy
from portnn.metrics._ranking import average_precision
from portnn.metrics._regression import mean_absolute_error, mean_squared_error, r2, root_mean_squared_error
from portnn.metrics._sequences import ErrorRates, edit_distance, error_rates

__all__ = [
    "ErrorRates",
    "accuracy",
    "average_precision",
    "confusion_matrix",
    "edit_distance",
    "error_rates",
    "f1",
    "log_loss",
    "mean_absolute_error",
    "mean_squared_error",
    "precision",
    "r2",
    "recall",
    "root_mean_squared_error",
    "top_k_accuracy",
]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> None:
        raise missing(__name__, name, __all__)
