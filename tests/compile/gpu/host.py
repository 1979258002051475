"""Kernels compiled for the host, cuBLAS acted out on flat memory, and arrays that keep nothing alive."""

from __future__ import annotations

import ctypes
import hashlib
import subprocess
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from portnn.compile._cupy._gemm import GemmArguments

HOST_PRELUDE = r"""
#include <math.h>
#include <stdbool.h>
#include <string.h>
typedef unsigned short half_bits;
typedef struct { _Alignas(16) unsigned long long low; unsigned long long high; } sixteen;
#define KERNEL void
#define EACH(i, n, first, blocks) for (long long i = 0; i < (n); ++i)
#define IN_BLOCKS(first, blocks)
static float from_half(half_bits h) { _Float16 x; memcpy(&x, &h, 2); return (float)x; }
static half_bits to_half(float x) { _Float16 y = (_Float16)x; half_bits h; memcpy(&h, &y, 2); return h; }
static float round_half(float x) { return from_half(to_half(x)); }
static unsigned short to_bfloat16(float x) {
    unsigned int u; memcpy(&u, &x, 4); return (unsigned short)((u + 0x7fff + ((u >> 16) & 1)) >> 16); }
static float infinityf() { return INFINITY; }
static double infinity() { return INFINITY; }
static float not_a_numberf() { return NAN; }
static double not_a_number() { return NAN; }
static float __fadd_rn(float a, float b) { return a + b; }
static float __fsub_rn(float a, float b) { return a - b; }
static float __fmul_rn(float a, float b) { return a * b; }
static double __dadd_rn(double a, double b) { return a + b; }
static double __dsub_rn(double a, double b) { return a - b; }
static double __dmul_rn(double a, double b) { return a * b; }
"""
_CACHE = Path(tempfile.gettempdir()) / "portnn-kernels-on-the-host"


def compile_on_host(sources):
    """The functions of kernels, by name, as ctypes functions of addresses."""
    text = HOST_PRELUDE + "".join(s.text for s in sources)
    _CACHE.mkdir(exist_ok=True)
    library = _CACHE / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.so"
    if not library.exists():
        with tempfile.TemporaryDirectory(dir=_CACHE) as folder:
            made = Path(folder) / "kernels.so"
            options = ["-O1", "-fwrapv", "-ffp-contract=off", "-fno-math-errno", "-shared", "-fPIC", "-w"]
            command = ["gcc", "-std=gnu17", *options, "-x", "c", "-", "-o", made, "-lm"]
            subprocess.run(command, input=text, text=True, check=True, timeout=120)
            made.rename(library)
    loaded = ctypes.CDLL(str(library))
    return {s.name: getattr(loaded, s.name) for s in sources}


def matrix(flat, rows, columns, leading):
    """The matrix that lies column by column in flat memory, as cuBLAS sees it."""
    assert leading >= max(1, rows)
    assert len(flat) >= (columns - 1) * leading + rows
    return np.lib.stride_tricks.as_strided(
        flat, (rows, columns), (flat.itemsize, leading * flat.itemsize), writeable=True
    )


def act_out(g: GemmArguments, first, second, result) -> None:
    """What cuBLAS does with the arguments: c = op(a) op(b), all column by column, on flat memory.

    Its first factor a is our second one.
    """
    for n in range(g.count):
        size = (g.columns, g.inner)[:: -1 if g.second.transpose else 1]
        a = matrix(second[n * g.second.stride :], *size, g.second.leading)
        size = (g.inner, g.rows)[:: -1 if g.first.transpose else 1]
        b = matrix(first[n * g.first.stride :], *size, g.first.leading)
        c = matrix(result[n * g.rows * g.columns :], g.columns, g.rows, g.columns)
        c[...] = (a.T if g.second.transpose else a) @ (b.T if g.first.transpose else b)


def flat(x):
    """All memory from the first element of an array to its last one."""
    reach = sum((n - 1) * s for n, s in zip(x.shape, x.strides, strict=True))
    return alias(x.ctypes.data, (reach // x.itemsize + 1,), (x.itemsize,), x.dtype)


def alias(address, shape, strides, dtype):
    """An array at an address that keeps nothing alive."""

    interface = {"data": (address, False), "typestr": np.dtype(dtype).str, "version": 3}
    interface |= {"shape": tuple(shape), "strides": tuple(strides)}
    return np.asarray(SimpleNamespace(__array_interface__=interface))


def alias_of(x):
    return alias(x.ctypes.data, x.shape, x.strides, x.dtype)
