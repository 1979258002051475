"""Faults to plant in the GPU code, for `test_planted.py`: pytest loads this module, and PLANT selects one.

Each is a mistake that a change of the code could make. The test named with it has to fail.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import Any

__all__ = ["PLANTS", "Plant"]

ON_GPU = "tests/compile/gpu/test_on_gpu.py"
MEMORY = "tests/compile/gpu/test_memory.py"


@dataclass(frozen=True)
class Plant:
    """A fault.

    Attributes:
        plant: puts it into the loaded package.
        caught_by: a test that passes without it and fails, or dies, with it.
        settings: environment variables that the test needs to see it.
    """

    plant: Callable[[], None]
    caught_by: str
    settings: dict[str, str] = field(default_factory=dict)


def _forget_a_wait() -> None:
    """A step starts before its chunk of the data has arrived."""
    from portnn.compile._cupy._device import CupyDriver

    CupyDriver.wait = lambda self, event, *, copying: None


def _forget_the_caller() -> None:
    """A plan starts before the caller's own work is done."""
    from portnn.compile._cupy._device import CupyDriver

    CupyDriver._follow = lambda self, caller: None


def _free_early() -> None:
    """A graph does not keep the memory that it computes in."""
    from portnn.compile._cupy import _graph

    right = _graph.Captured.__init__

    def wrong(self: Any, driver: Any, graph: Any, result: Any, kept: Any) -> None:
        right(self, driver, graph, result, None)

    _graph.Captured.__init__ = wrong


def _wait_inside() -> None:
    """Every kernel launch is followed by a wait, which breaks captures."""
    from portnn.compile._cupy._device import CupyDriver

    right = CupyDriver.launch

    def wrong(self: Any, *args: Any) -> None:
        right(self, *args)
        self.synchronize()

    CupyDriver.launch = wrong


def _write_beyond() -> None:
    """The loop of a kernel runs one element too far."""
    from portnn.compile._cupy import _kernels

    right = _kernels.PRELUDE
    _kernels.PRELUDE = right.replace("i < (n);", "i <= (n);")
    assert right != _kernels.PRELUDE, "the loop's text has changed: plant the fault anew"


def _read_across() -> None:
    """A kernel reads its inputs as if they were in C order."""
    from portnn.compile._cupy import _kernels

    def wrong(value: Any) -> tuple[int, ...]:
        return tuple([prod(value.shape[axis + 1 :]) for axis in range(len(value.shape))])

    _kernels.element_strides = wrong


def _forget_a_name() -> None:
    """A function that only launches kernels is missing in the list of what may be captured."""
    from portnn.compile._cupy import _left

    _left._SAFE = _left._SAFE - {"count_nonzero"}


PLANTS = {
    "a wait for data is missing": Plant(
        _forget_a_wait, f"{ON_GPU}::test_streamed_data_give_what_resident_data_give", {"CPUCUDA_LAZY": "1"}
    ),
    "a wait for the caller is missing": Plant(
        _forget_the_caller, f"{ON_GPU}::test_truth", {"CPUCUDA_LAZY": "1"}
    ),
    "memory is freed too early": Plant(
        _free_early, f"{MEMORY}::test_a_fit_with_validation_data_where_memory_is_short"
    ),
    "a wait is inside a capture": Plant(_wait_inside, f"{ON_GPU}::test_jit_and_fit_use_plans"),
    "a kernel writes past the end of its array": Plant(_write_beyond, f"{ON_GPU}::test_steps_of_training"),
    "a kernel has a wrong stride": Plant(_read_across, f"{ON_GPU}::test_kernels_read_views_of_every_layout"),
    "a name is missing in the list of what may be captured": Plant(
        _forget_a_name, f"{ON_GPU}::test_jit_and_fit_use_plans"
    ),
}

if "PLANT" in os.environ:
    PLANTS[os.environ["PLANT"]].plant()
