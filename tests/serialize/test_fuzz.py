"""Every reader of files on thousands of crafted ones: what was written, or its one error, soon and for little."""

# ruff: noqa: E501  # tables

from __future__ import annotations

import io
import json
import struct
import warnings
from copy import deepcopy
from hashlib import sha256
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import numpy as np
import pytest

from portnn import CheckpointError, Network, losses, nn, optim
from portnn.data import DataError, read_arrays
from portnn.serialize import load_npz, load_tensors, save_npz, verify
from portnn.train.callbacks import Checkpoint, EarlyStopping

SHORT, LONG = 400, 6000
X = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
Y = np.arange(8) % 2
LAYERS = [nn.Linear(4, 3), nn.BatchNorm(3), nn.Repeat([nn.Linear(3, 3), nn.relu], 2), nn.Linear(3, 2)]
NUMBERS = (
    -1, 0, 1, 2, 7, 2**15, 2**24, 2**31, 2**32, 2**53, 2**62, 2**63 - 1, 2**63, 2**64, 10**30, 0.5, -0.0, 1e308, 10**4000,
)  # fmt: skip
PLAIN = (
    None,
    True,
    False,
    "",
    "x",
    "\0",
    "\ud800",
    "Linear",
    "relu",
    "F32",
    "BF16",
    [],
    {},
    [[]],
    [{}],
    {"is": "Repeat"},
    "a" * 999,
)
HEADS = (
    "(", ")", "[", "{", "'", ",", ":", "True", "None", "-1", "1.5", "1e9", "9" * 30, "()", "(1,)*9", "'O'", "'<f8'", "'<U9'", "'|V8'",
    "'<M8[ns]'", "[('a','<f8')]", "lambda:0", "\\", "\n", "\t", "\0", "\xff", "#", "'''", "b''", "1j", "...", "{}", "__import__('os')", "_",
)  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A valid file of each kind."""
    folder = tmp_path_factory.mktemp("fuzz")
    told = [Checkpoint(folder / "run", every_steps=3, keep=None), EarlyStopping("loss")]
    net = Network(LAYERS, loss=losses.softmax_cross_entropy)
    net.fit(X, Y, epochs=1, batch_size=2, callbacks=told, optimizer=optim.adam(0.1), compile=False)
    net.notes = {"classes": ["a", "b"]}
    net.save(folder / "net")
    save_npz(folder / "npz", {"a": np.ones((2, 3), np.float32), "b": [np.arange(4), np.asarray(True)]})
    np.savez_compressed(folder / "zip.npz", a=np.ones((50, 3)), b=np.arange(4))
    np.save(folder / "one.npy", np.asfortranarray(np.ones((3, 4), np.float32)))
    found = {name: (folder / name).read_bytes() for name in ("net", "npz")}
    found |= {"zip": (folder / "zip.npz").read_bytes(), "npy": (folder / "one.npy").read_bytes()}
    return found | {"run": told[0].saved[0].read_bytes()}


def bytes_changed(raw, rng):
    """Flip, cut, copy and insert bytes."""
    data = bytearray(raw)
    for _ in range(int(rng.integers(1, 5))):
        i = int(rng.integers(len(data) + 1))
        j = min(len(data), i + int(rng.integers(1, 40)))
        match int(rng.integers(6)):
            case 0 if data:
                data[min(i, len(data) - 1)] ^= 1 << int(rng.integers(8))
            case 1:
                data[i:j] = b""
            case 2:
                data[i:i] = rng.bytes(int(rng.integers(1, 9)))
            case 3:
                data[i:j] = data[::-1][i:j]
            case 4:
                number = NUMBERS[int(rng.integers(len(NUMBERS) - 1))]
                data[i : i + 8] = struct.pack("<q", int(number) % 2**63)
            case _:
                data[i:i] = data[int(rng.integers(len(data) + 1)) :][:30]
    return bytes(data)


def spoilt(data, rng):
    """Change one value somewhere inside plain data."""
    while isinstance(data, dict | list) and data:
        keys = [*data] if isinstance(data, dict) else [*range(len(data))]
        key = keys[int(rng.integers(len(keys)))]
        if isinstance(data[key], dict | list) and data[key] and rng.integers(4):
            data = data[key]
            continue
        choice = int(rng.integers(6))
        if choice == 0:
            del data[key]
        elif choice == 1 and isinstance(data, dict):
            data[f"{key}."] = data.pop(key)
        elif choice == 2 and isinstance(data, list):
            data.append(deepcopy(data[key]))
        else:
            values = NUMBERS if rng.integers(2) else PLAIN
            data[key] = deepcopy(values[int(rng.integers(len(values)))])
        return


def forged(raw, rng):
    """A safetensors file with something else in its header, and digests that are right."""
    n = struct.unpack("<Q", raw[:8])[0]
    head, body = json.loads(raw[8 : 8 + n]), raw[8 + n :]
    meta = head["__metadata__"]
    inner = {name: json.loads(meta[name]) for name in ("portnn", "portnn.tensors")}
    for _ in range(int(rng.integers(1, 4))):
        spoilt([inner["portnn"], inner["portnn"], inner["portnn.tensors"], head][int(rng.integers(4))], rng)
    if isinstance(head.get("__metadata__"), dict):
        with_digits(head["__metadata__"], inner)
    text = json.dumps(head, separators=(",", ":")).encode()
    new = struct.pack("<Q", len(text)) + text
    zeros = b'"portnn.sha256":"' + b"0" * 64
    return new.replace(zeros, zeros[:-64] + sha256(new).hexdigest().encode()) + body


def with_digits(meta, inner):
    for name, value in inner.items():
        meta[name] = json.dumps(value)
    meta["portnn.sha256"] = "0" * 64


def head_changed(raw, rng):
    """An .npy file whose header is text that was changed, of the length that it says."""
    n = struct.unpack("<H", raw[8:10])[0]
    text = raw[10 : 10 + n].decode("latin1")
    for _ in range(int(rng.integers(1, 4))):
        i = int(rng.integers(len(text)))
        j = i + int(rng.integers(12)) if rng.integers(3) else i
        text = text[:i] + HEADS[int(rng.integers(len(HEADS)))] * int(rng.choice([1, 1, 1, 2, 300])) + text[j:]
    if not rng.integers(8):
        text = "(" * int(rng.integers(4000)) + text
    new = text.encode("latin1")[:65_000]
    version = bytes([int(rng.choice([1, 1, 1, 2, 3, 9])), 0])
    size = struct.pack("<H" if version[0] == 1 else "<I", len(new))
    return raw[:6] + version + size + new + raw[10 + n :]


def archived(raw, rng):
    """An archive whose members were changed inside, with checksums that are right."""
    buffer = io.BytesIO()
    with ZipFile(io.BytesIO(raw)) as old, ZipFile(buffer, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            change = int(rng.integers(4))
            content = (
                head_changed(content, rng)
                if change < 2
                else bytes_changed(content, rng)
                if change == 2
                else content
            )
            name = (
                name
                if rng.integers(6)
                else str(rng.choice(["a", "a.npy", "b/../c.npy", "x" * 300 + ".npy", ".npy"]))
            )
            with warnings.catch_warnings(action="ignore"):  # of names that come twice
                new.writestr(name, content, compress_type=int(rng.choice([ZIP_STORED, ZIP_DEFLATED])))
    return bytes_changed(buffer.getvalue(), rng) if not rng.integers(4) else buffer.getvalue()


def attack(read, error, path, variants, count):
    """Read one variant after the other; each is read, or refused in a few words."""
    refused = []
    for _, content in zip(range(count), variants, strict=False):
        path.write_bytes(content)
        try:
            with warnings.catch_warnings(
                action="ignore"
            ):  # of Python's parser, about what stands in a header
                read(path)
        except error as caught:
            refused.append(str(caught).replace(str(path), ""))
    print(f"{len(refused)} of {count} refused")
    assert len(refused) > count // 3
    assert max(map(len, refused)) < 300


@pytest.fixture
def count(request):
    return LONG if request.config.getoption("--slow") else SHORT


def resumed(path):
    net = Network(LAYERS)
    told = {"callbacks": [EarlyStopping("loss")], "compile": False}
    return net.fit(X, Y, epochs=1, batch_size=2, resume=path, optimizer=optim.adam(0.1), **told)


def used(path):
    """A network that loads can be used."""
    net = Network.load(path)
    try:
        y = net.predict(X)
    except (TypeError, ValueError):
        return  # it is one for other inputs
    assert len(y) == len(X)


READERS = {
    "load": ("net", used), "load_tensors": ("net", load_tensors), "verify": ("net", verify), "resume": ("run", resumed),
}  # fmt: skip


@pytest.mark.parametrize("change", [bytes_changed, forged])
@pytest.mark.parametrize("name", READERS)
def test_readers_of_safetensors(name, change, files, tmp_path, count):
    kind, read = READERS[name]
    rng = np.random.default_rng(1)
    count = count // 3 if name == "resume" else count
    attack(read, CheckpointError, tmp_path / "x", (change(files[kind], rng) for _ in iter(int, 1)), count)


@pytest.mark.parametrize("change", [bytes_changed, archived])
@pytest.mark.parametrize("kind", ["npz", "zip"])
@pytest.mark.parametrize("name", ["load_npz", "load_npz like", "read_arrays"])
def test_readers_of_archives(name, kind, change, files, tmp_path, count):
    like = {"a": np.ones((2, 3), np.float32), "b": [np.arange(4), np.asarray(True)]}
    read = {
        "load_npz": load_npz,
        "load_npz like": lambda path: load_npz(path, like),
        "read_arrays": read_arrays,
    }[name]
    error = DataError if name == "read_arrays" else CheckpointError
    rng = np.random.default_rng(2)
    attack(read, error, tmp_path / "x.npz", (change(files[kind], rng) for _ in iter(int, 1)), count)


@pytest.mark.parametrize("change", [bytes_changed, head_changed])
def test_readers_of_single_arrays(change, files, tmp_path, count):
    rng = np.random.default_rng(3)
    attack(
        read_arrays, DataError, tmp_path / "x.npy", (change(files["npy"], rng) for _ in iter(int, 1)), count
    )


def test_empty_axes_beyond_every_array(tmp_path):
    """safetensors has no bound of them, NumPy has."""
    for shape in ([0, 2**63 - 1], [2**63 - 1, 0], [2**40, 0, 2**40], [0] * 33, [0, 2**61]):
        entry = {"dtype": "F64", "shape": shape, "data_offsets": [0, 0]}
        meta = {
            "portnn": "{}",
            "portnn.tensors": json.dumps({"w": sha256(b"").hexdigest()}),
            "portnn.sha256": "0" * 64,
        }
        text = json.dumps({"__metadata__": meta, "w": entry}, separators=(",", ":")).encode()
        raw = struct.pack("<Q", len(text)) + text
        zeros = b'"portnn.sha256":"' + b"0" * 64
        (tmp_path / "x").write_bytes(raw.replace(zeros, zeros[:-64] + sha256(raw).hexdigest().encode()))
        for read in (load_tensors, verify, Network.load):
            with pytest.raises(
                CheckpointError, match=r"tensor 'w' has (a shape that no array can have|no place)"
            ):
                read(tmp_path / "x")
