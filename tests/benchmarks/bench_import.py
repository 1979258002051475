"""What `import portnn` costs against `import numpy`, in fresh processes, alternated.

Run with ``python -m tests.benchmarks.bench_import``. The second figure is for ``portnn.Network``, which
loads everything that training needs. Names are imported when they are first used, so the two differ.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

STATEMENTS = {
    "nothing": "pass",
    "numpy": "import numpy",
    "portnn": "import portnn",
    "portnn.Network": "import portnn; portnn.Network",
}


def seconds(statement: str) -> float:
    """The wall time of a process that executes one statement."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - begin


def measure(rounds: int) -> dict[str, list[float]]:
    """Seconds for each statement in each round, after one round that fills the caches."""
    times: dict[str, list[float]] = {name: [] for name in STATEMENTS}
    for i in range(rounds + 1):
        for name, statement in STATEMENTS.items():
            took = seconds(statement)
            if i:
                times[name].append(took)
    return times


def main() -> None:
    """Print the medians, and the ratios to NumPy round by round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    times = measure(parser.parse_args().rounds)
    for name, own in times.items():
        ratios = sorted(a / b for a, b in zip(own, times["numpy"], strict=True))
        print(
            f"{name:16s}{statistics.median(own) * 1e3:6.0f} ms, over numpy {statistics.median(ratios):.2f} "
            f"(from {ratios[0]:.2f} to {ratios[-1]:.2f})"
        )


if __name__ == "__main__":
    main()
