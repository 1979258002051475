"""Files of networks that are damaged, foreign, or not what they say."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from safetensors.numpy import load_file, save

from portnn import CheckpointError, Network
from portnn.serialize import save_tensors
from tests.network.written import header


def rewrite(path, **changes):
    """Change the description of a file, and leave the tensors; the digests are right."""
    description = json.loads(header(path)["__metadata__"]["portnn"])
    changed = {k: v for k, v in {**description, **changes}.items() if v is not ...}
    save_tensors(path, load_file(path), changed)


CHANGES = {
    "format": ({"format": 4}, "the file has format 4, this portnn reads 1 to 3; update portnn"),
    "format 0": ({"format": 0}, "the file has format 0, this portnn reads 1 to 3; update portnn"),
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
    "many steps": ({"steps": 2**32}, r"steps=4294967296; expected less than 2\^32"),
    "huge epochs": ({"epochs": 10**4000}, r"epochs=a huge number; expected less than 2\^32"),
    "layers": ({"layers": []}, "lacks a valid 'layers'"),
    "unknown layer": ({"layers": {"is": "Conv9"}}, "expected the name of a layer .* got 'Conv9'"),
    "unknown loss": ({"loss": {"name": "eval", "options": {}}}, "'eval' is not a loss"),
    "no loss at all": ({"loss": {"name": "Task", "options": {}}}, "'Task' is not a loss"),
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


def test_a_new_file_without_its_digests_is_refused(saved):
    saved.write_bytes(save(load_file(saved), metadata={"portnn": header(saved)["__metadata__"]["portnn"]}))
    with pytest.raises(CheckpointError, match="files of this format have digests, and it has none"):
        Network.load(saved)
