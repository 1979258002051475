"""Streams and threads: arguments and results are ordered on the caller's stream, whatever others do.

The scripts run with streams that do their work as late as CUDA allows, so that a missing wait gives wrong
numbers.
"""

import pytest

from tests.compile.gpu.emulated import needs_emulation, run_emulated

pytestmark = needs_emulation

START = """
import warnings
from threading import Thread
import cupy, numpy as np
import portnn as pn

slow = cupy.ones((200, 200), "float32")
def keep_busy():
    q = slow
    for _ in range(4): q = q @ slow * 1e-3
    return q[0, 0] * 0
def settle(): cupy.cuda.Device().synchronize()
settle()
def new_stream(): return cupy.cuda.Stream(non_blocking=True)
A, B = new_stream(), new_stream()
def together(*works):
    errors = []
    def guarded(work):
        try: work()
        except BaseException as error: errors.append(error)
    threads = [Thread(target=guarded, args=(w,)) for w in works]
    for t in threads: t.start()
    for t in threads: t.join()
    if errors: raise errors[0]
"""

READ_AFTER_FREE = """
ones, hundreds = cupy.ones(5000, "float32"), cupy.full(5000, 100, "float32")
f(ones); f(ones); settle()
for _ in range(3):
    with A:
        r = f(ones)
        read = r + keep_busy()  # reads the result when A gets there
        del r
    with B:
        other = f(hundreds)
        B.synchronize()
    A.synchronize()
    assert (read.get() == f(ones).get()).all() and (other.get() == f(hundreds).get()).all()
"""

GIVEN_AND_FREED = """
f(cupy.ones(5000, "float32")); f(cupy.ones(5000, "float32")); settle()
for n in range(3):
    with A:
        x = cupy.full(5000, n, "float32") + keep_busy()
        r = f(x)
        del x
        again = [cupy.full(5000, 1000, "float32") for _ in range(3)]  # is given the memory of x
    with B:
        f(cupy.full(5000, 55, "float32"))
    A.synchronize(); B.synchronize()
    assert (r.get() == f(cupy.full(5000, n, "float32")).get()).all()
"""

FROM_THREADS = """
def work(n):
    with new_stream() as stream:
        for i in range(6):
            r = f(cupy.full(5000, 10 * n + i, "float32") + keep_busy())
            read = r + keep_busy()
            del r
            stream.synchronize()
            found[n, i] = read.get()
found = {}
f(cupy.ones(5000, "float32")); settle()
together(lambda: work(1), lambda: work(2))
for (n, i), r in found.items():
    assert (r == f(cupy.full(5000, 10 * n + i, "float32")).get()).all(), (n, i)
"""

FUNCTIONS = """
warnings.simplefilter("ignore")  # sorting has no graph
c, w = cupy.arange(5000, dtype="float32"), cupy.ones((5000, 3), "float32")
net = pn.Network([lambda x: x * 2.0], loss=pn.losses.squared_error, backend="gpu")
for f in (
    pn.jit(lambda x: x * 2.0),
    pn.jit(lambda x: pn.ops.sort(x * 2.0)),
    pn.jit(lambda x: (x + c) @ w),
    lambda x: net.predict(x[:, None])[:, 0],
):
    check(f)
"""


def check(text):
    """Run a check on a plan with a graph, on one without, on one with constants, and on a network."""
    body = "def check(f):" + text.replace("\n", "\n    ")
    run_emulated(f"{START}\n{body}\n{FUNCTIONS}", lazy=1)


def test_results_are_not_written_while_they_are_read():
    check(READ_AFTER_FREE)


def test_arguments_are_read_before_their_memory_is_used_again():
    check(GIVEN_AND_FREED)


def test_one_function_from_two_threads_with_streams_of_their_own():
    check(FROM_THREADS)


@pytest.mark.parametrize("how", ["pn.get_backend('gpu')", "[f(x) for _ in range(2)]"])
def test_eager_products_are_not_rounded_where_plans_are_not(how):
    script = """
import cupy, portnn as pn
f, x = pn.jit(lambda x: x @ x), cupy.full((8, 8), 1.0001, "float32")
try: HOW
except pn.BackendUnavailableError as error: print(error.reason)
else: print("rounded", bool((f(x) != x @ x).any()))
""".replace("HOW", how)
    assert run_emulated(script, CUPY_TF32=1) == "conflict\n"
    assert run_emulated(script, CUPY_TF32=0) == "rounded False\n"


def test_constants_made_on_another_stream():
    run_emulated(
        START
        + """
with A:
    c = cupy.ones(5000, "float32") + keep_busy()
    f = pn.jit(lambda x: x * c)
    f(cupy.ones(5000, "float32"))
with B:
    r = f(cupy.full(5000, 3, "float32"))
    B.synchronize()
assert (r.get() == 3).all()
""",
        lazy=1,
    )


def test_a_thread_that_waits_for_the_device_does_not_break_what_another_captures():
    run_emulated(
        START
        + """
backend, over = pn.get_backend("gpu"), []
def wait():
    while not over: backend.synchronize()
def make():
    warnings.simplefilter("error")
    x = cupy.ones((40, 40), "float32")
    try:
        for i in range(8):
            f = pn.jit(lambda x: pn.ops.exp(x @ x * 0.5) + i)
            for _ in range(3): f(x)
    finally: over.append(True)
together(wait, make)
"""
    )


TRAININGS = """
x = np.random.default_rng(0).normal(size=(90, 6)).astype("float32")
y = np.arange(90) % 3
def trained(seed, compile=True):
    net = pn.Network([pn.Linear(6, 5), pn.relu, pn.Linear(5, 3)], backend="gpu", seed=seed)
    net.fit(x, y, epochs=2, batch_size=16, progress=False, compile=compile)
    return net
def bits(net): return [a.get().tobytes() for a in pn.tree.leaves(net.params)]
"""


def test_two_networks_in_two_threads():
    run_emulated(
        START
        + TRAININGS
        + """
want = [bits(trained(seed)) for seed in (0, 1)]
found = [None, None]
def train(seed):
    with new_stream(): found[seed] = bits(trained(seed))
together(lambda: train(0), lambda: train(1))
assert found == want
""",
        lazy=1,
    )


def test_parameters_belong_to_the_stream_of_the_training():
    run_emulated(
        START
        + TRAININGS
        + """
want = bits(trained(0))
settle()
with A:
    net = trained(0)
    kept = [p + keep_busy() for p in pn.tree.leaves(net.params)]
    del net
with B:
    trained(1)
    B.synchronize()
A.synchronize()
assert [p.get().tobytes() for p in kept] == want
""",
        lazy=1,
    )
