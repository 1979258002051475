"""Files that were damaged or forged: refused with one error, or what they were. Writers that are killed."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from portnn import CheckpointError, Network, optim
from portnn.nn import BatchNorm, Conv2d, Dropout, Flatten, Linear, Reshape, relu
from portnn.serialize import checkpoints, latest, verify
from portnn.train.callbacks import Checkpoint, EarlyStopping, ReduceLROnPlateau
from tests.serialize.forging import forged

SHORT, LONG = 200, 5000  # attacks on each of the two kinds of files
KILLS, MANY_KILLS = 4, 200
KINDS = 8  # of attacks; the last is a forgery
X = np.random.default_rng(0).normal(size=(20, 16)).astype(np.float32)
Y = np.arange(20) % 3
LAYERS = [Reshape((1, 4, 4)), Conv2d(1, 2, 3), BatchNorm(2), relu, Flatten(), Dropout(0.1), Linear(8, 3)]


def fit(folder=None, resume=None, **options):
    net = Network(LAYERS, seed=4)
    told = [ReduceLROnPlateau("loss", patience=1), EarlyStopping("loss", patience=9)]
    told += [] if folder is None else [Checkpoint(folder, every_steps=2, keep=None)]
    options = {"epochs": 2, "batch_size": 6, "compile": False, "optimizer": optim.adam(0.01), **options}
    net.fit(X, Y, callbacks=told, resume=resume, **options)
    return net


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    where = tmp_path_factory.mktemp("attacked")
    fit(where / "run").save(where / "a")
    Network(LAYERS, seed=5).save(where / "b")
    Network([Linear(16, 3)], seed=5).save(where / "c")
    return where


def attacks(raw, others, rng):
    """One file after the other that is not what was written."""
    n = struct.unpack("<Q", raw[:8])[0]
    while True:
        flipped = bytearray(raw)
        # Half of the flips hit the header, which is where most can go wrong.
        where = rng.integers(0, 8 + n if rng.integers(2) else len(raw))
        flipped[where] ^= 1 << int(rng.integers(8))
        yield bytes(flipped)
        flipped[rng.integers(len(raw))] ^= 1 << int(rng.integers(8))
        yield bytes(flipped)
        yield raw[: rng.integers(len(raw))]
        yield raw + bytes(int(rng.integers(1, 64)))
        other = others[rng.integers(len(others))]
        m = struct.unpack("<Q", other[:8])[0]
        yield other[: 8 + m] + raw[8 + n :]
        cut = int(rng.integers(len(raw)))
        yield raw[:cut] + other[cut:]
        start, count = int(rng.integers(len(raw))), int(rng.integers(1, 40))
        yield raw[:start] + rng.bytes(count) + raw[start + count :]
        yield forged(raw, rng)


def refusal(load, path):
    """What a file is refused with, None if it loads; anything else ends the test."""
    try:
        load(path)
    except CheckpointError as error:
        return str(error)
    return None


def attack(load, raw, others, path, count, seed):
    """Of damaged files none loads; of forged ones none raises anything but the one error."""
    outcomes = Counter()
    for i, content in zip(range(count), attacks(raw, others, np.random.default_rng(seed)), strict=False):
        path.write_bytes(content)
        said = refusal(load, path)
        outcomes["loaded" if said is None else "refused"] += 1
        if said is None:
            assert content in (raw, *others) or i % KINDS == KINDS - 1, "damaged, and loaded without a word"
        else:
            assert str(path) in said
            assert len(said.replace(str(path), "")) < 300, said
    print(dict(outcomes))
    return outcomes


@pytest.fixture
def count(request):
    return LONG if request.config.getoption("--slow") else SHORT


def test_attacked_networks(folder, tmp_path, count):
    raw, *others = [(folder / name).read_bytes() for name in "abc"]
    outcomes = attack(Network.load, raw, others, tmp_path / "x", count, 1)
    assert outcomes["refused"] > 0.85 * count, outcomes


def test_attacked_trainings(folder, tmp_path, count):
    raw, *others = [path.read_bytes() for path in checkpoints(folder / "run")]
    others.append((folder / "b").read_bytes())
    outcomes = attack(lambda path: fit(resume=path), raw, others, tmp_path / "x", count, 2)
    assert outcomes["refused"] > 0.85 * count, outcomes


def test_every_bit_of_a_small_file_counts(tmp_path, request):
    path = tmp_path / "x"
    Network([Linear(1, 1, bias=False)]).save(path)
    raw = path.read_bytes()
    step = 1 if request.config.getoption("--slow") else 37
    for bit in range(0, 8 * len(raw), step):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with pytest.raises(CheckpointError):
            Network.load(path)


WRITER = """
import sys
import numpy as np
from portnn import Network, optim
from portnn.nn import Linear
from portnn.train.callbacks import Checkpoint
folder, seed = sys.argv[1:]
net = Network([Linear(300, 300)], seed=int(seed))
x, y = np.ones((8, 300), np.float32), np.arange(8)
print("ready", flush=True)
options = {"batch_size": 4, "compile": False, "optimizer": optim.adam(0.001)}
callbacks = [Checkpoint(folder, every_steps=1), lambda epoch: net.save(folder + "/net")]
net.fit(x, y, epochs=10**6, callbacks=callbacks, **options)
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX's")
def test_a_killed_writer_leaves_a_whole_file(tmp_path, request):
    kills = MANY_KILLS if request.config.getoption("--slow") else KILLS
    rng = np.random.default_rng(3)
    written = 0
    for i in range(kills):
        folder = tmp_path / str(i)
        folder.mkdir()
        Network([Linear(300, 300)]).save(folder / "net")
        command = [sys.executable, "-c", WRITER, str(folder), str(i)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as child:
            child.stdout.readline()
            while i % 2 and child.poll() is None and not checkpoints(folder):
                time.sleep(0.005)  # however slow the machine is, every other one gets to its first checkpoint
            time.sleep(float(rng.uniform(0.0, 0.25)))
            child.send_signal(signal.SIGKILL)
        assert child.returncode == -signal.SIGKILL
        assert Network.load(folder / "net").layer == Network([Linear(300, 300)]).layer
        found = checkpoints(folder)
        assert len(found) <= 3, "two are kept, and one more while the oldest is being deleted"
        assert (latest(folder) in found) if found else latest(folder) is None
        assert all(verify(path) for path in found)
        written += len(found)
    print(f"{kills} kills, {written} checkpoints, all whole")
    assert written, "some were killed while they were writing"
