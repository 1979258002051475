"""The `gpu` fixture, for tests outside the backend matrix: CuPy, if `--backend gpu` is given."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.backends import BackendUnderTest, Matrix, in_use, open_member
from tests.conftest import SELECTED

collect_ignore = ["uses.py"]  # a script for CuPy


@pytest.fixture(scope="module")
def gpu(request: pytest.FixtureRequest) -> Iterator[BackendUnderTest]:
    """CuPy, in use while a module's tests run."""
    if Matrix.CUPY not in request.config.stash[SELECTED]:
        pytest.skip("needs a GPU: pass --backend gpu")
    with in_use(open_member(Matrix.CUPY)) as bench:
        yield bench
