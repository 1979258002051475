"""The benchmark: portnn, its peers and the floor, on the workloads that docs/benchmarks/running.md describes.

python -m tests.benchmarks                         # everything, at most ten minutes on two cores
python -m tests.benchmarks --workloads W1,W3       # some of it
python -m tests.benchmarks --quick                 # to see that everything works
python -m tests.benchmarks --backend gpu           # the same on a GPU
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.harness.session import SLUGS, benchmark

ROOT = Path(__file__).parents[2]


def names(text: str) -> list[str]:
    """Words between commas."""
    return [word for word in text.split(",") if word]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write the results, and print them; 0 whatever the bounds say."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--workloads", type=names, metavar="W1,W3", help="default: all, memory too")
    parser.add_argument("--peers", type=names, metavar="A,B", help=f"portnn besides; of {', '.join(SLUGS)}")
    parser.add_argument(
        "--rounds", type=int, default=9, help="default: 9; fewer if time runs out, at least 3"
    )
    parser.add_argument("--minutes", type=float, default=10, help="default: 10")
    parser.add_argument("--quick", action="store_true", help="a tenth of the steps: no time means anything")
    parser.add_argument("--backend", choices=["cpu", "gpu"], default="cpu")
    parser.add_argument("--data", type=Path, default=ROOT / "examples" / "data" / "mnist", metavar="FOLDER")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="default: a new folder, which is named")
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error(f"--rounds must be at least 1, got {options.rounds}")
    if unknown := sorted(set(options.peers or ()) - set(SLUGS)):
        parser.error(f"there is no contender {unknown[0]!r}; there are {', '.join(SLUGS)}")
    try:
        benchmark(options)
    except ValueError as error:
        parser.error(str(error))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
