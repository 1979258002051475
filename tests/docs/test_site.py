"""The reference of the site has each public name, and says so when one is missing."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import pytest

from tests.docs.pages import DOCS, ROOT
from tests.test_public_names import PACKAGES


def hook(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"hook_{name}", DOCS / "hooks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reference, inside = hook("reference"), hook("inside")


@pytest.mark.parametrize("name", PACKAGES)
def test_a_page_has_every_name(name):
    public = importlib.import_module(name).__all__
    assert list(reference.names(name)) == public
    text = reference.text(name)
    for n in public:
        there = f"{reference.home(name, n)}.{n}"
        lines = (f"::: {there}\n", f"[`{n}`][{there}]", f"[{n}]({name}.{n}.md)")
        assert n == "__version__" or any(line in text + "\n" for line in lines), n


def test_every_public_module_has_a_page():
    assert set(reference.modules()) >= set(PACKAGES)
    assert [name for name in PACKAGES if f"[{name}]" not in reference.index()] == []


def test_each_name_is_described_once():
    described = [
        line for name in PACKAGES for line in reference.text(name).splitlines() if line.startswith("::: ")
    ]
    assert len(described) == len(set(described))
    objects = {}
    for line in described:
        module, _, name = line.removeprefix("::: ").rpartition(".")
        value = getattr(importlib.import_module(module), name) if module in PACKAGES else None
        if callable(value) and hasattr(value, "__name__"):
            assert objects.setdefault(id(value), line) == line, f"{line} is {objects[id(value)]}"


def test_a_missing_name_stops_the_build(tmp_path, monkeypatch):
    folder = tmp_path / "reference"
    folder.mkdir()
    for name in reference.modules():
        ids = [f'<h2 id="{reference.home(name, n)}.{n}">' for n in reference.names(name)]
        (folder / f"{name}.html").write_text("\n".join(ids), encoding="utf-8")
    assert reference.missing(tmp_path) == []
    page = folder / "portnn.losses.html"
    page.write_text(page.read_text(encoding="utf-8").replace("portnn.losses.huber", ""), encoding="utf-8")
    (folder / "portnn.tree.html").unlink()
    lost = reference.missing(tmp_path)
    assert "portnn.losses.huber" in lost
    assert "portnn.tree.map" in lost
    stand_in = ModuleType("mkdocs.exceptions")
    stand_in.PluginError = RuntimeError
    monkeypatch.setitem(sys.modules, "mkdocs", ModuleType("mkdocs"))
    monkeypatch.setitem(sys.modules, "mkdocs.exceptions", stand_in)
    with pytest.raises(RuntimeError, match="public names are not in the reference: portnn"):
        reference.on_post_build({"site_dir": str(tmp_path)})


def test_pages_beside_the_code_link_to_each_other():
    pages = inside.pages()
    assert "inside/tracing.md" in pages
    assert len(pages) == len(list((ROOT / "portnn").rglob("README.md")))
    text = inside.redirected("see ([tracing](../tracing/README.md))", ROOT / "portnn" / "program")
    assert text == "see ([tracing](../inside/tracing.md))"
    text = inside.redirected("[figures](../../docs/howto/onnx.md#how-close)", ROOT / "portnn" / "export")
    assert text == "[figures](../howto/onnx.md#how-close)"
    text = inside.redirected("[random](../../portnn/random/README.md)", DOCS / "benchmarks")
    assert text == "[random](../inside/random.md)"
    assert inside.redirected("[x](../README.md)", DOCS / "gallery") == "[x](../README.md)"
