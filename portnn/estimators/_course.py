"""What scikit-learn's perceptrons keep of a training, and when they stop."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from math import isfinite, nan
from typing import Any, final

from portnn.optim import scale_learning_rate
from portnn.train import Callback, DivergenceError, Epoch

__all__ = ["Course", "as_it_was", "begin_course"]

_LEAST_RATE = 1e-6  # scikit-learn's: "adaptive" stops below it


def begin_course(estimator: Any) -> None:
    """The attributes of an estimator before its first epoch."""
    early = estimator._stops_early
    estimator.n_iter_ = estimator.t_ = 0
    estimator.loss_curve_ = []
    estimator.best_loss_ = None if early else float("inf")
    estimator.best_validation_score_ = float("-inf") if early else None
    estimator.validation_scores_ = estimator.validation_loss_curve_ = None
    estimator._no_improvement_count = 0


@contextmanager
def as_it_was(estimator: Any, *, first: bool) -> Iterator[None]:
    """An estimator that refuses data or parameters has the attributes that it had before.

    Args:
        estimator: the estimator.
        first: whether it begins anew.
    """
    before = dict(vars(estimator))
    try:
        yield
    except DivergenceError:  # what was learned before it is kept
        raise
    except (TypeError, ValueError):
        learned = vars(estimator).get("t_", 0) != (0 if first else before["t_"])
        if not learned:  # else a callback failed, and what was learned stays
            vars(estimator).clear()
            vars(estimator).update(before)
        raise


@final
class Course(Callback):
    """A callback that keeps the course of a training in an estimator's attributes, and stops it.

    Args:
        estimator: the estimator; its options say when to stop and how the learning rate changes.
        samples: how many samples an epoch has.
        held_out: the validation data as `Network.fit` takes them, or None.

    Attributes:
        stopped: whether it stopped the training.
    """

    def __init__(self, estimator: Any, samples: int, held_out: tuple[Any, ...] | None) -> None:
        self._estimator, self._samples, self._held_out = estimator, samples, held_out
        self._best: tuple[Any, Any] | None = None
        self.stopped = False
        if held_out is not None and estimator.validation_scores_ is None:
            estimator.validation_scores_, estimator.validation_loss_curve_ = [], []

    def on_epoch_end(self, epoch: Epoch) -> bool:
        """Record the epoch; return whether to stop."""
        e = self._estimator
        e.n_iter_ = epoch.number
        e.t_ += self._samples
        e.loss_ = epoch.logs["loss"]
        e.loss_curve_.append(e.loss_)
        self._say(f"Iteration {epoch.number}, loss = {e.loss_:.8f}")
        if self._held_out is not None:
            self._validate(epoch)
        better = self._better_score(epoch) if e._stops_early else self._better_loss()
        e._no_improvement_count = 0 if better else e._no_improvement_count + 1
        if e._learning_rate == "invscaling":
            self._set_rate(epoch, e.learning_rate_init / (e.t_ + 1) ** e.power_t)
        if e._no_improvement_count > e.n_iter_no_change:
            self.stopped = self._is_stopping(epoch)
        return self.stopped

    def _say(self, text: str) -> None:
        if self._estimator.verbose:
            sys.stdout.write(f"{text}\n")

    def _validate(self, epoch: Epoch) -> None:
        e, (x, y, *weight) = self._estimator, self._held_out or ()
        score, loss = epoch.logs.get("val_accuracy"), epoch.logs["val_loss"]
        if not isfinite(loss):
            score = nan  # the training diverges, and the next step raises the error
        elif score is None:  # for regression the history has only the loss
            score = epoch.model.score(x, y, sample_weight=weight[0] if weight else None)
        e.validation_scores_.append(score)
        e.validation_loss_curve_.append(loss)
        self._say(f"Validation score: {score:f}")

    def _better_score(self, epoch: Epoch) -> bool:
        """Whether the score is better by the tolerance; the parameters with the best are kept."""
        e = self._estimator
        score, best = e.validation_scores_[-1], e.best_validation_score_
        if score > best:
            e.best_validation_score_ = score
            self._best = epoch.model.params, epoch.model.state
        return bool(score >= best + e.tol)

    def _better_loss(self) -> bool:
        e = self._estimator
        best = e.best_loss_
        e.best_loss_ = min(best, e.loss_)
        return bool(e.loss_ <= best - e.tol)

    def _is_stopping(self, epoch: Epoch) -> bool:
        """Whether nothing gets better and no smaller learning rate is left to try."""
        e = self._estimator
        what = "Validation score" if e._stops_early else "Training loss"
        text = f"{what} did not improve more than tol={e.tol:f} for {e.n_iter_no_change} consecutive epochs."
        if e._learning_rate != "adaptive":
            self._say(f"{text} Stopping.")
            return True
        if e._rate <= _LEAST_RATE:
            self._say(f"{text} Learning rate too small. Stopping.")
            return True
        self._set_rate(epoch, e._rate / 5.0)
        e._no_improvement_count = 0
        self._say(f"{text} Setting learning rate to {e._rate:f}")
        return False

    def _set_rate(self, epoch: Epoch, rate: float) -> None:
        e, model = self._estimator, epoch.model
        if rate != e._rate:
            model.optimizer_state = scale_learning_rate(model.optimizer_state, rate / e._rate)
            e._rate = rate

    def restore(self) -> None:
        """Go back to the parameters with the best score."""
        if self._best is not None:
            self._estimator.network_.restore(*self._best)
