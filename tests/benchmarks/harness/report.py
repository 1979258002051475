"""Results as Markdown."""

from __future__ import annotations

import statistics
from typing import Any

from tests.benchmarks.harness.bounds import Verdict
from tests.benchmarks.harness.ratios import ratio

__all__ = ["in_units", "markdown"]


def in_units(seconds: float) -> str:
    """A time with three digits.

    Example:
        >>> in_units(0.000123456), in_units(0.0123456), in_units(2.0)
        ('123 µs', '12.3 ms', '2.00 s')
    """
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= scale:
            return f"{seconds / scale:#.3g}".rstrip(".") + f" {unit}"
    return f"{seconds * 1e6:#.3g}".rstrip(".") + " µs"


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """The lines of a table."""
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", "/") for cell in line) + " |" for line in lines]


def row(entry: dict[str, Any], ours: list[float]) -> list[str]:
    """A contender: time, ratio to portnn, threads; or why there is none."""
    threads = "its own choice" if entry["threads"] is None else str(entry["threads"])
    if entry["status"] != "ok":
        return [entry["title"], f"**{entry['status']}**", entry["reason"], ""]
    time = in_units(statistics.median(entry["seconds"]))
    relative = str(ratio(entry["seconds"], ours)) if ours else "no time of portnn"
    return [entry["title"], time, relative, threads]


def workload(name: str, result: dict[str, Any]) -> list[str]:
    """The table of a workload, fastest first."""
    entries = result["entries"]
    ours = entries.get("portnn", {}).get("seconds", [])
    unit = "a step" if result["training"] else "a call"
    ordered = sorted(
        entries.values(), key=lambda e: statistics.median(e["seconds"]) if e["seconds"] else float("inf")
    )
    head = ["contender", unit, "over portnn (quartiles)", "threads"]
    title = f"## {name}: {result['title']} ({result['precision']}, {result['rounds']} rounds)"
    return [title, "", *table(head, [row(entry, ours) for entry in ordered]), ""]


def startup(result: dict[str, Any]) -> list[str]:
    """The table of W6."""
    ours, rows = result["portnn"]["seconds"], []
    for name, entry in result.items():
        if entry["status"] == "ok":
            time = in_units(statistics.median(entry["seconds"]))
            rows.append([name, time, str(ratio(entry["seconds"], ours)) if ours else "no time of portnn"])
        else:
            rows.append([name, f"**{entry['status']}**", entry["reason"]])
    title = "## W6: from the start of a process to its first trained step"
    return [title, "", *table(["library", "time", "over portnn (quartiles)"], rows), ""]


def sizes(result: dict[str, Any]) -> list[str]:
    """The table of W7."""
    rows = []
    for name, entry in result.items():
        if entry["status"] == "ok":
            rows.append([name, f"{entry['bytes'] / 1e6:.1f} MB", str(len(entry["parts"]))])
        else:
            rows.append([name, f"**{entry['status']}**", entry["reason"]])
    title = "## W7: installed size, with all that it needs"
    return [title, "", *table(["distribution", "size", "distributions"], rows), ""]


def memory(result: dict[str, Any]) -> list[str]:
    """Peak memory in W2."""
    if result["status"] != "ok":
        return ["## Memory in W2", "", f"**{result['status']}**: {result['reason']}", ""]
    text = (
        f"Peak of the process {result['peak'] / 1e6:.0f} MB, {result['ratio']:.2f} times the data set "
        f"({result['dataset'] / 1e6:.0f} MB as float32); {result['before'] / 1e6:.0f} MB before the data, "
        f"{result['loaded'] / 1e6:.0f} MB when they were loaded."
    )
    return ["## Memory in W2", "", text, ""]


def judgement(verdicts: list[Verdict]) -> list[str]:
    """The list of bounds."""
    rows = [
        [v.bound.workload, f"{v.over} / {v.under}", v.bound.text, str(v.measured or "–"), v.verdict]
        for v in verdicts
    ]
    return [
        "## Bounds",
        "",
        *table(["where", "ratio of times", "bound", "measured (quartiles)", ""], rows),
        "",
    ]


def markdown(results: dict[str, Any], verdicts: list[Verdict]) -> str:
    """The whole report."""
    machine = results["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in sorted(results["versions"].items()))
    gpu = f", {machine['gpu']['name']}" if "gpu" in machine else ""
    hardware = f"{machine['processor']}, {machine['cores']} cores{gpu}, {machine['system']}"
    software = f"Python {machine['python']}, NumPy {machine['numpy']}"
    load = f"load {machine['load before']} before and {machine['load after']} after"
    lines = ["# Benchmark", "", f"{machine['date']}, {hardware}, {software}; {load}."]
    lines += [
        f"Versions: {versions}.",
        f"Data: {results['data']}. W5 predicts with {results['network of W5']}.",
    ]
    if results["quick"]:
        lines.append("**A quick run: it shows that everything works; its times mean nothing.**")
    lines.append("")
    for name, result in results["workloads"].items():
        lines += workload(name, result)
    parts = {"startup": startup, "sizes": sizes, "memory": memory}
    for name, part in parts.items():
        if name in results:
            lines += part(results[name])
    if "ceilings" in results:
        lines += [
            "## Ceilings",
            "",
            *(f"- {name}: {value}" for name, value in results["ceilings"].items()),
            "",
        ]
    return "\n".join(lines + judgement(verdicts))
