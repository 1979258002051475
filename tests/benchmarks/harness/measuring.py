"""One workload: every contender is tried, checked, and only then timed in turns with the others."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.benchmarks.harness.processes import Pool, Process
from tests.benchmarks.harness.worker import REGISTRIES
from tests.benchmarks.harness.workloads import Workload

__all__ = ["Entry", "Session", "measure"]

TOLERANCE = {"float32": 2e-4, "tf32": 1e-2, "bfloat16": 5e-2}  # of the loss, relative
PAUSE = 0.05  # seconds in which the threads of the one before fall asleep
TRIAL = 0.15  # seconds of a trial with some number of threads
WARM = 2  # steps of a first run: some libraries compile in the second
FEWEST = 3  # rounds that are taken in any case
PATIENCE = 12.0  # seconds that the checked steps may take


@dataclass
class Entry:
    """A contender in a workload.

    Attributes:
        slug: which.
        title: its name in tables.
        status: "ok", "missing", "too slow", "failed" or "disagrees".
        reason: why it is not ok.
        threads: the number of threads it is fastest with; None if it decides itself.
        loss: the loss after the checked steps.
        steps: steps in each of its runs.
        seconds: seconds a step, round by round.
    """

    slug: str
    title: str
    status: str = "ok"
    reason: str = ""
    threads: int | None = None
    loss: float | None = None
    steps: int = 0
    seconds: list[float] = field(default_factory=list)

    def fail(self, answer: dict[str, Any]) -> None:
        """Take over why there is no time."""
        self.status, self.reason = next(
            (s, answer[s]) for s in ("missing", "too slow", "failed") if s in answer
        )


class Failure(Exception):
    """A worker's answer that is none."""

    def __init__(self, answer: dict[str, Any]) -> None:
        super().__init__(str(answer))
        self.answer = answer


class Session:
    """A workload, the data it works on, and the processes."""

    def __init__(self, pool: Pool, workload: Workload, folder: str, timeout: float) -> None:
        self.pool, self.workload, self.timeout = pool, workload, timeout
        self.kind = "training" if workload.training else "inference"
        self.task = {
            "sizes": workload.sizes, "batch": workload.batch, "precision": workload.precision,
            "folder": folder, "params": workload.params, "pixels": workload.pixels,
        }  # fmt: skip
        self.number = 1000  # of the next epoch; the checked ones come before

    def ask(self, process: Process, **request: Any) -> dict[str, Any]:
        """A worker's answer; raises `Failure` if that says why there is none."""
        answer = process.ask(self.timeout, **request)
        if "failed" in answer or "missing" in answer:
            raise Failure(answer)
        return answer

    def start(self, slug: str, threads: int | None) -> Process:
        """A process that stands at the beginning of the task."""
        process, answer = self.pool.open(self.kind, slug, threads)
        if process is None:
            raise Failure(answer)
        self.ask(process, do="prepare", task=self.task, threads=threads)
        return process

    def run(self, slug: str, process: Process, first: int, count: int) -> tuple[float, int]:
        """Seconds a step of a run of about `count` steps, and how many they were."""
        w = self.workload
        request = {"first": first, "epochs": w.epochs, "steps": w.steps, "limit": count}
        if REGISTRIES[self.kind][slug].whole_epochs:  # fewer steps are smaller or fewer epochs
            steps = min(w.steps, count)
            epochs = 1 + max(1, count // steps)  # the first is not counted: the others were warmed up too
            request = {"first": first, "epochs": epochs, "steps": steps, "limit": None}
        answer = self.ask(process, do="run", batch=w.batch, **request)
        return answer["seconds"] / answer["steps"], answer["steps"]

    def loss_after(self, process: Process) -> tuple[float | None, float | None]:
        """The mean loss of the checked steps, and the loss after them, which is that of one step more."""
        w = self.workload
        epochs, steps = w.checked
        checked = {"do": "run", "first": 0, "epochs": epochs, "steps": steps, "limit": None}
        mean = self.ask(process, batch=w.batch, **checked)["loss"]
        once = {"do": "run", "first": epochs, "epochs": 1, "steps": 1, "limit": None}
        return mean, self.ask(process, batch=w.batch, **once)["loss"]

    def fitting(self, rough: float, seconds: float) -> int:
        """The number of steps that fit into `seconds`, at most those of a run."""
        return max(1, min(int(seconds / rough), self.workload.steps * self.workload.epochs))

    def speed(self, slug: str, process: Process, seconds: float) -> float:
        """Seconds a step, warm, from runs that take about `seconds`."""
        total = self.workload.steps * self.workload.epochs
        rough = [self.run(slug, process, 0, min(WARM, total))[0] for _ in range(2)][1]
        count = self.fitting(rough, seconds)
        # Another number of steps may mean another compilation: the better of two runs has none.
        return min(self.run(slug, process, 0, count)[0] for _ in range(2))

    def be_patient(self, seconds: float) -> None:
        """Give up on a contender that would take minutes: the others would have no time left."""
        epochs, steps = self.workload.checked
        if epochs * steps * seconds > PATIENCE:
            reason = f"{seconds * 1e3:.0f} ms a step, and {epochs * steps} have to be checked first"
            raise Failure({"too slow": reason})


def enter(session: Session, slug: str, expected: tuple[float | None, float | None]) -> Entry:
    """Find a contender's best number of threads and compare its losses with the reference."""
    contender = REGISTRIES[session.kind][slug]
    entry = Entry(slug, contender.title)
    try:
        choices = contender.thread_choices(session.pool.device)
        speeds = {}
        for threads in choices if len(choices) > 1 else ():
            speeds[threads] = session.speed(slug, session.start(slug, threads), TRIAL)
        entry.threads = min(speeds, key=lambda n: speeds[n]) if speeds else choices[0]
        session.be_patient(speeds.get(entry.threads, 0.0))
        process = session.start(slug, entry.threads)
        if contender.computes:
            compare(entry, session.loss_after(process), expected, TOLERANCE[session.workload.precision])
        if entry.status == "ok":
            rough = speeds.get(entry.threads) or session.speed(slug, process, TRIAL)
            entry.steps = session.fitting(rough, session.workload.seconds)
            if contender.whole_epochs:  # cutting its epochs short would change what it is asked to do
                entry.steps = session.workload.steps * session.workload.epochs
            session.run(slug, process, 0, entry.steps)  # whoever compiles for a number of steps does it here
    except Failure as failure:
        entry.fail(failure.answer)
    return entry


def compare(
    entry: Entry,
    losses: tuple[float | None, float | None],
    expected: tuple[float | None, float | None],
    tolerance: float,
) -> None:
    """Let a contender with other losses than the reference go no further."""
    entry.loss = losses[1]
    pairs = list(zip(("mean loss", "loss after"), losses, expected, strict=True))
    if losses[1] is None:
        entry.status, entry.reason = "disagrees", "the loss after the checked steps is not a number"
    for what, own, right in pairs:
        if own is not None and not abs(own - right) <= tolerance * abs(right):
            entry.status, entry.reason = "disagrees", f"{what} is {own:.7g}, expected {right:.7g}"


def measure(
    session: Session, slugs: list[str], rounds: int, until: float, say: Any = print
) -> dict[str, Any]:
    """Enter all contenders, then let them take turns.

    Args:
        session: the workload.
        slugs: the contenders.
        rounds: how many rounds.
        until: the time (`time.monotonic`) after which no further round begins, once there are three.
        say: is told what goes on.

    Returns:
        The workload as plain data, with an entry for each contender.
    """
    entries: list[Entry] = []
    try:
        expected = session.loss_after(session.start("reference", None))
    except Failure as failure:  # without it nobody can be believed
        why = {"failed": f"reference: {next(iter(failure.answer.values()))}"}
        entries = [Entry(slug, REGISTRIES[session.kind][slug].title) for slug in slugs]
        for entry in entries:
            entry.fail(why)
        expected, slugs = None, []
    for slug in slugs:
        begin = time.monotonic()
        entries.append(entry := enter(session, slug, expected))
        told = f"{entry.status}{': ' if entry.reason else ''}{entry.reason}"
        say(f"  {entry.title}: {told} ({time.monotonic() - begin:.1f} s)")
    taken = 0
    while taken < rounds and (taken < FEWEST or time.monotonic() < until):
        take_turns(session, [entry for entry in entries if entry.status == "ok"], taken)
        taken += 1
    w = session.workload
    return {
        "title": w.title, "batch": w.batch, "sizes": list(w.sizes), "precision": w.precision,
        "training": w.training, "rounds": taken, "expected": expected,
        "entries": {entry.slug: asdict(entry) for entry in entries},
    }  # fmt: skip


def take_turns(session: Session, entries: list[Entry], number: int) -> None:
    """One round; every other one goes backwards, so that nobody always follows the same neighbour."""
    for entry in entries if number % 2 == 0 else reversed(entries):
        process, _ = session.pool.open(session.kind, entry.slug, entry.threads)
        time.sleep(PAUSE)
        try:
            entry.seconds.append(session.run(entry.slug, process, session.number, entry.steps)[0])
        except Failure as failure:
            entry.fail(failure.answer)
            entry.seconds = []
    session.number += session.workload.epochs
