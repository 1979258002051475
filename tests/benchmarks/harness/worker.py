"""The process of one contender: it takes a line of JSON, does what it says, and answers with a line.

What libraries print goes to standard error, so that it cannot be taken for an answer.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from tests.benchmarks.contenders import TRAINING, Contender, Reference, Task, UnavailableError, order_of
from tests.benchmarks.contenders._base import missing_package
from tests.benchmarks.inference import INFERENCE, PredictorReference

REGISTRIES: dict[str, dict[str, type[Contender]]] = {
    "training": {**TRAINING, "reference": Reference},
    "inference": {**INFERENCE, "reference": PredictorReference},
}
DISTRIBUTIONS = {"sklearn": "scikit-learn"}
TEXT = 300  # characters of an error that are passed on


def versions(contender: type[Contender]) -> dict[str, str]:
    """The versions of what the contender is made of."""
    found = {}
    for name in contender.packages:
        try:
            found[name] = version(DISTRIBUTIONS.get(name, name))
        except PackageNotFoundError:
            found[name] = "from a folder"
    return found


class Worker:
    """Answers requests for one contender."""

    def __init__(self) -> None:
        self.contender: Contender | None = None

    def open(self, kind: str, slug: str, device: str) -> dict[str, Any]:
        """Load the contender's library."""
        chosen = REGISTRIES[kind][slug]
        if (name := missing_package(chosen)) is not None:
            raise UnavailableError(name)
        self.contender = chosen(device)
        return {"versions": versions(chosen)}

    def prepare(self, task: dict[str, Any], threads: int | None) -> dict[str, Any]:
        """Begin a task anew."""
        self.contender.use_threads(threads)
        self.contender.prepare(Task(**{**task, "sizes": tuple(task["sizes"])}))
        return {}

    def run(
        self, first: int, epochs: int, steps: int, batch: int | None, limit: int | None
    ) -> dict[str, Any]:
        """Take a number of steps, and say how long they took together."""
        order = order_of(first, epochs, steps, batch, limit)
        contender = self.contender
        contender.synchronize()
        begin = time.perf_counter()
        result = contender.run(order)
        contender.synchronize()
        seconds, count = time.perf_counter() - begin, order.count
        if contender.settled is not None:
            seconds, count = contender.settled, order.count - order.steps
        loss = contender.loss(result, order)
        return {"seconds": seconds, "steps": count, "loss": None if math.isnan(loss) else loss}

    def answer(self, line: str) -> dict[str, Any]:
        """What a line asks for, or why not."""
        request = json.loads(line)
        try:
            return getattr(self, request.pop("do"))(**request)
        except UnavailableError as error:
            return {"missing": str(error)}
        except Exception as error:  # noqa: BLE001  # any library may fail in any way: it is reported as failed
            return {"failed": f"{type(error).__name__}: {' '.join(str(error).split())[:TEXT]}"}


def main() -> None:
    """Serve until standard input ends."""
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    worker = Worker()
    for line in sys.stdin:
        channel.write(json.dumps(worker.answer(line)) + "\n")
        channel.flush()


if __name__ == "__main__":
    main()
