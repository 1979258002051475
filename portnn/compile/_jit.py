"""`jit`: write a function down once for each signature, then carry out the plan."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import update_wrapper
from threading import Lock
from typing import Any, final, get_args
from warnings import warn

import array_api_compat

from portnn import tree
from portnn._typing import Array, Tree
from portnn.compile._errors import RetraceWarning
from portnn.compile._passthrough import JaxPlan
from portnn.compile._plans import EagerPlan, Plan, ProgramPlan
from portnn.compile._precision import Precision, check_precision
from portnn.compile._signature import Signature, described, differences, signature
from portnn.ops._options import check_flag, check_word
from portnn.program import record, simplify
from portnn.tracing import RecordedArray, TracedArray, Value, is_recording, namespace

__all__ = ["Jitted", "jit"]

PATIENCE = 8  # plans of one function before a warning that an argument keeps changing


@final
class Jitted:
    """A function with a plan for each signature: made by `jit`.

    Attributes:
        function: the function itself.
    """

    def __init__(
        self,
        function: Callable[..., Tree],
        cache_size: int,
        torch_compile: bool,
        precision: Precision,
        patience: int | None,
    ) -> None:
        update_wrapper(self, function)  # first: it brings all attributes that the function has
        self.function = function
        self._cache_size = cache_size
        self._torch_compile = torch_compile
        self._precision = precision
        self._patience = patience
        self._plans: OrderedDict[Signature, Plan] = OrderedDict()
        self._lock = Lock()  # for the plans: another thread may drop the one that is looked up
        self._made = 0
        self._last: dict[str, str] = {}

    def __call__(self, *args: Any, **options: Any) -> Any:
        if is_recording():  # part of what is written down around it, whose arrays it may close over
            return self.function(*args, **options)
        key, arrays = signature((args, options))
        with self._lock:
            plan = self._plans.get(key)
            if plan is not None:
                self._plans.move_to_end(key)
        if plan is not None:
            return plan(arrays, (args, options))
        if not arrays or any(isinstance(a, RecordedArray | TracedArray) for a in arrays):
            return self.function(*args, **options)  # part of what is recorded or differentiated around it
        plan, result = self._plan(arrays, (args, options))
        self._keep(key, plan, (args, options))
        return result

    def _plan(
        self, arrays: Sequence[Array], args: tuple[tuple[Any, ...], dict[str, Any]]
    ) -> tuple[Plan, Tree]:
        """A plan for a signature, and the result of its first use."""
        xp = namespace(*arrays)
        check_precision(self._precision, xp, array_api_compat.device(arrays[0]))
        plan: Plan
        if array_api_compat.is_numpy_namespace(xp):
            program, result = record(lambda p, o: self.function(*p, **o), args)
            given = set(program.inputs)
            result = tree.map(lambda leaf, value: _own(leaf, value, given), result, program.result)
            program = replace(simplify(program), name=getattr(self.function, "__name__", "function"))
            return ProgramPlan(program), result
        if array_api_compat.is_cupy_namespace(xp):
            from portnn.compile._cupy import plan_function  # only where CuPy is

            return plan_function(self.function, args, self._precision)
        if array_api_compat.is_jax_namespace(xp):
            plan = JaxPlan(self.function, args)
        elif array_api_compat.is_torch_namespace(xp) and self._torch_compile:
            from portnn.compile._torch import TorchPlan  # only where PyTorch is

            program, _ = record(lambda p, o: self.function(*p, **o), args)
            plan = TorchPlan(simplify(program), arrays)
        else:
            plan = EagerPlan(self.function, f"there are no plans for {xp.__name__}")
        return plan, plan(arrays, args)

    def _keep(self, key: Signature, plan: Plan, args: Tree) -> None:
        with self._lock:
            self._plans[key] = plan
            if len(self._plans) > self._cache_size:
                self._plans.popitem(last=False)
        self._made += 1
        before, self._last = self._last, described(self.function, args)
        if self._made == self._patience:
            words = "; ".join(differences(before, self._last))[:120]
            changed = words or "steps in memory, or a kind of container"
            name = getattr(self.function, "__name__", "the function")[:40]
            warn(
                f"jit: {name} was written down {self._made} times; last, {changed}. Pass a number that "
                "changes as an array without axes, of the dtype of the others; pad batches to few sizes; "
                "make functions once",
                RetraceWarning,
                stacklevel=3,
            )

    def explain(self, *args: Any, **options: Any) -> str:
        """The plan for some arguments, in words; it is made if there is none yet.

        Args:
            *args: arguments of the function.
            **options: keyword arguments of the function.

        Returns:
            Several lines: the calls that are left after simplification, and the memory that they share.

        Example:
            >>> import numpy as np
            >>> print(jit(lambda x: x + x * 2.0).explain(np.ones(3, dtype=np.float32)).splitlines()[0])
            NumPy plan of <lambda>: 2 calls, 64 bytes for intermediate results
        """
        key, arrays = signature((args, options))
        if key not in self._plans and arrays:
            self(*args, **options)
        plan = self._plans.get(key)
        return "no plan: there is no array among the arguments" if plan is None else plan.explain()

    def clear(self) -> None:
        """Forget all plans, and give their memory back."""
        with self._lock:
            self._plans.clear()
        self._made, self._last = 0, {}

    def __reduce__(self) -> tuple[type[Jitted], tuple[Any, ...]]:
        """Copies have no plans: they make their own."""
        options = self._cache_size, self._torch_compile, self._precision, self._patience
        return Jitted, (self.function, *options)

    @property
    def plans(self) -> int:
        """How many plans are kept."""
        return len(self._plans)

    def __repr__(self) -> str:
        return f"<jit of {self.function!r}: {self.plans} plan{'' if self.plans == 1 else 's'}>"


def _own(leaf: Any, value: Any, given: set[Value]) -> Any:
    """A result of the first call as the caller's own: no view, and nothing that was there before."""
    shared = type(value) is Value and (value in given or value.constant is not None)
    return leaf.copy() if shared or getattr(leaf, "base", None) is not None else leaf


def jit(
    f: Callable[..., Tree],
    /,
    *,
    cache_size: int = 32,
    torch_compile: bool = False,
    precision: Precision = "float32",
) -> Jitted:
    """Make a function faster: it is written down at its first call and carried out as a plan from then on.

    A plan does what the function did with the first arguments of its kind, call by call, with nothing of
    portnn between the calls: on NumPy into memory laid out beforehand, on CuPy as a CUDA graph. The results
    are bit for bit those of the function itself. JAX arrays are handed to ``jax.jit``, which may change last
    bits; other libraries carry the function out as it is.

    The function must be pure. What it prints or changes happens when it is written down; an ``if`` on the
    value of an array is an error where there are plans. Arrays that it closes over, random numbers that it
    draws, and leaves of the arguments that are no arrays are constants of the plan: pass what changes as an
    argument, as an array.

    Args:
        f: a function of trees of arrays that returns a tree. It is often one that `value_and_grad` made,
            or a whole step of training.
        cache_size: how many plans are kept; the one that was not used for longest goes first.
        torch_compile: whether functions of PyTorch arrays are written down too and go to ``torch.compile``,
            which may change the last bits, instead of being carried out as they are.
        precision: of products of float32 matrices on CuPy: "float32", "tf32" or "bfloat16"; the last two
            need a GPU of compute capability 8.0 (Ampere) or higher.

    Returns:
        A function of the same arguments. Arrays given to it are never changed, and those it returns are
        the caller's.

    Raises:
        TypeError: if `f` is not a function; on the call, if an argument is neither array nor constant.
        ValueError: if `cache_size` is not positive; on the call, if the library or GPU lacks the precision.
        ControlFlowError: on the call, if Python asks for the value of an array.
        PlanError: on the call, if ``torch.compile`` cannot serve, as without a C++ compiler.

    Example:
        >>> import numpy as np
        >>> from portnn import autodiff, ops
        >>> step = jit(autodiff.value_and_grad(lambda w, x: ops.sum(ops.square(w * x))))
        >>> value, gradient = step(np.asarray([1.0, 2.0]), np.asarray([3.0, 1.0]))
        >>> value, gradient = step(np.asarray([2.0, 2.0]), np.asarray([3.0, 1.0]))
        >>> float(value), gradient.tolist(), step.plans
        (40.0, [36.0, 4.0], 1)

        A whole step of training, with an optimiser `o` of `portnn.optim`, is written like this::

            @jit
            def step(params, state, x, y):
                loss, grads = value_and_grad(objective)(params, x, y)
                updates, state = o.update(grads, state, params)
                return apply_updates(params, updates), state, loss
    """
    check_flag("jit", "torch_compile", torch_compile)
    if not callable(f):
        raise TypeError(f"jit: expected a function, got {type(f).__name__}; write jit(f), not jit(f(x))")
    if isinstance(cache_size, bool) or not isinstance(cache_size, int):
        raise TypeError(f"jit: cache_size must be an integer, got {type(cache_size).__name__}")
    if cache_size < 1:
        raise ValueError(f"jit: cache_size must be at least 1, got {cache_size}")
    check_word("jit", "precision", precision, get_args(Precision))
    return Jitted(f, cache_size, torch_compile, precision, PATIENCE)
