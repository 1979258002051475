"""Fitting: what the four estimators share."""

from __future__ import annotations

from copy import copy, deepcopy
from typing import Any, Self
from warnings import warn

from sklearn.base import BaseEstimator
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from portnn import ops, tree
from portnn._typing import Array, ArrayLike
from portnn.backend import backend_of, get_backend
from portnn.estimators._arrays import check_home, dtype_for, home_of, place_of, rows, takes_integers
from portnn.estimators._bridge import Tasks
from portnn.estimators._course import Course, as_it_was, begin_course
from portnn.estimators._methods import L2, resumed
from portnn.estimators._state import from_plain, to_plain
from portnn.network import Network
from portnn.train import DivergenceError

__all__ = ["Fitting"]

_NON_FINITE = (  # scikit-learn's message, which its users search for
    "Solver produced non-finite parameter weights. The input data may contain large values and need to be "
    "preprocessed."
)


class Fitting(CallbackSupportMixin, BaseEstimator):
    """An estimator that holds a `portnn.Network`.

    What differs is said by `_layers`, `_make_optimizer` and `_choose_loss` (what network), and by `_learn`,
    `_encode` and `_weigh` (what targets).
    """

    _many_axes = False
    _seeds_network = True

    @property
    def _learning_rate(self) -> str:
        """How the learning rate changes."""
        return "constant"

    @property
    def _stops_early(self) -> bool:
        """Return whether the training uses validation scores."""
        return bool(self.early_stopping)

    @with_callbacks
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        X_val: ArrayLike | None = None,
        y_val: ArrayLike | None = None,
    ) -> Self:
        """Train, from the beginning unless `warm_start` is set.

        Args:
            X: inputs (n, features); sparse ones are made dense.
            y: targets (n,) or (n, outputs).
            sample_weight: weights (n,) of the samples.
            X_val: inputs to evaluate after each epoch, for `validation_scores_` and
                `validation_loss_curve_`; early stopping then looks at these and splits nothing off.
            y_val: their targets.

        Returns:
            The estimator.

        Raises:
            ValueError: if data or parameters are wrong.
            DivergenceError: if the loss stops being finite.
        """
        return self._fit(X, y, sample_weight, (X_val, y_val))

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        held_out: Any = (None, None),
        *,
        incremental: bool = False,
        classes: Any = None,
    ) -> Self:
        self._validate_params()
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        first = not hasattr(self, "network_") or not (self.warm_start or incremental)
        with as_it_was(self, first=first):
            if not (self.warm_start or incremental):
                self._forget()
            self._learn_from(X, y, sample_weight, held_out, classes, first=first, incremental=incremental)
        return self

    def _learn_from(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        held_out: Any,
        classes: Any,
        *,
        first: bool,
        incremental: bool,
    ) -> None:
        shown = {
            "X": X,
            "y": y,
            "metadata": None if sample_weight is None else {"sample_weight": sample_weight},
        }
        if not first:
            check_home(self, X, "fit")
        home = home_of(X)
        x, y = self._validated(X, y, reset=first)
        rng = check_random_state(self.random_state)
        if first:
            self._begin(x, y, classes, home, rng)
        else:
            self._check_same()
            self._check_targets(y, incremental=incremental)
        x = self._bring(x)
        if first:
            self._check_outputs(x)
        targets = self._encode(y)
        weight = self._weigh(y, sample_weight, incremental=incremental)
        validation = self._held_out(*held_out)
        if self._stops_early and validation is None:
            (x, targets, weight), validation = self._split(x, targets, weight, y, rng)
        if first:
            self.network_.seed = int(rng.randint(2**31 - 1))
        try:
            self._train(x, targets, weight, validation, shown, incremental=incremental)
        except DivergenceError as error:
            raise DivergenceError(f"{_NON_FINITE} {str(error)[:170]}") from error

    def _validated(self, X: Any, y: Any, *, reset: bool) -> tuple[Any, Any]:
        """Inputs and targets, checked by scikit-learn."""
        options = {"multi_output": True, "y_numeric": self._y_numeric, "dtype": "numeric"}
        y = self._before(X, y)
        x, y = validate_data(
            self, X, y, accept_sparse=("csr", "csc"), allow_nd=self._many_axes, reset=reset, **options
        )
        return (x.toarray() if hasattr(x, "toarray") else x), y

    def _inputs(self, X: Any, method: str) -> Array:
        """Inputs to predict for."""
        check_is_fitted(self)
        check_home(self, X, method)
        options = {"dtype": "numeric", "allow_nd": self._many_axes, "reset": False}
        x = validate_data(self, X, accept_sparse=("csr", "csc"), **options)
        return self._bring(x.toarray() if hasattr(x, "toarray") else x)

    def _bring(self, x: Array) -> Array:
        """Inputs of a kind that the network takes."""
        network = self.network_
        place = place_of(x)
        kinds = ("real floating", "integral") if takes_integers(network.layer) else "real floating"
        if place.xp.isdtype(x.dtype, kinds):  # the network casts what it predicts for, batch by batch
            return x
        return ops.astype(x, place.dtype(network.dtype))

    def _begin(self, x: Array, y: Any, classes: Any, home: Any, rng: Any) -> None:
        """A new network for these data."""
        backend = home if self.backend is None else get_backend(self.backend)
        outputs, loss = self._learn(y, classes)
        shape = tuple(x.shape[1:])
        layers = self._layers(shape[0] if len(shape) == 1 else shape, outputs)
        seed = int(rng.randint(2**31 - 1)) if self._seeds_network else 0
        dtype = dtype_for(x, self.dtype, backend)
        network = Network(layers, loss=loss, backend=backend, seed=seed, dtype=dtype)
        self._start(network, rng)
        self.network_, self._home, self.n_outputs_ = network, home, outputs
        self._follow()
        begin_course(self)

    def _check_same(self) -> None:
        """The parameters that made the network are what they were, since it goes on."""

    def _check_targets(self, y: Any, *, incremental: bool) -> None:
        """Targets are such as the network was made for, since it goes on."""

    def _check_outputs(self, x: Array) -> None:
        """The network has the outputs that the targets need."""

    def _start(self, network: Network, rng: Any) -> None:
        """Change the initial parameters."""

    def _forget(self) -> None:
        """Drop attributes that were set before fitting: a fit starts from new parameters."""

    def _held_out(self, X: Any, y: Any) -> tuple[Any, ...] | None:
        """The validation data as the network takes them."""
        if X is None and y is None:
            return None
        if X is None or y is None:
            raise ValueError("fit: X_val and y_val belong together; give both or neither")
        x, y = self._validated(X, y, reset=False)
        return self._bring(x), self._encode(y)

    def _split(self, x: Any, targets: Any, weight: Any, y: Any, rng: Any) -> tuple[Any, Any]:
        """What to learn from, and what to hold out, drawn as scikit-learn draws it."""
        numbers = list(range(x.shape[0]))
        kept, held = train_test_split(
            numbers, random_state=rng, test_size=self.validation_fraction, stratify=self._strata(y)
        )
        if len(held) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        parts = [[None if a is None else rows(a, i) for a in (x, targets, weight)] for i in (kept, held)]
        return parts[0], tuple(a for a in parts[1] if a is not None)

    def _strata(self, y: Any) -> Any:
        """By what a split keeps the shares, or None."""

    def _train(
        self, x: Any, targets: Any, weight: Any, validation: Any, shown: dict[str, Any], *, incremental: bool
    ) -> None:
        n = x.shape[0]
        optimizer, size = self._make_optimizer(), self._batch(n)
        moments = self.network_.optimizer_state if incremental else None
        if moments is not None:
            optimizer = resumed(optimizer, moments)
        else:
            self._rate = getattr(self, "learning_rate_init", None)
        epochs = 1 if incremental else self.max_iter
        course, tasks = Course(self, n, validation), Tasks(self, shown, epochs)
        callbacks = [course, tasks, *(self.callbacks or ())]
        try:
            self.network_.fit(
                x,
                targets,
                epochs=epochs,
                batch_size=size,
                optimizer=optimizer,
                shuffle=self.shuffle,
                sample_weight=weight,
                validation_data=validation,
                callbacks=callbacks,
                progress=False,
                penalty=L2(self.alpha) if self.alpha else None,
            )
        except KeyboardInterrupt:
            warn("Training interrupted by user.", stacklevel=4)
        else:
            if not (incremental or course.stopped) and self.n_iter_ == self.max_iter:
                warn(
                    f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the "
                    "optimization hasn't converged yet.",
                    ConvergenceWarning,
                    stacklevel=4,
                )
        if self._stops_early:
            course.restore()
        tasks.close()

    def _batch(self, n: int) -> int:
        """How many samples a step has."""
        if self.batch_size == "auto":
            return min(200, n)
        if self.batch_size > n:
            warn(f"batch_size={self.batch_size} is more than the {n} samples; it is clipped", stacklevel=5)
        return min(int(self.batch_size), n)

    def __getstate__(self) -> dict[str, Any]:
        """Return the attributes as arrays of NumPy and plain values, which any serializer can write."""
        state: dict[str, Any] = to_plain(super().__getstate__())
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore what `__getstate__` returned; arrays go back to their backends."""
        super().__setstate__(from_plain(state))

    def __copy__(self) -> Self:
        copied = type(self).__new__(type(self))
        copied.__dict__.update(self.__dict__)
        return copied

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        copied = memo[id(self)] = type(self).__new__(type(self))
        copied.__dict__.update(deepcopy(self.__dict__, memo))
        return copied

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.array_api_support = True
        tags.input_tags.sparse = True
        tags.input_tags.three_d_array = self._many_axes
        return tags

    def __sklearn_array_api_convert__(self, convert: Any) -> Self:
        """The estimator for arrays of another library or device; a network on a backend of its own stays."""
        moved = copy(self)
        [probe, *_] = [convert(p) for p in tree.leaves(self.network_.params)[:1]]
        moved._home = backend_of(probe)
        moved.network_ = copy(self.network_)
        if self.backend is None:
            moved.network_.to(moved._home)
        moved._follow()
        return moved

    def _follow(self) -> None:
        """Bring fitted arrays to the library that answers follow."""
