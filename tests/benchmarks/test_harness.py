"""The harness of the benchmark: what it believes, what it reports, and that contenders do the same work."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.benchmarks.__main__ import main
from tests.benchmarks.contenders import TRAINING, Order, order_of
from tests.benchmarks.contenders._base import usable_cores
from tests.benchmarks.contenders._by_hand import ByHand
from tests.benchmarks.harness import inputs
from tests.benchmarks.harness.measuring import Session, measure
from tests.benchmarks.harness.processes import Pool, Process
from tests.benchmarks.harness.ratios import ratio
from tests.benchmarks.harness.sizes import closure
from tests.benchmarks.harness.worker import REGISTRIES, Worker
from tests.benchmarks.harness.workloads import WORKLOADS, Workload, select
from tests.benchmarks.inference import INFERENCE

SAMPLES = 512
BATCHES = Workload("batches", "a small net", (784, 6, 10), 16, 30, seconds=0.001)
WHOLE = Workload("whole", "a small net, full batch", (784, 6, 10), None, 1, epochs=5, seconds=0.001)
PREDICTING = Workload("predicting", "a small net", (784, 6, 10), 16, 60, seconds=0.001, training=False)


class LocalProcess(Worker):
    """A worker without a process: requests go through JSON all the same."""

    def ask(self, timeout: float, **request: Any) -> dict[str, Any]:
        return json.loads(json.dumps(self.answer(json.dumps(request))))


class LocalPool:
    """As `Pool`, in this process."""

    device = "cpu"

    def __init__(self) -> None:
        self.open_ones: dict[Any, LocalProcess] = {}

    def open(self, kind: str, slug: str, threads: int | None) -> tuple[LocalProcess | None, dict[str, Any]]:
        if (kind, slug) in self.open_ones:
            return self.open_ones[kind, slug], {}
        process = LocalProcess()
        answer = process.ask(1.0, do="open", kind=kind, slug=slug, device=self.device)
        if "versions" not in answer:
            return None, answer
        self.open_ones[kind, slug] = process
        return process, {}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("benchmark")
    images, labels = inputs.stand_in(SAMPLES)
    inputs.write_data(path, images, labels)
    for workload in (BATCHES, WHOLE, PREDICTING):
        inputs.write_params(path, workload, images, labels)
    return path


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """What a contender does to the threads of BLAS is undone."""
    threadpoolctl = pytest.importorskip("threadpoolctl")
    with threadpoolctl.threadpool_limits(limits=None):
        yield


def measured(workload: Workload, slugs: list[str], folder: Path) -> dict[str, Any]:
    session = Session(LocalPool(), workload, str(folder), timeout=60.0)
    return measure(session, slugs, rounds=2, until=0.0, say=lambda line: None)


def test_the_ratio_is_the_median_of_the_rounds() -> None:
    # The machine was ten times slower in the second round, which is as good as any other; the ratio of the
    # medians would be 1.
    r = ratio([2.0, 30.0, 8.0], [1.0, 10.0, 8.0])
    assert (r.median, r.smallest, r.largest, r.rounds) == (2.0, 1.0, 3.0, 3)
    assert (r.low, r.high) == (1.5, 2.5)
    assert ratio([3.0], [2.0]).low == 1.5


@pytest.mark.parametrize("pair", [([], []), ([1.0], [1.0, 2.0])])
def test_a_ratio_needs_the_same_rounds(pair: tuple[list[float], list[float]]) -> None:
    with pytest.raises(ValueError, match="as many rounds of both"):
        ratio(*pair)


@pytest.mark.parametrize("slug", ["portnn", "numpy"])
@pytest.mark.parametrize("workload", [BATCHES, WHOLE, PREDICTING], ids=lambda w: w.name)
def test_contenders_agree_with_the_reference(slug: str, workload: Workload, folder: Path) -> None:
    entry = measured(workload, [slug], folder)["entries"][slug]
    assert (entry["status"], entry["reason"]) == ("ok", "")
    assert len(entry["seconds"]) == 2


def test_the_article_is_the_same_training(folder: Path) -> None:
    entry = measured(WHOLE, ["article"], folder)["entries"]["article"]
    assert entry["status"] == "ok"


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("torch", "jax")]


@pytest.mark.parametrize("name", [*SLOW, "sklearn", "autograd", "onnxruntime"])
@pytest.mark.parametrize("workload", [BATCHES, WHOLE, PREDICTING], ids=lambda w: w.name)
def test_peers_agree_with_the_reference(name: str, workload: Workload, folder: Path) -> None:
    pytest.importorskip(name)
    registry = TRAINING if workload.training else INFERENCE
    slugs = [slug for slug, peer in registry.items() if name in peer.packages and "compile" not in slug]
    # What is made for GPUs runs here too: the same calls, without a graph around them.
    with Pool("cpu", timeout=60.0) as pool:  # threads and settings of these libraries stay in their processes
        session = Session(pool, workload, str(folder), timeout=60.0)
        entries = measure(session, slugs, rounds=1, until=0.0, say=lambda line: None)["entries"]
    for slug, entry in entries.items():
        assert (slug, entry["status"], entry["reason"]) == (slug, "ok", "")


class Spoiled(ByHand):
    """Its losses are off by a thousandth."""

    slug = "spoiled"

    def loss(self, result: Any, order: Order) -> float:
        return float(result) * 1.001


class Absent(ByHand):
    """It needs what nobody has."""

    slug = "absent"
    packages = ("a_package_that_nobody_has",)


class Broken(ByHand):
    """It cannot run."""

    slug = "broken"

    def run(self, order: Order) -> Any:
        raise RuntimeError("out of order")


@pytest.mark.parametrize(
    ("contender", "status", "reason"),
    [
        (Spoiled, "disagrees", "loss after is"),
        (Absent, "missing", "a_package_that_nobody_has"),
        (Broken, "failed", "RuntimeError: out of order"),
    ],
)
def test_who_cannot_be_believed_gets_no_time(
    contender: type[ByHand], status: str, reason: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(REGISTRIES["training"], contender.slug, contender)
    entry = measured(BATCHES, [contender.slug, "numpy"], folder)["entries"][contender.slug]
    assert entry["status"] == status
    assert reason in entry["reason"]
    assert entry["seconds"] == []


def test_without_a_reference_nobody_gets_a_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REGISTRIES["training"], "reference", Broken)
    entry = measured(BATCHES, ["numpy"], folder)["entries"]["numpy"]
    assert (entry["status"], entry["seconds"]) == ("failed", [])
    assert entry["reason"] == "reference: RuntimeError: out of order"


def test_a_slow_contender_is_not_waited_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if usable_cores() == 1:
        pytest.skip("with one core nobody is tried before the check")
    monkeypatch.setattr("tests.benchmarks.harness.measuring.PATIENCE", 0.0)
    entry = measured(BATCHES, ["numpy"], folder)["entries"]["numpy"]
    assert entry["status"] == "too slow"
    assert "60 have to be checked first" in entry["reason"]


def test_rounds_alternate(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[str] = []
    run = Session.run

    def spied(self: Session, slug: str, *args: Any) -> Any:
        turns.append(slug)
        return run(self, slug, *args)

    monkeypatch.setattr(Session, "run", spied)
    session = Session(LocalPool(), BATCHES, str(folder), timeout=60.0)
    result = measure(session, ["numpy", "floor"], rounds=3, until=0.0, say=lambda line: None)
    assert turns[-6:] == ["numpy", "floor", "floor", "numpy", "numpy", "floor"]
    assert [len(entry["seconds"]) for entry in result["entries"].values()] == [3, 3]


def test_the_order_is_cut_off_and_repeats() -> None:
    full, cut = order_of(3, 2, 5, 8), order_of(3, 2, 5, 8, limit=4)
    assert (full.count, cut.count) == (10, 4)
    assert np.array_equal(full.indices[:4], cut.indices)
    assert np.array_equal(np.sort(full.indices[:5].reshape(-1)), np.arange(40))
    assert not np.array_equal(full.indices[:5], full.indices[5:])


def test_a_process_answers_and_its_end_is_told() -> None:
    process = Process({})
    try:
        assert "numpy" not in process.ask(60.0, do="open", kind="training", slug="numpy", device="cpu")
        assert process.ask(60.0, do="prepare", task={}, threads=None)["failed"].startswith("KeyError")
        process.child.kill()
        process.child.wait()
        assert "its process has ended" in process.ask(60.0, do="run")["failed"]
    finally:
        process.close()


def test_workloads_are_chosen_by_name() -> None:
    chosen, extras = select(["W5", "W1", "W7"], "cpu")
    assert [workload.name for workload in chosen] == ["W1", "W5-1", "W5-64", "W5-10000"]
    assert extras == {"W7"}
    with pytest.raises(ValueError, match="no workload 'W8' on cpu"):
        select(["W8"], "cpu")
    assert [w.name for w in select(["W8"], "gpu")[0]] == [n for n in WORKLOADS if n.startswith("W8")]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--peers", "nobody"], "no contender 'nobody'"),
        (["--workloads", "W99"], "no workload 'W99'"),
        (["--rounds", "0"], "--rounds must be at least 1"),
        (["--backend", "gpu"], "no GPU: neither CuPy nor PyTorch"),
    ],
)
def test_wrong_options_are_told(
    arguments: list[str], text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.benchmarks.harness.machine.find_spec", lambda name: None)  # no GPU anywhere
    with pytest.raises(SystemExit):
        main(arguments)
    assert text in capsys.readouterr().err


def test_sizes_count_what_is_needed() -> None:
    assert {"portnn", "numpy", "array-api-compat", "threadpoolctl"} <= set(closure("portnn"))
    assert closure("numpy")["numpy"] > 1_000_000
    with pytest.raises(PackageNotFoundError):
        closure("a-package-that-nobody-has")
