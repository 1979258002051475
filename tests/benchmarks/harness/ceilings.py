"""What a device can do at most: copying memory, and being asked to do nothing."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

__all__ = ["measure_ceilings"]

BYTES = {"cpu": 2**28, "gpu": 2**32}  # far more than any cache
LAUNCHES = 1000
REPEATS = 7


def seconds_of(call: Callable[[], object], wait: Callable[[], object]) -> float:
    """The median time of a call, with the device idle before and after."""
    call()
    times = []
    for _ in range(REPEATS):
        wait()
        begin = time.perf_counter()
        call()
        wait()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def measure_ceilings(device: str) -> dict[str, Any]:
    """Bandwidth of a copy (bytes read and written a second), and the time of a launch that does nothing."""
    if find_spec("torch") is None:
        return {"status": "missing", "reason": "torch"}
    import torch

    if device == "gpu" and not torch.cuda.is_available():
        return {"status": "missing", "reason": "torch with CUDA"}
    wait = torch.cuda.synchronize if device == "gpu" else (lambda: None)
    place = "cuda" if device == "gpu" else "cpu"
    source = torch.zeros(BYTES[device] // 8, dtype=torch.float32, device=place)
    target = torch.empty_like(source)
    moved = 2 * source.numel() * source.element_size()
    copied = moved / seconds_of(lambda: target.copy_(source), wait)
    return {"status": "ok", "copy bytes per second": copied} | (
        launches(torch, wait) if device == "gpu" else {}
    )


def launches(torch: Any, wait: Callable[[], object]) -> dict[str, float]:
    """Seconds a launch: of an empty kernel, one after the other; of one, until it is done; in a graph."""

    def nothing() -> None:
        torch.cuda._sleep(0)

    def many() -> None:
        for _ in range(LAUNCHES):
            nothing()

    many()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        many()
    return {
        "launch": seconds_of(many, wait) / LAUNCHES,
        "launch until done": seconds_of(nothing, wait),
        "launch in a graph": seconds_of(graph.replay, wait) / LAUNCHES,
    }
