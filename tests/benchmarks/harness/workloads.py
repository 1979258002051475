"""What is measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

__all__ = ["WORKLOADS", "Workload", "select"]

CHECKED = 50  # steps after which the losses have to agree


@final
@dataclass(frozen=True)
class Workload:
    """One task, and how long to look at it.

    Attributes:
        name: "W1" and so on.
        title: what it is, in words.
        sizes: features of each layer.
        batch: samples a step or call; None for the whole data set.
        steps: batches of an epoch; at W2 there is one.
        epochs: epochs of a run.
        seconds: a contender that would need longer for a run takes fewer steps.
        training: whether it trains; else it predicts.
        precision: that of the matrix products.
        pixels: whether images stay bytes until their batch comes.
        devices: where it is measured.
    """

    name: str
    title: str
    sizes: tuple[int, ...]
    batch: int | None
    steps: int
    epochs: int = 1
    seconds: float = 0.4
    training: bool = True
    precision: str = "float32"
    pixels: bool = False
    devices: tuple[str, ...] = ("cpu", "gpu")

    @property
    def params(self) -> str:
        """The file of the parameters to begin with."""
        kind = "initial" if self.training else "trained"
        return "-".join([kind, *map(str, self.sizes)]) + ".npz"

    @property
    def checked(self) -> tuple[int, int]:
        """Epochs and steps of an epoch of the run that is compared: at least 50 steps in all."""
        steps = min(self.steps, CHECKED)
        return -(-CHECKED // steps), steps


PREDICTING = "predicting 784-128-10, "
ARTICLE, MIDDLE, WIDE, HUGE = (784, 10, 10), (784, 128, 10), (784, 1024, 1024, 10), (784, 4096, 4096, 10)

WORKLOADS: dict[str, Workload] = {
    workload.name: workload
    for workload in (
        Workload("W1", "training 784-10-10, batches of 64", ARTICLE, 64, 937),
        Workload("W2", "training 784-10-10, full batch of 60,000", ARTICLE, None, 1, epochs=40, seconds=1.0),
        Workload("W3", "training 784-128-10, batches of 64", MIDDLE, 64, 937, seconds=0.5),
        Workload("W4", "training 784-1024-1024-10, batches of 256", WIDE, 256, 20, seconds=0.6),
        Workload("W5-1", PREDICTING + "one image", MIDDLE, 1, 2000, seconds=0.2, training=False),
        Workload("W5-64", PREDICTING + "64 images", MIDDLE, 64, 1000, seconds=0.2, training=False),
        Workload(
            "W5-10000", PREDICTING + "10,000 images", MIDDLE, 10_000, 20, seconds=0.3, training=False
        ),
        *(
            Workload(
                f"W8-{precision}", f"training 784-4096-4096-10, batches of 8192, {precision}", HUGE, 8192, 7,
                epochs=4, seconds=1.0, precision=precision, devices=("gpu",),
            )
            for precision in ("float32", "tf32", "bfloat16")
        ),
    )
}  # fmt: skip


def select(names: list[str] | None, device: str) -> tuple[list[Workload], set[str]]:
    """The workloads that were asked for ("W5" means all three), and which of W6, W7 and memory.

    Raises:
        ValueError: if there is no such workload, or it is not measured on this device.
    """
    extras = {"W6", "W7", "memory"}
    offered = [workload for workload in WORKLOADS.values() if device in workload.devices]
    if names is None:
        return offered, extras
    known = {workload.name for workload in offered} | {w.name.split("-")[0] for w in offered} | extras
    if unknown := sorted(set(names) - known):
        raise ValueError(f"no workload {unknown[0]!r} on {device}; there are {', '.join(sorted(known))}")
    chosen = [w for w in offered if w.name in names or w.name.split("-")[0] in names]
    return chosen, extras & set(names)
