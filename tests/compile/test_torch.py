"""Plans of torch.compile: what it is handed, what comes back, and what is said where it cannot serve."""

from __future__ import annotations

import shutil
from functools import partial

import numpy as np
import pytest

import portnn as pn
from portnn import losses, nn, ops, optim, tree
from portnn.compile import PlanError
from portnn.random import key, stream
from portnn.tracing import ControlFlowError

torch = pytest.importorskip("torch", reason="PyTorch is optional; tests(torch) has it")

MODEL = nn.Sequential([nn.Linear(6, 8), nn.tanh, nn.LayerNorm(8), nn.Dropout(0.5), nn.Linear(8, 3)])
IMAGES = nn.Sequential(
    [nn.Conv2d(2, 3, 3), nn.BatchNorm(3), nn.relu, nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 3)]
)
RNG = np.random.default_rng(0)
Y = torch.tensor([0, 1, 2, 0, 1])


def params_of(model):
    return tree.map(torch.asarray, model.init(stream(0)))


def batch(*shape):
    return torch.asarray(RNG.normal(size=(5, *shape)).astype(np.float32))


def loss(model, params, x, noise=None):
    state = tree.map(torch.asarray, model.init_state())
    predictions, _ = model.forward(params, state, x, training=noise is not None, key=noise)
    return losses.softmax_cross_entropy(predictions, Y)


def step(params, state, x, noise):
    value, grads = pn.value_and_grad(partial(loss, MODEL))(params, x, noise)
    updates, state = RULE.update(grads, state, params)
    return optim.apply_updates(params, updates), state, value


RULE = optim.adam(0.01)
CASES = {
    "layers": (lambda p, x: MODEL.apply(p, x), lambda: (params_of(MODEL), batch(6))),
    "gradient": (pn.value_and_grad(partial(loss, MODEL)), lambda: (params_of(MODEL), batch(6))),
    "images": (pn.value_and_grad(partial(loss, IMAGES)), lambda: (params_of(IMAGES), batch(2, 6, 6))),
    "step": (step, lambda: (params_of(MODEL), RULE.init(params_of(MODEL)), batch(6), key(3, like=Y))),
    "several results": (
        lambda x: {"sorted": ops.sort(x), "parts": ops.unstack(x), "same": x, "half": (x[:2, ...] / 2, 7)},
        lambda: (batch(4),),
    ),
}  # fmt: skip


@pytest.fixture
def without_code(monkeypatch):
    """PyTorch's tracer, but no code generated: seconds instead of a minute."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager", fullgraph=True))


def same(found, expected, rtol):
    assert tree.structure(found) == tree.structure(expected)
    for (name, a), (_, b) in zip(tree.items(found), tree.items(expected), strict=True):
        if isinstance(b, torch.Tensor):
            assert (a.dtype, a.shape) == (b.dtype, b.shape), name
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=rtol, atol=rtol, err_msg=name)
        else:
            assert a == b, name


def check(function, arguments, rtol):
    compiled = pn.jit(function, torch_compile=True)
    for _ in range(3):
        args = arguments()
        kept = tree.map(lambda leaf: leaf.clone() if isinstance(leaf, torch.Tensor) else leaf, args)
        same(compiled(*args), function(*args), rtol)
        same(args, kept, 0.0)
    assert compiled.plans == 1
    assert compiled.explain(*args).endswith(", compiled by torch.compile")


@pytest.mark.parametrize(("function", "arguments"), CASES.values(), ids=CASES)
def test_what_is_handed_over_gives_what_the_function_gives(function, arguments, without_code):
    """`fullgraph` makes it an error if anything is left that is not PyTorch's own."""
    check(function, arguments, 1e-6)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler: apt install g++")
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize(("function", "arguments"), CASES.values(), ids=CASES)
def test_what_is_compiled_gives_what_the_function_gives(function, arguments):
    check(function, arguments, 1e-5)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
def test_without_a_compiler_the_error_says_so(monkeypatch):
    from torch._inductor import config  # only this test asks for it

    monkeypatch.setattr(config.cpp, "cxx", (None, "no-such-compiler"))
    compiled = pn.jit(lambda x: ops.exp(x) + 1.0, torch_compile=True)
    with pytest.raises(
        PlanError, match=r"jit: torch.compile failed: .*; on a CPU it needs a C\+\+ compiler"
    ) as caught:
        compiled(batch(3))
    assert len(str(caught.value)) < 300
    assert compiled.plans == 0


def test_what_the_caller_gets_is_the_callers(without_code):
    table = torch.ones(3)
    compiled = pn.jit(lambda x: (x, table, x + table), torch_compile=True)
    x = batch(3)
    for _ in range(2):
        first, second, total = compiled(x)
        first += 1.0
        second += 1.0
        np.testing.assert_array_equal(total.numpy(), (x + 1.0).numpy())


def test_values_cannot_be_asked_for(without_code):
    compiled = pn.jit(lambda x: x if x[0, 0] > 0 else -x, torch_compile=True)
    with pytest.raises(ControlFlowError):
        compiled(batch(3))
