"""Saved networks: whole on every backend, refused when they are anything else."""

from __future__ import annotations

import json
import os
import stat
import struct
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save

from portnn import CheckpointError, Network, losses, optim, tree
from portnn.nn import (
    Flatten,
    Linear,
    PReLU,
    Rescale,
    gelu,
    relu,
)  # fmt: skip
from portnn.serialize import save_tensors

X = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)
Y = np.arange(12) % 3


def bits(net):
    return [np.array(net.backend.to_numpy(p)) for p in tree.leaves(net.params)]


def same(a, b):
    return all(x.dtype == y.dtype and (x == y).all() for x, y in zip(a, b, strict=True))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.safetensors"


@pytest.fixture
def saved(path):
    Network([Linear(4, 3)], seed=2).save(path)
    return path


def header(path):
    raw = path.read_bytes()
    n = struct.unpack("<Q", raw[:8])[0]
    return json.loads(raw[8 : 8 + n])


def rewrite(path, **changes):
    """Change the description of a file, and leave the tensors; the digests are right."""
    description = json.loads(header(path)["__metadata__"]["portnn"])
    changed = {k: v for k, v in {**description, **changes}.items() if v is not ...}
    save_tensors(path, load_file(path), changed)


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
    assert (description["format"], description["kind"]) == (2, "network")
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
    with pytest.raises(TypeError, match="is not a part of portnn"):
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


CHANGES = {
    "format": ({"format": 3}, "the file has format 3, this portnn reads 1 to 2; update portnn"),
    "format 0": ({"format": 0}, "the file has format 0, this portnn reads 1 to 2; update portnn"),
    "kind": ({"kind": "training"}, "holds a 'training', expected a 'network'"),
    "no kind": ({"kind": ...}, "lacks a valid 'kind'"),
    "unknown": ({"zzz": 1}, "has the unknown field 'zzz'"),
    "no format": ({"format": ...}, "lacks a valid 'format'"),
    "seed": ({"seed": "0"}, "lacks a valid 'seed'"),
    "negative seed": ({"seed": -1}, "lacks a valid 'seed'"),
    "large seed": ({"seed": 2**128}, "lacks a valid 'seed'"),
    "seed bool": ({"seed": True}, "lacks a valid 'seed'"),
    "dtype": ({"dtype": "float16"}, "dtype must be 'float32' or 'float64', got 'float16'"),
    "other dtype": ({"dtype": "float64"}, "'params.0.weight' has .* dtype float32; expected .* float64"),
    "epochs": ({"epochs": -1}, "lacks a valid 'epochs'"),
    "steps": ({"steps": None}, "lacks a valid 'steps'"),
    "layers": ({"layers": []}, "lacks a valid 'layers'"),
    "unknown layer": ({"layers": {"is": "Conv9"}}, "expected the name of a layer .* got 'Conv9'"),
    "unknown loss": ({"loss": {"name": "eval", "options": {}}}, "'eval' is no loss"),
    "no loss at all": ({"loss": {"name": "Task", "options": {}}}, "'Task' is no loss"),
    "loss option": ({"loss": {"name": "huber", "options": {"evil": 1}}}, "loss huber has no option 'evil'"),
    "loss option's value": (
        {"loss": {"name": "huber", "options": {"delta": [1]}}}, "option that is neither number nor text"),
    "loss field": ({"loss": {"name": "huber", "options": {}, "x": 1}}, "huber has the unknown field 'x'"),
    "no layer": ({"layers": {"is": "Constant", "value": 1.0}}, "of a Constant, expected a layer"),
    "loss data": ({"loss": 5}, "lacks a valid 'name'"),
    "more layers": (
        {"layers": {"is": "Sequential", "layers": [{"is": "Flatten"}]}}, "unknown tensor 'params.0.bias'"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "text"), CHANGES.values(), ids=CHANGES.keys())
def test_changed_descriptions_are_refused(changes, text, saved):
    rewrite(saved, **changes)
    with pytest.raises(CheckpointError, match=text) as caught:
        Network.load(saved)
    assert str(saved) in str(caught.value)
    assert len(str(caught.value).replace(str(saved), "")) < 300


def test_a_network_too_large_is_refused_by_its_description(saved):
    layer = json.loads(header(saved)["__metadata__"]["portnn"])["layers"]["layers"][0]
    rewrite(saved, layers={**layer, "in_features": 10**12, "out_features": 10**12})
    with pytest.raises(CheckpointError):
        Network.load(saved)


def test_wrong_tensors_are_refused(saved):
    good, head = load_file(saved), header(saved)["__metadata__"]
    w, b = good["params.0.weight"], good["params.0.bias"]
    cases = {
        r"'params.0.weight' has shape \(4, 2\)": {"params.0.weight": w[:, :2].copy(), "params.0.bias": b},
        "dtype float64; expected .* float32": {"params.0.weight": w.astype("f8"), "params.0.bias": b},
        "lacks tensor 'params.0.bias'; expected 2 tensors, got 1": {"params.0.weight": w},
        "has the unknown tensor 'zzz'": {**good, "zzz": b},
        "'params.0.bias' has values that are not finite": {**good, "params.0.bias": b * np.nan},
    }
    for text, tensors in cases.items():
        save_tensors(saved, tensors, json.loads(head["portnn"]))
        with pytest.raises(CheckpointError, match=text):
            Network.load(saved)


def test_foreign_and_damaged_files_are_refused(saved):
    raw = saved.read_bytes()
    cases = {
        "not written by portnn": save({"w": np.zeros(2)}),
        "not written by portnn: its header": save({"w": np.zeros(2)}, metadata={"format": "pt"}),
        "the description in the header is damaged": save({}, metadata={"portnn": "{"}),
        "is damaged": save({}, metadata={"portnn": "[" * 100_000}),
        "the header has the unknown 'x'": save({}, metadata={"portnn": "{}", "x": ""}),
        "expected the SHA-256 of the whole": save({}, metadata={"portnn": "{}", "portnn.sha256": "0" * 63}),
        "has the SHA-256": save({}, metadata={"portnn": "{}", "portnn.sha256": "0" * 64}),
        "is not an object": save({}, metadata={"portnn": "[1]"}),
        "is not a whole safetensors file": b"",
        "not a whole safetensors": b"PK\x03\x04 a zip file, say, or a pickle",
        "not a whole": struct.pack("<Q", 2**63) + raw[8:],
    }
    for text, content in cases.items():
        saved.write_bytes(content)
        with pytest.raises(CheckpointError, match=text):
            Network.load(saved)


def test_a_truncated_file_is_refused_at_every_length(saved):
    raw = saved.read_bytes()
    for n in (0, 7, 8, 9, 100, len(raw) // 2, len(raw) - 4, len(raw) - 1):
        saved.write_bytes(raw[:n])
        with pytest.raises(CheckpointError, match=r"is not (a )?whole|is damaged"):
            Network.load(saved)


def test_a_file_of_format_1_is_upgraded(saved):
    net = Network.load(saved)
    to_format_1(saved)
    with pytest.warns(UserWarning, match="has no digests, so damage to it would not be seen; save the net"):
        found = Network.load(saved)
    assert same(bits(found), bits(net))
    assert (found.layer, found.seed, found.epochs) == (net.layer, net.seed, net.epochs)
    found.save(saved)
    assert same(bits(Network.load(saved)), bits(net))


def test_a_new_file_without_its_digests_is_refused(saved):
    saved.write_bytes(save(load_file(saved), metadata={"portnn": header(saved)["__metadata__"]["portnn"]}))
    with pytest.raises(CheckpointError, match="files of this format have digests, and it has none"):
        Network.load(saved)


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
