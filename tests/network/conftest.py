"""Files of networks, for tests that read them."""

from __future__ import annotations

import pytest

from portnn import Network
from portnn.nn import Linear


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.safetensors"


@pytest.fixture
def saved(path):
    Network([Linear(4, 3)], seed=2).save(path)
    return path
