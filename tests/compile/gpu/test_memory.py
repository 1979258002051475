"""Device memory: what graphs hold and for how long, what is released, and the errors when it runs out."""

from itertools import pairwise

import numpy as np
import pytest

from portnn.compile._cupy._memory import GraphMemory
from tests.compile.gpu.emulated import needs_emulation, run_emulated

MIB = 2**20


class Source:
    """An allocator that counts: `held` bytes are in use."""

    def __init__(self, room=2**40):
        self.held, self.room, self.next, self.asked = 0, room, 4096, []

    def __call__(self, size):
        if self.held + size > self.room:
            raise MemoryError(f"asked for {size}")
        self.asked.append(size)
        return Piece(self, size)


class Piece:
    def __init__(self, source, size):
        self.source, self.size, self.ptr = source, size, source.next
        source.next += size + 4096
        source.held += size

    def __del__(self):
        self.source.held -= self.size


def test_memory_lives_as_long_as_the_graph_that_was_captured_with_it():
    source, memory = Source(), GraphMemory()
    with memory.session(source) as graph:
        block = memory.malloc(3 * MIB)
        first = block.address
        del block
        block = memory.malloc(3 * MIB)
        assert block.address == first  # freed memory is reused within a graph
        del block
    assert source.held == 3 * MIB
    with memory.session(source) as other:
        assert memory.malloc(2 * MIB).address == first  # graphs share memory
    del graph
    assert source.held == 3 * MIB
    del other
    assert source.held == 0


def test_a_result_keeps_its_memory_and_no_other_takes_it():
    source, memory = Source(), GraphMemory()
    with memory.session(source) as graph:
        result = memory.malloc(2 * MIB)
        assert memory.malloc(2 * MIB).address != result.address
    with memory.session(source):
        assert memory.malloc(2 * MIB).address != result.address
    del graph
    assert source.held == 2 * MIB
    del result
    assert source.held == 0


def test_memory_that_a_graph_writes_is_not_given_back_where_it_runs_out():
    source, memory = Source(room=8 * MIB), GraphMemory()
    with memory.session(source) as graph:
        memory.malloc(4 * MIB)
        with pytest.raises(MemoryError, match="asked for"):
            memory.malloc(5 * MIB)
    assert source.held == 4 * MIB
    del graph
    assert source.held == 0


def test_small_pieces_share_a_slab_and_leave_large_ranges_whole():
    source, memory = Source(), GraphMemory()
    with memory.session(source):
        memory.malloc(24 * MIB)
        small = [memory.malloc(n) for n in (0, 1, 512, 513, MIB)]
        large = memory.malloc(24 * MIB)
        assert source.asked == [24 * MIB, 2 * MIB]
        assert [b.address % 512 for b in (*small, large)] == [0] * 6
        assert len({b.address for b in small}) == 5


def test_random_blocks_never_overlap():
    rng = np.random.default_rng(0)
    source, memory = Source(), GraphMemory()
    with memory.session(source) as used:
        blocks = {}
        for _ in range(2000):
            if blocks and rng.random() < 0.5:
                del blocks[rng.choice(list(blocks))]
            else:
                size = int(rng.integers(1, 5 * MIB))
                block = memory.malloc(size)
                blocks[block.address] = block, size
        places = sorted((address, size) for address, (_, size) in blocks.items())
        assert all(a + n <= b for (a, n), (b, _) in pairwise(places))
        blocks.clear()
        del block
        before = len(source.asked)
        for chunk in used:
            chunk.settle()
            assert len(chunk.ranges) == 1
        memory.malloc(5 * MIB)
        assert len(source.asked) <= before + 1


NET = """
import gc, numpy as np, cupy, portnn as pn
from portnn.compile import forget_loops
rng = np.random.default_rng(0)
pool = cupy.get_default_memory_pool()
def data(n):
    return rng.normal(size=(n, 2)).astype("float32"), rng.integers(0, 3, n)
def net(width=1000):
    return pn.Network([pn.Linear(2, width), pn.relu, pn.Linear(width, 3)], backend="gpu")
def mb():
    forget_loops()
    gc.collect()
    pool.free_all_blocks()
    free, total = cupy.cuda.runtime.memGetInfo()
    return (total - free) / 2**20
"""


def run(script, **variables):
    return run_emulated(NET + script, **variables)


@needs_emulation
def test_a_fit_with_validation_data_where_memory_is_short():
    """The first graph's memory was unmapped when the second one ran out of memory, and then written to."""
    run(
        """
x, y = data(4096)
def fit(compiled):
    options = dict(batch_size=256, validation_data=(x, y), progress=False, compile=compiled)
    return net(2048).fit(x, y, epochs=3, **options)["val_loss"]
assert fit(True) == fit(False)
""",
        memory_mb=172,
    )


@needs_emulation
def test_memory_goes_back_with_the_network():
    out = run("""
x, y = data(2000)
net(64).fit(x, y, epochs=1, batch_size=500, progress=False)
before = mb()  # with the workspace of cuBLAS
model = net()
model.fit(x, y, epochs=1, batch_size=500, progress=False)
for _ in range(6):
    model.predict(x)
held = mb()
del model
between = mb()
jitted, a = pn.jit(lambda a: (a @ a.T) * 2.0), cupy.ones((1000, 2), "float32")
jitted(a), jitted(a)
graph = mb()
del jitted, a
print(before, held, between, graph, mb())
""")
    before, held, between, graph, after = map(float, out.split())
    assert held > before + 7
    assert graph > before + 7
    assert before == between == after


@needs_emulation
def test_plans_and_eager_steps_do_not_starve_each_other():
    """Both need most of the device, one after the other: each can use what the other freed."""
    run(
        """
x, y = data(6000)
for compiled in (True, False, True):
    net().fit(x, y, epochs=1, batch_size=6000, progress=False, compile=compiled)
""",
        memory_mb=170,
    )


@needs_emulation
@pytest.mark.parametrize("compiled", [True, False])
def test_an_error_says_what_to_do_and_everything_works_afterwards(compiled):
    out = run(
        f"""
x, y = data(9000)
model = net()
errors = []
for attempt in range(2):
    try:
        model.fit(x, y, epochs=1, batch_size=None, progress=False, compile={compiled})
    except MemoryError as error:
        errors.append(error)  # with its traceback, as a notebook keeps it
        model.predict(x[:3000])
print(type(errors[1]).__name__, errors[1])
model.fit(x, y, epochs=1, batch_size=100, progress=False, compile={compiled})
try:
    pn.jit(lambda a: a[:, None] * a[None, :] + 1.0)(cupy.zeros(5000, "float32"))
except MemoryError as error:
    print(type(error).__name__, error)
try:
    model.backend.asarray(np.zeros(40_000_000, "float32"))
except MemoryError as error:
    print(type(error).__name__, error)
model.predict(x[:3000])
""",
        memory_mb=110,
    )
    lines = out.splitlines()
    assert len(lines) == 3
    for line in lines:
        assert line.startswith("MemoryError the GPU is out of memory: asked for ")
        assert "of 115.3 MB are free. Use a smaller batch_size or fit(accumulate=...); pass data as" in line
        assert len(line) < 300
    assert "asked for 160.0 MB" in lines[2]


@needs_emulation
def test_what_has_no_room_beside_the_pool_gets_it_from_there():
    """CUDA allocates for kernels and handles, and cannot use the free memory in CuPy's pool."""
    out = run("""
from portnn.compile._cupy._device import driver_for
driver, turns = driver_for(0), []
def make():
    turns.append(pool.total_bytes())
    if len(turns) == 1:
        raise RuntimeError("CUDA_ERROR_OUT_OF_MEMORY: out of memory")
    return "made"
cupy.zeros(10_000_000, "uint8")
print(driver._with_room(make), turns)
""")
    assert out.strip() == "made [10000384, 0]"


@needs_emulation
def test_memory_falls_with_the_number_of_parts_and_bits_are_those_of_eager_steps():
    out = run("""
from portnn import tree
x, y = data(4000)
def fit(parts, compiled, limit):
    pool.free_all_blocks()
    pool.set_limit(size=limit * 2**20)
    model = net(800)
    try:
        model.fit(x, y, epochs=1, batch_size=None, accumulate=parts, compile=compiled, progress=False)
    except MemoryError:
        return "too little"
    return [a.get().tobytes() for a in tree.leaves(model.params)]
print(fit(1, True, 46))
found = fit(24, True, 46)
assert found == fit(24, False, 46) != "too little"
""")
    assert out.strip() == "too little"


@needs_emulation
def test_plans_for_many_sizes_of_batches_share_the_parameters():
    """Each had a copy, and from the eighth on a warning named `jit`, which the user had not called."""
    run("""
import cpucuda
x, _ = data(100)
model = pn.Network([pn.Linear(2, 3000), pn.relu, pn.Linear(3000, 300)], backend="gpu")
params = sum(a.nbytes for a in pn.tree.leaves(model.params)) / 2**20
assert params > 3
before = mb()
for n in range(1, 13):
    for _ in range(6):
        found = model.predict_proba(x[:n])
graphs = cpucuda.counter("graph launches")
assert (found == model.predict_proba(x[:n])).all()
assert cpucuda.counter("graph launches") == graphs + 1
assert mb() - before < 32 + 2 * params  # with the workspace of cuBLAS
""")


@needs_emulation
def test_predictions_see_what_is_written_into_parameters():
    run("""
x, y = data(50)
model = net(20)
def check():
    wanted = pn.softmax(model.layer.apply(model.params, cupy.asarray(x))).get()
    for _ in range(6):
        assert (model.predict_proba(x) == wanted).all()
    return wanted
first = check()
model.params[0]["weight"][...] *= 2
second = check()
assert (first != second).any()
model.params = pn.tree.map(lambda a: a.get() / 2, model.params)
third = check()
assert (second != third).any()
model.fit(x, y, epochs=1, progress=False)
assert (check() != third).any()
before = mb()
model.params[2]["weight"] = cupy.asfortranarray(model.params[2]["weight"])
check()
model.params[2]["weight"] = cupy.zeros((20, 6), "float32")[:, ::2]
check()
""")


STREAMED = """
import sys
from portnn import optim, tree
x = rng.normal(size=(9000, 50)).astype("float32")  # 1.8 MB
y = rng.integers(0, 3, 9000)
w = rng.uniform(0.5, 2.0, 9000).astype("float32")
def results(x, **options):
    model = pn.Network([pn.Linear(50, 5), pn.relu, pn.Linear(5, 3)], backend="gpu")
    h = model.fit(x, y, epochs=2, batch_size=512, progress=False, validation_data=(x, y, w), **options)
    found = [np.asarray(h[k]) for k in sorted(h)] + [a.get() for a in tree.leaves(model.params)]
    found += [model.predict(x), model.predict_proba(x), model.score(x, y), model.score(x, y, sample_weight=w)]
    found += model.evaluate(x, y, sample_weight=w).values()
    return h.plan, [np.asarray(a).tobytes() for a in found]
"""


@needs_emulation
@pytest.mark.parametrize(
    "options",
    [
        "",
        "compile=False",
        "sample_weight=w, accumulate=3",
        'class_weight="balanced"',
        "shuffle=False",
        'precision="tf32"',
    ],
)
def test_data_for_which_there_is_no_room_are_streamed_with_the_bits_of_resident_data(options):
    """In `fit`, `predict`, `predict_proba`, `score` and `evaluate`."""
    out = run(
        STREAMED
        + f"""
import portnn.backend._cupy as there, portnn.compile._cupy._device as driver
from portnn.backend._backend import Backend
options = dict({options})
_, resident = results(x, **options)
whole, asarray = [], Backend.asarray
def watched(self, a, **more):
    made = asarray(self, a, **more)
    if self.name == "cupy:0": whole.append(made.nbytes)
    return made
Backend.asarray = watched
there.free_bytes = driver.free_bytes = lambda device: 3_000_000
plan, streamed = results(x, **options)
assert streamed == resident
assert max(whole) <= 4096 * 50 * 4, max(whole)
assert options.get("compile") is False or "streamed in chunks" in plan, plan
"""
    )
    assert not out


@needs_emulation
def test_data_larger_than_the_device():
    """This raised CuPy's error, although the documentation promised streaming."""
    out = run(
        """
x = np.tile(rng.normal(size=(300, 1000)).astype("float32"), (100, 1))  # 114 MiB
y = rng.integers(0, 3, 30000)
model = pn.Network([pn.Linear(1000, 5), pn.relu, pn.Linear(5, 3)], backend="gpu")
model.fit(x, y, epochs=1, batch_size=1000, progress=False, validation_data=(x, y))
print(model.predict_proba(x.astype("float64")).shape, model.score(x, y) == model.evaluate(x, y)["accuracy"])
""",
        memory_mb=100,
    )
    assert out.strip() == "(30000, 3) True"


@needs_emulation
def test_float64_data_of_a_float32_network_become_float32_on_the_host():
    """The device held the data twice, and their absolute values: four times the float32 data."""
    out = run(
        """
x = rng.normal(size=(20000, 200))  # 15.3 MiB in float32
y = rng.integers(0, 3, 20000)
def model(loss=pn.losses.softmax_cross_entropy):
    return pn.Network([pn.Linear(200, 3)], backend="gpu", loss=loss)
a, b = model(), model()
a.fit(x, y, epochs=1, batch_size=1000, progress=False)
b.fit(x.astype("float32"), y, epochs=1, batch_size=1000, progress=False)
assert (a.params[0]["weight"] == b.params[0]["weight"]).all()
assert "on the device" in a.fit(x, y, epochs=1, batch_size=1000, progress=False).plan
model(pn.losses.squared_error).fit(x.astype("float32"), x[:, :3], epochs=1, progress=False, batch_size=1000)
big = x.copy()
big[3, 3] = -1e300
for wrong in (big, cupy.asarray(big[:9])):
    try:
        a.predict(wrong)
    except ValueError as error:
        print(str(error)[:31])
""",
        memory_mb=32 + 32,
    )
    assert out.splitlines() == ["x: has values beyond 3.4e+38, t"] * 2


@needs_emulation
def test_memory_of_the_host_that_runs_out_is_not_blamed_on_the_device():
    out = run("""
from portnn.backend import get_backend
from portnn.compile._cupy._device import driver_for
def attempt(work):
    try:
        with get_backend("gpu").activate():
            work()
    except MemoryError as error:
        print(type(error).__name__, str(error)[:26])
attempt(lambda: np.empty(2**57))
def refuse(size):
    raise cupy.cuda.runtime.CUDARuntimeError(2)
cupy.cuda.alloc_pinned_memory = refuse
attempt(lambda: driver_for(0).pinned((1000, 1000), "float32"))
""")
    assert out.splitlines() == [
        "MemoryError Unable to allocate 1.00 Ei",
        "MemoryError the host cannot pin 4.0 MB",
    ]


@needs_emulation
def test_the_workspace_of_products_does_not_hold_a_graphs_memory():
    out = run_emulated("""
import cupy
from portnn.compile._cupy._cublas import WORKSPACE
from portnn.compile._cupy._device import CupyDriver
driver, pool = CupyDriver(), cupy.get_default_memory_pool()
with driver.working(), driver.private_pool():
    large = driver.empty((4 * WORKSPACE,), "uint8")
    del large
    driver._cublas()
pool.free_all_blocks()
assert pool.total_bytes() < 2 * WORKSPACE, pool.total_bytes()
""")
    assert not out


@needs_emulation
def test_the_limit_of_the_pool_holds():
    out = run("""
pool.set_limit(size=64 * 2**20)
x = rng.normal(size=(40_000, 500)).astype("float32")  # 76 MiB
model = pn.Network([pn.Linear(500, 8), pn.relu, pn.Linear(8, 3)], backend="gpu")
history = model.fit(x, rng.integers(0, 3, len(x)), epochs=1, batch_size=500, progress=False)
print("in host memory" in str(history.plan))
try:
    model.backend.asarray(x)
except MemoryError as error:
    print(error)
""")
    streamed, told = out.splitlines()
    assert streamed == "True"
    assert "asked for 80.0 MB" in told
    assert "of 67.1 MB are free" in told
