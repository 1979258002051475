"""Saved networks: whole on every backend, refused when they are anything else."""

from __future__ import annotations

import json
import os
import stat
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save

from portnn import CheckpointError, Network, losses, optim, tree
from portnn.nn import Flatten, Linear, PReLU, Rescale, gelu, relu
from tests.network.written import X, Y, header


def bits(net):
    return [np.array(net.backend.to_numpy(p)) for p in tree.leaves(net.params)]


def same(a, b):
    return all(x.dtype == y.dtype and (x == y).all() for x, y in zip(a, b, strict=True))


def to_format_1(path):
    """The file as portnn wrote it before there were digests."""
    description = json.loads(header(path)["__metadata__"]["portnn"])
    del description["kind"]
    old = json.dumps({**description, "format": 1})
    path.write_bytes(save(load_file(path), metadata={"portnn": old}))


def test_round_trip_on_every_backend(backend, path):
    layers = [Linear(4, 8), partial(gelu, approximate=True), [Linear(8, 6), PReLU(6)], relu, Linear(6, 3)]
    loss = partial(losses.softmax_cross_entropy, label_smoothing=0.1)
    net = Network(layers, loss=loss, backend=backend.backend, seed=9)
    net.fit(X, Y, epochs=2, batch_size=5)
    net.save(path)
    for where in (backend.backend, "cpu"):
        found = Network.load(path, backend=where)
        assert same(bits(found), bits(net))
        assert (found.layer, found.seed, found.dtype) == (net.layer, 9, "float32")
        assert (found.epochs, found.steps) == (2, 6)
        assert (found.loss.func, found.loss.keywords) == (loss.func, loss.keywords)
        np.testing.assert_allclose(found.predict_proba(X), net.predict_proba(X), rtol=1e-5)


def test_seeds_of_128_bits(path):
    """As `secrets.randbits(128)` and `numpy.random.SeedSequence().entropy` give them."""
    net = Network([Linear(2, 3)], seed=2**128 - 1)
    net.save(path)
    assert Network.load(path).seed == 2**128 - 1
    with pytest.raises(ValueError, match=r"^Network: seed must be less than 2\^128, got one of 129 bits$"):
        Network([Linear(2, 3)], seed=2**128)


def test_a_loaded_network_goes_on_as_if_never_saved(path):
    net = Network([Linear(4, 8), relu, Linear(8, 3)], seed=1)
    net.fit(X, Y, epochs=2, batch_size=4, optimizer=optim.sgd(0.1))
    net.save(path)
    found = Network.load(path)
    for n in (net, found):
        n.fit(X, Y, epochs=2, batch_size=4, optimizer=optim.sgd(0.1))
    assert same(bits(found), bits(net))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [n for n in losses.__all__ if isinstance(getattr(losses, n), losses.Loss)])
def test_every_loss_and_dtype(name, dtype, path):
    net = Network(
        [Rescale(), Flatten(), Linear(4, 3)], loss=getattr(losses, name), dtype=dtype, seed=np.int64(4)
    )
    net.save(path)
    found = Network.load(path)
    assert (found.loss, found.dtype, found.seed, found.task) == (net.loss, dtype, 4, net.task)
    assert same(bits(found), bits(net))


def test_the_description_is_plain_data_in_the_header(saved):
    head = header(saved)
    description = json.loads(head.pop("__metadata__")["portnn"])
    assert (description["format"], description["kind"]) == (3, "network")
    assert description["loss"] == {"name": "softmax_cross_entropy", "options": {}}
    assert description["layers"]["layers"][0]["in_features"] == 4
    assert sorted(head) == ["params.0.bias", "params.0.weight"]
    assert b"pickle" not in saved.read_bytes()


def test_a_loss_of_ones_own_has_to_be_passed_again(path):
    own = losses.Loss(lambda p, t: losses.squared_error(p, t), task=losses.Task.VALUES)
    Network([Linear(4, 1)], loss=own).save(path)
    with pytest.raises(CheckpointError, match=r"pass it: Network.load\(path, loss=...\)"):
        Network.load(path)
    assert Network.load(path, loss=own).loss is own


def test_a_layer_of_ones_own_cannot_be_saved(path):
    path.write_bytes(b"old")
    with pytest.raises(TypeError, match="is no layer, activation or initialiser of portnn"):
        Network([Linear(4, 3), lambda x: x]).save(path)
    assert path.read_bytes() == b"old"


def test_arguments_of_load_are_not_the_files_fault(saved):
    with pytest.raises(ValueError, match="unknown backend 'nope'") as caught:
        Network.load(saved, backend="nope")
    assert not isinstance(caught.value, CheckpointError)
    with pytest.raises(TypeError, match="the task of <lambda> is not known"):
        Network.load(saved, loss=lambda p, t: p)
    with pytest.raises(FileNotFoundError, match="no such file"):
        Network.load(saved.with_name("other"))
    with pytest.raises(FileNotFoundError, match="it is a folder"):
        Network.load(saved.parent)
    with pytest.raises(FileNotFoundError, match=r"the folder .* does not exist; make it first"):
        Network.load(saved).save(saved.parent / "no" / "net")


def test_a_file_of_format_1_is_upgraded(saved):
    net = Network.load(saved)
    to_format_1(saved)
    with pytest.warns(UserWarning, match="has no digests, so damage to it would not be seen; save the net"):
        found = Network.load(saved)
    assert same(bits(found), bits(net))
    assert (found.layer, found.seed, found.epochs) == (net.layer, net.seed, net.epochs)
    found.save(saved)
    assert same(bits(Network.load(saved)), bits(net))


def test_the_old_file_is_whole_when_writing_fails(saved, monkeypatch):
    old = saved.read_bytes()
    net = Network([Linear(4, 3)], seed=5)

    def fail(*_):
        raise KeyboardInterrupt

    for target, name in ((os, "fsync"), (Path, "replace")):
        with monkeypatch.context() as patched:
            patched.setattr(target, name, fail)
            with pytest.raises(KeyboardInterrupt):
                net.save(saved)
        assert saved.read_bytes() == old
        assert list(saved.parent.iterdir()) == [saved]
    net.save(saved)
    assert same(bits(Network.load(saved)), bits(net))
    assert list(saved.parent.iterdir()) == [saved]


def test_the_new_file_is_flushed_before_it_is_renamed(path, monkeypatch):
    done = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (done.append("flush"), fsync(handle))[1])
    monkeypatch.setattr(Path, "replace", lambda self, to: (done.append("rename"), replace(self, to))[1])
    Network([Linear(4, 3)]).save(path)
    assert done[:2] == ["flush", "rename"]


@pytest.mark.skipif(os.name != "posix", reason="permission bits are POSIX's")
def test_others_may_read_what_the_umask_allows(saved):
    other = saved.with_name("plain")
    other.write_bytes(b"")
    assert stat.S_IMODE(saved.stat().st_mode) == stat.S_IMODE(other.stat().st_mode)


def test_paths_may_be_text(path):
    Network([Linear(4, 3)]).save(str(path))
    assert Network.load(str(path)).layer == Network([Linear(4, 3)]).layer
