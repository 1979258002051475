"""Activations beside PyTorch's, at kinks too."""

import numpy as np
import pytest

from portnn import ops
from portnn.autodiff import grad
from portnn.nn import _activations as nn
from tests.nn.formulas import FORMULAS, SMOOTH, WIDE

# Name here, name in torch.nn.functional, options there.
TORCH = [
    ("relu", "relu", {}), ("leaky_relu", "leaky_relu", {}), ("elu", "elu", {}),
    ("elu 0.5", "elu", {"alpha": 0.5}),
    ("selu", "selu", {}), ("celu", "celu", {}), ("celu 2", "celu", {"alpha": 2.0}), ("gelu", "gelu", {}),
    ("gelu tanh", "gelu", {"approximate": "tanh"}), ("silu", "silu", {}), ("mish", "mish", {}),
    ("softplus", "softplus", {"threshold": 1000}), ("softsign", "softsign", {}), ("sigmoid", "sigmoid", {}),
    ("hard_sigmoid", "hardsigmoid", {}), ("tanh", "tanh", {}), ("hard_tanh", "hardtanh", {}),
    ("hard_swish", "hardswish", {}), ("log_sigmoid", "logsigmoid", {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "torch_name", "options"), TORCH, ids=[row[0] for row in TORCH])
def test_same_as_torch_with_kinks(name, torch_name, options):
    torch = pytest.importorskip("torch", reason="PyTorch is optional; tests(torch) has it")
    x = torch.asarray(WIDE.copy(), requires_grad=True)
    expected = getattr(torch.nn.functional, torch_name)(x, **options)
    expected.sum().backward()
    f = FORMULAS[name][0]
    np.testing.assert_allclose(f(WIDE), expected.detach().numpy(), rtol=1e-12, atol=1e-14)
    found = grad(lambda x: ops.sum(f(x)))(WIDE)
    # PyTorch's derivative of hardsigmoid is 1/6 in float32 whatever the dtype.
    np.testing.assert_allclose(
        found, x.grad.numpy(), rtol=4e-8 if name == "hard_sigmoid" else 1e-10, atol=1e-13
    )


def test_prelu_and_glu_as_torch():
    torch = pytest.importorskip("torch", reason="PyTorch is optional; tests(torch) has it")
    f, x, alpha = torch.nn.functional, SMOOTH, np.linspace(0.1, 0.6, 6)
    expected = f.prelu(torch.asarray(x), torch.asarray(alpha)).numpy()
    np.testing.assert_allclose(nn.prelu(x, alpha), expected, rtol=1e-14)
    np.testing.assert_allclose(nn.glu(x), f.glu(torch.asarray(x)).numpy(), rtol=1e-14)
    np.testing.assert_allclose(nn.softmin(x), f.softmin(torch.asarray(x), dim=-1).numpy(), rtol=1e-14)
