"""The CUDA text of real programs, compiled for a GPU that need not be there."""

import shutil
import subprocess
import sys
from importlib.metadata import distributions
from importlib.util import find_spec

import numpy as np
import pytest

from portnn import optim
from portnn.compile._cupy._kernels import PRELUDE
from portnn.compile._cupy._plan import make_plan
from portnn.compile._cupy._small import bfloat16_kernel, gather_kernel, keep_kernel
from portnn.compile._cupy._steps import Kernel
from tests.compile.gpu.helpers import digits, net_step, program_of
from tests.compile.gpu.test_expressions import (
    _FLOATING,
    _TRUTH,
    COMPARISONS,
    FLOATS,
    INTEGERS,
    cast_to,
    each,
    numbers,
    shifts,
    whole_names,
)

ARCHITECTURES = ("sm_75", "sm_80", "sm_90")
# Call the real NVRTC in a process where CuPy has not loaded the emulated one.
NVRTC = """
import sys
from cpucuda.nvrtc import compile_text
status, log = compile_text("//option --std=c++17\\n//option -ftz=true\\n" + sys.stdin.read(), sys.argv[1])
print(log)
sys.exit(status)
"""


def has_nvrtc():
    names = {distribution.name for distribution in distributions()}
    return "nvidia-cuda-nvrtc" in names and find_spec("cpucuda") is not None


@pytest.fixture(
    params=[
        pytest.param("nvcc", marks=[
            pytest.mark.slow,
            pytest.mark.skipif(shutil.which("nvcc") is None, reason="needs nvcc, CUDA's compiler"),
        ]),
        pytest.param("nvrtc", marks=pytest.mark.skipif(
            not has_nvrtc(), reason="NVRTC is not installed: nox -s 'tests(emulated)' has it")),
    ]
)  # fmt: skip
def compile_for_gpu(request, tmp_path):
    """A function that compiles kernels and fails at the first warning."""

    def by_nvcc(text, architecture):
        path = tmp_path / "kernels.cu"
        path.write_text(text)
        command = [
            "nvcc",
            f"-arch={architecture}",
            "-ftz=true",
            "--std=c++17",
            "-Werror",
            "all-warnings",
            "-cubin",
        ]
        run([*command, "-o", tmp_path / "kernels.cubin", path])
        assert (tmp_path / "kernels.cubin").stat().st_size

    def by_nvrtc(text, architecture):
        assert not run([sys.executable, "-c", NVRTC, architecture], text).strip()

    def compiled(sources, architectures=ARCHITECTURES):
        for architecture in architectures:
            by = by_nvcc if request.param == "nvcc" else by_nvrtc
            by(PRELUDE + "".join({s.name: s.text for s in sources}.values()), architecture)

    return compiled


def run(command, text=None):
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def sources_of(f, *arrays):
    with np.errstate(all="ignore"):
        plan = make_plan(program_of(f, *arrays))
    return [s.source for s in plan.steps if isinstance(s, Kernel)]


def test_steps_of_training(compile_for_gpu):
    x, y = digits(64)
    sources = []
    for optimizer in (optim.sgd(0.1), optim.adam(1e-3), optim.sgd(lambda s: 0.1 / (s + 1.0), momentum=0.9)):
        step, carry = net_step(optimizer)
        sources += sources_of(step, carry, x, y)
    sources += [gather_kernel([784, 6, 12, 8, 1], [16, 2, 4, 8, 1], 64, 64, 1000)]
    sources += [keep_kernel(dtype, 100) for dtype in FLOATS]
    compile_for_gpu(sources)


def test_bfloat16_from_ampere_on(compile_for_gpu):
    compile_for_gpu([bfloat16_kernel(1000)], ARCHITECTURES[1:])


def test_every_function_and_dtype(compile_for_gpu):
    sources = []
    for dtype in FLOATS:
        names = [*_FLOATING, *COMPARISONS, "isnan", "isinf", "isfinite"]
        sources += sources_of(each(names), numbers(dtype), numbers(dtype, 1))
        sources += sources_of(lambda x: (x * float("inf"), x + float("nan"), x - 1e-45), numbers(dtype))
    for dtype in INTEGERS:
        sources += sources_of(each([*whole_names(dtype), *COMPARISONS]), numbers(dtype), numbers(dtype, 1))
        sources += sources_of(shifts, numbers(dtype))
        sources += sources_of(
            cast_to([t for t in ("bool", *INTEGERS, *FLOATS) if t != dtype]), numbers(dtype)
        )
    sources += sources_of(each([*_TRUTH, *COMPARISONS]), numbers("bool"), numbers("bool", 1))
    sources += sources_of(lambda x: x + (-(2**63)), numbers("int64"))
    compile_for_gpu(sources)
