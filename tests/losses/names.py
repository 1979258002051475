"""The names of the losses by their tasks, and arguments that each takes."""

import numpy as np

from portnn import ops

CLASSES = {"softmax_cross_entropy", "focal", "multiclass_hinge", "kl_divergence"}
LABELS = {"sigmoid_cross_entropy", "sigmoid_focal", "hinge"}
VALUES = {
    "squared_error",
    "absolute_error",
    "huber",
    "log_cosh",
    "cosine_distance",
    "poisson_nll",
    "gaussian_nll",
}
NAMES = sorted(CLASSES | LABELS | VALUES)


def mine(predictions, targets):
    return ops.mean(ops.abs(predictions - targets))


F32 = np.zeros((4, 3), dtype=np.float32)
INT = np.zeros(4, dtype=np.int64)


def targets_for(name):
    if name == "kl_divergence":
        return F32
    return INT if name in CLASSES else F32


def args_for(name):
    both = np.zeros((4, 6), dtype=np.float32)
    return (both, F32) if name == "gaussian_nll" else (F32, targets_for(name))
