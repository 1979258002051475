"""How often the host waits for the GPU during training, and when progress is reported."""

import numpy as np
import pytest

from tests.compile.gpu.emulated import needs_emulation, run_emulated
from tests.compile.gpu.helpers import digits, needs_compiler, net_step
from tests.compile.gpu.standin import StandIn

SCRIPT = """
import sys, cpucuda, numpy as np, portnn as pn
def waits(layers, samples, loss=pn.losses.softmax_cross_entropy, y=np.arange(1000) % 4, **options):
    x = np.random.default_rng(0).normal(size=(samples, 5)).astype("float32")
    if options.pop("validate", False): options["validation_data"] = x, y[:samples]
    net, found = pn.Network(layers, loss=loss, backend="gpu", seed=0), []
    net.fit(
        x, y[:samples], epochs=4, batch_size=8, progress=False,
        callbacks=[lambda epoch: found.append(cpucuda.counter("stream synchronizations"))], **options,
    )
    assert cpucuda.counter("device synchronizations") == 0
    return [b - a for a, b in zip(found[1:], found[2:])]
one = [pn.Linear(5, 4)]
deep = [pn.Linear(5, 9), pn.BatchNorm(9), pn.relu, pn.Linear(9, 9), pn.relu, pn.Linear(9, 4)]
for layers in (one, deep):
    for samples in (16, 700):
        print(*waits(layers, samples), *waits(layers, samples, validate=True))
print(*waits([pn.Linear(5, 1)], 90, loss=pn.losses.squared_error, y=np.ones((1000, 1), "float32")))
"""


@needs_emulation
def test_an_epoch_waits_three_times_and_its_validation_three_more():
    """For the losses, the number of correct predictions, and whether the parameters are finite.

    Then for whether the predictions are finite, for their loss, and for their accuracy.
    """
    *classes, values = run_emulated(SCRIPT).splitlines()
    assert set(classes) == {"3 3 6 6"}
    assert values == "2 2"  # nothing is counted


@needs_compiler
@pytest.mark.parametrize(("rows", "steps"), [(16, [20, 20, 20, 20, 7]), (1400, [1])])
def test_progress_moves_within_an_epoch(rows, steps):
    from portnn import optim
    from portnn.compile._cupy import CupyLoop

    x, y = digits(16 * 87 if rows == 16 else rows)
    step, carry = net_step(optim.sgd(0.1))
    driver, told = StandIn(), []
    loop = CupyLoop(step, carry, (x, y), rows, driver=driver)

    def done(count):
        told.append((count, driver.log.count("launch")))

    losses = loop.run(np.arange(len(x)), 0, sum(steps), done)
    assert len(losses) == sum(steps)
    assert [sum(count for count, _ in told)] == [sum(steps)]
    if rows == 16:  # 87 steps: while the fourth launch runs, those of the first are over
        assert told[0] == (20, 3)
        assert told[1] == (20, 4)
        assert len(told) == 3


@needs_emulation
def test_progress_of_fit_moves_within_an_epoch():
    script = """
import numpy as np, portnn as pn
class Told:
    def step(self, count=1): print(count, end=" ")
    def epoch(self, number, total, logs): print("epoch", number)
x = np.ones((800, 3), "float32")
net = pn.Network([pn.Linear(3, 2)], backend="gpu")
net.fit(x, np.arange(800) % 2, epochs=2, batch_size=8, progress=Told())
"""
    lines = [line.split() for line in run_emulated(script, lazy=1).splitlines()]
    assert [line[:-2] for line in lines[:2]] == [["0", "20", "20", "20", "40"], ["20", "20", "20", "40"]]
