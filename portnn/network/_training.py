"""A training, from its first step to its last."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, final

from portnn import optim
from portnn._typing import Array, Tree
from portnn.compile import Loop, Precision
from portnn.losses import Task
from portnn.network._measures import count_right
from portnn.network._planning import loop_or_reason
from portnn.network._recorder import Recorder
from portnn.optim import Optimizer
from portnn.train import (
    Dataset,
    DivergenceError,
    EagerSteps,
    Epoch,
    Guard,
    History,
    Part,
    PlannedSteps,
    Progress,
    Snapshot,
    Steps,
    all_finite,
    count_steps,
    make_step,
    run_epochs,
)

if TYPE_CHECKING:
    from portnn.network._resume import Resumed

__all__ = ["Training"]

_LOOK = 32  # steps between looks at the loss where looking makes an accelerator wait


@final
@dataclass(frozen=True)
class Training:
    """A training whose data and options were looked at.

    Attributes:
        model: what is trained.
        recorder: knows the data, the plan and the callbacks.
        optimizer: as the callbacks need it.
        held_out: what is evaluated after each epoch, or None.
        penalty: as for `Network.fit`, and likewise those that follow.
        progress: likewise.
        compile: likewise.
        threads: likewise.
        precision: likewise.
    """

    model: Any
    recorder: Recorder
    optimizer: Optimizer
    held_out: Dataset | None = None
    penalty: Callable[[Tree, Any], Array] | None = None
    progress: Any = False
    compile: bool = False
    threads: int | None = None
    precision: Precision = "float32"

    def run(self, start: Snapshot, resume: str | os.PathLike[str] | None) -> History:
        """Train from `start` on, or what is left of a training to resume."""
        if resume is not None:
            from portnn.network._resume import read_training  # not every training goes on from another
        found = None if resume is None else read_training(self.recorder, resume, start.moments)
        self.recorder.begin(found is not None)
        with ExitStack() as stack:
            for callback in self.recorder.callbacks:
                if hasattr(type(callback), "__enter__"):
                    stack.enter_context(callback)
            if found is not None:
                start = self._go_on(found)
            if found is None or not found.over:
                plan = self.recorder.plan
                total = count_steps(self.recorder.data.size, plan.batch_size, plan.epochs)
                bar = stack.enter_context(Progress(total, self.progress))
                step = self._step(start)
                with bar.busy("compiling the step"):
                    loop = self._loop(step, start)
                if not isinstance(loop, str):
                    stack.enter_context(loop.limits())
                self._watch(self._epochs(step, start, bar, loop), bar)
                self.recorder.history.plan = loop if isinstance(loop, str) else loop.explain()
        return self.recorder.history

    def _go_on(self, found: Resumed) -> Snapshot:
        """Take over where a training stands; what its next step begins with."""
        from portnn.network._resume import go_on
        from portnn.serialize import CheckpointError

        model, before = self.model, self.model._now
        epochs, steps = found.trained
        model._adopt(found.snapshot, self.optimizer, seed=found.plan.seed, epochs=epochs, steps=steps)
        try:
            go_on(self.recorder, found)
        except CheckpointError:
            model._now = before
            raise
        return found.snapshot

    def _step(self, start: Snapshot) -> Any:
        """A step of it."""
        model = self.model
        scaled = optim.loss_scale(start.moments) is not None
        options: dict[str, Any] = {"scaled": scaled, "penalty": self.penalty}
        parts = self.recorder.accumulate
        return make_step(model.layer, model.loss, self.optimizer, model.seed, parts=parts, **options)

    def _measure(self) -> Any:
        """What counts the right predictions of a batch; None where that has no meaning."""
        task = self.model.task
        return None if task is Task.VALUES else partial(count_right, task=task)

    def _loop(self, step: Any, start: Snapshot) -> Loop | str:
        """The training as a plan, or why there is none."""
        if not self.compile:
            return "eager: compile=False"
        data, plan = self.recorder.data, self.recorder.plan
        args = (step, start, data, plan, self._measure(), self.threads, self.precision)
        return loop_or_reason(*args, numbered=self.model.layer.draws)

    def _watch(self, epochs: Iterator[dict[str, float]], bar: Progress) -> None:
        """Go through the epochs, and tell everyone of each."""
        recorder, model = self.recorder, self.model
        plan = recorder.plan
        bar.step(plan.done * recorder.steps + plan.part.step)
        for number, logs in enumerate(epochs, plan.done + 1):
            if self.held_out is not None:
                logs.update(self._validated(number))
            recorder.history.record(logs)
            bar.epoch(number, plan.epochs, logs)
            epoch = Epoch(number, plan.epochs, logs, model)
            ended = True in [callback(epoch) for callback in recorder.callbacks]
            assert model._fitted is not None, "an epoch was trained"
            recorder.pause(model._present(model._fitted), number, Part(), ended=ended)
            if ended:
                break

    def _validated(self, number: int) -> dict[str, float]:
        """Return the metrics on the validation data after an epoch."""
        assert self.held_out is not None, "called only with validation data"
        try:
            found = self.model._evaluate(self.held_out, "validation_data")
        except ValueError as error:
            found, _, _ = str(error).partition(";")
            raise DivergenceError(
                f"after epoch {number}, {found}; try a smaller learning rate, or inputs scaled to about 1"
            ) from error
        return {f"val_{name}": value for name, value in found.items()}

    def step_once(self, start: Snapshot) -> None:
        """Take one step on all data, which is no epoch.

        Raises:
            DivergenceError: if the loss is not finite; the model is then as it was.
        """
        with Progress(1, False) as bar:
            for _ in self._epochs(self._step(start), start, bar, "eager: one step", whole=False):
                pass

    def _epochs(
        self, step: Any, start: Snapshot, bar: Progress, loop: Loop | str, *, whole: bool = True
    ) -> Iterator[dict[str, float]]:
        """Train; after each epoch take over the parameters and yield its metrics.

        A single step is not `whole`: it does not count as an epoch, and a failed one changes nothing.
        """
        recorder, model = self.recorder, self.model
        guard, measure = Guard(1 if model.backend.on_host else _LOOK), self._measure()
        data, plan = recorder.data, recorder.plan
        steps: Steps
        if isinstance(loop, str):
            steps = EagerSteps(step, start, data, plan.batch_size, measure, guard, bar)
        else:
            steps = PlannedSteps(loop, data, measure is not None, guard, bar)

        def resume(now: Snapshot) -> Snapshot:
            """What callbacks left behind: nobody else has touched it."""
            return now if model._fitted is None else model._present(model._fitted)

        try:
            for now, logs in run_epochs(steps, data, plan, resume=resume, pause=recorder.pause):
                counts = {"epochs": model.epochs + int(whole), "steps": model.steps + recorder.steps}
                model._adopt(now, self.optimizer, **counts)
                yield logs
        except DivergenceError:
            # A loss can be finite though the parameters are not; those of the last epoch are then the last.
            if whole and guard.good is not None and all_finite(guard.good.params):
                model._adopt(guard.good, self.optimizer)
            raise
