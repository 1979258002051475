"""load_mnist without a path: mirrors, checksums, the cache, and what it says when there is no way."""

import gc
import gzip
import hashlib
import sys
import threading
import types
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from portnn.data import DownloadError, _download, load_mnist

MNIST = Path(__file__).parents[2] / "examples" / "data" / "mnist"
FILES = [f"{split}-{kind}-ubyte.gz" for split in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]


@pytest.fixture
def pooch_with(monkeypatch, tmp_path):
    """Puts a module with the given `retrieve` in the place of pooch."""

    def install(retrieve):
        module = types.ModuleType("pooch")
        module.retrieve = retrieve
        module.os_cache = lambda name: tmp_path / name
        monkeypatch.setitem(sys.modules, "pooch", module)

    return install


def assert_names_the_files(error):
    text = str(error)
    assert all(name in text for name in FILES)
    assert "in a folder and call load_mnist(folder)" in text
    assert len(text) < 300


@pytest.mark.parametrize(
    "failure", [ConnectionError("no route"), TimeoutError(), ValueError("SHA256 differs")]
)
def test_offline_the_error_names_the_files_and_where_to_put_them(pooch_with, failure):
    tried = []

    def retrieve(url, known_hash, fname, path):
        tried.append(url)
        raise failure

    pooch_with(retrieve)
    with pytest.raises(
        DownloadError, match=f"could not be downloaded \\({type(failure).__name__}\\)"
    ) as caught:
        load_mnist()
    assert_names_the_files(caught.value)
    assert caught.value.__cause__ is failure
    assert tried == [mirror + FILES[0] for mirror in _download._MIRRORS]


def test_without_pooch_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match=r'pip install "portnn\[data\]"') as caught:
        load_mnist(split="test")
    assert_names_the_files(caught.value)
    assert caught.value.name == "pooch"


def test_pooch_is_not_imported_for_a_folder(monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    assert load_mnist(MNIST, "test")[1].shape == (10_000,)


@pytest.mark.parametrize("split", ["train", "test"])
def test_only_the_files_of_the_split_are_asked_for_with_their_checksums(pooch_with, tmp_path, split):
    asked = []

    def retrieve(url, known_hash, fname, path):
        asked.append((fname, known_hash))
        assert path == tmp_path / "portnn" / "mnist"
        if url.startswith(_download._MIRRORS[0]):
            raise ConnectionError
        return str(MNIST / fname)

    pooch_with(retrieve)
    images, labels = load_mnist(split=split)
    expected = load_mnist(MNIST, split)
    np.testing.assert_array_equal(images, expected[0])
    np.testing.assert_array_equal(labels, expected[1])
    names = FILES[:2] if split == "train" else FILES[2:]
    assert asked == [(name, _download._CHECKSUMS[name]) for name in names for _ in range(2)]


def test_checksums_are_well_formed_and_distinct():
    assert list(_download._CHECKSUMS) == FILES
    assert len({bytes.fromhex(value) for value in _download._CHECKSUMS.values() if len(value) == 64}) == 4
    assert all(mirror.startswith("https://") and mirror.endswith("/") for mirror in _download._MIRRORS)


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture
def local_mirror(monkeypatch, tmp_path):
    """The real pooch with a mirror on this computer, whose folder and shutdown the test gets."""
    pooch = pytest.importorskip("pooch", reason="the download is pooch's")
    folder = tmp_path / "mirror"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()

    def stop():
        server.shutdown()
        thread.join()
        server.server_close()

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "cache" / name)
    monkeypatch.setattr(_download, "_MIRRORS", (f"http://127.0.0.1:{server.server_port}/",))
    yield folder, stop
    if thread.is_alive():
        stop()
    gc.collect()  # requests leaves sockets to the collector: here, where the warning is expected


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # sockets that requests leaves to the collector
def test_pooch_downloads_once_and_compares_checksums(monkeypatch, local_mirror):
    folder, stop = local_mirror
    images, labels = np.full((2, 28, 28), 7, dtype=np.uint8), np.asarray([1, 2], dtype=np.uint8)
    files = {
        FILES[2]: gzip.compress(bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 28, 0, 0, 0, 28]) + images.tobytes()),
        FILES[3]: gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 2]) + labels.tobytes()),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    with pytest.raises(DownloadError, match="ValueError"):  # these are not the files of the database
        load_mnist(split="test")
    checksums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    monkeypatch.setattr(_download, "_CHECKSUMS", checksums)
    for _ in range(2):
        result = load_mnist(split="test")
        np.testing.assert_array_equal(result[0], images)
        np.testing.assert_array_equal(result[1], labels)
        stop()  # the second time the files come from the cache


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # sockets that requests leaves to the collector
def test_a_mirror_that_lacks_the_file_is_reported(local_mirror):
    with pytest.raises(DownloadError, match="HTTPError") as caught:
        load_mnist(split="train")
    assert_names_the_files(caught.value)
