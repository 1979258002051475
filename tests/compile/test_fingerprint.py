"""Parts of portnn count by meaning in the keys of plans."""

from __future__ import annotations

import logging
from decimal import getcontext
from functools import partial
from pathlib import Path
from time import time as clock

import numpy as np
import pytest

from portnn import losses, nn, optim
from portnn.compile import fingerprint
from portnn.estimators._methods import L2
from tests.nn.test_description import LAYERS


@pytest.mark.parametrize("name", LAYERS)
def test_layers_count_by_their_hyperparameters(name):
    layer = LAYERS[name]
    twin = nn.from_description(nn.describe(layer))
    assert twin is not layer
    assert hash(twin) == hash(layer)
    assert fingerprint(twin) == fingerprint(layer) is not None


NEARLY = [0, False, 0.0, -0.0, None, "0", (), b"", 0j, np.float32(0), np.float64(0), np.int64(0)]


def test_numbers_that_only_seem_equal_have_different_keys():
    """A plan bakes in the type of a number and the sign of zero."""
    keys = [fingerprint(partial(losses.huber, delta=value)) for value in NEARLY]
    assert None not in keys
    assert len({*keys}) == len(NEARLY)
    for values in ((1, True, 1.0), (0.0, -0.0)):
        keys = [fingerprint(nn.Sequential([nn.Activation(nn.leaky_relu, slope=v)])) for v in values]
        assert len({*keys}) == len(values)


def test_every_loss_has_a_key():
    found = [value for value in vars(losses).values() if isinstance(value, losses.Loss)]
    keys = {fingerprint(loss) for loss in found}
    assert None not in keys
    assert len(keys) == len(found) > 10
    entropy = losses.softmax_cross_entropy
    assert fingerprint(partial(entropy, ignore_index=0)) == fingerprint(partial(entropy, ignore_index=0))
    assert fingerprint(partial(entropy, ignore_index=0)) != fingerprint(partial(entropy, ignore_index=1))
    assert fingerprint(partial(entropy, ignore_index=0)) != fingerprint(partial(entropy, ignore_index=False))
    assert fingerprint(L2(0.1)) == fingerprint(L2(0.1)) != fingerprint(L2(0.2))


def test_an_optimizer_counts_by_its_call():
    rate = lambda step: 0.1 / (step + 1)  # noqa: E731
    for make in (
        lambda: optim.sgd(0.1),
        lambda: optim.chain(optim.clip_by_global_norm(1.0), optim.adam(optim.schedules.cosine(0.1, 10))),
        lambda: optim.ema(optim.adamw(rate), 0.9),
    ):
        assert fingerprint(make()) == fingerprint(make()) is not None
    assert fingerprint(optim.sgd(0.1)) != fingerprint(optim.sgd(0.2))
    assert fingerprint(optim.adam(True * 1.0)) == fingerprint(optim.adam(1.0))
    factor = 0.1
    reading = optim.sgd(lambda step: factor)
    before = fingerprint(reading)
    factor = 0.2
    assert fingerprint(reading) != before


def reads_a_file(x):
    from pathlib import Path

    return x * float(Path("rate").read_text())


def draws(x):
    import numpy as np

    return x * np.random.rand()  # noqa: NPY002


def imports_within(x):
    def inner():
        import time

        return time.time()

    return x * inner()


WORLDLY = [
    reads_a_file, draws, imports_within,
    lambda x: x * clock(), lambda x: x * float(Path("rate").read_text()), lambda x: x * getcontext().prec,
    lambda x: x * logging.getLogger().level, lambda x, now=clock: x * now(),
]  # fmt: skip


@pytest.mark.parametrize("function", WORLDLY)
def test_what_reads_the_world_has_no_key(function):
    assert fingerprint(function) is None


def test_imports_and_names_that_read_nothing_have_a_key():
    def within(x):
        import math

        import numpy as np

        return np.multiply(x, math.pi)

    assert fingerprint(within) is not None
    assert fingerprint(lambda x: x.random + x.time) is not None


def _nested(depth):
    found = []
    for _ in range(depth):
        found = [found]
    return found


class Refusing:
    @property
    def __class__(self):
        raise RuntimeError("nobody asks")


@pytest.mark.parametrize("make", [partial(_nested, 5000), Refusing])
def test_what_cannot_be_looked_into_has_no_key(make):
    thing = make()
    assert fingerprint(lambda: thing) is None


class Hiding(list):
    def __iter__(self):
        return iter(())


class Named(np.ndarray):
    rate = 1


class Colours(set):
    rate = 1


@pytest.mark.parametrize("kind", [Named, Colours])
def test_fields_of_subclasses_count(kind):
    thing = np.arange(3.0).view(Named) if kind is Named else Colours([1])
    before = fingerprint(thing)
    thing.rate = 2
    assert fingerprint(thing) not in (None, before)


def test_what_a_subclass_hides_and_the_layout_of_arrays_count():
    assert fingerprint(Hiding([1])) != fingerprint(Hiding([2]))
    square = np.ones((2, 2))
    assert fingerprint(square) != fingerprint(np.asfortranarray(square))


def test_what_may_change_is_marked_so():
    layer = nn.Sequential([nn.Linear(4, 8), nn.tanh, nn.Dropout(0.5)])
    smooth = partial(losses.softmax_cross_entropy, label_smoothing=0.1)
    weighted = partial(losses.softmax_cross_entropy, class_weights=np.ones(3))
    for parts, settled in {
        (layer, smooth, optim.adam(0.1), None, 1): True,
        (layer, weighted): False,
        (layer, lambda params, n: 0.0): False,
    }.items():
        key = fingerprint(*parts)
        assert key is not None
        assert key[0] is settled
