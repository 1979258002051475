"""Show the progress of a training: a line for each finished epoch and, on a terminal, a bar."""

from __future__ import annotations

import os
import sys
from _thread import start_new_thread
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from math import inf
from threading import Event, Lock
from time import monotonic
from types import TracebackType
from typing import Any, Protocol, final

__all__ = ["Progress"]

_SEEN, _LOGGED = 0.5, 10.0  # seconds between lines on a terminal or in a notebook, and elsewhere
_DELAY = 0.5  # seconds before the bar: short trainings neither import nor draw one
_MOVES = 0.1  # seconds between updates of the bar
_SOON = 1.0  # seconds before a text says why there is no step yet
_WIDTH = 80  # columns of a terminal of unknown width
_ROOM = 3  # free columns right of a bar, for ^C: on a new line it would not be erased
_GONE = (OSError, ValueError)  # errors of writing to a broken or closed stream
_bar_in_use = Lock()  # only one bar is shown; other trainings write lines above it


@final
class Progress:
    """Show the steps and epochs of a training, by default on standard error.

    Each finished epoch gets a line: at most one every 0.5 s on a terminal or in a notebook and one every 10 s
    elsewhere, but always the last epoch, also after an error. After half a second, a bar appears below the
    lines: in a notebook by IPython (and the lines go to standard output), on a terminal by tqdm or else by
    rich, if one is installed. tqdm comes first because its bars stack with a caller's and do not hide the
    cursor, which a killed process would not restore.

    If standard error is missing, closed or broken, nothing is shown and no error is raised.

    Args:
        total: the number of steps in all epochs.
        show: None or True for lines and a bar, False for nothing. Or an object with the methods `step` and
            `epoch`, which are called instead.
        epochs: the number of epochs; None to take it from the first call of `epoch`.
    """

    def __init__(self, total: int, show: Any, *, epochs: int | None = None) -> None:
        self._display = _find_display(total, epochs) if show is None or show is True else None
        self._told: Any = self._display if isinstance(show, bool | None) else show

    def step(self, count: int = 1) -> None:
        """Count completed steps; the first call may count those of a resumed training."""
        if self._told is not None:
            self._told.step(count)

    def epoch(self, number: int, total: int, logs: Mapping[str, float]) -> None:
        """Show the metrics of a finished epoch."""
        if self._told is not None:
            self._told.epoch(number, total, logs)

    @contextmanager
    def busy(self, what: str) -> Iterator[None]:
        """Show a text before the first step, if that takes longer than a second.

        Args:
            what: the text.
        """
        if self._display is None:
            yield
            return
        over = Event()
        # Without another thread, the text is not shown.
        with suppress(RuntimeError):
            # `threading.Thread` takes three times as long to start.
            start_new_thread(self._display.announce, (what, over))
        try:
            yield
        finally:
            self._display.end(over)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._display is not None:
            self._display.close()


class _Bar(Protocol):
    """A bar for the number of completed steps."""

    def move(self, done: int, text: str) -> None:
        """Show the number of completed steps, and a text."""

    def close(self) -> None:
        """Remove the bar."""


def _find_display(total: int, epochs: int | None) -> _Display | None:
    """Return a display for standard error; None if there is no stream."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if hasattr(shell, "kernel"):
        return _Display(total, epochs, "stdout", seen=True, find_bar=_NotebookBar)
    if sys.stderr is None or getattr(sys.stderr, "closed", False):
        return None
    seen = getattr(sys.stderr, "isatty", lambda: False)()
    alone = seen and os.environ.get("TERM") != "dumb" and not _has_parent()
    return _Display(total, epochs, "stderr", seen=seen, find_bar=_find_bar if alone else None)


def _has_parent() -> bool:
    """Return whether multiprocessing started this process, so that others may use the same terminal."""
    process = sys.modules.get("multiprocessing.process")
    return process is not None and process.parent_process() is not None


@final
class _Display:
    """Lines of finished epochs, and a bar below them.

    Args:
        total: the number of steps in all epochs.
        epochs: the number of epochs, if known.
        stream: the name of the stream in `sys`, looked up for each line, since rich replaces it.
        seen: whether the output is a terminal or a notebook.
        find_bar: makes a bar from the numbers of all and of completed steps, or returns None. None for only
            lines.
    """

    def __init__(
        self,
        total: int,
        epochs: int | None,
        stream: str,
        *,
        seen: bool,
        find_bar: Callable[[int, int], _Bar | None] | None,
    ) -> None:
        self._total, self._epochs, self._stream, self._seen = total, epochs, stream, seen
        self._find_bar = find_bar
        self._bar: _Bar | None = None
        self._lock = Lock()  # held while writing
        self._announced: str | None = None
        self._done = 0
        # An epoch not yet printed: its end time, number and metrics.
        self._unprinted: tuple[float, int, Mapping[str, float]] | None = None
        now = monotonic()
        self._since, self._finished = now, 0  # end of the last printed epoch, epochs since
        self._line_due = now + (_SEEN if seen else _LOGGED)
        self._move_due = inf if find_bar is None else now + _DELAY

    def step(self, count: int) -> None:
        self._done += count
        if monotonic() >= self._move_due:
            self._write(self._move)

    def epoch(self, number: int, total: int, logs: Mapping[str, float]) -> None:
        now = monotonic()
        self._epochs, self._unprinted = total, (now, number, logs)
        self._finished += 1
        if now >= self._line_due:
            self._write(self._print_epoch)

    def announce(self, what: str, over: Event) -> None:
        """Show a text unless an event is set soon; runs in its own thread."""
        if not over.wait(_SOON if self._seen else _LOGGED):
            self._write(self._print_busy, what, over)

    def end(self, over: Event) -> None:
        """Remove the text of `announce`; start timing epochs."""
        with self._lock:
            over.set()
            self._announced, self._since = None, monotonic()

    def close(self) -> None:
        """Remove the bar and write the line of the last epoch."""
        self._write(self._finish)

    def _write(self, act: Callable[..., None], *args: Any) -> None:
        """Run a write; after a failure, write nothing more, because a training outlives its terminal."""
        with self._lock:
            try:
                act(*args)
            except _GONE:
                self._move_due = self._line_due = inf
                self._unprinted = None

    def _move(self) -> None:
        self._move_due = monotonic() + _MOVES
        if self._bar is None:
            self._open_bar()
        if self._bar is not None:
            self._bar.move(self._done, self._announced or self._position())

    def _open_bar(self) -> None:
        assert self._find_bar is not None, "a bar is due"
        if not _bar_in_use.acquire(blocking=False):
            self._move_due += _DELAY
            return
        try:
            self._bar = self._find_bar(self._total, self._done)
        finally:
            if self._bar is None:
                self._move_due = inf
                _bar_in_use.release()

    def _close_bar(self) -> None:
        bar, self._bar = self._bar, None
        if bar is not None:
            try:
                bar.close()
            finally:
                _bar_in_use.release()

    def _finish(self) -> None:
        self._move_due = inf
        self._close_bar()
        if self._unprinted is not None:
            self._print_epoch()

    def _position(self) -> str:
        """Return the number of the current epoch."""
        if self._epochs is None:
            return "training"
        number = self._done * self._epochs // max(self._total, 1) + 1
        return f"epoch {min(number, self._epochs)}/{self._epochs}"

    def _print_epoch(self) -> None:
        assert self._unprinted is not None, "an epoch has no line yet"
        assert self._epochs is not None, "an epoch tells how many there are"
        end, number, logs = self._unprinted
        time = (end - self._since) / self._finished
        width = _columns(getattr(sys, self._stream)) if self._seen else None
        self._print(_epoch_line(number, self._epochs, logs, time, width))
        self._unprinted, self._since, self._finished = None, end, 0
        self._line_due = monotonic() + (_SEEN if self._seen else _LOGGED)

    def _print_busy(self, what: str, over: Event) -> None:
        if over.is_set():
            return  # just now
        self._announced = what
        if self._find_bar is not None:
            self._move()
        if self._bar is None:
            self._print(f"{what} ...")

    def _print(self, line: str) -> None:
        """Write a line in one call, above all bars, so that lines of several trainings do not mix."""
        stream = getattr(sys, self._stream)
        if stream is None:
            return
        tqdm = getattr(sys.modules.get("tqdm"), "tqdm", None)
        if self._seen and tqdm is not None:
            tqdm.write(line, file=stream)
        else:
            stream.write(line + "\n")
        if hasattr(stream, "flush"):
            stream.flush()


def _columns(stream: Any) -> int:
    """Return the number of columns of a terminal."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or _WIDTH
    except (AttributeError, *_GONE):  # a notebook, or a replaced stream
        return _WIDTH


def _epoch_line(number: int, total: int, logs: Mapping[str, float], time: float, width: int | None) -> str:
    """Return the line of an epoch, shortened to fit, or else wrapped.

    Args:
        number: the number of the epoch, from 1.
        total: the number of epochs.
        logs: the metrics.
        time: seconds per epoch.
        width: columns of the terminal; None for 80, without wrapping.
    """
    start = f"epoch {number:>{len(str(total))}}/{total}"
    values = [f"{_visible(name)} {_number(float(value))}" for name, value in logs.items()]
    short = [value.replace("accuracy", "acc") for value in values]
    took = _duration(time)
    choices = ([*values, f"{took}/epoch"], [*short, f"{took}/epoch"], [*short, took], short)
    lines = ("  ".join([start, *choice]) for choice in choices)
    if width is None:
        return next((line for line in lines if len(line) < _WIDTH), "  ".join([start, *short, took]))
    return next((line for line in lines if len(line) < width), _fold([start, *short, took], width))


def _fold(fields: list[str], width: int) -> str:
    """Return fields side by side on several lines; the first has its own column."""
    indent = " " * len(fields[0])
    lines = [fields[0]]
    for field in fields[1:]:
        if len(lines[-1]) > len(indent) and len(lines[-1]) + 2 + len(field) >= width:
            lines.append(indent)
        lines[-1] += f"  {field}"
    return "\n".join(lines)


def _visible(name: str) -> str:
    """Return a name with control characters escaped."""
    return name if name.isprintable() else ascii(name)[1:-1]


def _number(value: float) -> str:
    """Format a number with four decimals; very large ones with six digits, very small ones with three."""
    size = abs(value)
    if size >= 100.0:
        return f"{value:.6g}"
    return f"{value:.4f}" if size >= 1e-3 or size == 0.0 else f"{value:.3g}"


def _duration(seconds: float) -> str:
    """Format a duration with two digits, or three for minutes."""
    if seconds < 0.0995:
        return f"{1e3 * seconds:.2g} ms"
    return f"{seconds:.2g} s" if seconds < 99.5 else f"{seconds / 60.0:.3g} min"


def _find_bar(total: int, done: int) -> _Bar | None:
    """Return a bar for a terminal; None without tqdm and rich, or if rich already draws a bar."""
    if sys.stderr is None or type(sys.stderr).__module__.startswith("rich."):
        return None  # rich prints lines above its bar
    for kind in (_TqdmBar, _RichBar):
        with suppress(ImportError):
            return kind(total, done)
    return None


@final
class _TqdmBar:
    """tqdm's bar."""

    def __init__(self, total: int, done: int) -> None:
        from tqdm import tqdm

        options: dict[str, Any] = {"miniters": 1, "mininterval": 0.0, "leave": False}
        ncols = _columns(sys.stderr) - _ROOM
        self._bar = tqdm(total=total, initial=done, unit=" steps", file=sys.stderr, ncols=ncols, **options)

    def move(self, done: int, text: str) -> None:
        self._bar.ncols = _columns(sys.stderr) - _ROOM
        self._bar.set_description(text, refresh=False)
        if not self._bar.update(done - self._bar.n):
            self._bar.refresh()

    def close(self) -> None:
        self._bar.display(" " * (self._bar.ncols + _ROOM - 1))  # over ^C too
        self._bar.close()


@final
class _RichBar:
    """rich's bar, drawn on updates instead of by rich's thread."""

    def __init__(self, total: int, done: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f}%"),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        console = Console(file=sys.stderr, highlight=False, soft_wrap=True)
        self._bar = Progress(*columns, console=console, transient=True, auto_refresh=False)
        self._task = self._bar.add_task("", total=total, completed=done)
        self._bar.start()

    def move(self, done: int, text: str) -> None:
        self._bar.update(self._task, completed=done, description=text, refresh=True)

    def close(self) -> None:
        self._bar.stop()


@final
class _NotebookBar:
    """An HTML bar that does not need ipywidgets."""

    def __init__(self, total: int, done: int) -> None:
        from IPython.display import display

        self._total, self._first, self._begun = total, done, monotonic()
        self._handle = display(self._draw(done, "training"), raw=True, display_id=True)

    def _draw(self, done: int, text: str) -> dict[str, str]:
        left, now = "", monotonic()
        if done == self._first:
            self._begun = now
        else:
            time = (now - self._begun) / (done - self._first)
            left = f", {_duration(time * (self._total - done))} left"
        text = f"{text}: {done:,} of {self._total:,} steps{left}"
        bar = f'<progress value="{done}" max="{self._total}" style="width: 50%"></progress>'
        return {"text/html": f"{bar} {text}", "text/plain": text}

    def move(self, done: int, text: str) -> None:
        self._handle.update(self._draw(done, text), raw=True)

    def close(self) -> None:
        self._handle.update({"text/html": "", "text/plain": ""}, raw=True)
