"""Schedules against closed forms and torch.optim.lr_scheduler, on numbers, arrays and under jax.jit."""

from __future__ import annotations

import math

import numpy as np
import pytest

from portnn.optim import schedules

# Schedule, and how to make torch's from torch.optim.lr_scheduler and an optimiser (None: torch has none).
TABLE = {
    "constant": (schedules.constant(0.1), lambda s, o: s.ConstantLR(o, factor=1.0)),
    "step": (schedules.step(0.1, 7, factor=0.3), lambda s, o: s.StepLR(o, 7, gamma=0.3)),
    "multi_step": (schedules.multi_step(0.1, [3, 10, 11]), lambda s, o: s.MultiStepLR(o, [3, 10, 11])),
    "exponential": (schedules.exponential(0.1, 0.9), lambda s, o: s.ExponentialLR(o, 0.9)),
    "polynomial": (
        schedules.polynomial(0.1, 30, exponent=2.5),
        lambda s, o: s.PolynomialLR(o, total_iters=30, power=2.5),
    ),
    "cosine": (schedules.cosine(0.1, 39, end=0.01), lambda s, o: s.CosineAnnealingLR(o, 39, eta_min=0.01)),
    "cosine_restarts": (
        schedules.cosine_restarts(0.1, 9, end=0.01),
        lambda s, o: s.CosineAnnealingWarmRestarts(o, 9, eta_min=0.01),
    ),
    "cosine_restarts-growing": (
        schedules.cosine_restarts(0.1, 3, growth=2),
        lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, T_mult=2),
    ),
    "warmup": (
        schedules.warmup(schedules.exponential(0.1, 0.9), 5),
        lambda s, o: s.SequentialLR(o, [s.LinearLR(o, total_iters=5), s.ExponentialLR(o, 0.9)], [5]),
    ),
    "warmup-number": (schedules.warmup(0.1, 8), lambda s, o: s.LinearLR(o, total_iters=8)),
    "one_cycle": (schedules.one_cycle(0.1, 40), lambda s, o: s.OneCycleLR(o, 0.1, total_steps=40)),
    "one_cycle-linear": (
        schedules.one_cycle(0.1, 40, rise=0.4, anneal="linear", start_divisor=10.0, end_divisor=100.0),
        lambda s, o: s.OneCycleLR(
            o,
            0.1,
            total_steps=40,
            pct_start=0.4,
            anneal_strategy="linear",
            div_factor=10.0,
            final_div_factor=100.0,
        ),
    ),
    "one_cycle-falling": (
        schedules.one_cycle(0.1, 40, rise=0.0),
        lambda s, o: s.OneCycleLR(o, 0.1, total_steps=40, pct_start=0.0),
    ),
    "one_cycle-from the top": (
        schedules.one_cycle(0.1, 40, start_divisor=1.0, end_divisor=4.0),
        lambda s, o: s.OneCycleLR(o, 0.1, total_steps=40, div_factor=1.0, final_div_factor=4.0),
    ),
    "one_cycle-there and back": (
        schedules.one_cycle(0.1, 40, start_divisor=4.0, end_divisor=1.0),
        lambda s, o: s.OneCycleLR(o, 0.1, total_steps=40, div_factor=4.0, final_div_factor=1.0),
    ),
}
each_schedule = pytest.mark.parametrize("schedule", [row[0] for row in TABLE.values()], ids=list(TABLE))


@pytest.mark.parametrize("name", TABLE)
def test_forty_steps_equal_torch(name):
    torch = pytest.importorskip("torch", reason="torch is not installed: the closed forms stand alone")
    schedule, make = TABLE[name]
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    theirs = make(torch.optim.lr_scheduler, optimizer)
    for t in range(40):
        assert schedule(t) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12, abs=1e-17)
        optimizer.step()
        if t < 39:
            theirs.step()


CLOSED_FORMS = {
    "constant": lambda t: 0.1,
    "step": lambda t: 0.1 * 0.3 ** (t // 7),
    "multi_step": lambda t: 0.1 * 0.1 ** ((t >= 3) + (t >= 10) + (t >= 11)),
    "exponential": lambda t: 0.1 * 0.9**t,
    "polynomial": lambda t: 0.1 * (1 - min(t, 30) / 30) ** 2.5,
    "cosine": lambda t: 0.01 + 0.09 * math.cos(min(t, 39) * math.pi / 78) ** 2,
    "cosine_restarts": lambda t: 0.01 + 0.09 * math.cos(t % 9 * math.pi / 18) ** 2,
    "cosine_restarts-growing": lambda t: 0.1 * math.cos(_part_of_wave(t, 3, 2) * math.pi / 2) ** 2,
    "warmup": lambda t: 0.1 * (1 + 2 * t / 5) / 3 if t < 5 else 0.1 * 0.9 ** (t - 5),
    "warmup-number": lambda t: 0.1 * (1 + 2 * min(t / 8, 1)) / 3,
    "one_cycle": lambda t: _cycle(t, 11.0, 0.1 / 25, 0.1 / 25e4, _half_wave),
    "one_cycle-linear": lambda t: _cycle(t, 15.0, 0.01, 1e-4, lambda p: p),
    "one_cycle-falling": lambda t: _cycle(t, -1.0, 0.1 / 25, 0.1 / 25e4, _half_wave),
    "one_cycle-from the top": lambda t: _cycle(t, 11.0, 0.1, 0.1 / 4, _half_wave),
    "one_cycle-there and back": lambda t: _cycle(t, 11.0, 0.1 / 4, 0.1 / 4, _half_wave),
}


def _part_of_wave(t, length, growth):
    while t >= length:
        t, length = t - length, length * growth
    return t / length


def _half_wave(part):
    return (1 - math.cos(part * math.pi)) / 2


def _cycle(t, turn, first, last, shape):
    t = min(t, 39)
    if t <= turn:
        return first + (0.1 - first) * shape(t / turn)
    return 0.1 + (last - 0.1) * shape((t - turn) / (39 - turn))


@pytest.mark.parametrize("name", TABLE)
def test_closed_form_for_ints_and_for_arrays(name, backend):
    schedule = TABLE[name][0]
    real, digits = ("float64", 1e-13) if backend.has_float64 else ("float32", 2e-5)
    for t in (0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 15, 21, 29, 30, 39, 41, 95):
        wanted = CLOSED_FORMS[name](t)
        number = schedule(t)
        assert type(number) is float
        assert number == pytest.approx(wanted, rel=1e-12, abs=1e-16)
        array = schedule(backend.asarray(t, real))
        assert array.dtype == getattr(backend.xp, real)
        assert array.shape == ()
        assert float(backend.to_numpy(array)) == pytest.approx(wanted, rel=digits, abs=digits * 0.1)


@each_schedule
def test_an_integer_array_gives_float32(schedule):
    array = schedule(np.asarray(5, dtype="int32"))
    assert array.dtype == np.float32
    assert float(array) == pytest.approx(schedule(5), rel=2e-5)


@each_schedule
def test_under_jax_jit(schedule):
    jax = pytest.importorskip("jax", reason="jax is not installed")
    jax.config.update("jax_enable_x64", True)
    compiled = jax.jit(schedule)
    for t in (0, 3, 9, 17, 39, 60):
        assert float(compiled(jax.numpy.asarray(float(t)))) == pytest.approx(
            schedule(t), rel=1e-12, abs=1e-16
        )


@pytest.mark.parametrize("growth", [2, 3, 5, 10])
@pytest.mark.parametrize("period", [1, 3, 7, 100])
@pytest.mark.parametrize("dtype", [None, "float32", "float64"])
def test_every_restart_is_at_its_step(growth, period, dtype):
    """The wave's number comes from a logarithm, which may land on either side of a whole number."""
    schedule, start = schedules.cosine_restarts(1.0, period, growth=growth), 0
    length = period
    while start + length < 2**20:
        for t, rising in ((start, True), (start + length - 1, length == 1)):
            value = float(schedule(t if dtype is None else np.asarray(t, dtype=dtype)))
            assert (value > 0.99) is rising, (t, value)
        start, length = start + length, length * growth


def test_warmup_gives_the_schedule_its_own_steps():
    seen = []
    schedule = schedules.warmup(lambda t: seen.append(t) or 1.0, 3, start_factor=0.0)
    assert [schedule(t) for t in range(5)] == pytest.approx([0, 1 / 3, 2 / 3, 1, 1])
    assert seen == [0, 0, 0, 0, 1]


ERRORS = {
    "rate": (lambda: schedules.constant(-1.0), ValueError, "learning_rate must be finite and > 0, got -1.0"),
    "nan": (lambda: schedules.exponential(float("nan"), 0.9), ValueError, "learning_rate .* got nan"),
    "type": (lambda: schedules.constant("fast"), TypeError, "learning_rate must be a Python number, got str"),
    "every": (lambda: schedules.step(0.1, 0), ValueError, "every must be >= 1, got 0"),
    "float steps": (lambda: schedules.cosine(0.1, 10.0), TypeError, "steps must be an int, got float"),
    "order": (
        lambda: schedules.multi_step(0.1, [5, 3]),
        ValueError,
        r"milestones must increase, got \[5, 3\]",
    ),
    "exponent": (
        lambda: schedules.polynomial(0.1, 5, exponent=0),
        ValueError,
        "exponent must be finite and > 0",
    ),
    "end": (lambda: schedules.cosine(0.1, 5, end=-1.0), ValueError, "end must be finite and >= 0, got -1.0"),
    "growth": (lambda: schedules.cosine_restarts(0.1, 5, growth=0), ValueError, "growth must be >= 1, got 0"),
    "start": (
        lambda: schedules.warmup(0.1, 5, start_factor=1.0),
        ValueError,
        r"start_factor must be in \[0, 1\)",
    ),
    "anneal": (lambda: schedules.one_cycle(0.1, 5, anneal="cos"), ValueError, "anneal must be .* got 'cos'"),
    "divisor": (lambda: schedules.one_cycle(0.1, 5, end_divisor=0.5), ValueError, "end_divisor must be >= 1"),
    "first divisor": (
        lambda: schedules.one_cycle(0.1, 5, start_divisor=0.999),
        ValueError,
        "start_divisor must be >= 1, got 0.999",
    ),
    "short": (lambda: schedules.one_cycle(0.1, 1), ValueError, "steps must be >= 2, got 1"),
    "step type": (
        lambda: schedules.constant(0.1)(True),
        TypeError,
        "step must be an int or a 0-d array, got bool",
    ),
    "step none": (lambda: schedules.cosine(0.1, 3)(None), TypeError, "step must be .* got NoneType"),
    "step shape": (
        lambda: schedules.cosine(0.1, 3)(np.zeros(2)),
        ValueError,
        r"step must be .* got shape \(2,\)",
    ),
}


@pytest.mark.parametrize(("call", "kind", "text"), ERRORS.values(), ids=list(ERRORS))
def test_errors_say_what_and_how(call, kind, text):
    with pytest.raises(kind, match=text) as caught:
        call()
    assert len(str(caught.value)) < 300
    assert ";" in str(caught.value)
