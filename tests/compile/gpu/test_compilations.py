"""Few kernels are compiled before the first step: most functions are only part of fused kernels."""

import numpy as np
import pytest

from portnn import losses, ops
from portnn.compile import probe
from portnn.compile._cupy import LayoutOnly
from portnn.compile._cupy._elementwise import NAMES
from tests.compile.gpu.emulated import needs_emulation, run_emulated
from tests.compile.gpu.test_expressions import FLOATS, INTEGERS
from tests.compile.gpu.test_on_gpu import moved

CALLS = {
    "clip": [lambda f, x, y: f(x, -1, 2), lambda f, x, y: f(x, y, None), lambda f, x, y: f(x.T, max=3)],
    "where": [lambda f, x, y: f(x > 0, x, y), lambda f, x, y: f((x > 0).T, x.T, 1)],
}
LAYOUTS = [
    lambda f, x, y: f(x.T, y.T),
    lambda f, x, y: f(x, y[:1]),
    lambda f, x, y: f(x[::-1, ::2], 2),
    lambda f, x, y: f(2, y.T),
    lambda f, x, y: f(x.T),
    lambda f, x, y: f(x[:, 1:]),
]


SLOW = [pytest.param(d, marks=pytest.mark.slow) for d in ("bool", *INTEGERS, *FLOATS) if d != "float32"]


@pytest.mark.parametrize("dtype", ["float32", *SLOW])
def test_results_that_are_not_computed_lie_as_those_that_are(gpu, dtype):
    x, y = moved(gpu, [np.ones((3, 4), dtype), np.ones((3, 4), dtype)])
    execute, tried = LayoutOnly([]), 0
    for name in sorted(NAMES - {"astype"}):
        function = getattr(gpu.xp, name)
        for call in CALLS.get(name, LAYOUTS):
            try:
                want = call(function, x, y)
            except (TypeError, ValueError, OverflowError):
                continue  # not a function of such arguments
            got = call(lambda *args, f=function, n=name, **options: execute(n, f, args, options), x, y)
            assert (got.shape, got.dtype, got.strides) == (want.shape, want.dtype, want.strides), name
            tried += 1
    assert tried > 60


def test_functions_of_other_libraries_are_called():
    x, seen = np.ones(3), []
    assert probe(lambda x: seen.append(type(x)) or ops.sum(x), x) == 3.0
    assert seen == [np.ndarray]


def test_errors_of_a_loss_are_those_of_a_call(gpu):
    predictions, labels, many = moved(gpu, [np.ones((1, 3), "float32"), np.asarray([5]), np.ones((2, 3))])
    for wrong in (labels, many):
        with pytest.raises(ValueError, match="softmax_cross_entropy") as called:
            losses.softmax_cross_entropy(predictions, wrong)
        with pytest.raises(ValueError, match="softmax_cross_entropy") as probed:
            probe(losses.softmax_cross_entropy, predictions, wrong)
        assert str(probed.value) == str(called.value)
    assert (
        float(probe(lambda p: float(ops.sum(p)), predictions)) == 3.0
    )  # a function that cannot be traced is called


FIRST_FIT = """
from cupy.cuda import compiler
cache, compiled = compiler._kernel_cache_backend, []
class Cold(type(cache)):
    def load(self, name):
        return None
    def save(self, name, cubin, source):
        compiled.append(name)
compiler._kernel_cache_backend = Cold.__new__(Cold)
import numpy as np
import portnn as pn
rng = np.random.default_rng(0)
x, y = rng.random((1797, 64)).astype("float32"), rng.integers(0, 10, 1797)
net = pn.Network([pn.Linear(64, 64), pn.relu, pn.Linear(64, 10)], loss=pn.losses.softmax_cross_entropy,
                 backend="gpu", seed=0)
net.fit(x, y, epochs=2, batch_size=32)
print(len(compiled))
"""


@needs_emulation
def test_compilations_of_a_first_fit():
    assert int(run_emulated(FIRST_FIT)) <= 31
