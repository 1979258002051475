"""Several writers at once: of one file the last one wins, a folder of checkpoints belongs to one training."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from portnn.serialize import latest, load_tensors, save_tensors
from portnn.train.callbacks import Checkpoint
from tests.serialize.small import fit

posix = pytest.mark.skipif(os.name != "posix", reason="locks of POSIX")


def names(folder):
    return sorted(path.name for path in Path(folder).iterdir())


def test_writers_of_the_same_file_all_win(tmp_path):
    path = tmp_path / "x"
    save_tensors(path, {"w": np.zeros(10_000)}, {"by": 0})
    failures = []

    def write(number):
        try:
            for _ in range(20):
                save_tensors(path, {"w": np.full(10_000, float(number))}, {"by": number})
                arrays, about = load_tensors(path)
                assert (arrays["w"] == about["by"]).all()
        except BaseException as error:  # noqa: BLE001  # a thread's error would not be seen
            failures.append(error)

    threads = [threading.Thread(target=write, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert names(tmp_path) == ["x"]


OTHER = """
import sys
import numpy as np
from portnn import Network
from portnn.nn import Linear
from portnn.train.callbacks import Checkpoint

def wait(epoch):
    if epoch.number == 1:
        print("training", flush=True)
    sys.stdin.readline()

net = Network([Linear(8, 2)])
net.fit(np.eye(8, dtype="float32"), np.arange(8) % 2, epochs=3, callbacks=[wait, Checkpoint(sys.argv[1])])
"""


@posix
def test_a_folder_of_checkpoints_belongs_to_one_training(tmp_path):
    command = [sys.executable, "-c", OTHER, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], text=True, **pipes) as child:
        assert child.stdout.readline() == "training\n"
        (tmp_path / ".checkpoint-000000009.safetensors.0123456789abcdef").write_bytes(b"half")
        with pytest.raises(FileExistsError, match="another training is writing to the folder") as caught:
            fit(Checkpoint(tmp_path))
        assert len(str(caught.value)) < 300
        assert len(names(tmp_path)) == 1, "what the other is writing is left alone"
        child.communicate("\n" * 3)
    assert child.returncode == 0
    assert latest(tmp_path) == tmp_path / "checkpoint-000000003.safetensors"


def test_a_folder_is_free_after_a_training_however_it_ends(tmp_path):
    def fail(epoch):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fit(Checkpoint(tmp_path, every_steps=1), fail)
    fit(Checkpoint(tmp_path), resume=tmp_path)
    fit(Checkpoint(tmp_path), resume=tmp_path, epochs=5)
