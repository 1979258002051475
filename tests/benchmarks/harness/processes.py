"""Processes that stay alive and are asked one at a time."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any, Self

from tests.benchmarks.harness.worker import REGISTRIES

__all__ = ["Pool", "Process"]

ROOT = Path(__file__).parents[3]
POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC", "NUM_CPU_THREADS")


def clean_environment(extra: dict[str, str]) -> dict[str, str]:
    """The environment without what would fix numbers of threads behind our back."""
    kept = {name: value for name, value in os.environ.items() if name not in POOLS}
    path = [str(ROOT), *filter(None, [kept.get("PYTHONPATH")])]
    return {**kept, "PYTHONPATH": os.pathsep.join(path), "TF_CPP_MIN_LOG_LEVEL": "2", **extra}


class Process:
    """One worker; after a failure to answer it is gone, and says so."""

    def __init__(self, extra: dict[str, str]) -> None:
        self.errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115  # lives as long as the process
        self.child = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.harness.worker"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True, cwd=ROOT,
            env=clean_environment(extra),
        )  # fmt: skip
        self.lines: queue.Queue[str] = queue.Queue()
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()

    def _listen(self) -> None:
        for line in self.child.stdout:
            self.lines.put(line)
        self.lines.put("")

    def ask(self, timeout: float, **request: Any) -> dict[str, Any]:
        """The answer, or ``{"failed": why}`` if there is none in time."""
        if self.child.poll() is not None:
            return {"failed": f"its process has ended: {self._last_words()}"}
        self.child.stdin.write(json.dumps(request) + "\n")
        self.child.stdin.flush()
        try:
            line = self.lines.get(timeout=timeout)
        except queue.Empty:
            self.close()
            return {"failed": f"no answer to {request['do']!r} within {timeout:.0f} s"}
        return json.loads(line) if line else {"failed": f"its process ended: {self._last_words()}"}

    def _last_words(self) -> str:
        self.errors.seek(0)
        lines = self.errors.read().strip().splitlines()
        return lines[-1][:200] if lines else f"exit status {self.child.poll()}"

    def close(self) -> None:
        """End the process, and wait for that."""
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()
        self.listener.join()
        for stream in (self.child.stdin, self.child.stdout, self.errors):
            stream.close()


class Pool:
    """The processes that were started so far: one a contender, more where threads are fixed at the start."""

    def __init__(self, device: str, timeout: float) -> None:
        self.device, self.timeout = device, timeout
        self.processes: dict[Any, Process] = {}
        self.versions: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes.values():
            process.close()

    def open(self, kind: str, slug: str, threads: int | None) -> tuple[Process | None, dict[str, Any]]:
        """A process with the contender's library loaded, and its answer if that did not work."""
        contender = REGISTRIES[kind][slug]
        key = (kind, slug, threads if contender.threads_at_start else None)
        if key in self.processes and self.processes[key].child.poll() is None:
            return self.processes[key], {}
        process = Process(contender.environment(threads))
        answer = process.ask(self.timeout, do="open", kind=kind, slug=slug, device=self.device)
        if "versions" not in answer:
            process.close()
            return None, answer
        self.versions |= answer["versions"]
        self.processes[key] = process
        return process, {}
