"""scikit-learn's own callbacks, such as its progress bar, where the version has them (from 1.9 on)."""

from __future__ import annotations

from copy import copy
from typing import Any, TypeVar, final

from portnn.train import Epoch

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # an older scikit-learn, which has none to call
    _M = TypeVar("_M")

    class CallbackSupportMixin:  # type: ignore[no-redef]  # the same name for nothing
        """Nothing."""

    def with_callbacks(method: _M) -> _M:
        """The method."""
        return method


__all__ = ["CallbackSupportMixin", "Tasks", "with_callbacks"]


@final
class Tasks:
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
        self._root: Any = None
        self._task: Any = None
        if not hasattr(estimator, "_init_callback_context"):
            return
        self._root = estimator._init_callback_context(max_subtasks=epochs)
        self._root.call_on_fit_task_begin(estimator=estimator, **data)
        if hasattr(estimator, "_skl_callbacks"):
            self._begin()

    def _begin(self) -> None:
        self._task = self._root.subcontext(task_name="epoch")
        self._task.call_on_fit_task_begin(estimator=self._estimator, **self._data)

    def __call__(self, epoch: Epoch) -> bool:
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
        if self._root is not None:
            self._root.call_on_fit_task_end(estimator=self._estimator, **self._data)
