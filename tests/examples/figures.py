"""Figures that examples print."""

from __future__ import annotations

import re

import pytest


def last_figure(capsys: pytest.CaptureFixture[str], line: str = r"test accuracy: (\d\.\d{4})") -> float:
    """The number on the last line, ``test accuracy: 0.9136``."""
    last = capsys.readouterr().out.splitlines()[-1]
    found = re.fullmatch(line, last)
    assert found, f"the last line is {last!r}"
    return float(found[1])
