"""Parameters under PyTorch's names and back; what does not fit is refused by name."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pytest

from portnn import nn, tree
from portnn.nn import Flatten, Linear, PReLU, Sequential, from_torch, to_torch
from portnn.random import stream

LAYER = Sequential([Flatten(), Linear(3, 2), [nn.relu, PReLU(2)]])
GOOD = {"1.weight": np.arange(6.0).reshape(2, 3), "1.bias": np.ones(2), "2.1.weight": np.zeros(2)}


def test_names_and_layout():
    params, state = from_torch(LAYER, GOOD)
    assert params[1]["weight"].tolist() == [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]
    assert tree.structure(params) == tree.structure(LAYER.init(stream(0)))
    assert state == LAYER.init_state()
    back = to_torch(LAYER, params, state)
    assert list(back) == list(GOOD)
    for name, array in GOOD.items():
        np.testing.assert_array_equal(back[name], array, strict=True)


def test_counters_that_old_files_lack_are_zero():
    layer = Sequential([Linear(3, 2), [nn.BatchNorm(2), nn.BatchNorm(2, track=False)], nn.BatchNorm(2)])
    full = to_torch(layer, layer.init(stream(0)), tree.map(lambda a: a + 3, layer.init_state()))
    old = {name: a for name, a in full.items() if not name.endswith("num_batches_tracked")}
    assert len(full) - len(old) == 2
    params, state = from_torch(layer, old)
    assert all(map(np.array_equal, tree.leaves(params), tree.leaves(layer.init(stream(0)))))
    assert state[2]["count"].dtype == np.int32
    assert (state[1][0]["count"].shape, state[2]["count"].tolist()) == ((), 0)
    assert state[2]["mean"].tolist() == [3.0, 3.0]
    with pytest.raises(ValueError, match=r"1\.0\.running_mean missing"):
        from_torch(layer, {name: a for name, a in old.items() if name != "1.0.running_mean"})


def test_no_memory_is_shared():
    theirs = {name: array.copy() for name, array in GOOD.items()}
    params, _ = from_torch(LAYER, theirs)
    back = to_torch(LAYER, params)
    for array in [*theirs.values(), *back.values()]:
        array[...] = 9.0
    assert not any((leaf == 9.0).any() for leaf in tree.leaves(params))


@dataclass(frozen=True)
class Own(nn.Layer):
    def init(self, rng, dtype="float32"):
        return {"own": np.ones(1)}

    def forward(self, params, state, x, *, training, key):
        return x * params["own"], state


REFUSED = {
    "missing": (LAYER, {"1.bias": GOOD["1.bias"]}, ValueError, "1.weight, 2.1.weight missing .* of 1.bias$"),
    "empty": (LAYER, {}, ValueError, "missing in the state_dict of nothing"),
    "too many": (LAYER, {**GOOD, "m.1.weight": 0}, ValueError, "m.1.weight not expected; Sequential has"),
    "shape": (LAYER, {**GOOD, "1.weight": np.zeros((3, 2))}, ValueError,
              r"1.weight: expected shape \(2, 3\), got \(3, 2\)"),
    "kind": (LAYER, {**GOOD, "1.bias": np.ones(2, int)}, TypeError, "1.bias: expected real float.* int64"),
    "unknown": (Sequential([Own()]), {}, TypeError, "Own: PyTorch has no names"),
    "long": (LAYER, {f"{i:0>99}": 0 for i in range(99)}, ValueError, "and 95 more"),
}  # fmt: skip


@pytest.mark.parametrize(("layer", "theirs", "kind", "text"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(layer, theirs, kind, text):
    with pytest.raises(kind) as caught:
        from_torch(layer, theirs)
    assert re.search(text, str(caught.value)), str(caught.value)
    assert len(str(caught.value)) < 300


def test_parameters_of_another_layer_are_refused():
    layer = nn.Sequential([nn.Linear(3, 2), nn.BatchNorm(2)])
    with pytest.raises(ValueError, match="to_torch: expected params as Sequential makes them"):
        nn.to_torch(layer, {})
    with pytest.raises(ValueError, match="to_torch: expected state as Sequential makes them"):
        nn.to_torch(layer, layer.init(stream(0)), {})


def _theirs(shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """A state_dict of PyTorch with other numbers in each place."""
    count = 0
    theirs = {}
    for name, shape in shapes.items():
        size = int(np.prod(shape))
        theirs[name] = np.arange(count, count + size, dtype=np.float32).reshape(shape)
        count += size
    return theirs


# Names and shapes as the documentation of torch.nn has them, and where each tensor lies in portnn.
RECURRENT = {
    f"{name}_l{layer}{end}": shape
    for layer, width in ((0, 3), (1, 4))
    for end in ("", "_reverse")
    for name, shape in (
        ("weight_ih", (8, width)),
        ("weight_hh", (8, 2)),
        ("bias_ih", (8,)),
        ("bias_hh", (8,)),
    )
}
JOINED = {
    "in_proj_weight": (12, 4), "in_proj_bias": (12,), "out_proj.weight": (4, 4), "out_proj.bias": (4,),
}  # fmt: skip
APART = {
    "q_proj_weight": (4, 4), "k_proj_weight": (4, 3), "v_proj_weight": (4, 3), "in_proj_bias": (12,),
    "out_proj.weight": (4, 4), "out_proj.bias": (4,),
}  # fmt: skip


def test_recurrent_layers_and_directions():
    layer = nn.LSTM(3, 2, num_layers=2, bidirectional=True)
    theirs = _theirs(RECURRENT)
    params, state = from_torch(layer, theirs)
    for i, end in enumerate(("_l0", "_l0_reverse", "_l1", "_l1_reverse")):
        np.testing.assert_array_equal(params[i]["input"], theirs[f"weight_ih{end}"].T)
        np.testing.assert_array_equal(params[i]["hidden"], theirs[f"weight_hh{end}"].T)
        np.testing.assert_array_equal(params[i]["bias"], theirs[f"bias_ih{end}"])
        np.testing.assert_array_equal(params[i]["hidden_bias"], theirs[f"bias_hh{end}"])
    back = to_torch(layer, params, state)
    assert {name: a.shape for name, a in back.items()} == RECURRENT
    assert all(np.array_equal(back[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("memory", [None, 4, 3])
@pytest.mark.parametrize("bias", [True, False])
def test_attention_has_its_projections_in_one_tensor_or_in_three(memory, bias):
    layer = nn.MultiHeadAttention(4, 2, memory_features=memory, bias=bias)
    shapes = APART if memory == 3 else JOINED
    theirs = _theirs({name: shape for name, shape in shapes.items() if bias or "bias" not in name})
    params, _ = from_torch(layer, theirs)
    for i, name in enumerate(("query", "key", "value")):
        rows = slice(4 * i, 4 * i + 4)
        weight = theirs[f"{name[0]}_proj_weight"] if memory == 3 else theirs["in_proj_weight"][rows]
        np.testing.assert_array_equal(params[name]["weight"], weight.T)
        if bias:
            np.testing.assert_array_equal(params[name]["bias"], theirs["in_proj_bias"][rows])
    np.testing.assert_array_equal(params["output"]["weight"], theirs["out_proj.weight"].T)
    assert ("bias" in params["output"]) is bias
    back = to_torch(layer, params, layer.init_state())
    assert back.keys() == theirs.keys()
    assert all(np.array_equal(back[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (1, "a0 not"),
        (4, "a0, a1, a2, a3 not"),
        (5, "a0, a1, a2, a3 and 1 more not"),
        (7, "a2, a3 and 3 more not"),
    ],
)
def test_a_few_names_stand_for_many(count, text):
    layer = nn.Linear(2, 1)
    entries = {"weight": np.ones((1, 2)), "bias": np.ones(1)}
    with pytest.raises(ValueError, match=rf"{text} expected; Linear has weight, bias$"):
        nn.from_torch(layer, entries | {f"a{i}": np.ones(1) for i in range(count)})
    with pytest.raises(ValueError, match="weight, bias missing in the state_dict of nothing"):
        nn.from_torch(layer, {})
