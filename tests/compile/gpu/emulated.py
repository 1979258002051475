"""Run scripts on an emulated GPU with certain settings: late streams, little memory, two devices."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

needs_emulation = pytest.mark.skipif(
    "CPUCUDA_HOME" not in os.environ, reason="needs the emulated GPU: nox -s 'tests(emulated)'"
)


def run_emulated(script: str, *args: str, seconds: float = 120, **variables: object) -> str:
    """Run a script in a process of its own.

    Args:
        script: Python.
        *args: its arguments.
        seconds: the time limit.
        **variables: environment variables, in lower case and without "CPUCUDA_": ``lazy=1, devices=2``.
            Names in capitals are used unchanged.

    Returns:
        Its output. Warnings in it are errors.
    """
    if "PLANT" in os.environ:  # a fault that is planted here is planted there, too
        script = f"import tests.compile.gpu.plants\n{script}"
    names = {n if n.isupper() else f"CPUCUDA_{n.upper()}": str(v) for n, v in variables.items()}
    found = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", script, *args],
        env={**os.environ, **names},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert found.returncode == 0, f"{found.stdout}\n{found.stderr}"[-3000:]
    return found.stdout
