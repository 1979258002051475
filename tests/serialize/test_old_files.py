"""Files that an earlier version wrote: networks load, and trainings end as they would have ended there."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from portnn import CheckpointError, Network, tree
from portnn.nn import Linear
from portnn.serialize import load_tensors, save_tensors
from portnn.train.callbacks import Checkpoint
from tests.serialize.write_old_files import EXPECTED, NETWORKS, TRAININGS, X, arrays_of, file_of

FILES = Path(__file__).parent / "old_files"
REST = {"rtol": 2e-4, "atol": 2e-5}  # rounding differs between machines and libraries
ROUNDED_OTHERWISE = {"weighted"}  # the weighted mean has since been rounded in another way
VERSIONS = {"network": 2, "training": 1}  # the formats of that version


def expected(name):
    """What was recorded when the files were written."""
    with np.load(FILES / EXPECTED) as arrays:
        return {key.partition("/")[2]: arrays[key] for key in arrays.files if key.startswith(f"{name}/")}


def resumed(name, path=None, **options):
    """A training that goes on from the old file, or from another."""
    return TRAININGS[name].run(resume=FILES / file_of(name) if path is None else path, **options)


def assert_same(found, other):
    """Assert that two trainings ended with the same bits and the same history."""
    a, b = arrays_of(*found), arrays_of(*other)
    assert a.keys() == b.keys()
    for key, value in a.items():
        assert value.dtype == b[key].dtype, key
        np.testing.assert_array_equal(value, b[key], err_msg=key)


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    """The files of callbacks have relative paths."""
    monkeypatch.chdir(tmp_path)


def test_the_files_are_those_of_the_earlier_version():
    for names, kind in ((NETWORKS, "network"), (TRAININGS, "training")):
        for name in names:
            path = FILES / file_of(name)
            _, data = load_tensors(path)
            assert (data["kind"], data["format"]) == (kind, VERSIONS[kind])
            assert path.stat().st_size < 30_000


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_predicts_as_it_did(name, backend):
    x = NETWORKS[name][1]
    if name == "recurrent" and not backend.has_float64:
        pytest.skip("the network has float64, which the backend lacks")
    net = Network.load(FILES / file_of(name), backend=backend.backend)
    answer = net.predict(x) if name == "recurrent" else net.predict_proba(x)
    recorded = expected(name)
    assert (answer.shape, answer.dtype) == (recorded["predictions"].shape, recorded["predictions"].dtype)
    np.testing.assert_allclose(answer, recorded["predictions"], rtol=1e-5, atol=1e-6)
    assert [net.epochs, net.steps] == recorded["counts"].tolist()


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_has_all_that_was_saved(name, tmp_path):
    arrays, data = load_tensors(FILES / file_of(name))
    net = Network.load(FILES / file_of(name))
    found = tree.named({"params": net.params, "state": net.state})
    assert found.keys() == arrays.keys()
    assert all(found[key].dtype == a.dtype and np.array_equal(found[key], a) for key, a in arrays.items())
    assert (net.seed, net.dtype, net.notes) == (data["seed"], data["dtype"], data["notes"])
    again = tmp_path / "again.safetensors"
    net.save(again)
    later = Network.load(again)
    assert (later.layer, later.notes, later.seed) == (net.layer, net.notes, net.seed)
    np.testing.assert_array_equal(later.predict(NETWORKS[name][1]), net.predict(NETWORKS[name][1]))


def test_the_network_of_each_file_is_the_one_of_its_recipe():
    """With its loss, notes and seed; the parameters are those of another machine."""
    for name, (make, _) in NETWORKS.items():
        net, now = Network.load(FILES / file_of(name)), make()
        assert (net.layer, net.seed, net.dtype, net.notes) == (now.layer, now.seed, now.dtype, now.notes)
        found, loss = (getattr(n.loss, "func", n.loss) for n in (net, now))
        assert found is loss
        assert getattr(net.loss, "keywords", {}) == getattr(now.loss, "keywords", {})
        for a, b in zip(tree.leaves(net.params), tree.leaves(now.params), strict=True):
            np.testing.assert_allclose(a, b, **REST)


def test_an_old_network_can_be_trained_further():
    net = Network.load(FILES / file_of("classifier"))
    labels = TRAININGS["watched"].targets
    history = net.fit(X, labels, epochs=2, progress=False)
    assert net.epochs == 5
    assert history["loss"][1] < history["loss"][0]


@pytest.mark.parametrize("compile", [True, False], ids=["compiled", "eager"])
@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_ends_as_it_would_have(name, compile):
    found = arrays_of(*resumed(name, compile=compile))
    recorded = expected(name)
    assert found.keys() == recorded.keys()
    for key, value in recorded.items():
        np.testing.assert_allclose(found[key], value, **REST, err_msg=key)


@pytest.mark.parametrize("name", sorted(TRAININGS.keys() - ROUNDED_OTHERWISE))
def test_a_training_ends_as_one_that_nobody_interrupted(name):
    """Bit for bit, where this machine computes the bits of the one that wrote the files."""
    training = TRAININGS[name]
    whole = training.run()
    now, recorded = arrays_of(*whole), expected(name)
    if not all(np.array_equal(a, now[key]) for key, a in recorded.items()):
        pytest.skip("this machine's BLAS rounds otherwise than that of the machine that wrote the files")
    assert_same(resumed(name), whole)


@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_is_kept_again_and_resumed_again(name):
    """A checkpoint of the present version that began from an old file has all that the old one had."""
    whole = resumed(name, callbacks=[Checkpoint("kept", every_steps=1, keep=None)])
    files = sorted(Path("kept").iterdir())
    assert len(files) > 3
    middle = files[len(files) // 2]
    assert_same(resumed(name, middle), whole)
    assert_same(resumed(name), whole)


@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_goes_on_on_every_backend(name, backend):
    if name == "weighted" and not backend.has_float64:
        pytest.skip("the network has float64, which the backend lacks")
    found = arrays_of(*resumed(name, backend=backend.backend))
    for key, value in expected(name).items():
        np.testing.assert_allclose(found[key], value, rtol=1e-3, atol=1e-4, err_msg=key)


def test_what_callbacks_knew_is_theirs_again():
    """The best epoch was before the checkpoint, so its parameters are only in the file."""
    arrays, data = load_tensors(FILES / file_of("watched"))
    stop, slow, save, log = TRAININGS["watched"].watchers()
    assert [c["is"] for c in data["callbacks"]] == [type(c).__name__ for c in (stop, slow, save, log)]
    Path("log.csv").write_text(
        "epoch,loss,accuracy,val_loss,val_accuracy\n"
        + "".join(f"{n},{n}.0,1.0,1.0,1.0\n" for n in range(1, 9))
    )
    training = TRAININGS["watched"]
    net = Network(training.layers, loss=training.loss, seed=0)
    options = {**training.options, "optimizer": training.optimizer(), "progress": False}
    callbacks = [stop, slow, save, log]
    history = net.fit(X, training.targets, callbacks=callbacks, resume=FILES / file_of("watched"), **options)
    assert (stop.best_epoch, stop.stopped_epoch, len(history["loss"])) == (5, 9, 9)
    assert (net.epochs, net.seed) == (9, 11)
    best = [a for key, a in sorted(arrays.items()) if key.startswith("callbacks.0.params")]
    shown = [a for _, a in sorted(tree.named(net.params).items())]
    assert all(np.array_equal(a, b) for a, b in zip(best, shown, strict=True))
    assert slow.scale == 0.0625
    assert save.saved == [f"best-{n}.safetensors" for n in (1, 3, 4, 5, 6, 7)]
    lines = Path("log.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["epoch", *"123456789"]
    assert lines[6] == "6,6.0,1.0,1.0,1.0"
    assert float(lines[7].split(",")[1]) == history["loss"][6]


def test_an_old_training_is_refused_as_a_network_and_the_other_way_round():
    with pytest.raises(CheckpointError, match="holds a 'training', expected a 'network'"):
        Network.load(FILES / file_of("averaged"))
    with pytest.raises(CheckpointError, match="holds a 'network', expected a 'training' to resume"):
        resumed("averaged", FILES / file_of("classifier"))


def test_an_old_training_is_held_to_the_same_network_and_optimizer():
    training = TRAININGS["averaged"]
    options = {**training.options, "progress": False, "resume": FILES / file_of("averaged")}
    other = Network([Linear(6, 1)], loss=training.loss)
    with pytest.raises(CheckpointError, match="is of a network with other layers"):
        other.fit(X, training.targets, optimizer=training.optimizer(), **options)
    same = Network(training.layers, loss=training.loss)
    with pytest.raises(CheckpointError, match="pass that training's optimizer"):
        same.fit(X, training.targets, **options)


@pytest.mark.parametrize("names", [NETWORKS, TRAININGS], ids=["networks", "trainings"])
def test_old_files_are_checked_as_new_ones(names, tmp_path):
    """A missing field, a missing tensor, or an unknown field is refused by name."""
    for name in names:
        path = tmp_path / file_of(name)
        arrays, data = load_tensors(FILES / file_of(name))
        for field in data.keys() - {"notes", "loss"}:
            save_tensors(path, arrays, {key: value for key, value in data.items() if key != field})
            assert field in refused(name, path)
        for tensor in arrays:
            save_tensors(path, {key: a for key, a in arrays.items() if key != tensor}, data)
            assert len(refused(name, path)) < 400
        save_tensors(path, arrays, json.loads(json.dumps({**data, "extra": 1})))
        assert "extra" in refused(name, path)


def refused(name, path):
    """The error that a file of a network or of a training gives."""
    read = Network.load if name in NETWORKS else partial(resumed, name)
    with pytest.raises(CheckpointError) as caught:
        read(path)
    return str(caught.value)
