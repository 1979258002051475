"""The tests of the GPU code find faults: each planted fault makes one of them fail."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.compile.gpu.emulated import needs_emulation
from tests.compile.gpu.plants import PLANTS

ROOT = Path(__file__).parents[3]


@needs_emulation
@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_fault_is_found(name):
    plant = PLANTS[name]
    options = ("-q", "-x", "-p", "no:cacheprovider", "-p", "tests.compile.gpu.plants", "--backend", "gpu")
    command = (sys.executable, "-m", "pytest", *options, plant.caught_by)
    environment = {**os.environ, **plant.settings, "PLANT": name}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    # 1: a test failed; below 0: a signal killed the process, as for an access out of bounds.
    assert done.returncode == 1 or done.returncode < 0, done.stdout[-2000:]
