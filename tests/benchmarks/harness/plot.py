"""Results as a picture."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from tests.benchmarks.harness.ratios import ratio
from tests.benchmarks.harness.report import in_units

__all__ = ["draw"]

# Of Okabe and Ito's palette, which people with any colour vision can tell apart.
OURS, LIMIT, PEER = "#0072B2", "#999999", "#E69F00"
PLATE = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}  # under text, over lines
ROW = 0.27  # inches


def colour(slug: str) -> str:
    """portnn, a limit, or a peer."""
    if slug.startswith("portnn"):
        return OURS
    return LIMIT if slug in ("floor", "products") else PEER


def panel(axes: Any, name: str, result: dict[str, Any]) -> None:
    """Bars of the times relative to portnn, on a logarithmic scale, with the quartiles of the rounds."""
    ours = result["entries"]["portnn"]["seconds"]
    timed = [entry for entry in result["entries"].values() if entry["seconds"]]
    timed.sort(key=lambda entry: statistics.median(entry["seconds"]), reverse=True)
    found = [ratio(entry["seconds"], ours) for entry in timed]
    middle = [r.median for r in found]
    whiskers = [[r.median - r.low for r in found], [r.high - r.median for r in found]]
    axes.barh(
        [entry["title"] for entry in timed], middle, xerr=whiskers, height=0.7,
        color=[colour(entry["slug"]) for entry in timed], error_kw={"ecolor": "#333333", "capsize": 2},
    )  # fmt: skip
    axes.set_xscale("log")
    axes.set_xlim(min(middle) / 2, max(middle) * 8)
    axes.axvline(1, color=OURS, linewidth=0.8)
    for y, (entry, r) in enumerate(zip(timed, found, strict=True)):
        text = f" {r.median:.2f}×, {in_units(statistics.median(entry['seconds']))}"
        axes.text(max(r.high, r.median), y, text, va="center", fontsize=8, bbox=PLATE)
    axes.set_title(f"{name}: {result['title']}", loc="left", fontsize=10)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def draw(results: dict[str, Any], file: Path) -> bool:
    """Write the picture; False if portnn was not timed in any workload, so that there is nothing to draw."""
    from matplotlib.figure import Figure

    shown = {
        name: result
        for name, result in results["workloads"].items()
        if result["entries"].get("portnn", {}).get("seconds")
    }
    if not shown:
        return False
    rows = [sum(bool(e["seconds"]) for e in result["entries"].values()) + 3 for result in shown.values()]
    figure = Figure(figsize=(8, ROW * sum(rows) + 0.6), layout="constrained")
    grid = figure.subplots(len(shown), 1, height_ratios=rows, squeeze=False)[:, 0]
    for axes, (name, result) in zip(grid, shown.items(), strict=True):
        panel(axes, name, result)
    grid[-1].set_xlabel(
        "time over portnn's, logarithmic (blue: portnn, grey: limits, orange: peers)", fontsize=9
    )
    figure.savefig(file, dpi=150)
    return True
