"""The CUDA text of real programs, compiled for a GPU that need not be there."""

import shutil
import subprocess

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

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("nvcc") is None, reason="nvcc compiles for GPUs; it is not installed"),
]


def sources_of(f, *arrays):
    with np.errstate(all="ignore"):
        plan = make_plan(program_of(f, *arrays))
    return [s.source for s in plan.steps if isinstance(s, Kernel)]


def compile_for_gpu(sources, tmp_path):
    text = PRELUDE + "".join({s.name: s.text for s in sources}.values())
    path = tmp_path / "kernels.cu"
    path.write_text(text)
    command = ["nvcc", "-arch=sm_90", "-ftz=true", "--std=c++17", "-Werror", "all-warnings", "-cubin", "-o"]
    done = subprocess.run(
        [*command, tmp_path / "kernels.cubin", path], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "kernels.cubin").stat().st_size


def test_steps_of_training(tmp_path):
    x, y = digits(64)
    sources = []
    for optimizer in (optim.sgd(0.1), optim.adam(1e-3), optim.sgd(lambda s: 0.1 / (s + 1.0), momentum=0.9)):
        step, carry = net_step(optimizer)
        sources += sources_of(step, carry, x, y)
    sources += [gather_kernel([784, 6, 12, 8, 1], [16, 2, 4, 8, 1], 64, 64, 1000), bfloat16_kernel(1000)]
    sources += [keep_kernel(dtype, 100) for dtype in FLOATS]
    compile_for_gpu(sources, tmp_path)


def test_every_function_and_dtype(tmp_path):
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
    compile_for_gpu(sources, tmp_path)
