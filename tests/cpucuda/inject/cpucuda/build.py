"""Build the libraries under CuPy: our own from ``src/``, and CuPy's module of the runtime against them.

The `runtime` module in the wheel is linked with NVIDIA's runtime. So it is compiled again, from the source
distribution of the installed version, which pip fetches. This folder contains none of CuPy's files.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.machinery
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["LIBRARIES", "Kernels", "build", "build_kernels", "home"]

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src"
CUPY = "cupy-cuda13x"
RUNTIME = "cupy_backends/cuda/api/runtime"
CXX = os.environ.get("CPUCUDA_CXX", "g++")


@dataclass(frozen=True)
class Library:
    """A library that CuPy looks for by name.

    Attributes:
        name: its soname.
        sources: our files in ``src/``.
        modules: CuPy's modules that call it. Functions that they call and `sources` lack become stubs.
        prefix: the prefix of its functions' names.
        missing: the status with which a stub says that it is not supported.
        versioned: whether its symbols carry its name as their version, as NVIDIA's do.
        options: further linker options.
    """

    name: str
    sources: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    prefix: str = ""
    missing: int = 0
    versioned: bool = True
    options: tuple[str, ...] = ()


# The runtime comes first: the others share its streams and memory.
LIBRARIES = (
    Library(
        "libcudart.so.13",
        ("devices.cpp", "memory.cpp", "streams.cpp"),
        (RUNTIME,),
        "cuda",
        missing=801,
        versioned=False,
    ),
    Library("libcuda.so.1", ("cuda.cpp",), versioned=False),
    Library("libnvrtc.so.13", ("nvrtc.cpp",)),
    Library("libcublas.so.13", ("cublas.cpp",), ("cupy_backends/cuda/libs/cublas",), "cublas", missing=15),
    Library("libcufft.so.12", ("cufft.cpp",), ("cupy/cuda/cufft",), "cufft", missing=14),
    Library(
        "libcusolver.so.12",
        ("cusolver.cpp",),
        ("cupy_backends/cuda/libs/cusolver", "cupyx/_cusolver"),
        "cusolver",
        missing=9,
    ),
    Library("libcusparse.so.12", (), ("cupy_backends/cuda/libs/cusparse",), "cusparse", missing=10),
    Library("libcurand.so.10", (), ("cupy_backends/cuda/libs/curand",), "curand", missing=999),
    Library("libcublasLt.so.13"),  # CuPy loads these with the others, and calls nothing in them
    Library("libnvJitLink.so.13"),
)


class BuildError(RuntimeError):
    """Something that the emulated GPU is built from is missing, or a compiler failed."""

    def __init__(self, text: str) -> None:
        super().__init__(f"the emulated GPU: {text}")


def home() -> Path:
    """Return the folder of everything that is built: CPUCUDA_HOME, or one in the user's cache."""
    return Path(os.environ.get("CPUCUDA_HOME") or Path.home() / ".cache" / "cpucuda").resolve()


def build() -> Path:
    """Build the libraries and CuPy's module unless they exist, and return their folder."""
    files = [Path(__file__), *SOURCE.glob("*.*")]
    out = home() / _digest(sys.version, cupy_version(), compiler(), *_texts(files))
    if (out / "done").exists():
        return out
    check_requirements()
    with _locked(home()):
        if not (out / "done").exists():
            print(f"cpucuda: building the emulated GPU in {out}", file=sys.stderr)
            out.mkdir(exist_ok=True)
            _build_all(out)
            (out / "done").touch()
    return out


def _build_all(out: Path) -> None:
    runtime = home() / f"runtime-{cupy_version()}-{sys.implementation.cache_tag}.o"
    if not runtime.exists():
        _compile_runtime(runtime)
    for library in LIBRARIES:
        wanted: set[str] = set()
        for module in library.modules:
            if module == RUNTIME:
                wanted |= symbols(runtime, "--undefined-only")
            else:
                wanted |= symbols(find_module(module), "--undefined-only", "--dynamic")
        _build_library(out, library, wanted)
    module = out / f"runtime{sysconfig.get_config_var('EXT_SUFFIX')}"
    run([CXX, "-shared", runtime, out / LIBRARIES[0].name, "-Wl,-rpath,$ORIGIN", "-o", module])


def _build_library(out: Path, library: Library, wanted: set[str]) -> None:
    """Compile our sources, write stubs for the other `wanted` functions, and link both."""
    objects = []
    for source in library.sources:
        objects.append(out / f"{source}.o")
        # Equal arguments have to give equal bits, so the compiler may not fuse products and sums.
        flags = ("-std=gnu++17", "-O3", "-march=native", "-ffp-contract=off", "-fPIC", "-w")
        run([CXX, *flags, f"-I{cuda_headers()}", "-c", SOURCE / source, "-o", objects[-1]])
    here: set[str] = set().union(*(symbols(file, "--defined-only") for file in objects))
    stubs = out / f"{library.name}.stubs.cpp"
    lines = ["#include <cstdio>"]
    for name in sorted(wanted - here):
        if name.startswith(library.prefix):
            say = f'fprintf(stderr, "cpucuda: {name} is not emulated\\n");'
            lines.append(f'extern "C" int {name}() {{ {say} return {library.missing}; }}')
    stubs.write_text("\n".join(lines) + "\n")
    script = out / f"{library.name}.map"
    script.write_text(f"{library.name if library.versioned else ''} {{ global: *; }};\n")
    shared = [] if library is LIBRARIES[0] else [out / LIBRARIES[0].name, "-Wl,-rpath,$ORIGIN"]
    linker = (f"-Wl,-soname,{library.name}", f"-Wl,--version-script,{script}", *library.options)
    run([CXX, "-shared", "-fPIC", stubs, *objects, *shared, *linker, "-ldl", "-o", out / library.name])


def check_requirements() -> None:
    """Raise BuildError unless everything that `build` needs is installed."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise BuildError(f"expected Linux on x86-64, got {sys.platform} on {platform.machine()}")
    for program in (CXX, "nm"):
        if shutil.which(program) is None:
            raise BuildError(f"expected {program}, but it is not on PATH; install it (apt install g++)")
    if not Path(sysconfig.get_paths()["include"], "Python.h").exists():
        raise BuildError("expected Python's headers, but they are not installed; apt install python3-dev")
    packages = {"Cython": "cython==3.2.4", "setuptools": "setuptools", "pip": "pip"}
    absent = [package for name, package in packages.items() if importlib.util.find_spec(name) is None]
    if not (cuda_headers() / "cuda_runtime.h").exists():
        absent.append("nvidia-cuda-runtime==13.0.*")
    if not (cuda_headers() / "crt").is_dir():
        absent.append("nvidia-cuda-crt==13.0.*")
    if absent:
        install = " ".join(f"'{package}'" for package in absent)
        raise BuildError(f"required packages are not installed; pip install {install}")


def cupy_version() -> str:
    """Return the version of the installed CuPy."""
    try:
        return version(CUPY)
    except PackageNotFoundError:
        raise BuildError(f"expected CuPy's wheel for CUDA 13; pip install '{CUPY}==14.2.*'") from None


@cache
def site_packages() -> Path:
    """Return the folder that CuPy is installed in, without importing it."""
    found = importlib.machinery.PathFinder.find_spec("cupy")
    if found is None or found.origin is None:
        raise BuildError(f"expected a package cupy on sys.path; pip install '{CUPY}==14.2.*'")
    return Path(found.origin).parents[1]


def cuda_headers() -> Path:
    """Return the folder of the CUDA headers that pip installs."""
    return site_packages() / "nvidia" / "cu13" / "include"


def find_module(name: str) -> Path:
    """Return the file of a compiled module of CuPy's, named by its path without suffix."""
    return site_packages() / f"{name}{sysconfig.get_config_var('EXT_SUFFIX')}"


def compiler() -> str:
    """Return the compiler's file, whose name usually contains its version."""
    return str(Path(shutil.which(CXX) or CXX).resolve())


def run(command: Sequence[object], cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """Run a command and return what it prints."""
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=cwd, env=env)
    if done.returncode:
        raise BuildError(f"a command failed: {' '.join(words)}\n{done.stdout}{done.stderr}")
    return done.stdout


def symbols(file: Path, *options: str) -> set[str]:
    """Return the names in a compiled file that `nm` lists with `options`, without their versions."""
    listed = run(["nm", "--format=posix", *options, file]).splitlines()
    return {line.split()[0].partition("@")[0] for line in listed if line}


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def _texts(files: Iterable[Path]) -> list[str]:
    return [file.read_text() for file in sorted(files)]


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one process at a time build in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # released when the file is closed or the process ends
        yield


# CuPy's own module of the runtime -----------------------------------------------------------------

# As CuPy's setup calls Cython for the wheel.
CYTHONIZE = """
import sys
import Cython
from Cython.Build import cythonize
from setuptools import Extension
directives = {
    "binding": False,
    "c_api_binop_methods": True,
    "embedsignature": True,
    "freethreading_compatible": True,
    "warn.deprecated.IF": False,
}
constants = {
    "CUPY_CUDA_VERSION": 13000,
    "CUPY_CUFFT_STATIC": False,
    "CUPY_CYTHON_VERSION": Cython.__version__,
    "CUPY_HIP_VERSION": 0,
    "CUPY_USE_CUDA_PYTHON": False,
}
name = sys.argv[1]
extension = Extension(name.replace("/", "."), [f"{name}.pyx"], language="c++")
options = {"compiler_directives": directives, "compile_time_env": constants}
cythonize([extension], language_level=3, quiet=True, **options)
"""


def _compile_runtime(target: Path) -> None:
    """Compile CuPy's module of the runtime against CUDA's headers."""
    quiet = {**os.environ, "CPUCUDA": "0"}
    with tempfile.TemporaryDirectory(dir=target.parent) as place:
        source = _fetch_source(Path(place), quiet)
        run([sys.executable, "-c", CYTHONIZE, RUNTIME], cwd=source, env=quiet)
        folders = (ROOT / "include", cuda_headers(), sysconfig.get_paths()["include"])
        flags = ("-std=c++17", "-O1", "-fPIC", "-w", *(f"-I{folder}" for folder in folders))
        made = Path(place) / target.name
        run([CXX, *flags, "-c", source / f"{RUNTIME}.cpp", "-o", made])
        made.rename(target)


def _fetch_source(place: Path, environment: dict[str, str]) -> Path:
    """Fetch CuPy's source distribution, unpack it and return its folder."""
    number = cupy_version()
    # pip runs CuPy's setup for the metadata. With this setting, which is for documentation, it needs no CUDA.
    environment = {**environment, "CUPY_INSTALL_USE_STUB": "1"}
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "cupy")
    run([*pip, "--dest", place, f"cupy=={number}"], env=environment)
    with tarfile.open(place / f"cupy-{number}.tar.gz") as archive:
        archive.extractall(place, filter="data")
    return place / f"cupy-{number}"


# What kernels are compiled with -------------------------------------------------------------------

# Integers wrap and memory may be read as another type, as on a GPU.
KERNEL_FLAGS = (
    "-std=gnu++17",
    "-w",
    "-fPIC",
    "-fwrapv",
    "-fno-strict-aliasing",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fvisibility=hidden",
)
CUPY_HEADERS = ("complex.cuh", "carray.cuh", "atomics.cuh", "math_constants.h")


@dataclass(frozen=True)
class Kernels:
    """Where kernels are kept, and how they are compiled.

    Attributes:
        folder: the folder of compiled kernels.
        flags: a file of options for g++.
        digest: a hash of everything but the source that decides the result.
    """

    folder: Path
    flags: Path
    digest: str


def build_kernels() -> Kernels:
    """Precompile the headers of all kernels, and write the options for kernels to a file."""
    folder = home() / "kernels"
    own = site_packages() / "cupy" / "_core" / "include"
    bundled = [own / "cupy" / "_cccl" / name for name in ("cub", "thrust", "libcudacxx")]
    flags = [f"-{os.environ.get('CPUCUDA_OPT', 'O1')}", *KERNEL_FLAGS]
    flags += [f"-I{path}" for path in (SOURCE / "device", *bundled, own)]
    # The result for a source depends on the headers and on the emulated NVRTC.
    files = [SOURCE / "device.h", SOURCE / "nvrtc.cpp", *(SOURCE / "device").iterdir()]
    digest = _digest(compiler(), cupy_version(), *flags, *_texts(files))
    prelude, options = folder / f"{digest}.h", folder / f"{digest}.flags"
    if not options.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            lines = [f'#include "{SOURCE / "device.h"}"']
            lines += [f"#include <cupy/{name}>" for name in CUPY_HEADERS]
            prelude.write_text("\n".join(lines) + "\n")
            made = folder / f"{digest}.tmp"
            run([CXX, "-x", "c++-header", *flags, prelude, "-o", made])
            made.rename(f"{prelude}.gch")
            made.write_text("\n".join(_escaped(flag) for flag in (*flags, "-include", str(prelude))) + "\n")
            made.rename(options)
    return Kernels(folder, options, digest)


def _escaped(word: str) -> str:
    """Escape a word for a file of options for g++."""
    return "".join(f"\\{letter}" if letter in " \t\\'\"" else letter for letter in word)


if __name__ == "__main__":
    print(build())
