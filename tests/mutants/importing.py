"""Import a package from changed sources, without changing files."""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Mapping
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any

from tests.mutants.sites import Probe, Source

__all__ = ["import_changed", "probing", "touched"]

TOUCHED = "_touched_by_this_test"
"""The name among Python's builtins of the bytes that probes set to 1."""


def import_changed(package: str, changes: Mapping[Path, CodeType]) -> None:
    """Import the given files of `package` as other code from now on; it must not be imported yet."""
    if package in sys.modules:
        raise RuntimeError(f"{package} is imported already")
    sys.meta_path.insert(0, _Finder(package, changes))


class _Finder(MetaPathFinder):
    def __init__(self, package: str, changes: Mapping[Path, CodeType]) -> None:
        self.package, self.changes = package, changes

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if fullname.partition(".")[0] != self.package:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.origin is not None:
            change = self.changes.get(Path(spec.origin))
            if change is not None:
                spec.loader = _Loader(fullname, spec.origin, change)
        return spec


class _Loader(SourceFileLoader):
    def __init__(self, fullname: str, path: str, change: CodeType) -> None:
        super().__init__(fullname, path)
        self.change = change

    def get_code(self, fullname: str) -> CodeType:
        return self.change


def probing(source: Source, path: Path, index: Mapping[Probe, int]) -> CodeType:
    """Compile a file so that executed statements and lambdas set their byte in `touched`."""
    tree = _Probing(source, index).visit(ast.parse(source.text))
    return compile(ast.fix_missing_locations(tree), str(path), "exec", dont_inherit=True)


def touched(size: int) -> bytearray:
    """Return the bytes that probes set, all 0, and make them visible to the probes."""
    marks = bytearray(size)
    setattr(builtins, TOUCHED, marks)
    return marks


class _Probing(ast.NodeTransformer):
    def __init__(self, source: Source, index: Mapping[Probe, int]) -> None:
        self.places = {key[1:]: index[key] for key in source.probes}

    def number(self, node: Any) -> int | None:
        return self.places.get((node.lineno, node.col_offset))

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        self.generic_visit(node)
        mark = ast.parse(f"{TOUCHED}.__setitem__({self.number(node)}, 1)", mode="eval").body
        body = ast.BoolOp(ast.Or(), [mark, node.body])
        return ast.copy_location(ast.Lambda(node.args, ast.copy_location(body, node.body)), node)

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        for name in ("body", "orelse", "finalbody"):
            body = getattr(node, name, None)
            if isinstance(body, list):
                setattr(node, name, self.marked(body))
        return node

    def marked(self, body: list[ast.stmt]) -> list[ast.stmt]:
        result: list[ast.stmt] = []
        for i, statement in enumerate(body):
            number = self.number(statement)
            is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
            if number is not None and not (is_text and i == 0):
                mark = ast.parse(f"{TOUCHED}[{number}] = 1").body[0]
                for part in ast.walk(mark):
                    if "lineno" in part._attributes:
                        ast.copy_location(part, statement)
                result.append(mark)
            result.append(statement)
        return result
