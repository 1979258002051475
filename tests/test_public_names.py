"""Public names: all there, all documented with an example, and cheap to import."""

from __future__ import annotations

import ast
import doctest
import inspect
import json
import pkgutil
import re
import subprocess
import sys
from dataclasses import is_dataclass
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from types import ModuleType

import pytest

import portnn

PACKAGES = [
    "portnn", "portnn.autodiff", "portnn.backend", "portnn.cli", "portnn.compile", "portnn.data",
    "portnn.data.augment", "portnn.decode", "portnn.estimators", "portnn.export", "portnn.losses",
    "portnn.metrics", "portnn.network", "portnn.nn", "portnn.nn.init", "portnn.ops", "portnn.ops.fft",
    "portnn.ops.linalg",
    "portnn.optim", "portnn.optim.schedules", "portnn.plot", "portnn.program", "portnn.random",
    "portnn.serialize", "portnn.testing", "portnn.tracing", "portnn.train",
    "portnn.train.callbacks", "portnn.tree",
]  # fmt: skip
# What people call: each has an example. The others are building blocks of portnn itself.
DOCUMENTED = [
    name
    for name in PACKAGES
    if name not in ("portnn.compile", "portnn.program", "portnn.tracing", "portnn.train", "portnn.serialize")
]
# Names of types, which have no docstring at run time.
TYPES = {"Average", "Execute", "Key", "MultiOutput", "Reduction", "Remainder", "Schedule", "Step"}
# Errors, what functions make and return, and what another docstring shows.
WITHOUT_EXAMPLE = {
    "Backend", "BackendUnavailableError", "CheckpointError", "ControlFlowError", "DataError", "Decoded",
    "DifferentiationError", "DivergenceError", "DownloadError", "Epoch", "ExportError", "Jitted", "Layer",
    "NonFiniteGradientError", "PlanError", "PlanWarning", "Primitive", "RetraceWarning",
    "SlogdetResult", "Task", "Visit",
    "Constant", "Initializer", "Normal", "Orthogonal", "TruncatedNormal", "Uniform", "VarianceScaling",
}  # fmt: skip
HEAVY = [
    "PIL",
    "array_api_strict",
    "click",
    "cupy",
    "jax",
    "matplotlib",
    "onnx",
    "pandas",
    "pooch",
    "rich",
    "scipy",
    "sklearn",
    "torch",
    "tqdm",
]


def order(name):
    """As the linter sorts: constants, classes, functions; log2 before log10."""
    natural = re.sub(r"\d+", lambda digits: digits[0].zfill(4), name)
    return not (name.isupper() and len(name) > 1), not name[0].isupper(), natural


def module(name):
    __import__(name)
    return sys.modules[name]


def python(code):
    """Run code in a fresh process, and return what it printed as JSON."""
    root = Path(portnn.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", PACKAGES)
def test_all_names_exist_once_and_in_order(name):
    names = module(name).__all__
    assert names == sorted(set(names), key=order)
    for n in names:
        getattr(module(name), n)


def test_no_package_is_forgotten():
    root = Path(portnn.__file__).parent
    files = [f for f in root.rglob("*.py") if not f.name.startswith("_") or f.name == "__init__.py"]
    names = [".".join(f.relative_to(root.parent).with_suffix("").parts) for f in files]
    found = {name.removesuffix(".__init__") for name in names}
    assert {name for name in found if "._" not in name} == set(PACKAGES)


@pytest.mark.parametrize("name", PACKAGES)
def test_nothing_public_is_left_out(name):
    space = module(name)
    own = {
        n
        for n, value in vars(space).items()
        if not n.startswith("_")
        and not isinstance(value, ModuleType)
        and str(getattr(value, "__module__", "")).startswith(
            name + "." if hasattr(space, "__path__") else name
        )
    }
    assert own <= set(space.__all__)


def documented():
    for name in DOCUMENTED:
        for n in module(name).__all__:
            value = getattr(module(name), n)
            if callable(value) and n not in TYPES:
                yield pytest.param(n, value, id=f"{name}.{n}".removeprefix("portnn."))


@pytest.mark.parametrize(("name", "value"), list(documented()))
def test_each_has_a_docstring_with_an_example(name, value):
    text = inspect.getdoc(value)
    assert text
    if name not in WITHOUT_EXAMPLE:
        assert doctest.DocTestParser().get_examples(text), f"{name} has no example"


def test_importing_imports_nothing_heavy():
    found = python(f"import json, sys, portnn; print(json.dumps([m for m in {HEAVY} if m in sys.modules]))")
    assert found == []


def test_training_imports_nothing_heavy():
    code = (
        "import json, sys, numpy as np, portnn as pn\n"
        "net = pn.Network(pn.MLP([2, 3, 2])); net.fit(np.eye(2), np.arange(2), epochs=1); net.summary()\n"
        f"print(json.dumps([m for m in {HEAVY} if m in sys.modules]))"
    )
    assert python(code) == []


def test_training_imports_only_what_it_needs():
    """Half of the time to the first step are imports; other layers, tables and files are not for training."""
    code = (
        "import json, sys, numpy as np, portnn as pn\n"
        "net = pn.Network([pn.Linear(2, 3), pn.relu, pn.Linear(3, 2)])\n"
        "net.fit(np.eye(2), np.arange(2), epochs=1, progress=False)\n"
        "print(json.dumps(sorted(m for m in sys.modules if m.startswith('portnn.'))))"
    )
    found = set(python(code))
    idle = {"nn._recurrent", "nn._convolution", "nn._description", "network._inspect", "program._layers"}
    idle |= {"network._files", "train._checkpoint", "serialize", "export", "plot", "data", "train.callbacks"}
    assert {f"portnn.{name}" for name in idle} & found == set()


@pytest.mark.parametrize("name", ["losses", "nn", "optim", "testing", "plot", "Network", "grad", "relu"])
def test_each_name_can_be_the_first(name):
    assert python(f"import json, portnn; print(json.dumps(str(portnn.{name})))")


def test_dir_lists_the_names():
    assert dir(portnn) == sorted(portnn.__all__)
    with pytest.raises(AttributeError, match="module 'portnn' has no attribute 'sine'"):
        attrgetter("sine")(portnn)


def test_the_same_objects_under_every_name():
    assert portnn.grad is portnn.autodiff.grad
    assert portnn.relu is portnn.nn.relu
    assert portnn.DivergenceError is module("portnn.train").DivergenceError
    assert portnn.Network.__module__.startswith("portnn.network")


def test_names_come_from_where_the_types_say():
    for node in ast.walk(ast.parse(inspect.getsource(portnn))):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("portnn."):
            home = import_module(str(node.module))
            for name in (alias.name for alias in node.names):
                assert getattr(portnn, name) is getattr(home, name), name


# Notes that functions keep for themselves while they work.
CHANGING = {"portnn.compile._numpy._steps._Line", "portnn.plot._blocks.Box"}


def test_dataclasses_do_not_change():
    """Layers, optimizers and results are values: they may be shared, hashed and kept."""
    found = set()
    for module in pkgutil.walk_packages(portnn.__path__, "portnn."):
        try:
            names = vars(import_module(module.name))
        except ImportError:
            continue  # an extra, or CuPy
        for name, item in names.items():
            if is_dataclass(item) and item.__module__ == module.name:
                settings = item.__dataclass_params__
                assert settings.frozen or f"{module.name}.{name}" in CHANGING, f"{module.name}.{name}"
                found.add(name)
    assert {"Linear", "Optimizer", "Program"} <= found
