"""Command line options, the backend fixtures, missing packages, and hypothesis' profile."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from portnn.backend import _backend
from portnn.compile import forget_loops
from tests.backends import GROUPS, BackendUnderTest, Matrix, in_use, open_member, select

# Derandomised: the same examples on every machine, so that a failure in CI is a failure here.
# The fixtures of the matrix hold no state that a second example could see.
hypothesis.settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
hypothesis.settings.load_profile("ci")

SELECTED = pytest.StashKey[list[Matrix]]()
FIXTURES = {"backend", "xp", "device"}
# The results that other libraries are compared with are verified on these, and on a GPU if one is named.
PROVEN = (Matrix.NUMPY, Matrix.STRICT)
WHOLE_TRAININGS = {
    "accuracy",
    "examples",
}  # folders whose tests take seconds: one of the four stricts will do


@pytest.fixture(autouse=True)
def _plans_are_new() -> None:
    """Drop plans that earlier trainings kept: a test may patch what they were made of."""
    forget_loops()


def pytest_addoption(parser: pytest.Parser) -> None:
    names = ", ".join([*GROUPS, *Matrix])
    text = f"run tests on this backend; may be given several times. One of: {names}"
    parser.addoption("--backend", action="append", default=[], metavar="NAME", help=text)
    text = "leave out the tests that are the same on every backend; those of NumPy have them"
    parser.addoption("--own", action="store_true", help=text)
    parser.addoption("--slow", action="store_true", help="run the tests marked slow as well")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SELECTED] = select(config.getoption("--backend"))
    if Matrix.JAX in config.stash[SELECTED] and importlib.util.find_spec("jax"):
        _keep_programs(config)


def _keep_programs(config: pytest.Config) -> None:
    """Let JAX compile equal programs once in this process: most trainings of the tests are equal to others.

    Each process has a folder of its own, since JAX writes without a lock: a reader may see half a program.
    """
    import jax

    folder = tempfile.TemporaryDirectory(prefix="portnn-jax-", ignore_cleanup_errors=True)
    config.add_cleanup(folder.cleanup)
    jax.config.update("jax_compilation_cache_dir", folder.name)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)  # not single operations
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def pytest_report_header(config: pytest.Config) -> str:
    return f"backends: {', '.join(config.stash[SELECTED])}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if FIXTURES & set(metafunc.fixturenames):
        members = metafunc.config.stash[SELECTED]
        if metafunc.definition.path.parent.name in WHOLE_TRAININGS:
            members = [m for m in members if m is Matrix.STRICT or not m.is_strict]
        metafunc.parametrize("_member", members, ids=[member.value for member in members], indirect=True)
    if "proven" in metafunc.fixturenames:
        members = [*PROVEN, *[m for m in metafunc.config.stash[SELECTED] if m is Matrix.CUPY]]
        metafunc.parametrize("proven", members, ids=[member.value for member in members], indirect=True)


def _is_own(item: pytest.Item, members: list[Matrix]) -> bool:
    """Whether a test runs on a backend, or stands in a file that names the library."""
    if isinstance(item, pytest.DoctestItem):
        return False
    if "proven" in getattr(item, "fixturenames", ()):
        return item.callspec.params["proven"] in members
    # "strict" alone would not do: zip(strict=True) stands in most files.
    names = {name for member in members for name in (member.value.partition(":")[0], member.name)}
    return bool(FIXTURES & set(getattr(item, "fixturenames", ()))) or any(
        name in _text(str(item.path)) for name in names
    )


@cache
def _text(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--own"):
        own = [_is_own(item, config.stash[SELECTED]) for item in items]
        config.hook.pytest_deselected(
            items=[item for item, is_own in zip(items, own, strict=True) if not is_own]
        )
        items[:] = [item for item, is_own in zip(items, own, strict=True) if is_own]
    if not config.getoption("--slow"):
        skip = pytest.mark.skip(reason="slow: give --slow to run it")
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(skip)


@pytest.fixture
def _member(request: pytest.FixtureRequest) -> Matrix:
    return request.param


@pytest.fixture
def backend(_member: Matrix) -> Iterator[BackendUnderTest]:
    """A backend of the matrix: name, xp, device, asarray, to_numpy, has_float64."""
    try:
        bench = open_member(_member)
    except (RuntimeError, ValueError) as error:
        pytest.skip(str(error))
    with in_use(bench):
        yield bench


@pytest.fixture
def proven(request: pytest.FixtureRequest) -> Iterator[BackendUnderTest]:
    """NumPy and array-api-strict on every run, and CuPy if the command line names it."""
    bench = open_member(request.param)
    with in_use(bench):
        yield bench


@pytest.fixture
def xp(backend: BackendUnderTest) -> Any:
    """The namespace of the backend."""
    return backend.xp


@pytest.fixture
def device(backend: BackendUnderTest) -> Any:
    """The device of the backend."""
    return backend.device


@pytest.fixture
def forget(monkeypatch):
    """Backends opened before are forgotten during a test, and those of the test after it."""
    monkeypatch.setattr(_backend, "_BY_NAME", {})
    _backend._open.cache_clear()
    yield
    _backend._open.cache_clear()


@pytest.fixture
def hide(monkeypatch, forget):
    """Pretend that a package is not installed."""
    find = importlib.util.find_spec

    def hide(package):
        monkeypatch.delitem(sys.modules, package, raising=False)
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name, *rest: None if name == package else find(name, *rest)
        )

    return hide
