"""Parameters from outside: names, shapes and dtypes are those of the layers, or nothing changes."""

# ruff: noqa: E501  # one row a line, so that it reads as a table

from __future__ import annotations

import importlib
from copy import deepcopy

import numpy as np
import pytest

from portnn import Network, optim, tree
from portnn.backend import get_backend
from portnn.nn import BatchNorm, Linear, Residual, Sequential, from_torch, relu
from tests.network.small import bits, same

X = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)
Y = np.arange(12) % 3
LAYERS = [Linear(4, 8), BatchNorm(8), relu, Linear(8, 3)]
SHAPES = {
    "0.weight": (4, 8),
    "0.bias": (8,),
    "1.weight": (8,),
    "1.bias": (8,),
    "3.weight": (8, 3),
    "3.bias": (3,),
}


def network(backend="cpu", **options):
    return Network(LAYERS, backend=backend, **options)


def numbers(dtype="float32"):
    rng = np.random.default_rng(7)
    return {name: rng.normal(size=shape).astype(dtype) for name, shape in SHAPES.items()}


def nested(flat):
    w = {name: flat[name] for name in flat}
    return (
        {"weight": w["0.weight"], "bias": w["0.bias"]}, {"weight": w["1.weight"], "bias": w["1.bias"]}, {},
        {"weight": w["3.weight"], "bias": w["3.bias"]},
    )  # fmt: skip


def arrays_of(net):
    return {name: np.asarray(net.backend.to_numpy(a)) for name, a in tree.items(net.params)}


def everything(net):
    """What no refusal may change."""
    return [np.array(net.backend.to_numpy(a)) for a in tree.leaves((net.params, net.state, net.optimizer_state))], (
        net.epochs, net.steps, net.seed, tree.structure(net.params))  # fmt: skip


def unchanged(a, b):
    return (
        a[1] == b[1]
        and len(a[0]) == len(b[0])
        and all(x.dtype == y.dtype and np.array_equal(x, y) for x, y in zip(a[0], b[0], strict=True))
    )


FORMS = {
    "flat": lambda flat: flat,
    "tree": nested,
    "lists of layers": lambda flat: list(nested(flat)),
    "dict of layers": lambda flat: {str(i): part for i, part in enumerate(nested(flat))},
    "dict of numbers": lambda flat: dict(enumerate(nested(flat))),
    "nested lists": lambda flat: {name: a.tolist() for name, a in flat.items()},
    "tree of lists": lambda flat: tree.map(np.ndarray.tolist, nested(flat)),
    "half flat": lambda flat: {"0": nested(flat)[0], **{n: a for n, a in flat.items() if n[0] != "0"}},
}


@pytest.mark.parametrize("form", FORMS)
def test_arrays_of_any_form_are_cast(form, backend):
    check_cast(form, "float64", backend.backend)


@pytest.mark.parametrize("dtype", ["float16", "float32", ">f4", ">f8", "longdouble"])
@pytest.mark.parametrize("form", ["flat", "nested lists"])
def test_floating_arrays_of_any_precision_are_cast(form, dtype):
    check_cast(form, dtype, get_backend("cpu"))


def check_cast(form, dtype, backend):
    net = network(backend)
    flat = numbers(dtype)
    net.load_params(FORMS[form](flat))
    assert tree.structure(net.params) == tree.structure(network().params)
    for name, a in arrays_of(net).items():
        assert a.dtype == np.float32
        np.testing.assert_array_equal(a, flat[name].astype(np.float32), err_msg=name)
    assert all(backend.owns(a) for a in tree.leaves(net.params))
    y = net.predict_proba(X)
    assert y.dtype == np.float32
    assert y.shape == (12, 3)


@pytest.mark.parametrize("library", ["torch", "jax.numpy"])
@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32", "float64"])
def test_arrays_of_other_libraries(library, name):
    xp = pytest.importorskip(library, reason="an optional library")
    if name == "float64" and library == "jax.numpy":
        importlib.import_module("jax").config.update("jax_enable_x64", True)
    given = {n: xp.asarray(a, dtype=getattr(xp, name)) for n, a in numbers().items()}
    net = network()
    net.load_params(given)
    for n, a in arrays_of(net).items():
        wide = np.asarray(given[n].astype("float32") if library == "jax.numpy" else given[n].float())
        np.testing.assert_array_equal(a, wide)


def test_bfloat16_of_numpy():
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="ml_dtypes comes with ONNX or JAX")
    given = {n: a.astype(ml_dtypes.bfloat16) for n, a in numbers().items()}
    net = network()
    net.load_params(given)
    np.testing.assert_array_equal(net.params[0]["weight"], given["0.weight"].astype(np.float32))


def test_the_arrays_are_copied(backend):
    flat = {name: backend.asarray(a) for name, a in numbers().items()}
    net = network(backend.backend)
    net.load_params(flat)
    assert not any(a is b for a in tree.leaves(net.params) for b in flat.values())
    flat = numbers()
    net = network()
    net.load_params(flat)
    flat["0.weight"] *= 0
    np.testing.assert_array_equal(net.params[0]["weight"], numbers()["0.weight"])


def test_counters_stay_and_the_optimizer_begins_anew(backend):
    net = network(backend.backend, seed=3)
    net.fit(X, Y, epochs=2, batch_size=5, optimizer=optim.adam(0.01))
    before = deepcopy(everything(net)[0]), net.state
    net.load_params(numbers())
    assert (net.epochs, net.steps, net.seed) == (2, 6, 3)
    assert net.optimizer_state is None
    assert net.state is before[1]
    other = network(backend.backend, seed=3)
    other.load_params(numbers(), net.state, epochs=2, steps=6)
    for n in (net, other):
        n.partial_fit(X, Y, optimizer=optim.adam(0.01))
    assert same(bits(net), bits(other))


def test_the_state_is_loaded_too(backend):
    net = network(backend.backend)
    state = {"1.mean": np.full(8, 0.5), "1.var": [2.0] * 8, "1.count": np.asarray(9, dtype="int64")}
    net.load_params(numbers(), state)
    found = {name: np.asarray(backend.to_numpy(a)) for name, a in tree.items(net.state)}
    assert {name: str(a.dtype) for name, a in found.items()} == {
        "1.mean": "float32", "1.var": "float32", "1.count": "int32"}  # fmt: skip
    assert (found["1.mean"] == 0.5).all()
    assert found["1.count"] == 9


def changed(**changes):
    flat = {**numbers(), **changes}
    return {name: a for name, a in flat.items() if a is not ...}


WRONG = {
    "lost": (changed(**{"0.bias": ...}), ValueError, r"'0.bias' of shape \(8,\) is missing; got 0.weight, 1.w"),
    "unknown": (changed(**{"3.gain": np.ones(3)}), ValueError, r"unexpected '3.gain'; the layers have 0.weight, "),
    "renamed": (
        {f"layer.{n}": a for n, a in numbers().items()}, ValueError, r"'0.weight' of shape \(4, 8\) is missing"),
    "twice": ({**numbers(), "0": {"weight": np.ones((4, 8))}}, ValueError, "'0.weight' is given twice"),
    "too many": ((*nested(numbers()), {"weight": np.ones(2)}), ValueError, "unexpected '4.weight'"),
    "too few": (nested(numbers())[:3], ValueError, "'3.weight' of shape .* is missing"),
    "shape": (changed(**{"3.weight": np.ones((8, 5))}), ValueError, r"'3.weight': expected shape \(8, 3\), got \(8, 5\)"),
    "turned": (changed(**{"0.weight": np.ones((8, 4))}), ValueError, r"'0.weight': expected shape \(4, 8\), got \(8, 4\); for a matrix of PyTorch write load_params\(\*portnn.nn.from_torch"),
    "number": (changed(**{"3.bias": 1.0}), ValueError, r"'3.bias': expected shape \(3,\), got \(\)"),
    "ragged": (changed(**{"3.bias": [[1.0], [1.0, 2.0], 3.0]}), ValueError, "'3.bias': is not a rectangular array"),
    "integers": (changed(**{"3.bias": np.ones(3, int)}), TypeError, "'3.bias': expected floating-point numbers, got dtype int64"),
    "booleans": (changed(**{"3.bias": np.ones(3, bool)}), TypeError, "'3.bias': .* got dtype bool"),
    "list of booleans": (changed(**{"3.bias": [True, False, True]}), TypeError, "'3.bias': .* got dtype bool"),
    "complex": (changed(**{"3.bias": np.ones(3, complex)}), TypeError, "'3.bias': .* got dtype complex128"),
    "text": (changed(**{"3.bias": ["a", "b", "c"]}), TypeError, "'3.bias': must hold booleans or numbers"),
    "objects": (changed(**{"3.bias": np.asarray([None] * 3)}), TypeError, "'3.bias': "),
    "none": (changed(**{"3.bias": None}), ValueError, "'3.bias' of shape .* is missing"),
    "masked": (changed(**{"3.bias": np.ma.masked_array([1.0, 2.0, 3.0])}), TypeError, "'3.bias': is a masked array"),
    "too large": (changed(**{"3.bias": np.asarray([1.0, 1e39, 0.0])}), ValueError, "'3.bias': has numbers too large for float32, up to 1e"),
    "too small": (changed(**{"3.bias": [1.0, -1e300, 0.0]}), ValueError, "'3.bias': has numbers too large for float32"),
    "nan": (changed(**{"3.bias": np.asarray([1.0, np.nan, 0.0])}), ValueError, "'3.bias': has NaN or infinite numbers"),
    "infinite": (changed(**{"3.bias": [1.0, 2.0, -np.inf]}), ValueError, "'3.bias': has NaN or infinite numbers"),
    "half nan": (changed(**{"3.bias": np.asarray([1.0, np.nan, 0.0], "float16")}), ValueError, "'3.bias': has NaN or infinite"),
    "pair": ((nested(numbers()), network().state), TypeError, r"got a pair of parameters and state; unpack it: net\.load_params\(\*"),
    "state of PyTorch": (changed(**{"1.running_mean": np.ones(8)}), ValueError, r"unexpected '1.running_mean'; .* write load_params\(\*portnn.nn.from_torch"),
    "an array": (np.ones(3), TypeError, "expected a dict or tuple with 0 to 3, got ndarray"),
    "text at all": ("params", TypeError, "expected a dict or tuple with 0 to 3, got str"),
    "array for layer": ((np.ones(3), *nested(numbers())[1:]), TypeError, "expected a dict or tuple at '0' with weight, bias, got ndarray"),
    "list for layer": (([1.0, 2.0], *nested(numbers())[1:]), TypeError, "expected a dict or tuple at '0' with weight, bias, got list"),
    "nothing": (None, ValueError, "'0.weight' of shape .* is missing; got nothing"),
}  # fmt: skip
WAYS = {
    "load_params": lambda net, params: net.load_params(params),
    "params": lambda net, params: setattr(net, "params", params),
    "counters": lambda net, params: net.load_params(params, net.state, epochs=4, steps=5),
    "restore": lambda net, params: net.restore(params, net.state),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("params", "kind", "text"), WRONG.values(), ids=WRONG)
def test_what_does_not_fit_is_refused_and_changes_nothing(params, kind, text, way):
    net = network()
    net.partial_fit(X, Y)
    before = everything(net)
    with pytest.raises(kind, match=text) as caught:
        WAYS[way](net, params)
    assert str(caught.value).startswith(f"{way.replace('counters', 'load_params')}: ")
    assert len(str(caught.value)) < 300
    assert unchanged(everything(net), before)


def test_arrays_of_the_backend_are_checked_too(backend):
    net = network(backend.backend)
    kept = everything(net)
    for name, a, text in (
        ("3.weight", np.ones((8, 5), "float32"), "expected shape"), ("3.bias", np.ones(3, "int32"), "got dtype int32"),
        ("3.bias", np.asarray([1.0, 2.0, np.nan], "float32"), "has NaN or infinite"),
    ):  # fmt: skip
        for way, load in WAYS.items():
            with pytest.raises(
                (TypeError, ValueError),
                match=f"^{way.replace('counters', 'load_params')}: '{name}': .*{text}",
            ):
                load(net, {**numbers(), name: backend.asarray(a)})
    assert unchanged(everything(net), kept)


STATES = {
    "missing": ({"1.mean": np.ones(8), "1.var": np.ones(8)}, ValueError, "'1.count' of shape"),
    "shape": ({"1.mean": np.ones(9), "1.var": np.ones(8), "1.count": 1}, ValueError, "'1.mean': expected shape"),
    "real count": ({"1.mean": np.ones(8), "1.var": np.ones(8), "1.count": 1.5}, TypeError, "'1.count': expected integers"),
    "large count": ({"1.mean": np.ones(8), "1.var": np.ones(8), "1.count": 2**40}, ValueError, "'1.count': has numbers too large for int32"),
    "negative count": ({"1.mean": np.ones(8), "1.var": np.ones(8), "1.count": -5}, ValueError, "'1.count' is a counter and must be at least 0, got -5"),
    "integers": ({"1.mean": np.ones(8, int), "1.var": np.ones(8), "1.count": 1}, TypeError, "'1.mean': expected floating"),
    "nan": ({"1.mean": np.ones(8), "1.var": np.full(8, np.nan), "1.count": 1}, ValueError, "'1.var': has NaN or infinite"),
    "empty": ((), ValueError, "'1.mean' of shape"),
}  # fmt: skip


@pytest.mark.parametrize("way", ["load_params", "state", "counters", "restore"])
@pytest.mark.parametrize(("state", "kind", "text"), STATES.values(), ids=STATES)
def test_a_state_that_does_not_fit(state, kind, text, way):
    net = network()
    before = everything(net)
    ways = {
        "load_params": lambda: net.load_params(numbers(), state),
        "state": lambda: setattr(net, "state", state),
        "counters": lambda: net.load_params(numbers(), state, epochs=1, steps=1),
        "restore": lambda: net.restore(numbers(), state),
    }
    with pytest.raises(kind, match=text):
        ways[way]()
    assert unchanged(everything(net), before)


@pytest.mark.parametrize("name", ["epochs", "steps"])
@pytest.mark.parametrize(
    ("value", "kind"),
    [(-5, ValueError), ("x", TypeError), (1.0, TypeError), (True, TypeError), (None, TypeError), (2**32, ValueError),
     (10**5000, ValueError), (np.ones(2, int), TypeError)],
    ids=["negative", "text", "real", "bool", "none", "large", "huge", "array"],
)  # fmt: skip
def test_counters_are_counts(name, value, kind, tmp_path):
    net = network()
    with pytest.raises(kind, match=f"{name} must be") as caught:
        setattr(net, name, value)
    assert len(str(caught.value)) < 300
    if value is not None:  # which keeps the counter
        with pytest.raises(kind, match=f"load_params: {name} must be"):
            net.load_params(net.params, net.state, **{"epochs": 1, "steps": 1, name: value})
    assert (net.epochs, net.steps) == (0, 0)
    setattr(net, name, np.int64(7))
    assert type(getattr(net, name)) is int
    net.save(tmp_path / "net")
    assert getattr(Network.load(tmp_path / "net"), name) == 7


WAYS = {
    "load_params": lambda net, params: net.load_params(params),
    "params": lambda net, params: setattr(net, "params", params),
    "counters": lambda net, params: net.load_params(params, None, epochs=1, steps=1),
    "restore": lambda net, params: net.restore(params, net.state),
}


@pytest.mark.parametrize("way", WAYS)
def test_bytes_in_the_order_of_another_machine(way):
    net, flat = network(), numbers(">f4")
    WAYS[way](net, nested(flat))
    assert all(a.dtype.isnative for a in tree.leaves(net.params))
    assert same(arrays_of(net).values(), [numbers()[name] for name in arrays_of(net)])
    net.fit(X, Y, epochs=1, progress=False)


@pytest.mark.parametrize("way", WAYS)
def test_tensors_that_pytorch_records_are_refused(way):
    torch = pytest.importorskip("torch", reason="PyTorch is optional")
    net = network("torch")
    before = everything(net)
    with pytest.raises(ValueError, match=r"'0\.weight': a tensor that requires grad; pass its detach\(\)"):
        WAYS[way](net, nested({n: torch.nn.Parameter(torch.as_tensor(a)) for n, a in numbers().items()}))
    assert unchanged(everything(net), before)


def test_arrays_of_the_network_are_kept_as_they_are(backend):
    """So that callbacks can put back what they kept, and an average is known as one."""
    net, other = network(backend.backend), network(backend.backend)
    kept = other.params
    net.params, net.state = kept, other.state
    assert net.params is kept
    net.params = list(kept)
    assert tree.structure(net.params) == tree.structure(kept)
    assert all(a is b for a, b in zip(tree.leaves(net.params), tree.leaves(kept), strict=True))


def test_a_network_of_64_bits_takes_short_numbers(backend):
    if not backend.has_float64:
        pytest.skip("needs float64")
    net = network(backend.backend, dtype="float64")
    net.load_params(numbers("float16"))
    for name, a in arrays_of(net).items():
        assert a.dtype == np.float64
        np.testing.assert_array_equal(a, numbers("float16")[name])


def test_one_layer_and_layers_in_dicts():
    net = Network(Linear(4, 3))
    net.load_params({"weight": np.ones((4, 3)), "bias": np.zeros(3)})
    assert net.params["weight"].dtype == np.float32
    net = Network(Residual(Sequential([Linear(4, 4)])))
    net.load_params({"layer.0.weight": np.eye(4), "layer": {"0.bias": np.zeros(4)}})
    np.testing.assert_array_equal(net.params["layer"][0]["weight"], np.eye(4))
    with pytest.raises(
        ValueError, match=r"load_params: 'layer.0.weight' of shape \(4, 4\) is missing; got layr"
    ):
        net.load_params({"layr": {"0": {"weight": np.eye(4)}}})


def test_other_layers_have_other_parameters():
    net = network()
    net.layer = Sequential([Linear(4, 2)])
    with pytest.raises(ValueError, match=r"'0.weight': expected shape \(4, 2\)"):
        net.load_params({name: numbers()[name] for name in ("0.weight", "0.bias")})
    net.load_params([{"weight": np.ones((4, 2)), "bias": np.ones(2)}], [{}])
    assert net.predict_proba(X).shape == (12, 2)


def test_the_last_step_from_pytorch(tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch is optional")
    theirs = torch.nn.Sequential(
        torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.ReLU(), torch.nn.Linear(8, 3)
    ).double()
    net = network()
    net.load_params(*from_torch(net.layer, theirs.state_dict()))
    wanted = theirs.eval()(torch.from_numpy(X).double()).softmax(1).detach().numpy()
    found = net.predict_proba(X)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, rtol=1e-4)
    net.save(tmp_path / "net")
    np.testing.assert_array_equal(Network.load(tmp_path / "net").predict_proba(X), found)
