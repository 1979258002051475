"""Numbers in files that no tensor stands behind: what they can make a program do is bounded."""

# one row a line, so that it reads as a table

from __future__ import annotations

import copy
import pickle
import tracemalloc

import numpy as np
import pytest

from portnn import CheckpointError, Network, losses, nn
from portnn.cli._saved import open_network
from portnn.data import DataError
from portnn.nn import describe, from_description
from portnn.nn._description import _CLASSES
from portnn.serialize import load_tensors, save_tensors
from tests.export.cases import LAYERS

HUGE = (2**25, 10**9, 2**31, 2**63, 10**30, -(10**9))


def integers(data, path=()):
    """The places of all integers in a description."""
    for key, value in data.items() if isinstance(data, dict) else enumerate(data):
        if type(value) is int:
            yield (*path, key)
        if isinstance(value, dict | list):
            yield from integers(value, (*path, key))


def put(data, path, value):
    changed = copy.deepcopy(data)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return changed


def test_every_class_of_layers_is_looked_at():
    layers = {name for name, cls in _CLASSES.items() if issubclass(cls, nn.Layer)}
    assert layers <= LAYERS.keys()


@pytest.mark.parametrize("name", LAYERS)
def test_a_huge_number_anywhere_is_refused(name, tmp_path):
    """Whatever it stands for: what no tensor bounds has a bound of its own."""
    path = tmp_path / "x"
    for case in LAYERS[name]:
        Network(case.layer, loss=losses.squared_error).save(path)
        arrays, description = load_tensors(path)
        for place in integers(description["layers"], ("layers",)):
            for huge in HUGE:
                save_tensors(path, arrays, put(description, place, huge))
                tracemalloc.start()
                with pytest.raises(CheckpointError) as caught:
                    Network.load(path)
                assert tracemalloc.get_traced_memory()[1] < 2_000_000, (place, huge)
                tracemalloc.stop()
                assert len(str(caught.value).replace(str(path), "")) < 300


ALONE = {
    "repeat": nn.Repeat(nn.relu, 10_002),
    "repeats in each other": nn.Repeat(nn.Repeat(nn.Repeat(nn.relu, 30), 30), 30),
    "repeats after each other": nn.Sequential([nn.Repeat(nn.relu, 5_000)] * 3),
    "padding": nn.ZeroPad2d(2048),
    "padding on one side": nn.ZeroPad1d(((0, 2**24),)),
    "padding again and again": nn.Sequential([nn.ZeroPad2d(1000)] * 3),
    "padding repeated": nn.Repeat(nn.ZeroPad2d(10), 300),
    "upsampling": nn.Upsample(4097),
    "upsampling again and again": nn.Sequential([nn.Upsample(4)] * 7),
    "upsampling repeated": nn.Repeat([nn.Upsample(2)], 13),
    "upsampling in branches": nn.Sum([nn.identity, nn.Sequential([nn.Upsample(64), nn.Upsample(65)])]),
    "padding of a pool": nn.MaxPool2d(2, 1, 2048),
    "kernel of a pool": nn.AvgPool2d(4097, 1, "same"),
    "dilation of a pool": nn.MaxPool1d(4097, 1, "same", 4097),
    "padding of a convolution": nn.Conv2d(1, 1, 1, padding=2048),
    "dilation": nn.Conv2d(1, 1, 3, padding="same", dilation=2048),
    "dilation transposed": nn.ConvTranspose2d(1, 1, 3, dilation=2048),
    "output padding": nn.ConvTranspose1d(1, 1, 1, stride=2**24 + 2, output_padding=2**24 + 1),
    "stride": nn.ConvTranspose2d(1, 1, 1, stride=4097),
    "stride of one axis": nn.ConvTranspose1d(1, 1, 1, stride=2**24 + 1),
    "strides transposed": nn.Sequential([nn.ConvTranspose2d(1, 1, 2, stride=2)] * 13),
}


@pytest.mark.parametrize("layer", ALONE.values(), ids=ALONE)
def test_layers_that_grow_without_a_tensor_are_not_written_and_not_read(layer, tmp_path):
    with pytest.raises(ValueError, match=r"expected at most (10,000|16,777,216)") as caught:
        from_description(describe(layer))
    assert len(str(caught.value)) < 300
    net = Network(layer, loss=losses.squared_error)
    with pytest.raises(ValueError, match=r"cannot save .*expected at most (10,000|16,777,216)"):
        net.save(tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


IMAGES = {
    "upsampling": nn.Upsample(1449),
    "upsampling again and again": nn.Sequential([nn.Upsample(3)] * 7),
    "strides": nn.ConvTranspose2d(1, 1, 3, stride=1449),
    "strides of a signal": nn.ConvTranspose1d(1, 1, 3, stride=2**21 + 1),
    "strides of one axis": nn.ConvTranspose2d(1, 1, 1, stride=(1, 2**21 + 1)),
    "padding before upsampling": nn.Sequential([nn.ZeroPad2d(1), nn.Upsample(1300)]),
}


@pytest.mark.parametrize("layer", IMAGES.values(), ids=IMAGES)
def test_layers_that_multiply_an_image_are_bounded_by_it(layer, tmp_path):
    with pytest.raises(ValueError, match=r"numbers from 8 x 8 pixels; expected at most 134,217,728"):
        from_description(describe(layer))
    with pytest.raises(ValueError, match=r"cannot save .* numbers from 8 x 8"):
        Network(layer, loss=losses.squared_error).save(tmp_path / "x")


NORMAL = {
    "many convolutions": nn.Sequential([nn.Conv2d(1, 1, 3, padding=1)] * 200),
    "wide convolutions": nn.Sequential([nn.Conv2d(1, 1, 7, padding="same", dilation=2)] * 50),
    "time series": nn.Sequential(
        [nn.Conv1d(1, 1, 2, dilation=2**i, padding=((2**i, 0),)) for i in range(14)]
    ),
    "generator": nn.Sequential([nn.ConvTranspose2d(1, 1, 4, 2, 1) for _ in range(10)]),
    "pyramid": nn.Sequential([nn.MaxPool2d(2), nn.MaxPool2d(2), nn.Upsample(2), nn.Upsample(2)] * 2),
    "long pools": nn.AvgPool1d(16_000),
    "repeated": nn.Repeat([nn.Linear(2, 2), nn.tanh], 1000),
    "thousands of layers": nn.Sequential([nn.relu] * 4_000),
    "long vectors": nn.Reshape((3, 4096, 1024)),
}


@pytest.mark.parametrize("layer", NORMAL.values(), ids=NORMAL)
def test_networks_that_people_have_are_read(layer, tmp_path):
    Network(layer, loss=losses.squared_error).save(tmp_path / "x")
    assert Network.load(tmp_path / "x").layer == layer


def test_the_most_that_is_read_can_be_run():
    x = np.ones((1, 1, 1, 1), np.float32)
    for layer in (
        nn.ZeroPad2d(2047),
        nn.Upsample(1448),
        nn.Repeat(nn.ZeroPad2d(2), 1000),
        nn.MaxPool2d(2, 1, 1),
    ):
        assert from_description(describe(layer)) == layer
        tracemalloc.start()
        layer.apply(layer.init(None), x)
        assert tracemalloc.get_traced_memory()[1] < 300_000_000
        tracemalloc.stop()


WRAPS = {
    "Sequential": lambda layer: nn.Sequential([layer]),
    "Residual": nn.Residual,
    "shortcut": lambda layer: nn.Residual(nn.relu, layer),
    "Cast": lambda layer: nn.Cast(layer, "float32"),
    "Repeat": lambda layer: nn.Repeat(layer, 1),
    "Parallel": lambda layer: nn.Parallel([nn.relu, layer]),
    "Sum": lambda layer: nn.Sum([layer]),
    "Concatenate": lambda layer: nn.Concatenate([layer]),
    "lists": lambda layer: [layer],
    "mixed": lambda layer: nn.Residual([layer]),
}


def nested(wrap, count, inner):
    for _ in range(count):
        inner = wrap(inner)
    return inner


@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS)
def test_nesting_is_bounded_where_it_is_built(wrap):
    with pytest.raises(
        ValueError, match="layers are nested deeper than 100; put layers that follow each other"
    ):
        Network(nested(wrap, 10_000, nn.relu))


def test_shared_layers_and_lists_in_themselves_are_bounded():
    with pytest.raises(ValueError, match="nested deeper than 100"):
        nested(lambda layer: nn.Sharing(nn.Shared("a", layer)), 100, nn.Linear(2, 2))
    endless = []
    endless.append(endless)
    with pytest.raises(ValueError, match="nested deeper than 100"):
        nn.Sequential(endless)


@pytest.mark.parametrize("name", ["Sequential", "Residual", "Cast", "Repeat", "Sum"])
def test_the_deepest_network_can_be_used(name, tmp_path):
    layer = nested(WRAPS[name], 99, nn.Linear(2, 2))
    with pytest.raises(ValueError, match="nested deeper than 100"):
        WRAPS[name](layer)
    net = Network(layer, loss=losses.squared_error)
    x = np.ones((4, 2), np.float32)
    net.fit(x, x, epochs=1, compile=False)
    net.fit(x, x, epochs=1)
    assert repr(net.layer)
    net.save(tmp_path / "x")
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net)), Network.load(tmp_path / "x")):
        assert twin.layer == layer
        np.testing.assert_array_equal(twin.predict(x), net.predict(x))


@pytest.mark.parametrize("depth", [105, 130, 200, 100_000])
def test_nesting_is_bounded_in_files(depth, tmp_path):
    path = tmp_path / "x"
    Network([nn.Linear(2, 2)]).save(path)
    arrays, description = load_tensors(path)
    deep = nested(lambda layer: {"is": "Sequential", "layers": [layer]}, depth, {"is": "Flatten"})
    with pytest.raises(ValueError, match="layers are nested deeper than 100"):
        from_description(deep)
    if depth < 140:
        save_tensors(path, arrays, {**description, "layers": deep})
        with pytest.raises(CheckpointError, match="layers are nested deeper than 100"):
            Network.load(path)


@pytest.mark.parametrize("shape", [[2**20, 2**20], [10**9], [2**63], [10**30], [True], [0], "x"])
def test_the_noted_shape_of_a_sample_is_bounded(shape, tmp_path):
    path = tmp_path / "x"
    net = Network([nn.Linear(4, 2)])
    net.notes = {"shape": shape}
    net.save(path)
    with pytest.raises(DataError, match="the note 'shape'") as caught:
        open_network(str(path), "cpu")
    assert len(str(caught.value).replace(str(path), "")) < 300
