"""A second GPU: everything is computed there, with the bits of the first GPU, which stays the current one."""

import json
from pathlib import Path

import pytest

import portnn as pn
from tests.compile.gpu.emulated import needs_emulation, run_emulated

USES = Path(__file__).with_name("uses.py").read_text()


@needs_emulation
@pytest.mark.parametrize("peers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_everything_is_computed_on_the_second_gpu(peers):
    """With peer access CuPy does not refuse arrays of another GPU, so stray results have to be looked for."""
    told = run_emulated(USES, devices=2, peers=peers)
    found = json.loads(told.splitlines()[-1])
    for name, trace in (found["failed"] | found["failed on the first"]).items():
        raise AssertionError(f"{name}:\n{trace}")
    assert not found["different"]
    assert found["bytes on the first"] == 0
    assert found["current"] == 0
    assert len(found["uses"]) > 20


@needs_emulation
def test_benchmarks_and_reports_name_the_gpu():
    line = "1.1 GB, compute capability 9.0, CUDA 13.0, driver for CUDA 13.0"
    bench = ["bench", "--backend", "gpu:1", "--seconds", "0.1", "--features", "3", "--layers", "none"]
    told = run_emulated(
        f"from portnn.cli import main; main({bench}); main(['info'])", devices=2, memory_mb=1050
    )
    assert told.count(line) == 3
    assert f"on cupy:1 (emulated GPU 1, {line}), float32" in told


def test_every_method_of_a_network_is_among_the_uses():
    public = {name for name in dir(pn.Network) if name[0] != "_"}
    plain = {"backend", "dtype", "epochs", "from_keras", "from_state", "from_torch", "layer", "loss",
             "net_state", "notes", "sample_shape", "seed", "steps", "survey", "task"}  # fmt: skip
    assert {name for name in public - plain if f".{name}" not in USES} == set()
