"""What a loss is: a function, the task that it is for, and what predictions mean under it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import Enum
from functools import partial, update_wrapper, wraps
from inspect import signature
from typing import Any, Generic, ParamSpec, final
from warnings import warn

from portnn import ops
from portnn._suggest import same_as
from portnn._typing import Array
from portnn.ops._half import is_half, widened
from portnn.tracing import at_home

__all__ = [
    "Loss", "Task", "identity", "link_of", "loss_of", "make_loss", "task_of", "warn_of_probabilities",
]  # fmt: skip

P = ParamSpec("P")


class Task(Enum):
    """What a network is trained to tell; decided by its loss.

    CLASSES: one class of several for each sample. LABELS: yes or no, for each of one or several labels.
    VALUES: real numbers.
    """

    CLASSES = "classes"
    LABELS = "labels"
    VALUES = "values"


def identity(predictions: Array) -> Array:
    """The predictions as they are."""
    return predictions


@final
class Loss(Generic[P]):
    """A loss function that knows its task, called like the function.

    The losses of this package are instances. A function of one's own becomes one by ``Loss(function,
    task=..., link=...)``.

    Args:
        function: called as ``function(predictions, targets, **options)``; returns a scalar to minimise.
            To work with every option of `Network` it takes ``sample_weight`` and ``reduction``.
        task: what the network is trained to tell.
        link: from raw predictions (logits) to what a person wants to see, such as `ops.softmax`.

    Attributes:
        function: the function.
        task: the task.
        link: the link.

    Raises:
        TypeError: if `function` or `link` cannot be called, or `task` is not a `Task`.

    Example:
        >>> import numpy as np
        >>> from portnn import ops
        >>> cubic = Loss(lambda p, t: ops.mean(ops.abs(p - t) ** 3), task=Task.VALUES)
        >>> float(cubic(np.asarray([1.0, 2.0]), np.asarray([1.0, 4.0])))
        4.0
        >>> task_of(cubic)
        <Task.VALUES: 'values'>
    """

    def __init__(
        self, function: Callable[P, Array], *, task: Task, link: Callable[..., Array] = identity
    ) -> None:
        for name, value in (("function", function), ("link", link)):
            if not callable(value):
                raise TypeError(f"Loss: {name} must be callable, got {type(value).__name__}")
        if not isinstance(task, Task):
            raise TypeError(f"Loss: task must be Task.CLASSES, Task.LABELS or Task.VALUES, got {task!r}")
        update_wrapper(self, function)  # first: it brings all attributes that the function has
        self.function = function
        self.task = task
        self.link = link

    @at_home
    def __call__(self, *args: P.args, **options: P.kwargs) -> Array:
        return self.function(*args, **options)

    def __reduce__(self) -> str | tuple[Any, ...]:
        # A decorated function is pickled by its name, which leads to the loss and not to the function.
        name = getattr(self, "__qualname__", "")
        if getattr(sys.modules.get(getattr(self, "__module__", "")), name, None) is self:
            return name
        return partial(Loss, task=self.task, link=self.link), (self.function,)

    def __repr__(self) -> str:
        return f"<loss {getattr(self, '__name__', self.function)}>"


def _in_float32(function: Callable[P, Array]) -> Callable[P, Array]:
    """Compute the loss of half-precision predictions in float32 and round it.

    Squares and sums may overflow or vanish in the half precision where the loss itself does not.
    """
    first = next(iter(signature(function).parameters))

    @wraps(function)
    def wrapper(*args: P.args, **options: P.kwargs) -> Array:
        predictions: Any = args[0] if args else options.get(first)
        if not is_half(predictions):
            return function(*args, **options)
        wide: Any = function
        loss = wide(*map(widened, args), **{name: widened(x) for name, x in options.items()})
        return ops.astype(loss, predictions.dtype)

    return wrapper


def make_loss(
    *, task: Task, link: Callable[..., Array] = identity
) -> Callable[[Callable[P, Array]], Loss[P]]:
    """`Loss` as a decorator."""

    def decorate(function: Callable[P, Array]) -> Loss[P]:
        return Loss(_in_float32(function), task=task, link=link)

    return decorate


def loss_of(loss: Any) -> tuple[Loss[...], dict[str, Any]]:
    """The `Loss` below any number of `functools.partial`, and the options that they bind."""
    options: dict[str, Any] = {}
    inner = loss
    while isinstance(inner, partial):
        options = {**inner.keywords, **options}
        inner = inner.func
    if not isinstance(inner, Loss):
        raise TypeError(f"loss: {_unknown(inner)}")
    return inner, options


def _unknown(loss: Any) -> str:
    """Say what is wrong with a name, or a function or object whose task is not known."""
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    same = same_as("losses", name)
    if isinstance(loss, str):
        write = f"write portnn.losses.{same}" if same else "give one such as portnn.losses.squared_error"
        return f"expected a function of portnn.losses, got {loss!r:.60}; {write}"
    write = f"write portnn.losses.{same}" if same else "give one of portnn.losses"
    return f"the task of {name[:60]} is not known; {write}, or losses.Loss(function, task=..., link=...)"


def task_of(loss: Any) -> Task:
    """The task that a loss is for.

    Args:
        loss: a `Loss`, or a `functools.partial` of one.

    Returns:
        Its task.

    Raises:
        TypeError: if it is a plain function, whose task cannot be known.

    Example:
        >>> from functools import partial
        >>> from portnn import losses
        >>> losses.task_of(partial(losses.softmax_cross_entropy, label_smoothing=0.1))
        <Task.CLASSES: 'classes'>
    """
    return loss_of(loss)[0].task


def link_of(loss: Any) -> Callable[..., Array]:
    """The function from a network's raw predictions to what is shown: probabilities, rates, values.

    An option that is bound with `functools.partial` and that the link has as well is handed on to it:
    ``partial(poisson_nll, log_input=False)`` does not take exponentials.

    Args:
        loss: a `Loss`, or a `functools.partial` of one.

    Returns:
        The link.

    Raises:
        TypeError: if it is a plain function, whose link cannot be known.

    Example:
        >>> import numpy as np
        >>> from portnn import losses
        >>> losses.link_of(losses.sigmoid_cross_entropy)(np.asarray([0.0])).tolist()
        [0.5]
    """
    found, options = loss_of(loss)
    if options:
        known = signature(found.link).parameters
        shared = {name: value for name, value in options.items() if name in known}
        if shared:
            return partial(found.link, **shared)
    return found.link


_PROBABLE = (
    "softmax",
    "softmin",
    "sigmoid",
    "hard_sigmoid",
    "log_sigmoid",
)  # probabilities, or their logarithms


def warn_of_probabilities(loss: Any, activation: Any) -> None:
    """Warn if the last layer of a network makes probabilities and the loss takes logits.

    The loss applies softmax or sigmoid itself. Applied twice, gradients are small and every probability is
    near the middle, but nothing fails.

    Args:
        loss: a `Loss`, or a `functools.partial` of one.
        activation: the function that the network ends with; None if it is none.
    """
    found = loss_of(loss)[0]
    name, home = getattr(activation, "__name__", ""), str(getattr(activation, "__module__", ""))
    if name not in _PROBABLE or not home.startswith("portnn.") or found.task is Task.VALUES:
        return
    link = getattr(found.link, "__name__", "identity")
    if link == "identity":
        return
    own = str(getattr(found, "__name__", "of your own"))
    warn(
        f"Network: the last layer is {name}, but the loss {own:.60} takes logits and applies {link} itself; "
        f"applied twice, it trains badly. Leave the last layer out: predict_proba applies {link}",
        stacklevel=4,  # the caller of `Network`, which checks the names of its arguments
    )
