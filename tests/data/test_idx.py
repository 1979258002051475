"""read_idx: round trips, packings, and what it says of malformed files."""

import gzip
import os
import re
import struct
import tracemalloc
import zipfile
from pathlib import Path
from threading import Thread
from time import sleep

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from portnn.data import DataError, _files, read_idx, read_mnist_csv, read_table


def idx_bytes(array):
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


THREE = idx_bytes(np.asarray([1, 2, 3], dtype=np.uint8))


@settings(deadline=None)
@given(array=arrays(np.uint8, array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=6)))
def test_any_small_array_is_read_back(tmp_path_factory, array):
    file = tmp_path_factory.getbasetemp() / "any-idx-ubyte"
    file.write_bytes(idx_bytes(array))
    result = read_idx(file)
    assert result.dtype == np.uint8
    assert result.shape == array.shape
    np.testing.assert_array_equal(result, array)


@pytest.mark.parametrize(
    ("code", "dtype"),
    [(0x08, "u1"), (0x09, "i1"), (0x0B, "i2"), (0x0C, "i4"), (0x0D, "f4"), (0x0E, "f8")],
)
def test_every_type_is_big_endian(tmp_path, code, dtype):
    values = np.asarray([[1, 2, 100], [-3, 7, -128]]).astype(dtype)
    file = tmp_path / "qmnist-idx2-int.gz"
    header = bytes([0, 0, code, 2]) + struct.pack(">2I", 2, 3)
    file.write_bytes(gzip.compress(header + values.astype(f">{dtype}").tobytes()))
    result = read_idx(file)
    assert result.dtype == np.dtype(dtype)
    assert result.dtype.isnative
    np.testing.assert_array_equal(result, values)
    result[0, 0] = 9
    assert read_idx(file)[0, 0] == 1


def test_header_is_big_endian_and_order_is_c(tmp_path):
    array = np.arange(258 * 2, dtype=np.int64).astype(np.uint8).reshape(258, 2)
    file = tmp_path / "x"
    file.write_bytes(b"\x00\x00\x08\x02" + b"\x00\x00\x01\x02" + b"\x00\x00\x00\x02" + array.tobytes())
    np.testing.assert_array_equal(read_idx(str(file)), array)


def test_result_is_a_writable_array_of_its_own(tmp_path):
    file = tmp_path / "x"
    file.write_bytes(THREE)
    first = read_idx(file)
    first[0] = 9
    assert read_idx(file).tolist() == [1, 2, 3]


@pytest.mark.parametrize("name", ["x-idx1-ubyte", "x-idx1-ubyte.gz"])
def test_packing_is_found_from_the_content(tmp_path, name):
    file = tmp_path / name
    for content in (THREE, gzip.compress(THREE)):
        file.write_bytes(content)
        assert read_idx(file).tolist() == [1, 2, 3]
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("folder/x-idx1-ubyte", THREE)
    assert read_idx(file).tolist() == [1, 2, 3]


MALFORMED = {
    "empty": (b"", "is empty"),
    "empty gzip": (gzip.compress(b""), "is empty"),
    "text": (b"label,1x1\n", "wrong magic number 0x6c616265"),
    "magic cut short": (b"\x00\x00\x08", "wrong magic number 0x000008"),
    "little-endian magic": (b"\x01\x08\x00\x00" + bytes(8), "wrong magic number 0x01080000"),
    "no zeros in front": (b"\x01\x00\x08\x01" + bytes(4), "wrong magic number 0x01000801, expected an IDX"),
    "no type": (
        b"\x00\x00\x0a\x01" + bytes(8),
        "wrong magic number 0x00000a01.*must be one of 08, 09, 0b, 0c",
    ),
    "doubles cut short": (
        b"\x00\x00\x0e\x01\x00\x00\x00\x02" + bytes(15),
        "promises 2 values, the file holds 1",
    ),
    "a byte more than doubles": (
        b"\x00\x00\x0e\x01\x00\x00\x00\x01" + bytes(9),
        "more bytes follow the 1 val",
    ),
    "too many axes": (b"\x00\x00\x08\xff" + bytes(4 * 255), "claims 255 axes, at most 64"),
    "header cut short": (b"\x00\x00\x08\x03" + bytes(11), "truncated inside the header, expected 16 bytes"),
    "values cut short": (THREE[:-1], "truncated: the header promises 3 values, the file holds 2"),
    "gzip of values cut short": (gzip.compress(THREE[:-2]), "promises 3 values, the file holds 1"),
    "trailing byte": (THREE + b"\x00", "more bytes follow the 3 values"),
    "two files in one": (THREE + THREE, "more bytes follow the 3 values"),
    "overflowing shape": (b"\x00\x00\x08\x03" + b"\xff" * 12, "2\\*\\*63 values or more"),
    "overflowing shape of nothing": (
        b"\x00\x00\x08\x04" + bytes(4) + b"\xff" * 12,
        "2\\*\\*63 values or more",
    ),
    "gzip cut short": (gzip.compress(THREE)[:-9], "damaged gzip file"),
    "gzip with a wrong checksum": (gzip.compress(THREE)[:-8] + bytes(8), "damaged gzip file"),
    "gzip header only": (b"\x1f\x8b\x08", "damaged gzip file"),
    "gzip with garbage inside": (gzip.compress(THREE)[:10] + b"\xff" * 30, "damaged gzip file"),
    "zip without a directory": (b"PK\x03\x04" + bytes(40), "damaged zip file"),
}


@pytest.mark.parametrize(("content", "message"), MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_files_are_named_and_explained(tmp_path, content, message):
    file = tmp_path / "bad-idx1-ubyte"
    file.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_idx(file)
    text = str(caught.value)
    assert re.search(message, text), text
    assert "bad-idx1-ubyte: " in text
    assert len(text) < 300


def zip_of(members, method=zipfile.ZIP_DEFLATED):
    def write(file):
        with zipfile.ZipFile(file, "w", method) as archive:
            for name in members:
                archive.writestr(name, THREE)

    return write


def encrypted_zip(file):
    zip_of(["x"])(file)
    data = bytearray(file.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # the flags in the central directory
    file.write_bytes(data)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (zip_of([]), "holds 0 files, expected exactly one"),
        (zip_of(["a", "b"]), "holds 2 files, expected exactly one"),
        (zip_of(["a"], zipfile.ZIP_LZMA), "method other than deflate"),
        (encrypted_zip, "is encrypted"),
    ],
)
def test_zip_archives_that_cannot_be_read(tmp_path, write, message):
    file = tmp_path / "x.zip"
    write(file)
    with pytest.raises(DataError, match=message):
        read_idx(file)


def test_zip_made_on_macos_is_read(tmp_path):
    file = tmp_path / "x.zip"
    zip_of(["digits/", "digits/x", "__MACOSX/digits/._x"])(file)
    assert read_idx(file).tolist() == [1, 2, 3]


@settings(deadline=None, max_examples=200)
@given(data=st.data(), packing=st.sampled_from(["gzip", "zip"]))
def test_one_damaged_byte_is_an_error_or_harmless(tmp_path_factory, data, packing):
    file = tmp_path_factory.getbasetemp() / f"damaged-{packing}"
    if packing == "gzip":
        file.write_bytes(gzip.compress(THREE, mtime=0))
    else:
        zip_of(["x"])(file)
    content = bytearray(file.read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= data.draw(st.integers(1, 255))
    file.write_bytes(content)
    try:
        outcome = read_idx(file).tolist()
    except DataError as error:
        outcome = str(error)
    assert outcome == [1, 2, 3] or f"damaged-{packing}: " in outcome


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_header_that_claims_too_much_takes_no_memory(tmp_path, pack):
    file = tmp_path / "huge"
    file.write_bytes(pack(b"\x00\x00\x08\x03" + struct.pack(">3I", 2**31, 28, 28) + bytes(1000)))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=f"promises {2**31 * 784} values, the file holds 1000"):
            read_idx(file)
        assert tracemalloc.get_traced_memory()[1] < 2**23
    finally:
        tracemalloc.stop()


def test_what_is_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent: no such file"):
        read_idx(tmp_path / "absent")
    with pytest.raises(IsADirectoryError, match="is a folder, expected a file"):
        read_idx(tmp_path)
    with pytest.raises(TypeError, match="file must be a str or a path, got int"):
        read_idx(3)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are of POSIX")
@pytest.mark.parametrize("read", [read_idx, read_mnist_csv, read_table])
def test_a_pipe_that_nobody_writes_to_is_an_error(tmp_path, read, monkeypatch):
    monkeypatch.setattr(_files, "_PATIENCE", 0.05)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(
        DataError, match=r"pipe: nothing came through this pipe; write the data to a file, and"
    ):
        read(tmp_path / "pipe")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are of POSIX")
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_pipes_are_read(tmp_path, pack):
    os.mkfifo(tmp_path / "pipe")
    content = pack(idx_bytes(np.arange(200_000).astype(np.uint8)))

    def write():
        sleep(0.1)
        with (tmp_path / "pipe").open("wb") as pipe:
            pipe.write(content[:10])
            pipe.flush()
            sleep(0.1)
            pipe.write(content[10:])

    writer = Thread(target=write)
    writer.start()
    result = read_idx(tmp_path / "pipe")
    writer.join()
    np.testing.assert_array_equal(result, np.arange(200_000).astype(np.uint8))
    end, start = os.pipe()
    os.write(start, THREE)
    os.close(start)
    assert read_idx(f"/dev/fd/{end}").tolist() == [1, 2, 3]
    os.close(end)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="devices are files on POSIX")
def test_what_has_no_end_is_refused(tmp_path, monkeypatch):
    for device in ("/dev/zero", "/dev/null"):
        with pytest.raises(
            DataError, match=f"{device}: is a terminal, a device or a socket, expected a file"
        ):
            read_idx(device)
    monkeypatch.setattr(_files, "_MOST_PIPED", 1000)
    end, start = os.pipe()
    os.write(start, bytes(2000))
    os.close(start)
    with pytest.raises(DataError, match="more than 4 GiB came through this pipe"):
        read_idx(f"/dev/fd/{end}")
    os.close(end)


@pytest.mark.parametrize("packing", ["gzip", "zip"])
def test_a_small_file_that_unpacks_to_a_huge_one_takes_no_memory(tmp_path, packing):
    content = b"\x00\x00\x08\x01" + struct.pack(">I", 2**27) + bytes(2**27)
    file = tmp_path / "bomb"
    if packing == "gzip":
        file.write_bytes(gzip.compress(content))
    else:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("x", content)
    del content
    tracemalloc.start()
    try:
        with pytest.raises(
            DataError, match="bomb: unpacks to over 64 MiB, 100 times its size or more; unpack it"
        ):
            read_idx(file)
        assert tracemalloc.get_traced_memory()[1] < 2**28
    finally:
        tracemalloc.stop()


def test_a_long_path_is_shortened_in_messages(tmp_path):
    folder = tmp_path / ("d" * 200)
    folder.mkdir()
    file = folder / "bad"
    file.write_bytes(b"")
    with pytest.raises(DataError) as caught:
        read_idx(file)
    assert str(caught.value).startswith("...")
    assert "/bad: the file is empty" in str(caught.value).replace("\\", "/")
    assert len(str(caught.value)) < 200
