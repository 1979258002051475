"""Pictures of training and of mistakes, drawn by matplotlib: ``pip install "portnn[plot]"``.

Each function returns a `matplotlib.figure.Figure` and touches no global state, so it works without a
display: ``plot.history(h).savefig("history.png", dpi=150)``. Arrays may be of any library. Colours are
chosen so that lightness and line style tell what colour tells, whatever a reader's colour vision.
"""

from portnn.plot._attention import attention_maps
from portnn.plot._confusion import confusion_matrix
from portnn.plot._grids import image_grids
from portnn.plot._history import history
from portnn.plot._images import images
from portnn.plot._mistakes import mistakes
from portnn.plot._predictions import predictions
from portnn.plot._report import digits_report

__all__ = [
    "attention_maps", "confusion_matrix", "digits_report", "history", "image_grids", "images", "mistakes",
    "predictions",
]  # fmt: skip
