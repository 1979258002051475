"""What plans ask of a GPU. `CupyDriver` is the real one; tests put a recording one in its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from portnn._typing import Array
from portnn.compile._cupy._gemm import GemmArguments
from portnn.compile._cupy._kernels import KernelSource

__all__ = ["Driver"]


class Driver(Protocol):
    """A device with a stream of its own, and a pool of memory that only what is captured uses."""

    def working(self) -> AbstractContextManager[object]:
        """What is asked for inside goes to the own stream, after the caller's work so far."""

    def handing_out(self) -> AbstractContextManager[object]:
        """Work inside, within `working`, runs on the caller's stream, with the caller's memory."""

    def private_pool(self) -> AbstractContextManager[object]:
        """Allocations inside are for a graph, which has to hold what the context yields."""

    # Work on the stream.
    def compile(self, sources: Sequence[KernelSource]) -> dict[str, Any]:
        """The functions of kernels by their names; each is compiled once."""

    def launch(
        self, function: Any, blocks: int, operands: Sequence[Array], found: Sequence[Array] = ()
    ) -> None:
        """Start a kernel on the addresses of the operands; other arrays it finds by addresses in memory."""

    def view(self, function: Callable[..., Any], args: Any, options: Any) -> Array:
        """A function that only looks at memory in another way."""

    def call(self, function: Callable[..., Any], args: Any, options: Any) -> Any:
        """A function of CuPy's."""

    def product(self, g: GemmArguments, precision: str, a: Array, b: Array, c: Array) -> None:
        """A matrix product into `c`."""

    def copy(self, target: Array, source: Array) -> None:
        """The values of one array into another of its shape and dtype."""

    # Memory.
    def asarray(self, host: Any) -> Array:
        """An array on the device; one that is there already as it is."""

    def empty(self, shape: tuple[int, ...], dtype: str) -> Array:
        """Memory with anything in it, row by row."""

    def contiguous(self, x: Array) -> Array:
        """A copy that lies row by row; `x` itself if it does so already."""

    def broadcast(self, x: Array, shape: tuple[int, ...]) -> Array:
        """The array as a view of another shape."""

    def address(self, x: Array) -> int:
        """Where the first element is."""

    def put(self, target: Array, host: Any) -> None:
        """Values from host memory into an array on the device."""

    def clone(self, x: Array) -> Array:
        """A copy in memory of its own."""

    def is_host(self, x: Array) -> bool:
        """Whether an array is in host memory."""

    def to_host(self, x: Array) -> Any:
        """A copy in host memory, once all work before it is done."""

    def free_bytes(self) -> int:
        """Memory of the device that nothing uses."""

    def memory(self) -> tuple[str, int]:
        """The name of the device, and the bytes that it has."""

    # Graphs.
    def begin_capture(self) -> None:
        """From now on work is written down, not done."""

    def end_capture(self) -> Any:
        """Stop; the graph, made ready to be launched. Raises RuntimeError if the capture was broken."""

    def upload(self, graph: Any) -> None:
        """Bring a graph to the device ahead of its first launch."""

    def start(self, graph: Any) -> None:
        """Launch a graph on the own stream."""

    def synchronize(self) -> None:
        """Wait for the own stream."""

    # Streaming from the host, on a second stream.
    def pinned(self, shape: tuple[int, ...], dtype: str) -> Any:
        """A NumPy array in host memory that the device can read while other work runs."""

    def event(self) -> Any:
        """A mark that streams can set and wait for."""

    def send(self, target: Array, source: Any) -> None:
        """Copy a pinned array to the device, on the copying stream."""

    def mark(self, event: Any, *, copying: bool) -> None:
        """Set a mark on the copying stream or on the own one."""

    def wait(self, event: Any, *, copying: bool) -> None:
        """Let a stream wait for a mark."""

    def wait_on_host(self, event: Any) -> None:
        """Let the host wait for a mark."""
