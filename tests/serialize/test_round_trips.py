"""What can be written can be read, and is the same; what could not be read is not written, and named."""

# ruff: noqa: E501  # one row a line, so that it reads as a table

from __future__ import annotations

import io
import os
from dataclasses import replace
from zipfile import ZipFile

import numpy as np
import pytest
from safetensors import safe_open

from portnn import Network, tree
from portnn.nn import BatchNorm, Linear
from portnn.serialize import (
    CheckpointError,
    fill,
    load_npz,
    load_tensors,
    save_npz,
    save_tensors,
    verify,
    whole_file,
)

SAVES = {"safetensors": lambda path, t: save_tensors(path, t, {}), "npz": save_npz}
LOADS = {"safetensors": lambda path: load_tensors(path)[0], "npz": load_npz}
formats = pytest.mark.parametrize("kind", SAVES)


def collisions():
    one, two = np.ones(2), np.zeros(3)
    yield {"a.b": one, "a": {"b": two}}
    yield {"a": {"b": one}, "a.b": two}
    yield {"a": [one], "a.0": two}
    yield {"0.b": one, 0: {"b": two}}
    yield {1: one, "1": two}
    yield {"x": {"a.b": {"c": one}}, "x.a": {"b.c": two}}
    yield [{"": {"a": one}, ".a": two}]


@formats
@pytest.mark.parametrize("number", range(7))
def test_two_tensors_of_one_name_are_refused(kind, number, tmp_path):
    t = [*collisions()][number]
    with pytest.raises(ValueError, match=r"two tensors have the name '.*'; rename a key") as caught:
        SAVES[kind](tmp_path / "x", t)
    assert len(str(caught.value)) < 300
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="two tensors have the name"):
        fill(t, {}, "x")


NAMES = [
    "",
    ".",
    "a/b",
    "a/",
    "/a",
    "..",
    "a\\b",
    "A",
    "a",
    "ä",
    "\U0001f600",
    "a b",
    "C:",
    "a.npy",
    "\n",
    "x" * 60_000,
]


@formats
def test_strange_names_stay_as_they_are(kind, tmp_path):
    t = {name: np.full(2, float(i)) for i, name in enumerate(NAMES)}
    SAVES[kind](tmp_path / "x", t)
    found = LOADS[kind](tmp_path / "x")
    assert {name: float(a[0]) for name, a in found.items()} == {name: float(a[0]) for name, a in t.items()}


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "x" * 70_000], ids=["null", "surrogate", "long"])
def test_names_that_an_archive_cannot_hold_are_refused(name, tmp_path):
    with pytest.raises(
        ValueError, match=r"tensor '.*': a .npz file cannot hold this name; rename it"
    ) as caught:
        save_npz(tmp_path / "x", {name: np.ones(2)})
    assert len(str(caught.value)) < 300
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_no_text_is_refused(tmp_path):
    """JSON could write half of a character, and other readers of safetensors would not take the file."""
    with pytest.raises(ValueError, match=r"tensor 'a\\ud800': a file cannot hold this name; rename it"):
        save_tensors(tmp_path / "x", {"a\ud800": np.ones(2)}, {})
    assert list(tmp_path.iterdir()) == []


@formats
def test_tensors_without_numbers_are_named(kind, tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch is optional")
    for value, text in ((torch.ones(2, device="meta"), "'meta'"), (torch.eye(2).to_sparse(), "sparse")):
        with pytest.raises(TypeError, match=f"tensor 'w': .*{text}"):
            SAVES[kind](tmp_path / "x", {"w": value})


@pytest.mark.parametrize(
    "dtype", ["bfloat16", "float8_e5m2", "float8_e4m3fn", "int4", "uint4", "float4_e2m1fn"]
)
def test_dtypes_of_other_packages_are_not_written_to_npz(dtype, tmp_path):
    dtypes = pytest.importorskip("ml_dtypes", reason="ml_dtypes comes with ONNX or JAX")
    with pytest.raises(TypeError, match=f"tensor 'w': .*{dtype}"):
        save_npz(tmp_path / "x", {"w": np.zeros(2, getattr(dtypes, dtype))})
    assert list(tmp_path.iterdir()) == []


def test_the_name_of_the_description_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'__metadata__' is that of the description"):
        save_tensors(tmp_path / "x", {"__metadata__": np.ones(2)}, {})


STORED = {
    "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool"
}  # fmt: skip
DTYPES = [
    *STORED, "complex64", "complex128", "longdouble", "clongdouble", ">f4", ">i8", ">f2", "S3", "U3", "M8[s]", "m8[s]", "V8",
    "f4,i4", "O",
]  # fmt: skip


@formats
@pytest.mark.parametrize("dtype", sorted(DTYPES))
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (0, 5)])
def test_every_dtype_comes_back_or_is_refused_by_name(kind, dtype, shape, tmp_path):
    whole = np.zeros(shape, dtype=dtype) if dtype in ("V8", "f4,i4") else np.ones(shape).astype(dtype)
    written = dtype in STORED or dtype[0] == ">" or (kind == "npz" and whole.dtype.kind in "fc")
    if not written:
        with pytest.raises(TypeError, match=r"tensor 'a\.weight': ") as caught:
            SAVES[kind](tmp_path / "x", {"a": {"weight": whole}})
        assert len(str(caught.value)) < 300
        assert list(tmp_path.iterdir()) == []
        return
    SAVES[kind](tmp_path / "x", {"a": {"weight": whole}})
    [(name, found)] = LOADS[kind](tmp_path / "x").items()
    assert name == "a.weight"
    assert found.shape == shape
    assert found.dtype.name == whole.dtype.name
    np.testing.assert_array_equal(found, whole)


@formats
@pytest.mark.parametrize("dtype", ["bool", "int32", "float32", "float64", "uint8"])
def test_arrays_of_every_backend(kind, dtype, backend, tmp_path):
    if dtype == "float64" and not backend.has_float64:
        pytest.skip("needs float64")
    whole = np.arange(6).reshape(2, 3).astype(dtype)
    t = {"a": [backend.asarray(whole)], "b": backend.asarray(whole[:0])}
    SAVES[kind](tmp_path / "x", t)
    found = LOADS[kind](tmp_path / "x")
    np.testing.assert_array_equal(found["a.0"], whole)
    assert found["a.0"].dtype == whole.dtype
    assert tree.structure(fill(t, found, "x")) == tree.structure(t)


def halves(name):
    """bfloat16 arrays of a library from float32 ones."""
    if name == "torch":
        torch = pytest.importorskip("torch", reason="PyTorch is optional")
        return lambda a: torch.from_numpy(a).to(torch.bfloat16)
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="ml_dtypes comes with ONNX or JAX")

    def convert(a):
        return (a.view(np.uint32) >> 16).astype(np.uint16).view(ml_dtypes.bfloat16)

    if name == "numpy":
        return convert
    jnp = pytest.importorskip("jax.numpy", reason="JAX is optional")
    return lambda a: jnp.asarray(convert(a))


def upper_halves():
    """Every bfloat16, as the float32 that has its bits: NaN and infinities are among them."""
    return (np.arange(2**16, dtype=np.uint32) << 16).view(np.float32)


@pytest.mark.parametrize("library", ["numpy", "torch", "jax"])
def test_every_bfloat16_is_written_as_such_and_read_exactly(library, tmp_path):
    path, every = tmp_path / "x", upper_halves()
    t = {
        "w": halves(library)(every.reshape(256, 256)),
        "b": halves(library)(np.float32([1.5])),
        "c": np.ones(3),
    }
    save_tensors(path, t, {"n": 1})
    assert verify(path) == {"n": 1}
    with safe_open(path, "numpy") as file:  # what others read
        assert file.get_slice("w").get_dtype() == "BF16"
    arrays, _ = load_tensors(path)
    assert arrays["w"].dtype == np.float32
    np.testing.assert_array_equal(arrays["w"].ravel(), every)  # NaN is NaN
    assert arrays["b"].tolist() == [1.5]
    del t["w"], arrays["w"]  # which has NaN
    assert fill(t, arrays, "x")["b"].dtype == np.float32


def test_pytorch_reads_the_bfloat16(tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch is optional")
    from safetensors.torch import load_file

    values = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    save_tensors(tmp_path / "x", {"w": values.T}, {})
    assert torch.equal(load_file(tmp_path / "x")["w"], values.T)


@pytest.mark.parametrize("library", ["numpy", "torch", "jax"])
def test_npz_refuses_bfloat16_by_name(library, tmp_path):
    with pytest.raises(TypeError, match=r"tensor '0.weight': .npz has no bfloat16; use save_tensors"):
        save_npz(tmp_path / "x", ({"weight": halves(library)(np.ones(2, np.float32))},))
    assert list(tmp_path.iterdir()) == []


def test_a_tensor_that_cannot_leave_its_library_is_named(tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch is optional")
    for save in SAVES.values():
        with pytest.raises(ValueError, match=r"tensor 'w': .*requires grad"):
            save(tmp_path / "x", {"w": torch.ones(2, requires_grad=True)})
        with pytest.raises(TypeError, match=r"tensor 'w': .*masked array"):
            save(tmp_path / "x", {"w": np.ma.masked_array([1.0])})
        with pytest.raises(TypeError, match=r"tensor 'w': .*float8"):
            save(tmp_path / "x", {"w": torch.ones(2).to(torch.float8_e4m3fn)})


def test_tensors_begin_at_multiples_of_eight(tmp_path):
    """So that a reader that maps the file can use its numbers where they are."""
    for length in range(17):
        save_tensors(tmp_path / "x", {"a": np.ones(3), "b": np.ones(3, np.int8)}, {"n": "x" * length})
        raw = (tmp_path / "x").read_bytes()
        header = int.from_bytes(raw[:8], "little")
        assert header % 8 == 0
        assert raw[8 + header :][:24] == np.ones(3).tobytes()
        assert load_tensors(tmp_path / "x")[1] == {"n": "x" * length}


DESCRIPTIONS = {
    "numbers as keys": ({"classes": {1: "a"}}, TypeError, "keys must be text, as in JSON, got int 1"),
    "keys that become equal": ({"x": [{1: "a", "1": "b"}]}, TypeError, "keys must be text"),
    "none as a key": ({None: 1}, TypeError, "keys must be text, as in JSON, got NoneType None"),
    "no dict": ([1], TypeError, "the description must be a dict, got list"),
    "infinity": ({"x": [float("inf")]}, ValueError, "JSON"),
    "bytes": ({"x": b"a"}, TypeError, "JSON"),
    "keys in lists": ({"x": [[{2.5: 1}]]}, TypeError, "got float 2.5"),
}  # fmt: skip


@pytest.mark.parametrize(("description", "kind", "text"), DESCRIPTIONS.values(), ids=DESCRIPTIONS)
def test_descriptions_that_would_not_come_back(description, kind, text, tmp_path):
    with pytest.raises(kind, match=text):
        save_tensors(tmp_path / "x", {"w": np.ones(2)}, description)
    assert list(tmp_path.iterdir()) == []


def spoilt():
    """Networks whose arrays or fields were changed behind their back."""

    def change(what):
        net = Network([Linear(4, 3), BatchNorm(3)])
        what(net)
        return net

    def put(net, name, a):
        net.params[0][name] = a

    yield "weight' has shape", change(lambda net: put(net, "weight", np.ones((4, 5), np.float32)))
    yield "weight' has .*float64; expected .*float32", change(lambda net: put(net, "weight", np.ones((4, 3))))
    yield "dtype int64", change(lambda net: put(net, "bias", np.ones(3, int)))
    yield (
        "has the unknown tensor 'params.0.gain'",
        change(lambda net: put(net, "gain", np.ones(3, np.float32))),
    )
    yield "lacks tensor 'params.0.bias'", change(lambda net: net.params[0].pop("bias"))
    yield "'params.0.bias' has values that are not", change(lambda net: net.params[0]["bias"].fill(np.nan))
    yield "'state.1.var' has values that are not", change(lambda net: net.state[1]["var"].fill(np.inf))
    yield "lacks a valid 'notes'", change(lambda net: setattr(net, "notes", [1]))
    yield (
        "dtype must be",
        change(lambda net: setattr(net, "net_state", replace(net.net_state, dtype="float16"))),
    )
    yield "nested deeper", change(lambda net: setattr(net, "notes", {"y": deep(301)}))


def deep(n):
    made: list = []
    for _ in range(n):
        made = [made]
    return made


@pytest.mark.parametrize("number", range(10))
def test_save_refuses_what_load_would(number, tmp_path):
    text, net = [*spoilt()][number]
    (tmp_path / "x").write_bytes(b"before")
    with pytest.raises(ValueError, match=f"cannot save.*{text}") as caught:
        net.save(tmp_path / "x")
    assert len(str(caught.value).replace(str(tmp_path), "")) < 300
    assert not isinstance(caught.value, CheckpointError), "nothing is wrong with a file"
    assert (tmp_path / "x").read_bytes() == b"before"


def test_all_is_in_the_file_when_it_is_synced(tmp_path, monkeypatch):
    """A file that is synced before Python's buffer is flushed is empty after a power cut."""
    sizes, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (sizes.append(os.fstat(handle).st_size), fsync(handle)))
    with whole_file(tmp_path / "x") as file:
        file.write(b"123")
    assert sizes[0] == 3
    for save in SAVES.values():
        sizes.clear()
        save(tmp_path / "x", {"w": np.ones(3)})
        assert sizes[0] == (tmp_path / "x").stat().st_size


def npy(head):
    raw = head.encode("latin1")
    raw += b" " * (-(len(raw) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(raw).to_bytes(2, "little") + raw


HEADS = [
    "{'descr': (\n", "{'descr': '<f8', 'fortran_order': False, 'shape': (True,)}", "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}",
    "{'descr': " + "(" * 900 + ")" * 900 + ", 'fortran_order': False, 'shape': ()}",
    "{'descr': " + "(" * 3000 + "'<f8'" + ",)" * 3000 + ", 'fortran_order': False, 'shape': ()}",
    "{'descr': [('a', " * 30 + "'<f8'" + ")]" * 30 + ", 'fortran_order': False, 'shape': ()}",
    "{'descr': [], 'fortran_order': False, 'shape': ()}", "{'descr': ['<f8'], 'fortran_order': False, 'shape': ()}",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (1.0,)}", "{'descr': '<f8', 'fortran_order': 2, 'shape': (1,)}",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (9223372036854775807, 0)}",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999,)}",
    "{'descr': '<f8', 'fortran_order': False, 'shape': " + "(" + "1," * 70 + ")}",
    "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", "{'descr': '<f3', 'fortran_order': False, 'shape': (1,)}",
    "{'descr': '<f8,<f8', 'fortran_order': False, 'shape': (1,)}", "-" * 3000 + "1", "[" * 200, "'\\x", "{**1}", "lambda: 1", "\x00", "",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (1,), 'x': 1}", "{'descr': ((((1,),),),), 'fortran_order': False, 'shape': (1,)}",
    "{'descr': (('<f8', (1,)), (1,)), 'fortran_order': False, 'shape': (1,)}", "{[]: 1}", "{{}}", "{'a'}", "((((1,),),),)",
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(HEADS)))
def test_crafted_headers_of_arrays_have_one_error(number, tmp_path):
    path = tmp_path / "x.npz"
    with ZipFile(path, "w") as archive:
        archive.writestr("a.npy", npy(HEADS[number]) + bytes(8))
    for like in (None, {"a": np.ones(1)}):
        with pytest.raises(CheckpointError, match=r"x\.npz") as caught:
            load_npz(path, like)
        assert len(str(caught.value).replace(str(path), "")) < 300


def test_flags_of_archives_have_one_error(tmp_path):
    path, buffer = tmp_path / "x.npz", io.BytesIO()
    np.savez(buffer, a=np.ones(2))
    raw = buffer.getvalue()
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        for bit in range(16):
            for method in (None, 1, 6, 12, 14, 93, 99):
                changed = bytearray(raw)
                place = raw.index(signature) + offset
                changed[place + bit // 8] ^= 1 << bit % 8
                if method is not None:
                    changed[place + 2] = method
                path.write_bytes(changed)
                try:
                    found = load_npz(path)
                except CheckpointError:
                    continue
                assert found["a"].tolist() == [1.0, 1.0]
