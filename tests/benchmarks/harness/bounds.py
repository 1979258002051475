"""What portnn has set itself to reach, and whether it did."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any, final

from tests.benchmarks.harness.ratios import Ratio, ratio

__all__ = ["BOUNDS", "Bound", "Verdict", "judge"]

OURS = ("portnn", "portnn-jit", "portnn-eager")
LIMITS = ("floor", "products")  # no peers: they do not train
FASTEST, FASTEST_STEP = "fastest peer", "fastest peer that is called once a step"
WHOLE = ("jax-scan", "torch-graph")  # peers that are not asked step by step


@final
@dataclass(frozen=True)
class Bound:
    """One ratio of times and its limit.

    Attributes:
        workload: where; "W6" is the start, "memory" the peak memory.
        over: whose time, or "fastest peer".
        under: whose time it is divided by.
        most: the ratio is at most this; None if there is no such limit.
        least: the ratio is at least this; with neither limit it is only stated.
        device: where the bound holds.
    """

    workload: str
    over: str
    under: str
    most: float | None = None
    least: float | None = None
    device: str = "cpu"

    @property
    def text(self) -> str:
        """The limit in words."""
        if self.most is not None:
            return f"at most {self.most:g}"
        return "stated" if self.least is None else f"at least {self.least:g}"


BOUNDS = (
    Bound("W1", "portnn", "floor", most=1.6),
    Bound("W1", "torch", "portnn", least=4),
    Bound("W1", "torch-lean", "portnn", least=4),
    Bound("W1", "sklearn", "portnn", least=3),
    Bound("W1", "jax", "portnn", least=1.2),
    Bound("W1", "jax-scan", "portnn", least=1),
    Bound("W2", "article", "portnn", least=1.8),
    Bound("W2", "portnn", FASTEST, most=1.05),
    Bound("W3", FASTEST_STEP, "portnn", least=1),
    Bound("W3", "portnn", "jax-scan", most=1.25),
    Bound("W4", "portnn", FASTEST, most=1.05),
    *(Bound("W5-1", peer, "portnn", least=1) for peer in ("torch", "jax", "sklearn")),
    *(Bound(f"W5-{size}", "onnxruntime", "portnn") for size in (1, 64, 10_000)),
    Bound("W6", "torch", "portnn", least=5),
    Bound("W6", "jax", "portnn", least=5),
    Bound("W6", "sklearn", "portnn"),
    Bound("memory", "peak", "data set", most=1.5),
    Bound("W1", "torch", "portnn", least=8, device="gpu"),
    Bound("W1", "torch-graph", "portnn", least=1.5, device="gpu"),
    *(
        bound
        for precision in ("float32", "tf32", "bfloat16")
        for bound in (
            Bound(f"W8-{precision}", "products", "portnn", least=0.85, device="gpu"),
            Bound(f"W8-{precision}", "portnn", FASTEST, most=1.0, device="gpu"),
        )
    ),
)


@final
@dataclass(frozen=True)
class Verdict:
    """A bound, what was measured, and "pass", "FAIL", "stated" or "not measured"."""

    bound: Bound
    over: str
    under: str
    measured: Ratio | None
    verdict: str


def peers(entries: dict[str, Any], each_step: bool) -> list[str]:
    """The peers with times, fastest first."""
    out = {*OURS, *LIMITS, *(WHOLE if each_step else ())}
    timed = [slug for slug, entry in entries.items() if slug not in out and entry["seconds"]]
    return sorted(timed, key=lambda slug: statistics.median(entries[slug]["seconds"]))


def resolve(entries: dict[str, Any], name: str) -> str | None:
    """The contender that a name stands for, if it has times."""
    if name in (FASTEST, FASTEST_STEP):
        return next(iter(peers(entries, name == FASTEST_STEP)), None)
    return name if entries.get(name, {}).get("seconds") else None


def measured(bound: Bound, results: dict[str, Any]) -> tuple[str, str, Ratio | None]:
    """Who was compared with whom, and the ratio, if both were measured."""
    if bound.workload == "memory":
        memory = results.get("memory", {})
        both = ([memory["peak"]], [memory["dataset"]]) if memory.get("status") == "ok" else None
        return bound.over, bound.under, ratio(*both) if both else None
    if bound.workload == "W6":
        entries = results.get("startup", {})
    else:
        entries = results["workloads"].get(bound.workload, {}).get("entries", {})
    over, under = resolve(entries, bound.over), resolve(entries, bound.under)
    if over is None or under is None:
        return over or bound.over, under or bound.under, None
    return over, under, ratio(entries[over]["seconds"], entries[under]["seconds"])


def judge(results: dict[str, Any]) -> list[Verdict]:
    """A verdict on each bound of the device; what was not measured is neither passed nor failed."""
    verdicts = []
    for bound in BOUNDS:
        if bound.device != results["device"]:
            continue
        over, under, found = measured(bound, results)
        if found is None:
            verdict = "not measured"
        elif bound.most is None and bound.least is None:
            verdict = "stated"
        else:
            kept = found.median <= bound.most if bound.most is not None else found.median >= bound.least
            verdict = "pass" if kept else "FAIL"
        verdicts.append(Verdict(bound, over, under, found, verdict))
    return verdicts
