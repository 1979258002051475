"""Mutation testing: plant small mistakes in portnn, one at a time, and run the tests.

python -m tests.mutants                            # 200 mistakes, seed 20
python -m tests.mutants --seed 21 --count 50
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tests.mutants.coverage_map import CoverageMap, Project, find
from tests.mutants.processes import fork_all
from tests.mutants.sites import Site, Source, read
from tests.mutants.trial import Outcome, Reach, control, difference, draw, select, trial, verdict

START = time.monotonic()
ROOT = Path(__file__).parents[2]
PARTS = ("ops", "losses", "optim", "nn", "autodiff", "compile", "train", "serialize", "metrics")
ABOVE = ("accuracy", "cli", "docs", "estimators", "examples", "export", "plot")
PORTNN = Project(
    root=ROOT,
    package="portnn",
    folders=[f"portnn/{part}/" for part in PARTS],
    left_out={
        "portnn/compile/_cupy/": "only CuPy on a GPU executes it",
        "portnn/compile/_torch.py": "only PyTorch executes it",
        "portnn/compile/_passthrough.py": "only JAX executes it",
    },
    tests=["tests", "portnn"],
    tests_left_out={
        **{f"tests/{part}/": "whole programs and trainings, seconds a test" for part in ABOVE},
        **{f"portnn/{part}/": "its examples are whole programs, too" for part in ABOVE},
        "tests/test_plot": "pictures",
        "tests/benchmarks/": "bounds on time, which two tests at once would break",
        "tests/browser/": "needs a browser",
        "tests/mutants/": "tests of this program",
        "tests/peers/": "they need other libraries; nox -s peers runs them",
    },
    tests_of_the_import=["tests/test_defaults.py", "tests/test_public_names.py"],
    pytest=["--backend", "numpy", "tests/conftest.py"],
    preloaded=[
        *("numpy", "array_api_compat.numpy", "array_api_strict", "hypothesis.strategies", "mpmath", "onnx"),
        *("hypothesis.extra.numpy", "scipy.special", "sklearn.metrics", "pandas", "matplotlib.figure"),
    ],
)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the options of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutants", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=20, help="seed of the random choice; default: 20")
    parser.add_argument("--count", type=int, default=200, help="number of mistakes; default: 200")
    parser.add_argument("--workers", type=int, default=2, help="number of parallel processes; default: 2")
    text = "seconds of processor time for the tests of one mistake; default: 20"
    parser.add_argument("--budget", type=float, default=20.0, help=text)
    parser.add_argument(
        "--floor", type=float, default=0.87, help="share of mistakes that has to be found; default: 0.87"
    )
    parser.add_argument(
        "--cache", type=Path, default=ROOT / ".nox" / "mutants", help="folder for the coverage map"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result of each mistake")
    return parser.parse_args(arguments)


def run(project: Project, given: argparse.Namespace) -> int:
    """Draw and try mistakes, print the survivors; return 1 if there are too many."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # so that the processes end, too
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    preload(project.preloaded)
    os.chdir(project.root)
    every = [read(f.relative_to(project.root).as_posix(), f.read_bytes()) for f in project.sources()]
    sources = [source for source in every if project.is_changed(source.path)]
    sites = draw(sources, given.seed, given.count)
    total = sum(len(source.sites) for source in sources)
    print(f"{len(sites)} of {total} possible mistakes in {len(sources)} files, seed {given.seed}", flush=True)
    for name, reason in project.left_out.items():
        print(f"no mistakes in {name}: {reason}", flush=True)
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        known = find(project, every, given.cache, Path(folder), given.workers)
        print(f"map: {len(known.tests)} tests, {time.monotonic() - START:.0f} s", flush=True)
        for name in known.failing:
            print(f"left out, as it fails without a mistake: {name}", flush=True)
        outcomes = _try_all(project, every, sites, known, given, Path(folder))
    if given.json:
        given.json.write_text(json.dumps([asdict(outcome) for outcome in outcomes], default=sorted, indent=1))
    _print_survivors(every, outcomes)
    print(f"{time.monotonic() - START:.0f} s")
    return _sentence(outcomes, given.floor)


def preload(names: Sequence[str]) -> None:
    """Import slow modules; raise if that starts a thread, which forks would lack."""
    for name in names:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    if threading.active_count() > 1:
        raise RuntimeError(f"expected no threads before the processes part, got {threading.enumerate()}")
    gc.freeze()


def _try_all(
    project: Project,
    every: Sequence[Source],
    sites: Sequence[Site],
    known: CoverageMap,
    given: argparse.Namespace,
    folder: Path,
) -> list[Outcome]:
    """Run all trials; a test that finds a mistake has to pass in the same run without it."""
    by_path = {source.path: source for source in every}
    reach = Reach(every)
    seen = {site: () if site.probe else project.tests_of_the_import for site in sites}
    runs = {site: select(known, reach.of(site), site.path, given.budget, seen[site]) for site in sites}
    jobs = [trial(project, by_path[site.path], site, runs[site]) for site in sites if runs[site]]
    outcomes = {site: Outcome(site, "survived", "no test executes it", 0.0) for site in sites}
    for i, end in enumerate(fork_all(jobs, given.workers, folder), 1):
        outcomes[end.name] = outcome = verdict(end)
        if outcome.verdict == "survived":
            print(f"{outcome.site.path}:{outcome.site.line}: survived", flush=True)
        if i % 20 == 0:
            print(f"{i} of {len(jobs)}, {time.monotonic() - START:.0f} s", flush=True)
    killed = [outcome for outcome in outcomes.values() if outcome.verdict == "killed"]
    controls = [control(project, o.site, runs[o.site], o.by) for o in killed]
    for end in fork_all(controls, given.workers, folder):
        if verdict(end).verdict != "survived":
            test = outcomes[end.name].by
            outcomes[end.name] = Outcome(end.name, "survived", f"{test} fails without it, too", end.seconds)
            print(f"{end.name.path}:{end.name.line}: survived, as {outcomes[end.name].by}", flush=True)
    return list(outcomes.values())


def _print_survivors(every: Sequence[Source], outcomes: Sequence[Outcome]) -> None:
    by_path = {source.path: source for source in every}
    survivors = [outcome for outcome in outcomes if outcome.verdict == "survived"]
    for outcome in sorted(survivors, key=lambda outcome: (outcome.site.path, outcome.site.line)):
        site = outcome.site
        reason = " (no test executes it)" if outcome.by.startswith("no test executes") else ""
        print(f"\n{site.path}:{site.line}: {site.kind}{reason}")
        print(difference(by_path[site.path], site))


def _sentence(outcomes: Sequence[Outcome], floor: float) -> int:
    """Print the figures; return 1 if too few mistakes were found, else 0."""
    count = Counter(outcome.verdict for outcome in outcomes)
    unseen = sum(outcome.by.startswith("no test executes") for outcome in outcomes)
    share = (count["killed"] + count["timeout"]) / len(outcomes)
    print(
        f"{count['killed']} killed by a failing test, {count['timeout']} by the time limit, "
        f"{count['survived']} survived ({unseen} that no test executes; the others are equivalent or a gap): "
        f"{share:.1%} killed, at least {floor:.0%} wanted"
    )
    return int(share < floor)


if __name__ == "__main__":
    sys.exit(run(PORTNN, parse()))
