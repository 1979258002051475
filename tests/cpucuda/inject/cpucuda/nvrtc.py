"""Compile kernels that ran on the emulated GPU with the real NVRTC, for the GPUs that portnn supports.

``python -m cpucuda.nvrtc FILE...`` takes compiled kernels as CPUCUDA_LOADED lists them; ``@LIST`` reads such
a list. The source of a kernel, with its options, is in the same folder. Kernels that were accepted before are
not compiled again.

A process that compiles here never imports CuPy, because the real and the emulated NVRTC have the same name.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cpucuda.build import BuildError, home, site_packages

__all__ = ["check", "compile_text"]

ARCHITECTURES = ("sm_75", "sm_80", "sm_90")
OF_CUPY = "#include <cupy/"  # CuPy's kernels are compiled for one architecture, portnn's for all
NEEDS_AMPERE = "to_bfloat16(x"  # portnn refuses this precision on earlier GPUs


def library() -> ctypes.CDLL:
    """Return the real NVRTC, from the package nvidia-cuda-nvrtc."""
    folder = site_packages() / "nvidia" / "cu13" / "lib"
    if not (folder / "libnvrtc.so.13").exists():
        raise BuildError("expected the real NVRTC; pip install 'nvidia-cuda-nvrtc==13.0.*'")
    for name in sorted(folder.glob("libnvrtc-builtins.so.*")):
        ctypes.CDLL(str(name))  # NVRTC looks for it by its bare name
    return ctypes.CDLL(str(folder / "libnvrtc.so.13"))


def compile_text(text: str, architecture: str) -> tuple[int, str]:
    """Compile a kernel's source, which begins with its options, and return NVRTC's status and log."""
    nvrtc, encoded = library(), text.encode()
    lines = encoded.splitlines()
    options = [line.removeprefix(b"//option ") for line in lines if line.startswith(b"//option ")]
    options = [option for option in options if b"-arch" not in option and b"--gpu-architecture" not in option]
    options.append(f"--gpu-architecture={architecture}".encode())
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    status = nvrtc.nvrtcCreateProgram(ctypes.byref(program), encoded, b"kernel.cu", 0, None, None)
    for line in lines:
        if line.startswith(b"//name "):
            nvrtc.nvrtcAddNameExpression(program, line.removeprefix(b"//name "))
    status |= nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value + 1)
    nvrtc.nvrtcGetProgramLog(program, log)
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    return status, log.value.decode()


def architectures_of(text: str) -> tuple[str, ...]:
    """Return the architectures that a kernel has to compile for."""
    if OF_CUPY in text:
        return ARCHITECTURES[-1:]
    return ARCHITECTURES[1:] if NEEDS_AMPERE in text else ARCHITECTURES


def _try(task: tuple[Path, str]) -> tuple[str, str, int, str]:
    file, architecture = task
    return file.stem, architecture, *compile_text(file.read_text(), architecture)


def _tasks(kernels: Iterable[Path], known: set[str]) -> Iterator[tuple[Path, str]]:
    for kernel in sorted(set(kernels)):
        text = kernel.with_suffix(".cu")
        for architecture in architectures_of(text.read_text()):
            if f"{kernel.stem} {architecture}" not in known:
                yield text, architecture


def check(kernels: Iterable[Path]) -> list[str]:
    """Compile the kernels that were not accepted before, and return NVRTC's log of each refused one."""
    accepted = home() / f"accepted-by-nvrtc-{version('nvidia-cuda-nvrtc')}"
    known = set(accepted.read_text().splitlines()) if accepted.exists() else set()
    tasks, refused, start = list(_tasks(kernels, known)), [], time.monotonic()
    with ProcessPoolExecutor(os.cpu_count()) as pool, accepted.open("a") as file:
        for name, architecture, status, log in pool.map(_try, tasks, chunksize=8):
            if status:
                refused.append(f"{home() / 'kernels' / name}.cu for {architecture}:\n{log}")
            else:
                file.write(f"{name} {architecture}\n")
    seconds = time.monotonic() - start
    print(f"NVRTC compiled {len(tasks)} times and refused {len(refused)}, in {seconds:.0f} s")
    return refused


def main() -> None:
    """Check the kernels that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    parser.add_argument("kernels", nargs="+", type=Path, help="compiled kernels, or @LIST")
    try:
        refused = check(parser.parse_args().kernels)
    except PackageNotFoundError:
        sys.exit("expected the real NVRTC; pip install 'nvidia-cuda-nvrtc==13.0.*'")
    for text in refused:
        print(text)
    sys.exit(f"NVRTC refused {len(refused)} kernels" if refused else 0)


if __name__ == "__main__":
    main()
