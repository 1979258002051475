"""load_mnist: the real files, every form a folder may have, and folders that will not do."""

import gzip
import hashlib
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest

import portnn.data
from portnn.data import DataError, load_mnist
from tests.benchmarks import bench_csv

MNIST = Path(__file__).parents[2] / "examples" / "data" / "mnist"


def write_idx(file, array):
    array = np.asarray(array, dtype=np.uint8)
    content = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
    file.write_bytes(gzip.compress(content) if file.suffix == ".gz" else content)


IMAGES = np.arange(3 * 784, dtype=np.int64).astype(np.uint8).reshape(3, 28, 28)
LABELS = np.asarray([4, 0, 9], dtype=np.uint8)


def assert_is_small_set(pair):
    images, labels = pair
    assert images.dtype == labels.dtype == np.uint8
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(labels, LABELS)


def test_public_names():
    assert portnn.data.__all__ == sorted(portnn.data.__all__)
    assert all(hasattr(portnn.data, name) for name in portnn.data.__all__)


@pytest.mark.parametrize(
    ("split", "counts", "first"),
    [
        ("train", [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949], [5, 0, 4, 1, 9]),
        ("test", [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009], [7, 2, 1, 0, 4]),
    ],
)
def test_real_files(split, counts, first):
    images, labels = load_mnist(MNIST, split)
    assert images.dtype == labels.dtype == np.uint8
    assert images.shape == (sum(counts), 28, 28)
    assert labels.shape == (sum(counts),)
    assert np.bincount(labels).tolist() == counts
    assert labels[:5].tolist() == first
    assert (images.min(), images.max()) == (0, 255)
    assert round(float(images.mean()) / 255, 4) == {"train": 0.1307, "test": 0.1325}[split]


def test_checksums_in_the_note_of_origin_are_those_of_the_files():
    note = (MNIST / "README.md").read_text(encoding="utf-8")
    files = sorted(MNIST.glob("*.gz"))
    assert len(files) == 4
    for file in files:
        packed = file.read_bytes()
        unpacked = gzip.decompress(packed)
        for name, content in ((file.name, packed), (file.stem, unpacked)):
            assert f"| `{name}` | {len(content):,} | `{hashlib.sha256(content).hexdigest()}` |" in note
        assert hashlib.md5(unpacked, usedforsecurity=False).hexdigest() in note


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("joint", ["-", "."])
@pytest.mark.parametrize(("split", "prefix"), [("train", "train"), ("test", "t10k")])
def test_names_of_idx_files(tmp_path, split, prefix, joint, suffix):
    write_idx(tmp_path / f"{prefix}-images{joint}idx3-ubyte{suffix}", IMAGES)
    write_idx(tmp_path / f"{prefix}-labels{joint}idx1-ubyte{suffix}", LABELS)
    assert_is_small_set(load_mnist(str(tmp_path), split))
    with pytest.raises(FileNotFoundError, match=r"no (train|test) data"):
        load_mnist(tmp_path, "test" if split == "train" else "train")


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".csv.zip", ".zip"])
def test_names_of_csv_files(tmp_path, split, suffix):
    table = tmp_path / "table"
    bench_csv.write_csv(table, IMAGES, LABELS)
    file = tmp_path / f"mnist_{split}{suffix}"
    if suffix.endswith("zip"):
        inside = tmp_path / "inside"
        inside.mkdir()
        table.rename(inside / f"mnist_{split}.csv")
        shutil.make_archive(str(file.with_suffix("")), "zip", inside)
    else:
        content = table.read_bytes()
        file.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
    assert_is_small_set(load_mnist(tmp_path, split))


def test_a_complete_pair_of_idx_files_goes_before_a_csv(tmp_path):
    bench_csv.write_csv(tmp_path / "mnist_train.csv", IMAGES, LABELS)
    write_idx(tmp_path / "train-images-idx3-ubyte", IMAGES[:1])
    assert_is_small_set(load_mnist(tmp_path))
    write_idx(tmp_path / "train-labels-idx1-ubyte", LABELS[:1])
    images, labels = load_mnist(tmp_path)
    assert (images.shape, labels.tolist()) == ((1, 28, 28), [4])


def test_a_file_is_preferred_to_a_folder_of_the_same_name(tmp_path):
    (tmp_path / "train-images-idx3-ubyte").mkdir()
    write_idx(tmp_path / "train-labels-idx1-ubyte", LABELS)
    with pytest.raises(IsADirectoryError, match="train-images-idx3-ubyte: is a folder, expected a file"):
        load_mnist(tmp_path)
    write_idx(tmp_path / "train-images.idx3-ubyte", IMAGES)
    assert_is_small_set(load_mnist(tmp_path))


def test_a_csv_without_a_header(tmp_path):
    bench_csv.write_csv(tmp_path / "mnist_train.csv", IMAGES, LABELS)
    lines = (tmp_path / "mnist_train.csv").read_bytes().split(b"\n", 1)
    (tmp_path / "mnist_train.csv").write_bytes(lines[1])
    assert_is_small_set(load_mnist(tmp_path))


@pytest.mark.parametrize("dtype", [(0x09, ">i1"), (0x0B, ">i2"), (0x0C, ">i4")])
def test_labels_may_be_integers_of_any_size(tmp_path, dtype):
    def write_labels(values):
        content = bytes([0, 0, dtype[0], 1, 0, 0, 0, 3]) + np.asarray(values).astype(dtype[1]).tobytes()
        (tmp_path / "train-labels-idx1-ubyte").write_bytes(content)

    write_idx(tmp_path / "train-images-idx3-ubyte", IMAGES)
    write_labels(LABELS)
    assert_is_small_set(load_mnist(tmp_path))
    write_labels([4, -1, 9])
    with pytest.raises(DataError, match="train-labels-idx1-ubyte: label -1 at index 1 is below 0"):
        load_mnist(tmp_path)


@pytest.mark.parametrize("name", ["images-idx3", "labels-idx1"])
def test_fractions_are_neither_pixels_nor_labels(tmp_path, name):
    write_idx(tmp_path / "train-images-idx3-ubyte", IMAGES)
    write_idx(tmp_path / "train-labels-idx1-ubyte", LABELS)
    axes = (1, 28, 28) if name == "images-idx3" else (3,)
    content = bytes([0, 0, 0x0D, len(axes)]) + struct.pack(f">{len(axes)}I", *axes)
    (tmp_path / f"train-{name}-ubyte").write_bytes(content + bytes(4 * int(np.prod(axes))))
    with pytest.raises(DataError, match=f"train-{name}-ubyte: .* this file holds float32"):
        load_mnist(tmp_path)


BAD_PAIRS = {
    "fewer labels": (IMAGES, LABELS[:2], "train-images-idx3-ubyte: 3 images, but 2 labels in train-labels"),
    "label over nine": (IMAGES, [4, 10, 9], "train-labels-idx1-ubyte: label 10 at index 1 is over 9"),
    "images as labels": (IMAGES, IMAGES, "train-labels-idx1-ubyte: labels have one axis, this file has 3"),
    "labels as images": (LABELS, LABELS, r"train-images-idx3-ubyte: shape \(3,\), expected \(n, 28, 28\)"),
    "smaller images": (IMAGES[:, :14], LABELS, r"train-images-idx3-ubyte: shape \(3, 14, 28\), expected"),
    "an axis more": (IMAGES[..., None], LABELS, r"train-images-idx3-ubyte: shape \(3, 28, 28, 1\), expected"),
    "no images": (IMAGES[:0], LABELS[:0], "train-images-idx3-ubyte: holds no images"),
}


@pytest.mark.parametrize(("images", "labels", "message"), BAD_PAIRS.values(), ids=BAD_PAIRS.keys())
def test_pairs_that_do_not_fit_together(tmp_path, images, labels, message):
    write_idx(tmp_path / "train-images-idx3-ubyte", images)
    write_idx(tmp_path / "train-labels-idx1-ubyte", labels)
    with pytest.raises(DataError, match=message) as caught:
        load_mnist(tmp_path)
    assert len(str(caught.value)) < 300


def empty(folder):
    return folder


def only_images(folder):
    write_idx(folder / "train-images-idx3-ubyte.gz", IMAGES)
    return folder


def only_labels(folder):
    write_idx(folder / "train-labels.idx1-ubyte", LABELS)
    return folder


def other_split(folder):
    bench_csv.write_csv(folder / "mnist_test.csv", IMAGES, LABELS)
    return folder


def a_file(folder):
    bench_csv.write_csv(folder / "mnist_train.csv", IMAGES, LABELS)
    return folder / "mnist_train.csv"


NO_DATA = "no train data; expected train-images-idx3-ubyte and train-labels-idx1-ubyte .*or mnist_train.csv"


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (empty, FileNotFoundError, NO_DATA),
        (other_split, FileNotFoundError, NO_DATA),
        (
            only_images,
            FileNotFoundError,
            "train-images-idx3-ubyte.gz without labels; add train-labels-idx1-ubyte",
        ),
        (
            only_labels,
            FileNotFoundError,
            "train-labels.idx1-ubyte without images; add train-images-idx3-ubyte",
        ),
        (
            a_file,
            NotADirectoryError,
            "mnist_train.csv: is a file, expected a folder; read_idx and read_mnist_csv",
        ),
        (lambda folder: folder / "absent", FileNotFoundError, "absent: no such folder"),
        (lambda folder: 3, TypeError, "path must be a str or a path, got int"),
    ],
)
def test_folders_that_will_not_do(tmp_path, make, error, message):
    with pytest.raises(error, match=message) as caught:
        load_mnist(make(tmp_path), "train")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("split", ["Train", "valid", "", None, "x" * 5000])
def test_splits_that_are_none(split):
    with pytest.raises(ValueError, match="split must be 'train' or 'test', got '") as caught:
        load_mnist(MNIST, split)
    assert len(str(caught.value)) < 300
