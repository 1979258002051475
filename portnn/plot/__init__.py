"""Pictures of networks, of training and of mistakes, drawn by matplotlib: ``pip install "portnn[plot]"``.

Each function returns a `matplotlib.figure.Figure` and touches no global state, so it works without a
display: ``plot.history(h).savefig("history.png", dpi=150)``. Arrays may be of any library. Colours are
chosen so that lightness and line style tell what colour tells, whatever a reader's colour vision.
"""

from portnn.plot._activations import activations
from portnn.plot._attention import attention_maps
from portnn.plot._calibration import calibration
from portnn.plot._confusion import confusion_matrix
from portnn.plot._diagram import diagram
from portnn.plot._gradients import gradients
from portnn.plot._grids import image_grids
from portnn.plot._history import history
from portnn.plot._images import images
from portnn.plot._mistakes import mistakes
from portnn.plot._predictions import predictions
from portnn.plot._report import digits_report
from portnn.plot._weights import first_weights

__all__ = [
    "activations", "attention_maps", "calibration", "confusion_matrix", "diagram", "digits_report",
    "first_weights", "gradients", "history", "image_grids", "images", "mistakes", "predictions",
]  # fmt: skip
