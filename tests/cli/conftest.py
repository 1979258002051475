"""Small data sets as files, and the command line in this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from portnn.cli import main

# Two measures and three kinds that can be told apart.
TABLE = (Path(__file__).parent / "flowers.csv").read_text()


@pytest.fixture
def flowers(tmp_path, monkeypatch):
    """The table as a file; the tests run in its folder."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "flowers.csv"
    path.write_text(TABLE)
    return path


@pytest.fixture
def portnn(capsys):
    """A function that carries out a command line: exit code, standard output, standard error."""

    def call(*arguments):
        code = main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture(scope="session")
def once(tmp_path_factory):
    """The bytes of a network that knows the flowers."""
    folder = tmp_path_factory.mktemp("once")
    (folder / "flowers.csv").write_text(TABLE)
    options = ["--epochs", "60", "--lr", "0.02", "--layers", "8", "-q", "-o", str(folder / "net.safetensors")]
    assert main(["train", str(folder / "flowers.csv"), *options]) == 0
    return (folder / "net.safetensors").read_bytes()


@pytest.fixture
def trained(flowers, once):
    """A file of that network, beside the table."""
    (flowers.parent / "net.safetensors").write_bytes(once)
    return "net.safetensors"


class StopsIn:
    """Raises an error at the last step before so many."""

    def __init__(self, steps, error=KeyboardInterrupt):
        self.left, self.error = steps, error

    def step(self, count=1):
        self.left -= count
        if self.left <= 0:
            raise self.error

    def epoch(self, number, total, logs):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


@pytest.fixture
def stops_in():
    """What ends a training, in the place of its progress."""
    return StopsIn
