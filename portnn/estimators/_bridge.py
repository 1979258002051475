"""scikit-learn's own callbacks, such as its progress bar."""

from __future__ import annotations

from copy import copy
from typing import Any, final

from portnn.train import Callback, Epoch

__all__ = ["Tasks"]


@final
class Tasks(Callback):
    """Tells scikit-learn's callbacks of a fit and its epochs.

    The task of an epoch begins when the last one ends; one that begins and does not come, since the training
    stops, is ended without data.

    Args:
        estimator: what is fitted.
        data: what the callbacks may ask for: X, y and metadata.
        epochs: how many epochs there may be.
    """

    def __init__(self, estimator: Any, data: dict[str, Any], epochs: int) -> None:
        self._estimator, self._data = estimator, data
        self._task: Any = None
        self._root = estimator._init_callback_context(max_subtasks=epochs)
        self._root.call_on_fit_task_begin(estimator=estimator, **data)
        if hasattr(estimator, "_skl_callbacks"):
            self._begin()

    def _begin(self) -> None:
        self._task = self._root.subcontext(task_name="epoch")
        self._task.call_on_fit_task_begin(estimator=self._estimator, **self._data)

    def on_epoch_end(self, epoch: Epoch) -> bool:
        """The end of an epoch: whether a callback wants to stop."""
        if self._task is None:
            return False
        shown = {"reconstruction_attributes": lambda: {"network_": copy(epoch.model)}}
        stop = self._task.call_on_fit_task_end(estimator=self._estimator, **self._data, **shown)
        self._task = None
        if epoch.number < epoch.total and not stop:
            self._begin()
        return bool(stop)

    def close(self) -> None:
        """The end of the fit."""
        if self._task is not None:
            self._task.call_on_fit_task_end(estimator=self._estimator)
        self._root.call_on_fit_task_end(estimator=self._estimator, **self._data)
