"""What a GPU or CUDA's compiler refuses: helpful errors, before anything changes."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

import portnn as pn
from portnn.backend._errors import said
from portnn.compile import check_precision
from portnn.compile._cupy._kernels import PRELUDE, KernelError, KernelSource, joined, kernel_error
from tests.backends import Matrix
from tests.compile.gpu.emulated import needs_emulation, run_emulated
from tests.conftest import SELECTED

CUPY = ModuleType("cupy")
SOURCES = [
    KernelSource(f"portnn_{i}", f"KERNEL portnn_{i}(float* x) {{\n    x[0] = {i};\n}}\n", 1) for i in range(3)
]


@pytest.mark.parametrize("precision", ["tf32", "bfloat16"])
@pytest.mark.parametrize(("capability", "shown"), [("61", "6.1"), ("75", "7.5")])
def test_a_precision_that_the_gpu_has_not_got(precision, capability, shown):
    device = SimpleNamespace(id=1, compute_capability=capability)
    with pytest.raises(ValueError, match=f"precision='{precision}' needs .* and GPU 1 has {shown}; leave it"):
        check_precision(precision, CUPY, device)
    check_precision("float32", CUPY, device)


@pytest.mark.parametrize("capability", ["80", "89", "90", "100", "120"])
def test_later_gpus_have_it(capability):
    check_precision("bfloat16", CUPY, SimpleNamespace(id=0, compute_capability=capability))


def line_of(text):
    return joined(SOURCES).splitlines().index(text) + 1


@pytest.mark.parametrize(
    ("log", "name", "text"),
    [
        # NVRTC, with a warning before.
        ((f"/tmp/a(1).cu(3): warning #177-D: unused\n\n/tmp/a(1).cu({line_of('    x[0] = 1;')}): "
         'error: identifier "nope" is undefined\n'), "portnn_1", 'error: identifier "nope" is undefined'),
        # NVRTC's assembler: of lines of PTX.
        (("ptxas /tmp/x, line 57; error   : Feature 'cvt.bf16.f32' requires .target sm_80 or higher\n"
         "ptxas fatal   : Ptx assembly aborted due to errors"), "portnn_0", "error   : Feature 'cvt.bf16"),
        ("ptxas error   : Entry function 'portnn_2' uses too much local data", "portnn_2", "Entry function"),
        # The compiler of the emulation.
        (f"g++ cannot compile\n/tmp/a.cpp:{line_of('    x[0] = 2;')}:45: error: 'nope' was not declared",
         "portnn_2", "error: 'nope' was not declared"),
        ("nvrtc: internal failure", "portnn_0", "nvrtc: internal failure"),
        ("", "portnn_0", "nothing"),
        ("a(1): error: in the prelude " + "long " * 200, "portnn_0", "in the prelude"),
    ],
)  # fmt: skip
def test_the_first_error_and_the_kernel(log, name, text):
    error = kernel_error(log, SOURCES)
    assert f"the kernel {name} (one of 3)" in str(error)
    assert text in str(error)
    assert len(str(error)) < 300


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a.cu(3): warning: x\na.cu(4): error: y is undefined", "a.cu(4): error: y is undefined"),
        ("=====\nFailed to import CuPy.\n\nOriginal error:\n  ImportError: libcuda.so.1: no such file\n=====",
         "ImportError: libcuda.so.1: no such file"),
        ("cudaErrorNoDevice: none", "cudaErrorNoDevice: none"),
        ("", "RuntimeError"),
    ],
)  # fmt: skip
def test_the_line_that_tells(text, told):
    assert said(RuntimeError(text)) == told


def test_a_kernel_that_does_not_compile(request):
    if Matrix.CUPY not in request.config.stash[SELECTED]:
        pytest.skip("needs a GPU: pass --backend gpu")
    from portnn.compile._cupy._device import CupyDriver

    broken = KernelSource("portnn_broken", "KERNEL portnn_broken(float* x) {\n    x[0] = nope(1);\n}\n", 1)
    with pytest.raises(KernelError, match=r"the kernel portnn_broken \(one of 2\): .*nope") as caught:
        CupyDriver().compile([SOURCES[0], broken])
    assert len(str(caught.value)) < 300
    assert PRELUDE[:20] not in str(caught.value)


OLD = """
import numpy as np, pytest
import portnn as pn
x, y = np.ones((8, 4), "float32"), np.zeros((8, 4), "float32")
net = pn.Network([pn.Linear(4, 4)], loss=pn.losses.squared_error, backend="gpu")
for precision in ("tf32", "bfloat16"):
    with pytest.raises(ValueError, match="needs a GPU of compute capability 8.0 .* GPU 0 has 7.5"):
        net.fit(x, y, epochs=1, precision=precision, progress=False)
    with pytest.raises(ValueError, match="GPU 0 has 7.5"):
        pn.jit(lambda a: a @ a, precision=precision)(net.backend.asarray(np.ones((2, 2), "float32")))
print(net.fit(x, y, epochs=1, progress=False).plan)
"""


@needs_emulation
def test_an_old_gpu():
    assert "graph" in run_emulated(OLD, capability=75)


def test_other_libraries_have_none():
    with pytest.raises(
        ValueError, match="precision='tf32' is for products on a GPU through CuPy, not for numpy"
    ):
        pn.jit(lambda a: a @ a, precision="tf32")(np.ones((2, 2)))
