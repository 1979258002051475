"""Arrays as .npz: what NumPy reads and writes, and nothing that would have to be unpickled."""

from __future__ import annotations

import io
import tracemalloc
from zipfile import ZipFile

import numpy as np
import pytest

from portnn import Network, tree
from portnn.nn import BatchNorm, Linear
from portnn.serialize import CheckpointError, load_npz, save_npz

LIKE = {"a": np.zeros((2, 3), np.float32), "b": (np.zeros(4),)}


def test_numpy_reads_it(tmp_path):
    path = tmp_path / "a"
    t = {
        "a": np.arange(6, dtype="f4").reshape(2, 3).T,
        "b": (np.asarray(2.5), np.zeros((0, 2), bool)),
        "c": None,
    }
    save_npz(path, t)
    with np.load(path) as found:
        assert {name: found[name].dtype for name in found} == {
            "a": np.float32, "b.0": np.float64, "b.1": np.bool_
        }  # fmt: skip
        np.testing.assert_array_equal(found["a"], t["a"])
    np.testing.assert_equal(load_npz(path, t), t)


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_numpy_writes_it(write, tmp_path):
    path = tmp_path / "a.npz"
    arrays = {"a": np.ones((2, 3), np.float32), "b.0": np.asfortranarray(np.eye(3)), "c": np.arange(4)}
    write(path, **arrays)
    np.testing.assert_equal(load_npz(path), arrays)


def test_a_network_goes_there_and_back(tmp_path):
    path = tmp_path / "net.npz"
    net, other = (Network([Linear(4, 3), BatchNorm(3)], seed=seed) for seed in (1, 2))
    save_npz(path, {"params": net.params, "state": net.state})
    found = load_npz(path, {"params": other.params, "state": other.state})
    other.load_params(found["params"], found["state"])
    assert all(map(np.array_equal, tree.leaves(net.params), tree.leaves(other.params)))


def test_what_does_not_fit_is_refused_before_memory_is_taken(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, a=np.zeros((2, 3), np.float32), **{"b.0": np.zeros(10**7)})
    tracemalloc.start()
    with pytest.raises(CheckpointError, match=r"'b.0' has shape \(10000000,\) .*; expected \(4,\)"):
        load_npz(path, LIKE)
    assert tracemalloc.get_traced_memory()[1] < 10**6
    tracemalloc.stop()
    np.savez(path, a=LIKE["a"])
    with pytest.raises(CheckpointError, match=r"lacks tensor 'b.0'"):
        load_npz(path, LIKE)
    np.savez(path, a=LIKE["a"], **{"b.0": np.full(4, np.nan)})
    with pytest.raises(CheckpointError, match=r"'b.0' has values that are not finite"):
        load_npz(path, LIKE)


def test_objects_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    with pytest.raises(TypeError, match="expected numbers, got an array of objects"):
        save_npz(path, {"a": np.asarray([None])})
    assert not path.exists()
    np.savez(path, a=np.asarray([None, print]))
    for like in (None, {"a": np.zeros(2)}):
        with pytest.raises(CheckpointError, match=r"(?i)no whole .npz file of numbers: .*object"):
            load_npz(path, like)


@pytest.mark.parametrize("like", [None, LIKE], ids=["any", "like"])
def test_damage_is_refused(like, tmp_path, request):
    path = tmp_path / "a.npz"
    save_npz(path, LIKE)
    raw = path.read_bytes()
    rng = np.random.default_rng(0)
    for i in range(2000 if request.config.getoption("--slow") else 200):
        damaged = bytearray(raw[: rng.integers(len(raw))] if i % 4 == 0 else raw)
        if i % 4:
            damaged[rng.integers(len(raw))] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            found = load_npz(path, like)
        except CheckpointError:
            continue
        # The list of members has no CRC, so without `like` one of them can be lost; what is there is right.
        whole = {a.tobytes() for a in tree.leaves(LIKE)}
        assert {a.tobytes() for a in tree.leaves(found)} <= whole
        assert like is None or len(tree.leaves(found)) == 2


def test_a_member_ends_with_its_array(tmp_path):
    path, whole = tmp_path / "a.npz", io.BytesIO()
    np.save(whole, np.zeros(4))
    with ZipFile(path, "w") as archive:
        archive.writestr("a.npy", whole.getvalue() + b"x")
    with pytest.raises(CheckpointError, match="member 'a' is longer than its array"):
        load_npz(path)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_npz(path)
    with ZipFile(path, "w") as archive:
        archive.writestr("a.npy", b"\x93NUMPY\x09\x00")
        archive.writestr("b.txt", b"")
    with pytest.raises(CheckpointError, match=r"members that end in .npy, each once"):
        load_npz(path)
