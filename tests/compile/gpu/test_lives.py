"""Fusion does not cost memory: the order of the stages, and their peak."""

import numpy as np
import pytest

import portnn as pn
from portnn import losses, nn, ops, optim, tree
from portnn.compile._cupy import _fusion
from portnn.compile._cupy._lives import Lives
from portnn.compile._cupy._plan import make_plan
from portnn.compile._cupy._steps import View, made_by
from portnn.program import record, simplify
from portnn.tracing import values_in
from portnn.train import Batch, Snapshot, make_gradient, make_step


def step_in_parts(parts, width=64, n=240):
    """Trace an Adam step on a batch that is computed in parts."""
    layer = nn.Sequential(
        [pn.Linear(8, width), pn.relu, pn.Linear(width, width), pn.relu, pn.Linear(width, 3)]
    )
    params, optimizer = layer.init(np.random.default_rng(0)), optim.adam(1e-3)
    state = layer.init_state("float32")
    step = make_step(make_gradient(layer, losses.softmax_cross_entropy, parts=parts), optimizer)

    def whole(params, opt_state, x, y):
        after, loss, _ = step(Snapshot(params, state, opt_state), Batch(x, y, None, n), None)
        return after.params, after.opt_state, loss

    x, y = np.zeros((n, 8), "float32"), np.zeros(n, "int64")
    return simplify(record(whole, (params, optimizer.init(params), x, y))[0])


@pytest.mark.parametrize(("width", "n"), [(64, 240), (8, 2400), (64, 24)])
def test_parts_of_a_batch_run_one_after_the_other(width, n, monkeypatch):
    """For large activations or large gradients: at most a tenth more memory than the recorded order."""
    monkeypatch.setattr(_fusion, "_SLACK", 0)
    peaks = []
    for parts in (1, 2, 3, 8, 24):
        program = step_in_parts(parts, width, n)
        lives, count = Lives(program), len(program.calls)
        stages = _fusion.fuse(program)
        peaks.append(lives.peak(stages, 0, count))
        assert peaks[-1] <= 1.1 * lives.peak(list(program.calls), 0, count)
        kernels = sum(isinstance(stage, list) for stage in stages)
        assert kernels <= 16 * (parts + 1)  # without groups there are ten times as many
        # Sums of gradients in pairs: at most one of each level is held.
        gradient = 4 * (8 * width + width + width * width + width + 3 * width + 3)
        assert peaks[-1] <= peaks[0] + gradient * np.log2(parts)
    if n >= 240:
        assert peaks[-1] < 0.6 * peaks[0]


def test_a_program_that_needs_little_memory_has_the_fewest_kernels():
    program = step_in_parts(24)
    calls, needed = program.calls, {id(v) for v in values_in(tree.leaves(program.result))}
    whole = _fusion._in_order(_fusion._inlined(_fusion._grouped(calls), needed), needed)
    assert len(_fusion.fuse(program)) == len(whole)


CALLS = [lambda a, b: a + b, lambda a, b: a @ b, lambda a, b: a.T, lambda a, b: ops.sum(a, axis=0) + b]


@pytest.mark.parametrize("seed", range(20))
def test_a_peak_is_what_running_the_stages_takes(seed):
    """For random programs, counting the live bytes after each step of the plan."""
    rng = np.random.default_rng(seed)

    def f(x):
        made = [x]
        for _ in range(12):
            a, b = (made[rng.integers(len(made))] for _ in range(2))
            made.append(CALLS[rng.integers(4)](a, b))
            made = made[-4:] if rng.random() < 0.5 else made
        return made[-1], made[0] * 2.0

    program = simplify(record(f, (np.ones((16, 16), "float32"),))[0])
    plan = make_plan(program)
    given = {id(v) for v in program.inputs}
    sizes = {id(v): v.size * 4 for step in plan.steps for v in made_by(step)}
    roots, held, most = {}, {}, 0
    for step, released in zip(plan.steps, plan.releases, strict=True):
        if isinstance(step, View):
            source = id(step.call.args[0])
            roots[id(step.call.result)] = roots.get(source, source)
        held |= {id(v): roots.get(id(v), id(v)) for v in made_by(step)}
        most = max(most, sum(sizes[root] for root in set(held.values()) - given))
        for value in released:
            held.pop(id(value), None)
    assert Lives(program).peak(_fusion.fuse(program), 0, len(program.calls)) == most
