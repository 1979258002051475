"""Fuzz portnn: ``python -m tests.fuzz SECONDS`` runs each target that long, and exits with 1 if one fails.

Atheris (coverage-guided, libFuzzer) is used where it is installed, else the small engine in `engine.py`.
Each target runs in a process and a temporary folder of its own, with at most 4 GB of memory and 20 seconds
for an input. An input that fails is stored in the folder given by ``--findings``, and
``python -m tests.fuzz --replay FILE --targets NAME`` runs it again.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import resource
import subprocess
import sys
import tempfile
import traceback
from hashlib import sha256
from pathlib import Path

MEMORY = 4 << 30
PATIENCE = 20
NAMES = ("networks", "resume", "tensors", "arrays", "tables", "commands")
ROOT = Path(__file__).parents[2]


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("seconds", type=float, nargs="?", default=60.0, help="for each target")
    parser.add_argument(
        "--targets", nargs="+", choices=NAMES, default=NAMES, metavar="NAME", help=", ".join(NAMES)
    )
    parser.add_argument("--engine", choices=("auto", "atheris", "own"), default="auto")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--findings", type=Path, default=Path("findings"), help="folder for inputs that fail")
    parser.add_argument("--replay", type=Path, help="run this input alone")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.engine == "auto":
        options.engine = "atheris" if importlib.util.find_spec("atheris") else "own"
    return options


def parent(options: argparse.Namespace) -> int:
    """Run each target in a process of its own and print a summary."""
    options.findings.mkdir(parents=True, exist_ok=True)
    failed = 0
    for name in options.targets:
        command = [sys.executable, "-m", "tests.fuzz", str(options.seconds), "--child", "--targets", name]
        command += ["--engine", options.engine, "--seed", str(options.seed)]
        command += ["--findings", str(options.findings.resolve())]
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        with tempfile.TemporaryDirectory() as folder:
            limit = options.seconds + 240
            try:
                child = subprocess.run(
                    command, cwd=folder, env=environment, capture_output=True, text=True, errors="replace",
                    timeout=limit, check=False,
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                print(f"{name}: FAILED: not over after {limit:.0f} seconds", flush=True)
                failed += 1
                continue
        said = child.stdout + child.stderr
        count = re.findall(r"Done (\d+)", said)
        if child.returncode or not count:
            print(said[-6000:])
            print(
                f"{name}: FAILED with exit status {child.returncode}; inputs in {options.findings}",
                flush=True,
            )
            failed += 1
        else:
            print(f"{name}: {int(count[-1]):,} inputs, nothing found ({options.engine})", flush=True)
    passed = len(options.targets) - failed
    print(f"{passed} passed, {failed} failed")
    return int(failed > 0)


def child(options: argparse.Namespace) -> int:
    """Fuzz one target in this process."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    if options.engine == "atheris":
        return fuzz_with_atheris(options)
    from tests.fuzz.engine import fuzz
    from tests.fuzz.targets import TARGETS

    target = TARGETS[options.targets[0]]
    more = {"seconds": options.seconds, "seed": options.seed, "patience": PATIENCE}
    count, finding = fuzz(target.run, target.make_seeds(), target.words, target.change, **more)
    if finding is None:
        print(f"Done {count} inputs")
        return 0
    path = options.findings / f"{target.name}-{sha256(finding.data).hexdigest()[:12]}"
    path.write_bytes(finding.data)
    traceback.print_exception(finding.error)
    print(f"input {count}: {finding.data[:300]!r} in {path}")
    return 1


def fuzz_with_atheris(options: argparse.Namespace) -> int:
    """Run a target under libFuzzer, which ends the process."""
    import atheris

    with atheris.instrument_imports(include=["portnn"]):
        from tests.fuzz.targets import TARGETS
    target = TARGETS[options.targets[0]]
    corpus, words = Path("corpus"), Path("words")
    corpus.mkdir()
    for i, data in enumerate(target.make_seeds()):
        (corpus / str(i)).write_bytes(data)
    escaped = ("".join(f"\\x{byte:02x}" for byte in word) for word in target.words)
    words.write_text("".join(f'"{word}"\n' for word in escaped))
    flags = [
        f"-max_total_time={max(1, int(options.seconds))}", f"-timeout={PATIENCE}", f"-seed={options.seed}",
        f"-dict={words}", f"-artifact_prefix={options.findings}/{target.name}-", "-max_len=65536",
        "-rss_limit_mb=3000",
    ]  # fmt: skip
    change = None
    if target.change is not None:

        def change(data: bytes, room: int, seed: int) -> bytes:
            return target.change(data, seed) if seed % 2 else atheris.Mutate(data, room)

    atheris.Setup([sys.argv[0], *flags, str(corpus)], target.run, custom_mutator=change)
    atheris.Fuzz()
    return 0


def replay(options: argparse.Namespace) -> int:
    """Run one input without catching its exception."""
    from tests.fuzz.targets import TARGETS

    data = options.replay.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name in options.targets:
            TARGETS[name].make_seeds()
            TARGETS[name].run(data)
            print(f"{name}: nothing found")
    return 0


def main() -> int:
    """Run the command line."""
    options = parse()
    if options.replay:
        return replay(options)
    return child(options) if options.child else parent(options)


if __name__ == "__main__":
    sys.exit(main())
