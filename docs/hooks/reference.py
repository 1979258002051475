"""The reference: a page for each public module, with each name of its `__all__`; a missing one is an error.

mkdocs calls `on_files`, `on_config` and `on_post_build`. The names are read from the files, so that nothing
is imported to build the site. A name that several modules have is described where it is at home, and the
other pages lead there.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDER = "reference"


@cache
def modules() -> dict[str, Path]:
    """The public modules of portnn by name: no part of the name begins with an underscore."""
    found = {}
    for file in sorted((ROOT / "portnn").rglob("*.py")):
        name = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if "._" not in name:
            found[name] = file
    return found


def assigned(file: Path, name: str) -> Any:
    """What a module assigns to a name, if that is written as plain data; else None."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return ast.literal_eval(node.value)
    return None


@cache
def names(module: str) -> tuple[str, ...]:
    """The public names of a module."""
    return tuple(assigned(modules()[module], "__all__") or ())


def page(module: str) -> str:
    """The page of a module, seen from docs/."""
    return f"{FOLDER}/{module}.md"


@cache
def sources(module: str) -> dict[str, str]:
    """For each name that a module takes from another one of portnn: that module."""
    base = ROOT / Path(*module.split("."))
    file = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
    found = {}
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("portnn."):
            found |= {alias.asname or alias.name: str(node.module) for alias in node.names}
    return found


def home(module: str, name: str) -> str:
    """The public module that describes a name: the innermost that has it around the file that defines it."""
    homes, source = [module], module
    while source != sources(source).get(name, source):
        source = sources(source)[name]
        public = source
        while public not in modules():
            public = public.rpartition(".")[0]
        if name in names(public):
            homes.append(public)
    return homes[-1]


def text(module: str) -> str:
    """A module's page in Markdown."""
    lines = [f"# {module}", "", f"::: {module}", "    options:"]
    lines += [
        "      members: false",
        "      show_root_heading: false",
        "      show_root_toc_entry: false",
        "",
    ]
    elsewhere = {n: home(module, n) for n in names(module)}
    inner = [n for n in names(module) if f"{module}.{n}" in modules()]
    led = [n for n in names(module) if elsewhere[n] != module and n not in inner]
    own = [n for n in names(module) if elsewhere[n] == module and n not in inner and n != "__version__"]
    if inner:
        lines += ["Modules: " + ", ".join(f"[{n}]({module}.{n}.md)" for n in inner) + ".", ""]
    for there in sorted({elsewhere[n] for n in led}):
        links = ", ".join(f"[`{n}`][{there}.{n}]" for n in led if elsewhere[n] == there)
        lines += [f"From [{there}]({there}.md): {links}.", ""]
    for n in own:
        lines += [f"::: {module}.{n}", ""]
    return "\n".join(lines)


def index() -> str:
    """The first page of the reference."""
    rows = [f"| [{m}]({m}.md) | {first_line(file)} |" for m, file in modules().items() if names(m)]
    return "\n".join(["# Reference", "", "| module | what it has |", "|---|---|", *rows, ""])


def first_line(file: Path) -> str:
    """What a module says of itself, in a line."""
    return (
        (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "")
        .partition("\n\n")[0]
        .replace("\n", " ")
    )


def on_config(config: Any) -> Any:
    """Add the pages to the navigation."""
    config["nav"].append({"Reference": [f"{FOLDER}/index.md", *[page(m) for m in modules() if names(m)]]})
    return config


def on_files(files: Any, *, config: Any) -> Any:
    """Add the pages to the files."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, f"{FOLDER}/index.md", content=index()))
    for module in modules():
        if names(module):
            files.append(File.generated(config, page(module), content=text(module)))
    return files


def missing(site: Path) -> list[str]:
    """The public names that the built pages neither describe nor lead to."""
    lost = []
    for module in modules():
        if not names(module):
            continue
        file = site / FOLDER / f"{module}.html"
        html = file.read_text(encoding="utf-8") if file.exists() else ""
        for n in names(module):
            there = f"{home(module, n)}.{n}"
            signs = (f'id="{there}"', f'#{there}"', f'href="{module}.{n}.html"')
            if n != "__version__" and not any(sign in html for sign in signs):
                lost.append(f"{module}.{n}")
    return lost


def on_post_build(config: Any) -> None:
    """Stop the build if a public name is missing."""
    from mkdocs.exceptions import PluginError

    lost = missing(Path(config["site_dir"]))
    if lost:
        raise PluginError(f"{len(lost)} public names are not in the reference: {', '.join(lost[:20])}")
