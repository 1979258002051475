"""How a training is shown: a bar in a terminal, a line for an epoch elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic
from types import TracebackType
from typing import Any, Self, final

from portnn.cli._terminal import console, decimal, note

__all__ = ["Progress"]

_LINES = 50  # of epochs, at most about so many
_SHORT = {"loss": "loss", "accuracy": "acc", "val_loss": "val loss", "val_accuracy": "val acc"}


@final
class Progress:
    """Told of steps and epochs by `portnn.Network.fit`.

    Args:
        samples: how many there are to learn from.
        steps: in how many steps an epoch goes through them.
        epochs: how many epochs there will be.
        quiet: whether to show nothing.
    """

    def __init__(self, samples: int, steps: int, epochs: int, quiet: bool) -> None:
        self._per_step = samples / steps
        self._steps, self._epochs = steps, epochs
        self._begun, self._first, self._done = monotonic(), 0, 0
        self._last = (self._begun, 0)
        self._told = False
        self._quiet = quiet
        self._console = console(stderr=True)
        moves = self._console.is_terminal and not self._console.is_dumb_terminal
        self._bar: Any = self._make_bar() if moves and not quiet else None

    def _make_bar(self) -> Any:
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (
            TextColumn("epoch {task.fields[at]}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("[green]{task.fields[values]}"),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
        )
        bar = Bar(*columns, console=self._console, transient=True, expand=True, speed_estimate_period=20.0)
        total = self._steps * self._epochs
        self._task = bar.add_task(
            "train", total=total, completed=self._done, at=f"1/{self._epochs}", values="", speed=""
        )
        return bar

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def step(self, count: int = 1) -> None:
        """So many steps more are done; those of an earlier run come first, in one call."""
        self._done += count
        if not self._told:
            self._told, self._begun, self._first = True, monotonic(), self._done
            self._last = (self._begun, self._done)
        if self._bar is not None:
            at = min((self._done - 1) // self._steps + 1, self._epochs)
            speed = self._speed(self._begun, self._first)
            self._bar.update(
                self._task, completed=self._done, at=f"{at}/{self._epochs}", speed=f"{speed:,.0f}/s"
            )

    def _speed(self, since: float, done: int) -> float:
        """Samples a second since a moment at which so many steps were done."""
        return (self._done - done) * self._per_step / max(monotonic() - since, 1e-9)

    def epoch(self, number: int, total: int, logs: Mapping[str, float]) -> None:
        """The values of an epoch."""
        if self._quiet:
            return
        before, self._last = self._last, (monotonic(), self._done)
        every = max(1, self._epochs // _LINES)
        if self._bar is not None:
            shown = ["loss", *[n for n in ("val_accuracy", "accuracy", "val_loss") if n in logs][:1]]
            values = " ".join(f"{_SHORT[name]} {decimal(logs[name])}" for name in shown)
            self._bar.update(self._task, values=values)
        if number % every and number not in (1, self._epochs):
            return
        values = "  ".join(f"{_SHORT.get(name, name)} {decimal(value)}" for name, value in logs.items())
        line = f"epoch {number:>{len(str(self._epochs))}}/{self._epochs}  {values}"
        if self._bar is not None:
            self._bar.console.print(f"{line}")
        else:
            left = (self._steps * self._epochs - self._done) * (monotonic() - self._begun)
            left /= max(self._done - self._first, 1)
            note(f"{line}  {self._speed(*before):,.0f} samples/s  {_clock(left)} left")


def _clock(seconds: float) -> str:
    """Minutes and seconds, with hours if there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
