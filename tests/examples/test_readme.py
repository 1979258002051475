"""The README's code runs as it stands there, and its pictures and links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from portnn import losses
from portnn.losses import Loss
from portnn.nn import _activations
from portnn.optim import _adam_recipes, _recipes

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CODE = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def test_the_example_has_ten_lines():
    assert len([line for line in CODE[0].splitlines() if line]) == 10


def test_the_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    data = ROOT / "examples" / "data"
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    shown = []
    for code in CODE:
        exec(compile(code.replace('"examples/data', f'"{data.as_posix()}'), "README.md", "exec"), names)
        shown.append(capsys.readouterr().out)
    promised = re.search(r"print\(net\.score.*# (0\.\d{4})", README)
    assert promised
    printed = float(shown[0].split()[-1])
    assert printed == pytest.approx(float(promised[1]), abs=0.003)  # BLAS libraries round differently
    assert (tmp_path / "digits.safetensors").is_file()
    assert names["gradient"]["w"].shape == (3, 2)
    assert "linear" in shown[-1]  # the listing
    assert "lockstep of loss" in shown[-1]


def test_what_there_is_is_counted():
    counted = {
        "activations": len(_activations.__all__),
        "losses": len([name for name in losses.__all__ if isinstance(getattr(losses, name), Loss)]),
        "optimizers": len([*_recipes.__all__, *_adam_recipes.__all__]),
    }
    promised = re.findall(r"(\d+) (activations|losses|optimizers)\b", README)
    assert {what: int(number) for number, what in promised} == counted


def test_links_lead_somewhere():
    targets = [t for t in re.findall(r"\]\(([^)#]+)\)", README) if not t.startswith("http")]
    assert len(targets) >= 8
    assert [t for t in targets if not (ROOT / t).exists()] == []


def test_commands_name_files_that_exist():
    programs = set(re.findall(r"python (\S+\.py)", README)) | set(re.findall(r"pytest (\S+)", README))
    modules = {name.replace(".", "/") + ".py" for name in re.findall(r"python -m (tests\.\S+?)`", README)}
    assert "examples/digits.py" in programs
    assert modules
    packages = {name for name in modules if (ROOT / name.removesuffix(".py") / "__main__.py").exists()}
    assert [p for p in programs | modules - packages if not (ROOT / p).exists()] == []
