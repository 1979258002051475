"""A driver without a GPU: kernels are compiled for the host, cuBLAS is acted out, graphs are lists of work.

What is captured is not done but written down, as on a GPU. Memory of the private pool is given again as soon
as nothing holds it, and filled with rubbish, so that a plan that frees too early computes rubbish here too.
"""

from __future__ import annotations

import ctypes
import weakref
from contextlib import contextmanager

import numpy as np

from portnn.tracing import map_nested
from tests.compile.gpu.clocks import Clocks
from tests.compile.gpu.host import act_out, alias, alias_of, compile_on_host, flat

_RUBBISH = 0xA5


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
    def handing_out(self):
        assert self.inside, "results are handed out while working"
        assert self.graph is None, "results are handed out while a graph is captured"
        private, self.private = self.private, False
        try:
            yield
        finally:
            self.private = private

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

    def memory(self):
        return "stand-in", self.free

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

    def launch(self, function, blocks, operands, found=()):
        assert blocks >= 1
        addresses = [ctypes.c_void_p(x.ctypes.data) for x in operands]
        self._do("kernel", self._watched(lambda: function(*addresses), [*operands, *found]), operands)

    def call(self, function, args, options):
        arrays = []
        map_nested(lambda x: arrays.append(x) if isinstance(x, np.ndarray) else None, args)
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
        replaced = map_nested(lambda x: alias_of(x) if isinstance(x, np.ndarray) else x, args)

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
