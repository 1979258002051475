"""Use everything that computes on one backend; a script for a machine with two GPUs.

Prints as JSON what failed on the second GPU, how many bytes were allocated on the first GPU meanwhile, and
which results differ between the two.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import pickle
import tempfile
import traceback
import warnings
from importlib.util import find_spec
from pathlib import Path

import cupy
import numpy as np

import portnn as pn
from portnn import decode, estimators, export, losses, metrics, ops, optim, program, random, tree
from portnn.cli import main
from portnn.data import augment
from portnn.train import callbacks

X = np.random.default_rng(0).normal(size=(60, 6)).astype("float32")
Y = np.arange(60) % 3
LAYERS = [pn.Linear(6, 8), pn.BatchNorm(8), pn.relu, pn.Dropout(0.2), pn.Linear(8, 3)]
ADAM = optim.adam(1e-2)


class Uses:
    """Methods that each use a backend in one way and return the results."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.backend = pn.get_backend(name)
        self.folder = folder

    def net(self, **options):
        return pn.Network(LAYERS, backend=self.name, seed=1, **options)

    def trained(self):
        net = self.net()
        net.fit(X, Y, epochs=1, batch_size=16, optimizer=ADAM, progress=False)
        return net

    def array(self, x=X):
        return self.backend.asarray(x)

    # Networks.
    def fit(self):
        return self.trained().params

    def fit_eagerly(self):
        net = self.net()
        net.fit(X, Y, epochs=1, batch_size=16, optimizer=ADAM, progress=False, compile=False)
        return net.params

    def fit_with_everything(self):
        net = self.net()
        told = [
            callbacks.EarlyStopping("val_loss", patience=1, restore_best=True),
            callbacks.ReduceLROnPlateau("loss", patience=1),
            callbacks.ModelCheckpoint(self.folder / "best.safetensors"),
            lambda epoch: setattr(net, "params", tree.map(lambda p: p * 1.0, net.params)),
        ]
        net.fit(
            X, Y, epochs=3, batch_size=16, optimizer=optim.ema(ADAM), progress=False, callbacks=told,
            accumulate=2, sample_weight=np.linspace(0.5, 1, 60), class_weight="balanced",
            validation_split=0.2,
            penalty=lambda params, n: 1e-4 * ops.sum(ops.square(params[0]["weight"])),
        )  # fmt: skip
        return net.params, net.optimizer_state

    def fit_arrays_of_the_device(self):
        net = self.net()
        net.fit(self.array(), self.array(Y), epochs=1, progress=False, precision="tf32")
        return net.params, net.predict(self.array())

    def fit_in_float64(self):
        net = self.net(dtype="float64")
        net.fit(X, Y, epochs=1, progress=False)
        return net.params

    def resume(self):
        checkpoint = self.folder / "checkpoint"
        self.net().fit(X, Y, epochs=1, progress=False, callbacks=[callbacks.Checkpoint(checkpoint)])
        net = self.net()
        net.fit(X, Y, epochs=2, progress=False, resume=checkpoint)
        return net.params, net.optimizer_state

    def partial_fit(self):
        net = self.net()
        for _ in range(2):
            net.partial_fit(X, Y)
        return net.params, net.optimizer_state

    def predict(self):
        net = self.trained()
        return [f(x) for x in (X, X, X, self.array(), self.array()) for f in (net.predict, net.predict_proba)]

    def score(self):
        net = self.trained()
        return net.score(X, Y), [*net.evaluate(X, Y).values()]

    def look(self):
        net = self.trained()
        text = (net.summary() + net._repr_html_()).replace("cupy:0", "GPU").replace("cupy:1", "GPU")
        return text, net.activations(X), net.activations(self.array()), net.gradients(X, Y)

    def save_and_load(self):
        self.trained().save(self.folder / "net.safetensors")
        net = pn.Network.load(self.folder / "net.safetensors", backend=self.name)
        return net.params, net.predict(X)

    def move_and_copy(self):
        net = self.trained()
        copies = [copy.copy(net), copy.deepcopy(net), pickle.loads(pickle.dumps(net))]
        for each in copies:
            each.partial_fit(X, Y, optimizer=ADAM)
        back = copy.deepcopy(net).to("cpu").to(self.name)
        return [each.params for each in copies], back.params, back.predict(X)

    def set_parameters(self):
        net = self.net()
        net.fit(X, Y, epochs=1, optimizer=optim.adjustable(ADAM), progress=False)
        net.params = tree.map(self.backend.to_numpy, net.params)
        net.state = tree.map(self.backend.to_numpy, net.state)
        net.load_params(net.params, net.state)
        net.restore(net.params, net.state)
        net.partial_fit(X, Y, optimizer=optim.adjustable(ADAM))
        net.optimizer_state = optim.scale_learning_rate(net.optimizer_state, 0.5)
        net.partial_fit(X, Y)
        return net.params

    def estimate(self):
        found = []
        for solver in ("adam", "lbfgs", "sgd"):
            options = {"hidden_layer_sizes": (5,), "max_iter": 2, "random_state": 0, "backend": self.name}
            learner = estimators.MLPClassifier(solver=solver, **options).fit(X, Y)
            found.append((learner.predict(X), learner.predict_proba(X), learner.score(X, Y)))
        learner = estimators.NetworkRegressor(
            pn.Linear(6, 1), random_state=0, max_iter=1, backend=self.name
        ).fit(X, X[:, 0])
        return found, learner.predict(X)

    # Functions of arrays.
    def differentiate(self):
        x, f = self.array(), lambda x: ops.sum(x * x) + ops.sum(ops.exp(x[:, 0] * 0.5))
        value, pullback = pn.vjp(lambda x: x * 2.0 - x[:1], x)
        return pn.grad(f)(x), pn.value_and_grad(f)(x), value, pullback(x)

    def compile(self):
        x, f = self.array(), pn.jit(lambda x: (ops.exp(x) @ x.T, x[::2] * 2.0))
        lines = program.trace(lambda x: x * 2.0 + 1.0)(x)
        return [f(x) for _ in range(3)], f(x.T[::2].T), lines.eval(x)

    def compare(self):
        report = program.lockstep(lambda x: ops.sum(ops.exp(x) * x), (X,), ("cpu", self.name))
        return str(report.first)

    def draw(self):
        key = random.key(0, like=self.array())
        one, two = random.split(random.fold_in(key, 3))
        p = self.array(np.full(5, 0.3, "float32"))
        return (
            one, random.normal(two, (5,)), random.uniform(two, 7), random.permutation(one, 9),
            random.bits(one, 5), random.randint(one, (4,), 0, 9), random.bernoulli(two, p),
            random.categorical(two, p), random.truncated_normal(one, (4,)),
        )  # fmt: skip

    def optimize(self):
        found = []
        params = {"w": self.array(), "b": self.array(X[0])}
        for name in ("adagrad", "adam", "adamw", "lion", "rmsprop", "sgd"):
            optimizer = getattr(optim, name)(0.1)
            updates, state = optimizer.update(params, optimizer.init(params), params)
            found.append((optim.apply_updates(params, updates), state))
        return found

    def lose(self):
        logits, labels, values = self.array(), self.array(Y), self.array(X[::-1].copy())
        by_label = [losses.softmax_cross_entropy, losses.focal, losses.multiclass_hinge]
        by_value = [losses.squared_error, losses.absolute_error, losses.huber, losses.log_cosh]
        return [f(logits, labels) for f in by_label], [f(logits, values) for f in by_value]

    def measure(self):
        true, pred, proba = self.array(Y), self.array(Y[::-1].copy()), ops.softmax(self.array(X[:, :3]))
        values = self.array(X[:, 0]), self.array(X[:, 1])
        names = ("mean_absolute_error", "mean_squared_error", "r2", "root_mean_squared_error")
        by_label = [metrics.accuracy, metrics.confusion_matrix, metrics.f1, metrics.precision, metrics.recall]
        return (
            [f(true, pred) for f in by_label], [getattr(metrics, n)(*values) for n in names],
            metrics.log_loss(true, proba), metrics.top_k_accuracy(true, proba, k=2),
            metrics.average_precision(ops.equal(true, 1), proba[:, 1]),
        )  # fmt: skip

    def search(self):
        table = ops.log_softmax(self.array(X[:6]))
        start = self.array(np.asarray([0, 1]))
        options = {"start": start, "end": 2, "max_length": 4}
        step = lambda t, s: (table[t], s)  # noqa: E731
        return decode.greedy(step, (), **options), decode.beam_search(step, (), beam=2, **options)

    def distort(self):
        images = self.array(X.reshape(10, 6, 6))
        key = random.key(0, like=images)
        return (
            augment.shift(images, 1, 2), augment.affine(images, angle=0.1), augment.rotate(images, 0.2),
            augment.elastic(key, images), augment.distort(key, images),
        )  # fmt: skip

    def make(self):
        x = self.array()
        made = [f((3,), dtype="float32", like=x) for f in (ops.zeros, ops.ones)]
        return (
            *made, ops.arange(4, dtype="int32", like=x), ops.full((2,), 3.0, dtype="float32", like=x),
            ops.linspace(0.0, 1.0, 5, dtype="float32", like=x), ops.eye(3, dtype="float32", like=x),
            ops.zeros_like(x), ops.asarray([1.0], like=x, dtype="float32"), ops.concat([x, x]),
            ops.stack([x, x]), ops.where(ops.greater(x, 0.0), x, 0.0), ops.take(x, self.array(Y), axis=0),
        )  # fmt: skip

    def export(self):
        if find_spec("onnx") is None:
            return ()
        return export.export_onnx(self.trained(), input_shape=(6,)).SerializeToString()

    # The command line.
    def command(self):
        table = self.folder / "table.csv"
        rows = [",".join(map(str, [*x, "abc"[y]])) for x, y in zip(X.tolist(), Y.tolist(), strict=True)]
        table.write_text("\n".join(["a,b,c,d,e,f,y", *rows]) + "\n")
        saved, out = self.folder / "cli.safetensors", self.folder / "out.csv"
        told = [
            ["train", table, "--label", "y", "--backend", self.name, "--epochs", "1", "--output", saved],
            ["predict", saved, table, "--label", "y", "--backend", self.name, "--output", out],
            ["evaluate", saved, table, "--label", "y", "--backend", self.name],
        ]
        for line in told:
            assert main(list(map(str, line))) == 0, line
        return out.read_text()


USES = [name for name in vars(Uses) if name not in ("__init__", "net", "trained", "array") and name[0] != "_"]


def digest(found):
    """Return a hash of the results' bits; results on a GPU must be on the one in use."""
    parts = []
    for leaf in tree.leaves(list(found) if isinstance(found, tuple) else found):
        if isinstance(leaf, cupy.ndarray):
            assert leaf.device.id == int(os.environ["USED"]), f"a result is on GPU {leaf.device.id}"
        parts.append(leaf.get().tobytes() if isinstance(leaf, cupy.ndarray) else np.asarray(leaf).tobytes())
    return hashlib.sha256(b"".join(parts)).hexdigest()


def run(gpu, names):
    """Return the result of each use on a GPU, and what failed."""
    os.environ["USED"] = str(gpu)
    found, failed = {}, {}
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            try:
                found[name] = digest(getattr(Uses(f"gpu:{gpu}", Path(folder)), name)())
            except Exception:  # noqa: BLE001  # told with the others
                failed[name] = traceback.format_exc()[-1500:]
    return found, failed


if __name__ == "__main__":
    warnings.simplefilter("ignore", UserWarning)  # of trainings that are short, and run call by call
    warnings.simplefilter("error", cupy._util.PerformanceWarning)  # memory of another GPU is read
    second, failed = run(1, USES)
    left_over = cupy.get_default_memory_pool().total_bytes()  # of the current GPU, the first
    first, failed_too = run(0, USES)
    different = [name for name in second if name in first and first[name] != second[name]]
    current = cupy.cuda.Device().id
    told = {"failed": failed, "failed on the first": failed_too, "different": different}
    print("\n" + json.dumps({**told, "bytes on the first": left_over, "current": current, "uses": USES}))
