"""A whole run: what was asked for, one part after the other, and what is written at the end."""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.contenders import TRAINING
from tests.benchmarks.harness import inputs
from tests.benchmarks.harness.bounds import judge
from tests.benchmarks.harness.ceilings import measure_ceilings
from tests.benchmarks.harness.machine import describe, load_now
from tests.benchmarks.harness.measuring import Session, measure
from tests.benchmarks.harness.processes import ROOT, Pool, clean_environment
from tests.benchmarks.harness.report import markdown
from tests.benchmarks.harness.sizes import measure_sizes
from tests.benchmarks.harness.startup import measure_startup
from tests.benchmarks.harness.workloads import Workload, select
from tests.benchmarks.inference import INFERENCE

__all__ = ["SLUGS", "benchmark"]

SLUGS = list(dict.fromkeys([*TRAINING, *INFERENCE]))
TIMEOUT = 150.0  # seconds that a contender may think before it has failed


def contenders(workload: Workload, peers: list[str] | None, device: str) -> list[str]:
    """Who takes part: everyone that can, or portnn and those that were named."""
    registry = TRAINING if workload.training else INFERENCE
    return [
        slug
        for slug, contender in registry.items()
        if device in contender.devices
        and workload.precision in contender.precisions
        and (workload.batch is None or not contender.full_batch_only)
        and (peers is None or slug in ("portnn", *peers))
    ]


def say(line: str) -> None:
    """Print at once."""
    print(line, flush=True)


def shorter(workload: Workload) -> Workload:
    """A tenth of a workload."""
    return dataclasses.replace(
        workload,
        steps=max(1, workload.steps // 10),
        epochs=max(1, workload.epochs // 10),
        seconds=workload.seconds / 10,
    )


def measure_memory(folder: Path, steps: int) -> dict[str, Any]:
    """The peak memory of W2 in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.peak_memory", str(folder), str(steps)],
        cwd=ROOT, env=clean_environment({}), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        return {"status": "failed", "reason": done.stderr.strip().splitlines()[-1][:200]}
    return json.loads(done.stdout)


def measure_workloads(
    workloads: list[Workload], options: argparse.Namespace, until: float, results: dict[str, Any]
) -> None:
    """All workloads, each with its share of the time that is left."""
    images, labels, results["data"] = inputs.load(options.data)
    if results["data"] == inputs.STAND_IN:
        print(f"no MNIST in {options.data}: the data are {inputs.STAND_IN}")
    with tempfile.TemporaryDirectory() as folder, Pool(options.backend, TIMEOUT) as pool:
        inputs.write_data(Path(folder), images, labels)
        for left, workload in zip(range(len(workloads), 0, -1), workloads, strict=True):
            print(f"{workload.name}: {workload.title}", flush=True)
            inputs.write_params(Path(folder), workload, images, labels)
            slugs = contenders(workload, options.peers, options.backend)
            session = Session(pool, workload, folder, TIMEOUT)
            now = time.monotonic()
            share = now + max(0.0, until - now) / left
            results["workloads"][workload.name] = measure(session, slugs, options.rounds, share, say)
        results["versions"] |= pool.versions


def benchmark(options: argparse.Namespace) -> dict[str, Any]:
    """Measure what the options say, write JSON, Markdown and the picture, and print the report.

    Raises:
        ValueError: if the options name a workload that there is not.
    """
    begin = time.monotonic()
    until = begin + 60 * options.minutes
    workloads, extras = select(options.workloads, options.backend)
    rounds = 2 if options.quick else 5
    if options.quick:
        workloads, options.rounds = [shorter(workload) for workload in workloads], min(options.rounds, 2)
    output = options.output or Path(tempfile.mkdtemp(prefix="portnn-benchmark-"))
    output.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {
        "device": options.backend, "quick": options.quick, "machine": describe(options.backend),
        "versions": {"numpy": np.__version__}, "data": "none", "network of W5": inputs.TRAINED,
        "workloads": {},
    }  # fmt: skip
    if "W7" in extras:
        results["sizes"] = measure_sizes()
    if "memory" in extras and options.backend == "cpu":
        results["memory"] = measure_memory(options.data, 5 if options.quick else 20)
    if "W6" in extras:
        print("W6: from the start of a process to its first trained step", flush=True)
        results["startup"] = measure_startup(rounds)
    if options.backend == "gpu":
        results["ceilings"] = measure_ceilings(options.backend)
    if workloads:
        measure_workloads(workloads, options, until, results)
    results["machine"]["load after"] = load_now()
    results["minutes"] = round((time.monotonic() - begin) / 60, 2)
    finish(results, output)
    return results


def finish(results: dict[str, Any], output: Path) -> None:
    """Write everything, and print the report."""
    verdicts = judge(results)
    results["bounds"] = [
        {"where": v.bound.workload, "over": v.over, "under": v.under, "bound": v.bound.text,
         "measured": None if v.measured is None else dataclasses.asdict(v.measured), "verdict": v.verdict}
        for v in verdicts
    ]  # fmt: skip
    (output / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    report = markdown(results, verdicts)
    (output / "report.md").write_text(report)
    print(f"\n{report}")
    drawn = False
    if find_spec("matplotlib") is None:
        print("no picture: matplotlib is missing")
    else:
        from tests.benchmarks.harness.plot import draw

        drawn = draw(results, output / "times.png")
    files = ["results.json", "report.md", *(["times.png"] if drawn else [])]
    print(f"{results['minutes']} minutes; {', '.join(files)} in {output}")
