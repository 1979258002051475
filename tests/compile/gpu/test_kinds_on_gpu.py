"""Networks of many kinds on a GPU: one graph, the bits of eager CuPy, the numbers of NumPy.

They need ``--backend gpu``.
"""

import warnings

import numpy as np
import pytest

import portnn as pn
from portnn import optim, tree
from portnn.compile import PlanWarning
from tests.compile.gpu.test_on_gpu import to_bytes

N = 70
RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (N, 1, 8, 8)).astype("uint8")
IMAGES = (BYTES / 256).astype("float32")
ROWS = RNG.normal(size=(N, 12)).astype("float32")
SERIES = RNG.normal(size=(N, 5, 6)).astype("float32")
TOKENS = RNG.integers(0, 11, (N, 6))
CLASSES = RNG.integers(0, 4, N)
NUMBERS = ROWS[:, :1].copy()
MLP = [pn.Linear(12, 8), pn.relu, pn.Linear(8, 4)]
ONE = [pn.Linear(12, 8), pn.relu, pn.Linear(8, 1)]
CONV = [pn.Conv2d(1, 4, 3, padding=1), pn.relu]


def of(name, layers, x, y=CLASSES, *, slow=False, **options):
    return pytest.param(layers, x, y, options, id=name, marks=[pytest.mark.slow] if slow else [])


def losses():
    numbers = ("squared_error", "absolute_error", "huber", "log_cosh")
    yield from [of(n, ONE, ROWS, NUMBERS, loss=getattr(pn.losses, n), slow=n != "huber") for n in numbers]
    yes = NUMBERS > 0
    yield of("sigmoid cross entropy", ONE, ROWS, yes, loss=pn.losses.sigmoid_cross_entropy)
    yield of("sigmoid focal", ONE, ROWS, yes, loss=pn.losses.sigmoid_focal, slow=True)
    yield of("focal", MLP, ROWS, loss=pn.losses.focal, slow=True)
    yield of("hinge", MLP, ROWS, loss=pn.losses.multiclass_hinge)
    yield of("poisson", ONE, ROWS, np.abs(NUMBERS).round(), loss=pn.losses.poisson_nll, slow=True)


def optimizers():
    for name in ("adamw", "adamax", "nadam", "radam", "rmsprop", "adagrad", "adadelta", "lion"):
        yield of(name, MLP, ROWS, optimizer=getattr(optim, name)(1e-2), slow=name != "radam")
    yield of("nesterov", MLP, ROWS, optimizer=optim.sgd(0.1, momentum=0.9, nesterov=True), slow=True)
    clipped = optim.chain(optim.clip_by_global_norm(1.0), optim.sgd(optim.schedules.cosine(0.1, 20)))
    yield of("clipped, cosine", MLP, ROWS, optimizer=clipped)
    yield of("one cycle", MLP, ROWS, optimizer=optim.adamw(optim.schedules.one_cycle(0.01, 20)), slow=True)


KINDS = [
    of("relu", MLP, ROWS, slow=True),
    of("gelu", [pn.Linear(12, 8), pn.gelu, pn.Linear(8, 4)], ROWS),
    of("bytes", [pn.Flatten(), pn.Rescale(), pn.Linear(64, 4)], BYTES),
    of("max pool", [*CONV, pn.MaxPool2d(2), pn.Flatten(), pn.Linear(64, 4)], IMAGES),
    of("average pool", [*CONV, pn.AvgPool2d(2), pn.Flatten(), pn.Linear(64, 4)], IMAGES, slow=True),
    of(
        "strides, groups",
        [pn.Conv2d(1, 4, 3, stride=2), pn.Conv2d(4, 4, 3, groups=2), pn.GlobalAvgPool2d(), pn.Linear(4, 4)],
        IMAGES,
        slow=True,
    ),
    of(
        "conv transpose",
        [pn.Conv2d(1, 4, 3, stride=2), pn.ConvTranspose2d(4, 2, 2, stride=2), pn.Flatten(), pn.Linear(72, 4)],
        IMAGES,
    ),
    of("upsample", [pn.Conv2d(1, 2, 3), pn.Upsample(2), pn.Flatten(), pn.Linear(288, 4)], IMAGES),
    of("batch norm", [pn.Linear(12, 8), pn.BatchNorm(8), pn.relu, pn.Linear(8, 4)], ROWS),
    of("layer norm", [pn.Linear(12, 8), pn.LayerNorm(8), pn.relu, pn.Linear(8, 4)], ROWS, slow=True),
    of("dropout", [pn.Linear(12, 8), pn.Dropout(0.5), pn.relu, pn.Linear(8, 4)], ROWS),
    of("lstm", [pn.LSTM(6, 5, returns="last"), pn.Linear(5, 4)], SERIES),
    of("gru", [pn.GRU(6, 5, returns="last"), pn.Linear(5, 4)], SERIES, slow=True),
    of("rnn", [pn.RNN(6, 5, returns="last"), pn.Linear(5, 4)], SERIES, slow=True),
    of("embedding", [pn.Embedding(11, 6), pn.Flatten(), pn.Linear(36, 4)], TOKENS),
    of("large embedding", [pn.Embedding(4000, 6), pn.Flatten(), pn.Linear(36, 4)], TOKENS * 300),
    of("attention", [pn.MultiHeadAttention(6, 2), pn.Flatten(), pn.Linear(30, 4)], SERIES, slow=True),
    of(
        "transformer",
        [
            pn.Embedding(11, 6),
            pn.SinusoidalPositions(6),
            pn.TransformerEncoderLayer(6, 2, 12),
            pn.Flatten(),
            pn.Linear(36, 4),
        ],
        TOKENS,
    ),
    of("prelu", [pn.Linear(12, 8), pn.PReLU(), pn.Linear(8, 4)], ROWS, slow=True),
    of("class weights", MLP, ROWS, class_weight="balanced", slow=True),
    of("sample weights", MLP, ROWS, sample_weight=RNG.uniform(size=N)),
    of("accumulate", MLP, ROWS, accumulate=2),
    of("validation", MLP, ROWS, validation_split=0.3, slow=True),
    of("float64", MLP, ROWS, dtype="float64"),
    *losses(),
    *optimizers(),
]


def fitted(layers, x, y, backend, options):
    options = {"optimizer": optim.sgd(0.05), **options}
    loss = options.pop("loss", pn.losses.softmax_cross_entropy)
    net = pn.Network(layers, loss=loss, backend=backend, seed=0, dtype=options.pop("dtype", "float32"))
    with warnings.catch_warnings():
        warnings.simplefilter("error", PlanWarning)
        history = net.fit(x, y, epochs=2, batch_size=16, **options)
        assert ("runs as CUDA graphs" in history.plan) == (backend == "gpu" and "compile" not in options)
        return net, [net.predict(x), net.predict(x)]


@pytest.mark.parametrize(("layers", "x", "y", "options"), KINDS)
def test_kinds_of_networks(gpu, layers, x, y, options):
    planned, predicted = fitted(layers, x, y, "gpu", options)
    eager, expected = fitted(layers, x, y, "gpu", {**options, "compile": False})
    host, _ = fitted(layers, x, y, "cpu", options)
    assert to_bytes(gpu, planned.params) == to_bytes(gpu, eager.params)
    assert to_bytes(gpu, predicted) == to_bytes(gpu, expected)
    for ours, theirs in zip(tree.leaves(planned.params), tree.leaves(host.params), strict=True):
        np.testing.assert_allclose(gpu.to_numpy(ours), theirs, rtol=0, atol=2e-6)


@pytest.mark.parametrize("precision", ["tf32", "bfloat16"])
def test_other_precisions_are_captured(gpu, precision):
    fitted(MLP, ROWS, CLASSES, "gpu", {"precision": precision})


def test_decoding_is_captured(gpu):
    table = gpu.backend.asarray(RNG.normal(size=(11, 11)).astype("float32"))
    start = gpu.backend.asarray(np.asarray([1, 4, 7]))

    def best(table, start):
        def step(tokens, state):
            return pn.log_softmax(pn.ops.take(table, tokens, axis=0)), tokens

        options = {"start": start, "end": 2, "max_length": 6, "stop_early": False}
        return tuple(pn.decode.beam_search(step, start, beam=4, **options))

    planned = pn.jit(best)
    with warnings.catch_warnings():
        warnings.simplefilter("error", PlanWarning)
        found = [planned(table, start) for _ in range(3)]
    assert "runs as one CUDA graph" in planned.explain(table, start)
    for one in found:
        assert to_bytes(gpu, one) == to_bytes(gpu, best(table, start))
