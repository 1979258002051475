"""One thing wrong in a file whose digests are right: the error says which; what is barely right is read."""

from __future__ import annotations

import json
import struct
from hashlib import sha256

import numpy as np
import pytest

from portnn import CheckpointError
from portnn.serialize import load_tensors, save_tensors, verify

ARRAYS = {"a": np.arange(6.0).reshape(2, 3), "b": np.asarray([True, False, True])}
ROOM = 48 + 3  # bytes of both
MARK = b"0" * 64


def digests(parts):
    return {name: sha256(part).hexdigest() for name, part in parts.items()}


def write(path, *, entries=None, metadata=None, body=None, text=None):
    """A file with the given parts of the header in the place of the right ones, and right digests."""
    parts = {name: array.tobytes() for name, array in ARRAYS.items()}
    body = b"".join(parts.values()) if body is None else body
    names = entries if entries is not None else {}
    given = {
        "a": {"dtype": "F64", "shape": [2, 3], "data_offsets": [0, 48]},
        "b": {"dtype": "BOOL", "shape": [3], "data_offsets": [48, 51]},
    } | names
    cut = {"a": body[:48], "b": body[48:51]} | {name: b"" for name in given if name not in parts}
    about = {
        "portnn": json.dumps({"version": 1}),
        "portnn.tensors": json.dumps(digests(cut)),
        "portnn.sha256": MARK.decode(),
    } | (metadata or {})
    head = json.dumps(
        {"__metadata__": {k: v for k, v in about.items() if v is not None}, **given}, separators=(",", ":")
    )
    raw = (text(head) if text else head).encode()
    raw = struct.pack("<Q", len(raw)) + raw
    path.write_bytes(raw.replace(MARK, sha256(raw).hexdigest().encode()) + body)
    return path


def entry(**changes):
    return {"entries": {"a": {"dtype": "F64", "shape": [2, 3], "data_offsets": [0, 48]} | changes}}


BOTH = ARRAYS["a"].tobytes() + ARRAYS["b"].tobytes()
EMPTY = json.dumps(digests({"a": BOTH[:48], "b": BOTH[48:]} | {"c": b""}))
DEEP = json.dumps({"x": json.loads("[" * 500 + "]" * 500)})
WRONG = {
    "booleans": ({"body": BOTH[:-1] + b"\x02"}, "tensor 'b' has booleans that are neither 0 nor 1"),
    "digest of no tensor": ({"metadata": {"portnn.tensors": EMPTY}}, "digest for each tensor, got 3"),
    "digest of other bytes": (
        {"metadata": {"portnn.tensors": json.dumps(digests({"a": b"", "b": BOTH[48:]}))}},
        "tensor 'a'",
    ),
    "digest that is no text": ({"metadata": {"portnn.tensors": '{"a":1,"b":""}'}}, "tensor 'a' is no text"),
    "no digests": ({"metadata": {"portnn.tensors": None}}, "a digest for each tensor, got 0"),
    "no digest of the whole": ({"metadata": {"portnn.sha256": None}}, "SHA-256 of the whole once"),
    "short digest of the whole": ({"metadata": {"portnn.sha256": "0" * 63}}, "SHA-256 of the whole once"),
    "wrong digest of the whole": ({"metadata": {"portnn.sha256": "1" * 64}}, "its header has the SHA-256"),
    "more metadata": ({"metadata": {"x": "y"}}, "the unknown 'x'"),
    "no description": ({"metadata": {"portnn": None}}, "no entry 'portnn'"),
    "description, no JSON": ({"metadata": {"portnn": "{"}}, "description in the header is damaged"),
    "description, a number": ({"metadata": {"portnn": 5}}, "description in the header is damaged"),
    "description, a list": ({"metadata": {"portnn": "[]"}}, "is not an object"),
    "description, NaN": ({"metadata": {"portnn": '{"x": NaN}'}}, "NaN is no number of JSON"),
    "description, twice": ({"metadata": {"portnn": '{"x": 1, "x": 2}'}}, "a name stands there twice"),
    "description, deep": ({"metadata": {"portnn": DEEP}}, "is nested deeper than"),
    "header, infinity": (entry(shape=[float("inf")]), "Infinity is no number of JSON"),
    "header, twice": ({"text": lambda s: s.replace('"b":{', '"a":{')}, "a name stands there twice"),
    "header, no JSON": ({"text": lambda s: s[:-1]}, "its header is no JSON"),
    "header, a list": ({"text": lambda s: f"[{s}]"}, "not written by portnn"),
    "entry, a list": ({"entries": {"a": [1, 2, 3]}}, "tensor 'a' has no place, dtype and shape"),
    "entry, too much": (entry(more=1), "tensor 'a' has no place, dtype and shape"),
    "dtype, a number": (entry(dtype=1), "tensor 'a' has no place, dtype and shape"),
    "dtype, unknown": (entry(dtype="F7"), "dtype 'F7'"),
    "shape, a number": (entry(shape=6), "tensor 'a' has no place, dtype and shape"),
    "shape, a flag": (entry(shape=[True, 6]), "tensor 'a' has no place, dtype and shape"),
    "shape, negative": (entry(shape=[-2, -3]), "tensor 'a' has no place, dtype and shape"),
    "shape, many axes": (entry(shape=[2, 3] + [1] * 31), "tensor 'a' has no place, dtype and shape"),
    "shape, another size": (entry(shape=[2, 2]), "tensor 'a' of 32 bytes should lie at 0"),
    "shape, without elements": (entry(shape=[0, 2**62]), "a shape that no array can have"),
    "place, three numbers": (entry(data_offsets=[0, 48, 51]), "tensor 'a' has no place, dtype and shape"),
    "place, one number": (entry(data_offsets=[0]), "tensor 'a' has no place, dtype and shape"),
    "place, a gap": (entry(data_offsets=[1, 49]), "tensor 'a' of 48 bytes should lie at 0"),
    "place, over another": (
        {"entries": {"b": {"dtype": "BOOL", "shape": [3], "data_offsets": [47, 50]}}},
        "tensor 'b' of 3 bytes should lie at 48",
    ),
    "end, missing": ({"body": BOTH[:-1]}, "is not whole: expected"),
    "end, more": ({"body": BOTH + b"\x00"}, "is not whole: expected"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_one_thing_that_is_wrong(name, tmp_path):
    parts, text = WRONG[name]
    path = write(tmp_path / "x", **parts)
    for read in (load_tensors, verify):
        with pytest.raises(CheckpointError, match=text):
            read(path)


def test_nothing_wrong(tmp_path):
    arrays, description = load_tensors(write(tmp_path / "x"))
    assert description == {"version": 1}
    for name, wanted in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], wanted)
    assert verify(tmp_path / "x") == {"version": 1}


def test_barely_right(tmp_path):
    """An array without elements, one with 32 axes, one without any axis."""
    more = {
        "c": {"dtype": "I8", "shape": [0, 5], "data_offsets": [48, 48]},
        "d": {"dtype": "F16", "shape": [1] * 31 + [0], "data_offsets": [51, 51]},
    }
    arrays, _ = load_tensors(write(tmp_path / "x", entries=more))
    assert arrays["c"].shape == (0, 5)
    assert arrays["c"].dtype == np.int8
    assert arrays["d"].shape == (1,) * 31 + (0,)
    save_tensors(tmp_path / "y", {"x": np.asarray(2.0)}, {})
    assert load_tensors(tmp_path / "y")[0]["x"].shape == ()


def test_a_file_without_digests_is_read_and_cannot_be_verified(tmp_path):
    path = write(tmp_path / "x", metadata={"portnn.tensors": None, "portnn.sha256": None})
    arrays, description = load_tensors(path)
    np.testing.assert_array_equal(arrays["a"], ARRAYS["a"])
    assert description == {"version": 1}
    with pytest.raises(
        CheckpointError, match="has no digests, it was written by an old portnn; save it again"
    ):
        verify(path)


@pytest.mark.parametrize("size", [0, 7, 8, 9])
def test_a_file_of_a_few_bytes(size, tmp_path):
    (tmp_path / "x").write_bytes((struct.pack("<Q", 2) + b"{}")[:size])
    with pytest.raises(CheckpointError, match=f"its {size} bytes do not begin with a header"):
        load_tensors(tmp_path / "x")


def test_a_header_that_is_too_short_for_one(tmp_path):
    for length, text in ((1, b"1"), (2, b"{}")):
        (tmp_path / "x").write_bytes(struct.pack("<Q", length) + text)
        wanted = "do not begin with a header" if length == 1 else "not written by portnn"
        with pytest.raises(CheckpointError, match=wanted):
            load_tensors(tmp_path / "x")
