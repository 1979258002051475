"""Saving where it cannot be done: the error says why, what was there stays, and nothing is left behind."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from portnn import CheckpointError, Network, optim
from portnn.nn import Linear
from portnn.serialize import checkpoints, held, latest, load_npz, load_tensors, save_npz, save_tensors, verify
from portnn.train.callbacks import Checkpoint, ModelCheckpoint
from tests.serialize.small import X, Y, fit

posix = pytest.mark.skipif(os.name != "posix", reason="limits, users, locks and pipes of POSIX")
ARRAYS = {"w": np.zeros(100_000)}


def files(folder):
    """What is in a folder, and what in that."""
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def said(error):
    assert len(str(error)) < 300
    return str(error)


@contextmanager
def limited(name, value):
    """A limit of this process, for a while."""
    import resource  # POSIX has it

    kind = getattr(resource, name)
    soft, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (value, hard))
    try:
        yield
    finally:
        resource.setrlimit(kind, (soft, hard))


def full_disk():
    return limited("RLIMIT_FSIZE", 5_000)


@contextmanager
def somebody():
    """Be a user who may not do everything, and have a folder that he can reach."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    root = os.geteuid() == 0
    try:
        if root:
            os.chown(folder, 65534, -1)
            os.seteuid(65534)
        yield folder
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.EPERM):
            pytest.skip(f"this user cannot be another: {error}")
        raise
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)
        shutil.rmtree(folder)


SAVES = {
    "safetensors": lambda path: save_tensors(path, ARRAYS, {}),
    "npz": lambda path: save_npz(path, ARRAYS),
    "network": Network([Linear(300, 300)]).save,
}
saves = pytest.mark.parametrize("save", SAVES.values(), ids=SAVES)


@posix
@saves
def test_a_full_disk(save, tmp_path):
    (tmp_path / "x").write_bytes(b"before")
    with (
        full_disk(),
        pytest.raises(OSError, match=r"cannot save .*x: File too large; what was there") as caught,
    ):
        save(tmp_path / "x")
    assert caught.value.errno == errno.EFBIG
    said(caught.value)
    assert files(tmp_path) == {"x": b"before"}


@posix
@saves
def test_no_handles_are_left(save, tmp_path):
    save(tmp_path / "x")  # what this imports needs handles, too
    (tmp_path / "x").write_bytes(b"before")
    for more in (0, 1):  # for the folder, and then for the file
        handles = [os.open(os.devnull, os.O_RDONLY)]
        with (
            limited("RLIMIT_NOFILE", handles[0] + 1 + more),
            pytest.raises(OSError, match=r"cannot save .*x: Too many open files; what was there") as caught,
        ):
            save(tmp_path / "x")
        os.close(handles[0])
        said(caught.value)
        assert files(tmp_path) == {"x": b"before"}


@posix
@saves
def test_a_folder_and_a_file_that_may_not_be_written(save):
    with somebody() as folder:
        (folder / "x").write_bytes(b"before")
        folder.chmod(0o555)
        for name in ("x", "y"):
            with pytest.raises(PermissionError, match=f"cannot save .*{name}: Permission denied") as caught:
                save(folder / name)
            said(caught.value)
        folder.chmod(0o755)
        (folder / "x").chmod(0o444)
        with pytest.raises(PermissionError, match=r"cannot save .*x: Permission denied; what was there"):
            save(folder / "x")
        assert files(folder) == {"x": b"before"}


@saves
def test_a_folder_that_vanishes(save, tmp_path, monkeypatch):
    folder = tmp_path / "folder"
    folder.mkdir()
    sync = os.fsync

    def vanish(handle):
        sync(handle)
        shutil.rmtree(folder, ignore_errors=True)

    monkeypatch.setattr(os, "fsync", vanish)
    with pytest.raises(FileNotFoundError, match=r"cannot save .*x: No such file or directory"):
        save(folder / "x")
    monkeypatch.undo()
    with pytest.raises(FileNotFoundError, match=r"the folder .* does not exist; make it first"):
        save(folder / "x")


@saves
def test_names_of_any_length(save, tmp_path):
    long = "ü" * 120 + "x" * 15  # 255 bytes, the longest that there are
    save(tmp_path / long)
    assert [*files(tmp_path)] == [long]
    for path in (tmp_path / ("x" * 256), tmp_path / ("x" * 256) / "x"):
        with pytest.raises(OSError, match=r"cannot save .*: File name too long|does not exist") as caught:
            save(path)
        assert len(str(caught.value)) < 700  # a folder's name is told in full
    assert [*files(tmp_path)] == [long]
    with pytest.raises(ValueError, match="cannot be read: File name too long"):
        load_tensors(tmp_path / ("x" * 256))


@posix
@saves
def test_devices_and_pipes_are_not_replaced(save, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    for name in ("pipe", "link"):
        with pytest.raises(OSError, match="it is a device or a pipe; name an ordinary file"):
            save(tmp_path / name)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@posix
@saves
def test_permissions_are_passed_on(save, tmp_path):
    for mode in (0o600, 0o640, 0o666):
        (tmp_path / "x").write_bytes(b"before")
        (tmp_path / "x").chmod(mode)
        save(tmp_path / "x")
        assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == mode
        assert (tmp_path / "x").stat().st_size > 1000
    before = os.umask(0o027)
    try:
        save(tmp_path / "new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


@posix
def test_links_to_nothing_and_to_themselves(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "target")
    save_tensors(tmp_path / "link", ARRAYS, {})
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").is_file()
    (tmp_path / "lost").symlink_to(tmp_path / "nowhere" / "x")
    with pytest.raises(FileNotFoundError, match=r"the folder .*nowhere does not exist"):
        save_tensors(tmp_path / "lost", ARRAYS, {})


@posix
@pytest.mark.parametrize("compile", [True, False])
@pytest.mark.parametrize("callback", ["Checkpoint", "ModelCheckpoint"])
def test_a_training_whose_checkpoint_cannot_be_written_ends_and_can_go_on(callback, compile, tmp_path):
    folder = tmp_path / "run"
    whole = fit(compile=compile)
    net = Network([Linear(8, 300), Linear(300, 2)])
    full = full_disk()

    def fill(epoch):
        if epoch.number == 3:
            full.__enter__()

    keepers = [Checkpoint(folder), ModelCheckpoint(folder / "net")]
    keepers = keepers if callback == "ModelCheckpoint" else keepers[:1]
    options = {
        "epochs": 4,
        "batch_size": 4,
        "optimizer": optim.sgd(0.01),
        "progress": False,
        "compile": compile,
    }
    try:
        with pytest.raises(OSError, match=r"cannot save .*: File too large; what was there is as it was"):
            net.fit(X, Y, callbacks=[fill, *keepers], **options)
    finally:
        full.__exit__(None, None, None)
    assert net.epochs == 3, "the network keeps what it has learned"
    assert not [name for name in files(folder) if name.startswith(".")]
    assert latest(folder) == checkpoints(folder)[0] == folder / "checkpoint-000000004.safetensors"
    if callback == "ModelCheckpoint":
        assert Network.load(folder / "net").epochs == 2
    later = fit(*keepers, resume=folder, compile=compile)
    assert np.array_equal(later.params[1]["weight"], whole.params[1]["weight"])
    assert later.epochs == 4


def handles():
    return len([*Path("/proc/self/fd").iterdir()])


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux's list of open files")
def test_no_handle_stays_open_after_an_error(tmp_path):
    """Neither of files that cannot be read or written nor of folders that another writer has."""
    damaged, missing = tmp_path / "damaged", tmp_path / "no" / "x"
    for text in (b"", b"PK\x03\x04", b"\x02\0\0\0\0\0\0\0{}", b"\xff" * 100):
        damaged.write_bytes(text)
        before = handles()
        for read in (load_tensors, load_npz, verify, Network.load):
            with pytest.raises(CheckpointError):
                read(damaged)
            assert handles() == before
    for save in SAVES.values():
        before = handles()
        with pytest.raises(FileNotFoundError):
            save(missing)
        assert handles() == before
    with held(tmp_path):
        before = handles()
        with pytest.raises(FileExistsError, match="another training is writing"), held(tmp_path):
            pass
        assert handles() == before
    with held(tmp_path):
        pass
    assert handles() == before - 1
