"""A pytest plugin (``-p seeded``) that makes array-api-tests draw the same examples in every run.

Hypothesis is derandomised by an option, but the suite's special cases draw with ``strategy.example()``,
which shuffles with Python's global random numbers. Two runs of one namespace then fail different tests,
and a comparison would blame portnn for it.
"""

from __future__ import annotations

import random

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Seed the global random numbers by the test's name, whichever tests ran before."""
    random.seed(item.nodeid)
