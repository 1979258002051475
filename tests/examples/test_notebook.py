"""The notebook runs from top to bottom: its code alone, and in a kernel if Jupyter is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

FILE = Path(__file__).parents[2] / "examples" / "digits.ipynb"
NOTEBOOK = json.loads(FILE.read_text(encoding="utf-8"))
CODE = ["".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


def quicker(code: str) -> str:
    """The same code with fewer images."""
    return code.replace(', "train")', ', "train")\nimages, labels = images[:6000], labels[:6000]')


def test_the_code_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(FILE.parent)
    names: dict[str, Any] = {}
    for code in CODE:
        plain = quicker(code).replace("%matplotlib inline\n", "")
        exec(compile(plain, str(FILE), "exec"), names)
    assert names["net"].score(names["test_images"], names["test_labels"]) > 0.8
    told = capsys.readouterr().out
    assert "Linear(784, 64)" in told
    assert "flops" in told
    assert names["drawn"].shape == (28, 28)


def test_outputs_are_not_kept() -> None:
    for cell in NOTEBOOK["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
    assert FILE.stat().st_size < 20_000


@pytest.mark.slow
def test_the_notebook_runs_in_a_kernel() -> None:
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed: nox -s notebook")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(FILE, as_version=4)
    nbformat.validate(notebook)
    client = nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3")
    client.execute(cwd=str(FILE.parent))
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output.get("data", {}) for cell in cells for output in cell.outputs]
    tables = [data["text/html"] for data in outputs if "text/html" in data]
    assert len(tables) == 1
    assert sum("image/png" in data for data in outputs) == 8
    assert "Linear(784, 64)" in tables[0]
    told = "".join(output.text for cell in cells for output in cell.outputs if output.output_type == "stream")
    accuracy = float(told.split("test accuracy: ")[1][:6])
    assert accuracy > 0.95
    assert "flops" in told
    assert not [output for cell in cells for output in cell.outputs if output.get("name") == "stderr"]
