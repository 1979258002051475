"""The words of the command line: what is new in the library is not forgotten here."""

from __future__ import annotations

from pathlib import Path

from portnn import losses
from portnn.cli import _names
from portnn.cli._commands import make_group
from portnn.losses import Loss, Task
from portnn.nn import _activations
from portnn.optim import _adam_recipes, _recipes

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "command-line.md"
# No choice between hidden layers: they halve, have parameters, or make probabilities of a row.
OTHER_ACTIVATIONS = {"glu", "log_softmax", "prelu", "softmax", "softmin"}
# Their targets are no column of labels or values, or the network needs twice the outputs.
OTHER_LOSSES = {"cosine_distance", "gaussian_nll", "kl_divergence"}
TASKS = {Task.CLASSES: "classification", Task.LABELS: "multilabel", Task.VALUES: "regression"}


def test_every_activation_has_a_word():
    assert set(_names.ACTIVATIONS) == set(_activations.__all__) - OTHER_ACTIVATIONS


def test_every_optimiser_has_a_word():
    assert set(_names.OPTIMIZERS) == {*_recipes.__all__, *_adam_recipes.__all__}


def test_every_loss_has_a_word_and_its_task():
    found = {name: getattr(losses, name) for name in losses.__all__}
    tasks = {name: TASKS[loss.task] for name, loss in found.items() if isinstance(loss, Loss)}
    assert {name: task for name, task in tasks.items() if name not in OTHER_LOSSES} == _names.LOSSES


def test_every_command_stands_on_its_page():
    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in make_group().commands if f"| `portnn {name}" not in text] == []
