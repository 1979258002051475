"""Fixtures that fake a CuPy with GPUs, and its builds."""

from __future__ import annotations

import importlib.metadata
import sys

import pytest

from tests.backend.fake_cupy import FakeDevice, make_modules

find_distributions = importlib.metadata.distributions


@pytest.fixture
def builds(monkeypatch, tmp_path):
    """As if these distributions of CuPy were installed, and no other."""

    def install(*names):
        folder = tmp_path / "-".join(names)
        for name in names:
            info = folder / f"{name.replace('-', '_')}-14.2.0.dist-info"
            info.mkdir(parents=True)
            (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: 14.2.0\n")
        monkeypatch.syspath_prepend(folder)

        def distributions(**options):
            found = find_distributions(**options)
            return [d for d in found if not d.name.startswith("cupy") or d.name in names]

        monkeypatch.setattr(importlib.metadata, "distributions", distributions)

    return install


@pytest.fixture
def cupy(monkeypatch, forget, builds):
    """A CuPy with two healthy GPUs, which tests then break."""
    module, namespace = make_modules()
    monkeypatch.setitem(sys.modules, "cupy", module)
    monkeypatch.setitem(sys.modules, "array_api_compat.cupy", namespace)
    builds("cupy-cuda12x")
    FakeDevice.synchronized.clear()
    return module
