"""Find where one small mistake can be planted in a source file, and plant it.

The mistakes are the classic ones. A comparison is inverted or includes its bound, an arithmetic operator is
replaced, a condition is negated, a number is one too large, a flag is flipped, None is returned; a
keyword argument, a call, a `raise` or an assignment to an attribute is forgotten. Never
changed are strings (so that the wording of errors does not count), annotations, docstrings, `__repr__`, code
under TYPE_CHECKING, the arguments of a `raise`, and `assert` and the ``strict=`` of `zip`, which only state
an invariant.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import singledispatch
from typing import Any

__all__ = ["Probe", "Site", "Source", "read"]

Probe = tuple[str, int, int]
"""File, line and column of a statement inside a function, or of a lambda."""

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
    ast.LShift: ast.RShift, ast.RShift: ast.LShift,
}  # fmt: skip
NEGATIONS = (ast.Eq, ast.NotEq, ast.Is, ast.IsNot, ast.In, ast.NotIn)
TYPES = {"bool", "bytes", "complex", "dict", "float", "int", "list", "set", "str", "tuple", "type"}
ABOUT_TYPES = {"NewType", "ParamSpec", "TypeVar", "cast"}
UNTOUCHED = ast.Assert | ast.Import | ast.ImportFrom | ast.Global | ast.Nonlocal | ast.Pass
SKIPPED_FIELDS = {"annotation", "returns", "type_comment", "type_params"}

Mistake = tuple[str, ast.AST]
"""Its kind, and the replacement."""


@dataclass(frozen=True)
class Site:
    """One mistake: `replacement` in the place of the bytes from `start` to `stop`."""

    path: str
    line: int
    kind: str
    start: int
    stop: int
    replacement: str
    probe: Probe | None
    """The statement or lambda around it; None if the import executes it."""
    names: frozenset[str] = frozenset()
    """If the import executes it: what the statement around it defines."""
    inside: frozenset[Probe] = frozenset()
    """If the import executes it: the insides of the functions that belong to it."""


@dataclass
class Source:
    """A file: its text, its possible mistakes and its probes."""

    path: str
    text: bytes
    sites: list[Site] = field(default_factory=list)
    probes: list[Probe] = field(default_factory=list)
    uses: dict[str, set[Probe]] = field(default_factory=dict)
    """Which statements use a name."""
    made_from: dict[str, set[str]] = field(default_factory=dict)
    """Which names the import makes from a name."""

    def mutated(self, site: Site) -> bytes:
        """Return the text with a mistake."""
        return self.text[: site.start] + site.replacement.encode() + self.text[site.stop :]


def read(path: str, text: bytes) -> Source:
    """Find all possible mistakes of a file; `path` is its name in reports."""
    source = Source(path, text)
    _Walk(source).statements(ast.parse(text).body, _Place())
    return source


@dataclass(frozen=True)
class _Place:
    """The context of a node."""

    probe: Probe | None = None
    names: frozenset[str] = frozenset()
    inside: frozenset[Probe] = frozenset()
    is_class: bool = False


class _Walk:
    """A walk through a file that fills a `Source`."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.starts = [0]
        for line in source.text.split(b"\n"):
            self.starts.append(self.starts[-1] + len(line) + 1)

    def key(self, node: Any) -> Probe:
        return self.source.path, node.lineno, node.col_offset

    def statements(self, body: Iterable[ast.stmt], place: _Place) -> None:
        for statement in body:
            if not isinstance(statement, UNTOUCHED):
                self.statement(statement, place)

    def statement(self, node: ast.stmt, place: _Place) -> None:
        place = self.place_of(node, place)
        if isinstance(node, ast.FunctionDef):
            self.function(node, place)
        elif isinstance(node, ast.ClassDef):
            self.expressions([*node.decorator_list, *node.keywords], place)
            is_class = place.probe is None
            self.statements(node.body, _Place(place.probe, place.names, place.inside, is_class))
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in _names(node.test):
            self.statements(node.orelse, place)
        elif isinstance(node, ast.Raise):
            self.note(node, "raise removed", ast.Pass(), place)
            self.use(node, place)
        else:
            for kind, wrong in _wrong_statements(node):
                self.note(node, kind, wrong, place)
            if isinstance(node, ast.If | ast.While):
                self.negate(node.test, place)
            self.children(node, place)

    def place_of(self, node: ast.stmt, place: _Place) -> _Place:
        """The place of what stands in a statement; the statement is a probe if it is in a function."""
        if place.probe is not None:
            self.source.probes.append(self.key(node))
            return _Place(self.key(node))
        if isinstance(node, ast.If | ast.For | ast.Try | ast.With | ast.While):
            return place
        # A field belongs to its whole class, a method to itself.
        around = place if place.is_class and not isinstance(node, ast.FunctionDef) else _Place()
        inside = frozenset(self.key(child) for child in _probed(node, isinstance(node, ast.FunctionDef)))
        names = around.names | _defined(node)
        for name in _names(node) - names:
            self.source.made_from.setdefault(name, set()).update(names)
        return _Place(None, names, around.inside | inside)

    def function(self, node: ast.FunctionDef, place: _Place) -> None:
        if any("overload" in _names(decorator) for decorator in node.decorator_list):
            return
        self.expressions([*node.decorator_list, *_defaults(node.args)], place)
        if node.name != "__repr__":
            self.statements(node.body, _Place(self.key(node)))

    def children(self, node: ast.AST, place: _Place) -> None:
        for name, value in ast.iter_fields(node):
            if name in SKIPPED_FIELDS:
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.stmt):
                    self.statements([child], place)
                elif isinstance(child, ast.ExceptHandler | ast.match_case | ast.withitem | ast.pattern):
                    self.children(child, place)
                elif isinstance(child, ast.expr | ast.keyword | ast.comprehension):
                    self.expressions([child], place)

    def expressions(self, nodes: Iterable[ast.AST], place: _Place) -> None:
        for node in nodes:
            if isinstance(node, ast.Lambda):
                self.expressions(_defaults(node.args), place)
                self.source.probes.append(self.key(node))
                self.expressions([node.body], _Place(self.key(node)))
                continue
            if isinstance(node, ast.comprehension):
                for test in node.ifs:
                    self.negate(test, place)
            if _is_left_alone(node):
                self.use(node, place)
                continue
            if isinstance(node, ast.Name | ast.Attribute | ast.keyword):
                self.use(node, place, _own_name(node))
            for kind, wrong in mistakes(node):
                self.note(node, kind, wrong, place)
            if not (isinstance(node, ast.UnaryOp) and _is_number(node.operand)):  # -1 is one number
                self.children(node, place)

    def use(self, node: ast.AST, place: _Place, *names: str) -> None:
        """Remember that a statement uses some names: those given, else all in the node."""
        if place.probe is not None:
            for name in names or _names(node):
                self.source.uses.setdefault(name, set()).add(place.probe)

    def negate(self, test: ast.expr, place: _Place) -> None:
        if not _is_negated_elsewhere(test):
            self.note(test, "condition negated", ast.UnaryOp(ast.Not(), test), place)

    def note(self, node: Any, kind: str, wrong: ast.AST, place: _Place) -> None:
        start = self.starts[node.lineno - 1] + node.col_offset
        stop = self.starts[node.end_lineno - 1] + node.end_col_offset
        found = place.probe, place.names, place.inside
        self.source.sites.append(Site(self.source.path, node.lineno, kind, start, stop, _text(wrong), *found))


def _probed(node: ast.AST, within: bool) -> Iterator[ast.AST]:
    """The statements of functions and the lambdas below a node; `within`: whether it is in a function."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Lambda) or (
            within and isinstance(child, ast.stmt) and not isinstance(child, UNTOUCHED)
        ):
            yield child
        yield from _probed(child, within or isinstance(child, ast.FunctionDef | ast.Lambda))


def _wrong_statements(node: ast.stmt) -> Iterator[Mistake]:
    """Yield mistakes that replace a whole statement."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield "call removed", ast.Pass()
    elif isinstance(node, ast.Return) and not (node.value is None or _is_none(node.value)):
        yield "None returned", ast.Return(ast.Constant(None))
    elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute | ast.Subscript):
        yield "assignment removed", ast.Pass()
    elif isinstance(node, ast.AugAssign) and type(node.op) in ARITHMETIC:
        yield "arithmetic", ast.AugAssign(node.target, ARITHMETIC[type(node.op)](), node.value)
    elif isinstance(node, ast.Break | ast.Continue):
        yield "break or continue", ast.Continue() if isinstance(node, ast.Break) else ast.Break()


@singledispatch
def mistakes(node: ast.AST) -> Iterable[Mistake]:
    """Yield mistakes that replace an expression."""
    return ()


@mistakes.register
def _(node: ast.Compare) -> Iterator[Mistake]:
    for i, operator in enumerate(node.ops):
        ops = [*node.ops[:i], COMPARISONS[type(operator)](), *node.ops[i + 1 :]]
        yield "comparison", ast.Compare(node.left, ops, node.comparators)


@mistakes.register
def _(node: ast.BinOp) -> Iterator[Mistake]:
    is_of_types = isinstance(node.op, ast.BitOr) and (_is_type(node.left) or _is_type(node.right))
    if type(node.op) in ARITHMETIC and not is_of_types:
        yield "arithmetic", ast.BinOp(node.left, ARITHMETIC[type(node.op)](), node.right)


@mistakes.register
def _(node: ast.BoolOp) -> Iterator[Mistake]:
    yield "and for or", ast.BoolOp(ast.And() if isinstance(node.op, ast.Or) else ast.Or(), node.values)


@mistakes.register
def _(node: ast.UnaryOp) -> Iterator[Mistake]:
    yield "sign or not removed", node.operand
    if _is_number(node.operand):
        yield "number", ast.UnaryOp(node.op, ast.Constant(node.operand.value + 1))


@mistakes.register
def _(node: ast.Constant) -> Iterator[Mistake]:
    if isinstance(node.value, bool):
        yield "flag", ast.Constant(not node.value)
    elif _is_number(node):
        yield "number", ast.Constant(node.value + 1)


@mistakes.register
def _(node: ast.IfExp) -> Iterator[Mistake]:
    if not _is_negated_elsewhere(node.test):
        yield "condition negated", ast.IfExp(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse)


@mistakes.register
def _(node: ast.Call) -> Iterator[Mistake]:
    for i, keyword in enumerate(node.keywords):
        is_flag = isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, bool)
        if keyword.arg is not None and not is_flag and not _is_left_alone(keyword):  # a flag is flipped
            rest = [*node.keywords[:i], *node.keywords[i + 1 :]]
            yield "keyword removed", ast.Call(node.func, node.args, rest)


def _text(node: ast.AST) -> str:
    """Return a node as text, in parentheses where needed."""
    atoms = ast.Constant | ast.Name | ast.Call | ast.Attribute | ast.Subscript | ast.stmt
    text = ast.unparse(node)
    return text if isinstance(node, atoms) else f"({text})"


def _is_left_alone(node: ast.AST) -> bool:
    """Whether an expression is a text, is about types, or is the ``strict=`` of `zip`."""
    if isinstance(node, ast.Call):
        return _own_name(node.func) in ABOUT_TYPES
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.keyword) and node.arg == "strict")


def _is_number(node: Any) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) in {int, float, complex}


def _is_none(node: Any) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _is_type(node: ast.AST) -> bool:
    """Whether a side of "|" names a type, as in ``int | None``."""
    name = _own_name(node.value if isinstance(node, ast.Subscript) else node)
    return _is_none(node) or name in TYPES or name[:1].isupper()


def _is_negated_elsewhere(test: ast.expr) -> bool:
    """Whether another mistake is the negation of a condition already."""
    if isinstance(test, ast.Compare):
        return len(test.ops) == 1 and isinstance(test.ops[0], NEGATIONS)
    return isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)


def _defaults(arguments: ast.arguments) -> list[ast.expr]:
    return [default for default in (*arguments.defaults, *arguments.kw_defaults) if default is not None]


def _own_name(node: Any) -> str:
    """The name of a variable, attribute or keyword argument; "" for others."""
    return getattr(node, "id", None) or getattr(node, "attr", None) or getattr(node, "arg", None) or ""


def _names(node: ast.AST) -> set[str]:
    """The names of all variables, attributes and keyword arguments in a node."""
    return {_own_name(part) for part in ast.walk(node)} - {""}


def _defined(node: ast.stmt) -> frozenset[str]:
    """The names that a statement of a module or class defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return frozenset([node.name])
    targets = getattr(node, "targets", None) or [getattr(node, "target", None)]
    return frozenset(name for target in targets if target for name in _names(target))
