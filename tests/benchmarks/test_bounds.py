"""What is said of figures: verdicts, report, picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.benchmarks.harness.bounds import BOUNDS, judge
from tests.benchmarks.harness.plot import draw
from tests.benchmarks.harness.report import markdown


def entry(slug: str, seconds: list[float], status: str = "ok", reason: str = "") -> dict[str, Any]:
    return {
        "slug": slug, "title": slug.upper(), "status": status, "reason": reason, "threads": 1, "loss": 1.0,
        "steps": 1, "seconds": seconds,
    }  # fmt: skip


def results(**w1: list[float]) -> dict[str, Any]:
    entries = {slug.replace("_", "-"): entry(slug.replace("_", "-"), times) for slug, times in w1.items()}
    entries["sklearn"] = entry("sklearn", [], "disagrees", "loss after is 3, expected 2")
    entries["tinygrad"] = entry("tinygrad", [], "missing", "tinygrad")
    machine = {
        "date": "today", "processor": "a CPU", "cores": 2, "load before": 0.0, "load after": 0.0,
        "system": "Linux", "python": "3", "numpy": "2",
    }  # fmt: skip
    workload = {
        "title": "training",
        "training": True,
        "precision": "float32",
        "rounds": 3,
        "entries": entries,
    }
    return {
        "device": "cpu", "quick": False, "machine": machine, "versions": {}, "data": "MNIST",
        "network of W5": "a network", "workloads": {"W1": workload, "W4": workload},
    }  # fmt: skip


FAST = results(portnn=[1.0, 1.0, 1.0], floor=[0.5, 0.7, 0.9], torch=[4.0, 5.0, 3.9], jax=[1.1, 1.1, 1.3])


def verdicts(found: dict[str, Any]) -> dict[tuple[str, str, str], str]:
    return {(v.bound.workload, v.over, v.under): v.verdict for v in judge(found)}


def test_a_bound_is_held_to_the_median_of_the_rounds() -> None:
    judged = verdicts(FAST)
    assert judged["W1", "portnn", "floor"] == "pass"  # 2, 1.43 and 1.11: not at most 1.6 in every round
    assert judged["W1", "torch", "portnn"] == "pass"
    assert judged["W1", "jax", "portnn"] == "FAIL"


def test_what_has_no_time_is_neither_passed_nor_failed() -> None:
    judged = verdicts(FAST)
    assert judged["W1", "sklearn", "portnn"] == "not measured"
    assert judged["W1", "jax-scan", "portnn"] == "not measured"
    assert judged["W6", "torch", "portnn"] == "not measured"


def test_the_fastest_peer_is_no_limit_and_not_portnn() -> None:
    found = results(portnn=[1.0], portnn_jit=[0.1], floor=[0.2], torch=[2.0], jax_scan=[0.99])
    assert verdicts(found)["W4", "portnn", "jax-scan"] == "pass"


def test_every_bound_is_of_one_kind() -> None:
    assert all(bound.most is None or bound.least is None for bound in BOUNDS)
    assert {bound.device for bound in BOUNDS} == {"cpu", "gpu"}


def test_the_report_hides_nobody() -> None:
    text = markdown(FAST, judge(FAST))
    assert "| SKLEARN | **disagrees** | loss after is 3, expected 2 |" in text
    assert "| TINYGRAD | **missing** | tinygrad |" in text
    assert "| JAX | 1.10 s | 1.10 (1.10 to 1.20) | 1 |" in text
    assert "| W1 | jax / portnn | at least 1.2 | 1.10 (1.10 to 1.20) | FAIL |" in text


def test_the_picture_is_drawn_if_there_is_something_to_draw(tmp_path: Path) -> None:
    file = tmp_path / "times.png"
    assert not draw(results(torch=[1.0]), file)
    assert not file.exists()
    assert draw(FAST, file)
    assert file.read_bytes().startswith(b"\x89PNG")
