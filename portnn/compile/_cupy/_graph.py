"""Capture: work that is put on a stream becomes a CUDA graph, which is then launched as a whole."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar, final

from portnn.compile._cupy._driver import Driver

__all__ = ["CaptureError", "Captured", "capture"]

T = TypeVar("T")
_WARM_UPS = 2  # the first compiles and fills the pool, the second finds all of that done


class CaptureError(RuntimeError):
    """Work could not be captured; the message says what stood in the way."""


@final
class Captured(Generic[T]):
    """A graph, what its last run made, and what must live as long as it does.

    Attributes:
        result: what the captured function returned; a launch fills these arrays anew.
        chunks: the pieces of memory that it uses, which other graphs may share.
    """

    def __init__(self, driver: Driver, graph: Any, result: T, memory: Any, kept: Any) -> None:
        self._driver = driver
        self._graph = graph
        self.chunks = tuple(memory or ())
        self._kept = kept
        self.result = result

    def launch(self) -> None:
        """Run everything once more."""
        self._driver.start(self._graph)


def capture(driver: Driver, work: Callable[[], T], kept: Any = None) -> Captured[T]:
    """Write down what `work` puts on the driver's stream; call it inside ``driver.working()``.

    The work is done for real first, so that kernels are compiled and the private pool holds all the memory it
    will ask for. Whatever arrays it returns stay allocated; others go back to the pool and are used by later
    steps, in every run in the same way. The graph keeps that memory until it is dropped itself.

    Args:
        driver: the device.
        work: puts the same work on the stream whenever it is called.
        kept: objects that the graph needs, such as compiled kernels and the arrays it reads.

    Raises:
        CaptureError: if it does what a graph cannot hold. The stream is then usable again.
    """
    with driver.private_pool() as memory:
        for _ in range(_WARM_UPS):
            work()
        driver.synchronize()
        with _no_collection():
            driver.begin_capture()
            try:
                result = work()
                graph = _end(driver)
            except CaptureError:
                raise
            except BaseException as error:
                _abandon(driver, error)
                raise
    driver.upload(graph)
    return Captured(driver, graph, result, memory, kept)


def _end(driver: Driver) -> Any:
    try:
        return driver.end_capture()
    except RuntimeError as error:
        raise CaptureError(f"CUDA gave the capture up: {error}") from error


def _abandon(driver: Driver, error: BaseException) -> None:
    """End a capture that failed; what CUDA says of its end adds nothing to what went wrong before."""
    try:
        driver.end_capture()
    except RuntimeError as second:
        error.add_note(f"the capture ended with: {second}")
    if isinstance(error, RuntimeError | MemoryError):
        raise CaptureError(f"{type(error).__name__}: {error}") from error


@contextmanager
def _no_collection() -> Iterator[None]:
    """No garbage collection: it could free device memory, or wait, in the middle of a capture."""
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
