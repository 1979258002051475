"""A progress bar that terminals and notebooks both know: tqdm's."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from threading import Timer
from types import TracebackType
from typing import Any, final

__all__ = ["Progress"]

_SOON = 1.0  # seconds


@final
class Progress:
    """Steps done, on standard error, or nothing at all.

    Args:
        total: the number of steps.
        show: True for a bar, False for none, None for a bar if tqdm is installed and someone is looking
            (a terminal or a notebook). Or an object with the methods `step` and `epoch`, which is told.

    Raises:
        ImportError: if `show` is True and tqdm is not installed.
    """

    def __init__(self, total: int, show: Any) -> None:
        self._bar: Any = None
        self._told: Any = None if show is None or isinstance(show, bool) else show
        if self._told is not None:
            return
        if show is None:
            watched = sys.stderr is not None and (sys.stderr.isatty() or "ipykernel" in sys.modules)
            show = watched and find_spec("tqdm") is not None
        if show:
            try:
                from tqdm.auto import tqdm
            except ImportError:
                raise ImportError('progress=True needs tqdm: pip install "portnn[progress]"') from None
            self._bar = tqdm(total=total, unit="step", mininterval=0.2)

    def step(self, count: int = 1) -> None:
        """So many steps more are done."""
        if self._told is not None:
            self._told.step(count)
        if self._bar is not None:
            self._bar.update(count)

    def epoch(self, number: int, total: int, logs: Mapping[str, float]) -> None:
        """Show the values of an epoch beside the bar."""
        if self._told is not None:
            self._told.epoch(number, total, logs)
        if self._bar is not None:
            self._bar.set_description(f"epoch {number}/{total}", refresh=False)
            self._bar.set_postfix({name: f"{value:.4g}" for name, value in logs.items()})

    @contextmanager
    def busy(self, what: str) -> Iterator[None]:
        """Show beside the bar what happens before the first step, if it takes longer than a second.

        Args:
            what: the text to show.
        """
        if self._bar is None:
            yield
            return
        timer = Timer(_SOON, self._bar.set_description, [what])
        timer.daemon = True  # it does not keep the process alive
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()
            self._bar.set_description("", refresh=False)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
