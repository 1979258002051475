"""What portnn reads is data: nothing in it could turn a file into code."""

from __future__ import annotations

import ast
from pathlib import Path

import portnn

FORBIDDEN = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "jsonpickle"}


def what_runs_code(node):
    """What of a file could turn data into code: modules, functions and options by their names."""
    if isinstance(node, ast.Import):
        return [a.name for a in node.names if a.name.split(".")[0] in FORBIDDEN]
    if isinstance(node, ast.ImportFrom):
        return [node.module] if (node.module or "").split(".")[0] in FORBIDDEN else []
    if isinstance(node, ast.Name) and node.id in ("eval", "exec"):
        return [node.id]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "compile":
        return ["compile"]
    if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
        return [] if isinstance(node.value, ast.Constant) and node.value.value is False else ["allow_pickle"]
    return []


def test_nothing_in_portnn_turns_data_into_code():
    root = Path(portnn.__file__).parent
    found = {}
    for file in root.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        assert "allow_pickle=True" not in text, file
        names = sorted(name for node in ast.walk(ast.parse(text)) for name in what_runs_code(node))
        if names:
            found[file.relative_to(root).as_posix()] = names
    assert not found
