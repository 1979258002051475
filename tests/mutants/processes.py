"""Jobs in forks of this process, so that none affects the next."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["End", "Job", "fork_all"]

MEMORY = 8 * 2**30


@dataclass(frozen=True)
class Job:
    """Something to do in a process of its own."""

    name: Any
    work: Callable[[Path], Any]
    """Called with an empty folder; what it returns is sent as JSON."""
    seconds: float
    """Seconds of real time after which the process and its children are killed."""


@dataclass(frozen=True)
class End:
    """How a job ended: its result, or the signal that ended it (0: none)."""

    name: Any
    result: Any
    signal: int
    seconds: float
    output: str
    """The end of its output."""


def fork_all(jobs: Iterable[Job], workers: int, folder: Path) -> Iterator[End]:
    """Run all jobs, `workers` at a time, and yield each as it ends."""
    running: dict[int, tuple[Job, float, Path]] = {}
    waiting = enumerate(jobs)
    try:
        while True:
            while len(running) < workers and (following := next(waiting, None)) is not None:
                number, job = following
                place = folder / str(number)
                running[_fork(job, place)] = (job, time.monotonic(), place)
            if not running:
                return
            for pid in list(running):
                job, start, place = running[pid]
                found, status = os.waitpid(pid, os.WNOHANG)
                taken = time.monotonic() - start
                if not found and taken > job.seconds:
                    os.kill(pid, signal.SIGPROF)
                elif found:
                    del running[pid]
                    _end_group(pid)
                    printed = (place / "output.txt").read_text(errors="replace")[-2000:]
                    yield End(job.name, _result(place), status & 127, taken, printed)
                    shutil.rmtree(place, ignore_errors=True)
            time.sleep(0.01)
    finally:
        for pid in running:
            _end_group(pid)
            os.waitpid(pid, 0)


def _result(place: Path) -> Any:
    file = place / "result.json"
    return json.loads(file.read_text()) if file.exists() else None


def _end_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _fork(job: Job, place: Path) -> int:
    place.mkdir(parents=True)
    pid = os.fork()
    if pid:
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)
        return pid
    status = 1
    try:
        os.setpgid(0, 0)
        _be_quiet(place / "output.txt")
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY if hard == -1 else min(MEMORY, hard), hard))
        result = json.dumps(job.work(place))
        (place / "unfinished").write_text(result)
        (place / "unfinished").rename(place / "result.json")
        status = 0
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        os._exit(status)  # the parent flushes and tears down its own state


def _be_quiet(file: Path) -> None:
    """Redirect output to a file, and input from nothing."""
    output = os.open(file, os.O_WRONLY | os.O_CREAT)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for copied, original in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(copied, original)
