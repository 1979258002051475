"""Callbacks: when they act, what they leave behind, on every backend, planned and eager."""

from __future__ import annotations

import numpy as np
import pytest

from portnn import Network, losses, optim
from portnn.nn import Linear
from portnn.train import Callback, Epoch
from portnn.train.callbacks import Checkpoint, CSVLogger, EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from tests.train.small import X, Y, leaves, network


class Told:
    """A model that is told values, one epoch after the other."""

    def __init__(self):
        self.params, self.state = 0, 0
        self.optimizer_state = optim.adjustable(optim.sgd(0.1)).init(np.zeros(2))

    def restore(self, params, state):
        self.params, self.state = params, state

    def go(self, callback, values, name="val_loss"):
        """The numbers of the epochs after which the callback stops."""
        stopped = []
        callback.model = self
        with callback:
            callback.on_train_begin(None)
            for i, value in enumerate(values, 1):
                self.params = i
                if callback.on_epoch_end(Epoch(i, len(values), {name: value}, self)) is True:
                    stopped.append(i)
                    break
        return stopped


@pytest.mark.parametrize(
    ("values", "options", "stopped", "best"),
    [
        ([3, 2, 1, 1, 0], {"patience": 1}, [4], 3),
        ([3, 2, 2.5, 2.6, 1.9, 2, 2, 2], {"patience": 3}, [8], 5),
        ([3, 2, 1, 0], {"patience": 1}, [], 4),
        ([3, 2.9, 2.8, 2.7, 2.6], {"min_delta": 0.25, "patience": 3}, [], 4),
        ([3, 2.9, 2.8, 2.7, 2.6], {"min_delta": 1.0, "patience": 2}, [3], 1),
        ([3, np.nan, 2, np.inf], {"patience": 1}, [2], 1),
        ([1, 2, 3, 1], {"mode": "max", "patience": 1}, [4], 3),
    ],
)
def test_early_stopping(values, options, stopped, best):
    model, callback = Told(), EarlyStopping(**options)
    assert model.go(callback, values) == stopped
    assert (callback.best_epoch, callback.stopped_epoch) == (best, (stopped or [0])[0])
    assert model.params == best


def test_early_stopping_watches_an_accuracy_upwards():
    model, callback = Told(), EarlyStopping("val_accuracy", patience=1)
    assert model.go(callback, [0.1, 0.5, 0.4], "val_accuracy") == [3]
    assert model.go(callback, [0.1, 0.05], "val_accuracy") == [2], "a second training starts anew"


def test_early_stopping_may_leave_the_last_parameters():
    model = Told()
    assert model.go(EarlyStopping(patience=1, restore_best=False), [1, 2]) == [2]
    assert model.params == 2


@pytest.mark.parametrize("compile", [True, False])
def test_the_best_parameters_are_restored(backend, compile):
    net, seen = network(backend=backend.backend), []

    def note(epoch):
        seen.append((epoch.logs["val_loss"], leaves(epoch.model)))

    stop = EarlyStopping(patience=2)
    options = {"optimizer": optim.sgd(3.0), "compile": compile, "batch_size": 8, "epochs": 30}
    history = net.fit(X, Y, validation_data=(X[:6], Y[::-1][:6]), callbacks=[note, stop], **options)
    best = int(np.argmin(history["val_loss"]))
    assert stop.best_epoch == best + 1 == stop.stopped_epoch - 2 == len(seen) - 2
    for a, b in zip(leaves(net), seen[best][1], strict=True):
        np.testing.assert_array_equal(a, b)
    assert net.evaluate(X[:6], Y[::-1][:6])["loss"] == pytest.approx(seen[best][0], rel=1e-6)


def test_ctrl_c_restores_and_an_error_does_not():
    for kind in (KeyboardInterrupt, OSError):
        net, seen = network(), []

        def act(epoch, kind=kind, seen=seen):
            seen.append(leaves(epoch.model)[0])
            if epoch.number == 3:
                raise kind("now")

        stop = EarlyStopping("loss", mode="max", patience=5)  # so that the first epoch is the best
        with pytest.raises(kind, match="now"):
            net.fit(X, Y, epochs=5, callbacks=[stop, act])
        np.testing.assert_array_equal(leaves(net)[0], seen[0 if kind is KeyboardInterrupt else 2])


def test_what_is_watched_must_be_there():
    with pytest.raises(
        ValueError, match=r"no log 'val_loss' to watch, only loss, accuracy; pass fit validation_"
    ):
        network().fit(X, Y, callbacks=[EarlyStopping()])


@pytest.mark.parametrize("compile", [True, False])
def test_a_smaller_rate_without_a_new_plan(backend, compile):
    """Adam's first steps are as long as its rate."""
    net, moved = network(backend=backend.backend), []
    before = [leaves(net)[0]]

    def measure(epoch):
        now = leaves(epoch.model)[0]
        moved.append(float(np.abs(now - before.pop()).max()))
        before.append(now)

    slow = ReduceLROnPlateau("loss", factor=0.01, patience=1, min_delta=100.0)
    options = {"batch_size": None, "optimizer": optim.adam(0.1), "compile": compile}
    net.fit(X, Y, epochs=4, callbacks=[measure, slow], **options)
    assert slow.scale == pytest.approx(1e-6)
    np.testing.assert_allclose(moved, [0.1, 0.1, 0.001, 0.00001], rtol=0.2)


def test_a_plateau_that_is_not_met_changes_no_bit():
    nets = [network(), network()]
    for net, callbacks in zip(nets, ([], [ReduceLROnPlateau("loss")]), strict=True):
        net.fit(X, Y, epochs=3, batch_size=8, callbacks=callbacks)
    for a, b in zip(*map(leaves, nets), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("options", "scales"),
    [
        ({"patience": 2}, [1, 1, 0.5, 0.5, 0.25, 0.25, 0.125]),
        ({"patience": 1}, [1, 0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625]),
        ({"patience": 1, "cooldown": 2}, [1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25]),
        ({"patience": 1, "min_scale": 0.3}, [1, 0.5, 0.3, 0.3, 0.3, 0.3, 0.3]),
    ],
)
def test_when_the_rate_is_reduced(options, scales):
    model, callback, found = Told(), ReduceLROnPlateau(factor=0.5, **options), []
    with callback:
        callback.on_train_begin(None)
        for i in range(1, 8):
            callback.on_epoch_end(Epoch(i, 7, {"val_loss": 1.0}, model))
            found.append(callback.scale)
            factor = model.optimizer_state["learning rate factor"]
            assert (factor.shape, float(factor)) == ((), pytest.approx(callback.scale, rel=1e-6))
    assert found == scales


@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        (lambda: EarlyStopping(patience=0), ValueError, "patience must be at least 1, got 0"),
        (lambda: EarlyStopping(patience=1.5), TypeError, "patience must be an integer"),
        (lambda: EarlyStopping(mode="less"), ValueError, "mode must be 'auto', 'min' or 'max'"),
        (lambda: EarlyStopping(min_delta=-1), ValueError, "min_delta must be finite and >= 0"),
        (lambda: EarlyStopping(min_delta="1"), TypeError, "min_delta must be a number"),
        (lambda: ModelCheckpoint("a", every=0), ValueError, "every must be at least 1"),
        (lambda: ReduceLROnPlateau(factor=1.0), ValueError, "factor must be between 0 and 1"),
        (lambda: ReduceLROnPlateau(min_scale=2), ValueError, "min_scale must be from 0 to 1"),
        (lambda: ReduceLROnPlateau(factor="a"), TypeError, "factor must be a number"),
    ],
)
def test_options_are_checked(make, kind, text):
    with pytest.raises(kind, match=text):
        make()


class Recorder(Callback):
    """Records the calls of all hooks."""

    def __init__(self):
        self.calls = []

    def __enter__(self):
        self.calls.append("enter")
        return self

    def on_train_begin(self, state):
        self.calls.append(("begin", state.epochs, self.model.epochs, self.resumed))

    def on_epoch_begin(self, epoch):
        self.calls.append(("epoch", epoch))

    def on_step(self, step):
        self.calls.append(("step", step.epoch, step.step, step.number))
        assert isinstance(step.loss, float)

    def on_epoch_end(self, epoch):
        self.calls.append(("end", epoch.number, epoch.model is self.model))
        return epoch.number == 2

    def on_train_end(self, history):
        self.calls.append(("over", len(history["loss"])))

    def __exit__(self, *error):
        self.calls.append("exit")


@pytest.mark.parametrize("compile", [True, False])
def test_hooks_are_called_in_order(backend, compile):
    recorder = Recorder()
    net = network(backend=backend.backend)
    net.fit(X, Y, epochs=5, batch_size=12, callbacks=[recorder], compile=compile)  # of 24 samples
    assert recorder.calls == [
        "enter", ("begin", 0, 0, False),
        ("epoch", 1), ("step", 0, 1, 1), ("step", 0, 2, 2), ("end", 1, True),
        ("epoch", 2), ("step", 1, 1, 3), ("step", 1, 2, 4), ("end", 2, True),
        ("over", 2), "exit",
    ]  # fmt: skip
    assert recorder.model is None, "a callback does not keep the network"


def test_pauses_within_epochs_change_no_bit():
    nets = [network(), network()]
    nets[0].fit(X, Y, epochs=3, batch_size=5, callbacks=[Recorder()])
    nets[1].fit(X, Y, epochs=2, batch_size=5)
    for a, b in zip(*map(leaves, nets), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_compiled_run_pauses_only_for_callbacks_that_want_steps(monkeypatch):
    from portnn.train._runners import CompiledRunner

    runs, run = [], CompiledRunner.run
    monkeypatch.setattr(CompiledRunner, "run", lambda self, *a: runs.append(1) or run(self, *a))

    class Idle(Callback):
        def on_epoch_end(self, epoch):
            return None

    network().fit(X, Y, epochs=2, batch_size=6, callbacks=[Idle(), EarlyStopping("loss")])
    assert len(runs) == 2

    class Every(Callback):
        every_steps = 2

        def on_step(self, step):
            return None

    network().fit(X, Y, epochs=2, batch_size=6, callbacks=[Every()])  # 4 steps an epoch
    assert len(runs) == 2 + 4


def test_what_looks_like_a_hook_and_is_none_is_refused():
    with pytest.raises(TypeError, match=r"Odd\.on_epoch_ends is not a hook .*; use on_epoch_end"):

        class Odd(Callback):
            def on_epoch_ends(self, epoch):
                return None

    with pytest.raises(TypeError, match=r"Other\.on_flight is not a hook .*; use on_train_begin, on_epoch_b"):

        class Other(Callback):
            def on_flight(self):
                return None

    class Plain:
        def on_epoch_end(self, epoch):
            return None

    with pytest.raises(TypeError, match=r"Plain has on_epoch_end but is not a .*Callback; make it"):
        network().fit(X, Y, callbacks=[Plain()])


def test_logs_that_a_callback_adds_are_seen_by_all(tmp_path):
    class Extra(Callback):
        def on_epoch_end(self, epoch):
            epoch.logs["f1"] = [0.1, 0.5, 0.4, 0.3, 0.2][epoch.number - 1]

    stop, log = EarlyStopping("f1", patience=2), CSVLogger(tmp_path / "log.csv")
    history = network().fit(X, Y, epochs=5, callbacks=[Extra(), stop, log])
    assert history["f1"] == [0.1, 0.5, 0.4, 0.3]
    assert (stop.best_epoch, stop.stopped_epoch) == (2, 4)
    assert (tmp_path / "log.csv").read_text().splitlines()[0] == "epoch,loss,accuracy,f1"
    with pytest.raises(ValueError, match="there is no log 'f2' to watch, only loss, accuracy, f1"):
        network().fit(X, Y, epochs=5, callbacks=[Extra(), EarlyStopping("f2")])

    def wrong(epoch):
        epoch.logs["f1"] = "high"

    with pytest.raises(TypeError, match=r"the log 'f1' must be a number, got str; write float\(...\)"):
        network().fit(X, Y, epochs=5, callbacks=[wrong])


@pytest.mark.parametrize("compile", [True, False])
def test_what_a_callback_sets_is_what_training_goes_on_from(backend, compile):
    """Parameters that are put back after each epoch end where one epoch without momentum ends."""
    nets = [network(backend=backend.backend) for _ in range(2)]
    first = nets[0].params

    def put_back(epoch):
        if epoch.number < 3:
            epoch.model.params = first

    options = {"optimizer": optim.sgd(0.1), "shuffle": False, "batch_size": 8, "compile": compile}
    nets[0].fit(X, Y, epochs=3, callbacks=[put_back], **options)
    nets[1].fit(X, Y, epochs=1, **options)
    for a, b in zip(*map(leaves, nets), strict=True):
        np.testing.assert_array_equal(a, b)


def test_callbacks_of_a_generator_are_called():
    seen = []
    Network([Linear(4, 3)]).fit(X, Y, epochs=2, callbacks=(f for f in [seen.append]))
    assert len(seen) == 2


def test_the_class_of_a_callback_is_refused():
    net = Network([Linear(4, 3)])
    with pytest.raises(
        TypeError, match=r"got the class EarlyStopping as a callback; write EarlyStopping\(...\)"
    ):
        net.fit(X, Y, callbacks=[EarlyStopping])
    assert net.epochs == 0


def test_what_is_watched_must_be_there_before_the_training():
    for callback in (
        EarlyStopping(), ReduceLROnPlateau(), ModelCheckpoint("x", save_best_only=True), EarlyStopping("lost")
    ):  # fmt: skip
        net = network()
        with pytest.raises(
            ValueError, match=f"{type(callback).__name__}: there is no log '(val_loss|lost)' to watch"
        ):
            net.fit(X, Y, epochs=1, callbacks=[callback])
        assert net.epochs == 0
    columns = network().fit(X, Y, epochs=1, validation_split=0.5, callbacks=[EarlyStopping("val_accuracy")])
    assert [*columns] == ["loss", "accuracy", "val_loss", "val_accuracy"]
    values = Network([Linear(4, 1)], loss=losses.squared_error)
    with pytest.raises(ValueError, match="there is no log 'val_accuracy' to watch, only loss, val_loss"):
        values.fit(X, X[:, :1], validation_split=0.5, callbacks=[EarlyStopping("val_accuracy")])


@pytest.mark.parametrize("compile", [True, False])
def test_loading_parameters_begins_the_optimizer_anew(backend, compile):
    """Parameters that are loaded after each epoch end where one epoch of a new optimizer ends."""
    nets = [network(backend=backend.backend) for _ in range(2)]
    first = nets[0].params

    def load(epoch):
        if epoch.number < 3:
            epoch.model.load_params(first)

    options = {"shuffle": False, "batch_size": 8, "compile": compile}
    nets[0].fit(X, Y, epochs=3, callbacks=[load], optimizer=optim.adam(0.1), **options)
    nets[1].fit(X, Y, epochs=1, optimizer=optim.adam(0.1), **options)
    for a, b in zip(*map(leaves, nets), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("compile", [True, False])
def test_a_training_in_a_callback_may_have_another_optimizer(compile):
    def inner(epoch):
        epoch.model.fit(X, Y, epochs=1, optimizer=optim.sgd(0.1), progress=False)

    net = network()
    net.fit(X, Y, epochs=2, callbacks=[inner], optimizer=optim.adam(0.1), compile=compile)
    assert net.epochs == 4


@pytest.mark.parametrize("compile", [True, False])
@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_begin", "on_step"])
def test_setting_what_would_not_count_is_refused(hook, compile):
    def zeros(self, _):
        self.model.params = [
            {"weight": p["weight"] * 0, "bias": p["bias"]} if p else p for p in self.model.params
        ]

    setter = type("Setter", (Callback,), {hook: zeros})()
    with pytest.raises(ValueError, match=f"^fit: Setter.{hook} set parameters .* set them in on_epoch_end$"):
        network().fit(X, Y, epochs=1, callbacks=[setter], compile=compile)


def test_notes_and_predictions_are_allowed_everywhere():
    class Noting(Callback):
        def on_epoch_begin(self, epoch):
            self.model.notes = {"epoch": epoch}

        def on_step(self, step):
            self.model.predict(X)

    net = network()
    net.fit(X, Y, epochs=2, callbacks=[Noting()])
    assert net.notes == {"epoch": 2}


def test_the_names_of_logs_are_text():
    def wrong(epoch):
        epoch.logs[3] = 1.0

    with pytest.raises(TypeError, match=r"^fit: the name of a log must be text, got 3; write str\(...\)$"):
        network().fit(X, Y, epochs=1, callbacks=[wrong])


HOOKS = {
    "logs beside it": (
        lambda self, epoch, logs: None,
        r"expected the arguments \(self, epoch\), got \(self, epoch, logs\); the logs are epoch.logs$",
    ),
    "logs that never come": (
        lambda self, epoch, logs=None: None,
        r"got \(self, epoch, logs\); the logs are ep",
    ),
    "none": (lambda self: None, r"got \(self\)"),
}


@pytest.mark.parametrize(("hook", "text"), HOOKS.values(), ids=HOOKS)
def test_hooks_that_take_other_arguments_are_refused(hook, text):
    with pytest.raises(TypeError, match=text):
        type("Own", (Callback,), {"on_epoch_end": hook})


def test_hooks_may_have_defaults_and_any_arguments():
    calls = []
    own = {
        "on_epoch_begin": lambda self, epoch, seen=calls: seen.append(epoch),
        "on_epoch_end": lambda *args, **options: calls.append(len(args)),
        "on_train_end": staticmethod(lambda history: calls.append("end")),
    }
    network().fit(X, Y, epochs=1, callbacks=[type("Own", (Callback,), own)()])
    assert calls == [1, 2, "end"]


def test_a_log_that_only_some_epochs_have(tmp_path):
    def log(epoch):
        if epoch.number % 2 == 1:
            epoch.logs["odd"] = float(epoch.number)

    def fit(*more, epochs=3, **options):
        net = network()
        return net.fit(X, Y, epochs=epochs, callbacks=[log, *more], progress=False, **options)

    path = tmp_path / "log.csv"
    assert str(fit(CSVLogger(path), Checkpoint(tmp_path / "run"))["odd"]) == "[1.0, nan, 3.0]"
    assert [line.split(",")[-1] for line in path.read_text().split()] == ["odd", "1.0", "nan", "3.0"]
    assert str(fit(CSVLogger(path), epochs=4, resume=tmp_path / "run")["odd"]) == "[1.0, nan, 3.0, nan]"


def test_a_log_that_is_new_after_the_first_epoch_has_no_column(tmp_path):
    def log(epoch):
        if epoch.number > 1:
            epoch.logs["late"] = 1.0

    net = network()
    history = net.fit(X, Y, epochs=2, callbacks=[log], progress=False)
    assert str(history["late"]) == "[nan, 1.0]"
    with pytest.raises(ValueError, match="the log 'late' is new in epoch 2"):
        net.fit(X, Y, epochs=2, callbacks=[log, CSVLogger(tmp_path / "a.csv")], progress=False)


def test_what_a_function_adds_may_be_watched():
    def log(epoch):
        epoch.logs["own"] = -float(epoch.number)

    stop = EarlyStopping("own", patience=2)
    net = network()
    net.fit(X, Y, epochs=9, callbacks=[log, stop], progress=False)
    assert stop.stopped_epoch == 3


def test_a_log_that_is_text_is_named_before_others_see_it(tmp_path):
    def log(epoch):
        epoch.logs["own"] = "good"

    with pytest.raises(TypeError, match="the log 'own' must be a number, got str"):
        network().fit(X, Y, callbacks=[log, CSVLogger(tmp_path / "a.csv")], progress=False)


def test_a_callback_serves_a_training_within_its_own():
    stop = EarlyStopping("loss")

    class Inner(Callback):
        def on_epoch_begin(self, epoch):
            network().fit(X, Y, epochs=1, callbacks=[stop], progress=False)

    net = network()
    net.fit(X, Y, epochs=2, callbacks=[stop, Inner()], progress=False)
    assert (net.epochs, stop.model) == (2, None)
