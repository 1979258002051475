"""Classes and labels as scikit-learn has them, as the numbers that a network learns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self, final

from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import column_or_1d

from portnn._typing import Array
from portnn.backend import convert_like, get_backend
from portnn.estimators._arrays import place_of
from portnn.losses import Task

__all__ = ["Labels", "targets_on_host"]

_HOST = get_backend("cpu")
_np = _HOST.xp


@final
@dataclass(frozen=True)
class Labels:
    """What a classifier tells apart.

    Attributes:
        kind: "classes" if each sample has one class, "labels" if it has yes or no for each of several labels.
        classes: the classes in order, a NumPy array of numbers or texts; for labels their numbers.
        dtype: the data type of the targets.
    """

    kind: Literal["classes", "labels"]
    classes: Any
    dtype: Any

    @classmethod
    def of(cls, y: Any, classes: Any = None) -> Self:
        """The classes of targets.

        Args:
            y: the targets as a NumPy array.
            classes: all classes, if the targets need not have each of them.

        Raises:
            ValueError: if the targets are no classes.
        """
        check_classification_targets(y)
        kind = type_of_target(y, input_name="y")
        if kind == "multiclass-multioutput":
            raise ValueError("y: several columns must be 0 or 1 each, a label a column, got more classes")
        if kind == "multilabel-indicator":
            return cls("labels", _np.arange(y.shape[1]), y.dtype)
        return cls("classes", _np.unique_values(y if classes is None else _np.asarray(classes)), y.dtype)

    @property
    def numeric(self) -> bool:
        """Whether the classes are numbers, which any library can hold."""
        return self.classes.dtype.kind in "biuf"

    def encode(self, y: Any, task: Task, dtype: str) -> Any:
        """Targets as the network's loss wants them.

        Args:
            y: the targets as a NumPy array.
            task: what the loss is for.
            dtype: the network's.

        Raises:
            ValueError: if there are classes besides the known ones, or labels in another number.
        """
        if self.kind == "labels":
            if len(y.shape) != 2 or y.shape[1] != len(self.classes):
                raise ValueError(f"y: expected {len(self.classes)} columns, one a label, got shape {y.shape}")
            return _np.astype(y, _HOST.dtype(dtype))
        codes = self.codes(y)
        return codes if task is Task.CLASSES else _np.astype(codes[:, None], _HOST.dtype(dtype))

    def codes(self, y: Any) -> Any:
        """The position of each target among the classes.

        Raises:
            ValueError: if one is not among them.
        """
        if len(y.shape) != 1:
            raise ValueError(f"y: expected one class for each sample, got shape {y.shape}")
        found = _np.searchsorted(self.classes, y)
        found = _np.minimum(found, len(self.classes) - 1)
        odd = self.classes[found] != y
        if _np.any(odd):
            raise ValueError(
                f"y: `y` has classes not in `self.classes_`, such as {y[odd].tolist()[0]!r}; known are "
                f"{str(self.classes.tolist())[:120]}"
            )
        return found

    def outputs(self, task: Task) -> int:
        """How many outputs a network needs.

        Raises:
            ValueError: if its loss is for something else.
        """
        n = len(self.classes)
        if self.kind == "labels" and task is Task.LABELS:
            return n
        if self.kind == "classes" and (task is Task.CLASSES or (task is Task.LABELS and n <= 2)):
            return n if task is Task.CLASSES else 1
        what = f"{n} labels" if self.kind == "labels" else f"{n} classes"
        raise ValueError(
            f"loss: a loss for {task.value}, but y has {what}; softmax_cross_entropy is for classes, "
            "sigmoid_cross_entropy for labels and for two classes"
        )

    def decode(self, decisions: Array, classes: Any) -> Any:
        """Decisions of the network as targets.

        Args:
            decisions: positions (n,), or yes and no (n, outputs).
            classes: the classes, of the library of the decisions if they are numbers.
        """
        place = place_of(decisions)
        space = place.xp
        if self.kind == "labels":
            return space.astype(decisions, place.dtype(self.dtype))
        if len(decisions.shape) > 1:
            decisions = space.astype(decisions[:, 0], space.int64)
        decisions = space.clip(decisions, max=len(self.classes) - 1)  # of one class the network knows two
        if not self.numeric:
            return self.classes[_HOST.to_numpy(decisions)]
        return space.take(convert_like(classes, decisions), decisions, axis=0)


def targets_on_host(y: Any) -> Any:
    """Targets as a NumPy array without a superfluous axis."""
    y = _np.asarray(y)
    return column_or_1d(y, warn=True) if len(y.shape) == 2 and y.shape[1] == 1 else y
