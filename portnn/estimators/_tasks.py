"""Classifying and regressing: targets, and answers."""

from __future__ import annotations

from typing import Any, Self

from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.class_weight import compute_sample_weight

from portnn import ops
from portnn._typing import Array, ArrayLike
from portnn.backend import backend_of, get_backend
from portnn.estimators._arrays import home_of, on_host
from portnn.estimators._labels import Labels, targets_on_host
from portnn.losses import Task, task_of

__all__ = ["Classifying", "Regressing"]


def _weights(sample_weight: Any, y: Any) -> Any:
    """Return weights on the host in float64, which some devices lack; one number applies to all samples."""
    if sample_weight is None:
        return None
    host = get_backend("cpu")
    try:
        weight = host.asarray(sample_weight, dtype="float64")
    except TypeError as error:
        raise TypeError(f"sample_weight {str(error).removeprefix('x ')}") from None
    return weight if weight.shape else host.xp.full(y.shape[0], float(weight), dtype=weight.dtype)


class Classifying(ClassifierMixin):
    """The part of a classifier that knows classes and labels."""

    _y_numeric = False

    def _before(self, X: Any, y: Any) -> Any:
        """Targets on the host, where classes may be texts; sparse labels are made dense."""
        y = y.toarray() if hasattr(y, "toarray") else y
        return on_host(y)

    def _learn(self, y: Any, classes: Any) -> tuple[int, Any]:
        """The classes, and with them how many outputs and which loss."""
        labels = Labels.of(targets_on_host(y), None if classes is None else on_host(classes))
        loss = self._choose_loss(labels)
        outputs = labels.outputs(task_of(loss))
        self._labels = labels
        return outputs, loss

    def _encode(self, y: Any) -> Any:
        return self._labels.encode(targets_on_host(y), self.network_.task, self.network_.dtype)

    def _check_targets(self, y: Any, *, incremental: bool) -> None:
        if incremental or self._labels.kind == "labels":
            return
        found, known = Labels.of(targets_on_host(y)).classes, self._labels.classes
        if found.tolist() != known.tolist():
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                f"Previously got {str(known)[:70]}, `y` has {str(found)[:70]}; "
                "partial_fit accepts a subset of them"
            )

    def _follow(self) -> None:
        labels = self._labels
        self.classes_ = self._home.asarray(labels.classes) if labels.numeric else labels.classes

    def _weigh(self, y: Any, sample_weight: Any, *, incremental: bool) -> Any:
        """The weights of the samples times those of their classes."""
        weight = _weights(sample_weight, y)
        if self.class_weight is None:
            return weight
        if incremental and self.class_weight == "balanced":
            raise ValueError("class_weight='balanced' needs all data at once; for partial_fit give a dict")
        share = compute_sample_weight(self.class_weight, targets_on_host(y))
        return _weights(share if weight is None else share * weight, y)

    def _strata(self, y: Any) -> Any:
        labels = self._labels
        if labels.kind == "labels" or len(labels.classes) > 2:
            return None
        # scikit-learn's perceptron stratifies by `y == classes_[1]`, and its error says 'True'.
        return (labels.codes(targets_on_host(y)) == 1)[:, None]

    @property
    def _label_binarizer(self) -> LabelBinarizer:
        """Return scikit-learn's label binarizer, from which sklearn-onnx reads the type of the targets."""
        classes = self._labels.classes
        several = self._labels.kind == "labels"
        return LabelBinarizer().fit(
            get_backend("cpu").xp.eye(len(classes), dtype=int) if several else classes
        )

    def partial_fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None, classes: Any = None
    ) -> Self:
        """Go through data once, going on from the parameters and the optimiser's state.

        Args:
            X: inputs (n, features).
            y: targets (n,) or (n, labels).
            sample_weight: weights (n,) of the samples.
            classes: all classes there will be; the first call needs them.

        Returns:
            The estimator.

        Raises:
            ValueError: if the first call has no classes, a later one others, or data are wrong.
        """
        first = not hasattr(self, "network_")
        if first and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        if not first and classes is not None and self._labels.kind == "classes":
            told = Labels.of(targets_on_host(on_host(y)), on_host(classes)).classes
            if told.tolist() != self._labels.classes.tolist():
                raise ValueError(
                    f"`classes={classes!r:.80}` is not the same as on last call to partial_fit, was: "
                    f"{str(self._labels.classes.tolist())[:80]}"
                )
        return self._fit(X, y, sample_weight, incremental=True, classes=classes)

    def predict(self, X: ArrayLike) -> Any:
        """The class of each sample, or 0 and 1 for each label.

        Args:
            X: inputs (n, features).

        Returns:
            Classes (n,) or labels (n, labels), as `y` had them, in the library of `X`.
        """
        x = self._inputs(X, "predict")
        return self._labels.decode(self.network_.predict(x), self.classes_)

    def predict_proba(self, X: ArrayLike) -> Any:
        """The probability of each class, or of yes for each label.

        Args:
            X: inputs (n, features).

        Returns:
            Probabilities (n, classes) or (n, labels), in the library of `X`.
        """
        return self._probabilities(self._inputs(X, "predict_proba"))

    def predict_log_proba(self, X: ArrayLike) -> Any:
        """The logarithms of the probabilities.

        Args:
            X: inputs (n, features).

        Returns:
            Logarithms of the shape of the probabilities, in the library of `X`.
        """
        probabilities = self._probabilities(self._inputs(X, "predict_log_proba"))
        return ops.log(ops.maximum(probabilities, float(ops.finfo(probabilities.dtype).smallest_normal)))

    def _probabilities(self, x: Array) -> Array:
        p = self.network_.predict_proba(x)
        if self._labels.kind == "labels" or self.network_.task is Task.CLASSES:
            return p
        if len(self._labels.classes) == 1:
            return ops.ones_like(p)
        return ops.concat([ops.subtract(1.0, p), p], axis=1)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class Regressing(RegressorMixin):
    """The part of a regressor that knows values."""

    _y_numeric = True

    def _before(self, X: Any, y: Any) -> Any:
        """Targets in the library of the inputs."""
        there, here = home_of(X), backend_of(y)
        return y if here is None or here is there else there.asarray(y)

    def _learn(self, y: Any, classes: Any) -> tuple[int, Any]:
        outputs = y.shape[1] if len(y.shape) > 1 else 1
        self._flat = len(y.shape) == 1 or outputs == 1
        return outputs, self._choose_loss()

    def _check_targets(self, y: Any, *, incremental: bool) -> None:
        columns = y.shape[1] if len(y.shape) > 1 else 1
        if columns != self.n_outputs_:
            plural = "" if self.n_outputs_ == 1 else "s"
            raise ValueError(
                f"y: expected {self.n_outputs_} column{plural}, as before, got {columns}; a new estimator "
                "learns others"
            )

    def _encode(self, y: Any) -> Any:
        return ops.expand_dims(y, axis=1) if len(y.shape) == 1 else y

    def _weigh(self, y: Any, sample_weight: Any, *, incremental: bool) -> Any:
        return _weights(sample_weight, y)

    def partial_fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Go through data once, going on from the parameters and the optimiser's state.

        Args:
            X: inputs (n, features).
            y: targets (n,) or (n, outputs).
            sample_weight: weights (n,) of the samples.

        Returns:
            The estimator.
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: ArrayLike) -> Any:
        """The value of each sample.

        Args:
            X: inputs (n, features).

        Returns:
            Values (n,) or (n, outputs), in the library of `X`.
        """
        x = self._inputs(X, "predict")
        values = self.network_.predict(x)
        return ops.squeeze(values, axis=1) if self._flat else values

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """The coefficient of determination of the predictions, R².

        Args:
            X: inputs (n, features).
            y: targets (n,) or (n, outputs).
            sample_weight: weights (n,) of the samples.

        Returns:
            At most 1, which means that all are right.
        """
        # On the host: scikit-learn's score changes arrays in place, which not every library has.
        values = [None if a is None else on_host(a) for a in (y, self.predict(X), sample_weight)]
        return float(r2_score(values[0], values[1], sample_weight=values[2]))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
