"""Builds what stands for CUDA: four libraries of our own, and CuPy's own module of the runtime against them.

The text of that module comes from CuPy's source distribution on PyPI, of the version that is installed. Nothing of it
is kept in this folder.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve().parents[2]
SOURCE = HERE / "src"
CXX = os.environ.get("CPUCUDA_CXX", "g++")


def site_packages() -> Path:
    """Where CuPy is installed; found without importing it."""
    from importlib.metadata import files

    for name in ("cupy-cuda13x", "cupy-cuda12x"):
        try:
            found = files(name)
        except Exception:
            continue
        core = next(f for f in found if str(f) == "cupy/__init__.py")
        return Path(core.locate()).parents[1]
    raise RuntimeError("install cupy-cuda13x (it imports without a GPU)")


def cupy_version() -> str:
    return version("cupy-cuda13x")


def folder() -> Path:
    """Where everything is built: CPUCUDA_BUILD, else a folder under ~/.cache."""
    base = Path(os.environ.get("CPUCUDA_HOME") or Path.home() / ".cache" / "cpucuda")
    text = "".join(p.read_text() for p in sorted(SOURCE.iterdir()) if p.is_file() and p.name != "device.h")
    text += Path(__file__).read_text() + sys.version + cupy_version()
    return base / hashlib.sha256(text.encode()).hexdigest()[:16]


def run(command: list[object]) -> str:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def cuda_headers(site: Path) -> Path:
    found = site / "nvidia" / "cu13" / "include"
    if not (found / "cuda_runtime.h").exists():
        raise RuntimeError("pip install 'nvidia-cuda-runtime==13.0.*' 'nvidia-cuda-crt==13.0.*'")
    return found


def library(
    out: Path, name: str, sources: list[Path], headers: Path, *more: object, versions: bool = False
) -> None:
    script = out / f"{name}.map"
    script.write_text(f"{name} {{ global: *; }};\n" if versions else "{ global: *; };\n")
    run([CXX, "-std=gnu++17", "-O3", "-march=native", "-ffp-contract=off", "-w", "-shared", "-fPIC", f"-I{headers}",
         f"-I{SOURCE}", *sources, *more, f"-Wl,-soname,{name}", f"-Wl,--version-script,{script}", "-ldl", "-o", out / name])  # fmt: skip


def missing(module: Path, prefix: str, libraries: list[Path]) -> list[str]:
    """The functions that a module of CuPy's wants and that no library of ours has."""
    have = set()
    for path in libraries:
        have |= {
            line.split()[-1].partition("@")[0]
            for line in run(["nm", "-D", "--defined-only", path]).splitlines()
            if line.strip()
        }
    want = re.findall(rf"U ({prefix}\w+)", run(["nm", "-D", "--undefined-only", module]))
    return sorted(set(want) - have)


def stubs(path: Path, names: list[str], status: int) -> Path:
    """Functions that say which one was called, and fail."""
    lines = ["#include <stdio.h>"]
    for name in names:
        lines.append(
            f'int {name}(void) {{ fprintf(stderr, "cpucuda: {name} is not there\\n"); return {status}; }}'
        )
    path.write_text("\n".join(lines))
    return path


def source_of_cupy(out: Path) -> Path:
    """CuPy's source distribution, unpacked."""
    number = cupy_version()
    target = out.parent / f"cupy-{number}"
    if (target / "cupy_backends").exists():
        return target
    # With the option for its documentation CuPy's setup asks for no CUDA, so pip can look at it and leave it as it is.
    with tempfile.TemporaryDirectory(dir=out.parent) as place:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "-q",
            "--no-deps",
            "--no-binary",
            "cupy",
            "-d",
            place,
            f"cupy=={number}",
        ]
        done = subprocess.run(
            command,
            env={**os.environ, "CUPY_INSTALL_USE_STUB": "1", "CPUCUDA": "0"},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        archive = out.parent / "cupy.tar.gz"
        (Path(place) / f"cupy-{number}.tar.gz").rename(archive)
    with tarfile.open(archive) as tar:
        tar.extractall(out.parent, filter="data")
    archive.unlink()
    return target


def with_stubs(
    out: Path, name: str, module: Path, sources: list[Path], headers: Path, runtime: Path, *, status: int
) -> None:
    """A library that a module of CuPy's wants: from `sources`, and stubs for what they lack."""
    soname = re.search(rf"\[(lib{name}\.so\.\d+)\]", run(["readelf", "-d", module])).group(1)
    linked = [*sources, runtime, f"-Wl,-rpath,{out}"]
    library(out, soname, linked, headers, versions=True)
    stub = stubs(out / f"{name}_stubs.c", missing(module, name, [out / soname]), status)
    run(["gcc", "-c", "-fPIC", "-w", stub, "-o", out / f"{name}_stubs.o"])
    library(out, soname, linked, headers, out / f"{name}_stubs.o", versions=True)


CYTHONIZE = """
import sys
from Cython.Build import cythonize
from setuptools import Extension
name, path, cuda = sys.argv[1], sys.argv[2], int(sys.argv[3])
directives = dict(embedsignature=True, c_api_binop_methods=True, binding=False, freethreading_compatible=True)
directives["warn.deprecated.IF"] = False
constants = dict(CUPY_USE_CUDA_PYTHON=False, CUPY_CUFFT_STATIC=False, CUPY_CUDA_VERSION=cuda, CUPY_HIP_VERSION=0)
import Cython
constants["CUPY_CYTHON_VERSION"] = Cython.__version__
cythonize([Extension(name, [path], language="c++")], language_level=3, compiler_directives=directives,
          compile_time_env=constants, quiet=True)
"""


def compile_runtime(source: Path, own: Path, headers: Path) -> None:
    """CuPy's module of the runtime, against the headers of CUDA."""
    name = "cupy_backends/cuda/api/runtime.pyx"
    command = [sys.executable, "-c", CYTHONIZE, "cupy_backends.cuda.api.runtime", name, "13000"]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    include = sysconfig.get_paths()["include"]
    pyx = source / name
    made = Path(f"{own}.{os.getpid()}")
    run([CXX, "-O1", "-fPIC", "-w", "-std=c++17", f"-I{HERE / 'include'}", f"-I{headers}", f"-I{include}",
         "-c", pyx.with_suffix(".cpp"), "-o", made])  # fmt: skip
    made.rename(own)


def build() -> Path:
    """Everything, once; the folder where it is."""
    out = folder()
    if (out / "done").exists():
        return out
    print(f"cpucuda: building in {out}", file=sys.stderr)
    out.mkdir(parents=True, exist_ok=True)
    (out.parent / "kernels").mkdir(exist_ok=True)
    site = site_packages()
    headers = cuda_headers(site)
    own = out.parent / f"runtime-{cupy_version()}-{sys.version_info[0]}{sys.version_info[1]}.o"
    if not own.exists():
        compile_runtime(source_of_cupy(out), own, headers)
    # The runtime: what is not written is a function that says so.
    first = out / "libcudart.so.13"
    library(out, first.name, [SOURCE / "cudart.cpp"], headers)
    want = sorted(set(re.findall(r"U (cuda[A-Z]\w+)", run(["nm", "-u", own]))))
    have = {
        line.split()[-1].partition("@")[0] for line in run(["nm", "-D", "--defined-only", first]).splitlines()
    }
    stub = stubs(out / "cudart_stubs.c", [w for w in want if w not in have], 801)
    run(["gcc", "-c", "-fPIC", "-w", stub, "-o", out / "cudart_stubs.o"])
    library(out, first.name, [SOURCE / "cudart.cpp"], headers, out / "cudart_stubs.o")
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    run([CXX, "-shared", own, first, "-o", out / f"runtime{suffix}", f"-Wl,-rpath,{out}"])
    library(out, "libcuda.so.1", [SOURCE / "cuda.cpp"], headers, first, f"-Wl,-rpath,{out}")
    library(out, "libnvrtc.so.13", [SOURCE / "nvrtc.cpp"], headers, versions=True)
    blas = out / "libcublas.so.13"
    library(out, blas.name, [SOURCE / "cublas.cpp"], headers, first, f"-Wl,-rpath,{out}", versions=True)
    module = next((site / "cupy_backends" / "cuda" / "libs").glob("cublas.*.so"))
    stub = stubs(out / "cublas_stubs.c", missing(module, "cublas", [blas]), 15)
    run(["gcc", "-c", "-fPIC", "-w", stub, "-o", out / "cublas_stubs.o"])
    library(
        out,
        blas.name,
        [SOURCE / "cublas.cpp"],
        headers,
        out / "cublas_stubs.o",
        first,
        f"-Wl,-rpath,{out}",
        versions=True,
    )
    of_cufft = next((site / "cupy" / "cuda").glob("cufft.*.so"))
    with_stubs(out, "cufft", of_cufft, [SOURCE / "cufft.cpp"], headers, first, status=14)
    for name in ("cusolver", "cusparse", "curand"):
        module = next((site / "cupy_backends" / "cuda" / "libs").glob(f"{name}.*.so"))
        with_stubs(
            out, name, module, [p for p in [SOURCE / f"{name}.cpp"] if p.exists()], headers, first, status=9
        )
    for soname in (
        "libcublasLt.so.13",
        "libnvJitLink.so.13",
    ):  # looked for beside the others, nothing in them is used
        empty = stubs(out / "empty.c", [], 0)
        run(["gcc", "-shared", "-fPIC", "-w", empty, f"-Wl,-soname,{soname}", "-o", out / soname])
    (out / "done").write_text("")
    return out


FLAGS = [
    "-std=gnu++17",
    "-w",
    "-fwrapv",
    "-fno-strict-aliasing",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fvisibility=hidden",
    "-fPIC",
]
"""As in nvrtc.cpp: a header compiled in advance serves only what is compiled in the same way."""


def prelude(out: Path, digest: str) -> str:
    """`device.h` and the headers that CuPy puts before every kernel, compiled in advance."""
    path = out.parent / "kernels" / f"prelude-{digest}.h"
    if Path(f"{path}.gch").exists():
        return str(path)
    own = site_packages() / "cupy" / "_core" / "include"
    names = ["complex.cuh", "carray.cuh", "atomics.cuh", "math_constants.h"]
    path.write_text(f'#include "{SOURCE / "device.h"}"\n' + "".join(f"#include <cupy/{n}>\n" for n in names))
    bundled = [f"-I{own}/cupy/_cccl/{n}" for n in ("cub", "thrust", "libcudacxx")]
    made = Path(f"{path}.{os.getpid()}")
    run(
        [
            CXX,
            "-x",
            "c++-header",
            f"-{os.environ.get('CPUCUDA_OPT', 'O1')}",
            *FLAGS,
            f"-I{SOURCE / 'device'}",
            *bundled,
            f"-I{own}",
            path,
            "-o",
            made,
        ]
    )
    made.rename(f"{path}.gch")
    return str(path)


if __name__ == "__main__":
    print(build())
