"""W6: from the start of a process to its first step of training, compilation included."""

from __future__ import annotations

import subprocess
import sys
import time
from importlib.util import find_spec
from typing import Any

from tests.benchmarks.first_step import LIBRARIES
from tests.benchmarks.harness.processes import ROOT, clean_environment

__all__ = ["measure_startup"]

SANE = (0.5, 6.0)  # what the cross-entropy of ten classes can be before anything was learned


def seconds_to_first_step(library: str) -> float:
    """The time from starting a process until it has printed the loss of its first step.

    Raises:
        RuntimeError: if the process fails, or the loss is none that a first step can have.
    """
    command = [sys.executable, "-m", "tests.benchmarks.first_step", library]
    begin = time.perf_counter()
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=clean_environment({}),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        line = process.stdout.readline()
        seconds = time.perf_counter() - begin
        errors = process.stderr.read().strip()
    if process.returncode or not SANE[0] < float(line) < SANE[1]:
        raise RuntimeError(f"{line.strip()} {errors[-200:]}".strip())
    return seconds


def measure_startup(rounds: int, say: Any = print) -> dict[str, Any]:
    """Seconds for each library in each round; a first round fills the caches and is thrown away."""
    results: dict[str, Any] = {}
    for library in LIBRARIES:
        here = find_spec(library) is not None
        results[library] = {"status": "ok" if here else "missing", "reason": "" if here else library}
        results[library]["seconds"] = []
    for number in range(rounds + 1):
        for library, entry in results.items():
            if entry["status"] != "ok":
                continue
            try:
                taken = seconds_to_first_step(library)
            except (RuntimeError, ValueError) as error:
                entry |= {"status": "failed", "reason": str(error), "seconds": []}
                say(f"  {library}: failed: {error}")
            else:
                entry["seconds"] += [taken] if number else []
    return results
