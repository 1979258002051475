"""Trainings that go on from a checkpoint: the bits of those that were never stopped."""

from __future__ import annotations

import numpy as np
import pytest

from portnn import CheckpointError, Network, losses, optim, tree
from portnn.nn import Linear
from portnn.serialize import checkpoints, latest, load_tensors, save_tensors
from portnn.train import Callback
from portnn.train.callbacks import Checkpoint, CSVLogger, EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from tests.train.resuming import CASES, EPOCHS, LAYERS, X, Y, same, train

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
    with pytest.raises(FileExistsError, match="has 3 checkpoints of another training; continue from them"):
        Network(LAYERS).fit(X, Y, callbacks=[keeper])


@pytest.mark.parametrize(
    ("options", "epochs", "written"),
    [
        ({"every_epochs": 2}, 5, [2, 4, 5]),
        ({"every_epochs": 2}, 4, [2, 4]),
        ({"every_epochs": 3}, 2, [2]),
        ({"every_epochs": 1}, 3, [1, 2, 3]),
        ({"every_epochs": None}, 3, [3]),
    ],
)
def test_after_how_many_epochs_a_checkpoint_is_written(options, epochs, written, tmp_path):
    keeper = Checkpoint(tmp_path, keep=None, **options)
    whole, later = Network(LAYERS, seed=3), Network(LAYERS, seed=3)
    whole.fit(X, Y, epochs=epochs + 1, batch_size=30)
    Network(LAYERS, seed=3).fit(X, Y, epochs=epochs, batch_size=30, callbacks=[keeper])
    assert [int(path.name[11:20]) for path in keeper.saved] == [3 * epoch for epoch in written]
    assert checkpoints(tmp_path) == keeper.saved[::-1]
    later.fit(X, Y, epochs=epochs + 1, batch_size=30, resume=keeper.saved[0])
    assert same(later, whole)


def test_every_epochs_are_counted_from_the_beginning_after_resuming(tmp_path):
    def fit(epochs, **more):
        keeper = Checkpoint(tmp_path, every_epochs=2, keep=None)
        Network(LAYERS).fit(X, Y, epochs=epochs, batch_size=30, callbacks=[keeper], **more)
        return [int(path.name[11:20]) // 3 for path in keeper.saved]

    assert fit(3) == [2, 3]
    assert fit(7, resume=tmp_path) == [4, 6, 7]


def test_a_training_without_the_name_of_its_optimizer_goes_on(tmp_path):
    """As checkpoints were written before they had it; and another learning rate is no other optimizer."""
    Network(LAYERS, seed=3).fit(X, Y, epochs=1, callbacks=[Checkpoint(tmp_path)], optimizer=optim.adam(0.01))
    [path] = checkpoints(tmp_path)
    arrays, data = load_tensors(path)
    assert data.pop("optimizer") == "adam(0.01)"
    older = {name.replace("opt_state", "moments"): a for name, a in arrays.items()}
    save_tensors(path, older, {**data, "format": 1})
    net = Network(LAYERS, seed=3)
    net.fit(X, Y, epochs=2, resume=path, optimizer=optim.adam(learning_rate=0.02))
    assert net.epochs == 2
    with pytest.raises(CheckpointError, match=r"optimizer=one without a name; expected sgd\(0.1\); pass"):
        net.fit(X, Y, epochs=2, resume=path, optimizer=optim.sgd(0.1))


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


def test_values_have_no_accuracy(tmp_path):
    def run(**options):
        net = Network([Linear(6, 1)], loss=losses.squared_error)
        net.fit(X, X[:, :1], epochs=2, batch_size=7, optimizer=optim.sgd(0.1), **options)
        return net

    whole = run(callbacks=[Checkpoint(tmp_path, every_steps=4, keep=None)])
    assert same(run(resume=checkpoints(tmp_path)[-2]), whole)


def test_what_is_no_file_is_no_checkpoint(tmp_path, monkeypatch):
    keeper = Checkpoint(tmp_path)
    (tmp_path / "checkpoint-999999999.safetensors").mkdir()
    (tmp_path / "checkpoint-888888888.safetensors").symlink_to(tmp_path / "nowhere")
    net = Network(LAYERS)
    net.fit(X, Y, epochs=3, callbacks=[keeper])
    assert latest(tmp_path) == keeper.saved[-1]
    later = Network(LAYERS)
    later.fit(X, Y, epochs=3, resume=tmp_path)
    assert same(later, net)
    gone = tmp_path / "checkpoint-777777777.safetensors"  # as if another program had deleted it just now
    monkeypatch.setattr("portnn.serialize._folder.checkpoints", lambda _: [gone, keeper.saved[-1]])
    assert latest(tmp_path) == keeper.saved[-1]


class Keeper(Callback):
    """Keeps trees of arrays under some names."""

    def __init__(self, *names):
        self.names, self.kept = names, {}

    def on_epoch_end(self, epoch):
        self.kept = {name: getattr(epoch.model, name) for name in self.names}

    def state_dict(self):
        return {"names": [*self.names], **self.kept}

    def load_state_dict(self, state):
        self.kept = {name: state[name] for name in state if name != "names"}


@pytest.mark.parametrize("layers", [LAYERS, [Linear(6, 3)]], ids=["state", "no state"])
@pytest.mark.parametrize("names", [(), ("params",), ("state",), ("params", "state")], ids="-".join)
def test_callbacks_may_keep_parameters_state_or_both(names, layers, tmp_path):
    options = {"batch_size": 30, "progress": False}
    keeper = Keeper(*names)
    net = Network(layers)
    net.fit(X, Y, epochs=2, callbacks=[keeper, Checkpoint(tmp_path)], **options)
    found = Keeper(*names)
    Network(layers).fit(X, Y, epochs=2, callbacks=[found, Checkpoint(tmp_path)], resume=tmp_path, **options)
    for name in names:
        kept = tree.leaves(keeper.kept[name])
        assert len(kept) == len(tree.leaves(found.kept.get(name, ())))
        assert all(map(np.array_equal, kept, tree.leaves(found.kept.get(name, ()))))


STATES = {
    "an array": (
        {"a": np.ones(2)},
        r"Odd.state_dict: 'a' must be plain data .*, got array\(\[1., 1.\]\) of type n",
    ),
    "a number of NumPy": ({"a": np.float32(1)}, r"of type float32; write float\(...\), .tolist\(\) or None$"),
    "infinite": ({"a": np.inf}, "must be plain data .*, got inf of type float"),
    "a list": ([1], "Odd.state_dict: must return a dict, got list"),
    "none": (None, "must return a dict, got NoneType"),
    "taken": ({"is": 1}, "the key 'is' is taken in checkpoints; choose another"),
}


@pytest.mark.parametrize(("state", "text"), STATES.values(), ids=STATES)
def test_states_that_a_file_cannot_hold_are_named(state, text, tmp_path):
    odd = type("Odd", (Callback,), {"state_dict": lambda self: state})()
    with pytest.raises(TypeError, match=text) as caught:
        Network([Linear(6, 3)]).fit(X, Y, epochs=1, callbacks=[odd, Checkpoint(tmp_path)], progress=False)
    assert len(str(caught.value)) < 300


class Counting(Callback):
    """Remembers the steps that it was told of, in a list that it goes on changing."""

    def __init__(self):
        self.steps = []

    def on_step(self, step):
        self.steps.append(step.number)

    def state_dict(self):
        return {"steps": self.steps}

    def load_state_dict(self, state):
        self.steps = list(state["steps"])


class Saving(Callback):
    runs_last = True

    def __init__(self, number, path, late=False):
        self.number, self.path, self.late = number, path, late
        self.event = None

    def on_step(self, step):
        if step.number == self.number:
            self.event = step
            if not self.late:
                step.save(self.path)
        if step.number == self.number + 1 and self.event and self.late:
            self.event.save(self.path)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("number", [1, 4, 5, 7, 9])
def test_a_callback_is_told_of_each_step_once(number, late, tmp_path):
    def fit(**more):
        net, counting = Network([Linear(6, 3)], seed=0), Counting()
        saving = Saving(number, tmp_path / "step.safetensors", late)
        net.fit(X, Y, epochs=2, batch_size=18, callbacks=[saving, counting], progress=False, **more)
        return counting.steps, net

    steps, net = fit()
    again, other = fit(resume=tmp_path / "step.safetensors")
    assert steps == again == [*range(1, 11)]
    assert all(map(np.array_equal, tree.leaves(net.params), tree.leaves(other.params)))


def test_validation_logs_of_ones_own(tmp_path):
    def log(epoch):
        epoch.logs["val_loss"] = float(epoch.number)

    def fit(epochs, **more):
        callbacks = [log, EarlyStopping("val_loss", patience=9), Checkpoint(tmp_path / "run")]
        net = Network([Linear(6, 3)], seed=0)
        return net.fit(X, Y, epochs=epochs, callbacks=callbacks, progress=False, **more)

    fit(2)
    assert fit(3, resume=tmp_path / "run")["val_loss"] == [1.0, 2.0, 3.0]
