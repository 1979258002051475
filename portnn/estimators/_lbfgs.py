"""Training by SciPy's L-BFGS-B, on all samples at once."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate, pairwise
from math import isfinite, prod
from typing import Any
from warnings import warn

from sklearn.exceptions import ConvergenceWarning

from portnn import ops, tree
from portnn._typing import Array, Tree
from portnn.autodiff import value_and_grad
from portnn.backend import get_backend
from portnn.compile import jit
from portnn.network import Network
from portnn.train import DivergenceError

__all__ = ["minimise"]


def minimise(
    network: Network,
    x: Array,
    y: Array,
    weight: Any,
    penalty: Callable[[Tree, Any], Array] | None,
    **options: Any,
) -> tuple[int, float]:
    """Train a network without layers that draw or keep a state.

    SciPy's line searches and updates are of float64 on the host; loss and gradient come from the network's
    backend in its dtype.

    Args:
        network: the network; it gets the best parameters.
        x: inputs.
        y: targets.
        weight: weights of the samples, or None.
        penalty: as for `Network.fit`.
        **options: SciPy's: ``maxiter``, ``maxfun``, ``gtol``.

    Returns:
        The number of iterations, and the loss.

    Raises:
        DivergenceError: if the loss or the parameters are not finite at the end; the network is unchanged.
    """
    from scipy.optimize import minimize  # scikit-learn brings it; the other solvers need none

    host, data = get_backend("cpu"), network._dataset(x, y, weight)
    samples = data.size if data.weight is None else ops.sum(data.weight)
    named = {} if data.weight is None else {"sample_weight": data.weight}

    def objective(params: Tree) -> Array:
        value = network.loss(network.layer.apply(params, data.x), data.y, **named)
        return value if penalty is None else ops.add(value, penalty(params, samples))

    step = jit(value_and_grad(objective))

    def flat_step(vector: Any) -> tuple[float, Any]:
        value, slope = step(_unpack(vector, network))
        return float(value), _pack(slope, host)

    found = minimize(flat_step, _pack(network.params, host), method="L-BFGS-B", jac=True, options=options)
    if not (isfinite(found.fun) and host.xp.all(host.xp.isfinite(found.x))):
        raise DivergenceError(
            f"the loss is {float(found.fun)} after {found.nit} iterations of L-BFGS; "
            "scale the inputs to about 1; the parameters are unchanged"
        )
    network.params = _unpack(found.x, network)
    if found.status == 1:
        warn(f"lbfgs failed to converge: {found.message}", ConvergenceWarning, stacklevel=6)
    return min(int(found.nit), options["maxiter"]), float(found.fun)


def _pack(parts: Tree, host: Any) -> Any:
    """A tree as one vector of float64 on the host."""
    flat = [host.xp.astype(host.to_numpy(p), host.xp.float64).ravel() for p in tree.leaves(parts)]
    return host.xp.concat(flat)


def _unpack(vector: Any, network: Network) -> Tree:
    """The parameters that a vector stands for."""
    ends = accumulate([prod(p.shape) for p in tree.leaves(network.params)], initial=0)
    spans = iter(list(pairwise(ends)))

    def part(p: Array) -> Array:
        start, stop = next(spans)
        return network.backend.asarray(vector[start:stop].reshape(p.shape), dtype=network.dtype)

    return tree.map(part, network.params)
