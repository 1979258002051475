"""The driver that drives CuPy. It has no part in what a plan computes, only in how it gets there."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar, final

import numpy as np

from portnn._typing import Array
from portnn.backend._cupy import free_bytes, is_out_of_memory, lock_of, raise_memory_error, refuse_tf32
from portnn.compile._cupy._cublas import WORKSPACE, Cublas, open_library
from portnn.compile._cupy._gemm import GemmArguments
from portnn.compile._cupy._kernels import THREADS, KernelSource, joined, kernel_error
from portnn.compile._cupy._memory import GraphMemory

__all__ = ["CupyDriver", "driver_for"]

T = TypeVar("T")


@final
class CupyDriver:
    """A GPU through CuPy; meets the `Driver` protocol.

    Args:
        device: a `cupy.cuda.Device`; None for the current one.
    """

    def __init__(self, device: Any = None) -> None:
        self._cupy = importlib.import_module("cupy")
        cuda = self._cupy.cuda
        self._device = cuda.Device() if device is None else device
        with self._device:
            self._stream = cuda.Stream(non_blocking=True)
            self._copying = cuda.Stream(non_blocking=True)
            self._before, self._after = self.event(), self.event()
            self._memory = GraphMemory()
        self._lock = lock_of(self._device)
        self._callers: list[Any] = []  # the callers' streams, outermost first
        self._functions: dict[str, Any] = {}
        self._blas: Cublas | None = None
        self._kept: list[Any] = []

    @contextmanager
    def working(self) -> Iterator[None]:
        """Order the own stream between the caller's work before and after."""
        with self._lock, self._device:
            caller = self._cupy.cuda.get_current_stream()
            self._follow(caller)
            self._callers.append(caller)
            try:
                with self._stream:
                    yield
            except Exception as error:  # whatever its type; raised again, or as a MemoryError
                raise_memory_error(error, error.__traceback__)
                raise
            finally:
                self._callers.pop()
                self._precede(caller)

    @contextmanager
    def handing_out(self) -> Iterator[None]:
        """Work on the caller's stream, ordered between earlier and later work of the own stream.

        CuPy reuses freed memory for the next allocation on the stream of the first one. Memory that the
        caller frees must not go to the own stream, which does not wait for what the caller still reads.
        """
        caller = self._callers[-1]
        self._precede(caller)
        try:
            with caller:
                yield
        finally:
            self._follow(caller)

    def _follow(self, caller: Any) -> None:
        """Let the own stream wait for the caller's work so far."""
        caller.record(self._before)
        self._stream.wait_event(self._before)

    def _precede(self, caller: Any) -> None:
        """Let the caller's stream wait for the own work so far."""
        self._stream.record(self._after)
        caller.wait_event(self._after)

    @contextmanager
    def private_pool(self) -> Iterator[object]:
        """Allocate from the memory that graphs share, taken from the caller's allocator; yield its chunks."""
        cuda = self._cupy.cuda
        with self._memory.session(cuda.get_allocator()) as used, cuda.using_allocator(self._malloc):
            yield used

    def _malloc(self, size: int) -> Any:
        """Allocate as CuPy's allocators do."""
        cuda, block = self._cupy.cuda, self._memory.malloc(size)
        return cuda.MemoryPointer(cuda.UnownedMemory(block.address, size, block, self._device.id), 0)

    def compile(self, sources: Sequence[KernelSource]) -> dict[str, Any]:
        """All that are new, in one module: CuPy adds ``-ftz=true``, as to its own kernels."""
        new = list({s.name: s for s in sources if s.name not in self._functions}.values())
        if new:
            try:
                self._functions |= self._with_room(lambda: self._loaded(new))
            except self._cupy.cuda.compiler.CompileException as error:
                raise kernel_error(str(error), new) from error
        return {s.name: self._functions[s.name] for s in sources}

    def _loaded(self, sources: Sequence[KernelSource]) -> dict[str, Any]:
        module = self._cupy.RawModule(code=joined(sources), options=("--std=c++17",))
        return {s.name: module.get_function(s.name) for s in sources}

    def _with_room(self, make: Callable[[], T]) -> T:
        """Call `make`, which allocates outside CuPy's pool; if memory runs out, empty the pool and retry."""
        try:
            return make()
        except Exception as error:  # of CuPy, CUDA or cuBLAS: three types, told apart by the text
            if not is_out_of_memory(error):
                raise
        self._cupy.get_default_memory_pool().free_all_blocks()
        return make()

    def launch(
        self, function: Any, blocks: int, operands: Sequence[Array], found: Sequence[Array] = ()
    ) -> None:
        """A RawKernel takes an array as its address."""
        function((blocks,), (THREADS,), tuple(operands))

    def view(self, function: Callable[..., Any], args: Any, options: Any) -> Array:
        """CuPy makes an array without axes where NumPy makes a number."""
        return function(*args, **options)

    def call(self, function: Callable[..., Any], args: Any, options: Any) -> Any:
        """CuPy puts it on the current stream, which is the own one."""
        return function(*args, **options)

    def product(self, g: GemmArguments, precision: str, a: Array, b: Array, c: Array) -> None:
        """By the own handle."""
        self._cublas().multiply(g, precision, str(c.dtype), a.data.ptr, b.data.ptr, c.data.ptr)

    def _cublas(self) -> Cublas:
        if self._blas is None:
            module = self._cupy.cuda.cublas  # the attribute loads the library; importing it by name does not
            cuda = self._cupy.cuda.driver.get_build_version() // 1000
            # Never from a graph's memory: the workspace would keep a large chunk of it forever.
            with self._cupy.cuda.using_allocator(self._memory.source or self._cupy.cuda.get_allocator()):
                workspace = self._cupy.empty(WORKSPACE, dtype="uint8")
            library = open_library(module.__file__, cuda)
            self._blas = self._with_room(lambda: Cublas(library, self._stream.ptr, workspace.data.ptr))
            self._kept.append(workspace)  # forever, so that nothing else is ever allocated there
        return self._blas

    def copy(self, target: Array, source: Array) -> None:
        """On the device."""
        self._cupy.copyto(target, source)

    def asarray(self, host: Any) -> Array:
        """Through CuPy."""
        return self._cupy.asarray(host)

    def empty(self, shape: tuple[int, ...], dtype: str) -> Array:
        """From the pool in force."""
        return self._cupy.empty(shape, dtype=dtype)

    def contiguous(self, x: Array) -> Array:
        """In C order."""
        return self._cupy.ascontiguousarray(x)

    def broadcast(self, x: Array, shape: tuple[int, ...]) -> Array:
        """With steps of zero."""
        return self._cupy.broadcast_to(x, shape)

    def address(self, x: Array) -> int:
        """An integer."""
        return int(x.data.ptr)

    def put(self, target: Array, host: Any) -> None:
        """On the current stream."""
        target.set(np.ascontiguousarray(host))

    def clone(self, x: Array) -> Array:
        """In the same layout."""
        return x.copy(order="K")

    def is_host(self, x: Array) -> bool:
        """Whether it is NumPy's."""
        return isinstance(x, np.ndarray)

    def to_host(self, x: Array) -> Any:
        """Waits for the current stream."""
        return x.get()

    def free_bytes(self) -> int:
        """The bytes that CUDA reports as free, plus the unused ones in CuPy's pool."""
        return free_bytes(self._device)

    def memory(self) -> tuple[str, int]:
        """As CUDA counts it."""
        return f"cuda:{self._device.id}", int(self._device.mem_info[1])

    def begin_capture(self) -> None:
        """In relaxed mode, CuPy's default: its pool may have to ask CUDA for memory meanwhile."""
        self._stream.begin_capture(self._cupy.cuda.runtime.streamCaptureModeRelaxed)

    def end_capture(self) -> Any:
        """CuPy makes the graph executable at once."""
        return self._stream.end_capture()

    def upload(self, graph: Any) -> None:
        """To the own stream."""
        graph.upload(self._stream)

    def start(self, graph: Any) -> None:
        """On the own stream."""
        graph.launch(self._stream)

    def synchronize(self) -> None:
        """The host waits."""
        self._stream.synchronize()

    def pinned(self, shape: tuple[int, ...], dtype: str) -> Any:
        """Memory that cannot be paged out."""
        size = int(np.prod(shape, dtype=np.int64))
        room = max(1, size * np.dtype(dtype).itemsize)
        try:
            memory = self._cupy.cuda.alloc_pinned_memory(room)
        except self._cupy.cuda.runtime.CUDARuntimeError as error:
            raise MemoryError(
                f"the host cannot pin {room / 1e6:,.1f} MB of its memory, through which data are streamed; "
                f"use a smaller batch_size, or free host memory"
            ) from error
        return np.frombuffer(memory, dtype, size).reshape(shape)

    def event(self) -> Any:
        """Without a clock, which makes it cheaper."""
        return self._cupy.cuda.Event(disable_timing=True)

    def send(self, target: Array, source: Any) -> None:
        """Returns at once."""
        target.set(source, stream=self._copying)

    def mark(self, event: Any, *, copying: bool) -> None:
        """Record the event."""
        event.record(self._copying if copying else self._stream)

    def wait(self, event: Any, *, copying: bool) -> None:
        """On the device, not on the host."""
        (self._copying if copying else self._stream).wait_event(event)

    def wait_on_host(self, event: Any) -> None:
        """Block until the event has happened."""
        event.synchronize()


@cache
def driver_for(device: int) -> CupyDriver:
    """Return the driver of a GPU by its number: one for all plans, so that its stream orders their work."""
    refuse_tf32(f"cupy:{device}")  # arrays may have been created without a backend
    return CupyDriver(importlib.import_module("cupy").cuda.Device(device))
