"""The code of pages that needs an optional package, such as torch, runs where that is installed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import blocks, name_of, pages, run_page


def wants() -> list[Any]:
    pairs = sorted({(page, block.needs) for page in pages() for block in blocks(page) if block.needs})
    return [pytest.param(page, need, id=f"{name_of(page)}-{need}") for page, need in pairs]


@pytest.mark.usefixtures("_place")
@pytest.mark.parametrize(("page", "need"), wants())
def test_code_that_needs_a_package_runs(page: Path, need: str, capsys: pytest.CaptureFixture[str]):
    if find_spec(need) is None:
        pytest.skip(f"{need} is not installed")
    assert run_page(page, capsys, {need})
