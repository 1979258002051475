"""Who competes in training: one small class a file, all with one interface, `Contender`."""

from __future__ import annotations

from tests.benchmarks.contenders._article import Article
from tests.benchmarks.contenders._autograd import Autograd
from tests.benchmarks.contenders._base import Contender, Order, Task, UnavailableError, order_of
from tests.benchmarks.contenders._by_hand import ByHand, Reference
from tests.benchmarks.contenders._floor import Floor
from tests.benchmarks.contenders._jax_scan import JaxScan
from tests.benchmarks.contenders._jax_step import JaxStep
from tests.benchmarks.contenders._portnn import Portnn, PortnnEager
from tests.benchmarks.contenders._portnn_jit import PortnnJit
from tests.benchmarks.contenders._products import Products
from tests.benchmarks.contenders._sklearn import SklearnMLP
from tests.benchmarks.contenders._tinygrad import Tinygrad
from tests.benchmarks.contenders._torch_compile import TorchCompile
from tests.benchmarks.contenders._torch_graph import TorchGraph
from tests.benchmarks.contenders._torch_lean import TorchLean
from tests.benchmarks.contenders._torch_module import TorchModule

__all__ = ["TRAINING", "Contender", "Order", "Reference", "Task", "UnavailableError", "order_of"]

TRAINING: dict[str, type[Contender]] = {
    contender.slug: contender
    for contender in (
        Portnn, PortnnJit, PortnnEager, Floor, Products, ByHand, Article, TorchModule, TorchLean,
        TorchCompile, TorchGraph, JaxStep, JaxScan, SklearnMLP, Tinygrad, Autograd,
    )
}  # fmt: skip
