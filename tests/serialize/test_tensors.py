"""Trees of arrays in files, without a network."""

from __future__ import annotations

import json
import os
import struct

import numpy as np
import pytest

from portnn import tree
from portnn.serialize import CheckpointError, fill, load_tensors, save_tensors


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "uint8", "bool"])
def test_trees_of_any_dtype_and_layout(tmp_path, dtype):
    whole = np.arange(24).reshape(4, 6).astype(dtype)
    t = {"a": [whole[::2, ::-1], whole.T], "b": (np.asarray(whole[1, 2]), whole[:0]), "none": None}
    save_tensors(tmp_path / "t", t, {"n": 1, "list": [None, "x", 0.5]})
    arrays, description = load_tensors(tmp_path / "t")
    assert description == {"n": 1, "list": [None, "x", 0.5]}
    assert list(arrays) == sorted(arrays) == ["a.0", "a.1", "b.0", "b.1"]
    found = fill(t, arrays, "t")
    assert tree.structure(found) == tree.structure(t)
    for x, y in zip(tree.leaves(found), tree.leaves(t), strict=True):
        assert (x.dtype, x.shape) == (y.dtype, y.shape)
        assert (x == y).all()


def test_a_description_that_is_no_plain_data_writes_nothing(tmp_path):
    for description, kind in (({"f": max}, TypeError), ({"x": float("nan")}, ValueError)):
        with pytest.raises(kind, match="JSON"):
            save_tensors(tmp_path / "t", {"w": np.ones(2)}, description)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / "t").mkdir()
    with pytest.raises(OSError, match=r"directory|folder|denied"):
        save_tensors(tmp_path / "t", {"w": np.ones(2)}, {})
    assert [p.name for p in tmp_path.iterdir()] == ["t"]


WRONG = {
    "missing": ({"a": np.ones(2)}, "f lacks tensor 'b'; expected 2 tensors, got 1"),
    "unknown": ({"a": np.ones(2), "b": np.ones(2), "c": np.ones(1)}, "f has the unknown tensor 'c'"),
    "shape": ({"a": np.ones(2), "b": np.ones(3)}, r"tensor 'b' has shape \(3,\) .*; expected \(2,\)"),
    "dtype": ({"a": np.ones(2), "b": np.ones(2, "f4")}, "dtype float32; .* float64"),
    "infinite": ({"a": np.ones(2), "b": np.full(2, np.inf)}, "'b' has values that are not finite"),
}


@pytest.mark.parametrize(("arrays", "text"), WRONG.values(), ids=WRONG.keys())
def test_tensors_that_do_not_fit(arrays, text):
    with pytest.raises(CheckpointError, match=text) as caught:
        fill({"a": np.zeros(2), "b": np.zeros(2)}, arrays, "f")
    assert len(str(caught.value)) < 300


@pytest.mark.skipif(os.name == "nt", reason="making links on Windows needs a privilege")
def test_a_link_is_written_through(tmp_path):
    target, link = tmp_path / "real.safetensors", tmp_path / "link.safetensors"
    save_tensors(target, {"w": np.zeros(2)}, {})
    link.symlink_to(target)
    save_tensors(link, {"w": np.ones(2)}, {})
    assert link.is_symlink()
    assert load_tensors(target)[0]["w"].tolist() == [1.0, 1.0]


@pytest.mark.parametrize("shape", [[10**1000], [2**62, 2**62] * 16, [2**63]])
def test_sizes_beyond_every_file_are_refused_in_few_words(shape, tmp_path):
    save_tensors(tmp_path / "t", {"w": np.ones(2, dtype="float32")}, {})
    raw = (tmp_path / "t").read_bytes()
    header = json.loads(raw[8:-8])
    header["w"]["shape"] = shape
    del header["__metadata__"]["portnn.sha256"], header["__metadata__"]["portnn.tensors"]
    text = json.dumps(header).encode()
    (tmp_path / "t").write_bytes(struct.pack("<Q", len(text)) + text + raw[-8:])
    with pytest.raises(CheckpointError, match="tensor 'w'") as caught:
        load_tensors(tmp_path / "t")
    assert len(str(caught.value).replace(str(tmp_path), "")) < 300
