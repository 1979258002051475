"""Trainings that go on from a checkpoint: the bits of those that were never stopped."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from portnn import CheckpointError, Network, losses, optim, tree
from portnn.nn import BatchNorm, Dropout, Linear, relu
from portnn.optim import schedules
from portnn.serialize import checkpoint_path, checkpoints, latest, load_tensors, save_tensors
from portnn.train.callbacks import (
    Checkpoint,
    CSVLogger,
    EarlyStopping,
    ModelCheckpoint,
    ReduceLROnPlateau,
)  # fmt: skip

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 6)).astype(np.float32)
Y = np.argmax(X @ RNG.normal(size=(6, 3)), axis=1)
WEIGHT = RNG.uniform(0.5, 1.5, size=90).astype(np.float32)
LAYERS = [Linear(6, 8), BatchNorm(8), relu, Dropout(0.3), Linear(8, 3)]
EPOCHS = 6


def _adam():
    return optim.adam(schedules.cosine(0.02, 60))


def _averaged():
    return optim.ema(optim.chain(optim.clip_by_global_norm(1.0), optim.adamw(0.01)), 0.9)


def _watchers():
    return [
        ReduceLROnPlateau("val_loss", factor=0.5, patience=1, min_delta=0.01),
        EarlyStopping("val_loss", patience=3, min_delta=0.01),
    ]


CASES = {
    "adam and schedule": {"optimizer": _adam},
    "ema": {"optimizer": _averaged},
    "plateau and early stopping": {"optimizer": partial(optim.sgd, 0.5, momentum=0.9), "watch": _watchers},
    "eager": {"optimizer": _adam, "compile": False},
    "eager ema": {"optimizer": _averaged, "compile": False, "watch": _watchers},
    "weights": {"optimizer": _adam, "sample_weight": WEIGHT},
    "in parts": {"optimizer": _averaged, "accumulate": 2},
    "all at once": {"optimizer": _adam, "batch_size": None},
    "in order": {"optimizer": _adam, "shuffle": False, "watch": _watchers},
}


def train(options, folder=None, resume=None, backend="cpu", **more):
    options = {"batch_size": 7, **options, **more}
    watch = options.pop("watch", list)()
    if folder is not None:
        watch.insert(0, Checkpoint(folder, every_steps=5, keep=None))
    net = Network(LAYERS, seed=3, backend=backend)
    options["optimizer"] = options["optimizer"]()
    history = net.fit(
        X, Y, epochs=EPOCHS, validation_data=(X[:20], Y[:20]), callbacks=watch, resume=resume, **options
    )
    return net, history


def numbers(net):
    parts = net.params, net.state, net.optimizer_state
    return [net.backend.to_numpy(a) for a in tree.leaves(parts)], (net.epochs, net.steps, net.seed)


def same(a, b):
    (arrays, counts), (others, other_counts) = numbers(a), numbers(b)
    return counts == other_counts and all(
        x.dtype == y.dtype and np.array_equal(x, y) for x, y in zip(arrays, others, strict=True)
    )


SHORT = {"plateau and early stopping", "eager ema", "in order"}


@pytest.mark.parametrize(
    "name", [n if n in SHORT else pytest.param(n, marks=pytest.mark.slow) for n in CASES]
)
def test_going_on_gives_the_bits_of_never_having_stopped(name, tmp_path, request):
    whole, history = train(CASES[name])
    kept, _ = train(CASES[name], tmp_path)
    assert same(kept, whole), "writing changes nothing"
    files = checkpoints(tmp_path)
    count = len(files) if request.config.getoption("--slow") else 2
    for path in np.random.default_rng(1).permutation(files)[:count].tolist():
        found, later = train(CASES[name], resume=path)
        assert same(found, whole), path
        assert dict(later) == dict(history), path


@pytest.mark.slow
def test_twenty_trials_stopped_anywhere(tmp_path):
    rng = np.random.default_rng(7)
    for trial in range(20):
        options = CASES[rng.choice([*CASES])]
        whole, history = train(options)
        folder = tmp_path / str(trial)
        train(options, folder)
        path = rng.choice(checkpoints(folder))
        found, later = train(options, resume=path)
        assert same(found, whole)
        assert dict(later) == dict(history)


def test_on_every_backend(backend, tmp_path):
    options = CASES["plateau and early stopping"]
    whole, history = train(options, backend=backend.backend)
    train(options, tmp_path, backend=backend.backend)
    path = checkpoints(tmp_path)[-7]
    found, later = train(options, resume=path, backend=backend.backend)
    assert same(found, whole)
    assert dict(later) == dict(history)
    there, _ = train(options, resume=path, backend="cpu")
    for a, b in zip(tree.leaves(there.params), tree.leaves(whole.params), strict=True):
        np.testing.assert_allclose(a, whole.backend.to_numpy(b), rtol=1e-3, atol=1e-4)


def test_ctrl_c_leaves_a_checkpoint_of_the_last_epoch(tmp_path):
    def stop(epoch):
        if epoch.number == 4:
            raise KeyboardInterrupt

    net = Network(LAYERS, seed=3)
    keeper = Checkpoint(tmp_path, every_epochs=None)
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, Y, epochs=EPOCHS, batch_size=7, callbacks=[keeper, stop])
    assert [path.name for path in keeper.saved] == ["checkpoint-000000039.safetensors"]
    whole, later = Network(LAYERS, seed=3), Network(LAYERS, seed=99)
    whole.fit(X, Y, epochs=EPOCHS, batch_size=7)
    later.fit(X, Y, epochs=EPOCHS, batch_size=7, resume=str(tmp_path))
    assert same(later, whole)


def test_a_training_that_was_over_stays_over(tmp_path):
    options = CASES["plateau and early stopping"]
    whole, history = train(options, tmp_path)
    assert len(history["loss"]) < EPOCHS, "early stopping stopped it"
    found, later = train(options, resume=tmp_path)
    assert same(found, whole)
    assert dict(later) == dict(history)


def test_a_plateau_is_as_long_as_it_was(tmp_path):
    def run(**options):
        slow = ReduceLROnPlateau("loss", patience=3, cooldown=2, min_delta=100.0)
        told = [slow, *options.pop("told", [])]
        net = Network([Linear(6, 3)])
        net.fit(X, Y, epochs=8, callbacks=told, compile=False, **options)
        return net, slow.scale

    whole, scale = run(told=[Checkpoint(tmp_path, keep=None)])
    assert scale == pytest.approx(0.1)
    for path in checkpoints(tmp_path):
        found, same_scale = run(resume=path)
        assert same(found, whole)
        assert same_scale == scale


def test_a_training_may_go_on_for_longer(tmp_path):
    whole, later = Network(LAYERS, seed=3), Network(LAYERS, seed=3)
    whole.fit(X, Y, epochs=5, batch_size=7)
    Network(LAYERS, seed=3).fit(X, Y, epochs=2, batch_size=7, callbacks=[Checkpoint(tmp_path)])
    history = later.fit(X, Y, epochs=5, batch_size=7, callbacks=[Checkpoint(tmp_path)], resume=tmp_path)
    assert same(later, whole)
    assert len(history["loss"]) == 5
    assert [p.name for p in checkpoints(tmp_path)] == [f"checkpoint-{n:09d}.safetensors" for n in (65, 52)]


def test_a_second_training_of_a_network_goes_on_too(tmp_path):
    first, whole, later = (Network(LAYERS, seed=3) for _ in range(3))
    first.fit(X, Y, epochs=2, batch_size=7)
    first.fit(X, Y, epochs=2, batch_size=7, callbacks=[Checkpoint(tmp_path, every_steps=20, keep=9)])
    whole.fit(X, Y, epochs=2, batch_size=7)
    whole.fit(X, Y, epochs=2, batch_size=7)
    later.fit(X, Y, epochs=2, batch_size=7, resume=checkpoints(tmp_path)[1])
    assert same(later, whole)
    assert (later.epochs, later.steps) == (4, 52)


def test_a_log_has_each_epoch_once(tmp_path):
    def run(epochs, **options):
        told = [CSVLogger(tmp_path / "log.csv"), Checkpoint(tmp_path / "c", keep=9), models]
        return Network(LAYERS).fit(X, Y, epochs=epochs, batch_size=30, callbacks=told, **options)

    models = ModelCheckpoint(tmp_path / "m-{epoch}")
    run(4)
    assert len(models.saved) == 4
    run(5, resume=checkpoints(tmp_path / "c")[2])
    lines = (tmp_path / "log.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["epoch", "1", "2", "3", "4", "5"]
    assert len(models.saved) == 5


def test_layers_of_ones_own_can_go_on(tmp_path):
    layers = [Linear(6, 3), lambda x: x * 2.0]
    whole, later = Network(layers), Network(layers)
    whole.fit(X, Y, epochs=2, callbacks=[Checkpoint(tmp_path, keep=9)])
    later.fit(X, Y, epochs=2, resume=checkpoints(tmp_path)[-1])
    assert same(later, whole)


def test_retention(tmp_path):
    (tmp_path / "mine.safetensors").write_bytes(b"")
    (tmp_path / ".checkpoint-000000001.safetensors.0123456789abcdef").write_bytes(b"cut off")
    keeper = Checkpoint(tmp_path, every_steps=10, keep=3)
    Network(LAYERS).fit(X, Y, epochs=2, batch_size=7, callbacks=[keeper])
    assert [p.name[11:20] for p in keeper.saved] == ["000000010", "000000013", "000000020", "000000026"]
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "checkpoint-000000013.safetensors", "checkpoint-000000020.safetensors",
        "checkpoint-000000026.safetensors", "mine.safetensors",
    ]  # fmt: skip
    with pytest.raises(FileExistsError, match="has 3 checkpoints of another training; go on from them"):
        Network(LAYERS).fit(X, Y, callbacks=[keeper])


def test_a_damaged_checkpoint_is_passed_over(tmp_path):
    Network(LAYERS).fit(X, Y, epochs=3, callbacks=[Checkpoint(tmp_path, keep=3)])
    new, middle, old = checkpoints(tmp_path)
    new.write_bytes(new.read_bytes()[:-1])
    raw = bytearray(middle.read_bytes())
    raw[-5] ^= 1
    middle.write_bytes(raw)
    assert latest(tmp_path) == old
    again = Network(LAYERS)
    again.fit(X, Y, epochs=2, callbacks=[Checkpoint(tmp_path, keep=3)], resume=tmp_path)
    assert [path.name for path in checkpoints(tmp_path)] == [middle.name, old.name]
    assert latest(tmp_path) == middle
    for path in checkpoints(tmp_path):
        path.write_bytes(b"")
    with pytest.raises(CheckpointError, match="none of 2 checkpoints is whole; the last looked at: "):
        latest(tmp_path)


def test_no_checkpoint_is_no_resume(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no checkpoint in .*; leave resume out to begin"):
        Network(LAYERS).fit(X, Y, resume=tmp_path)
    with pytest.raises(FileNotFoundError, match="no such file"):
        Network(LAYERS).fit(X, Y, resume=tmp_path / "no")
    with pytest.raises(TypeError, match="resume must be a file or a folder of checkpoints, got bool"):
        Network(LAYERS).fit(X, Y, resume=True)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        Network(LAYERS).fit(X, Y, callbacks=[Checkpoint(tmp_path / "a" / "b")])
    for wrong, kind in (({"keep": 0}, ValueError), ({"every_steps": 1.5}, TypeError)):
        with pytest.raises(kind, match="Checkpoint: "):
            Checkpoint(tmp_path, **wrong)


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Path:
    """A checkpoint within an epoch."""
    folder = tmp_path_factory.mktemp("kept")
    train(CASES["plateau and early stopping"], folder)
    return checkpoint_path(folder, 15)


OTHERS = {
    "batch size": ({"batch_size": 8}, "with batch_size=7; expected 8"),
    "order": ({"shuffle": False}, "with shuffle=True; expected False"),
    "parts": ({"accumulate": 2}, "with accumulate=1; expected 2"),
    "callbacks": ({"watch": list}, r"with callbacks=\['ReduceLROnPlateau', 'EarlyStopping'\]; expected \[\]"),
    "optimiser": ({"optimizer": _adam}, "tensor 'moments"),
}


@pytest.mark.parametrize(("change", "text"), OTHERS.values(), ids=OTHERS)
def test_another_training_is_refused(change, text, kept):
    with pytest.raises(CheckpointError, match=text) as caught:
        train({**CASES["plateau and early stopping"], **change}, resume=kept)
    assert str(kept) in str(caught.value)
    assert len(str(caught.value).replace(str(kept), "")) < 300


DAMAGES = {
    "kind": ({"kind": "network"}, "holds a 'network', expected a 'training' to resume"),
    "format": ({"format": 9}, "format 9, this portnn reads 1"),
    "unknown": ({"zzz": 1}, "the field 'zzz' is missing or unknown"),
    "missing": ({"right": ...}, "the field 'right' is missing or unknown"),
    "right": ({"right": "x"}, "lacks a valid 'right'"),
    "much right": ({"right": 1e300}, r"right=1e\+300; expected a count of samples"),
    "negative right": ({"right": -0.5}, "right=-0.5; expected a count of samples"),
    "steps": ({"steps": 2**32}, r"steps=4294967296; expected less than 2\^32"),
    "large seed": ({"seed": 2**64}, "lacks a valid 'seed'"),
    "ended": ({"ended": 1}, "lacks a valid 'ended'"),
    "seed": ({"seed": -1}, "lacks a valid 'seed'"),
    "columns": ({"columns": [1]}, "lacks a valid 'columns'"),
    "other columns": ({"columns": ["loss"]}, "unknown tensor 'history.1'"),
    "step": ({"step": 10**6}, "epochs and 1000000 of 13 steps are done"),
    "another step": ({"step": 4}, r"tensor 'losses' has shape \(2,\).*; expected \(4,\)"),
    "done": ({"done": 7}, "7 epochs and 2 of 13 steps are done; expected at most 6 epochs"),
    "layers": ({"layers": {"is": "Flatten"}}, "is of a network with other layers; expected Sequential"),
    "memory": (
        {"callbacks": [{"is": "ReduceLROnPlateau"}, {"is": "EarlyStopping"}]},
        "is not whole: KeyError",
    ),
}


@pytest.mark.parametrize(("changes", "text"), DAMAGES.values(), ids=DAMAGES)
def test_wrong_descriptions_are_refused_and_change_nothing(changes, text, kept, tmp_path):
    arrays, data = load_tensors(kept)
    assert (data["done"], data["step"]) == (1, 2)
    path = tmp_path / "c"
    save_tensors(path, arrays, {k: v for k, v in {**data, **changes}.items() if v is not ...})
    net = Network(LAYERS, seed=3)
    before = numbers(net)
    options = {"callbacks": _watchers(), "optimizer": optim.sgd(0.5, momentum=0.9), "batch_size": 7}
    with pytest.raises(CheckpointError, match=text) as caught:
        net.fit(X, Y, epochs=EPOCHS, validation_data=(X[:20], Y[:20]), resume=path, **options)
    assert len(str(caught.value).replace(str(path), "")) < 300
    after = numbers(net)
    assert before[1] == after[1]
    assert all(map(np.array_equal, before[0], after[0]))


def test_a_checkpoint_holds_numbers_and_no_state_of_a_generator(kept):
    arrays, data = load_tensors(kept)
    assert {"seed", "epochs", "steps", "done", "step"} <= data.keys()
    assert not any(word in json.dumps(data).lower() for word in ("pcg", "generator", "bit_gen", "mt19937"))
    assert {name.split(".")[0] for name in arrays} == {
        "params", "state", "moments", "history", "losses", "callbacks"
    }  # fmt: skip
    with pytest.raises(CheckpointError, match="the file holds a 'training', expected a 'network'"):
        Network.load(kept)


def test_values_have_no_accuracy(tmp_path):
    def run(**options):
        net = Network([Linear(6, 1)], loss=losses.squared_error)
        net.fit(X, X[:, :1], epochs=2, batch_size=7, optimizer=optim.sgd(0.1), **options)
        return net

    whole = run(callbacks=[Checkpoint(tmp_path, every_steps=4, keep=None)])
    assert same(run(resume=checkpoints(tmp_path)[-2]), whole)
