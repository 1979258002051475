"""A driver without a GPU: kernels are compiled for the host, cuBLAS is acted out, graphs are lists of work.

What is captured is not done but written down, as on a GPU. Memory of the private pool is given again as soon
as nothing holds it, and filled with rubbish, so that a plan that frees too early computes rubbish here too.
"""

from __future__ import annotations

import ctypes
import hashlib
import subprocess
import tempfile
import weakref
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from portnn.compile._cupy._gemm import GemmArguments
from tests.compile.gpu.clocks import Clocks

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
_RUBBISH = 0xA5


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

    class Memory:
        __array_interface__ = {  # noqa: RUF012  # read once, by asarray
            "data": (address, False), "shape": tuple(shape), "strides": tuple(strides),
            "typestr": np.dtype(dtype).str, "version": 3,
        }  # fmt: skip

    return np.asarray(Memory())


def alias_of(x):
    return alias(x.ctypes.data, x.shape, x.strides, x.dtype)


class Broken(RuntimeError):
    """What CUDA says when a capture does what it must not."""


class StandIn(Clocks):
    """Meets the `Driver` protocol.

    Attributes:
        log: what was asked for, a word for each.
        fail: a name of `log` at which the next capture breaks, or None.
        free: what `free_bytes` answers.
        host: ids of the arrays that count as being in host memory.
        captures: the number of graphs that were made.
        watch: whether uses of memory are noted and looked at for races.
    """

    def __init__(self) -> None:
        super().__init__()
        self.log: list[str] = []
        self.fail: str | None = None
        self.free = 1 << 40
        self.host: set[int] = set()
        self.inside = False
        self.graph: list | None = None
        self.private = False
        self.captures = 0
        self.watch = False
        self._blocks: dict[int, list] = {}
        self._all_blocks: list = []
        self._functions: dict = {}
        self._results: list = []
        self._calls = 0

    # Order and memory.
    @contextmanager
    def working(self):
        before, self.inside = self.inside, True
        self.log.append("stream")
        try:
            yield
        finally:
            self.inside = before

    @contextmanager
    def private_pool(self):
        self.log.append("pool")
        self.private = True
        self._results = []
        try:
            yield
        finally:
            self.private = False

    def empty(self, shape, dtype):
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if not self.private:
            assert self.graph is None, "memory of the common pool was asked for while a graph was captured"
            made = np.empty(shape, dtype)
            flat(made).view("uint8")[...] = _RUBBISH
            return made
        rounded = max(512, -(-size // 512) * 512)
        free = self._blocks.setdefault(rounded, [])
        if free:
            block = free.pop()
        else:
            assert self.graph is None, "the pool was not filled before the capture"
            block = np.empty(rounded, "uint8")
            self._all_blocks.append(block)
        handle = (ctypes.c_char * rounded).from_buffer(block)
        weakref.finalize(handle, free.append, block)
        self._do("poison", lambda: block.fill(_RUBBISH))
        return np.frombuffer(handle, dtype, int(np.prod(shape))).reshape(shape)

    def asarray(self, host):
        return np.array(host) if id(host) in self.host else np.asarray(host)

    def is_host(self, x):
        return id(x) in self.host

    def contiguous(self, x):
        if x.flags.c_contiguous:
            return x
        made = self.empty(x.shape, str(x.dtype))
        self.copy(made, x)
        return made

    def broadcast(self, x, shape):
        return np.broadcast_to(x, shape)

    def address(self, x):
        return x.ctypes.data

    def clone(self, x):
        made = self.empty(x.shape, str(x.dtype))
        self.copy(made, x)
        return made

    def free_bytes(self):
        return self.free

    # Work.
    def _do(self, word, work, keep=()):
        """Do it, or write it down while a graph is captured."""
        assert self.inside, f"{word} outside the plan's own stream"
        if word != "poison":
            self.log.append(word)
        if self.graph is None:
            work()
            return
        if self.fail == word:
            raise Broken(f"{word} is not permitted while a stream is captured")
        self.graph.append((work, [x for x in keep if not self._is_pooled(x)]))

    def _watched(self, work, operands):
        """The work, which also notes what memory it uses, if the test asks for that."""
        if not self.watch:
            return work
        outside = [x for x in operands if not self._is_pooled(x)]

        def noted():
            self.touch("own", writes=outside)
            work()

        return noted

    def _is_pooled(self, x):
        address = x.ctypes.data
        return any(b.ctypes.data <= address < b.ctypes.data + b.nbytes for b in self._all_blocks)

    def compile(self, sources):
        new = [s for s in sources if s.name not in self._functions]
        if new:
            assert self.graph is None, "a kernel was compiled while a graph was captured"
            unique = list({s.name: s for s in new}.values())
            self._functions.update(compile_on_host(unique))
        return {s.name: self._functions[s.name] for s in sources}

    def launch(self, function, blocks, operands):
        assert blocks >= 1
        addresses = [ctypes.c_void_p(x.ctypes.data) for x in operands]
        self._do("kernel", self._watched(lambda: function(*addresses), operands), operands)

    def call(self, function, args, options):
        arrays = [x for x in args if isinstance(x, np.ndarray)]
        if self.graph is None:
            with np.errstate(all="ignore"):
                result = np.asarray(function(*args, **options))
            self._results.append(result)
        else:  # the arguments are rubbish now, but warming up has shown what comes out
            result = self._results[self._calls]
            self._calls += 1
        order = sorted(range(result.ndim), key=lambda d: -result.strides[d])
        made = self.empty(tuple(result.shape[d] for d in order), str(result.dtype))
        made = made.transpose([order.index(d) for d in range(len(order))]) if order else made
        target = alias_of(made)
        replaced = [alias_of(x) if isinstance(x, np.ndarray) else x for x in args]

        def work():
            with np.errstate(all="ignore"):
                target[...] = function(*replaced, **options)

        self._do(f"call {getattr(function, '__name__', 'function')}", work, arrays)
        return made

    def view(self, function, args, options):
        result = function(*args, **options)
        if isinstance(result, np.ndarray):
            return result
        index = args[1] if isinstance(args[1], tuple) else (args[1],)
        return args[0][(*index, ...)]  # NumPy makes a number of it, CuPy an array without axes

    def product(self, g, precision, a, b, c):
        factors = [flat(a), flat(b)]
        if precision == "bfloat16":
            factors = [alias(x.ctypes.data, x.shape, x.strides, "uint16") for x in factors]
        result = flat(c)

        def work():
            wide = factors
            if precision == "bfloat16":
                wide = [(x.astype("uint32") << 16).view("float32") for x in factors]
            act_out(g, *wide, result)

        self._do("product", work, [a, b, c])

    def copy(self, target, source):
        assert target.shape == source.shape
        assert target.dtype == source.dtype
        to, of = alias_of(target), alias_of(source)
        operands = [target, source]
        self._do("copy", self._watched(lambda: to.__setitem__(..., of), operands), operands)

    def put(self, target, host):
        assert self.graph is None
        target[...] = host

    def to_host(self, x):
        assert self.graph is None
        self.log.append("read")
        return x.copy()

    # Graphs.
    def begin_capture(self):
        assert self.inside
        assert self.graph is None
        self.log.append("begin")
        self.graph = []
        self._calls = 0

    def end_capture(self):
        self.log.append("end")
        graph, self.graph = self.graph, None
        if self.fail is not None:
            raise Broken("the capture was broken before")
        self.captures += 1
        return graph

    def upload(self, graph):
        self.log.append("upload")

    def start(self, graph):
        self.log.append("launch")
        for work, _ in graph:
            work()

    def synchronize(self):
        self.log.append("synchronize")
