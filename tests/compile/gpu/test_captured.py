"""Everything that the library computes can be captured in a CUDA graph, or is listed with the reason.

Plans are only made here, not run, so this takes seconds without a GPU.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from portnn import decode, metrics, nn, ops, optim, random, tree
from portnn.autodiff import value_and_grad
from portnn.compile._bounds import inputs_checked
from portnn.compile._cupy._plan import make_plan
from portnn.program import record, simplify
from portnn.tracing import ControlFlowError
from tests.nn.test_each_option import CASES as OPTIONS
from tests.nn.test_each_option import LAYERS
from tests.optim.cases import CASES as RECIPES
from tests.optim.cases import first_params, noise
from tests.table.engine import SMOOTH, gradients, is_floating
from tests.table.test_table import ROWS

_LIBRARY = "cuSOLVER and cuFFT wait for the device, or need work areas that a capture cannot provide"
_ORDER = "the shape of the result depends on values, so it cannot be traced"
EXCEPTIONS = {
    **dict.fromkeys(
        ["linalg." + name for name in (
            "cholesky", "det", "eigh", "eigvalsh", "inv", "matrix_power", "matrix_rank", "pinv", "qr",
            "slogdet", "solve", "svd", "svdvals",
        )],
        _LIBRARY,
    ),
    **dict.fromkeys(
        ["fft." + name for name in (
            "fft", "fftn", "hfft", "ifft", "ifftn", "ihfft", "irfft", "irfftn", "rfft", "rfftn",
        )],
        _LIBRARY,
    ),
    **dict.fromkeys(("nonzero", "unique_all", "unique_counts", "unique_inverse", "unique_values"), _ORDER),
    "from_dlpack": "it imports an array from another library, once and outside of steps",
}  # fmt: skip
"""For the standard's name of a function, why a graph cannot hold it."""
_met: set[str] = set()


def float32(nested: Any) -> Any:
    return tree.map(lambda x: x.astype("float32") if is_floating(x) else x, nested)


def obstacles(f: Any, *args: Any) -> set[str]:
    """Return the functions that a graph cannot hold."""
    program = inputs_checked(simplify(record(f, args)[0]))[0]
    return {obstacle.partition(":")[0] for obstacle in make_plan(program).obstacles}


def assert_captured(f: Any, *args: Any) -> None:
    try:
        found = obstacles(f, *args)
    except ControlFlowError as error:
        found = {str(error).partition(" ")[0]}
    _met.update(found)
    assert found <= set(EXCEPTIONS), f"no graph holds {', '.join(sorted(found))}"


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_public_functions(row):
    """`ops`, `nn` and `losses`, and their gradients: another test checks that each has a row."""
    args = float32(row.make())
    assert_captured(row.function, *args)
    if row.kind == SMOOTH:
        assert_captured(lambda *xs: gradients(row, list(xs), ones), *args)


def ones(y: Any) -> Any:
    """Cotangents."""
    return tree.map(lambda leaf: np.ones(leaf.shape, "float32"), y)


def steps_of(layer: Any, x: Any) -> None:
    """Capture a training step and a prediction of a single layer."""
    params, state = float32(layer.init(random.stream(3))), float32(layer.init_state())

    def objective(params, state, x, key):
        y, after = layer.forward(params, state, x, training=True, key=random.key(4))
        return ops.sum(ops.square(y)), after

    assert_captured(value_and_grad(objective, has_aux=True), params, state, x, random.key(4))
    assert_captured(lambda p, s, x: layer.forward(p, s, x, training=False, key=None), params, state, x)


@pytest.mark.parametrize(("name", "option"), OPTIONS)
def test_layers_under_every_option(name, option):
    make, x, options = LAYERS[name]
    given = options[option]
    value, needed = given if isinstance(given, tuple) else (given, {})
    steps_of(make(**needed, **{option: value}), x)


def test_integers_and_dtypes_change_nothing():
    """Large embedding tables, images as bytes, and float64 take other paths."""
    steps_of(nn.Embedding(5000, 3), np.arange(12).reshape(3, 4) * 400)
    steps_of(nn.Sequential([nn.Rescale(), nn.Flatten(), nn.Linear(168, 3)]), LAYERS["Rescale"][1])
    steps_of(nn.Cast(nn.Linear(4, 3), "float16"), LAYERS["Linear"][1])


OPTIMIZERS = {
    **{case.name: lambda optimizer=case.optimizer: optimizer for case in RECIPES},
    "accumulate": lambda: optim.accumulate(optim.adam(), 3),
    "add_decayed_weights": lambda: optim.add_decayed_weights(0.1),
    "adjustable": lambda: optim.adjustable(optim.adam()),
    "chain": lambda: optim.chain(optim.clip_by_value(5.0), optim.scale(-1.0)),
    "clip_by_global_norm": lambda: optim.clip_by_global_norm(1.0),
    "clip_by_value": lambda: optim.clip_by_value(1.0),
    "dynamic_loss_scale": lambda: optim.dynamic_loss_scale(optim.adam(), interval=2),
    "ema": lambda: optim.ema(optim.adam()),
    "scale": lambda: optim.scale(0.5),
    "scale_by_adadelta": optim.scale_by_adadelta,
    "scale_by_adagrad": optim.scale_by_adagrad,
    "scale_by_adam": lambda: optim.scale_by_adam(amsgrad=True, eps_first=True),
    "scale_by_adamax": optim.scale_by_adamax,
    "scale_by_learning_rate": lambda: optim.scale_by_learning_rate(lambda step: 0.1 / (step + 1.0)),
    "scale_by_lion": optim.scale_by_lion,
    "scale_by_nadam": optim.scale_by_nadam,
    "scale_by_radam": optim.scale_by_radam,
    "scale_by_rms": lambda: optim.scale_by_rms(centered=True),
    "trace": lambda: optim.trace(0.9, dampening=0.1, nesterov=False),
}
SCHEDULES = {
    "constant": lambda s: s.constant(0.1),
    "cosine": lambda s: s.cosine(0.1, 10, end=0.01),
    "cosine_restarts": lambda s: s.cosine_restarts(0.1, 10, growth=2),
    "exponential": lambda s: s.exponential(0.1, 0.9),
    "multi_step": lambda s: s.multi_step(0.1, [2, 5]),
    "one_cycle": lambda s: s.one_cycle(0.1, 10, anneal="linear"),
    "polynomial": lambda s: s.polynomial(0.1, 10, exponent=2.0),
    "step": lambda s: s.step(0.1, 3),
    "warmup": lambda s: s.warmup(s.one_cycle(0.1, 10), 3),
}
ABOUT_STATES = {"ema_params", "loss_scale", "scale_learning_rate", "global_norm", "apply_updates"}


def advance(optimizer: optim.Optimizer) -> None:
    params = float32(first_params())
    grads = float32(tree.map(lambda leaf: noise(leaf.shape)[0], params))

    def step(params, state, grads):
        updates, state = optimizer.update(grads, state, params)
        asked = optim.ema_params(state), optim.loss_scale(state), optim.global_norm(grads)
        return optim.apply_updates(params, updates), state, [x for x in asked if x is not None]

    assert_captured(step, params, optimizer.init(params), grads)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_under_every_option(name):
    advance(OPTIMIZERS[name]())


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules(name):
    advance(optim.sgd(SCHEDULES[name](optim.schedules)))


def test_every_optimizer_and_schedule_is_here():
    functions = {n for n in optim.__all__ if inspect.isfunction(getattr(optim, n))}
    assert functions - set(OPTIMIZERS) == ABOUT_STATES
    assert {n for n in optim.schedules.__all__ if inspect.isfunction(getattr(optim.schedules, n))} == set(
        SCHEDULES
    )


TRUE, SURE = np.asarray([0, 2, 1, 1]), np.random.default_rng(0).uniform(0.1, 1.0, (4, 3)).astype("float32")
WEIGHT = np.asarray([1.0, 2.0, 0.0, 1.0], "float32")
METRICS = {
    "accuracy": ((TRUE, SURE.argmax(1)), [{}, {"normalize": False}]),
    "average_precision": ((TRUE > 0, SURE[:, 0]), [{}]),
    "confusion_matrix": ((TRUE, SURE.argmax(1)), [{"n_classes": 3}]),
    "f1": ((TRUE, SURE.argmax(1)), [{"n_classes": 3, "average": a} for a in ("macro", "micro", "weighted")]),
    "log_loss": ((TRUE, SURE / SURE.sum(1, keepdims=True)), [{}]),
    "mean_absolute_error": ((SURE, SURE[::-1].copy()), [{}, {"multioutput": "raw_values"}]),
    "mean_squared_error": ((SURE, SURE[::-1].copy()), [{}, {"multioutput": "raw_values"}]),
    "precision": ((TRUE, SURE.argmax(1)), [{"n_classes": 3}]),
    "r2": ((SURE, SURE[::-1].copy()), [{}, {"multioutput": "raw_values"}]),
    "recall": ((TRUE, SURE.argmax(1)), [{"n_classes": 3}]),
    "root_mean_squared_error": ((SURE, SURE[::-1].copy()), [{}]),
    "top_k_accuracy": ((TRUE, SURE), [{}, {"normalize": False, "k": 1}]),
}
ON_SEQUENCES = {"edit_distance", "error_rates"}


@pytest.mark.parametrize("name", METRICS)
def test_metrics(name):
    args, options = METRICS[name]
    for option in options:
        assert_captured(lambda *xs, o=option: getattr(metrics, name)(*xs, **o), *args)
        assert_captured(
            lambda *xs, o=option: getattr(metrics, name)(*xs[:-1], sample_weight=xs[-1], **o), *args, WEIGHT
        )


def test_every_metric_is_here():
    assert {n for n in metrics.__all__ if inspect.isfunction(getattr(metrics, n))} == set(
        METRICS
    ) | ON_SEQUENCES


LOGITS = np.log(SURE)
RANDOM = {
    "bernoulli": lambda key: random.bernoulli(key, 0.3, (3, 4)),
    "bits": lambda key: random.bits(key, 5),
    "categorical": lambda key: random.categorical(key, LOGITS),
    "fold_in": lambda key: random.fold_in(key, 3),
    "fold_in_each": lambda key: random.fold_in_each(key, [1, 2]),
    "normal": lambda key: random.normal(key, (3, 4)),
    "permutation": lambda key: [random.permutation(key, 100), random.permutation(key, LOGITS)],
    "randint": lambda key: random.randint(key, (3, 4), 0, 100),
    "split": lambda key: random.split(key, 3),
    "truncated_normal": lambda key: random.truncated_normal(key, (3, 4)),
    "uniform": lambda key: random.uniform(key, (3, 4)),
}


@pytest.mark.parametrize("name", RANDOM)
def test_random_numbers(name):
    assert_captured(RANDOM[name], random.key(3))


def test_every_random_function_is_here():
    found = {n for n in random.__all__ if inspect.isfunction(getattr(random, n))}
    assert found == set(RANDOM) | {"key", "stream"}


def test_decoding():
    """Without `stop_early`, for which Python reads values."""

    def both(table, start):
        def step(tokens, state):
            return ops.log_softmax(ops.take(table, tokens, axis=0)), tokens

        options = {"start": start, "end": 2, "max_length": 4, "stop_early": False}
        made = (
            decode.beam_search(step, start, beam=2, **options),
            decode.greedy(step, start, **options),
        )
        return [tuple(found) for found in made]

    assert_captured(both, SURE[:3], np.asarray([0, 1]))


def test_every_exception_is_needed():
    for row in ROWS:
        test_public_functions(row)
    assert set(EXCEPTIONS) == _met
