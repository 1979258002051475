"""The pages that stand beside the code (portnn/*/README.md), on the site as well."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDER = "inside"


def pages() -> dict[str, Path]:
    """The pages, by their place under docs/."""
    files = sorted((ROOT / "portnn").rglob("README.md"))
    return {f"{FOLDER}/{_name(file)}.md": file for file in files}


def _name(file: Path) -> str:
    return "-".join(part.strip("_") for part in file.parent.relative_to(ROOT / "portnn").parts)


def redirected(text: str, folder: Path) -> str:
    """Markdown of a folder of the repository, whose links to such pages and to docs/ lead into the site."""

    def replace(link: re.Match[str]) -> str:
        file = (folder / link[1]).resolve()
        if file.is_file() and _in_docs(file) and not _in_docs(folder):
            return f"](../{file.relative_to(ROOT / 'docs').as_posix()}{link[2] or ''})"
        if file.name != "README.md" or not file.is_file() or (ROOT / "portnn") not in file.parents:
            return link[0]
        up = "../" * len(folder.relative_to(ROOT / "docs").parts) if _in_docs(folder) else "../"
        return f"]({up}{FOLDER}/{_name(file)}.md{link[2] or ''})"

    return re.sub(r"\]\(([^)#:]+\.md)(#[^)]*)?\)", replace, text)


def _in_docs(folder: Path) -> bool:
    return (ROOT / "docs") in (folder, *folder.parents)


def on_files(files: Any, *, config: Any) -> Any:
    """Add the pages to the files."""
    from mkdocs.structure.files import File

    for place, file in pages().items():
        content = redirected(file.read_text(encoding="utf-8"), file.parent)
        files.append(File.generated(config, place, content=content))
    return files


def on_config(config: Any) -> Any:
    """Add the pages to the navigation, behind the explanations."""
    titles = [{Path(place).stem: place} for place in pages()]
    config["nav"].append({"Beside the code": titles})
    return config


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Lead links of the other pages to them."""
    source = page.file.abs_src_path
    return redirected(markdown, Path(source).parent) if source else markdown
