"""Memory that files take, and what is compared before any is taken."""

from __future__ import annotations

import tracemalloc

import pytest

from portnn import CheckpointError, Network, tree
from portnn.nn import (
    LSTM,
    BatchNorm,
    Conv2d,
    ConvTranspose2d,
    Embedding,
    Flatten,
    Linear,
    MultiHeadAttention,
    PReLU,
    Sequential,
    TransformerEncoder,
    TransformerEncoderLayer,
    describe,
    init,
    outline,
)  # fmt: skip
from portnn.random import stream
from portnn.serialize import load_tensors, save_tensors

LAYERS = {
    "dense": [Linear(4, 3, weight_init=init.orthogonal()), PReLU(3), BatchNorm(3)],
    "images": [Conv2d(3, 4, 3), ConvTranspose2d(4, 6, 2, groups=2), Flatten()],
    "words": [Embedding(5, 4, padding_idx=0), LSTM(4, 3, num_layers=2, bidirectional=True)],
    "attention": [MultiHeadAttention(4, 2), TransformerEncoder(TransformerEncoderLayer(4, 2), 2)],
    "truncated": [Linear(4, 3, weight_init=init.truncated_normal(0.1))],
}


def rewrite(path, layers):
    """Describe other layers, and leave the tensors; the digests are right."""
    arrays, description = load_tensors(path)
    save_tensors(path, arrays, {**description, "layers": layers})


def test_a_layer_that_counts_is_bounded_by_the_tensors(path):
    layer = TransformerEncoder(TransformerEncoderLayer(4, 2), 2)
    Network([layer, Linear(4, 3)]).save(path)
    layers = load_tensors(path)[1]["layers"]
    layers["layers"][0]["num_layers"] = 10**9
    rewrite(path, layers)
    with pytest.raises(CheckpointError, match="num_layers=1000000000; expected at most"):
        Network.load(path)


HUGE = {
    "linear": Linear(4, 10**10), "state": BatchNorm(10**11, affine=False),
    "embedding": Embedding(10**10, 4, 0), "linear within bounds": Linear(4, 2**24),
    "state within bounds": BatchNorm(2**24, affine=False), "embedding within bounds": Embedding(2**24, 4, 0),
    "both": [BatchNorm(6000, affine=False)] * 3,
}  # fmt: skip


@pytest.mark.parametrize("name", HUGE)
def test_no_memory_is_taken_for_what_a_file_does_not_hold(name, saved):
    layers = HUGE[name]
    rewrite(saved, describe(Sequential(layers if isinstance(layers, list) else [layers])))
    tracemalloc.start()
    with pytest.raises(CheckpointError, match="more parameters than the 65,656 bytes that are there"):
        Network.load(saved)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("layer", [Linear(1000, 2000), LSTM(500, 500), Embedding(1000, 2000, padding_idx=0)])
def test_loading_takes_the_memory_of_the_file(layer, path):
    Network([layer]).save(path)
    Network.load(path)
    tracemalloc.start()
    net = Network.load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert net.layer == Sequential([layer])
    assert path.stat().st_size <= peak < 1.3 * path.stat().st_size


@pytest.mark.parametrize(("name", "layers"), LAYERS.items(), ids=LAYERS)
def test_an_outline_is_what_would_be_drawn(name, layers):
    layer = Sequential(layers)
    drawn = layer.init(stream(0), "float64"), layer.init_state("float64")
    outlined = outline(layer, "float64")
    assert tree.structure(outlined) == tree.structure(drawn)
    kinds = [[(n, a.shape, a.dtype) for n, a in tree.items(t)] for t in (drawn, outlined)]
    assert kinds[0] == kinds[1]
    assert all(not any(a.strides) for a in tree.leaves(outlined))
